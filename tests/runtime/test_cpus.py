"""How many CPUs there are, with and without a container's limit."""

import os
from pathlib import Path

import pytest

from services.runtime.cpus import cpus

HERE = len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("quota", "expected"),
    [
        ("max 100000\n", HERE),
        ("100000 100000\n", 1),
        ("50000 100000\n", 1),
        ("150000 100000\n", min(HERE, 2)),
        ("100000000 100000\n", HERE),
        ("", HERE),
    ],
)
def test_limit_of_a_container_counts(tmp_path: Path, quota: str, expected: int) -> None:
    (tmp_path / "cpu.max").write_text(quota)
    assert cpus(tmp_path / "cpu.max") == expected


def test_without_control_groups_all_count(tmp_path: Path) -> None:
    assert cpus(tmp_path / "none") == HERE
