"""Why runs fail, what is done about each cause, and what `sweep retry` and `sweep cancel` touch."""

import json

import commandline
import pytest
import toy
from commandline import call

from repsim import cause, retry
from repsim.cause import RULES, Cause
from repsim.journal import Journal
from repsim.profile import Profile
from repsim.state import MAX_KILLED
from repsim.submission import Submission

SQUARES = "job: square\ngrid: {batch: 0..3, value: [1.0, 2.0]}"


@pytest.fixture
def slurm(project, tmp_path, monkeypatch):
    """The toy project as working directory, and a Slurm that takes all; `.queue` is what squeue shows, `.sent` what sbatch got."""
    queue, cancelled, script = tmp_path / "queue", tmp_path / "cancelled", tmp_path / "script"
    queue.write_text("")
    sbatch = f'cp "$1" {script}; echo Submitted batch job 17'
    folder = commandline.slurm(
        tmp_path / "bin", sinfo="echo slurm 24.05", sbatch=sbatch, squeue=f"cat {queue}", scancel=f'echo "$@" > {cancelled}'
    )
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.chdir(project.root)
    (project.sweeps / "squares.yaml").write_text(SQUARES)
    (project.profiles / "cluster.yaml").write_text("cluster: slurm\ndevice: cpu\nmem_gb: 8\ntimeout_min: 61\nmin_tasks: 2")
    slurm = type("Slurm", (), {"queue": queue, "cancelled": cancelled, "script": script})
    slurm.project = project
    return slurm


def sent(project, *ends: tuple[int, str], state: str = "FAILED") -> Submission:
    """The sweep as one task that is over; the groups with these numbers failed for these causes."""
    one = toy.submission(project, toy.open_sweep(project.sweeps / "squares.yaml", project))
    one.mark_sent(job_id="16")
    journal = Journal(one, 0, 0)
    for number, why in ends:
        group = one.plan["tasks"][0][number]["id"]
        journal.write(event="start", group=group, host="n1")
        journal.write(event="end", group=group, outcome="failed", cause=why, message=f"said of {why}")
    one.close({0: state})
    return one


def test_the_list_of_causes_is_closed_and_each_has_one_rule():
    listed = "oom_gpu oom_host timeout preempted node_fail cuda_fault missing_input diverged code unknown"
    assert [str(each) for each in Cause] == listed.split()
    assert RULES.keys() == set(Cause)
    assert len({rule.words for rule in RULES.values()}) == len(Cause) - 1, "only the two faults of nodes share one"


class OutOfMemoryError(RuntimeError):
    """Named as torch's."""


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), "oom_host"),
        (OutOfMemoryError("CUDA out of memory"), "oom_gpu"),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), "cuda_fault"),
        (ValueError("no"), "code"),
    ],
)
def test_an_error_tells_its_cause(error, expected):
    assert cause.of_error(error) == expected


def test_what_slurm_says_tells_a_cause_and_what_is_not_listed_is_unknown():
    said = {state: str(cause.of_slurm(state)) for state in ("OUT_OF_MEMORY", "TIMEOUT", "PREEMPTED", "NODE_FAIL", "FAILED", None)}
    assert list(said.values()) == ["oom_host", "timeout", "preempted", "node_fail", "unknown", "unknown"]
    assert cause.known("an old word") is Cause.UNKNOWN


def failures(*causes: str, **plan) -> list[retry.Failure]:
    return [retry.Failure(each, plan) for each in causes]


def test_a_retry_asks_for_more_of_what_was_too_little():
    profile = Profile(mem_gb=8, timeout_min=61)
    assert retry.suited(profile, failures("code", "oom_gpu")) == profile
    assert retry.suited(profile, failures("oom_host", "code")) == profile.model_copy(update={"mem_gb": 12.0})
    both = profile.model_copy(update={"mem_gb": 12.0, "timeout_min": 92})
    assert retry.suited(profile, failures("oom_host", "timeout")) == both
    assert retry.suited(profile, []) == profile


@pytest.mark.parametrize(
    ("had", "now"),
    [(60, 90), (90, 135), (135, 203), (203, 240), (240, 240), (None, 90), (30, 60)],
    ids=["first", "second", "third", "capped", "at the cap", "a plan that does not say", "the profile says more by now"],
)
def test_a_retry_multiplies_what_the_failed_attempt_had_up_to_four_times_the_profile(had, now):
    profile = Profile(timeout_min=60, mem_gb=4)
    found = retry.suited(profile, failures("timeout", **({"timeout_min": had} if had else {})))
    assert (found.timeout_min, found.mem_gb) == (now, 4)
    assert ("the most without a change of timeout_min" in "".join(retry.words(profile, found))) == (now == 240)


def test_a_second_retry_reads_what_the_first_one_had(slurm):
    one = sent(slurm.project, (0, "timeout"))
    plan = json.loads((one.folder / "plan.json").read_text())
    (one.folder / "plan.json").write_text(json.dumps({**plan, "timeout_min": 92}))
    answer = call("sweep", "retry", "squares", "--profile", "cluster", "--yes")
    assert "--time=138" in slurm.script.read_text()
    assert "asks for 138 min a task, where the profile says 61" in answer.err
    newest = max(slurm.project.submissions.glob("repsim-*/plan.json"), key=lambda path: path.stat().st_mtime_ns)
    written = json.loads(newest.read_text())
    assert (written["timeout_min"], written["mem_gb"], written["gpus_per_task"]) == (138, 8, 0)


