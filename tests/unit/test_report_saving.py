"""Figures become files whole or not at all, and the same bytes whenever they show the same."""

import pytest
from matplotlib.figure import Figure

from repsim.errors import UserError
from repsim.report import saving


def figure():
    """Lines, hatches and text: what has random names in an SVG, and dates in a PDF."""
    drawn = Figure(figsize=(3, 2), layout="constrained")
    axes = drawn.subplots()
    axes.plot([0, 1], [1, 0], label="a line")
    axes.bar([0, 1], [1, 2], hatch="//")
    axes.set_title("τίτλος")
    drawn.legend()
    return drawn


@pytest.mark.parametrize(("suffix", "magic"), [(".png", b"\x89PNG"), (".pdf", b"%PDF"), (".svg", b"<?xml"), (".PNG", b"\x89PNG")])
def test_suffix_chooses_the_format_and_no_draft_is_left(tmp_path, suffix, magic):
    path = tmp_path / "new" / "folder" / f"penalty{suffix}"
    saving.save(figure(), path)
    assert path.read_bytes().startswith(magic)
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("name", ["penalty.jpeg", "penalty", "penalty.txt"])
def test_unknown_suffix_is_an_error_that_lists_the_valid_ones(tmp_path, name):
    with pytest.raises(UserError, match=r"\.png, \.svg, \.pdf"):
        saving.save(figure(), tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_folder_that_cannot_be_written_is_an_error_with_its_path(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match=r"penalty\.png: cannot be written"):
        saving.save(figure(), tmp_path / "file" / "penalty.png")


def test_path_that_is_a_folder_is_an_error_and_leaves_no_draft(tmp_path):
    (tmp_path / "penalty.png").mkdir()
    with pytest.raises(UserError, match="cannot be written"):
        saving.save(figure(), tmp_path / "penalty.png")
    assert [file.name for file in tmp_path.iterdir()] == ["penalty.png"]


@pytest.mark.parametrize("suffix", saving.SUFFIXES)
def test_the_same_picture_is_the_same_bytes(tmp_path, suffix):
    first, second = tmp_path / f"first{suffix}", tmp_path / f"second{suffix}"
    saving.save(figure(), first)
    saving.save(figure(), second)
    assert first.read_bytes() == second.read_bytes()


def test_an_svg_is_one_element_without_a_head():
    text = saving.svg(figure())
    assert text.startswith("<svg") and text.rstrip().endswith("</svg>") and text == saving.svg(figure())
