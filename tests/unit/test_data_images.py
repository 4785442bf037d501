"""Decoding, the decoded copy on disk, and subsets."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from repsim.data import decoded, downloads, images, layouts, sources
from repsim.data.images import Images
from repsim.errors import InputError


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


FOLDER, NAMES = layouts.PICKLES["cifar10"]
SPLIT_TRAIN = [2, 8, 2, 6, 6, 7, 1, 9, 8, 5]
SPLIT_TEST = [0, 9, 6, 9, 8, 4, 5, 8, 1, 6]


def numbered(n=20):
    """Image k is filled with k."""
    return Images("numbered", torch.arange(n, dtype=torch.uint8).reshape(n, 1, 1, 1).expand(n, 1, 2, 2), torch.arange(n), n)


def refuse(*_):
    raise AssertionError("decoded again")


def test_the_two_splits_of_the_digits_are_all_digits_once(cache):
    train, test = (images.load("digits", split, [], cache) for split in ("train", "test"))
    assert (len(train), len(test)) == (1297, 500)
    ours = torch.cat([train.images, test.images]).flatten(1).numpy().astype(int)
    labelled = np.column_stack([ours, torch.cat([train.labels, test.labels])])
    theirs = np.column_stack([np.rint(load_digits().data * 255 / 16).astype(int), load_digits().target])
    assert sorted(map(tuple, labelled)) == sorted(map(tuple, theirs))


def test_the_split_of_the_digits_never_changes(cache):
    assert images.load("digits", "train", [], cache).labels[:10].tolist() == SPLIT_TRAIN
    assert images.load("digits", "test", [], cache).labels[:10].tolist() == SPLIT_TEST


def test_digits32_are_the_digits_upsampled(cache):
    small, large = (images.load(name, "test", [], cache) for name in ("digits", "digits32"))
    assert large.images.shape == (500, 1, 32, 32)
    assert torch.equal(small.labels, large.labels)
    blocks = torch.nn.functional.avg_pool2d(large.images.double(), 4)
    assert torch.corrcoef(torch.stack([blocks.flatten(), small.images.double().flatten()]))[0, 1] > 0.97


@pytest.mark.parametrize("name", ["digits", "digits32"])
def test_mean_and_std_are_those_of_the_training_pixels(cache, name):
    source, pixels = sources.get(name), images.load(name, "train", [], cache).images.double() / 255
    assert source.mean == pytest.approx((pixels.mean().item(),), abs=1e-4)
    assert source.std == pytest.approx((pixels.std(correction=0).item(),), abs=1e-4)
    assert len(pixels) == source.train_images


def test_a_second_load_reads_the_decoded_copy(cache, monkeypatch):
    before = images.load("digits", "test", [], cache)
    monkeypatch.setitem(images.DECODERS, "bundled", refuse)
    after = images.load("digits", "test", [], cache)
    assert torch.equal(before.images, after.images) and torch.equal(before.labels, after.labels)


def flip_a_bit(array, facts):
    data = bytearray(array.read_bytes())
    data[len(data) // 2] ^= 1
    array.write_bytes(data)


def cut_short(array, facts):
    array.write_bytes(array.read_bytes()[:-1000])


def lengthen(array, facts):
    array.write_bytes(array.read_bytes() + b"x")


def empty(array, facts):
    array.write_bytes(b"")


def lose(array, facts):
    array.unlink()


def lose_facts(array, facts):
    facts.unlink()


def cut_facts(array, facts):
    facts.write_bytes(facts.read_bytes()[:10])


def strange_facts(array, facts):
    facts.write_text(json.dumps([1, 2]))


def a_pickle(array, facts):
    np.save(array, np.array([{}], dtype=object), allow_pickle=True)


@pytest.mark.parametrize("array", ["images", "labels"])
@pytest.mark.parametrize("harm", [flip_a_bit, cut_short, lengthen, empty, lose, lose_facts, cut_facts, strange_facts, a_pickle])
def test_a_damaged_decoded_copy_is_noticed_and_rebuilt(tmp_path, monkeypatch, harm, array):
    good = images.load("digits", "test", [], tmp_path)
    harm(next(tmp_path.glob(f"*.{array}.npy")), next(tmp_path.glob("*.json")))
    again = images.load("digits", "test", [], tmp_path)
    assert torch.equal(good.images, again.images) and torch.equal(good.labels, again.labels)
    monkeypatch.setitem(images.DECODERS, "bundled", refuse)
    images.load("digits", "test", [], tmp_path)


def test_a_cache_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "cache").write_text("a file where a folder should be")
    with pytest.raises(InputError, match=f"{tmp_path / 'cache'}: the decoded data set cannot be stored"):
        images.load("digits", "test", [], tmp_path / "cache")


def test_two_processes_that_decode_at_once_leave_one_sound_copy(tmp_path):
    code = (
        "import numpy as np; from pathlib import Path; from repsim.data import decoded\n"
        f"stem = Path({str(tmp_path / 'x')!r})\n"
        "for _ in range(40): decoded.write(stem, [(np.full((50, 3, 32, 32), 7, np.uint8), np.arange(50) + k) for k in (0, 50)])\n"
    )
    writers = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(2)]
    while any(writer.poll() is None for writer in writers):
        seen = decoded.read(tmp_path / "x")
        assert seen is None or (np.all(seen.images == 7) and seen.labels.tolist() == list(range(100)))
    assert [writer.returncode for writer in writers] == [0, 0]
    assert decoded.read(tmp_path / "x") is not None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.images.npy", "x.json", "x.labels.npy"]


def test_a_changed_source_file_has_another_fingerprint(tmp_path):
    file = tmp_path / "test-0.parquet"
    file.write_bytes(b"one")
    found = sources.Found("parquet", {"test": (file,)})
    cifar = sources.get("cifar10")
    before = decoded.fingerprint(cifar, found, "test")
    assert decoded.fingerprint(cifar, found, "test") == before
    assert decoded.fingerprint(replace(cifar, size=16), found, "test") != before
    file.write_bytes(b"another")
    assert decoded.fingerprint(cifar, found, "test") != before


def test_holding_out_parts_the_images_and_is_fixed_by_the_seed():
    rest, held = images.holdout(numbered(), 5, seed=3)
    assert (len(rest), len(held)) == (15, 5)
    assert sorted([*rest.labels.tolist(), *held.labels.tolist()]) == list(range(20))
    assert torch.equal(held.images[:, 0, 0, 0].long(), held.labels)
    assert held.labels.tolist() == images.holdout(numbered(), 5, seed=3)[1].labels.tolist()
    assert held.labels.tolist() != images.holdout(numbered(), 5, seed=4)[1].labels.tolist()


def test_a_smaller_choice_of_images_lies_within_a_larger_one():
    small, large = (set(images.take(numbered(), n, seed=1).labels.tolist()) for n in (4, 9))
    assert len(small) == 4 and len(large) == 9 and small < large
    assert images.take(numbered(), None, seed=1).labels.tolist() == list(range(20))


@pytest.mark.parametrize("n", [0, 21])
def test_more_images_than_there_are_cannot_be_taken(n):
    with pytest.raises(InputError, match=f"cannot take {n} of the 20 images of 'numbered'"):
        images.take(numbered(), n, seed=0)
    with pytest.raises(InputError, match="cannot hold out"):
        images.holdout(numbered(), n, seed=0)


def no_network(*_, **__):
    raise OSError("Network is unreachable")


def test_without_a_network_a_missing_data_set_says_where_and_why(tmp_path, monkeypatch):
    monkeypatch.setattr(downloads, "urlopen", no_network)
    with pytest.raises(InputError) as error:
        images.load("cifar10", "train", [tmp_path / "data"], tmp_path / "cache")
    text = str(error.value)
    assert str(tmp_path / "data") in text and "Network is unreachable" in text and "uoft-cs/cifar10" in text
    assert not (tmp_path / "data").exists()


def test_nothing_is_downloaded_unless_asked(tmp_path, monkeypatch):
    monkeypatch.setattr(downloads, "urlopen", refuse)
    with pytest.raises(InputError, match="was not found"):
        images.load("cifar10", "train", [tmp_path], tmp_path / "cache", download=False)


class Server:
    """Stands for torchvision's downloader: brings the files, or breaks off in the middle."""

    url = "https://example.org"
    breaks = False

    def __init__(self, root, download):
        folder = Path(root) / FOLDER
        folder.mkdir()
        for name in (name for names in NAMES.values() for name in names):
            (folder / name).write_bytes(b"")
            if self.breaks:
                raise RuntimeError("File not found or corrupted.")


