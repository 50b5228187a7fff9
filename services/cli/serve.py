"""`voxline serve`: the four processes, watched, and how to talk to them."""

import asyncio
import json
import os
import shlex
import sys
from contextlib import ExitStack
from typing import Annotated

import httpx
import typer
from honcho.printer import Printer

from services.cli.api import DEFAULT_URL
from services.cli.failure import Failure
from services.cli.model import PUBLISHED, find_model
from services.cli.ports import Ports, held_ports
from services.cli.stack import DATABASE, LOOPBACK, Stack, socket_directory
from services.cli.supervisor import supervise
from services.runtime.address import joined
from services.runtime.environment import forgotten

POLL_SECONDS = 0.2

ModelOption = Annotated[
    str | None,
    typer.Option(help=f"Folder of a checkpoint, or a hub id such as {PUBLISHED}. Default: the bundled voice."),
]
RevisionOption = Annotated[
    str, typer.Option(help="Branch, tag or commit of a hub id. Name a commit to get the same files for ever.")
]


def serve(
    model: ModelOption = None,
    revision: RevisionOption = "main",
    host: Annotated[str, typer.Option(help="Where the gateway listens; 0.0.0.0 lets other machines in.")] = LOOPBACK,
    http_port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the REST API.")] = Ports.http,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the gRPC API.")] = Ports.grpc,
    any_ports: Annotated[bool, typer.Option("--any-ports", help="Take free ports for both APIs.")] = False,
    engine: Annotated[
        str, typer.Option(help="What runs the LLM: cpu, transformers, vllm. Default: what suits the machine.")
    ] = "",
    threads: Annotated[int | None, typer.Option(min=1, max=1024, help="CPU threads of each stage.")] = None,
    database: Annotated[
        str,
        typer.Option(
            envvar=DATABASE,
            help="URL of the voice store. Default: a file in var/gateway, from where you stand.",
        ),
    ] = "",
) -> None:
    """Start Voxline on this machine: tokenizer, llm, detokenizer and gateway.

    Ctrl-C stops all of them; one that dies or hangs is started again.

    The gateway reaches the others over Unix sockets. Each has its /metrics on a free
    port of 127.0.0.1, which its line "serving" names; VOXLINE_LLM_METRICS_PORT=9102 gives it a fixed one. Every other
    setting of a process is an environment variable too, for instance VOXLINE_LLM_LOG_LEVEL=debug;
    `python -m services.llm --help` lists them.
    """
    host = host.removeprefix("[").removesuffix("]")
    os.environ.pop(DATABASE, None)  # The option takes its place.
    for line in forgotten(os.environ):
        print(f"voxline: {line}", file=sys.stderr, flush=True)
    with ExitStack() as held:
        ports = held.enter_context(held_ports(host)) if any_ports else Ports(http_port, port)
        ports.check(host)
        sockets = held.enter_context(socket_directory())
        run(
            Stack(
                find_model(model, revision),
                ports,
                sockets,
                host,
                engine,
                database,
                threads,
                "VOXLINE_GATEWAY_TLS_CERT" in os.environ,
            )
        )


def run(stack: Stack) -> None:
    """Until told to stop; raises Failure when a process ends by itself."""
    print(f"Starting Voxline with {stack.model.name}. Ctrl-C stops it.", flush=True)
    ended = asyncio.run(supervise(stack.programs(), announce(stack), Printer(sys.stdout)))
    if ended is not None:
        often = f"{ended.deaths} times in short order (at last with status" if ended.deaths > 1 else "(status"
        raise Failure(
            f"The {ended.name} ended {often} {ended.status}), so the others were stopped; see its lines above."
        )
    print("Voxline has stopped.")


async def announce(stack: Stack) -> None:
    """Says what to do as soon as the gateway is ready."""
    await until_ready(stack.url)
    body = json.dumps({"input": "Hello, this is Voxline."})
    print(
        f"\nVoxline is ready: {stack.url} (REST), {joined(stack.host, stack.ports.grpc)} (gRPC). Try:\n\n"
        f"  curl {stack.url}/v1/audio/speech -o speech.mp3 \\\n"
        f"    -H 'Content-Type: application/json' \\\n    -d {shlex.quote(body)}\n"
        + ("" if stack.url == DEFAULT_URL else f"\nThe commands of voxline find it by --url {stack.url}\n"),
        flush=True,
    )


async def until_ready(url: str) -> None:
    # It is our own gateway that is asked, whatever its certificate is for.
    async with httpx.AsyncClient(base_url=url, trust_env=False, verify=False) as client:
        while True:
            if await _is_ready(client):
                return
            await asyncio.sleep(POLL_SECONDS)


async def _is_ready(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/readyz")).is_success
    except httpx.TransportError:
        return False
