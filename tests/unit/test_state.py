"""Every run has exactly one state: files are the truth, the queue is a hint."""

import json
import os
import time
from pathlib import Path

import pytest
import toy

from repsim import cleaning, cluster, dropped, log, processes, reconcile, state, submission
from repsim.errors import ClusterError, InputError
from repsim.journal import Journal
from repsim.state import MAX_KILLED, State
from repsim.submission import Submission

SQUARES = "job: square\ngrid: {batch: [0, 1], value: [1.0, 2.0]}"


@pytest.fixture
def squares(project):
    """Two groups of two runs."""
    return toy.sweep(project, SQUARES)


def send(project, sweep, **how) -> Submission:
    """A submission of the whole sweep as one task, as if it had been sent to Slurm."""
    one = toy.submission(project, sweep)
    one.mark_sent(**(how or {"job_id": "18"}))
    return one


def element(one: Submission, index: int = 0, shown: str = "RUNNING", reason: str = "None") -> cluster.Task:
    return cluster.Task(one.name, index, shown, reason, "node1", "18")


def states(project, sweep, *queue: cluster.Task) -> list[str]:
    return [reconcile.standings(project, sweep, lambda: list(queue))[run.id].state.value for run in sweep.runs]


def causes(project, sweep, *queue: cluster.Task) -> set[str | None]:
    return {s.cause for s in reconcile.standings(project, sweep, lambda: list(queue)).values()}


def groups(one: Submission, index: int = 0) -> list[str]:
    return [group["id"] for group in one.plan["tasks"][index]]


def started(one: Submission, group: str, index: int = 0) -> Journal:
    journal = Journal(one, index, 0)
    journal.write(event="start", group=group)
    return journal


def ended(one: Submission, group: str, outcome: str, cause: str | None = None, message: str | None = None) -> None:
    started(one, group).write(event="end", group=group, outcome=outcome, cause=cause, message=message)


def test_without_any_trace_every_run_is_new(project, squares):
    assert states(project, squares) == ["new"] * 4
    assert toy.states(project, squares).keys() == {run.id for run in squares.runs}


def test_a_queued_task_makes_its_runs_pending_and_says_why(project, squares):
    one = send(project, squares)
    assert states(project, squares, element(one, shown="PENDING", reason="Resources")) == ["pending"] * 4
    assert causes(project, squares, element(one, shown="PENDING", reason="Resources")) == {"Resources"}


def test_only_the_group_at_work_is_running(project, squares):
    one = send(project, squares)
    started(one, groups(one)[0])
    assert states(project, squares, element(one)) == ["running", "running", "pending", "pending"]


@pytest.mark.parametrize("shown", ["CONFIGURING", "COMPLETING", "SUSPENDED", "REQUEUED", "REQUEUE_HOLD", "SPECIAL_EXIT", "STOPPED"])
def test_a_task_that_may_still_run_is_not_sent_again(project, squares, shown):
    one = send(project, squares)
    assert "new" not in states(project, squares, element(one, shown=shown))


@pytest.mark.parametrize(
    ("shown", "cause"),
    [
        ("COMPLETED", "unknown"),
        ("CANCELLED", "unknown"),
        ("TIMEOUT", "timeout"),
        ("NODE_FAIL", "node_fail"),
        ("PREEMPTED", "preempted"),
        (None, "unknown"),
    ],
)
def test_what_a_dead_task_left_behind_is_new_again(project, squares, shown, cause):
    one = send(project, squares)
    started(one, groups(one)[0])
    queue = [element(one, shown=shown)] if shown else []
    assert states(project, squares, *queue) == ["new"] * 4
    assert causes(project, squares, *queue) == {cause, None}


@pytest.mark.parametrize(("shown", "cause"), [("FAILED", "unknown"), ("OUT_OF_MEMORY", "oom_host"), ("BOOT_FAIL", "node_fail")])
def test_a_task_that_died_before_its_first_group_failed(project, squares, shown, cause):
    one = send(project, squares)
    assert states(project, squares, element(one, shown=shown)) == ["failed"] * 4
    assert causes(project, squares, element(one, shown=shown)) == {cause}
    one.close({0: shown})
    assert states(project, squares) == ["failed"] * 4
    assert causes(project, squares) == {cause}


