"""What a generation tells, in order."""

from dataclasses import dataclass

from services.gateway.tokens import Codes, SpeakerTokens


@dataclass(frozen=True)
class Finish:
    """`complete` is False when the token limit cut the speech."""

    complete: bool
    prompt_tokens: int
    completion_tokens: int


# In this order: one SpeakerTokens, any number of Codes, one Finish.
LlmEvent = SpeakerTokens | Codes | Finish
