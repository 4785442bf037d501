"""One run in the foreground, as `sweep run --only` gives it."""

import pytest
import toy
from commandline import call, contents

from repsim import store

TEXT = "job: square\ngrid: {value: [1.0, 2.0]}\nzip: {batch: [0, 1], mood: [well, fails]}"


@pytest.fixture
def asked(project):
    """The sweep, and how to call `sweep run` on it."""
    sweep = toy.sweep(project, TEXT)
    return sweep, lambda *words: call("--project", project.root, "sweep", "run", "toy", "--device", "cpu", *words)


def test_a_missing_run_is_computed_alone_and_stored(project, asked):
    sweep, run = asked
    answer = run("--only", sweep.runs[0].id[:8], "--json")
    assert answer.code == 0 and answer.json["stored"] is None
    assert answer.json["now"]["square"] == 1.0
    (row,) = store.read(project.store, sweep.jobs["square"]).to_pylist()
    assert (row["run_id"], row["submission"]) == (sweep.runs[0].id, "foreground")
    assert [s.state for s in toy.states(project, sweep).values()].count("done") == 1


def test_a_stored_run_is_computed_again_shown_beside_and_changes_nothing(project, asked):
    sweep, run = asked
    toy.run(project, sweep)
    before = contents(project.root)
    answer = run("--only", sweep.runs[0].id)
    assert answer.code == 0 and "nothing was written" in answer.out
    assert "square   1.0  =  1.0" in answer.out
    assert contents(project.root) == before


def test_a_run_reads_networks_where_they_are_and_leaves_its_own_elsewhere(project):
    sweep = toy.sweep(project, "zoo: {arch: net, dataset: d, seeds: 0..1}\nlayers: relu1")
    call_it = ("--project", project.root, "sweep", "run", "toy", "--device", "cpu", "--only")
    waits = call(*call_it, sweep.runs[0].id)
    assert waits.code == 2 and "the run waits for" in waits.err
    toy.run(project, sweep)
    before = contents(project.root)
    assert call(*call_it, sweep.runs[0].id).code == 0
    assert call(*call_it, sweep.networks[0].id).code == 0
    assert contents(project.root) == before


def test_a_run_that_fails_shows_where_and_stores_nothing(project, asked):
    sweep, run = asked
    bad = next(one.id for one in sweep.runs if one.config.mood == "fails")
    with pytest.raises(ZeroDivisionError):
        run("--only", bad)
    answer = run("--only", bad, "--debug")
    assert answer.code == 1
    assert "ZeroDivisionError: no square today" in answer.err and "in _square" in answer.err
    assert not store.parts(project.store, "square")


def test_a_debugger_opens_on_a_terminal(asked, monkeypatch):
    sweep, run = asked
    seen = []
    monkeypatch.setattr("pdb.post_mortem", lambda trace: seen.append(trace.tb_next))
    monkeypatch.setattr("repsim.cli.again.sys", type("sys", (), {"stdin": Terminal(), "stderr": Terminal()}))
    assert run("--only", next(one.id for one in sweep.runs if one.config.mood == "fails"), "--debug").code == 1
    assert len(seen) == 1


class Terminal:
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--only", "zzz"], "the sweep has no run 'zzz'"),
        (["--only", ""], "4 runs begin with ''"),
        (["--debug"], "one run can be debugged at a time"),
    ],
)
def test_what_names_no_single_run_is_refused(asked, words, said):
    answer = asked[1](*words)
    assert answer.code == 2 and said in answer.err
