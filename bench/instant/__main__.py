"""`python -m bench.instant --model DIR --socket PATH --rate R`: any stage, without any computing."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import grpc
import typer
import uvloop
from prometheus_client import CollectorRegistry

from bench.instant.pace import Pace
from bench.instant.servicers import InstantDetokenizer, InstantLlm
from services.codec.detokenizer_servicer import DetokenizerServicer
from services.codec.families.spark.config import SparkConfig
from services.contract.model import DetokenizerDescription, Revision, ServedModel, TokenizerDescription
from services.contract.model_servicer import ModelServicer
from services.contract.speaker import SpeakerStore
from services.llm.families import load_family
from services.llm.servicer import LlmServicer
from services.runtime.server import Service, StageServer, run_until_stopped
from services.runtime.settings import ServerSettings, load_settings
from voxline.stages.v1 import detokenizer_pb2_grpc, llm_pb2_grpc, model_pb2_grpc

_LONGEST_REFERENCE_SECONDS = 30.0


def described(checkpoint: Path) -> ServedModel:
    """What each stage of a checkpoint says of it."""
    family, rate = load_family("spark", checkpoint), SparkConfig.read(checkpoint).audio.sample_rate
    return ServedModel(
        id=checkpoint.resolve().name,
        family="spark",
        revision=Revision("instant", "instant"),
        frames=family.frames,
        tokenizer=TokenizerDescription("instant", rate, _LONGEST_REFERENCE_SECONDS),
        llm=replace(family.description, engine="instant"),
        detokenizer=DetokenizerDescription("instant", rate, Pace.look_ahead, Pace.look_ahead, Pace.chunk),
    )


def stage(checkpoint: Path, pace: Pace, frames_per_character: float, settings: ServerSettings) -> StageServer:
    model, speakers = described(checkpoint), SpeakerStore()
    assert model.detokenizer is not None
    tokens = SparkConfig.read(checkpoint).codec.speaker_encoder.token_num
    llm = LlmServicer(InstantLlm(tokens, pace, frames_per_character), model.revision, speakers)
    hum = InstantDetokenizer(model.detokenizer.sample_rate, model.frames.frame_rate, pace)
    detokenizer = DetokenizerServicer(hum, model.frames, model.revision, speakers)

    def register(server: grpc.aio.Server) -> None:
        model_pb2_grpc.add_ModelServiceServicer_to_server(ModelServicer(model), server)
        llm_pb2_grpc.add_LlmServiceServicer_to_server(llm, server)
        detokenizer_pb2_grpc.add_DetokenizerServiceServicer_to_server(detokenizer, server)

    return StageServer([Service("voxline.stages.v1.ModelService", register)], settings, CollectorRegistry())


async def serve(checkpoint: Path, pace: Pace, frames_per_character: float, socket: Path) -> None:
    flags = ("--socket", str(socket), "--drain-seconds", "0")
    settings = load_settings(ServerSettings, flags, "python -m bench.instant")
    await run_until_stopped(
        stage(checkpoint, pace, frames_per_character, settings), asyncio.get_running_loop().create_future()
    )


def main(
    model: Annotated[Path, typer.Option(help="Folder of the checkpoint that is told of.")],
    socket: Annotated[Path, typer.Option(help="Unix socket to listen on.")],
    rate: Annotated[float, typer.Option(help="Frames a second for each stream.")],
    frames_per_character: Annotated[float, typer.Option(help="Frames that a text is spoken in.")] = 3.0,
) -> None:
    """Serves until it is told to stop."""
    uvloop.run(serve(model, Pace(rate), frames_per_character, socket))


if __name__ == "__main__":
    typer.run(main)
