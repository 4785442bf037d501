"""Results are written once, read as declared, and never half."""

import errno
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import toy

from repsim import job, store
from repsim.errors import DiskError, UserError
from repsim.job import JobConfig, JobRow

SQUARE = job.load(toy.SOURCE / "jobs", "square")
SCHEMA = store.schema_of(SQUARE)


def row(run: str, square: float = 1.0) -> dict[str, Any]:
    return {**dict.fromkeys(SCHEMA.names), "run_id": run, "outcome": "ok", "square": square, "value": square**0.5}


def publish(folder: Path, group: str, *rows: dict[str, Any]) -> bool:
    return store.publish(folder, "square", "numbers", group, rows, SCHEMA)


def part(folder: Path, group: str) -> Path:
    return folder / "job=square" / "dataset=numbers" / f"{group}.parquet"


def job_with(config: type[JobConfig], measured: type[JobRow]) -> job.Job:
    class Module:
        VERSION, Config, Row = 1, config, measured

    return job.Job("mine", Path("mine.py"), Module, "0")  # type: ignore[arg-type]


def test_what_is_published_is_read_back(tmp_path):
    assert publish(tmp_path, "g", row("a", 4.0), row("b", 9.0))
    table = store.read(tmp_path, SQUARE)
    assert table.schema.equals(SCHEMA)
    assert [(r["run_id"], r["square"], r["value"], r["gpu"]) for r in table.to_pylist()] == [
        ("a", 4.0, 2.0, None),
        ("b", 9.0, 3.0, None),
    ]
    assert store.stored_ids(tmp_path, SQUARE) == {"a", "b"}
    assert [p.name for p in part(tmp_path, "g").parent.iterdir()] == ["g.parquet"]


def test_the_second_copy_of_a_part_does_not_replace_the_first(tmp_path):
    assert publish(tmp_path, "g", row("a", 1.0), row("b", 1.0))
    before = part(tmp_path, "g").read_bytes()
    assert not publish(tmp_path, "g", row("a", 2.0), row("b", 2.0))
    assert not publish(tmp_path, "g", row("b", 3.0))
    assert part(tmp_path, "g").read_bytes() == before
    assert len(list(part(tmp_path, "g").parent.iterdir())) == 1


def test_a_part_with_other_runs_of_the_group_stands_beside_the_first(tmp_path):
    assert publish(tmp_path, "g", row("a", 1.0))
    assert publish(tmp_path, "g", row("a", 1.0), row("b", 2.0))
    assert not publish(tmp_path, "g", row("b", 2.0))
    assert sorted(p.name for p in part(tmp_path, "g").parent.iterdir()) == ["g.2.parquet", "g.parquet"]
    assert [(r["run_id"], r["square"]) for r in store.read(tmp_path, SQUARE).to_pylist()] == [("a", 1.0), ("b", 2.0)]


def test_of_two_rows_of_a_run_the_newest_counts_wherever_they_lie(tmp_path):
    early, late = "2026-01-01T00:00:00+00:00", "2026-01-02T00:00:00+00:00"
    for folder, order in ((tmp_path / "one", "ab"), (tmp_path / "other", "ba")):
        publish(folder, order[0], {**row("x", 1.0), "started": early}, {**row("y", 3.0), "started": late})
        publish(folder, order[1], {**row("x", 2.0), "started": late}, {**row("z", 5.0), "attempt": 0})
        publish(folder, "c", {**row("z", 4.0), "attempt": 1}, {**row("y", 9.0), "started": None})
        assert store.read(folder, SQUARE, ["run_id", "square"]).to_pydict() == {
            "run_id": ["x", "y", "z"],
            "square": [2.0, 3.0, 4.0],
        }
        assert store.read(folder, SQUARE, ["outcome"], ["z", "x"]).num_rows == 2
    assert store.read(tmp_path / "one", SQUARE).equals(store.read(tmp_path / "other", SQUARE))


def test_rows_that_differ_in_nothing_but_the_number_are_told_apart_in_one_way(tmp_path):
    publish(tmp_path / "one", "a", row("x", 1.0))
    publish(tmp_path / "one", "b", row("x", 2.0))
    publish(tmp_path / "other", "a", row("x", 2.0))
    publish(tmp_path / "other", "b", row("x", 1.0))
    assert store.read(tmp_path / "one", SQUARE).equals(store.read(tmp_path / "other", SQUARE))


def test_only_asked_columns_and_ids_are_read(tmp_path):
    publish(tmp_path, "a", row("x", 2.0), row("y", 3.0), row("z", 4.0))
    assert store.read(tmp_path, SQUARE, ["square"], ids=["z", "x", "absent", "z"]).to_pydict() == {"square": [4.0, 2.0]}
    assert store.read(tmp_path, SQUARE, ids=[]).num_rows == 0


def test_an_empty_store_is_an_empty_table(tmp_path):
    table = store.read(tmp_path / "nowhere", SQUARE)
    assert table.num_rows == 0
    assert table.schema.equals(SCHEMA)


def test_names_that_begin_with_a_dot_are_passed_over(tmp_path):
    publish(tmp_path, "g", row("a"))
    part(tmp_path, ".half").write_bytes(b"PAR1 never finished")
    part(tmp_path, "g").with_name(".g.0123").write_bytes(b"")
    assert store.stored_ids(tmp_path, SQUARE) == {"a"}


