"""Owns the fixtures of the orchestration tests: a toy project, and layer sheets without torch."""

import pytest
import toy


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A fresh toy project whose layer sheets cost nothing."""
    monkeypatch.setattr("repsim.catalog._ask", toy.sheet)
    return toy.make(tmp_path / "project")
