"""`python -m services.gateway.keys add|list|remove`: the keys of callers, in the database of the voices. `voxline keys`
runs it; where there is a gateway alone, it is there too.
"""

import argparse
import asyncio
import sys
from collections.abc import Sequence

from sqlalchemy.exc import SQLAlchemyError

from services.gateway.access.key import Key, KeyLimits, Scope
from services.gateway.access.key_store import KeyStore
from services.gateway.settings import GatewaySettings
from services.gateway.voices.store import VoiceStore
from services.runtime.errors import InvalidRequest, VoxlineError
from services.runtime.settings import load_settings

_PROGRAM = "python -m services.gateway.keys"


async def run(arguments: argparse.Namespace, database_url: str) -> None:
    """Raises our errors, and OSError where there is no database."""
    store = VoiceStore(database_url)
    await store.start()
    try:
        await {"add": _add, "list": _list, "remove": _remove}[arguments.action](KeyStore(store.sessions), arguments)
    finally:
        await store.stop()


async def _add(keys: KeyStore, arguments: argparse.Namespace) -> None:
    limits = KeyLimits(arguments.requests_at_once, arguments.characters_a_minute)
    key, secret = await keys.add(arguments.name, _scopes(arguments.scopes), limits, arguments.owner)
    print(secret)
    print(f"This is {key.id}. It is shown once; running gateways know it within 2 s.", file=sys.stderr)


async def _list(keys: KeyStore, arguments: argparse.Namespace) -> None:
    print("\t".join(("id", "name", "scopes", "owner", "at once", "characters/min", "created", "ends in")))
    for key in (await keys.issued()).keys.values():
        print("\t".join(_columns(key)))


def _columns(key: Key) -> tuple[str, ...]:
    limits = [str(limit) if limit else "-" for limit in (key.limits.requests_at_once, key.limits.characters_a_minute)]
    created = f"{key.created_at:%Y-%m-%d %H:%M}"
    return (key.id, key.name, ",".join(sorted(key.scopes)), key.owner, *limits, created, key.ending)


async def _remove(keys: KeyStore, arguments: argparse.Namespace) -> None:
    if arguments.all:
        await keys.forget()
        print("There are no keys any more: without VOXLINE_GATEWAY_API_KEY everybody may do everything.")
        return
    if not await keys.remove(arguments.key):
        raise InvalidRequest(f"There is no key '{arguments.key}'.", field="key")
    print(f"Withdrew {arguments.key}; running gateways refuse it within 2 s.")
    if not (await keys.issued()).keys:
        print("It was the last one, and the doors stay closed; `voxline keys remove --all` opens them.")


def _scopes(text: str) -> frozenset[Scope]:
    try:
        return frozenset(Scope(scope.strip()) for scope in text.split(","))
    except ValueError as exc:
        raise InvalidRequest(f"'{text}' are no scopes; there are {', '.join(Scope)}.", field="scopes") from exc


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(_PROGRAM, description=__doc__)
    parser.add_argument("--database", default="", help="URL; default: the gateway's, from environment or by default.")
    actions = parser.add_subparsers(dest="action", required=True)
    add = actions.add_parser("add", help="Print a new key, once.")
    add.add_argument("name")
    add.add_argument("--scopes", default="speak,voices", help=f"Comma-separated, of {', '.join(Scope)}.")
    add.add_argument("--requests-at-once", type=int, default=0)
    add.add_argument("--characters-a-minute", type=int, default=0)
    add.add_argument("--owner", default="", help="Whose voices it sees; default: its own.")
    actions.add_parser("list", help="All keys, without what is secret.")
    which = actions.add_parser("remove", help="Withdraw a key.").add_mutually_exclusive_group(required=True)
    which.add_argument("key", nargs="?", help="Its id.")
    which.add_argument("--all", action="store_true", help="As if there never had been any: everybody is let in again.")
    return parser


def main(arguments: Sequence[str]) -> int:
    parsed = _parser().parse_args(arguments)
    flags = ["--database", parsed.database] if parsed.database else []
    settings = load_settings(GatewaySettings, flags, _PROGRAM)
    try:
        asyncio.run(run(parsed, settings.database_url))
    except VoxlineError as exc:
        print(f"voxline: {exc.message}", file=sys.stderr)
        return 1
    except (OSError, ImportError, SQLAlchemyError) as exc:  # ImportError: there is no driver for such a database.
        print(f"voxline: The database cannot be opened: {str(exc).partition(chr(10))[0]}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
