"""Sweeps whose runs are networks, or measure one network each: planned, run, tabulated and watched as people do it."""

import pytest
from commandline import call
from scipy import stats

from repsim.sweep import networks

TRAININGS = "job: train\nzoo: {arch: [net, other], dataset: d, seeds: 0..3}\ngrid: {epochs: [1, 5]}"
MEASURES = "job: measure\nzoo: {arch: [net, other], dataset: d, seeds: 0..3}\ngrid: {steps: [0, 10]}"


@pytest.fixture
def here(project, monkeypatch):
    """The toy project as working directory, without Slurm."""
    monkeypatch.setenv("PATH", "/usr/bin/nowhere")
    monkeypatch.chdir(project.root)
    (project.sweeps / "trainings.yaml").write_text(TRAININGS)
    (project.sweeps / "measures.yaml").write_text(MEASURES)
    return project


def cells(name: str, *words: str) -> dict[tuple[str, ...], dict]:
    found = call("results", "table", name, "--format", "json", *words).json
    return {tuple(cell[key] for key in (*found["rows"], *found["cols"])): cell for cell in found["cells"]}


def test_trainings_are_planned_run_and_watched_like_any_sweep(here):
    assert call("sweep", "plan", "trainings").out.startswith("trainings: 16 runs\n")
    assert call("sweep", "run", "trainings", "--workers", "1").code == 0
    assert call("sweep", "run", "trainings", "--workers", "1").out == "all is done: nothing left to compute\n"
    assert len(list(here.artefacts.glob("*/network.pt"))) == 16
    status = call("sweep", "status", "trainings")
    assert "runs      done 16" in status.out
    assert status.out.splitlines()[2].split() == ["net", "other"]
    assert status.out.splitlines()[3].split() == ["train", "8/8", "8/8"]


def test_the_table_of_trainings_is_accuracy_by_architecture_with_the_t_interval(here):
    call("sweep", "run", "trainings", "--workers", "1")
    found = cells("trainings")
    values = [90.0, 90.1, 90.2, 90.3]  # 1 − 0.1/epochs + seed/1000 of seeds 0 to 3
    low, high = stats.t.interval(0.95, 3, loc=90.15, scale=stats.sem(values))
    cell = found["net", "1"]
    assert set(found) == {(arch, epochs) for arch in ("net", "other") for epochs in ("1", "5")}
    assert (cell["value"], cell["unit"], cell["n"], cell["expected"], cell["units"]) == (
        "accuracy",
        "accuracy points",
        4,
        4,
        "networks",
    )
    assert (cell["low"], cell["mean"], cell["high"]) == pytest.approx((low, 90.15, high))
    text = call("results", "table", "trainings").out
    assert "Mean over networks (runs of a network averaged first) ± 95 % interval (jackknife over 4 networks)" in " ".join(
        text.split()
    )
    assert call("results", "plot", "trainings").code == 0


def test_what_kinds_of_networks_differ_in_makes_the_rows(here):
    blocks = "[{arch: net, dataset: d, seeds: 0..1}, {arch: net, width: 8, dataset: d, seeds: 0..1}]"
    (here.sweeps / "widths.yaml").write_text(f"job: train\nzoo: {blocks}\ncases: {{fast: {{epochs: 1}}, slow: {{epochs: 5}}}}")
    call("sweep", "run", "widths", "--workers", "1")
    assert set(cells("widths")) == {("net", width, case) for width in ("–", "8") for case in ("fast", "slow")}
    (here.sweeps / "plain.yaml").write_text("job: train\nzoo: {arch: net, dataset: d, seeds: 0..1}")
    assert set(cells("plain")) == {("net", "good")}


def test_networks_are_trained_before_they_are_measured_and_the_table_shows_each_kind(here):
    assert call("sweep", "plan", "measures").out.startswith("measures: 16 runs on 8 networks\n")
    assert call("sweep", "run", "measures", "--workers", "1").code == 0
    found = cells("measures")
    assert {key: cell["mean"] for key, cell in found.items()} == pytest.approx(
        {(arch, steps): 51.5 - float(steps) / 10 for arch in ("net", "other") for steps in ("0", "10")}
    )
    assert {cell["n_units"] for cell in found.values()} == {4}
    assert "networks  done 8\n  runs      done 16" in call("sweep", "status", "measures").out
    assert call("results", "aggregate", "measures").out.startswith("16 of 16 runs")


def test_a_network_measured_twice_counts_once(here):
    call("sweep", "run", "measures", "--workers", "1")
    cell = cells("measures", "--cols", "dataset")["net", "d"]
    assert (cell["n"], cell["expected"], cell["n_units"]) == (8, 8, 4)
    assert cell["mean"] == pytest.approx(51.0)


def test_a_dry_run_tries_every_architecture_and_keeps_nothing(here):
    found = call("sweep", "dry-run", "trainings", "--json").json
    assert sorted(row["run"].split("/")[0] for row in found["runs"]) == ["net", "other"]
    assert call("zoo", "list", "--json").json == {"networks": []}


def test_a_sweep_about_no_networks_has_no_such_table(here):
    (here.sweeps / "squares.yaml").write_text("job: square\ngrid: {value: [1.0]}")
    answer = call("results", "table", "squares")
    assert answer.code == 2
    assert "only sweeps over networks have such a table" in answer.err


def test_a_network_says_how_it_was_made():
    assert networks.made({"recipe": "quick", "adversary": None}) == "trained: quick"
    assert networks.made({"recipe": "quick", "adversary": "madry"}) == "trained: quick madry"
    assert networks.made({"name": "frankenstein", "seed": 4}) == "imported: frankenstein"


def test_what_measures_networks_knows_how_each_was_made(here):
    (here.sweeps / "scores.yaml").write_text("job: evaluate\nzoo: {arch: net, dataset: d, seeds: 0..1, recipe: good}")
    assert call("sweep", "run", "scores", "--workers", "1").code == 0
    assert set(cells("scores", "--rows", "made", "--cols", "arch")) == {("trained: good", "net")}