def test_a_task_that_was_told_to_stop_before_it_could_listen_is_new_again(project, squares):
    one, gone = send(project, squares), "srun: error: n1: task 0: Killed\n"
    log.file_of(one, 0).write_text(gone)
    assert states(project, squares, element(one, shown="FAILED")) == ["failed"] * 4
    order = "slurmstepd-n1: error: *** STEP 12.0 ON n1 CANCELLED AT 2026-11-22T23:08:20 ***\nsrun: error: n1: task 0: Terminated\n"
    log.file_of(one, 0).write_text(f"{order}srun: Force Terminated StepId=12.0\n")
    assert states(project, squares, element(one, shown="FAILED")) == ["new"] * 4
    assert states(project, squares, element(one, shown="OUT_OF_MEMORY")) == ["failed"] * 4


def test_a_stored_row_wins_over_queue_failure_and_loss(project, squares):
    toy.run(project, squares)
    one = send(project, toy.sweep(project, "job: square\ngrid: {batch: [2], value: [1.0]}", "other"))
    written = json.loads((one.folder / "plan.json").read_text())
    written["tasks"] = [[{"id": "g", "job": "square", "runs": [{"id": run.id} for run in squares.runs]}]]
    (one.folder / "plan.json").write_text(json.dumps(written))
    again = Submission(one.folder)
    for shown in ("RUNNING", "PENDING", "FAILED"):
        assert states(project, squares, element(again, shown=shown)) == ["done"] * 4
    ended(again, "g", "failed", "code", "late")
    assert states(project, squares) == ["done"] * 4


def test_a_failed_group_stays_failed_and_the_others_are_new(project, squares):
    one = send(project, squares)
    ended(one, groups(one)[1], "failed", "oom_gpu", "no room")
    assert states(project, squares) == ["new", "new", "failed", "failed"]
    failed = standing_of(project, squares, 3)
    assert (failed.cause, failed.message, failed.submission, failed.task) == ("oom_gpu", "no room", one.name, 0)


def standing_of(project, sweep, index, *queue):
    return reconcile.standings(project, sweep, lambda: list(queue))[sweep.runs[index].id]


def test_a_failure_shows_while_its_task_goes_on_but_not_once_it_waits_to_run_again(project, squares):
    one = send(project, squares)
    ended(one, groups(one)[0], "failed", "code", "wrong")
    assert states(project, squares, element(one)) == ["failed", "failed", "pending", "pending"]
    assert states(project, squares, element(one, shown="PENDING")) == ["pending"] * 4


@pytest.mark.parametrize("outcome", ["interrupted", "handed_back", "blocked"])
def test_a_group_that_was_handed_back_is_new_again(project, squares, outcome):
    one = send(project, squares)
    ended(one, groups(one)[0], outcome)
    assert states(project, squares) == ["new"] * 4
    assert outcome in causes(project, squares)


def test_a_later_submission_takes_over_from_a_failed_one(project, squares):
    first = send(project, squares)
    ended(first, groups(first)[0], "failed", "code", "wrong")
    second = send(project, squares)
    assert states(project, squares, element(second, shown="PENDING")) == ["pending"] * 4
    first.close()
    second.close()
    assert states(project, squares) == ["new"] * 4


def test_an_older_submission_that_lives_wins_over_a_newer_that_died(project, squares):
    old, new = send(project, squares), send(project, squares)
    ended(new, groups(new)[0], "failed", "code", "wrong")
    assert states(project, squares, element(old)) == ["pending"] * 4


def test_a_run_killed_for_its_memory_is_not_sent_again_with_as_little(project, squares):
    one = send(project, squares)
    started(one, groups(one)[0])
    one.close({0: "OUT_OF_MEMORY"})
    assert states(project, squares) == ["failed", "failed", "new", "new"]
    assert standing_of(project, squares, 0).cause == "oom_host"


@pytest.mark.parametrize(("shown", "cause"), [("PREEMPTED", "preempted"), ("TIMEOUT", "timeout"), (None, "unknown")])
def test_a_run_killed_three_times_has_failed_for_what_slurm_said_last(project, squares, shown, cause):
    for n in range(MAX_KILLED):
        assert states(project, squares)[0] == "new", n
        one = send(project, squares)
        started(one, groups(one)[0])
        one.close({0: shown} if shown else None)
    assert states(project, squares) == ["failed", "failed", "new", "new"]
    assert standing_of(project, squares, 0).cause == cause
    assert "killed 3 times" in str(standing_of(project, squares, 0).message)


