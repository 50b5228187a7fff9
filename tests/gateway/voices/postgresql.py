"""A PostgreSQL of the tests' own: its files in a new directory, reached by a Unix socket alone, gone with its owner."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

# PostgreSQL refuses to run as root; Debian's package brings this user.
USER = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
# Popen would fork for it, which a process that has called gRPC does not survive.
AS_USER = ("--reuid", "postgres", "--regid", "postgres", "--clear-groups") if USER else ()
# The server ends with the process that started it, even where that one is killed.
WITH_ITS_OWNER = ("setpriv", *AS_USER, "--pdeathsig", "INT") if sys.platform == "linux" else ()
# Its language sorts otherwise than bytes do, as on most installations.
LOCALE = ("--encoding", "UTF8", "--locale", "C.UTF-8", "--locale-provider", "icu", "--icu-locale", "en")


def binaries() -> Path | None:
    """Of the newest version; Debian keeps them off the PATH. None where there are none."""
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    found = shutil.which("initdb")
    return installed[-1].parent if installed else Path(found).resolve().parent if found else None


@dataclass
class Cluster:
    """`directory`: of its socket; whoever can enter it is the superuser `postgres`."""

    programs: Path
    directory: Path

    def start(self) -> None:
        """Returns when it answers."""
        settings = ("fsync=off", "listen_addresses=", f"unix_socket_directories={self.directory}", "max_connections=50")
        flags = [part for setting in settings for part in ("-c", setting)]
        postgres = (*WITH_ITS_OWNER, self.programs / "postgres", "-D", self.directory / "data", *flags)
        log = self.directory / "log"
        with log.open("ab") as output:
            self._server = subprocess.Popen(postgres, stdout=output, stderr=output, cwd=self.directory)
        ready = (self.programs / "pg_isready", "-q", "-h", self.directory)
        while subprocess.run(ready, cwd=self.directory).returncode:
            assert self._server.poll() is None, log.read_text()
            time.sleep(0.05)

    def stop(self) -> None:
        self._server.send_signal(2)  # Without waiting for its clients.
        self._server.wait()

    @contextmanager
    def database(self, name: str) -> Iterator[str]:
        """URL of a new, empty database, dropped in the end."""
        self._run("createdb", name)
        yield f"postgresql://postgres@/{name}?host={self.directory}"
        self._run("dropdb", "--force", name)

    def _run(self, program: str, *arguments: str) -> None:
        command = (self.programs / program, "-h", self.directory, "-U", "postgres", *arguments)
        subprocess.run(command, check=True)


@contextmanager
def cluster(programs: Path) -> Iterator[Cluster]:
    """Of version 15 or newer."""
    directory = Path(tempfile.mkdtemp(prefix="voxline-postgresql-"))
    if USER:
        shutil.chown(directory, USER["user"], USER["group"])
    try:
        initdb = (
            programs / "initdb",
            "--pgdata",
            directory / "data",
            "--username",
            "postgres",
            "--auth",
            "trust",
            "--no-sync",
            *LOCALE,
        )
        subprocess.run(initdb, check=True, stdout=subprocess.DEVNULL, cwd=directory, **USER)
        running = Cluster(programs, directory)
        running.start()
        try:
            yield running
        finally:
            running.stop()
    finally:
        shutil.rmtree(directory)
