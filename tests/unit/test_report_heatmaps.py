"""Heat maps show means in the order of the layers, bright is near, and what has no number is hatched and listed."""

from dataclasses import replace

import matplotlib.image
import numpy as np
import pytest
from comparison_rows import LAYERS, ORDER, expected, stored
from matplotlib.collections import QuadMesh
from matplotlib.patches import Rectangle

from repsim import matrices
from repsim.errors import UserError
from repsim.report import heatmaps
from repsim.report import matrixwords as words

PAIRS = (("a", "b"), ("a", "c"), ("b", "c"))
INDEX = {name: index for index, name in enumerate(LAYERS)}


def distance(run):
    return abs(INDEX[run["front_layer"]] - INDEX[run["end_layer"]]) / 10


def similarity(run):
    return 1 - distance(run)


def built(value=similarity, runs=None, **more):
    runs = runs or expected(pairs=PAIRS)
    return matrices.build(runs, stored(runs, value, **more), ORDER)


def panels(figure):
    return [axes for axes in figure.axes if axes.get_xlabel().startswith("layers of")]


def colours(axes):
    """(rows, columns, 4), first layer of f first."""
    axes.figure.canvas.draw()
    (mesh,) = [one for one in axes.collections if isinstance(one, QuadMesh)]
    return mesh.get_facecolors().reshape(*np.shape(mesh.get_array()), 4)


def hatched(axes):
    return sorted(
        (patch.get_y() + 0.5, patch.get_x() + 0.5) for patch in axes.patches if isinstance(patch, Rectangle) and patch.get_hatch()
    )


def said(figure):
    return figure._supxlabel.get_text().replace("\n", " ")


def test_the_first_layers_are_at_the_top_and_on_the_left_and_the_cells_are_the_means():
    asymmetric = lambda run: 0.1 * INDEX[run["front_layer"]] + 0.01 * INDEX[run["end_layer"]] + run["end_seed"]  # noqa: E731
    (axes,) = panels(heatmaps.picture(built(asymmetric)))
    (mesh,) = [one for one in axes.collections if isinstance(one, QuadMesh)]
    means = [[0.1 * i + 0.01 * j + 5 / 3 for j in range(3)] for i in range(3)]
    assert np.array(mesh.get_array()).reshape(3, 3) == pytest.approx(np.array(means))
    assert [label.get_text() for label in axes.get_xticklabels()] == list(LAYERS)
    assert axes.get_ylim() == (2.5, -0.5)
    assert (axes.get_ylabel(), axes.get_xlabel()) == ("layers of net", "layers of net")


def test_near_is_bright_for_similarities_and_for_distances():
    for value, scale in ((similarity, "similarity"), (distance, "distance")):
        (axes,) = panels(heatmaps.picture(built(value, scale=scale)))
        bright = colours(axes)[..., :3].mean(-1)
        assert np.argmax(bright, axis=1).tolist() == [0, 1, 2]
        assert bright[0, 2] == bright.min()


def test_the_bar_says_which_way_is_near():
    for scale, word in (("similarity", "more is nearer"), ("distance", "less is nearer")):
        figure = heatmaps.picture(built(scale=scale))
        assert any(word in axes.get_ylabel() for axes in figure.axes)


def test_undefined_cells_are_hatched_and_listed_with_why():
    figure = heatmaps.picture(built(lambda run: "constant layer" if run["front_layer"] == "bn2" else similarity(run)))
    (axes,) = panels(figure)
    assert hatched(axes) == [(1, 0), (1, 1), (1, 2)]
    assert colours(axes)[1, :, 3].tolist() == [0, 0, 0]
    assert "constant layer: bn2 × all" in said(figure) and "Hatched: undefined" in said(figure)


def test_a_number_without_meaning_is_painted_and_hatched():
    figure = heatmaps.picture(built(status="rank of both ≥ n − 1"))
    (axes,) = panels(figure)
    assert len(hatched(axes)) == 9 and (colours(axes)[..., 3] == 1).all()
    assert "rank of both ≥ n − 1: everywhere" in said(figure)


def test_what_is_not_computed_is_white_without_hatches_and_counted():
    figure = heatmaps.picture(built(lambda run: None if run["end_layer"] == "bn1" else similarity(run)))
    (axes,) = panels(figure)
    assert not hatched(axes) and colours(axes)[:, 0, 3].tolist() == [0, 0, 0]
    assert "not computed: 9 of 27 numbers" in said(figure)


def test_the_title_says_over_how_many_pairs_and_how_far_they_differ():
    (axes,) = panels(heatmaps.picture(built(lambda run: similarity(run) + 0.1 * run["front_seed"])))
    assert axes.get_title() == "cka\nmean over 3 pairs, std 0.058"
    (axes,) = panels(heatmaps.picture(built(runs=expected())))
    assert axes.get_title() == "cka\none pair"
    missing = lambda run: None if run["front_network"] == "b" and run["end_layer"] == "bn1" else similarity(run)  # noqa: E731
    assert words.averaged(built(missing)[0]).startswith("mean over 2 to 3 of 3 pairs")


