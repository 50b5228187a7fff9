"""Replicas are stopped (SIGSTOP) under speech: the others take over, nobody hears it, and no slot stays taken."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from bench.replicas import Replicas, running_gateway, running_replicas

from .test_replacement import SPEECHES, all_spoken

pytestmark = pytest.mark.asyncio(loop_scope="module")

SLOTS = {"llm": ("voxline_llm_running", "voxline_llm_waiting"), "detokenizer": ("voxline_detokenizer_streams",)}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def replicas() -> AsyncIterator[Replicas]:
    async with running_replicas({"tokenizer": 1, "llm": 2, "detokenizer": 2}) as running:
        yield running


@pytest.mark.timeout(600)
@pytest.mark.parametrize("stage", ["llm", "detokenizer"])
async def test_replica_that_is_stopped_is_left_and_nobody_hears_it(replicas: Replicas, tmp_path, stage: str) -> None:
    progress = asyncio.Condition()
    stopped, living = replicas.processes[stage]

    async def freeze() -> None:
        async with progress:
            await progress.wait()
        stopped.freeze()

    async with running_gateway(replicas.targets, tmp_path) as gateway:
        undisturbed = await all_spoken(gateway, progress)
        freezing = asyncio.create_task(freeze())
        disturbed = await all_spoken(gateway, progress)
        await freezing
        assert [one[0] for one in disturbed] == [one[0] for one in undisturbed]
        assert sum(retries for _, retries in disturbed) > 0, "no replica was stopped while it was at work"
        assert len(await all_spoken(gateway, progress)) == len(SPEECHES), "nobody waits for it later"
        for process in (living, *(each for name in SLOTS if name != stage for each in replicas.processes[name])):
            for name in SLOTS[process.stage]:
                assert await asyncio.to_thread(process.measured, name) == 0
        assert gateway.ready() == ()
    stopped.thaw()
