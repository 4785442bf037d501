"""Owns the text of the configuration files. Pure: a cluster in, text out."""

from __future__ import annotations

from cluster import DEVICES, Cluster


def files(cluster: Cluster, version: tuple[int, int]) -> dict[str, str]:
    """File name below etc/ → its text. `version` is Slurm's, such as (22, 5)."""
    texts = {"slurm.conf": slurm_conf(cluster), "gres.conf": gres_conf(cluster), "cgroup.conf": cgroup_conf(version)}
    if cluster.accounting:
        texts["slurmdbd.conf"] = slurmdbd_conf(cluster)
    return texts


def slurm_conf(cluster: Cluster) -> str:
    return "\n".join([CONTROL.format(c=cluster), SCHEDULING, _accounting(cluster), _nodes(cluster), PARTITIONS.format(c=cluster)])


def gres_conf(cluster: Cluster) -> str:
    return f"Name=gpu File={','.join(DEVICES[: cluster.gpus])}\n"


def cgroup_conf(version: tuple[int, int]) -> str:
    """No cgroups: before 24.05 there is no `disabled`, and v1 is the plug-in that starts without any mounted."""
    return "ConstrainCores=no\nConstrainRAMSpace=no\nCgroupPlugin=" + ("disabled\n" if version >= (24, 5) else "cgroup/v1\n")


def slurmdbd_conf(cluster: Cluster) -> str:
    return SLURMDBD.format(c=cluster)


def _nodes(cluster: Cluster) -> str:
    ports = zip(cluster.node_names, cluster.node_ports, strict=True)
    return "\n".join(NODE.format(c=cluster, name=name, port=port) for name, port in ports)


def _accounting(cluster: Cluster) -> str:
    return ACCOUNTING.format(c=cluster) if cluster.accounting else "AccountingStorageType=accounting_storage/none"


CONTROL = """\
ClusterName=testcluster
SlurmctldHost={c.host}(127.0.0.1)
SlurmctldPort={c.controller_port}
SlurmUser={c.user}
SlurmdUser={c.user}
AuthType=auth/munge
CredType=cred/munge
# cred_expire is also how long a requeued job waits; below 5 s requeued jobs do not start again
AuthInfo=socket={c.munge_socket},cred_expire=5
StateSaveLocation={c.folder}/state
SlurmdSpoolDir={c.folder}/spool/%n
SlurmctldPidFile={c.folder}/run/slurmctld.pid
SlurmdPidFile={c.folder}/run/slurmd.%n.pid
SlurmctldLogFile={c.folder}/log/slurmctld.log
SlurmdLogFile={c.folder}/log/slurmd.%n.log
MailProg=/bin/true
ProctrackType=proctrack/linuxproc
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=10
"""

SCHEDULING = """\
# short times, so that tests need not wait for a real cluster's patience
SlurmctldTimeout=30
SlurmdTimeout=20
KillWait=5
ReturnToService=2
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=1,sched_interval=1,batch_sched_delay=1,requeue_setup_env_fail
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
# a node may claim more cores and memory than the machine has
SlurmdParameters=config_overrides
DefMemPerCPU=1000
PriorityType=priority/basic
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
GresTypes=gpu
"""

# AccountingStoragePass: with a private munge socket this is where clients learn it.
ACCOUNTING = """\
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={c.database_port}
AccountingStoragePass={c.munge_socket}
AccountingStorageTRES=gres/gpu
"""

NODE = (
    "NodeName={name} NodeHostname={c.host} NodeAddr=127.0.0.1 Port={port} "
    "CPUs=16 Boards=1 SocketsPerBoard=1 CoresPerSocket=16 ThreadsPerCore=1 RealMemory=32000 Gres=gpu:{c.gpus}"
)

PARTITIONS = """\
PartitionName=gpu Nodes=n[1-{c.nodes}] Default=YES MaxTime=INFINITE DefaultTime=60 PriorityTier=10 PreemptMode=OFF
PartitionName=gpu-preempt Nodes=n[1-{c.nodes}] MaxTime=INFINITE DefaultTime=60 PriorityTier=1 PreemptMode=REQUEUE GraceTime=0
"""

# StorageHost=localhost is the socket named by MYSQL_UNIX_PORT; MariaDB knows us by our user id, so there is no password.
SLURMDBD = """\
AuthType=auth/munge
AuthInfo=socket={c.munge_socket}
DbdHost={c.host}
DbdAddr=127.0.0.1
DbdPort={c.database_port}
SlurmUser={c.user}
LogFile={c.folder}/log/slurmdbd.log
PidFile={c.folder}/run/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser={c.user}
StorageLoc=slurm_acct
"""
