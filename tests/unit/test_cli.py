"""Every command from a person's view: what it prints as text and as JSON, how it ends, and that it can be repeated."""

import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import commandline
import pyarrow.parquet as pq
import pytest
import toy
from commandline import call

import repsim
from repsim import cost, job, store

STITCH = "zoo: {arch: net, dataset: d, seeds: 0..2}\nlayers: relu\ncases: {lin: {}, low: {stitcher: lowrank, rank: [1, 2]}}"
SQUARES = "job: square\ngrid: {batch: 0..3, value: [1.0, 2.0]}"


@pytest.fixture(autouse=True)
def without_slurm(monkeypatch):
    monkeypatch.setenv("PATH", "/usr/bin/nowhere")


@pytest.fixture
def here(project, monkeypatch):
    """The toy project as working directory, with three sweeps; nothing is computed."""
    for name, text in (("stitches", STITCH), ("squares", SQUARES)):
        (project.sweeps / f"{name}.yaml").write_text(text)
    monkeypatch.chdir(project.root)
    return project


def rows(project, name: str) -> list[dict]:
    return store.read(project.store, job.load(project.jobs, name)).to_pylist()


def ids(project, name: str) -> list[str]:
    return sorted(row["run_id"] for row in rows(project, name))


COMMANDS = {
    "sweep plan stitches": ("stitches: 36 runs between 3 networks", {"sweep", "runs", "states", "stages", "hours", "ids", "notes"}),
    "sweep submit stitches --dry-run": ("done 39", {"sweep", "profile", "states"}),
    "sweep run stitches": ("all is done: nothing left to compute", {"sweep", "groups", "failed", "left"}),
    "sweep dry-run stitches": ("dry run of stitches on", {"sweep", "steps", "seconds", "runs", "failed", "hours_at_most"}),
    "sweep status stitches": ("runs      done 36", {"sweep", "networks", "runs", "grid", "failures", "blocked", "tasks"}),
    "sweep status": ("networks  done 3", {"sweeps", "unreadable"}),
    "results aggregate stitches": ("36 of 36 runs →", {"file", "rows", "expected", "columns"}),
    "results table stitches": ("(6/6)", {"definition"}),
    "results plot stitches": ("stitches.png", {"file"}),
    "zoo list": ("trained: good", {"networks"}),
    "models layers net": ("BatchNorm2d", {"arch", "layers"}),
    "doctor": ("stitch 36", {"checks"}),
}


