"""A stage's log line for people: stages log JSON, a terminal wants words."""

import json

# Known to whoever reads the prefix of the line, or of no use without a collector.
_HIDDEN = ("level", "logger", "message", "stage", "time", "taskName", "request_id", "traceparent")
# Shown below the line, or twice what the line says.
_BESIDE = ("exc_info", "color_message")


def readable(line: bytes) -> str:
    """`level message name=value ...`, then the traceback; a line that is no JSON object stays as it is."""
    text = line.decode("utf-8", "replace").rstrip()
    try:
        record = json.loads(text)
    except ValueError:
        return _visible(text)
    if not isinstance(record, dict) or "message" not in record:
        return _visible(text)
    more = [
        f"{name}={value}" for name, value in record.items() if name not in (*_HIDDEN, *_BESIDE) and value is not None
    ]
    head = " ".join([f"{record.get('level', ''):<7}", str(record["message"]), *more])
    return "\n".join(filter(None, (_visible(head), record.get("exc_info"))))


def _visible(text: str) -> str:
    """A caller's value makes no line of its own, and says nothing to the terminal."""
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)
