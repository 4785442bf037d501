"""Many parts become few; killed anywhere, beside writers and readers, a merge loses nothing and doubles nothing."""

import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import toy

from repsim import compaction, gathering, job, manifest, store
from repsim.errors import DiskError, UserError

SQUARE = job.load(toy.SOURCE / "jobs", "square")
SCHEMA = store.schema_of(SQUARE)
STEPS = [(os, "fsync"), (os, "link"), (Path, "replace"), (Path, "unlink")]


def row(run: str, square: float = 1.0, **more: Any) -> dict[str, Any]:
    return {**dict.fromkeys(SCHEMA.names), "run_id": run, "outcome": "ok", "square": square, **more}


def publish(folder: Path, group: str, *rows: dict[str, Any]) -> bool:
    return store.publish(folder, "square", "numbers", group, rows, SCHEMA)


def fill(folder: Path, count: int = 6) -> "pa.Table":
    for index in range(count):
        publish(folder, f"g{index}", row(f"r{index}", float(index)), row(f"s{index}", 0.5))
    publish(folder, "again", row("r0", 9.0, started="2026-01-02"), row("s1", 9.0, attempt=1))
    return store.read(folder, SQUARE)


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder / "job=square" / "dataset=numbers"))  # noqa: PTH208


def test_many_parts_become_one_and_the_store_says_the_same_in_the_same_bytes(tmp_path):
    before = fill(tmp_path / "store")
    store.write_table(before, tmp_path / "before.parquet")
    (done,) = compaction.compact(tmp_path / "store", SQUARE)
    assert (done.parts, done.rows) == (7, 12)
    assert names(tmp_path / "store") == [manifest.NAME, done.part.name]
    assert manifest.merged(done.part.parent) == [done.part.name]
    store.write_table(store.read(tmp_path / "store", SQUARE), tmp_path / "after.parquet")
    assert (tmp_path / "after.parquet").read_bytes() == (tmp_path / "before.parquet").read_bytes()
    assert list(compaction.compact(tmp_path / "store", SQUARE)) == []


def test_a_number_that_is_none_is_merged_too(tmp_path):
    publish(tmp_path, "a", row("x", float("nan")))
    publish(tmp_path, "b", row("y", float("inf")))
    (done,) = compaction.compact(tmp_path, SQUARE)
    assert str(store.read(tmp_path, SQUARE)["square"].to_pylist()) == "[nan, inf]"
    assert done.rows == 2


def test_parts_that_came_since_are_merged_into_the_next(tmp_path):
    fill(tmp_path)
    (first,) = compaction.compact(tmp_path, SQUARE)
    publish(tmp_path, "later", row("t"))
    before = store.read(tmp_path, SQUARE)
    (second,) = compaction.compact(tmp_path, SQUARE)
    assert names(tmp_path) == [manifest.NAME, second.part.name]
    assert second.part != first.part
    assert store.read(tmp_path, SQUARE).equals(before)


@pytest.mark.parametrize(("owner", "name"), STEPS)
@pytest.mark.parametrize("time", range(1, 9))
def test_a_disk_that_fails_at_any_step_loses_and_doubles_nothing(tmp_path, monkeypatch, owner, name, time):
    before, real, calls = fill(tmp_path), getattr(owner, name), []

    def failing(*arguments, **options):
        calls.append(name)
        if len(calls) == time:
            raise OSError(28, "No space left on device")
        return real(*arguments, **options)

    monkeypatch.setattr(owner, name, failing)
    try:
        list(compaction.compact(tmp_path, SQUARE))
    except UserError as error:
        assert isinstance(error, DiskError)
    monkeypatch.undo()
    assert store.read(tmp_path, SQUARE).equals(before)
    list(compaction.compact(tmp_path, SQUARE))
    assert store.read(tmp_path, SQUARE).equals(before)


KILLED = """
import os, signal, sys
from pathlib import Path
from repsim import compaction, job

step, count = sys.argv[3], int(sys.argv[4])
calls = []

def deadly(real):
    def call(*arguments, **options):
        calls.append(1)
        if len(calls) == count:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*arguments, **options)
    return call

owner = os if hasattr(os, step) and step in ("fsync", "link") else Path
setattr(owner, step, deadly(getattr(owner, step)))
list(compaction.compact(Path(sys.argv[1]), job.load(Path(sys.argv[2]), "square")))
"""


@pytest.mark.parametrize(("step", "count"), [("fsync", 1), ("link", 1), ("replace", 1), ("unlink", 1), ("unlink", 4)])
def test_a_merge_that_is_killed_is_made_good_by_the_next(tmp_path, step, count):
    before = fill(tmp_path)
    words = [sys.executable, "-c", KILLED, str(tmp_path), str(toy.SOURCE / "jobs"), step, str(count)]
    assert subprocess.run(words, check=False).returncode == -signal.SIGKILL
    assert store.read(tmp_path, SQUARE).equals(before)
    list(compaction.compact(tmp_path, SQUARE))
    assert store.read(tmp_path, SQUARE).equals(before)
    assert len(store.parts(tmp_path, "square")) == 1


def test_readers_writers_and_two_merges_at_once_agree_on_every_row(tmp_path):
    fill(tmp_path)
    over, seen, errors = threading.Event(), [], []

    def guarded(work):
        try:
            while not over.is_set():
                work()
        except BaseException as error:  # told to the test, which fails by it
            errors.append(error)

    def look():
        seen.append(store.stored_ids(tmp_path, SQUARE))

    threads = [
        threading.Thread(target=guarded, args=(work,))
        for work in (look, lambda: list(compaction.compact(tmp_path, SQUARE)), lambda: list(compaction.compact(tmp_path, SQUARE)))
    ]
    for thread in threads:
        thread.start()
    for index in range(25):
        publish(tmp_path, f"new{index}", row(f"n{index}"))
        time.sleep(0.01)
    over.set()
    for thread in threads:
        thread.join()
    assert not errors
    assert all(early <= late for early, late in itertools.pairwise(seen))
    assert store.stored_ids(tmp_path, SQUARE) >= {f"n{index}" for index in range(25)} | {f"r{index}" for index in range(6)}


def test_a_part_that_vanishes_under_a_reader_is_looked_for_again(tmp_path, monkeypatch):
    before, listed = fill(tmp_path), manifest.listed
    stale = [listed(tmp_path, "square")]
    list(compaction.compact(tmp_path, SQUARE))
    monkeypatch.setattr(manifest, "listed", lambda *where: stale.pop() if stale else listed(*where))
    gathering._kept.cache_clear()
    assert store.read(tmp_path, SQUARE).equals(before)
    assert not stale


def test_what_a_newer_version_wrote_and_what_is_bad_is_left_alone(tmp_path):
    fill(tmp_path)
    folder = tmp_path / "job=square" / "dataset=numbers"
    pq.write_table(pa.table({"run_id": ["z"], "square": [4.0], "of_tomorrow": ["x"]}), folder / "newer.parquet")
    (folder / "bad.parquet").write_bytes(b"")
    newer = (folder / "newer.parquet").read_bytes()
    (done,) = compaction.compact(tmp_path, SQUARE)
    assert names(tmp_path) == [manifest.NAME, "bad.parquet", done.part.name, "newer.parquet"]
    assert (folder / "newer.parquet").read_bytes() == newer