def test_a_run_that_was_killed_too_often_gets_as_many_attempts_again_by_a_retry(slurm):
    sweep = toy.open_sweep(slurm.project.sweeps / "squares.yaml", slurm.project)

    def killed(state: str = "NODE_FAIL") -> None:
        one = toy.submission(slurm.project, sweep)
        one.mark_sent(job_id="16")
        Journal(one, 0, 0).write(event="start", group=one.plan["tasks"][0][0]["id"], host="n1")
        one.close({0: state})

    def failed() -> int:
        return call("sweep", "status", "squares", "--json").json["runs"].get("failed", 0)

    for kills in range(1, MAX_KILLED + 1):
        killed()
        assert failed() == (2 if kills == MAX_KILLED else 0)
    answer = call("sweep", "retry", "squares", "--cause", "node_fail", "--profile", "cluster", "--yes", "--json")
    assert [one["runs"] for one in answer.json["sent"]] == [2], answer.err
    for folder in slurm.project.submissions.glob("repsim-*"):
        Submission(folder).close()
    killed()
    assert failed() == 0, "a retry begins to count anew"


def test_status_prints_the_rule_of_each_cause_once(slurm):
    sent(slurm.project, (0, "oom_host"), (1, "oom_host"), (2, "code"))
    lines = call("sweep", "status", "squares").out.splitlines()
    assert [line.split()[1:4] for line in lines if line.startswith("  failed")] == [["4", "×", "oom_host:"], ["2", "×", "code:"]]
    assert lines[lines.index("            oom_host: retry asks for 1.5 × mem_gb") :][:3] == [
        "            oom_host: retry asks for 1.5 × mem_gb",
        "            code: mend the code, then retry",
        "            try them again: repsim sweep retry squares --failed",
    ]


@pytest.mark.parametrize(
    ("words", "runs", "memory", "minutes"),
    [
        (["--cause", "oom_host"], 4, "12288M", 61),
        (["--cause", "timeout"], 2, "8192M", 90),
        (["--failed"], 8, "12288M", 90),
        (["value=1.0", "batch=3"], 1, "8192M", 90),
        (["--cause", "oom_host", "value=1.0"], 2, "12288M", 61),
    ],
)
def test_a_retry_takes_what_the_cause_and_the_filter_name(slurm, words, runs, memory, minutes):
    sent(slurm.project, (0, "oom_host"), (1, "oom_host"), (2, "code"), (3, "timeout"))
    answer = call("sweep", "retry", "squares", *words, "--profile", "cluster", "--yes", "--json")
    assert answer.code == 0, answer.err
    assert [one["runs"] for one in answer.json["sent"]] == [runs]
    script = slurm.script.read_text()
    assert f"--mem={memory}" in script
    assert f"--time={minutes}" in script


def test_a_retry_shows_what_it_would_send_and_asks(slurm):
    sent(slurm.project, (0, "oom_host"), (1, "oom_host"), (2, "code"))
    answer = call("sweep", "retry", "squares", "--failed", "--profile", "cluster")
    assert (answer.code, slurm.script.exists()) == (2, False)
    assert "4 runs × oom_host: retry asks for 1.5 × mem_gb\n2 runs × code: mend the code, then retry\n" in answer.err
    assert "say --yes" in answer.err
    unknown = call("sweep", "retry", "squares", "--cause", "weather")
    assert (unknown.code, "oom_gpu" in unknown.err) == (2, True)


def test_a_cause_that_nothing_failed_for_sends_nothing(slurm):
    sent(slurm.project, (0, "code"))
    assert call("sweep", "retry", "squares", "--cause", "oom_gpu", "--profile", "cluster", "--yes", "--json").json["sent"] == []
    assert not slurm.script.exists()


def test_cancel_says_which_runs_go_with_those_that_are_meant_and_asks(slurm):
    assert call("sweep", "submit", "squares", "--profile", "cluster", "--yes").code == 0
    (folder,) = slurm.project.submissions.glob("repsim-*")
    slurm.queue.write_text("".join(f"17_{i}|{i}|PENDING|Resources||{folder.name}\n" for i in range(2)))
    asked = call("sweep", "cancel", "squares", "batch=0", "value=1.0")
    assert (asked.code, slurm.cancelled.exists()) == (2, False)
    assert "to cancel: 1 task, 17_[0], with 4 runs, 3 of which the filter does not name\n" in asked.err
    done = call("sweep", "cancel", "squares", "--yes")
    assert done.out == "cancelled 2 tasks: 17_[0-1]\n"
    assert slurm.cancelled.read_text() == "17_0 17_1\n"
    slurm.queue.write_text("")
    assert call("sweep", "cancel", "squares").out == "nothing of it is queued or running in Slurm\n"


def test_cancel_says_how_many_runs_of_other_sweeps_go_with_shared_tasks(slurm):
    assert call("sweep", "submit", "squares", "--profile", "cluster", "--yes").code == 0
    (folder,) = slurm.project.submissions.glob("repsim-*")
    slurm.queue.write_text("".join(f"17_{i}|{i}|PENDING|Resources||{folder.name}\n" for i in range(2)))
    (slurm.project.sweeps / "part.yaml").write_text("job: square\ngrid: {batch: [0], value: [1.0]}")
    asked = call("sweep", "cancel", "part")
    assert "to cancel: 1 task, 17_[0], with 1 run, and 3 runs of other sweeps\n" in asked.err


def test_a_retry_on_a_profile_of_this_machine_names_the_command_that_retries_here(slurm):
    sent(slurm.project, (0, "code"))
    answer = call("sweep", "retry", "squares", "--profile", "local", "--yes")
    assert (answer.code, "compute here with: repsim sweep retry squares --here" in answer.err) == (2, True)


def test_a_cause_that_there_is_not_is_refused_with_the_nearest(slurm):
    answer = call("sweep", "retry", "squares", "--cause", "oom_gp")
    assert answer.code == 2
    assert "--cause: no run fails for 'oom_gp'\n  → did you mean 'oom_gpu' or 'oom_host'?" in answer.err
