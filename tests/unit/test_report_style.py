"""Series are told apart without their colours too: by marker and dash of a line, by hatch and shade of a bar."""

from itertools import combinations, pairwise

import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from repsim.report import style


def test_forty_series_differ_in_marker_and_dash():
    looks = [style.look(i) for i in range(style.MOST)]
    assert len({(look.marker, look.dash) for look in looks}) == style.MOST == 40


def test_forty_series_differ_in_marker_and_fill_where_there_is_no_line():
    assert len({(style.look(i).marker, style.look(i).fill) for i in range(style.MOST)}) == 40


def test_bars_of_one_hatch_differ_in_how_dark_they_print():
    looks = [style.look(i) for i in range(style.MOST)]
    alike = [(a, b) for a, b in combinations(looks, 2) if a.hatch == b.hatch]
    assert len(alike) == 10 * 6
    assert min(abs(style.luminance(a.face) - style.luminance(b.face)) for a, b in alike) > 0.06


def test_neighbours_have_different_colours():
    colours = [style.look(i).colour for i in range(style.MOST)]
    assert all(one != other for one, other in pairwise(colours))


def test_the_first_seven_colours_are_distinct_and_none_is_lost_on_white():
    assert len(set(style.COLOURS)) == 7
    assert all(style.luminance(colour) < 0.7 for colour in style.COLOURS)
    assert (
        min(abs(style.luminance(a) - style.luminance(b)) for a, b in combinations(style.COLOURS, 2)) < 0.05
    )  # so marks are needed


@pytest.mark.parametrize("colour", style.COLOURS)
def test_luminance_is_what_a_greyscale_converter_makes_of_it(colour):
    rgb = tuple(round(255 * part) for part in to_rgb(colour))
    assert Image.new("RGB", (1, 1), rgb).convert("L").getpixel((0, 0)) == pytest.approx(255 * style.luminance(colour), abs=1)


def test_fonts_of_other_scripts_stand_in_only_where_they_are_installed(monkeypatch):
    from matplotlib.font_manager import fontManager

    monkeypatch.setattr(type(fontManager), "get_font_names", lambda self: ["Noto Sans CJK SC", "DejaVu Sans", "Comic"])
    assert style.families() == ["DejaVu Sans", "Noto Sans CJK SC"]
