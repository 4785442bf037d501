"""What waits and why, and what was printed while a run was computed: `sweep queue` and `sweep logs`."""

import os
import re
import threading

import commandline
import pytest
import toy
from commandline import call

from repsim import log, submission
from repsim.errors import InputError
from repsim.journal import Journal
from repsim.report import queue as queues
from repsim.report import reasons
from repsim.signature import signature
from repsim.submission import Submission

SQUARES = "job: square\ngrid: {batch: 0..3, value: [1.0, 2.0]}"
MOODS = "job: square\nzip: {batch: 0..3, value: [1.0, 2.0, 3.0, 4.0], mood: [well, fails, fails, refuses]}"


@pytest.fixture
def here(project, monkeypatch):
    """The toy project as working directory, with two sweeps, and no Slurm."""
    monkeypatch.setenv("PATH", "/usr/bin/nowhere")
    for name, text in (("squares", SQUARES), ("moods", MOODS)):
        (project.sweeps / f"{name}.yaml").write_text(text)
    monkeypatch.chdir(project.root)
    return project


def sent(project, name: str, job_id: str = "17", **limits) -> Submission:
    """A sweep as if it had been sent to Slurm as one array."""
    one = toy.submission(project, toy.sweep(project, SQUARES, name), **limits)
    one.mark_sent(job_id=job_id)
    return one


@pytest.fixture
def squeue(tmp_path, monkeypatch):
    """A queue that is a file, and how often it was asked."""
    queue, asked = tmp_path / "queue", tmp_path / "asked"
    queue.write_text("")
    asked.write_text("")
    folder = commandline.slurm(tmp_path / "bin", squeue=f"echo asked >> {asked}; cat {queue}")

    def fill(*rows: tuple[Submission, int, str, str, str]) -> None:
        monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
        queue.write_text("".join(f"{o.sent['job_id']}_{i}|{i}|{s}|{r}|{n}|{o.name}\n" for o, i, s, r, n in rows))

    fill.asked = lambda: asked.read_text().count("asked")
    return fill


def test_the_queue_folds_an_array_to_one_line_and_gives_reasons_in_words(here, squeue):
    one, two = sent(here, "squares", "17", min_tasks=4), sent(here, "others", "18", min_tasks=4)
    waiting = [(two, i, "PENDING", "JobArrayTaskLimit", "") for i in (0, 1, 3)]
    squeue((one, 0, "RUNNING", "None", "n1"), (one, 1, "PENDING", "Resources", ""), (one, 2, "COMPLETED", "None", "n2"), *waiting)
    answer = call("sweep", "queue")
    assert answer.out.splitlines() == [
        "17_[0-1]  squares (runs)  1 pending, 1 running with 4 runs on n1",
        "    1 task: next in line; waits for a free node",
        "18_[0-1,3]  others (runs)  3 pending with 6 runs",
        "    3 tasks: as many tasks run as max_parallel allows",
    ]
    assert squeue.asked() == 1, "one question for all submissions"
    (only,) = call("sweep", "queue", "others", "--json").json["queue"]
    assert squeue.asked() == 1, "nor does the next command ask again"
    assert (only["job"], only["tasks"], only["runs"]) == ("18_[0-1,3]", {"pending": 3}, 6)
    assert only["reasons"] == [
        {"reason": "JobArrayTaskLimit", "words": "as many tasks run as max_parallel allows", "tasks": 3, "do": None}
    ]


def test_an_empty_queue_and_a_local_run_are_said(here):
    assert call("sweep", "queue").out == "nothing is queued or running\n"
    one = toy.submission(here, toy.sweep(here, SQUARES, "squares"))
    one.mark_sent(host=os.uname().nodename, pid=os.getpid())
    assert call("sweep", "queue").out == f"local  squares (runs)  1 running with 8 runs on {os.uname().nodename}\n"
    assert call("sweep", "queue", "moods").out == "nothing is queued or running\n"


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("Priority", "others come first"),
        ("(ReqNodeNotAvail, UnavailableNodes:n3)", "the nodes it needs are down or reserved"),
        ("QOSMaxGRESPerUser", "a limit of the QOS is reached; some of yours must end first (QOSMaxGRESPerUser)"),
        ("AssocGrpGRESMinutes", "the hours of the account are used up (AssocGrpGRESMinutes)"),
        ("QOSMaxWallDurationPerJobLimit", "one task asks for more than the QOS allows (QOSMaxWallDurationPerJobLimit)"),
        ("MaxMemPerLimit", "one task asks for more than the cluster allows (MaxMemPerLimit)"),
        ("SomethingNew", "SomethingNew"),
    ],
)
def test_a_reason_is_put_in_words_or_left_as_it_is(reason, words):
    assert reasons.of(reason).words == words


