import subprocess
import sys
from dataclasses import replace
from math import isnan, nan

import matplotlib.image
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgba
from stitch_frames import expected_runs, finished

from repsim.errors import UserError
from repsim.report import plots, saving, style
from repsim.table import TableDefinition, build
from repsim.table import pages as tables

LAYERS = ("bn1", "bn2", "bn3")


def table_of(penalty=lambda run: 0.01 * (1 + run["front_seed"]), drop="nothing", definition=None, **runs):
    """A table of disjoint pairs, without the runs whose id contains `drop`."""
    expected = expected_runs(**{"layers": LAYERS, **runs})
    rows = finished(expected, penalty)
    return build(definition or TableDefinition(), rows[~rows["run_id"].str.contains(drop)], expected)


def bars(axes):
    """(mean, low, high) of every drawn interval."""
    found = []
    for container in axes.containers:
        mean = float(container.lines[0].get_ydata()[0])
        segments = container.lines[2][0].get_segments() if container.lines[2] else []
        ends = [segment[:, 1] for segment in segments]
        found.append((mean, *ends[0]) if ends and not np.isnan(ends[0]).any() else (mean, nan, nan))
    return found


def lines_by_case(axes):
    """The y values of the connecting line of each case, in order."""
    return [line.get_ydata() for line in axes.get_lines() if len(line.get_xdata()) == len(LAYERS) and line.get_linewidth() == 0.9]


def test_drawn_means_and_intervals_are_those_of_the_table():
    table = table_of()
    (axes,) = plots.picture(table).axes
    expected = [
        (cell.mean, cell.low, cell.high) for col in table.col_keys for row in table.row_keys if (cell := table.cell(row, col))
    ]
    assert np.array(bars(axes)) == pytest.approx(np.array(expected))
    assert [label.get_text() for label in axes.get_xticklabels()] == list(LAYERS)


def test_few_pairs_are_drawn_one_by_one_and_many_are_not():
    def dots(table):
        return sorted(y for line in plots.picture(table).axes[0].get_lines() if line.get_marker() == "." for y in line.get_ydata())

    assert dots(table_of(layers=("bn1",), cases=("linear",))) == pytest.approx([1, 3, 5])
    many = [(2 * i, 2 * i + 1) for i in range(plots.FEW + 1)]
    assert dots(table_of(layers=("bn1",), cases=("linear",), pairs=many)) == []


def test_cell_without_a_value_is_a_gap_in_its_line_only():
    linear, birkhoff = lines_by_case(plots.picture(table_of(drop="bn2-bn2-linear")).axes[0])
    assert [isnan(y) for y in linear] == [False, True, False]
    assert not np.isnan(birkhoff).any()


def test_cell_short_of_its_runs_is_hollow():
    axes = plots.picture(table_of(drop="bn1-bn1-linear-4-5")).axes[0]
    faces = [to_rgba(container.lines[0].get_markerfacecolor()) for container in axes.containers]
    assert [face == to_rgba("white") for face in faces] == [True] + [False] * 5


def test_single_pair_has_a_marker_and_no_interval():
    axes = plots.picture(table_of(pairs=((0, 1),))).axes[0]
    assert [mean for mean, _, _ in bars(axes)] == pytest.approx([1] * 6)
    assert all(isnan(low) for _, low, _ in bars(axes))


def test_title_axes_and_caption_say_what_unit_and_n():
    figure = plots.picture(table_of(drop="bn1-bn1-linear-4-5"))
    text = " ".join(item.get_text().replace("\n", " ") for item in figure.texts)
    assert "Stitching penalty by layer, n = 2–3 of 3 runs per point" in text
    assert "t interval over 2 to 3 disjoint pairs" in text
    assert "Hollow: short of the expected runs (1 of 6 cells)." in text
    assert figure.axes[0].get_ylabel() == "penalty (accuracy points)"
    assert figure.axes[0].get_xlabel() == "layer"
    assert [entry.get_text() for entry in figure.legends[0].get_texts()] == ["linear", "birkhoff"]


@pytest.mark.parametrize("averaged", ["pair", "network"])
def test_the_caption_says_what_a_dot_is(averaged):
    figure = plots.picture(replace(table_of(layers=("bn1",)), unit_of_mean=averaged))
    assert f"dots: {averaged}s, where at most 12" in figure.get_supxlabel().replace("\n", " ")


def test_each_architecture_has_its_panel_with_its_own_layers():
    first, second = expected_runs(layers=LAYERS), expected_runs(layers=("relu1", "relu2"), archs=("mcnn",))
    expected = pd.concat([first, second])
    table = build(TableDefinition(rows=["front_arch", "front_layer"]), finished(expected, lambda run: 0.01), expected)
    axes = plots.picture(table).axes
    assert [panel.get_title() for panel in axes] == ["tiny10", "mcnn"]
    assert [[tick.get_text() for tick in panel.get_xticklabels()] for panel in axes] == [["bn1", "bn2", "bn3"], ["relu1", "relu2"]]


