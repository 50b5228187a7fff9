"""Programs run as one. A file lock tells whether a process lives: it goes with its holder, however that ends."""

import asyncio
import fcntl
import io
import os
import re
import signal
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from honcho.printer import Printer

from services.cli.stack import Program
from services.cli.supervisor import Care, Exit, supervise

LOCKED = "import fcntl, signal, sys; file = open(sys.argv[1], 'w'); fcntl.flock(file, fcntl.LOCK_EX)\n"
WAITING = LOCKED + "print('up', flush=True); signal.pause()"
STUBBORN = LOCKED + "signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True)\nwhile True: signal.pause()"
WITH_CHILD = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {WAITING!r}, sys.argv[1]])"


class Cue(io.StringIO):
    """A terminal that sends us `number` once it has shown `word`."""

    def __init__(self, word: str = "up", number: int = signal.SIGTERM) -> None:
        super().__init__()
        self._word, self._number = word, number

    def write(self, text: str) -> int:
        if self._word in text:
            os.kill(os.getpid(), self._number)
        return super().write(text)


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    return tmp_path / "lock"


def program(code: str, lock: Path, name: str = "stage") -> Program:
    return Program(name, (sys.executable, "-c", code, str(lock)))


def is_held(lock: Path) -> bool:
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


async def nothing() -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_every_way_to_stop_ends_the_programs(lock: Path, number: int) -> None:
    assert await supervise([program(WAITING, lock)], nothing(), Printer(Cue(number=number))) is None
    assert not is_held(lock)


async def test_program_that_ends_is_named_and_stops_the_others(lock: Path) -> None:
    frail = Program("frail", (sys.executable, "-c", "raise SystemExit(3)"))
    ended = await supervise([program(WAITING, lock), frail], nothing(), Printer(io.StringIO()))
    assert ended == Exit("frail", 3)
    assert not is_held(lock)


async def test_signal_during_the_start_leaves_nothing_behind(lock: Path) -> None:
    async def at_once() -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    programs = [program(WAITING, lock.with_suffix(f".{number}"), f"stage{number}") for number in range(3)]
    assert await supervise(programs, at_once(), Printer(io.StringIO())) is None
    assert not any(is_held(lock.with_suffix(f".{number}")) for number in range(3))


async def test_program_that_ignores_sigterm_is_killed(lock: Path) -> None:
    assert await supervise([program(STUBBORN, lock)], nothing(), Printer(Cue()), Care(patience=0.1)) is None
    assert not is_held(lock)


async def test_children_of_a_program_end_with_it(lock: Path) -> None:
    assert await supervise([program(WITH_CHILD, lock)], nothing(), Printer(Cue())) is None
    assert not is_held(lock)


@pytest.mark.parametrize(("ours", "seen"), [(None, "default"), ("ours", "ours")])
async def test_defaults_of_a_program_give_way_to_our_environment(
    ours: str | None, seen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if ours is not None:
        monkeypatch.setenv("VOXLINE_TEST", ours)
    terminal = io.StringIO()
    telling = (sys.executable, "-c", "import os; print(os.environ['VOXLINE_TEST'])")
    await supervise([Program("told", telling, {"VOXLINE_TEST": "default"})], nothing(), Printer(terminal))
    assert terminal.getvalue().splitlines()[-1].endswith(f"told | {seen}")


async def test_every_line_tells_its_program(lock: Path) -> None:
    terminal = io.StringIO()
    chatty = Program("chatty", (sys.executable, "-c", "import sys; print('one'); print('two', file=sys.stderr)"))
    await supervise([chatty], nothing(), Printer(terminal, time_format=""))
    started, *said = terminal.getvalue().splitlines()
    assert re.fullmatch(r" chatty \| started, pid \d+", started)
    assert sorted(said) == [" chatty | one", " chatty | two"]


# Tells each of its lives by its pid.
LIVING = (
    LOCKED
    + """
import os
signal.signal(signal.SIGUSR1, lambda *_: sys.exit(2))
with open(sys.argv[1] + ".lives", "a") as lives: lives.write(f"{os.getpid()}\\n")
while True: signal.pause()
"""
)
QUICK = Care(probe_seconds=0.01, silences=3, pause=0.01, deaths=3)


class Blows:
    """A probe that sends `number` to a program which has answered, in so many of its lives; in the next it tells us to
    stop.
    """

    def __init__(self, lock: Path, number: int, times: int) -> None:
        self._file, self._number, self._times = Path(f"{lock}.lives"), number, times
        self._answered = self._struck = 0

    @property
    def lives(self) -> list[str]:
        return self._file.read_text().splitlines() if self._file.exists() else []

    async def probe(self) -> bool:
        lives = self.lives
        if len(lives) > self._answered:
            self._answered = len(lives)
            return True
        if len(lives) > self._times:
            os.kill(os.getpid(), signal.SIGTERM)
            return True
        if self._struck == len(lives):
            if lives and self._number == signal.SIGSTOP:
                raise TimeoutError
            return False
        self._struck = len(lives)
        os.kill(int(lives[-1]), self._number)
        return True


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
@pytest.mark.parametrize("times", [1, 2])
async def test_program_that_dies_or_hangs_is_started_again(lock: Path, number: int, times: int) -> None:
    blows = Blows(lock, number, times)
    living = replace(program(LIVING, lock), probe=blows.probe)
    assert await supervise([living], nothing(), Printer(io.StringIO()), QUICK) is None
    assert len(blows.lives) == times + 1
    assert not is_held(lock)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
async def test_program_that_dies_again_and_again_is_given_up(lock: Path, number: int) -> None:
    blows = Blows(lock, number, 9)
    living, other = program(LIVING, lock), program(WAITING, lock.with_suffix(".other"), "other")
    programs = [replace(living, probe=blows.probe), other]
    ended = await supervise(programs, nothing(), Printer(io.StringIO()), QUICK)
    assert ended == Exit("stage", -signal.SIGKILL, deaths=3)
    assert len(blows.lives) == 3
    assert not is_held(lock.with_suffix(".other"))


async def test_program_that_says_that_it_cannot_run_is_not_started_again(lock: Path) -> None:
    blows = Blows(lock, signal.SIGUSR1, 9)
    living = replace(program(LIVING, lock), probe=blows.probe)
    assert await supervise([living], nothing(), Printer(io.StringIO()), QUICK) == Exit("stage", 2)
    assert len(blows.lives) == 1


async def test_program_that_never_answered_is_not_started_again() -> None:
    async def silent() -> bool:
        raise TimeoutError

    frail = Program("frail", (sys.executable, "-c", "raise SystemExit(1)"), probe=silent)
    assert await supervise([frail], nothing(), Printer(io.StringIO()), QUICK) == Exit("frail", 1)
