"""An engine dies under speech, by a fault that the test puts in, and nobody hears it."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cache
from pathlib import Path

import pytest
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
from services.contract.families.spark import codec_revision, llm_revision
from services.contract.generation import GenerationRequest, MadeUpVoice, Progress
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
from services.runtime.settings import ServerSettings
from voxline.stages.v1 import detokenizer_pb2_grpc, llm_pb2_grpc

from .test_replacement import TEXTS, Speech, all_spoken, spoken

pytestmark = pytest.mark.timeout(1200)

CACHED = CACHE.expanduser()


@cache
def revision() -> Revision:
    return Revision(codec_revision(BUNDLED, CACHED), llm_revision(BUNDLED, CACHED))


class Fault:
    """Kills what asks, once it has been armed and asked so often; by default it never does."""

    def __init__(self, at: int = 0) -> None:
        self._at = at
        self.left = 0
        self.done = False

    def arm(self) -> None:
        self.left = self._at

    def step(self) -> None:
        self.left -= 1
        if self.left == 0:
            self.done = True
            raise RuntimeError("the fault that the test puts in")


class CountedStepper:
    """Counts ids, in all and of the sequences that live; dies of its fault, or of a prompt that is marked."""

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
        self._fault.step()
        drawn = list(self._stepper.step())
        for each in drawn:
            self.ids += len(each.ids)
            self.live[each.ticket] += len(each.ids)
            if each.done:
                del self.live[each.ticket]
        return drawn


def _holds(prompt: Sequence[int], part: tuple[int, ...]) -> bool:
    return any(tuple(prompt[place : place + len(part)]) == part for place in range(len(prompt)))


class LlmReplica:
    """A stage in this process that ends as the real one does when its engine dies; `requests`: what it was asked."""

    def __init__(self, family: Family, fault: Fault, poison: tuple[int, ...] = ()) -> None:
        self.requests: list[GenerationRequest] = []
        options = EngineOptions("int8", threads=1, max_batch=32, cache_directory=CACHED)
        self.stepper = CountedStepper(load_stepper(family.engine_model, options), fault, poison)
        self.engine = SteppedEngine(family.engine_model, self.stepper)
        registry = CollectorRegistry()
        self._model = LanguageModel(family, self.engine, LlmMetrics(registry, self.engine), max_waiting=64)
        servicer = LlmServicer(self, revision(), SpeakerStore())
        service = Service(
            "voxline.stages.v1.LlmService",
            lambda server: llm_pb2_grpc.add_LlmServiceServicer_to_server(servicer, server),
        )
        served = ServedModel(BUNDLED.name, "spark", revision(), family.frames, llm=family.description)
        self.server = StageServer([service, model_service(served)], ServerSettings(), registry)

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Progress, None]:
        self.requests.append(request)
        async for progress in self._model.generate(request):
            yield progress

    async def start(self) -> None:
        await self.server.start()
        self._end = asyncio.create_task(self._ended())

    async def _ended(self) -> None:
        await asyncio.wait([self.engine.failed])
        await self.server.set_serving(False)
        await self.server.stop(1.0)

    async def stop(self) -> None:
        self._end.cancel()
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
        self._fault.step()
        return self._detokenizer.step(items)


class DetokenizerReplica:
    def __init__(self, detokenizer: SparkDetokenizer, fault: Fault) -> None:
        self.registry, chunking = CollectorRegistry(), Chunking(10, 25, 16, 100)
        dying = DyingDetokenizer(detokenizer, fault)
        self.scheduler = StreamScheduler(dying, chunking, DetokenizerMetrics(self.registry))
        servicer = DetokenizerServicer(self.scheduler, detokenizer.frame_format, revision(), SpeakerStore())
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

    async def start(self) -> None:
        await self.server.start()
        self._end = asyncio.create_task(self._ended())

    async def _ended(self) -> None:
        await asyncio.wait([self.scheduler.failed])
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


@asynccontextmanager
async def deployed(
    directory: Path, family: Family, llms: list[Fault], detokenizers: list[Fault], poison: tuple[int, ...] = ()
) -> AsyncIterator[tuple[Gateway, list[LlmReplica], list[DetokenizerReplica]]]:
    settings = TokenizerSettings(model=BUNDLED, port=0, metrics_port=0)
    async with AsyncExitStack() as stack:
        tokenizer = tokenizer_stage(settings).server
        speakers = [LlmReplica(family, fault, poison) for fault in llms]
        detokenizer = SparkDetokenizer.load(BUNDLED)
        vocoders = [DetokenizerReplica(detokenizer, fault) for fault in detokenizers]
        for each in (*speakers, *vocoders):
            await each.start()
            stack.push_async_callback(each.stop)
        await tokenizer.start()
        stack.push_async_callback(tokenizer.stop)
        ports = [[each.server.port for each in group] for group in (speakers, vocoders)]
        llm, vocoder = ("ipv4:" + ",".join(f"127.0.0.1:{port}" for port in group) for group in ports)
        targets = Targets(f"127.0.0.1:{tokenizer.port}", llm, vocoder)
        gateway = await stack.enter_async_context(running_gateway(targets, directory))
        if not poison:
            # Both voices have their speakers: of those generations all but the speaker is left, sooner or later.
            await asyncio.gather(
                *(spoken(gateway, Speech(TEXTS[0], seed, True), asyncio.Condition()) for seed in (0, 1))
            )
        for each in speakers:
            each.stepper.ids = 0
        for fault in (*llms, *detokenizers):
            fault.arm()
        yield gateway, speakers, vocoders


@asynccontextmanager
async def undisturbed(directory: Path, family: Family) -> AsyncIterator[tuple[list[bytes], int]]:
    """What is heard, and how many ids are drawn for it."""
    async with deployed(directory, family, [Fault(), Fault()], [Fault()]) as (gateway, llms, _):
        heard = await all_spoken(gateway, asyncio.Condition())
        yield [audio for audio, _ in heard], sum(each.stepper.ids for each in llms)


@pytest.mark.parametrize("step", [5, 40, 90])
async def test_dead_llm_engine_is_not_heard_and_draws_little_in_vain(family, tmp_path, step):
    async with undisturbed(tmp_path / "undisturbed", family) as (expected, usual):
        pass
    fault = Fault(step)
    async with deployed(tmp_path / "disturbed", family, [fault, Fault()], [Fault()]) as (gateway, llms, _):
        heard = await all_spoken(gateway, asyncio.Condition())
        assert fault.done
        assert [audio for audio, _ in heard] == expected
        assert sum(retries for _, retries in heard) > 0
        dead, other = llms
        crossed = sum(len(family.drawn(request.prefix)) for request in other.requests if request.prefix)
        # What had been drawn for those who lived then and had not crossed the wire.
        lost = sum(dead.stepper.live.values()) - crossed
        assert lost >= 0
        assert sum(each.stepper.ids for each in llms) <= usual + lost


@pytest.mark.parametrize("step", [3, 20, 45])
async def test_dead_detokenizer_is_not_heard_and_little_is_decoded_again(family, tmp_path, step):
    async with undisturbed(tmp_path / "undisturbed", family) as (expected, _):
        pass
    fault = Fault(step)
    async with deployed(tmp_path / "disturbed", family, [Fault()], [fault, Fault()]) as (gateway, _, vocoders):
        heard = await all_spoken(gateway, asyncio.Condition())
        assert fault.done
        assert [audio for audio, _ in heard] == expected
        replaced = sum(retries for _, retries in heard)
        again = sum(each.registry.get_sample_value("voxline_detokenizer_primed_frames_total") for each in vocoders)
        field = SparkDetokenizer.load(BUNDLED)
        assert replaced > 0
        assert again <= replaced * (field.left_field + field.right_field)


async def test_request_that_kills_its_second_replica_fails_and_leaves_the_third(family, tmp_path):
    poison = "Zyx wvu tsr"
    ids = family.prompt(poison, family_voice(family)).ids
    plain = family.prompt("a", family_voice(family)).ids
    marked = tuple(part for part in ids if part not in plain)
    async with deployed(tmp_path, family, [Fault(), Fault(), Fault()], [Fault()], marked) as (gateway, llms, _):
        with pytest.raises(GenerationFailed, match="Two replicas"):
            await spoken(gateway, Speech(poison, 1, whole=True), asyncio.Condition())
        assert sum(each.engine.failed.done() for each in llms) == 2
        audio, _ = await spoken(gateway, Speech(TEXTS[0], 1, whole=True), asyncio.Condition())
        assert audio


def family_voice(family: Family) -> MadeUpVoice:
    design = family.description.built_in_voices[0].design
    assert design is not None
    return MadeUpVoice(design)
