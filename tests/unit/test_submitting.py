"""`repsim sweep submit` as people call it: what it prints, writes, cancels and refuses."""

import subprocess

import commandline
import pytest
import toy
from commandline import call

from repsim import code, sbatchoptions, shares
from repsim.errors import SpecError
from repsim.profile import load_profile

SQUARES = "job: square\ngrid: {batch: 0..3, value: [1.0, 2.0]}"


@pytest.fixture
def here(project, fake, monkeypatch):
    monkeypatch.chdir(project.root)
    (project.sweeps / "squares.yaml").write_text(SQUARES)
    (project.profiles / "mine.yaml").write_text("device: cpu\nmin_tasks: 4\npartition: gpu\nmax_parallel: 3\n")
    return project


def submit(*words: str):
    return call("sweep", "submit", "squares", "--profile", "mine", *words)


def test_the_plan_says_where_tasks_go_and_off_a_terminal_nothing_is_sent_without_yes(here, fake):
    refused = submit()
    assert (refused.code, fake.jobs) == (2, {})
    assert "  where     4 tasks of about 2 runs: partition gpu, at most 3 tasks at once\n" in refused.err
    assert "say --yes" in refused.err
    sent = submit("--yes", "--json").json
    assert (sent["left"], sent["dropped"], [one["tasks"] for one in sent["sent"]]) == (0, 0, [4])
    again = submit("--yes")
    assert (again.code, again.out) == (0, "nothing to submit: 8 runs under way\n")


def test_runs_that_the_file_no_longer_names_are_named_and_cancelled_only_when_asked(here, fake):
    submit("--yes")
    fake.start("100_0")
    (here.sweeps / "squares.yaml").write_text(SQUARES.replace("0..3", "1..3"))
    named = submit("--yes")
    assert "  dropped   2 runs queued or running that the file no longer names: --prune cancels 1 task, results stay\n" in named.err
    assert "CANCELLED" not in fake.states().values()
    asked = submit("--prune")
    assert (asked.code, "CANCELLED" in fake.states().values()) == (2, False)
    pruned = submit("--prune", "--yes", "--json").json
    assert len(pruned["pruned"]) == 1
    assert [fake.states()[element] for element in pruned["pruned"]] == ["CANCELLED"]
    assert sorted(fake.states().values()).count("CANCELLED") == 1


def test_a_task_with_runs_of_the_file_is_not_pruned(here, fake):
    submit("--yes")
    (here.sweeps / "squares.yaml").write_text(SQUARES.replace("[1.0, 2.0]", "[1.0]"))
    said = submit("--prune", "--yes")
    assert "no task holds only such; 4 tasks with runs of the file too are left alone" in said.err
    assert "CANCELLED" not in fake.states().values()


def test_emit_writes_scripts_and_plans_without_slurm_and_sends_nothing(here, fake, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", "/usr/bin:/bin:/nowhere")
    monkeypatch.setattr("repsim.cluster.run", lambda *words, **options: pytest.fail(f"Slurm was asked: {words}"))
    before = commandline.contents(here.root)
    for _ in range(2):  # the second call replaces what the first wrote
        said = submit("--emit", str(tmp_path / "out"), "--json").json
        assert len(said["scripts"]) == 1
    assert commandline.contents(here.root) == before
    (plan,) = (tmp_path / "out").glob("*/plan.json")
    script = (plan.parent / "slurm" / "submission.sh").read_text()
    assert "#SBATCH --array=0-3%3" in script
    assert f"--job-name={plan.parent.name}" in script
    assert subprocess.run(["bash", "-n", str(plan.parent / "slurm" / "submission.sh")]).returncode == 0


def test_emit_touches_no_folder_that_is_not_its_own(here, tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "thesis.tex").write_text("years")
    refused = submit("--emit", str(tmp_path / "thesis"))
    assert (refused.code, "holds other files" in refused.err) == (2, True)
    assert [path.name for path in (tmp_path / "thesis").iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("time: 30", "write timeout_min"),
        ("mem_per_cpu: 4G", "write mem_gb"),
        ("slurm_partition: gpu", "write partition"),
        ("array: 0-3", "repsim makes the arrays"),
        ("additional_parameters: x", "write its entries under slurm: themselves"),
        ("exclud: n1", "did you mean 'exclude'"),
        ("comment: 'a\n\n  b'", r"may not hold '\n'"),
        ("comment: '$(id)'", "may not hold '$'"),
        ("gres: 'gpu:2'", "write gpus_per_task"),
        ("export: NONE", "write env"),
    ],
)
def test_an_option_that_will_not_do_is_refused_before_anything_is_sent(here, fake, line, said):
    (here.profiles / "mine.yaml").write_text(f"gpus_per_task: 1\nslurm:\n  {line}\n")
    refused = submit("--yes")
    assert (refused.code, fake.jobs) == (2, {})
    assert str(here.profiles / "mine.yaml") in refused.err
    assert said in refused.err


