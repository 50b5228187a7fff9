"""espeak-ng through its library: samples, and the times of words and phones.

The library comes with the package espeakng-loader. It has one state per process: one `Espeak` at a time.
"""

import ctypes
import shutil
import weakref
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
from numpy.typing import NDArray

# espeak-ng, speak_lib.h.
_SYNCHRONOUS, _PHONEME_EVENTS, _DONT_EXIT = 2, 0x0001, 0x8000
_RATE, _PITCH, _RANGE = 1, 3, 4
_END, _WORD, _PHONEME = 0, 1, 7
_UTF8, _CHARACTERS = 1, 1
_NEEDED = ("phondata", "phonindex", "phontab", "intonations", "en_dict", "lang/gmw/en", "lang/gmw/en-US")
_VARIANT = "voices/!v/current"
# espeak-ng lists 350 voices at most, but reads a variant's file whenever it is chosen.
_VOICE = b"en-us+current"


class _Id(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("string", ctypes.c_char * 8), ("pointer", ctypes.c_void_p))


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Id),
    )


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


@dataclass(frozen=True)
class Word:
    """`start` and `length` in characters of the text; `sample` is where it begins to sound."""

    start: int
    length: int
    sample: int


@dataclass(frozen=True)
class Spoken:
    """samples: [n] int16 at `Espeak.sample_rate`; phones: mnemonics and where they begin, in samples."""

    samples: NDArray[np.int16]
    words: list[Word]
    phones: list[tuple[str, int]]


class Espeak:
    """American English, in a folder of its own."""

    def __init__(self) -> None:
        import espeakng_loader

        data = Path(mkdtemp())
        weakref.finalize(self, shutil.rmtree, data)
        _install(Path(espeakng_loader.get_data_path()), data)
        self._variant = data / _VARIANT
        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        options = _PHONEME_EVENTS | _DONT_EXIT
        self.sample_rate = int(self._library.espeak_Initialize(_SYNCHRONOUS, 0, str(data).encode(), options))
        if self.sample_rate <= 0:
            raise RuntimeError(f"espeak-ng cannot use {data}")
        self._chunks: list[NDArray[np.int16]] = []
        self._words: list[Word] = []
        self._phones: list[tuple[str, int]] = []
        self._callback = _Callback(self._receive)
        self._library.espeak_SetSynthCallback(self._callback)

    def say(self, text: str, variant: str, words_per_minute: int) -> Spoken:
        """`variant`: of the voice, as espeak-ng's variant files describe one."""
        self._chunks, self._words, self._phones = [], [], []
        self._variant.write_text(variant, encoding="utf-8")
        status = self._library.espeak_SetVoiceByName(_VOICE)
        if status != 0:
            raise RuntimeError(f"espeak-ng takes no voice: status {status}")
        for parameter, value in ((_RATE, words_per_minute), (_PITCH, 50), (_RANGE, 50)):
            self._library.espeak_SetParameter(parameter, value, 0)
        encoded = text.encode()
        status = self._library.espeak_Synth(encoded, len(encoded) + 1, 0, _CHARACTERS, 0, _UTF8, None, None)
        if status != 0 or not self._chunks:
            raise RuntimeError(f"espeak-ng failed with status {status}: {text!r}")
        return Spoken(np.concatenate(self._chunks), self._words, self._phones)

    def _receive(
        self, samples: "ctypes._Pointer[ctypes.c_short]", count: int, events: "ctypes._Pointer[_Event]"
    ) -> int:
        if samples and count:
            self._chunks.append(np.ctypeslib.as_array(samples, (count,)).copy())
        index = 0
        while events[index].type != _END:
            self._note(events[index])
            index += 1
        return 0

    def _note(self, event: _Event) -> None:
        if event.type == _WORD:
            self._words.append(Word(event.text_position - 1, event.length, event.sample))
        elif event.type == _PHONEME:
            self._phones.append((event.id.string.decode(), event.sample))


def _install(source: Path, folder: Path) -> None:
    """Copies what American English needs of espeak-ng's data."""
    for name in _NEEDED:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / name, folder / name)
    (folder / _VARIANT).parent.mkdir(parents=True)
    (folder / _VARIANT).write_text("language variant\n", encoding="utf-8")
