"""What one HTTP connection may cost, and how many there may be."""

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

_LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


@dataclass(frozen=True)
class HttpLimits:
    """`body_seconds` may be exceeded by a body that keeps `body_bytes_per_second`; `idle_seconds` between requests.

    `body_bytes`: most that is read of a body, answered already or not. `connections_per_address`: 0 is no bound;
    `proxies` speak for many, so that only the bound of all connections holds for them.
    """

    head_seconds: float = 10.0
    head_bytes: int = 32 * 1024
    headers: int = 100
    body_seconds: float = 60.0
    body_bytes_per_second: int = 10_000
    body_bytes: int = 64 * 1024 * 1024
    idle_seconds: float = 75.0
    connections: int = 2000
    connections_per_address: int = 256
    proxies: tuple[IPv4Network | IPv6Network, ...] = _LOOPBACK

    def for_itself(self, address: str) -> bool:
        """Whether who connects from `address` is one caller, by all we know."""
        try:
            parsed = ip_address(address)
        except ValueError:  # A Unix socket has none.
            return False
        parsed = getattr(parsed, "ipv4_mapped", None) or parsed
        return not any(parsed in network for network in self.proxies)


def networks(text: str) -> tuple[IPv4Network | IPv6Network, ...]:
    """Of comma-separated addresses and networks. Raises ValueError."""
    return tuple(ip_network(each.strip()) for each in text.split(",") if each.strip())
