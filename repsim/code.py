"""Owns the code that runs: its commit and hash, and one frozen copy per submission.

A queued task would otherwise run whatever is on disk when it starts. The copy holds the package and the job
files, is named by the hash of their content, and is shared by all submissions of the same code.
"""

import hashlib
import os
import shutil
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path

import repsim
from repsim.errors import UserError
from repsim.project import Project

PACKAGE = Path(repsim.__file__).parent


@dataclass(frozen=True)
class Code:
    """Which code ran: git commit (if the project is a checkout), hash of uncommitted changes, hash of the content."""

    commit: str | None
    dirty: str | None
    code: str

    def as_json(self) -> dict[str, str | None]:
        """The three provenance columns."""
        return asdict(self)


def identify(project: Project) -> Code:
    """The code as it is on disk now."""
    commit = _git(project.root, "rev-parse", "HEAD")
    changes = _git(project.root, "diff", "HEAD", "--", "repsim", "jobs") if commit else None
    dirty = hashlib.sha256(changes.encode()).hexdigest()[:12] if changes else None
    return Code(commit, dirty, _content_hash(project))


def freeze(project: Project, code: Code) -> Path:
    """A folder with `repsim/` and `jobs/` as they are now; made once per content."""
    final = project.code / code.code
    if final.is_dir():
        return final
    draft = project.code / f".{code.code}.{os.getpid()}"
    try:
        shutil.copytree(PACKAGE, draft / "repsim", ignore=shutil.ignore_patterns("__pycache__", ".*"))
        shutil.copytree(project.jobs, draft / "jobs", ignore=shutil.ignore_patterns("__pycache__", ".*"))
        draft.rename(final)
    except OSError as error:
        shutil.rmtree(draft, ignore_errors=True)
        if not final.is_dir():  # else another submit was first with the same content
            raise UserError(
                f"the code cannot be frozen: {error}", where=str(project.code), do="mend the permissions, or free the disk"
            ) from None
    return final


def must_be_frozen(home: Path) -> None:
    """Raise UserError unless this process imported the package from the frozen copy `home`."""
    here = PACKAGE.parent.resolve()
    if here != home.resolve():
        raise UserError(
            f"the task imported repsim from {here}", where=str(home), do="the frozen code must come first on PYTHONPATH"
        )


def _content_hash(project: Project) -> str:
    whole = hashlib.sha256()
    for folder in (PACKAGE, project.jobs):
        for file in sorted(folder.rglob("*.py")):
            whole.update(f"{folder.name}/{file.relative_to(folder)}\0".encode() + file.read_bytes())
    return whole.hexdigest()[:12]


def _git(root: Path, *arguments: str) -> str | None:
    """Output of a git command; None without git or outside a checkout."""
    try:
        answer = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() or None if answer.returncode == 0 else None
