"""Owns which layers of both sides some requests name, each once, and where the number of a request stands in their table."""

from collections.abc import Callable, Sequence
from math import isnan

from repsim.similarity.accumulator import Source, sources
from repsim.similarity.request import Request

Table = list[list[float]]  # fronts by ends; NaN where undefined


class Pairing:
    """Fronts and ends of some requests, in the order in which they are first named."""

    def __init__(self, requests: Sequence[Request], view: Callable[[Request], str] = lambda request: request.view):
        self.of = {request: sources(request, view(request)) for request in requests}
        self.fronts, self.ends = (list(dict.fromkeys(pair[side] for pair in self.of.values())) for side in (0, 1))

    @property
    def sources(self) -> list[Source]:
        return [*self.fronts, *self.ends]

    def place(self, request: Request) -> tuple[int, int]:
        """Row and column of its number."""
        front, end = self.of[request]
        return self.fronts.index(front), self.ends.index(end)

    def pick(self, table: Table | None, request: Request) -> float | None:
        """Its number; None where it is undefined or there is no table."""
        if table is None:
            return None
        row, column = self.place(request)
        return None if isnan(table[row][column]) else table[row][column]
