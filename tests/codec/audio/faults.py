"""What goes wrong in recordings, and files of them in every container."""

import io
from collections.abc import Callable
from fractions import Fraction

import av
import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float64]
# (clean speech [n], its rate in Hz) -> channels [C, n].
Fault = Callable[[Samples, int], Samples]

_LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1"}


def encoded(channels: Samples, rate: int, container: str, codec: str) -> bytes:
    """channels: [C, n]; container and codec as FFmpeg calls them."""
    layout, file = _LAYOUTS[len(channels)], io.BytesIO()
    with av.open(file, "w", format=container) as output:
        stream = output.add_stream(codec, rate=rate, layout=layout)
        if codec in ("libmp3lame", "aac"):
            stream.bit_rate = 64_000 * (1 if codec == "libmp3lame" else len(channels))
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(channels, np.float32), "fltp", layout)
        frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
        fifo = av.AudioFifo()
        for resampled in av.AudioResampler(stream.format, layout, rate).resample(frame):
            fifo.write(resampled)
        while (part := fifo.read(stream.codec_context.frame_size or 1024, partial=True)) is not None:
            output.mux(stream.encode(part))
        output.mux(stream.encode(None))
    return file.getvalue()


def noise(level: float, length: int) -> Samples:
    return level * np.random.default_rng(7).standard_normal(length)


def tone(hertz: float, level: float, length: int, rate: int) -> Samples:
    return level * np.sin(2 * np.pi * hertz * np.arange(length) / rate)


def placed(place: int, count: int, beside: Callable[[Samples, int], Samples] | float = 0.0) -> Fault:
    """The speech in one of `count` channels; the others hold `beside`, or so much of the speech."""

    def fault(speech: Samples, rate: int) -> Samples:
        other = beside(speech, rate) if callable(beside) else beside * speech
        return np.stack([speech if channel == place else other for channel in range(count)])

    return fault


def around(before: Callable[[int], Samples] | None = None, after: Callable[[int], Samples] | None = None) -> Fault:
    """`before` and `after`: of a rate, what sounds there."""

    def fault(speech: Samples, rate: int) -> Samples:
        return np.concatenate([*([before(rate)] if before else []), speech, *([after(rate)] if after else [])])[None]

    return fault


def moving(sign: float) -> Fault:
    """From one channel to the other, half-way."""

    def fault(speech: Samples, rate: int) -> Samples:
        early = np.arange(len(speech)) < len(speech) // 2
        return np.stack([np.where(early, speech, 0), sign * np.where(early, 0, speech)])

    return fault


def _clicks(speech: Samples, rate: int) -> Samples:
    return np.where(np.arange(len(speech)) % (rate // 3) == 0, 0.9, 0.0)


def _click(rate: int) -> Samples:
    return np.where(np.arange(3 * rate) // (rate // 100) == 70, 0.5, 0.0)


# One channel is the clean recording, sample for sample.
CHANNELS: dict[str, Fault] = {
    "left": placed(0, 2),
    "right": placed(1, 2),
    "both": placed(0, 2, 1.0),
    "out-of-phase": placed(0, 2, -1.0),
    "faint-left": placed(1, 2, 0.05),
    "hiss-left": placed(1, 2, lambda speech, rate: noise(0.003, len(speech))),
    "loud-hiss-left": placed(1, 2, lambda speech, rate: noise(0.1, len(speech))),
    "hum-left": placed(1, 2, lambda speech, rate: tone(100, 0.3, len(speech), rate)),
    "offset-left": placed(1, 2, lambda speech, rate: np.full(len(speech), 0.4)),
    "clicks-left": placed(1, 2, _clicks),
    "centre-of-six": placed(2, 6),
    "last-of-six": placed(5, 6),
    "hiss-in-five-of-six": placed(4, 6, lambda speech, rate: noise(0.02, len(speech))),
}
# All of the clean recording is in it, sample for sample.
SILENCE: dict[str, Fault] = {
    "silence-before": around(before=lambda rate: np.zeros(16 * rate // 5)),
    "silence-after": around(after=lambda rate: np.zeros(4 * rate)),
    "silence-around": around(lambda rate: np.zeros(rate), lambda rate: np.zeros(rate)),
}
# What is heard is nearly the clean recording.
NEARLY: dict[str, Fault] = {
    "faint-noise-before": around(before=lambda rate: noise(2e-4, 3 * rate)),
    "noise-before": around(before=lambda rate: noise(3e-3, 3 * rate)),
    "loud-noise-before": around(before=lambda rate: noise(3e-2, 3 * rate)),
    "hum-before": around(before=lambda rate: tone(120, 0.02, 3 * rate, rate)),
    "long-noise-before": around(before=lambda rate: noise(3e-3, 50 * rate)),
    "noise-after": around(after=lambda rate: noise(3e-3, 3 * rate)),
    "click-before": around(before=_click),
    "offset": lambda speech, rate: (speech + 0.2)[None],
    "small-offset": lambda speech, rate: (speech - 0.03)[None],
    "offset-and-silence": lambda speech, rate: np.concatenate([np.zeros(3 * rate), speech])[None] + 0.2,
    "rumble": lambda speech, rate: (speech + tone(25, 0.15, len(speech), rate))[None],
    "mains": lambda speech, rate: (speech + tone(50, 0.1, len(speech), rate))[None],
    "drift": lambda speech, rate: (speech + np.linspace(-0.3, 0.3, len(speech)))[None],
    "moving": moving(1.0),
    "moving-out-of-phase": moving(-1.0),
}
# Nothing in it is a voice.
SILENT: dict[str, Fault] = {
    "zeros": lambda speech, rate: 0 * speech[None],
    "offset": lambda speech, rate: 0 * speech[None] + 0.3,
    "offset-and-faint-noise": lambda speech, rate: 0.3 + noise(1e-4, len(speech))[None],
    "mains-50": lambda speech, rate: tone(50, 0.3, len(speech), rate)[None],
    "mains-60-and-harmonics": lambda speech, rate: np.sum(
        [tone(60 * each, 0.2 / each, len(speech), rate) for each in range(1, 8)], axis=0, keepdims=True
    ),
    "hum-in-two": lambda speech, rate: np.stack(
        [tone(100, 0.2, len(speech), rate), tone(100, -0.1, len(speech), rate)]
    ),
    "offset-in-six": lambda speech, rate: np.linspace(-0.3, 0.3, 6)[:, None] + 0 * speech,
}
# A hundredth of a file or so, from its middle on.
DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "zeros": lambda data: data[: len(data) // 2] + bytes(60) + data[len(data) // 2 + 60 :],
    "noise": lambda data: data[: len(data) // 2] + np.random.default_rng(1).bytes(60) + data[len(data) // 2 + 60 :],
    "hole": lambda data: data[: len(data) // 2] + data[len(data) // 2 + 100 :],
    "end": lambda data: data + b"TAG" + bytes(125),
}
