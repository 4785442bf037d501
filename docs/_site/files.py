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
    text = (ROOT / name).read_text() if name.endswith(".md") else ""
    for target in LINK.findall(text):
        path = normpath(f"{Path(name).parent.as_posix()}/{unquote(target)}")
        if "://" not in target and (ROOT / path).is_file():
            yield path


def moved(here: str, target: str) -> str:
    """`target`, a link in the file `here`, as a link between the sources of their pages; others as they are."""
    path, mark, anchor = target.partition("#")
    if not path or ":" in path:
        return target
    goal = normpath(f"{Path(here).parent.as_posix()}/{unquote(path)}")
    return relpath(place(goal), Path(place(here)).parent.as_posix()) + mark + anchor


def place(name: str) -> str:
    """Where the file `name` of the repository stands in the site: docs/ is its top, code is shown on pages."""
    name = name.removeprefix(DOCS)
    return f"{name}.md" if Path(name).suffix in LANGUAGES else name


def _file(name: str, config: MkDocsConfig) -> File:
    """The file `name` as it is, or a page that shows it."""
    language = LANGUAGES.get(Path(name).suffix)
    if language is None:
        return File(name, str(ROOT), config.site_dir, config.use_directory_urls)
    text = (ROOT / name).read_text().rstrip()
    return File.generated(config, place(name), content=f"# {name}\n\n~~~~~{language}\n{text}\n~~~~~\n")