@pytest.fixture(scope="module")
def computed(tmp_path_factory):
    """A toy project whose sweep of stitches is complete."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("repsim.catalog._ask", toy.sheet)
        project = toy.make(tmp_path_factory.mktemp("computed") / "project")
        toy.run(project, toy.sweep(project, STITCH, "stitches"))
    return project


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_speaks_text_or_one_json_object(computed, monkeypatch, command):
    monkeypatch.setattr("repsim.catalog._ask", toy.sheet)
    monkeypatch.chdir(computed.root)
    said, keys = COMMANDS[command]
    text, as_json = call(*command.split()), call(*command.split(), "--json")
    assert (text.code, as_json.code) == (0, 0), text.err + as_json.err
    assert said in text.out
    assert keys <= as_json.json.keys() or command.startswith("results table")
    assert as_json.json


def test_help_and_version_end_well():
    assert call("--version").out == f"repsim {repsim.__version__}\n"
    for words in (["--help"], ["sweep", "--help"], ["results", "table", "--help"]):
        assert call(*words).code == 0
    assert call("sweep", "plot").code == call("sweep", "plan").code == call("sweep", "run", "x", "--limit", "0").code == 2


def test_a_sweep_is_named_by_name_or_path_from_anywhere(here, tmp_path, monkeypatch):
    wanted = call("sweep", "plan", "stitches", "--json").json["ids"]
    assert len(set(wanted)) == 36
    for spec in ("stitches.yaml", "sweeps/stitches.yaml", here.sweeps / "stitches.yaml"):
        assert call("sweep", "plan", spec, "--json").json["ids"] == wanted
    monkeypatch.chdir(tmp_path)
    assert call("sweep", "plan", here.sweeps / "stitches.yaml", "--json").json["ids"] == wanted
    assert call("--project", here.root, "sweep", "plan", "stitches", "--json").json["ids"] == wanted
    assert call("sweep", "plan", "stitches").code == 2


def test_a_plan_writes_nothing(here):
    before = commandline.contents(here.root)
    call("sweep", "plan", "stitches")
    call("sweep", "submit", "stitches", "--dry-run")
    assert commandline.contents(here.root) == before


def test_run_computes_what_is_missing_and_then_says_that_all_is_done(here):
    first = call("sweep", "run", "stitches", "--workers", "1")
    assert first.code == 0
    assert first.out.startswith("done: ")
    assert "stitch 100%" in first.err
    before = commandline.contents(here.results)
    again = call("sweep", "run", "stitches", "--workers", "1")
    assert (again.code, again.out) == (0, "all is done: nothing left to compute\n")
    assert commandline.contents(here.results) == before
    assert len(ids(here, "stitch")) == 36


def test_limit_takes_the_first_missing_runs_and_only_their_networks(here):
    planned = call("sweep", "plan", "stitches", "--json").json["ids"]
    assert call("sweep", "run", "stitches", "--limit", "2", "--workers", "1").code == 0
    assert ids(here, "stitch") == sorted(planned[:2])
    assert len(ids(here, "train")) == 2
    assert call("sweep", "run", "stitches", "--limit", "3", "--workers", "1").code == 0
    assert ids(here, "stitch") == sorted(planned[:5])


def test_two_workers_give_the_rows_of_one(here, tmp_path):
    other = toy.make(tmp_path / "other")
    (other.sweeps / "squares.yaml").write_text(SQUARES)
    assert call("sweep", "run", "squares", "--workers", "1").code == 0
    assert call("sweep", "run", other.sweeps / "squares.yaml", "--workers", "2").code == 0
    one, two = ({(r["run_id"], r["square"], r["group"]) for r in rows(p, "square")} for p in (here, other))
    assert one == two
    assert len(one) == 8


@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c_leaves_what_is_done_and_running_again_completes_it(here, workers):
    (here.sweeps / "slow.yaml").write_text("job: slow\ngrid: {value: 0..9}\nfixed: {seconds: 0.4}")
    child = commandline.start("sweep", "run", "slow", "--workers", workers, cwd=here.root)
    deadline = time.monotonic() + 60
    while not store.parts(here.store, "slow") and time.monotonic() < deadline:
        time.sleep(0.05)
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=60)
    assert child.returncode == 1, err
    assert "interrupted; see: repsim sweep status slow" in out
    assert "Traceback" not in err
    before = {path: path.read_bytes() for path in store.parts(here.store, "slow")}
    assert 1 <= len(before) < 10
    assert call("sweep", "status", "slow", "--json").json["runs"] == {"done": len(before), "new": 10 - len(before)}
    assert call("sweep", "run", "slow", "--workers", "1").code == 0
    assert sorted(row["value"] for row in rows(here, "slow")) == list(range(10))
    assert all(path.read_bytes() == content for path, content in before.items())


def test_a_failure_is_said_with_its_reason_and_left_alone_until_retried(here):
    (here.sweeps / "moods.yaml").write_text("job: square\ngrid: {value: [1.0]}\nzip: {batch: [0, 1], mood: [well, refuses]}")
    first = call("sweep", "run", "moods", "--workers", "1")
    assert first.code == 2
    assert "value: is no number\n  → give another" in first.err
    assert first.err.count("is no number") == 1
    again = call("sweep", "run", "moods", "--workers", "1", "--json")
    assert (again.code, again.json["groups"], again.json["left"]) == (1, {}, {"failed": 1})
    assert "to try again: repsim sweep retry moods" in again.err
    status = call("sweep", "status", "moods")
    assert "1 × missing_input: value: is no number" in status.out
    assert call("sweep", "retry", "moods", "--here", "--json").json["groups"] == {"failed": 1}
    assert call("sweep", "retry", "moods", "mood=well", "--here").code == 0


def test_a_dry_run_that_fails_gives_the_reasons_and_stores_nothing(here):
    (here.sweeps / "bad.yaml").write_text(STITCH.replace("seeds", "recipe: fails, seeds"))
    text, as_json = call("sweep", "dry-run", "bad"), call("sweep", "dry-run", "bad", "--json")
    assert text.code == as_json.code == 1
    assert "failed: RuntimeError: CUDA error" in text.out
    assert as_json.json["failed"] == ["RuntimeError: CUDA error: an illegal memory access was encountered"]
    assert not store.parts(here.store, "train")
    assert call("sweep", "status").out == "nothing was sent or run yet\n"


def test_a_dry_run_tells_what_the_whole_sweep_would_take(here):
    cases = "cases: {short: {seconds: [40.0]}, long: {seconds: [80.0]}}"
    (here.sweeps / "waits.yaml").write_text(f"job: slow\ngrid: {{value: 0..9}}\n{cases}")
    text, found = call("sweep", "dry-run", "waits"), call("sweep", "dry-run", "waits", "--steps", "4", "--json").json
    asleep = 10 * (40 + 80) / 3600  # a sleep never ends early; on a busy machine it ends late
    assert asleep - 1e-4 <= found["hours_at_most"] < 2 * asleep
    assert found["seconds"] < 20
    assert "all 20 runs: at most about 0." in text.out
    assert "at most" not in call("sweep", "dry-run", "squares").out


def test_a_plan_reckons_with_a_dry_run_until_rows_are_stored_and_says_with_what(here):
    (here.sweeps / "waits.yaml").write_text("job: slow\ngrid: {value: 0..9}\nfixed: {seconds: 0.4}")

    def basis():
        (one,) = call("sweep", "plan", "waits", "--json").json["forecast"]
        return one["source"], one["measured_runs"]

    assert basis() == ("prior", 0) and "a guess: no run of this kind" in call("sweep", "plan", "waits").out
    call("sweep", "dry-run", "waits", "--steps", "4")
    assert basis() == ("dry-run", 1)
    assert re.search(r"slow numbers: 0\.00\d h, from the first steps of 1 run", call("sweep", "plan", "waits").out)
    before = commandline.contents(here.store)
    assert before == {}
    call("sweep", "run", "waits", "--limit", "2", "--workers", "1")
    assert basis() == ("measured", 2) and "from 2 measured runs of this kind" in call("sweep", "plan", "waits").out


def test_a_dry_run_never_says_less_than_what_groups_are_reckoned_at_as_a_whole(here, monkeypatch):
    (here.sweeps / "waits.yaml").write_text("job: slow\ngrid: {value: 0..9}\nfixed: {seconds: 2.0}")
    monkeypatch.setattr(cost, "least", lambda job: 3600.0)
    found = call("sweep", "dry-run", "waits", "--steps", "4", "--json").json
    assert found["hours_at_most"] == pytest.approx(10 * 2.0)


def test_a_network_that_diverged_is_not_trained_again_and_its_stitches_say_why(here):
    (here.sweeps / "bad.yaml").write_text(STITCH.replace("seeds", "recipe: diverges, seeds"))
    assert call("sweep", "run", "bad", "--workers", "1").code == 1
    before = commandline.contents(here.store)
    again = call("sweep", "run", "bad", "--workers", "1")
    assert (again.code, again.out) == (1, "0 groups done, 36 runs blocked before; see: repsim sweep status bad\n")
    assert commandline.contents(here.store) == before
    status = call("sweep", "status", "bad")
    assert "networks  done 3\n  runs      blocked 36" in status.out
    assert "is done but left no network: it diverged" in status.out
    assert call("sweep", "plan", "bad", "--json").json["stages"] == []


def test_a_trained_network_that_is_lost_is_made_again_and_said_so(here):
    call("sweep", "run", "stitches", "--workers", "1")
    lost = next(here.artefacts.glob("*/network.pt"))
    before = commandline.contents(here.store)
    lost.unlink()
    plan = call("sweep", "plan", "stitches")
    assert f"1 network to be made again: {lost} is gone" in plan.out
    assert call("sweep", "run", "stitches", "--workers", "1").code == 0
    assert lost.read_bytes() == b"weights"
    assert commandline.contents(here.store) == before


def test_the_table_of_an_empty_store_shows_what_is_expected(here):
    table = call("results", "table", "stitches")
    assert (table.code, table.out.count("– (0/6)")) == (0, 6)
    assert call("results", "aggregate", "stitches").out.startswith("0 of 36 runs →")
    for format in ("markdown", "latex", "csv", "json"):
        assert call("results", "table", "stitches", "--format", format).code == 0


def test_a_table_can_be_turned_and_written(here, tmp_path):
    call("sweep", "run", "stitches", "--workers", "1")
    out = tmp_path / "new" / "table.csv"
    turned = ("--rows", "case", "--cols", "front_layer", "--format", "csv", "--out", out)
    assert call("results", "table", "stitches", *turned).out == ""
    lines = out.read_text().splitlines()
    assert {line.split(",")[0] for line in lines[1:]} == {"lin", "low 1", "low 2"}
    for extension in ("svg", "pdf"):
        assert call("results", "plot", "stitches", "--out", tmp_path / f"p.{extension}").code == 0
        assert (tmp_path / f"p.{extension}").stat().st_size > 1000


def test_a_column_of_lists_is_aggregated_and_is_no_value_of_a_table(here):
    call("sweep", "run", "stitches", "--workers", "1")
    merged = Path(call("results", "aggregate", "stitches", "--json").json["file"])
    assert pq.read_table(merged, columns=["curve"]).to_pydict()["curve"] == [[1.0]] * 36
    assert call("results", "table", "stitches", "--format", "csv").code == 0
    answer = call("results", "table", "stitches", "--value", "curve")
    assert (answer.code, answer.out) == (2, "")
    assert "column 'curve' holds lists\n  → choose a --value of single numbers" in answer.err


def test_status_of_all_sweeps_passes_over_a_file_that_no_longer_loads(here):
    for name in ("stitches", "squares"):
        call("sweep", "run", name, "--workers", "1")
    (here.sweeps / "squares.yaml").write_text("job: squares")
    status = call("sweep", "status")
    assert status.code == 0
    assert "stitches\n  networks  done 3" in status.out
    assert "there is no job 'squares'" in status.out
    found = call("sweep", "status", "--json").json
    assert [one["sweep"] for one in found["sweeps"]] == ["stitches"]
    assert "did you mean 'square'" in found["unreadable"][0]


@pytest.fixture
def collection(tmp_path):
    """Three files to import: two good, one not."""
    for name, content in (("a.pt", b"first"), ("b.pt", b"broken"), ("c.pt", b"third")):
        (tmp_path / "files").mkdir(exist_ok=True)
        (tmp_path / "files" / name).write_bytes(content)
    return tmp_path / "files"


def test_an_import_adopts_what_fits_and_names_what_does_not(here, collection):
    words = ("zoo", "import", collection, "--arch", "net", "--dataset", "d", "--name", "mine", "--device", "cpu")
    first = call(*words)
    assert first.code == 2
    assert "1 of 3 files refused" in first.err
    assert (first.out + first.err).count(f"{collection / 'b.pt'}: is no checkpoint") == 1
    assert "the others are in" in first.err
    assert "Traceback" not in first.err
    listed = call("zoo", "list", "--json").json["networks"]
    assert [(one["arch"], one["seed"], one["made"]) for one in listed] == [
        ("net", 0, "imported: mine"),
        ("net", 2, "imported: mine"),
    ]
    assert [Path(one["file"]).read_bytes() for one in listed] == [b"first", b"third"]
    (collection / "b.pt").unlink()
    assert call(*words[:2], collection / "a.pt", *words[3:]).err == "  0 new, 1 in all\n"
    assert not list((here.artefacts / "imports").iterdir())


def test_an_imported_network_that_is_lost_is_named_and_mended_by_importing_it_again(here, collection):
    words = ("zoo", "import", collection / "a.pt", collection / "c.pt", "--arch", "net", "--dataset", "d", "--name", "mine")
    assert call(*words).code == 0
    (here.sweeps / "mine.yaml").write_text("zoo: {arch: net, dataset: d, imported: mine, seeds: [0, 1]}\nlayers: relu1")
    assert call("sweep", "plan", "mine").code == 0
    lost = Path(call("zoo", "list", "--json").json["networks"][0]["file"])
    lost.unlink()
    before = commandline.contents(here.store)
    for command in ("plan", "run", "dry-run"):
        answer = call("sweep", command, "mine")
        assert (answer.code, answer.out) == (2, "")
        assert f"{lost}: the imported network is gone: net, seed 0" in answer.err
        assert "repsim zoo import PATH --arch net --dataset d --name mine" in answer.err
    assert "is done but left no network: its file is gone" in call("sweep", "status", "mine").out
    assert call(*words).code == 0
    assert lost.read_bytes() == b"first"
    assert commandline.contents(here.store) == before
    assert call("sweep", "run", "mine", "--workers", "1").code == 0


def test_what_changes_something_is_not_done_unasked(here, tmp_path, monkeypatch):
    (here.profiles / "cluster.yaml").write_text("cluster: slurm\ndevice: cpu")
    monkeypatch.setenv("PATH", f"{commandline.slurm(tmp_path / 'bin')}:/usr/bin:/bin")
    answer = call("sweep", "submit", "squares", "--profile", "cluster")
    assert answer.code == 2
    assert "nobody can be asked here\n  → say --yes" in answer.err
    assert not list(here.submissions.glob("repsim-*"))


def test_submit_sends_once_and_cancel_takes_it_back(here, tmp_path, monkeypatch):
    """Real Slurm has tests of its own; here a queue that is a file shows what people are told."""
    queue, cancelled = tmp_path / "queue", tmp_path / "cancelled"
    queue.write_text("")
    scripts = {"sbatch": "echo Submitted batch job 17", "squeue": f"cat {queue}", "scancel": f'echo "$@" > {cancelled}'}
    monkeypatch.setenv("PATH", f"{commandline.slurm(tmp_path / 'bin', sinfo='echo slurm 24.05', **scripts)}:/usr/bin:/bin")
    (here.profiles / "cluster.yaml").write_text("cluster: slurm\ndevice: cpu\nmin_tasks: 2")
    words = ("sweep", "submit", "squares", "--profile", "cluster", "--yes")
    sent = call(*words)
    assert sent.code == 0, sent.err
    assert sent.out.splitlines()[0] == "sent 8 runs in 2 tasks: job 17 (runs)"
    (one,) = here.submissions.glob("repsim-*")
    queue.write_text("".join(f"17_{i}|{i}|PENDING|Resources||{one.name}\n" for i in range(2)))
    again = call(*words, "--json")
    assert (again.code, again.json["sent"]) == (0, [])
    assert call(*words).out == "nothing to submit: 8 runs under way\n"
    status = call("sweep", "status", "squares", "--json").json
    assert (status["runs"], [task["state"] for task in status["tasks"]]) == ({"pending": 8}, ["PENDING"] * 2)
    assert call("sweep", "cancel", "squares", "batch=0", "--yes", "--json").json == {"cancelled": ["17_0"]}
    assert cancelled.read_text() == "17_0\n"


def test_json_goes_to_stdout_and_words_to_stderr(here):
    answer = call("sweep", "run", "squares", "--workers", "1", "--json")
    assert json.loads(answer.out)["groups"] == {"done": 4}
    assert answer.err.startswith("squares: 8 runs\n")


def test_a_damaged_part_is_named_once_by_a_command_that_reads_the_store_twice(here):
    damaged = here.store / "job=square" / "dataset=none" / "text.parquet"
    damaged.parent.mkdir(parents=True)
    damaged.write_text("hello")
    answer = call("sweep", "status", "squares")
    assert (answer.code, answer.err.count("text.parquet")) == (0, 1)


def test_a_character_that_the_terminal_lacks_is_spelt_out(here):
    plain = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    command = [*commandline.CHILD, "sweep", "plan", "squares"]
    done = subprocess.run(command, cwd=here.root, env=plain, capture_output=True, check=False)
    assert (done.returncode, b"\\u2192" in done.stdout) == (0, True), done


def test_the_cost_of_a_plan_adds_up_with_what_the_tasks_need_to_start(here):
    said = call("sweep", "plan", "squares").out
    total = float(re.search(r"about ([\d.]+) task-hours", said)[1])
    parts = [float(hours) for hours in re.findall(r": ([\d.e-]+) h\b", said)]
    assert total == pytest.approx(sum(parts), abs=0.01)


def test_a_table_of_networks_at_layers_has_the_layers_in_their_order(here):
    (here.sweeps / "probes.yaml").write_text("job: probe\nzoo: {arch: net, dataset: d, seeds: 0..2}\nlayers: ['*2', conv1]")
    call("sweep", "run", "probes", "--workers", "1")
    found = call("results", "table", "probes", "--format", "csv").out.splitlines()
    assert [line.split(",")[0] for line in found] == ["layer", "conv1", "conv2", "bn2", "relu2"]
    assert {line.split(",")[4] for line in found[1:]} == {"51.0"}
    assert "conv2" in call("sweep", "status", "probes").out
