"""`python -m bench.instant --model DIR --socket PATH --rate R`: any stage, without any computing."""

import asyncio
from pathlib import Path
from typing import Annotated

import grpc
import typer
import uvloop
from prometheus_client import CollectorRegistry

from bench.instant.pace import Pace
from bench.instant.servicers import InstantDetokenizer, InstantLlm
from services.codec.families.spark.config import SparkConfig
from services.codec.model_servicer import ModelServicer
from services.llm.families import load_family
from services.llm.wire import model_of
from services.runtime.server import Service, StageServer, run_until_stopped
from services.runtime.settings import ServerSettings, load_settings
from voxline.v1 import detokenizer_pb2_grpc, llm_pb2_grpc, model_pb2, model_pb2_grpc


def described(checkpoint: Path) -> model_pb2.Model:
    """What each stage of a checkpoint says of it."""
    audio = SparkConfig.read(checkpoint).audio
    model = model_of(load_family("spark", checkpoint).description, checkpoint.resolve().name, "instant")
    model.sample_rate_hertz = audio.sample_rate
    model.frame_rate_hertz = audio.sample_rate / audio.latent_hop_length
    model.receptive_field_frames, model.first_audio_frames = Pace.look_ahead, Pace.chunk
    return model


def stage(checkpoint: Path, pace: Pace, settings: ServerSettings) -> StageServer:
    model = described(checkpoint)

    def register(server: grpc.aio.Server) -> None:
        model_pb2_grpc.add_ModelServiceServicer_to_server(ModelServicer(model), server)
        llm_pb2_grpc.add_LlmServiceServicer_to_server(InstantLlm(model, pace), server)
        detokenizer_pb2_grpc.add_DetokenizerServiceServicer_to_server(InstantDetokenizer(model, pace), server)

    return StageServer([Service("voxline.v1.ModelService", register)], settings, CollectorRegistry())


async def serve(checkpoint: Path, pace: Pace, socket: Path) -> None:
    flags = ("--socket", str(socket), "--drain-seconds", "0")
    settings = load_settings(ServerSettings, flags, "python -m bench.instant")
    await run_until_stopped(stage(checkpoint, pace, settings), asyncio.get_running_loop().create_future())


def main(
    model: Annotated[Path, typer.Option(help="Folder of the checkpoint that is told of.")],
    socket: Annotated[Path, typer.Option(help="Unix socket to listen on.")],
    rate: Annotated[float, typer.Option(help="Frames a second for each stream.")],
) -> None:
    """Serves until it is told to stop."""
    uvloop.run(serve(model, Pace(rate), socket))


if __name__ == "__main__":
    typer.run(main)
