"""A throw-away authority, and what it signs, as files."""

from dataclasses import dataclass
from pathlib import Path

import trustme

NAME = "stage.voxline.test"


@dataclass(frozen=True)
class Certificate:
    certificate: Path
    key: Path


class Authority:
    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        self._ca = trustme.CA()
        self.file = folder / "ca.pem"
        self._ca.cert_pem.write_to_path(self.file)

    def sign(self, name: str, into: Path | None = None) -> Certificate:
        """Files `name`.pem and `name`.key, in a folder of ours or in `into`."""
        folder = into or self._folder
        found = Certificate(folder / f"{name}.pem", folder / f"{name}.key")
        leaf = self._ca.issue_cert(NAME, "localhost", "127.0.0.1")
        leaf.private_key_pem.write_to_path(found.key)
        found.certificate.write_bytes(b"".join(part.bytes() for part in leaf.cert_chain_pems))
        return found
