r"""Owns a sheet as LaTeX: a float with booktabs rules, what is best in bold.

A document needs \usepackage{booktabs, graphicx, longtable}. A sheet that is too wide for a line of an article is set in a smaller
type; one that would become too small to read is split: further columns go into further floats, beside the keys again, as in plain
text. More than LONG rows do not fit a page: they become a longtable, which goes on on the next one. Greek letters are
set as such; names in further scripts need lualatex or xelatex, with a font that has them.
"""

from collections.abc import Iterator, Sequence

from repsim.report.sheets import Sheet

NORMAL, SMALL, SCALED = 64, 82, 108  # characters in a line: as it is, in \footnotesize, and that scaled down to 6 points
GAP = 2  # characters between two columns
LONG = 45  # rows of a page
GREEK = {
    **{"α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "varepsilon", "ζ": "zeta", "η": "eta", "θ": "theta"},
    **{"ι": "iota", "κ": "kappa", "λ": "lambda", "μ": "mu", "ν": "nu", "ξ": "xi", "π": "pi", "ρ": "rho", "σ": "sigma"},
    **{"ς": "varsigma", "τ": "tau", "υ": "upsilon", "φ": "varphi", "χ": "chi", "ψ": "psi", "ω": "omega"},
    **{"Γ": "Gamma", "Δ": "Delta", "Θ": "Theta", "Λ": "Lambda", "Ξ": "Xi", "Π": "Pi", "Σ": "Sigma", "Υ": "Upsilon"},
    **{"Φ": "Phi", "Ψ": "Psi", "Ω": "Omega"},
}
ESCAPED = str.maketrans(
    {c: f"\\{c}" for c in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "|": r"\textbar{}"}
    | {"<": r"\textless{}", ">": r"\textgreater{}", "±": r"$\pm$", "→": r"$\to$", "−": "$-$", "–": "--", "-": "{-}", "\n": " "}
    | {"†": r"\dag{}", "·": r"$\cdot$", "≥": r"$\ge$", "≤": r"$\le$", "×": r"$\times$"}
    | {letter: rf"$\{name}$" for letter, name in GREEK.items()}
)


def text(sheet: Sheet) -> str:
    """One float, or as many as its columns need. Rows of different architectures stand a little apart."""
    blocks = list(_blocks(sheet))
    whole = [_float(sheet, block, _said(sheet, place, len(blocks))) for place, block in enumerate(blocks)]
    return "\n".join(whole)


def escaped(text: str) -> str:
    """A hyphen that leads is the minus of a negative number."""
    return (f"−{text[1:]}" if text.startswith("-") else text).translate(ESCAPED)


def _said(sheet: Sheet, place: int, count: int) -> str:
    """The caption of one of so many parts; what holds for all stands with the first."""
    part = f"Columns: part {place + 1} of {count}." if count > 1 else ""
    return " ".join(filter(None, [sheet.heading and f"{sheet.heading}.", "" if place else sheet.caption, part]))


def _widths(sheet: Sheet) -> list[int]:
    return [max(map(len, [head, *(line[i] for line in sheet.lines)])) + GAP for i, head in enumerate(sheet.head)]


def _blocks(sheet: Sheet) -> Iterator[list[int]]:
    """Numbers of the columns that stand side by side."""
    widths, keys = _widths(sheet), list(range(sheet.keys))
    most = SMALL if len(sheet.lines) > LONG else SCALED
    block = list(keys)
    for column in range(sheet.keys, len(sheet.head)):
        if len(block) > len(keys) and sum(widths[i] for i in [*block, column]) > most:
            yield block
            block = list(keys)
        block.append(column)
    yield block


def _float(sheet: Sheet, columns: Sequence[int], caption: str) -> str:
    head = " & ".join(escaped(sheet.head[i]) for i in columns) + r" \\"
    rows, width = _rows(sheet, columns), sum(_widths(sheet)[i] for i in columns)
    shape = "l" * sheet.keys + "r" * (len(columns) - sheet.keys)
    small = [r"\footnotesize\setlength{\tabcolsep}{4pt}"] if width > NORMAL else []
    said = rf"\caption{{{escaped(caption)}}}"
    top = [r"\toprule", head, r"\midrule"]
    if len(sheet.lines) > LONG:
        begin = ["{", *small, rf"\begin{{longtable}}{{{shape}}}", said + r" \\", *top, r"\endfirsthead", *top, r"\endhead"]
        return "\n".join([*begin, r"\bottomrule", r"\endfoot", *rows, r"\end{longtable}", "}"]) + "\n"
    tabular = [rf"\begin{{tabular}}{{{shape}}}", *top, *rows, r"\bottomrule", r"\end{tabular}"]
    if width > SMALL:
        tabular = [r"\resizebox{\linewidth}{!}{%", *tabular[:-1], tabular[-1] + "}"]
    return "\n".join([r"\begin{table}", r"\centering", said, *small, *tabular, r"\end{table}"]) + "\n"


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
