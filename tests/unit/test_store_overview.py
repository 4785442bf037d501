"""The overview saves reading and decides nothing: whatever becomes of it, the store says what its parts say."""

import os
import shutil
import threading
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import toy
from hostile import HOSTILE

from repsim import compaction, gathering, job, overview, parts, store

SQUARE = job.load(toy.SOURCE / "jobs", "square")
SCHEMA = store.schema_of(SQUARE)
NARROW = ["run_id", "outcome", "submission"]


def row(run: str, outcome: str = "ok", **more: Any) -> dict[str, Any]:
    return {**dict.fromkeys(SCHEMA.names), "run_id": run, "outcome": outcome, "square": 1.0, **more}


def publish(folder: Path, group: str, *rows: dict[str, Any]) -> Path:
    assert store.publish(folder, "square", "numbers", group, rows, SCHEMA)
    return folder / "job=square" / "dataset=numbers" / f"{group}.parquet"


def look(folder: Path) -> dict[str, str]:
    """As a command of its own would: nothing is remembered but on disk."""
    gathering._kept.cache_clear()
    table = store.read(folder, SQUARE, NARROW)
    return dict(zip(table["run_id"].to_pylist(), table["outcome"].to_pylist(), strict=True))


def the_file(folder: Path) -> Path:
    (file,) = overview.files(folder, "square")
    return file


def remember(folder: Path) -> bool:
    gathering._kept.cache_clear()
    return gathering.remember(folder, SQUARE, few=0)


@pytest.fixture
def folder(tmp_path):
    """Five parts of two runs each, and an overview of them."""
    for index in range(5):
        publish(tmp_path / "store", f"g{index}", row(f"a{index}"), row(f"b{index}", "diverged"))
    assert remember(tmp_path / "store")
    return tmp_path / "store"


@pytest.fixture
def read(monkeypatch):
    """Names of the parts that are read from now on."""
    found, real = [], parts.read
    monkeypatch.setattr(parts, "read", lambda path, *rest: (found.append(path.stem), real(path, *rest))[1])
    return found


WHOLE = {f"{letter}{index}": said for letter, said in (("a", "ok"), ("b", "diverged")) for index in range(5)}


def test_only_parts_that_came_since_are_read(folder, read):
    assert look(folder) == WHOLE
    assert len(read) == 1
    publish(folder, "later", row("c"))
    read.clear()
    assert look(folder) == {**WHOLE, "c": "ok"}
    assert read[1:] == ["later"]
    assert remember(folder)
    read.clear()
    assert look(folder) == {**WHOLE, "c": "ok"}
    assert len(read) == 1
    assert not remember(folder)


def test_few_parts_are_read_again_rather_than_written_down(tmp_path):
    part = publish(tmp_path / "store", "g", row("a"))
    store.remember(tmp_path / "store", [SQUARE])
    assert not overview.files(tmp_path / "store", "square")
    for index in range(gathering.FEW):
        shutil.copy(part, part.with_stem(str(index)))
    store.remember(tmp_path / "store", [SQUARE])
    assert overview.files(tmp_path / "store", "square")


def test_one_part_of_many_rows_is_written_down_too_as_a_merged_store_has_few_parts(tmp_path):
    publish(tmp_path / "store", "g", row("a"), row("b"))
    assert not gathering.remember(tmp_path / "store", SQUARE, few_rows=2)
    assert gathering.remember(tmp_path / "store", SQUARE, few_rows=1)
    gathering._kept.cache_clear()
    assert not gathering.remember(tmp_path / "store", SQUARE, few_rows=1)


def test_rows_for_sums_are_one_per_run_and_the_newest_as_when_they_are_read_in_order(folder):
    publish(folder, "again", row("a3", "failed", started="2026-01-01", attempt=1))
    found = store.some(folder, SQUARE, NARROW, {"a3", "b1", "nobody"}).to_pylist()
    assert sorted(found, key=lambda each: each["run_id"]) == store.read(folder, SQUARE, NARROW, ["a3", "b1"]).to_pylist()
    assert {each["run_id"]: each["outcome"] for each in found} == {"a3": "failed", "b1": "diverged"}


def test_parts_that_are_gone_leave_it(folder):
    (folder / "job=square/dataset=numbers/g1.parquet").unlink()
    left = {run: said for run, said in WHOLE.items() if not run.endswith("1")}
    assert look(folder) == left
    assert remember(folder)
    assert pq.read_metadata(the_file(folder)).num_rows == 8
    assert look(folder) == left


