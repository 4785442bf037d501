"""The wide form is pandas.pivot_table of the long one, with names that say which column is which; and tables as plain files."""

import csv
import io
import json
from dataclasses import replace

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import toy
from commandline import call

from repsim import flatfiles, tidy, widened
from repsim.errors import UserError

STITCH = "zoo: {arch: net, dataset: d, seeds: 0..2}\nlayers: relu\ncases: {lin: {}, low: {stitcher: lowrank, rank: [1, 2]}}"


@pytest.fixture
def here(project, monkeypatch):
    """The toy project; of `stitches` all 36 runs are stored, of `seeds`, with another seed besides, the same 36 of 72."""
    monkeypatch.chdir(project.root)
    toy.run(project, toy.sweep(project, STITCH, "stitches"))
    (project.sweeps / "seeds.yaml").write_text(STITCH + "\ngrid: {seed: [0, 1]}")
    return project


def made(here, name: str = "stitches", missing: bool = True) -> tidy.Tidy:
    return tidy.made(here, toy.open_sweep(here.sweeps / f"{name}.yaml", here), missing)


def changed(found: tidy.Tidy, name: str, values: list) -> tidy.Tidy:
    place = found.table.column_names.index(name)
    field = found.table.schema.field(name)
    return replace(found, table=found.table.set_column(place, field, pa.array(values, field.type)))


def test_the_wide_form_is_the_pivot_table_of_pandas(here):
    found = made(here)
    found = changed(found, "penalty", [index / 7 for index in range(36)])
    index = ["front_seed", "end_seed", "front_layer"]
    ours = widened.widened(found, index, ["case"], ["penalty"]).to_pandas().set_index(index).sort_index()
    oracle = found.table.to_pandas().pivot_table(index=index, columns="case", values="penalty", aggfunc="first", dropna=False)
    oracle = oracle.dropna(how="all")
    assert ours.shape == (12, 3)
    assert [name.removeprefix("penalty | ") for name in ours.columns] == ["lin", "low 1", "low 2"]
    assert (ours.to_numpy() == oracle[["lin", "low 1", "low 2"]].to_numpy()).all()


def test_several_values_and_keys_have_names_that_tell_them_apart(here):
    wide = widened.widened(made(here), ["front_seed", "end_seed"], ["case", "front_layer"], ["penalty", "run_id"])
    names = wide.column_names[2:]
    assert names[:2] == ["penalty | lin | front_layer=relu1", "penalty | lin | front_layer=relu2"]
    assert (len(names), len(set(names)), len(wide)) == (12, 12, 6)
    long = made(here).table.to_pandas().set_index(["front_seed", "end_seed", "case", "front_layer"])
    for row in wide.to_pylist():
        one = long.loc[(row["front_seed"], row["end_seed"], "low 2", "relu2")]
        assert row["run_id | low 2 | front_layer=relu2"] == one["run_id"]


def test_by_default_a_line_is_a_pair_of_networks_at_a_layer_and_a_column_a_case(here):
    wide = widened.widened(made(here))
    assert [name for name in wide.column_names if "|" in name] == ["penalty | lin", "penalty | low 1", "penalty | low 2"]
    assert {"front_network", "end_network", "front_seed", "end_seed", "front_layer", "end_layer"} < set(wide.column_names)
    assert not {"rank", "stitcher", "epochs", "seed"} & {name for name in wide.column_names if name not in widened.PLACE}
    assert len(wide) == 12


def test_repeated_runs_have_lines_of_their_own_and_what_is_missing_is_null(here):
    wide = widened.widened(made(here, "seeds"))
    assert len(wide) == 24
    assert wide["seed"].to_pylist().count(1) == 12
    by_seed = wide.to_pandas().groupby("seed")["penalty | low 1"].count().to_dict()
    assert by_seed == {0: 12, 1: 0}
    assert wide["penalty | lin"].null_count == 12


def test_two_runs_at_one_place_are_refused_in_words(here):
    with pytest.raises(UserError, match=r"36 cells would hold several runs; at front_network .* which differ in seed") as raised:
        widened.widened(made(here, "seeds"), ["front_network", "end_network", "front_layer"], ["case"])
    assert "add seed to --index or --columns" in str(raised.value)


def test_lists_and_texts_can_be_values_and_keep_their_types(here):
    wide = widened.widened(made(here), values=["curve", "host"])
    assert str(wide.schema.field("curve | lin").type) == "list<item: double>"
    assert wide["curve | lin"].to_pylist() == [[1.0]] * 12
    assert wide.schema.field("curve | lin").metadata[b"description"] == b"loss after each pass; null without passes"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"index": ["font_seed"]}, "--index: there is no column 'font_seed'\n  → did you mean 'front_seed'"),
        ({"keys": ["case", "case"]}, "'case' stands in --columns and in --columns"),
        ({"values": ["front_layer"], "index": ["front_layer"]}, "'front_layer' stands in --index and in --value"),
        ({"index": ["curve"]}, "column 'curve' holds lists"),
    ],
)
def test_what_cannot_be_meant_is_refused(here, options, said):
    with pytest.raises(UserError) as raised:
        widened.widened(made(here), **options)
    assert said in str(raised.value)


def test_no_rows_are_no_lines(here):
    found = made(here)
    empty = replace(found, table=found.table.slice(0, 0))
    assert len(widened.widened(empty)) == 0


def test_a_case_and_a_key_without_a_value_are_told_apart():
    assert widened.head("penalty", ["case", "rank"], ["lin", None]) == "penalty | lin | rank=–"
    assert widened.head("penalty", ["case"], ["Ünï/コード | x"]) == "penalty | Ünï/コード | x"


