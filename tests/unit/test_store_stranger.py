"""A stranger's store: whatever lies among the parts, every reader goes on without it and says so, and nothing of it is executed."""

import errno
import os
import resource
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import toy
from hostile import HOSTILE

from repsim import job, parts, quarantine, store
from repsim.errors import DiskError
from repsim.gathering import PassedOver

SQUARE = job.load(toy.SOURCE / "jobs", "square")
SCHEMA = store.schema_of(SQUARE)


def row(run: str, square: float = 1.0) -> dict[str, Any]:
    return {**dict.fromkeys(SCHEMA.names), "run_id": run, "outcome": "ok", "square": square, "mood": "good"}


def publish(folder: Path, group: str, *rows: dict[str, Any]) -> bool:
    return store.publish(folder, "square", "numbers", group, rows, SCHEMA)


def part(folder: Path, group: str) -> Path:
    return folder / "job=square" / "dataset=numbers" / f"{group}.parquet"


@pytest.fixture
def folder(tmp_path):
    """A store with one good part."""
    publish(tmp_path / "store", "good", *(row(f"a{i}", float(i)) for i in range(40)))
    return tmp_path / "store"


def hurt(folder: Path, kind: str) -> Path:
    path = part(folder, kind)
    HOSTILE[kind][0](path, part(folder, "good").read_bytes())
    return path


@pytest.mark.parametrize("kind", HOSTILE)
def test_what_is_no_part_is_passed_over_by_name_and_never_fatal(folder, kind):
    path = hurt(folder, kind)
    with pytest.warns(PassedOver) as said:
        table = store.read(folder, SQUARE)
    assert table["run_id"].to_pylist() == sorted(f"a{i}" for i in range(40))
    text = str(said[0].message)
    assert f"{path}: " in text
    assert HOSTILE[kind][1] in text
    assert "its rows are left out" in text
    assert not (path.parent / "EXECUTED").exists()
    assert os.path.lexists(path)


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_group_whose_name_is_taken_by_no_part_is_published_and_the_file_kept_with_the_reason(folder, kind):
    path = hurt(folder, kind)
    assert publish(folder, kind, row("b", 9.0))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert store.read(folder, SQUARE, ["square"], ["b"]).to_pydict() == {"square": [9.0]}
    (moved,) = (p for p in (folder.parent / "quarantine" / "job=square" / "dataset=numbers").iterdir() if p.suffix != ".txt")
    assert moved.name.startswith(f"{kind}.parquet.")
    reason = moved.with_name(f"{moved.name}.reason.txt").read_text()
    assert str(path) in reason
    assert HOSTILE[kind][1] in reason
    assert not (path.parent / "EXECUTED").exists()


def test_a_linked_folder_is_not_followed_and_gives_way_to_what_is_published(folder, tmp_path):
    publish(tmp_path / "outside", "theirs", row("z"))
    link = folder / "job=square" / "dataset=linked"
    link.symlink_to(tmp_path / "outside" / "job=square" / "dataset=numbers")
    with pytest.warns(PassedOver, match="dataset=linked: it is a link"):
        assert "z" not in store.stored_ids(folder, SQUARE)
    assert store.publish(folder, "square", "linked", "g", [row("b")], SCHEMA)
    assert len(store.stored_ids(folder, SQUARE)) == 41
    assert os.listdir(tmp_path / "outside" / "job=square" / "dataset=numbers") == ["theirs.parquet"]  # noqa: PTH208


def test_a_linked_job_is_not_followed(folder, tmp_path):
    (folder / "job=square").rename(tmp_path / "outside")
    (folder / "job=square").symlink_to(tmp_path / "outside")
    with pytest.warns(PassedOver, match="job=square: it is a link"):
        assert store.stored_ids(folder, SQUARE) == set()
    assert publish(folder, "g", row("b"))
    assert store.stored_ids(folder, SQUARE) == {"b"}