@pytest.mark.parametrize(
    ("reason", "do"),
    [
        ("DependencyNeverSatisfied", "scancel 17_[0-1]; then: repsim sweep submit squares"),
        ("launch failed requeued held", "scontrol release 17_[0-1]"),
        ("JobHeldUser", "scontrol release 17_[0-1]"),
        ("BadConstraints", "scancel 17_[0-1]; mend the profile; then: repsim sweep submit squares"),
        ("QOSMaxWallDurationPerJobLimit", "ask for less in the profile"),
        ("Priority", None),
    ],
)
def test_what_would_wait_for_ever_is_said_with_the_command_that_helps(here, squeue, reason, do):
    one = sent(here, "squares", min_tasks=4)
    squeue((one, 0, "PENDING", reason, ""), (one, 1, "PENDING", reason, ""), (one, 2, "RUNNING", "None", "n1"))
    (why,) = call("sweep", "queue", "--json").json["queue"][0]["reasons"]
    assert (why["do"] is None) == (do is None) and (do or "") in (why["do"] or "")
    assert ("        → " in call("sweep", "queue").out) == (do is not None)
    assert ("→" in call("sweep", "status", "squares").out) == (do is not None)


def test_names_of_elements_are_folded():
    assert queues.element_names([f"17_{i}" for i in (3, 0, 1, 2, 12, 7)]) == "17_[0-3,7,12]"
    assert queues.element_names(["17", "18_0", "local"]) == "17 18_[0] local"


def run_of(project, name: str, mood: str) -> str:
    sweep = toy.open_sweep(project.sweeps / f"{name}.yaml", project)
    return next(run.id for run in sweep.runs if run.config.model_dump()["mood"] == mood)


@pytest.mark.parametrize("workers", [1, 2])
def test_the_log_of_a_run_is_the_slice_of_its_group(here, workers):
    call("sweep", "run", "moods", "--workers", workers)
    good, bad = run_of(here, "moods", "well"), run_of(here, "moods", "fails")
    shown = call("sweep", "logs", good)
    assert re.fullmatch(r"repsim: group (\w+) begins: 1 run of square\nrepsim: group \1 ended: done\n", shown.out)
    lines = call("sweep", "logs", bad).out.splitlines()
    assert lines[1].startswith("repsim: Traceback")
    assert sum("begins:" in line for line in lines) == 1
    assert lines[-1].endswith("ended: failed (ZeroDivisionError: no square today)")
    assert call("sweep", "logs", bad[:10], "--tail", "1").out.splitlines() == lines[-1:]
    found = call("sweep", "logs", bad, "--json").json
    assert (found["run"], found["log"].splitlines()) == (bad, lines)


def test_a_traceback_is_shown_at_once_as_well(here):
    assert "Traceback" in call("sweep", "run", "moods", "--workers", "1").err


def test_each_distinct_error_is_shown_once_with_its_last_words(here):
    call("sweep", "run", "moods", "--workers", "1")
    text, found = (
        call("sweep", "logs", "moods", "--failed", "--tail", "2"),
        call("sweep", "logs", "moods", "--failed", "--json").json,
    )
    assert [(one["runs"], one["message"].splitlines()[0]) for one in found["failed"]] == [
        (2, "ZeroDivisionError: no square today"),
        (1, "value: is no number"),
    ]
    assert "2 runs × code: ZeroDivisionError: no square today" in text.out
    assert f"e.g. {run_of(here, 'moods', 'fails')}, in {found['failed'][0]['file']}" in text.out
    assert text.out.count("| ") == 2 * 2
    assert "in _square" in found["failed"][0]["log"]
    assert call("sweep", "logs", "squares", "--failed").out == "no run of squares failed\n"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("CUDA out of memory. Tried to allocate 2.50 GiB (GPU 0)", "CUDA out of memory. Tried to allocate 512.00 GiB (GPU 3)"),
        ("/data/a/x.pt: is damaged", "/scratch/b/other.pt: is damaged"),
        ("waits for 3fa9c2e1b0d4", "waits for 00aa12345678"),
        ("object at 0x7f3a1c", "object at 0x55e0ff"),
        ("loss 1e-05 at step 10", "loss 3.2e+08 at step 7"),
    ],
)
def test_errors_that_differ_in_numbers_paths_and_ids_are_one(one, other):
    assert signature(one) == signature(other)


def test_different_errors_stay_different():
    said = ["CUDA out of memory", "CUDA error: illegal access", "KeyError: 'a'", "KeyError: 'facade'", "waits for x", "is damaged"]
    assert len({signature(text) for text in said}) == len(said)


def placed(project) -> log.Place:
    """The first run of a sweep that was sent as two tasks; its log is empty."""
    one = sent(project, "squares", min_tasks=2)
    first = one.plan["tasks"][0][0]
    return log.places([one], first["runs"][0]["id"])[0]


def mark(place: log.Place, text: str, group: str | None = None) -> None:
    with place.file.open("a") as out:
        out.write(f"{log.PREFIX}{text.format(group or place.group)}\n")


