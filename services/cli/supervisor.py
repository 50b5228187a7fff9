"""Runs a few programs as one: their output in one terminal, those that die started again, and an end that leaves none
behind.

honcho prints; its Manager is not used, because a signal that comes while it starts leaves orphans.
"""

import asyncio
import os
import signal
import time
from asyncio.subprocess import PIPE, STDOUT, Process
from collections import deque
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from honcho.colour import get_colours
from honcho.printer import Message, Printer

from services.cli.log_line import readable
from services.cli.stack import Program

LONGEST_LINE_BYTES = 2**20
_FIRST_PROBE_SECONDS = 0.5


@dataclass(frozen=True)
class Exit:
    """A program that ended by itself and is not started again, after so many `deaths`; `status` of the last is negative
    for a signal.
    """

    name: str
    status: int
    deaths: int = 1


@dataclass(frozen=True)
class Care:
    """`patience`: seconds between SIGTERM and SIGKILL, longer than the grace that the programs give their own calls.

    A program that has answered is asked every `probe_seconds`, and killed after so many `silences`: half a minute, with
    what each probe waits. One that dies is started again after `pause`, twice as long each time, but not after `deaths`
    of them within `period`.
    """

    patience: float = 10.0
    probe_seconds: float = 3.0
    silences: int = 5
    pause: float = 0.5
    longest_pause: float = 30.0
    deaths: int = 5
    period: float = 60.0


USUAL = Care()


@dataclass(frozen=True)
class _Running:
    name: str
    process: Process
    output: "asyncio.Task[None]"


async def supervise(
    programs: Sequence[Program],
    meanwhile: Coroutine[None, None, None],
    printer: Printer,
    care: Care = USUAL,
) -> Exit | None:
    """Runs `programs` and `meanwhile` until SIGINT, SIGTERM or SIGHUP (None), or until a program ends for good (which
    one): with status 2, before it ever answered, or once more than `care` allows.

    None of the programs, nor what they started in their process groups, is left when it returns.
    """
    told = _told_to_stop()
    chat = asyncio.create_task(meanwhile)
    printer.width = max(len(program.name) for program in programs)
    starts = _Starts()
    keepers = [
        asyncio.create_task(_Keeper(program, printer, colour, care, starts).kept())
        for program, colour in zip(programs, get_colours(), strict=False)
    ]
    try:
        return await _first_end(keepers, told)
    finally:
        chat.cancel()
        await _stop(await starts.close(), care.patience)
        for keeper in keepers:
            keeper.cancel()
        await asyncio.gather(chat, *keepers, return_exceptions=True)


class _Starts:
    """Of all programs, one at a time, and none once closed: whatever was started is known."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._closed = False
        self._running: dict[str, _Running] = {}

    async def start(self, program: Program, printer: Printer, colour: str) -> _Running | None:
        async with self._lock:
            if self._closed:
                return None
            self._running[program.name] = await _start(program, printer, colour)
            return self._running[program.name]

    async def close(self) -> list[_Running]:
        async with self._lock:
            self._closed = True
            return list(self._running.values())


class _Keeper:
    """Of one program, over all its lives."""

    def __init__(self, program: Program, printer: Printer, colour: str, care: Care, starts: _Starts) -> None:
        self._program, self._printer, self._colour = program, printer, colour
        self._care, self._starts = care, starts
        self._answered = False
        self._deaths: deque[float] = deque(maxlen=care.deaths)
        self._pause = care.pause

    async def kept(self) -> Exit | None:
        """How it ended for good; None where all are stopped."""
        while (running := await self._starts.start(self._program, self._printer, self._colour)) is not None:
            watch = asyncio.create_task(self._watch(running))
            try:
                status = await running.process.wait()
            finally:
                watch.cancel()
            if (end := self._end(status)) is not None:
                return end
            _signal_group(running, signal.SIGKILL)
            await running.output
            self._say(f"ended (status {status}), is started again in {self._pause:g} s")
            await asyncio.sleep(self._pause)
            self._pause = min(2 * self._pause, self._care.longest_pause)
        return None

    def _end(self, status: int) -> Exit | None:
        now = time.monotonic()
        if not self._deaths or now - self._deaths[-1] > self._care.period:
            self._pause = self._care.pause
        self._deaths.append(now)
        if status == 2 or not self._answered:
            return Exit(self._program.name, status)
        if len(self._deaths) == self._care.deaths and now - self._deaths[0] <= self._care.period:
            return Exit(self._program.name, status, self._care.deaths)
        return None

    async def _watch(self, running: _Running) -> None:
        """Kills what has answered and answers no more. Silences are counted, not seconds: we may have been stopped
        ourselves.
        """
        if self._program.probe is None:
            return
        silences, answered = 0, False
        while silences < self._care.silences:
            await asyncio.sleep(
                self._care.probe_seconds if answered else min(_FIRST_PROBE_SECONDS, self._care.probe_seconds)
            )
            try:
                answered |= await self._program.probe()
                silences = 0
            except TimeoutError:
                silences += answered
            self._answered |= answered
        self._say("does not answer and is killed")
        _signal_group(running, signal.SIGKILL)

    def _say(self, text: str) -> None:
        self._printer.write(_line(text, self._program.name, self._colour))


def _told_to_stop() -> asyncio.Event:
    told = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    return told


async def _start(program: Program, printer: Printer, colour: str) -> _Running:
    """In a process group of its own, so that Ctrl-C reaches us alone."""
    process = await asyncio.create_subprocess_exec(
        *program.command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=PIPE,
        stderr=STDOUT,
        start_new_session=True,
        limit=LONGEST_LINE_BYTES,
        env={**program.defaults, **os.environ, "PYTHONUNBUFFERED": "1"},
    )
    printer.write(_line(f"started, pid {process.pid}", program.name, colour))
    output = asyncio.create_task(_relay(process, program.name, printer, colour))
    return _Running(program.name, process, output)


async def _relay(process: Process, name: str, printer: Printer, colour: str) -> None:
    assert process.stdout is not None
    async for line in process.stdout:
        printer.write(_line(readable(line), name, colour))


def _line(text: str, name: str, colour: str) -> Message:
    return Message("line", text, datetime.now(), name, colour)


async def _first_end(keepers: "Sequence[asyncio.Task[Exit | None]]", told: asyncio.Event) -> Exit | None:
    stop = asyncio.create_task(told.wait())
    done, _ = await asyncio.wait((stop, *keepers), return_when=asyncio.FIRST_COMPLETED)
    stop.cancel()
    return None if stop in done else next(keeper.result() for keeper in keepers if keeper in done)


async def _stop(running: Sequence[_Running], patience: float) -> None:
    """SIGTERM to every group, SIGKILL to what is left of it later; then the last lines."""
    for each in running:
        _signal_group(each, signal.SIGTERM)
    with suppress(TimeoutError):
        async with asyncio.timeout(patience):
            await asyncio.gather(*(each.process.wait() for each in running))
    for each in running:
        _signal_group(each, signal.SIGKILL)
    await asyncio.gather(*(each.process.wait() for each in running), *(each.output for each in running))


def _signal_group(each: _Running, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(each.process.pid, number)
