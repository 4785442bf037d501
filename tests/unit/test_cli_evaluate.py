"""`repsim zoo eval` scores networks named as people name them, each evaluation once."""

from dataclasses import replace

import commandline
import pytest
import toy
from commandline import call

from repsim import job, store
from repsim.report import evaluations as shown
from repsim.sweep import evaluations


@pytest.fixture
def trained(project, monkeypatch):
    """A toy project with three networks."""
    monkeypatch.chdir(project.root)
    monkeypatch.setenv("PATH", "/usr/bin/nowhere")
    sweep = toy.sweep(project, "zoo: {arch: net, dataset: d, seeds: 0..2}\nlayers: relu1", "zoo")
    toy.run(project, replace(sweep, runs=()))
    return project


def rows(project):
    return store.read(project.store, job.load(project.jobs, "evaluate")).to_pylist()


def test_clean_scores_are_a_line_per_network(trained):
    answer = call("zoo", "eval", "net:0", "net:2")
    assert answer.code == 0, answer.err
    head, first, second = (line.split() for line in answer.out.splitlines())
    assert head == ["network", "run", "data", "n", "accuracy", "loss", "ECE"]
    assert (first[0], second[0]) == ("net:0", "net:2")
    assert first[2:] == second[2:] == ["d", "100", "0.9000", "0.2500", "0.1250"]


def test_attacks_stand_side_by_side_and_each_is_a_row(trained):
    answer = call("zoo", "eval", "net:1", "--robust", "--steps", "20,10", "--autoattack", "--epsilon", 0.25, "--images", 7)
    assert answer.code == 0, answer.err
    head, line, _, below = answer.out.splitlines()
    assert head.split()[-3:] == ["PGD-10", "PGD-20", "AutoAttack"]
    assert line.split()[3:] == ["7", "0.9000", "0.2500", "0.1250", "0.8000", "0.7000", "0.2500"]
    assert below == "accuracy left in an L∞ ball of 0.25 around each image"
    assert sorted((row["attack"], row["attack_steps"], row["epsilon"]) for row in rows(trained)) == [
        ("autoattack", 10, 0.25),
        ("pgd", 10, 0.25),
        ("pgd", 20, 0.25),
    ]


def test_what_is_stored_is_read_and_only_the_rest_computed(trained):
    words = ("zoo", "eval", "net:0", "--robust", "--json")
    first = call(*words, "--steps", 10).json["evaluations"]
    before = commandline.contents(trained.root)
    assert call(*words, "--steps", 10).json["evaluations"] == first
    assert commandline.contents(trained.root) == before
    more = call(*words, "--steps", "10,50").json["evaluations"]
    assert more[0] == first[0] and [row["attack_steps"] for row in more] == [10, 50]
    assert len(rows(trained)) == 2


def test_it_is_the_run_that_a_sweep_would_do(trained):
    found = call("zoo", "eval", "net:0", "--robust", "--steps", "10,20", "--json").json["evaluations"]
    text = "job: evaluate\nzoo: {arch: net, dataset: d, seeds: 0}\nfixed: {attack: pgd}\ngrid: {attack_steps: [10, 20]}"
    assert [run.id for run in toy.sweep(trained, text, "same").runs] == [row["run_id"] for row in found]
    assert [(row["arch"], row["seed"]) for row in found] == [("net", 0)] * 2


def test_a_network_named_twice_is_scored_once_and_another_data_set_may_be_named(trained):
    run = call("zoo", "list", "--json").json["networks"][0]["run_id"]
    (row,) = call("zoo", "eval", "net:0", run, "--dataset", "e", "--json").json["evaluations"]
    assert (row["network"], row["dataset"], row["loss"]) == (run, "e", None)
    assert " – " in call("zoo", "eval", "net:0", "--dataset", "e").out


@pytest.mark.parametrize(
    "words, message",
    [
        (["net:9"], "NETWORK: no network is called 'net:9'\n  → did you mean 'net:"),
        (["net:0", "--steps", "10"], "--steps: says nothing without --robust"),
        (["net:0", "--autoattack", "--restarts", "2"], "--restarts: says nothing without --robust"),
        (["net:0", "--epsilon", "0.1"], "--epsilon: says nothing without --robust or --autoattack"),
        (
            ["net:0", "--robust", "--steps", "ten"],
            "--steps: 'ten' is no list of numbers of steps\n  → write them as in",
        ),
        (["net:0", "--robust", "--steps", "0"], "repsim zoo eval: attack_steps: must be greater than or equal to 1, not 0"),
        (["net:0", "--robust", "--epsilon", "8"], "repsim zoo eval: epsilon: must be less than or equal to 1, not 8"),
        (["net:0", "--robust", "--epsilon", "much"], "repsim zoo eval: epsilon: must be a number, not 'much'"),
        (["net:0", "--dataset", "absent"], "repsim zoo eval · dataset: the data set is not there\n  → put it there"),
        (["net:0", "--dataset", "../d"], "repsim zoo eval: dataset: must match"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_words_and_writes_nothing(trained, words, message):
    before = commandline.contents(trained.root)
    answer = call("zoo", "eval", *words)
    assert (answer.code, answer.out) == (2, "")
    assert message in answer.err and not toy.PYDANTIC.search(answer.err)
    assert commandline.contents(trained.root) == before


def test_an_evaluation_that_fails_says_why_and_shows_the_others(trained):
    run = next(one["run_id"] for one in call("zoo", "list", "--json").json["networks"] if one["seed"] == 1)
    toy.network_file(trained, run).write_bytes(b"")
    answer = call("zoo", "eval", "net:0", "net:1")
    assert answer.code == 1 and "net:0" in answer.out and "net:1" not in answer.out
    assert "repsim: AssertionError" in answer.err and "1 of 2 evaluations is missing" in answer.err


def test_the_default_steps_are_those_that_papers_report():
    assert [attack["attack_steps"] for attack in evaluations.attacks_of(True, False, None, None, None)] == [10, 20, 50]
    assert evaluations.attacks_of(False, False, None, None, None) == [{}]
    fraction = evaluations.attacks_of(True, True, "10", 5, "8/255")
    assert fraction == [
        {"attack": "pgd", "attack_steps": 10, "restarts": 5, "epsilon": "8/255"},
        {"attack": "autoattack", "epsilon": "8/255"},
    ]


def test_a_radius_is_shown_in_grey_levels_where_it_is_one():
    row = {
        "network": "a",
        "arch": "net",
        "seed": 0,
        "dataset": "d",
        "test_images": 10_000,
        "accuracy": 0.5,
        "loss": 1.0,
        "ece": 0.1,
    }
    pgd = {**row, "attack": "pgd", "attack_steps": 10, "restarts": 5, "robust_accuracy": 0.25}
    for epsilon, said in ((8 / 255, "8/255"), (0.5 / 255, "0.5/255"), (0.3, "0.3"), (1.0, "1")):
        text = shown.text([{**pgd, "epsilon": epsilon}])
        assert text.endswith(f"ball of {said} around each image") and "PGD-10 ×5" in text and "10,000" in text
