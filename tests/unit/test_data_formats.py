"""The files in which people have their data sets: every pixel and label as written, whatever is damaged named."""

import gzip
import hashlib
import io
import pickle
import struct
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import torchvision.transforms.v2.functional as TF
from PIL import Image
from scipy.io import savemat
from torchvision.datasets import CIFAR100

from repsim.data import images, known, sources
from repsim.errors import InputError


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def load(name, split, root):
    return images.load(name, split, [root / "data"], root / "cache", download=False)


def must_leave_nothing(root):
    left = [path.name for path in (root / "cache").glob("*")] if (root / "cache").exists() else []
    assert all(name.endswith(".lock") for name in left), left


# MNIST's idx files


def idx(array, magic):
    return struct.pack(f">{1 + array.ndim}i", magic, *array.shape) + array.tobytes()


def write_idx(folder, compressed=False, **changes):
    """MNIST's four files: 4 training and 3 test images; `changes` replaces the bytes of some."""
    folder.mkdir(parents=True)
    for seed, (split, n) in enumerate((("train", 4), ("t10k", 3))):
        files = {f"{split}-images-idx3-ubyte": idx(noise(n, 28, 28, seed=seed), 2051)}
        files[f"{split}-labels-idx1-ubyte"] = idx(np.arange(n, dtype=np.uint8), 2049)
        for name, data in files.items():
            data = changes.get(name.replace("-", "_"), data)
            (folder / (f"{name}.gz" if compressed else name)).write_bytes(gzip.compress(data) if compressed else data)


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize(("name", "place"), [("mnist", "MNIST/raw"), ("mnist", "mnist/MNIST/raw"), ("fashion", "FashionMNIST/raw")])
def test_idx_files_are_read_to_the_pixel(tmp_path, name, place, compressed):
    write_idx(tmp_path / "data" / place, compressed)
    train, test = (load(name, split, tmp_path) for split in ("train", "test"))
    assert torch.equal(train.images, torch.from_numpy(noise(4, 1, 28, 28)))
    assert torch.equal(test.images, torch.from_numpy(noise(3, 1, 28, 28, seed=1)))
    assert (train.labels.tolist(), test.labels.tolist()) == ([0, 1, 2, 3], [0, 1, 2])


def test_mnist32_is_resized_as_torchvision_resizes_pictures(tmp_path):
    write_idx(tmp_path / "data" / "MNIST" / "raw")
    large = load("mnist32", "train", tmp_path)
    expected = [np.asarray(TF.resize(Image.fromarray(each), [32, 32])) for each in noise(4, 28, 28)]
    assert np.array_equal(large.images[:, 0].numpy(), np.stack(expected))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train_images_idx3_ubyte": idx(noise(4, 28, 28), 2049)}, "begins with 2049, not with 2051"),
        ({"train_images_idx3_ubyte": idx(noise(4, 28, 28), 2051)[:-9]}, "holds 3127 bytes for the shape"),
        ({"train_images_idx3_ubyte": idx(noise(4, 20, 28), 2051)}, r"not uint8 \(n, 1, 28, 28\)"),
        ({"train_images_idx3_ubyte": idx(noise(0, 28, 28), 2051)}, r"images are uint8 \(0,"),
        ({"train_images_idx3_ubyte": b"\0\0"}, "cannot be read"),
        ({"train_images_idx3_ubyte": struct.pack(">4i", 2051, -1, 28, 28)}, "bytes for the shape"),
        ({"train_labels_idx1_ubyte": idx(noise(5), 2049)}, r"4 images and labels uint8 \(5,\)"),
        ({"train_labels_idx1_ubyte": idx(np.array([0, 1, 10, 2], np.uint8), 2049)}, "label 10 of image 2 is not among 0…9"),
    ],
)
def test_damaged_idx_files_are_refused(tmp_path, change, message):
    write_idx(tmp_path / "data" / "MNIST" / "raw", **change)
    with pytest.raises(InputError, match=message) as error:
        load("mnist", "train", tmp_path)
    assert "idx" in str(error.value.where)
    must_leave_nothing(tmp_path)


