r"""Owns a sheet as LaTeX: a float with booktabs rules, what is best in bold.

Needs \usepackage{booktabs}, and \usepackage{longtable} for a sheet of more than LONG rows, which no float can hold. Columns that do
not fit the width of a page go into further floats, beside the keys again, as in plain text.
"""

from collections.abc import Iterator, Sequence

from repsim.report.sheets import Sheet

NORMAL, WIDTH = 66, 92  # characters of a line of an article in \normalsize, and in \footnotesize
GAP = 2  # characters between two columns
LONG = 45  # rows of a page
ESCAPED = str.maketrans(
    {c: f"\\{c}" for c in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "|": r"\textbar{}"}
    | {"<": r"\textless{}", ">": r"\textgreater{}", "±": r"$\pm$", "→": r"$\to$", "−": "$-$", "–": "--", "-": "{-}", "\n": " "}
    | {"†": r"\dag{}", "·": r"$\cdot$"}
)


def text(sheet: Sheet) -> str:
    """One float, or as many as its columns need. Rows of different architectures stand a little apart."""
    blocks = list(_blocks(sheet))
    whole = [_float(sheet, block, _part(place, len(blocks))) for place, block in enumerate(blocks)]
    return "\n".join(whole)


def escaped(text: str) -> str:
    """A hyphen that leads is the minus of a negative number."""
    return (f"−{text[1:]}" if text.startswith("-") else text).translate(ESCAPED)


def _part(place: int, count: int) -> str:
    return f" (Columns: part {place + 1} of {count}.)" if count > 1 else ""


def _widths(sheet: Sheet) -> list[int]:
    return [max(map(len, [head, *(line[i] for line in sheet.lines)])) + GAP for i, head in enumerate(sheet.head)]


def _blocks(sheet: Sheet) -> Iterator[list[int]]:
    """Numbers of the columns that stand side by side."""
    widths, keys = _widths(sheet), list(range(sheet.keys))
    block = list(keys)
    for column in range(sheet.keys, len(sheet.head)):
        if len(block) > len(keys) and sum(widths[i] for i in [*block, column]) > WIDTH:
            yield block
            block = list(keys)
        block.append(column)
    yield block


def _float(sheet: Sheet, columns: Sequence[int], part: str) -> str:
    head = " & ".join(escaped(sheet.head[i]) for i in columns) + r" \\"
    rows = _rows(sheet, columns)
    shape = "l" * sheet.keys + "r" * (len(columns) - sheet.keys)
    small = [r"\footnotesize"] if sum(_widths(sheet)[i] for i in columns) > NORMAL else []
    said = rf"\caption{{{escaped(' '.join(filter(None, [sheet.heading and sheet.heading + '.', sheet.caption])) + part)}}}"
    if len(sheet.lines) > LONG:
        top = [r"\toprule", head, r"\midrule"]
        begin = ["{", *small, rf"\begin{{longtable}}{{{shape}}}", said + r" \\", *top, r"\endfirsthead", *top, r"\endhead"]
        return "\n".join([*begin, r"\bottomrule", r"\endfoot", *rows, r"\end{longtable}", "}"]) + "\n"
    begin = [r"\begin{table}", r"\centering", said, *small, rf"\begin{{tabular}}{{{shape}}}", r"\toprule", head, r"\midrule"]
    return "\n".join([*begin, *rows, r"\bottomrule", r"\end{tabular}", r"\end{table}"]) + "\n"


def _rows(sheet: Sheet, columns: Sequence[int]) -> list[str]:
    rows: list[str] = []
    for i, line in enumerate(sheet.lines):
        if i and sheet.keys > 1 and line[0] != sheet.lines[i - 1][0]:
            rows.append(r"\addlinespace")
        rows.append(" & ".join(_cell(sheet, i, j) for j in columns) + r" \\")
    return rows


def _cell(sheet: Sheet, line: int, column: int) -> str:
    cell = escaped(sheet.lines[line][column])
    return rf"\textbf{{{cell}}}" if (line, column) in sheet.strong else cell
