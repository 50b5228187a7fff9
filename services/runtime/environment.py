"""Environment variables that bear our names and are no settings."""

import re
from collections.abc import Mapping
from difflib import SequenceMatcher

OURS = "VOXLINE_"
# Of each program, with all settings behind it; and of the command line.
PREFIXES = ("VOXLINE_TOKENIZER_", "VOXLINE_LLM_", "VOXLINE_DETOKENIZER_", "VOXLINE_GATEWAY_")
# Of 1, for equal names.
_CLOSE = 0.85
_COMMAND_LINE = ("VOXLINE_URL", "VOXLINE_API_KEY")
# What Kubernetes puts into every container for each service of its namespace; the last only with such a value: settings
# are called so too.
_SERVICE = re.compile(
    r"(?:\w+_)?(?:SERVICE_HOST|SERVICE_PORT(?:_\w+)?|PORT_\d+_(?:TCP|UDP|SCTP)(?:_(?:ADDR|PORT|PROTO))?)"
)
_LINKED, _LINK = re.compile(r"(?:\w+_)?PORT"), re.compile(r"(?:tcp|udp|sctp)://\S+")


def of_kubernetes(name: str, value: str) -> bool:
    """`name`: without our prefix."""
    return bool(_SERVICE.fullmatch(name) or (_LINKED.fullmatch(name) and _LINK.fullmatch(value)))


def forgotten(environment: Mapping[str, str]) -> list[str]:
    """A line for each variable of ours that no program reads."""
    lines = []
    for name, value in sorted(environment.items()):
        unread = name.upper().startswith(OURS) and not name.upper().startswith(PREFIXES)
        if unread and name.upper() not in _COMMAND_LINE and not of_kubernetes(name.upper().removeprefix(OURS), value):
            lines.append(f"{name} is no setting and is ignored{_instead(name)}")
    return lines


def _instead(name: str) -> str:
    name = name.upper()
    cuts = [cut for cut in range(len(OURS) + 1, len(name) + 1) if name[cut - 1] == "_"]
    meant = [(prefix, name[:cut], name[cut:]) for cut in cuts for prefix in PREFIXES]
    meant += [(variable, name, "") for variable in _COMMAND_LINE]
    near, written, rest = max(meant, key=lambda each: SequenceMatcher(None, each[0], each[1]).ratio())
    close = SequenceMatcher(None, near, written).ratio() > _CLOSE
    return f"; did you mean {near}{rest}?" if close else ""
