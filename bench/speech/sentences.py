"""What is said: a file of sentences, one a line."""

import re
from pathlib import Path

from services.cli.failure import Failure

# Neither the voice nor the settings of the ears were tuned on these ...
UNSEEN = Path(__file__).parent / "sentences.txt"
# ... the ears' settings were found on these.
DEVELOPMENT = Path(__file__).parent / "dev.txt"


def read_sentences(path: Path) -> list[str]:
    """Raises Failure for an unreadable or empty file, and for one sentence twice."""
    try:
        sentences = [line.strip() for line in path.read_text("utf-8").splitlines() if line.strip()]
    except OSError as exc:
        raise Failure(f"Cannot read {path}: {exc.strerror}.") from exc
    plain = [spoken(sentence) for sentence in sentences]
    if not plain or len(set(plain)) < len(plain):
        raise Failure(f"{path} has {'the same sentence twice' if plain else 'no sentence'}.")
    return sentences


def spoken(sentence: str) -> str:
    """Its words in lower case with one space between, as a recogniser writes them."""
    return " ".join(re.findall(r"[a-z']+", sentence.lower()))
