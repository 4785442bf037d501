"""Owns why tasks wait: the reasons that squeue gives, in words, and what helps those that would wait for ever."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Reason:
    """Why a task waits. `do` is what helps where waiting does not; in it {job} stands for the tasks and {sweep} for the sweep."""

    words: str
    do: str | None = None


AGAIN = "then: repsim sweep submit {sweep}"
MEND = f"scancel {{job}}; mend the profile; {AGAIN}"
RELEASE = "scontrol release {job}"
REASONS = {
    "Resources": Reason("next in line; waits for a free node"),
    "Priority": Reason("others come first"),
    "Dependency": Reason("waits for an array before it"),
    "DependencyNeverSatisfied": Reason("waits for an array that will never end well", f"scancel {{job}}; {AGAIN}"),
    "JobArrayTaskLimit": Reason("as many tasks run as max_parallel allows"),
    "BeginTime": Reason("its start time is not reached; after a requeue that takes minutes"),
    "ReqNodeNotAvail": Reason("the nodes it needs are down or reserved"),
    "PartitionDown": Reason("the partition is down"),
    "PartitionInactive": Reason("the partition takes no jobs now"),
    "PartitionTimeLimit": Reason(
        "timeout_min is more than the partition allows", f"scancel {{job}}; lower timeout_min in the profile; {AGAIN}"
    ),
    "PartitionNodeLimit": Reason(
        "it asks for more nodes than the partition allows", f"scancel {{job}}; name another partition in the profile; {AGAIN}"
    ),
    "BadConstraints": Reason(
        "no node is as the profile asks: see constraint, cpus_per_task, mem_gb, gpus_per_task",
        MEND,
    ),
    "Licenses": Reason("waits for a licence"),
    "Reservation": Reason("waits for its reservation to begin"),
    "JobHeldUser": Reason("held by its owner", RELEASE),
    "JobHeldAdmin": Reason("held by an administrator", "ask the administrators why"),
    "JobHoldMaxRequeue": Reason("requeued too often, and held", RELEASE),
    "launch failed requeued held": Reason("Slurm could not start it, and holds it", RELEASE),
    "InvalidAccount": Reason("the account of the profile is not valid here", MEND),
    "InvalidQOS": Reason("the qos of the profile is not valid here", MEND),
    "Cleaning": Reason("its last attempt is still being cleaned up"),
}
LIMITS = (("QOS", "the QOS"), ("Assoc", "the account"), ("MaxMem", "the cluster"))
ALONE = ("PerJob", "PerNode", "MinCpu", "MinGRES", "MaxMemPerLimit")  # what one task asks for: no end of another makes room for it


def of(reason: str) -> Reason:
    """What squeue gives as reason, for people; its own word where there is none of ours."""
    name = reason.strip("()").split(",")[0].strip("()")
    if name in REASONS:
        return REASONS[name]
    if name.startswith("Nodes_required_for_job_are_DOWN"):
        return Reason("its nodes are down or reserved")
    whose = next((words for start, words in LIMITS if name.startswith(start)), None)
    return _limited(name, whose) if whose else Reason(reason)


def _limited(name: str, whose: str) -> Reason:
    """A limit: of what one task may ask for, of what is used up for now, or of how much goes at once."""
    if any(part in name for part in ALONE):
        do = f"scancel {{job}}; ask for less in the profile, or name another qos or account; {AGAIN}"
        return Reason(f"one task asks for more than {whose} allows ({name})", do)
    if "Minutes" in name or "RunMins" in name:
        return Reason(f"the hours of {whose} are used up ({name})", "wait until they are renewed, or name another qos or account")
    return Reason(f"a limit of {whose} is reached; some of yours must end first ({name})")
