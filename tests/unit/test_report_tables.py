import io
import json
import re
from math import sqrt

import pandas as pd
import pytest
from stitch_frames import expected_runs, finished

from repsim.report.tables import WIDTH, render
from repsim.report.wording import caption, cell_text
from repsim.table import TableDefinition, build

HARD = "a_b | c & 50% #1 <x> {y} ~^$\\"


def table_of(expected, values, drop=(), diverged=(), undefined=(), definition=None):
    """A table whose pairs (0, 1), (2, 3), (4, 5) have the three `values`, less some runs."""
    rows = finished(expected, lambda run: dict(zip((0, 2, 4), values, strict=True))[run["front_seed"]])
    rows.loc[rows["run_id"].isin(diverged), "outcome"] = "diverged"
    rows.loc[rows["run_id"].isin(undefined), "penalty"] = float("nan")
    return build(definition or TableDefinition(), rows[~rows["run_id"].isin(drop)], expected)


def first_cell(table):
    return cell_text(table.cell(table.row_keys[0], table.col_keys[0]), table)


# 1, 2 and 6 points: mean 3, half-width t_{0.975, 2} · √7 / √3 = 4.302653 · 1.527525 = 6.5724
@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({}, "3.00 ± 6.57 (3/3)"),
        ({"drop": ["4-5"]}, "1.50 ± 6.35 (2/3)*"),  # 12.7062 · 0.5
        ({"diverged": ["4-5"]}, "1.50 ± 6.35 (2/3, 1 diverged)*"),
        ({"drop": ["2-3", "4-5"]}, "1.00 ± – (1/3)*"),
        ({"drop": ["0-1", "2-3", "4-5"]}, "– (0/3)*"),
        ({"diverged": ["0-1", "2-3", "4-5"]}, "– (0/3, 3 diverged)*"),
        ({"undefined": ["4-5"]}, "1.50 ± 6.35 (2/3, 1 undefined)"),
        ({"undefined": ["4-5"], "drop": ["2-3"]}, "1.00 ± – (1/3, 1 undefined)*"),
        ({"undefined": ["0-1", "2-3", "4-5"]}, "– (0/3, 3 undefined)"),
    ],
)
def test_cell_reads_as_documented(change, text):
    named = {key: [f"tiny10-bn1-bn1-linear-{pair}-0" for pair in pairs] for key, pairs in change.items()}
    assert first_cell(table_of(expected_runs(), (0.01, 0.02, 0.06), **named)) == text


def test_negative_penalty_keeps_its_sign_and_zero_has_none():
    assert first_cell(table_of(expected_runs(), (-0.012, -0.012, -0.012))) == "-1.20 ± 0.00 (3/3)"
    assert first_cell(table_of(expected_runs(), (-1e-6, -1e-6, -1e-6))) == "0.00 ± 0.00 (3/3)"


def test_value_that_is_no_accuracy_has_four_significant_digits():
    assert (
        first_cell(table_of(expected_runs(), (1.23456, 1.23456, 1.23456), definition=TableDefinition(points=False)))
        == "1.235 ± 0 (3/3)"
    )


def test_text_is_aligned_with_the_caption_below():
    drop = ["tiny10-bn2-bn2-birkhoff-4-5-0"]
    assert render(table_of(expected_runs(), (0.01, 0.02, 0.06), drop), "text") == (
        "layer             linear            birkhoff\n"
        "─────  ─────────────────  ──────────────────\n"
        "bn1    3.00 ± 6.57 (3/3)  3.00 ± 6.57 (3/3)\n"
        "bn2    3.00 ± 6.57 (3/3)  1.50 ± 6.35 (2/3)*\n"
        "\n"
        "Stitching penalty: (acc front + acc end)/2 − acc stitched, in accuracy points. Mean over pairs of\n"
        "networks (runs of a pair averaged first) ± 95 % interval (t interval over 2 to 3 disjoint pairs);\n"
        "(finished/expected runs). Std over pairs 0.71 to 2.65. *: short of the expected runs (1 of 4 cells).\n"
    )


@pytest.mark.parametrize(
    ("job", "told"),
    [
        ("stitch", "Stitching penalty: (acc front + acc end)/2 − acc stitched"),
        ("rotate", "Rotation penalty: acc with nothing inserted − acc rotated, both retrained"),
    ],
)
def test_the_caption_tells_the_penalty_of_the_job(job, told):
    table = table_of(expected_runs(), (0.01, 0.02, 0.06), definition=TableDefinition(job=job))
    assert caption(table).startswith(f"{told}, in accuracy points. ")


def test_text_fits_the_width_and_holds_every_cell_once():
    cases = [f"case_{i} with a quite long name that cannot stand on one line" for i in range(7)]
    expected = expected_runs(layers=[f"layer{i}.0.bn1" for i in range(5)], cases=cases, archs=("tiny10", "resnet20"))
    text = render(table_of(expected, (0.01, 0.02, 0.06), definition=TableDefinition(rows=["front_arch", "front_layer"])), "text")
    assert max(map(len, text.splitlines())) <= WIDTH
    assert text.count("3.00 ± 6.57 (3/3)") == 2 * 5 * 7
    assert all(f"case_{i}" in text for i in range(7))


def test_column_wider_than_the_page_is_written_whole_in_its_own_block():
    label = "x" * 120
    text = render(table_of(expected_runs(layers=[label]), (0.01, 0.02, 0.06)), "text")
    assert text.count(label) == 2  # beside each of the two columns


