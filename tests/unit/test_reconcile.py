"""From a sweep to work under way: here, on a Slurm of this test's own, and again without doing anything twice."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import toy

from repsim import code, imports, job, reconcile, store, submission
from repsim.errors import InputError, SpecError, UserError
from repsim.profile import Profile, load_profile
from repsim.state import State

STITCH = "zoo: {arch: net, dataset: d, seeds: 0..2}\nlayers: relu1\ncases: {lin: {}, low: {stitcher: lowrank, rank: [1, 2]}}"
PROFILE = Profile(device="cpu", min_tasks=2, pack_min=1.0)


def test_a_sweep_is_computed_here_networks_first_and_then_nothing_is_left(project):
    sweep = toy.sweep(project, STITCH)
    assert toy.run(project, sweep) == ["done"] * (3 + 6)
    assert {s.state for s in toy.states(project, sweep).values()} == {State.DONE}
    rows = store.read(project.store, sweep.jobs["stitch"]).to_pylist()
    assert {row["run_id"] for row in rows} == {run.id for run in sweep.runs}
    assert {(row["front_seed"], row["end_seed"]): round(100 * row["penalty"]) for row in rows} == {
        (a, b): abs(a - b) for a in range(3) for b in range(3) if a != b
    }
    before = sorted(project.results.rglob("*"))
    assert toy.run(project, sweep) == []
    assert sorted(project.results.rglob("*")) == before


def test_a_wider_sweep_computes_only_what_is_new(project):
    toy.run(project, toy.sweep(project, STITCH))
    wider = toy.sweep(project, STITCH.replace("rank: [1, 2]", "rank: [1, 2, 3]").replace("0..2", "0..3"), "wider")
    made = toy.plan(project, wider)
    assert [stage.runs for stage in made.stages] == [1, 6, 24]
    assert made.counts[State.DONE] == 3 + 18
    toy.run(project, wider)
    assert len(store.read(project.store, wider.jobs["stitch"])) == 12 * 4


def test_processes_side_by_side_give_the_rows_that_one_process_gives(project, tmp_path):
    text = "job: square\ngrid: {batch: 0..3, value: [1.0, 2.0]}"
    other = toy.make(tmp_path / "other")
    alone, beside = toy.sweep(project, text), toy.sweep(other, text)
    assert toy.run(project, alone) == ["done"] * 4
    heard: list[tuple[str, float]] = []
    outcomes = reconcile.run_here(other, beside, toy.plan(other, beside), "cpu", 2, lambda g, f, t: heard.append((g, f)))
    assert outcomes == ["done"] * 4
    assert len({group for group, fraction in heard if fraction == 1.0}) == 4
    columns = ["run_id", "square", "value", "group"]
    one, two = (store.read(p.store, alone.jobs["square"], columns).to_pylist() for p in (project, other))
    assert sorted(one, key=str) == sorted(two, key=str)


def test_a_failed_network_blocks_its_stitches_and_no_other(project):
    (project.jobs / "train.py").write_text(
        (project.jobs / "train.py").read_text().replace('if config.recipe == "fails":', "if config.seed == 2:")
    )
    sweep = toy.sweep(project, STITCH)
    outcomes = toy.run(project, sweep)
    assert (outcomes.count("done"), outcomes.count("failed"), outcomes.count("blocked")) == (2 + 2, 1, 4)
    shown = [s.state for s in toy.states(project, sweep).values()]
    assert (shown.count(State.DONE), shown.count(State.FAILED), shown.count(State.BLOCKED)) == (2 + 6, 1, 12)
    assert toy.plan(project, sweep).stage("networks") is None
    assert toy.plan(project, sweep, also=(State.FAILED,)).stages[0].runs == 1


def test_a_diverged_network_is_done_and_says_why_its_stitches_wait(project):
    sweep = toy.sweep(project, STITCH.replace("seeds: 0..2}", "seeds: 0..1, recipe: diverges}"))
    toy.run(project, sweep)
    waiting = [s for s in toy.states(project, sweep).values() if s.state is State.BLOCKED]
    assert len(waiting) == 6
    assert "left no network: it diverged" in (waiting[0].message or "")


def test_a_retry_computes_what_failed(project):
    sweep = toy.sweep(project, "job: square\ngrid: {value: [1.0]}\nzip: {batch: [0, 1], mood: [well, fails]}")
    assert sorted(toy.run(project, sweep)) == ["done", "failed"]
    assert toy.run(project, sweep) == []
    assert toy.run(project, sweep, also=(State.FAILED,)) == ["failed"]
    assert [s.state for s in toy.states(project, sweep).values()] == [State.DONE, State.FAILED]


def test_ctrl_c_stops_at_the_next_step_and_the_next_run_goes_on(project):
    sweep = toy.sweep(project, "job: square\ngrid: {batch: 0..3, value: [1.0, 2.0]}")
    heard: list[str] = []

    def listen(group: str, fraction: float, text: str) -> None:
        heard.append(group)
        if len(set(heard)) == 2 and fraction < 1:
            os.kill(os.getpid(), signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    outcomes = reconcile.run_here(project, sweep, toy.plan(project, sweep), "cpu", 1, listen)
    assert outcomes == ["done", "interrupted", "interrupted", "interrupted"]
    assert signal.getsignal(signal.SIGINT) == before
    assert toy.run(project, sweep) == ["done"] * 3


def test_a_stop_between_two_stages_is_not_taken_for_the_end(project):
    sweep = toy.sweep(project, STITCH)

    def listen(group: str, fraction: float, text: str) -> None:
        if fraction == 1.0 and len(store.parts(project.store, "train")) == 3:
            os.kill(os.getpid(), signal.SIGINT)

    outcomes = reconcile.run_here(project, sweep, toy.plan(project, sweep), "cpu", 1, listen)
    assert outcomes == ["done"] * 3 + ["interrupted"] * 6


def test_a_local_run_that_breaks_off_is_closed(project):
    sweep = toy.sweep(project, "job: square\ngrid: {value: [1.0]}")
    made = toy.plan(project, sweep)
    (project.jobs / "square.py").write_text((project.jobs / "square.py").read_text() + "\n")
    with pytest.raises(UserError, match="not the one that was submitted"):
        reconcile.run_here(project, sweep, made, "cpu", 1, lambda *_: None)
    assert all(one.closed for one in submission.every(project.submissions))


BESIDE = """
import sys
from pathlib import Path
import toy
from repsim import reconcile