def test_a_run_that_ran_out_of_time_in_three_submissions_has_failed_for_it_and_a_retry_counts_anew(project, squares):
    def ran_out(saved: float) -> None:
        one = send(project, squares)
        how = {"outcome": "interrupted", "cause": None, "message": "told to stop", "why": "SIGUSR2", "saved": saved}
        started(one, groups(one)[0]).write(event="end", group=groups(one)[0], **how)
        one.close()

    ran_out(0.5)  # gets on: a group that saves may take many tasks
    for n in range(MAX_KILLED):
        assert states(project, squares)[0] == "new", n
        ran_out(0.0)
    assert states(project, squares) == ["failed", "failed", "new", "new"]
    assert (standing_of(project, squares, 0).cause, "time limit 3 times" in str(standing_of(project, squares, 0).message)) == (
        "timeout",
        True,
    )
    ran_out(0.0)
    assert states(project, squares)[0] == "new", "after a retry it counts anew"


def test_restarts_of_one_task_are_counted_as_kills_but_a_clean_end_is_not(project, squares):
    one = send(project, squares)
    for _ in range(2):
        started(one, groups(one)[0])
        ended(one, groups(one)[1], "interrupted")
    assert states(project, squares, element(one)) == ["running", "running", "pending", "pending"]
    one.close()
    assert states(project, squares) == ["new"] * 4
    started(one, groups(one)[0])
    assert states(project, squares) == ["failed", "failed", "new", "new"]


STITCH = "zoo: {arch: net, dataset: d, seeds: 0..1}\nlayers: relu1\npairs: [[0, 1]]"


def test_a_stitch_is_blocked_until_both_rows_and_both_files_are_there(project):
    sweep = toy.sweep(project, STITCH)
    standing = standing_of(project, sweep, 0)
    assert standing.state is State.BLOCKED
    assert all(network.id in (standing.message or "") for network in sweep.networks)
    only_networks = toy.sweep(project, "job: train\nfixed: {arch: net, dataset: d}\ngrid: {seed: 0..1}", "nets")
    assert [run.id for run in only_networks.runs] == [run.id for run in sweep.networks]
    toy.network_file(project, sweep.networks[0].id).parent.mkdir(parents=True)
    toy.network_file(project, sweep.networks[0].id).write_bytes(b"a file without a row")
    assert states(project, sweep) == ["blocked"]
    toy.run(project, only_networks)
    assert states(project, sweep) == ["new"]
    toy.network_file(project, sweep.networks[1].id).unlink()
    standing = standing_of(project, sweep, 0)
    assert standing.state is State.BLOCKED
    assert f"{sweep.networks[1].id} is done but left no network" in (standing.message or "")
    assert sweep.networks[0].id not in (standing.message or "")


def test_a_queue_that_does_not_answer_is_never_an_empty_queue(project, squares):
    send(project, squares)

    def silent():
        raise ClusterError("squeue did not answer")

    with pytest.raises(ClusterError):
        reconcile.standings(project, squares, silent)


def test_the_queue_is_asked_only_while_something_may_be_in_it(project, squares):
    one = send(project, squares)
    one.close()
    assert toy.states(project, squares)  # toy.no_queue raises when asked
    send(project, squares, host=os.uname().nodename, pid=os.getpid())
    assert toy.states(project, squares)


def test_a_submission_whose_sending_is_unknown_is_looked_for_in_the_queue(project, squares):
    one = send(project, squares)
    (one.folder / "sent.json").unlink()
    assert states(project, squares, element(one, shown="PENDING")) == ["pending"] * 4
    assert states(project, squares) == ["new"] * 4


def test_a_local_run_counts_while_its_process_lives(project, squares):
    here = send(project, squares, host=os.uname().nodename, pid=os.getpid())
    started(here, groups(here)[0])
    assert [s.state.value for s in toy.states(project, squares).values()] == ["running", "running", "pending", "pending"]
    here.close()
    send(project, squares, host=os.uname().nodename, pid=2**22 + 1)  # above the highest process id
    assert {s.state for s in toy.states(project, squares).values()} == {State.NEW}


