"""Owns the `repsim` command: its sub-commands, and how errors leave the process (0 done, 1 failed, 2 bad input)."""

import errno
import gc
import sys
import warnings
from collections.abc import Callable
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated

import typer

import repsim
from repsim.cli.lazily import PROJECT, Place, group, plain
from repsim.errors import PASSING, PassedOver, UserError, printable

MENDABLE = PASSING | {errno.EFBIG, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.ENAMETOOLONG}
"""What a disk or its rights can say anywhere."""
PATIENT = (100_000, 20, 20)
"""How many new objects the collector of cycles waits for: by default it goes through all runs of a large sweep again and again."""

COMMANDS = {
    "sweep": Place("repsim.cli.sweep:app", "Plan, send, watch and steer a sweep."),
    "stitch": Place("repsim.cli.stitch:stitch", "Stitch one layer of network A to one of network B, here, now."),
    "compare": Place("repsim.cli.compare:compare", "Compare layers of network A with layers of network B, here, now."),
    "judge": Place("repsim.cli.judge:judge", "Score measures and stitchers by tests whose answer is known."),
    "results": Place("repsim.cli.results:app", "Merge, tabulate and plot what a sweep measured."),
    "zoo": Place("repsim.cli.zoo:app", "The networks of a project: trained here by seed, or imported."),
    "models": Place("repsim.cli.models:app", "Architectures and their layers."),
    "data": Place("repsim.cli.data:app", "The data sets that networks are trained and stitched on."),
    "doctor": Place("repsim.cli.doctor:doctor", "Check that all is there: versions, devices, folders, Slurm, jobs, data sets."),
}
app = plain(help=repsim.__doc__, cls=group(COMMANDS))


def _version(asked: bool) -> None:
    if asked:
        print(f"repsim {repsim.__version__}")
        raise typer.Exit


@app.callback()
def root(
    project: Annotated[
        Path | None, typer.Option("--project", help="Project root, if not the folder around the sweep or here.")
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """Stitch, compare and tabulate whole zoos of networks, here or on Slurm."""
    PROJECT.set(project)


def _warner() -> Callable[..., None]:
    """Prints what is wrong and stops nothing, once, in a line for people; of other libraries with its kind."""
    said: set[str] = set()

    def warn(message: Warning | str, category: type[Warning], *place: object, **more: object) -> None:
        line = f"{'' if category is PassedOver else f'{category.__name__}: '}{message}"
        if line not in said:
            said.add(line)
            print(f"repsim: {printable(line)}", file=sys.stderr)

    return warn


def _print_anything() -> None:
    """A terminal whose character set lacks `─` or `±` gets it spelt out, and no traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def main() -> None:
    """Entry point; a UserError is printed as it is and leaves with 2."""
    gc.set_threshold(*PATIENT)
    _print_anything()
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _warner()
            app()
    except UserError as error:
        print(f"repsim: {error}", file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
    except OSError as error:
        if error.errno not in MENDABLE:
            raise
        print(f"repsim: {error.filename or 'a file'}: {error.strerror}\n  → free the disk or mend the permissions", file=sys.stderr)
        sys.exit(2)
