"""The queue as people are shown it: one question for several commands, and no answer is never an empty queue."""

import pytest
import toy
from commandline import call

from repsim import cluster, queued, reconcile
from repsim.cluster import Task
from repsim.errors import ClusterError
from repsim.journal import Journal
from repsim.submission import Submission

NOW = 2_000_000_000.0


@pytest.fixture
def one(project) -> Submission:
    """Eight runs in two tasks of an array."""
    found = toy.submission(project, toy.sweep(project, "job: square\ngrid: {batch: 0..3, value: [1.0, 2.0]}"), min_tasks=2)
    found.mark_sent(job_id="17")
    return found


@pytest.fixture
def slurm(monkeypatch, one):
    """squeue as a list of answers; what it was asked is kept."""
    answers, asked = [], []

    def ask(names, timeout_s=None):
        asked.append(list(names))
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return [Task(one.name, i, state, "None", "n1", f"17_{i}") for i, state in enumerate(answer)]

    monkeypatch.setattr(cluster, "queue", ask)
    return answers, asked


def at(project, seconds: float) -> queued.Queue:
    """A command of its own, so many seconds later."""
    return queued.Queue(project, clock=lambda: NOW + seconds)


def shown(queue: queued.Queue) -> list[str]:
    return [task.state for task in queue()]


def test_commands_within_half_a_minute_share_one_question(project, slurm):
    slurm[0][:] = [["RUNNING", "PENDING"], ["COMPLETED", "RUNNING"]]
    assert shown(at(project, 0)) == ["RUNNING", "PENDING"]
    later = at(project, 29)
    assert (shown(later), later.asked, len(slurm[1])) == (["RUNNING", "PENDING"], NOW, 1)
    assert shown(at(project, 30)) == ["COMPLETED", "RUNNING"]


def test_a_question_that_nobody_answers_for_long_is_asked_once_by_a_command(project, slurm, one, monkeypatch):
    now = [NOW]

    def hang(names, timeout_s):
        slurm[1].append(names)
        assert timeout_s <= 20
        now[0] += 60  # longer than an answer is kept
        raise ClusterError("squeue did not answer")

    monkeypatch.setattr(cluster, "queue", hang)
    queue = queued.Queue(project, clock=lambda: now[0])
    assert {state for _ in range(4) for state in shown(queue)} == {cluster.UNKNOWN}
    assert len(slurm[1]) == 1


def test_a_new_submission_is_asked_for_at_once(project, slurm, one):
    slurm[0][:] = [["RUNNING", "PENDING"], []]
    at(project, 0)()
    two = toy.submission(project, toy.sweep(project, "job: square\ngrid: {value: [7.0]}", "other"))
    at(project, 1)()
    assert slurm[1][-1] == [one.name, two.name]


def test_what_was_asked_before_the_array_was_sent_is_no_answer(project, slurm, one):
    slurm[0][:] = [[], ["PENDING", "PENDING"]]
    (one.folder / "sent.json").write_text(f'{{"job_id": "17", "at": {NOW + 5}}}')
    assert shown(at(project, 0)) == []
    assert shown(at(project, 10)) == ["PENDING", "PENDING"]


def test_after_a_cancel_the_next_command_asks(project, slurm):
    slurm[0][:] = [["RUNNING"], ["CANCELLED"]]
    at(project, 0)()
    queued.forget(project)
    assert shown(at(project, 1)) == ["CANCELLED"]


def test_without_an_answer_the_queue_is_as_it_was_and_says_so(project, slurm):
    slurm[0][:] = [["RUNNING", "PENDING"], ClusterError("squeue did not answer")]
    at(project, 0)()
    queue = at(project, 100)
    assert shown(queue) == ["RUNNING", "PENDING"]
    assert (queue.asked, queue.unknown) == (NOW, "squeue did not answer")
    assert shown(queue) == ["RUNNING", "PENDING"] and not slurm[0], "a watcher asks no more often for that"


def test_what_was_never_seen_is_unknown_and_so_not_taken_for_gone(project, slurm, one):
    sweep = toy.open_sweep(project.sweeps / "toy.yaml", project)
    slurm[0][:] = [ClusterError("down")] * 2
    Journal(one, 0, 0).write(event="start", group=one.plan["tasks"][0][0]["id"], host="n1")
    assert shown(at(project, 0)) == ["UNKNOWN", "UNKNOWN"]
    found = [s.state.value for s in reconcile.standings(project, sweep, at(project, 0)).values()]
    assert (found.count("running"), found.count("pending"), found.count("new")) == (2, 6, 0)


@pytest.mark.parametrize("broken", ["", "[]", "{", '{"at": 1}'])
def test_a_broken_cache_is_as_good_as_none(project, slurm, broken):
    slurm[0][:] = [["RUNNING"]]
    (project.cache / "slurm").mkdir(parents=True)
    (project.cache / "slurm" / "queue.json").write_text(broken)
    assert shown(at(project, 0)) == ["RUNNING"]


def test_a_closed_submission_is_over_whatever_an_old_answer_says(project, slurm, one):
    sweep = toy.open_sweep(project.sweeps / "toy.yaml", project)
    two = toy.submission(project, toy.sweep(project, "job: square\ngrid: {value: [7.0]}", "other"))
    two.mark_sent(job_id="18")
    one.close()
    old = [Task(one.name, i, "RUNNING", "None", "n1", f"17_{i}") for i in range(2)]
    assert {s.state.value for s in reconcile.standings(project, sweep, lambda: old).values()} == {"new"}


def test_a_run_that_began_after_the_queue_was_asked_is_running(project, one):
    sweep = toy.open_sweep(project.sweeps / "toy.yaml", project)
    Journal(one, 0, 0).write(event="start", group=one.plan["tasks"][0][0]["id"], host="n1")
    waiting = [Task(one.name, 0, "PENDING", "Priority", "", "17_0", asked=0.0)]
    assert [s.state.value for s in reconcile.standings(project, sweep, lambda: waiting).values()].count("running") == 2
    requeued = [Task(one.name, 0, "PENDING", "BeginTime", "", "17_0", asked=NOW)]
    assert [s.state.value for s in reconcile.standings(project, sweep, lambda: requeued).values()].count("running") == 0


@pytest.mark.parametrize("ending", ["RUNNING", "COMPLETING"])
def test_a_failure_stays_a_failure_while_its_task_ends(project, one, ending):
    sweep = toy.open_sweep(project.sweeps / "toy.yaml", project)
    journal, group = Journal(one, 0, 0), one.plan["tasks"][0][0]["id"]
    journal.write(event="start", group=group, host="n1")
    journal.write(event="end", group=group, outcome="failed", cause="code", message="no")
    task = Task(one.name, 0, ending, "None", "n1", "17_0")
    assert [s.state.value for s in reconcile.standings(project, sweep, lambda: [task]).values()].count("failed") == 2


def test_a_plan_without_an_answer_sends_nothing_twice(project, slurm, one, monkeypatch):
    slurm[0][:] = [ClusterError("squeue did not answer")]
    (project.profiles / "cluster.yaml").write_text("cluster: slurm\ndevice: cpu")
    monkeypatch.chdir(project.root)
    answer = call("sweep", "plan", "toy", "--profile", "cluster", "--json")
    assert answer.json["states"]["pending"] == 8 and answer.json["stages"] == []
    assert "the queue is unknown" in answer.err
