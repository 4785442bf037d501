"""How layers of other shapes are joined, and which joints and families are refused."""

import subprocess
import sys

import pytest

from repsim.errors import InputError
from repsim.stitching.shapes import FAMILIES, Joint, check_family, grid, has_class_token, join
from repsim.stitching.stitchers import STITCHERS

MAP, SMALL, VECTOR, PATCHES, TOKENS = (16, 8, 8), (32, 4, 4), (10,), (64, 24), (65, 24)


@pytest.mark.parametrize(
    "front, end, asked, joint",
    [
        (MAP, (32, 8, 8), {}, Joint("channels", 16, 32, MAP, (32, 8, 8))),
        (VECTOR, (7,), {}, Joint("channels", 10, 7, VECTOR, (7,))),
        (MAP, SMALL, {"resize": "nearest"}, Joint("resize", 16, 32, MAP, SMALL, "nearest")),
        (MAP, SMALL, {"resize": "bilinear", "resize_at": "post"}, Joint("resize", 16, 32, MAP, SMALL, "bilinear", "post")),
        (TOKENS, (65, 48), {}, Joint("tokens", 24, 48, TOKENS, (65, 48))),
        ((7, 24), (7, 24), {}, Joint("tokens", 24, 24, (7, 24), (7, 24))),
        (MAP, PATCHES, {}, Joint("map_to_tokens", 16, 24, MAP, PATCHES)),
        (MAP, TOKENS, {}, Joint("map_to_tokens", 16, 24, MAP, TOKENS, class_token="pooled")),
        (SMALL, TOKENS, {"class_token": "learned"}, Joint("map_to_tokens", 32, 24, SMALL, TOKENS, "bilinear", "pre", "learned")),
        (PATCHES, MAP, {}, Joint("tokens_to_map", 24, 16, PATCHES, MAP)),
        (TOKENS, MAP, {}, Joint("tokens_to_map", 24, 16, TOKENS, MAP, class_token="dropped")),
        (
            TOKENS,
            SMALL,
            {"class_token": "added", "resize": "nearest", "resize_at": "post"},
            Joint("tokens_to_map", 24, 32, TOKENS, SMALL, "nearest", "post", "added"),
        ),
        (MAP, SMALL, {"view": "flatten"}, Joint("flatten", 1024, 512, MAP, SMALL)),
        (TOKENS, VECTOR, {"view": "flatten"}, Joint("flatten", 65 * 24, 10, TOKENS, VECTOR)),
    ],
)
def test_shapes_and_choices_make_a_joint(front, end, asked, joint):
    assert join(list(front), list(end), **asked) == joint
    assert hash(join(front, end, **asked)) == hash(joint)


@pytest.mark.parametrize(
    "front, end, advice",
    [
        (MAP, SMALL, "resize: bilinear or nearest"),
        (MAP, VECTOR, "view: flatten"),
        (VECTOR, TOKENS, "view: flatten"),
        (TOKENS, (17, 24), "as many tokens"),
        ((7, 24), MAP, "view: flatten"),
        (MAP, (8, 3), "view: flatten"),
    ],
)
def test_shapes_that_do_not_fit_are_refused_with_what_would(front, end, advice):
    with pytest.raises(InputError) as error:
        join(front, end)
    assert error.value.where == "front_layer, end_layer" and advice in str(error.value)
    assert str(front) in error.value.what and str(end) in error.value.what


@pytest.mark.parametrize(
    "front, end, asked, field",
    [
        (MAP, MAP, {"resize": "bilinear"}, "resize"),
        (MAP, MAP, {"resize_at": "post"}, "resize_at"),
        (MAP, TOKENS, {"resize": "bilinear"}, "resize"),
        (TOKENS, SMALL, {"class_token": "only", "resize": "bilinear"}, "resize"),
        (TOKENS, TOKENS, {"resize": "nearest"}, "resize"),
        (MAP, SMALL, {"view": "flatten", "resize": "nearest"}, "resize"),
        (MAP, MAP, {"class_token": "pooled"}, "class_token"),
        (TOKENS, TOKENS, {"class_token": "pooled"}, "class_token"),
        (MAP, PATCHES, {"class_token": "learned"}, "class_token"),
        (PATCHES, MAP, {"class_token": "only"}, "class_token"),
        (MAP, TOKENS, {"class_token": "dropped"}, "class_token"),
        (TOKENS, MAP, {"class_token": "pooled"}, "class_token"),
        (TOKENS, MAP, {"class_token": "poled"}, "class_token"),
        (MAP, SMALL, {"resize": "cubic"}, "resize"),
        (MAP, SMALL, {"resize": "nearest", "resize_at": "past"}, "resize_at"),
        (MAP, SMALL, {"view": "flat"}, "view"),
    ],
)
def test_a_choice_without_a_meaning_is_refused_by_its_field(front, end, asked, field):
    with pytest.raises(InputError) as error:
        join(front, end, **asked)
    assert error.value.where == field and error.value.do


def test_a_misspelt_choice_is_answered_with_the_nearest():
    with pytest.raises(InputError, match="pooled"):
        join(MAP, TOKENS, class_token="poled")


@pytest.mark.parametrize("count, side, extra", [(1, 1, False), (2, 1, True), (4, 2, False), (5, 2, True), (197, 14, True)])
def test_tokens_are_a_square_of_patches_and_at_most_a_class_token(count, side, extra):
    assert grid((count, 8)) == (side, side) and has_class_token((count, 8)) == extra


@pytest.mark.parametrize("kind", ["permutation", "wreath", "birkhoff"])
def test_one_to_one_families_need_equal_widths_and_name_those_that_do_not(kind):
    check_family(kind, join(MAP, MAP))
    with pytest.raises(InputError) as error:
        check_family(kind, join(MAP, SMALL, resize="nearest"))
    assert "16 and 32" in str(error.value) and str(MAP) in str(error.value) and str(SMALL) in str(error.value)
    assert (
        error.value.where == "stitcher"
        and error.value.do == "choose other layers, or stitcher linear or lowrank or lasso or orthogonal"
    )


def test_an_orthogonal_stitcher_may_widen_but_not_narrow():
    check_family("orthogonal", join(MAP, SMALL, resize="nearest"))
    with pytest.raises(InputError, match="no more values in front than behind, not 32 and 16") as error:
        check_family("orthogonal", join(SMALL, MAP, resize="nearest"))
    assert error.value.do == "choose other layers, or stitcher linear or lowrank or lasso"


@pytest.mark.parametrize("rank", [0, 17])
def test_a_rank_above_a_width_is_refused_with_both_shapes(rank):
    check_family("lowrank", join(MAP, SMALL, resize="nearest"), 16)
    with pytest.raises(InputError) as error:
        check_family("lowrank", join(MAP, SMALL, resize="nearest"), rank)
    assert error.value.where == "rank" and error.value.do == "choose 1 to 16"
    assert f"rank {rank}" in error.value.what and str(MAP) in error.value.what and str(SMALL) in error.value.what


def test_a_misspelt_family_is_answered_with_the_nearest():
    with pytest.raises(InputError, match="birkhoff"):
        check_family("birkhof", join(MAP, MAP))


def test_families_are_those_that_can_be_built():
    assert set(FAMILIES) == set(STITCHERS)


def test_planning_with_shapes_does_not_import_torch():
    code = "import sys, repsim.stitching.shapes; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
