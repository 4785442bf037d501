"""Owns the `repsim` command: its sub-commands, and how errors leave the process (0 done, 1 failed, 2 bad input)."""

import errno
import sys
import warnings
from pathlib import Path
from typing import Annotated

import typer

import repsim
from repsim.cli import compare, data, doctor, models, output, results, stitch, sweep, zoo
from repsim.errors import UserError
from repsim.gathering import PassedOver

MENDABLE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR}
"""What a disk or its rights can say anywhere."""

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=repsim.__doc__)
app.add_typer(sweep.app, name="sweep")
app.command("stitch")(stitch.stitch)
app.command("compare")(compare.compare)
app.add_typer(results.app, name="results")
app.add_typer(zoo.app, name="zoo")
app.add_typer(models.app, name="models")
app.add_typer(data.app, name="data")
app.command("doctor")(doctor.doctor)


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
    output.PROJECT.set(project)


def _warn(message: Warning | str, category: type[Warning], *place: object, **more: object) -> None:
    """What is wrong and stops nothing, in a line for people; of other libraries with its kind."""
    kind = "" if category is PassedOver else f"{category.__name__}: "
    print(f"repsim: {kind}{message}", file=sys.stderr)


def main() -> None:
    """Entry point; a UserError is printed as it is and leaves with 2."""
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _warn
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
