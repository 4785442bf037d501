"""Where data sets are found, and what is said when they are not."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from repsim import project
from repsim.data import layouts, sources
from repsim.errors import InputError


def touch(folder, *names):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"")
    return folder


ALL = [name for names in layouts.PICKLES["cifar10"][1].values() for name in names]


def test_a_misspelt_data_set_is_answered_with_the_nearest_name():
    with pytest.raises(InputError, match="cifar1O") as error:
        sources.find("cifar1O", [])
    assert "did you mean 'cifar10'" in str(error.value.do)


def test_digits_need_no_folder():
    assert sources.find("digits", []).kind == "bundled"


def test_a_missing_data_set_names_the_folders_and_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.delenv("REPSIM_DATA", raising=False)
    with pytest.raises(InputError) as error:
        sources.find("cifar10", [tmp_path / "a", tmp_path / "b"])
    text = str(error.value)
    assert str(tmp_path / "a") in text and str(tmp_path / "b") in text
    assert "REPSIM_DATA is not set" in text and "repsim data get cifar10" in text


@pytest.mark.parametrize(("named", "unset"), [(["own"], True), (["own", "more"], False)])
def test_a_variable_that_only_the_project_set_counts_as_unset(tmp_path, monkeypatch, named, unset):
    folders = [tmp_path / name for name in named]
    monkeypatch.setenv("REPSIM_DATA", ":".join(map(str, folders)))
    with pytest.raises(InputError) as error:
        sources.find("cifar10", folders)
    assert ("not set" in str(error.value)) == unset


def test_a_project_puts_its_data_folder_first_once(tmp_path, monkeypatch):
    for name in ("sweeps", "slurm"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("REPSIM_DATA", "/elsewhere")
    for _ in range(2):
        found = project.find(explicit=tmp_path)
        assert found.data_folders == (tmp_path / "data", Path("/elsewhere"))
        assert os.environ["REPSIM_DATA"] == f"{tmp_path / 'data'}:/elsewhere"


@pytest.mark.parametrize("place", ["cifar-10-batches-py", "cifar10/cifar-10-batches-py"])
def test_torchvisions_folder_is_found_in_both_places(tmp_path, place):
    folder = touch(tmp_path / place, *ALL)
    found = sources.find("cifar10", [tmp_path / "empty", tmp_path])
    assert found.kind == "torchvision"
    assert found.paths["train"] == tuple(folder / f"data_batch_{k}" for k in range(1, 6))
    assert found.paths["test"] == (folder / "test_batch",)


def test_an_incomplete_torchvision_folder_is_passed_over_and_named(tmp_path):
    touch(tmp_path / "cifar-10-batches-py", *ALL[:-2])
    with pytest.raises(InputError, match="cifar-10-batches-py lacks data_batch_5, test_batch"):
        sources.find("cifar10", [tmp_path])
    touch(tmp_path / "cifar10", "train-0.parquet", "test-0.parquet")
    assert sources.find("cifar10", [tmp_path]).kind == "parquet"


@pytest.mark.parametrize("place", ["cifar10/plain_text", "cifar10"])
def test_parquet_is_found_in_both_places_with_its_shards_in_order(tmp_path, place):
    names = ["train-00001-of-00002.parquet", "train-00000-of-00002.parquet", "test-00000-of-00001.parquet"]
    folder = touch(tmp_path / place, *names)
    found = sources.find("cifar10", [tmp_path])
    assert found.kind == "parquet"
    assert found.paths["train"] == (folder / names[1], folder / names[0])


@pytest.mark.parametrize(
    ("names", "lack"),
    [
        (["train-00000-of-00001.parquet"], "lacks test-\\*.parquet"),
        (["train-00000-of-00003.parquet", "test-00000-of-00001.parquet"], "lacks 2 of the 3 shards of train"),
        (["train-00000-of-00001.parquet", "train-00000-of-00002.parquet", "test-0.parquet"], "lacks one set of train shards"),
    ],
)
def test_missing_shards_are_named(tmp_path, names, lack):
    touch(tmp_path / "cifar10" / "plain_text", *names)
    with pytest.raises(InputError, match=lack):
        sources.find("cifar10", [tmp_path])


def test_plans_can_ask_for_data_sets_recipes_and_jobs_without_torch_or_numpy():
    code = """
import sys
from pathlib import Path
import repsim.data.sources, repsim.models.recipes
from repsim import job
for name in ("train", "import_network"):
    loaded = job.load(Path("jobs"), name)
config = job.load(Path("jobs"), "train").config(arch="mcnn", dataset="digits")
job.load(Path("jobs"), "train").hook("network")(config)
heavy = {"torch", "numpy", "pandas", "pyarrow", "sklearn", "PIL"} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])


def test_a_data_set_that_was_there_is_looked_for_once_and_one_that_was_not_again(tmp_path, monkeypatch):
    looked = []
    monkeypatch.setattr(sources, "find", lambda name, folders: looked.append(name))
    for _ in range(3):
        sources.must_be_there("digits", (tmp_path / "once",))
    assert looked == ["digits"]
    monkeypatch.undo()
    for _ in range(2):
        with pytest.raises(InputError):
            sources.must_be_there("cifar10", (tmp_path / "twice",))
