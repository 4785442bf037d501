import subprocess
import sys
from math import isnan
from zlib import crc32

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError
from scipy import stats
from stitch_frames import expected_runs, finished

from repsim.errors import InputError, UserError
from repsim.report.tables import render
from repsim.table import TableDefinition, build

LINEAR = (("bn1",), ("linear",))


def by_seed(run: pd.Series) -> float:
    """Penalties of 1, 2 and 6 points for the pairs (0, 1), (2, 3), (4, 5)."""
    return {0: 0.01, 2: 0.02, 4: 0.06}[run["front_seed"]]


def uneven(run: pd.Series) -> float:
    """Penalties without a pattern, the same in every process."""
    return crc32(run["run_id"].encode()) % 1000 / 7000


def test_cell_holds_mean_spread_interval_and_n_in_accuracy_points():
    expected = expected_runs()
    cell = build(TableDefinition(), finished(expected, by_seed), expected).cells[LINEAR]
    low, high = stats.t.interval(0.95, 2, loc=3, scale=stats.sem([1, 2, 6]))
    assert (cell.mean, cell.std) == pytest.approx((3, 7**0.5))
    assert (cell.low, cell.high) == pytest.approx((low, high))
    assert (cell.n, cell.expected, cell.n_pairs, cell.n_units, cell.units, cell.diverged) == (3, 3, 3, 3, "pairs", 0)
    assert cell.values == pytest.approx((1, 2, 6))
    assert not cell.short


def test_values_stay_fractions_when_points_are_not_asked():
    expected = expected_runs()
    table = build(TableDefinition(points=False), finished(expected, by_seed), expected)
    assert table.cells[LINEAR].mean == pytest.approx(0.03)
    assert table.unit == ""


@pytest.mark.parametrize(
    ("value", "points"),
    [("penalty", True), ("accuracy", True), ("accuracy_stitched", True), ("relative_accuracy", False), ("loss", False)],
)
def test_accuracies_and_penalties_are_shown_in_points_and_nothing_else(value, points):
    assert TableDefinition(value=value).in_points is points


def test_each_pair_weighs_the_same_however_many_seeds_it_has():
    expected = expected_runs(pairs=((0, 1), (2, 3)), seeds=(0, 1, 2))
    rows = finished(expected, lambda run: 0.01 * (1 + run["seed"]) if run["front_seed"] == 0 else 0.06)
    only_one_seed = rows[~(rows["run_id"].str.contains("-2-3-") & ~rows["run_id"].str.endswith("-0"))]
    cell = build(TableDefinition(), only_one_seed, expected).cells[LINEAR]
    assert cell.values == pytest.approx((2, 6))  # (1 + 2 + 3)/3 and 6, not (1 + 2 + 3 + 6)/4 = 3
    assert cell.mean == pytest.approx(4)
    assert (cell.n, cell.expected, cell.n_pairs) == (4, 6, 2)
    assert cell.short


def test_networks_are_the_units_where_all_ordered_pairs_are_stitched():
    pairs = [(i, j) for i in range(4) for j in range(4) if i != j]
    expected = expected_runs(pairs=pairs)
    cell = build(TableDefinition(), finished(expected, lambda run: 0.01 * run["front_seed"]), expected).cells[LINEAR]
    # without network 0, 1, 2, 3 the fronts average 2, 5/3, 4/3, 1: deviations ±1/2, ±1/6; SE² = 3/4 · 5/9
    assert (cell.n, cell.n_pairs, cell.n_units, cell.units) == (12, 12, 4, "networks")
    assert cell.mean == pytest.approx(1.5)
    assert cell.half == pytest.approx(3.182446305284263 * (5 / 12) ** 0.5)


def test_diverged_run_is_counted_and_never_averaged_even_if_it_left_a_value():
    expected = expected_runs()
    rows = finished(expected, by_seed)
    rows.loc[rows["run_id"] == "tiny10-bn1-bn1-linear-4-5-0", "outcome"] = "diverged"
    cell = build(TableDefinition(), rows, expected).cells[LINEAR]
    assert cell.mean == pytest.approx(1.5)
    assert (cell.n, cell.expected, cell.diverged, cell.short) == (2, 3, 1, True)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), None])
