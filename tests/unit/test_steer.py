"""Why runs fail, what is done about each cause, and what `sweep retry` and `sweep cancel` touch."""

import commandline
import pytest
import toy
from commandline import call

from repsim import cause, retry
from repsim.cause import RULES, Cause
from repsim.profile import Profile
from repsim.submission import Journal, Submission

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


def test_a_retry_asks_for_more_of_what_was_too_little():
    profile = Profile(mem_gb=8, timeout_min=61)
    assert retry.suited(profile, ["code", "oom_gpu"]) == profile
    assert retry.suited(profile, ["oom_host", "code"]) == profile.model_copy(update={"mem_gb": 12.0})
    assert retry.suited(profile, ["oom_host", "timeout"]) == profile.model_copy(update={"mem_gb": 12.0, "timeout_min": 92})
    assert retry.suited(profile, []) == profile


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
        (["--cause", "timeout"], 2, "8192M", 92),
        (["--failed"], 8, "12288M", 92),
        (["value=1.0", "batch=3"], 1, "8192M", 92),
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
