"""`voxline`: everything that Voxline does, from a terminal."""

from typing import Annotated

import typer

from services.cli import codec, keys, voices
from services.cli.failure import Commands
from services.cli.model import PUBLISHED, fetch
from services.cli.say import say
from services.cli.serve import RevisionOption, serve

app = typer.Typer(
    cls=Commands,
    name="voxline",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    help="Voxline turns text into speech. Begin with `voxline serve`, then in another terminal "
    '`voxline say "Hello." -o hello.mp3`.',
)
app.command()(serve)
app.command()(say)
app.add_typer(voices.app, name="voices")
app.add_typer(keys.app, name="keys")
app.add_typer(codec.app, name="codec")


@app.command("fetch")
def fetch_model(
    model: Annotated[str, typer.Argument(help="A hub id.")] = PUBLISHED, revision: RevisionOption = "main"
) -> None:
    """Download a model from the Hugging Face hub, and say where it lies.

    The published Spark-TTS 0.5B takes about 4 GB; its licence (CC BY-NC-SA 4.0) forbids commercial use.
    """
    typer.echo(fetch(model, revision))


if __name__ == "__main__":
    app()
