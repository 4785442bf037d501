"""A sweep whose groups fail one after the other with one error is stopped by a file, and goes on when that is taken away."""

import json
import threading

import pytest
import toy
from tasks import pack, parts, rows, squares

from repsim import orders, store, stored, worker
from repsim.breaker import OF_ALL, ROW, Breaker
from repsim.journal import Journal
from repsim.orders import Lookout, Stop


def moods(project, *said: tuple[str, int]):
    """A sweep with so many groups of each mood, in this order."""
    each = [mood for mood, count in said for _ in range(count)]
    return squares(project, f"zip: {{batch: {list(range(len(each)))}, mood: [{', '.join(each)}]}}\nfixed: {{value: 2.0}}")


def test_ten_failures_in_a_row_stop_the_task_and_say_why(project):
    sweep = moods(project, ("well", 1), ("fails", 15), ("well", 4))
    one, said = toy.submission(project, sweep), []
    assert pack(one, log=said.append).run() == ["done"] + ROW * ["failed"] + 9 * ["interrupted"]
    why = orders.stop_of(one)
    assert why and (why.by, why.count, why.cause) == ("breaker", ROW, "code")
    assert why.message == "ZeroDivisionError: no square today"
    assert why.run in {run.id for run in sweep.runs if run.config.model_dump()["mood"] == "fails"}
    assert [line for line in said if "groups failed one after the other with the same error (code): ZeroDivisionError" in line]


def test_nine_failures_in_a_row_or_ten_of_several_kinds_stop_nothing(project):
    few = moods(project, ("fails", ROW - 1), ("well", 1), ("fails", ROW - 1))
    one = toy.submission(project, few)
    assert "interrupted" not in pack(one).run()
    kinds = moods(project, ("fails", 6), ("memory", 6))
    other = toy.submission(project, kinds)
    assert pack(other).run() == 12 * ["failed"]
    assert orders.stop_of(one) is orders.stop_of(other) is None


def test_the_first_twenty_of_a_submission_stop_all_its_tasks(project):
    sweep = moods(project, ("fails", 4 * 6))
    one = toy.submission(project, sweep, min_tasks=4)
    assert [len(task) for task in one.plan["tasks"]] == 4 * [6]
    outcomes = [pack(one, index).run() for index in range(4)]
    assert outcomes[:3] == 3 * [6 * ["failed"]]
    assert outcomes[3] == 2 * ["failed"] + 4 * ["interrupted"], "the twentieth failure of all"
    why = orders.stop_of(one)
    assert why and why.count == OF_ALL


def test_a_success_in_between_begins_the_count_anew(project):
    sweep = moods(project, ("fails", 23), ("well", 1))
    one = toy.submission(project, sweep, min_tasks=4)
    tasks = range(len(one.plan["tasks"]))
    lucky = next(i for i in tasks if '"well"' in json.dumps(one.plan["tasks"][i]))
    order = [i for i in tasks if i != lucky]
    outcomes = [pack(one, index).run() for index in [*order[:2], lucky, order[2]]]
    assert not any("interrupted" in task for task in outcomes)


def test_twenty_failures_in_a_row_stop_a_submission_that_began_well(project):
    """Tasks of one group each: none of them sees ten."""
    sweep = moods(project, ("well", 3), ("fails", 25))
    one = toy.submission(project, sweep, min_tasks=28)
    well = [i for i, task in enumerate(one.plan["tasks"]) if '"well"' in json.dumps(task)]
    rest = [i for i in range(28) if i not in well]
    assert [pack(one, index).run() for index in well] == 3 * [["done"]]
    assert [pack(one, index).run() for index in rest] == 20 * [["failed"]] + 5 * [["interrupted"]]


def test_the_count_goes_on_in_a_fresh_process(project):
    one = toy.submission(project, moods(project, ("fails", 12)))
    journal = Journal(one, 0, 0)
    for group in one.plan["tasks"][0][:9]:
        journal.write(event="end", group=group["id"], outcome="failed", cause="code", message="ZeroDivisionError: no square today")
    assert pack(one).run() == 10 * ["failed"] + 2 * ["interrupted"]


def test_once_a_stop_is_taken_away_only_what_fails_after_that_counts(project):
    """Of its own task in this process and in a fresh one, and of all tasks."""
    one = toy.submission(project, moods(project, ("fails", 60)), min_tasks=3)
    task = pack(one)
    assert task.run().count("failed") == ROW
    assert orders.resume(one)
    breaker = task.breaker
    again = [breaker.heard("failed", "code", "ZeroDivisionError: no square today", "abc") for _ in range(ROW)]
    assert again[:-1] == (ROW - 1) * [None] and again[-1]
    assert orders.resume(one)
    assert pack(one, 1).run().count("failed") == ROW, "and not at the first, as twenty failed before"


def test_errors_that_differ_in_numbers_alone_are_the_same(project):
    one = toy.submission(project, moods(project, ("well", 1)))
    breaker = Breaker(one)
    found = [breaker.heard("failed", "oom_gpu", f"tried to allocate {n}.50 GiB at 0x7f00{n}", "abc") for n in range(ROW)]
    assert found[:-1] == (ROW - 1) * [None]
    assert found[-1] and found[-1].signature == "tried to allocate N GiB at ID"


