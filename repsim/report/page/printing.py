"""Owns the PDF of a report: the page as a browser prints it."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from repsim.errors import UserError

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
QUIET = (
    *("--headless=new", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update"),
    *("--disable-sync", "--disable-quic", "--disable-extensions", "--no-pdf-header-footer"),
)
PATIENCE_S = 180


def browser() -> str:
    """The first browser of the list that is on PATH. Raises UserError where there is none."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        do = "install Chromium or Chrome, or open the HTML file and print it to a file"
        raise UserError(f"no browser to print with: none of {', '.join(BROWSERS)} is on PATH", where="--pdf", do=do)
    return found


def write(page: Path, pdf: Path) -> None:
    """Print the HTML file `page` to `pdf`. Raises UserError where there is no browser, or where it prints nothing."""
    program = browser()
    root = ("--no-sandbox",) if os.geteuid() == 0 else ()  # Chromium's sandbox refuses to run as root
    with tempfile.TemporaryDirectory(prefix="repsim-print-") as folder:
        draft = Path(folder) / "report.pdf"
        options = [*QUIET, *root, f"--user-data-dir={folder}/profile", f"--print-to-pdf={draft}"]
        said = _run([program, *options, page.resolve().as_uri()])
        if not draft.is_file():
            last = (said.strip().splitlines() or ["no message"])[-1]
            raise UserError(f"{program} printed nothing: {last}", where=str(page), do="open the HTML file and print it to a file")
        _put(draft, pdf)


def _run(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=PATIENCE_S, check=False)
    except subprocess.TimeoutExpired:
        raise UserError(f"the browser took more than {PATIENCE_S} s", where="--pdf", do="open the HTML file and print it") from None
    return done.stderr


def _put(draft: Path, pdf: Path) -> None:
    try:
        pdf.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(draft, pdf)
    except OSError as error:
        raise UserError(f"cannot be written: {error.strerror}", where=str(pdf), do="choose another --out") from None
