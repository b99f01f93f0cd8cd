#!/bin/bash
# boot.sh FOLDER BIND...   Becomes systemd, PID 1 of the namespaces it was started in, on a throw-away copy of / made
# of an overlay in memory. Each BIND is a folder of another file system that must be seen inside.
set -eu
folder=$1
shift

mount -t tmpfs -o size=1g,mode=755 btswarm-box "$folder"
mkdir "$folder"/{upper,scratch,root}
root=$folder/root
mount -t overlay -o "lowerdir=/,upperdir=$folder/upper,workdir=$folder/scratch" overlay "$root"
for bind in "$@"; do
    mount --rbind "$bind" "$root$bind"
done

mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
mkdir "$root"/dev/{pts,shm} "$root/run/lock"
for device in null zero full random urandom tty; do
    : >"$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620 devpts "$root/dev/pts"
mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"

# The tree of the host, with this namespace's part of it as its root: version 2, or version 1 with what is there.
groups=$root/sys/fs/cgroup
if [[ $(stat -f -c %T /sys/fs/cgroup) == cgroup2fs ]]; then
    mount -t cgroup2 cgroup2 "$groups"
else
    mount -t tmpfs -o mode=755 tmpfs "$groups"
    for controller in cpu cpuacct memory pids devices freezer blkio; do
        mkdir "$groups/$controller"
        mount -t cgroup -o "$controller" cgroup "$groups/$controller"
    done
    mkdir "$groups/systemd" "$groups/unified"
    mount -t cgroup -o none,name=systemd cgroup "$groups/systemd"
    mount -t cgroup2 cgroup2 "$groups/unified"
fi

# Nothing of the host's own services: a journal, a bus, and what the test installs.
units=$root/etc/systemd/system
rm -rf "$units"/*.wants "$units"/dbus-org*
for unit in systemd-{journald-audit.socket,tmpfiles-setup.service,tmpfiles-setup-dev.service,tmpfiles-clean.timer} \
    systemd-{udevd.service,modules-load.service,sysusers.service,update-utmp.service,binfmt.service} \
    dev-hugepages.mount dev-mqueue.mount sys-kernel-{debug,tracing,config}.mount sys-fs-fuse-connections.mount; do
    ln -sf /dev/null "$units/$unit"
done
cat >"$units/box.target" <<'UNIT'
[Unit]
Description=a box for one test
AllowIsolate=yes
DefaultDependencies=no
Wants=dbus.socket systemd-journald.socket systemd-journald.service
After=dbus.socket systemd-journald.service
UNIT

ip link set lo up
hostname box
cd "$root"
mkdir -p .host
pivot_root . .host
umount -l /.host
rmdir /.host
exec env -i container=box PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
    /lib/systemd/systemd --system --unit=box.target --show-status=no
