"""A disk that is full, read-only or away for a while loses no result, fails no run and ends no task with a traceback."""

import errno
import io
import os
from pathlib import Path

import pytest
import toy
from tasks import last_events, pack, parts, rows, squares

from repsim import measuring, orders, store, worker
from repsim.breaker import Breaker
from repsim.errors import DiskError, UserError
from repsim.journal import Journal
from repsim.patience import Patience, passes

FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self, left: float = 1e9):
        self.now, self.left = 0.0, left

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def time_left(self) -> float:
        return self.left - self.now


def failing(write, error: Exception, clock: Clock, until: float):
    """`write`, which gives `error` until the clock shows `until`."""

    def tried(*args, **keys):
        if clock.now < until:
            raise error
        return write(*args, **keys)

    return tried


def patient(one, clock: Clock, **changes):
    return pack(one, time_left=clock.time_left, sleep=clock.sleep, **{"patience_s": float("inf"), **changes})


@pytest.mark.parametrize(
    "error", [DiskError("full"), OSError(errno.ESTALE, "Stale file handle"), OSError(errno.EROFS, "Read-only")]
)
def test_rows_that_are_computed_wait_for_the_disk(project, monkeypatch, error):
    sweep, clock, said = squares(project), Clock(), []
    one = toy.submission(project, sweep)
    monkeypatch.setattr(store, "publish", failing(store.publish, error, clock, until=100))
    assert patient(one, clock, log=said.append).run() == ["done", "done"]
    assert 100 <= clock.now < 200
    assert len(rows(project, sweep)) == 4
    assert [event["event"] for event in one.events()] == ["start", "end"] * 2, "computed once"
    assert len([line for line in said if line.startswith("waiting for the disk")]) == 1


def test_attempt_records_wait_for_the_disk(project, monkeypatch):
    sweep, clock = squares(project), Clock()
    one = toy.submission(project, sweep)
    monkeypatch.setattr(Journal, "write", failing(Journal.write, FULL, clock, until=60))
    assert patient(one, clock).run() == ["done", "done"]
    assert clock.now >= 60


def test_what_cannot_be_stored_before_the_time_is_up_is_handed_back_and_is_no_failure(project, monkeypatch):
    sweep, clock = squares(project, "grid: {value: [2.0]}"), Clock(left=100)
    one = toy.submission(project, sweep)
    monkeypatch.setattr(store, "publish", failing(store.publish, DiskError("the disk is full"), clock, until=1e9))
    assert patient(one, clock).run() == ["interrupted"]
    assert clock.now < 100
    (event,) = last_events(one).values()
    assert (event["outcome"], event["cause"], event["message"]) == ("interrupted", None, "the disk is full")
    one.close()
    assert {str(s.state) for s in toy.states(project, sweep).values()} == {"new"}


def test_a_stop_ends_the_waiting(project, monkeypatch):
    clock = Clock()
    one = toy.submission(project, squares(project, "grid: {value: [2.0]}"))
    monkeypatch.setattr(store, "publish", failing(store.publish, DiskError("full"), clock, until=1e9))
    assert patient(one, clock, stop=lambda: clock.now > 10).run() == ["interrupted"]
    assert clock.now < 15


@pytest.mark.parametrize("error", [FULL, RuntimeError("PytorchStreamWriter failed writing file"), DiskError("x")])
def test_a_job_that_cannot_write_its_own_file_is_begun_again_when_the_disk_is_back(project, monkeypatch, error):
    sweep, clock = squares(project, "grid: {value: [2.0]}"), Clock()
    one = toy.submission(project, sweep)
    task = patient(one, clock)
    tried = []
    honest = measuring.measured

    def measured(*args):
        tried.append(1)
        if len(tried) == 1:
            raise error
        return honest(*args)

    monkeypatch.setattr(measuring, "measured", measured)
    assert task.run() == ["done"]
    assert len(tried) == 2


def test_a_job_that_can_never_write_is_handed_back_and_is_no_failure(project, monkeypatch):
    one = toy.submission(project, squares(project, "grid: {value: [2.0]}"))
    task = patient(one, Clock())

    def full(*args):
        raise FULL

    monkeypatch.setattr(measuring, "measured", full)
    assert task.run() == ["interrupted"]
    assert parts(project) == []


def test_other_errors_of_a_write_are_raised_at_once():
    clock = Clock()
    patience = Patience(lambda: False, clock.time_left, lambda text: None, 1e9, clock.sleep)
    for error in (OSError(errno.EACCES, "Permission denied"), UserError("no")):
        with pytest.raises(type(error)):
            patience(failing(lambda: None, error, clock, until=1))
    assert clock.now == 0
    assert not passes(ValueError("No space left on device")), "only what writes can say"


def test_pauses_grow_and_end(monkeypatch):
    clock, tries = Clock(), []
    patience = Patience(lambda: False, clock.time_left, lambda text: None, 60, clock.sleep)
    with pytest.raises(DiskError, match="No space left"):
        patience(lambda: tries.append(clock.now) or failing(None, FULL, clock, until=1e9)())
    assert tries == [0, 1, 3, 7, 15, 31]


def test_a_log_on_a_full_disk_is_spared(monkeypatch):
    with Path("/dev/full").open("wb", buffering=0) as full:
        monkeypatch.setattr(worker.sys, "stderr", io.TextIOWrapper(full, write_through=True))
        worker._log("a line")
        assert worker.sys.stderr.buffer is full


def test_a_record_that_was_written_half_is_written_whole_and_once(project, monkeypatch):
    one = toy.submission(project, squares(project, "grid: {value: [2.0]}"))
    journal, write = Journal(one, 0, 0), os.write
    journal.write(event="start", group="a")

    def unsynced(file):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    for name, broken in (("write", lambda file, data: write(file, data[:9])), ("fsync", unsynced)):
        with monkeypatch.context() as patch, pytest.raises(OSError, match=r"No space|Input/output"):
            patch.setattr(os, name, broken)
            journal.write(event="end", group="a", outcome="done")
    journal.write(event="end", group="a", outcome="done")
    assert [event["event"] for event in one.events()] == ["start", "end"]
    (file,) = (one.folder / "attempts").iterdir()
    assert len(file.read_text().splitlines()) == 2


def test_marks_that_cannot_be_seen_while_the_disk_is_away_are_none(project, monkeypatch):
    one = toy.submission(project, squares(project, "grid: {value: [2.0]}"))

    def away(*args, **keys):
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))

    orders.stop(one, orders.Stop("hand", 0.0))
    monkeypatch.setattr(Path, "stat", away)
    monkeypatch.setattr(Path, "read_text", away)
    assert orders.dismissal(one) is orders.stop_of(one) is None
    monkeypatch.setattr(orders, "stop", away)
    assert all(Breaker(one).heard("failed", "code", "no", "abc") is None for _ in range(12))
