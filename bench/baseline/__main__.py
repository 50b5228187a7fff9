"""`python -m bench.baseline --model DIR`: one process, one thread for each product of matrices."""

from pathlib import Path
from typing import Annotated

import torch
import typer
import uvicorn

from bench.baseline.server import app
from bench.baseline.speech import Speech


def main(
    model: Annotated[Path, typer.Option(help="Folder of the checkpoint.")],
    port: Annotated[int, typer.Option(help="Port of the HTTP server; 0 takes a free one, which the log names.")] = 0,
) -> None:
    """Serves until it is told to stop."""
    torch.set_num_threads(1)
    uvicorn.run(app(Speech.load(model)), port=port, access_log=False)


if __name__ == "__main__":
    typer.run(main)
