"""How far a sweep is: hours wasted, pace and progress of live tasks, newest failures, filters, and watching."""

import json
import time
from types import SimpleNamespace

import commandline
import pytest
import toy
from commandline import call

from repsim import answers, cluster, cost, progress, reconcile
from repsim.cli import status
from repsim.journal import Journal
from repsim.progress import Beat, Span
from repsim.report import live
from repsim.submission import Submission

SQUARES = "job: square\ngrid: {batch: 0..3, value: [1.0, 2.0]}"
NOW = 1_000_000.0


@pytest.fixture
def here(project, monkeypatch, tmp_path):
    """The toy project as working directory, and a queue that is a file."""
    queue = tmp_path / "queue"
    queue.write_text("")
    monkeypatch.setenv("PATH", f"{commandline.slurm(tmp_path / 'bin', squeue=f'cat {queue}')}:/usr/bin:/bin")
    monkeypatch.chdir(project.root)
    (project.sweeps / "squares.yaml").write_text(SQUARES)
    project.__dict__["queue"] = queue
    return project


@pytest.fixture
def one(here) -> Submission:
    """The sweep as it was sent, in two tasks of two groups of two runs."""
    found = toy.submission(here, toy.open_sweep(here.sweeps / "squares.yaml", here), min_tasks=2)
    found.mark_sent(job_id="17")
    return found


def groups(one: Submission, task: int) -> list[str]:
    return [group["id"] for group in one.plan["tasks"][task]]


def wrote(one: Submission, task: int, *events: dict) -> None:
    """Attempt records with times of their own."""
    file = Journal(one, task, 0)._path
    file.write_text("".join(json.dumps(event) + "\n" for event in events))


def start(at: float, group: str) -> dict:
    return {"at": NOW + at, "event": "start", "group": group, "host": "n1"}


def end(at: float, group: str, outcome: str, cause: str | None = None) -> dict:
    return {"at": NOW + at, "event": "end", "group": group, "outcome": outcome, "cause": cause, "message": f"{cause}: no"}


def test_what_nobody_was_asked_to_compute_yet_is_told_with_the_command(here):
    assert "next      repsim sweep submit squares, or here: repsim sweep run squares" in call("sweep", "status", "squares").out
    assert call("sweep", "run", "squares").code == 0
    assert "  next  " not in call("sweep", "status", "squares").out


def test_what_is_queued_needs_no_next_command(here, one):
    here.queue.write_text("".join(f"17_{i}|{i}|PENDING|Resources||{one.name}\n" for i in range(2)))
    assert "  next  " not in call("sweep", "status", "squares").out


def test_wasted_hours_are_those_of_attempts_that_gave_no_row(one):
    a, b = groups(one, 0)
    wrote(
        one,
        0,
        start(0, a),
        end(3600, a, "failed", "code"),
        start(3600, a),
        end(5400, a, "interrupted"),
        start(5400, a),
        end(9000, a, "done"),
        start(9000, b),
    )
    found = progress.spans(one)
    assert [(span.outcome, span.seconds) for span in found] == [("failed", 3600), ("interrupted", 1800), ("done", 3600), (None, 0)]
    assert progress.wasted_hours(found, set()) == 1.5
    Beat(one, 0, lambda *_: None, lambda: NOW + 9000 + 1800)(b, 0.5, "squaring")
    assert progress.wasted_hours(found, set()) == 2.0, "killed half an hour later, by its last beat"
    assert progress.wasted_hours(found, {(one.name, 0)}) == 1.5, "it is alive and may still give a row"


def test_a_beat_is_left_every_few_seconds_and_everything_is_passed_on(one):
    clock, heard = iter([0.0, 1.0, 6.0, 7.0]), []
    beat = Beat(one, 1, lambda *report: heard.append(report), lambda: next(clock))
    for step in range(4):
        beat("g", step / 4, "steps")
    assert [fraction for _, fraction, _ in heard] == [0, 0.25, 0.5, 0.75]
    assert progress.beat(one, 1) == {"at": 6.0, "group": "g", "fraction": 0.5, "text": "steps"}
    assert progress.beat(one, 0) is None


def test_a_beat_that_cannot_be_written_costs_nothing(one):
    (one.folder / "progress").write_text("a file where the folder should be")
    heard = []
    Beat(one, 0, lambda *report: heard.append(report))("g", 0.1, "")
    assert len(heard) == 1


