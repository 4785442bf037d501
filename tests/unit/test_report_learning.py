"""Learning curves as means over seeds: the line is the mean of the epochs that are there, the band its interval."""

from math import nan

import numpy as np
import pytest
from scipy.stats import t

from repsim.errors import UserError
from repsim.report import learning
from repsim.report.learning import Curve, Panel


def curves(values):
    """One network per row of values, epochs 1, 2, …"""
    return [Curve(str(i), str(i), dict(enumerate(row, 1))) for i, row in enumerate(values)]


VALUES = [[0.1, 0.5], [0.2, 0.7], [0.6, 0.6]]


def test_the_mean_and_its_t_interval_over_networks_at_each_epoch():
    found = learning.mean(curves(VALUES))
    for epoch, column in zip((1, 2), np.array(VALUES).T, strict=True):
        half = t.ppf(0.975, 2) * column.std(ddof=1) / np.sqrt(3)
        assert (found[epoch].mean, found[epoch].half) == pytest.approx((column.mean(), half))


def test_a_value_that_is_not_finite_is_left_out_and_stitches_of_one_pair_weigh_as_one():
    assert learning.mean(curves([[1.0, 2.0], [nan, 4.0]]))[1].mean == 1.0
    twice = [Curve("f", "g", {1: 0.0}), Curve("f", "g", {1: 1.0}), Curve("g", "f", {1: 2.0})]
    assert learning.mean(twice)[1].mean == pytest.approx(1.25)


def test_lines_bands_and_counts_are_drawn():
    figure = learning.picture([Panel("bn4", "loss", {"linear": curves(VALUES), "lasso": curves(VALUES[:1])})], "stitchers")
    axes = figure.axes[0]
    lines = [line.get_ydata().tolist() for line in axes.get_lines() if line.get_linewidth() == 1.3]
    assert lines == [pytest.approx(np.mean(VALUES, axis=0).tolist()), pytest.approx(VALUES[0])]
    assert len([line for line in axes.get_lines() if line.get_linewidth() == 0.6]) == 3
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["linear (n = 3)", "lasso (n = 1)"]
    assert figure.get_suptitle() == "Learning curves of stitchers, n = 4" and axes.get_ylabel() == "loss"


def test_ten_panels_are_two_pages_and_no_curve_is_an_error():
    panels = [Panel(f"bn{i}", "loss", {"linear": curves(VALUES)}) for i in range(10)]
    assert {name: len(page) for name, page in learning.pages(panels).items()} == {"1": 5, "2": 5}
    with pytest.raises(UserError, match="no learning curve is stored"):
        learning.picture([], "trainings")


def test_fifty_lines_are_two_pages_each_line_once_and_each_page_says_so():
    lines = {f"case{i}": curves(VALUES) for i in range(50)}
    panels = [Panel("bn1", "loss", lines), Panel("bn2", "loss", dict(list(lines.items())[:10]))]
    pages = learning.pages(panels)
    assert {name: [len(panel.lines) for panel in page] for name, page in pages.items()} == {"1": [25, 10], "2": [25]}
    figures = [learning.picture(page, "stitchers", panels) for page in pages.values()]
    names = [text.get_text() for figure in figures for text in figure.legends[0].get_texts()]
    assert names == [f"case{i} (n = 3)" for i in range(50)]
    assert all("25 further lines stand on the other pages." in figure.get_supxlabel().replace("\n", " ") for figure in figures)
