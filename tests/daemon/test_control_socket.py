"""The control socket: answers from the last cycle, queues changes, and is not impressed by bad peers."""

import asyncio
import json
import os
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from btswarm.daemon import control_socket
from btswarm.daemon.control_socket import MAX_CONNECTIONS, ControlSocket
from btswarm.daemon.doorway import MAX_LINE
from btswarm.state.errors import BadConfig
from btswarm.state.socket_path import connect

Talk = Callable[[ControlSocket, list[str]], Awaitable[None]]


def with_socket(folder: Path, talk: Talk, **given: Any) -> None:
    async def run() -> None:
        woken: list[str] = []
        door = ControlSocket(folder, woken.append, **given)
        await door.open()
        try:
            async with asyncio.timeout(20):
                await talk(door, woken)
        finally:
            door.close()

    asyncio.run(run())


async def send(door: ControlSocket, line: bytes, *, then_close: bool = False) -> dict[str, Any]:
    """One line as a peer in a thread would send it; its answer."""
    reader, writer = await asyncio.open_unix_connection(sock=connect(door.path, 5))
    writer.write(line)
    if then_close:
        writer.write_eof()
    body: dict[str, Any] = json.loads(await reader.read())
    writer.close()
    return body


def request(cmd: str, id_: str = "a", **args: Any) -> bytes:
    return json.dumps({"v": 1, "id": id_, "cmd": cmd, "args": args}).encode() + b"\n"


def test_reading_is_answered_from_what_the_last_cycle_left_and_wakes_nobody(tmp_path: Path) -> None:
    async def talk(door: ControlSocket, woken: list[str]) -> None:
        made: list[int] = []
        door.publish(7, {"query": b'{"health":"ok"}', "workers": lambda: made.append(1) or b"[1]"})  # type: ignore[func-returns-value]
        assert await send(door, request("query")) == {
            "v": 1,
            "id": "a",
            "ok": True,
            "seq": 7,
            "result": {"health": "ok"},
        }
        assert (await send(door, request("workers")))["result"] == [1]
        assert (await send(door, request("workers")))["result"] == [1]
        assert made == [1]
        assert (await send(door, request("ping")))["ok"]
        assert not woken

    with_socket(tmp_path, talk)


def test_before_the_first_cycle_it_asks_for_patience(tmp_path: Path) -> None:
    async def talk(door: ControlSocket, _woken: list[str]) -> None:
        assert (await send(door, request("status")))["error"]["code"] == 75

    with_socket(tmp_path, talk)


def test_a_changing_command_waits_for_the_cycle_and_the_same_id_twice_is_one(tmp_path: Path) -> None:
    async def talk(door: ControlSocket, woken: list[str]) -> None:
        first = asyncio.create_task(send(door, request("pause")))
        second = asyncio.create_task(send(door, request("pause")))
        while len(woken) < 2:
            await asyncio.sleep(0)
        (asked,) = door.take()
        assert (asked.id, asked.cmd, asked.args) == ("a", "pause", {})
        assert not first.done()
        door.done("a", 12)
        assert (await first)["seq"] == (await second)["seq"] == 12
        assert not door.take()

    with_socket(tmp_path, talk)


def test_one_id_for_two_different_commands_is_refused(tmp_path: Path) -> None:
    async def talk(door: ControlSocket, woken: list[str]) -> None:
        first = asyncio.create_task(send(door, request("pause")))
        while not woken:
            await asyncio.sleep(0)
        assert (await send(door, request("drain")))["error"]["code"] == 64
        door.refuse("a", BadConfig("no", fix="never"))
        assert (await first)["error"] == {"code": 64, "message": "no", "fix": "never"}

    with_socket(tmp_path, talk)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"\n", "not JSON"),
        (b"[1]\n", "no JSON object"),
        (b'{"v":2,"id":"a","cmd":"ping"}\n', "version 2"),
        (b'{"v":1,"id":"a","cmd":"pinq"}\n', "did you mean ping?"),
        (b'{"v":1,"id":"a","cmd":"pause","args":{"who":"me"}}\n', "unknown key who"),
        (b'{"v":1,"id":"a b","cmd":"pause"}\n', "id"),
        (b'{"v":1,"id":"a","cmd":"pause","extra":1}\n', "unknown key extra"),
        (b'{"v":1,"id":"a","cmd":"launch","args":{"plan":{"min_trades":3}}}\n', "plan.min_trades"),
    ],
)
def test_a_malformed_command_is_refused_in_one_line_and_changes_nothing(tmp_path: Path, line: bytes, said: str) -> None:
    async def talk(door: ControlSocket, woken: list[str]) -> None:
        error = (await send(door, line))["error"]
        assert error["code"] == 64
        assert said in error["message"] + error["fix"]
        assert not woken
        assert not door.take()

    with_socket(tmp_path, talk)


