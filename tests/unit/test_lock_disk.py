"""A lock that could not be taken on a full disk is no lock."""

import os

import pytest

from repsim import lock
from repsim.errors import UserError


def test_a_holder_that_could_not_be_named_on_a_full_disk_is_waited_for_by_nobody(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.link", full)
    with pytest.raises(UserError, match="No space left"), lock.held(tmp_path):
        pass
    monkeypatch.undo()
    assert os.listdir(tmp_path) == [".lock"]  # noqa: PTH208
    with lock.held(tmp_path):
        assert (tmp_path / ".holder").exists()