def test_a_damaged_gz_is_refused(tmp_path):
    write_idx(tmp_path / "data" / "MNIST" / "raw", compressed=True)
    path = tmp_path / "data" / "MNIST" / "raw" / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(InputError, match="cannot be read"):
        load("mnist", "train", tmp_path)
    must_leave_nothing(tmp_path)


# SVHN's MATLAB files


def write_mat(root, pixels, labels):
    folder = root / "data" / "svhn"
    folder.mkdir(parents=True, exist_ok=True)
    for split in ("train", "test"):
        savemat(folder / f"{split}_32x32.mat", {"X": pixels, "y": labels}, do_compression=True)
    return folder / "train_32x32.mat"


def test_svhn_is_read_with_its_ten_as_zero(tmp_path):
    write_mat(tmp_path, noise(32, 32, 3, 5), np.array([[1], [10], [9], [5], [10]], np.uint8))
    train = load("svhn", "train", tmp_path)
    assert train.labels.tolist() == [1, 0, 9, 5, 0]
    assert np.array_equal(train.images.numpy(), noise(32, 32, 3, 5).transpose(3, 2, 0, 1))


@pytest.mark.parametrize(
    ("pixels", "labels", "message"),
    [
        (noise(32, 32, 3, 2), np.array([[1], [11]]), "label 11 of image 1"),
        (noise(32, 32, 3, 2), np.array([[1]]), "2 images and labels"),
        (noise(16, 32, 3, 2), np.array([[1], [2]]), "not uint8"),
        (noise(32, 32, 3, 2).astype(float), np.array([[1], [2]]), "images are float64"),
        (noise(32, 32), np.array([[1], [2]]), r"X is uint8 \(32, 32\)"),
        (noise(32, 32, 3, 2), np.array(["one", "two"]), "y is <U3"),
    ],
)
def test_strange_matlab_files_are_refused(tmp_path, pixels, labels, message):
    write_mat(tmp_path, pixels, labels)
    with pytest.raises(InputError, match=message):
        load("svhn", "train", tmp_path)
    must_leave_nothing(tmp_path)


def test_damaged_matlab_files_are_input_errors(tmp_path):
    path = write_mat(tmp_path, noise(32, 32, 3, 3), np.array([[1], [2], [3]]))
    data, random, refused = path.read_bytes(), np.random.default_rng(0), 0
    for _ in range(60):
        harmed = bytearray(data[: random.integers(0, len(data) + 1)])
        for place in random.integers(0, max(1, len(harmed)), 8):
            harmed[place : place + 1] = bytes([random.integers(0, 256)])
        path.write_bytes(harmed)
        try:
            load("svhn", "train", tmp_path)
        except InputError:
            refused += 1
    assert refused > 50


# CIFAR-100's pickles


def test_cifar100_is_read_only_if_it_is_the_published_copy(tmp_path, monkeypatch):
    folder, digests = tmp_path / "data" / "cifar-100-python", {}
    folder.mkdir(parents=True)
    for name, n in (("train", 3), ("test", 2), ("meta", 0)):
        content = {"data": noise(n, 3072), "fine_labels": list(range(90, 90 + n)), "fine_label_names": ["x"] * 100}
        (folder / name).write_bytes(pickle.dumps(content))
        digests[name] = hashlib.md5((folder / name).read_bytes()).hexdigest()
    with pytest.raises(InputError, match="not the published copy of CIFAR100"):
        load("cifar100", "train", tmp_path)
    monkeypatch.setattr(CIFAR100, "train_list", [["train", digests["train"]]])
    monkeypatch.setattr(CIFAR100, "test_list", [["test", digests["test"]]])
    monkeypatch.setattr(CIFAR100, "meta", {**CIFAR100.meta, "md5": digests["meta"]})
    train = load("cifar100", "train", tmp_path)
    assert (train.labels.tolist(), train.classes) == ([90, 91, 92], 100)
    assert np.array_equal(train.images.numpy(), noise(3, 3072).reshape(3, 3, 32, 32))


# CIFAR-5m and the 300K random images


