"""One number of the same runs against another: where points stand, the correlation, the diagonal, and what cannot be drawn."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr
from stitch_frames import expected_runs

from repsim.errors import UserError
from repsim.report import scatter
from repsim.table import TableDefinition, build

LAYERS = ("bn1", "bn2", "bn3", "bn4")


def tables_of(y="penalty", drop="nothing", seed=0, untrained="nothing", **runs):
    """The tables of matched_penalty and of `y`, of three disjoint pairs with random numbers, and their rows."""
    expected = expected_runs(**{"layers": LAYERS, **runs})
    numbers = np.random.default_rng(seed)
    x = numbers.random(len(expected))
    rows = expected[["run_id"]].assign(outcome="ok", matched_penalty=x, penalty=x**2 + 0.2 * numbers.random(len(x)), loss=x)
    same = rows["run_id"].str.contains(untrained)
    rows.loc[same, "penalty"] = rows.loc[same, "matched_penalty"]
    rows.loc[rows["run_id"].str.contains(drop), "matched_penalty"] = None
    both = scatter.both(rows, "matched_penalty", y)
    return [build(TableDefinition(value=value), both, expected) for value in ("matched_penalty", y)]


def points(figure):
    """(x, y) of the large marks."""
    lines = [line for line in figure.axes[0].get_lines() if line.get_markersize() == 5.5 and len(line.get_xdata())]
    return sorted((float(line.get_xdata()[0]), float(line.get_ydata()[0])) for line in lines)


def test_a_point_per_layer_and_case_stands_at_both_means_and_reaches_as_far_as_both_intervals():
    x, y = tables_of()
    figure = scatter.picture(x, y)
    assert points(figure) == pytest.approx(np.array(sorted((x.cells[key].mean, y.cells[key].mean) for key in y.cells)))
    spans = {round(float(np.ptp(segment[:, 0])), 6) for line in figure.axes[0].collections for segment in line.get_segments()}
    assert {round(2 * cell.half, 6) for cell in x.cells.values()} <= spans
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["linear", "birkhoff"]


def test_the_correlation_in_the_caption_is_that_of_scipy_over_points_and_over_pairs():
    x, y = tables_of()
    caption = scatter.picture(x, y).get_supxlabel().replace("\n", " ")
    means = [(x.cells[key].mean, y.cells[key].mean) for key in y.cells]
    pairs = [two for key in y.cells for two in zip(x.cells[key].values, y.cells[key].values, strict=True)]
    over_points, over_pairs = (spearmanr(*zip(*found, strict=True)).statistic for found in (means, pairs))
    behind = "24 numbers behind them, one per pair of networks and point."
    assert f"ρ = {over_points:.2f} over 8 points, {over_pairs:.2f} over the {behind}" in caption
    assert "left out" not in caption


def test_points_where_nothing_was_trained_are_drawn_and_left_out_of_the_correlation():
    whole, (x, y) = tables_of(), tables_of(untrained="birkhoff")
    kept = [key for key in y.cells if key[1] == ("linear",)]
    figure = scatter.picture(x, y)
    caption = figure.get_supxlabel().replace("\n", " ")
    means = [(x.cells[key].mean, y.cells[key].mean) for key in kept]
    behind = [two for key in kept for two in zip(x.cells[key].values, y.cells[key].values, strict=True)]
    rho = [spearmanr(*zip(*found, strict=True)).statistic for found in (means, behind)]
    assert f"ρ = {rho[0]:.2f} over 4 points, {rho[1]:.2f} over the 12 numbers behind them".replace("-", "−") in caption
    assert "Drawn and left out of ρ: 4 points where nothing was trained (birkhoff), equal both ways in every run." in caption
    assert len(points(figure)) == len(points(scatter.picture(*whole))) == 8


def test_one_run_that_differs_makes_a_point_count_and_so_does_a_number_of_another_kind():
    x, y = tables_of(untrained="birkhoff-[02]")  # of pairs 0-1, 2-3 and 4-5
    assert "over 8 points" in scatter.picture(x, y).get_supxlabel().replace("\n", " ")
    assert "over 8 points" in scatter.picture(*tables_of("loss")).get_supxlabel().replace("\n", " ")


@pytest.mark.parametrize(
    "pairs, rho",
    [([(1, 5), (2, 6), (3, 9)], 1.0), ([(1, 9), (2, 6), (3, 5)], -1.0), ([(1, 1), (2, 2)], np.nan), ([(1, 1)] * 4, np.nan)],
)
def test_a_correlation_of_known_order(pairs, rho):
    assert scatter.correlation(pairs) == pytest.approx(rho, nan_ok=True)


def test_a_run_that_lacks_one_number_counts_in_neither():
    x, y = tables_of(drop="bn1-bn1-linear-0")
    cells = [table.cell(("bn1",), ("linear",)) for table in (x, y)]
    assert [cell.n for cell in cells] == [2, 2] and [len(cell.values) for cell in cells] == [2, 2]
    assert "n = 2–3 of 3 runs per point" in scatter.picture(x, y).get_suptitle().replace("\n", " ")


def test_the_diagonal_is_drawn_only_where_both_are_one_number():
    alike, apart = tables_of(), tables_of("loss")
    assert "Dashed: equal." in scatter.picture(*alike).get_supxlabel()
    assert "Dashed" not in scatter.picture(*apart).get_supxlabel()
    axes = scatter.picture(*alike).axes[0]
    assert axes.get_xlim() == axes.get_ylim()


def test_forty_one_cases_go_onto_two_pages():
    x, y = tables_of(layers=("bn1",), cases=[f"case{i}" for i in range(41)])
    pages = scatter.pages(y)
    assert [len(page) for page in pages.values()] == [20, 21]
    figures = [scatter.picture(x, y, page) for page in pages.values()]
    assert [len(points(figure)) for figure in figures] == [20, 21]
    said = [figure.get_supxlabel().replace("\n", " ") for figure in figures]
    assert "21 further series stand on the other pages; ρ is of this one." in said[0] and "20 further series" in said[1]


def test_no_common_number_is_said():
    x, y = tables_of(drop=".")
    with pytest.raises(UserError, match="no run has both matched_penalty and penalty"):
        scatter.picture(x, y)
    assert pd.isna(scatter.correlation([]))


def test_of_very_many_points_no_interval_hides_the_others_and_the_caption_says_how_wide_they_are():
    x, y = tables_of(layers=[f"bn{i}" for i in range(301)])
    figure = scatter.picture(x, y)
    assert len(points(figure)) == 602 and not figure.axes[0].collections
    caption = figure.get_supxlabel().replace("\n", " ")
    assert "Half a 95 % interval (t interval over 3 disjoint pairs): " in caption and "±" not in caption


def test_single_pairs_are_named_only_where_they_are_drawn():
    def said(**runs):
        return scatter.picture(*tables_of(**runs)).get_supxlabel().replace("\n", " ")

    assert "small: single pairs of networks" in said()
    assert "small" not in said(pairs=((0, 1),))
    assert "small" not in said(layers=[f"bn{i}" for i in range(600)])
