"""Random changes of images: each does what torchvision does to one image, and draws what it says."""

from itertools import pairwise

import numpy as np
import pytest
import torch
import torchvision.transforms.v2.functional as TF
from torchvision.transforms import InterpolationMode, v2

from repsim.data import augment, augmentations, batches, transforms
from repsim.data.augment import Moment
from repsim.data.images import Images


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def noise(n=40, size=32, channels=3):
    return torch.randint(0, 256, (n, channels, size, size), generator=seeded(9), dtype=torch.uint8)


def drawn(n, low, high, seed=1):
    return low + (high - low) * torch.rand(n, generator=seeded(seed))


# Each function against torchvision, image by image


@pytest.mark.parametrize(("fill", "theirs"), [("black", "constant"), ("reflect", "reflect")])
def test_a_shift_is_torchvisions_pad_crop_and_mirror(fill, theirs):
    pixels, pad = noise(25), 2
    top, left, mirror = torch.arange(25) // 5, torch.arange(25) % 5, torch.arange(25) % 2 == 0
    ours = transforms.shift(pixels, top, left, mirror, pad, fill)
    for k, image in enumerate(pixels):
        padded = torch.from_numpy(np.pad(image.numpy(), ((0, 0), (pad, pad), (pad, pad)), mode=theirs))
        cut = TF.crop(padded, int(top[k]), int(left[k]), 32, 32)
        assert torch.equal(ours[k], TF.horizontal_flip(cut) if mirror[k] else cut)


@pytest.mark.parametrize("pad", [0, 3])
def test_gathering_windows_on_a_gpu_and_copying_them_on_a_cpu_are_the_same(pad):
    padded, h = noise(30, 32 + 2 * pad), 32
    top, left = (torch.randint(2 * pad + 1, (30,), generator=seeded(k)) for k in (1, 2))
    mirror = torch.randint(2, (30,), generator=seeded(3)) == 1
    gathered = transforms.flip(transforms._windows_gathered(padded, top, left, torch.Size((h, h))), mirror)
    assert torch.equal(gathered, transforms._windows_copied(padded, top, left, mirror, torch.Size((h, h))))


def test_an_erased_square_is_torchvisions_cut_off_at_the_edges():
    pixels, side = noise(40), 16
    top, left = torch.arange(-15, 25), torch.arange(24, -16, -1)
    ours = transforms.erase(pixels, top, left, side)
    for k, image in enumerate(pixels):
        y, x = max(0, int(top[k])), max(0, int(left[k]))
        h, w = min(32, int(top[k]) + side) - y, min(32, int(left[k]) + side) - x
        assert torch.equal(ours[k], TF.erase(image, y, x, h, w, torch.zeros(3, 1, 1, dtype=torch.uint8)))


@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 21, 40)])
def test_an_affine_map_is_torchvisions(mode, shape):
    n = 30
    pixels = torch.randint(0, 256, (n, *shape), generator=seeded(5)).float()
    angle, scale = drawn(n, -180, 180), drawn(n, 0.5, 2, seed=2)
    move, shear = (drawn((n, 2), -low, low, seed=low) for low in (7, 30))
    ours = transforms.affine(pixels, angle, move, scale, shear, mode)
    for k in range(n):
        theirs = TF.affine(
            pixels[k],
            angle=float(angle[k]),
            translate=move[k].tolist(),
            scale=float(scale[k]),
            shear=shear[k].tolist(),
            interpolation=InterpolationMode(mode),
            fill=None,
        )
        differ = (ours[k] - theirs).abs() > 0.02
        assert differ.float().mean() < (0.003 if mode == "nearest" else 0.0001), k  # a pixel between two may fall either way


@pytest.mark.parametrize("size", [8, 20, 32, 45])
def test_a_resized_image_is_torchvisions_antialiased_one(size):
    pixels = noise(6)
    ours = transforms.resize(pixels, size)
    for k, image in enumerate(pixels):
        theirs = TF.resize(image.float(), [size, size], antialias=True)
        torch.testing.assert_close(ours[k], theirs, atol=1e-3, rtol=0)