def write_parts(root, compressed=False, **changes):
    folder, save = root / "data" / "cifar5m", np.savez_compressed if compressed else np.savez
    folder.mkdir(parents=True, exist_ok=True)
    for k in range(6):
        arrays = {"X": noise(5, 32, 32, 3, seed=k), "Y": np.full(5, k), **(changes if k == 0 else {})}
        save(folder / f"cifar5m_part{k}.npz", **{name: value for name, value in arrays.items() if value is not None})
    return folder / "cifar5m_part0.npz"


@pytest.mark.parametrize("compressed", [False, True])
def test_cifar5m_is_read_block_by_block_to_the_pixel(tmp_path, monkeypatch, compressed):
    monkeypatch.setattr("repsim.data.pictures.BLOCK_BYTES", 2 * 3072)
    write_parts(tmp_path, compressed)
    train, test = (load("cifar5m", split, tmp_path) for split in ("train", "test"))
    expected = np.concatenate([noise(5, 32, 32, 3, seed=k) for k in range(5)]).transpose(0, 3, 1, 2)
    assert np.array_equal(train.images.numpy(), expected)
    assert train.labels.tolist() == [k for k in range(5) for _ in range(5)]
    assert np.array_equal(test.images.numpy(), noise(5, 32, 32, 3, seed=5).transpose(0, 3, 1, 2))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"Y": np.full(4, 1)}, "5 images and labels"),
        ({"Y": np.full(6, 1)}, "5 images and 6 labels"),
        ({"Y": np.full(5, 10)}, "label 10"),
        ({"Y": np.full(5, 0.5)}, "labels float64"),
        ({"Y": None}, "lacks an array"),
        ({"Y": np.array([{}] * 5)}, "cannot be read"),
        ({"X": noise(5, 16, 32, 3)}, r"not uint8 \(n, 32, 32, 3\)"),
        ({"X": noise(5, 32, 32, 3).astype(np.float32)}, "float32"),
        ({"X": np.asfortranarray(noise(5, 32, 32, 3))}, "column by column"),
    ],
)
def test_strange_parts_of_cifar5m_are_refused(tmp_path, change, message):
    write_parts(tmp_path, **change)
    with pytest.raises(InputError, match=message) as error:
        load("cifar5m", "train", tmp_path)
    assert "cifar5m_part0.npz" in str(error.value.where)
    must_leave_nothing(tmp_path)


