"""Bars by layer: heights are the means of the cells, whiskers their intervals, and much of anything goes onto strips and pages."""

from itertools import pairwise

import numpy as np
import pytest
from stitch_frames import expected_runs, finished

from repsim.errors import UserError
from repsim.report import bars, plots
from repsim.table import TableDefinition, build

LAYERS = ("bn1", "bn2", "bn3")


def table_of(drop="nothing", **runs):
    """A table of disjoint pairs, without the runs whose id contains `drop`: 1, 3 and 5 points, birkhoff twice that."""
    expected = expected_runs(**{"layers": LAYERS, **runs})
    rows = finished(expected, lambda run: 0.01 * (1 + run["front_seed"]) * (2 if run["case"] == "birkhoff" else 1))
    return build(TableDefinition(), rows[~rows["run_id"].str.contains(drop)], expected)


def faces(axes):
    """Left to right: (x, height, line style) of each bar's outline."""
    outlines = [patch for patch in axes.patches if not patch.get_fill() and np.isfinite(patch.get_height())]
    return sorted(
        (round(patch.get_x() + patch.get_width() / 2, 6), patch.get_height(), patch.get_linestyle()) for patch in outlines
    )


def whiskers(axes):
    """Left to right: (x, low, high)."""
    found = [container.lines[2][0].get_segments()[0] for container in axes.containers if hasattr(container, "has_yerr")]
    return sorted((round(segment[0, 0], 6), segment[0, 1], segment[1, 1]) for segment in found)


def test_heights_are_the_means_and_whiskers_the_intervals_of_the_cells():
    table = table_of()
    (axes,) = bars.picture(table).axes
    cells = [table.cell(row, col) for row in table.row_keys for col in table.col_keys]
    assert [cell.mean for cell in cells] == pytest.approx([3, 6] * 3)
    assert [height for _, height, _ in faces(axes)] == pytest.approx([3, 6] * 3)
    assert np.array(whiskers(axes))[:, 1:] == pytest.approx(np.array([(cell.low, cell.high) for cell in cells]))
    assert [x for x, *_ in whiskers(axes)] == [x for x, *_ in faces(axes)]
    assert [label.get_text() for label in axes.get_xticklabels()] == list(LAYERS)


def test_a_cell_short_of_its_runs_is_dashed_and_one_without_a_number_is_a_cross_at_zero():
    (axes,) = bars.picture(table_of(drop="bn1-bn1-linear-0|bn2-bn2-linear")).axes
    assert [style for *_, style in faces(axes)] == ["--", "solid", "solid", "solid", "solid"]
    crosses = [tuple(map(float, line.get_xydata()[0])) for line in axes.get_lines() if line.get_marker() == "x"]
    assert crosses == [(pytest.approx(1 - 0.21), 0.0)]


def test_a_single_pair_has_bars_without_whiskers_and_the_caption_says_why():
    figure = bars.picture(table_of(pairs=((0, 1),)))
    assert whiskers(figure.axes[0]) == []
    assert "No whisker: too few independent networks" in figure.get_supxlabel().replace("\n", " ")
    assert "n = 1 of 1 runs per bar" in figure.get_suptitle()


def test_forty_stitchers_at_eight_layers_are_one_page_of_strips_with_each_of_them_in_the_legend():
    table = table_of(layers=[f"bn{i}" for i in range(8)], cases=[f"case{i}" for i in range(40)])
    (page,) = bars.pages(table)
    figure = bars.picture(table, page)
    assert len(figure.legends[0].get_texts()) == 40
    assert sum(len(faces(axes)) for axes in figure.axes) == 320
    inches = figure.get_size_inches()[0] * figure.axes[0].get_position().width / len(faces(figure.axes[0]))
    assert inches > 0.08 and max(figure.get_size_inches()) < 20


def test_two_hundred_layers_are_all_there_once_over_the_pages_in_order():
    layers = [f"layer{i}" for i in range(200)]
    table = table_of(layers=layers, cases=("a", "b", "c"))
    for kind in (bars, plots):
        pages = kind.pages(table)
        assert [row[-1] for page in pages for strip in page.strips for row in strip.rows] == layers
        assert [page.name for page in pages] == ([str(i) for i in range(1, len(pages) + 1)] if len(pages) > 1 else [""])
    first, second = bars.pages(table)
    said = bars.picture(table, second).get_supxlabel().replace("\n", " ")
    assert f"Page 2 of 2: {sum(len(strip.rows) for strip in second.strips)} of 200 by layer" in said and "layer199" in said
    assert bars.picture(table, first).axes[0].get_ylim() == bars.picture(table, second).axes[0].get_ylim()


def test_more_than_forty_series_go_to_further_pages_and_each_says_so():
    table = table_of(layers=("bn1",), cases=[f"case{i}" for i in range(60)])
    pages = bars.pages(table)
    assert [len(page.cols) for page in pages] == [30, 30]
    assert "30 of 60 by case" in bars.picture(table, pages[0]).get_supxlabel().replace("\n", " ")


def test_names_that_no_text_covers_stand_apart():
    """Every tick label and legend entry has a place of its own, for long names and unicode ones."""
    for table in (
        table_of(layers=[f"features.block{i}.βν" for i in range(30)]),
        table_of(layers=("слой1", "ℓ³", "bn→relu"), cases=("línea", "α=½")),
    ):
        figure = bars.picture(table)
        figure.canvas.draw()
        for axes in figure.axes:
            boxes = [label.get_window_extent() for label in axes.get_xticklabels()]
            upright = axes.get_xticklabels()[0].get_rotation() in (0.0, 90.0)
            assert not upright or all(one.x1 <= other.x0 for one, other in pairwise(boxes))


def test_a_table_without_a_finished_run_is_not_drawn():
    with pytest.raises(UserError, match="no run has finished"):
        bars.picture(table_of(drop="."))


@pytest.mark.parametrize(
    ("outcome", "said"), [("diverged", r"all runs that finished diverged \(18\)"), ("ok", "no finished run has a penalty")]
)
def test_why_there_is_nothing_to_draw_is_told_apart(outcome, said):
    expected = expected_runs(layers=LAYERS)
    rows = expected[["run_id"]].assign(outcome=outcome, penalty=np.nan)
    with pytest.raises(UserError, match=said):
        bars.picture(build(TableDefinition(), rows, expected))
