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
CHECKED = 20_000  # runs whose stored rows are compared with their whole configuration


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

    Raises: InputError where a row holds another configuration than its run; of more than CHECKED runs only in the columns that are
        asked for, as reading all would take longer than all else (`results check` does).
    """
    return held(project, sweep, names).to_pandas()


def held(project: Project, sweep: Sweep, names: Sequence[str] | None = None) -> "pa.Table":
    """The same as an Arrow table: a million rows need no configuration made of any."""
    job = sweep.jobs[sweep.spec.job]
    wanted = [name for name in store.schema_of(job).names if names is None or name in {store.KEY, *names}]
    checked = job.config.model_fields if len(sweep.runs) <= CHECKED else ()
    read = [name for name in store.schema_of(job).names if name in {*wanted, *checked}]
    table = store.read(project.store, job, read, ids=[run.id for run in sweep.runs])
    there = set(table[store.KEY].to_pylist())
    runs = [run for run in sweep.runs if run.id in there]
    store.must_hold(table, job, lambda name: list(values(runs, name)))
    return table.select(wanted)
