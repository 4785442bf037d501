"""A sweep of rotations on the digits, from its YAML to its table, with the real jobs."""

import shutil
from pathlib import Path

import pytest
from commandline import call, contents

from repsim import job, store

REAL = Path(__file__).parents[2]

SWEEP = """
job: rotate
zoo: {arch: mcnn, width: 2, dataset: digits, recipe: quick, seeds: [0], epochs: 4, train_images: 600}
layers: [relu2]
cases:
  still: {lr: 1.0e-12, batchnorm: frozen}
  moved: {lr: 1.0e-2}
grid: {matrix: [identity, orthogonal], matrix_seed: [0, 1]}
fixed: {epochs: 2, batch_size: 50, schedule: constant, augment: none, train_images: 300, validation_images: 100}
"""


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """A project of the real jobs in which the sweep was run, and how it answered."""
    folder = tmp_path_factory.mktemp("rotations")
    for name in ("jobs", "slurm"):
        shutil.copytree(REAL / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "sweeps").mkdir()
    (folder / "sweeps" / "turn.yaml").write_text(SWEEP)
    return folder, call("--project", folder, "sweep", "run", "turn", "--workers", "1", "--device", "cpu")


@pytest.fixture(scope="module")
def rows(ran):
    """What is stored, by case, matrix and seed."""
    folder, answer = ran
    assert answer.code == 0, answer.err
    found = store.read(folder / "results" / "store", job.load(folder / "jobs", "rotate")).to_pylist()
    return {("still" if row["lr"] < 1e-6 else "moved", row["matrix"], row["matrix_seed"]): row for row in found}


def accuracy_of_the_training(folder):
    (row,) = store.read(folder / "results" / "store", job.load(folder / "jobs", "train")).to_pylist()
    return row["accuracy"]


def test_each_run_is_a_row_with_all_columns_that_are_documented(ran, rows):
    loaded = job.load(ran[0] / "jobs", "rotate")
    fields = {**loaded.config.model_fields, **loaded.row.model_fields}
    assert all(field.description for field in fields.values())
    assert [sorted(fields.keys() - row.keys()) for row in rows.values()] == [[]] * 6
    told = [(case, *matrix) for case in ("still", "moved") for matrix in (("identity", 0), ("orthogonal", 0), ("orthogonal", 1))]
    assert sorted(rows) == sorted(told), "an identity is one run, whatever its seed"


def test_where_nothing_is_learned_the_penalty_is_what_the_matrix_itself_costs(ran, rows):
    itself = accuracy_of_the_training(ran[0])
    identity = rows["still", "identity", 0]
    assert (identity["accuracy"], identity["start_accuracy"], identity["penalty"]) == (itself, itself, 0)
    for seed in (0, 1):
        rotated = rows["still", "orthogonal", seed]
        assert rotated["accuracy"] == rotated["start_accuracy"] < itself - 0.2
        assert rotated["penalty"] == rotated["penalty_original"] == pytest.approx(itself - rotated["accuracy"], abs=1e-12)
        assert rows["moved", "orthogonal", seed]["accuracy"] > rotated["accuracy"], "retraining repairs some of it"


def test_the_table_of_the_sweep_shows_the_mean_penalty_of_its_rows(ran, rows):
    answer = call("--project", ran[0], "results", "table", "turn", "--format", "json")
    cells = {(cell["case"], cell["matrix"]): cell for cell in answer.json["cells"]}
    for case in ("still", "moved"):
        mean = sum(rows[case, "orthogonal", seed]["penalty"] for seed in (0, 1)) / 2
        assert cells[case, "orthogonal"]["mean"] == pytest.approx(100 * mean)
        assert [cells[case, matrix]["n"] for matrix in ("identity", "orthogonal")] == [1, 2]


def test_a_second_run_computes_nothing(ran, rows):
    before = contents(ran[0])
    again = call("--project", ran[0], "sweep", "run", "turn", "--workers", "1", "--device", "cpu")
    assert (again.code, again.out) == (0, "all is done: nothing left to compute\n")
    assert contents(ran[0]) == before