def test_caption_counts_the_networks_of_the_jackknife():
    pairs = [(i, j) for i in range(4) for j in range(4) if i != j]
    expected = expected_runs(pairs=pairs)
    table = build(TableDefinition(), finished(expected, lambda run: 0.01 * run["front_seed"]), expected)
    # fronts 0 … 3, three times each: std = √(3 · 5 / 11)
    assert "(jackknife over 4 networks); (finished/expected runs)" in caption(table)
    assert f"Std over pairs {sqrt(15 / 11):.2f}." in caption(table)
    assert "short" not in caption(table)


def test_caption_says_why_an_interval_is_missing():
    expected = expected_runs(pairs=((0, 1),))
    table = build(TableDefinition(), finished(expected, lambda run: 0.01), expected)
    assert "± –: too few independent networks for an interval." in caption(table)
    assert "Std" not in caption(table) and "jackknife" not in caption(table)


def test_markdown_escapes_names_and_keeps_its_columns():
    lines = render(table_of(expected_runs(cases=(HARD, "birkhoff")), (0.01, 0.02, 0.06)), "markdown").splitlines()
    assert [len(re.findall(r"(?<!\\)\|", line)) for line in lines[:4]] == [4, 4, 4, 4]
    assert r"a\_b \| c &amp; 50% \#1 &lt;x&gt; {y} \~^\$\\" in lines[0]
    assert lines[1] == "| --- | ---: | ---: |"
    assert lines[2] == "| bn1 | 3.00 ± 6.57 (3/3) | 3.00 ± 6.57 (3/3) |"


def test_markdown_star_is_not_read_as_emphasis():
    text = render(table_of(expected_runs(), (0.01, 0.02, 0.06), drop=["tiny10-bn1-bn1-linear-4-5-0"]), "markdown")
    assert r"(2/3)\*" in text and not re.search(r"(?<!\\)\*", text)


def test_latex_escapes_names_and_is_a_booktabs_table():
    text = render(table_of(expected_runs(layers=("bn1", ("bn1", "bn3")), cases=(HARD, "b")), (-0.01, -0.02, -0.06)), "latex")
    escaped = (
        r"a\_b \textbar{} c \& 50\% \#1 \textless{}x\textgreater{} \{y\} \textasciitilde{}\textasciicircum{}\$\textbackslash{}"
    )
    assert rf"layer & {escaped} & b \\" in text
    assert r"bn1$\to$bn3 & $-$3.00 $\pm$ 6.57 (3/3) & $-$3.00 $\pm$ 6.57 (3/3) \\" in text
    assert [text.count(rule) for rule in (r"\toprule", r"\midrule", r"\bottomrule", r"\begin{tabular}{lrr}")] == [1, 1, 1, 1]
    assert r"95 \% interval" in text
    assert text.isascii()


def test_latex_sets_architectures_apart():
    by_arch = TableDefinition(rows=["front_arch", "front_layer"])
    table = table_of(expected_runs(archs=("tiny10", "mcnn")), (0.01, 0.02, 0.06), definition=by_arch)
    lines = render(table, "latex").splitlines()
    place = lines.index(r"\addlinespace")
    assert lines.count(r"\addlinespace") == 1
    assert lines[place - 1].startswith("tiny10 & bn2") and lines[place + 1].startswith("mcnn & bn1")


def test_csv_reads_back_unrounded_with_its_unit():
    expected = expected_runs(cases=('quoted "x", y', "birkhoff"))
    frame = pd.read_csv(io.StringIO(render(table_of(expected, (0.01, 0.02, 0.06), drop=["tiny10-bn1-bn1-birkhoff-0-1-0"]), "csv")))
    assert list(frame["case"]) == ['quoted "x", y', "birkhoff"] * 2
    assert list(frame["mean"]) == pytest.approx([3, 4, 3, 3], rel=1e-12)
    assert list(frame["std"]) == pytest.approx([sqrt(7), sqrt(8), sqrt(7), sqrt(7)], rel=1e-12)
    assert list(frame["n"]) == [3, 2, 3, 3] and set(frame["expected"]) == {3}
    assert set(frame["unit"]) == {"accuracy points"} and set(frame["value"]) == {"penalty"}


def test_json_holds_null_where_there_is_no_number():
    expected = expected_runs(layers=("bn1",), pairs=((0, 1),))
    data = json.loads(render(build(TableDefinition(), finished(expected, lambda run: 0.01).head(1), expected), "json"))
    assert (data["rows"], data["cols"], data["unit"]) == (["layer"], ["case"], "accuracy points")
    one, none = data["cells"]
    assert (one["case"], one["mean"], one["std"], one["low"], one["n"], one["text"]) == (
        "linear",
        1.0,
        None,
        None,
        1,
        "1.00 ± – (1/1)",
    )
    assert (none["mean"], none["n"], none["expected"], none["text"]) == (None, 0, 1, "– (0/1)*")


@pytest.mark.parametrize("format", ["text", "markdown", "latex", "csv", "json"])
def test_cell_that_the_sweep_leaves_out_is_left_empty_in_every_format(format):
    expected = expected_runs()
    expected = expected[~((expected["front_layer"] == "bn2") & (expected["case"] == "birkhoff"))]
    text = render(table_of(expected, (0.01, 0.02, 0.06)), format)
    assert text.endswith("\n")
    assert len(re.findall(r"\(3/3\)", text)) == 3


def test_the_spread_may_be_the_standard_deviation_over_pairs():
    shown = table_of(expected_runs(), (0.01, 0.02, 0.06), definition=TableDefinition(spread="std"))
    assert first_cell(shown) == "3.00 ± 2.65 (3/3)"  # √7
    assert "± std over pairs;" in caption(shown) and "interval" not in caption(shown)