@pytest.mark.parametrize("breaks", [False, True])
def test_a_download_is_there_whole_or_not_at_all(tmp_path, monkeypatch, breaks):
    monkeypatch.setattr(downloads, "urlopen", lambda *_, **__: (tmp_path / "answer").open("w"))
    monkeypatch.setattr("torchvision.datasets.CIFAR10", type("Fake", (Server,), {"breaks": breaks}))
    data = tmp_path / "data"
    if breaks:
        with pytest.raises(InputError, match="failed: File not found or corrupted"):
            downloads.download(sources.get("cifar10"), data)
    else:
        downloads.download(sources.get("cifar10"), data)
        assert sources.find("cifar10", [data]).kind == "torchvision"
    assert [path.name for path in data.iterdir()] == ([] if breaks else [FOLDER])


def test_a_download_that_another_process_finished_first_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(downloads, "urlopen", lambda *_, **__: (tmp_path / "answer").open("w"))
    monkeypatch.setattr("torchvision.datasets.CIFAR10", Server)
    final = tmp_path / "data" / FOLDER
    final.mkdir(parents=True)
    (final / "data_batch_1").write_bytes(b"theirs")
    downloads.download(sources.get("cifar10"), tmp_path / "data")
    assert (final / "data_batch_1").read_bytes() == b"theirs"
    assert [path.name for path in (tmp_path / "data").iterdir()] == [FOLDER]
