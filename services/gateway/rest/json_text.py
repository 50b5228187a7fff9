"""The bytes of a JSON text while they come: whether they are UTF-8."""

import codecs


class JsonText:
    def __init__(self) -> None:
        # json takes lone surrogates, too, as some libraries write them.
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogatepass")
        self._read = 0

    def feed(self, piece: bytes, last: bool) -> None:
        """Raises ValueError that says where it is no UTF-8. NUL is refused: other encodings hold it in each character,
        and json would take them.
        """
        if (nul := piece.find(b"\0")) >= 0:
            raise ValueError(
                f"The body is not JSON in UTF-8: byte {self._read + nul + 1} is NUL, as in UTF-16. "
                r"In a text NUL is written \u0000."
            )
        waiting = len(self._decoder.getstate()[0])
        try:
            self._decoder.decode(piece, last)
        except UnicodeDecodeError as exc:
            place = self._read - waiting + exc.start
            raise ValueError(f"The body is not UTF-8: byte {place + 1} is 0x{exc.object[exc.start]:02x}.") from exc
        self._read += len(piece)
