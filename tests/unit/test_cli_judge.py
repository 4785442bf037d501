"""`repsim judge`: sweeps by name and glob, what is not computed, one table; and words that stand for several values."""

from pathlib import Path

import pytest
import toy
from commandline import call

from repsim import job
from repsim.errors import SpecError
from repsim.similarity.known import KNOWN

ZOO = "zoo: {arch: net, dataset: d, seeds: 0..2}\n"
PAIRS = "pairs: [[0, 0], [1, 1], [2, 2], [0, 1], [0, 2], [1, 2]]\n"
LAYERS = "layers: {front: [bn, relu], end: [bn, relu]}\n"
TEXT = f"job: compare\njudge: layers\n{ZOO}{PAIRS}{LAYERS}cases: {{every: {{measure: all}}}}\n"


@pytest.fixture
def here(project, monkeypatch):
    monkeypatch.chdir(project.root)
    monkeypatch.setenv("PATH", "/usr/bin/nowhere")
    return project


def test_a_suite_that_is_not_computed_says_how_and_one_that_is_scores_every_measure_in_one_table(here):
    toy.sweep(here, TEXT, "judge_toy_small")
    answer = call("judge")
    assert answer.code == 2 and "nothing of these sweeps is computed" in answer.err and "--run" in answer.err
    answer = call("judge", "judge_toy*", "--run", "--device", "cpu", "--workers", 1, "--format", "markdown")
    assert answer.code == 0, answer.err
    lines = [line for line in answer.out.splitlines() if line.startswith(("| cka", "| rbf"))]
    assert len(lines) == 2 and all("1.00" in line for line in lines)  # a toy layer is nearest to the layer of its name
    assert "identity: share of layers whose counterpart is the nearest layer (Kornblith et al. 2019)" in answer.out
    assert call("judge", "--plot", here.root / "judged.png").code == 0
    assert (here.root / "judged.png").read_bytes().startswith(b"\x89PNG")
    assert "cannot draw a '.txt' file" in call("judge", "--plot", here.root / "judged.txt").err
    found = {(one["measure"], one["score"]): one for one in call("judge", "--json").json["scores"]}
    assert found["cka", "identity"]["value"] == 1 and found["cka", "identity"]["networks"] == 3


def test_what_cannot_be_judged_is_said_in_a_line(here):
    toy.sweep(here, TEXT.replace("judge: layers\n", ""), "plain")
    assert "plain.yaml: serves no test" in call("judge", "plain").err
    with pytest.raises(SpecError, match="layers"):
        toy.sweep(here, TEXT.replace("judge: layers", "judge: layer"), "wrong")
    assert "did you mean 'markdown'" in call("judge", "plain", "--format", "markdwn").err


def test_all_measures_stand_for_themselves_and_a_new_one_is_among_them(here):
    sweep = toy.sweep(here, TEXT, "words")
    assert {run.config.measure for run in sweep.runs} == {"cka", "rbf"}
    assert {run.labels["case"] for run in sweep.runs} == {"every cka", "every rbf"}
    words = job.load(Path(__file__).parents[2] / "jobs", "compare").words["measure"]["all"]
    assert set(words) == {name for name, known in KNOWN.items() if known.family != "outputs"}


def test_a_word_is_spelled_out_in_every_block_each_value_once_and_left_alone_where_a_field_has_no_words(here):
    plain = "cases: {every: {measure: rbf}}\n"
    one = TEXT.replace("cases: {every: {measure: all}}\n", plain)
    for name, blocks in {
        "in_grid": one.replace(plain, "grid: {measure: [rbf, all]}\n"),
        "in_include": one + "include: [{measure: all, front_layer: bn1, end_layer: bn1}]\n",
        "in_when": one + "when: [{if: {front_layer: bn1, end_layer: bn1}, then: {measure: all}}]\n",
    }.items():
        told = [
            run.config.measure
            for run in toy.sweep(here, blocks, name).runs
            if run.config.front_layer == run.config.end_layer == "bn1"
        ]
        assert set(told) == {"cka", "rbf"} and told.count("cka") == 6, name
