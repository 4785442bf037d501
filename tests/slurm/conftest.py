"""Owns the real Slurm cluster that the tests of a session share."""

import pytest
from onemachine import running_cluster


@pytest.fixture(scope="session")
def cluster():
    """Four nodes n1 … n4 with two fake GPUs each; SLURM_CONF is set, so that every client finds it."""
    with running_cluster() as one, pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLURM_CONF", str(one.conf))
        yield one