def test_of_several_attempts_the_last_is_shown_and_a_killed_one_ends_where_the_next_group_begins(here):
    place = placed(here)
    assert place.file.name == "17_0_0_log.out"
    assert place.slice is None
    mark(place, "group {} begins: first")
    mark(place, "group {} begins: another", "abc")
    assert place.slice == f"repsim: group {place.group} begins: first\n"
    mark(place, "group {} begins: again")
    mark(place, "group {} ended: failed (one\n  → two)")
    mark(place, "the task goes on")
    assert place.slice == f"repsim: group {place.group} begins: again\nrepsim: group {place.group} ended: failed (one\n  → two)\n"


@pytest.mark.parametrize(("tasks", "name"), [(1, "17_0_log.out"), (2, "17_1_0_log.out")])
def test_a_log_is_looked_for_where_slurm_was_told_to_write_it(here, tmp_path, monkeypatch, tasks, name):
    script = tmp_path / "script"
    folder = commandline.slurm(tmp_path / "bin", sinfo="echo slurm 24.05", sbatch=f'cp "$1" {script}; echo Submitted batch job 17')
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    (here.profiles / "cluster.yaml").write_text(f"cluster: slurm\ndevice: cpu\nmin_tasks: {tasks}")
    assert call("sweep", "submit", "squares", "--profile", "cluster", "--yes").code == 0
    (one,) = submission.every(here.submissions)
    (told,) = re.findall(r"--output=(\S+\.out)$", script.read_text(), re.M)
    for placeholder, value in (("%A", "17"), ("%a", str(tasks - 1)), ("%j", "17")):
        told = told.replace(placeholder, value)
    assert str(log.file_of(one, tasks - 1)) == told
    assert told.endswith(f"/{name}")
    assert "--error" not in script.read_text(), "one log, in the order in which things were said"


def test_following_prints_each_line_once_until_the_group_ends(here):
    place, naps = placed(here), []
    growth = ["group {} begins: 2 runs of square", "step 1", "step 2", "group {} ended: done", "not of this run"]

    def sleep(seconds: float) -> None:
        mark(place, growth[len(naps)])
        naps.append(seconds)

    text = "".join(log.follow(place, lambda: True, sleep))
    assert text == "".join(f"{log.PREFIX}{line.format(place.group)}\n" for line in growth[:4])
    assert len(naps) == 4


def test_following_ends_with_the_last_words_of_a_dead_task(here):
    place = placed(here)
    mark(place, "group {} begins: 2 runs of square")

    def dies() -> bool:
        mark(place, "Killed")
        return False

    assert "".join(log.follow(place, dies, lambda seconds: None)).endswith("repsim: Killed\n")


def test_logs_are_followed_from_the_command_line(here, squeue):
    place = placed(here)
    squeue((place.submission, 0, "RUNNING", "None", "n1"))
    mark(place, "group {} begins: 2 runs of square")
    later = threading.Timer(0.3, mark, (place, "group {} ended: done"))
    later.start()
    answer = call("sweep", "logs", place.run, "-f")
    assert answer.out.splitlines()[-1].endswith("ended: done")
    assert squeue.asked() == 1
    assert call("sweep", "logs", place.run, "-f", "--json").code == 2


def test_a_run_that_was_not_begun_says_so(here):
    place = placed(here)
    assert "has not begun" in call("sweep", "logs", place.run).out
    place.file.write_text("ImportError: no module\n")
    assert f"all that it printed is in {place.file}" in call("sweep", "logs", place.run).out


def test_a_run_is_named_by_the_beginning_of_its_id(here):
    one = sent(here, "squares")
    ids = sorted(run["id"] for group in one.plan["tasks"][0] for run in group["runs"])
    assert log.places([one], ids[0][:11])[0].run == ids[0]
    with pytest.raises(InputError, match="begins the ids of 8 runs"):
        log.places([one], "")
    with pytest.raises(InputError, match="was sent or computed here"):
        log.places(submission.every(here.submissions), "nothing")


def test_logs_say_on_which_node_and_card_a_run_was_last_computed(here):
    place = placed(here)
    for host, card in (("n1", "Tesla T4"), ("n2", "NVIDIA H100")):
        Journal(place.submission, 0, 0).write(event="start", group=place.group, host=host, gpu=card)
    mark(place, "group {} begins: 2 runs of square")
    assert call("sweep", "logs", place.run).err == f"repsim: run {place.run} on n2, NVIDIA H100\n"
    shown = call("sweep", "logs", place.run, "--json")
    assert (shown.err, shown.json["host"], shown.json["gpu"]) == ("", "n2", "NVIDIA H100")


def test_examples_of_failures_are_named_by_case_before_the_id(here):
    toy.sweep(here, "job: square\ncases: {sad: {mood: fails, batch: 1, value: 1.0}}", "cases")
    call("sweep", "run", "cases", "--workers", "1")
    (one,) = call("sweep", "status", "cases", "--json").json["failures"]
    assert one["slug"] == f"sad/{one['example']}"
    text = call("sweep", "status", "cases").out
    assert f"(e.g. sad/{one['example']})" in text
    assert f"  (sad/{one['example']})\n" in text[text.index("  newest ") :]
    assert f"  e.g. sad/{one['example']}, in " in call("sweep", "logs", "cases", "--failed").out
