"""What `sweep submit` sends: each array exactly once, whatever sbatch answers, no more than cluster and profile allow."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import fakeslurm
import pytest
import toy
from submitit.core.utils import DelayedSubmission

from repsim import cards, cluster, intents, reconcile, sbatch, store, submission
from repsim.errors import ClusterError
from repsim.profile import Profile, Target, load_profile
from repsim.state import State

SQUARES = "job: square\ngrid: {batch: 0..3, value: [1.0]}"
EIGHT = "job: square\ngrid: {batch: 0..7, value: [1.0]}"
STITCH = "zoo: {arch: net, dataset: d, seeds: 0..2}\nlayers: relu1\ncases: {lin: {}, low: {stitcher: lowrank, rank: [1, 2]}}"
PROFILE = Profile(device="cpu", min_tasks=2, pack_min=1.0, mem_gb=0.5)
MANY = PROFILE.model_copy(update={"min_tasks": 8})


def submit(project, sweep, chain: bool = False, profile: Profile = PROFILE, tell=lambda words: None):
    """What `repsim sweep submit` does after it has asked."""
    with reconcile.locked(project):
        reconcile.close_finished(project)
        states = reconcile.standings(project, sweep)
        made = reconcile.make_plan(project, sweep, states, profile, "cpu")
        return reconcile.submit(project, sweep, made, profile, states, chain, tell)


def states(project, sweep) -> set[str]:
    return {s.state.value for s in reconcile.standings(project, sweep).values()}


def options(fake: fakeslurm.FakeSlurm) -> list[dict[str, str]]:
    """What each job was sent with, oldest first."""
    return [fake.jobs[job]["options"] for job in sorted(fake.jobs, key=int)]


def rows(project, sweep, job: str = "square") -> list[str]:
    """Run ids of all rows as they are in the parts: one twice is a run that was computed twice."""
    import pyarrow.parquet as pq

    return [run for part in store.parts(project.store, job) for run in pq.ParquetFile(part).read()["run_id"].to_pylist()]


def alive(project) -> list[submission.Submission]:
    return [one for one in submission.every(project.submissions) if not one.withdrawn]


def test_submitting_twice_sends_nothing_twice(project, fake):
    sweep = toy.sweep(project, SQUARES)
    sent = submit(project, sweep)
    assert [(one.job_id, one.stage, one.tasks, one.runs) for one in sent] == [("100", "runs", 2, 4)]
    assert submit(project, sweep) == []
    assert states(project, sweep) == {"pending"}
    fake.end("100_0", "100_1", state="CANCELLED")
    assert [one.runs for one in submit(project, sweep)] == [4]


@pytest.mark.parametrize("tasks", [1, 2])
def test_tasks_find_their_calls_whether_alone_or_in_an_array(project, fake, tasks):
    sweep = toy.sweep(project, SQUARES)
    submit(project, sweep, profile=PROFILE.model_copy(update={"min_tasks": tasks, "pack_min": 60.0}))
    assert len(fake.work()) == tasks
    assert set(fake.states().values()) == {"COMPLETED"}
    assert len(rows(project, sweep)) == 4


def test_what_a_task_needs_is_on_disk_before_it_is_sent(project, fake, monkeypatch):
    sweep = toy.sweep(project, SQUARES)
    seen = []

    def look(script, part):
        folder = script.parent
        seen.append(json.loads((folder.parent / "plan.json").read_text()))
        calls = [DelayedSubmission.load(folder / f"task_{i}.pkl") for i in range(2)]
        assert [(c.function.__name__, *c.args) for c in calls] == [
            ("run_pack", str(folder.parent / "plan.json"), i) for i in (0, 1)
        ]
        return "1"

    monkeypatch.setattr(sbatch, "send", look)
    submit(project, sweep)
    home = Path(seen[0]["code"])
    assert (home / "jobs" / "square.py").read_bytes() == (project.jobs / "square.py").read_bytes()
    assert (len(seen[0]["tasks"]), seen[0]["jobs"]) == (2, {"square": sweep.jobs["square"].digest})


def test_trainings_go_first_and_with_chain_their_stitches_wait_behind_them(project, fake):
    sweep = toy.sweep(project, STITCH)
    (first,) = submit(project, sweep)
    assert (first.stage, submit(project, sweep)) == ("networks", [])
    (chained,) = submit(project, sweep, chain=True)
    assert (chained.stage, chained.runs) == ("later", 18)
    assert options(fake)[1]["dependency"] == f"afterany:{first.job_id}"
    assert options(fake)[1]["kill-on-invalid-dep"] == "yes"
    assert submit(project, sweep, chain=True) == []
    cluster.cancel([first.job_id, chained.job_id])
    again = submit(project, sweep, chain=True)
    assert [one.stage for one in again] == ["networks", "later"]
    assert options(fake)[3]["dependency"] == f"afterany:{again[0].job_id}"


def test_stitches_wait_behind_every_array_that_makes_their_networks(project, fake):
    fake.configure(MaxArraySize=1)
    sent = submit(project, toy.sweep(project, STITCH), chain=True, profile=PROFILE.model_copy(update={"min_tasks": 3}))
    makers = [one.job_id for one in sent if one.stage == "networks"]
    assert len(makers) == 3
    assert {said["dependency"] for said in options(fake)[3:]} == {f"afterany:{':'.join(makers)}"}


def test_a_chained_task_whose_networks_failed_is_blocked_and_ends_well(project, fake):
    text = (project.jobs / "train.py").read_text()
    (project.jobs / "train.py").write_text(text.replace('if config.recipe == "fails":', "if True:"))
    sweep = toy.sweep(project, STITCH)
    submit(project, sweep, chain=True)
    fake.work()
    ends = {(fake.jobs[e["job"]]["options"].get("dependency") is not None, e["state"]) for e in fake.elements.values()}
    assert ends == {(False, "FAILED"), (True, "COMPLETED")}
    found = [s.state for s in reconcile.standings(project, sweep).values()]
    assert (found.count(State.FAILED), found.count(State.BLOCKED)) == (3, 18)


def test_what_can_never_start_is_cancelled_and_sent_again(project, fake):
    sweep = toy.sweep(project, SQUARES)
    submit(project, sweep)
    for element in ("100_0", "100_1"):
        fake.hold(element, "DependencyNeverSatisfied")
    assert [one.runs for one in submit(project, sweep)] == [4]
    assert fake.states()["100_0"] == "CANCELLED"


def test_a_parent_that_slurm_forgot_leaves_stitches_blocked_in_words_or_sends_them_freely(project, fake, monkeypatch):
    sweep, told = toy.sweep(project, STITCH), []
    submit(project, sweep)
    honest = reconcile.standings

    def forgetful(*arguments):
        """What is pending when it is planned is over when it is sent."""
        found = honest(*arguments)
        if told:
            fake.work()
        fake.forget(*fake.elements)
        return found

    monkeypatch.setattr(reconcile, "standings", forgetful)
    assert submit(project, sweep, chain=True, tell=told.append) == []
    assert "18 runs stay blocked: what makes their networks is over" in told[-1]
    with monkeypatch.context() as patch:
        patch.setattr(reconcile, "standings", honest)
        submit(project, sweep)
    (freed,) = submit(project, sweep, chain=True, tell=told.append)
    assert freed.runs == 18
    assert "dependency" not in options(fake)[-1]


def test_large_sweeps_are_split_into_arrays_that_share_the_limit(project, fake):
    fake.configure(MaxArraySize=3)
    sweep = toy.sweep(project, EIGHT)
    sent = submit(project, sweep, profile=MANY.model_copy(update={"max_parallel": 7}))
    assert [(one.tasks, one.runs) for one in sent] == [(3, 3), (3, 3), (2, 2)]
    assert [said["array"] for said in options(fake)] == ["0-2%3", "0-2%2", "0-1%2"]
    assert submit(project, sweep) == []
    ids = [run["id"] for one in alive(project) for task in one.plan["tasks"] for group in task for run in group["runs"]]
    assert len(set(ids)) == len(ids) == 8


def test_more_arrays_than_may_run_at_once_go_one_behind_another(project, fake):
    fake.configure(MaxArraySize=2)
    submit(project, toy.sweep(project, EIGHT), profile=MANY.model_copy(update={"max_parallel": 2}))
    assert [said["array"] for said in options(fake)] == ["0-1%1"] * 4
    assert [said.get("dependency") for said in options(fake)] == [None, None, "afterany:100", "afterany:102"]


def test_the_limit_counts_what_was_sent_earlier(project, fake):
    profile = MANY.model_copy(update={"max_parallel": 6})
    submit(project, toy.sweep(project, EIGHT), profile=profile)
    submit(project, toy.sweep(project, EIGHT.replace("1.0", "2.0"), "more"), profile=profile)
    assert [said["array"] for said in options(fake)] == ["0-7%6", "0-7%3"]
    assert ["update", "JobId=100", "ArrayTaskThrottle=3"] in fake.asked("scontrol")
    cpu = profile.model_copy(update={"partition": "gpu-preempt"})
    submit(project, toy.sweep(project, EIGHT.replace("1.0", "3.0"), "other"), profile=cpu)
    assert options(fake)[2]["array"] == "0-7%6", "other cards, another limit"


def test_what_runs_beyond_the_new_share_of_an_earlier_array_is_waited_for(project, fake):
    profile = MANY.model_copy(update={"max_parallel": 4})
    submit(project, toy.sweep(project, EIGHT), profile=profile)
    fake.start("100_0", "100_1", "100_2")
    submit(project, toy.sweep(project, EIGHT.replace("1.0", "2.0"), "more"), profile=profile)
    assert ["update", "JobId=100", "ArrayTaskThrottle=2"] in fake.asked("scontrol")
    assert (options(fake)[1]["array"], options(fake)[1]["dependency"]) == ("0-7%2", "afterany:100_0")
    fake.start("108_0", "108_1")
    submit(project, toy.sweep(project, EIGHT.replace("1.0", "3.0"), "third"), profile=profile)
    assert options(fake)[2]["array"] == "0-7%1"
    assert options(fake)[2]["dependency"] == "afterany:108_0", "shares of 2, 1, 1: the first keeps 2, and one of it is waited for"


def test_an_array_that_slurm_will_not_throttle_is_not_waited_for(project, fake):
    profile = MANY.model_copy(update={"max_parallel": 4})
    submit(project, toy.sweep(project, EIGHT), profile=profile)
    fake.start("100_0", "100_1", "100_2", "100_3")
    (fake.bin / "scontrol").write_text(
        (fake.bin / "scontrol").read_text().replace("#!/bin/sh\n", "#!/bin/sh\ncase $1 in update) exit 1;; esac\n")
    )
    told = []
    submit(project, toy.sweep(project, EIGHT.replace("1.0", "2.0"), "more"), profile=profile, tell=told.append)
    assert "max_parallel may be exceeded" in told[0]
    assert "dependency" not in options(fake)[1]


def test_a_size_of_arrays_that_the_cluster_does_not_say_is_assumed_and_told(project, fake):
    (fake.bin / "scontrol").write_text("#!/bin/sh\necho 'Configuration data as of now'\n")
    told = []
    submit(project, toy.sweep(project, SQUARES), tell=told.append)
    assert told == ["the cluster does not say MaxArraySize: 1,001, Slurm's default, is assumed"]


def test_the_scheduler_may_allow_less_than_max_array_size():
    said = {"MaxArraySize": "1001", "SchedulerParameters": "bf_interval=1,max_array_tasks=200"}
    assert cluster.array_limit(said) == 200


def test_what_exceeds_max_job_count_is_left_for_later_and_told(project, fake):
    fake.configure(MaxJobCount=5)
    told, sweep = [], toy.sweep(project, EIGHT)
    assert [one.tasks for one in submit(project, sweep, profile=MANY, tell=told.append)] == [5]
    assert told == ["3 tasks are left for later: Slurm takes no more of yours now"]
    assert sorted(s.state.value for s in reconcile.standings(project, sweep).values()) == ["new"] * 3 + ["pending"] * 5


def test_limits_of_the_account_are_asked_where_accounting_tells(project, fake):
    (fake.bin / "sacctmgr").write_text('#!/bin/sh\ncase "$*" in *assoc*) echo "3|"; echo "2|";; esac\n')
    (fake.bin / "sacctmgr").chmod(0o755)
    assert [one.tasks for one in submit(project, toy.sweep(project, EIGHT), profile=MANY)] == [3]


def test_a_limit_met_after_some_arrays_keeps_them_and_tells_what_is_left(project, fake):
    fake.configure(MaxArraySize=3)
    fake.fault("sbatch", "-", "limit")
    told, sweep = [], toy.sweep(project, EIGHT)
    assert [one.tasks for one in submit(project, sweep, profile=MANY, tell=told.append)] == [3]
    assert "5 tasks with 5 runs were not sent" in told[-1]
    assert "submit again sends them" in told[-1]
    assert [one.tasks for one in submit(project, sweep, profile=MANY)] == [3, 2]


def test_a_limit_met_at_once_is_an_error_that_says_what_to_do(project, fake):
    fake.fault("sbatch", "limit")
    with pytest.raises(sbatch.LimitReached, match="submit again when some tasks have ended"):
        submit(project, toy.sweep(project, SQUARES))


def test_ctrl_c_between_two_arrays_keeps_what_was_sent(project, fake, monkeypatch):
    fake.configure(MaxArraySize=3)
    sweep, told, honest = toy.sweep(project, EIGHT), [], sbatch.send

    def send(script, part):
        if fake.jobs:
            raise KeyboardInterrupt
        return honest(script, part)

    monkeypatch.setattr(sbatch, "send", send)
    with pytest.raises(KeyboardInterrupt):
        submit(project, sweep, profile=MANY, tell=told.append)
    assert "5 tasks with 5 runs were not sent (interrupted)" in told[-1]
    monkeypatch.undo()
    monkeypatch.setenv("PATH", f"{fake.bin}:/usr/bin:/bin")
    assert [one.tasks for one in submit(project, sweep, profile=MANY)] == [3, 2]


@pytest.mark.parametrize(
    ("said", "key"),
    [
        ("Invalid account or account/partition combination specified", "account"),
        ("Invalid partition name specified", "partition"),
        ("Invalid qos specification", "qos"),
        ("Invalid feature specification", "constraint"),
        ("Memory specification can not be satisfied", "mem_gb"),
        ("Requested time limit is invalid (missing or exceeds some limit)", "timeout_min"),
        ("Invalid generic resource (gres) specification", "gpu or gpus_per_task"),
    ],
)
def test_a_refusal_names_the_profile_and_its_key_and_leaves_no_calls_behind(project, fake, said, key):
    (fake.bin / "sbatch").write_text(f"#!/bin/sh\necho 'sbatch: error: Batch job submission failed: {said}' >&2\nexit 1\n")
    (project.profiles / "mine.yaml").write_text("device: cpu\nmin_tasks: 2\n")

    sweep = toy.sweep(project, SQUARES)
    with pytest.raises(sbatch.Refused) as caught:
        submit(project, sweep, profile=load_profile(project.profiles, "mine"))
    assert str(caught.value).startswith(f"{project.profiles / 'mine.yaml'}: {key}: sbatch refused the array")
    assert states(project, sweep) == {"new"}
    assert not list(project.submissions.rglob("*.pkl"))


def test_a_job_whose_answer_is_lost_is_found_by_its_name_and_never_sent_twice(project, fake):
    fake.fault("sbatch", "lose")
    sweep = toy.sweep(project, SQUARES)
    assert [one.job_id for one in submit(project, sweep)] == ["100"]
    assert submit(project, sweep) == []
    assert fake.work() == ["100_0", "100_1"]
    assert len(rows(project, sweep)) == 4


@pytest.mark.parametrize("fault", ["late:1", "hang", "garble"])
def test_an_answer_that_is_late_or_never_comes_or_says_nothing_is_not_waited_for(project, fake, monkeypatch, fault):
    monkeypatch.setattr(sbatch, "TIMEOUT_S", 0.5)
    fake.fault("sbatch", fault)
    sweep = toy.sweep(project, SQUARES)
    assert [one.job_id for one in submit(project, sweep)] == ["100"]
    assert submit(project, sweep) == []
    assert len(fake.elements) == 2


def test_a_controller_that_cannot_be_reached_is_tried_again(project, fake):
    fake.fault("sbatch", "down")
    told = []
    assert [one.job_id for one in submit(project, toy.sweep(project, SQUARES), tell=told.append)] == ["100"]
    assert "trying again" in told[0]
    assert len(alive(project)) == 1


def test_it_is_tried_again_a_few_times_only(project, fake):
    fake.always("sbatch", "down")
    with pytest.raises(sbatch.Busy, match="cannot be reached"):
        submit(project, toy.sweep(project, SQUARES))
    assert len(fake.asked("sbatch")) == 3


def test_a_job_taken_after_it_was_given_up_computes_nothing(project, fake, monkeypatch):
    """Slurm sits on what it was handed for minutes: nobody hears of the job until another was sent in its place."""
    late, honest = project.root / "late.sh", sbatch.send
    calls = []

    def send(script, part):
        calls.append(script)
        if len(calls) == 1:
            late.write_text(script.read_text())
            raise sbatch.Unanswered("sbatch did not answer", do="x")
        return honest(script, part)

    monkeypatch.setattr(sbatch, "send", send)
    sweep = toy.sweep(project, SQUARES)
    assert [one.runs for one in submit(project, sweep)] == [4]
    subprocess.run(["sbatch", str(late)], check=True, capture_output=True)
    first, second = submission.every(project.submissions)
    assert first.withdrawn and not second.withdrawn
    assert fake.work() == ["100_0", "100_1", "102_0", "102_1"]
    assert set(fake.states().values()) == {"COMPLETED"}
    assert not list((first.folder / "attempts").iterdir())
    assert len(rows(project, sweep)) == 4


def test_a_job_that_comes_late_is_cancelled_and_one_that_never_comes_forgotten(project, fake, monkeypatch):
    honest = sbatch.send
    monkeypatch.setattr(sbatch, "send", lambda script, part: (honest(script, part) and "") or _lose())
    monkeypatch.setattr(cluster, "queue", lambda names: [])
    sweep = toy.sweep(project, SQUARES)
    with pytest.raises(ClusterError):
        submit(project, sweep)
    monkeypatch.undo()
    monkeypatch.setenv("PATH", f"{fake.bin}:/usr/bin:/bin")
    assert len(fake.jobs) == 3
    with reconcile.locked(project):
        reconcile.close_finished(project)
    assert set(fake.states().values()) == {"CANCELLED"}
    monkeypatch.setattr(intents, "GRACE_S", -1.0)
    reconcile.close_finished(project)
    assert all(one.closed for one in submission.every(project.submissions))


def _lose():
    raise sbatch.Unanswered("the answer was lost", do="x")


def test_where_the_queue_cannot_be_asked_either_nothing_is_given_up_and_the_next_submit_finds_out(project, fake):
    fake.fault("sbatch", "lose")
    sweep = toy.sweep(project, SQUARES)
    fake.fault("squeue", "-", "down")  # the room is asked before
    with pytest.raises(ClusterError):
        submit(project, sweep)
    assert submit(project, sweep) == []
    (one,) = submission.every(project.submissions)
    assert one.sent and one.sent["job_id"] == "100"
    assert len(fake.jobs) == 1


KILLED = """
import sys
from pathlib import Path
import toy
from repsim import catalog, reconcile
from repsim.profile import Profile

