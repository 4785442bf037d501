"""`repsim sweep stop` and `resume`, and what status and submit say while a stop stands."""

import commandline
import pytest
import toy
from commandline import call
from tasks import pack

from repsim import orders
from repsim.breaker import ROW
from repsim.journal import Journal
from repsim.report import halts

SLURM = "cluster: slurm\npartition: gpu\ndevice: cpu\n"


@pytest.fixture
def here(project, monkeypatch, tmp_path):
    """The toy project with a profile for Slurm; Slurm answers, and knows of nothing."""
    (project.profiles / "gpu.yaml").write_text(SLURM)
    bin_ = commandline.slurm(tmp_path / "bin", sinfo="echo slurm 22.05.8", sbatch="touch $0.asked; exit 1")
    monkeypatch.setenv("PATH", f"{bin_}:/usr/bin:/bin")
    monkeypatch.chdir(project.root)
    return project


def sent(project, count: int = 12, mood: str = "fails"):
    """A sweep of groups that all end so, and its submission."""
    sweep = toy.sweep(project, f"job: square\nprofile: gpu\ngrid: {{batch: 0..{count - 1}}}\nfixed: {{value: 2.0, mood: {mood}}}")
    return sweep, toy.submission(project, sweep)


def test_a_breaker_that_tripped_is_shown_with_its_error_an_example_and_the_way_on(here):
    sweep, one = sent(here)
    pack(one).run()
    shown = call("sweep", "status", "toy", "--json").json
    (stop,) = shown["stops"]
    assert (stop["by"], stop["count"], stop["signature"]) == ("breaker", ROW, "ZeroDivisionError: no square today")
    assert stop["run"] in {run.id for run in sweep.runs}
    text = call("sweep", "status", "toy").out
    assert "held      10 groups failed one after the other with the same error (code): ZeroDivisionError: no square today" in text
    assert f"repsim sweep logs {stop['run']}" in text and "go on, once it is mended: repsim sweep resume toy" in text


def test_submit_refuses_while_a_stop_stands_and_names_the_way(here, tmp_path):
    _, one = sent(here)
    pack(one).run()
    one.close()
    answer = call("sweep", "submit", "toy", "--yes")
    assert answer.code == 2
    assert (
        "the sweep is held: stopped: 10 groups failed" in answer.err and "repsim sweep resume toy, and submit again" in answer.err
    )
    assert not (tmp_path / "bin" / "sbatch.asked").exists()
    assert call("sweep", "resume", "toy").code == 0
    assert "the sweep is held" not in call("sweep", "submit", "toy", "--yes").err
    assert (tmp_path / "bin" / "sbatch.asked").exists()


def test_a_retry_is_not_held_back(here, tmp_path):
    _, one = sent(here)
    pack(one).run()
    one.close()
    call("sweep", "retry", "toy", "--yes")
    assert (tmp_path / "bin" / "sbatch.asked").exists()


def test_stop_and_resume_say_what_they_did_and_can_be_repeated(here):
    _, one = sent(here, 3, "well")
    assert call("sweep", "stop", "toy", "--json").json == {"stopped": [one.name]}
    again = call("sweep", "stop", "toy")
    assert again.code == 0 and "stopped already" in again.out
    assert pack(one).run() == 3 * ["interrupted"]
    text = call("sweep", "status", "toy").out
    assert "stopped by hand" in text and "go on: repsim sweep resume toy" in text and "  next  " not in text
    assert "→ repsim sweep resume toy, and submit again" in call("sweep", "submit", "toy", "--yes").err
    assert call("sweep", "resume", "toy", "--json").json == {"resumed": [one.name]}
    assert "nothing of it is stopped" in call("sweep", "resume", "toy").out
    assert pack(one).run() == 3 * ["done"]
    one.close()
    assert "nothing of it is queued or running" in call("sweep", "stop", "toy").out
    assert orders.stop_of(one) is None


def test_another_sweep_is_not_touched(here):
    _, one = sent(here, 2, "well")
    (here.sweeps / "other.yaml").write_text("job: square\nprofile: gpu\ngrid: {batch: [0, 1]}\nfixed: {value: 5.0}")
    call("sweep", "stop", "other")
    assert orders.stop_of(one) is None


def test_status_counts_apart_why_tasks_were_interrupted(here):
    _, one = sent(here, 2, "well")
    for restart, why in enumerate(["SIGTERM", "SIGTERM", "SIGUSR2", None]):
        journal = Journal(one, 0, restart)
        journal.write(event="begun")
        if why:
            journal.write(event="left", why=why)
    Journal(one, 0, 4).write(event="begun")
    one.close()
    assert call("sweep", "status", "toy", "--json").json["restarts"] == {"preempted": 2, "time limit": 1, "lost": 2}
    assert "restarts  2 preempted, 1 time limit, 2 lost" in call("sweep", "status", "toy").out
    assert halts.halts_json([one], "other", set()) == {"stops": [], "restarts": {}}
