"""Owns what a sweep asks twice: comparisons of (f, g) and of (g, f) by a measure to which both are one question.

A job says it with `mirrored(config)`: the same question the other way round, or None where that is another one.
"""

from repsim.identity import id_of
from repsim.sweep.expand import Sweep


def twice(sweep: Sweep) -> int:
    """How many of its runs are mirror images of others; 0 where no pair is asked both ways, or the job knows of no mirror."""
    job = sweep.jobs[sweep.spec.job]
    hook = job.hook("mirrored")
    if hook is None or sweep.spec.pairs != "ordered":
        return 0
    ids = {run.id for run in sweep.runs}
    images = {run.id: id_of(job, image) for run in sweep.runs if (image := hook(run.config)) is not None}
    return sum(image != run and image in ids for run, image in images.items()) // 2
