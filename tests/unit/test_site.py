"""The site builds without a warning, leads nowhere that is not there, asks nothing of the network, and has every command."""

import html
import importlib.util
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import unquote

import pytest
import typer
import yaml

from repsim.cli.main import app

ROOT = Path(__file__).parents[2]
LOADED = {("script", "src"), ("link", "href"), ("img", "src"), ("iframe", "src"), ("source", "src"), ("object", "data")}
HEADING = re.compile(r"^#+ +(.*)$", re.M)


class Page(HTMLParser):
    """What a page links to, what it loads, and the anchors it has."""

    def __init__(self, text: str):
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for key, value in attrs:
            if key == "id" and value:
                self.anchors.add(value)
            if (tag, key) in LOADED and value:
                self.loaded.append(value)
            if tag == "a" and key == "href" and value:
                self.links.append(value)


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The site, built as `make docs` builds it, which must have had nothing to say."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    assert not re.search(r"^(WARNING|ERROR)", answer.stderr, re.M), answer.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site) -> dict[Path, Page]:
    return {path: Page(path.read_text()) for path in site.rglob("*.html")}


@pytest.fixture(scope="module")
def hook() -> ModuleType:
    spec = importlib.util.spec_from_file_location("site_files", ROOT / "docs/_site/files.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def commands() -> list[tuple[str, Any]]:
    """Every command that can be given, with its name."""
    root: Any = typer.main.get_command(app)
    found = []
    for noun, command in root.commands.items():
        verbs = getattr(command, "commands", {"": command})
        found += [(f"repsim {noun} {verb}".strip(), verbs[verb]) for verb in verbs]
    return [(name, command) for name, command in found if not command.hidden]


def test_every_page_of_docs_can_be_chosen_in_the_menu():
    entries = (ROOT / "mkdocs.yml").read_text().partition("\nnav:\n")[2]
    told = set(re.findall(r"(\S+\.md)$", entries, re.M))
    assert told - {"README.md", "CHANGELOG.md"} == {path.name for path in (ROOT / "docs").glob("*.md")}


def test_every_link_and_anchor_leads_somewhere(pages, site):
    wrong = [f"{path.relative_to(site)}: {link}" for path, page in pages.items() for link in page.links if _lost(path, link, pages)]
    assert sum(len(page.links) for page in pages.values()) > 500
    assert not wrong, wrong


def _lost(path: Path, link: str, pages: dict[Path, Page]) -> bool:
    target, _, anchor = unquote(link).partition("#")
    if "://" in target or target.startswith("mailto:"):
        return False
    goal = (path.parent / target).resolve() if target not in ("", ".") else path
    if path.name == "404.html" or not goal.is_file():  # the page for wrong addresses speaks of the root of a server
        return path.name != "404.html"
    return bool(anchor) and anchor not in pages[goal].anchors


def test_nothing_is_loaded_from_another_host(pages, site):
    wrong = [(path.name, target) for path, page in pages.items() for target in page.loaded if re.match(r"(\w+:)?//", target)]
    assert not wrong
    for sheet in site.rglob("*.css"):
        assert not re.findall(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//", sheet.read_text()), sheet


def test_what_pages_load_is_there(pages, site):
    for path, page in pages.items():
        for target in page.loaded:
            place = (path.parent if not target.startswith("/") else site) / target.lstrip("/").partition("?")[0]
            assert place.is_file(), (path, target)


def test_the_reference_has_every_command_with_every_option_and_its_help(site):
    text = (site / "commands.html").read_text()
    sections = dict(re.findall(r'<h[23] id="([^"]*)">(.*?)(?=<h[23] id=|</body>)', text, re.S))
    seen = 0
    for name, command in commands():
        section = sections[name.replace(" ", "-")]
        assert html.escape((command.help or "").split("\n")[0]) in section, name
        with command.make_context(name, [], resilient_parsing=True) as context:
            records = [record for parameter in command.get_params(context) if (record := parameter.get_help_record(context))]
        for names, _ in records:
            assert f"<code>{html.escape(names)}</code>" in section, (name, names)
            seen += 1
    assert seen > 150


def test_code_that_is_linked_to_is_shown_whole(site):
    shown = html.unescape(re.sub(r"<[^>]*>", "", (site / "jobs/train.py.html").read_text()))
    assert (ROOT / "jobs/train.py").read_text().strip() in shown


def test_a_folder_that_is_linked_to_lists_its_files_with_what_sweeps_ask(hook):
    (told,) = [line for line in hook.markdown("sweeps/README.md").splitlines() if "digits_quickstart" in line]
    assert told.startswith("- [digits_quickstart.yaml](digits_quickstart.yaml): Are four small networks")


def test_the_first_page_is_the_readme(site):
    shown = html.unescape(re.sub(r"<[^>]*>", "", (site / "index.html").read_text()))
    for heading in HEADING.findall((ROOT / "README.md").read_text()):
        assert heading in shown


@pytest.mark.parametrize(
    ("here", "target", "there"),
    [
        ("docs/zoo.md", "../jobs/train.py", "jobs/train.py.md"),
        ("docs/zoo.md", "data.md#your-own", "data.md#your-own"),
        ("docs/zoo.md", "../README.md", "README.md"),
        ("docs/zoo.md", "../slurm/testcluster", "slurm/testcluster/README.md"),
        ("docs/zoo.md", "../sweeps/", "sweeps/README.md"),
        ("docs/zoo.md", "../results/tables/a.png", "results/tables/a.png"),
        ("README.md", "docs/zoo.md", "zoo.md"),
        ("README.md", "LICENSE", "LICENSE.md"),
        ("results/tables/README.md", "../../docs/zoo.md#data", "../../zoo.md#data"),
        ("results/tables/README.md", "../../sweeps/a.yaml", "../../sweeps/a.yaml.md"),
        ("docs/zoo.md", "https://example.org/a.py", "https://example.org/a.py"),
        ("docs/zoo.md", "#data", "#data"),
    ],
)
def test_a_link_between_files_becomes_one_between_their_places_in_the_site(hook, here, target, there):
    assert hook.moved(here, target) == there


def test_anchors_are_those_of_code_hosts_too():
    """Lower case, without punctuation, a hyphen for each space: what the site makes of a heading where these two agree."""
    for path in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for target, anchor in re.findall(r"\]\(([^)#\s]*)#([^)\s]+)\)", path.read_text()):
            text = ((path.parent / target) if target else path).read_text()
            slugs = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in HEADING.findall(text)}
            assert anchor in slugs, (path.name, target, anchor)


def test_the_citation_is_of_this_version_and_promises_nothing():
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    version = re.search(r'__version__ = "([^"]*)"', (ROOT / "repsim/__init__.py").read_text())
    assert version
    assert cited["version"] == version[1]
    assert f"version = {{{version[1]}}}" in (ROOT / "docs/citation.md").read_text()
    assert not {"doi", "url", "repository-code"} & cited.keys()
