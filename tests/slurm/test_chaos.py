"""A sweep to which everything happens ends as if nothing had happened; `make chaos` does the same for longer, over many seeds."""

import os

import chaos
import pytest
from injections import DECK

pytestmark = pytest.mark.slurm
SEED = int(os.environ.get("REPSIM_CHAOS_SEED", "1"))
LEAST = len(DECK) // 2


def test_a_sweep_to_which_everything_happens_ends_as_if_nothing_had(capsys):
    season = chaos.play(SEED, chaos.SHORT)
    with capsys.disabled():
        print(f"\n{season.text()}")
    assert season.wrong == []
    assert season.happened.total() >= LEAST, "a chaos in which hardly anything happens shows nothing"


def test_seeds_are_ranges_and_single_numbers():
    assert chaos.seeds("1..3,7") == [1, 2, 3, 7]
