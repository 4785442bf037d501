"""Bad input, as a list of what people are told: one clear error on stderr, exit code 2, no traceback, and nothing lost.

The toy project stands for all that needs no network; the last section reads real checkpoint files.
"""

import os
import pickle
import resource
import shutil
import subprocess
import time
from pathlib import Path

import commandline
import pytest
from commandline import Answer, call

from repsim import store
from repsim.project import Project

PAIR = "zoo: {arch: net, dataset: d, seeds: 0..1}\nlayers: relu1\ncases: {lin: {}}"


@pytest.fixture(autouse=True)
def without_slurm(monkeypatch):
    monkeypatch.setenv("PATH", "/usr/bin/nowhere")


@pytest.fixture
def here(project, monkeypatch):
    """The toy project as working directory, with one sweep that is complete."""
    monkeypatch.chdir(project.root)
    (project.sweeps / "pair.yaml").write_text(PAIR)
    assert call("sweep", "run", "pair", "--workers", "1").code == 0
    return project


def refused(answer: Answer, *said: str) -> None:
    """The answer is one error for people that says all of this."""
    assert answer.code == 2, answer
    assert answer.out == ""
    assert answer.err.startswith("repsim: ")
    assert "Traceback" not in answer.err
    assert "pydantic" not in answer.err
    for words in said:
        assert words in answer.err, (words, answer.err)


SPECS = {
    "misspelt key": ("zo: {arch: net}", "s.yaml: zo: unknown key 'zo'\n  → did you mean 'zoo'"),
    "misspelt key of a case": (
        PAIR + "\ngrid: {stichter: [linear]}",
        "grid.stichter: unknown key 'stichter'\n  → did you mean 'stitcher'",
    ),
    "misspelt key of a training": (
        PAIR.replace("seeds", "recpie: good, seeds"),
        "zoo.recpie: unknown key 'recpie'\n  → did you mean 'recipe'",
    ),
    "misspelt value": (PAIR.replace("{}", "{stitcher: liner}"), "cases.lin.stitcher: must be 'linear'"),
    "value out of range": (PAIR.replace("{}", "{lr: -1.0}"), "cases.lin.lr: must be greater than 0, not -1.0"),
    "unknown layer": (PAIR.replace("relu1", "rleu1"), "layers: net has no layer 'rleu1'\n  → did you mean 'relu1'"),
    "unknown architecture": (PAIR.replace("net", "nett"), "there is no architecture 'nett'\n  → did you mean 'net'?"),
    "empty axis": (PAIR + "\ngrid: {seed: []}", "grid.seed: the axis is empty: give at least one value"),
    "empty range": (PAIR + "\ngrid: {seed: 3..1}", "grid.seed: the range 3..1 is empty or too long"),
    "missing data set": (PAIR.replace("dataset: d", "dataset: absent"), "dataset: the data set is not there\n  → put it there"),
    "unknown job": ("job: stich", "there is no job 'stich'\n  → did you mean 'stitch'?"),
    "networks never imported": (
        PAIR.replace("seeds", "imported: pub, seeds"),
        "no imported network is called pub: net, d, seed 0\n  → repsim zoo import",
    ),
    "a zoo of one": (PAIR.replace("0..1", "0"), "pairs: the zoo is too small for one pair\n  → give more seeds, or pairs: self"),
    "nothing at all": ("", "must be a mapping of keys to values\n  → start with 'job: stitch'"),
    "no YAML": ("zoo: [", "is not valid YAML: "),
    "one key twice": (PAIR + "\nlayers: bn1", "is not valid YAML: key 'layers' stands twice (line 4, column 1)"),
    "an alias": ("a: &a [1]\nb: *a", "is not valid YAML: aliases (*name) are not allowed"),
    "a Python object": ("job: !!python/object/apply:os.system [id]", "is not valid YAML: could not determine a constructor"),
    "control characters": ("job: \x07", "is not valid YAML: unacceptable character #x0007"),
}


