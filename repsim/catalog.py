"""Owns what the torch-free half knows of architectures and their layers, read in a child process once and then cached.

A layer sheet is a list of {name, kind, shape, parameters, carries, beside}; it depends on the architecture, its width,
the classes and the input, not on the weights.
"""

import hashlib
import json
import os
from collections.abc import Hashable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from repsim import child
from repsim.errors import SpecError
from repsim.identity import digest
from repsim.job import NetworkFacts, RunId

Sheet = list[dict[str, Any]]


class Catalog:
    """Layer sheets of networks, and where data sets are looked for."""

    def __init__(self, data_folders: tuple[Path, ...], cache: Path):
        self.data_folders = data_folders
        self._cache = cache / "layers"
        self._sheets: dict[NetworkFacts, Sheet] = {}
        self._networks: dict[RunId, NetworkFacts] = {}
        self._kept: dict[RunId, Sequence[int] | None] = {}
        self._datasets: dict[RunId, str] = {}

    def register(self, run: RunId, facts: NetworkFacts, kept: Sequence[int] | None = None, dataset: str | None = None) -> None:
        """Say what network the run `run` makes, after which epochs it keeps it besides, and for what data set; None: unknown."""
        self._networks[run], self._kept[run] = facts, tuple(kept) if isinstance(kept, list) else kept
        if dataset is not None:
            self._datasets[run] = dataset

    def layers(self, facts: NetworkFacts) -> Sheet:
        """Every layer of such a network, in execution order; UserError if it cannot be built."""
        if facts not in self._sheets:
            self._sheets[facts] = self._cached(facts)
        return self._sheets[facts]

    def network(self, run: RunId) -> NetworkFacts:
        """What network the run `run` makes."""
        if run not in self._networks:
            raise SpecError(f"no network with id '{run}' is known here", do="see: repsim zoo list")
        return self._networks[run]

    def kept(self, run: RunId) -> Sequence[int] | None:
        """After which epochs the run `run` keeps its network, beside the one that counts; None where that is unknown."""
        return self._kept.get(run)

    def dataset(self, run: RunId) -> str | None:
        """The data set that the network of `run` was made for; None where that is unknown."""
        return self._datasets.get(run)

    def told(self, run: RunId) -> Hashable:
        """All that is known of a network, as one value: of two that are alike nothing different can be said here."""
        return (self._networks[run], self.kept(run), self.dataset(run)) if run in self._networks else run

    def network_layers(self, run: RunId) -> Sheet:
        """Every layer of the network that the run `run` makes."""
        return self.layers(self.network(run))

    def architectures(self) -> Sheet:
        """Every architecture: the fields of repsim/models/listing.py."""
        return self._cached(None)

    def _cached(self, facts: NetworkFacts | None) -> Sheet:
        file = self._cache / f"{digest([asdict(facts) if facts else None, _sources()])}.json"
        try:
            return json.loads(file.read_text())
        except (OSError, ValueError):
            sheet = _ask(facts)
        _keep(file, sheet)
        return sheet


def _ask(facts: NetworkFacts | None) -> Sheet:
    """The layers of such a network; without `facts`, the architectures."""
    return child.ask("repsim.models", *([json.dumps(asdict(facts))] if facts else []))


def _keep(file: Path, sheet: Sheet) -> None:
    """Write the cache; where it cannot be written the sheet is made again next time, which costs seconds."""
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps(sheet))
        temporary.replace(file)
    except OSError:
        temporary.unlink(missing_ok=True) if file.parent.is_dir() else None


def _sources() -> str:
    """Hash of the model code, so that a sheet never outlives the architecture it describes."""
    folder = Path(__file__).parent / "models"
    content = b"".join(p.read_bytes() for p in sorted(folder.glob("*.py")))
    return hashlib.sha256(content).hexdigest()
