"""C++ that was compiled into the package, or is compiled where it runs, once: the library is kept under a name made of
all that it depends on.
"""

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

    def packaged(self) -> Path:
        """Where set-up leaves the library: beside its source."""
        return self.files[0].parent / self._library()

    def cached(self, cache: Path) -> Path:
        """Named by the C library too: an older one could not load it, and machines may share a home."""
        return cache.expanduser() / self._library(*platform.libc_ver())

    def _library(self, *where: str) -> str:
        digest = hashlib.sha256(" ".join((*where, *_FLAGS, *self.flags)).encode())
        for path in self.files:
            digest.update(path.read_bytes())
        return f"{self.name}-{digest.hexdigest()[:32]}.so"


def loaded(source: Source, cache: Path) -> ctypes.CDLL | None:
    """What came with the package, else what is compiled at the first start; None, which is logged, where there is
    neither or it cannot be loaded.
    """
    packaged = source.packaged()
    return (_load(packaged, source) if packaged.exists() else None) or _load(compiled(source, cache), source)


def _load(path: Path | None, source: Source) -> ctypes.CDLL | None:
    try:
        return ctypes.CDLL(str(path)) if path else None
    except OSError as exc:  # A folder that nothing may be run from, or another C library.
        _log.warning("%s cannot be loaded (%s), %s", path, exc, source.without)
        return None


def compiled(source: Source, cache: Path) -> Path | None:
    """`compile_to` a cache."""
    return compile_to(source.cached(cache), source)


def compile_to(target: Path, source: Source) -> Path | None:
    """`target`, a shared library, made where it is not there; None where g++ is missing or fails or the folder cannot
    be written, which is logged, and on other machines than _MACHINES.
    """
    if (platform.system(), platform.machine()) not in _MACHINES:
        return None
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
