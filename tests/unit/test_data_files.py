"""Reading CIFAR-10 from Parquet in the Hugging Face layout, and from torchvision's folder of pickles."""

import hashlib
import io
import pickle

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from torchvision.datasets import CIFAR10

from repsim.data import hf_parquet, images, layouts, sources, torchvision_folder
from repsim.errors import InputError

CIFAR = sources.get("cifar10")
FOLDER, NAMES = layouts.PICKLES["cifar10"]


def decode(source, split, files):
    """All blocks of a decoder as one."""
    return tuple(np.concatenate(each) for each in zip(*hf_parquet.decode(source, split, files), strict=True))


def png(pixels, kind="PNG"):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


def random_pixels(n, seed=0, size=32):
    return np.random.default_rng(seed).integers(0, 256, (n, size, size, 3), dtype=np.uint8)


def table(files, labels, column="img"):
    return pa.table({column: [{"bytes": file, "path": f"{k}.png"} for k, file in enumerate(files)], "label": labels})


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(content, path)
    return path


@pytest.fixture
def sound(tmp_path):
    """A Parquet file of five images."""
    return write(tmp_path / "sound.parquet", table([png(p) for p in random_pixels(5)], [0, 1, 2, 3, 9]))


@pytest.mark.parametrize("column", ["img", "image"])
def test_pixels_and_labels_come_back_exactly_and_shards_in_order(tmp_path, column):
    first, second = random_pixels(3, 1), random_pixels(2, 2)
    files = [
        write(tmp_path / "a.parquet", table(map(png, first), [1, 2, 3], column)),
        write(tmp_path / "b.parquet", table(map(png, second), [4, 5], column)),
    ]
    pixels, labels = decode(CIFAR, "train", files)
    assert labels.tolist() == [1, 2, 3, 4, 5]
    assert np.array_equal(pixels, np.concatenate([first, second]).transpose(0, 3, 1, 2))


def test_cifar10_is_loaded_from_parquet_and_grey_images_become_colour(tmp_path):
    grey = random_pixels(1)[0, :, :, 0]
    folder = tmp_path / "data" / "cifar10" / "plain_text"
    write(folder / "train-00000-of-00001.parquet", table([png(grey)], [7]))
    write(folder / "test-00000-of-00001.parquet", table([png(random_pixels(1)[0])], [1]))
    train = images.load("cifar10", "train", [tmp_path / "data"], tmp_path / "cache")
    assert (train.labels.tolist(), train.classes, train.images.shape) == ([7], 10, (1, 3, 32, 32))
    assert torch.equal(train.images[0, 2], torch.from_numpy(grey))


@pytest.mark.parametrize(
    ("image", "label", "message"),
    [
        (png(random_pixels(1)[0]), 10, "row 1: label 10 is not among 0…9"),
        (png(random_pixels(1)[0]), -1, "row 1: label -1 is not among 0…9"),
        (png(random_pixels(1)[0]), None, "row 1: label None"),
        (png(random_pixels(1, size=28)[0]), 3, "row 1: the image is 28×28, not 32×32"),
        (b"no image at all", 3, "row 1: the image cannot be decoded"),
        (png(random_pixels(1)[0])[:300], 3, "row 1: the image cannot be decoded"),
        (png(random_pixels(1)[0], "JPEG")[:500], 3, "row 1: the image cannot be decoded"),
        (png(random_pixels(1)[0], "BMP"), 3, "row 1: the image cannot be decoded"),
        (b"", 3, "row 1: the image is empty"),
        (None, 3, "row 1: the image is empty"),
    ],
)
def test_a_bad_row_is_named_by_file_and_row(tmp_path, image, label, message):
    path = write(tmp_path / "bad.parquet", table([png(random_pixels(1)[0]), image], [0, label]))
    with pytest.raises(InputError, match=message) as error:
        decode(CIFAR, "train", [path])
    assert str(error.value).startswith(str(path))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (pa.table({"pixels": [1], "label": [0]}), "has the columns pixels, label"),
        (pa.table({"img": [{"bytes": b"x"}]}), "has the columns img"),
        (pa.table({"img": [b"x"], "label": [0]}), "column 'img' is binary"),
        (pa.table({"img": [{"path": "x"}], "label": [0]}), "column 'img' is struct"),
        (pa.table({"img": [{"bytes": b"x"}], "label": ["cat"]}), "column 'label' is string"),
    ],
)
def test_another_layout_is_refused_with_what_is_there(tmp_path, content, message):
    with pytest.raises(InputError, match=message):
        decode(CIFAR, "train", [write(tmp_path / "other.parquet", content)])


