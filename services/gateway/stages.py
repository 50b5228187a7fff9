"""The three stages that the gateway chains: their clients, what they serve, and whether they can be reached now."""

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import grpc

from services.contract.frames import FrameFormat
from services.contract.generation import Pace
from services.contract.model import (
    Capability,
    DetokenizerDescription,
    LlmDescription,
    Revision,
    ServedModel,
    TokenizerDescription,
)
from services.gateway.clients.detokenizer import DetokenizerClient
from services.gateway.clients.llm import LlmClient
from services.gateway.clients.tokenizer import TokenizerClient
from services.gateway.deadlines import USUAL, Deadlines
from services.runtime import calls, request_context
from services.runtime.channel import open_channel
from services.runtime.errors import StageUnavailable, VoxlineError
from services.runtime.tls import ChannelFiles
from voxline.stages.v1 import model_pb2, model_pb2_grpc

logger = logging.getLogger(__name__)

_ASK_SECONDS = 2.0
_ASK_AGAIN_SECONDS = 0.25
# One answer that does not come may be that of a replica which has just stopped, beside others.
_MISSES = 3
# So often a stage that starts may be asked before it is worth a warning.
_STARTING = 40
# How often a stage that answers is asked again: another revision may be rolled out behind the same name.
_REFRESH_SECONDS = 5.0
# Stages that roll out disagree, now one and now another replica answering; for longer, none is left that fits.
_ROLL_OUT_SECONDS = 20.0


@dataclass(frozen=True)
class Model:
    """What the stages serve together. `look_ahead` of the detokenizer, in frames."""

    id: str
    family: str
    revision: Revision
    frames: FrameFormat
    tokenizer: TokenizerDescription
    llm: LlmDescription
    detokenizer: DetokenizerDescription
    look_ahead: int

    @property
    def sample_rate(self) -> int:
        return self.detokenizer.sample_rate

    @property
    def pace(self) -> Pace:
        """How the frames are played."""
        return Pace(self.detokenizer.first_audio_frames + self.look_ahead, self.frames.frame_rate)

    def can(self, capability: Capability) -> bool:
        return capability in self.llm.capabilities


class Stage:
    """One stage. `model` is its latest answer and stays when the stage is lost; `problem` says why it cannot be reached
    now, empty when it can; `ending`: it may go, because we do.
    """

    def __init__(self, name: str, target: str, tls: ChannelFiles | None) -> None:
        self.name = name
        self.channel = open_channel(target, tls)
        self.model: ServedModel | None = None
        # What answered last, where it is not `model`.
        self._another: ServedModel | None = None
        self.problem = f"the {name} stage has not answered yet"
        self.ending = False
        self._target = target
        self._misses = 0
        self._stub = model_pb2_grpc.ModelServiceStub(self.channel)
        self._refresh = asyncio.Event()

    def refresh(self) -> None:
        """Asks again soon: a replica has turned out to serve something else."""
        self._refresh.set()

    async def watch(self, changed: Callable[[], None]) -> None:
        """Asks until the stage answers, again whenever it was lost, and now and then. Runs until it is cancelled."""
        while True:
            self._refresh.clear()
            await self._ask()
            changed()
            await asyncio.sleep(_ASK_AGAIN_SECONDS)
            if not self.problem:
                with suppress(TimeoutError):
                    async with asyncio.timeout(_REFRESH_SECONDS):
                        await self._lost_or_refreshed()

    async def _ask(self) -> None:
        with request_context.entered(request_context.RequestContext(deadline=time.monotonic() + _ASK_SECONDS)):
            try:
                # A stage that is away is asked four times a second; what is new of it is logged below.
                request = model_pb2.GetModelRequest()
                answer = ServedModel.from_proto(await calls.unary(self._stub.GetModel, request, logging.DEBUG))
            except VoxlineError as exc:
                said = exc.__cause__.details() if isinstance(exc.__cause__, grpc.aio.AioRpcError) else exc.message
                self._missed(f"{self._target}: {said}")
                return
        self._misses = 0
        if getattr(answer, self.name) is None:
            self._now(f"what answers as the {self.name} stage is none", self._target)
        else:
            self._take(answer)
            self._now("", self._target)

    def _missed(self, detail: str) -> None:
        self._misses += 1
        ready = self.channel.get_state() is grpc.ChannelConnectivity.READY
        if not self.problem and ready and self._misses < _MISSES:
            self.refresh()
        else:
            self._now(f"the {self.name} stage does not answer", detail)

    def _take(self, answer: ServedModel) -> None:
        """Another model only when it comes twice in turn: replicas of which some are rolled out answer one by one."""
        if self.model in (None, answer) or self._another == answer:
            self.model, self._another = answer, None
        else:
            self._another = answer
            self.refresh()

    def _now(self, problem: str, detail: str) -> None:
        """Logs a change, with what callers need not know."""
        starting = self.model is None and 0 < self._misses < _STARTING
        if problem != self.problem or self._misses == _STARTING:
            level = logging.WARNING if problem and not (starting or self.ending) else logging.INFO
            logger.log(level, "%s (%s)", problem or f"the {self.name} stage answers", detail)
        self.problem = problem

    async def _lost_or_refreshed(self) -> None:
        lost, refreshed = asyncio.create_task(self._lost()), asyncio.create_task(self._refresh.wait())
        try:
            await asyncio.wait((lost, refreshed), return_when=asyncio.FIRST_COMPLETED)
        finally:
            lost.cancel()
            refreshed.cancel()
            await asyncio.gather(lost, refreshed, return_exceptions=True)

    async def _lost(self) -> None:
        ready = grpc.ChannelConnectivity.READY
        while self.channel.get_state(try_to_connect=True) == ready:
            await self.channel.wait_for_state_change(ready)


