"""`repsim zoo`: networks trained by flags, listed, exported and imported, as people do it."""

import hashlib
import io
import json
import pickle
import shutil
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
import toy
from commandline import call, contents, slurm
from safetensors.torch import load_file, save_file
from torch import Tensor

from repsim import child, imports, job
from repsim.errors import InputError
from repsim.models import exporting
from repsim.models.checkpoint import load
from repsim.models.network import Facts
from repsim.models.zoo import build

REAL = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch):
    """Children would import torch again, seconds each; one test lets them."""
    original = child.ask

    def ask(module: str, *arguments: str) -> Any:
        if module != "repsim.models.exporting":
            return original(module, *arguments)
        answer = io.StringIO()
        with redirect_stdout(answer):
            exporting.main(list(arguments))
        return json.loads(answer.getvalue())

    monkeypatch.setattr("repsim.child.ask", ask)
    monkeypatch.setattr("repsim.local.workers_for", lambda device, wish: wish or 1)
    return original


@pytest.fixture
def here(project, monkeypatch):
    """The toy project as working directory, without Slurm."""
    monkeypatch.setenv("PATH", "/usr/bin/nowhere")
    monkeypatch.chdir(project.root)
    return project


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The real jobs with two small networks of the digits."""
    folder = tmp_path_factory.mktemp("real")
    for name in ("jobs", "slurm", "sweeps"):
        shutil.copytree(REAL / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    words = "--arch mcnn --width 2 --dataset digits --recipe quick --seeds 0,1 --epochs 1 --set train_images=100"
    answer = call("--project", folder, "zoo", "train", *words.split(), "--workers", "1", "--device", "cpu")
    assert answer.code == 0, answer
    return folder


@pytest.fixture
def real(trained, tmp_path, monkeypatch):
    """A copy of it as working directory."""
    shutil.copytree(trained, tmp_path / "project", symlinks=True)
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "project"


def listed(*words: str) -> list[dict]:
    return call("zoo", "list", "--json", *words).json["networks"]


# train


FLAGS = (
    "zoo",
    "train",
    "--arch",
    "net",
    "--arch",
    "other",
    "--dataset",
    "d",
    "--seeds",
    "0..2",
    "--device",
    "cpu",
    "--workers",
    "1",
)


def test_flags_name_the_very_runs_of_a_sweep(here):
    first = call(*FLAGS, "--width", "4", "--epochs", "5", "--set", "data_seed=7")
    assert first.code == 0, first.err
    assert [line.split()[1] for line in first.out.splitlines()[1:]] == ["net-w4", "other-w4"] * 3
    text = "job: train\nzoo: {arch: [net, other], width: 4, dataset: d, seeds: 0..2, epochs: 5, data_seed: 7}"
    assert [run.id for run in toy.sweep(here, text).runs] == [one.split()[0] for one in first.out.splitlines()[1:]]
    assert call("sweep", "run", "toy").out == "all is done: nothing left to compute\n"


def test_networks_that_are_trained_are_only_read(here):
    call(*FLAGS)
    before = contents(here.root)
    again = call(*FLAGS, "--json")
    assert contents(here.root) == before
    assert again.json["groups"] == {}
    assert [one["seed"] for one in again.json["networks"]] == [0, 0, 1, 1, 2, 2]
    assert "6 of them trained already" in again.err


def test_a_sweep_file_trains_as_sweep_run_does_and_shows_the_networks(here):
    (here.sweeps / "nets.yaml").write_text("job: train\nzoo: {arch: net, dataset: d, seeds: 0..1}\ngrid: {epochs: [1, 5]}")
    answer = call("zoo", "train", "nets", "--workers", "1", "--device", "cpu")
    assert answer.code == 0
    assert "nets: 4 runs" in answer.err
    assert [line.split()[6] for line in answer.out.splitlines()[1:]] == ["0.9000", "0.9800", "0.9010", "0.9810"]
    assert "done 4" in call("sweep", "status", "nets").out


def test_a_network_that_failed_is_tried_again_when_it_is_named_again(here):
    words = ("zoo", "train", "--arch", "net", "--dataset", "d", "--recipe", "fails", "--workers", "1", "--device", "cpu")
    for _ in range(2):
        answer = call(*words)
        assert answer.code == 1
        assert answer.out == "no network was trained\n"
        assert "CUDA error" in answer.err
        assert "1 of 1 network is missing" in answer.err


def test_a_diverged_network_is_shown_as_one(here):
    answer = call("zoo", "train", "--arch", "net", "--dataset", "d", "--recipe", "diverges", "--device", "cpu")
    assert answer.code == 0
    assert answer.out.splitlines()[1].split()[-3:] == ["diverged", "100", "–"]


MISTAKES = {
    "--arch net": "says no dataset\n  → name it with --dataset",
    "--dataset d": "says no arch\n  → name it with --arch",
    "--arch net --dataset d --seeds 3..1": "repsim zoo train: zoo.seeds: the range 3..1 is empty",
    "--arch net --dataset d --seeds few": "--seeds: 'few' is no list of seeds",
    "--arch nett --dataset d": "there is no architecture 'nett'\n  → did you mean 'net'",
    "--arch net --dataset d --recipe god": "zoo.recipe: must be",
    "--arch net --dataset d --set recip=good": "zoo.recip: unknown key 'recip'\n  → did you mean 'recipe'",
    "--arch net --dataset d --set seed=3": "--set seed: 'seed' has a flag of its own",
    "--arch net --dataset d --together 2": "zoo.together: unknown key 'together'",
    "--arch net --dataset d --seeds=-1": "--seeds: '-1' is no list of seeds\n  → write 3, 0..31 or 0,2,5",
    "--arch net --dataset absent": "the data set is not there",
    "squares --arch net": "a sweep file says all about its networks",
    "squares": "its job is square, not train\n  → run it with: repsim sweep run",
    "--arch net --dataset d --slurm local": "the profile 'local' is not for Slurm",
}


@pytest.mark.parametrize("words", MISTAKES)
def test_what_cannot_be_trained_is_refused_and_nothing_is_written(here, words):
    before = contents(here.root)
    answer = call("zoo", "train", *words.split())
    assert (answer.code, answer.out) == (2, "")
    assert MISTAKES[words] in answer.err
    assert contents(here.root) == before


def test_networks_are_sent_to_slurm_once(here, tmp_path, monkeypatch):
    (here.profiles / "cluster.yaml").write_text("cluster: slurm\ndevice: cpu\npartition: p")
    queue = tmp_path / "queue"
    queue.write_text("")
    scripts = {"sinfo": "echo slurm 22.05.8", "sbatch": "echo Submitted batch job 17", "squeue": f"cat {queue}"}
    bin = slurm(tmp_path / "bin", **scripts)
    monkeypatch.setenv("PATH", f"{bin}:/usr/bin:/bin")
    unasked = call(*FLAGS, "--slurm", "cluster")
    assert unasked.code == 2
    assert "say --yes" in unasked.err
    sent = call(*FLAGS, "--slurm", "cluster", "--yes", "--json")
    assert sent.code == 0, sent.err
    assert [one["runs"] for one in sent.json["sent"]] == [6]
    assert sent.json["networks"] == []
    (one,) = here.submissions.glob("repsim-*")
    queue.write_text(f"17_0|0|PENDING|Resources||{one.name}\n")
    assert call(*FLAGS, "--slurm", "cluster", "--yes").out == "nothing to submit: 6 runs under way\n"


# list


def test_the_list_is_filtered_and_tells_where_files_are(here):
    call(*FLAGS, "--width", "4")
    call("zoo", "train", "--arch", "net", "--dataset", "e", "--recipe", "good", "--set", "data_seed=9", "--device", "cpu")
    assert len(listed()) == 7
    assert {one["arch"] for one in listed("--arch", "n*")} == {"net"}
    assert len(listed("--arch", "net-w4")) == len(listed("--arch", "other", "--dataset", "d")) == 3
    assert listed("--recipe", "absent") == []
    assert call("zoo", "list", "--recipe", "absent").out == "no such network\n"
    (one,) = listed("--dataset", "e")
    line = call("zoo", "list", "--dataset", "e").out.splitlines()[1].split()
    assert line == [
        one["run_id"],
        "net",
        "e",
        "trained:",
        "good",
        "0/9",
        "0.9000",
        "100",
        f"results/artefacts/{one['run_id']}/network.pt",
    ]
    assert (here.root / line[-1]).is_file()
    Path(one["file"]).unlink()
    assert call("zoo", "list", "--dataset", "e").out.splitlines()[1].split()[-1] == "gone"


# export, and import again


def state(path: Path) -> dict[str, Tensor]:
    return load_file(path) if path.suffix == ".safetensors" else torch.load(path, weights_only=True)


@pytest.mark.parametrize("name", ["mine.pt", "mine.safetensors"])
def test_what_is_exported_and_imported_again_is_the_same_network_to_the_bit(real, tmp_path, name):
    original = listed()[0]
    answer = call("zoo", "export", original["run_id"], "--out", tmp_path / "out" / name, "--json")
    assert answer.code == 0, answer.err
    imported = call("zoo", "import", tmp_path / "out" / name, "--name", "again", "--device", "cpu", "--json")
    assert imported.code == 0, imported.err
    (again,) = imported.json["networks"]
    before, after = load(Path(original["file"])), load(Path(again["file"]))
    assert before.facts == after.facts
    assert all(torch.equal(value, after.state_dict()[key]) for key, value in before.state_dict().items())
    for key in ("accuracy", "test_images", "arch", "width", "dataset", "seed"):
        assert again[key] == original[key], key
    assert again["name"] == "again"


def test_the_description_beside_a_file_says_what_it_is(real, tmp_path):
    original = listed()[1]
    file = tmp_path / "mine.pt"
    call("zoo", "export", original["run_id"], "--out", file)
    told = json.loads((tmp_path / "mine.pt.json").read_text())
    assert told["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    network = load(Path(original["file"]))
    said = {"arch": "mcnn", "width": 2, "depth": None, "classes": 10, "channels": 1, "size": 8, "dataset": "digits"}
    said |= {"accuracy": original["accuracy"], "test_images": 500, "run_id": original["run_id"], "recipe": "quick", "seed": 1}
    assert {key: told[key] for key in said} == said
    assert torch.equal(torch.tensor(told["mean"]), network.mean.flatten())
    assert torch.equal(torch.tensor(told["std"]), network.std.flatten())
    assert told["parameters"] == sum(p.numel() for p in network.body.parameters())


def test_a_folder_of_exports_comes_back_by_one_command(real, tmp_path):
    ids = [one["run_id"] for one in listed()]
    assert call("zoo", "export", *ids, ids[0], "--out", tmp_path / "zoo", "--format", "safetensors").code == 0
    files = sorted(path.name for path in (tmp_path / "zoo").iterdir())
    assert files == sorted(f"mcnn-w2_digits_seed{i}_{run}.safetensors{end}" for i, run in enumerate(ids) for end in ("", ".json"))
    answer = call("zoo", "import", tmp_path / "zoo", "--name", "again", "--device", "cpu", "--json")
    assert [(one["seed"], one["accuracy"]) for one in answer.json["networks"]] == [
        (one["seed"], one["accuracy"]) for one in listed()[2:]
    ]
    assert len(listed()) == 4


def test_nothing_is_overwritten_without_force(real, tmp_path):
    first, second = (one["run_id"] for one in listed())
    (tmp_path / "mine.pt").write_bytes(b"precious")
    refused = call("zoo", "export", first, "--out", tmp_path / "mine.pt")
    assert refused.code == 2
    assert "there is such a file already" in refused.err
    assert (tmp_path / "mine.pt").read_bytes() == b"precious"
    assert call("zoo", "export", first, "--out", tmp_path / "mine.pt", "--force").code == 0
    assert call("zoo", "export", second, "--out", tmp_path / "mine.pt").code == 2
    assert state(tmp_path / "mine.pt").keys() == load(Path(listed()[0]["file"])).body.state_dict().keys()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.pt", "mine.pt.json", "project"]


def test_a_checkpoint_of_a_training_is_exported_by_its_name(real, tmp_path):
    one = listed()[0]
    folder = Path(one["file"]).parent
    other = Path(listed()[1]["file"])
    shutil.copyfile(other, folder / "epoch_0010.pt")
    shutil.copyfile(other, folder / "resume.pt")
    answer = call("zoo", "export", one["run_id"], "--checkpoint", "epoch_0010", "--out", tmp_path / "out", "--json")
    (written,) = answer.json["networks"]
    assert (written["checkpoint"], written["accuracy"]) == ("epoch_0010", None)
    expected = load(other).body.state_dict()
    assert all(torch.equal(value, expected[key]) for key, value in state(Path(written["path"])).items())
    for name in ("last", "resume", "network", "../x"):
        refused = call("zoo", "export", one["run_id"], "--checkpoint", name, "--out", tmp_path / "no.pt")
        assert refused.code == 2
        assert f"has no checkpoint '{name}'" in refused.err
    assert not (tmp_path / "no.pt").exists()


def test_exports_that_make_no_sense_are_refused(real, tmp_path):
    ids = [one["run_id"] for one in listed()]
    for words, said in (
        ([*ids, "--out", tmp_path / "one.pt"], "one file cannot hold 2 networks"),
        ([ids[0], "--out", tmp_path / "one.pt", "--format", "safetensors"], "a .pt file is not safetensors"),
        ([ids[0], "--out", tmp_path / "x", "--format", "onnx"], "unknown format 'onnx'"),
        ([ids[0], "--out", tmp_path / "x.npz"], "cannot write a '.npz' file"),
        (["mcnn:7", "--out", tmp_path / "x"], "no network is called 'mcnn:7'"),
        ([ids[0], "--out", real / "jobs" / "train.py" / "x.pt"], "the folder cannot be made"),
    ):
        answer = call("zoo", "export", *words)
        assert answer.code == 2, words
        assert said in answer.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["project"]


def test_timm_takes_an_export_and_computes_what_the_network_computes(real, tmp_path):
    """And what it then saves comes in again."""
    torch.manual_seed(3)
    torch.save(timm.create_model("resnet18", num_classes=10, in_chans=1).state_dict(), tmp_path / "in.pt")
    words = ("--arch", "tv_resnet18", "--dataset", "digits32", "--device", "cpu", "--json")
    (one,) = call("zoo", "import", tmp_path / "in.pt", *words).json["networks"]
    call("zoo", "export", one["run_id"], "--out", tmp_path / "out.safetensors")
    told = json.loads((tmp_path / "out.safetensors.json").read_text())
    theirs = timm.create_model("resnet18", num_classes=10, in_chans=1)
    theirs.load_state_dict(state(tmp_path / "out.safetensors"))
    x = torch.rand(2, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    expected = load(Path(one["file"]))(x)
    assert torch.allclose(theirs.eval()((x - told["mean"][0]) / told["std"][0]), expected, atol=1e-5)


# import


WORDS = ("--arch", "mcnn", "--width", "2", "--dataset", "digits", "--device", "cpu")


def weights(seed: int = 4, classes: int = 10) -> dict[str, Tensor]:
    return build(Facts("mcnn", 2, classes, 1, 8), generator=torch.Generator().manual_seed(seed)).body.state_dict()


def row(run: str) -> dict:
    """All columns of an imported network."""
    from repsim import store

    importer = job.load(Path("jobs"), "import_network")
    return store.read(Path("results/store"), importer, ids=[run]).to_pylist()[0]


def test_an_import_keeps_where_the_weights_came_from(real, tmp_path):
    (tmp_path / "files" / "deep").mkdir(parents=True)
    modules = {"conv1": 0, "bn1": 1, "conv2": 3, "bn2": 4, "conv3": 7, "bn3": 8, "conv4": 11, "bn4": 12, "fc": 17}
    renamed = {f"module.{modules[key.split('.')[0]]}.{key.split('.', 1)[1]}": value for key, value in weights().items()}
    file = tmp_path / "files" / "deep" / "net.pt"
    torch.save({"state_dict": renamed}, file, _use_new_zipfile_serialization=False)
    (one,) = call("zoo", "import", tmp_path / "files", *WORDS, "--name", "mine", "--json").json["networks"]
    found = row(one["run_id"])
    assert (found["source"], found["digest"]) == ("deep/net.pt", hashlib.sha256(file.read_bytes()).hexdigest())
    assert (found["names"], found["prefix"], found["normalise"]) == ("modelsym mCNN", "module.", None)
    network = load(Path(one["file"]))
    assert (found["mean"], found["std"]) == (
        pytest.approx(network.mean.flatten().tolist()),
        pytest.approx(network.std.flatten().tolist()),
    )
    assert all(torch.equal(value, network.body.state_dict()[key]) for key, value in weights().items())


@pytest.mark.parametrize(
    ("said", "mean", "std", "kept"),
    [
        ("none", 0.0, 1.0, "none"),
        ("0/1", 0.0, 1.0, "none"),
        ("mnist", 0.1307, 0.3081, "0.1307/0.3081"),
        ("0.25/0.5", 0.25, 0.5, "0.25/0.5"),
        ("digits", None, None, None),
    ],
)
def test_the_normalisation_that_is_said_is_the_networks_and_part_of_its_id(real, tmp_path, said, mean, std, kept):
    torch.save(weights(), tmp_path / "net.pt")
    (plain,) = call("zoo", "import", tmp_path / "net.pt", *WORDS, "--json").json["networks"]
    (one,) = call("zoo", "import", tmp_path / "net.pt", *WORDS, "--normalise", said, "--json").json["networks"]
    network, default = load(Path(one["file"])), load(Path(plain["file"]))
    assert row(one["run_id"])["normalise"] == kept
    assert (one["run_id"] == plain["run_id"]) is (kept is None)
    expected = (default.mean.item(), default.std.item()) if mean is None else (mean, std)
    assert (network.mean.item(), network.std.item()) == pytest.approx(expected)


@pytest.mark.parametrize("said", ["cifar10", "imagenett", "0.5", "0.5/0", "a/b", "0.5/0.5/0.5", "1,2/1,2", "nan/1"])
def test_a_normalisation_that_cannot_be_meant_is_refused(real, tmp_path, said):
    torch.save(weights(), tmp_path / "net.pt")
    before = contents(real)
    answer = call("zoo", "import", tmp_path / "net.pt", *WORDS, "--normalise", said)
    assert (answer.code, answer.out) == (2, "")
    assert "normalise: " in answer.err
    assert "as in 0.5,0.5,0.5/0.25,0.25,0.25" in answer.err
    assert contents(real) == before


def test_a_file_that_tells_its_normaliser_is_not_imported_with_another(real, tmp_path):
    wrapped = {"normalize.mean": torch.tensor([0.25]), "normalize.std": torch.tensor([0.5])}
    torch.save(wrapped | {f"model.{key}": value for key, value in weights().items()}, tmp_path / "net.pt")
    answer = call("zoo", "import", tmp_path / "net.pt", *WORDS)
    assert answer.code == 2
    assert "holds a normaliser of its own, 0.25/0.5, not 0.3" in answer.err
    assert "import it with --normalise 0.25/0.5" in answer.err
    assert call("zoo", "import", tmp_path / "net.pt", *WORDS, "--normalise", "0.25/0.5").code == 0


class Evil:
    """Unpickled by an ordinary reader, this makes a file."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_files_that_cannot_be_adopted_are_refused_each_with_its_reason_and_leave_nothing(real, tmp_path):
    files, trap = tmp_path / "files", tmp_path / "owned"
    files.mkdir()
    torch.save(weights(), files / "cut.pt")
    (files / "cut.pt").write_bytes((files / "cut.pt").read_bytes()[:-300])
    torch.save(weights(), files / "old.pt", _use_new_zipfile_serialization=False)
    (files / "old.pt").write_bytes((files / "old.pt").read_bytes()[:-30])
    save_file(weights(), files / "cut.safetensors")
    (files / "cut.safetensors").write_bytes((files / "cut.safetensors").read_bytes()[:-4])
    (files / "evil.pt").write_bytes(pickle.dumps({"conv1.weight": Evil(trap)}, 2))
    torch.save({"conv1.weight": Evil(trap)}, files / "zip.ckpt")
    torch.save({key: value * float("nan") for key, value in weights().items()}, files / "nan.pth")
    torch.save(weights(classes=7), files / "classes.pt")
    torch.save(build(Facts("tiny10", None, 10, 3, 32)).body.state_dict(), files / "arch.pt")
    said = {
        "cut.pt": "is damaged",
        "old.pt": "is damaged",
        "cut.safetensors": "is a damaged safetensors file",
        "evil.pt": "nothing in it was run",
        "zip.ckpt": "nothing in it was run",
        "nan.pth": "is not finite everywhere",
        "classes.pt": "fc.weight is (7, 16), but (10, 16) in mcnn of width 2",
        "arch.pt": "its parameters are not those of mcnn of width 2",
    }
    before = listed()
    answer = call("zoo", "import", files, *WORDS, "--name", "bad")
    assert (answer.code, answer.out) == (2, "")
    assert f"{len(said)} of {len(said)} files refused" in answer.err
    assert "nothing was stored" in answer.err and f"  0 new, {len(said)} in all" in answer.err
    for name, reason in said.items():
        (line,) = [line for line in answer.err.splitlines() if line.startswith(f"{files / name}: ")]
        assert reason in line, name
    assert "Traceback" not in answer.err
    assert listed() == before
    assert not trap.exists()
    assert not list((real / "results" / "artefacts" / "imports").iterdir())
    pickle.loads((files / "evil.pt").read_bytes())
    assert trap.exists()


