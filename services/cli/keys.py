"""`voxline keys`: who may use the server. Runs the gateway's own program, which knows its database."""

import subprocess
import sys
from typing import Annotated

import typer

from services.cli.failure import Commands

app = typer.Typer(cls=Commands, no_args_is_help=True, help="Make, list and withdraw keys.")

DatabaseOption = Annotated[
    str, typer.Option(help="URL of the voice store, as for `voxline serve`. Default: a file in var/gateway.")
]


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="What to call it in the list.")],
    scopes: Annotated[
        str, typer.Option(help="Of speak, voices (make, change and delete them) and admin (all, with all voices).")
    ] = "speak,voices",
    requests_at_once: Annotated[int, typer.Option(min=0, help="Most at once in each gateway; 0: no limit.")] = 0,
    characters_a_minute: Annotated[int, typer.Option(min=0, help="Most text in each gateway; 0: no limit.")] = 0,
    owner: Annotated[
        str, typer.Option(help="Keys of one owner share their voices, as a key does with its successor.")
    ] = "",
    database: DatabaseOption = "",
) -> None:
    """Make a key and print it, once: only its hash is kept. While there is a key, nobody speaks without one.

    voxline keys add "Anna's phone" --scopes speak --characters-a-minute 5000
    """
    limits = ("--requests-at-once", str(requests_at_once), "--characters-a-minute", str(characters_a_minute))
    _run(database, "add", "--scopes", scopes, *limits, "--owner", owner, "--", name)


@app.command("list")
def list_keys(database: DatabaseOption = "") -> None:
    """All keys that count: id, name, scopes, owner, limits, when they were made, and the last characters."""
    _run(database, "list")


@app.command()
def remove(
    key: Annotated[str, typer.Argument(help="Id of the key.")] = "",
    all_keys: Annotated[bool, typer.Option("--all", help="Forget all keys: everybody is let in again.")] = False,
    database: DatabaseOption = "",
) -> None:
    """Withdraw a key: running gateways refuse it within two seconds. Its owner's voices stay.

    voxline keys remove key_0123456789
    """
    _run(database, "remove", *(["--all"] if all_keys else []), *(["--", key] if key else []))


def _run(database: str, *arguments: str) -> None:
    """-P: a folder named `services` where the user stands must not be imported."""
    command = (sys.executable, "-P", "-m", "services.gateway.keys", "--database", database, *arguments)
    if status := subprocess.run(command).returncode:
        raise typer.Exit(status)
