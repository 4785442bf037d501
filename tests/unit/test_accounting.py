"""What sacct adds: why tasks died that squeue has forgotten; and nothing is lost without it."""

import os
import time

import commandline
import pytest
import toy

from repsim import accounting, nodes, reconcile
from repsim.accounting import Accounts, Ending, Lost
from repsim.journal import Journal
from repsim.submission import Submission

ROWS = """
17_0|{name}|NODE_FAIL|2026-01-01T10:00:00|n1
17_0.batch|batch|CANCELLED|2026-01-01T10:00:00|n1
17_0|{name}|TIMEOUT|2026-01-01T12:00:00|n2
17_0.batch|batch|CANCELLED|2026-01-01T12:00:00|n2
17_1|{name}|FAILED|2026-01-01T10:30:00|n1
17_1.batch|batch|OUT_OF_MEMORY|2026-01-01T10:30:00|n1
17_[2-3%4]|{name}|CANCELLED by 1000|2026-01-01T10:40:00|None assigned
17_3|{name}|RUNNING|Unknown|n3
""".strip()


@pytest.fixture
def one(project) -> Submission:
    """Four runs, each a task of an array."""
    sweep = toy.sweep(project, "job: square\nzip: {batch: 0..3, value: [1.0, 2.0, 3.0, 4.0]}")
    found = toy.submission(project, sweep, min_tasks=4)
    found.mark_sent(job_id="17")
    return found


@pytest.fixture
def sacct(tmp_path, monkeypatch):
    """Let sacct answer with a text; gives how often it was asked, and with which words last."""
    asked, said = tmp_path / "asked", tmp_path / "said"
    folder = commandline.slurm(tmp_path / "bin", sacct=f'printf "%s\\n" "$*" >> {asked}; cat {said}')
    said.touch()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")

    def answer(text: str) -> list[str]:
        said.write_text(text + "\n")
        return asked.read_text().splitlines() if asked.exists() else []

    return answer


def lost(one: Submission, *indices: int, since: float = 0.0) -> list[Lost]:
    return [Lost(one, index, since) for index in indices]


def begun(one: Submission, task: int) -> None:
    Journal(one, task, 0).write(event="start", group=one.plan["tasks"][task][0]["id"], host="n1")


def causes(project, one: Submission, queue=()) -> list[str | None]:
    """The cause of each task's run, in the order of tasks."""
    found = reconcile.standings(project, toy.open_sweep(project.sweeps / "toy.yaml", project), lambda: list(queue))
    return [found[groups[0]["runs"][0]["id"]].cause for groups in one.plan["tasks"]]


def test_every_attempt_at_a_task_is_known_with_its_node_and_its_true_state(one, sacct, tmp_path):
    sacct(ROWS.format(name=one.name))
    found = Accounts(tmp_path)(lost(one, 0, 1, 2, 3))
    assert [(end.state, end.node) for end in found[one.name, 0]] == [("NODE_FAIL", "n1"), ("TIMEOUT", "n2")]
    assert [(end.state, end.node) for end in found[one.name, 1]] == [("OUT_OF_MEMORY", "n1")], "the step knows"
    assert [(end.state, end.node) for end in found[one.name, 2]] == [("CANCELLED", "")]


def test_a_job_of_a_stranger_with_our_id_is_not_ours(one, sacct, tmp_path):
    sacct("17_0|theirs|NODE_FAIL|2020-01-01T10:00:00|n1\n17_0.batch|batch|OUT_OF_MEMORY|2020-01-01T10:00:00|n1")
    assert not Accounts(tmp_path)(lost(one, 0)).get((one.name, 0))


def test_one_question_for_all_and_none_before_half_a_minute_is_over(one, sacct, tmp_path):
    two = Submission(one.folder.with_name(f"{one.name}x"))
    two.folder.mkdir()
    two.mark_sent(job_id="18")
    for seconds, questions in ((0, 1), (29, 1), (30, 2)):
        Accounts(tmp_path, clock=lambda s=seconds: 1000.0 + s)(lost(one, 0) + lost(two, 0, 1))
        assert len(sacct("")) == questions
    assert "-j 17,18 " in sacct("")[0]


