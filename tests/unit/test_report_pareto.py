"""Cost and value: seconds are shared by work, a case is the mean over its cells, and the front is what nothing else beats."""

import numpy as np
import pandas as pd
import pytest
from stitch_frames import expected_runs

from repsim.errors import UserError
from repsim.report import bycase, pareto
from repsim.table import TableDefinition

POINTS = {"cheap": (1, 9), "middle": (2, 4), "beaten": (3, 5), "equal": (3, 4), "best": (5, 1), "dear": (9, 1)}


def test_the_front_of_known_points():
    assert bycase.front(POINTS) == ["cheap", "middle", "best"]
    assert bycase.front(POINTS, less=False) == ["cheap"]
    assert bycase.front({key: (x, -y) for key, (x, y) in POINTS.items()}, less=False) == ["cheap", "middle", "best"]
    assert bycase.front({"only": (1, 1)}) == ["only"]
    assert bycase.front({"beaten by rounding": (3.0, 5), "best": (3.0 + 4e-16, 4)}) == ["best"]


def test_no_other_point_is_better_in_both_than_one_of_the_front():
    points = dict(enumerate(np.random.default_rng(0).random((200, 2)).tolist()))
    best = bycase.front(points)
    beaten = {a for a in points for b in points if a != b and points[b][0] <= points[a][0] and points[b][1] <= points[a][1]}
    assert set(best) == set(points) - beaten


def test_the_time_of_a_group_is_shared_by_work_and_none_is_lost():
    rows = pd.DataFrame(
        {
            "submission": "s",
            "started": "t",
            "group": ["a", "a", "a", "b", "b"],
            "work": [30.0, 10.0, 10.0, 0.0, 0.0],
            "run_seconds": [5.0, 5.0, 5.0, 2.0, 2.0],
        }
    )
    seconds = bycase.with_seconds(rows)[bycase.SECONDS]
    assert seconds.tolist() == pytest.approx([9.0, 3.0, 3.0, 2.0, 2.0])


def tables_of(value="penalty", finished=True, **runs):
    """Value and cost by case: a case's penalty is its rank among cases, at the second layer twice that; its cost ten times less."""
    expected = expected_runs(**{"cases": ("poor", "good", "poorer"), **runs})
    worth = expected["case"].map({"poor": 0.2, "good": 0.1, "poorer": 0.3}) * expected["front_layer"].map({"bn1": 1, "bn2": 2})
    cost = expected["case"].map({"poor": 1.0, "good": 10.0, "poorer": 5.0})
    rows = expected[["run_id"]].assign(outcome="ok", **{bycase.SECONDS: cost, value: worth})
    rows = rows if finished else rows.iloc[:0]
    definition = TableDefinition(value=value)
    return [bycase.pooled(definition, name, rows, expected) for name in (value, bycase.SECONDS)]


def marks(figure):
    """(x, y) of each case, and of the ringed ones."""
    lines = figure.axes[0].get_lines()
    cases = [(float(line.get_xdata()[0]), float(line.get_ydata()[0])) for line in lines if line.get_markersize() == 7]
    (ringed,) = [line.get_xydata().tolist() for line in lines if line.get_markersize() == 13]
    return cases, [tuple(point) for point in ringed]


def test_a_case_stands_at_the_mean_over_its_cells_and_the_front_is_ringed():
    figure = pareto.picture(*tables_of(), "cpu")
    cases, ringed = marks(figure)
    assert cases == [pytest.approx((1, 30)), pytest.approx((10, 15)), pytest.approx((5, 45))]
    assert ringed == [pytest.approx((1, 30)), pytest.approx((10, 15))]
    assert figure.axes[0].get_xscale() == "log"
    assert "the Pareto front (poor, good)" in figure.get_supxlabel().replace("\n", " ")
    assert "n = 6 of 6 runs per case" in figure.get_suptitle().replace("\n", " ")


def test_seconds_that_a_group_shares_by_work_are_said_to_tell_its_stitchers_not_apart():
    said = pareto.picture(*tables_of(), "cpu").get_supxlabel().replace("\n", " ")
    assert "seconds cannot tell apart cases of equal work (stitchers of equal epochs) that were packed together." in said
    mean, _ = tables_of()
    assert "seconds" not in pareto.picture(mean, mean, "cpu").get_supxlabel()