def test_a_process_that_only_has_the_id_of_a_dead_local_run_keeps_nothing_running(project, squares):
    """Killed -9, and its id taken by another process since: else its runs would be `running` for ever, and never sent."""
    one = send(project, squares, host=os.uname().nodename, pid=os.getpid(), born=processes.born(os.getpid()))
    assert states(project, squares) == ["pending"] * 4
    one.mark_sent(host=os.uname().nodename, pid=os.getpid(), born="1@an earlier start of this machine")
    assert states(project, squares) == ["new"] * 4
    one.mark_sent(host=os.uname().nodename, pid=1, born=processes.born(1))
    assert states(project, squares) == ["pending"] * 4, "a process of another user lives too"


def test_records_of_a_task_keep_the_order_of_its_restarts_whatever_the_clocks_of_its_nodes_say(project, squares):
    """Left in order on a node whose clock is an hour ahead, then failed for good on one that is right."""
    one = send(project, squares)
    group = groups(one)[0]
    for restart, at, how in ((0, 3600.0, {"outcome": "interrupted"}), (1, 0.0, {"outcome": "failed", "cause": "code"})):
        file = one.folder / "attempts" / f"0.{restart}.beef.jsonl"
        end = {"at": at + 2, "event": "end", "group": group, "cause": None, "message": None, **how}
        file.write_text("".join(json.dumps(line) + "\n" for line in ({"at": at + 1, "event": "start", "group": group}, end)))
    assert [(e["restart"], e["event"]) for e in one.events()] == [(0, "start"), (0, "end"), (1, "start"), (1, "end")]
    assert states(project, squares) == ["failed", "failed", "new", "new"]


def test_what_tasks_of_a_closed_submission_did_is_one_file_and_of_an_open_one_a_file_each(project, monkeypatch):
    """Else every look at a project would open each file of each task that it ever had."""
    sweep = toy.sweep(project, "job: square\ngrid: {batch: 0..7, value: [1.0]}")
    closed = toy.submission(project, sweep, pack_s=0.5)
    count = len(closed.outline)
    for index in range(count):
        started(closed, groups(closed, index)[0], index)
    before = closed.events()
    closed.mark_sent(job_id="18")
    closed.close(dict.fromkeys(range(count), "FAILED"))
    opened: list[Path] = []
    honest = Path.read_text

    def noted(path, *words, **more):
        opened.append(path)
        return honest(path, *words, **more)

    monkeypatch.setattr(Path, "read_text", noted)
    assert {standing.state for standing in toy.states(project, sweep).values()} == {State.NEW}
    mine = [path.name for path in opened if closed.folder in path.parents]
    assert not [name for name in mine if name.endswith(".jsonl")]
    assert mine.count("closed") == 1, "not once for each of its tasks"
    assert Submission(closed.folder).events() == before
    for file in cleaning.removable(closed):
        file.unlink()
    assert Submission(closed.folder).events() == before and not list((closed.folder / "attempts").iterdir())
    (closed.folder / "attempts.json").write_text("{")
    assert Submission(closed.folder).events() == []


def test_what_a_queue_holds_besides_the_file_is_found_by_one_look_at_the_records(project, monkeypatch):
    sweep = toy.sweep(project, "job: square\ngrid: {batch: 0..7, value: [1.0]}")
    one = toy.submission(project, sweep, pack_s=0.5)
    one.mark_sent(job_id="18")
    ended(one, groups(one)[0], "done")
    smaller, asked = toy.sweep(project, "job: square\ngrid: {batch: 1..2, value: [1.0]}"), []
    honest = Submission.events
    monkeypatch.setattr(Submission, "events", lambda self, task=None: asked.append(task) or honest(self, task))
    found = dropped.find(smaller, [one], [element(one, index, "PENDING") for index in range(8)])
    assert (len(found.runs), len(found.tasks), found.mixed, asked) == (5, 5, 0, [None])


