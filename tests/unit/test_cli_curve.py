"""`repsim results curve` shows what a saved stitcher's file holds."""

import pytest
import torch
from commandline import call

from repsim.stitching.saved import Map, Saved, save

CONFIG = {
    **{"front_arch": "tiny10", "front_seed": 4, "front_layer": "bn3", "end_arch": "tiny10", "end_seed": 5, "end_layer": "bn4"},
    **{"dataset": "cifar10", "stitcher": "linear", "init": "random"},
}
CURVE = [{"epoch": 1, "train_loss": 2.5, "validation_loss": float("nan")}, {"epoch": 2, "train_loss": 1.25, "validation_loss": 1.5}]


@pytest.fixture
def keep(project, monkeypatch):
    """Saves a stitcher as the artefact of a run."""
    monkeypatch.chdir(project.root)

    def kept(run, curve):
        file = project.artefacts / run / "stitcher.pt"
        file.parent.mkdir(parents=True)
        save(Saved(torch.zeros(2, 3), None, None, Map(torch.zeros(2, 3)), Map(torch.zeros(2, 3)), curve, CONFIG), file)
        return file

    return kept


def test_a_curve_is_printed_with_where_the_weights_are(keep):
    file = keep("abc123", CURVE)
    answer = call("results", "curve", "abc")
    assert answer.code == 0, answer.err
    assert answer.out.splitlines() == [
        "tiny10:4 bn3 → tiny10:5 bn4 on cifar10: linear random",
        "epoch  train_loss  validation_loss",
        "    1         2.5                –",
        "    2        1.25              1.5",
        f"W is 2 × 3: repsim.stitching.saved.load('{file}')",
    ]
    found = call("results", "curve", "abc123", "--json").json
    assert (found["run_id"], found["file"], found["shape"], found["config"]) == ("abc123", str(file), [2, 3], CONFIG)
    assert found["curve"] == [{**CURVE[0], "validation_loss": None}, CURVE[1]]


def test_a_run_that_saved_nothing_or_is_not_the_only_one_is_said(keep):
    assert "no stitcher is saved here\n  → ask a run to keep it: save: true" in call("results", "curve", "abc").err
    keep("abc123", []), keep("abd456", CURVE)
    assert "nothing was trained\nW is 2 × 3" in call("results", "curve", "abc1").out
    for name, said in (("ab", "2 saved stitchers begin so"), ("abc124", "did you mean 'abc123'"), ("*", "valid: abc123, abd456")):
        answer = call("results", "curve", name)
        assert (answer.code, answer.out) == (2, "")
        assert said in answer.err


def test_a_damaged_file_is_named(keep):
    file = keep("abc123", CURVE)
    file.write_bytes(file.read_bytes()[:100])
    answer = call("results", "curve", "abc123")
    assert (answer.code, answer.out) == (2, "")
    assert f"{file}: is damaged, cut short" in answer.err and "Traceback" not in answer.err