@pytest.mark.parametrize("case", SPECS)
@pytest.mark.parametrize("command", ["plan", "submit", "run", "status"])
def test_a_sweep_that_cannot_be_meant_is_refused(here, case, command):
    text, said = SPECS[case]
    (here.sweeps / "s.yaml").write_text(text)
    before = commandline.contents(here.results)
    refused(call("sweep", command, "s"), "s.yaml", said)
    assert commandline.contents(here.results) == before


def test_a_profile_that_is_not_there_is_refused(here):
    (here.sweeps / "s.yaml").write_text(PAIR + "\nprofile: locale")
    for command in ("plan", "submit", "status"):
        refused(call("sweep", command, "s"), f"{here.profiles}: there is no profile 'locale'\n  → did you mean 'local'?")


BYTES = {
    "not UTF-8": (b"job: \xff", "is not text: byte 5 is no UTF-8\n  → save it as UTF-8"),
    "zeros": (b"\0" * 9, "is not valid YAML"),
}


@pytest.mark.parametrize("case", BYTES)
def test_a_file_that_is_no_text_is_refused(here, case):
    content, said = BYTES[case]
    (here.sweeps / "s.yaml").write_bytes(content)
    refused(call("sweep", "plan", "s"), f"{here.sweeps / 's.yaml'}: ", said)


EVIL = (
    "../../x",
    "$(touch owned)",
    "a\nb",
    "`touch owned`",
    "x; touch owned",
    "-rf",
    "/etc/passwd",
    "a/b",
    "",
    " ",
    "ä" * 200,
    "\x1b[31m",
)
FIELDS = {
    "job": "job: @",
    "profile": PAIR + "\nprofile: @",
    "architecture": PAIR.replace("net", "@"),
    "data set": PAIR.replace("dataset: d", "dataset: @"),
    "recipe": PAIR.replace("seeds", "recipe: @, seeds"),
    "imported": PAIR.replace("seeds", "imported: @, seeds"),
    "layer": PAIR.replace("relu1", "@"),
    "case": PAIR.replace("lin:", "@:"),
    "stitcher": PAIR.replace("{}", "{stitcher: @}"),
    "data set of a plain job": "job: square\nfixed: {value: 1.0, dataset: @}",
    "table": PAIR + "\ntable: {value: @}",
}


@pytest.mark.parametrize("field", FIELDS)
def test_names_that_mean_mischief_stay_words(here, field):
    """A path, a shell command or a line break in any text of a sweep is refused, or at most a label that nothing runs."""
    outside = sorted(here.root.parent.iterdir())
    for name in EVIL:
        quoted = '"' + name.replace("\\", "\\\\").replace("\n", "\\n").replace("\x1b", "\\e") + '"'
        (here.sweeps / "s.yaml").write_text(FIELDS[field].replace("@", quoted))
        if field == "table":
            refused(call("results", "table", "s"), "cannot be printed" if "\x1b" in name else "table")
        elif field != "profile":
            refused(call("sweep", "run", "s", "--workers", "1"))
        refused(call("sweep", "plan", "s")) if field != "table" else None
    assert sorted(here.root.parent.iterdir()) == outside
    assert not list(here.root.rglob("owned"))
    assert len(store.parts(here.store, "stitch")) == 2


@pytest.mark.parametrize("name", EVIL)
def test_a_sweep_or_profile_of_such_a_name_is_refused(here, name):
    refused(call("--project", here.root, "sweep", "plan", "--", name), name.replace("\x1b", "\\x1b"))
    refused(call("sweep", "plan", "pair", "--profile", name), "there is no profile")


def test_a_file_of_such_a_name_is_refused(here):
    for name in ("$(touch owned)", "a\nb", "a b", "-x", ".hidden"):
        path = here.sweeps / f"{name}.yaml"
        path.write_text(PAIR)
        refused(call("sweep", "plan", path), "a sweep's name may hold only letters, digits and . _ -\n  → rename the file")


