"""How tokens are drawn, the same for every engine."""

import secrets
from dataclasses import dataclass, field

from services.contract.sampling import SEEDS, Sampling
from services.runtime.errors import InvalidRequest

_BITS = 2**64 - 1


def fresh_seed() -> int:
    """32 random bits: what every engine's generator takes whole and JSON carries exactly."""
    return secrets.randbits(32)


def random_bits(seed: int, position: int) -> int:
    """64 bits for the token that is drawn behind `position` others: a generator without a state, so that a sequence can
    go on in another process. The steps and the mixing of SplitMix64 (Steele, Lea, Flood 2014).
    """
    return _mixed(_mixed(seed) + (position + 1) * 0x9E3779B97F4A7C15)


def _mixed(bits: int) -> int:
    bits &= _BITS
    bits = (bits ^ bits >> 30) * 0xBF58476D1CE4E5B9 & _BITS
    bits = (bits ^ bits >> 27) * 0x94D049BB133111EB & _BITS
    return bits ^ bits >> 31


@dataclass(frozen=True)
class Limits:
    """Generated tokens of one segment. `shortest`: what any speech needs; `usual_least` and `usual_most`: what its text
    may need; `most`: what the context has room for.
    """

    shortest: int
    usual_least: int
    usual_most: int
    most: int


@dataclass(frozen=True, kw_only=True)
class ResolvedSampling:
    """With a value for everything. Applied in this order: repetition penalty over prompt and output, temperature,
    top-k, top-p, draw.

    temperature [0, 2], 0 is greedy; top_k >= 0, 0 turns it off; top_p (0, 1]; repetition_penalty (0, 2], 1 turns it
    off; 0 <= min_tokens <= max_tokens, 1 <= max_tokens, both counted in generated tokens; seed [0, 2**63).
    Raises InvalidRequest that names the field.
    """

    max_tokens: int
    min_tokens: int = 0
    temperature: float = 0.8
    top_k: int = 50
    top_p: float = 0.95
    repetition_penalty: float = 1.0
    seed: int = field(default_factory=fresh_seed)

    def __post_init__(self) -> None:
        _check("temperature", 0.0 <= self.temperature <= 2.0, "between 0 and 2")
        _check("top_k", self.top_k >= 0, "0 or more")
        _check("top_p", 0.0 < self.top_p <= 1.0, "above 0 and at most 1")
        _check("repetition_penalty", 0.0 < self.repetition_penalty <= 2.0, "above 0 and at most 2")
        _check("max_tokens", self.max_tokens >= 1, "1 or more")
        _check("min_tokens", 0 <= self.min_tokens <= self.max_tokens, "between 0 and max_tokens")
        _check("seed", 0 <= self.seed < SEEDS, "between 0 and 2**63 - 1")

    @property
    def greedy(self) -> bool:
        return self.temperature == 0.0


def _check(name: str, valid: bool, expected: str) -> None:
    if not valid:
        raise InvalidRequest(f"{name} must be {expected}.", field=f"sampling.{name}")


def resolved(asked: Sampling, limits: Limits) -> ResolvedSampling:
    """What is absent is filled in from `limits`. `max_tokens` ends at the context of the model.

    Raises InvalidRequest that names the field.
    """
    most = limits.usual_most if asked.max_tokens is None else asked.max_tokens
    _check("max_tokens", most >= limits.shortest, f"{limits.shortest} or more here")
    least = min(limits.usual_least, most) if asked.min_tokens is None else asked.min_tokens
    bounds = {"max_tokens": min(most, limits.most), "min_tokens": max(least, limits.shortest)}
    given = {name: value for name, value in vars(asked).items() if value is not None}
    return ResolvedSampling(**{**given, **bounds})