if __name__ == "__main__":
    project = toy.Project(Path(sys.argv[1]))
    sweep = toy.open_sweep(project.sweeps / "waits.yaml", project)
    reconcile.run_here(project, sweep, toy.plan(project, sweep), "cpu", 2, lambda *_: print("step", flush=True))
"""


def test_processes_whose_parent_was_killed_leave_at_their_next_step(project, tmp_path):
    """Else they would go on, unknown to everyone, while the next command computes the same."""
    sweep = toy.sweep(project, "job: slow\ngrid: {value: [0, 1], seconds: [60.0]}", "waits")
    (tmp_path / "beside.py").write_text(BESIDE)
    parent = subprocess.Popen(
        [sys.executable, str(tmp_path / "beside.py"), str(project.root)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": f"{Path(toy.__file__).parent}:{Path(toy.__file__).parents[2]}"},
    )
    assert parent.stdout and parent.stdout.readline() == b"step\n"
    (one,) = submission.every(project.submissions)
    until(lambda: len(one.events()) == 2)
    parent.kill()
    parent.wait()
    until(lambda: [event.get("outcome") for event in one.events()] == [None, None, "interrupted", "interrupted"])
    assert {s.state for s in toy.states(project, sweep).values()} == {State.NEW}


def until(holds, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_only_one_submit_is_at_work_in_a_project(project):
    with reconcile.locked(project), pytest.raises(UserError, match="another submit"), reconcile.locked(project):
        pass
    with pytest.raises(KeyError), reconcile.locked(project):
        raise KeyError
    with reconcile.locked(project):  # whatever ended the last one
        pass


def test_a_place_where_nothing_can_be_written_is_a_user_error(project):
    project.results.mkdir()
    project.submissions.write_text("a file")
    with pytest.raises(UserError, match="cannot be written"), reconcile.locked(project):
        pass
    with pytest.raises(UserError, match="cannot be written"):
        submission.create(project.submissions, "s", {})


def test_code_is_frozen_once_per_content(project):
    now = code.identify(project)
    home = code.freeze(project, now)
    assert code.freeze(project, now) == home
    (project.jobs / "square.py").write_text((project.jobs / "square.py").read_text() + "# changed\n")
    later = code.identify(project)
    assert later.code != now.code
    assert code.freeze(project, later) != home
    assert sorted(p.name for p in project.code.iterdir()) == sorted([now.code, later.code])
    assert not list(home.rglob("__pycache__"))


def test_a_profile_is_found_by_name_and_checked(project):
    (project.profiles / "bad.yaml").write_text("timeout_min: 1\nsignal_s: 90\n")
    (project.profiles / "typo.yaml").write_text("timeuot_min: 1\n")
    assert load_profile(project.profiles, "local").cluster == "local"
    for name, said in (("locl", "did you mean 'local'"), ("bad", "signal_s is 90 s"), ("typo", "did you mean 'timeout_min'")):
        with pytest.raises(SpecError, match=said):
            load_profile(project.profiles, name)


NOTHING = imports.Said()
PUBLISHED = ["Tiny10/CIFAR10/in4-gn2/final.pt", "Tiny10/CIFAR10/in5-gn3/final.pth", "ResNet20_w1/CIFAR10/in7-gn7/final.pt"]


@pytest.fixture
def collection(tmp_path):
    """Checkpoints as the published collections lay them out, with what a crawl of a disk also finds."""
    for name in PUBLISHED:
        (tmp_path / "zoo" / name).parent.mkdir(parents=True)
        (tmp_path / "zoo" / name).write_bytes(name.encode())
    (tmp_path / "zoo" / "README.md").write_text("words")
    (tmp_path / "zoo" / "Tiny10" / "CIFAR10" / "in4-gn2" / "._final.pt").write_bytes(b"of a Mac")
    return tmp_path / "zoo"


def test_published_collections_tell_architecture_and_seeds_by_their_folders(collection, monkeypatch):
    found = {(f.arch, f.width, f.seed, f.data_seed) for f in imports.find([collection], NOTHING)}
    assert found == {("tiny10", None, 4, 2), ("tiny10", None, 5, 3), ("resnet20_b", 1, 7, 7)}
    monkeypatch.chdir(collection / "Tiny10" / "CIFAR10" / "in4-gn2")
    assert [(f.arch, f.seed) for f in imports.find([Path("final.pt")], NOTHING)] == [("tiny10", 4)]


def test_files_with_no_seed_in_their_names_are_numbered(tmp_path):
    for name in ("b.pt", "a.pt"):
        (tmp_path / name).write_bytes(b"x")
    assert [(f.path.name, f.arch, f.width, f.seed) for f in imports.find([tmp_path], imports.Said("net", 8))] == [
        ("a.pt", "net", 8, 0),
        ("b.pt", "net", 8, 1),
    ]


def test_what_cannot_be_imported_is_named(collection, tmp_path):
    for number in (1, 2):
        (collection / "Tiny10" / "CIFAR10" / "in4-gn2" / f"{number}.pt").write_bytes(b"x")
    (tmp_path / "empty").mkdir()
    (tmp_path / "x.pt").write_bytes(b"x")
    for paths, said, kind in (
        ([collection], r"in4-gn2/1.pt. and .*in4-gn2/2.pt. have the same architecture and seed", UserError),
        ([tmp_path / "empty"], "holds no checkpoint", InputError),
        ([tmp_path / "absent"], "no such file or folder", InputError),
        ([tmp_path / "x.pt"], "does not tell the architecture", InputError),
    ):
        with pytest.raises(kind, match=said):
            imports.find(paths, NOTHING)


def test_an_import_becomes_a_network_of_the_zoo_named_by_its_content(project, collection):
    (collection / PUBLISHED[0]).write_bytes(b"broken")
    importer = job.load(project.jobs, "import_network")
    found = [f for f in imports.find([collection], NOTHING) if f.arch == "tiny10"]
    sweep = imports.sweep_of(project, importer, [replace(f, arch="net", dataset="d") for f in found], "pub")
    digest = hashlib.sha256(PUBLISHED[1].encode()).hexdigest()
    assert digest in {run.config.model_dump()["digest"] for run in sweep.runs}
    assert sorted(toy.run(project, sweep)) == ["done", "failed"]
    imports.unstage(project, [run.config.model_dump()["digest"] for run in sweep.runs])
    assert list((project.artefacts / "imports").iterdir()) == []
    stitches = toy.sweep(project, "zoo: {arch: net, dataset: d, imported: pub, seeds: 5}\npairs: self\nlayers: relu1")
    assert [(run.id, run.job) for run in stitches.networks] == [(sweep.runs[1].id, "import_network")]
    assert toy.run(project, stitches) == ["done"]
    with pytest.raises(SpecError, match="no imported network is called pub: net, d, seed 4"):
        toy.sweep(project, "zoo: {arch: net, dataset: d, imported: pub, seeds: 4..5}\nlayers: relu1")


def test_ten_thousand_runs_are_opened_judged_and_planned_in_seconds(project):
    began = time.perf_counter()
    sweep = toy.sweep(project, "zoo: {arch: net, dataset: d, seeds: 0..31}\nlayers: relu\ngrid: {seed: 0..4}")
    made = toy.plan(project, sweep)
    assert (len(sweep.runs), made.stages[2].runs) == (9920, 9920)
    assert time.perf_counter() - began < 8