def test_case_at_seventy_points_makes_the_axis_logarithmic_and_leaves_the_others_apart():
    values = {"random": 0.7, "ps_inv": 0.010, "matched": 0.016}
    axes = plots.picture(table_of(lambda run: values[run["case"]], cases=tuple(values))).axes[0]
    height = axes.transAxes.inverted().transform(axes.transData.transform([(0, 1.0), (0, 1.6), (0, 70)]))[:, 1]
    assert axes.get_yscale() == "symlog"
    assert "logarithmic beyond ±5" in axes.get_ylabel()
    assert height[1] - height[0] > 0.05  # on a linear axis: 0.6/70, below 0.01
    assert 0 < height[0] < height[2] < 1


@pytest.mark.parametrize("values", [{"a": 0.01, "b": 0.09}, {"a": -0.02, "b": 0.01}, {"a": 0.7, "b": 0.6}, {"a": 0.0, "b": 0.0}])
def test_axis_stays_linear_where_no_case_dwarfs_the_others(values):
    axes = plots.picture(table_of(lambda run: values[run["case"]], cases=("a", "b"))).axes[0]
    assert axes.get_yscale() == "linear"
    low, high = axes.get_ylim()
    assert all(low < 100 * value < high for value in values.values())


def test_negative_outlier_is_inside_the_logarithmic_axis():
    values = {"a": -0.6, "b": 0.01, "c": -0.01}
    axes = plots.picture(table_of(lambda run: values[run["case"]], cases=tuple(values))).axes[0]
    low, high = axes.get_ylim()
    assert axes.get_yscale() == "symlog" and low < -60 and high > 1


def test_forty_cases_differ_in_more_than_colour():
    axes = plots.picture(table_of(cases=[f"case{i}" for i in range(40)])).axes[0]
    looks = [(line.get_marker(), line.get_linestyle()) for line in axes.get_lines() if str(line.get_label()).startswith("case")]
    assert len(looks) == len(set(looks)) == 40


def test_picture_has_the_colour_of_each_case(tmp_path):
    path = tmp_path / "penalty.png"
    saving.save(plots.picture(table_of()), path)
    pixels = (matplotlib.image.imread(path)[..., :3].reshape(-1, 3) * 255).round().astype(int)
    for colour in style.COLOURS[:2]:
        wanted = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
        assert (pixels == wanted).all(1).sum() > 50


def test_table_without_a_finished_run_is_not_drawn():
    with pytest.raises(UserError, match="no run has finished"):
        plots.picture(build(TableDefinition(), pd.DataFrame(), expected_runs()))


def test_pyplot_and_its_global_state_are_left_alone():
    code = "import sys, repsim.report.plots; print('matplotlib.pyplot' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize(
    "value, made, title, axis",
    [
        ("value", {"measure": ["cka"]}, "Value of cka by layer, n = ", "value of cka"),
        ("value", {"measure": ["cka", "rsa"]}, "Value by layer, n = ", "value"),
        ("auroc", {"detector": ["energy"]}, "AUROC of energy by layer, n = ", "AUROC of energy"),
        ("auroc", {}, "AUROC by layer, n = ", "AUROC"),
        ("penalty", {"measure": ["cka"]}, "Stitching penalty by layer, n = ", "penalty (accuracy points)"),
    ],
)
def test_a_number_of_one_measure_or_detector_is_called_by_it(value, made, title, axis):
    expected = expected_runs(layers=LAYERS)
    for name, labels in made.items():
        expected[name] = [labels[i % len(labels)] for i in range(len(expected))]
    rows = expected[["run_id"]].assign(outcome="ok", **{value: 0.5})
    figure = plots.picture(build(TableDefinition(value=value), rows, expected))
    assert figure.get_suptitle().startswith(title) and figure.axes[0].get_ylabel() == axis
    assert figure.get_supxlabel().startswith(title.split(" by layer")[0])


def test_each_page_of_a_table_is_called_by_its_own_measure():
    expected = expected_runs(layers=LAYERS, cases=("cka", "rsa"))
    expected["measure"] = expected["case"]
    rows = expected[["run_id"]].assign(outcome="ok", value=0.5)
    found = tables(TableDefinition(value="value", pages=["case"], cols=["seed"]), rows, expected)
    assert [(table.page, table.of) for table in found] == [(("cka",), "cka"), (("rsa",), "rsa")]
