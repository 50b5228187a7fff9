"""How many CPUs this process may use."""

import math
import os
from pathlib import Path

# Control group version 2: microseconds of CPU time and of the period that they are for, or "max" for no limit.
_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def cpus(quota: Path = _QUOTA) -> int:
    """Those it may run on, or fewer where a container has a limit."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        limit, period = quota.read_text().split()
    except (OSError, ValueError):
        return allowed
    return allowed if limit == "max" else min(allowed, math.ceil(int(limit) / int(period)))
