"""An engine dies under speech, by a fault that the test puts in, and nobody hears it.

What each replica draws, sends and decodes is counted at its own seams: it does not hang on what the gateway says.
"""

import asyncio
import math
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
import pytest_asyncio
from prometheus_client import CollectorRegistry

from bench.replicas import running_gateway
from services.cli.model import BUNDLED
from services.codec.app import tokenizer_stage
from services.codec.chunking import Chunking
from services.codec.detokenizer_servicer import DetokenizerServicer
from services.codec.families.spark.decoder import SparkDetokenizer
from services.codec.metrics import DetokenizerMetrics
from services.codec.settings import TokenizerSettings
from services.codec.stream_scheduler import StreamScheduler
from services.contract.detokenization import Chunk, DetokenizationConfig
from services.contract.families.spark import codec_revision, llm_revision
from services.contract.frames import Frames, joined
from services.contract.generation import GenerationRequest, MadeUpVoice, Prefix, Progress
from services.contract.model import DetokenizerDescription, Revision, ServedModel
from services.contract.model_servicer import model_service
from services.contract.speaker import SpeakerStore
from services.gateway.gateway import Gateway
from services.gateway.stages import Targets
from services.llm.engines.cpu.engine import load_stepper, runs
from services.llm.engines.engine import EngineOptions
from services.llm.engines.stepped import SteppedEngine
from services.llm.engines.stepper import Drawn, Job, Stepper
from services.llm.families import load_family
from services.llm.families.family import Family
from services.llm.language_model import LanguageModel
from services.llm.metrics import LlmMetrics
from services.llm.servicer import LlmServicer
from services.runtime.compiled import CACHE
from services.runtime.errors import GenerationFailed
from services.runtime.server import Service, StageServer
from services.runtime.settings import ServerSettings, load_settings
from services.runtime.watchdog import Watchdog
from voxline.stages.v1 import detokenizer_pb2_grpc, llm_pb2_grpc

from .test_replacement import TEXTS, Speech, all_spoken, spoken

pytestmark = pytest.mark.timeout(1200)

CACHED = CACHE.expanduser()
_TOKENIZER = ("--model", str(BUNDLED), "--port", "0", "--metrics-port", "0")


@cache
def revision() -> Revision:
    return Revision(codec_revision(BUNDLED, CACHED), llm_revision(BUNDLED, CACHED))


class Fault:
    """Kills who asks, once that has done so much, in ids or frames, since it was armed; by default it never does."""

    def __init__(self, at: float = math.inf) -> None:
        self._at = at
        self._left = math.inf
        self.done = False

    def arm(self) -> None:
        self._left = self._at

    def spend(self, amount: int) -> None:
        self._left -= amount
        if self._left <= 0:
            self.done = True
            raise RuntimeError("the fault that the test puts in")


class CountedStepper:
    """Counts ids, in all and of the sequences that live; dies of its fault, between drawing and telling, or of a prompt
    that is marked.
    """

    def __init__(self, stepper: Stepper, fault: Fault, poison: tuple[int, ...]) -> None:
        self._stepper = stepper
        self._fault = fault
        self._poison = poison
        self.metrics = stepper.metrics
        self.ids = 0
        self.live: dict[int, int] = {}

    def submit(self, job: Job) -> None:
        if self._poison and _holds(job.prompt, self._poison):
            raise RuntimeError("the prompt that kills")
        self.live[job.ticket] = 0
        self._stepper.submit(job)

    def cancel(self, ticket: int) -> None:
        self._stepper.cancel(ticket)

    def step(self) -> Iterable[Drawn]:
        drawn = list(self._stepper.step())
        for each in drawn:
            self.ids += len(each.ids)
            self.live[each.ticket] += len(each.ids)
        self._fault.spend(sum(len(each.ids) for each in drawn))
        for each in drawn:
            if each.done:
                del self.live[each.ticket]
        return drawn


