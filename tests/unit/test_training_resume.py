"""A training that was broken off ends with the very weights that it would have had."""

import functools
import multiprocessing
import os
import signal
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
import torch
from torch import nn

from repsim import job
from repsim.errors import Interrupted
from repsim.models import resume as resumes
from repsim.models import zoo
from repsim.models.course import Course
from repsim.models.lesson import Lesson
from repsim.models.network import Facts
from repsim.models.recipes import Recipe
from repsim.models.resume import Resume

ROOT = Path(__file__).parents[2]
PLAIN = Recipe(3, 8, "sgd", 0.05, 0.01, "one_cycle", "none")
STEPS = 3  # per epoch


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def noisy(network, x, y, generator):
    """An objective that draws, as an attack does."""
    return nn.functional.cross_entropy(network(x + 0.1 * torch.rand(x.shape, generator=generator)), y)


def mcnn(seed):
    return zoo.build(Facts("mcnn", 2, 4, 1, 8), generator=seeded(seed))


def dropping(seed):
    network = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(64, 4))
    with torch.no_grad():
        for value in network.parameters():
            value.copy_(torch.randn(value.shape, generator=seeded(seed)))
    return network


CASES = {
    "sgd": (mcnn, (1,), PLAIN, None),
    "average and bfloat16": (mcnn, (1,), replace(PLAIN, ema=0.9, precision="bf16", channels_last=True), None),
    "adam": (mcnn, (1,), replace(PLAIN, optimizer="adam", clip=1.0), None),
    "dropout": (dropping, (1,), PLAIN, None),
    "objective": (mcnn, (1,), PLAIN, noisy),
    "three at once": (mcnn, (1, 2, 3), replace(PLAIN, optimizer="adamw", ema=0.9, clip=1.0), None),
}


def lesson(case, path, tick=lambda fraction, text: None, ids=("a",), keep_every=0, kept=None):
    make, seeds, recipe, objective = CASES[case]
    x, y = torch.rand(20, 1, 8, 8, generator=seeded(9)), torch.arange(20) % 4

    def batches(generator, epoch):
        for index in torch.randperm(20, generator=generator).split(8):
            yield x[index] + 0.1 * epoch * torch.rand(len(index), 1, 1, 1, generator=generator), y[index], index

    return Lesson(
        Course([make(seed) for seed in seeds], recipe, [seeded(seed) for seed in seeds], STEPS, seeds, None, objective),
        batches,
        {"test": lambda: [(x, y)]},
        lambda k, epoch, network: kept.append((k, epoch)) if kept is not None else None,
        Resume(path, ids) if path else None,
        tick,
        keep_every=keep_every,
    )


def ran(case, path=None, **more):
    taught = lesson(case, path, **more)
    taught.run()
    return taught.course


def state(course):
    return [value for net in (*course.networks, *course.counting) for value in net.state_dict().values()]


def stop_after(calls):
    """A tick that asks to leave at its call number `calls`."""
    seen = []

    def tick(fraction, text):
        seen.append(text)
        if len(seen) == calls:
            raise Interrupted

    return tick


@pytest.mark.parametrize("case", CASES)
def test_a_training_stopped_at_any_step_and_taken_up_again_ends_with_the_same_weights(case, tmp_path):
    whole = ran(case)
    for calls in (1, 3, 4, 6, 11):  # in an epoch, at its end, while it is scored, in the last
        path = tmp_path / f"{calls}.pt"
        with pytest.raises(Interrupted):
            ran(case, path, tick=stop_after(calls))
        again = ran(case, path)
        assert all(torch.equal(one, other) for one, other in zip(state(whole), state(again), strict=True))
        for one, other in zip(whole.curves, again.curves, strict=True):
            assert (one.losses, one.columns()["accuracy"]) == (other.losses, other.columns()["accuracy"])
            assert len(other.points) == 3 and other.points[-1].accuracy >= 0


def test_a_training_stopped_again_and_again_still_ends_with_the_same_weights(tmp_path):
    path, whole = tmp_path / "resume.pt", ran("average and bfloat16")
    for _ in range(4):
        with pytest.raises(Interrupted):
            ran("average and bfloat16", path, tick=stop_after(2))
    again = ran("average and bfloat16", path)
    assert all(torch.equal(one, other) for one, other in zip(state(whole), state(again), strict=True))


def test_networks_are_kept_every_so_many_epochs_also_across_a_stop(tmp_path):
    kept = []
    with pytest.raises(Interrupted):
        ran("three at once", tmp_path / "resume.pt", tick=stop_after(STEPS + 4), keep_every=1, kept=kept)
    assert kept == [(0, 1), (1, 1), (2, 1)]
    ran("three at once", tmp_path / "resume.pt", keep_every=1, kept=kept)
    assert kept == [(k, epoch) for epoch in (1, 2, 3) for k in range(3)]


def stopped(path, **more):
    with pytest.raises(Interrupted):
        ran("sgd", path, tick=stop_after(4), **more)


def test_a_resume_file_is_data(tmp_path):
    stopped(tmp_path / "resume.pt")
    held = torch.load(tmp_path / "resume.pt", weights_only=True)
    assert held["key"]["ids"] == ["a"] and held["state"]["step"] + STEPS * held["state"]["epoch"] == 3


