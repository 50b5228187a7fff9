"""How soon a listener who leaves has freed what its request held in every stage, as the stages' own metrics say."""

import asyncio
import statistics
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import typer
from prometheus_client import parser

from bench.stack import RunningStack, running_stack

LONG = "The old farmer painted his barn before winter came. " * 40
HELD = {"llm": "voxline_llm_running", "detokenizer": "voxline_detokenizer_streams"}


async def held(client: httpx.AsyncClient, stack: RunningStack) -> dict[str, float]:
    """Sequences and streams that are held now."""
    texts = {stage: (await client.get(stack.metrics_url(stage))).text for stage in HELD}
    found = {stage: {f.name: f for f in parser.text_string_to_metric_families(text)} for stage, text in texts.items()}
    return {stage: found[stage][name].samples[0].value for stage, name in HELD.items()}


async def freed_after(client: httpx.AsyncClient, stack: RunningStack) -> float:
    """Seconds until nothing is held, two scrapes a look. Raises TimeoutError after a minute."""
    left = time.perf_counter()
    async with asyncio.timeout(60):
        while any((await held(client, stack)).values()):
            pass
    return time.perf_counter() - left


async def leave(client: httpx.AsyncClient, stack: RunningStack) -> float:
    """Listens to a long reply until a stage is seen at work, leaves, and waits until all is freed."""
    async with AsyncExitStack() as listening:
        body = {"input": LONG, "response_format": "pcm"}
        stream = client.stream("POST", f"{stack.url}/v1/audio/speech", json=body)
        reply = await listening.enter_async_context(stream)
        async for _ in reply.aiter_raw():
            if any((await held(client, stack)).values()):
                break
        else:
            raise AssertionError("no stage was ever seen at work")
        await listening.aclose()
        return await freed_after(client, stack)


async def _measure(stack: RunningStack, times: int) -> list[float]:
    async with httpx.AsyncClient(timeout=30) as client:
        return [await leave(client, stack) for _ in range(times)]


def main(times: int = 20) -> None:
    """Starts the stack and leaves TIMES replies."""
    with tempfile.TemporaryDirectory() as directory, running_stack(Path(directory)) as stack:
        freed = asyncio.run(_measure(stack, times))
    print(
        f"freed after {1000 * statistics.median(freed):.0f} ms (median), {1000 * max(freed):.0f} ms (worst of {times})"
    )


if __name__ == "__main__":
    typer.run(main)