def test_a_resized_crop_is_torchvisions():
    pixels, n, size = noise(40), 40, 32
    top, left, height, width = augment.boxes(n, size, seeded(4))
    mirror = torch.arange(n) % 2 == 1
    ours = transforms.resized_crop(pixels, top, left, height, width, mirror)
    for k, image in enumerate(pixels.float()):
        box = [int(each[k]) for each in (top, left, height, width)]
        theirs = TF.resized_crop(image, *box, [size, size], antialias=True)
        torch.testing.assert_close(ours[k], TF.horizontal_flip(theirs) if mirror[k] else theirs, atol=0.01, rtol=0)


def test_normalising_is_torchvisions():
    x, mean, std = noise(5) / 255, (0.49, 0.48, 0.45), (0.2, 0.19, 0.21)
    assert torch.equal(transforms.normalise(x, mean, std), torch.stack([TF.normalize(image, mean, std) for image in x]))


# What is drawn, by name


def images(pixels):
    return Images("noise", pixels, torch.zeros(len(pixels), dtype=torch.int64), 1)


def epoch(pixels, name, seed=0, number=0):
    """x and positions of one epoch in one batch."""
    x, _, index = next(batches.batches(images(pixels), len(pixels), seeded(seed), name, number))
    return x, index


def test_the_names_that_recipes_may_use_are_those_that_exist():
    assert tuple(augment.AUGMENTS) == augmentations.NAMES


@pytest.mark.parametrize("name", augmentations.NAMES)
@pytest.mark.parametrize(("size", "channels"), [(32, 3), (8, 1), (28, 1)])
def test_every_augmentation_gives_images_of_the_same_shape_in_0_to_1_and_the_same_for_one_seed(name, size, channels):
    pixels = noise(50, size, channels)
    x, index = epoch(pixels, name)
    assert x.dtype == torch.float32 and x.shape == pixels.shape and x.is_contiguous()
    assert x.min() >= 0 and x.max() <= 1
    again, same = epoch(pixels, name)
    assert torch.equal(x, again) and torch.equal(index, same)
    assert name == "none" or not torch.equal(x, pixels[index] / 255)


def before(pixels, generator, name):
    """What `flip` and `crop_flip` have always drawn and done: stored results stand on it."""
    order = torch.randperm(len(pixels), generator=generator)
    pad = pixels.shape[2] // 8 if name == "crop_flip" else 0
    for index in order.split(16):
        offset = torch.randint(2 * pad + 1, (2, len(index)), generator=generator)
        mirror = torch.randint(2, (len(index),), generator=generator)
        for place, i in enumerate(index):
            cut = TF.crop(TF.pad(pixels[i], [pad]), int(offset[0, place]), int(offset[1, place]), *pixels.shape[2:])
            yield (TF.horizontal_flip(cut) if mirror[place] else cut).float() / 255


@pytest.mark.parametrize("name", ["flip", "crop_flip"])
def test_flip_and_crop_flip_draw_what_they_always_drew(name):
    pixels = noise(50)
    ours = torch.cat([x for x, _, _ in batches.batches(images(pixels), 16, seeded(3), name)])
    assert torch.equal(ours, torch.stack(list(before(pixels, seeded(3), name))))


def test_cutout_blackens_a_square_of_half_the_side_and_every_place_can_be_hit():
    white = torch.full((800, 1, 32, 32), 255, dtype=torch.uint8)
    changed = augment.crop_flip_cutout(white, Moment(seeded(), torch.arange(800), 0))
    plain = augment.crop_flip(white, Moment(seeded(), torch.arange(800), 0))
    black = ((changed == 0) & (plain == 255)).flatten(1).sum(1)
    assert black.max() == 256 and black.min() < 128  # whole within, partly cut off at an edge
    assert ((changed == 0) & (plain == 255)).any(0).all()


