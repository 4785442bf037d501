"""Owns how a count is said with its noun; light, as every command says some."""


def number(count: int, noun: str) -> str:
    """1 run, 2 runs, 10,000 stitches."""
    return f"{count:,} {noun}" + ("" if count == 1 else "es" if noun.endswith("tch") else "s")


def lacking(count: int, total: int, noun: str) -> str:
    """ "1 of 1 run is missing", "2 of 3 runs are missing"."""
    return f"{count:,} of {number(total, noun)} {'is' if count == 1 else 'are'} missing"
