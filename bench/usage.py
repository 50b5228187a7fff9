"""What the processes of a system have used."""

from collections.abc import Mapping
from dataclasses import dataclass

import psutil


@dataclass(frozen=True)
class Usage:
    """By stage, each with its children. CPU in seconds since the start, memory now; `threads`: CPU of each, by id."""

    cpu: Mapping[str, float]
    rss_bytes: Mapping[str, int]
    threads: Mapping[str, Mapping[int, float]]

    def busiest_thread(self, before: "Usage", stage: str) -> float:
        """Seconds since `before` of the thread that used most: the one that computes, where one does."""
        then = before.threads[stage]
        return max(now - then.get(thread, 0.0) for thread, now in self.threads[stage].items())


def usage(pids: Mapping[str, int]) -> Usage:
    families = {stage: _family(pid) for stage, pid in pids.items()}
    return Usage(
        cpu={stage: sum(map(_cpu, family)) for stage, family in families.items()},
        rss_bytes={stage: sum(each.memory_info().rss for each in family) for stage, family in families.items()},
        threads={stage: _threads(family) for stage, family in families.items()},
    )


def _family(pid: int) -> list[psutil.Process]:
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def _cpu(process: psutil.Process) -> float:
    used = process.cpu_times()
    return used.user + used.system


def _threads(family: list[psutil.Process]) -> dict[int, float]:
    return {thread.id: thread.user_time + thread.system_time for process in family for thread in process.threads()}
