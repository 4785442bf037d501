"""Computing on this machine: a queue over cards and cores, deaths, and Ctrl-C once and twice, with real processes."""

import os
import signal
import subprocess
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import commandline
import pytest
import toy

from repsim import hardware, lanes, local, reconcile, store, submission
from repsim.lanes import Lane
from repsim.state import State

CARDS = '''"""Say where a run was computed."""

import os
import time

from pydantic import Field

from repsim.job import Context, JobConfig, JobRow

VERSION = 1
PRIOR_RATE = 1.0


class Config(JobConfig):
    value: int = Field(description="what sets it apart")
    seconds: float = Field(0.05, description="how long it takes")
    deaf: bool = Field(False, description="whether it looks at nothing meanwhile")
    mood: str = Field("well", description="dies: its process is killed as it begins")
    dataset: str = Field("numbers", description="where the rows go")


class Row(JobRow):
    card: str = Field(description="CUDA_VISIBLE_DEVICES")
    pid: int = Field(description="the process")
    threads: str = Field(description="of it")


def inputs(config):
    return []


def group_key(config):
    return config.value


def work(config):
    return config.seconds


def run(configs, context: Context):
    (config,) = configs
    if config.mood == "dies":
        os.kill(os.getpid(), 9)
    end = time.monotonic() + config.seconds
    while time.monotonic() < end:
        time.sleep(0.02)
        if not config.deaf:
            context.tick(0.5, "under way")
    said = os.environ
    yield Row(
        run_id=context.run_id(config),
        card=said.get("CUDA_VISIBLE_DEVICES", "none"),
        pid=os.getpid(),
        threads=said.get("OMP_NUM_THREADS", "any"),
    )
'''
SMI = "#!/bin/sh\nfor card in 0 1 2; do echo 'NVIDIA Toy'; done\n"


