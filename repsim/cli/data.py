"""Owns `repsim data …`: which data sets are here, getting one, adding one's own, and checking what was decoded."""

from typing import Annotated, Any

import typer

from repsim import child
from repsim.cli.lazily import plain
from repsim.cli.output import Json, project_of, say, show
from repsim.errors import InputError

app = plain()
Name = Annotated[str, typer.Argument(help="A data set, as in cifar10.")]


@app.command("list")
def list_data(json: Json = False) -> None:
    """Every known and registered data set: classes, shape, sizes, where it was found, and how to get what is missing."""
    rows = child.ask("repsim.data", "list", *map(str, project_of().data_folders))
    missing = [f"{row['name']}: {row['do']}" for row in rows if not row["found"]]
    lines = [*map(_line, rows), *(["", "To get what is missing:"] if missing else []), *missing]
    show(json, {"data": rows}, "\n".join(lines))


@app.command()
def get(name: Name, json: Json = False) -> None:
    """Download a data set into data/ where there is a network, and decode it into results/cache/."""
    project = project_of()
    say(f"looking for {name}, downloading it where it is missing")
    sizes = child.ask("repsim.data", "get", name, str(project.cache / "data"), *map(str, project.data_folders))
    show(json, {"name": name, **sizes}, f"{name}: {sizes['train']:,} training and {sizes['test']:,} test images")


@app.command()
def add(
    name: Annotated[
        str, typer.Argument(help="A folder in data/ or REPSIM_DATA: NAME/{train,test}/CLASS/*, NAME/CLASS/*, Parquet.")
    ],
    size: Annotated[int | None, typer.Option(min=1, help="Pixels of a side; else those of the first picture.")] = None,
    channels: Annotated[int | None, typer.Option(min=1, max=3, help="1 or 3; else as the first picture has.")] = None,
    test_share: Annotated[float, typer.Option(min=0.0, max=1.0, help="For testing, where there is no test split.")] = 0.2,
    seed: Annotated[int, typer.Option(min=0, help="Draws them.")] = 0,
    json: Json = False,
) -> None:
    """Make a data set of a folder of pictures: resize, measure mean and std, and register it for sweeps."""
    if not 0 < test_share < 1:
        raise InputError(f"{test_share:g} of the pictures cannot be for testing", where="--test-share", do="say 0.2, say")
    project, given = project_of(), [str(value) if value is not None else "" for value in (size, channels)]
    say(f"decoding the pictures of {name}")
    words = [name, *given, str(test_share), str(seed), str(project.cache / "data"), *map(str, project.data_folders)]
    row = child.ask("repsim.data", "add", *words)
    show(json, row, f"{_line(row)}\nmean {_rounded(row['mean'])}, std {_rounded(row['std'])}; in a sweep: dataset: {name}")


@app.command()
def check(name: Name, json: Json = False) -> None:
    """Compare the decoded copy of a data set with its checksums; a damaged one is removed, and decoded again when it is needed."""
    project = project_of()
    sound = child.ask("repsim.data", "check", name, str(project.cache / "data"), *map(str, project.data_folders))
    show(json, {"name": name, **sound}, "\n".join(f"{name} {split}: {VERDICTS[each]}" for split, each in sound.items()))


def _line(row: dict[str, Any]) -> str:
    if row["classes"] is None:
        return f"{row['name']:<11} damaged: see below"
    kind = "attributes" if row["attributes"] else "classes   " if row["labelled"] else "no labels "
    count = f"{row['classes']:>5}" if row["labelled"] else "     "
    shape = f"{row['channels']}×{row['size']}×{row['size']}"
    sizes = f"{row['train_images']:>10,} + {row['test_images']:<10,}"
    return f"{row['name']:<11}{count} {kind} {shape:<10}{sizes}{row['found'] or 'missing'}"


def _rounded(values: list[float]) -> str:
    return "(" + ", ".join(f"{value:.4f}" for value in values) + ")"


VERDICTS = {True: "sound", False: "damaged and removed; it is decoded again when it is needed", None: "not decoded yet"}
