"""Where a model comes from: a folder, or the Hugging Face hub."""

from pathlib import Path

from services.cli.failure import Failure

BUNDLED = Path(__file__).resolve().parents[2] / "models" / "voxline-small"
PUBLISHED = "SparkAudio/Spark-TTS-0.5B"


def find_model(model: str | None, revision: str) -> Path:
    """The folder of `model`: the bundled voice for None, a folder as it is, a hub id from the cache or the hub."""
    folder = BUNDLED if model is None else Path(model).expanduser()
    if folder.is_dir():
        return folder.resolve()
    if model is None:
        raise Failure(f"The bundled voice is not at {folder}; name a model with --model, e.g. --model {PUBLISHED}")
    if model.count("/") != 1 or model.startswith((".", "/", "~")):
        raise Failure(f"There is no folder {folder}. A model is a folder, or a hub id such as {PUBLISHED}.")
    return fetch(model, revision)


def fetch(model: str, revision: str) -> Path:
    """Downloads what is not there yet, with progress bars. The folder has the model's name, which becomes its id."""
    # Slow to import, and most commands need no download.
    import httpx
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    folder = Path(constants.HF_HOME) / "voxline" / model
    try:
        return Path(snapshot_download(model, revision=revision, local_dir=folder))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, httpx.HTTPError) as exc:
        raise Failure(f"Downloading {model} (revision {revision}) failed: {exc}") from exc