def test_the_worker_leaves_beats(here):
    sweep = toy.open_sweep(here.sweeps / "squares.yaml", here)
    toy.run(here, sweep)
    (folder,) = here.submissions.glob("repsim-*")
    assert progress.beat(Submission(folder), 0)


def test_status_shows_progress_and_pace_of_live_tasks_and_the_newest_failures(here, one):
    a, b = groups(one, 0)
    c, _ = groups(one, 1)
    wrote(one, 0, start(0, a), end(60, a, "done"), start(60, b))
    wrote(one, 1, start(0, c), end(30, c, "failed", "oom_gpu"))
    Beat(one, 0, lambda *_: None)(b, 0.25, "squaring")
    here.queue.write_text("".join(f"17_{i}|{i}|RUNNING|None|n{i}|{one.name}\n" for i in range(2)))
    answer = call("sweep", "status", "squares")
    assert "  live      17_0 on n0: 1 of 2 groups, 25% squaring, 120 runs/h" in answer.out
    assert "  queue     17_[0-1]  squares (runs)  2 running with 8 runs on n0, n1" in answer.out
    assert "            17_1 on n1: 1 of 2 groups\n" in answer.out
    assert "on n1: oom_gpu: oom_gpu: no" in answer.out
    shown = call("sweep", "status", "squares", "--json").json
    task, _ = shown["live"]
    assert (task["finished"], task["groups"], task["fraction"], task["runs_per_hour"]) == (1, 2, 0.25, 120.0)
    assert shown["hours_wasted"] == round(30 / 3600, 4)
    assert [(f["cause"], f["host"], f["at"]) for f in shown["newest_failures"]] == [("oom_gpu", "n1", NOW + 30)]


def test_the_newest_failures_come_first(one):
    found = [Span(one, 0, str(n), 0, "n1", float(n), "failed", "code", "no") for n in (3, 9, 1, 5)]
    assert [span.end for span in progress.newest_failures(found, 3)] == [9, 5, 3]
    unseen = {"queue_age_s": None, "queue_unknown": None, "warnings": []}
    assert live.live_lines({"hours_wasted": 0, "queue": [], "live": [], "newest_failures": [], **unseen}) == []


def test_status_takes_the_filter_of_retry_and_cancel(here):
    toy.run(here, toy.sweep(here, "job: square\ngrid: {batch: [0], value: [1.0, 2.0]}", "small"))
    assert call("sweep", "status", "squares", "--json").json["runs"] == {"done": 2, "new": 6}
    assert call("sweep", "status", "squares", "batch=0", "--json").json["runs"] == {"done": 2}
    assert call("sweep", "status", "squares", "value=2.0", "batch=1", "--json").json["runs"] == {"new": 1}
    assert call("sweep", "status", "squares", "colour=red").code == 2


def test_watching_shows_the_same_object_until_nothing_is_under_way(here, one, monkeypatch):
    shown = iter(["RUNNING", "PENDING", "CANCELLED"])

    def look(_):
        here.queue.write_text(f"17_0|0|{next(shown)}|None|n1|{one.name}\n")

    look(None)
    monkeypatch.setattr(status, "time", SimpleNamespace(sleep=look))
    monkeypatch.setattr(status, "ASK_S", 0.0)
    answer = call("sweep", "status", "squares", "--watch", "--json")
    looks = [json.loads(line) for line in answer.out.splitlines()]
    assert [look["runs"] for look in looks] == [{"pending": 4, "new": 4}, {"pending": 4, "new": 4}, {"new": 8}]
    assert looks[0].keys() == call("sweep", "status", "squares", "--json").json.keys()
    assert call("sweep", "status", "--watch").code == 2