def _holds(prompt: Sequence[int], part: tuple[int, ...]) -> bool:
    return any(tuple(prompt[place : place + len(part)]) == part for place in range(len(prompt)))


class Told:
    """What a servicer's messages of one request tell."""

    def __init__(self) -> None:
        self.finished = False
        self._frames: list[Frames] = []
        self._resume = b""

    def take(self, progress: Progress) -> None:
        self.finished = progress.finish is not None
        self._resume = self._resume if progress.resume is None else progress.resume
        if progress.frames is not None:
            self._frames.append(progress.frames)

    def ids(self, family: Family) -> int:
        frames = joined(self._frames) if self._frames else family.frames.zeros(0)
        return len(family.drawn(Prefix(frames, self._resume)))


class LlmReplica:
    """A stage in this process that ends as the real one does when its engine dies; `told`: of each request."""

    def __init__(self, family: Family, fault: Fault, poison: tuple[int, ...] = ()) -> None:
        self.told: list[Told] = []
        options = EngineOptions("int8", threads=1, max_batch=32, cache_directory=CACHED)
        self.stepper = CountedStepper(load_stepper(family.engine_model, options), fault, poison)
        self.engine = SteppedEngine(family.engine_model, self.stepper)
        registry = CollectorRegistry()
        self._model = LanguageModel(
            family, self.engine, LlmMetrics(registry, self.engine), max_waiting=64, watchdog=Watchdog(0)
        )
        servicer = LlmServicer(self, revision(), SpeakerStore())
        service = Service(
            "voxline.stages.v1.LlmService",
            lambda server: llm_pb2_grpc.add_LlmServiceServicer_to_server(servicer, server),
        )
        served = ServedModel(BUNDLED.name, "spark", revision(), family.frames, llm=family.description)
        self.server = StageServer([service, model_service(served)], ServerSettings(), registry)

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Progress, None]:
        told = Told()
        self.told.append(told)
        async with aclosing(self._model.generate(request)) as progresses:
            async for progress in progresses:
                told.take(progress)
                yield progress

    async def start(self) -> None:
        await self.server.start()
        self.ended = asyncio.create_task(self._ended())

    async def _ended(self) -> None:
        """As the process would."""
        await asyncio.wait([self.engine.failed])
        await self.server.set_serving(False)
        await self.server.stop(1.0)

    async def stop(self) -> None:
        self.ended.cancel()
        if not self.engine.failed.done():
            await self.server.stop()
        await self.engine.close()


class DyingDetokenizer:
    """The real one, but for its step."""

    def __init__(self, detokenizer: SparkDetokenizer, fault: Fault) -> None:
        self._detokenizer = detokenizer
        self._fault = fault

    def __getattr__(self, name: str):
        return getattr(self._detokenizer, name)

    def step(self, items):
        self._fault.spend(sum(len(frames) for _, frames, _ in items))
        return self._detokenizer.step(items)


class DetokenizerReplica:
    def __init__(self, detokenizer: SparkDetokenizer, fault: Fault) -> None:
        self.registry, chunking = CollectorRegistry(), Chunking(10, 25, 16, 100)
        dying = DyingDetokenizer(detokenizer, fault)
        self.scheduler = StreamScheduler(dying, chunking, DetokenizerMetrics(self.registry), Watchdog(0))
        # Streams that it took up.
        self.streams = 0
        servicer = DetokenizerServicer(self, detokenizer.frame_format, revision(), SpeakerStore())
        service = Service(
            "voxline.stages.v1.DetokenizerService",
            lambda server: detokenizer_pb2_grpc.add_DetokenizerServiceServicer_to_server(servicer, server),
        )
        described = DetokenizerDescription(
            "cpu",
            detokenizer.sample_rate,
            detokenizer.left_field,
            detokenizer.right_field,
            chunking.needed_at_first,
            detokenizer.usual_look_ahead,
        )
        served = ServedModel(BUNDLED.name, "spark", revision(), detokenizer.frame_format, detokenizer=described)
        self.server = StageServer([service, model_service(served)], ServerSettings(), self.registry)

    async def decode(
        self, config: DetokenizationConfig, frames: AsyncGenerator[Frames, None]
    ) -> AsyncGenerator[Chunk, None]:
        self.streams += not self.scheduler.failed.done()
        async with aclosing(self.scheduler.decode(config, frames)) as chunks:
            async for chunk in chunks:
                yield chunk

    def counted(self, name: str) -> int:
        value = self.registry.get_sample_value(f"voxline_detokenizer_{name}_total")
        assert value is not None
        return round(value)

    async def start(self) -> None:
        await self.server.start()
        self._end = asyncio.create_task(self._ended())

    async def _ended(self) -> None:
        await asyncio.wait([self.scheduler.failed])
        await self.server.set_serving(False)
        await self.server.stop(1.0)

    async def stop(self) -> None:
        self._end.cancel()
        if not self.scheduler.failed.done():
            await self.server.stop()
        await self.scheduler.close()