def test_a_task_that_was_killed_for_its_memory_is_known_by_its_log_where_slurm_says_failed_and_no_more(project, squares):
    one = send(project, squares)
    started(one, groups(one)[0])
    one.close({0: "FAILED"})
    file = log.file_of(one, 0)
    first = f"repsim: group {groups(one)[0]} begins: 2 runs of square\n"
    killed = "slurmstepd: error: Detected 1 oom-kill event(s) in StepId=18.0. Some of your processes may have been killed\n"
    file.write_text(first + killed + first)
    assert causes(project, squares) == {"unknown", None}, "what an earlier attempt met is not what ended the last"
    file.write_text(first + killed)
    assert causes(project, squares) == {"oom_host", None}


def test_a_submission_takes_no_name_that_another_has(project, squares, monkeypatch):
    """Two arrays sent within a second, by a chance of one in 65,536: the first is in the queue, and must stay whole."""
    monkeypatch.setattr(submission.time, "gmtime", lambda: time.struct_time((2026, 1, 1, 0, 0, 0, 3, 1, 0)))
    drawn = iter([b"\0\0", b"\0\0", b"\0\1"])
    monkeypatch.setattr(submission.os, "urandom", lambda count: next(drawn))
    first = toy.submission(project, squares)
    before = first.plan
    second = toy.submission(project, squares)
    assert first.name.endswith("-0000") and second.name.endswith("-0001")
    assert Submission(first.folder).plan == before


def test_a_local_run_on_another_host_is_taken_to_live_for_a_day():
    assert submission.local_alive({"host": "elsewhere", "pid": 1, "at": time.time() - 3600})
    assert not submission.local_alive({"host": "elsewhere", "pid": 1, "at": time.time() - 90_000})


def test_a_line_cut_off_by_a_crash_is_passed_over(project, squares):
    one = send(project, squares)
    ended(one, groups(one)[0], "failed", "code", "wrong")
    (one.folder / "attempts" / "0.1.beef.jsonl").write_text('{"at": 1e12, "event": "start", "gro')
    assert states(project, squares) == ["failed", "failed", "new", "new"]


@pytest.mark.parametrize("content", ["", "{", "[]", "3", '{"format": 99}'])
def test_a_plan_that_cannot_be_read_is_named(project, squares, content):
    one = send(project, squares)
    (one.folder / "plan.json").write_text(content)
    (one.folder / "outline.json").write_text(content)
    with pytest.raises(InputError) as caught:
        states(project, squares)
    assert caught.value.where == str(one.folder / "plan.json")


def test_closing_keeps_what_lives_and_closes_the_rest(project, squares, monkeypatch):
    alive, dead, unknown = send(project, squares), send(project, squares), send(project, squares)
    (unknown.folder / "sent.json").unlink()  # killed between sbatch and the record of it
    here = send(project, squares, host=os.uname().nodename, pid=os.getpid())
    queue = [element(alive), element(dead, shown="TIMEOUT"), element(unknown, shown="PENDING")]
    monkeypatch.setattr(reconcile, "queue", lambda _: queue)
    reconcile.close_finished(project)
    assert [one.closed for one in (alive, dead, unknown, here)] == [False, True, False, False]
    assert dead.ended == {0: "TIMEOUT"}


def test_a_failing_queue_closes_nothing(project, squares, monkeypatch):
    one = send(project, squares)

    def silent(_):
        raise ClusterError("squeue did not answer")

    monkeypatch.setattr(reconcile, "queue", silent)
    with pytest.raises(ClusterError):
        reconcile.close_finished(project)
    assert not one.closed


def test_states_come_in_the_order_they_are_shown():
    assert [s.value for s in state.State] == ["done", "running", "pending", "failed", "blocked", "new"]


def test_asking_after_runs_reads_no_configuration_but_where_there_is_no_outline(project):
    """A submission of an earlier version has none, and one that is damaged is as good as none."""
    sweep = toy.sweep(project, "job: square\ngrid: {value: [1.0, 2.0], batch: [0, 1]}")
    one = toy.submission(project, sweep)
    whole = {run["id"] for task in one.plan["tasks"] for group in task for run in group["runs"]}
    for damage in (lambda file: None, lambda file: file.write_text('[[{"id'), Path.unlink):
        damage(one.folder / "outline.json")
        outline = submission.Submission(one.folder).outline
        assert {run["id"] for task in outline for group in task for run in group["runs"]} == whole
        assert not any("config" in run for task in outline for group in task for run in group["runs"])
    assert [group["seconds"] for task in outline for group in task] == [g["seconds"] for task in one.plan["tasks"] for g in task]