def test_a_description_of_another_file_is_refused(real, tmp_path):
    first, second = (one["run_id"] for one in listed())
    call("zoo", "export", first, "--out", tmp_path / "a.pt")
    call("zoo", "export", second, "--out", tmp_path / "b.pt")
    shutil.copyfile(tmp_path / "b.pt", tmp_path / "a.pt")
    answer = call("zoo", "import", tmp_path / "a.pt")
    assert answer.code == 2
    assert f"{tmp_path / 'a.pt'}: is not the file that the description beside it was written for" in answer.err
    assert f"remove {tmp_path / 'a.pt.json'}" in answer.err


def test_a_description_that_is_none_of_ours_says_nothing(real, tmp_path):
    call("zoo", "export", listed()[0]["run_id"], "--out", tmp_path / "a.pt")
    beside = tmp_path / "a.pt.json"
    told = json.loads(beside.read_text())
    for text in ("", "[]", "{}", "{", json.dumps(told | {"format": "other"}), json.dumps(told | {"arch": ["mcnn"]})):
        beside.write_text(text)
        with pytest.raises(InputError, match="does not tell the architecture"):
            imports.find([tmp_path / "a.pt"], imports.Said())
    beside.write_text(json.dumps(told | {"arch": "../x"}))
    answer = call("zoo", "import", tmp_path / "a.pt")
    assert answer.code == 2
    assert "arch: " in answer.err


