"""The tidy file of a sweep: what it holds, what it says of itself, and that pandas, polars and DuckDB read it alike."""

import json
import re
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import toy
from commandline import call

from repsim import tidy
from repsim.errors import InputError

STITCH = "zoo: {arch: net, dataset: d, seeds: 0..2}\nlayers: relu\ncases: {lin: {}, low: {stitcher: lowrank, rank: [1, 2]}}"
MORE = STITCH.replace("0..2", "0..3")


@pytest.fixture
def here(project, monkeypatch):
    """The toy project as working directory; all 36 runs of `stitches` are stored, and 36 of the 72 of `more`."""
    monkeypatch.chdir(project.root)
    toy.run(project, toy.sweep(project, STITCH, "stitches"))
    (project.sweeps / "more.yaml").write_text(MORE)
    return project


def aggregated(name: str = "stitches", *options: str) -> Path:
    answer = call("results", "aggregate", name, *options, "--json")
    assert answer.code == 0, answer.err
    return Path(answer.json["file"])


def test_the_file_says_of_itself_what_is_in_it(here):
    said = pq.read_schema(aggregated("more")).metadata
    facts = json.loads(said[b"repsim.sweep"])
    assert (facts["sweep"], facts["job"], facts["job_version"]) == ("more", "stitch", 1)
    assert (facts["runs_expected"], facts["runs_finished"], facts["runs_diverged"], facts["rows"]) == (72, 36, 0, 36)
    assert facts["table"] == {"rows": ["front_layer"], "cols": ["case"], "value": "penalty", "points": True}
    assert len(facts["spec_sha256"]) == 64
    assert [one["column"] for one in json.loads(said[b"repsim.dictionary"])] == pq.read_schema(aggregated("more")).names


def test_every_column_carries_meaning_unit_and_source(here):
    schema = pq.read_schema(aggregated())
    assert schema.field("penalty").metadata[b"unit"] == b"fraction of test images"
    assert {schema.field(name).metadata[b"source"] for name in ("penalty", "rank", "front_seed", "host", "case")} == {
        *(b"measured", b"asked", b"label", b"provenance", b"sweep")
    }
    assert all(field.metadata[b"description"] for field in schema)


def test_the_dictionary_lies_beside_the_file(here):
    path = aggregated()
    markdown, csv = path.with_suffix(".dictionary.md"), path.with_suffix(".dictionary.csv")
    assert "| `penalty` | number | fraction of test images | measured | distance of the seeds |" in markdown.read_text()
    assert pd.read_csv(csv)["column"].tolist() == pq.read_schema(path).names


def test_equal_rows_become_equal_bytes_and_made_is_when_the_newest_started(here):
    path = aggregated()
    first = path.read_bytes()
    path.unlink()
    assert aggregated().read_bytes() == first
    table = pq.read_table(path)
    assert tidy.read(path).facts["made"] == max(table["started"].to_pylist())


def test_what_is_not_finished_is_no_row_unless_it_is_asked_for(here):
    assert len(pq.read_table(aggregated("more"))) == 36
    rows = pd.read_parquet(aggregated("more", "--missing"))
    assert rows["outcome"].value_counts().to_dict() == {"ok": 36, "missing": 36}
    absent = rows[rows["outcome"] == "missing"]
    assert absent[["penalty", "curve", "started", "host"]].isna().all().all()
    assert set(absent["case"]) == {"lin", "low 1", "low 2"}
    assert absent[["front_network", "stitcher", "front_layer", "case"]].notna().all().all()
    assert set(absent["front_seed"]) | set(absent["end_seed"]) == {0, 1, 2, 3}
    expected = tidy.made(here, toy.open_sweep(here.sweeps / "more.yaml", here), missing=True)
    assert rows["run_id"].tolist() == expected.table["run_id"].to_pylist()


def test_lines_stand_in_the_order_of_the_sweep(here):
    sweep = toy.open_sweep(here.sweeps / "more.yaml", here)
    table = tidy.made(here, sweep, missing=True).table
    assert table["run_id"].to_pylist() == [run.id for run in sweep.runs]
    assert table["case"].to_pylist() == [run.labels["case"] for run in sweep.runs]


def test_an_empty_store_gives_a_file_without_rows_that_can_be_read(project, monkeypatch):
    monkeypatch.chdir(project.root)
    toy.sweep(project, STITCH, "stitches")
    path = aggregated()
    found = tidy.read(path)
    assert (len(found.table), found.facts["runs_expected"], found.facts["made"]) == (0, 36, None)
    assert len(pd.read_parquet(path)) == len(pl.read_parquet(path)) == 0
    assert duckdb.sql(f"select count(*) from '{path}'").fetchall() == [(0,)]
    assert len(pd.read_parquet(aggregated("stitches", "--missing"))) == 36


def test_runs_about_no_network_have_a_tidy_file_too(project, monkeypatch):
    monkeypatch.chdir(project.root)
    toy.run(project, toy.sweep(project, "job: square\ngrid: {value: [1.0, 2.0]}", "squares"))
    found = tidy.read(aggregated("squares"))
    assert (len(found.table), found.facts["table"]) == (2, {})


# -- three readers ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def file(here) -> Path:
    return aggregated("more", "--missing")