def test_forty_one_cases_are_two_pages_with_the_front_of_all():
    cases = [f"case{i}" for i in range(41)]
    expected = expected_runs(cases=cases)
    number = expected["case"].str.removeprefix("case").astype(float)
    penalty = 0.9 - 0.01 * number.where(number % 30 == 0, 0)
    rows = expected[["run_id"]].assign(outcome="ok", penalty=penalty, **{bycase.SECONDS: 1 + number})
    tables = [bycase.pooled(TableDefinition(value="penalty"), name, rows, expected) for name in ("penalty", bycase.SECONDS)]
    pages = pareto.pages(*tables)
    assert [key for page in pages.values() for key in page] == [(case,) for case in cases]
    for (name, page), best in zip(pages.items(), (0, 30), strict=True):
        figure = pareto.picture(*tables, "cpu", page)
        drawn, ringed = marks(figure)
        assert (len(drawn), ringed) == ({"1": 20, "2": 21}[name], [pytest.approx((1 + best, 90 - best))])
        said = figure.get_supxlabel().replace("\n", " ")
        assert f"the Pareto front (case0, case30). {41 - len(page)} further points stand on the other pages, over" in said
    ranges = [pareto.picture(*tables, "cpu", page).axes[0].get_xlim() for page in pages.values()]
    assert ranges[0] == pytest.approx(ranges[1])


def test_of_an_accuracy_more_is_better():
    _, ringed = marks(pareto.picture(*tables_of("accuracy"), "cpu"))
    assert ringed == [pytest.approx((1, 30)), pytest.approx((5, 45))]


def test_there_is_no_front_where_neither_less_nor_more_is_better():
    figure = pareto.picture(*tables_of("value"), "cpu")
    assert not [line for line in figure.axes[0].get_lines() if line.get_markersize() == 13]
    said = figure.get_supxlabel().replace("\n", " ")
    assert "No front: of value neither less nor more is better." in said and "Ringed" not in said


def test_the_axis_says_what_computed():
    assert pareto.picture(*tables_of(), "cpu").axes[0].get_xlabel() == "seconds of a CPU task per run"
    assert pareto.picture(*tables_of(), "NVIDIA H100").axes[0].get_xlabel() == "GPU-seconds per run (NVIDIA H100)"


def of_two_devices(**said):
    """By device its table of penalties, of runs of which the layer bn1 was computed by a card and bn2 by the processor."""
    expected = expected_runs(cases=("poor", "good"))
    on_card = expected["front_layer"] == "bn1"
    rows = expected[["run_id"]].assign(outcome="ok", penalty=on_card.map({True: 0.1, False: 0.3}))
    rows = rows.assign(device=on_card.map({True: "cuda", False: "cpu"}), gpu=on_card.map({True: "H100", False: None}))
    definition = TableDefinition(**said)
    told = bycase.by_device(definition, rows, expected)
    return {device: bycase.pooled(one, "penalty", rows, expected) for device, one in told.items()}


def test_runs_of_two_devices_are_kept_apart():
    tables = of_two_devices()
    assert {device: {cell.mean for cell in table.cells.values()} for device, table in tables.items()} == {
        "H100": {10.0},
        "cpu": {30.0},
    }
    assert {cell.n for table in tables.values() for cell in table.cells.values()} == {3}


def test_where_the_shown_runs_have_one_device_nothing_is_left_out_but_what_the_table_leaves_out():
    (table,) = of_two_devices(where={"layer": ["bn2"]}).values()
    assert table.definition.where == {"front_layer": ["bn2"]}
    assert [(cell.mean, cell.n, cell.expected) for cell in table.cells.values()] == [(30.0, 3, 3)] * 2


def test_nothing_finished_is_said():
    with pytest.raises(UserError, match="no run has finished"):
        pareto.picture(*tables_of(finished=False), "cpu")


def test_costs_that_differ_by_rounding_alone_stand_in_the_middle_of_an_axis_that_can_be_read():
    """Stitchers of equal epochs that were packed together have one cost."""
    expected = expected_runs(cases=("a", "b", "c"))
    rounding = expected["case"].map({"a": 0.0, "b": 4e-16, "c": 8e-16})
    rows = expected[["run_id"]].assign(outcome="ok", penalty=0.1 * (1 + expected["case"].eq("a")))
    rows[bycase.SECONDS] = 3 + rounding
    tables = [bycase.pooled(TableDefinition(value="penalty"), name, rows, expected) for name in ("penalty", bycase.SECONDS)]
    low, high = pareto.picture(*tables, "cpu").axes[0].get_xlim()
    assert (low, high) == pytest.approx((1.5, 6))


def test_runs_that_all_diverged_are_not_called_unfinished():
    expected = expected_runs()
    rows = expected[["run_id"]].assign(outcome="diverged", penalty=np.nan, **{bycase.SECONDS: 1.0})
    tables = [bycase.pooled(TableDefinition(value="penalty"), name, rows, expected) for name in ("penalty", bycase.SECONDS)]
    with pytest.raises(UserError, match=r"all runs that finished diverged \(12\)"):
        pareto.picture(*tables, "cpu")