def test_a_changed_byte_in_cifar5m_is_noticed_by_the_archives_own_sum(tmp_path):
    path = write_parts(tmp_path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(InputError, match="Bad CRC-32"):
        load("cifar5m", "train", tmp_path)
    must_leave_nothing(tmp_path)


def test_random_images_have_no_labels_and_no_test_split(tmp_path):
    (tmp_path / "data" / "images300k").mkdir(parents=True)
    np.save(tmp_path / "data" / "images300k" / "300K_random_images.npy", noise(7, 32, 32, 3))
    auxiliary = load("images300k", "train", tmp_path)
    assert np.array_equal(auxiliary.images.numpy(), noise(7, 32, 32, 3).transpose(0, 3, 1, 2))
    assert auxiliary.labels.tolist() == [0] * 7
    with pytest.raises(InputError, match="no images for testing"):
        load("images300k", "test", tmp_path)


@pytest.mark.parametrize("content", [noise(7, 32, 32), noise(7, 32, 32, 3).astype(float), noise(0, 32, 32, 3), np.array([{}] * 3)])
def test_strange_random_images_are_refused(tmp_path, content):
    (tmp_path / "data").mkdir()
    np.save(tmp_path / "data" / "300K_random_images.npy", content)
    with pytest.raises(InputError, match=r"300K_random_images\.npy"):
        load("images300k", "train", tmp_path)
    must_leave_nothing(tmp_path)


# CelebA


def picture(pixels, path, kind=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, kind)
    return path


def write_celeba(root, monkeypatch, **changes):
    """Five faces of 218×178 with 3 attributes: two for training, one for validation, two for testing."""
    monkeypatch.setitem(known.SOURCES, "celeba", replace(known.SOURCES["celeba"], classes=3))
    folder = root / "data" / "celeba"
    for k in range(5):
        picture(noise(218, 178, 3, seed=k), folder / "img_align_celeba" / f"{k}.jpg", "PNG")
    rows = "".join(f"{k}.jpg  -1  1 {'1' if k % 2 else '-1'}\n" for k in range(5))
    texts = {"attr": f"5\nBald Smiling Odd\n{rows}", "partition": "0.jpg 0\n1.jpg 0\n2.jpg 1\n3.jpg 2\n4.jpg 2\n", **changes}
    (folder / "list_attr_celeba.txt").write_text(texts["attr"])
    (folder / "list_eval_partition.txt").write_text(texts["partition"])
    return folder


def test_celeba_has_its_attributes_partition_and_the_centre_of_its_squares(tmp_path, monkeypatch):
    write_celeba(tmp_path, monkeypatch)
    train, test = (load("celeba", split, tmp_path) for split in ("train", "test"))
    assert (train.labels.tolist(), train.labels.dtype) == ([[0, 1, 0], [0, 1, 1]], torch.uint8)
    assert (test.labels.tolist(), train.classes) == ([[0, 1, 1], [0, 1, 0]], 3)
    for ours, seed in ((train.images[1], 1), (test.images[0], 3)):
        theirs = TF.center_crop(TF.resize(Image.fromarray(noise(218, 178, 3, seed=seed)), [256, 256]), [224, 224])
        assert np.array_equal(ours.numpy(), np.asarray(theirs).transpose(2, 0, 1))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"attr": "4\nBald Smiling Odd\n0.jpg 1 1 1\n"}, "announces '4' faces with 3 attributes, and has 1 lines"),
        ({"attr": "1\nBald Smiling\n0.jpg 1 1\n"}, "expected 3 attributes"),
        ({"attr": ""}, "announces ''"),
        ({"attr": "1\nBald Smiling Odd\n0.jpg 1 0 1\n"}, "line 3: expected a name and 3 values -1 or 1"),
        ({"attr": "1\nBald Smiling Odd\n../0.jpg 1 1 1\n"}, "is no name of a file"),
        ({"partition": "9.jpg 0\n"}, "line 1: '9.jpg' is not in list_attr_celeba.txt"),
        ({"partition": "0.jpg 1\n"}, "no face is in part 0"),
    ],
)
def test_damaged_lists_of_celeba_are_refused(tmp_path, monkeypatch, change, message):
    write_celeba(tmp_path, monkeypatch, **change)
    with pytest.raises(InputError, match=message):
        load("celeba", "train", tmp_path)
    must_leave_nothing(tmp_path)


def test_a_face_that_is_not_there_is_named(tmp_path, monkeypatch):
    lost = write_celeba(tmp_path, monkeypatch) / "img_align_celeba" / "1.jpg"
    lost.unlink()
    with pytest.raises(InputError, match=f"{lost}: cannot be read"):
        load("celeba", "train", tmp_path)
    must_leave_nothing(tmp_path)


# Folders of classes


@pytest.fixture
def imagenet(tmp_path, monkeypatch):
    """Three classes of 224-pixel images from pictures of other sizes."""
    monkeypatch.setitem(known.SOURCES, "imagenet", replace(known.SOURCES["imagenet"], classes=3))
    for seed, (split, wnid) in enumerate([(s, w) for s in ("train", "val") for w in ("n01", "n02", "n03")]):
        picture(noise(300, 260 + 50 * seed, 3, seed=seed), tmp_path / "data/imagenet" / split / wnid / "a.JPEG", "PNG")
    return tmp_path


def test_imagenet_is_resized_by_its_shorter_side_and_cut_as_torchvision_does(imagenet):
    train, test = (load("imagenet", split, imagenet) for split in ("train", "test"))
    assert (train.labels.tolist(), test.labels.tolist()) == ([0, 1, 2], [0, 1, 2])
    for split, first in ((train, 0), (test, 3)):
        for k in range(3):
            original = Image.fromarray(noise(300, 260 + 50 * (first + k), 3, seed=first + k))
            theirs = TF.center_crop(TF.resize(original, [256]), [224, 224])
            assert np.array_equal(split.images[k].numpy(), np.asarray(theirs).transpose(2, 0, 1))


def break_a_picture(folder):
    (folder / "train/n02/a.JPEG").write_text("no picture")
    return "train/n02/a.JPEG: the image cannot be decoded"


