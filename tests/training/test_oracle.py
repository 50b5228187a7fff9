"""The oracle's whole way, of a teacher that reads by script: each phone sounds as a vowel or a hiss of its own."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from training.corpus.kokoro import PITCHES_PER_UNIT, SAMPLE_RATE, UNIT, Reading
from training.corpus.kokoro_phones import BREATH, INDEX, PAUSE, PHONES, phones_of
from training.corpus.pronunciation import Pronunciation, UnknownWord
from training.oracle import foresight, speech
from training.oracle.__main__ import TABLE, Settings, ask
from training.oracle.cast import Cast
from training.oracle.codes import KINDS
from training.oracle.ears import Heard
from training.oracle.frames import Heap
from training.oracle.listing import Plan
from training.oracle.speech import Booth, Spoken
from training.oracle.vocoder import ENVELOPE, STEPS_PER_PERIOD, Frames, Samples, in_steps

WORDS = {"sea": "sˈi", "saw": "sˈɔ", "moon": "mˈun", "tall": "tˈɔl", "the": "ðə"}
TEXTS = ("the tall moon", "saw the sea", "sea, the moon", "the saw saw the sea", "tall sea", "moon, tall saw")
VOICES = {"low": 110.0, "high": 190.0}
UNITS = 4


class ScriptedTeacher:
    """Every symbol lasts UNITS units; marks and spaces are silent, s and t hiss, all else hums at its own two tones."""

    def read(self, phonemes: str, voice: str, speed: float) -> Reading:
        symbols = f"^{phonemes}$"
        sounds, pitches = zip(*(self._sound(symbol, VOICES[voice]) for symbol in symbols), strict=True)
        durations = np.full(len(symbols), UNITS)
        return Reading(symbols, durations, np.concatenate(sounds), np.concatenate(pitches))

    def _sound(self, symbol: str, f0: float) -> tuple[Samples, NDArray[np.float32]]:
        times = np.arange(UNITS * UNIT) / SAMPLE_RATE
        pitch = np.zeros(UNITS * PITCHES_PER_UNIT, np.float32)
        if symbol in "^$ ,":
            return np.zeros(len(times), np.float32), pitch
        if symbol in "st":
            return np.random.default_rng(ord(symbol)).normal(0, 0.1, len(times)).astype(np.float32), pitch
        tone = 300.0 + 97.0 * (INDEX.get(symbol, 7) % 12)
        wave = 0.3 * np.sin(2 * np.pi * f0 * times) + 0.3 * np.sin(2 * np.pi * tone * times)
        return wave.astype(np.float32), pitch + np.float32(f0)


class Bands:
    """A vocoder of log bands, and of tones in them."""

    def analyse(self, samples: Samples, f0: NDArray[np.float32]) -> Frames:
        pieces = np.lib.stride_tricks.sliding_window_view(np.pad(samples, 320), 640)[::320][: len(f0)]
        power = np.abs(np.fft.rfft(pieces * np.hanning(640))) ** 2
        bands = np.log(np.add.reduceat(power, np.arange(0, 320, 8), 1) + 1e-3)
        return Frames(np.pad(bands, ((0, 0), (0, 1))).astype(np.float32), f0)

    def sound(self, frames: Frames) -> Samples:
        return np.repeat(frames.envelope[:, 1], 320) / 100


class Counting:
    """Ears that tell how loud it was, and how often they were asked."""

    asked = 0

    def hear(self, samples: Samples, text: str) -> Heard:
        self.asked += 1
        return Heard(1, len(text.split()), float(np.abs(samples).mean()), 3.0)


@pytest.fixture(scope="module")
def booth() -> Booth:
    return Booth(ScriptedTeacher(), Bands(), Pronunciation(WORDS))


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory, booth: Booth) -> Settings:
    """With rendered speech."""
    settings = Settings.parse(["--out", str(tmp_path_factory.mktemp("oracle")), "--sentences", "4"])
    for name in ("train", "test"):
        assert list(speech.render(booth, Cast(TEXTS, tuple(VOICES)), settings.out / name, 60))
    return settings


@pytest.fixture(scope="module")
def heap(settings: Settings) -> Heap:
    return Heap.of(speech.read(settings.out / "train"))


def test_marks_become_phones_and_silences() -> None:
    reading = ScriptedTeacher().read("sˈi ðə, mˈun", "low", 1.0)
    phones = phones_of(reading)
    assert "".join(PHONES[index] for index in phones[:, 0]) == f"{PAUSE}si{BREATH}ðə{PAUSE}mun{PAUSE}"
    assert phones[:, 2].tolist() == [0, 0, 2, 0, 0, 0, 0, 0, 2, 0, 0]
    assert phones[0, 1] == 0
    # The stressed vowel begins with its mark, the pause with its comma; to half a unit.
    symbols = [0, 1, 2, 4, 5, 6, 7, 9, 10, 12, 13]
    assert np.abs(phones[:, 1] / UNIT - UNITS * np.array(symbols)).max() <= 1


def test_a_space_in_speech_is_no_phone() -> None:
    reading = ScriptedTeacher().read("i ɔ", "low", 1.0)
    sound = reading.samples.copy()
    sound[2 * UNITS * UNIT : 3 * UNITS * UNIT] = sound[UNITS * UNIT : 2 * UNITS * UNIT]
    spoken = Reading(reading.symbols, reading.durations, sound, reading.f0)
    assert [PHONES[index] for index in phones_of(spoken)[:, 0]] == [PAUSE, "i", "ɔ", PAUSE]


def test_words_are_read_with_their_endings() -> None:
    words = Pronunciation({"cat": "kˈæt", "pass": "pˈæs", "cry": "kɹˈI", "bake": "bˈAk", "need": "nˈid", "dog": "dˈɔɡ"})
    assert words.of("Cats, passes dogs!") == "kˈæts, pˈæsᵻz dˈɔɡz!"
    assert words.of("cries cried baked needed passed baking") == "kɹˈIz kɹˈId bˈAkt nˈidᵻd pˈæst bˈAkɪŋ"
    with pytest.raises(UnknownWord, match="zyx"):
        words.of("cat zyx")


def test_pitch_goes_in_steps_and_keeps_silence() -> None:
    f0 = np.array([0, 0, *np.linspace(100, 140, 40), 0], np.float32)
    stepped = in_steps(f0)
    assert np.array_equal(stepped == 0, f0 == 0)
    assert np.abs(stepped - f0).max() < 2 * 50 / STEPS_PER_PERIOD


def test_what_is_rendered_is_not_rendered_again(settings: Settings, booth: Booth) -> None:
    before = {file: file.stat().st_mtime_ns for file in (settings.out / "train").iterdir()}
    assert list(speech.render(booth, Cast(TEXTS, tuple(VOICES)), settings.out / "train", 60))[-1] > 5
    assert {file: file.stat().st_mtime_ns for file in (settings.out / "train").iterdir()} == before


def test_voices_are_centred(settings: Settings, heap: Heap) -> None:
    raw = Heap.of(speech.read(settings.out / "train"), normalised=False)
    assert heap.sounds.shape == raw.sounds.shape == (sum(heap.lengths), ENVELOPE + 1)
    assert np.allclose(heap.sounds + heap.means, raw.sounds + raw.means, atol=1e-4)
    assert len(np.unique(heap.means, axis=0)) == len(VOICES)
    assert len(np.unique(raw.means, axis=0)) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_more_codes_tell_more(heap: Heap, kind: str) -> None:
    errors = []
    for count in (60, 240):
        codes = KINDS[kind](heap, count, 0)
        of_frames = codes.of(heap)
        assert of_frames.max() < len(codes.means) <= count + 40
        errors.append(float(((codes.means[of_frames] - heap.sounds) ** 2).mean()))
    assert errors[1] <= errors[0] < 0.7 * heap.sounds.var(0).mean()


def test_clusters_within_phones_tell_the_phone(heap: Heap) -> None:
    codes = KINDS["clusters within phones"](heap, 200, 0).of(heap)
    assert all(len(np.unique(heap.known.phones[codes == code])) == 1 for code in np.unique(codes))


def test_what_text_decides_is_foreseen_and_chance_is_not(heap: Heap) -> None:
    """By phones alone, and by a coin."""
    phones = heap.known.phones
    coins = np.random.default_rng(0).integers(0, 2, len(phones))
    by_text, by_chance = (
        foresight.judge(foresight.train(heap, codes, len(PHONES), 0, passes=10), heap, codes, codes)
        for codes in (phones, coins)
    )
    assert by_text.entropy < 0.3 * by_text.usage
    assert by_text.top1 > 0.9
    assert by_chance.top1 < 0.8


def test_every_plan_has_its_figures_and_is_heard_once(settings: Settings) -> None:
    plans, ears = (Plan("clusters", 50, drawn=True), Plan("context trees", 60)), Counting()
    rows = ask(settings, Bands(), lambda: ears, plans)
    assert [row.name for row in rows[3:]] == ["clusters", "clusters, drawn from text", "context trees"]
    assert ears.asked == len(rows) * settings.sentences
    table = (settings.out / TABLE).read_text()
    assert len(table.splitlines()) == 2 + len(rows)
    ask(settings, Bands(), lambda: ears, plans)
    assert ears.asked == len(rows) * settings.sentences
    assert (settings.out / TABLE).read_text() == table


def test_speech_on_disk_is_as_it_was(tmp_path: Path, booth: Booth) -> None:
    spoken = booth.spoken(TEXTS[0], "low")
    spoken.write(tmp_path / "a.npz")
    again = Spoken.read(tmp_path / "a.npz")
    assert (again.text, again.voice) == (spoken.text, spoken.voice)
    assert np.array_equal(again.frames.envelope, spoken.frames.envelope)
    assert np.abs(again.samples - spoken.samples).max() < 1e-4
