"""What the processes of a system have used."""

from collections.abc import Mapping
from dataclasses import dataclass

import psutil


@dataclass(frozen=True)
class Usage:
    """By stage, each with its children. CPU in seconds since the start, memory now."""

    cpu: Mapping[str, float]
    rss_bytes: Mapping[str, int]


def usage(pids: Mapping[str, int]) -> Usage:
    families = {stage: _family(pid) for stage, pid in pids.items()}
    return Usage(
        cpu={stage: sum(map(_cpu, family)) for stage, family in families.items()},
        rss_bytes={stage: sum(each.memory_info().rss for each in family) for stage, family in families.items()},
    )


def _family(pid: int) -> list[psutil.Process]:
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def _cpu(process: psutil.Process) -> float:
    used = process.cpu_times()
    return used.user + used.system
