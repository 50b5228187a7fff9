"""What a caller sent, as a message shows it."""

# Characters.
_MOST = 100


def quoted(value: str) -> str:
    """In quotation marks; of a longer value its beginning. Lone surrogates, which no reply can hold, are question
    marks.
    """
    return f"'{shortened(value)}'"


def shortened(value: str) -> str:
    """The same without the marks, for what stands in a message as it is."""
    shown = value if len(value) <= _MOST else f"{value[: _MOST - 1]}…"
    return shown.encode("utf-8", "replace").decode()