def cut_a_picture(folder):
    path = folder / "train/n02/a.JPEG"
    path.write_bytes(path.read_bytes()[:2000])
    return "train/n02/a.JPEG: the image cannot be decoded"


def make_a_picture_a_folder(folder):
    (folder / "train/n02/a.JPEG").unlink()
    (folder / "train/n02/a.JPEG").mkdir()
    return "train/n02/a.JPEG: cannot be read: Is a directory"


def empty_a_class(folder):
    (folder / "train/n02/a.JPEG").unlink()
    (folder / "train/n02/notes.txt").write_text("nothing here")
    return "train/n02: there is no picture in this class"


def add_a_class(folder):
    (folder / "train/n04").mkdir()
    return "train: holds 4 folders of classes, but 'imagenet' has 3 classes"


def store_16_bits(folder):
    Image.fromarray(noise(300, 300).astype(np.uint16) * 200).save(folder / "train/n02/a.JPEG", "PNG")
    return "pixels of kind I;16, not of 8 bits"


@pytest.mark.parametrize(
    "harm", [break_a_picture, cut_a_picture, make_a_picture_a_folder, empty_a_class, add_a_class, store_16_bits]
)
def test_damage_in_a_folder_of_classes_is_named_by_its_path(imagenet, harm):
    message = harm(imagenet / "data" / "imagenet")
    with pytest.raises(InputError, match=message):
        load("imagenet", "train", imagenet)
    must_leave_nothing(imagenet)


def test_a_class_of_the_test_split_must_be_one_of_the_training_split(imagenet):
    folder = imagenet / "data" / "imagenet" / "val"
    (folder / "n03").rename(folder / "n09")
    with pytest.raises(InputError, match="val/n09: there is no such class in the training split"):
        load("imagenet", "test", imagenet)


def test_a_folder_that_may_not_be_read_is_named(tmp_path, monkeypatch):
    def forbidden(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("pathlib.Path.iterdir", forbidden)
    with pytest.raises(InputError, match="may not be read: Permission denied"):
        sources.find("imagenet", [tmp_path])


# Parquet of other sets than CIFAR-10


def write_parquet(path, pixels, labels, image="img", label="label"):
    def png(each):
        Image.fromarray(each).save(buffer := io.BytesIO(), "PNG")
        return buffer.getvalue()

    path.parent.mkdir(parents=True, exist_ok=True)
    rows = {image: [{"bytes": png(each), "path": None} for each in pixels], label: labels}
    pq.write_table(pa.table({**rows, "coarse_label": labels}), path)


@pytest.mark.parametrize(
    ("name", "place", "split", "image", "label", "size"),
    [
        ("cifar100", "cifar100/cifar100", "test", "img", "fine_label", 32),
        ("mnist", "mnist/mnist", "test", "image", "label", 28),
        ("fashion", "fashion_mnist/fashion_mnist", "test", "image", "label", 28),
        ("svhn", "svhn/cropped_digits", "test", "image", "label", 32),
        ("mnist", "mnist/data", "validation", "image", "label", 28),
    ],
)
def test_hugging_face_copies_are_found_by_their_columns_and_folders(tmp_path, name, place, split, image, label, size):
    channels = sources.get(name).channels
    pixels = noise(2, size, size, channels).squeeze(-1) if channels == 1 else noise(2, size, size, channels)
    for each in ("train", split):
        write_parquet(tmp_path / "data" / place / f"{each}-00000-of-00001.parquet", pixels, [3, 1], image, label)
    test = load(name, "test", tmp_path)
    assert test.labels.tolist() == [3, 1]
    assert np.array_equal(test.images.numpy(), pixels.reshape(2, size, size, channels).transpose(0, 3, 1, 2))


def test_imagenet_is_tested_on_its_validation_split(tmp_path, monkeypatch):
    monkeypatch.setitem(known.SOURCES, "imagenet", replace(known.SOURCES["imagenet"], classes=3))
    for split, label in (("train", 0), ("validation", 1), ("test", -1)):
        file = tmp_path / "data" / "imagenet-1k" / "data" / f"{split}-00000-of-00001.parquet"
        write_parquet(file, noise(1, 250, 240, 3), [label], "image")
    assert load("imagenet", "test", tmp_path).labels.tolist() == [1]
