"""What users of other tools ask for and repsim claims: one test for each, by its number in the design of the orchestration.

Those that other files show are named in SHOWN; the rest is shown here, from end to end: commands as people give them, batch scripts
as Slurm would run them, and a Slurm that is none. Gap 21 (a report of idle GPUs for each configuration) is not claimed.
"""

import ast
import os
import time
from functools import cache
from pathlib import Path

import pytest
import toy
from commandline import call

from repsim import store
from repsim.sweep.expand import Sweep

FOLDER = Path(__file__).parent
CLAIMED = {*range(1, 25)} - {21}
HERE = {1, 7, 13, 18, 22, 24}
SHOWN = {
    1: ["test_plan.packing_loses_and_doubles_no_group_and_is_near_the_best"],
    2: [
        "test_worker.a_group_is_handed_back_when_time_is_short_but_a_fresh_task_begins_any",
        "test_worker.a_group_too_long_for_a_whole_task_fails_instead_of_coming_back_for_ever",
        "test_plan.no_group_is_planned_that_no_task_has_the_time_for",
    ],
    3: ["test_sending.large_sweeps_are_split_into_arrays_that_share_the_limit"],
    4: ["test_budget.submit_refuses_beyond_the_budget_and_sends_nothing", "test_plan.measured_runs_replace_the_guess_of_the_job"],
    5: [
        "test_sending.a_job_whose_answer_is_lost_is_found_by_its_name_and_never_sent_twice",
        "test_sending.a_submit_killed_before_it_heard_the_answer_leaves_a_job_that_is_whole",
    ],
    6: ["test_reconcile.a_wider_sweep_computes_only_what_is_new", "test_sending.submitting_twice_sends_nothing_twice"],
    8: [
        "test_worker_breaker.ten_failures_in_a_row_stop_the_task_and_say_why",
        "test_cli_halt.a_breaker_that_tripped_is_shown_with_its_error_an_example_and_the_way_on",
    ],
    9: ["test_sweep.blocks_are_evaluated_in_the_documented_order"],
    10: [
        "test_sweep.every_cell_has_one_seed_before_any_has_two",
        "test_sweep.a_shuffle_moves_runs_by_its_seed_and_changes_no_id",
    ],
    11: [
        "test_steer.the_list_of_causes_is_closed_and_each_has_one_rule",
        "test_worker_restarts.three_preemptions_with_nothing_done_are_a_failure_and_two_are_not",
    ],
    12: ["test_nodes.submissions_avoid_a_node_after_two_faults_and_not_after_one"],
    13: [
        "test_sending.a_chained_task_whose_networks_failed_is_blocked_and_ends_well",
        "test_sending.trainings_go_first_and_with_chain_their_stitches_wait_behind_them",
    ],
    14: [
        "test_store_compaction.readers_writers_and_two_merges_at_once_agree_on_every_row",
        "test_store.the_second_copy_of_a_part_does_not_replace_the_first",
        "test_store.an_older_part_without_a_column_reads_as_null",
    ],
    15: ["test_identity.a_new_field_with_a_default_leaves_ids_alone", "test_identity.ids_of_stored_runs_never_change"],
    16: [
        "test_queued.commands_within_half_a_minute_share_one_question",
        "test_accounting.without_sacct_the_cause_is_unknown_and_the_run_is_sent_again",
        "test_accounting.a_job_of_a_stranger_with_our_id_is_not_ours",
    ],
    17: [
        "test_local.every_card_has_one_process_that_sees_it_alone",
        "test_cli.a_dry_run_tells_what_the_whole_sweep_would_take",
    ],
    19: [
        "test_notify.it_is_told_once_what_finished_what_failed_and_for_how_long",
        "test_notify.of_many_who_see_the_end_one_tells",
    ],
    20: ["test_seeing.the_queue_folds_an_array_to_one_line_and_gives_reasons_in_words"],
    23: ["test_help.help_imports_nothing_that_it_does_not_need_and_takes_no_time"],
}
PROFILE = "cluster: slurm\ndevice: cpu\nmem_gb: 1\nmin_tasks: {tasks}\n"


