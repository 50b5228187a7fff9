"""Names that stand for whatever is served."""

from dataclasses import dataclass

from services.gateway.interface import ModelName
from services.runtime.errors import ModelNotFound
from services.runtime.quoted import quoted

OPENAI = ("tts-1", "tts-1-hd", "gpt-4o-mini-tts", "gpt-4o-mini-tts-2025-12-15")
# What clients have wired in for servers of their kind. Nobody picks one of them, so no list shows them.
WIRED_IN = (
    "spark",
    "spark-tts",
    "spark-tts-0.5b",
    "sparkaudio/spark-tts-0.5b",
    "chatterbox",
    "csm-1b",
    "kokoro",
    "tts",
    "tts-1-1106",
    "tts-1-hd-1106",
    "gpt-4o-mini-tts-2025-03-20",
)


@dataclass(frozen=True)
class ModelNames:
    """`own`: those that an operator adds. Names are the same in upper and lower case."""

    own: tuple[str, ...] = ()

    def all(self) -> tuple[ModelName, ...]:
        shown = dict.fromkeys((*OPENAI, *self.own))
        known = {name.casefold() for name in shown}
        hidden = [name for name in WIRED_IN if name not in known]
        return (
            *(ModelName(name, alias=True) for name in shown),
            *(ModelName(name, alias=True, listed=False) for name in hidden),
        )

    def check(self, name: str, served: str) -> None:
        """Raises ModelNotFound; an empty name is whatever is served."""
        known = (ModelName(served), *self.all())
        if name and not any(model.is_named(name) for model in known):
            names = ", ".join(quoted(model.id) for model in known if model.listed)
            raise ModelNotFound(
                f"There is no model {quoted(name)}; {quoted(served)} is served, by these names: {names}. "
                "VOXLINE_GATEWAY_MODEL_ALIASES of the server adds others.",
                field="model",
            )
