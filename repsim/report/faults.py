"""Owns how bad nodes are shown: each with its faults, the evidence, and whether submissions avoid it."""

from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from repsim.nodes import Fault
from repsim.report.counts import number


def nodes_json(found: Iterable[Fault], avoided: Collection[str], lasts_s: float) -> dict[str, Any]:
    """Nodes in the order of their first fault; each is forgotten `lasts_s` seconds after its last."""
    by_node: dict[str, list[Fault]] = {}
    for fault in found:
        by_node.setdefault(fault.node, []).append(fault)
    return {
        "nodes": [
            {
                "node": node,
                "avoided": node in avoided,
                "until": _time(faults[-1].at + lasts_s),
                "faults": [{**vars(fault), "cause": str(fault.cause), "at": _time(fault.at)} for fault in faults],
            }
            for node, faults in by_node.items()
        ]
    }


def nodes_text(shown: Mapping[str, Any]) -> str:
    """The object of `nodes_json` for people."""
    return "\n".join(line for node in shown["nodes"] for line in _lines(node)) or "no node had a fault in the last 24 hours"


def _lines(node: Mapping[str, Any]) -> list[str]:
    what = "avoided by submissions, as far as bad nodes are a tenth of the partition," if node["avoided"] else "remembered"
    head = f"{node['node']}: {number(len(node['faults']), 'fault')}, {what} until {node['until']}"
    return [head, *map(_evidence, node["faults"])]


def _evidence(fault: Mapping[str, Any]) -> str:
    on = f" on {fault['gpu']}" if fault["gpu"] else ""
    return f"    {fault['at']}  {fault['cause']}{on} in task {fault['task']} of {fault['submission']}: {fault['message']:.160}"


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(sep=" ", timespec="minutes")