WORDS = {
    "no such sweep": ("sweep plan piar", "piar: there is no such sweep\n  → did you mean 'pair'?"),
    "a name that no file can have": (f"sweep plan {'a' * 300}", "there is no such sweep"),
    "a folder for a sweep": ("sweep plan sweeps", "sweeps: there is no such sweep\n  → valid: pair, squares"),
    "unknown filter": ("sweep cancel pair stichter=x --yes", "no run has a field 'stichter'\n  → did you mean 'stitcher'"),
    "half a filter": ("sweep retry pair stitcher --here", "'stitcher' is no filter\n  → write KEY=VALUE"),
    "unknown device": ("sweep run pair --device gpu", "unknown device 'gpu'\n  → valid: auto, cpu, cuda, mps"),
    "unknown format": ("results table pair --format tex", "--format: unknown format 'tex'\n  → did you mean 'text'"),
    "unknown column": ("results table pair --rows layr", "have no column 'layr'\n  → did you mean"),
    "unknown value": ("results table pair --value penlty", "have no column 'penlty'\n  → did you mean 'penalty'"),
    "value that is no number": ("results table pair --value outcome", "column 'outcome' is no number\n  → choose another --value"),
    "table of a plain job": ("results table squares", "only sweeps over networks have such a table"),
    "unknown picture": ("results plot pair --out x.bmp", "x.bmp"),
    "output below a file": (
        "results table pair --out jobs/train.py/t.txt",
        "t.txt: cannot be written: File exists\n  → choose another --out",
    ),
    "merge below a file": ("results aggregate pair --out jobs/train.py/t.parquet", "t.parquet: cannot be written: File exists"),
    "nothing to import": ("zoo import nowhere", "nowhere: there is no such file or folder"),
    "architecture untold": ("zoo import jobs/train.py", "the folder does not tell the architecture\n  → name it with --arch"),
    "layers of nothing": ("models layers nett", "there is no architecture 'nett'\n  → did you mean 'net'?"),
    "no project": ("--project jobs sweep plan pair", "jobs: this is no repsim project: it lacks sweeps/ or slurm/"),
    "a local profile sent": (
        "sweep submit pair --profile local",
        "the profile 'local' is not for Slurm\n  → compute here with: repsim sweep run",
    ),
}


@pytest.mark.parametrize("case", WORDS)
def test_words_that_cannot_be_meant_are_refused(here, case):
    command, said = WORDS[case]
    before = commandline.contents(here.root)
    refused(call(*command.split()), said)
    assert commandline.contents(here.root) == before


PROFILES = {
    "unknown key": ("partion: gpu", "partion: unknown key 'partion'\n  → did you mean 'partition'"),
    "number as text": ("mem_gb: '8'", "mem_gb: must be a number, not '8'\n  → '8' is text: remove the quotes"),
    "command for a partition": ("partition: 'gpu; rm -rf x'", "partition: must match the pattern"),
    "warning after the end": ("timeout_min: 1\nsignal_s: 90", "signal_s is 90 s, but a task ends after timeout_min, 60 s"),
}


@pytest.mark.parametrize("case", PROFILES)
def test_a_profile_that_cannot_be_meant_is_refused(here, case):
    text, said = PROFILES[case]
    (here.profiles / "mine.yaml").write_text(text)
    for command in ("plan", "submit", "run"):
        refused(call("sweep", command, "pair", "--profile", "mine"), f"{here.profiles / 'mine.yaml'}: ", said)


SLURM: dict[str, tuple[str | None, str]] = {
    "not installed": (None, "no Slurm here: there is no 'sinfo' on PATH\n  → work on a login node"),
    "slurmctld down": (
        commandline.DOWN,
        "slurmctld cannot be reached: is it up, is SLURM_CONF set? nothing was changed; try again",
    ),
    "not configured": (
        "echo 'sinfo: error: resolve_ctls_from_dns_srv: res_nsearch error: Unknown host' >&2; "
        "echo 'sinfo: fatal: Could not establish a configuration source' >&2; exit 1",
        "slurmctld cannot be reached",
    ),
}


