"""What a table can be asked for: pages, filters, keys of rows, a bootstrap, what is best, and the comparison of two columns."""

import json
from math import isnan

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError
from scipy import stats
from stitch_frames import DISJOINT, expected_runs, finished

from repsim.errors import UserError
from repsim.report.tables import as_dict, file_records, records, render
from repsim.table import TableDefinition, build, pages

FIVE = tuple((2 * i, 2 * i + 1) for i in range(5))
BASE = {"linear": 0.02, "birkhoff": 0.05}


def noisy(run: pd.Series, size: float = 0.002) -> float:
    """The case decides; the pair adds what both cases share, and a little of its own."""
    own = np.random.default_rng([run["front_seed"], len(run["case"])]).normal(0, size)
    return BASE.get(run["case"], 0.04) + 0.01 * run["front_seed"] + own


def tables(definition=None, expected=None, value=noisy, **asked):
    expected = expected_runs(pairs=FIVE) if expected is None else expected
    return pages(definition or TableDefinition(**asked), finished(expected, value), expected)


def test_pages_are_tables_of_their_own_and_hold_every_cell_of_the_table_with_more_rows():
    expected = expected_runs(archs=("tiny10", "mcnn"))
    made = tables(expected=expected, pages=["front_arch"])
    whole = build(TableDefinition(rows=["front_arch", "front_layer"]), finished(expected, noisy), expected)
    assert [(page.page_names, page.page) for page in made] == [(("arch",), ("tiny10",)), (("arch",), ("mcnn",))]
    assert {((*page.page, *row), col): cell for page in made for (row, col), cell in page.cells.items()} == whole.cells
    assert made[0].row_keys == (("bn1",), ("bn2",))


def test_a_page_has_only_its_own_rows_and_columns():
    expected = pd.concat([expected_runs(layers=("a",), archs=("x",)), expected_runs(layers=("b",), cases=("only",), archs=("y",))])
    first, second = tables(expected=expected, pages=["front_arch"])
    assert (first.row_keys, first.col_keys) == ((("a",),), (("linear",), ("birkhoff",)))
    assert (second.row_keys, second.col_keys) == ((("b",),), (("only",),))


@pytest.mark.parametrize(
    ("format", "head"), [("text", "arch: mcnn\n══════════"), ("markdown", "### arch: mcnn\n"), ("latex", r"\caption{arch: mcnn.")]
)
def test_each_page_has_its_heading(format, head):
    text = render(tables(expected=expected_runs(archs=("tiny10", "mcnn")), pages=["front_arch"]), format)
    assert text.count(head) == 1 and text.count("tiny10") == 1


def test_pages_are_columns_of_data():
    made = tables(expected=expected_runs(archs=("tiny10", "mcnn")), pages=["front_arch"])
    frame = pd.DataFrame(records(made))
    assert list(frame.columns[:3]) == ["arch", "layer", "case"] and len(frame) == 8
    data = as_dict(made)
    assert data["pages"] == ["arch"] and data["rows"] == ["layer"] and len(data["cells"]) == 8
    assert render(made, "csv").splitlines()[0].startswith("arch,layer,case,value")


@pytest.mark.parametrize(
    ("where", "count"),
    [
        ({"case": "lin*"}, 2),
        ({"case": ["linear", "birkhoff"]}, 4),
        ({"layer": "bn2"}, 2),  # short for front_layer
        ({"front_layer": ["bn*"], "case": ["b*"]}, 2),
        ({"front_seed": [0, 2]}, 4),
        ({"rank": [None]}, 4),
    ],
)
def test_only_runs_that_match_are_shown_and_expected(where, count):
    (table,) = tables(expected=expected_runs().assign(rank=None), where=where)
    assert len(table.cells) == count
    assert {cell.expected for cell in table.cells.values()} == {2 if "front_seed" in where else 3}
    assert "Only runs with" in render(table, "text")


def test_a_filter_that_no_run_matches_names_what_there_is():
    with pytest.raises(UserError, match="no run has case=linaer") as error:
        tables(where={"case": "linaer"})
    assert "did you mean 'linear'" in str(error.value)
    with pytest.raises(UserError, match="no run has front_seed=9 and the case asked for"):
        tables(where={"case": "linear", "front_seed": 9})
    with pytest.raises(UserError, match="no column 'cas'"):
        tables(where={"cas": "linear"})


def test_what_only_rows_have_may_be_a_key_and_missing_runs_stand_apart():
    expected = expected_runs()
    rows = finished(expected, noisy).assign(host=["n1", "n2"] * 6).iloc[2:]
    (table,) = pages(TableDefinition(cols=["host"]), rows, expected)
    assert table.col_keys == (("not run",), ("n1",), ("n2",))
    assert (table.cells[("bn1",), ("not run",)].n, table.cells[("bn1",), ("not run",)].expected) == (0, 2)
    assert sum(cell.expected for cell in table.cells.values()) == 12
    assert "host: known of stored runs alone" in " ".join(render(table, "text").split())


