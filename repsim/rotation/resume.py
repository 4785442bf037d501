"""Owns what is kept of a group of arms between two epochs, so that it goes on to exactly the same weights."""

from collections.abc import Sequence

from repsim.rotation.arms import Arm
from repsim.stitching.epochfile import EpochFile, State
from repsim.stitching.scores import Score

COUNTS = ("diverged", "epochs_run", "steps", "train_loss", "selected_epoch", "curve")


class Resume(EpochFile):
    """The resume file of a group of arms."""

    def epoch_ended(self, epoch: int, arms: Sequence[Arm]) -> None:
        """Write where the group stands, `epoch` epochs done, if the last time is long ago."""
        self.keep(epoch, lambda: {"arms": [_state(arm) for arm in arms]})

    def load(self, arms: Sequence[Arm]) -> int:
        """Bring `arms`, as they start, to where they stood; the epochs done by then, 0 where no file of their own is there."""
        state = self.read(lambda state: _fits(state, arms))
        if state is None:
            return 0
        for arm, saved in zip(arms, state["arms"], strict=True):
            _restore(arm, saved)
        return state["epoch"]


def _fits(state: State, arms: Sequence[Arm]) -> bool:
    shapes = [{name: value.shape for name, value in arm.network.values().items()} for arm in arms]
    return shapes == [{name: value.shape for name, value in saved["values"].items()} for saved in state["arms"]]


def _state(arm: Arm) -> State:
    judged = arm.judged and (arm.judged.accuracy, arm.judged.loss)
    counts = {name: getattr(arm, name) for name in COUNTS}
    optimizer = arm.optimizer.state_dict()
    return {"values": arm.network.values(), "optimizer": optimizer, "best": arm.best, "judged": judged, "counts": counts}


def _restore(arm: Arm, saved: State) -> None:
    arm.network.fill(saved["values"])
    arm.optimizer.load_state_dict(saved["optimizer"])
    arm.judged = saved["judged"] and Score(*saved["judged"])
    if saved["best"] is not None:
        device = next(arm.network.parameters()).device
        arm.best = {name: value.to(device) for name, value in saved["best"].items()}
    for name in COUNTS:
        setattr(arm, name, saved["counts"][name])
