"""Owns the signature of an error: its message without what differs from run to run, so that equal errors are counted as one."""

import re
from functools import lru_cache

PARTS = (
    (re.compile(r"(?:[\w.~-]*/)+[\w.=-]*"), "PATH"),
    (re.compile(r"\b0x[0-9a-fA-F]+\b|\b(?=[a-f]*\d)[0-9a-f]{8,}\b"), "ID"),
    (re.compile(r"\d+(?:[.,]\d+)*(?:[eE][-+]?\d+)?"), "N"),
    (re.compile(r"\s+"), " "),
)


@lru_cache(maxsize=10_000)  # thousands of runs fail with the same few messages
def signature(message: str) -> str:
    """`message` with paths, ids and numbers as PATH, ID and N: "tried to allocate 2.50 GiB" → "tried to allocate N GiB"."""
    for pattern, name in PARTS:
        message = pattern.sub(name, message)
    return message.strip()
