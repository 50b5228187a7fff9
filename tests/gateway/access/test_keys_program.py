"""`voxline keys`, as an operator runs it."""

import os
import re
import subprocess
import sys

import pytest

SECRET = re.compile(r"vx_[A-Za-z0-9_-]{43}")


@pytest.fixture
def voxline(tmp_path):
    """Runs `voxline keys` where nothing is yet."""
    environment = os.environ | {"COLUMNS": "200"}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "services.cli", "keys", *arguments]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    return run


def test_key_is_shown_once_listed_without_its_secret_and_withdrawn(voxline, tmp_path):
    added = voxline("add", "Anna's phone", "--scopes", "speak", "--characters-a-minute", "5000")
    assert added.returncode == 0, added.stderr
    secret = added.stdout.strip()
    assert SECRET.fullmatch(secret)
    assert secret.encode() not in (tmp_path / "var/gateway/voices.db").read_bytes()
    listed = voxline("list").stdout.splitlines()[1].split("\t")
    assert listed[1:3] == ["Anna's phone", "speak"]
    assert listed[4:6] == ["-", "5000"]
    assert listed[7] == secret[-4:]
    assert not SECRET.search("".join(listed))
    removed = voxline("remove", listed[0])
    assert removed.returncode == 0
    assert "the doors stay closed" in removed.stdout
    assert len(voxline("list").stdout.splitlines()) == 1
    assert voxline("remove", listed[0]).returncode == 1
    assert voxline("remove", "--all").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("add", "a", "--scopes", "sing"), "speak, voices, admin"),
        (("add", "", "--scopes", "speak"), "name"),
        (("remove", "key_none"), "no key 'key_none'"),
        (("list", "--database", "postgresql://postgres@/none?host=/nowhere"), "database"),
        (("list", "--database", "mysql://h/x"), "database"),
    ],
)
def test_mistake_is_one_line_and_no_traceback(voxline, arguments, words):
    failed = voxline(*arguments)
    assert failed.returncode == 1
    assert words in failed.stderr
    assert failed.stderr.count("\n") == 1, failed.stderr
