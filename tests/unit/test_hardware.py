"""Which device is picked: what the machine has, and never one that it has not."""

import pytest

from repsim import hardware
from repsim.errors import UserError


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """Makes this machine look like another one."""

    def seems(cards=(), system="Linux", chip="x86_64", driver=False):
        (tmp_path / "driver").touch() if driver else None
        monkeypatch.setattr(hardware, "DRIVER", tmp_path / "driver")
        monkeypatch.setattr(hardware, "gpus", lambda: list(cards))
        monkeypatch.setattr(hardware.platform, "system", lambda: system)
        monkeypatch.setattr(hardware.platform, "machine", lambda: chip)

    return seems


def test_auto_takes_the_best_that_is_there(machine):
    machine(cards=["H100"])
    assert hardware.pick_device("auto") == "cuda"
    machine(system="Darwin", chip="arm64")
    assert hardware.pick_device("auto") == "mps"
    machine()
    assert hardware.pick_device("auto") == "cpu"


def test_a_wish_that_can_be_had_is_granted(machine):
    machine(cards=["H100"])
    assert [hardware.pick_device(wish) for wish in ("cpu", "cuda")] == ["cpu", "cuda"]
    machine(system="Darwin", chip="arm64")
    assert hardware.pick_device("mps") == "mps"


def test_a_driver_is_enough_where_nvidia_smi_is_not_installed(machine):
    machine(driver=True)
    assert hardware.pick_device("cuda") == "cuda"


@pytest.mark.parametrize(("wish", "lacks"), [("cuda", "no NVIDIA card"), ("mps", "no Apple chip"), ("gpu", "unknown device 'gpu'")])
def test_a_wish_that_cannot_be_had_is_refused(machine, wish, lacks):
    machine()
    with pytest.raises(UserError, match=lacks):
        hardware.pick_device(wish)
