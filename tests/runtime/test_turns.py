"""Turns are taken one by one, in order, and everything else runs in between."""

import asyncio

from services.runtime.turns import Turns


async def test_everything_else_runs_between_two_turns() -> None:
    turns, seen = Turns(), []

    async def compute(name: str) -> None:
        await turns.take()
        seen.append(name)

    async def everything_else() -> None:
        while "c" not in seen:
            seen.append("-")
            await asyncio.sleep(0)

    await asyncio.gather(everything_else(), *(compute(name) for name in "abc"))
    order = "".join(seen)
    assert [name for name in order if name != "-"] == ["a", "b", "c"]
    assert "ab" not in order
    assert "bc" not in order


async def test_a_turn_is_there_at_once_where_nobody_wants_one() -> None:
    turns = Turns()
    for _ in range(3):
        taking = turns.take()
        try:
            taking.send(None)
        except StopIteration:
            pass
        else:
            raise AssertionError("it waits")
        await asyncio.sleep(0)


async def test_who_leaves_takes_no_turn() -> None:
    turns = Turns()
    await turns.take()
    waiting = [asyncio.create_task(turns.take()) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    waiting[1].cancel()
    await waiting[2]
    await asyncio.sleep(0)
    await asyncio.wait_for(turns.take(), 5)
