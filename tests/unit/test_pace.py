"""What a group would take is told from the few batches of it that were computed."""

import pytest

from repsim.pace import Pace


def heard(*reports: tuple[float, float, str]) -> Pace:
    """A pace that heard (time, share, loop) of the group g."""
    times = iter([time for time, _, _ in reports])
    pace = Pace(clock=lambda: next(times))
    for _, share, loop in reports:
        pace.hear("g", share, loop)
    return pace


def test_equal_batches_take_as_long_as_there_are_of_them():
    assert heard((10, 0.01, "train"), (12, 0.02, "train"), (14, 0.03, "train")).ceiling("g") == pytest.approx(200)


def test_what_happens_once_is_not_taken_for_a_batch():
    assert heard((0, 0.1, "a"), (1, 0.2, "a"), (2, 0.3, "a"), (50, 0.4, "a"), (51, 0.5, "a")).ceiling("g") == pytest.approx(10)


def test_the_slowest_loop_sets_the_ceiling():
    pace = heard((0, 0.1, "test"), (1, 0.2, "test"), (2, 0.3, "train"), (5, 0.4, "train"), (8, 0.5, "test"))
    assert pace.ceiling("g") == pytest.approx(30)


def test_a_job_that_reports_no_share_has_no_ceiling():
    assert heard((0, 0.5, "wait"), (1, 0.5, "wait")).ceiling("g") is None
    assert heard((0, 0.0, ""), (1, 1.0, "done")).ceiling("g") is None
    assert Pace().ceiling("never heard of") is None


def test_the_first_batch_of_a_loop_is_not_taken_for_the_second():
    assert heard((0, 0.1, "a"), (9, 0.2, "a"), (10, 0.3, "a")).ceiling("g") == pytest.approx(10)


def test_what_a_group_takes_once_is_what_its_batches_did_not():
    """Two batches of 1 s, two of 3 s; the other 12 of 20 seconds went before, between and after."""
    pace = heard((7, 0.1, "test"), (8, 0.2, "test"), (9, 0.3, "train"), (12, 0.4, "train"), (15, 0.4, "end"))
    assert pace.once("g", 20.0) == pytest.approx(12)
    assert pace.once("g", 5.0) == 0
    assert pace.once("never heard of", 5.0) == 5.0
