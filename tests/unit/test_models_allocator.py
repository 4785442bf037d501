"""What keeping freed memory saves can be counted: pages that the system must clear again."""

import platform
import subprocess
import sys

import pytest

# 64 MiB are written and freed 20 times over; every page that must be cleared anew is a minor fault. The first rounds, in which
# the heap finds room for blocks that must lie at aligned addresses, are not counted.
SCRIPT = """
import resource, sys, torch
from repsim.models.allocator import keep_freed_memory
if sys.argv[1] == "keep":
    assert not keep_freed_memory("cuda")
    assert keep_freed_memory("cpu")
for _ in range(20):
    torch.ones(2**24)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    torch.ones(2**24)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def _faults(mode: str) -> int:
    done = subprocess.run([sys.executable, "-c", SCRIPT, mode], stdout=subprocess.PIPE, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a setting of glibc")
def test_large_tensors_are_made_of_pages_that_are_there_already():
    assert _faults("keep") < 0.1 * _faults("default")
