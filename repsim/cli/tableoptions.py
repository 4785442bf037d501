"""Owns the options that `results table` and `results plot` share: what the table shows."""

from typing import Annotated

import typer

Rows = Annotated[str | None, typer.Option("--rows", help="Columns that make the rows, separated by commas.")]
Cols = Annotated[str | None, typer.Option("--cols", help="Columns that make the columns, separated by commas.")]
Controls = Annotated[bool, typer.Option("--controls", help="Negative controls in columns beside the real numbers.")]
Value = Annotated[
    str | None, typer.Option("--value", help="The number shown: penalty, accuracy, residual, or any number of a row.")
]
