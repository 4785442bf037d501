"""Order and augmentation: every image once, the same from the same seed, and crops as torchvision cuts them."""

import pytest
import torch
import torchvision.transforms.functional as TF

from repsim.data import batches, transforms
from repsim.data.images import Images


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def pictures():
    pixels = torch.randint(0, 256, (103, 3, 32, 32), generator=seeded(9), dtype=torch.uint8)
    return Images("noise", pixels, torch.arange(103) % 10, 10)


@pytest.mark.parametrize("augment", ["none", "flip", "crop_flip"])
def test_every_image_comes_once_per_epoch_in_random_order(pictures, augment):
    seen = list(batches.batches(pictures, 25, seeded(), augment))
    index = torch.cat([i for _, _, i in seen])
    assert [len(y) for _, y, _ in seen] == [25, 25, 25, 25, 3]
    assert sorted(index.tolist()) == list(range(103)) and index.tolist() != list(range(103))
    assert torch.equal(torch.cat([y for _, y, _ in seen]), pictures.labels[index])


def test_pixels_become_exactly_their_share_of_255(pictures):
    levels = Images("levels", torch.arange(256, dtype=torch.uint8).reshape(256, 1, 1, 1), torch.zeros(256, dtype=torch.int64), 1)
    x = torch.cat([x for x, _ in batches.ordered(levels, 100)])
    assert x.dtype == torch.float32
    assert torch.equal(x.flatten(), (torch.arange(256, dtype=torch.float64) / 255).float())
    x, _, index = next(batches.batches(pictures, 40, seeded()))
    assert torch.equal(x, pictures.images[index].float() / 255)


@pytest.mark.parametrize("augment", ["none", "flip", "crop_flip"])
def test_the_same_generator_state_gives_the_same_batches(pictures, augment):
    one, two, other = (list(batches.batches(pictures, 40, seeded(s), augment)) for s in (1, 1, 2))
    assert all(torch.equal(a[0], b[0]) and torch.equal(a[2], b[2]) for a, b in zip(one, two, strict=True))
    assert not torch.equal(one[0][0], other[0][0])


def test_two_epochs_of_one_generator_differ(pictures):
    generator = seeded()
    first, second = (next(batches.batches(pictures, 103, generator))[2] for _ in range(2))
    assert not torch.equal(first, second)


def test_a_crop_is_what_torchvision_cuts_at_the_same_offset(pictures):
    pixels = pictures.images[:81]
    top, left = torch.arange(81) // 9, torch.arange(81) % 9
    mirror = torch.arange(81) % 2 == 0
    ours = transforms.shift(pixels, top, left, mirror, pad=4)
    for k in range(81):
        theirs = TF.crop(TF.pad(pixels[k], [4]), int(top[k]), int(left[k]), 32, 32)
        assert torch.equal(ours[k], TF.hflip(theirs) if mirror[k] else theirs), (top[k], left[k])


def test_without_padding_a_crop_is_only_a_mirror_image(pictures):
    zero, yes = torch.zeros(103, dtype=torch.int64), torch.ones(103, dtype=torch.bool)
    assert torch.equal(transforms.shift(pictures.images, zero, zero, yes, pad=0), pictures.images.flip(3))


def test_flip_mirrors_about_half_of_the_images_and_changes_nothing_else(pictures):
    x, _, index = next(batches.batches(pictures, 103, seeded(), "flip"))
    plain = pictures.images[index].float() / 255
    same = (x == plain).flatten(1).all(1)
    mirrored = (x == plain.flip(3)).flatten(1).all(1)
    assert torch.all(same ^ mirrored)
    assert 30 < mirrored.sum() < 73


def test_crops_reach_every_offset_and_no_further():
    corner = torch.zeros(2000, 1, 32, 32, dtype=torch.uint8)
    corner[:, 0, 16, 16] = 255
    images = Images("dots", corner, torch.zeros(2000, dtype=torch.int64), 1)
    x, _, _ = next(batches.batches(images, 2000, seeded(), "crop_flip"))
    rows, columns = x[:, 0].nonzero()[:, 1], x[:, 0].nonzero()[:, 2]
    assert sorted(set(rows.tolist())) == list(range(12, 21))
    assert sorted(set(columns.tolist())) == list(range(11, 21))  # 16 mirrors to 15


def test_small_images_move_by_an_eighth():
    dots = torch.zeros(500, 1, 8, 8, dtype=torch.uint8)
    dots[:, 0, 4, 4] = 255
    x, _, _ = next(batches.batches(Images("dots", dots, torch.zeros(500, dtype=torch.int64), 1), 500, seeded(), "crop_flip"))
    assert sorted(set(x[:, 0].nonzero()[:, 1].tolist())) == [3, 4, 5]


def test_ordered_batches_keep_the_order(pictures):
    x = torch.cat([x for x, _ in batches.ordered(pictures, 50)])
    y = torch.cat([y for _, y in batches.ordered(pictures, 50)])
    assert torch.equal(x, pictures.images.float() / 255) and torch.equal(y, pictures.labels)