def test_an_endless_line_is_cut_off_at_its_limit(tmp_path: Path) -> None:
    async def talk(door: ControlSocket, _woken: list[str]) -> None:
        error = (await send(door, b"x" * (MAX_LINE + 1)))["error"]
        assert (error["code"], str(MAX_LINE) in error["message"]) == (64, True)
        assert (await send(door, request("ping", pad="x" * MAX_LINE)))["error"]["code"] == 64

    with_socket(tmp_path, talk)


def test_a_peer_that_says_nothing_is_shown_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control_socket, "REQUEST_S", 0.01)

    async def talk(door: ControlSocket, _woken: list[str]) -> None:
        assert "no command came" in (await send(door, b'{"v":1'))["error"]["message"]
        assert "no end" in (await send(door, b'{"v":1', then_close=True))["error"]["message"]

    with_socket(tmp_path, talk)


def test_a_peer_that_hung_up_is_forgotten_and_its_command_still_counts(tmp_path: Path) -> None:
    async def talk(door: ControlSocket, woken: list[str]) -> None:
        peer = connect(door.path, 5)
        peer.sendall(request("pause"))
        while not woken:
            await asyncio.sleep(0)
        peer.close()
        assert [asked.id for asked in door.take()] == ["a"]
        door.done("a", 3)

    with_socket(tmp_path, talk)


def test_more_peers_than_there_are_places_are_told_so(tmp_path: Path) -> None:
    async def talk(door: ControlSocket, _woken: list[str]) -> None:
        peers = [connect(door.path, 5) for _ in range(MAX_CONNECTIONS)]
        while len(door.connections) < MAX_CONNECTIONS:
            await asyncio.sleep(0)
        assert (await send(door, request("ping")))["error"]["code"] == 75
        for peer in peers:
            peer.close()
        while door.connections:
            await asyncio.sleep(0)
        assert (await send(door, request("ping")))["ok"]

    with_socket(tmp_path, talk)


def test_only_its_owner_and_root_may_speak(tmp_path: Path) -> None:
    async def talk(door: ControlSocket, _woken: list[str]) -> None:
        door._uids = {os.geteuid() + 1}
        assert (await send(door, request("ping")))["error"]["code"] == 77

    with_socket(tmp_path, talk)


def test_the_socket_is_its_owners_alone_and_replaces_a_dead_one(tmp_path: Path) -> None:
    (tmp_path / "control.sock").write_text("left over")

    async def talk(door: ControlSocket, _woken: list[str]) -> None:
        mode = door.path.stat().st_mode
        assert stat.S_ISSOCK(mode)
        assert stat.S_IMODE(mode) == 0o600
        assert [path.name for path in tmp_path.iterdir()] == ["control.sock"]
        assert not door.lost()
        door.path.unlink()
        assert door.lost()

    with_socket(tmp_path, talk)
    assert not list(tmp_path.iterdir())


def test_a_path_too_long_for_the_kernel_works_all_the_same(tmp_path: Path) -> None:
    folder = tmp_path / ("d" * 120)
    folder.mkdir()

    async def talk(door: ControlSocket, _woken: list[str]) -> None:
        assert (await send(door, request("ping")))["ok"]

    with_socket(folder, talk)


def test_events_are_streamed_from_the_log_and_followed(tmp_path: Path) -> None:
    log = tmp_path / "workflow_events.log"

    def write(*seqs: int) -> None:
        kinds = {1: "daemon.started", 2: "worker.exited"}
        lines = [{"v": 1, "seq": n, "kind": kinds.get(n, "worker.started"), "subject": f"cpu000@{n}"} for n in seqs]
        with log.open("a") as file:
            file.writelines(json.dumps(line) + "\n" for line in lines)

    async def talk(door: ControlSocket, _woken: list[str]) -> None:
        write(1, 2, 3)
        reader, writer = await asyncio.open_unix_connection(sock=connect(door.path, 5))
        writer.write(request("events", kind="worker"))
        assert [json.loads(line)["seq"] for line in (await reader.read()).splitlines()] == [2, 3]
        writer.close()
        reader, writer = await asyncio.open_unix_connection(sock=connect(door.path, 5))
        writer.write(request("events", follow=True, since_seq=2, subject="cpu000"))
        assert json.loads(await reader.readline())["seq"] == 3
        write(4)
        door.publish(4, {})
        assert json.loads(await reader.readline())["seq"] == 4
        writer.close()

    with_socket(tmp_path, talk)


def test_a_leaving_daemon_tells_who_waits(tmp_path: Path) -> None:
    async def talk(door: ControlSocket, woken: list[str]) -> None:
        waiting = asyncio.create_task(send(door, request("pause")))
        while not woken:
            await asyncio.sleep(0)
        door.close()
        assert (await waiting)["error"]["code"] == 75

    with_socket(tmp_path, talk)


def test_nobody_listening_is_an_error_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        connect(tmp_path / "control.sock", 1)
