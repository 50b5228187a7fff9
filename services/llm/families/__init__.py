"""Model lines by name. A family is imported when it is chosen."""

from importlib import import_module
from pathlib import Path

from services.llm.families.family import Family

FAMILIES = {"spark": "services.llm.families.spark.family:SparkFamily"}


def load_family(name: str, checkpoint: Path) -> Family:
    """Raises UnusableCheckpoint."""
    module, attribute = FAMILIES[name].split(":")
    family: Family = getattr(import_module(module), attribute).load(checkpoint)
    return family
