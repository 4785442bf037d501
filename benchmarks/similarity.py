"""Owns the comparison of similarities: torch-cka, pytorch-cka and a plain loop against repsim, in one run, written as Markdown.

    pip install --no-deps --target FOLDER torch-cka==0.21 pytorch-cka==1.1.3 tqdm
    python benchmarks/similarity.py --zoo FOLDER --data FOLDER --peers FOLDER
    python benchmarks/similarity.py --subject resnet18 --device cuda --data FOLDER --peers FOLDER

Minibatch CKA of all pairs of layers of two networks, on the same batches: of stored features, and end to end with both networks
run on the images. Every way is a process of its own, warmed up by two batches; what is timed is the comparison alone. Then the
exact debiased CKA over many images, which only repsim gives.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import processes

HERE = Path(__file__).parent
INPUTS = {"features": "stored features", "networks": "end to end, networks run"}
SUBJECTS = ("tiny10", "resnet18")
PEERS, OURS = ("torch-cka", "pytorch-cka"), ("repsim, minibatch", "repsim, exact")
LOOP, REFERENCE = "loop", "reference"


@dataclass(frozen=True)
class Case:
    """What every way said of one kind of input, once per repetition, and what is right in double precision."""

    input: str
    images: int
    said: dict[str, list[dict[str, Any]]]
    minibatch: dict[str, Any]
    exact: dict[str, Any]


def main() -> None:
    """Compare in every way and write the result."""
    args = _arguments()
    _put_on_path(args)
    cases = [_case(args, input) for input in args.input or INPUTS]
    whole = [
        _run(args, OURS[1], "networks", args.exact_images, args.batch) for _ in range(args.repeats if args.exact_images else 0)
    ]
    import similarity_report  # needs torch: only now, so that the timed processes have the memory

    print(similarity_report.write(args, cases, whole))


def _case(args: argparse.Namespace, input: str) -> Case:
    """Every way in turn, as often as asked: all of them see the machine at all times."""
    images = args.features if input == "features" else args.images
    ways = [*OURS, *PEERS, *([] if args.no_loop else [LOOP])]
    said: dict[str, list[dict[str, Any]]] = {way: [] for way in ways}
    for turn in range(args.repeats):
        for way in ways:
            if turn == 0 or way != LOOP:  # the slowest by far, and a measure of nothing but itself
                said[way].append(_run(args, way, input, images, args.batch))
    minibatch, exact = (_run(args, REFERENCE, input, images, batch) for batch in (args.batch, 0))
    return Case(input, images, said, minibatch, exact)


def _run(args: argparse.Namespace, way: str, input: str, images: int, batch: int) -> dict[str, Any]:
    words = ["--subject", args.subject, "--device", args.device, "--cache", args.cache, "--images", images, "--batch", batch]
    words += [part for folder in args.data for part in ("--data", folder)] + (["--zoo", args.zoo] if args.zoo else [])
    done = processes.run("comparing.py", [*words, "--input", input, "--way", way], args.threads)
    return {**done.said, "wall": done.wall, "cpu": done.cpu}


def _put_on_path(args: argparse.Namespace) -> None:
    """Let all processes find the other packages; leave with how to install them where one is missing."""
    if args.peers:
        paths = [str(args.peers), *filter(None, [os.environ.get("PYTHONPATH")])]
        os.environ["PYTHONPATH"] = os.pathsep.join(paths)
    code = subprocess.run([sys.executable, str(HERE / "peers.py")], check=False).returncode
    if code:
        sys.exit(code)


def _arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--subject", choices=SUBJECTS, default="tiny10", help="24 layers of Tiny10, or 49 of ResNet-18 (32×32)")
    parser.add_argument("--zoo", type=Path, help="folder with Tiny10/CIFAR10/in4-gn4/110000.pt …; ResNet-18 is not trained")
    parser.add_argument("--data", type=Path, action="append", required=True, help="folder that holds the data set")
    parser.add_argument("--cache", type=Path, default=HERE.parent / "results" / "cache" / "data", help="for the decoded data set")
    parser.add_argument("--peers", type=Path, help="folder that the other packages were installed into")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--threads", type=int, help="of each process; as many as it likes")
    parser.add_argument("--input", choices=INPUTS, action="append", help="default: both")
    parser.add_argument("--features", type=int, default=1024, help="images whose features are stored")
    parser.add_argument("--images", type=int, default=2048, help="images of the comparison end to end")
    parser.add_argument("--exact-images", type=int, default=10_000, help="images of the exact comparison; 0: none")
    parser.add_argument("--batch", type=int, default=256, help="images of a batch; best a divisor of the others")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--no-loop", action="store_true", help="leave the plain loop out, which is slow")
    parser.add_argument("--out", type=Path, default=HERE / "results", help="folder of the Markdown file")
    return parser.parse_args(words)


if __name__ == "__main__":
    main()
