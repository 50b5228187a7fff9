"""The channel to a stage: balanced over all its replicas, kept alive, and retried while nothing has been answered, but
for the streams of speech."""

import json

import grpc

from services.runtime.tls import ChannelFiles

# One wire message: a minute of float32 at 48 kHz, or a large upload. The server's limit is the same.
MAX_MESSAGE_BYTES = 64 * 1024 * 1024
# A peer that is stopped, or whose machine is gone, is noticed after the sum of both. The first must be longer than the
# server's own minimum, or it answers GOAWAY too_many_pings.
KEEPALIVE_MS, _KEEPALIVE_TIMEOUT_MS = 5_000, 5_000

_SERVICE_CONFIG = json.dumps(
    {
        "loadBalancingConfig": [{"round_robin": {}}],
        "methodConfig": [
            {
                "name": [{}],
                "retryPolicy": {
                    "maxAttempts": 3,
                    "initialBackoff": "0.05s",
                    "maxBackoff": "0.5s",
                    "backoffMultiplier": 2,
                    "retryableStatusCodes": ["UNAVAILABLE"],
                },
            },
            # Whoever calls these knows what was heard already: a replica that is lost is replaced there.
            {"name": [{"service": f"voxline.stages.v1.{name}"} for name in ("LlmService", "DetokenizerService")]},
        ],
    }
)

_OPTIONS = [
    ("grpc.service_config", _SERVICE_CONFIG),
    # Stages are on this machine or in its cluster. A proxy of the environment is for the world outside; by default grpc
    # would ask it even for loopback, and it would take the place of round_robin.
    ("grpc.enable_http_proxy", 0),
    ("grpc.keepalive_time_ms", KEEPALIVE_MS),
    ("grpc.keepalive_timeout_ms", _KEEPALIVE_TIMEOUT_MS),
    # Or else the ping itself has 60 s, and the connection of a stopped peer stays for so long.
    ("grpc.http2.ping_timeout_ms", _KEEPALIVE_TIMEOUT_MS),
    # By default there are two, and none while the peer has all that we have to say.
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.dns_min_time_between_resolutions_ms", 5_000),
    ("grpc.initial_reconnect_backoff_ms", 100),
    # A stage that starts is found as soon as it listens.
    ("grpc.max_reconnect_backoff_ms", 300),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
]


def open_channel(target: str, tls: ChannelFiles | None = None) -> grpc.aio.Channel:
    """`target` is host:port, unix:/path, ipv4:host:port,host:port or any gRPC target with scheme and slashes. Retries
    need a lost reply before any response. `tls`: None is none; its files are read now (raises OSError).
    """
    has_scheme = "://" in target or target.startswith(("unix:/", "ipv4:", "ipv6:"))
    address = target if has_scheme else f"dns:///{target}"
    if tls is None:
        return grpc.aio.insecure_channel(address, options=_OPTIONS)
    named = [("grpc.ssl_target_name_override", tls.name)] if tls.name else []
    return grpc.aio.secure_channel(address, tls.credentials(), options=[*_OPTIONS, *named])
