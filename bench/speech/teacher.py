"""The voice's teacher, espeak-ng, through its command."""

import io
import subprocess
from collections.abc import Sequence

import soundfile
import soxr

from bench.speech.ears import SAMPLE_RATE, Samples
from services.cli.failure import Failure

# Voice -> espeak-ng's. Median f0 on dev.txt: 103 and 198 Hz; the bundled voice has 102 and 197.
TEACHERS = {"male": "en-us", "female": "en-us+f2"}


class Teacher:
    def __init__(self) -> None:
        """Raises Failure when there is no espeak-ng."""
        self.version = _espeak(["--version"]).decode().partition(" Data")[0].split()[-1]

    def say(self, text: str, voice: str) -> Samples:
        """[T] at SAMPLE_RATE; `voice` as espeak-ng names it, e.g. en-us+f2."""
        wav = _espeak(["-v", voice, "--stdout", text])
        samples, sample_rate = soundfile.read(io.BytesIO(wav), dtype="float32")
        resampled: Samples = soxr.resample(samples, sample_rate, SAMPLE_RATE, quality="VHQ")
        return resampled


def _espeak(arguments: Sequence[str]) -> bytes:
    try:
        return subprocess.run(["espeak-ng", *arguments], check=True, capture_output=True).stdout
    except FileNotFoundError as exc:
        raise Failure("There is no espeak-ng, the teacher. Debian: apt-get install espeak-ng") from exc
    except subprocess.CalledProcessError as exc:
        raise Failure(f"espeak-ng failed: {exc.stderr.decode(errors='replace').strip()}") from exc