def test_what_is_known_is_not_asked_again(one, sacct, tmp_path):
    sacct(ROWS.format(name=one.name))
    for seconds in (0, 100):
        found = Accounts(tmp_path, clock=lambda s=seconds: 1000.0 + s)(lost(one, 0, 1))
        assert found[one.name, 0][-1].state == "TIMEOUT"
    assert len(sacct("")) == 1
    Accounts(tmp_path, clock=lambda: 2000.0)(lost(one, 0, since=time.time()))
    assert len(sacct("")) == 2, "an attempt that began after the last known end"


def test_what_sacct_does_not_know_of_a_closed_submission_is_not_asked_for_ever(one, sacct, tmp_path):
    one.close()
    os.utime(one.folder / "closed", (1000, 1000))
    for seconds in (0, 100, 200, 300):
        Accounts(tmp_path, clock=lambda s=seconds: 1000.0 + s)(lost(one, 0))
    assert len(sacct("")) == 2, "once more after all must have arrived"


@pytest.mark.parametrize("fault", ["echo 'Slurm accounting storage is disabled' >&2; exit 1", "sleep 5", None])
def test_a_sacct_that_does_not_answer_is_left_alone_for_ten_minutes(one, tmp_path, monkeypatch, fault):
    asked = tmp_path / "asked"
    folder = commandline.slurm(tmp_path / "bin", sacct=f"echo asked >> {asked}; {fault}")
    if fault is None:
        (folder / "sacct").unlink()
    monkeypatch.setattr(accounting, "TIMEOUT_S", 0.2)
    monkeypatch.setenv("PATH", f"{folder}:/bin" if fault else str(folder))
    for seconds in (0, 599):
        assert Accounts(tmp_path, clock=lambda s=seconds: 1000.0 + s)(lost(one, 0)) == {}
    assert not asked.exists() if fault is None else asked.read_text().count("asked") == 1


def test_the_cause_of_death_survives_that_squeue_forgets(project, one, sacct):
    sacct(ROWS.format(name=one.name).replace("2026-01-01", "2126-01-01"))
    for task in (0, 1):
        begun(one, task)
    assert causes(project, one)[:2] == ["timeout", "oom_host"]
    assert "-D -j 17 " in sacct("")[0]


def test_without_sacct_the_cause_is_unknown_and_the_run_is_sent_again(project, one, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", f"{commandline.slurm(tmp_path / 'bin')}:/usr/bin:/bin")
    begun(one, 0)
    found = reconcile.standings(project, toy.open_sweep(project.sweeps / "toy.yaml", project), list)
    assert {s.state.value for s in found.values()} == {"new"}
    assert causes(project, one)[0] == "unknown"


def test_sacct_is_not_asked_where_squeue_or_the_records_tell(project, one, sacct):
    for task in range(4):
        begun(one, task)
    one.close({0: "TIMEOUT", 1: "NODE_FAIL", 2: "CANCELLED", 3: "OUT_OF_MEMORY"})
    assert causes(project, one) == ["timeout", "node_fail", "unknown", "oom_host"]
    assert sacct("") == []


def test_a_task_that_slurm_put_on_another_node_counts_against_the_one_that_failed(project, one):
    for number, host in enumerate(("n1", "n2")):
        Journal(one, 0, number).write(event="start", group=one.plan["tasks"][0][0]["id"], host=host)
    now = time.time()
    (guess,) = nodes.faults([one])
    assert (guess.node, guess.cause) == ("n1", "node_fail")
    said = {(one.name, 0): [Ending("NODE_FAIL", "n1", now), Ending("PREEMPTED", "n2", now)]}
    (sure,) = nodes.faults([one], endings=said)
    assert (sure.node, sure.cause, sure.at) == ("n1", "node_fail", now)
    assert nodes.faults([one], endings={(one.name, 0): [Ending("PREEMPTED", "n1", now)]}) == [], "that was no fault of n1"