def test_what_is_said_counts_before_what_is_described(real, tmp_path):
    call("zoo", "export", listed()[0]["run_id"], "--out", tmp_path / "a.pt")
    (found,) = imports.find([tmp_path / "a.pt"], imports.Said())
    assert (found.arch, found.width, found.dataset, found.seed) == ("mcnn", 2, "digits", 0)
    told = json.loads((tmp_path / "a.pt.json").read_text())
    assert [float(x) for x in (found.normalise or "").split("/")] == told["mean"] + told["std"]
    (other,) = imports.find([tmp_path / "a.pt"], imports.Said(arch="cwcnn", dataset="mnist"))
    assert (other.arch, other.width, other.dataset) == ("cwcnn", None, "mnist")


LIST = """
import sys
from repsim.cli.main import main

sys.argv = ["repsim", "zoo", "list"]
main()
assert "torch" not in sys.modules
"""


def test_torch_is_not_loaded_to_list(real):
    done = subprocess.run([sys.executable, "-c", LIST], capture_output=True, text=True, check=False, cwd=real)
    assert done.returncode == 0, done.stderr


def test_exports_are_written_by_a_child_process(real, tmp_path, monkeypatch, in_this_process):
    monkeypatch.setattr("repsim.child.ask", in_this_process)
    one = listed()[0]
    assert call("zoo", "export", one["run_id"], "--out", tmp_path / "a.pt").out == f"{one['run_id']} → {tmp_path / 'a.pt'}\n"
    assert torch.equal(state(tmp_path / "a.pt")["fc.bias"], load(Path(one["file"])).body.state_dict()["fc.bias"])
    Path(one["file"]).write_bytes(Path(one["file"]).read_bytes()[:-100])
    answer = call("zoo", "export", one["run_id"], "--out", tmp_path / "b.pt")
    assert (answer.code, answer.out) == (2, "")
    assert "is damaged" in answer.err
    assert not (tmp_path / "b.pt").exists()


