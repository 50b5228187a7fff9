"""Certificates of servers and of clients, from files that are renewed while we run."""

import logging
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import grpc

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ServerFiles:
    """PEM files. `client_ca`: clients must show a certificate of this authority; None asks for none."""

    certificate: Path
    key: Path
    client_ca: Path | None = None

    def context(self) -> ssl.SSLContext:
        """Raises OSError (ssl.SSLError is one) for files that are missing, malformed, or no pair."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self.certificate, self.key)
        if self.client_ca is not None:
            context.load_verify_locations(self.client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def configuration(self) -> grpc.ServerCertificateConfiguration:
        """Raises OSError."""
        ca = None if self.client_ca is None else self.client_ca.read_bytes()
        return grpc.ssl_server_certificate_configuration(
            [(self.key.read_bytes(), self.certificate.read_bytes())], root_certificates=ca
        )

    @property
    def paths(self) -> tuple[Path, ...]:
        return (self.certificate, self.key, *([] if self.client_ca is None else [self.client_ca]))


class ServerCertificate:
    """Looks at its files at each handshake. New ones that are no good leave the old in use, until they are."""

    def __init__(self, files: ServerFiles) -> None:
        """Raises OSError."""
        self._files = files
        self._seen = _state(files.paths)
        self._context, self._configuration = files.context(), files.configuration()

    def for_grpc(self) -> grpc.ServerCredentials:
        return grpc.dynamic_ssl_server_credentials(
            self._configuration, self._renewed_for_grpc, self._files.client_ca is not None
        )

    def for_http(self) -> ssl.SSLContext:
        """Hands each handshake on to the context of the files as they are."""
        context = self._files.context()
        context.set_alpn_protocols(["http/1.1"])
        context.sni_callback = self._renew_for_http
        return context

    def _renewed_for_grpc(self) -> grpc.ServerCertificateConfiguration:
        self._renew()
        return self._configuration

    def _renew_for_http(self, connection: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        self._renew()
        connection.context = self._context

    def _renew(self) -> None:
        state = _state(self._files.paths)
        if state == self._seen:
            return
        self._seen = state
        try:
            self._context, self._configuration = self._files.context(), self._files.configuration()
        except OSError as exc:
            logger.error("the certificate cannot be renewed: %s", exc)
        else:
            logger.info("the certificate is renewed")


@dataclass(frozen=True)
class ChannelFiles:
    """PEM files of who calls. `ca`: of the servers. `certificate` and `key`, both or none: what we show them. `name`:
    in their certificates, where it is not that of the target.
    """

    ca: Path
    certificate: Path | None = None
    key: Path | None = None
    name: str = ""

    def credentials(self) -> grpc.ChannelCredentials:
        """Raises OSError."""
        key, certificate = (None if path is None else path.read_bytes() for path in (self.key, self.certificate))
        return grpc.ssl_channel_credentials(self.ca.read_bytes(), key, certificate)


def _state(paths: Iterable[Path]) -> tuple[object, ...]:
    """Differs after each change. Kubernetes swaps a link to a folder of all files."""
    found: list[tuple[int, int, int] | None] = []
    for path in paths:
        try:
            stat = path.stat()
        except OSError:
            found.append(None)
        else:
            found.append((stat.st_ino, stat.st_mtime_ns, stat.st_size))
    return tuple(found)