def test_files_without_rows_are_refused_and_nothing_is_kept(tmp_path):
    schema = pa.schema([("img", pa.struct([("bytes", pa.binary())])), ("label", pa.int64())])
    for split in ("train", "test"):
        write(tmp_path / "cifar10" / f"{split}-00000-of-00001.parquet", schema.empty_table())
    with pytest.raises(InputError, match="there are no images"):
        images.load("cifar10", "train", [tmp_path], tmp_path / "cache")
    assert not [path for path in (tmp_path / "cache").iterdir() if not path.name.endswith(".lock")]


@pytest.mark.parametrize("keep", [0.0, 0.3, 0.99])
def test_a_file_cut_short_is_an_input_error(sound, keep):
    data = sound.read_bytes()
    sound.write_bytes(data[: int(keep * len(data))])
    with pytest.raises(InputError, match="cannot be read as Parquet"):
        decode(CIFAR, "train", [sound])


def test_flipped_bytes_give_an_input_error_or_an_image_but_nothing_else(sound):
    data, random, refused = sound.read_bytes(), np.random.default_rng(0), 0
    for _ in range(60):
        harmed = bytearray(data)
        for place in random.integers(0, len(data), 20):
            harmed[place] ^= 255
        sound.write_bytes(harmed)
        try:
            decode(CIFAR, "train", [sound])
        except InputError:
            refused += 1
    assert refused > 50


def torchvision_copy(root, monkeypatch, payload=None):
    """A folder of pickles in torchvision's layout whose MD5s are declared to be the published ones."""
    folder = root / FOLDER
    folder.mkdir(parents=True)
    digests = {}
    for split, names in NAMES.items():
        for k, name in enumerate(names):
            pixels = random_pixels(2, seed=k + 10 * (split == "test")).transpose(0, 3, 1, 2).reshape(2, -1)
            data = pickle.dumps(payload or {"data": pixels, "labels": [k, k + 1]})
            (folder / name).write_bytes(data)
            digests[name] = hashlib.md5(data).hexdigest()
    meta = pickle.dumps({"label_names": [str(k) for k in range(10)]})
    (folder / "batches.meta").write_bytes(meta)
    lists = {split: [[name, digests[name]] for name in names] for split, names in NAMES.items()}
    monkeypatch.setattr(CIFAR10, "train_list", lists["train"])
    monkeypatch.setattr(CIFAR10, "test_list", lists["test"])
    monkeypatch.setattr(CIFAR10, "meta", {**CIFAR10.meta, "md5": hashlib.md5(meta).hexdigest()})
    return folder


def test_torchvisions_folder_is_read_in_its_order(tmp_path, monkeypatch):
    torchvision_copy(tmp_path / "data", monkeypatch)
    train, test = (images.load("cifar10", split, [tmp_path / "data"], tmp_path / "cache") for split in ("train", "test"))
    assert train.labels.tolist() == [0, 1, 1, 2, 2, 3, 3, 4, 4, 5]
    assert test.labels.tolist() == [0, 1]
    expected = np.concatenate([random_pixels(2, seed=k) for k in range(5)]).transpose(0, 3, 1, 2)
    assert np.array_equal(train.images.numpy(), expected)


class Bomb:
    """Unpickling it creates a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_a_pickle_that_is_not_the_published_one_is_never_opened(tmp_path):
    folder = tmp_path / FOLDER
    folder.mkdir()
    bomb = pickle.dumps(Bomb(tmp_path / "exploded"))
    for name in ("batches.meta", *(name for names in NAMES.values() for name in names)):
        (folder / name).write_bytes(bomb)
    files = sources.find("cifar10", [tmp_path]).paths["test"]
    with pytest.raises(InputError, match="MD5 of a file differs"):
        list(torchvision_folder.decode(CIFAR, "test", files))
    assert not (tmp_path / "exploded").exists()
    pickle.loads(bomb).close()
    assert (tmp_path / "exploded").exists(), "the bomb must be live for this test to mean something"


def test_one_changed_byte_in_torchvisions_folder_is_refused(tmp_path, monkeypatch):
    folder = torchvision_copy(tmp_path, monkeypatch)
    data = bytearray((folder / "data_batch_3").read_bytes())
    data[-5] ^= 1
    (folder / "data_batch_3").write_bytes(data)
    with pytest.raises(InputError, match="is not the published copy"):
        images.load("cifar10", "train", [tmp_path], tmp_path / "cache")
