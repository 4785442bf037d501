"""A disk that really is full, or read-only: words and exit 2, nothing lost, nothing left half written, all well once mended."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import commandline
import pytest
import toy
from commandline import call
from tasks import squares

from repsim import store
from repsim.errors import DiskError

TROUBLE = {"full": "No space left on device", "read-only": "Read-only file system"}


def mount(*words: object) -> bool:
    return subprocess.run(["mount", *map(str, words)], capture_output=True, check=False).returncode == 0


@pytest.fixture
def disk(project, monkeypatch) -> Iterator[Path]:
    """The results folder on a disk of its own, of 2 MB."""
    project.results.mkdir(exist_ok=True)
    if os.geteuid() or not mount("-t", "tmpfs", "-o", "size=2m", "repsim-test", project.results):
        pytest.skip("mounting a disk takes root, and leave to mount")
    monkeypatch.chdir(project.root)
    try:
        yield project.results
    finally:
        subprocess.run(["umount", "--lazy", str(project.results)], check=True)


def fill(disk: Path) -> Callable[[], object]:
    """Fill the disk to its last byte; gives what frees it."""
    with pytest.raises(OSError, match=TROUBLE["full"]), (disk / "filler").open("wb", buffering=0) as file:
        while True:
            file.write(b"\1" * 512)
    return (disk / "filler").unlink


def lock(disk: Path) -> Callable[[], object]:
    """Make the disk read-only; gives what undoes it."""
    assert mount("-o", "remount,ro", disk)
    return lambda: mount("-o", "remount,rw", disk)


@pytest.mark.parametrize("kind", TROUBLE)
def test_a_disk_in_trouble_loses_nothing_and_all_goes_on_once_it_is_mended(project, disk, kind):
    sweep = squares(project)
    toy.run(project, sweep)
    job, (row, *_) = sweep.jobs["square"], store.read(project.store, sweep.jobs["square"]).to_pylist()
    add = lambda: store.publish(project.store, "square", "d", "new", [{**row, "run_id": "new"}], store.schema_of(job))  # noqa: E731
    mend = {"full": fill, "read-only": lock}[kind](disk)
    before = commandline.contents(disk)
    with pytest.raises(DiskError, match=f"cannot be written: {TROUBLE[kind]}"):
        add()
    for command, words in (("aggregate toy", "cannot be written"), ("compact", "the parts cannot be merged")):
        answer = call("results", *command.split())
        assert answer.code == 2
        assert f"{words}: {TROUBLE[kind]}" in answer.err
        assert "Traceback" not in answer.err
        assert commandline.contents(disk) == before
    mend()
    assert add()
    assert call("results", "compact", "--json").json["merged"][0]["parts"] == 2
    assert call("results", "aggregate", "toy", "--json").json["rows"] == 4
    assert store.stored_ids(project.store, job) == {"new", *(run.id for run in sweep.runs)}
