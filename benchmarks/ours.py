"""Owns repsim's side: all stitchers of one case as one group of jobs/stitch.py, in one process."""

import argparse
import json
from pathlib import Path
from time import perf_counter

STARTED = perf_counter()  # before the imports, whose time is part of every process

import subjects  # noqa: E402
from processes import memory_mb  # noqa: E402

from repsim import job  # noqa: E402

ROOT = Path(__file__).parents[1]


def main() -> None:
    """Run one case; one JSON line on stdout."""
    args = _arguments()
    case = subjects.cases(subjects.SUBJECTS[args.arch])[args.case]
    stitch = job.load(ROOT / "jobs", "stitch")
    configs = [stitch.config(**_fields(each, args.precision)) for each in case.stitches]
    context = job.Context(
        device=args.device, data_folders=tuple(args.data), cache=args.cache, artefacts=args.artefacts, run_id=_name
    )
    marks = {"import": perf_counter() - STARTED}
    rows = list(stitch.run(configs, context))
    marks["run"] = perf_counter() - STARTED - marks["import"]
    accuracy = {row.run_id: row.accuracy_last for row in rows}  # type: ignore[attr-defined]
    print(json.dumps({"accuracy": accuracy, "seconds": marks, "memory_mb": memory_mb(args.device)}))


def _fields(each: subjects.Stitch, precision: str) -> dict:
    """The classical run as a configuration; no controls, as the classical side has none."""
    return {
        "front_network": "front",
        "end_network": "end",
        "dataset": subjects.DATASET,
        "front_layer": each.layer,
        "end_layer": each.layer,
        "stitcher": "linear",
        "seed": each.seed,
        "epochs": subjects.EPOCHS,
        "batch_size": subjects.BATCH,
        "lr": subjects.LR,
        "select": "last",
        "train_images": subjects.TRAIN_IMAGES,
        "validation_images": 0,
        "data_seed": subjects.DATA_SEED,
        "precision": precision,
        "controls": False,
    }


def _name(config: job.JobConfig) -> str:
    return f"{config.front_layer} {config.seed}"  # type: ignore[attr-defined]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--arch", choices=subjects.SUBJECTS, default="tiny10")
    parser.add_argument("--artefacts", type=Path, required=True, help="folder with front/network.pt and end/network.pt")
    parser.add_argument("--data", type=Path, action="append", required=True, help="folder that holds the data set")
    parser.add_argument("--cache", type=Path, required=True, help="folder of the decoded data set")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    parser.add_argument("--case", choices=["a", "b", "c"], required=True)
    return parser.parse_args()


if __name__ == "__main__":
    main()