# sweeps of the real jobs


ZOO = "zoo: {arch: mcnn, width: 2, dataset: digits, recipe: quick, seeds: 0..1, epochs: 1, train_images: 100}\n"


def test_a_sweep_of_real_trainings_names_the_networks_that_flags_trained(real):
    (real / "sweeps" / "nets.yaml").write_text("job: train\n" + ZOO)
    plan = call("sweep", "plan", "nets", "--json").json
    assert plan["ids"] == [one["run_id"] for one in listed()]
    assert plan["states"]["done"] == 2
    table = call("results", "table", "nets", "--format", "json").json
    (cell,) = table["cells"]
    accuracies = [one["accuracy"] for one in listed()]
    assert (cell["arch"], cell["recipe"], cell["n"]) == ("mcnn", "quick", 2)
    assert cell["mean"] == pytest.approx(50 * sum(accuracies))


def test_a_sweep_evaluates_every_network_clean_and_under_attack(real):
    cases = "cases: {clean: {}, pgd: {attack: pgd, attack_steps: 2}}\nfixed: {test_images: 50}"
    (real / "sweeps" / "robust.yaml").write_text("job: evaluate\n" + ZOO + cases)
    answer = call("sweep", "run", "robust", "--workers", "1", "--device", "cpu")
    assert answer.code == 0, answer.err
    assert "robust: 4 runs on 2 networks" in answer.err
    clean = call("results", "table", "robust", "--format", "json").json
    robust = call("results", "table", "robust", "--value", "robust_accuracy", "--format", "json").json
    assert [(cell["arch"], cell["case"], cell["n"]) for cell in clean["cells"]] == [("mcnn-w2", "clean", 2), ("mcnn-w2", "pgd", 2)]
    assert clean["cells"][0]["mean"] == clean["cells"][1]["mean"] >= robust["cells"][1]["mean"]
    assert (robust["cells"][0]["n"], robust["cells"][1]["n"]) == (0, 2)
