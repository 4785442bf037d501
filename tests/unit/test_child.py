"""Questions to the science half, asked of a child process."""

import pytest

from repsim import child
from repsim.errors import InputError, UserError


def test_the_list_of_data_sets_says_what_is_bundled_and_what_is_missing(tmp_path):
    rows = {row["name"]: row for row in child.ask("repsim.data", "list", str(tmp_path))}
    assert rows["digits"]["found"] == "bundled" and rows["digits"]["train_images"] == 1297
    assert rows["cifar10"]["found"] is None and "repsim data get cifar10" in rows["cifar10"]["do"]


def test_a_user_error_in_the_child_is_one_here(tmp_path):
    with pytest.raises(InputError, match="there is no data set 'cifar'") as caught:
        child.ask("repsim.data", "get", "cifar", str(tmp_path / "cache"), str(tmp_path))
    assert "cifar10" in str(caught.value)


def test_a_child_that_gives_no_answer_is_named():
    with pytest.raises(UserError, match=r"repsim\.nothing gave no answer"):
        child.ask("repsim.nothing")