def test_run_without_a_finite_value_is_undefined_and_not_missing(value):
    expected = expected_runs()
    rows = finished(expected, by_seed).astype({"penalty": object})
    rows.loc[rows["run_id"] == "tiny10-bn1-bn1-linear-4-5-0", "penalty"] = value
    cell = build(TableDefinition(), rows, expected).cells[LINEAR]
    assert (cell.n, cell.expected, cell.diverged, cell.undefined, cell.short) == (2, 3, 0, 1, False)
    assert cell.mean == pytest.approx(1.5)


def test_missing_runs_leave_their_cell_short_and_the_others_full():
    expected = expected_runs()
    table = build(TableDefinition(), finished(expected, by_seed).iloc[1:], expected)
    assert [(cell.n, cell.expected) for cell in table.cells.values()] == [(2, 3), (3, 3), (3, 3), (3, 3)]


@pytest.mark.parametrize("rows", [pd.DataFrame(), pd.DataFrame(columns=["run_id", "outcome", "penalty"])])
def test_table_of_an_empty_store_shows_what_is_expected(rows):
    table = build(TableDefinition(), rows, expected_runs())
    assert [(cell.n, cell.expected) for cell in table.cells.values()] == [(0, 3)] * 4
    assert all(isnan(cell.mean) and isnan(cell.high) for cell in table.cells.values())


def test_rows_of_other_sweeps_are_ignored():
    expected = expected_runs()
    others = finished(expected_runs(archs=("mcnn",)), lambda run: 0.9)
    rows = finished(expected, by_seed)
    both = build(TableDefinition(), pd.concat([others, rows, others]), expected)
    assert both == build(TableDefinition(), rows, expected)


@pytest.mark.parametrize("format", ["text", "markdown", "latex", "csv", "json"])
def test_table_is_the_same_bytes_in_any_order_of_the_rows(format):
    expected = expected_runs(seeds=(0, 1, 2))
    rows = finished(expected, uneven)
    first = render(build(TableDefinition(), rows, expected), format)
    for seed in range(5):
        assert render(build(TableDefinition(), rows.sample(frac=1, random_state=seed), expected), format) == first


def test_numbers_do_not_depend_on_the_order_of_the_expected_runs_either():
    expected = expected_runs(seeds=(0, 1, 2))
    rows = finished(expected, uneven)
    shuffled = expected.sample(frac=1, random_state=0)
    assert build(TableDefinition(), rows, shuffled).cells == build(TableDefinition(), rows, expected).cells


def test_rows_and_columns_stand_in_order_of_first_appearance():
    layers = [f"bn{i}" for i in range(1, 12)]
    table = build(TableDefinition(), pd.DataFrame(), expected_runs(layers=layers, cases=("z", "a", "m")))
    assert table.row_keys == tuple((layer,) for layer in layers)
    assert table.col_keys == (("z",), ("a",), ("m",))


def test_rows_of_one_architecture_stay_together_in_its_own_layer_order():
    first = expected_runs(layers=("relu1", "relu2"), archs=("b", "a"))
    second = expected_runs(layers=("relu1", "relu9", "relu2"), archs=("c", "b"))
    table = build(TableDefinition(rows=["front_arch", "front_layer"]), pd.DataFrame(), pd.concat([first, second]))
    b, a, c = ["relu1", "relu2", "relu9"], ["relu1", "relu2"], ["relu1", "relu9", "relu2"]
    assert table.row_keys == tuple((arch, layer) for arch, layers in (("b", b), ("a", a), ("c", c)) for layer in layers)
    assert table.row_names == ("arch", "layer")


def test_layer_label_shows_both_layers_only_where_they_differ():
    table = build(TableDefinition(), pd.DataFrame(), expected_runs(layers=("bn1", ("bn1", "bn3"))))
    assert table.row_keys == (("bn1",), ("bn1→bn3",))
    assert table.row_names == ("layer",)


def test_front_and_end_layer_make_a_matrix_when_both_are_keys():
    layers = [(f, e) for f in ("bn1", "bn2") for e in ("bn1", "bn2")]
    table = build(TableDefinition(rows=["front_layer"], cols=["end_layer"]), pd.DataFrame(), expected_runs(layers=layers))
    assert table.row_keys == (("bn1",), ("bn2",)) == table.col_keys
    assert table.row_names == ("front_layer",)
    assert table.cells[("bn1",), ("bn2",)].expected == 6


def test_architecture_label_shows_both_where_they_differ():
    expected = expected_runs().assign(end_arch="mcnn")
    table = build(TableDefinition(rows=["front_arch"]), pd.DataFrame(), expected)
    assert table.row_keys == (("tiny10→mcnn",),)