@pytest.fixture(scope="module")
def family() -> Family:
    family = load_family("spark", BUNDLED)
    if not runs(family.engine_model, CACHED):
        pytest.skip("engine cpu cannot run here")
    return family


@pytest.fixture(scope="module")
def detokenizer() -> SparkDetokenizer:
    return SparkDetokenizer.load(BUNDLED)


@dataclass(frozen=True)
class Deployment:
    gateway: Gateway
    llms: tuple[LlmReplica, ...]
    detokenizers: tuple[DetokenizerReplica, ...]

    @property
    def ids(self) -> int:
        return sum(each.stepper.ids for each in self.llms)

    @property
    def fed(self) -> int:
        """Frames, again and again where they were."""
        return sum(each.counted("frames") for each in self.detokenizers)

    @property
    def streams(self) -> int:
        return sum(each.streams for each in self.detokenizers)


class Deploy:
    """Starts a tokenizer and replicas of the others, one for each fault, all with the same weights."""

    def __init__(self, family: Family, detokenizer: SparkDetokenizer) -> None:
        self._family = family
        self._detokenizer = detokenizer

    @asynccontextmanager
    async def __call__(
        self, directory: Path, llms: list[Fault], detokenizers: list[Fault], poison: tuple[int, ...] = ()
    ) -> AsyncIterator[Deployment]:
        async with AsyncExitStack() as stack:
            tokenizer = tokenizer_stage(load_settings(TokenizerSettings, _TOKENIZER, "tokenizer")).server
            await tokenizer.start()
            stack.push_async_callback(tokenizer.stop)
            speakers = tuple(LlmReplica(self._family, fault, poison) for fault in llms)
            vocoders = tuple(DetokenizerReplica(self._detokenizer, fault) for fault in detokenizers)
            replicas: tuple[LlmReplica | DetokenizerReplica, ...] = (*speakers, *vocoders)
            for replica in replicas:
                await replica.start()
                stack.push_async_callback(replica.stop)
            llm, vocoder = (
                "ipv4:" + ",".join(f"127.0.0.1:{each.server.port}" for each in group) for group in (speakers, vocoders)
            )
            targets = Targets(f"127.0.0.1:{tokenizer.port}", llm, vocoder)
            gateway = await stack.enter_async_context(running_gateway(targets, directory))
            # Both voices get their speakers first, by generations that are left as soon as the speaker is known.
            await asyncio.gather(
                *(spoken(gateway, Speech(TEXTS[0], seed, True), asyncio.Condition()) for seed in (0, 1))
            )
            for each in speakers:
                each.stepper.ids = 0
                each.told.clear()
            for fault in (*llms, *detokenizers):
                fault.arm()
            yield Deployment(gateway, speakers, vocoders)


@pytest.fixture(scope="module")
def deploy(family: Family, detokenizer: SparkDetokenizer) -> Deploy:
    return Deploy(family, detokenizer)


