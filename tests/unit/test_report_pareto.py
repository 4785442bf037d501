"""Cost and value: seconds are shared by work, a case is the mean over its cells, and the front is what nothing else beats."""

import numpy as np
import pandas as pd
import pytest
from stitch_frames import expected_runs

from repsim.errors import UserError
from repsim.report import pareto
from repsim.table import TableDefinition

POINTS = {"cheap": (1, 9), "middle": (2, 4), "beaten": (3, 5), "equal": (3, 4), "best": (5, 1), "dear": (9, 1)}


def test_the_front_of_known_points():
    assert pareto.front(POINTS) == ["cheap", "middle", "best"]
    assert pareto.front(POINTS, less=False) == ["cheap"]
    assert pareto.front({key: (x, -y) for key, (x, y) in POINTS.items()}, less=False) == ["cheap", "middle", "best"]
    assert pareto.front({"only": (1, 1)}) == ["only"]
    assert pareto.front({"beaten by rounding": (3.0, 5), "best": (3.0 + 4e-16, 4)}) == ["best"]


def test_no_other_point_is_better_in_both_than_one_of_the_front():
    points = dict(enumerate(np.random.default_rng(0).random((200, 2)).tolist()))
    best = pareto.front(points)
    beaten = {a for a in points for b in points if a != b and points[b][0] <= points[a][0] and points[b][1] <= points[a][1]}
    assert set(best) == set(points) - beaten


def test_the_time_of_a_group_is_shared_by_work_and_none_is_lost():
    rows = pd.DataFrame(
        {"group": ["a", "a", "a", "b", "b"], "work": [30.0, 10.0, 10.0, 0.0, 0.0], "run_seconds": [5.0, 5.0, 5.0, 2.0, 2.0]}
    )
    seconds = pareto.with_seconds(rows)["seconds"]
    assert seconds.tolist() == pytest.approx([9.0, 3.0, 3.0, 2.0, 2.0])


def tables_of(value="penalty", finished=True, **runs):
    """Value and cost by case: a case's penalty is its rank among cases, at the second layer twice that; its cost ten times less."""
    expected = expected_runs(**{"cases": ("poor", "good", "poorer"), **runs})
    worth = expected["case"].map({"poor": 0.2, "good": 0.1, "poorer": 0.3}) * expected["front_layer"].map({"bn1": 1, "bn2": 2})
    cost = expected["case"].map({"poor": 1.0, "good": 10.0, "poorer": 5.0})
    rows = expected[["run_id"]].assign(outcome="ok", seconds=cost, **{value: worth})
    rows = rows if finished else rows.iloc[:0]
    definition = TableDefinition(value=value)
    return [pareto.by_case(definition, name, rows, expected) for name in (value, "seconds")]


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
    rows = expected[["run_id"]].assign(outcome="ok", seconds=1 + number, penalty=0.9 - 0.01 * number.where(number % 30 == 0, 0))
    tables = [pareto.by_case(TableDefinition(value="penalty"), name, rows, expected) for name in ("penalty", "seconds")]
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


def test_rows_of_two_devices_are_kept_apart():
    rows = pd.DataFrame({"run_id": ["a", "b", "c"], "device": ["cpu", "cuda", "cuda"], "gpu": [None, "H100", "H100"]})
    assert {name: part["run_id"].tolist() for name, part in pareto.devices(rows).items()} == {"cpu": ["a"], "H100": ["b", "c"]}


def test_nothing_finished_is_said():
    with pytest.raises(UserError, match="no run has finished"):
        pareto.picture(*tables_of(finished=False), "cpu")


def test_costs_that_differ_by_rounding_alone_stand_in_the_middle_of_an_axis_that_can_be_read():
    """Stitchers of equal epochs that were packed together have one cost."""
    expected = expected_runs(cases=("a", "b", "c"))
    rounding = expected["case"].map({"a": 0.0, "b": 4e-16, "c": 8e-16})
    rows = expected[["run_id"]].assign(outcome="ok", seconds=3 + rounding, penalty=0.1 * (1 + expected["case"].eq("a")))
    tables = [pareto.by_case(TableDefinition(value="penalty"), name, rows, expected) for name in ("penalty", "seconds")]
    low, high = pareto.picture(*tables, "cpu").axes[0].get_xlim()
    assert (low, high) == pytest.approx((1.5, 6))


def test_runs_that_all_diverged_are_not_called_unfinished():
    expected = expected_runs()
    rows = expected[["run_id"]].assign(outcome="diverged", seconds=1.0, penalty=np.nan)
    tables = [pareto.by_case(TableDefinition(value="penalty"), name, rows, expected) for name in ("penalty", "seconds")]
    with pytest.raises(UserError, match=r"all runs that finished diverged \(12\)"):
        pareto.picture(*tables, "cpu")
