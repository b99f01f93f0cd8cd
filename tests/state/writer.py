"""A process whose memory is killed for real: it records for ever and says on stdout what it may be held to."""

import os
import sys
import time
from itertools import count
from pathlib import Path

from btswarm.state.disk import RealDisk
from btswarm.state.eventlog import EventLog
from btswarm.state.models.state_files import CONTROL, FILES, FLEET, QUEUE
from btswarm.state.replay import Live, Recorder
from btswarm.state.scribe import ThreadedScribe
from btswarm.state.start import begin
from btswarm.state.store import Store
from btswarm.tests.state.fixtures import exited, opened, queued, spawning, stamp, started

JOB = "cmd/fill.0"


def main(folder: Path) -> None:
    """Lines of `seq tries`: the newest acknowledged event, and how often the job was started by then."""
    log = EventLog(folder, RealDisk(), rotate_bytes=200_000)
    store = Store(folder, RealDisk(), FILES, uid=os.geteuid(), writer="w")
    begun = begin(store, log)
    recorder = Recorder(Live(begun.state), log)
    scribe = ThreadedScribe(log, store, time.monotonic)
    scribe.start()
    for draft in begun.said:
        recorder.record(draft, stamp())
    if begun.fresh:
        recorder.record(opened("cpu000"), stamp())
        recorder.record(queued(JOB), stamp())
    worker = next((one for one in recorder.live.workers if recorder.live.workers[one].living), "")
    if worker:
        ending = "failed" if recorder.live.workers[worker].state == "intended" else "reaped"
        recorder.record(exited(worker, JOB, state=ending, then={"state": "queued"}), stamp())
    for at in count():
        worker = recorder.live.lanes["cpu000"].next_worker()
        for draft in (spawning(worker, JOB), started(worker), exited(worker, JOB, then={"state": "queued"})):
            recorder.record(draft, stamp(at))
            recorder.unfold(stamp(at))
            assert scribe.flush(30)
            print(log.written_seq, recorder.live.jobs[JOB].tries, flush=True)  # noqa: T201
        state = recorder.state
        scribe.save({CONTROL: state.control, QUEUE: state.queue, FLEET: state.fleet}, stamp(at), state.seq)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
