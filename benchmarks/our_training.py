"""Owns repsim's side of training: networks of successive seeds as one group of jobs/train.py, in one process."""

import argparse
import json
import tempfile
from pathlib import Path
from time import perf_counter

STARTED = perf_counter()  # before the imports, whose time is part of every process

import trainings  # noqa: E402
from processes import memory_mb  # noqa: E402
from trainings import BATCH, DATASET, LR, MOMENTUM, SUBJECTS, WEIGHT_DECAY  # noqa: E402

from repsim import job  # noqa: E402

ROOT = Path(__file__).parents[1]


def main() -> None:
    """Train and test the networks; one JSON line on stdout."""
    args = _arguments()
    train = job.load(ROOT / "jobs", "train")
    configs = [train.config(**_fields(args, args.seed + k)) for k in range(args.together)]
    with tempfile.TemporaryDirectory() as folder:
        context = job.Context(
            device=args.device,
            data_folders=tuple(args.data),
            cache=args.cache,
            artefacts=Path(folder),
            run_id=lambda config: f"seed{config.seed}",  # type: ignore[attr-defined]
        )
        rows = list(train.run(configs, context))
    said = {
        "images": args.epochs * args.images * len(rows),
        "train_s": max(row.curve_seconds[-1] for row in rows),  # type: ignore[attr-defined]
        "whole_s": perf_counter() - STARTED,
        "accuracy": [row.accuracy for row in rows],  # type: ignore[attr-defined]
        "memory_mb": memory_mb(args.device),
    }
    print(json.dumps(said))


def _fields(args: argparse.Namespace, seed: int) -> dict:
    """The classical training as a configuration, in the precision asked for."""
    arch, width = SUBJECTS[args.subject]
    return {
        "arch": arch,
        "width": width,
        "dataset": DATASET,
        "recipe": "frankenstein",  # crop and flip, SGD with Nesterov momentum
        "seed": seed,
        "together": args.together,
        "epochs": args.epochs,
        "batch_size": BATCH,
        "lr": LR,
        "momentum": MOMENTUM,
        "weight_decay": WEIGHT_DECAY,
        "schedule": "constant",
        "train_images": args.images,
        "eval_every": 0,
        "precision": args.precision,
        "channels_last": args.precision == "bf16",
    }


def _arguments() -> argparse.Namespace:
    parser = trainings.arguments(__doc__)
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="bf16")
    parser.add_argument("--together", type=int, default=1, help="networks of successive seeds, trained at once")
    return parser.parse_args()


if __name__ == "__main__":
    main()
