"""The three stages that the gateway chains: their clients, what they serve, and whether they can be reached now."""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

import grpc

from services.gateway.clients.detokenizer import DetokenizerClient
from services.gateway.clients.llm import LlmClient
from services.gateway.clients.model import StageModel, model_from_proto
from services.gateway.clients.tokenizer import TokenizerClient
from services.gateway.tokens import Pace
from services.runtime import calls, request_context
from services.runtime.channel import open_channel
from services.runtime.errors import StageUnavailable, VoxlineError
from voxline.v1 import model_pb2, model_pb2_grpc

logger = logging.getLogger(__name__)

_ASK_SECONDS = 2.0
_ASK_AGAIN_SECONDS = 0.25


@dataclass(frozen=True)
class Model:
    """What the stages serve together."""

    tokenizer: StageModel
    llm: StageModel
    detokenizer: StageModel

    @property
    def id(self) -> str:
        return self.llm.id

    @property
    def sample_rate(self) -> int:
        return self.detokenizer.sample_rate

    def disagreements(self) -> tuple[str, ...]:
        """Stages of different checkpoints would speak noise."""
        facts: dict[str, Callable[[StageModel], object]] = {
            "model id": lambda stage: stage.id,
            "codebooks": lambda stage: stage.codebooks,
            "codebook size": lambda stage: stage.codebook_size,
            "global token count": lambda stage: stage.global_token_count,
            "global codebook size": lambda stage: stage.global_codebook_size,
            "frame rate": lambda stage: stage.frame_rate,
        }
        return tuple(reason for name, fact in facts.items() if (reason := self._disagreement(name, fact)))

    def _disagreement(self, name: str, fact: Callable[[StageModel], object]) -> str:
        """A stage that says nothing about a fact agrees with everybody."""
        stages = {"tokenizer": self.tokenizer, "llm": self.llm, "detokenizer": self.detokenizer}
        said = {stage: value for stage, model in stages.items() if (value := fact(model))}
        if len(set(said.values())) <= 1:
            return ""
        return f"The stages disagree on the {name}: " + ", ".join(f"{stage} {value}" for stage, value in said.items())


class Stage:
    """One stage. `model` is its latest answer and stays when the stage is lost; `problem` says why it cannot be reached
    now, empty when it can.
    """

    def __init__(self, name: str, target: str) -> None:
        self.name = name
        self.channel = open_channel(target)
        self.model: StageModel | None = None
        self.problem = f"the {name} stage has not answered yet"
        self._target = target
        self._stub = model_pb2_grpc.ModelServiceStub(self.channel)

    async def watch(self, changed: Callable[[], None]) -> None:
        """Asks until the stage answers, and again whenever it was lost. Runs until it is cancelled."""
        while True:
            await self._ask()
            changed()
            if self.problem:
                await asyncio.sleep(_ASK_AGAIN_SECONDS)
            else:
                await self._lost()

    async def _ask(self) -> None:
        with request_context.entered(request_context.RequestContext(deadline=time.monotonic() + _ASK_SECONDS)):
            try:
                self.model = model_from_proto(await calls.unary(self._stub.GetModel, model_pb2.GetModelRequest()))
            except VoxlineError as exc:
                self._now(f"the {self.name} stage does not answer", f"{self._target}: {exc.message}")
            else:
                self._now("", self._target)

    def _now(self, problem: str, detail: str) -> None:
        """Logs a change, with what callers need not know."""
        if problem != self.problem:
            level = logging.WARNING if problem else logging.INFO
            logger.log(level, "%s (%s)", problem or f"the {self.name} stage answers", detail)
        self.problem = problem

    async def _lost(self) -> None:
        ready = grpc.ChannelConnectivity.READY
        while self.channel.get_state(try_to_connect=True) == ready:
            await self.channel.wait_for_state_change(ready)


@dataclass(frozen=True)
class Targets:
    """host:port of each stage, or any gRPC target."""

    tokenizer: str
    llm: str
    detokenizer: str


class Stages:
    """`look_ahead_frames`: of the detokenizer; None is what it says is enough, below zero as far as it can."""

    def __init__(self, targets: Targets, look_ahead_frames: int | None) -> None:
        self._tokenizer = Stage("tokenizer", targets.tokenizer)
        self._llm = Stage("llm", targets.llm)
        self._detokenizer = Stage("detokenizer", targets.detokenizer)
        self._all = (self._tokenizer, self._llm, self._detokenizer)
        self.tokenizer = TokenizerClient(self._tokenizer.channel)
        self.llm = LlmClient(self._llm.channel)
        self.detokenizer = DetokenizerClient(self._detokenizer.channel, self.look_ahead)
        self._look_ahead_frames = look_ahead_frames
        self._agreed: Model | None = None
        self._watches: list[asyncio.Task[None]] = []
        self._changed = asyncio.Event()

    def start(self) -> None:
        self._watches = [asyncio.create_task(stage.watch(self._change)) for stage in self._all]

    async def stop(self) -> None:
        for watch in self._watches:
            watch.cancel()
        await asyncio.gather(*self._watches, return_exceptions=True)
        for stage in self._all:
            await stage.channel.close(None)

    def model(self) -> Model:
        """Raises StageUnavailable while a stage has never answered, or while they disagree."""
        if self._agreed is None:
            self._agreed = self._agree()
        return self._agreed

    def pace(self) -> Pace:
        """How the codes are played. Raises as `model`."""
        return self.model().detokenizer.pace(self.look_ahead())

    def look_ahead(self) -> int:
        """Of the detokenizer, in frames. Raises as `model`."""
        return self.model().detokenizer.look_ahead(self._look_ahead_frames)

    def _change(self) -> None:
        self._agreed = None
        self._changed.set()

    def _agree(self) -> Model:
        tokenizer, llm, detokenizer = (stage.model for stage in self._all)
        if tokenizer is None or llm is None or detokenizer is None:
            raise StageUnavailable("The model is not known yet: " + "; ".join(self._problems(self._all)) + ".")
        model = Model(tokenizer, llm, detokenizer)
        if disagreements := model.disagreements():
            raise StageUnavailable("; ".join(disagreements) + ".")
        return model

    def reasons(self) -> tuple[str, ...]:
        """Why speech cannot be made now. A tokenizer that was lost later is none: stored voices go on without it."""
        try:
            self.model()
        except StageUnavailable as exc:
            return (exc.message,)
        return self._problems((self._llm, self._detokenizer))

    async def until(self, condition: Callable[[], bool]) -> None:
        """Waits until `condition` holds, which is looked at whenever a stage has answered or was lost."""
        while not condition():
            self._changed.clear()
            await self._changed.wait()

    def _problems(self, stages: tuple[Stage, ...]) -> tuple[str, ...]:
        return tuple(stage.problem for stage in stages if stage.problem)
