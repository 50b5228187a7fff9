"""A sound file that was written as it came: its header says its length once that is known."""

from typing import BinaryIO

# Of the header that the gateway writes: where the sizes of the file and of its samples stand, and where these begin.
_FILE_SIZE, _DATA_SIZE, _DATA = 4, 40, 44
_UNKNOWN = b"\xff\xff\xff\xff"


def tell_length(file: BinaryIO) -> None:
    """Of a WAV file whose header says "unknown"; every other file is left as it is."""
    size = file.seek(0, 2)
    file.seek(0)
    header = file.read(_DATA)
    if header[:4] != b"RIFF" or header[36:40] != b"data" or header[_DATA_SIZE:] != _UNKNOWN or size > 0xFFFFFFFF:
        return
    for place, value in ((_FILE_SIZE, size - 8), (_DATA_SIZE, size - _DATA)):
        file.seek(place)
        file.write(value.to_bytes(4, "little"))