BOMBS = """
import resource, sys, warnings
from pathlib import Path
from repsim import job, store

warnings.simplefilter("ignore")
square = job.load(Path(sys.argv[2]), "square")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
assert store.read(Path(sys.argv[1]), square).num_rows == 40
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def test_reading_what_claims_gigabytes_takes_few_megabytes(folder):
    for kind in HOSTILE:
        hurt(folder, kind)
    words = [sys.executable, "-c", BOMBS, str(folder), str(toy.SOURCE / "jobs")]
    limit = lambda: resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))  # noqa: E731
    answer = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60, preexec_fn=limit)
    assert answer.returncode == 0, answer.stderr
    assert int(answer.stdout) < 300


@pytest.mark.parametrize(
    ("limit", "value", "said"),
    [
        ("MAX_ROWS", 100, "claims 101 rows"),
        ("MAX_VALUES", 100, "in 101 values"),
        ("MAX_BYTES", 850, "bytes in 101 values"),
    ],
)
def test_a_part_is_judged_by_what_it_claims_before_any_of_it_is_read(folder, monkeypatch, limit, value, said):
    publish(folder, "large", *(row(f"b{i}", 0.1 * i) for i in range(101)))
    monkeypatch.setattr(parts, "WIDE_BYTES", 0)
    monkeypatch.setattr(parts, limit, value)
    read: list[str] = []
    monkeypatch.setattr(parts, "_rows", lambda part, *_: read.append(part) or pa.table({"run_id": ["a"]}))
    with pytest.warns(PassedOver, match=said):
        store.read(folder, SQUARE)
    assert len(read) == 1


def test_an_encoding_whose_size_no_footer_bounds_is_refused(folder, monkeypatch):
    monkeypatch.setattr(parts, "WIDE_BYTES", 0)
    table = pa.table({"run_id": ["b", "c"]})
    pq.write_table(table, part(folder, "odd"), use_dictionary=False, column_encoding={"run_id": "DELTA_BYTE_ARRAY"})
    with pytest.warns(PassedOver, match="encoded as DELTA_BYTE_ARRAY"):
        assert len(store.stored_ids(folder, SQUARE)) == 40


def test_text_that_repeats_much_and_fits_is_read(folder, monkeypatch):
    monkeypatch.setattr(parts, "WIDE_BYTES", 0)
    publish(folder, "wide", *({**row(f"b{i}"), "mood": "very good " * 20} for i in range(101)))
    assert set(store.read(folder, SQUARE, ["mood"])["mood"].to_pylist()) == {"good", "very good " * 20}


def test_many_bad_parts_are_counted_and_a_few_named(folder):
    for index in range(30):
        part(folder, f"bad{index:02}").write_bytes(b"")
    with pytest.warns(PassedOver) as said:
        store.stored_ids(folder, SQUARE)
    text = str(said[0].message)
    assert text.startswith("30 files in the store")
    assert text.count(".parquet") == 5
    assert "and 25 more" in text
    assert len(store.bad_parts(folder, SQUARE)) == 30


@pytest.mark.parametrize("code", ["EIO", "ESTALE", "EMFILE", "ENOMEM"])
def test_a_disk_in_trouble_is_no_reason_to_compute_again(folder, monkeypatch, code):
    def fail(*_, **__):
        raise OSError(getattr(errno, code), "trouble")

    monkeypatch.setattr(parts, "_opened", fail)
    with pytest.raises(DiskError, match="cannot be read now"):
        store.stored_ids(folder, SQUARE)


def test_a_part_that_is_not_ours_to_read_is_passed_over_and_never_moved(folder, monkeypatch):
    opened = parts._opened

    def refuse(path, **options):
        if path.name == "theirs.parquet":
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, **options)

    publish(folder, "theirs", row("z"))
    monkeypatch.setattr(parts, "_opened", refuse)
    with pytest.warns(PassedOver, match="theirs.parquet: Permission denied"):
        assert "z" not in store.stored_ids(folder, SQUARE)
    assert publish(folder, "theirs", row("z"))
    assert sorted(p.name for p in part(folder, "x").parent.iterdir()) == ["good.parquet", "theirs.2.parquet", "theirs.parquet"]


def test_a_good_part_that_took_the_name_of_a_bad_one_in_between_is_put_back(folder):
    path = part(folder, "g")
    path.write_bytes(b"bad")
    (bad,) = store.bad_parts(folder, SQUARE)
    path.unlink()
    publish(folder, "g", row("b"))
    assert quarantine.set_aside(bad, folder) is None
    assert "b" in store.stored_ids(folder, SQUARE)
    assert not [p for p in (folder.parent / "quarantine").rglob("*") if p.is_file()]
