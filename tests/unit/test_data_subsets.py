"""Data sets that are classes of others: what their names mean, how many images they have, and which."""

import pytest
import torch

from repsim.data import images, sources
from repsim.errors import InputError


def test_classes_are_numbered_in_the_order_of_the_name(tmp_path):
    whole = images.load("digits", "test", (), tmp_path)
    part = images.load("digits-of-7.2", "test", (), tmp_path)
    wanted = [(x, {7: 0, 2: 1}[int(y)]) for x, y in zip(whole.images, whole.labels, strict=True) if int(y) in (7, 2)]
    assert torch.equal(part.images, torch.stack([x for x, _ in wanted]))
    assert part.labels.tolist() == [y for _, y in wanted] and part.classes == 2 and part.name == "digits-of-7.2"


def test_joined_classes_are_one(tmp_path):
    whole = images.load("digits", "train", (), tmp_path)
    part = images.load("digits-of-1.3.5.7.9_0.2.4.6.8", "train", (), tmp_path)
    assert torch.equal(part.images, whole.images) and torch.equal(part.labels, (whole.labels % 2 == 0).long())
    assert sources.get("digits-of-1.3.5.7.9_0.2.4.6.8").classes == 2


@pytest.mark.parametrize("split", ["train", "test"])
def test_what_is_said_of_sizes_is_what_is_there(tmp_path, split):
    for name in ("digits", "digits32_rgb", "digits-of-4.1", "digits-of-0.1.2_9"):
        source, there = sources.get(name), images.load(name, split, (), tmp_path)
        assert source.counts is not None
        assert tuple(there.labels.bincount().tolist()) == source.counts[split == "test"]
        assert len(there) == (source.train_images if split == "train" else source.test_images)


def test_counts_of_classes_add_up_to_the_sizes_of_splits():
    counted = [source for source in sources.SOURCES.values() if source.counts is not None]
    assert len(counted) > 10
    for source in counted:
        train, test = source.counts or ((), ())
        assert (sum(train), sum(test)) == (source.train_images, source.test_images), source.name
        assert len(train) == len(test) == source.classes


def test_animals_and_vehicles_share_out_cifar10():
    animals, vehicles = sources.get("cifar10_animals"), sources.get("cifar10_vehicles")
    assert (animals.classes, vehicles.classes) == (6, 4)
    assert animals.train_images + vehicles.train_images == 50_000 and animals.test_images + vehicles.test_images == 10_000
    assert animals.mean == vehicles.mean == sources.get("cifar10").mean
    chosen = [k for source in (animals, vehicles) for group in source.part.groups for k in group]
    assert sorted(chosen) == list(range(10))


def test_parts_of_a_streamed_set_stay_on_disk(tmp_path, monkeypatch):
    whole = images.load("digits", "train", (), tmp_path)
    monkeypatch.setattr("repsim.data.decoded.MAPPED_ABOVE", 0)
    part = images.load("digits-of-3.8", "train", (), tmp_path)
    chosen = whole.images[(whole.labels == 3) | (whole.labels == 8)]
    assert part.streamed and torch.equal(part.pixels(torch.arange(len(part))), chosen)


def test_digits_in_colour_are_grey(tmp_path):
    grey, colour = (images.load(name, "test", (), tmp_path) for name in ("digits32", "digits32_rgb"))
    assert colour.shape == (3, 32, 32) and torch.equal(colour.labels, grey.labels)
    assert all(torch.equal(colour.images[:, k], grey.images[:, 0]) for k in range(3))


@pytest.mark.parametrize(
    "name, said",
    [
        ("digits-of-3.3", "a class stands twice[\\s\\S]*0…9; write NAME-of-2.3.7"),
        ("digits-of-3.11", "'digits' has no class 11"),
        ("digits-of-3", "there is but one"),
        ("digits-of-1.2-of-0.1", "how many images a class of 'digits-of-1.2' has is not known"),
        ("celeba-of-1.2", "how many images a class of 'celeba'"),
        ("digts-of-1.2", "there is no data set 'digts'[\\s\\S]*'digits'"),
        ("digits-of-a.b", "there is no data set 'digits-of-a.b'"),
    ],
)
def test_a_name_that_means_nothing_is_answered_with_what_can_be_meant(name, said):
    with pytest.raises(InputError, match=said):
        sources.get(name)