def test_another_file_under_the_name_of_a_part_is_read(folder, read):
    path = folder / "job=square/dataset=numbers/g1.parquet"
    before = path.stat()
    path.unlink()
    publish(folder, "g1", row("a1", "failed"), row("b1", "failed"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    if path.stat().st_ino != before.st_ino or path.stat().st_size != before.st_size:
        assert look(folder) == {**WHOLE, "a1": "failed", "b1": "failed"}
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert look(folder) == {**WHOLE, "a1": "failed", "b1": "failed"}


def test_a_run_in_several_parts_is_told_by_its_newest_row_and_only_these_parts_are_read(folder, read):
    publish(folder, "again", row("a3", "failed", started="2026-01-02"), row("b0", "ok", attempt=1))
    assert remember(folder)
    read.clear()
    assert look(folder) == {**WHOLE, "a3": "failed", "b0": "ok"}
    assert sorted(read[1:]) == ["again", "g0", "g3"]


def test_a_merge_is_seen(folder):
    list(compaction.compact(folder, SQUARE))
    assert look(folder) == WHOLE
    assert remember(folder)
    assert look(folder) == WHOLE


DAMAGES = {name: how for name, (how, _) in HOSTILE.items() if name not in ("ids_that_lead_out", "null_ids")}
"""What a stranger, a crash or a bad disk may leave, here in place of the overview."""


@pytest.mark.parametrize("kind", DAMAGES)
def test_what_is_no_overview_is_passed_over_and_written_anew(folder, kind, recwarn):
    file = the_file(folder)
    good = file.read_bytes()
    file.unlink()
    DAMAGES[kind](file, good)
    assert look(folder) == WHOLE
    assert not recwarn.list
    if kind != "folder":
        assert remember(folder)
        assert look(folder) == WHOLE


def test_any_byte_of_it_may_be_wrong(folder):
    file = the_file(folder)
    good = file.read_bytes()
    for place in range(0, len(good), max(1, len(good) // 100)):
        file.write_bytes(good[:place] + bytes([good[place] ^ 0x11]) + good[place + 1 :])
        assert look(folder) == WHOLE, place


def test_that_of_another_job_another_version_or_other_columns_is_not_believed(folder, monkeypatch, read):
    publish(folder, "c", row("c"))
    for name, value in (("FORMAT", 2), ("RENAMED", {"square": {"outcome": "result"}})):
        read.clear()
        with monkeypatch.context() as patched:
            patched.setattr(overview, name, value)
            assert look(folder) == {**WHOLE, "c": "ok"}
        assert len(read) == 6


def test_a_project_that_was_moved_keeps_its_overview(folder, tmp_path, monkeypatch):
    folder.parent.rename(tmp_path.with_name("moved"))
    found: list[Path] = []
    monkeypatch.setattr(gathering, "_one", lambda path, *_: found.append(path))
    assert look(tmp_path.with_name("moved") / "store") == WHOLE
    assert not found


@pytest.mark.parametrize("step", ["fsync", "replace", "mkdir"])
def test_where_it_cannot_be_written_all_goes_on_and_nothing_is_left(folder, monkeypatch, step):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    publish(folder, "c", row("c"))
    before = sorted(file.name for file in overview.folder_of(folder).iterdir())
    monkeypatch.setattr(os if step == "fsync" else Path, step, full)
    assert not remember(folder)
    monkeypatch.undo()
    assert look(folder) == {**WHOLE, "c": "ok"}
    assert sorted(file.name for file in overview.folder_of(folder).iterdir()) == before


def test_what_killed_writers_left_half_written_is_removed_after_an_hour(folder):
    old, new = (the_file(folder).with_name(f".square.{name}") for name in ("old", "new"))
    for file in (old, new):
        file.write_bytes(b"PAR1")
    os.utime(old, (time.time() - 2 * overview.STALE_S,) * 2)
    publish(folder, "c", row("c"))
    assert remember(folder)
    assert not old.exists()
    assert new.exists()


def test_readers_and_writers_of_it_at_once_agree_on_every_row(folder):
    over, wrong = threading.Event(), []
    schema = gathering._kept.__wrapped__((), folder, SQUARE).rows.table.schema

    def write():
        while not over.is_set():
            overview.keep(folder, SQUARE, gathering.often(folder, SQUARE).rows)

    def check():
        while not over.is_set():
            found = overview.load(folder, SQUARE, schema)
            if (len(found.entries), len(found.table)) not in ((5, 10), (0, 0)):
                wrong.append(found)

    threads = [threading.Thread(target=work) for work in (write, write, check)]
    for thread in threads:
        thread.start()
    time.sleep(0.7)
    over.set()
    for thread in threads:
        thread.join()
    assert not wrong
    assert look(folder) == WHOLE
