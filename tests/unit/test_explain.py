"""Why a sweep has a run, or has it not: the block that made it, that decided each field, or that took it out."""

import pytest
import toy
from commandline import call

TEXT = """
zoo: {arch: net, dataset: d, seeds: 0..1}
layers: relu
fixed: {epochs: 3}
grid: {seed: [0, 1]}
cases:
  plain: {}
  low: {stitcher: lowrank, rank: [1, 2]}
  again: {init: random}
when: [{if: {rank: 2, layer: relu2}, then: {lr: 0.5}}]
include: [{case: low, rank: 7, layer: relu1, front_seed: 1}]
exclude: [{case: 'low*', seed: 1, rank: [1, 2]}]
"""


@pytest.fixture
def here(project, monkeypatch):
    monkeypatch.chdir(project.root)
    (project.sweeps / "s.yaml").write_text(TEXT)
    return project


def ask(*words):
    answer = call("sweep", "explain", "s", *words, "--json")
    assert answer.code == 0, answer.err
    return answer.json


def test_each_field_of_a_run_is_traced_to_the_block_that_decided_it(here):
    found = ask("rank=2", "layer=relu2", "seed=0", "front_seed=1")
    assert (found["runs"], found["made"], found["taken"]) == (1, {"cases.low + when.0": 1}, {})
    said = {name: (field["value"], field["block"]) for name, field in found["point"]["fields"].items()}
    assert said.pop("front_network") and said.pop("end_network")
    assert said == {
        **{"front_arch": ("net", "pairs"), "end_arch": ("net", "pairs"), "front_seed": (1, "pairs"), "end_seed": (0, "pairs")},
        **{"dataset": ("d", "zoo"), "front_layer": ("relu2", "layers"), "end_layer": ("relu2", "layers")},
        **{"stitcher": ("lowrank", "cases.low"), "rank": (2, "cases.low"), "lr": (0.5, "when.0.then")},
        **{"epochs": (3, "fixed"), "seed": (0, "grid")},
    }
    assert ask(found["point"]["id"]) == ask(found["point"]["id"][:8]) == found


def test_an_included_run_is_traced_to_its_entry(here):
    found = ask("rank=7")
    assert found["made"] == {"cases.low + include.0": 1}
    blocks = {name: field["block"] for name, field in found["point"]["fields"].items()}
    assert (blocks["rank"], blocks["stitcher"], blocks["epochs"]) == ("include.0", "cases.low", "fixed")
    assert "seed" not in blocks


def test_a_point_that_was_taken_out_names_its_rule(here):
    found = ask("rank=1", "seed=1", "layer=relu1", "front_seed=0")
    assert (found["runs"], found["made"], found["taken"]) == (0, {}, {"exclude.0": 1})
    assert found["rules"] == {"exclude.0": {"case": ["low*"], "seed": [1], "rank": [1, 2]}}
    assert ask(found["point"]["id"])["taken"] == {"exclude.0": 1}


def test_points_that_are_equal_are_one_run_of_two_blocks(here):
    found = ask("stitcher=linear", "layer=relu1", "front_seed=0", "seed=0")
    assert (found["runs"], found["made"]) == (1, {"cases.plain": 1, "cases.again": 1})


def test_a_network_is_of_the_zoo(here):
    network = ask("layer=relu1", "front_seed=0", "seed=0", "rank=2")["point"]["fields"]["front_network"]["value"]
    found = ask(network)
    assert (found["made"], found["point"]["fields"]["arch"]) == ({"zoo": 1}, {"value": "net", "block": "zoo"})


def test_people_read_blocks_counts_and_fields(here):
    answer = call("sweep", "explain", "s", "case=low*")
    assert answer.out == (
        "s: 9 runs, 8 points taken out\n  made by   cases.low: 6 points\n  made by   cases.low + when.0: 2 points\n"
        "  made by   cases.low + include.0: 1 point\n  taken by  exclude.0: 8 points, case low*, seed 1, rank 1 or 2\n"
    )
    alone = call("sweep", "explain", "s", "rank=7").out
    assert "  point     low 7/net/" in alone
    assert "\n    rank           7 " in alone and "  include.0\n" in alone and alone.endswith(" fields more at the default\n")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["rank=5"], "no block gives 'rank' the value '5'\n  → valid: 1, 2, 7, None"),
        (["stitcher=lowrnk"], "no block gives 'stitcher' the value 'lowrnk'\n  → did you mean 'lowrank'"),
        (["rank=7", "layer=relu2"], "no point has all of these values\n  → leave one out"),
        (["zzz"], "no run begins with 'zzz'"),
        (["rnk=1"], "no run has a field 'rnk'\n  → did you mean 'rank'"),
        (["a=b", "c"], "no run has a field 'a'"),
    ],
)
def test_what_no_block_makes_is_told_by_the_word_to_blame(here, words, said):
    answer = call("sweep", "explain", "s", *words)
    assert (answer.code, answer.out) == (2, "")
    assert said in answer.err


def test_a_point_that_is_refused_names_the_block_that_made_it(here):
    (here.sweeps / "s.yaml").write_text(TEXT.replace("rank: 7", "rank: 0"))
    answer = call("sweep", "explain", "s", "rank=0")
    assert answer.code == 2
    assert "s.yaml: include.0.rank: must be greater than or equal to 1, not 0" in answer.err


def test_a_run_that_the_file_made_once_is_known_from_when_it_was_sent(here):
    one = toy.submission(here, toy.sweep(here, "job: square\ngrid: {value: [1.0, 7.5]}", "squares"))
    run = next(
        run["id"] for groups in one.plan["tasks"] for group in groups for run in group["runs"] if run["config"]["value"] == 7.5
    )
    toy.sweep(here, "job: square\ngrid: {value: [1.0]}", "squares")
    answer = call("sweep", "explain", "squares", run[:8])
    assert answer.code == 2
    assert f"run {run} is no longer in the sweep, though {one.name} held it: value 7.5" in answer.err
    assert "no run begins with 'ffffffff'" in call("sweep", "explain", "squares", "ffffffff").err