def test_a_stop_by_hand_lets_the_present_group_finish_and_begins_none(project):
    sweep = moods(project, ("well", 3))
    one = toy.submission(project, sweep)
    reports: list[str] = []

    def stop_at_first(group, fraction, text):
        reports.append(group)
        orders.stop(one, Stop("hand", 0.0))

    task = pack(one, listen=stop_at_first)
    task.lookout = Lookout(one, clock=iter(range(0, 10_000, 100)).__next__)
    assert task.run() == ["done", "interrupted", "interrupted"]
    assert orders.resume(one) and not orders.resume(one)
    assert pack(one).run() == ["stored", "done", "done"]


def test_a_tripped_breaker_ends_a_group_at_work_at_its_next_step(project):
    one = toy.submission(project, squares(project, "grid: {batch: [0, 1], value: [1.0, 2.0, 3.0]}"))
    task = pack(one, listen=lambda *_: orders.stop(one, Stop("breaker", 0.0, "N", ROW)))
    task.lookout = Lookout(one, clock=iter(range(0, 10_000, 100)).__next__)
    assert task.run() == ["interrupted", "interrupted"]
    assert parts(project) == []


def test_the_folder_is_looked_into_only_every_few_seconds(project):
    one, now = toy.submission(project, moods(project, ("well", 1))), [0.0]
    lookout = Lookout(one, clock=lambda: now[0])
    orders.stop(one, Stop("breaker", 0.0, "N", ROW))
    assert not lookout.tripped()
    now[0] = orders.LOOK_S
    assert lookout.tripped()


def test_the_first_reason_stands_whoever_writes_at_once(project):
    one = toy.submission(project, moods(project, ("well", 1)))
    together, first = threading.Barrier(8), []

    def write(n: int) -> None:
        together.wait(timeout=20)
        if orders.stop(one, Stop("breaker", 0.0, f"error {n}", ROW)):
            first.append(n)

    threads = [threading.Thread(target=write, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(first) == 1
    why = orders.stop_of(one)
    assert why and why.signature == f"error {first[0]}"
    assert not list(one.folder.glob(".stop*"))


def test_a_stop_file_that_somebody_touched_is_one_by_hand(project):
    one = toy.submission(project, moods(project, ("well", 1)))
    for content in ("", "stop please", "[1]", '{"by": 3, "colour": "red"}'):
        (one.folder / "stop").write_text(content)
        why = orders.stop_of(one)
        assert why and why.by == "hand" and why.words == "stopped by hand"
    assert pack(one).run() == ["interrupted"]


@pytest.mark.parametrize("mark", ["withdrawn", "closed"])
def test_a_task_of_a_submission_that_was_given_up_computes_nothing_and_is_no_failure(project, monkeypatch, mark):
    sweep = moods(project, ("well", 2))
    one = toy.submission(project, sweep)
    (one.folder / mark).write_text("{}")
    monkeypatch.setattr(worker.signal, "signal", lambda *_: None)
    assert worker.run_pack(str(one.folder / "plan.json"), 0) == []
    assert rows(project, sweep) == {} and one.events() == []


def test_a_submission_that_is_given_up_while_a_task_works_gets_no_further_group(project):
    one = toy.submission(project, moods(project, ("well", 3)))
    task = pack(one, listen=lambda *_: one.close(), dismissed=lambda: orders.dismissal(one))
    assert task.run() == ["done", "interrupted", "interrupted"]


def test_what_another_submission_stored_since_the_start_is_not_computed_again(project):
    sweep = squares(project, "grid: {batch: [0, 1, 2], value: [1.0, 2.0]}")
    one, other = toy.submission(project, sweep), squares(project, "grid: {batch: [1], value: [2.0]}", "other")
    elsewhere: list[list[str]] = []

    def meanwhile(group: str, outcome: str) -> None:
        if not elsewhere:
            elsewhere.append(pack(toy.submission(project, other)).run())

    assert pack(one, ended=meanwhile).run() == ["done", "done", "done"]
    assert elsewhere == [["done"]]
    import pyarrow.parquet as pq

    found = [
        row["run_id"] for part in store.parts(project.store, "square") for row in pq.read_table(part, partitioning=None).to_pylist()
    ]
    assert len(found) == len(set(found)) == 6, "one row each on disk"
    assert pack(one).run() == 3 * ["stored"]


def test_a_group_that_a_second_copy_of_its_task_publishes_is_left_at_the_next_step(project, monkeypatch):
    """As after a lost node whose task lives on: what the first copy stored is not computed to the end again."""
    monkeypatch.setattr(stored, "LOOK_S", 0.0)
    sweep = squares(project, "grid: {batch: [0], value: [1.0, 2.0, 3.0, 4.0]}")
    one, second, steps = toy.submission(project, sweep), toy.submission(project, sweep), []

    def meanwhile(group: str, fraction: float, text: str) -> None:
        steps.append(text)
        if len(steps) == 1:
            assert pack(second).run() == ["done"]

    assert pack(one, listen=meanwhile).run() == ["stored"]
    assert len(steps) == 2, "one step, and the end of the group"
    assert len(parts(project)) == 1 and len(rows(project, sweep)) == 4


def test_a_part_that_does_not_hold_the_runs_stops_nothing(project, monkeypatch):
    monkeypatch.setattr(stored, "LOOK_S", 0.0)
    sweep = squares(project, "grid: {batch: [0], value: [1.0, 2.0]}")
    one = toy.submission(project, sweep)
    (group,) = one.plan["tasks"][0]
    file = store.part(project.store, "square", group["dataset"], group["id"])

    def meanwhile(group: str, fraction: float, text: str) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        if not file.exists():
            file.write_text("no part")

    assert pack(one, listen=meanwhile).run() == ["done"]
    assert len(rows(project, sweep)) == 2