@pytest.mark.parametrize("case", SLURM)
def test_without_slurm_nothing_is_sent(here, tmp_path, monkeypatch, case):
    script, said = SLURM[case]
    if script:
        commands = dict.fromkeys(("sinfo", "squeue", "sbatch", "scontrol", "scancel"), script)
        monkeypatch.setenv("PATH", f"{commandline.slurm(tmp_path / 'bin', **commands)}:/usr/bin:/bin")
    (here.profiles / "mine.yaml").write_text("device: cpu")
    before = commandline.contents(here.root)
    refused(call("sweep", "submit", "squares", "--profile", "mine", "--yes"), said)
    assert commandline.contents(here.root) == before
    assert call("sweep", "submit", "squares", "--profile", "mine", "--dry-run").code == 0
    assert call("sweep", "status", "pair").code == 0


def test_a_controller_that_dies_while_it_is_asked_for_an_array_gets_it_again_later(here, tmp_path, monkeypatch):
    folder = commandline.slurm(tmp_path / "bin", sinfo="echo slurm 24.05", sbatch=commandline.DOWN)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    (here.profiles / "mine.yaml").write_text("device: cpu")
    words = ("sweep", "submit", "squares", "--profile", "mine", "--yes")
    answer = call(*words)
    assert (answer.code, answer.out) == (2, "")
    assert "sbatch failed: " in answer.err
    assert "Unable to contact slurm controller" in answer.err
    assert call("sweep", "status", "squares", "--json").json["runs"] == {"new": 3}
    (folder / "sbatch").write_text("#!/bin/sh\necho Submitted batch job 17\n")
    assert call(*words).out.startswith("sent 3 runs in 1 task: job 17")


