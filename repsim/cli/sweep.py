"""Owns `repsim sweep …`: which commands there are, and where; each is imported only when it is given."""

from repsim.cli.lazily import Place, group, plain

COMMANDS = {
    "queue": Place(
        "repsim.cli.seeing:queue",
        "Show what is queued or running, one line per submission, and why it waits; asks Slurm at most once in 30 s.",
    ),
    "status": Place("repsim.cli.asked:status", "Show how far a sweep is: counts, grid, live tasks, hours, failures."),
    "cost": Place(
        "repsim.cli.costs:cost_of",
        "Show the hours that a sweep has cost, and how far off the forecasts of its submissions were, by kind of run.",
    ),
    "logs": Place("repsim.cli.seeing:logs", "Show what was printed while a run was computed, or the errors of a sweep."),
    "scan": Place(
        "repsim.cli.scan:scan", "Make anew what is derived from the results: overviews, manifests, outlines, marks of what is over."
    ),
    "clean": Place(
        "repsim.cli.seeing:clean",
        "Remove the logs of tasks that are over and did all their groups; logs of failures, results and records stay.",
    ),
    "nodes": Place(
        "repsim.cli.seeing:bad_nodes",
        "Show the nodes that had a CUDA fault, or that Slurm lost, in the last 24 hours; after two, submissions avoid them.",
    ),
    "cancel": Place("repsim.cli.steer:cancel", "Cancel the tasks that hold queued or running runs of the sweep; results stay."),
    "retry": Place(
        "repsim.cli.steer:retry_failed",
        "Send failed runs again, and only those (submit leaves them alone), as the rule of their cause says.",
    ),
    "stop": Place("repsim.cli.halt:stop", "Stop a sweep softly: each task finishes the group at work and begins no other."),
    "resume": Place(
        "repsim.cli.halt:resume",
        "Let a stopped sweep go on: one stopped by hand, or by its own failures once their reason is mended.",
    ),
    "plan": Place("repsim.cli.going:plan", "Show what would run: ids, groups, tasks and hours."),
    "explain": Place("repsim.cli.going:explain", "Say which block of the file made a run and each of its fields, or took it out."),
    "submit": Place("repsim.cli.going:submit", "Send to Slurm what is missing, and only that; safe to call again at any time."),
    "run": Place("repsim.cli.going:run", "Compute what is missing here, on this machine's GPUs or CPU."),
    "dry-run": Place(
        "repsim.cli.going:dry_run",
        "Try the first run of every case, a few steps each, in a throwaway store; prints seconds, memory, and the hours of all.",
    ),
}
app = plain(cls=group(COMMANDS))


@app.callback()
def sweep() -> None:
    """Plan, send, watch and steer a sweep."""
