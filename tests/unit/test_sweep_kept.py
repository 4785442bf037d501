"""The cache of expansions: the same runs as without it, another key for whatever an expansion reads, and nothing lost with it."""

import json
import os

import pytest
import toy
from commandline import call

from repsim.sweep import expand as expanding
from repsim.sweep import kept
from repsim.sweep.run import labels, values

SQUARES = """
job: square
cases:
  small: {value: [1, 1.5, 0.0]}
  negative: {value: -0.0}
  named: {value: 2.5, nick: [a, "1", null]}
grid: {batch: 0..3, times: [1, 2]}
"""
STITCHES = """
zoo: {arch: net, dataset: d, seeds: 0..2}
layers: relu
grid: {seed: [0, 1]}
"""


@pytest.fixture(autouse=True)
def every_sweep_is_kept(monkeypatch):
    monkeypatch.setattr(kept, "LEAST", 1)


@pytest.fixture
def formed(monkeypatch):
    """How often the runs of a sweep were formed."""
    calls, form = [], expanding._runs
    monkeypatch.setattr(expanding, "_runs", lambda *args: calls.append(1) or form(*args))
    return calls


def facts(sweep) -> list[tuple]:
    """All that can be asked of runs; a float is told from an integer, and 0.0 from -0.0."""
    return [
        (
            *(run.id, run.job, run.inputs, run.group, run.labels, run.slug, run.dataset, type(run.config), repr(run.config)),
            *(run.config.model_fields_set, run.value("value"), run.value("no_such", 7), run.label("case"), run.label("no_such", 8)),
        )
        for run in sweep.runs
    ]


@pytest.mark.parametrize("text", [SQUARES, STITCHES, SQUARES + "order: shuffle\n"])
def test_columns_of_many_runs_say_what_each_run_says(project, text):
    runs = toy.sweep(project, text).runs, toy.sweep(project, text).runs[::-2]
    for some in (*runs, (*runs[0], *runs[1])):
        for name in ("value", "case", "nick", "front_layer", "no_such"):
            assert list(values(some, name, 7)) == [run.value(name, 7) for run in some]
            assert list(labels(some, name, 8)) == [run.label(name, 8) for run in some]


def shelf_of(project):
    (file,) = (project.cache / "expanded").iterdir()
    return file


@pytest.mark.parametrize("text", [SQUARES, STITCHES, SQUARES + "order: shuffle\n", SQUARES.replace("-0.0", "[1.0, 1.5]")])
def test_recalled_runs_are_those_that_were_formed(project, formed, text):
    first = toy.sweep(project, text)
    again = toy.sweep(project, text)
    assert len(formed) == 1
    assert facts(again) == facts(first)
    assert [run.config for run in again.runs] == [run.config for run in first.runs]
    assert (again.merged, again.networks, again.jobs.keys()) == (first.merged, first.networks, first.jobs.keys())


def test_status_and_plan_say_the_same_with_the_cache_and_without(project, monkeypatch, formed):
    monkeypatch.chdir(project.root)
    toy.run(project, toy.sweep(project, STITCHES))
    toy.sweep(project, STITCHES.replace("[0, 1]", "[0, 1, 2]"))
    words = ["status", "toy", "--json", "--rows", "seed"], ["status", "toy", "front_layer=relu1"], ["plan", "toy", "--json"]
    recalled = [call("sweep", *each) for each in words]
    count = len(formed)
    shelf_of(project).unlink()
    assert [call("sweep", *each).out for each in words] == [answer.out for answer in recalled]
    assert len(formed) == count + 1
    assert [answer.code for answer in recalled] == [0] * 3


def test_what_an_expansion_reads_changes_the_key(project, formed):
    toy.sweep(project, STITCHES)
    job, data = project.jobs / "stitch.py", project.root / "data" / "d"
    changes = [
        lambda: None,
        lambda: job.write_text(job.read_text() + "\n"),
        lambda: data.mkdir(parents=True),
        lambda: (data / "dataset.json").write_text("{}"),
        lambda: os.utime(data / "dataset.json", (1, 1)),
    ]
    for change, expected in zip(changes, [1, 2, 3, 4, 5], strict=True):
        change()
        toy.sweep(project, STITCHES)
        assert len(formed) == expected
    for text in (STITCHES.replace("0..2", "0..3"), STITCHES.replace("relu", "bn"), STITCHES + "order: shuffle\n"):
        before = len(formed)
        toy.sweep(project, text)
        toy.sweep(project, text)
        assert len(formed) == before + 1


def test_other_layers_of_a_network_change_the_key(project, monkeypatch, formed):
    toy.sweep(project, STITCHES)
    for file in (project.cache / "layers").iterdir():
        file.write_text(json.dumps([{**layer, "shape": [9, 8, 8]} for layer in json.loads(file.read_text())]))
    toy.sweep(project, STITCHES)
    assert len(formed) == 2


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "",
        lambda text: text[: len(text) // 2],
        lambda text: text.replace('"merged": ', '"merged": 5'),
        lambda text: text.replace("a", "b"),
        lambda text: kept._hash("[]") + "\n[]",
        lambda text: kept._hash("{}") + "\n{}",
    ],
)
def test_a_damaged_or_alien_file_is_passed_over_and_made_anew(project, formed, damage):
    first = toy.sweep(project, SQUARES)
    file = shelf_of(project)
    whole = file.read_text()
    file.write_text(damage(whole))
    assert facts(toy.sweep(project, SQUARES)) == facts(first)
    assert len(formed) == 2
    assert file.read_text() == whole


def test_a_cache_that_cannot_be_written_costs_only_time(project, formed):
    project.cache.mkdir(parents=True)
    (project.cache / "expanded").write_text("in the way")
    assert facts(toy.sweep(project, SQUARES)) == facts(toy.sweep(project, SQUARES))
    assert len(formed) == 2


def test_small_sweeps_and_explained_ones_are_not_kept(project, formed, monkeypatch):
    path = project.sweeps / "toy.yaml"
    toy.sweep(project, SQUARES)
    expanding.open_sweep(path, project, expanding.Trace())
    assert len(formed) == 2
    shelf_of(project).unlink()
    monkeypatch.setattr(kept, "LEAST", 1000)
    toy.sweep(project, SQUARES)
    assert not list((project.cache / "expanded").iterdir())
