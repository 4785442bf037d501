"""Owns `repsim models …`: which architectures there are, and which layers each can be cut at."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from repsim import job as jobs
from repsim.catalog import Catalog
from repsim.cli.lazily import plain
from repsim.cli.output import Json, known_format, project_of, show
from repsim.job import JobConfig, NetworkFacts
from repsim.sweep.expand import TRAIN
from repsim.sweep.single import config_of

app = plain()
FORMATS = ("text", "markdown")
NONE = "–"  # where there is nothing to choose or to say


@app.command("list")
def list_architectures(
    format: Annotated[str, typer.Option("--format", help=" | ".join(FORMATS))] = "text",
    json: Json = False,
) -> None:
    """Every architecture: parameters, layers, default width and depth and what they can be, the smallest images it takes."""
    known_format(format, FORMATS)
    project = project_of()
    found = Catalog(project.data_folders, project.cache).architectures()
    show(json, {"architectures": found}, _markdown(found) if format == "markdown" else _text(found))


@app.command()
def layers(
    name: Annotated[str, typer.Argument(help="An architecture, as in mcnn.")],
    width: Annotated[int | None, typer.Option("--width", min=1, help="What it counts: see repsim models list.")] = None,
    depth: Annotated[int | None, typer.Option("--depth", min=1, help="For architectures of any depth.")] = None,
    dataset: Annotated[str, typer.Option("--dataset", help="Decides classes and input size.")] = "cifar10",
    json: Json = False,
) -> None:
    """Every layer where the network can be cut: name, kind, shape, parameters, and values carried across the cut."""
    project = project_of()
    train = jobs.load(project.jobs, TRAIN)
    asked = {"arch": name, "width": width, "depth": depth, "dataset": dataset}
    config = config_of(train, {key: value for key, value in asked.items() if value is not None}, "repsim models layers")
    sheet = Catalog(project.data_folders, project.cache).layers(_facts(train, config))
    lines = [["layer", "kind", "shape", "parameters", "carries"]]
    lines += [[la["name"], la["kind"], _shape(la["shape"]), f"{la['parameters']:,}", str(la["carries"] or NONE)] for la in sheet]
    show(json, {"arch": name, "layers": sheet}, _columns(lines, right={3}))


def _text(found: Sequence[Mapping[str, Any]]) -> str:
    """One line per architecture."""
    lines = [["architecture", "parameters", "layers", "width", "widths", "depth", "depths", "images from", "a width is"]]
    for one in found:
        size = f"{one['min_size']} px" + (f", {one['multiple']}s" if one["multiple"] > 1 else "")
        choices = [*_choice(one["width"], one["widths"]), *_choice(one["depth"], one["depths"])]
        means = one["width_means"] or "not to be chosen"
        lines.append([one["name"], f"{one['parameters']:,}", str(one["layers"]), *choices, size, means])
    return _columns(lines, right={1, 2})


def _markdown(found: Sequence[Mapping[str, Any]]) -> str:
    """Every architecture with its published count, for a file."""
    head = ["architecture", "parameters", "published", "layers", "classes", "image", "width", "depth", "source"]
    rule = ["---", "---:", "---:", "---:", "---:", "---:", "---", "---", "---"]
    lines = [head, rule, *map(_row, found)]
    note = "Parameters and layers with the default width and depth, for images of three channels; a layer is a place to cut."
    return "\n".join([*(f"| {' | '.join(cells)} |" for cells in lines), "", note])


def _row(one: Mapping[str, Any]) -> list[str]:
    published = f"{one['published']:,}" + (" (rounded)" if one["rounded"] > 1 else "") if one["published"] else NONE
    choices = [_chosen(one[key], one[f"{key}s"], one[f"{key}_means"]) for key in ("width", "depth")]
    numbers = [f"{one['parameters']:,}", published, str(one["layers"]), str(one["classes"]), f"{one['size']} px"]
    return [one["name"], *numbers, *choices, one["source"]]


def _choice(default: int | None, numbers: Sequence[int] | None) -> list[str]:
    """The default and the range, for two columns."""
    return [str(default), _range(numbers)] if numbers else [NONE, NONE]


def _chosen(default: int | None, numbers: Sequence[int] | None, means: str) -> str:
    """The same with what it counts, for one column."""
    return f"{default} of {_range(numbers)}: {means}" if numbers else NONE


def _range(numbers: Sequence[int]) -> str:
    return f"{numbers[0]}–{numbers[1]}"


def _shape(shape: Sequence[int]) -> str:
    return "×".join(map(str, shape))


def _columns(lines: Sequence[Sequence[str]], right: set[int]) -> str:
    """Cells under each other, two spaces apart; the columns `right` end together."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    padded = [
        [cell.rjust(width) if i in right else cell.ljust(width) for i, (cell, width) in enumerate(zip(line, widths, strict=True))]
        for line in lines
    ]
    return "\n".join("  ".join(cells).rstrip() for cells in padded)


def _facts(train: jobs.Job, config: JobConfig) -> NetworkFacts:
    hook = train.hook("network")
    assert hook, "jobs/train.py makes networks"
    return hook(config)
