"""The picture of a table against a number: what is drawn where, which tables are drawn so, and what is refused."""

from math import log2

import numpy as np
import pandas as pd
import pytest

from repsim.errors import UserError
from repsim.report import against
from repsim.table import TableDefinition, build

RANKS = (1, 2, 4, 16)


def table_of(ranks=RANKS, layers=("bn1", "bn2"), drop="nothing", rows=("front_layer", "rank"), cases=("task", "cka")):
    """Cases at every layer and rank of three disjoint pairs: rank + 100 · pair, a case worth a half."""
    expected = pd.DataFrame(
        [
            {"run_id": f"{case}-{layer}-{rank}-{pair}", "case": case, "front_layer": layer, "end_layer": layer, "rank": rank}
            | {"front_network": f"f{pair}", "end_network": f"g{pair}", "size": rank}
            for case in cases
            for layer in layers
            for rank in ranks
            for pair in range(3)
        ]
    )
    value = [(row.rank or 32) + 0.1 * int(row.run_id[-1]) + 0.5 * (row.case == "cka") for row in expected.itertuples()]
    stored = expected[["run_id"]].assign(outcome="ok", value=value)
    stored = stored[~stored["run_id"].str.contains(drop)]
    definition = TableDefinition(rows=list(rows), cols=["case"], value="value")
    return build(definition, stored, expected, layers)


def lines(axes):
    """The connecting lines, as (x, y)."""
    return [(line.get_xdata(), line.get_ydata()) for line in axes.get_lines() if line.get_linewidth() == 1.1]


def test_means_stand_at_the_logarithm_of_the_number_one_panel_per_layer():
    table = table_of()
    figure = against.picture(table)
    first, second = figure.axes
    assert [axes.get_title() for axes in figure.axes] == ["bn1", "bn2"]
    for axes in (first, second):
        for (x, y), extra in zip(lines(axes), (0.0, 0.5), strict=True):
            assert np.round(x) == pytest.approx([log2(rank) for rank in RANKS]) and y == pytest.approx(
                [rank + 0.1 + extra for rank in RANKS]
            )
    assert [label.get_text() for label in first.get_xticklabels()] == ["1", "2", "4", "16"]
    assert "against rank" in figure.get_suptitle() and "n = 3 of 3 runs" in figure.get_suptitle()


def test_a_layer_as_it_is_stands_right_of_the_largest_rank():
    table = table_of(ranks=(4, None, 1, 16))
    assert list(against._places(table).items()) == [("1", 0.0), ("4", 2.0), ("16", 4.0), ("–", 5.0)]
    figure = against.picture(table)
    assert figure.axes[0].get_xticklabels()[-1].get_text() == "full"


def test_numbers_of_a_narrow_range_stand_to_scale():
    assert list(against._places(table_of(ranks=(10, 12, 20))).values()) == [0.0, 2.0, 10.0]


def test_panels_put_lines_against_axes_of_their_own():
    table = table_of()
    figure = against.picture(table, {"accuracy": ["task"], "similarity": ["cka"]})
    assert [axes.get_ylabel() for axes in figure.axes] == ["accuracy", "", "similarity", ""]
    assert [len(lines(axes)) for axes in figure.axes] == [1, 1, 1, 1]
    (_, task), (_, cka) = lines(figure.axes[0])[0], lines(figure.axes[2])[0]
    assert cka - task == pytest.approx(0.5)
    assert "Accuracy and similarity against rank" in figure.get_suptitle()


def test_a_cell_that_is_short_of_its_runs_is_hollow_and_one_without_any_a_gap():
    table = table_of(drop="task-bn1-2-2|task-bn1-4")
    axes = against.picture(table).axes[0]
    assert np.isnan(lines(axes)[0][1]).tolist() == [False, False, True, False]
    faces = [container.lines[0].get_markerfacecolor() for container in axes.containers]
    assert faces.count("white") == 1


def test_only_tables_whose_rows_end_with_a_number_are_drawn_so():
    assert against.is_number(table_of())
    assert not against.is_number(table_of(rows=("rank", "front_layer")))
    assert not against.is_number(table_of(layers=("1", "2"), rows=("front_layer",)))
    assert not against.is_number(table_of(ranks=(4,)))


@pytest.mark.parametrize(
    "table, panels, message",
    [
        (table_of(), {"accuracy": ["tusk"]}, "the table has no column 'tusk'\n  → did you mean 'task'"),
        (table_of(rows=("front_layer",)), {"accuracy": ["task"]}, "the rows end with layer, which is no number"),
        (table_of(drop="."), {}, "no run has finished"),
    ],
)
def test_what_cannot_be_drawn_is_said(table, panels, message):
    with pytest.raises(UserError) as error:
        against.picture(table, panels)
    assert message in str(error.value)


def test_two_hundred_layers_are_pages_of_a_width_that_can_be_printed():
    table = table_of(ranks=(1, 2), layers=[f"bn{i}" for i in range(200)])
    pages = against.pages(table)
    assert [key for page in pages.values() for key in page.across] == [(f"bn{i}",) for i in range(200)]
    figure = against.picture(table, page=pages["2"])
    assert [axes.get_title() for axes in figure.axes] == [f"bn{i}" for i in range(8, 16)]
    assert figure.get_size_inches()[0] < 25 and "192 further panels side by side stand" in figure.get_supxlabel().replace("\n", " ")


def test_sixty_four_lines_are_pages_of_at_most_twelve_each_line_once():
    table = table_of(cases=[f"case{i}" for i in range(64)])
    pages = against.pages(table)
    assert [len(page.lines) for page in pages.values()] == [10, 11, 11, 10, 11, 11]
    figures = {name: against.picture(table, page=page) for name, page in pages.items()}
    assert [len(lines(figure.axes[0])) for figure in figures.values()] == [10, 11, 11, 10, 11, 11]
    names = [text.get_text() for figure in figures.values() for text in figure.legends[0].get_texts()]
    assert names == [f"case{i}" for i in range(64)]
    assert "54 further lines stand on the other pages." in figures["1"].get_supxlabel().replace("\n", " ")
    left, right = figures["2"].axes[0].get_xlim()
    assert all(left < x < right for line in lines(figures["2"].axes[0]) for x in line[0])


def test_rows_of_panels_are_cut_only_where_one_of_them_has_more_than_twelve_lines():
    cases = [f"case{i}" for i in range(20)]
    table = table_of(cases=cases)
    (page,) = against.pages(table, {"a": cases[:10], "b": cases[10:]}).values()
    assert page.lines == {(case,) for case in cases}
    first, second = against.pages(table, {"a": cases[:1], "b": cases[1:]}).values()
    assert {axis: len(cols) for axis, cols in second.rows.items()} == {"a": 1, "b": 10}
    assert {axis: len(cols) for axis, cols in first.rows.items()} == {"b": 9}
    figure = against.picture(table, {"a": cases[:1], "b": cases[1:]}, first)
    assert "11 further lines stand on the other pages." in figure.get_supxlabel().replace("\n", " ")


def test_eight_panels_stand_in_two_rows_of_one_scale():
    figure = against.picture(table_of(layers=tuple(f"bn{i}" for i in range(1, 9))))
    assert [axes.get_title() for axes in figure.axes] == [f"bn{i}" for i in range(1, 9)]
    assert len({axes.get_ylim() for axes in figure.axes}) == 1 and figure.get_figwidth() < 14
    assert [bool(axes.get_ylabel()) for axes in figure.axes] == [True, False, False, False] * 2
    assert all(axes.get_xlabel() == "rank" for axes in figure.axes)
