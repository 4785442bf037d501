"""`repsim compare` does what a sweep of comparisons does, for networks, layers and measures named as people name them."""

from dataclasses import replace

import commandline
import pytest
import toy
from commandline import call

from repsim import job, store
from repsim.cli import compare, dry
from repsim.similarity.known import KNOWN

PAIR = ("compare", "net:0", "net:2")


@pytest.fixture
def trained(project, monkeypatch):
    """A toy project with three networks."""
    monkeypatch.chdir(project.root)
    monkeypatch.setenv("PATH", "/usr/bin/nowhere")
    sweep = toy.sweep(project, "zoo: {arch: net, dataset: d, seeds: 0..2}\nlayers: relu1", "zoo")
    toy.run(project, replace(sweep, runs=()))
    return project


def rows(project):
    return store.read(project.store, job.load(project.jobs, "compare")).to_pylist()


def checkpoint(project, seed, epoch):
    """Keep network `seed` as it was after `epoch`."""
    run = next(one["run_id"] for one in call("zoo", "list", "--json").json["networks"] if one["seed"] == seed)
    (project.artefacts / run / f"epoch_{epoch:04d}.pt").write_bytes(b"weights")


def cells(answer, index=0):
    return {(one["front_layer"], one["end_layer"]): one["value"] for one in answer.json["matrices"][index]["cells"]}


def test_a_matrix_per_measure_is_printed_with_what_chance_gives(trained):
    answer = call(*PAIR, "--layers", "bn,fc", "--measures", "cka,rbf")
    assert answer.code == 0, answer.err
    assert answer.out.splitlines() == [
        "cka: net:0 × net:2 (more is nearer)",
        "        bn1     bn2      fc",
        "bn1  1.000   0.500   0.500",
        "bn2  0.500   1.000   0.500",
        "fc       –a      –a      –a",
        "chance gives 0.125",
        "a: constant layer, fc × all",
        "cka own",
        "",
        "rbf: net:0 × net:2 (more is nearer)",
        "        bn1     bn2      fc",
        "bn1  1.000   0.500   0.500",
        "bn2  0.500   1.000   0.500",
        "fc       –a      –a      –a",
        "chance gives 0.125",
        "a: constant layer, fc × all",
        "rbf own",
    ]


def test_the_plan_is_said_first_and_only_of_what_is_not_stored(trained):
    first = call(*PAIR, "--layers", "bn")
    assert first.err.splitlines()[:2] == ["4 numbers to compute of 4, on cpu:", "  toy · 4 numbers on cpu"]
    before = commandline.contents(trained.root)
    again = call(*PAIR, "--layers", "bn", "--json")
    assert (again.err, again.json["plan"]) == ("", None)
    assert commandline.contents(trained.root) == before
    more = call(*PAIR, "--layers", "bn,relu1", "--json")
    assert "5 numbers to compute of 9, on cpu:" in more.err and more.json["plan"] == {"numbers": 5}
    assert len(rows(trained)) == 9


def test_layers_are_kinds_globs_names_all_and_logits_in_the_order_of_the_network(trained):
    assert list(cells(call(*PAIR, "--layers", "logits,relu2,bn1", "--end-layers", "conv*", "--json"))) == [
        (front, end) for front in ("bn1", "relu2", "logits") for end in ("conv1", "conv2")
    ]
    found = cells(call(*PAIR, "--layers", "all", "--json"))
    assert len(found) == 49 and ("conv1", "fc") in found


def test_a_device_that_is_not_there_is_refused_though_all_is_stored(trained):
    assert call(*PAIR, "--layers", "bn1").code == 0
    answer = call(*PAIR, "--layers", "bn1", "--device", "tpu")
    assert (answer.code, answer.out) == (2, "") and "unknown device 'tpu'" in answer.err