def test_an_older_part_without_a_column_reads_as_null(tmp_path):
    publish(tmp_path, "new", row("a", 4.0))
    old = pa.table({"run_id": ["b"], "square": [9.0], "since_removed": ["x"]})
    pq.write_table(old, part(tmp_path, "old"))
    found = {r["run_id"]: (r["square"], r["value"], r["gpu"]) for r in store.read(tmp_path, SQUARE).to_pylist()}
    assert found == {"a": (4.0, 2.0, None), "b": (9.0, None, None)}


def test_a_part_with_the_old_type_of_a_column_is_converted(tmp_path):
    publish(tmp_path, "new", row("a", 4.0))
    pq.write_table(pa.table({"square": [9], "run_id": ["b"]}), part(tmp_path, "old"))
    found = store.read(tmp_path, SQUARE, ["square"])
    assert found.to_pydict() == {"square": [4.0, 9.0]}


def test_a_store_that_cannot_be_written_is_a_user_error_and_leaves_nothing(tmp_path):
    (tmp_path / "job=square").write_text("a file where the folder should be")
    with pytest.raises(UserError, match="cannot be written") as caught:
        publish(tmp_path, "g", row("a"))
    assert caught.value.do
    with pytest.raises(UserError, match="cannot be written"):
        publish(Path("/proc/repsim"), "g", row("a"))
    assert [p.name for p in tmp_path.iterdir()] == ["job=square"]


def test_a_full_disk_in_the_middle_of_writing_leaves_no_temporary_file(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match="No space left on device"):
        publish(tmp_path, "g", row("a"))
    with pytest.raises(UserError, match="No space left on device"):
        store.write_table(store.read(tmp_path, SQUARE), tmp_path / "out.parquet")
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ESTALE])
def test_what_may_pass_is_told_apart_from_what_will_not(tmp_path, monkeypatch, code):
    def fail(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(DiskError, match=os.strerror(code)):
        publish(tmp_path, "g", row("a"))
    (tmp_path / "job=square").rename(tmp_path / "moved")
    (tmp_path / "job=square").write_text("a file where the folder should be")
    with pytest.raises(UserError) as caught:
        publish(tmp_path, "g", row("a"))
    assert not isinstance(caught.value, DiskError)


def test_a_merged_table_replaces_the_one_before(tmp_path):
    publish(tmp_path, "g", row("a"), row("b"))
    table = store.read(tmp_path, SQUARE)
    for rows in (table, table.slice(0, 1)):
        store.write_table(store.with_column(rows, "case", {"a": "first"}), tmp_path / "deep" / "all.parquet")
    assert pq.read_table(tmp_path / "deep" / "all.parquet", columns=["run_id", "case"]).to_pydict() == {
        "run_id": ["a"],
        "case": ["first"],
    }
    assert os.listdir(tmp_path / "deep") == ["all.parquet"]  # noqa: PTH208
    with pytest.raises(UserError, match="cannot be written"):
        store.write_table(table, tmp_path / "deep" / "all.parquet" / "x.parquet")


def test_every_column_is_described_and_typed():
    assert all(field.metadata[b"description"] for field in SCHEMA if field.name != "schema_version")
    assert {SCHEMA.field(name).type for name in ("square", "value")} == {pa.float64()}
    assert (SCHEMA.field("times").type, SCHEMA.field("mood").type) == (pa.int64(), pa.string())


def test_a_job_may_not_take_a_column_of_the_provenance():
    class Row(JobRow):
        host: str = ""

    with pytest.raises(UserError, match="provenance owns the columns host"):
        store.schema_of(job_with(JobConfig, Row))


def test_what_was_used_stands_in_the_column_that_says_what_was_asked():
    class Config(JobConfig):
        images: int | None = None

    class Row(JobRow):
        images: float = 0.0

    assert store.schema_of(job_with(Config, Row)).field("images").type == pa.float64()


class Curves(JobRow):
    curve: list[float] = []
    maybe: list[float] | None = None


def test_lists_of_numbers_are_read_back_merged_and_missing_ones_are_null(tmp_path):
    mine = job_with(JobConfig, Curves)
    schema = store.schema_of(mine)
    empty = dict.fromkeys(schema.names)
    assert {schema.field(name).type for name in ("curve", "maybe")} == {pa.list_(pa.float64())}
    rows = [{**empty, "run_id": "a", "curve": [2.0, 0.1], "maybe": None}, {**empty, "run_id": "b", "curve": [], "maybe": [0.5]}]
    store.publish(tmp_path, "mine", "numbers", "new", rows, schema)
    pq.write_table(pa.table({"run_id": ["c"]}), tmp_path / "job=mine" / "dataset=numbers" / "old.parquet")
    found = store.read(tmp_path, mine, ["run_id", "curve", "maybe"])
    assert found.to_pydict() == {"run_id": ["a", "b", "c"], "curve": [[2.0, 0.1], [], None], "maybe": [None, [0.5], None]}
    store.write_table(store.with_column(found, "case", {"a": "first"}), tmp_path / "all.parquet")
    assert pq.read_table(tmp_path / "all.parquet").column("curve").to_pylist() == [[2.0, 0.1], [], None]
    assert store.read(tmp_path, mine, ["curve"], ids=["a"]).to_pylist() == [{"curve": [2.0, 0.1]}]


def test_a_field_that_no_column_can_hold_is_refused():
    class Config(JobConfig):
        several: list[int] = []

    with pytest.raises(UserError, match=r"a column cannot hold list\[int\]"):
        store.schema_of(job_with(Config, JobRow))