def test_whole_numbers_that_pandas_made_floats_are_shown_as_whole():
    expected = expected_runs(cases=("linear", "lowrank"))
    expected["rank"] = expected["case"].map({"linear": None, "lowrank": 4.0})
    table = build(TableDefinition(cols=["rank"]), pd.DataFrame(), expected)
    assert table.col_keys == (("–",), ("4",))


def test_combination_that_the_sweep_leaves_out_has_no_cell():
    expected = expected_runs()
    expected = expected[~((expected["front_layer"] == "bn2") & (expected["case"] == "birkhoff"))]
    table = build(TableDefinition(), pd.DataFrame(), expected)
    assert table.cell(("bn2",), ("birkhoff",)) is None
    assert len(table.cells) == 3


def test_run_expected_under_two_names_counts_in_both_cells_and_once_in_each():
    one = expected_runs(cases=("linear",))
    again = one.assign(case="baseline")
    table = build(TableDefinition(), finished(one, by_seed), pd.concat([one, one, again]))
    assert [(cell.n, cell.expected) for cell in table.cells.values()] == [(3, 3)] * 4


def test_unknown_key_names_the_nearest_column():
    with pytest.raises(UserError, match="no column 'front_layr'") as error:
        build(TableDefinition(rows=["front_layr"]), pd.DataFrame(), expected_runs())
    assert "front_layer" in str(error.value)


def test_unknown_value_names_the_nearest_column_of_the_rows():
    expected = expected_runs()
    with pytest.raises(UserError, match="no column 'penalti'") as error:
        build(TableDefinition(value="penalti"), finished(expected, by_seed), expected)
    assert "'penalty'" in str(error.value)


@pytest.mark.parametrize("values", [[1.0], [1.0, 0.5]])
def test_a_column_of_lists_stands_beside_a_table_and_is_refused_as_its_value(values):
    expected = expected_runs()
    rows = finished(expected, by_seed)
    rows["curve"] = [None, *(np.array(values) for _ in rows["run_id"][1:])]
    assert build(TableDefinition(), rows, expected).cells[LINEAR].mean == pytest.approx(3)
    with pytest.raises(InputError, match="'curve' holds lists"):
        build(TableDefinition(value="curve"), rows, expected)


def test_value_that_is_no_number_is_an_error_with_its_name():
    expected = expected_runs()
    rows = finished(expected, by_seed).assign(note="fine")
    with pytest.raises(InputError, match="'note' is no number"):
        build(TableDefinition(value="note"), rows, expected)


def test_run_stored_twice_is_an_error_rather_than_a_vote():
    expected = expected_runs()
    rows = finished(expected, by_seed)
    with pytest.raises(InputError, match="tiny10-bn1-bn1-linear-0-1-0 is stored twice"):
        build(TableDefinition(), pd.concat([rows, rows.head(1)]), expected)


@pytest.mark.parametrize("wrong", [{"rows": []}, {"cols": ["front_layer"]}, {"colour": "red"}, {"rows": "front_layer"}])
def test_definition_that_cannot_be_meant_is_refused(wrong):
    with pytest.raises(ValidationError):
        TableDefinition(**wrong)


def test_definition_and_text_formats_are_imported_without_heavy_libraries():
    code = "import sys, repsim.table, repsim.report.tables; print({'pandas', 'scipy', 'matplotlib', 'torch'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_layers_stand_in_the_order_of_the_network_and_logits_last():
    """A case that names logits comes before the others: its place is behind all layers, in rows and in columns."""
    expected = expected_runs(layers=(("bn2", "bn1"), ("logits", "logits"), ("bn1", "bn10"), ("bn1", "bn2"), ("bn10", "bn1")))
    definition = TableDefinition(rows=["case", "front_layer"], cols=["end_layer"])
    table = build(definition, finished(expected, by_seed), expected, layers=("bn1", "bn2", "bn10"))
    assert table.col_keys == (("bn1",), ("bn2",), ("bn10",), ("logits",))
    assert [layer for case, layer in table.row_keys if case == "linear"] == ["bn1", "bn2", "bn10", "logits"]
    merged = build(TableDefinition(), finished(expected, by_seed), expected, layers=("bn1", "bn2", "bn10"))
    assert [layer for (layer,) in merged.row_keys] == ["bn1→bn2", "bn1→bn10", "bn2→bn1", "bn10→bn1", "logits"]