# -- plain files --------------------------------------------------------------------------------------------------------------

ODD = pa.table(
    {
        "text": ["a,b", 'say "x"', "two\nlines", None, "Ünïcode 測"],
        "number": [0.1, float("nan"), float("inf"), None, -0.0],
        "whole": pa.array([1, None, 3, 4, 5], pa.int64()),
        "list": [[1.0, float("nan")], [], None, [0.1], [2.0]],
    }
)


def whole(format: str, table: pa.Table = ODD) -> str:
    return b"".join(flatfiles.rendered(table, format)).decode()


def test_csv_is_read_back_by_pandas_and_by_the_standard_library():
    text = whole("csv")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["text"] for row in rows] == ["a,b", 'say "x"', "two\nlines", "", "Ünïcode 測"]
    assert [row["list"] for row in rows] == ["[1.0, null]", "[]", "", "[0.1]", "[2.0]"]
    frame = pd.read_csv(io.StringIO(text))
    assert frame["number"].tolist()[:1] == [0.1]
    assert frame["text"].isna().tolist() == [False, False, False, True, False]


def test_json_lines_hold_null_where_there_is_no_number():
    rows = [json.loads(line) for line in whole("jsonl").splitlines()]
    assert [row["number"] for row in rows] == [0.1, None, None, None, -0.0]
    assert [row["list"] for row in rows] == [[1.0, None], [], None, [0.1], [2.0]]


def test_markdown_has_one_line_per_row_whatever_the_text():
    lines = whole("markdown", pa.table({"a|b": ["x|y", "two\nlines"], "n": [0.123456789, 2.0]})).splitlines()
    assert lines == ["| a\\|b | n |", "| --- | ---: |", "| x\\|y | 0.123457 |", "| two lines | 2 |"]


def test_a_large_table_is_written_in_pieces_with_one_header(monkeypatch):
    monkeypatch.setattr(flatfiles, "ROWS", 3)
    large = pa.table({"n": list(range(10))})
    assert whole("csv", large).splitlines() == ['"n"', *map(str, range(10))]
    assert len(whole("markdown", large).splitlines()) == 12
    assert whole("csv", large.slice(0, 0)) == '"n"\n'


# -- the command --------------------------------------------------------------------------------------------------------------


def test_the_long_form_keeps_the_columns_that_are_named(here):
    answer = call("results", "export", "stitches", "--columns", "run_id,penalty,case")
    rows = list(csv.DictReader(io.StringIO(answer.out)))
    assert (len(rows), list(rows[0])) == (36, ["run_id", "penalty", "case"])
    assert len(call("results", "export", "seeds", "--missing", "--format", "jsonl").out.splitlines()) == 72


def test_an_aggregated_file_is_exported_like_its_sweep(here, tmp_path):
    path = call("results", "aggregate", "stitches", "--json").json["file"]
    wide = call("results", "export", path, "--wide").out
    assert wide == call("results", "export", "stitches", "--wide").out
    assert wide.count("\n") == 13


@pytest.mark.parametrize("ending", ["csv", "jsonl", "md", "parquet"])
def test_the_ending_of_the_file_says_its_form(here, tmp_path, ending):
    out = tmp_path / "deep" / f"wide.{ending}"
    said = call("results", "export", "stitches", "--wide", "--out", out, "--json").json
    assert (said["file"], said["rows"]) == (str(out), 12)
    read = {"csv": pd.read_csv, "parquet": pd.read_parquet, "jsonl": lambda path: pd.read_json(path, lines=True)}
    lines = len(read[ending](out)) if ending in read else out.read_text().count("\n") - 2
    assert lines == 12
    assert [path.name for path in out.parent.iterdir()] == [out.name]


def test_a_wide_parquet_file_says_what_its_columns_mean(here, tmp_path):
    call("results", "export", "stitches", "--wide", "--out", tmp_path / "w.parquet")
    field = pq.read_schema(tmp_path / "w.parquet").field("penalty | low 2")
    assert field.metadata[b"unit"] == b"fraction of test images"


def test_what_cannot_be_exported_is_told(here, tmp_path):
    cases = {
        ("--format", "parquet"): "Parquet is nothing for a terminal",
        ("--format", "excel"): "unknown format 'excel'",
        ("--index", "case"): "only a wide table has such",
        ("--columns", "casse"): "there is no column 'casse'\n  → did you mean 'case'",
        ("--out", "jobs/train.py/x.csv"): "cannot be written",
        ("--out", "x.xls"): "no format here ends with '.xls'\n  → end it with .md, .csv, ",
    }
    for options, said in cases.items():
        answer = call("results", "export", "stitches", *options)
        assert (answer.code, answer.out) == (2, ""), options
        assert said in answer.err
    assert call("results", "export", tmp_path / "none.parquet").code == 2


def test_a_sweep_without_a_table_needs_a_value(project, monkeypatch):
    monkeypatch.chdir(project.root)
    toy.run(project, toy.sweep(project, "job: square\ngrid: {value: [1.0, 2.0]}", "squares"))
    answer = call("results", "export", "squares", "--wide")
    assert (answer.code, "the sweep has no table that says which number to show" in answer.err) == (2, True)


def test_an_unknown_key_of_columns_is_named_with_its_nearest(here):
    answer = call("results", "export", "stitches", "--wide", "--columns", "stitchr")
    assert answer.code == 2 and "--columns: there is no column 'stitchr'" in answer.err and "'stitcher'" in answer.err