@cache
def shown_by(file: str) -> set[str]:
    """Names of the test functions of a file, without `test_`."""
    tree = ast.parse((FOLDER / f"{file}.py").read_text())
    return {node.name.removeprefix("test_") for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.fixture
def here(project, fake, monkeypatch):
    """The toy project as working directory, with a profile of one task."""
    monkeypatch.chdir(project.root)
    (project.profiles / "cluster.yaml").write_text(PROFILE.format(tasks=1))
    return project


def submitted(project, text: str, *words: str) -> Sweep:
    """The sweep of this text, sent as people send it."""
    sweep = toy.sweep(project, text)
    answer = call("sweep", "submit", "toy", "--yes", "--profile", "cluster", *words)
    assert answer.code == 0, answer.err
    return sweep


def rows(project, job: str) -> list[str]:
    """The runs that are stored, by the part that holds them."""
    import pyarrow.parquet as pq

    return [
        run for part in store.parts(project.store, job) for run in pq.read_table(part, columns=["run_id"])["run_id"].to_pylist()
    ]


def counts(*words: str) -> dict[str, int]:
    """Runs by state, as `status --json` says."""
    answer = call("sweep", "status", "toy", "--json", *words)
    assert answer.code == 0, answer.err
    return {state: number for state, number in answer.json["runs"].items() if number}


def test_every_gap_that_is_claimed_has_its_test():
    assert {*SHOWN, *HERE} == CLAIMED
    missing = [name for names in SHOWN.values() for name in names if name.partition(".")[2] not in shown_by(name.partition(".")[0])]
    assert missing == []
    assert all(any(name.startswith(f"gap_{gap}_") for name in shown_by("test_gaps")) for gap in HERE)


def test_gap_1_a_pack_of_many_runs_goes_on_after_a_preemption_and_computes_nothing_twice(here, fake):
    sweep = submitted(here, "job: slow\ngrid: {value: 0..7}\nfixed: {seconds: 0.3}")
    (element,) = fake.elements
    process = fake.begin(element)
    while not rows(here, "slow"):
        assert process.poll() is None
        time.sleep(0.05)
    fake.preempt(element)
    fake.finish(element, process)
    before = rows(here, "slow")
    assert 0 < len(before) < 8, "what was finished is stored, what was not is not"
    assert fake.work() == [element]
    assert sorted(rows(here, "slow")) == sorted(run.id for run in sweep.runs)
    parts = store.read(here.store, sweep.jobs["slow"], ["run_id", "attempt"]).to_pylist()
    assert {row["run_id"] for row in parts if row["attempt"] == 0} == set(before)


def test_gap_7_after_submit_nothing_of_it_need_live_until_the_sweep_is_done(here, fake):
    submitted(here, "job: square\ngrid: {value: [1.0, 2.0, 3.0]}")
    assert [words for words in fake.asked("sbatch") if "--wait" in words] == []
    fake.work()  # nobody else is at work
    assert counts() == {"done": 3}


def test_gap_13_a_stitch_behind_a_training_that_failed_ends_in_seconds_and_waits_for_nothing(here, fake):
    spec = "zoo: {arch: net, dataset: d, seeds: 0..1, recipe: fails}\nlayers: relu1\npairs: unordered\ncases: {plain: {}}"
    submitted(here, spec, "--chain")
    assert {e["reason"] for e in fake.elements.values()} == {"None", "Dependency"}
    fake.work()
    assert sorted(fake.states().values()) == ["COMPLETED", "FAILED"], "no training, but no stitch is stuck"
    assert counts() == {"blocked": 1}


def test_gap_18_what_slurm_calls_completed_is_done_only_with_its_rows_and_a_failure_is_one_to_slurm_as_well(here, fake):
    submitted(here, "job: square\ngrid: {value: [1.0], mood: [well, fails]}\nzip: {batch: [0]}")
    fake.end("100")
    assert counts() == {"new": 2}
    assert call("sweep", "submit", "toy", "--yes", "--profile", "cluster").code == 0
    assert fake.work() == ["101"]
    assert fake.states()["101"] == "FAILED"
    assert counts() == {"failed": 2}


@pytest.mark.parametrize("runs", [4, 40])
def test_gap_22_files_are_counted_by_task_not_by_run(here, fake, runs):
    submitted(here, f"job: square\ngrid: {{value: 1..{runs}}}")
    fake.work()
    files = [path for path in here.submissions.rglob("*") if path.is_file()]
    assert counts() == {"done": runs}
    assert len(files) <= 12, sorted(map(str, files))
    assert len(store.parts(here.store, "square")) == 1


def test_gap_24_sent_from_inside_a_job_an_array_inherits_nothing_of_that_job(here, fake, monkeypatch):
    inside = {"SLURM_JOB_ID": "7", "SLURM_MEM_PER_CPU": "100", "SBATCH_PARTITION": "nowhere", "SRUN_DEBUG": "3"}
    for key, value in inside.items():
        monkeypatch.setenv(key, value)
    monkeypatch.setenv("SLURM_CONF", "/etc/slurm/slurm.conf")
    submitted(here, "job: square\ngrid: {value: [1.0]}")
    (job,) = fake.jobs.values()
    assert job["inherited"] == ["SLURM_CONF"]
    assert os.environ["SLURM_JOB_ID"] == "7"
