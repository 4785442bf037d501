"""Heat maps of a table: which cell stands where, what is hatched, starred or blank, and which colours are used."""

import re
from itertools import pairwise
from math import isfinite

import numpy as np
import pandas as pd
import pytest

from repsim.errors import UserError
from repsim.report import matrix, wording
from repsim.table import TableDefinition, build


def table_of(
    penalty=lambda i, j: 0.1 * i + 0.01 * j, layers=("bn1", "bn2", "bn3"), cases=("linear",), drop="nothing", apart=0.0, **said
):
    """Every front layer to every end layer that lies not before it, one pair each."""
    pairs = [(i, j) for i in range(len(layers)) for j in range(i, len(layers))]
    expected = pd.DataFrame(
        {"run_id": f"{case}-{layers[i]}-{layers[j]}-{pair}", "case": case, "front_layer": layers[i], "end_layer": layers[j]}
        | {"front_network": f"f{pair}", "end_network": f"g{pair}", "value": penalty(i, j) + apart * pair * (1 + i)}
        for case in cases
        for i, j in pairs
        for pair in range(2)
    )
    rows = expected[["run_id"]].assign(outcome="ok", penalty=expected["value"], residual=expected["value"])
    rows = rows[~rows["run_id"].str.contains(drop)]
    definition = TableDefinition(rows=["case", "front_layer"], cols=["end_layer"], **said)
    return build(definition, rows, expected, layers)


def texts(axes):
    """What stands in the cells: (row, column) → text."""
    return {(round(text.get_position()[1]), round(text.get_position()[0])): text.get_text() for text in axes.texts}


def test_means_stand_at_front_layer_down_and_end_layer_across():
    axes = matrix.picture(table_of()).axes[0]
    means = axes.collections[0].get_array()
    assert means.filled(np.nan) == pytest.approx(np.array([[0, 1, 2], [np.nan, 11, 12], [np.nan, np.nan, 22]]), nan_ok=True)
    assert texts(axes) == {(0, 0): "0.0", (0, 1): "1.0", (0, 2): "2.0", (1, 1): "11.0", (1, 2): "12.0", (2, 2): "22.0"}
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_title()) == ("end layer", "front layer", "linear")
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["bn1", "bn2", "bn3"]


def test_a_missing_cell_is_hatched_a_short_one_starred_and_one_not_asked_for_blank():
    axes = matrix.picture(table_of(drop="bn1-bn2-|bn2-bn3-1")).axes[0]
    assert [(patch.get_y(), patch.get_x()) for patch in axes.patches] == [(-0.5, 0.5)]
    assert texts(axes)[1, 2] == "12.0*" and (0, 1) not in texts(axes) and (2, 0) not in texts(axes)


def test_colours_diverge_about_zero_only_where_zero_means_something_and_both_signs_occur():
    def norm(table):
        return matrix.colours_of(table).norm

    mixed = table_of(lambda i, j: 0.1 * (i - j))
    assert (norm(mixed).vmin, norm(mixed).vmax) == pytest.approx((-20, 20))
    assert matrix.colours_of(mixed).get_cmap().name == matrix.SIGNED
    assert (norm(table_of()).vmin, norm(table_of()).vmax) == pytest.approx((0, 22))
    plain = matrix.colours_of(table_of(lambda i, j: i - j, value="residual"))
    assert plain.get_cmap().name == "magma" and (plain.norm.vmin, plain.norm.vmax) == pytest.approx((-2, 0))


def test_negative_cells_of_a_large_matrix_keep_their_sign_in_grey():
    layers = [f"bn{i}" for i in range(14)]
    axes = matrix.picture(table_of(lambda i, j: 0.01 * (1 if i == j else -1), layers)).axes[0]
    assert set(texts(axes).values()) == {"−"} and len(texts(axes)) == 14 * 13 // 2


def test_each_case_has_a_panel_and_more_than_twelve_go_to_another_page_with_the_same_colours():
    table = table_of(lambda i, j: 0.1 * i, cases=[f"case{i}" for i in range(13)])
    pages = matrix.pages(table)
    assert [len(page) for page in pages.values()] == [6, 7] and list(pages) == ["1", "2"]
    first, second = (matrix.picture(table, page) for page in pages.values())
    assert [axes.get_title() for axes in first.axes[:6]] == [f"case{i}" for i in range(6)]
    assert first.axes[0].collections[0].norm.vmax == second.axes[0].collections[0].norm.vmax
    assert "7 further panels stand on the other pages." in first.get_supxlabel().replace("\n", " ")


def test_two_hundred_layers_stay_on_a_page_with_names_that_do_not_touch():
    figure = matrix.picture(table_of(layers=[f"layer{i}" for i in range(200)]))
    figure.canvas.draw()
    boxes = [tick.get_window_extent() for tick in figure.axes[0].get_xticklabels()]
    assert max(figure.get_size_inches()) < 15 and len(boxes) >= 50
    assert all(one.x1 <= other.x0 for one, other in pairwise(boxes))


def test_nothing_finished_is_said():
    with pytest.raises(UserError, match="no run has finished"):
        matrix.picture(table_of(drop="."))


def test_the_caption_says_how_wide_intervals_are_that_no_cell_shows():
    table = table_of(apart=0.01)
    halves = [cell.half for cell in table.cells.values() if isfinite(cell.half)]
    told = wording.caption(table, matrix.MARKS)
    said = re.search(r"Half a 95 % interval \(.*?\): ([\d.]+)(?: to ([\d.]+))?\.", told)
    assert " ± " not in told and said and max(halves) > min(halves) > 0
    assert float(said[1]) == pytest.approx(min(halves), abs=0.005) and float(said[2] or said[1]) == pytest.approx(
        max(halves), abs=0.005
    )
    bare = wording.caption(table_of(spread="std"), matrix.MARKS)
    assert "Std over pairs" in bare and "interval" not in bare


def test_panels_of_very_many_layers_make_more_pages_and_none_that_is_much_higher_than_a_screen():
    cases = [f"case{i}" for i in range(5)]
    table = table_of(layers=[f"layer{i}" for i in range(60)], cases=cases)
    pages = list(matrix.pages(table).values())
    assert [panel.name for page in pages for panel in page] == cases and len(pages) > 1
    assert all(matrix.picture(table, page).get_size_inches()[1] < 26 for page in pages)


def test_long_names_of_panels_that_stand_side_by_side_do_not_meet():
    cases = ["short", "a_name_that_is_much_longer_than_its_panel_is_wide_and_goes_on", "other"]
    figure = matrix.picture(table_of(cases=cases))
    figure.canvas.draw()
    panels = [axes for axes in figure.axes if axes.get_title()]
    assert [axes.get_title().replace("\n", "") for axes in panels] == cases
    assert all(one.x1 < other.x0 for one, other in pairwise(axes.title.get_window_extent() for axes in panels))


def test_hatches_and_blanks_are_explained_where_there_are_some():
    def said(**asked):
        return " ".join(matrix.picture(table_of(**asked)).get_supxlabel().split())

    assert "Blank: " in said() and "Hatched: expected" not in said()
    assert "Hatched: expected" in said(drop="bn1-bn2-") and "Blank: " not in said(layers=("bn1",))
