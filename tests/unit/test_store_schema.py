"""Parts of every earlier schema are read under today's code; what cannot be meant is named by file and column."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import toy
from tasks import last_events, pack, squares

from repsim import checking, compaction, job, schema, store
from repsim.errors import InputError
from repsim.gathering import PassedOver
from repsim.report import checks
from repsim.submission import Submission

JOBS = Path(__file__).parents[2] / "jobs"
EARLIER = sorted((Path(__file__).parent / "parts").glob("*.parquet"))
"""One row of each schema that a job had, oldest first: JOB-NUMBER-HASH.parquet, its run named by the hash."""
SQUARE = job.load(toy.SOURCE / "jobs", "square")


def lay(folder: Path, file: Path, name: str) -> Path:
    place = folder / f"job={name}" / "dataset=d" / file.name
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(file.read_bytes())
    return place


def test_every_job_has_parts_of_its_earlier_schemas():
    assert {file.name.split("-")[0] for file in EARLIER} == {"compare", "evaluate", "import_network", "stitch", "train"}
    assert len(EARLIER) >= 12


@pytest.mark.parametrize("file", EARLIER, ids=lambda file: file.stem)
def test_a_part_of_an_earlier_schema_is_read_with_what_it_holds(tmp_path, file):
    mine = job.load(JOBS, file.name.split("-")[0])
    lay(tmp_path, file, mine.name)
    table = store.read(tmp_path, mine)
    assert table.schema.equals(store.schema_of(mine))
    (row,), (held,) = table.to_pylist(), pq.read_table(file, partitioning=None).to_pylist()
    assert row["run_id"].startswith(file.stem.split("-")[-1])
    assert {name: row[name] for name in held if name in row} == {name: value for name, value in held.items() if name in row}
    assert all(row[name] is None for name in row.keys() - held.keys())


def test_parts_of_all_earlier_schemas_are_read_together_and_merged(tmp_path):
    mine = job.load(JOBS, "train")
    for file in EARLIER:
        if file.name.startswith("train-"):
            lay(tmp_path, file, "train")
    before = store.read(tmp_path, mine)
    assert len(before) == 3
    list(compaction.compact(tmp_path, mine))
    assert store.read(tmp_path, mine).equals(before)


def test_a_renamed_column_is_found_under_its_earlier_name(tmp_path, monkeypatch):
    monkeypatch.setattr(schema, "RENAMED", {"square": {"square": "area"}})
    part = tmp_path / "job=square" / "dataset=d" / "old.parquet"
    part.parent.mkdir(parents=True)
    pq.write_table(pa.table({"run_id": ["a"], "area": [4]}), part)
    assert store.read(tmp_path, SQUARE, ["square"]).to_pydict() == {"square": [4.0]}
    assert store.read(tmp_path, job.load(JOBS, "train"), ["run_id"]).num_rows == 0


def test_a_part_of_a_newer_version_is_read_as_far_as_it_is_known(tmp_path):
    part = tmp_path / "job=square" / "dataset=d" / "new.parquet"
    part.parent.mkdir(parents=True)
    table = {"run_id": ["a"], "square": [4.0], "schema_version": [99], "of_tomorrow": pa.array([{"x": 1}])}
    pq.write_table(pa.table(table), part)
    assert store.read(tmp_path, SQUARE, ["square", "schema_version"]).to_pylist() == [{"square": 4.0, "schema_version": 99}]


@pytest.mark.parametrize(
    ("column", "values"),
    [("square", ["nine"]), ("times", [1.5]), ("mood", [1]), ("square", [2**53 + 1]), ("times", [True])],
)
def test_what_cannot_be_widened_is_named_by_file_and_column(tmp_path, column, values):
    part = tmp_path / "job=square" / "dataset=d" / "odd.parquet"
    part.parent.mkdir(parents=True)
    pq.write_table(pa.table({"run_id": ["a"], column: values}), part)
    with pytest.warns(PassedOver, match="odd.parquet: it.* (column|Integer value) "):
        assert store.read(tmp_path, SQUARE).num_rows == 0


def test_a_row_of_another_configuration_than_asked_is_an_error_that_names_both(project):
    sweep = toy.sweep(project, "job: square\nprofile: local\ngrid: {value: [2.0, 3.0]}")
    toy.run(project, sweep)
    configs = {run.id: run.config for run in sweep.runs}
    square = sweep.jobs["square"]
    table = store.read(project.store, square, ids=configs)
    store.must_agree(table, square, configs)
    first, second = configs
    with pytest.raises(InputError, match=f"{first}.*value.*2.0.*3.0|{first}.*value.*3.0.*2.0"):
        store.must_agree(table, square, {first: configs[second], second: configs[second]})


@pytest.fixture
def mistaken(project):
    """A submission of two runs, and the part in which the first one stands with the value of the second."""
    sweep = squares(project, "grid: {value: [2.0, 3.0]}")
    first, second = sweep.runs
    row = {**dict.fromkeys(store.schema_of(SQUARE).names), **second.config.model_dump(), "run_id": first.id, "outcome": "ok"}
    store.publish(project.store, "square", "d", "mistaken", [row], store.schema_of(SQUARE))
    return toy.submission(project, sweep), project.store / "job=square" / "dataset=d" / "mistaken.parquet"


def test_a_task_does_not_pass_over_a_run_that_is_stored_as_another(mistaken):
    one, part = mistaken
    assert pack(one).run() == ["failed"]
    (event,) = last_events(one).values()
    assert event["cause"] == "code"
    assert str(part) in event["message"]
    assert "value = 3.0, and asked for with 2.0" in event["message"]


def test_the_check_of_the_store_names_the_part_with_a_run_that_is_stored_as_another(project, mistaken):
    one, part = mistaken
    found = checking.check(project.store, {"square": SQUARE}, [one])
    assert (found.parts, found.rows, found.bad) == (1, 1, ())
    (odd,) = found.odd
    assert odd.where == str(part)
    assert "odd: " + str(part) in checks.check_text(checks.check_json(found, {}))
    (one.folder / "plan.json").write_text("{")
    assert checking.check(project.store, {"square": SQUARE}, [Submission(one.folder)]).odd == ()


def test_the_merged_file_depends_on_the_rows_alone(project, tmp_path):
    sweep = toy.sweep(project, "job: square\nprofile: local\ngrid: {value: [2.0, 3.0, 5.0]}")
    toy.run(project, sweep)
    square, ids = sweep.jobs["square"], [run.id for run in sweep.runs]
    found: list[bytes] = []
    for name in ("once", "doubled", "merged"):
        if name == "doubled":
            part = store.parts(project.store, "square")[0]
            part.with_name("0000.parquet").write_bytes(part.read_bytes())
        if name == "merged":
            list(compaction.compact(project.store, square))
        store.write_table(store.read(project.store, square, ids=ids), tmp_path / f"{name}.parquet")
        found.append((tmp_path / f"{name}.parquet").read_bytes())
    assert found[0] == found[1] == found[2]
