"""What the processes of a system have used. Only on Linux is it known which threads are gRPC's."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

# How gRPC's own threads are called.
_GRPC = ("grpc", "event_engine", "lifeguard")


@dataclass(frozen=True)
class Usage:
    """By stage, each with its children. CPU in seconds since the start, memory now; `calls`: CPU of the event loops,
    which run in the main threads, and of gRPC's threads, but not of those that compute.
    """

    cpu: Mapping[str, float]
    rss_bytes: Mapping[str, int]
    calls: Mapping[str, float]


def usage(pids: Mapping[str, int]) -> Usage:
    families = {stage: _family(pid) for stage, pid in pids.items()}
    return Usage(
        cpu={stage: sum(map(_cpu, family)) for stage, family in families.items()},
        rss_bytes={stage: sum(each.memory_info().rss for each in family) for stage, family in families.items()},
        calls={stage: sum(map(_calls, family)) for stage, family in families.items()},
    )


def _family(pid: int) -> list[psutil.Process]:
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def _cpu(process: psutil.Process) -> float:
    used = process.cpu_times()
    return used.user + used.system


def _calls(process: psutil.Process) -> float:
    threads = process.threads()
    return sum(each.user_time + each.system_time for each in threads if _of_calls(process.pid, each.id))


def _of_calls(pid: int, thread: int) -> bool:
    try:
        return thread == pid or Path(f"/proc/{pid}/task/{thread}/comm").read_text("utf-8").startswith(_GRPC)
    except FileNotFoundError:  # The thread has ended.
        return False
