"""`repsim results curve` shows what a saved stitcher's file holds, and how trainings went."""

import pytest
import torch
import toy
from commandline import call

from repsim.report import curves
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
    assert (
        "no run here has a learning curve\n  → train a network, or ask a stitch to be kept: save: true"
        in call("results", "curve", "abc").err
    )
    keep("abc123", []), keep("abd456", CURVE)
    assert "nothing was trained\nW is 2 × 3" in call("results", "curve", "abc1").out
    for name, said in (
        ("ab", "2 runs with a learning curve begin so"),
        ("abc124", "did you mean 'abc123'"),
        ("*", "valid: abc123, abd456"),
    ):
        answer = call("results", "curve", name)
        assert (answer.code, answer.out) == (2, "")
        assert said in answer.err


def test_a_damaged_file_is_named(keep):
    file = keep("abc123", CURVE)
    file.write_bytes(file.read_bytes()[:100])
    answer = call("results", "curve", "abc123")
    assert (answer.code, answer.out) == (2, "")
    assert f"{file}: is damaged, cut short" in answer.err and "Traceback" not in answer.err


FIELDS = """
    curve_on: str = Field("test", description="scored on")
    curve_epoch: list[float] = Field([1.0, 2.0], description="epochs")
    curve_rate: list[float] = Field([0.1, 0.01], description="rates")
    curve_train_loss: list[float] = Field([2.0, 1.0], description="losses")
    curve_train_accuracy: list[float] = Field([0.25, 0.5], description="accuracies")
    curve_accuracy: list[float] = Field([float("nan"), 0.75], description="accuracies")
    curve_loss: list[float] = Field([float("nan"), 0.5], description="losses")
    curve_seconds: list[float] = Field([3.0, 6.0], description="seconds")
"""


@pytest.fixture
def trainings(project, monkeypatch):
    """Two trainings with a curve; their runs."""
    monkeypatch.chdir(project.root)
    job, anchor = project.jobs / "train.py", '    test_images: int = Field(100, description="test images scored")'
    assert anchor in job.read_text()
    job.write_text(job.read_text().replace(anchor, anchor + FIELDS))
    wanted = toy.sweep(project, "job: train\nfixed: {arch: net, dataset: d}\ngrid: {seed: [0, 1]}")
    assert toy.run(project, wanted) == ["done", "done"]
    return [run.id for run in wanted.runs]


def test_the_epochs_of_a_training_are_printed_with_what_they_were_scored_on(trainings):
    answer = call("results", "curve", trainings[0][:8])
    assert answer.code == 0, answer.err
    assert answer.out.splitlines() == [
        f"run {trainings[0]}: net:0 on d, trained: good",
        "epoch  rate  train_loss  train_accuracy  test_accuracy  test_loss  seconds",
        "    1   0.1           2            0.25              –          –        3",
        "    2  0.01           1             0.5           0.75        0.5        6",
        "accuracy 0.9000 on 100 test images",
    ]
    found = call("results", "curve", trainings[0], "--json").json
    assert (
        found["scored_on"] == "test" and found["curve"][0]["test_accuracy"] is None and found["curve"][1]["test_accuracy"] == 0.75
    )


def test_several_trainings_are_drawn_in_one_picture(trainings, tmp_path):
    answer = call("results", "curve", *trainings, "--json", "--out", tmp_path / "curves.png")
    assert answer.code == 0, answer.err
    assert [run["run_id"] for run in answer.json["runs"]] == trainings
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_only_trainings_are_drawn_and_only_into_pictures(trainings, keep, tmp_path):
    keep("abc123", CURVE)
    for words, said in (
        (["abc123", "--out", tmp_path / "a.png"], "abc123: is a stitch: only trainings are drawn"),
        ([trainings[0], "--out", tmp_path / "a.txt"], "cannot draw a '.txt' file"),
    ):
        answer = call("results", "curve", *words)
        assert answer.code == 2 and said in answer.err and not list(tmp_path.glob("a.*"))


def test_a_picture_shows_whole_epochs_all_of_its_words_and_a_single_epoch_as_a_dot():
    entry = {"epoch": 1, "train_accuracy": 0.5, "validation_accuracy": 0.25}
    curve = {"label": "net:0 on d", "accuracy": 0.25, "test_images": 100, "scored_on": "validation", "curve": [entry]}
    figure = curves.picture([curve, {**curve, "curve": [entry, {**entry, "epoch": 2}]}])
    figure.canvas.draw()
    (axes,) = figure.axes
    assert all(float(tick).is_integer() for tick in axes.get_xticks())
    words = axes.yaxis.label.get_window_extent()
    assert words.y0 >= 0 and words.y1 <= figure.bbox.height
    assert all(line.get_marker() == "." for line in axes.lines)
