"""Labels drawn at random and cues that give them away: how many, where, and the same for everyone who asks."""

import pytest
import torch

from repsim.data import altered
from repsim.data.images import Images
from repsim.errors import InputError


def images(n: int = 4000, channels: int = 3) -> Images:
    generator = torch.Generator().manual_seed(7)
    pixels = torch.randint(256, (n, channels, 8, 8), generator=generator, dtype=torch.uint8)
    return Images("some", pixels, torch.arange(n) % 10, 10)


@pytest.mark.parametrize("share", [0.25, 1.0])
def test_so_many_labels_are_drawn_anew_and_a_tenth_of_those_is_right_by_chance(share):
    whole = images()
    changed = (altered.relabelled(whole, share).labels != whole.labels).float().mean()
    assert changed == pytest.approx(share * 0.9, abs=0.02)
    assert torch.equal(altered.relabelled(whole, share).images, whole.images)


def test_no_share_changes_nothing_and_a_larger_share_changes_what_a_smaller_one_does():
    whole = images()
    assert altered.relabelled(whole, 0.0) is whole and altered.cued(whole, None) is whole
    few, many = (altered.relabelled(whole, share).labels for share in (0.2, 0.6))
    touched = few != whole.labels
    assert torch.equal(few[touched], many[touched]) and torch.equal(few, altered.relabelled(whole, 0.2).labels)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_cue_that_is_always_right_tells_the_class_and_one_that_is_never_tells_nothing(channels):
    whole = images(channels=channels)
    colours = altered.palette(10, channels)
    assert len(colours.unique(dim=0)) == 10
    for right, share in ((1.0, 1.0), (0.0, 0.1), (0.5, 0.55)):
        cued = altered.cued(whole, right)
        named = (cued.images[:, None, :, 2, 2] == colours[None].to(torch.uint8)).all(-1).float().argmax(1)
        assert (named == whole.labels).float().mean() == pytest.approx(share, abs=0.02)
        assert torch.equal(cued.images[:, :, altered.SIDE :], whole.images[:, :, altered.SIDE :])
    assert not torch.equal(altered.cued(whole, 0.5).images, whole.images)


def test_attributes_and_streamed_images_are_refused():
    several = Images("faces", torch.zeros(3, 3, 8, 8, dtype=torch.uint8), torch.zeros(3, 40, dtype=torch.uint8), 40)
    with pytest.raises(InputError, match="several labels"):
        altered.relabelled(several, 0.5)
    with pytest.raises(InputError, match="streamed from disk"):
        altered.cued(Images("big", several.images, torch.zeros(3, dtype=torch.int64), 10, torch.device("cpu")), 1.0)