DAMAGE = {
    "cut short": lambda data: data[:-100],
    "empty": lambda data: b"",
    "another format": lambda data: b"run_id,penalty\n1,2\n",
    "zeros in the middle": lambda data: data[: len(data) // 3] + bytes(len(data) // 3) + data[-len(data) // 3 :],
}


@pytest.mark.parametrize("case", DAMAGE)
def test_a_damaged_part_is_named_and_passed_over_and_its_runs_are_computed_again_once_it_is_moved_away(here, case, tmp_path):
    part = store.parts(here.store, "stitch")[0]
    part.write_bytes(DAMAGE[case](part.read_bytes()))
    before = commandline.contents(here.results)
    for command in ("sweep plan", "sweep status", "sweep submit --dry-run", "results table"):
        assert call(*command.split(), "pair").code == 0
    answer = call("results", "aggregate", "pair", "--out", tmp_path / "all.parquet", "--json")
    assert (answer.code, answer.json["rows"]) == (0, 1)
    assert f"{part}: it is damaged: " in answer.err
    assert "→ its rows are left out; see: repsim results check" in answer.err
    checked = call("results", "check", "--json")
    assert checked.code == 1
    assert [bad["file"] for bad in checked.json["bad"]] == [str(part)]
    assert commandline.contents(here.results) == before
    moved = call("results", "check", "--move")
    assert moved.code == 0
    assert f"moved to {here.results / 'quarantine'}" in moved.out
    assert call("sweep", "run", "pair", "--workers", "1").out == "done: 1 group\n"
    assert call("results", "aggregate", "pair", "--json").json["rows"] == 2


def test_a_run_moves_a_damaged_part_away_and_computes_its_runs_again(here):
    part = store.parts(here.store, "stitch")[0]
    part.write_bytes(b"")
    answer = call("sweep", "run", "pair", "--workers", "1")
    assert answer.out == "done: 1 group\n"
    assert answer.err.count(f"{part}: it is damaged") == 1
    assert [file.name.split(".")[0] for file in (here.results / "quarantine").rglob("*.parquet.*") if file.suffix != ".txt"] == [
        part.stem
    ]
    assert call("results", "check").code == 0
    assert call("results", "aggregate", "pair", "--json").json["rows"] == 2


PLACES = {
    "submissions": ("sweep run squares --workers 1", "submissions: cannot be written: "),
    "aggregate": ("results aggregate pair", "aggregate/pair.parquet: cannot be written: "),
    "plots": ("results plot pair", "plots/pair.png: cannot be written: "),
    "artefacts": ("zoo import jobs/square.py --arch net --dataset d", "artefacts/imports: the file to import cannot be copied: "),
}


@pytest.mark.parametrize("place", PLACES)
def test_a_folder_that_cannot_be_written_is_named(here, place):
    """A file stands in place of the folder: permissions do not hold back root, under whom tests may run."""
    command, said = PLACES[place]
    kept = here.results / f"{place}.kept"
    if (here.results / place).exists():
        (here.results / place).rename(kept)
    (here.results / place).write_text("in the way")
    before = commandline.contents(here.results)
    refused(call(*command.split()), said)
    assert commandline.contents(here.results) == before


def test_a_file_in_place_of_results_is_named(here):
    shutil.rmtree(here.results)
    here.results.write_text("in the way")
    for command in ("sweep run pair", "results aggregate pair", "zoo import jobs/square.py --arch net --dataset d"):
        refused(call(*command.split()), str(here.results), "Not a directory")
    assert "is no folder" in call("doctor").out
    assert here.results.read_text() == "in the way"


def test_a_store_that_cannot_be_written_fails_the_group_and_keeps_the_rest(here):
    blocked = here.store / "job=square"
    blocked.write_text("in the way")
    before = commandline.contents(here.store)
    answer = call("sweep", "run", "squares", "--workers", "1")
    assert answer.code == 2
    assert f"{blocked / 'dataset=numbers'}: the results cannot be written: Not a directory" in answer.err
    assert "Traceback" not in answer.err
    assert commandline.contents(here.store) == before
    blocked.unlink()
    assert call("sweep", "retry", "squares", "--here").code == 0


@pytest.mark.parametrize(("limit", "code", "said"), [(8000, 2, "the results cannot be written: "), (60, 2, "cannot be written: ")])
def test_a_full_disk_is_said_and_leaves_nothing_half_written(here, limit, code, said):
    """A limit on the size of files stands for a disk that is full before a part, or before the plan, is written."""
    before = commandline.contents(here.store)
    child = subprocess.run(
        [*commandline.CHILD, "sweep", "run", "squares", "--workers", "1"],
        cwd=here.root,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    assert child.returncode == code, child.stderr
    assert said in child.stdout + child.stderr
    assert "File too large" in child.stdout + child.stderr
    assert "Traceback" not in child.stderr
    assert commandline.contents(here.store) == before
    assert not list(here.results.rglob(".*.*"))
    call("sweep", "retry", "squares", "--here")
    assert call("sweep", "run", "squares", "--workers", "1").code == 0
    assert len(store.parts(here.store, "square")) == 1


# Real checkpoints: one project without data but the embedded digits, with two networks that were hardly trained

REAL = Path(__file__).parents[2]
DIGITS = "zoo: {arch: mcnn, width: 2, dataset: digits, recipe: quick, epochs: 1, train_images: 100, seeds: 0..1}\nlayers: relu1\n"
STITCHES = DIGITS + "pairs: self\ncases: {eye: {stitcher: linear, init: eye, test_images: 50, match_images: 50}}"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The real jobs with two small networks of the digits."""
    folder = tmp_path_factory.mktemp("real")
    for name in ("jobs", "slurm", "sweeps"):
        shutil.copytree(REAL / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "sweeps" / "train.yaml").write_text(
        "job: train\ngrid: {seed: 0..1}\n"
        "fixed: {arch: mcnn, width: 2, dataset: digits, recipe: quick, epochs: 1, train_images: 100}"
    )
    (folder / "sweeps" / "eye.yaml").write_text(STITCHES)
    answer = call("--project", folder, "sweep", "run", "train", "--workers", "1", "--device", "cpu")
    assert answer.code == 0, answer
    return Project(folder)


@pytest.fixture
def real(trained, tmp_path, monkeypatch):
    """A copy of it as working directory."""
    monkeypatch.delenv("REPSIM_DATA", raising=False)
    shutil.copytree(trained.root, tmp_path / "real")
    monkeypatch.chdir(tmp_path / "real")
    return Project(tmp_path / "real")


def test_a_data_set_that_is_not_there_is_named_with_ways_to_get_it(real):
    (real.sweeps / "c.yaml").write_text(STITCHES.replace("digits", "cifar10"))
    for command in ("plan", "run", "submit"):
        refused(
            call("sweep", command, "c"),
            f"data set 'cifar10' was not found (looked in {real.root / 'data'}; REPSIM_DATA is not set)",
            "repsim data get cifar10",
        )


def test_a_checkpoint_cut_short_fails_its_own_stitches_only(real):
    network = sorted(real.artefacts.glob("*/network.pt"))[0]
    good = network.read_bytes()
    network.write_bytes(good[:3000])
    answer = call("sweep", "run", "eye", "--workers", "1", "--device", "cpu")
    assert answer.code == 2
    assert f"{network}: is damaged, cut short, or neither a PyTorch nor a safetensors file" in answer.err
    assert "remove it and try again: a trained network is then made again" in answer.err
    assert "Traceback" not in answer.err
    status = call("sweep", "status", "eye")
    assert "runs      done 1 · failed 1" in status.out
    assert f"1 × missing_input: {network}: is damaged" in status.out
    network.unlink()
    assert call("sweep", "retry", "eye", "--here").code == 0
    assert call("sweep", "status", "eye", "--json").json["runs"] == {"done": 2}


class Evil:
    """What a pickle can do to whoever loads it."""

    def __reduce__(self):
        return os.system, ("touch owned",)


def test_files_that_are_no_network_are_refused_and_nothing_is_stored(real, tmp_path):
    import torch

    from repsim.models import checkpoint

    network = checkpoint.load(sorted(real.artefacts.glob("*/network.pt"))[0])
    files = tmp_path / "files"
    files.mkdir()
    torch.save(network.body.state_dict(), files / "good.pt")
    torch.save({key: value * float("nan") for key, value in network.body.state_dict().items()}, files / "nan.pt")
    (files / "cut.pt").write_bytes((files / "good.pt").read_bytes()[:2000])
    (files / "code.pt").write_bytes(pickle.dumps({"conv1.weight": Evil()}))
    (files / "text.pt").write_text("no network")
    torch.save({"conv1.weight": torch.zeros(3)}, files / "other.pt")
    torch.save({f"w{k}": v for k, v in network.body.state_dict().items()}, files / "names.pt")
    said = {
        "cut": "is damaged, cut short, or neither a PyTorch nor a safetensors file",
        "code": "nothing in it was run",
        "text": "is damaged",
        "nan": "is not finite everywhere",
        "other": "its parameters are not those of mcnn of width 2 (10 classes, 1×8×8 input): it lacks",
        "names": "has besides",
    }
    answer = call("zoo", "import", files, "--arch", "mcnn", "--width", "2", "--dataset", "digits", "--name", "x", "--device", "cpu")
    assert answer.code == 2
    assert f"{len(said)} of {len(said) + 1} files refused" in answer.err
    for name, words in said.items():
        lines = [line for line in answer.err.splitlines() if line.startswith(f"{files / name}.pt: ")]
        assert len(lines) == 1, (name, answer.err)
        assert words in lines[0]
    assert "Traceback" not in answer.err
    assert not (real.root / "owned").exists()
    imported = [one for one in call("zoo", "list", "--json").json["networks"] if one["made"] == "imported: x"]
    assert [Path(one["file"]).is_file() for one in imported] == [True]
    assert len(list(real.artefacts.glob("*/network.pt"))) == 3
    assert not list((real.artefacts / "imports").iterdir())


@pytest.mark.parametrize(
    ("text", "said"),
    {
        "names": ("zoo:\n" + "- {arch: 0..99999, dataset: d, seeds: 0}\n" * 900, ""),
        "axes": (
            "job: square\ngrid:\n" + "".join(f"  a{i}: 0..99999\n" for i in range(3000)),
            "ranges hold 300,000,000 values",
        ),
        "seeds": ("zoo:\n" + "- {arch: net, dataset: d, seeds: 0..99999}\n" * 900, "ranges hold 90,000,000 values"),
    }.values(),
)
def test_a_small_file_of_large_ranges_is_refused_before_it_unfolds(here, text, said):
    (here.sweeps / "s.yaml").write_text(text)
    started = time.perf_counter()
    refused(call("sweep", "plan", "s"), said)
    assert time.perf_counter() - started < 20
