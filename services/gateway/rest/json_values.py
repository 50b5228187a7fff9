"""Counts the values of a JSON text while it comes, without parsing it: 4 MiB of brackets take json a second, and 4 MiB
of text a few milliseconds.
"""

_STRUCTURE = b'"[{,'
_ALL_ELSE = bytes(set(range(256)) - set(_STRUCTURE))


class JsonValues:
    """`count` is at least the number of values so far, for any text that json would take."""

    def __init__(self) -> None:
        self.count = 1
        self._in_string = False
        self._escape = b""

    def feed(self, piece: bytes) -> None:
        plain = self._without_escapes(piece).translate(None, _ALL_ELSE)
        for part in plain.split(b'"'):
            self.count += 0 if self._in_string else len(part)
            self._in_string = not self._in_string
        self._in_string = not self._in_string

    def _without_escapes(self, piece: bytes) -> bytes:
        """Without backslashes and quotes that are escaped. The half of an escape waits for the next piece."""
        whole = (self._escape + piece).replace(b"\\\\", b"").replace(b'\\"', b"")
        self._escape = b"\\" if whole.endswith(b"\\") else b""
        return whole.removesuffix(self._escape)
