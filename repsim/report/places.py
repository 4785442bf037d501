"""Owns how it is said where a submit sends its tasks, and what it finds that its sweep's file no longer names."""

from collections.abc import Sequence

from repsim.dropped import Dropped
from repsim.plan import Stage
from repsim.profile import Profile
from repsim.report.counts import number


def where_text(stages: Sequence[Stage], profile: Profile) -> str:
    """Tasks, runs of each, and for each partition how many tasks at once."""
    tasks, runs = sum(len(stage.tasks) for stage in stages), sum(stage.runs for stage in stages)
    places = "; ".join(f"{_place(part)}, at most {number(part.max_parallel, 'task')} at once" for part in profile.parts)
    return f"  where     {number(tasks, 'task')} of about {number(max(1, round(runs / tasks)), 'run')}: {places}"


def dropped_text(found: Dropped) -> str:
    """Runs that are under way though the file names them no longer, and what --prune would do; "" if there are none."""
    if not found.runs:
        return ""
    alone = f"--prune cancels {number(len(found.tasks), 'task')}, results stay" if found.tasks else "no task holds only such"
    mixed = f"; {number(found.mixed, 'task')} with runs of the file too are left alone" if found.mixed else ""
    return f"  dropped   {number(len(found.runs), 'run')} queued or running that the file no longer names: {alone}{mixed}"


def _place(part: Profile) -> str:
    named = f"partition {part.partition}" if part.partition else "the default partition"
    return named + (f", {part.gpus_per_task} × {part.gpu or 'GPU'} each" if part.gpus_per_task else "")
