"""`repsim results heatmap | identity | animate` show what a sweep of comparisons has measured."""

import json
from dataclasses import replace

import pandas as pd
import pytest
import toy
from commandline import call

from repsim import table

ZOO = "zoo: {arch: net, dataset: d, seeds: 0..2}\n"
LAYERS = "layers: {front: bn, end: [bn, fc]}\n"
GRID = f"job: compare\n{ZOO}pairs: unordered\n{LAYERS}cases: {{cka: {{measure: cka}}, rbf: {{measure: rbf}}}}\n"
FILM = f"job: compare\n{ZOO}pairs: self\nlayers: {{front: bn, end: bn}}\nfixed: {{measure: cka}}\n"
FILM += "grid: {front_epoch: [1, 5, null]}\n"


@pytest.fixture
def measured(project, monkeypatch):
    """A toy project; computes a sweep of that text under that name, or only its first runs."""
    monkeypatch.chdir(project.root)
    monkeypatch.setenv("PATH", "/usr/bin/nowhere")

    def compute(text, name="grid", first=None):
        sweep = toy.sweep(project, text, name)
        toy.run(project, sweep if first is None else replace(sweep, runs=sweep.runs[:first]))
        return sweep

    compute.project = project
    return compute


def test_a_heat_map_has_a_panel_per_measure_and_says_over_how_many_pairs(measured, tmp_path):
    measured(GRID)
    answer = call("results", "heatmap", "grid")
    assert answer.code == 0, answer.err
    path = measured.project.results / "plots" / "grid_heatmap.png"
    assert path.read_bytes().startswith(b"\x89PNG")
    assert answer.out.splitlines() == [
        "cka: net × net: mean over 3 pairs, std 0.000",
        "rbf: net × net: mean over 3 pairs, std 0.000",
        f"→ {path}",
    ]
    answer = call("results", "heatmap", "grid", "--measure", "rbf", "--out", tmp_path / "rbf.svg", "--json")
    (matrix,) = answer.json["matrices"]
    assert (matrix["measure"], matrix["front_layers"], matrix["end_layers"]) == ("rbf", ["bn1", "bn2"], ["bn1", "bn2", "fc"])
    assert matrix["cells"][0] == {
        **{"front_layer": "bn1", "end_layer": "bn1", "mean": 1.0, "std": 0.0, "null": 0.125, "null_kind": None},
        **{"n": 3, "expected": 3, "troubles": {}},
    }
    assert (tmp_path / "rbf.svg").read_text().startswith("<?xml")


def test_undefined_cells_and_missing_numbers_are_listed(measured):
    measured(GRID.replace("front: bn", "front: [bn1, fc]"), first=20)
    answer = call("results", "heatmap", "grid")
    assert answer.code == 0, answer.err
    assert "cka: net × net: constant layer: fc × all" in answer.out
    assert "rbf: net × net: not computed: 8 of 18 numbers" in answer.out


def test_layer_identity_is_scored_in_both_directions(measured, tmp_path):
    measured(GRID)
    answer = call("results", "identity", "grid", "--measure", "cka")
    assert answer.code == 0, answer.err
    _, forth, back, *_ = answer.out.splitlines()
    assert " ".join(forth.split()) == "cka: net × net front → end 100.0 % 0.0 6 6 0 0 3 33.3 %"
    assert " ".join(back.split()) == "cka: net × net end → front 100.0 % 0.0 6 6 0 0 3 50.0 %"
    call("results", "identity", "grid", "--format", "markdown", "--out", tmp_path / "new" / "identity.md")
    assert (tmp_path / "new" / "identity.md").read_text().startswith("| measure |")
    assert [one["measure"] for one in call("results", "identity", "grid", "--json").json["scores"]] == ["cka", "cka", "rbf", "rbf"]