def test_it_is_the_run_that_a_sweep_would_do(trained):
    call(*PAIR, "--layers", "bn1", "--end-layers", "bn2", "--ranks", "1", "--measures", "rbf", "--set", "bandwidth=0.25")
    (row,) = rows(trained)
    text = (
        "job: compare\nzoo: {arch: net, dataset: d, seeds: 0..2}\npairs: [[0, 2]]\nlayers: {front: bn1, end: bn2}\n"
        "fixed: {measure: rbf, front_rank: 1, bandwidth: 0.25}"
    )
    assert [run.id for run in toy.sweep(trained, text, "same").runs] == [row["run_id"]]
    assert (row["front_arch"], row["front_seed"], row["end_seed"]) == ("net", 0, 2)


def test_ranks_make_matrices_of_their_own(trained):
    answer = call(*PAIR, "--layers", "bn1", "--ranks", "1,4,full", "--json")
    assert [one["variant"] for one in answer.json["matrices"]] == ["front rank 1", "front rank 4", "front rank full"]
    assert [cells(answer, index)["bn1", "bn1"] for index in range(3)] == [0.1, 0.4, 1.0]
    both = call(*PAIR, "--layers", "bn1", "--ranks", "1,2", "--end-ranks", "3,full", "--json").json["matrices"]
    assert len(both) == 4 and both[0]["variant"] == "front rank 1, end rank 3"


def test_a_field_goes_to_the_measures_that_read_it_and_outputs_are_compared_once(trained):
    answer = call(
        *PAIR, "--layers", "bn", "--measures", "cka,rbf,agreement", "--set", "bandwidth=0.25", "--view", "flatten", "--json"
    )
    assert answer.code == 0, answer.err
    by_measure = {one["measure"]: one["cells"] for one in answer.json["matrices"]}
    assert [len(found) for found in by_measure.values()] == [4, 4, 1]
    assert [found[0]["value"] for found in by_measure.values()] == [1.0, 0.5, 1.0]
    assert {(row["measure"], row["bandwidth"], row["view"]) for row in rows(trained)} == {
        ("cka", 0.5, "flatten"),
        ("rbf", 0.25, "flatten"),
        ("agreement", 0.5, None),
    }


def test_a_checkpoint_is_compared_by_its_epoch(trained):
    checkpoint(trained, 0, 5)
    answer = call("compare", "net:0@5", "net:0", "--layers", "bn1", "--json")
    assert answer.code == 0, answer.err
    (matrix,) = answer.json["matrices"]
    assert (matrix["front"], matrix["end"], matrix["cells"][0]["value"]) == ("net:0@5", "net:0", 0.5)
    assert [(row["front_epoch"], row["end_epoch"]) for row in rows(trained)] == [(5, None)]


def test_a_dry_run_has_the_checkpoints_that_a_training_kept(trained):
    checkpoint(trained, 0, 5)
    zoo = "zoo: {arch: net, dataset: d, seeds: 0..0}"
    sweep = toy.sweep(trained, f"job: compare\n{zoo}\npairs: self\nlayers: relu1\nfixed: {{measure: cka}}", "film")
    (run,) = {network for one in sweep.runs for network in one.inputs}
    with dry.throwaway_of(trained, sweep) as throwaway:
        assert (throwaway.artefacts / run / "epoch_0005.pt").read_bytes() == b"weights"
    assert (trained.artefacts / run / "epoch_0005.pt").read_bytes() == b"weights"


def test_a_heat_map_is_drawn_and_a_file_that_cannot_be_is_refused_before_anything_is_computed(trained, tmp_path):
    answer = call(*PAIR, "--layers", "bn", "--out", tmp_path / "a.svg", "--bootstrap", 7)
    assert answer.code == 0, answer.err
    assert (tmp_path / "a.svg").read_text().startswith("<?xml") and f"→ {tmp_path / 'a.svg'}" in answer.err
    assert "0.000…1.000" in answer.out
    before = len(rows(trained))
    answer = call(*PAIR, "--layers", "relu", "--out", tmp_path / "a.txt")
    assert answer.code == 2 and "cannot draw a '.txt' file" in answer.err and len(rows(trained)) == before


