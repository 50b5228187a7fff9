"""Compiles C++ where it runs, once: the library is kept under a name made of all that it depends on."""

import ctypes
import hashlib
import logging
import platform
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_FLAGS = ("-std=c++17", "-O3", "-shared", "-fPIC", "-Wall")

_MACHINES = {("Linux", "x86_64"), ("Linux", "aarch64")}

# Of what is made once on a machine: compiled libraries, converted checkpoints.
CACHE = Path("~/.cache/voxline")

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Source:
    """`files`: the first is compiled, the others are what it includes. `flags`: g++'s. `without`: a sentence for
    people, what follows when there is none.
    """

    name: str
    files: Sequence[Path]
    flags: Sequence[str]
    without: str

    def digest(self) -> str:
        """With the C library: an older one could not load it."""
        known = (*platform.libc_ver(), *_FLAGS, *self.flags)
        digest = hashlib.sha256(" ".join(known).encode())
        for path in self.files:
            digest.update(path.read_bytes())
        return digest.hexdigest()[:32]


def loaded(source: Source, cache: Path) -> ctypes.CDLL | None:
    """What is compiled, at the first start; None, which is logged, where there is none or it cannot be loaded."""
    path = compiled(source, cache)
    try:
        return ctypes.CDLL(str(path)) if path else None
    except OSError as exc:  # A folder that nothing may be run from, for instance.
        _log.warning("%s cannot be loaded (%s), %s", path, exc, source.without)
        return None


def compiled(source: Source, cache: Path) -> Path | None:
    """A shared library; None where g++ is missing or fails or the cache cannot be written, which is logged, and on
    other machines than _MACHINES.
    """
    cache = cache.expanduser()
    if (platform.system(), platform.machine()) not in _MACHINES:
        return None
    target = cache / f"{source.name}-{source.digest()}.so"
    return target if target.exists() or _compile(source, target) else None


def _compile(source: Source, target: Path) -> bool:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _make(source, target)
    except FileNotFoundError:
        _log.warning("There is no g++, %s", source.without)
    except subprocess.CalledProcessError as exc:
        _log.warning("g++ failed, %s", source.without, extra={"stderr": exc.stderr})
    except OSError as exc:
        _log.warning("%s cannot be written (%s), %s", target, exc.strerror, source.without)
    return target.exists()


def _make(source: Source, target: Path) -> None:
    """It appears whole by a rename or not at all, so processes that start together may all compile."""
    with tempfile.TemporaryDirectory(prefix=".unfinished-", dir=target.parent) as folder:
        made = Path(folder) / target.name
        command = ("g++", *_FLAGS, str(source.files[0]), "-o", str(made), *source.flags)
        subprocess.run(command, check=True, capture_output=True, text=True)
        made.rename(target)
