"""Sets too large for the memory: written block by block, mapped, and read one batch ahead; nobody sees a difference."""

import multiprocessing
import threading
import zlib

import numpy as np
import pytest
import torch

from repsim.data import batches, decoded, images, mapped, splits
from repsim.errors import InputError

N = 23


def pixels():
    return np.random.default_rng(0).integers(0, 256, (N, 3, 8, 8), dtype=np.uint8)


@pytest.fixture
def root(tmp_path):
    """A data folder with the 300K random images, 23 of them."""
    (tmp_path / "data").mkdir()
    array = np.random.default_rng(0).integers(0, 256, (N, 32, 32, 3), dtype=np.uint8)
    np.save(tmp_path / "data" / "300K_random_images.npy", array)
    return tmp_path


def load(root):
    return images.load("images300k", "train", [root / "data"], root / "cache")


@pytest.fixture
def both(root, monkeypatch):
    """The same set, whole in memory and mapped from disk, written in blocks of four."""
    monkeypatch.setattr("repsim.data.pictures.BLOCK_BYTES", 4 * 3072)
    whole = load(root)
    monkeypatch.setattr(decoded, "MAPPED_ABOVE", 0)
    large = load(root)
    assert large.streamed and not whole.streamed
    return whole, large


@pytest.mark.parametrize("augment", ["none", "crop_flip", "resized_crop_flip"])
def test_batches_of_a_mapped_set_are_those_of_the_whole_one(both, augment):
    seen = [list(batches.batches(each, 7, torch.Generator().manual_seed(1), augment)) for each in both]
    assert len(seen[0]) == 4
    for one, other in zip(*seen, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_ordered_batches_of_a_mapped_set_are_those_of_the_whole_one(both):
    for one, other in zip(*(batches.ordered(each, 5) for each in both), strict=True):
        assert torch.equal(one[0], other[0]) and torch.equal(one[1], other[1])


def test_subsets_of_a_mapped_set_copy_no_image_and_are_those_of_the_whole_one(both):
    large = both[1]
    parts = [images.holdout(each, 6, seed=2) for each in both]
    for one, other in zip(*parts, strict=True):
        assert other.images.data_ptr() == large.images.data_ptr() and len(other) == len(one)
        assert torch.equal(one.pixels(slice(0, 99)), other.pixels(slice(0, 99)))
        again = images.take(one, 4, seed=3), images.take(other, 4, seed=3)
        assert torch.equal(again[0].pixels(torch.tensor([3, 0])), again[1].pixels(torch.tensor([3, 0])))
        seen = [list(batches.ordered(each, 3)) for each in again]
        assert all(torch.equal(a[0], b[0]) for a, b in zip(*seen, strict=True))


def test_a_mapped_set_stays_on_disk_wherever_its_batches_go(both):
    moved = both[1].to("meta")
    assert (moved.images.device.type, moved.device.type, moved.labels.device.type) == ("cpu", "meta", "meta")
    assert both[0].to("meta").images.device.type == "meta"
    assert next(batches.ordered(moved, 5))[0].device.type == "meta"


def test_images_are_read_by_a_thread_exactly_one_batch_ahead():
    asked, who = [], set()

    def read(index):
        asked.append(index)
        who.add(threading.current_thread().name)
        return torch.tensor(index)

    reader = mapped.ahead(read, range(5))
    assert int(next(reader)) == 0
    assert int(next(reader)) == 1
    reader.close()
    assert asked == [0, 1, 2] and threading.main_thread().name not in who


def test_what_goes_wrong_in_the_thread_is_raised_where_the_batch_is_wanted():
    def read(index):
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        next(mapped.ahead(read, range(3)))


def test_blocks_of_any_size_become_one_npy_file_with_a_sum_for_each(tmp_path):
    blocks = [(pixels()[a:b], np.arange(a, b)) for a, b in ((0, 4), (4, 5), (5, N))]
    decoded.write(tmp_path / "x", iter(blocks))
    assert np.array_equal(np.load(tmp_path / "x.images.npy"), pixels())
    assert np.array_equal(np.load(tmp_path / "x.labels.npy"), np.arange(N))
    assert decoded._beside(tmp_path / "x", ".json").read_text().count(str(zlib.crc32(pixels()[:4]))) == 1
    assert decoded.check(tmp_path / "x")


def test_a_decoder_that_breaks_off_leaves_nothing(tmp_path):
    def broken():
        yield pixels()[:4], np.arange(4)
        raise InputError("damaged")

    with pytest.raises(InputError, match="damaged"):
        decoded.write(tmp_path / "x", broken())
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_nothing_and_says_so(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(decoded.os, "fsync", full)
    with pytest.raises(InputError, match="cannot be stored: No space left on device"):
        decoded.write(tmp_path / "x", [(pixels(), np.arange(N))])
    assert list(tmp_path.iterdir()) == []


def test_a_mapped_copy_of_another_length_is_decoded_again(root, both):
    path = next((root / "cache").glob("*.images.npy"))
    path.write_bytes(path.read_bytes()[:-1])
    assert torch.equal(load(root).pixels(slice(0, N)), both[0].images)


def test_a_changed_byte_of_a_mapped_copy_is_found_by_a_check_and_then_decoded_again(root, both):
    path = next((root / "cache").glob("*.images.npy"))
    stem = path.with_name(path.name.removesuffix(".images.npy"))
    assert decoded.check(stem)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert not decoded.check(stem) and not decoded.begun(stem)
    assert torch.equal(load(root).pixels(slice(0, N)), both[0].images)
    assert decoded.check(stem)


def decode_beside(root, results):
    """What one of several processes does."""
    made = []
    write = decoded.write
    decoded.write = lambda *given: (made.append(1), write(*given))
    results.put((int(load(root).labels.sum()), len(load(root)), len(made)))


def test_of_several_processes_one_decodes_and_the_others_wait(root):
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    workers = [context.Process(target=decode_beside, args=(root, results)) for _ in range(3)]
    for worker in workers:
        worker.start()
    seen = [results.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join()
    assert [each[:2] for each in seen] == [(0, N)] * 3
    assert sum(each[2] for each in seen) == 1


def test_training_validation_and_test_images_are_fixed_by_the_seed(tmp_path):
    one, same, other = (splits.three("digits", [], tmp_path, validation=97, seed=seed) for seed in (1, 1, 2))
    assert one.validation is not None and same.validation is not None and other.validation is not None
    assert (len(one.train), len(one.validation), len(one.test)) == (1200, 97, 500)
    assert torch.equal(one.validation.images, same.validation.images)
    assert not torch.equal(one.validation.images, other.validation.images)
    parts = torch.cat([one.train.images, one.validation.images]).flatten(1)
    everything = images.load("digits", "train", [], tmp_path).images.flatten(1)
    assert sorted(map(tuple, parts.tolist())) == sorted(map(tuple, everything.tolist()))
    assert splits.three("digits", [], tmp_path).validation is None