REFUSED = {
    ("compare", "net:7", "net:2", "--layers", "bn"): "A: no network is called 'net:7'",
    ("compare", "net:0", "net:2@5", "--layers", "bn"): "was not kept after epoch '5'\n  → train with checkpoint_every: 10",
    (*PAIR, "--layers", "bn9"): "--layers: net has no layer 'bn9'\n  → did you mean 'bn",
    (*PAIR, "--layers", "bn", "--end-layers", "block"): "--end-layers: net has no layer 'block'",
    (*PAIR, "--layers", ","): "--layers: names nothing",
    (*PAIR, "--layers", "bn", "--measures", "ckaa"): "--measures: there is no measure 'ckaa'\n  → did you mean 'cka'?",
    (*PAIR, "--layers", "bn", "--ranks", "1,two"): "--ranks: '1,two' is no list of ranks\n  → write it as in --ranks 1,2,4,full",
    (*PAIR, "--layers", "bn", "--ranks", "0"): "repsim compare: front_rank: must be greater than or equal to 1, not 0",
    (*PAIR, "--layers", "bn", "--view", "flat"): "repsim compare: view: must be 'flatten' or 'channel', not 'flat'",
    (*PAIR, "--layers", "bn", "--set", "bandwith=1.0"): "repsim compare: unknown key 'bandwith'\n  → did you mean 'bandwidth'?",
    (
        *PAIR,
        "--layers",
        "bn",
        "--set",
        "bandwidth=1.0",
    ): "'bandwidth' is read by none of the measures\n  → leave it out; it is for rbf",
    (*PAIR, "--layers", "bn", "--measures", "agreement", "--view", "flatten"): "--view: none of the measures compares layers",
    (*PAIR, "--layers", "bn", "--measures", "agreement", "--end-ranks", "2"): "--end-ranks: none of the measures compares layers",
    (*PAIR, "--layers", "bn", "--set", "measure=cka"): "'measure' follows from --measures",
    (*PAIR, "--layers", "bn", "--set", "front_seed=1"): "'front_seed' follows from A and B",
    (*PAIR, "--layers", "bn", "--dataset", "absent"): "repsim compare · dataset: the data set is not there\n  → put it there",
    (*PAIR, "--layers", "bn", "--images", "1"): "repsim compare: images: must be greater than or equal to 2, not 1",
}


@pytest.mark.parametrize("words", REFUSED, ids=lambda words: " ".join(words[2:]))
def test_what_cannot_be_meant_is_refused_in_words_and_writes_nothing(trained, words):
    before = commandline.contents(trained.root)
    answer = call(*words)
    assert (answer.code, answer.out) == (2, "")
    assert REFUSED[words] in answer.err
    assert not toy.PYDANTIC.search(answer.err)
    assert commandline.contents(trained.root) == before


def test_an_epoch_that_was_not_kept_is_told_which_were(trained):
    checkpoint(trained, 0, 5), checkpoint(trained, 0, 10)
    assert "was not kept after epoch '7'\n  → kept: 5, 10" in call("compare", "net:0@7", "net:0", "--layers", "bn").err


def test_comparisons_that_fail_say_why_and_those_that_are_stored_are_shown(trained):
    call(*PAIR, "--layers", "bn1")
    toy.network_file(trained, call("zoo", "list", "--json").json["networks"][0]["run_id"]).write_bytes(b"")
    answer = call(*PAIR, "--layers", "bn1,bn2")
    assert answer.code == 1
    assert "repsim: AssertionError" in answer.err and "3 of 4 comparisons are missing" in answer.err
    assert "1.000" in answer.out and "not computed: 3 of 4" in answer.out
    nothing = call(*PAIR, "--layers", "relu1")
    assert (nothing.code, nothing.out) == (1, "")


def test_the_help_names_every_measure():
    assert set(compare.MEASURES.split()) == KNOWN.keys()