def measured(expected: pd.DataFrame, doubted: str) -> pd.DataFrame:
    """Rows with a value each, and a status that is not ok where `doubted` is part of the run's id; one of those has no value."""
    rows = finished(expected, by_seed).assign(value=0.5, status="ok")
    rows.loc[rows["run_id"].str.contains(doubted), "status"] = "rank 19 of 19"
    return rows


@pytest.mark.parametrize(("format", "mark"), [("text", "†"), ("markdown", "†"), ("latex", r"\dag{}")])
def test_numbers_whose_status_is_not_ok_are_marked_with_one_line_that_says_what_it_means(format, mark):
    expected = expected_runs()
    definition = TableDefinition(value="value")
    text = render(build(definition, measured(expected, "bn1-bn1-linear"), expected), format)
    assert f"(3/3){mark}" in text and text.count(mark) == 2
    assert "the status of a number is not ok, it may mean nothing (1 of 4 cells)" in " ".join(text.split())
    assert mark not in render(build(definition, measured(expected, "nothing"), expected), format)


def test_what_a_status_does_not_speak_of_is_not_marked_and_both_marks_stand_together():
    expected = expected_runs()
    rows = measured(expected, "bn1-bn1-linear")
    assert build(TableDefinition(), rows, expected).cells[LINEAR].doubtful == 0
    cell = build(TableDefinition(value="value"), rows.iloc[1:], expected).cells[LINEAR]
    assert (cell.doubtful, cell.n) == (2, 2)
    lines = render(build(TableDefinition(value="value"), rows.iloc[1:], expected), "text").splitlines()
    assert any("(2/3)†*" in line for line in lines) and len({line.index("(") for line in lines[2:4]}) == 1


def with_controls():
    """Three pairs, each stitched as it is, from an untrained network, and from clusters; rows with a null accuracy beside."""
    real = expected_runs()
    runs = [
        real.assign(control=None),
        *(real.assign(control=one, run_id=real["run_id"] + one) for one in ("untrained", "clusters")),
    ]
    expected = pd.concat(runs, ignore_index=True)
    scores = {"untrained": 0.3, "clusters": 0.95}
    rows = finished(expected, by_seed).assign(
        accuracy=[scores.get(str(one), 0.7) for one in expected["control"]], null_accuracy=0.1
    )
    return expected, rows


def test_controls_stand_beside_the_real_numbers_where_they_are_asked_for_and_the_null_among_them():
    expected, rows = with_controls()
    table = build(TableDefinition(value="accuracy", controls=True), rows, expected)
    found = {col: table.cells[("bn1",), col].mean for col in table.col_keys if col[0] == "linear"}
    names = ("real", "null", "untrained", "clusters")
    assert list(found) == [("linear", name) for name in names]
    assert list(found.values()) == pytest.approx([70, 10, 30, 95])
    assert {table.cells[("bn1",), ("linear", name)].n for name in names} == {3}
    assert "linear / untrained" in render(table, "markdown")


def test_controls_are_left_out_of_a_table_that_does_not_ask_for_them():
    expected, rows = with_controls()
    cell = build(TableDefinition(value="accuracy"), rows, expected).cells[LINEAR]
    assert (cell.mean, cell.n, cell.expected) == (pytest.approx(70), 3, 3)
    named = build(TableDefinition(value="accuracy", cols=["control"]), rows, expected)
    assert named.cells[("bn1",), ("untrained",)].mean == pytest.approx(30)


def test_a_case_that_is_a_control_is_a_column_of_its_own_and_two_controls_are_never_averaged():
    expected, rows = with_controls()
    case = expected["case"].where(expected["control"] != "untrained", "blank")
    apart = expected.assign(case=case)[expected["control"] != "clusters"]
    assert build(TableDefinition(value="accuracy"), rows, apart).cells[("bn1",), ("blank",)].mean == pytest.approx(30)
    with pytest.raises(UserError, match="mean of several controls"):
        build(TableDefinition(value="accuracy"), rows, expected[expected["control"].notna()])


def test_a_measure_has_its_null_as_a_control_and_what_has_none_says_so():
    expected = expected_runs()
    rows = finished(expected, by_seed).assign(value=0.8, null=0.2)
    table = build(TableDefinition(value="value", controls=True), rows, expected)
    assert [table.cells[("bn1",), ("linear", one)].mean for one in ("real", "null")] == pytest.approx([0.8, 0.2])
    with pytest.raises(UserError, match="no negative controls"):
        build(TableDefinition(controls=True), finished(expected, by_seed), expected)