def damage(path):
    path.write_bytes(path.read_bytes()[:-200])


def flip(path):
    """One bit of a weight."""
    data = bytearray(path.read_bytes())
    weight = torch.load(path, weights_only=True)["state"]["tensors"]["body.conv1.weight"]
    data[data.index(weight.numpy().tobytes())] ^= 1
    path.write_bytes(bytes(data))


def replace_with_code(path):
    torch.save({"key": os.system, "state": {}}, path)


@pytest.mark.parametrize("harm", [damage, flip, replace_with_code])
def test_a_damaged_resume_file_costs_time_and_nothing_else(tmp_path, harm):
    path, whole = tmp_path / "resume.pt", ran("sgd")
    stopped(path)
    harm(path)
    with pytest.warns(UserWarning, match="training starts anew"):
        again = ran("sgd", path)
    assert all(torch.equal(one, other) for one, other in zip(state(whole), state(again), strict=True))


@pytest.mark.parametrize(("case", "ids"), [("sgd", ("b",)), ("adam", ("a",)), ("three at once", ("a",)), ("dropout", ("a",))])
def test_a_resume_file_of_another_training_is_left_aside(tmp_path, case, ids):
    stopped(tmp_path / "resume.pt")
    with pytest.warns(UserWarning, match="is of another"):
        ran(case, tmp_path / "resume.pt", ids=ids)


def test_a_resume_file_is_written_seldom_enough_to_cost_little(tmp_path):
    now = [0.0]
    resume = Resume(tmp_path / "resume.pt", ["a"], clock=lambda: now[0])
    assert not resume.due
    now[0] = resumes.EVERY_S
    assert resume.due
    course = ran("sgd")
    slow = iter([100.0, 104.0, 104.0])  # four seconds of writing
    resume.clock = lambda: next(slow)
    resume.save(course)
    assert resume.due_at == pytest.approx(104 + 4 / resumes.SHARE)


TRAIN = job.load(ROOT / "jobs", "train")


def trained(folder, cache, more, report=lambda fraction, text: None):
    """The rows of the real job, with a resume file after every step (see `every_step`)."""
    torch.set_num_threads(1)
    seeds = range(more.get("together", 1))
    fixed = {"arch": "mcnn", "width": 4, "dataset": "digits", "recipe": "quick", "epochs": 2}
    configs = [TRAIN.config(**fixed, **more, seed=seed) for seed in seeds]
    return list(TRAIN.run(configs, job.Context("cpu", (), cache, folder, lambda config: str(config.seed), report=report)))


@pytest.fixture
def every_step(monkeypatch):
    monkeypatch.setattr(resumes, "EVERY_S", 0.0)
    monkeypatch.setattr(resumes, "SHARE", 1e9)
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def kill_in_the_middle(folder, cache, more):
    """The job in a process of its own, killed by signal 9 when 3/5 of its steps are done."""
    receiver, sender = multiprocessing.Pipe(duplex=False)
    target = functools.partial(trained, folder, cache, more, lambda fraction, text: sender.send(fraction))
    child = multiprocessing.get_context("fork").Process(target=target)
    child.start()
    while receiver.recv() < 0.6:
        pass
    assert child.pid
    os.kill(child.pid, signal.SIGKILL)
    child.join()
    assert child.exitcode == -signal.SIGKILL


@pytest.mark.parametrize(
    "more",
    [
        {"augment": "crop_flip", "ema": 0.99, "precision": "bf16", "channels_last": True, "validation": 100},
        {"together": 3, "optimizer": "adam", "lr": 1e-3, "clip": 1.0, "deterministic": True, "checkpoint_every": 2},
        {"train_images": 200, "adversary": "madry", "attack_steps": 2},
    ],
)
def test_a_training_killed_in_the_middle_and_run_again_gives_the_identical_network(tmp_path, every_step, more):
    cache, whole, broken, seen = tmp_path / "cache", tmp_path / "whole", tmp_path / "broken", []
    first = trained(whole, cache, more)
    kill_in_the_middle(broken, cache, more)
    assert [path.name for path in broken.rglob("*.pt")] == ["resume.pt"]
    unfinished = broken / "0" / f".epoch_0002.pt.{uuid4().hex}"
    unfinished.write_bytes(b"killed while it was written")
    second = trained(broken, cache, more, lambda fraction, text: seen.append(fraction))
    assert seen[0] > 0.5  # it went on, and did not begin again
    assert not unfinished.exists()
    files = sorted(path.relative_to(whole) for path in whole.rglob("*.pt"))
    assert files and files == sorted(path.relative_to(broken) for path in broken.rglob("*.pt"))
    for file in files:
        one, other = (torch.load(folder / file, weights_only=True)["state"] for folder in (whole, broken))
        assert all(torch.equal(value, other[name]) for name, value in one.items()), file
    timed = {"train_seconds", "images_per_second", "curve_seconds"}
    for one, other in zip(first, second, strict=True):
        assert str(one.model_dump(exclude=timed)) == str(other.model_dump(exclude=timed))