def test_what_has_no_layer_identity_does_not_hide_what_has(measured):
    logits = "cases: {out: {measure: agreement, front_layer: logits, end_layer: logits}, "
    measured(GRID.replace("cases: {", logits))
    answer = call("results", "identity", "grid", "--json")
    assert (answer.code, [one["measure"] for one in answer.json["scores"]]) == (0, ["cka", "cka", "rbf", "rbf"])
    assert answer.err.startswith("repsim: left out: agreement: net × net: has no score")
    assert call("results", "identity", "grid", "--measure", "agreement").code == 2


def test_a_table_says_that_some_of_its_numbers_mean_nothing():
    said = {"status": ["ok", "rank 19 of 19", "no value", "rank 18 of 18"], "value": [0.5, 1.0, None, 1.0]}
    rows = pd.DataFrame({"run_id": list("abcd"), **said})
    assert table.doubtful(rows, "value") == {"b": "rank 19 of 19", "d": "rank 18 of 18"}
    assert table.doubtful(rows.iloc[[0, 2]], "value") == table.doubtful(rows[["run_id", "value"]], "value") == {}
    assert table.doubtful(pd.DataFrame(), "value") == table.doubtful(rows.assign(seconds=1.0), "seconds") == {}


def test_checkpoints_are_animated_against_the_last(measured, tmp_path):
    measured(FILM, "film")
    answer = call("results", "animate", "film")
    page = measured.project.results / "plots" / "film.html"
    assert (answer.code, answer.out) == (0, f"3 epochs → {page}\n"), answer.err
    data = json.loads(page.read_text().split('id="data">')[1].split("</script>")[0])
    assert data["epochs"] == ["1", "5", "last"]
    first_rows = [data["films"][0]["frames"][epoch]["values"][0] for epoch in data["epochs"]]
    assert first_rows == [pytest.approx([near, near / 2]) for near in (0.1, 0.5, 1.0)]
    answer = call("results", "animate", "film", "--out", tmp_path / "film.gif", "--json")
    assert answer.json["epochs"] == ["1", "5", "last"] and (tmp_path / "film.gif").read_bytes().startswith(b"GIF89a")


def test_what_cannot_be_shown_is_said(measured, tmp_path):
    measured(GRID, "empty", first=0)
    measured(f"job: stitch\n{ZOO}layers: bn1\n", "stitched", first=0)
    measured(GRID.replace(LAYERS, "layers: relu\n"), "diagonal", first=1)
    for words, message in (
        (("heatmap", "stitched"), "the job 'stitch' compares no layers\n  → name a sweep with job: compare"),
        (("heatmap", "empty"), "no comparison has finished\n  → see: repsim sweep status"),
        (("heatmap", "empty", "--measure", "ckaa"), "--measure: the sweep has no measure 'ckaa'\n  → did you mean 'cka'?"),
        (("heatmap", "diagonal", "--out", tmp_path / "a.txt"), "cannot draw a '.txt' file"),
        (("identity", "diagonal"), "needs every front layer with every end layer"),
        (("identity", "empty", "--format", "latex"), "--format: unknown format 'latex'"),
        (("animate", "diagonal"), "only one epoch is compared"),
        (("animate", "diagonal", "--out", tmp_path / "a.mp4"), "use one of .gif, .html"),
    ):
        answer = call("results", *words)
        assert (answer.code, answer.out) == (2, ""), words
        assert message in answer.err
    assert not list(tmp_path.glob("a.*"))


def test_a_table_of_layers_has_them_in_the_order_of_the_network_and_logits_last(measured):
    """The case that names logits stands first; rows and columns begin with bn1 all the same."""
    logits = "cases: {out: {measure: agreement, front_layer: logits, end_layer: logits}, "
    measured(GRID.replace("cases: {", logits).replace("end: [bn, fc]", "end: [fc, bn]"))
    answer = call("results", "table", "grid", "--rows", "measure,front_layer", "--cols", "end_layer", "--format", "markdown")
    assert answer.code == 0, answer.err
    head, _, *lines = [line.strip("| ").split(" | ") for line in answer.out.splitlines() if line.startswith("|")]
    assert head[2:] == ["bn1", "bn2", "fc", "logits"]
    assert [line[1] for line in lines if line[0] == "cka"] == ["bn1", "bn2"]
    assert "†" not in answer.out
