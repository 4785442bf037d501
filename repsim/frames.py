"""Owns the frames of a sweep: the runs that it expects and the rows that are stored of them, one line per run, by run id."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from repsim import store
from repsim.project import Project
from repsim.sweep.expand import Sweep
from repsim.sweep.run import labels, values

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

CASE = "case"


def expected(sweep: Sweep, names: Sequence[str] | None = None) -> "pd.DataFrame":
    """One line per run of the sweep, in its order: `run_id`, its configuration and the name of its case.

    Args:
        names: only these fields, of them those that there are; a large sweep that was expanded before forms no configuration then.
    """
    import pandas as pd

    fields = sweep.jobs[sweep.spec.job].config.model_fields
    wanted = [name for name in fields if names is None or name in names]
    columns = {name: list(values(sweep.runs, name)) for name in wanted}
    return pd.DataFrame({"run_id": [run.id for run in sweep.runs], **columns, CASE: list(labels(sweep.runs, CASE))})


def stored(project: Project, sweep: Sweep, names: Sequence[str] | None = None) -> "pd.DataFrame":
    """The rows of the sweep that are stored, in the order of its runs; with `names` only those of these columns that there are.

    Raises: InputError where a row holds another configuration than its run, in a column that is read; `results check` looks at all.
    """
    return held(project, sweep, names).to_pandas()


def held(project: Project, sweep: Sweep, names: Sequence[str] | None = None) -> "pa.Table":
    """The same as an Arrow table: a million rows need no configuration made of any."""
    job = sweep.jobs[sweep.spec.job]
    schema = store.schema_of(job).names
    wanted = None if names is None else [name for name in schema if name in {store.KEY, *names}]
    table = store.read(project.store, job, wanted, ids=[run.id for run in sweep.runs])
    there = set(table[store.KEY].to_pylist())
    runs = [run for run in sweep.runs if run.id in there]
    store.must_hold(table, job, lambda name: list(values(runs, name)))
    return table