catalog._ask = toy.sheet
project = toy.Project(Path(sys.argv[1]))
sweep = toy.open_sweep(project.sweeps / "toy.yaml", project)
profile = Profile(device="cpu", min_tasks=2, mem_gb=0.5)
with reconcile.locked(project):
    states = reconcile.standings(project, sweep)
    made = reconcile.make_plan(project, sweep, states, profile, "cpu")
    reconcile.submit(project, sweep, made, profile, states, False)
"""


def test_a_submit_killed_before_it_heard_the_answer_leaves_a_job_that_is_whole(project, fake, tmp_path):
    """kill -9 between sbatch and the note of its answer: the tasks do their work, and the next submit sends nothing."""
    sweep = toy.sweep(project, SQUARES)
    fake.fault("sbatch", "late:60")
    (tmp_path / "killed.py").write_text(KILLED)
    path = f"{Path(toy.__file__).parent}:{Path(toy.__file__).parents[2]}"
    child = subprocess.Popen(
        [sys.executable, str(tmp_path / "killed.py"), str(project.root)], env={**os.environ, "PYTHONPATH": path}
    )
    deadline = time.monotonic() + 20
    while not fake.jobs:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    child.send_signal(signal.SIGKILL)
    child.wait()
    (one,) = submission.every(project.submissions)
    assert one.sent is None
    fake.work()
    fake.forget(*fake.elements)
    assert submit(project, sweep) == []
    assert len(rows(project, sweep)) == 4
    assert one.sent and one.sent["job_id"] == "100", "its tasks left the job id, though Slurm forgot it"


def test_tasks_are_dealt_out_among_targets_by_what_each_can_do(project, fake):
    targets = [Target(partition="gpu", gpu="a100", max_parallel=6), Target(partition="gpu-preempt", max_parallel=2, timeout_min=60)]
    profile = MANY.model_copy(update={"gpus_per_task": 1, "targets": targets})
    sent = submit(project, toy.sweep(project, EIGHT), profile=profile)
    assert [one.tasks for one in sent] == [6, 2]
    said = [(o["partition"], o["gres"], o["time"], o["array"]) for o in options(fake)]
    assert said == [("gpu", "gpu:a100:1", "120", "0-5%6"), ("gpu-preempt", "gpu:1", "60", "0-1%2")]


def test_a_card_that_is_twice_as_fast_gets_twice_the_work(project, fake):
    sweep = toy.sweep(project, "job: square\ngrid: {batch: 0..8, value: [1.0]}")
    targets = [Target(gpu=gpu, max_parallel=2) for gpu in ("t4", "a100")]
    profile = MANY.model_copy(update={"gpus_per_task": 1, "min_tasks": 9, "targets": targets})
    for name, card, seconds in (("slow", "Tesla T4", 8.0), ("fast", "NVIDIA A100-SXM4-40GB", 4.0)):
        row = {"run_id": name, "gpu": card, "device": "cuda", "work": 1.0, "run_seconds": seconds}
        store.publish(project.store, "square", "numbers", name, [row], store.schema_of(sweep.jobs["square"]))
    sent = submit(project, sweep, profile=profile)
    assert [(o["gres"], one.tasks) for o, one in zip(options(fake), sent, strict=True)] == [("gpu:t4:1", 3), ("gpu:a100:1", 6)]


def test_cards_that_were_never_measured_beside_each_other_count_as_equal(project):
    parts = [Profile(gpus_per_task=1, gpu=gpu) for gpu in ("t4", "a100")]
    assert [cards.speed(project.store, {}, parts)(part) for part in parts] == [1.0, 1.0]
    free = [Profile(gpus_per_task=1, partition=name) for name in "ab"]
    assert [cards.speed(project.store, {}, free)(part) for part in free] == [1.0, 1.0]


def test_a_retry_asks_for_more_of_every_target():
    profile = Profile(mem_gb=8, timeout_min=60, pack_min=30, targets=[Target(partition="a"), Target(mem_gb=4, timeout_min=30)])
    asked = profile.asking(12, 90)
    assert [(part.mem_gb, part.timeout_min) for part in asked.parts] == [(12, 90), (6, 45)]


def test_a_group_must_fit_the_target_with_the_least_time():
    assert Profile(timeout_min=120, targets=[Target(partition="a"), Target(timeout_min=30)]).shortest_min == 30
    with pytest.raises(ValueError, match="signal_s"):
        Profile(targets=[Target(timeout_min=1)])


def test_commands_of_slurm_are_called_as_from_outside_of_any_job(project, fake, monkeypatch):
    seen = fake.folder / "environment"
    (fake.bin / "squeue").write_text(f"#!/bin/sh\nenv > {seen}\n")
    inside = {"SLURM_MEM_PER_CPU": "100", "SBATCH_PARTITION": "nowhere", "SRUN_DEBUG": "1", "SQUEUE_PARTITION": "other"}
    for key, value in {**inside, "SLURM_CONF": "/conf", "SLURM_CLUSTERS": "mine"}.items():
        monkeypatch.setenv(key, value)
    cluster.queue(["x"])
    found = dict(line.split("=", 1) for line in seen.read_text().splitlines() if "=" in line)
    assert not inside.keys() & found.keys()
    assert (found["SLURM_CONF"], found["SLURM_CLUSTERS"]) == ("/conf", "mine")


def test_values_of_variables_reach_the_task_as_they_are(project, fake):
    odd = "a b'c$(touch /tmp/never)`x`"
    profile = PROFILE.model_copy(update={"env": {"ODD": odd}, "setup": ['[ "$SLURM_ARRAY_TASK_ID" = 0 ] && export FIRST=1']})
    submit(project, toy.sweep(project, SQUARES), profile=profile)
    script = fake.jobs["100"]["script"]
    lines = script[: script.index("# command")] + '\nprintf %s "$ODD"'
    environment = {**os.environ, "SLURM_ARRAY_TASK_ID": "0", "SLURM_ARRAY_JOB_ID": "100"}
    assert subprocess.run(["bash", "-c", lines], capture_output=True, text=True, env=environment).stdout == odd
