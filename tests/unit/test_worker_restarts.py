"""What a task remembers of its restarts: preempted is free while something gets done, killed and out of time are not."""

import pytest
import toy
from tasks import last_events, pack, squares

from repsim import restarts
from repsim.restarts import History
from repsim.state import State

GROUP = "g"


def record(restart: int, event: str, outcome: str | None = None, group: str = GROUP, **more) -> dict:
    return {"restart": restart, "event": event, "group": group, **({"outcome": outcome} if outcome else {}), **more}


def began(restart: int, **how) -> list[dict]:
    """One restart that was preempted while it was at the group."""
    return [record(restart, "start"), record(restart, "end", "interrupted", why="SIGTERM", **how)]


def history(*restart_records: list[dict]) -> History:
    return History([each for one in restart_records for each in one], len(restart_records))


def test_three_preemptions_with_nothing_done_are_a_failure_and_two_are_not():
    assert history(began(0), began(1)).verdict(GROUP) is None
    found = history(began(0), began(1), began(2)).verdict(GROUP)
    assert found and found[0] == "preempted" and "restarted 3 times in a row" in found[1]


def test_a_finished_group_or_more_of_it_saved_makes_preemption_free_again():
    finished = [*began(1), record(1, "start", group="other"), record(1, "end", "done", group="other")]
    assert history(began(0), finished, began(2), began(3)).verdict(GROUP) is None
    saved = [began(n, saved=0.1 * (n + 1)) for n in range(9)]
    assert history(*saved).verdict(GROUP) is None
    stuck = [began(n, saved=0.1) for n in range(4)]
    found = history(*stuck).verdict(GROUP)
    assert found and found[0] == "preempted", "the first saved a tenth, and nothing more was saved since"


def test_a_group_that_was_killed_three_times_is_a_failure():
    lost = [[record(n, "start")] for n in range(3)]
    assert history(*lost[:2]).verdict(GROUP) is None
    assert history(*lost).verdict(GROUP) == ("node_fail", "killed, or its node lost, 3 times")
    assert history(*lost).verdict("other") is None


@pytest.mark.parametrize(
    ("cause", "restart", "failed"),
    [("code", 0, True), ("code", 1, True), ("cuda_fault", 0, True), ("cuda_fault", 1, False), ("missing_input", 1, False)],
)
def test_a_failed_group_is_tried_again_only_where_a_restart_may_help(cause, restart, failed):
    records = [record(0, "start"), record(0, "end", "failed", cause=cause)]
    assert History(records, restart).failed(GROUP) is failed


def restarted(monkeypatch, number: int) -> None:
    monkeypatch.setenv("SLURM_RESTART_COUNT", str(number))


def preempted(one, at: int):
    """The task, told to stop by Slurm when it is asked the `at`th time."""
    asked = iter([False] * at)
    return pack(one, stop=lambda: next(asked, True), why=lambda: "SIGTERM")


def test_a_group_that_is_always_preempted_fails_at_the_third_restart_and_the_others_are_done(project, monkeypatch):
    sweep = squares(project, "grid: {batch: [0, 1], value: [2.0, 3.0]}")
    one = toy.submission(project, sweep)
    for restart in range(3):
        restarted(monkeypatch, restart)
        assert preempted(one, at=2).run() == ["interrupted", "interrupted"]
    assert {event["why"] for event in one.events() if event["event"] == "end"} == {"SIGTERM"}
    restarted(monkeypatch, 3)
    assert pack(one).run() == ["failed", "done"]
    one.close()
    found = toy.states(project, sweep)
    assert sorted((str(s.state), s.cause) for s in found.values() if s.state is not State.DONE) == 2 * [("failed", "preempted")]
    assert restarts.counts([one], set()) == {"preempted": 3}


def test_the_time_limit_fails_a_group_that_cannot_go_on_but_one_that_saves_goes_on(project, monkeypatch):
    one = toy.submission(project, toy.sweep(project, "job: slow\ngrid: {value: [1]}\nfixed: {seconds: 1.0}"))
    for restart, resumes in enumerate([True, True, False]):
        restarted(monkeypatch, restart)
        asked = iter([False] * (2 + 2 * restart))
        task = pack(one, stop=lambda asked=asked: next(asked, True), why=lambda: "SIGUSR2")
        monkeypatch.setattr(task.jobs["slow"].module, "RESUMES", resumes, raising=False)
        assert task.run() == ["interrupted" if resumes else "failed"]
        assert task.got_on is resumes
    (event,) = last_events(one).values()
    assert (event["cause"], "raise timeout_min" in event["message"]) == ("timeout", True)
    assert restarts.counts([one], set()) == {"time limit": 3}


def came(restart: int, event: str, at: float = 0.0, **more) -> dict:
    return {"restart": restart, "event": event, "at": at, **more}


@pytest.mark.parametrize(
    ("records", "alive", "found"),
    [
        ([came(0, "begun"), came(0, "left", why=None)], False, []),
        ([came(0, "begun"), came(0, "left", why="SIGTERM"), came(1, "begun")], True, ["preempted"]),
        ([came(0, "begun"), came(0, "left", why="SIGTERM")], True, ["preempted"]),
        ([came(0, "begun"), came(0, "left", why="SIGTERM")], False, []),
        ([came(0, "begun"), came(0, "left", why="SIGUSR2"), came(1, "begun"), came(1, "left")], False, ["time limit"]),
        ([came(0, "begun"), came(1, "begun"), came(1, "left")], False, ["lost"]),
        ([came(0, "begun")], True, []),
        ([came(0, "begun")], False, ["lost"]),
        ([came(0, "begun"), came(0, "left", why="fault"), came(0, "begun"), came(0, "left")], False, []),
        ([came(0, "begun"), came(0, "left", why="fault"), came(0, "begun")], False, ["lost"]),
    ],
)
def test_what_ended_a_restart_is_told_by_what_it_left(records, alive, found):
    assert [str(each) for each in restarts.endings(records, alive)] == found


def test_records_say_card_node_and_signal(project, monkeypatch):
    monkeypatch.setenv("SLURMD_NODENAME", "n7")
    monkeypatch.setattr("repsim.hardware.card", lambda device: "a card")
    one = toy.submission(project, squares(project, "grid: {value: [2.0, 3.0]}"))
    preempted(one, at=2).run()
    start, end = one.events()
    assert (start["host"], start["gpu"], start["task"], start["restart"]) == ("n7", "a card", 0, 0)
    assert (end["outcome"], end["why"]) == ("interrupted", "SIGTERM")
    begun, left = one.comings()
    assert (begun["event"], begun["host"], begun["gpu"]) == ("begun", "n7", "a card")
    assert (left["event"], left["why"]) == ("left", "SIGTERM")
