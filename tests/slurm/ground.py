"""Owns the ground of a chaos: a toy project with a small disk of its own, a real cluster, an sbatch that can be told to fail.

Whatever becomes of this process, a keeper takes down what it put up: cluster, mount, folder.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import noted
import toy
from onemachine import RunningCluster, kept, running_cluster

from repsim.project import Project

ROOT = Path(__file__).parents[2]
DISK_MB = 48
PATHS = os.pathsep.join(map(str, (ROOT, ROOT / "tests" / "unit", ROOT / "tests" / "slurm")))
SWEEP = "chaos"
SPEC = """\
job: stitch
profile: chaos
zoo: {{arch: net, dataset: images, seeds: 0..{last}}}
pairs: ordered
layers: relu1
cases:
  linear: {{stitcher: linear, init: [random, ps_inv]}}
  lowrank: {{stitcher: lowrank, rank: [1, 2]}}
  permutation: {{stitcher: permutation}}
table: {{rows: [case], cols: [front_layer], value: penalty}}
"""
PROFILE = """\
cluster: slurm
partition: gpu-preempt
device: cpu
gpus_per_task: 1
slurm: {{exclusive: true}}
mem_gb: 1
timeout_min: {minutes}
signal_s: {signal_s}
pack_min: 0.2
min_tasks: 8
max_parallel: 8
env: {{CHAOS_FOLDER: {folder}, CHAOS_PACE: "{pace}", PYTHONPATH: "{paths}"}}
"""
NOTED = "\n\nfrom noted import noted  # noqa: E402\n\nPRIOR_RATE = 0.1\nrun = noted(run)\n"
SBATCH = """\
#!/bin/sh
# the real one, but for the call that takes the order in {folder}/sbatch: late, lost, silent or refused
mv {folder}/sbatch {folder}/sbatch.$$ 2>/dev/null || exec {real} "$@"
said=$(cat {folder}/sbatch.$$)
[ "$said" = refused ] || answer=$({real} "$@") || exit 1
rm {folder}/sbatch.$$
echo $$ > {folder}/taken.$said
[ "$said" = late ] && sleep 4 && echo "$answer" && exit 0
[ "$said" = silent ] && sleep 600
echo "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation" >&2
exit 1
"""


@dataclass(frozen=True)
class Ground:
    """Where a chaos takes place. `mounted`: the results are on a disk of their own; `away_s`: how long a lost node stays
    away (seconds); `hurt`: nodes under repair.
    """

    folder: Path
    project: Project
    cluster: RunningCluster
    mounted: bool
    away_s: float
    hurt: set[str] = field(default_factory=set)

    def environment(self) -> dict[str, str]:
        """That of a person: the sbatch that can fail comes first on PATH."""
        path = f"{self.folder / 'bin'}:{os.environ['PATH']}"
        own = {"PATH": path, "PYTHONPATH": PATHS, "SLURM_CONF": str(self.cluster.conf), "CHAOS_FOLDER": str(self.folder)}
        return os.environ | own | {"CHAOS_PACE": "0"}

    def running(self) -> list[tuple[str, str]]:
        """(element, node) of each task of the sweep that Slurm calls running."""
        lines = self.cluster.run("squeue", "-h", "-r", "-t", "RUNNING", "-o", "%i %N %j").splitlines()
        return [(element, node) for element, node, name in map(str.split, lines) if name.startswith("repsim-")]

    def workers(self) -> list[int]:
        """Process ids of the workers at work on the cluster."""
        conf = f"SLURM_CONF={self.cluster.conf}".encode()
        found = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
        return [pid for pid in found if b"submitit.core._submit" in _words(pid) and conf in _read(pid, "environ").split(b"\0")]


def make_project(folder: Path, last: int, pace: float, journal: Path) -> Project:
    """A toy project with the sweep between networks 0…last; its runs are noted in the journal."""
    project = toy.make(folder)
    for name in ("train", "stitch"):
        with (project.jobs / f"{name}.py").open("a") as file:
            file.write(NOTED)
    (project.sweeps / f"{SWEEP}.yaml").write_text(SPEC.format(last=last))
    for name, minutes, signal_s in (("chaos", 5, 30), ("brief", 1, 30)):
        text = PROFILE.format(minutes=minutes, signal_s=signal_s, folder=journal, pace=pace, paths=PATHS)
        (project.profiles / f"{name}.yaml").write_text(text)
    return project


@contextmanager
def broken_in(last: int, pace: float, away_s: float) -> Iterator[Ground]:
    """A ground to be struck; afterwards no process, no mount and no folder is left, unless a file `keep` lies in the folder."""
    folder = Path(tempfile.mkdtemp(prefix="repsim-chaos-", dir="/tmp")).resolve()
    results = folder / "project" / "results"
    clean = f"umount -l {results} 2>/dev/null; [ -e {folder}/keep ] || rm -rf {folder}"
    clean = f"for one in {folder}/at-work/*; do kill -9 -$(basename $one) 2>/dev/null; done; {clean}"
    with kept(clean):
        project = make_project(folder / "project", last, pace, folder)
        for name in ("bin", "at-work", "said"):
            (folder / name).mkdir()
        sbatch = folder / "bin" / "sbatch"
        sbatch.write_text(SBATCH.format(folder=folder, real=shutil.which("sbatch")))
        sbatch.chmod(0o755)
        (folder / noted.JOURNAL).touch()
        mounted = _mount(results)
        with running_cluster() as cluster:
            yield Ground(folder, project, cluster, mounted, away_s)
            if (folder / "keep").exists():
                shutil.copytree(results, folder / "kept", ignore=shutil.ignore_patterns("cache", ".ballast"))


def _mount(results: Path) -> bool:
    """A disk of its own for the results, where we may mount one."""
    results.mkdir(exist_ok=True)
    if os.getuid() != 0 or sys.platform != "linux":
        return False
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "repsim-chaos", str(results)]
    return subprocess.run(command, capture_output=True).returncode == 0


def _words(pid: int) -> bytes:
    """The command line of a Python; nothing for a shell that only starts one."""
    words = _read(pid, "cmdline")
    return words if b"python" in words.split(b"\0")[0] else b""


def _read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""  # it has just ended
