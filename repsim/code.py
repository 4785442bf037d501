"""Owns the code that runs: its commit and hash, and one frozen copy per submission.

A queued task would otherwise run whatever is on disk when it starts. The copy holds the package and the job
files, is named by the hash of their content, and is shared by all submissions of the same code. Uncommitted changes are allowed:
the hash of their diff stands in every row, and the diff itself lies in the copy as dirty-HASH.diff.
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
    changes = _changes(project) if commit else None
    dirty = hashlib.sha256(changes.encode()).hexdigest()[:12] if changes else None
    return Code(commit, dirty, content_hash(project))


def freeze(project: Project, code: Code) -> Path:
    """A folder with `repsim/` and `jobs/` as they are now; made once per content."""
    final = project.code / code.code
    if final.is_dir():
        _must_be_whole(final)
        _keep_changes(project, code, final)
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
    _keep_changes(project, code, final)
    return final


def _must_be_whole(frozen: Path) -> None:
    """UserError where a frozen copy is not what its name says: tasks would compute something else than their rows tell."""
    found = _hash_of(frozen / "repsim", frozen / "jobs")
    if found != frozen.name:
        raise UserError(
            f"the frozen code was changed after it was frozen: its content is {found}",
            where=str(frozen),
            do="queued tasks use it: cancel them (repsim sweep cancel), remove the folder, and submit again",
        )


def _keep_changes(project: Project, code: Code, frozen: Path) -> None:
    """The uncommitted changes, beside the code that holds them."""
    file = frozen / f"dirty-{code.dirty}.diff"
    if code.dirty and not file.exists():
        temporary = file.with_name(f".{file.name}.{os.getpid()}")
        temporary.write_text(f"on commit {code.commit}\n{_changes(project)}\n")
        temporary.replace(file)


def must_be_frozen(home: Path) -> None:
    """Raise UserError unless this process imported the package from the frozen copy `home`."""
    here = PACKAGE.parent.resolve()
    if here != home.resolve():
        raise UserError(
            f"the task imported repsim from {here}", where=str(home), do="the frozen code must come first on PYTHONPATH"
        )


def content_hash(project: Project) -> str:
    return _hash_of(PACKAGE, project.jobs)


def _hash_of(*folders: Path) -> str:
    """Of every Python file by name and content, but those that are hidden: they are not frozen."""
    whole = hashlib.sha256()
    for folder in folders:
        for file in sorted(folder.rglob("*.py")):
            place = file.relative_to(folder)
            if not any(part.startswith(".") for part in place.parts):
                whole.update(f"{folder.name}/{place}\0".encode() + file.read_bytes())
    return whole.hexdigest()[:12]


def _changes(project: Project) -> str | None:
    """What differs from the commit, and which files it does not know; None without a difference."""
    diff = _git(project.root, "diff", "HEAD", "--", "repsim", "jobs")
    new = _git(project.root, "ls-files", "--others", "--exclude-standard", "--", "repsim", "jobs")
    return "\n".join(filter(None, [diff, new and f"files that are not in git:\n{new}"])) or None


def _git(root: Path, *arguments: str) -> str | None:
    """Output of a git command; None without git or outside a checkout."""
    try:
        answer = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() or None if answer.returncode == 0 else None
