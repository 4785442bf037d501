"""A person's own pictures become a data set: found, measured, registered, and then like any other."""

import io
import json
import os
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from typer.testing import CliRunner

from repsim import child, job
from repsim.cli.main import app
from repsim.data import __main__ as asked
from repsim.data import images, registered, registering, sources
from repsim.data.facts import Division
from repsim.errors import InputError

ROOT = Path(__file__).parents[2]
DIVISION = Division(0.25, 0)


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def picture(pixels, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def data(tmp_path, monkeypatch):
    """A data folder, as REPSIM_DATA names it."""
    monkeypatch.setenv("REPSIM_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


@pytest.fixture
def split(data):
    """birds: two classes, 3 training and 2 test pictures each, 10×10."""
    for part, n in (("train", 3), ("test", 2)):
        for label, name in enumerate(("crow", "owl")):
            for k in range(n):
                picture(noise(10, 10, 3, seed=100 * label + 10 * n + k), data / "birds" / part / name / f"{k}.png")
    return data


def add(data, name="birds", size=None, channels=None, division=DIVISION):
    return registering.add(name, [data], data.parent / "cache", size, channels, division)


def load(data, part, name="birds"):
    return images.load(name, part, [data], data.parent / "cache", download=False)


def test_a_folder_with_splits_becomes_a_data_set_with_its_measured_mean_and_std(split):
    add(split)
    source = sources.get("birds")
    assert (source.classes, source.class_names, source.channels, source.size) == (2, ("crow", "owl"), 3, 10)
    assert (source.train_images, source.test_images, source.division) == (6, 4, None)
    train, test = load(split, "train"), load(split, "test")
    assert (train.labels.tolist(), test.labels.tolist()) == ([0, 0, 0, 1, 1, 1], [0, 0, 1, 1])
    assert np.array_equal(train.images[4].numpy(), noise(10, 10, 3, seed=131).transpose(2, 0, 1))
    unit = train.images.double() / 255
    assert source.mean == pytest.approx(unit.mean((0, 2, 3)).tolist(), abs=1e-12)
    assert source.std == pytest.approx(unit.std((0, 2, 3), correction=0).tolist(), abs=1e-12)


def test_registering_decodes_once(split, monkeypatch):
    add(split)
    monkeypatch.setitem(images.DECODERS, "classes", None)
    assert len(load(split, "train")) == 6


@pytest.mark.parametrize("name", ["val", "validation"])
def test_other_names_of_the_test_split_will_do(split, name):
    (split / "birds" / "test").rename(split / "birds" / name)
    assert add(split).test_images == 4


def test_a_folder_without_splits_is_divided_by_seed_once_for_all(data):
    for label in range(2):
        for k in range(10):
            picture(np.full((6, 6, 3), 20 * label + k, np.uint8), data / "flat" / f"c{label}" / f"{k}.png")
    add(data, "flat")
    parts = [load(data, part, "flat") for part in ("train", "test")]
    seen = [part.images[:, 0, 0, 0].tolist() for part in parts]
    assert [len(each) for each in seen] == [15, 5]
    assert sorted(seen[0] + seen[1]) == sorted([*range(10), *range(20, 30)])
    assert all([value >= 20 for value in each] == part.labels.bool().tolist() for part, each in zip(parts, seen, strict=True))
    assert sources.get("flat").division == DIVISION
    (data / "flat" / registered.FILE).unlink()
    add(data, "flat", division=Division(0.25, 1))
    assert load(data, "test", "flat").images[:, 0, 0, 0].tolist() != seen[1]


@pytest.mark.parametrize(("size", "channels"), [(8, 3), (20, 1), (None, 1)])
def test_pictures_are_resized_by_their_shorter_side_and_made_grey_as_asked(split, size, channels):
    add(split, size=size, channels=channels)
    side = size or 10
    train = load(split, "train")
    assert train.images.shape == (6, channels, side, side)
    theirs = Image.fromarray(noise(10, 10, 3, seed=30)).convert("RGB" if channels == 3 else "L")
    expected = np.asarray(theirs.resize((side, side), Image.Resampling.BILINEAR)).reshape(side, side, channels)
    assert np.array_equal(train.images[0].numpy(), expected.transpose(2, 0, 1))


def test_grey_pictures_make_a_grey_set(data):
    for part in ("train", "test"):
        picture(noise(9, 9), data / "birds" / part / "a" / "0.png")
    assert add(data).channels == 1


def write_parquet(path, labels, names=None):
    def png(seed):
        Image.fromarray(noise(7, 7, 3, seed=seed)).save(buffer := io.BytesIO(), "PNG")
        return {"bytes": buffer.getvalue(), "path": None}

    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table({"image": [png(k) for k in range(len(labels))], "label": labels})
    features = {"label": {"names": names, "_type": "ClassLabel"}}
    if names:
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    pq.write_table(table, path)


@pytest.mark.parametrize(
    "files", [["train.parquet"], ["mine.parquet"], ["train-00000-of-00002.parquet", "train-00001-of-00002.parquet"]]
)
def test_parquet_without_a_test_split_is_divided_by_seed(data, files):
    labels = [k % 3 for k in range(20)]
    for i, file in enumerate(files):
        write_parquet(data / "pets" / file, labels[i :: len(files)])
    source = add(data, "pets")
    assert (source.train_images, source.test_images, source.division) == (15, 5, DIVISION)
    parts = {split: load(data, split, "pets") for split in ("train", "test")}
    order = np.random.RandomState(0).permutation(20)
    every = [label for i in range(len(files)) for label in labels[i :: len(files)]]
    assert parts["test"].labels.tolist() == [every[k] for k in sorted(order[:5])]
    assert parts["train"].labels.tolist() == [every[k] for k in sorted(order[5:])]
    pixels = {image.numpy().tobytes() for part in parts.values() for image in part.images}
    assert pixels == {noise(7, 7, 3, seed=k).transpose(2, 0, 1).tobytes() for k in range(20 // len(files))}


@pytest.mark.parametrize("names", [None, ["ant", "bee", "cat"]])
def test_parquet_in_the_hugging_face_layout_becomes_a_data_set(data, names):
    for part, labels in (("train", [0, 2, 1]), ("validation", [2, 0])):
        write_parquet(data / "pets" / "data" / f"{part}-00000-of-00001.parquet", labels, names)
    add(data, "pets")
    source = sources.get("pets")
    assert source.class_names == tuple(names or ("0", "1", "2"))
    assert (source.train_images, source.test_images, source.size) == (3, 2, 7)
    assert load(data, "test", "pets").labels.tolist() == [2, 0]


# What is refused, with nothing left behind


@pytest.mark.parametrize("label", [10**12, 2**63 + 1])
def test_labels_too_high_for_classes_are_refused_before_any_class_is_named(data, label):
    write_parquet(data / "pets" / "train.parquet", pa.array([0, 1, label], pa.uint64()))
    with pytest.raises(InputError, match=f"label {label}"):
        add(data, "pets")
    assert not (data / "pets" / registered.FILE).exists()


def test_a_file_that_is_no_picture_is_refused_in_words(data):
    for name in ("ant", "bee"):
        picture(noise(5, 5, 3), data / "birds" / name / "0.png")
    (data / "birds" / "bee" / "1.png").write_bytes(b"text")
    with pytest.raises(InputError, match="decoded: it is neither PNG nor JPEG"):
        add(data)


def no_picture(folder):
    (folder / "train/owl/1.png").write_text("text")
    return "train/owl/1.png: the image cannot be decoded"


def empty_class(folder):
    for path in (folder / "train/owl").iterdir():
        path.unlink()
    return "train/owl: there is no picture in this class"


def strange_class(folder):
    (folder / "test/owl").rename(folder / "test/hawk")
    return "test/hawk: there is no such class in the training split"


def no_test(folder):
    (folder / "test").rename(folder / ".test")
    return "birds lacks test/CLASS/"


def nothing(folder):
    for path in sorted(folder.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    return "data set 'birds' was not found"


def even(folder):
    for path in folder.rglob("*.png"):
        picture(np.full((10, 10, 3), 7, np.uint8), path)
    return "all pixels of a channel are alike"


def oblong(folder):
    picture(noise(10, 12, 3), folder / "train/crow/0.png")
    return "the first picture is 12×10\n  → say --size N"


@pytest.mark.parametrize("harm", [no_picture, empty_class, strange_class, no_test, nothing, even, oblong])
def test_a_damaged_folder_is_not_registered(split, harm):
    message = harm(split / "birds")
    with pytest.raises(InputError) as error:
        add(split)
    assert message in str(error.value)
    assert not list(split.rglob("*.json*"))
    with pytest.raises(InputError, match="there is no data set 'birds'"):
        sources.get("birds")


@pytest.mark.parametrize("name", ["../birds", "a/b", "", ".hidden", "bird s", "cifar10"])
def test_a_name_that_is_none_or_taken_is_refused(split, name):
    with pytest.raises(InputError, match=r"is no name|is known already"):
        add(split, name)


def test_a_data_set_on_which_runs_may_stand_is_not_registered_twice(split):
    add(split)
    with pytest.raises(InputError, match="'birds' is registered already, and runs may stand on it"):
        add(split, size=5)
    assert sources.get("birds").size == 10


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"name": "other"},
        {"classes": []},
        {"channels": 2},
        {"size": 0},
        {"mean": [0.5]},
        {"std": [0.0, 0.1, 0.1]},
        {"mean": [2.0, 0.5, 0.5]},
        {"layout": "../x"},
        {"extra": 1},
        {"size": "10"},
    ],
)
def test_a_registration_that_was_tampered_with_is_refused_by_its_path(split, change):
    add(split)
    path = split / "birds" / registered.FILE
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    os.utime(path, ns=(1, 1))
    with pytest.raises(InputError) as error:
        sources.get("birds")
    assert str(error.value).startswith(str(path)) and "repsim data add birds" in str(error.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "\0"])
def test_a_registration_that_is_no_registration_is_refused_and_listed(split, text, capsys):
    add(split)
    path = split / "birds" / registered.FILE
    path.write_text(text)
    os.utime(path, ns=(2, 2))
    with pytest.raises(InputError, match=str(path)):
        sources.get("birds")
    assert asked.main("list", str(split)) == 0
    row = next(row for row in json.loads(capsys.readouterr().out) if row["name"] == "birds")
    assert row["found"] is None and str(path) in row["do"]


def test_where_the_pictures_may_not_be_written_to_the_registration_goes_to_the_first_data_folder(split, tmp_path, monkeypatch):
    own, write = tmp_path / "own", registered.write

    def guarded(source, folder):
        if folder == split:
            raise InputError("cannot be written")
        return write(source, folder)

    monkeypatch.setattr(registered, "write", guarded)
    registering.add("birds", [own, split], tmp_path / "cache", None, None, DIVISION)
    assert (own / "birds" / registered.FILE).is_file()
    assert len(images.load("birds", "test", [own, split], tmp_path / "cache")) == 4


# From the command line


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A project whose data folder holds `birds`, without splits; what needs torch is asked of this process, which has it."""
    monkeypatch.setenv("REPSIM_DATA", "")
    ask = child.ask
    in_process = {verb: asked.VERBS[verb] for verb in ("add", "check")}
    monkeypatch.setattr(child, "ask", lambda module, verb, *words: in_process.get(verb, partial(ask, module, verb))(*words))
    for name in ("sweeps", "slurm"):
        (tmp_path / name).mkdir()
    for label in range(2):
        for k in range(8):
            picture(noise(12, 12, 3, seed=8 * label + k), tmp_path / "data" / "birds" / f"c{label}" / f"{k}.png")
    return tmp_path


def call(here, *words):
    return CliRunner().invoke(app, ["--project", str(here), "data", *map(str, words)])


def test_a_folder_is_added_listed_and_checked_from_the_command_line(here):
    answer = call(here, "add", "birds", "--size", 8, "--test-share", 0.25, "--json")
    assert answer.exit_code == 0, (answer.output, answer.exception)
    said = json.loads((here / "data" / "birds" / registered.FILE).read_text())
    assert (said["size"], said["train_images"], said["test_images"], said["test_share"]) == (8, 12, 4, 0.25)
    rows = json.loads(call(here, "list", "--json").stdout)["data"]
    row = next(row for row in rows if row["name"] == "birds")
    assert (row["found"], row["registered"], row["do"]) == (str(here / "data" / "birds"), True, None)
    assert len(rows) == 1 + len(sources.SOURCES)
    text = call(here, "list").stdout
    assert "birds" in text and "imagenet: get ILSVRC2012_img_train.tar" in text
    assert call(here, "check", "birds").stdout == "birds train: sound\nbirds test: sound\n"
    assert sources.get("birds", [here / "data"]).size == 8


def test_what_cannot_be_added_is_an_error_without_a_traceback(here):
    for words in (["nothing"], ["birds", "--test-share", 0], ["a/b"], ["birds", "--channels", 2]):
        answer = call(here, "add", *words)
        assert answer.exit_code != 0 and isinstance(answer.exception, InputError | SystemExit), (words, answer.exception)
    assert not list((here / "data").rglob(registered.FILE))


def test_attributes_and_sets_without_labels_are_refused_where_classes_are_needed():
    with pytest.raises(InputError, match="'celeba' has 40 attributes per image, not one class"):
        sources.must_have_classes("celeba")
    for refuse in (sources.must_have_classes, sources.must_be_labelled):
        with pytest.raises(InputError, match="'images300k' has no labels"):
            refuse("images300k")
    sources.must_be_labelled("celeba")
    sources.must_have_classes("digits")


def test_a_stitch_is_refused_on_attributes_and_on_images_without_labels():
    stitch = job.load(ROOT / "jobs", "stitch")
    layers = {"front_network": "f", "end_network": "g", "front_layer": "relu1", "end_layer": "relu1"}
    for name, message in (("celeba", "40 attributes per image, not one class"), ("images300k", "has no labels")):
        config = stitch.config(**layers, dataset=name, stitcher="linear", init="ps_inv")
        with pytest.raises(InputError, match=message):
            stitch.hook("check")(config, None)


def test_levels_are_counted_exactly_over_blocks(monkeypatch):
    monkeypatch.setattr("repsim.data.pictures.BLOCK_BYTES", 300)
    pixels = noise(40, 3, 9, 9)
    mean, std = registering.measure(pixels)
    assert mean == pytest.approx((pixels / 255).mean((0, 2, 3)).tolist(), abs=1e-14)
    assert std == pytest.approx((pixels / 255).std((0, 2, 3)).tolist(), abs=1e-14)
