"""Owns `repsim data …`: which data sets are here, and getting one."""

from typing import Annotated

import typer

from repsim import child
from repsim.cli.output import Json, project_of, say, show

app = typer.Typer(no_args_is_help=True, help="The data sets that networks are trained and stitched on.")


@app.command("list")
def list_data(json: Json = False) -> None:
    """Every known data set: size, where it was found, and how to get what is missing."""
    rows = child.ask("repsim.data", "list", *map(str, project_of().data_folders))
    lines = [
        f"{r['name']:<10}{r['classes']:>4} classes  {r['channels']}×{r['size']}×{r['size']:<4}"
        f"{r['train_images']:>8,} + {r['test_images']:<8,}{r['found'] or 'missing: repsim data get ' + r['name']}"
        for r in rows
    ]
    show(json, {"data": rows}, "\n".join(lines))


@app.command()
def get(name: Annotated[str, typer.Argument(help="A data set, as in cifar10.")], json: Json = False) -> None:
    """Download a data set into data/ where there is a network, and decode it into results/cache/."""
    project = project_of()
    say(f"looking for {name}, downloading it where it is missing")
    sizes = child.ask("repsim.data", "get", name, str(project.cache / "data"), *map(str, project.data_folders))
    show(json, {"name": name, **sizes}, f"{name}: {sizes['train']:,} training and {sizes['test']:,} test images")
