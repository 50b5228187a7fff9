"""Puts the HTTP side of the gateway together: routes, middleware, error handlers."""

import asyncio
import inspect
from dataclasses import dataclass, field
from importlib.metadata import version

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from prometheus_client import CollectorRegistry
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from services.gateway.access.guard import Guard
from services.gateway.interface import SpeechGateway
from services.gateway.rest import docs, openai, probes
from services.gateway.rest.body_limits import BodyLimits
from services.gateway.rest.errors import ErrorBody, invalid, refused
from services.gateway.rest.middleware.body_limit import BodyLimit
from services.gateway.rest.middleware.disconnect import Disconnect
from services.gateway.rest.middleware.entrance import Entrance
from services.gateway.rest.middleware.errors import Errors
from services.gateway.rest.middleware.head import Head
from services.gateway.rest.middleware.in_turn import InTurn
from services.gateway.rest.middleware.observe import HttpMetrics, Observe
from services.gateway.rest.middleware.options import Options
from services.gateway.rest.middleware.path import Path
from services.gateway.rest.middleware.request_id import RequestId
from services.runtime.turns import Turns

ROUTERS = (*openai.ROUTERS, probes.router, docs.router)
# Each takes its memory several times over, on its way to the tokenizer.
_UPLOADS_AT_ONCE = 2
_EXPOSED_HEADERS = ("x-request-id", "retry-after", "server-timing", "x-voxline-instructions", "x-voxline-ignored")


@dataclass(frozen=True)
class RestOptions:
    """What an operator may choose. `cors_origins`: origins of the web pages that may call; "*" for all."""

    cors_origins: tuple[str, ...] = ()
    body_limits: BodyLimits = field(default_factory=BodyLimits)


def create_app(
    gateway: SpeechGateway, registry: CollectorRegistry, guard: Guard, options: RestOptions | None = None
) -> FastAPI:
    """`registry` receives the HTTP metrics. The caller starts the gateway."""
    app = FastAPI(
        title="Voxline",
        version=version("voxline"),
        description="Text to speech with Spark-TTS. The OpenAI clients work unchanged: point their base URL to /v1.",
        middleware=_middleware(registry, guard, options or RestOptions()),
        docs_url=None,
        redoc_url=None,
        exception_handlers={RequestValidationError: invalid, HTTPException: refused},
        # "4XX" also keeps FastAPI from documenting a 422 that never occurs.
        responses={
            "4XX": {"model": ErrorBody, "description": "The request is at fault."},
            "5XX": {"model": ErrorBody, "description": "The server is at fault."},
        },
    )
    app.state.gateway = gateway
    app.state.uploads = asyncio.Semaphore(_UPLOADS_AT_ONCE)
    for router in ROUTERS:
        app.include_router(router)
        for route in router.routes:
            if isinstance(route, APIRoute):
                inspect.getsource(route.endpoint)  # FastAPI looks at it with the first request, for 20 ms.
    return app


def _middleware(registry: CollectorRegistry, guard: Guard, options: RestOptions) -> list[Middleware]:
    """Outermost first."""
    cors = Middleware(
        CORSMiddleware,
        allow_origins=options.cors_origins,
        allow_methods=("*",),
        allow_headers=("*",),
        expose_headers=_EXPOSED_HEADERS,
        # A page on the internet may call a gateway at home: Chrome asks for that as well.
        allow_private_network=True,
    )
    return [
        Middleware(InTurn, turns=Turns()),
        Middleware(Head),
        Middleware(Path),
        Middleware(RequestId),
        Middleware(Observe, metrics=HttpMetrics(registry)),
        *([cors] if options.cors_origins else []),
        Middleware(Options),
        Middleware(Errors),
        Middleware(Entrance, guard=guard),
        Middleware(Disconnect),
        Middleware(BodyLimit, limits=options.body_limits),
    ]
