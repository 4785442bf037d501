"""Owns the fixtures of the orchestration tests: a toy project, layer sheets without torch, a Slurm that is none."""

import os

import fakeslurm
import pytest
import toy


@pytest.fixture(autouse=True)
def same_data_folders_afterwards(monkeypatch):
    """Finding a project puts its data/ first in REPSIM_DATA: not so in the tests that follow."""
    monkeypatch.setenv("REPSIM_DATA", os.environ.get("REPSIM_DATA", ""))


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    """A submit that looks and tries again does so at once."""
    monkeypatch.setattr("repsim.intents.LOOKS_S", (0.0, 0.0, 0.0))
    monkeypatch.setattr("repsim.intents.PAUSES_S", (0.0, 0.0))


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A fresh toy project whose layer sheets cost nothing."""
    monkeypatch.setattr("repsim.catalog._ask", toy.sheet)
    return toy.make(tmp_path / "project")


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """A Slurm on PATH, healthy until told otherwise; a real one is out of reach."""
    made = fakeslurm.make(tmp_path / "slurm")
    monkeypatch.setenv("PATH", f"{made.bin}:/usr/bin:/bin")
    monkeypatch.delenv("SLURM_CONF", raising=False)
    return made
