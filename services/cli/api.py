"""The gateway's REST API as the commands use it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Annotated

import httpx
import typer

from services.cli.failure import Failure

# A large model on a small machine may think that long before the first sound.
READ_SECONDS = 300.0

UrlOption = Annotated[str, typer.Option(envvar="VOXLINE_URL", help="Where the gateway listens.")]
KeyOption = Annotated[str, typer.Option("--api-key", envvar="VOXLINE_API_KEY", help="Where the gateway wants a key.")]
DEFAULT_URL = "http://127.0.0.1:8000"


@dataclass(frozen=True)
class Upload:
    """A multipart form: plain fields, and one file under `name`."""

    name: str
    filename: str
    data: bytes
    fields: Mapping[str, str] = field(default_factory=dict)


# JSON, a form, or nothing.
Body = Mapping[str, object] | Upload | None


@dataclass(frozen=True)
class Api:
    """`read_seconds`: how long the server may say nothing."""

    url: str
    key: str = ""
    read_seconds: float = READ_SECONDS

    @contextmanager
    def call(self, method: str, path: str, body: Body = None) -> Iterator[httpx.Response]:
        """A successful reply, its body unread. Raises Failure with the server's own words, or why there are none."""
        try:
            with self._client() as client, _sent(client, method, path, body) as response:
                if response.is_error:
                    response.read()
                    raise Failure(_complaint(response))
                yield response
        except httpx.ConnectError as exc:
            raise Failure(f"Nothing answers at {self.url} ({exc}). Start it with `voxline serve`.") from exc
        except httpx.TimeoutException as exc:
            raise Failure(f"{self.url} did not answer in time.") from exc
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as exc:
            raise Failure(f"{self.url} is no address; write it like {DEFAULT_URL}.") from exc
        except httpx.HTTPError as exc:
            raise Failure(f"{self.url} broke off: {exc}") from exc

    def _client(self) -> httpx.Client:
        """Asks the proxies of the environment, but none for this machine. Raises Failure."""
        if not self.key.isascii() or not self.key.isprintable():
            raise Failure("The API key holds characters that no key has.")
        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        timeout = httpx.Timeout(10.0, read=self.read_seconds)
        outside = not _is_this_machine(httpx.URL(self.url).host)
        try:
            return httpx.Client(base_url=self.url, headers=headers, timeout=timeout, trust_env=outside)
        except (ImportError, ValueError) as exc:
            raise Failure(f"The proxy that the environment names cannot be used: {exc}") from exc


def _is_this_machine(host: str) -> bool:
    host = host.rstrip(".")
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback or ip_address(host).is_unspecified
    except ValueError:
        return False


@contextmanager
def _sent(client: httpx.Client, method: str, path: str, body: Body) -> Iterator[httpx.Response]:
    if isinstance(body, Upload):
        files = {body.name: (body.filename, body.data)}
        with client.stream(method, path, data=dict(body.fields), files=files) as response:
            yield response
    else:
        with client.stream(method, path, json=body) as response:
            yield response


def _complaint(response: httpx.Response) -> str:
    """The message of an OpenAI error body; anything else is not ours, and is shown as it is."""
    try:
        message = response.json()["error"]["message"]
    except (ValueError, KeyError, TypeError):
        message = f"{response.status_code} {response.reason_phrase}: {response.text[:200]}"
    return str(message)
