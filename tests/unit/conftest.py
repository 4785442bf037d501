"""Owns the fixtures of the orchestration tests: a toy project, and layer sheets without torch."""

import os

import pytest
import toy


@pytest.fixture(autouse=True)
def same_data_folders_afterwards(monkeypatch):
    """Finding a project puts its data/ first in REPSIM_DATA: not so in the tests that follow."""
    monkeypatch.setenv("REPSIM_DATA", os.environ.get("REPSIM_DATA", ""))


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A fresh toy project whose layer sheets cost nothing."""
    monkeypatch.setattr("repsim.catalog._ask", toy.sheet)
    return toy.make(tmp_path / "project")
