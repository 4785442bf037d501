"""Whatever is derived from the results may be lost: they say the same without it, and `scan` makes it anew."""

import shutil
from pathlib import Path

import commandline
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import toy

from repsim import gathering, manifest, overview

TEXT = "job: square\nprofile: local\ngrid: {value: [1, 2, 3, 4]}\n"


@pytest.fixture
def here(project, tmp_path, monkeypatch):
    """Four runs, computed here in two submissions' worth of parts and merged."""
    monkeypatch.setenv("PATH", f"{commandline.slurm(tmp_path / 'bin')}:/usr/bin:/bin")
    monkeypatch.chdir(project.root)
    toy.run(project, toy.sweep(project, TEXT))
    return project


def status() -> dict:
    gathering._kept.cache_clear()
    return commandline.call("sweep", "status", "toy", "--json").json


def test_each_loss_is_made_good_and_told(here):
    before = status()
    (folder,) = manifest.folders(here.store, "square")
    (one,) = here.submissions.glob("repsim-*")
    part = next(folder.glob("*.parquet"))
    part.rename(folder / f"{manifest.MERGED}1.parquet")
    outline = (one / "outline.json").read_text()
    (one / "outline.json").write_text("{ torn")
    found = commandline.call("sweep", "scan", "--json").json
    assert {key: found[key] for key in ("rows", "submissions", "manifests", "outlines", "bad")} == {
        "rows": 4,
        "submissions": 1,
        "manifests": 1,
        "outlines": 1,
        "bad": [],
    }
    assert found["overviews"] == 1
    assert (one / "outline.json").read_text() == outline
    assert manifest.merged(folder) == [f"{manifest.MERGED}1.parquet"]
    assert len(overview.files(here.store, "square")) == 1
    again = commandline.call("sweep", "scan", "toy", "--json").json
    assert (again["manifests"], again["outlines"]) == (0, 0)
    assert status()["runs"] == before["runs"] == {"done": 4}


def test_with_the_submissions_lost_the_store_alone_tells_what_is_done(here):
    shutil.rmtree(here.submissions)
    shutil.rmtree(here.cache, ignore_errors=True)
    assert commandline.call("sweep", "scan").out.startswith("found ")
    assert status()["runs"] == {"done": 4}


def test_status_counts_what_is_no_part(here):
    (folder,) = manifest.folders(here.store, "square")
    (folder / "torn.parquet").write_bytes(b"PAR1")
    assert status()["bad_parts"] == 1
    assert "1 × no part" in commandline.call("sweep", "status", "toy").out


def computed_otherwise(here, job: str, column: str) -> None:
    for part in next(iter(manifest.folders(here.store, job))).glob("*.parquet"):
        table = pq.read_table(part, partitioning=None)
        part.unlink()
        place = table.column_names.index(column)
        pq.write_table(table.set_column(place, column, pa.array([77] * len(table), pa.int64())), part)


def test_rows_that_were_computed_otherwise_are_not_aggregated(here):
    computed_otherwise(here, "square", "times")
    answer = commandline.call("results", "aggregate", "toy")
    assert answer.code == 2
    assert "is stored with times = 77, and asked for with 1" in answer.err


def test_nor_are_they_tabulated(here):
    toy.run(
        here, toy.sweep(here, "profile: local\nzoo: {arch: net, dataset: d, seeds: 0..1}\nlayers: relu\ngrid: {seed: [0, 1]}\n")
    )
    assert commandline.call("results", "table", "toy").code == 0
    computed_otherwise(here, "stitch", "seed")
    answer = commandline.call("results", "table", "toy")
    assert answer.code == 2
    assert "is stored with seed = 77, and asked for with" in answer.err


def test_two_people_who_aggregate_at_once_leave_one_whole_table(here):
    alone = Path(commandline.call("results", "aggregate", "toy", "--json").json["file"])
    before = alone.read_bytes()
    both = [commandline.start("results", "aggregate", "toy", cwd=here.root) for _ in range(2)]
    assert [one.wait(60) for one in both] == [0, 0]
    assert alone.read_bytes() == before
    assert sorted(path.name for path in alone.parent.iterdir()) == ["toy.dictionary.csv", "toy.dictionary.md", "toy.parquet"]
