"""How large a message may be, looked at before it is parsed: fields that come again and again cost a hundred times what
their bytes do in one field.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from services.runtime.errors import TooLarge

# Of one message, where one field is looked for that makes it large.
_MOST_FIELDS = 100
# Wire types, and the bytes of those that have no length with them.
_LENGTH_DELIMITED = 2
_FIXED = {1: 8, 5: 4}


@dataclass(frozen=True)
class MessageLimits:
    """`all_bytes`: of a message, but for one field of bytes, such as a recording, which may have `recording_bytes`."""

    all_bytes: int
    recording_bytes: int

    @property
    def largest(self) -> int:
        return self.all_bytes + self.recording_bytes

    def check(self, data: bytes, cls: type[Message]) -> None:
        """Raises TooLarge."""
        beside = len(data) - _recording(memoryview(data), cls.DESCRIPTOR) if len(data) > self.all_bytes else 0
        if beside > self.all_bytes or len(data) - beside > self.largest:
            raise TooLarge(
                f"The message has {len(data)} bytes; {self.all_bytes} are allowed beside {self.recording_bytes} of a "
                "recording."
            )


def _recording(data: memoryview, descriptor: Any) -> int:
    """`descriptor` is that of the message (its two kinds have no type in common). Size of the largest field of bytes,
    wherever it is nested; 0 where none is found soon.
    """
    fields = descriptor.fields_by_number
    try:
        number, value = max(_fields(data), key=lambda each: len(each[1]))
    except ValueError:
        return 0
    if number not in fields:
        return 0
    field = fields[number]
    if field.type == FieldDescriptor.TYPE_MESSAGE:
        return _recording(value, field.message_type)
    return len(value) if field.type == FieldDescriptor.TYPE_BYTES else 0


def _fields(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Number and value of each field that has a length. Raises ValueError where it has other fields, or too many."""
    place = 0
    for _ in range(_MOST_FIELDS):
        if place >= len(data):
            return
        tag, place = _varint(data, place)
        if tag & 7 in _FIXED:
            place += _FIXED[tag & 7]
            continue
        size, place = _varint(data, place)
        if tag & 7 == _LENGTH_DELIMITED:
            yield tag >> 3, data[place : place + size]
            place += size
    raise ValueError("too many fields")


def _varint(data: memoryview, place: int) -> tuple[int, int]:
    """The value, and the place after it. Raises ValueError."""
    value = 0
    for index, byte in enumerate(data[place : place + 10]):
        value |= (byte & 127) << 7 * index
        if byte < 128:
            return value, place + index + 1
    raise ValueError("no varint")