def test_alternating_flips_show_every_image_both_ways_in_any_two_epochs():
    pixels = torch.zeros(300, 1, 32, 32, dtype=torch.uint8)
    pixels[:, :, 16, 4] = 255
    sides = []
    for number in range(4):
        x, index = epoch(pixels, "crop2_flip_alternating", seed=number, number=number)
        column = x[:, 0].amax(1).argmax(1)
        side = torch.empty(300, dtype=torch.bool)
        side[index] = column > 15
        sides.append(side)
    assert all(torch.equal(one, ~other) for one, other in pairwise(sides))
    assert 120 < sides[0].sum() < 180


def test_the_first_side_of_an_image_never_changes():
    def mixed(position):
        """A multiplicative hash in integers without a limit."""
        x = (position + 1) * 0x9E3779B1 % 2**32
        x = (x ^ x >> 15) * 0x85EBCA6B % 2**32
        return (x ^ x >> 13) % 2

    assert augment.side(torch.arange(16)).tolist() == [0, 1, 0, 1, 0, 1, 1, 1, 1, 0, 1, 0, 0, 0, 1, 0]
    assert augment.side(torch.arange(6_000_000, 6_002_000)).tolist() == [mixed(k) for k in range(6_000_000, 6_002_000)]
    assert abs(augment.side(torch.arange(100_000)).double().mean() - 0.5) < 0.01


def test_small_movements_reach_two_pixels_and_no_further():
    dots = torch.zeros(600, 1, 32, 32, dtype=torch.uint8)
    dots[:, 0, 16, 16] = 255
    x, _ = epoch(dots, "crop2_flip_alternating")
    assert sorted({int(row) for row in x[:, 0].amax(2).argmax(1)}) == [14, 15, 16, 17, 18]


def test_affine_keeps_an_even_image_even_and_moves_the_centre_by_a_sixteenth_at_most():
    even = torch.full((50, 1, 32, 32), 90, dtype=torch.uint8)
    assert torch.allclose(epoch(even, "affine")[0], torch.tensor(90 / 255))
    dots = torch.zeros(400, 1, 33, 33, dtype=torch.uint8)
    dots[:, 0, 15:18, 15:18] = 255
    x, _ = epoch(dots, "affine")
    weight = x[:, 0] / x[:, 0].sum((1, 2), keepdim=True)
    place = torch.stack([(weight.sum(2) * torch.arange(33)).sum(1), (weight.sum(1) * torch.arange(33)).sum(1)])
    assert ((place - 16).abs() <= 33 / 16 + 0.1).all() and (place - 16).abs().max() > 1.5


def test_parts_are_drawn_as_torchvision_draws_them():
    n, size = 4000, 64
    top, left, height, width = augment.boxes(n, size, seeded(1))
    assert ((top >= 0) & (left >= 0) & (top + height <= size) & (left + width <= size)).all()
    torch.manual_seed(0)
    theirs = v2.RandomResizedCrop(size)
    drawn = [theirs.make_params([torch.empty(3, size, size)]) for _ in range(n)]
    for ours, key in ((top, "top"), (left, "left"), (height, "height"), (width, "width")):
        expected = torch.tensor([float(each[key]) for each in drawn])
        error = 4 * (ours.double().var() / n + expected.var() / n).sqrt()
        assert abs(ours.double().mean() - expected.mean()) < error, key
        assert abs(ours.double().std() - expected.std()) < 0.06 * expected.std() + 0.1, key


def test_where_no_part_fits_the_whole_image_is_taken(monkeypatch):
    monkeypatch.setattr(augment, "AREA", (4.0, 5.0))
    boxes = augment.boxes(20, 32, seeded())
    assert [each.unique().tolist() for each in boxes] == [[0], [0], [32], [32]]
