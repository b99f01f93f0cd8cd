/* A test double of libnvidia-ml.so.1 for the genuine pynvml. SCRIPT, a file named at compile time, is read again at every
   call: lines "gpu INDEX key value ..." and, before them, "init CODE". A device has util used total temp power throttle,
   and: fail CODE (of every call), hang 1 (for ever), crash 1, xid NUMBER events COUNT. Its UUID is GPU-INDEX. Processes
   are told with pids of the host, where they mean nothing: who asks for them is ended. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MOST 8
typedef struct {
    unsigned there, util, used, total, temp, power, throttle, fail, hang, crash, xid, events;
} Device;

static Device devices[MOST];
static unsigned told[MOST];
static char handles[MOST], event_set;
static int start_code;

static void set(Device *device, const char *key, unsigned value)
{
    struct { const char *name; unsigned *at; } keys[] = {
        {"util", &device->util}, {"used", &device->used}, {"total", &device->total}, {"temp", &device->temp},
        {"power", &device->power}, {"throttle", &device->throttle}, {"fail", &device->fail}, {"hang", &device->hang},
        {"crash", &device->crash}, {"xid", &device->xid}, {"events", &device->events}};
    for (unsigned k = 0; k < sizeof keys / sizeof *keys; k++)
        if (!strcmp(keys[k].name, key)) *keys[k].at = value;
}

static int count(void)
{
    char line[512], *rest, *word, *value;
    int most = 0;
    FILE *file = fopen(SCRIPT, "r");
    memset(devices, 0, sizeof devices);
    while (file && fgets(line, sizeof line, file)) {
        word = strtok_r(line, " \n", &rest);
        value = word ? strtok_r(NULL, " \n", &rest) : NULL;
        if (!value) continue;
        int number = atoi(value);
        if (!strcmp(word, "init")) start_code = number;
        if (strcmp(word, "gpu")) continue;
        devices[number].there = 1;
        most = number + 1 > most ? number + 1 : most;
        while ((word = strtok_r(NULL, " \n", &rest)) && (value = strtok_r(NULL, " \n", &rest)))
            set(&devices[number], word, (unsigned)atoi(value));
    }
    if (file) fclose(file);
    return most;
}

static int index_of(void *handle) { return (int)((char *)handle - handles); }

static int touch(void *handle, Device **device)
{
    count();
    *device = &devices[index_of(handle)];
    if ((*device)->crash) abort();
    while ((*device)->hang) pause();
    return !(*device)->there ? 15 : (int)(*device)->fail;
}

int nvmlInitWithFlags(unsigned flags) { (void)flags; count(); return start_code; }
int nvmlInit_v2(void) { return nvmlInitWithFlags(0); }
int nvmlDeviceGetCount_v2(unsigned *out) { *out = (unsigned)count(); return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **out)
{
    *out = handles + index;
    return (int)index < count() && devices[index].there ? 0 : 2;
}
int nvmlDeviceGetHandleByUUID(const char *uuid, void **out)
{
    int index = atoi(uuid + 4);
    *out = handles + index;
    return index < count() && devices[index].there ? 0 : 6;
}
int nvmlDeviceGetUUID(void *handle, char *out, unsigned size)
{
    snprintf(out, size, "GPU-%d", index_of(handle));
    return 0;
}
int nvmlDeviceGetIndex(void *handle, unsigned *out) { *out = (unsigned)index_of(handle); return 0; }
#define FIGURE(name, field)                                     \
    int name(void *handle, unsigned *out)                       \
    {                                                           \
        Device *device;                                         \
        int code = touch(handle, &device);                      \
        if (!code) *out = device->field;                        \
        return code;                                            \
    }
FIGURE(nvmlDeviceGetPowerUsage, power)
int nvmlDeviceGetCurrentClocksThrottleReasons(void *handle, unsigned long long *out)
{
    Device *device;
    int code = touch(handle, &device);
    if (!code) *out = device->throttle;
    return code;
}
int nvmlDeviceGetTemperature(void *handle, unsigned sensor, unsigned *out)
{
    Device *device;
    int code = touch(handle, &device);
    if (!code) *out = device->temp + sensor;
    return code;
}
int nvmlDeviceGetUtilizationRates(void *handle, unsigned *out)
{
    Device *device;
    int code = touch(handle, &device);
    if (!code) out[0] = device->util, out[1] = 0;
    return code;
}
int nvmlDeviceGetMemoryInfo(void *handle, unsigned long long *out)
{
    Device *device;
    int code = touch(handle, &device);
    if (code) return code;
    out[0] = (unsigned long long)device->total << 20;
    out[2] = (unsigned long long)device->used << 20;
    out[1] = out[0] - out[2];
    return 0;
}
int nvmlEventSetCreate(void **out) { *out = &event_set; return 0; }
int nvmlDeviceRegisterEvents(void *handle, unsigned long long kinds, void *set)
{
    (void)handle, (void)kinds, (void)set;
    return 0;
}
struct event { void *device; unsigned long long kind, data; unsigned instance, compute; };
int nvmlEventSetWait_v2(void *set, struct event *out, unsigned wait_ms)
{
    (void)set, (void)wait_ms;
    int most = count();
    for (int k = 0; k < most; k++)
        if (told[k] < devices[k].events) {
            told[k]++;
            *out = (struct event){handles + k, 8, devices[k].xid, 0, 0};
            return 0;
        }
    return 10;
}
int nvmlDeviceGetComputeRunningProcesses_v3(void *handle, unsigned *many, void *out)
{
    (void)handle, (void)many, (void)out;
    abort();
}
const char *nvmlErrorString(int code) { return code == 15 ? "GPU is lost" : code == 3 ? "Not Supported" : "an error"; }
