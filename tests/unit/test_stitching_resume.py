"""A group of stitches that was told to stop, or killed, goes on to exactly the rows that it would have had."""

from dataclasses import replace
from functools import partial

import pytest
import torch
from test_jobs_stitch import JOB, SMALL, config, context, folder

from repsim.errors import Interrupted
from repsim.stitching import epochfile, resume
from repsim.stitching.resume import Resume

__all__ = ["context", "folder"]
TRAINED = {**SMALL, "batch_size": 16, "init": "random", "controls": False, "augment": "flip"}
CASES = [
    {"epochs": 4},
    {"epochs": 3, "optimizer": "sgd", "momentum": 0.9, "lr": 0.05, "select": "test_best"},
    {"epochs": 4, "stitcher": "birkhoff", "init": "perm", "scales": True, "alternating": True, "warmup": 0.25},
    {"epochs": 4, "stitcher": "lasso", "crossval": "0.01 0.1"},
    {"epochs": 4, "stitcher": "lowrank", "rank": 2, "select": "last"},
    {"epochs": 1, "stitcher": "orthogonal"},
]


def group(**shared):
    return [config(**{**TRAINED, **shared, **case}) for case in CASES]


@pytest.fixture
def often(monkeypatch):
    """Saved after every epoch, however short."""
    monkeypatch.setattr(resume, "Resume", partial(Resume, every_s=0.0))
    monkeypatch.setattr(epochfile, "SHARE", 1e9)


def rows_of(configs, context) -> list[dict]:
    """What was measured; how long it took is another matter."""
    rows = [row.model_dump() for row in JOB.run(configs, context)]
    return [{name: value for name, value in row.items() if name not in ("seconds", "images_per_second")} for row in rows]


def stopped_in(epoch: int, ticks: list[str], batches: int = 4):
    """A context's callbacks that count batches and ask to stop in the middle of this epoch (from 0)."""

    def report(fraction: float, text: str) -> None:
        ticks.append(text)

    return {"report": report, "should_stop": lambda: ticks.count("training") >= epoch * batches + 2}


@pytest.mark.parametrize("batchnorm", ["frozen", "train", "reestimate"])
def test_a_group_that_was_told_to_stop_gives_the_rows_of_one_that_was_not(context, often, batchnorm):
    configs, ticks = group(batchnorm=batchnorm), []
    whole = rows_of(configs, context)
    file = context.artefacts / "run-0" / "resume.pt"
    assert not file.parent.exists(), "a group that is done leaves nothing"
    with pytest.raises(Interrupted):
        rows_of(configs, replace(context, **stopped_in(2, ticks)))
    assert file.is_file()
    assert isinstance(torch.load(file, weights_only=True), dict), "data alone"
    ticks.clear()
    shares: list[float] = []

    def report(fraction: float, text: str) -> None:
        ticks.append(text)
        shares.append(fraction)

    assert rows_of(configs, replace(context, report=report)) == whole
    assert ticks.count("training") == 2 * 4, "the two epochs that were left"
    assert shares[-1] == pytest.approx(1.0, abs=0.2), "what was done before counts as progress"
    assert not file.parent.exists()


def test_a_group_that_is_stopped_again_and_again_ends_with_the_same_rows(context, often):
    configs = group()
    whole = rows_of(configs, context)
    for _ in range(3):
        with pytest.raises(Interrupted):
            rows_of(configs, replace(context, **stopped_in(1, [])))
    assert rows_of(configs, context) == whole


@pytest.mark.parametrize("damage", [b"", b"no tensors", None])
def test_a_file_that_cannot_be_used_costs_time_and_no_result(context, often, damage):
    configs = group()
    whole = rows_of(configs, context)
    with pytest.raises(Interrupted):
        rows_of(configs, replace(context, **stopped_in(2, [])))
    file = context.artefacts / "run-0" / "resume.pt"
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2] if damage is None else damage)
    with pytest.warns(UserWarning, match="starts anew"):
        assert rows_of(configs, context) == whole


def test_a_file_of_another_group_is_left_aside(context, often):
    with pytest.raises(Interrupted):
        rows_of(group(), replace(context, **stopped_in(2, [])))
    fewer = group()[:2]
    with pytest.warns(UserWarning, match="is of another group; the group starts anew"):
        assert len(rows_of(fewer, context)) == 2


def test_a_short_group_writes_nothing(context):
    ticks: list[str] = []
    with pytest.raises(Interrupted):
        rows_of(group(), replace(context, **stopped_in(2, ticks)))
    assert not (context.artefacts / "run-0").exists()
