"""Owns a sheet as Markdown: a table with its caption below, what is best in bold."""

from repsim.report.sheets import Sheet

ESCAPED = str.maketrans({c: f"\\{c}" for c in "\\`*_[]#|~$"} | {"&": "&amp;", "<": "&lt;", ">": "&gt;", "\n": " "})


def text(sheet: Sheet) -> str:
    """A heading where there are pages, the table, and the caption."""
    rule = ["---"] * sheet.keys + ["---:"] * (len(sheet.head) - sheet.keys)
    head = [one.translate(ESCAPED) for one in sheet.head]
    rows = [[_cell(sheet, i, j, one) for j, one in enumerate(line)] for i, line in enumerate(sheet.lines)]
    body = ["| " + " | ".join(line) + " |" for line in [head, rule, *rows]]
    above = [f"### {sheet.heading.translate(ESCAPED)}", ""] if sheet.heading else []
    return "\n".join([*above, *body, "", sheet.caption.translate(ESCAPED)]) + "\n"


def _cell(sheet: Sheet, line: int, column: int, cell: str) -> str:
    escaped = cell.translate(ESCAPED)
    return f"**{escaped}**" if (line, column) in sheet.strong else escaped
