"""Runs a few programs as one: their output in one terminal, and an end that leaves none behind.

honcho prints; its Manager is not used, because a signal that comes while it starts leaves orphans.
"""

import asyncio
import os
import signal
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from honcho.colour import get_colours
from honcho.printer import Message, Printer

from services.cli.log_line import readable
from services.cli.stack import Program

# Longer than the grace that the programs give their own calls.
PATIENCE_SECONDS = 10.0
LONGEST_LINE_BYTES = 2**20


@dataclass(frozen=True)
class Exit:
    """A program that ended by itself; `status` is negative for a signal."""

    name: str
    status: int


@dataclass(frozen=True)
class _Running:
    name: str
    process: Process
    output: "asyncio.Task[None]"


async def supervise(
    programs: Sequence[Program],
    meanwhile: Coroutine[None, None, None],
    printer: Printer,
    patience: float = PATIENCE_SECONDS,
) -> Exit | None:
    """Runs `programs` and `meanwhile` until SIGINT, SIGTERM or SIGHUP (None), or until a program ends (which one).

    None of the programs, nor what they started in their process groups, is left when it returns. `patience`: seconds
    between SIGTERM and SIGKILL.
    """
    told = _told_to_stop()
    chat = asyncio.create_task(meanwhile)
    printer.width = max(len(program.name) for program in programs)
    running: list[_Running] = []
    try:
        for program, colour in zip(programs, get_colours(), strict=False):
            running.append(await _start(program, printer, colour))
        return await _first_end(running, told)
    finally:
        chat.cancel()
        await _stop(running, patience)
        with suppress(asyncio.CancelledError):
            await chat


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


async def _first_end(running: Sequence[_Running], told: asyncio.Event) -> Exit | None:
    ends = {asyncio.create_task(each.process.wait()): each.name for each in running}
    stop = asyncio.create_task(told.wait())
    done, left = await asyncio.wait((stop, *ends), return_when=asyncio.FIRST_COMPLETED)
    for task in left:
        task.cancel()
    return None if stop in done else next(Exit(ends[task], int(task.result())) for task in done)


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