def test_images_and_what_chance_gives_stand_below():
    assert said(heatmaps.picture(built())).startswith("100 images.  cka: null 0.125.")


def test_panels_of_one_measure_have_one_range_of_colours_and_of_another_their_own():
    runs = expected(measures=("cka",), front_rank=(1, 2)) + [
        {**one, "run_id": f"l{one['run_id']}"} for one in expected(measures=("l2",), front_rank=(1,))
    ]
    values = {("cka", 1): 0.2, ("cka", 2): 0.8, ("l2", 1): 7.0}
    found = built(lambda run: values[run["measure"], run["front_rank"]], runs)
    assert heatmaps.ranges_of(found)["cka"] == (0.2, 0.8)
    first, second, third = panels(heatmaps.picture(found))
    assert colours(first)[0, 0, :3].mean() < colours(second)[0, 0, :3].mean()
    assert [axes.get_title().split("\n")[0] for axes in (first, second, third)] == ["cka, front rank 1", "cka, front rank 2", "l2"]


def test_round_off_is_not_painted_as_a_pattern():
    (low, high), *_ = heatmaps.ranges_of(built(lambda run: 1 - 1e-15 * INDEX[run["end_layer"]])).values()
    assert high - low > 1e-3


def test_few_layers_have_their_numbers_written_in_ink_that_can_be_read():
    (axes,) = panels(heatmaps.picture(built()))
    inks = {text.get_text(): text.get_color() for text in axes.texts}
    assert inks == {"1.00": "black", ".90": inks[".90"], ".80": "white"}
    many = tuple(f"bn{i}" for i in range(heatmaps.FEW + 1))
    (axes,) = panels(heatmaps.picture(built(lambda run: 0.5, expected(fronts=many, ends=many))))
    assert not axes.texts


@pytest.mark.parametrize(("suffix", "magic"), [(".png", b"\x89PNG"), (".svg", b"<?xml")])
def test_suffix_chooses_the_format_and_no_draft_is_left(tmp_path, suffix, magic):
    path = tmp_path / "new" / f"cka{suffix}"
    heatmaps.draw(built(), path)
    assert path.read_bytes().startswith(magic)
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_all_words_are_inside_the_picture(tmp_path):
    figure = heatmaps.picture(built(runs=expected(pairs=PAIRS, measures=("cka", "cka_debiased", "cca", "procrustes"))))
    figure.canvas.draw()
    inside = figure.bbox
    for axes in figure.axes:
        box = axes.get_tightbbox()
        assert box.x0 >= -1 and box.y0 >= -1 and box.x1 <= inside.width + 1 and box.y1 <= inside.height + 1
    assert figure._supxlabel.get_window_extent().y0 >= 0


def test_the_brightest_colour_is_on_the_picture(tmp_path):
    path = tmp_path / "cka.png"
    heatmaps.draw(built(), path)
    pixels = matplotlib.image.imread(path)[..., :3].reshape(-1, 3)
    near = np.array(heatmaps.palette(True)(1.0)[:3])
    assert (np.abs(pixels - near) < 0.01).all(1).sum() > 500


def test_nothing_computed_and_other_suffixes_are_refused(tmp_path):
    with pytest.raises(UserError, match="no comparison has finished"):
        heatmaps.draw(built(lambda run: None), tmp_path / "cka.png")
    with pytest.raises(UserError, match=r"\.png, \.svg, \.pdf"):
        heatmaps.draw(built(), tmp_path / "cka.bmp")
    assert not list(tmp_path.iterdir())


def test_places_are_named_by_whole_rows_and_columns_and_long_lists_are_cut():
    (matrix,) = built()
    assert words.places([("bn1", "bn2"), ("bn1", "bn1"), ("bn1", "bn10"), ("bn2", "bn1")], matrix) == "bn1 × all, bn2 × bn1"
    assert words.places([(name, "bn2") for name in LAYERS], matrix) == "all × bn2"
    many = tuple(f"bn{i}" for i in range(9))
    (matrix,) = built(lambda run: 0.5, expected(fronts=many, ends=many))
    assert words.places([(name, name) for name in many], matrix).endswith("bn5 × bn5, and 3 more")


def test_no_words_are_cut_off_where_panels_differ_in_size(tmp_path):
    matrix, *_ = built()
    small = replace(matrix, front_layers=LAYERS[:1], end_layers=LAYERS[:1])
    large = replace(matrix, front_layers=tuple(f"layer{i}" for i in range(24)), end_layers=tuple(f"layer{i}" for i in range(24)))
    path = tmp_path / "many.png"
    heatmaps.draw([large] * 13 + [small] * 3, path)
    pixels = matplotlib.image.imread(path)[..., :3]
    assert all((edge == 1).all() for edge in (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]))