def test_all_readers_see_the_same_rows_and_the_same_mean(file):
    table = pq.read_table(file)
    wanted = sum(value for value in table["penalty"].to_pylist() if value is not None) / 36
    (row,) = duckdb.sql(f"select count(*), count(penalty), avg(penalty) from '{file}'").fetchall()
    assert row[:2] == (72, 36)
    frames = pd.read_parquet(file), pl.read_parquet(file)
    assert [len(frame) for frame in frames] == [72, 72]
    assert [row[2], frames[0]["penalty"].mean(), frames[1]["penalty"].mean()] == pytest.approx([wanted] * 3, rel=1e-12)


def test_all_readers_group(file):
    by = pd.read_parquet(file).groupby("case")["penalty"].mean().to_dict()
    assert set(by) == {"lin", "low 1", "low 2"}
    assert dict(pl.read_parquet(file).group_by("case").agg(pl.col("penalty").mean()).iter_rows()) == pytest.approx(by)
    assert dict(duckdb.sql(f"select \"case\", avg(penalty) from '{file}' group by all").fetchall()) == pytest.approx(by)


def test_all_readers_see_lists_as_lists_and_nothing_as_nothing(file):
    frame = pd.read_parquet(file)
    lists = [None if one is None else list(one) for one in frame["curve"]]
    assert lists.count([1.0]) == lists.count(None) == 36
    polars = pl.read_parquet(file)
    assert polars.schema["curve"] == pl.List(pl.Float64)
    assert polars["curve"].to_list() == lists
    assert [row[0] for row in duckdb.sql(f"select curve from '{file}'").fetchall()] == lists
    assert frame["host"].isna().sum() == polars["host"].null_count() == 36
    assert duckdb.sql(f"select count(*) from '{file}' where host is null").fetchall() == [(36,)]
    assert polars.schema["rank"] == pl.Int64
    assert polars["rank"].null_count() == frame["rank"].isna().sum() == 24


def test_all_readers_can_read_what_the_file_says_of_itself(file):
    facts = json.loads(pq.read_schema(file).metadata[b"repsim.sweep"])
    assert json.loads(pl.read_parquet_metadata(file)["repsim.sweep"]) == facts
    asked = f"select decode(value) from parquet_kv_metadata('{file}') where decode(key) = 'repsim.sweep'"
    (row,) = duckdb.sql(asked).fetchall()
    assert json.loads(row[0]) == facts
    assert facts["runs_finished"] == 36


def test_the_lines_of_the_readme_hold(file, monkeypatch):
    """Each line of the Python blocks of results/README.md is evaluated as it stands."""
    page = (Path(__file__).parents[2] / "results/README.md").read_text()
    lines = [line for block in re.findall(r"```python\n(.*?)```", page, re.S) for line in block.splitlines()]
    file.rename(file.with_name("SWEEP.parquet"))
    monkeypatch.chdir(file.parent)
    known = {"pandas": pd, "polars": pl, "duckdb": duckdb, "pyarrow": pa, "json": json}
    pandas, polars, duck, *facts = [eval(line, known) for line in lines]
    assert dict(polars.iter_rows()) == pytest.approx(pandas.to_dict())
    assert dict(duck.fetchall()) == pytest.approx(pandas.to_dict())
    assert [one["sweep"] for one in (*facts[:2], json.loads(dict(facts[2].fetchall())["repsim.sweep"]))] == ["more"] * 3


# -- files that are none ------------------------------------------------------------------------------------------------------


def other(path: Path, said: bytes | None) -> Path:
    table = pa.table({"run_id": ["a"]})
    metadata = {b"repsim.sweep": said, b"repsim.dictionary": b"[]"} if said is not None else None
    pq.write_table(table.replace_schema_metadata(metadata), path)
    return path


def test_what_is_no_tidy_file_is_told(here, tmp_path):
    path = aggregated()
    whole, flawed = path.read_bytes(), tmp_path / "flawed.parquet"
    flips = bytearray(whole)
    flips[pq.read_metadata(path).row_group(0).column(0).total_compressed_size - 9] ^= 255  # in the first column's data
    cases = {
        b"": "cannot be read as Parquet",
        b"penalty\n0.1\n": "cannot be read as Parquet",
        whole[: len(whole) // 2]: "cannot be read as Parquet",
        bytes(flips): "cannot be read as Parquet",
    }
    for content, why in cases.items():
        flawed.write_bytes(content)
        with pytest.raises(InputError, match=why):
            tidy.read(flawed)
    with pytest.raises(InputError, match="its footer names no sweep"):
        tidy.read(other(tmp_path / "other.parquet", None))
    with pytest.raises(InputError, match="cannot be read"):
        tidy.read(other(tmp_path / "odd.parquet", b"{not json"))
    with pytest.raises(InputError, match="its format is 'repsim tidy 9', not"):
        tidy.read(other(tmp_path / "newer.parquet", b'{"format": "repsim tidy 9"}'))
    with pytest.raises(InputError, match="there is no such file"):
        tidy.read(tmp_path / "nowhere.parquet")
    with pytest.raises(InputError, match="cannot be read as Parquet"):
        tidy.read(tmp_path)


def test_a_tidy_file_tells_its_own_dictionary(here):
    path = aggregated()
    answer = call("results", "dictionary", path)
    assert answer.code == 0
    assert answer.out.startswith("Columns of the sweep stitches (job stitch)\n")
    assert call("results", "dictionary", "no.parquet").code == 2