def test_on_a_terminal_the_same_text_is_redrawn(monkeypatch, capsys):
    monkeypatch.setattr(status, "text_of", lambda shown: f"done {shown['done']} of 9\n[not markup]")
    monkeypatch.setattr(status.sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    with status._screen(False) as draw:
        draw({"done": 3})
        draw({"done": 9})
    out = capsys.readouterr().out
    assert out.index("done 3 of 9") < out.index("done 9 of 9")
    assert "[not markup]" in out
    assert "\x1b[" in out, "the cursor goes up, so that the second look replaces the first"


def test_status_says_how_old_the_queue_is_and_that_nobody_answers(here, one):
    (one.folder / "sent.json").write_text('{"job_id": "17", "at": 0}')
    here.queue.write_text(f"17_0|0|RUNNING|None|n0|{one.name}\n")
    assert call("sweep", "status", "squares", "--json").json["queue_age_s"] < 1
    answers.keep(here.cache, "queue", {**answers.kept(here.cache, "queue"), "at": time.time() - 20})
    (here.queue.parent / "bin" / "squeue").write_text(f"#!/bin/sh\n{commandline.DOWN}\n")
    assert "            (as it was 20 s ago)" in call("sweep", "status", "squares").out
    answers.keep(here.cache, "queue", {**answers.kept(here.cache, "queue"), "at": time.time() - 300})
    answer = call("sweep", "status", "squares")
    assert "unknown now, as it was 300 s ago. squeue failed: slurm_load_jobs error: Unable to contact" in answer.out
    assert "1 running with 4 runs on n0" in answer.out
    assert "            → slurmctld cannot be reached" in answer.out, "every line stands in its block"


def test_a_run_that_is_done_stays_done_whatever_the_queue_says(here, one):
    sweep = toy.open_sweep(here.sweeps / "squares.yaml", here)
    stale = [cluster.Task(one.name, i, "RUNNING", "None", "n1", f"17_{i}") for i in range(2)]
    wrote(one, 0, start(0, groups(one, 0)[0]))
    before = {run: s.state.value for run, s in reconcile.standings(here, sweep, lambda: stale).items()}
    assert sorted(before.values()) == ["pending"] * 6 + ["running"] * 2
    sent = Submission(one.folder)
    from test_worker import pack

    pack(sent, 0).run()
    after = [s.state.value for s in reconcile.standings(here, sweep, lambda: stale).values()]
    assert sorted(after) == ["done"] * 4 + ["pending"] * 4
    assert time.time() > NOW


def test_the_axes_of_the_grid_are_free(here):
    grid = "{batch: [0, 1], value: [1.0, 2.0, 3.0]}"
    toy.run(here, toy.sweep(here, f"job: square\ngrid: {grid}", "small"))
    sweep = toy.sweep(here, f"job: square\ngrid: {grid}\ninclude: [{{batch: 7, value: 9.0}}]", "wide")
    assert len(sweep.runs) == 7
    shown = call("sweep", "status", "wide", "--rows", "batch", "--cols", "value", "--json").json
    assert shown["grid_axes"] == {"rows": "batch", "cols": "value"}
    assert {"row": "0", "col": "2.0", "done": 1, "failed": 0, "left": 0} in shown["grid"]
    lines = call("sweep", "status", "wide", "--rows", "batch", "--cols", "value").out.splitlines()
    assert [line.split() for line in lines[2:6]] == [
        ["1.0", "2.0", "3.0", "9.0"],
        ["0", "1/1", "1/1", "1/1", "–"],
        ["1", "1/1", "1/1", "1/1", "–"],
        ["7", "–", "–", "–", "0/1"],
    ]
    unknown = call("sweep", "status", "wide", "--rows", "vlaue")
    assert (unknown.code, "value" in unknown.err) == (2, True)
    assert call("sweep", "status", "--rows", "value").code == 2, "of one sweep at a time"


def test_a_grid_without_columns_has_no_empty_head(here):
    lines = call("sweep", "status", "squares").out.splitlines()
    assert lines[:3] == ["squares", "  runs      new 8", "            square  0/8"]


def test_hours_are_those_of_gpus_where_tasks_hold_several(here, one):
    sweep = toy.open_sweep(here.sweeps / "squares.yaml", here)
    plan = json.loads((one.folder / "plan.json").read_text())
    (one.folder / "plan.json").write_text(json.dumps({**plan, "gpus_per_task": 4}))
    (one.folder / "outline.json").unlink()
    from test_worker import pack

    pack(Submission(one.folder), 0).run()
    single = cost.hours_used(here.store, sweep.jobs, {run.id for run in sweep.runs}, {})
    assert cost.hours_used(here.store, sweep.jobs, {run.id for run in sweep.runs}, {one.name: 4}) == pytest.approx(4 * single)
    wrote(one, 1, start(0, groups(one, 1)[0]), end(900, groups(one, 1)[0], "failed", "code"))
    shown = call("sweep", "status", "squares", "--json").json
    assert (shown["hours_unit"], shown["hours_wasted"]) == ("GPU-hours", 1.0)
    assert "  GPU-hours 0.00 used, about " in call("sweep", "status", "squares").out


def test_the_time_until_all_is_ready_is_that_of_tasks_not_of_gpus(here, one):
    here.queue.write_text("".join(f"17_{i}|{i}|RUNNING|None|n0|{one.name}\n" for i in range(2)))

    def shown(gpus: int) -> dict:
        (here.profiles / "local.yaml").write_text(f"cluster: local\ndevice: cpu\ngpus_per_task: {gpus}\n")
        return call("sweep", "status", "squares", "--json").json

    one_gpu, four = shown(1), shown(4)
    assert four["hours_left"] == pytest.approx(4 * one_gpu["hours_left"], rel=1e-2)
    assert four["eta_minutes"] == one_gpu["eta_minutes"] > 0


def test_the_time_until_all_is_ready_counts_what_was_sent_and_says_where_it_is_a_guess(here, one, monkeypatch):
    here.queue.write_text(f"17_0|0|RUNNING|None|n0|{one.name}\n17_1|1|CANCELLED|None|n0|{one.name}\n")
    text, shown = call("sweep", "status", "squares"), call("sweep", "status", "squares", "--json").json
    assert shown["runs"] == {"pending": 4, "new": 4}
    assert shown["eta_minutes"] == pytest.approx(4 * 10 / 60, abs=0.05), "of 8 runs that the job guesses at 10 s, 4 were sent"
    assert shown["eta_is_guess"]
    assert "what was sent is ready in about 1 min (a guess)\n" in text.out
    monkeypatch.setattr(toy, "no_queue", list)
    toy.run(here, toy.sweep(here, "job: square\ngrid: {batch: [9], value: [1.0]}", "measured"))
    assert not call("sweep", "status", "squares", "--json").json["eta_is_guess"]


def test_tasks_that_die_one_after_the_other_are_said_before_the_rest_follows(here):
    one = toy.submission(here, toy.sweep(here, "job: square\ngrid: {batch: 0..7, value: [1.0]}", "many"), min_tasks=8)
    one.mark_sent(job_id="18")
    (one.slurm / "18_1_0_log.out").write_text("module load\nbash: /opt/python: No such file or directory\n")
    rows = [f"18_{i}|{i}|{'FAILED' if i < 3 else 'PENDING'}|None||{one.name}\n" for i in range(8)]
    here.queue.write_text("".join(rows))
    answer = call("sweep", "status", "many")
    assert "3 tasks of 18 died before a group, 5 more wait → scontrol hold 18; mend it; scontrol release 18" in answer.out
    assert "1 × unknown: the task died before its first group: bash: /opt/python: No such file or directory" in answer.out
    assert "2 × unknown: the task died before its first group: it left no log: do the nodes see " in answer.out
    here.queue.write_text("".join(rows[:2]))
    answers.forget(here.cache, "queue")
    assert call("sweep", "status", "many", "--json").json["warnings"] == []


def test_a_task_that_was_killed_at_the_end_is_told_of_once_by_whoever_looks_next(here, one, tmp_path):
    told = tmp_path / "told"
    (one.folder / "notify.json").write_text(json.dumps({"command": f"tee -a {told}"}))
    wrote(one, 0, start(0, groups(one, 0)[0]))
    here.queue.write_text(f"17_0|0|RUNNING|None|n1|{one.name}\n")
    assert call("sweep", "status", "squares").code == 0
    assert not told.exists(), "it may be alive"
    here.queue.write_text("")
    answers.forget(here.cache, "queue")
    for _ in range(2):
        assert call("sweep", "status", "squares").code == 0
    assert told.read_text().count("squares: 0 of 8 runs finished") == 1
    assert one.closed


def test_a_task_that_slurm_could_not_start_says_why(here):
    one = toy.submission(here, toy.sweep(here, "job: square\ngrid: {value: [1.0]}", "asks_much"))
    one.mark_sent(job_id="14")
    here.queue.write_text(f"14|N/A|FAILED|BadConstraints||{one.name}\n")
    said = call("sweep", "status", "asks_much").out
    assert "it left no log: Slurm says BadConstraints; do the nodes see " in said
    assert "and has one of them what the profile asks for?" in said


def test_an_error_that_would_steer_the_terminal_is_shown_escaped(here):
    one = toy.submission(here, toy.sweep(here, "job: square\ngrid: {value: [1.0]}", "steering"))
    one.mark_sent(job_id="18")
    (one.slurm / "18_0_log.out").write_text("bash: \x1b[31mred\x1b[0m\n")
    here.queue.write_text(f"18|N/A|FAILED|None||{one.name}\n")
    for words in (("status", "steering"), ("logs", "steering", "--failed")):
        said = call("sweep", *words).out
        assert "\x1b" not in said and "\\x1b[31mred" in said
