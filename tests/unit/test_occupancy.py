"""What tasks did with their time: records with given times, and the shares of start-up, computing and waiting."""

import json

import pytest
import toy
from commandline import call

from repsim import occupancy, plan, reconcile
from repsim.occupancy import Startup
from repsim.profile import Profile

NOW = 1_000_000.0
SPEC = "job: square\ngrid: {batch: [0, 1], value: [1.0, 2.0]}\n"


def note(event: str, at: float, **more) -> dict:
    return {"event": event, "at": NOW + at, **more}


def worked(at: float, seconds: float, group: str) -> list[dict]:
    return [note("start", at, group=group), note("end", at + seconds, group=group, outcome="done")]


@pytest.fixture
def one(project):
    """A task of two groups: it came after 30 s, 10 s more to its first group, 300 and 500 s of work, 160 s of waiting."""
    found = toy.submission(project, toy.sweep(project, SPEC))
    found.mark_sent(job_id="17")
    found.close()
    (first, second) = [group["id"] for group in found.plan["tasks"][0]]
    wrote(found, note("begun", 30, up_s=30.0), *worked(40, 300, first), *worked(400, 500, second), note("left", 1000))
    return found


def wrote(one, *records: dict, restart: int = 0) -> None:
    (one.folder / "attempts" / f"0.{restart}.ab.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))


def ids(one) -> set[str]:
    return {run["id"] for task in one.outline for group in task for run in group["runs"]}


def test_a_task_starts_computes_and_waits(one):
    (share,) = occupancy.shares([one], ids(one))
    assert (share.job, share.kind, share.tasks) == ("square", "numbers", 1)
    assert (share.computing, share.starting, share.waiting, share.busy) == (800, 40, 160, 0.8)
    assert occupancy.shares([one], {"another"}) == []


def test_a_restart_is_a_stay_of_its_own_and_a_fresh_process_in_it_is_none(one):
    group = one.plan["tasks"][0][0]["id"]
    wrote(
        one, note("begun", 2000, up_s=5.0), *worked(2015, 10, group), note("begun", 2030, up_s=35.0), note("left", 2040), restart=1
    )
    _, again = occupancy.stays(one)
    assert (again.seconds, again.startup, again.computed) == (45, 20, {group: 10})


def test_records_of_an_earlier_version_do_not_say_how_long_the_process_lived_before(one):
    wrote(one, note("begun", 30), note("left", 130))
    (stay,) = occupancy.stays(one)
    assert (stay.seconds, stay.startup, stay.computed) == (100, None, {})
    assert occupancy.startup([one]) is None


def test_plans_for_slurm_reckon_with_the_start_up_that_was_seen(project, one):
    sweep = toy.sweep(project, SPEC.replace("[1.0, 2.0]", "[3.0, 4.0]"), "next")
    assert occupancy.startup([one]) == Startup(40.0, 1)
    slurm = reconcile.make_plan(project, sweep, toy.states(project, sweep), Profile(cluster="slurm", device="cpu"), "cpu")
    here = reconcile.make_plan(project, sweep, toy.states(project, sweep), toy.LOCAL, "cpu")
    assert slurm.hours() * 3600 == pytest.approx(4 * 10 + 40)
    assert here.hours() * 3600 == pytest.approx(4 * 10 + plan.STARTUP_S)


def test_the_start_up_of_what_ran_here_says_nothing_of_slurm(one):
    one.mark_sent(host="here", pid=0)
    assert occupancy.startup([one]) is None


def test_the_command_tells_it(project, one, monkeypatch):
    monkeypatch.chdir(project.root)
    text, shown = call("sweep", "cost", "toy").out, call("sweep", "cost", "toy", "--json").json
    assert "  square numbers: of 0.28 h in tasks 80% computing, 4% starting, 16% waiting (1 task)\n" in text
    assert "  a task takes 40 s to start (the median of 1 task)\n" in text
    assert shown["startup"] == {"seconds": 40.0, "tasks": 1}
    assert [(each["busy"], each["hours_waiting"]) for each in shown["idle"]] == [(0.8, 0.0444)]


def test_a_task_of_slurm_says_how_long_it_lived_before_its_first_record(project, monkeypatch):
    from tasks import pack

    monkeypatch.setattr("repsim.hardware.lived_s", lambda: 12.5)
    for job, said in (("17", 12.5), ("", 0.0)):
        monkeypatch.setenv("SLURM_JOB_ID", job)
        one = toy.submission(project, toy.sweep(project, SPEC))
        pack(one).run()
        assert one.comings()[0]["up_s"] == said
