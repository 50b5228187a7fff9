"""Text that the user gives, in whatever encoding it says it is."""

import codecs

from services.cli.failure import Failure

# Marks at the start of a text, the longer before the shorter that begins with the same bytes.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def decoded(data: bytes, name: str) -> str:
    """UTF-8, or UTF-16 or UTF-32 with their mark. Raises Failure for anything else: to guess would garble it."""
    encoding = next((encoding for mark, encoding in _MARKS if data.startswith(mark)), "utf-8")
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as exc:
        raise Failure(
            f"{name} is not {encoding.removesuffix('-sig').upper()} (byte {exc.start}); convert it first, for instance "
            "with `iconv -f latin1 -t utf-8`."
        ) from exc


def argument(text: str, name: str) -> str:
    """An argument of the command line, which Python keeps even where it is no text. Raises Failure."""
    try:
        text.encode()
    except UnicodeEncodeError as exc:
        raise Failure(f"{name} is not UTF-8, from its character {exc.start} on.") from exc
    return text
