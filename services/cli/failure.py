"""How a command fails: one line on stderr and status 1, never a traceback."""

from typing import Any

import typer
from rich.console import Console
from typer.core import TyperGroup

from services.runtime.errors import VoxlineError


class Failure(Exception):
    """What stands in the way, in words for the person at the terminal."""


class Commands(TyperGroup):
    """A group of commands that shows what they raise as their user needs it."""

    def invoke(self, ctx: Any) -> Any:  # typer keeps the type of its contexts to itself.
        try:
            return super().invoke(ctx)
        except (Failure, VoxlineError) as exc:
            Console(stderr=True, soft_wrap=True).print(f"voxline: {exc}", markup=False, highlight=False)
            raise typer.Exit(1) from exc