@dataclass(frozen=True)
class Undisturbed:
    """What is heard where nothing dies, and what it takes."""

    heard: list[bytes]
    ids: int
    fed: int
    streams: int


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def undisturbed(deploy: Deploy, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    async with deploy(tmp_path_factory.mktemp("undisturbed"), [Fault(), Fault()], [Fault(), Fault()]) as deployment:
        heard = await all_spoken(deployment.gateway, asyncio.Condition())
        return Undisturbed([audio for audio, _ in heard], deployment.ids, deployment.fed, deployment.streams)


@pytest.mark.parametrize("ids", [50, 800, 2000])
async def test_dead_llm_engine_is_not_heard_and_draws_little_in_vain(
    deploy: Deploy, family: Family, undisturbed: Undisturbed, tmp_path: Path, ids: int
) -> None:
    fault = Fault(ids)
    async with deploy(tmp_path, [fault, Fault()], [Fault(), Fault()]) as deployment:
        heard = await all_spoken(deployment.gateway, asyncio.Condition())
        assert fault.done
        assert [audio for audio, _ in heard] == undisturbed.heard
        dead = deployment.llms[0]
        # Of those who lived then: what had been drawn, less what had crossed the wire.
        crossed = sum(told.ids(family) for told in dead.told if not told.finished)
        lost = sum(dead.stepper.live.values()) - crossed
        assert lost > 0
        assert deployment.ids <= undisturbed.ids + lost


async def test_replica_whose_engine_died_is_not_asked_any_more(deploy: Deploy, tmp_path: Path) -> None:
    fault = Fault(5)
    async with deploy(tmp_path, [fault, Fault()], [Fault()]) as deployment:
        speech = Speech(TEXTS[0], 1, whole=True)
        while not fault.done:
            await spoken(deployment.gateway, speech, asyncio.Condition())
        dead, other = deployment.llms
        await dead.ended
        asked, others = len(dead.told), len(other.told)
        retries = [(await spoken(deployment.gateway, speech, asyncio.Condition()))[1] for _ in range(4)]
        assert retries == [0, 0, 0, 0]
        assert (len(dead.told), len(other.told)) == (asked, others + 4)


@pytest.mark.parametrize("frames", [50, 800, 2000])
async def test_dead_detokenizer_is_not_heard_and_little_is_decoded_again(
    deploy: Deploy, detokenizer: SparkDetokenizer, undisturbed: Undisturbed, tmp_path: Path, frames: int
) -> None:
    fault = Fault(frames)
    async with deploy(tmp_path, [Fault(), Fault()], [fault, Fault()]) as deployment:
        heard = await all_spoken(deployment.gateway, asyncio.Condition())
        assert fault.done
        assert [audio for audio, _ in heard] == undisturbed.heard
        replaced = deployment.streams - undisturbed.streams
        assert replaced > 0
        most = replaced * (detokenizer.left_field + detokenizer.right_field)
        assert sum(each.counted("primed_frames") for each in deployment.detokenizers) <= most
        assert deployment.fed <= undisturbed.fed + most


async def test_request_that_kills_its_second_replica_fails_and_leaves_the_third(
    deploy: Deploy, family: Family, tmp_path: Path
) -> None:
    poison = "Zyx wvu tsr"
    ids = family.prompt(poison, family_voice(family)).ids
    plain = family.prompt("a", family_voice(family)).ids
    marked = tuple(part for part in ids if part not in plain)
    async with deploy(tmp_path, [Fault(), Fault(), Fault()], [Fault()], marked) as deployment:
        with pytest.raises(GenerationFailed, match="Two replicas"):
            await spoken(deployment.gateway, Speech(poison, 1, whole=True), asyncio.Condition())
        assert sum(each.engine.failed.done() for each in deployment.llms) == 2
        for seed in range(4):
            audio, _ = await spoken(deployment.gateway, Speech(TEXTS[0], seed, whole=True), asyncio.Condition())
            assert audio


def family_voice(family: Family) -> MadeUpVoice:
    design = family.description.built_in_voices[0].design
    assert design is not None
    return MadeUpVoice(design)
