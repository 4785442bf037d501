"""Owns `repsim models …`: which architectures there are, and which layers each can be cut at."""

from typing import Annotated

import typer

from repsim import job as jobs
from repsim.catalog import Catalog
from repsim.cli.output import Json, project_of, show
from repsim.job import JobConfig, NetworkFacts
from repsim.sweep.expand import TRAIN

app = typer.Typer(no_args_is_help=True, help="Architectures and their layers.")


@app.command("list")
def list_architectures(json: Json = False) -> None:
    """Every architecture: its default width, the widths it can have, what a width counts, and the smallest images it takes."""
    project = project_of()
    found = Catalog(project.data_folders, project.cache).architectures()
    lines = [f"{'architecture':<14}{'width':<8}{'widths':<10}{'images from':<13}a width is"]
    lines += [
        f"{a['name']:<14}{a['width'] or '–':<8}{'–'.join(map(str, a['widths'] or [])) or '–':<10}"
        f"{a['min_size']} px{'':<{10 - len(str(a['min_size']))}}{a['width_means'] or 'not to be chosen'}"
        for a in found
    ]
    show(json, {"architectures": found}, "\n".join(lines))


@app.command()
def layers(
    name: Annotated[str, typer.Argument(help="An architecture, as in mcnn.")],
    width: Annotated[
        int | None, typer.Option("--width", min=1, help="mcnn: channels of the first layer; resnet20: multiplier.")
    ] = None,
    dataset: Annotated[str, typer.Option("--dataset", help="Decides classes and input size.")] = "cifar10",
    json: Json = False,
) -> None:
    """Every layer where the network can be cut: name, kind, shape, parameters, and values carried across the cut."""
    project = project_of()
    train = jobs.load(project.jobs, TRAIN)
    config = train.config.model_validate({"arch": name, "width": width, "dataset": dataset})
    sheet = Catalog(project.data_folders, project.cache).layers(_facts(train, config))
    lines = [f"{'layer':<24}{'kind':<20}{'shape':<16}{'parameters':>10}  carries"]
    lines += [
        f"{la['name']:<24}{la['kind']:<20}{'×'.join(map(str, la['shape'])):<16}{la['parameters']:>10,}  {la['carries'] or '–'}"
        for la in sheet
    ]
    show(json, {"arch": name, "layers": sheet}, "\n".join(lines))


def _facts(train: jobs.Job, config: JobConfig) -> NetworkFacts:
    hook = train.hook("network")
    assert hook, "jobs/train.py makes networks"
    return hook(config)
