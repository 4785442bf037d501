"""`repsim stitch` does what a sweep of one run does, for networks named as people name them."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import commandline
import pytest
import toy
from commandline import call

from repsim import job, store
from repsim.reconcile import standings

ZOO = "zoo: {{arch: {arch}, dataset: d, seeds: 0..2{more}}}\nlayers: relu1"
PAIR = ("net:0", "net:2", "--front-layer", "relu1", "--end-layer", "relu1")


@pytest.fixture
def trained(project, monkeypatch):
    """A toy project with three networks, and the sweep that made them."""
    monkeypatch.chdir(project.root)
    monkeypatch.setenv("PATH", "/usr/bin/nowhere")
    made(project)
    return project


def made(project, arch="net", more=""):
    """Train the networks of a sweep; no stitch is computed."""
    sweep = toy.sweep(project, ZOO.format(arch=arch, more=more), "zoo")
    toy.run(project, replace(sweep, runs=()))
    return sweep


def rows(project):
    return store.read(project.store, job.load(project.jobs, "stitch")).to_pylist()


def test_a_stitch_prints_its_numbers_with_what_they_mean(trained):
    answer = call("stitch", *PAIR)
    assert answer.code == 0, answer.err
    assert answer.out.startswith("net:0 relu1 → net:2 relu1 on d: linear matched\nrun ")
    (line,) = [line.split() for line in answer.out.splitlines() if line.strip().startswith("penalty")]
    assert line == ["penalty", "0.02", "distance", "of", "the", "seeds"]
    assert answer.out.endswith("\nall 2 columns and where they come from: --json\n")


def test_json_is_the_whole_row_as_it_is_stored(trained):
    found = call("stitch", *PAIR, "--epochs", 7, "--json").json
    assert [found] == rows(trained)
    assert (found["epochs"], found["init"], found["curve"]) == (7, "random", [1 / n for n in range(1, 8)])


def test_it_is_the_run_of_a_sweep_and_none_of_them_is_computed_twice(trained):
    found = call("stitch", *PAIR, "--stitcher", "lowrank", "--rank", 2, "--set", "lr=0.5", "--epochs", 1, "--json").json
    text = ZOO.format(arch="net", more="") + "\nfixed: {stitcher: lowrank, rank: 2, lr: 0.5, epochs: 1}\npairs: [[0, 2]]"
    sweep = toy.sweep(trained, text, "same")
    assert [run.id for run in sweep.runs] == [found["run_id"]]
    assert standings(trained, sweep)[found["run_id"]].state == "done"
    assert {name: found[name] for name in ("front_arch", "end_arch", "front_seed", "end_seed", "dataset")} == {
        "front_arch": "net",
        "end_arch": "net",
        "front_seed": 0,
        "end_seed": 2,
        "dataset": "d",
    }


def test_asked_again_it_is_read_and_nothing_is_written(trained):
    first, before = call("stitch", *PAIR, "--json"), commandline.contents(trained.root)
    again = call("stitch", *PAIR, "--json")
    assert (again.out, again.err) == (first.out, "")
    assert f"stored, computed {first.json['started']}" in call("stitch", *PAIR).out
    assert commandline.contents(trained.root) == before


def test_networks_are_named_by_id_by_its_beginning_and_by_architecture_and_seed(trained):
    ids = {one["seed"]: one["run_id"] for one in call("zoo", "list", "--json").json["networks"]}
    length = next(n for n in range(1, 12) if len({run[:n] for run in ids.values()}) == 3)
    for front, end in ((ids[0], ids[2]), (ids[0][:length], ids[2][:length]), ("net:d:0", "net:2")):
        found = call("stitch", front, end, *PAIR[2:], "--json").json
        assert (found["front_network"], found["end_network"]) == (ids[0], ids[2])
    assert len(rows(trained)) == 1


def test_a_name_of_several_networks_is_refused_with_all_of_them(trained):
    made(trained, more=", width: 8")
    answer = call("stitch", *PAIR)
    assert (answer.code, answer.out) == (2, "")
    assert "A: 'net:0' may mean 2 networks: " in answer.err
    assert "(net:d:0, trained: good)" in answer.err and "(net-w8:d:0, trained: good)" in answer.err
    assert call("stitch", "net-w8:0", "net-w8:2", *PAIR[2:]).out.startswith("net-w8:0 relu1 → net-w8:2 relu1")


REFUSED = {
    ("net:7", *PAIR[1:]): "A: no network is called 'net:7'\n  → did you mean 'net:",
    ("net:0", "nett:1", *PAIR[2:]): "B: no network is called 'nett:1'\n  → did you mean 'net:1'",
    (*PAIR[:3], "relu9", *PAIR[4:]): "repsim stitch: there is no layer 'relu9'\n  → did you mean 'relu",
    (*PAIR, "--set", "lrr=1.0"): "repsim stitch: unknown key 'lrr'\n  → did you mean 'lr'?",
    (*PAIR, "--set", "lr=1e-3"): "lr: must be a number, not '1e-3'\n  → YAML reads 1e-3 as text",
    (*PAIR, "--set", "lr=0.1", "--lr", "0.1"): "--set lr=0.1: 'lr' is set twice",
    (*PAIR, "--set", "lr"): "--set lr: sets no field\n  → write --set KEY=VALUE",
    (*PAIR, "--set", "front_layer=bn1"): "'front_layer' follows from --front-layer",
    (*PAIR, "--set", "end_seed=1"): "'end_seed' follows from A and B",
    (*PAIR, "--set", "lr=[0.1"): "--set lr=[0.1: is not valid YAML",
    (*PAIR, "--rank", "2"): "rank: a lowrank stitcher needs one, no other has one",
    (*PAIR, "--stitcher", "lineal"): "stitcher: must be 'linear', 'lowrank' or 'permutation', not 'lineal'",
}


@pytest.mark.parametrize("words", REFUSED, ids=lambda words: " ".join(words[-2:]))
def test_what_cannot_be_meant_is_refused_in_words_and_writes_nothing(trained, words):
    before = commandline.contents(trained.root)
    answer = call("stitch", *words)
    assert (answer.code, answer.out) == (2, "")
    assert REFUSED[words] in answer.err
    assert not toy.PYDANTIC.search(answer.err)
    assert commandline.contents(trained.root) == before


def test_shapes_are_checked_as_for_a_sweep(trained):
    made(trained, more=", width: 8")
    answer = call("stitch", "net:d:0", "net-w8:1", *PAIR[2:], "--stitcher", "permutation")
    assert answer.code == 2 and "may mean" in answer.err
    ids = {one["width"]: one["run_id"] for one in call("zoo", "list", "--json").json["networks"]}
    answer = call("stitch", ids[None], ids[8], *PAIR[2:], "--stitcher", "permutation")
    assert answer.code == 2
    assert "repsim stitch · stitcher: a permutation needs equal widths: [4, 8, 8] and [8, 8, 8]" in answer.err


def test_a_project_without_networks_says_how_to_get_some(project, monkeypatch):
    monkeypatch.chdir(project.root)
    answer = call("stitch", *PAIR)
    assert (answer.code, answer.out) == (2, "")
    assert "A: the project has no network\n  → run a sweep, or see: repsim zoo import --help" in answer.err


def test_a_network_that_diverged_or_is_gone_is_named(trained):
    toy.network_file(trained, call("zoo", "list", "--json").json["networks"][0]["run_id"]).unlink()
    answer = call("stitch", *PAIR)
    assert answer.code == 2 and "is gone\n  → run the sweep that trained it again" in answer.err
    made(trained, arch="other", more=", recipe: diverges")
    answer = call("stitch", "other:0", *PAIR[1:])
    assert answer.code == 2 and "(other:d:0, trained: diverges) left no weights: it diverged" in answer.err


def test_a_stitch_that_failed_is_tried_again_when_it_is_asked_again(trained):
    file = toy.network_file(trained, call("zoo", "list", "--json").json["networks"][0]["run_id"])
    weights = file.read_bytes()
    file.write_bytes(b"")
    answer = call("stitch", *PAIR)
    assert (answer.code, answer.out) == (1, "")
    assert "repsim: AssertionError" in answer.err and "failed: nothing was stored" in answer.err
    file.write_bytes(weights)
    assert call("stitch", *PAIR).code == 0


def test_a_try_of_a_few_steps_prints_a_row_and_keeps_nothing(trained):
    before = commandline.contents(trained.root)
    assert call("stitch", *PAIR, "--steps", 1, "--json").json["penalty"] == 0.02
    assert "CUT SHORT after 1 step of each loop and not stored" in call("stitch", *PAIR, "--steps", 1).out
    assert commandline.contents(trained.root) == before


CHILD = """
import toy, repsim.catalog
from repsim.cli.main import main

repsim.catalog._ask = toy.sheet
main()
"""


def test_ctrl_c_leaves_nothing_and_the_next_call_computes_it(trained):
    words = ("stitch", *PAIR, "--set", "seconds=2.0")
    began = set(trained.submissions.glob("*/attempts/*"))
    command = [sys.executable, "-c", CHILD, *map(str, words)]
    paths = {**os.environ, "PYTHONPATH": str(Path(toy.__file__).parent)}
    child = subprocess.Popen(command, cwd=trained.root, env=paths, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while set(trained.submissions.glob("*/attempts/*")) == began and child.poll() is None:
        time.sleep(0.02)
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=60)
    assert (child.returncode, out) == (1, ""), err
    assert "interrupted: nothing was stored" in err and "Traceback" not in err
    assert not rows(trained)
    assert call(*words).code == 0
    assert len(rows(trained)) == 1