@dataclass(frozen=True)
class Targets:
    """host:port of each stage, or any gRPC target. A family may serve two stages at one."""

    tokenizer: str
    llm: str
    detokenizer: str


class Stages:
    """`look_ahead_frames`: of the detokenizer; None is what it says is enough, below zero as far as it can. `tls`: with
    the stages; None is none. Raises OSError for its files.
    """

    def __init__(
        self,
        targets: Targets,
        look_ahead_frames: int | None,
        tls: ChannelFiles | None = None,
        deadlines: Deadlines = USUAL,
    ) -> None:
        self._tokenizer = Stage("tokenizer", targets.tokenizer, tls)
        self._llm = Stage("llm", targets.llm, tls)
        self._detokenizer = Stage("detokenizer", targets.detokenizer, tls)
        self._all = (self._tokenizer, self._llm, self._detokenizer)
        self.tokenizer = TokenizerClient(self._tokenizer.channel, deadlines)
        self.llm = LlmClient(self._llm.channel, deadlines)
        self.detokenizer = DetokenizerClient(self._detokenizer.channel, deadlines)
        self._look_ahead_frames = look_ahead_frames
        self._agreed: Model | None = None
        self._disagree_since: float | None = None
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

    def drain(self) -> None:
        """A stage that goes from now on goes with us."""
        for stage in self._all:
            stage.ending = True

    def model(self) -> Model:
        """The one that all stages have agreed on last. Raises StageUnavailable until they do."""
        if self._agreed is None:
            raise StageUnavailable("; ".join(self._disagreements()) + ".")
        return self._agreed

    def refresh(self) -> None:
        """To be called where a replica serves another revision than the agreed one."""
        for stage in self._all:
            stage.refresh()

    def reasons(self) -> tuple[str, ...]:
        """Why speech cannot be made now. A tokenizer that was lost later is none: stored voices go on without it."""
        if self._agreed is None:
            return self._disagreements()
        lost = tuple(stage.problem for stage in (self._llm, self._detokenizer) if stage.problem)
        return lost or (self._disagreements() if self._disagree_for(_ROLL_OUT_SECONDS) else ())

    async def until(self, condition: Callable[[], bool]) -> None:
        """Waits until `condition` holds, which is looked at whenever a stage has answered or was lost, and at each
        `look_again`.
        """
        while not condition():
            self._changed.clear()
            await self._changed.wait()

    def look_again(self) -> None:
        self._changed.set()

    def _change(self) -> None:
        """Takes up what the stages serve once they agree; what they agreed on before goes on until then."""
        if self._disagreements():
            self._disagree_since = self._disagree_since or time.monotonic()
        else:
            self._disagree_since = None
            agreed = self._together()
            if agreed != self._agreed:
                logger.info("the stages serve %s (%s)", agreed.id, agreed.revision)
            self._agreed = agreed
        self._changed.set()

    def _disagree_for(self, seconds: float) -> bool:
        return self._disagree_since is not None and time.monotonic() - self._disagree_since > seconds

    def _disagreements(self) -> tuple[str, ...]:
        """Stages of different checkpoints would speak noise."""
        if missing := [stage.problem for stage in self._all if stage.model is None]:
            return ("The model is not known yet: " + "; ".join(missing),)
        facts: dict[str, Callable[[ServedModel], object]] = {
            "model id": lambda model: model.id,
            "family": lambda model: model.family,
            "frames": lambda model: f"{model.frames.kind} at {model.frames.frame_rate:g} Hz",
            "codec's revision": lambda model: model.revision.codec[:12],
            "llm's revision": lambda model: model.revision.llm[:12],
        }
        return tuple(reason for name, fact in facts.items() if (reason := self._disagreement(name, fact)))

    def _disagreement(self, name: str, fact: Callable[[ServedModel], object]) -> str:
        """A stage that says nothing about a fact agrees with everybody."""
        said = {stage.name: value for stage in self._all if stage.model and (value := fact(stage.model))}
        if len(set(said.values())) <= 1:
            return ""
        return f"The stages disagree on the {name}: " + ", ".join(f"{stage} {value}" for stage, value in said.items())

    def _together(self) -> Model:
        tokenizer, llm, detokenizer = (stage.model for stage in self._all)
        # Nothing is missing once there are no disagreements.
        assert tokenizer is not None
        assert llm is not None
        assert detokenizer is not None
        assert tokenizer.tokenizer is not None
        assert llm.llm is not None
        assert detokenizer.detokenizer is not None
        return Model(
            id=llm.id,
            family=llm.family,
            revision=tokenizer.revision | llm.revision | detokenizer.revision,
            frames=llm.frames,
            tokenizer=tokenizer.tokenizer,
            llm=llm.llm,
            detokenizer=detokenizer.detokenizer,
            look_ahead=detokenizer.detokenizer.look_ahead(self._look_ahead_frames),
        )
