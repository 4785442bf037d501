"""Owns which files of the repository stand in the site beside docs/, and where links to them lead.

README.md is its first page. What a page links to comes with it: Markdown as a page, code as a page that shows it, pictures and
data as they are. So the same relative links work on a code host, in an editor and in the site.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from posixpath import normpath, relpath
from urllib.parse import unquote
from xml.etree.ElementTree import Element

from markdown import Extension, Markdown
from markdown.treeprocessors import Treeprocessor
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from pygments.formatters import HtmlFormatter

ROOT = Path(__file__).parents[2]
DOCS = "docs/"
LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")
LANGUAGES = {".py": "python", ".yaml": "yaml", ".yml": "yaml", ".cff": "yaml", "": "text"}
ORIGINS: dict[str, str] = {}
"""Source of a page in the site → the file of the repository that it shows."""
LIST = "README.md"  # what a folder shows
BEFORE_MKDOCS = 1  # it resolves links at priority 0, and text is made of Markdown above 1


class Moved(Treeprocessor):
    """Turns a link between two files of the repository into that between their places in the site."""

    here = "README.md"

    def run(self, root: Element) -> None:
        for element in root.iter():
            for key in ("href", "src"):
                if target := element.get(key):
                    element.set(key, moved(self.here, target))


class Moving(Extension):
    """Applies `Moved` to every page."""

    def extendMarkdown(self, md: Markdown) -> None:
        md.treeprocessors.register(Moved(md), "moved", BEFORE_MKDOCS)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    config.markdown_extensions.append(Moving())  # type: ignore[arg-type]  # an extension may be an object
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add README.md and every file that is linked to, link by link; and the colours of code."""
    left = ["README.md", *(DOCS + page.src_uri for page in files.documentation_pages())]
    seen = set(left)
    ORIGINS.clear()
    while left:
        name = left.pop()
        ORIGINS[place(name)] = name
        if not name.startswith(DOCS):
            files.append(_file(name, config))
        found = set(linked(name)) - seen
        seen |= found
        left += sorted(found)
    files.append(File.generated(config, "code.css", content=HtmlFormatter(style="friendly").get_style_defs(".highlight")))
    return files


def on_page_markdown(markdown: str, *, page: Page, **_: object) -> str:
    Moved.here = ORIGINS[page.file.src_uri]
    return markdown


def linked(name: str) -> Iterator[str]:
    """The files of the repository to which the Markdown file `name` links."""
    for target in LINK.findall(markdown(name)) if name.endswith(".md") else ():
        path = goal(name, target)
        if "://" not in target and ((ROOT / path).is_file() or ((ROOT / path).parent.is_dir() and path.endswith(LIST))):
            yield path


def moved(here: str, target: str) -> str:
    """`target`, a link in the file `here`, as a link between the sources of their pages; others as they are."""
    path, mark, anchor = target.partition("#")
    if not path or ":" in path:
        return target
    return relpath(place(goal(here, path)), Path(place(here)).parent.as_posix()) + mark + anchor


def goal(here: str, target: str) -> str:
    """The file to which `target` leads from the file `here`: of a folder its README.md, there or not."""
    path = normpath(f"{Path(here).parent.as_posix()}/{unquote(target)}")
    return f"{path}/{LIST}" if (ROOT / path).is_dir() else path


def place(name: str) -> str:
    """Where the file `name` of the repository stands in the site: docs/ is its top, code is shown on pages."""
    name = name.removeprefix(DOCS)
    return f"{name}.md" if Path(name).suffix in LANGUAGES else name


def markdown(name: str) -> str:
    """The text of a page: a Markdown file, code in a block, the list of a folder that has no README.md."""
    path = ROOT / name
    if not path.is_file():
        files = sorted(file for file in path.parent.iterdir() if file.is_file() and not file.name.startswith("."))
        return f"# {Path(name).parent}\n\n" + "".join(f"- [{file.name}]({file.name}){_question(file)}\n" for file in files)
    text = path.read_text()
    if path.suffix not in LANGUAGES:
        return text
    return f"# {name}\n\n~~~~~{LANGUAGES[path.suffix]}\n{text.rstrip()}\n~~~~~\n"


def _question(file: Path) -> str:
    """What a sweep asks: its first line."""
    first = file.read_text().partition("\n")[0] if file.suffix == ".yaml" else ""
    return f": {first.removeprefix('#').strip()}" if first.startswith("#") else ""


def _file(name: str, config: MkDocsConfig) -> File:
    """The file `name` as it is, or a page that shows it."""
    if (ROOT / name).is_file() and Path(name).suffix not in LANGUAGES:
        return File(name, str(ROOT), config.site_dir, config.use_directory_urls)
    return File.generated(config, place(name), content=markdown(name))