def test_a_measurement_makes_no_rows():
    expected = expected_runs()
    with pytest.raises(UserError, match="'loss' is measured anew in every run"):
        pages(TableDefinition(rows=["loss"]), finished(expected, noisy).assign(loss=np.linspace(0.1, 1, 12)), expected)
    lists = finished(expected, noisy).assign(curve=[[1.0, 2.0]] * 12)
    with pytest.raises(UserError, match="'curve' holds lists"):
        pages(TableDefinition(rows=["curve"]), lists, expected)
    epochs = finished(expected, noisy).assign(selected_epoch=[1.0, 2.0, None] * 4)
    assert [key for (key,) in pages(TableDefinition(rows=["selected_epoch"]), epochs, expected)[0].row_keys] == ["1", "2", "–"]


def test_the_best_of_a_row_is_marked_where_its_paired_difference_excludes_zero():
    """The cells' own intervals overlap widely: what the pairs share is far larger than what tells the cases apart."""
    (table,) = tables()
    one, other = (table.cells[("bn1",), (case,)] for case in ("linear", "birkhoff"))
    assert one.high > other.low
    assert table.best == {((layer,), ("linear",)) for layer in ("bn1", "bn2")}


def test_no_cell_is_marked_where_two_do_not_differ_beyond_the_interval():
    (table,) = tables(value=lambda run: noisy(run, 0.1) if run["front_layer"] == "bn2" else noisy(run))
    assert table.best == {(("bn1",), ("linear",))}


def test_the_best_must_differ_from_every_other_column():
    expected = expected_runs(pairs=FIVE, cases=("linear", "birkhoff", "tied"))
    (table,) = tables(
        expected=expected, value=lambda run: noisy({**run, "case": "linear" if run["case"] == "tied" else run["case"]})
    )
    assert table.best == frozenset()


@pytest.mark.parametrize(
    ("asked", "case"),
    [
        ({}, "linear"),
        ({"best": "max"}, "birkhoff"),
        ({"best": "none"}, None),
        ({"value": "accuracy"}, "birkhoff"),
        ({"value": "null_accuracy"}, None),
        ({"value": "anything"}, None),
        ({"value": "residual"}, "linear"),
        ({"value": "seconds"}, "linear"),
        ({"value": "agreement"}, "birkhoff"),
    ],
)
def test_less_or_more_is_better_by_the_value(asked, case):
    expected = expected_runs(pairs=FIVE)
    rows = finished(expected, noisy)
    rows[asked.get("value", "penalty")] = rows["penalty"]
    (table,) = pages(TableDefinition(**asked), rows, expected)
    assert {col for _, (col,) in table.best} == ({case} if case else set())


def test_one_pair_marks_nothing_and_a_cell_without_a_number_is_no_rival():
    assert tables(expected=expected_runs(pairs=((0, 1),)))[0].best == frozenset()
    expected = expected_runs(pairs=FIVE, cases=("linear", "birkhoff", "later"))
    rows = finished(expected, noisy)
    (table,) = pages(TableDefinition(), rows[~rows["run_id"].str.contains("later")], expected)
    assert {col for _, (col,) in table.best} == {"linear"}


@pytest.mark.parametrize("value", ["auroc", "aupr", "fpr95", "matched_auroc"])
def test_of_how_well_a_detector_tells_stitched_from_native_nothing_is_best(value):
    assert TableDefinition(value=value).aim == "none" and TableDefinition(value=value, best="min").aim == "min"


def test_a_negative_control_is_never_best():
    real = expected_runs(pairs=FIVE).assign(control=None)
    blank = real[real["case"] == "linear"].assign(control="untrained", case="blank")
    blank["run_id"] += "blank"
    expected = pd.concat([real, blank], ignore_index=True)
    (table,) = pages(TableDefinition(), finished(expected, lambda run: 0.0 if run["case"] == "blank" else noisy(run)), expected)
    assert {col for _, (col,) in table.best} == {"linear"}
    with_null = finished(real, noisy).assign(null_penalty=0.0)
    (table,) = pages(TableDefinition(controls=True), with_null, real)
    assert {col for _, col in table.best} == {("linear", "real")}


@pytest.mark.parametrize(("format", "mark"), [("text", "(5/5)◂"), ("markdown", "(5/5)**"), ("latex", r"\textbf{")])
def test_the_best_is_marked_in_every_format_with_a_line_that_says_what_it_means(format, mark):
    text = render(tables(), format)
    assert text.count(mark) == 2
    assert "least of its row, beyond the 95" in " ".join(text.split())
    assert [line["best"] for line in records(tables())] == [True, False, True, False]


def test_a_bootstrap_shows_both_ends_and_says_so():
    (table,) = tables(spread="bootstrap")
    text = render(table, "text")
    cell = table.cells[("bn1",), ("linear",)]
    assert f"{cell.mean:.2f} [{cell.low:.2f}, {cell.high:.2f}] (5/5)" in text
    assert "expanded percentiles of 4,000 bootstrap draws of 5 disjoint pairs" in " ".join(text.split())
    one = tables(expected=expected_runs(pairs=((0, 1),)), spread="bootstrap")
    assert "[–] (1/1)" in render(one, "text") and "[–]: too few independent networks" in " ".join(render(one, "text").split())


