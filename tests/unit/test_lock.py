"""One command at a time changes what is under way, on whatever host and file system; who died holding the lock hinders nobody."""

import errno
import json
import os
import platform
import time

import pytest

from repsim import lock
from repsim.errors import UserError


def test_a_holder_on_another_host_is_named_and_outlived(project):
    project.submissions.mkdir(parents=True)
    holder = project.submissions / ".holder"
    holder.write_text('{"host": "login2", "pid": 7, "since": "2026-01-01 10:00:00"}')
    with pytest.raises(UserError, match="process 7 on login2, since 2026-01-01"), lock.held(project.submissions):
        pass
    os.utime(holder, (0, 0))
    with lock.held(project.submissions):
        assert platform.node() in holder.read_text()
    assert not holder.exists()


def test_a_holder_of_this_host_that_was_killed_hinders_nobody(project):
    project.submissions.mkdir(parents=True)
    (project.submissions / ".holder").write_text(f'{{"host": "{platform.node()}", "pid": 1, "since": "x"}}')
    with lock.held(project.submissions):
        pass


def test_a_file_system_without_locks_is_worked_on_all_the_same_by_one_command_at_a_time(project, monkeypatch):
    """As Lustre without `flock`: what it cannot do must not look as if somebody else were at work for ever."""

    def none(*_):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(lock.fcntl, "flock", none)
    with (
        lock.held(project.submissions),
        pytest.raises(UserError, match=f"process {os.getpid()} on"),
        lock.held(project.submissions),
    ):
        pass
    left = {"host": platform.node(), "pid": os.getpid(), "born": "1@another start of this machine", "since": "x"}
    (project.submissions / ".holder").write_text(json.dumps(left))
    with lock.held(project.submissions):
        pass
    assert [file.name for file in project.submissions.iterdir()] == [".lock"]


def test_a_holder_lives_by_the_clock_of_the_file_system_and_not_by_ours(project, monkeypatch):
    project.submissions.mkdir(parents=True)
    (project.submissions / ".holder").write_text('{"host": "login2", "pid": 7, "since": "x"}')
    ahead = time.time() + 10 * lock.STALE_S
    monkeypatch.setattr(lock.time, "time", lambda: ahead)
    with pytest.raises(UserError, match="process 7 on login2"), lock.held(project.submissions):
        pass


def test_a_holder_that_leaves_while_it_is_looked_at_has_left(project, monkeypatch):
    project.submissions.mkdir(parents=True)
    monkeypatch.setattr(lock, "_holder", lambda file: {"host": "login2", "pid": 7, "since": "x"})
    with lock.held(project.submissions):
        pass