def test_options_may_be_written_as_submitit_does(here):
    (here.profiles / "mine.yaml").write_text("slurm: {mail_type: FAIL, exclude: 'n[1-4]', exclusive: false}\n")
    assert load_profile(here.profiles, "mine").slurm == {"mail-type": "FAIL", "exclude": "n[1-4]", "exclusive": False}


def test_every_option_is_known_once():
    assert not (sbatchoptions.PASSED_ON & sbatchoptions.KEYS.keys() | sbatchoptions.PASSED_ON & sbatchoptions.OURS.keys())
    with pytest.raises(SpecError, match="sbatch has no option"):
        sbatchoptions.check({"zzz": 1}, 0, "x")


@pytest.mark.parametrize(
    ("sizes", "ceiling", "expected"),
    [([4, 100], 16, [4, 12]), ([9, 9, 9], 10, [4, 3, 3]), ([1, 1], 16, [1, 1]), ([5, 5, 5], 2, [1, 1, 1]), ([], 3, [])],
)
def test_a_ceiling_is_shared_so_that_none_of_it_is_left_over(sizes, ceiling, expected):
    assert shares.shared(sizes, ceiling) == expected


def test_a_faster_target_gets_more():
    assert [shares.dealt([1.0] * 6, [2.0, 1.0]).count(target) for target in (0, 1)] == [4, 2]


def test_frozen_code_that_was_changed_is_found_before_anything_is_sent(here, fake):
    submit("--yes")
    (frozen,) = here.code.iterdir()
    (frozen / "jobs" / "square.py").write_text("# edited\n")
    (here.sweeps / "squares.yaml").write_text(SQUARES.replace("0..3", "4..5"))
    refused = submit("--yes")
    assert (refused.code, len(fake.jobs)) == (2, 1)
    assert "changed after it was frozen" in refused.err


def test_uncommitted_changes_lie_with_the_code_that_holds_them(project):
    git = ["git", "-C", str(project.root), "-c", "user.name=x", "-c", "user.email=x@example.org"]
    for words in (["init", "-q"], ["add", "jobs"], ["commit", "-qm", "start"]):
        subprocess.run([*git, *words], check=True)
    assert code.identify(project).dirty is None
    (project.jobs / "square.py").write_text((project.jobs / "square.py").read_text() + "# changed\n")
    (project.jobs / "fresh.py").write_text("VERSION = 1\n")
    now = code.identify(project)
    diff = (code.freeze(project, now) / f"dirty-{now.dirty}.diff").read_text()
    assert diff.startswith(f"on commit {now.commit}\n")
    assert "+# changed" in diff
    assert "jobs/fresh.py" in diff
    assert code.freeze(project, now).name == now.code


def test_toy_rows_are_not_touched_by_pruning(here, fake):
    submit("--yes")
    fake.work()
    sweep = toy.open_sweep(here.sweeps / "squares.yaml", here)
    before = commandline.contents(here.store)
    (here.sweeps / "squares.yaml").write_text(SQUARES.replace("0..3", "1..3"))
    assert submit("--prune", "--yes", "--json").json["pruned"] == []
    assert commandline.contents(here.store) == before
    assert len(sweep.runs) == 8
