"""What is written for people holds: links, commands, the file tree, the sweeps and the profiles."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

import repsim
from repsim import against_paper, job, tablefiles
from repsim.cli.main import app
from repsim.data import sources
from repsim.profile import Profile, load_profile
from repsim.project import Project
from repsim.published import IDENTITY
from repsim.sweep import networks
from repsim.sweep.expand import IMPORT, TRAIN, open_sweep
from repsim.sweep.spec import Spec, load

ROOT = Path(__file__).parents[2]
FILES = Project(ROOT).sweep_files
PAPERS = [path for path in FILES if path.parent.name == "papers"]
README = (ROOT / "README.md").read_text()
DOCS = sorted((ROOT / "docs").glob("*.md"))
TEXT = "\n\n".join([README, *(page.read_text() for page in DOCS)])
COMMANDS = (ROOT / "docs/commands.md").read_text()
SWEEPS = (ROOT / "docs/sweeps.md").read_text()
PAGES = [ROOT / name for name in ("README.md", "slurm/testcluster/README.md", "benchmarks/README.md", "results/README.md")]
PAGES += [*DOCS, *sorted((ROOT / "results/tables").glob("*.md"))]
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)[^)]*\)")


def blocks(text: str) -> list[str]:
    """Lines of fenced blocks and of blocks indented by four spaces, with continued lines joined and comments taken off."""
    fenced = [line for body in re.findall(r"^```[^\n]*\n(.*?)^```", text, re.M | re.S) for line in body.splitlines()]
    indented = [line[4:] for line in re.sub(r"^```.*?^```", "", text, flags=re.M | re.S).splitlines() if line.startswith("    ")]
    return [line.split(" #")[0].rstrip() for line in "\n".join(fenced + indented).replace("\\\n", " ").splitlines()]


def commands() -> list[str]:
    """The `repsim …` command lines of README and docs, without what only says which options there are."""
    found = [line.strip().removeprefix("$ ").removeprefix(".venv/bin/") for line in blocks(TEXT)]
    return sorted({re.sub(r"\s{2,}.*", "", line) for line in found if line.startswith("repsim ")})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for target in LINK.findall(page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("line", commands())
def test_a_command_of_readme_and_docs_can_be_given(line):
    """Command, options and number of arguments, without doing anything."""
    command: Any = typer.main.get_command(app)
    rest = shlex.split(line)[1:]
    while hasattr(command, "commands"):
        name, rest = rest[0], rest[1:]
        assert name in command.commands, f"{line}: there is no '{name}' among {sorted(command.commands)}"
        command = command.commands[name]
    try:
        with command.make_context("repsim", list(rest)):
            pass
    except Exception as error:
        pytest.fail(f"{line}: {getattr(error, 'message', error)}")


def test_options_in_brackets_exist():
    """`[--profile --yes]` beside a command names options of that command."""
    group: Any = typer.main.get_command(app)
    seen = 0
    for line in COMMANDS.splitlines():
        match = re.match(r"    repsim (\w+) ([\w-]+)[^\[]*\[(--[^\]]*)\]", line)
        if match:
            noun = group.commands[match[1]]
            known = {name for one in getattr(noun, "commands", {match[2]: noun})[match[2]].params for name in one.opts}
            assert set(re.findall(r"--[\w-]+", match[3])) <= known, line
            seen += 1
    assert seen >= 3


def test_every_command_is_in_the_list_of_commands():
    group: Any = typer.main.get_command(app)
    for noun, sub in group.commands.items():
        for verb in getattr(sub, "commands", {"": None}):
            assert f"    repsim {noun} {verb}".rstrip() in COMMANDS, f"docs/commands.md does not tell of: repsim {noun} {verb}"


def test_the_tree_of_the_readme_is_the_tree_on_disk():
    told = set(re.findall(r"^    (\w+)/ ", README, re.M))
    there = {path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith((".", "_"))}
    there -= {path for path in there if path.endswith(".egg-info")} | {"data", "build", "dist", "site"}
    assert told == there


def test_what_make_is_told_to_do_can_be_made():
    told = set(re.findall(r"^    make ([\w-]+)", TEXT, re.M))
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.M))
    assert {"demo", "test"} <= told <= targets


def test_the_table_of_sweeps_has_those_that_exist_and_leaves_none_out():
    told = set(re.findall(r"^\| `(\w+)` \|", SWEEPS, re.M))
    assert told == {path.stem for path in (ROOT / "sweeps").glob("*.yaml")}
    for name in set(re.findall(r"sweeps/(\w+\.yaml)", TEXT)) - {"noise.yaml"}:  # which experiment.md tells to write
        assert (ROOT / "sweeps" / name).is_file(), name


def test_sweeps_of_papers_in_the_table_exist_and_none_is_left_out():
    told = re.findall(r"^\| [A-Z][^|]*\d{4}[^|]*\|[^|]*\| `(\w+)` \| `(\w+)` \|", (ROOT / "docs/papers.md").read_text(), re.M)
    assert {name for pair in told for name in pair} == {path.stem for path in PAPERS}
    assert all(small == f"{name}_small" for name, small in told)


@pytest.mark.parametrize("path", PAPERS, ids=lambda path: path.stem)
def test_every_published_number_names_runs_of_its_sweep_and_a_number_that_they_have(opened, path):
    sweep = opened[path.stem]
    numbers = {*sweep.jobs[sweep.spec.job].row.model_fields, IDENTITY}
    assert {asked.value for asked in against_paper.Plan(sweep).asked} <= numbers


def test_numbers_of_runs_in_the_table_are_those_of_the_sweeps(opened):
    for name, size in re.findall(r"^\| `(\w+)` \|[^|]*\|([^|]*)\|", SWEEPS, re.M):
        told = {word: int(number.replace(",", "")) for number, word in re.findall(r"([\d,]+) (runs|trainings)", size)}
        there = {"runs": len(opened[name].runs), "trainings": sum(run.job == TRAIN for run in opened[name].networks)}
        assert told == {word: there[word] for word in {"runs", *told}}, name


def test_yaml_in_readme_and_docs_is_a_sweep_or_defines_a_table(tmp_path):
    found = re.findall(r"^```yaml\n(.*?)^```", TEXT, re.M | re.S)
    assert len(found) >= 3
    for index, text in enumerate(found):
        path = tmp_path / f"told{index}.yaml"
        path.write_text(text)
        tablefiles.read(path) if tablefiles.is_one(path) else load(path)


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    """Every sweep that is shipped, expanded as if every data set were there and every published network imported."""
    importer, real = job.load(ROOT / "jobs", IMPORT), networks.networks
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            networks,
            "networks",
            lambda spec, train, _, __, where: real(spec, train, importer, lambda: _rows(importer, spec), where),
        )
        patch.setattr(sources, "find", lambda name, folders: sources.get(name))
        patch.setattr(Project, "cache", property(lambda self: tmp_path_factory.getbasetemp() / "cache"))
        return {path.stem: open_sweep(path, Project(ROOT)) for path in FILES}


def _rows(importer: job.Job, spec: Spec) -> list[dict[str, Any]]:
    """What the store would hold of the imported networks that a sweep names."""
    wanted = [(block, arch, seed) for block in spec.zoo if block.imported for arch in block.arch for seed in block.seeds]
    return [
        dict.fromkeys(importer.config.model_fields)
        | {"run_id": f"{arch}{seed:04}", "arch": arch, "dataset": block.dataset, "name": block.imported, "seed": seed}
        | {"data_seed": seed, "digest": f"{seed:064x}"}
        for block, arch, seed in wanted
    ]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_sweep_that_is_shipped_expands_and_begins_by_saying_what_it_is_for(opened, path):
    assert opened[path.stem].runs
    assert (ROOT / "slurm" / f"{opened[path.stem].spec.profile}.yaml").is_file()
    assert re.match(r"# \w", path.read_text())


@pytest.mark.parametrize("path", sorted((ROOT / "slurm").glob("*.yaml")), ids=lambda path: path.stem)
def test_a_profile_that_is_shipped_loads(path):
    load_profile(path.parent, path.stem)


def test_every_key_of_a_profile_is_explained_with_its_default():
    """In gpu.yaml each key stands once, as it is or commented out; beside or above it words, and its default in brackets."""
    text = (ROOT / "slurm" / "gpu.yaml").read_text()
    keys = Profile.model_fields.keys()
    told = {match[1]: match for match in re.finditer(r"^(?:# )?(\w+):.*(?:\n +#.*)*", text, re.M) if match[1] in keys}
    assert told.keys() == keys, keys - told.keys()
    for key, match in told.items():
        above = text[: match.start()].splitlines()[-1:]
        assert "[" in "".join([match[0].partition("#")[2], *above]), f"{key}: say what it is, and its default in brackets"


def test_defaults_in_brackets_are_the_defaults():
    text = (ROOT / "slurm" / "gpu.yaml").read_text()
    for key in (
        "cluster",
        "device",
        "gpus_per_task",
        "cpus_per_task",
        "mem_gb",
        "timeout_min",
        "pack_min",
        "min_tasks",
        "max_parallel",
    ):
        told = re.search(rf"^{key}:.*(?:\n +#.*)*?\[([^\]]*)\]", text, re.M)
        assert told, key
        assert yaml.safe_load(told[1]) == Profile.model_fields[key].default, key


def test_the_changelog_tells_of_this_version():
    assert re.search(rf"^## {re.escape(repsim.__version__)}\b", (ROOT / "CHANGELOG.md").read_text(), re.M)