def test_two_columns_are_compared_pair_by_pair():
    (table,) = tables(compare=["birkhoff", "linear"])
    line = table.comparison.lines[0]
    one, other = (table.cells[("bn1",), (case,)].values for case in ("birkhoff", "linear"))
    oracle = stats.ttest_rel(one, other)
    low, high = oracle.confidence_interval(0.95)
    assert (line.n, line.a, line.b) == (5, pytest.approx(np.mean(one)), pytest.approx(np.mean(other)))
    assert (line.difference.low, line.difference.high) == pytest.approx((low, high))
    assert (line.test.t, line.test.p) == pytest.approx((oracle.statistic, oracle.pvalue))
    assert line.test.p_flip == 2 / 32 and line.test.below == 0
    assert line.p_holm == pytest.approx(2 * line.test.p)  # two rows with the same numbers


def test_only_pairs_that_both_columns_have_are_compared():
    expected = expected_runs(pairs=FIVE)
    rows = finished(expected, noisy)
    gone = rows["run_id"].str.contains("linear-0-1") | rows["run_id"].str.contains("birkhoff-2-3")
    (table,) = pages(TableDefinition(compare=["linear", "birkhoff"]), rows[~gone], expected)
    assert [line.n for line in table.comparison.lines] == [3, 3]


def test_holm_counts_the_rows_of_all_pages():
    made = tables(
        expected=expected_runs(pairs=FIVE, archs=("tiny10", "mcnn")), pages=["front_arch"], compare=["birkhoff", "linear"]
    )
    lines = [line for page in made for line in page.comparison.lines]
    assert len(lines) == 4 and all(line.p_holm == pytest.approx(4 * line.test.p) for line in lines)


def test_a_comparison_is_a_table_of_its_own_in_every_format():
    made = tables(compare=["birkhoff", "linear"])
    assert "birkhoff against linear\n═══" in render(made, "text")
    assert "### birkhoff against linear" in render(made, "markdown")
    assert render(made, "latex").count(r"\begin{table}") == 2
    assert json.loads(render(made, "json"))["comparison"] == file_records(made)
    (first, _) = file_records(made)
    assert {"layer", "a", "b", "n_pairs", "difference", "low", "high", "t", "df", "p", "p_holm", "p_signs", "d", "below"} <= set(
        first
    )
    assert render(made, "csv").splitlines()[0].startswith("layer,a,b,value")


def test_a_row_that_one_column_lacks_is_told_as_empty():
    expected = expected_runs(pairs=FIVE)
    expected = expected[~((expected["front_layer"] == "bn2") & (expected["case"] == "birkhoff"))]
    (table,) = tables(expected=expected, compare=["linear", "birkhoff"])
    lacking = table.comparison.lines[1]
    assert lacking.n == 0 and isnan(lacking.test.p) and isnan(lacking.p_holm)
    assert table.comparison.lines[0].p_holm == table.comparison.lines[0].test.p  # the other row counts for none


@pytest.mark.parametrize(
    "wrong",
    [{"compare": ["a"]}, {"compare": ["a", "a"]}, {"pages": ["case"]}, {"best": "most"}, {"where": {"case": []}}, {"spread": "sd"}],
)
def test_what_cannot_be_meant_is_refused(wrong):
    with pytest.raises(ValidationError):
        TableDefinition(**wrong)


def test_a_column_that_is_not_there_is_named_with_its_neighbour():
    with pytest.raises(UserError, match="the table has no column 'liner'") as error:
        tables(compare=["liner", "birkhoff"])
    assert "'linear'" in str(error.value)


def test_a_run_of_three_pairs_stays_what_it_was():
    """The pairs of a cell are named, in the order of its values."""
    cell = tables(expected=expected_runs(pairs=DISJOINT))[0].cells[("bn1",), ("linear",)]
    assert cell.pairs == tuple((f"tiny10-{f}", f"tiny10-{e}") for f, e in DISJOINT)
    assert len(cell.values) == 3


@pytest.mark.parametrize(("wanted", "count"), [("1e-3", 1), ("0.0010", 1), (".1", 1), ("0.1", 1), ("0.*", 2)])
def test_a_filter_takes_a_number_in_any_spelling(wanted, count):
    runs = expected_runs()
    (table,) = tables(expected=runs.assign(lr=runs["case"].map({"linear": 1.0e-3, "birkhoff": 0.1})), where={"lr": wanted})
    assert len(table.col_keys) == count


def test_a_filter_takes_a_truth_value_as_a_sweep_file_spells_it():
    runs = expected_runs()
    (table,) = tables(expected=runs.assign(save=runs["case"].eq("linear")), where={"save": "true"})
    assert table.col_keys == (("linear",),)