@pytest.fixture
def machine(project, tmp_path, monkeypatch):
    """A project with a job that says where it is computed, on a machine with three cards."""
    (project.jobs / "cards.py").write_text(CARDS)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "nvidia-smi").write_text(SMI)
    (tmp_path / "bin" / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return project


def run(project, sweep, device="cpu", workers=2, listen=lambda *_: None):
    return reconcile.run_here(project, sweep, toy.plan(project, sweep), device, workers, listen)


def rows(project, sweep):
    return {row["value"]: row for row in store.read(project.store, sweep.jobs[sweep.spec.job]).to_pylist()}


def until(holds, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_every_card_has_one_process_that_sees_it_alone(machine):
    sweep = toy.sweep(machine, "job: cards\ngrid: {value: 0..8}\nfixed: {seconds: 0.3}")
    assert run(machine, sweep, "cuda", local.workers_for("cuda", None)) == ["done"] * 9
    found = rows(machine, sweep).values()
    assert {row["card"] for row in found} == {"0", "1", "2"}
    assert len({(row["card"], row["pid"]) for row in found}) == 3


def test_only_cards_that_are_set_visible_are_used(machine, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2, GPU-b,-1,0")
    assert hardware.cards() == ["2", "GPU-b"]
    assert local.workers_for("cuda", None) == 2
    sweep = toy.sweep(machine, "job: cards\ngrid: {value: 0..3}\nfixed: {seconds: 0.5}")
    assert run(machine, sweep, "cuda", 2) == ["done"] * 4
    assert {row["card"] for row in rows(machine, sweep).values()} == {"2", "GPU-b"}


def test_lanes_share_cards_and_cores(monkeypatch):
    monkeypatch.setattr(local, "_cores", lambda: 8)
    assert local.lanes_of([], 3) == [Lane(None, 1, 3)] * 3
    assert local.lanes_of(["0", "1"], 3) == [Lane("0", 2, 2), Lane("1", 2, 2), Lane("0", 2, 2)]
    assert local.workers_for("cpu", 7) == 7
    assert local.workers_for("cpu", None) == 8
    assert local.workers_for("mps", None) == 1


def test_who_is_free_takes_the_next_group_longest_first(machine):
    """A static share would give the process with the long one half of the short ones too."""
    sweep = toy.sweep(machine, "job: cards\nzip: {value: 0..6, seconds: [0.05, 0.05, 0.05, 2.5, 0.05, 0.05, 0.05]}")
    assert run(machine, sweep) == ["done"] * 7
    found = rows(machine, sweep)
    beside = Counter(row["pid"] for row in found.values())
    assert beside[found[3]["pid"]] == 1
    assert min(found.values(), key=lambda row: row["started"])["value"] == 3 or found[3]["started"] <= found[0]["started"]


def test_a_process_that_is_killed_loses_its_group_and_a_fresh_one_goes_on(machine):
    sweep = toy.sweep(
        machine, "job: cards\nzip: {value: 0..4,\n  seconds: [0.5, 9.0, 0.3, 0.3, 0.3], mood: [well, dies, well, well, well]}"
    )
    outcomes = run(machine, sweep)
    assert sorted(outcomes) == ["done"] * 4 + ["lost"]
    assert rows(machine, sweep).keys() == {0, 2, 3, 4}
    (left,) = [s for s in toy.states(machine, sweep).values() if s.state is not State.DONE]
    assert left.state is State.NEW


def test_where_one_process_after_the_other_dies_no_more_are_started(machine):
    sweep = toy.sweep(machine, "job: cards\ngrid: {value: 0..9}\nfixed: {mood: dies}")
    outcomes = run(machine, sweep)
    assert set(outcomes) == {"lost", "interrupted"}
    assert outcomes.count("lost") <= lanes.MAX_DEATHS + 1
    assert all(one.closed for one in submission.every(machine.submissions))


def alive(group: int) -> list[str]:
    """The processes of a process group that are more than a name in the table."""
    found = []
    for file in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, _, leader = file.read_text().rpartition(")")[2].split()[:3]
            found += [file.parent.name] if int(leader) == group and state != "Z" else []
    return found


def events(project) -> int:
    return sum(len(one.events()) for one in submission.every(project.submissions))


def started(machine, text, *words):
    """`repsim sweep run` in a session of its own, as from a terminal, once all its processes are at work."""
    sweep, before = toy.sweep(machine, text, "long"), events(machine)
    command = [*commandline.CHILD, "sweep", "run", "long", "--device", "cpu", *map(str, words)]
    child = subprocess.Popen(
        command, cwd=machine.root, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )
    until(lambda: events(machine) == before + int(words[1]))
    return sweep, child


@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c_at_a_terminal_leaves_within_seconds_and_the_next_run_goes_on(machine, workers):
    """A terminal sends it to every process of the group."""
    sweep, child = started(machine, "job: cards\ngrid: {value: 0..2}\nfixed: {seconds: 30.0}", "--workers", workers)
    began = time.monotonic()
    os.killpg(child.pid, signal.SIGINT)
    out, err = child.communicate(timeout=20)
    assert time.monotonic() - began < 5
    assert child.returncode == 1 and "3 interrupted" in out and "Traceback" not in err
    assert {s.state for s in toy.states(machine, sweep).values()} == {State.NEW}
    assert all(one.closed for one in submission.every(machine.submissions))


@pytest.mark.parametrize("workers", [1, 2])
def test_a_second_ctrl_c_ends_at_once_what_does_not_listen_and_counts_as_no_death(machine, workers):
    text = "job: cards\ngrid: {value: 0..2}\nfixed: {seconds: 60.0, deaf: true}"
    for _ in range(3):
        sweep, child = started(machine, text, "--workers", workers)
        os.killpg(child.pid, signal.SIGINT)
        time.sleep(0.7)
        assert child.poll() is None
        os.killpg(child.pid, signal.SIGINT)
        out, err = child.communicate(timeout=5)
        assert child.returncode == 1 and "3 interrupted" in out and "Traceback" not in err
        until(lambda group=child.pid: not alive(group), seconds=2)
        assert {s.state for s in toy.states(machine, sweep).values()} == {State.NEW}
        for one in submission.every(machine.submissions):
            assert one.closed
