"""The channel to a stage: balanced over all its replicas, kept alive, and retried while nothing has been answered, but
for the streams of speech."""

import json

import grpc

# One wire message: a minute of float32 at 48 kHz, or a large upload. The server's limit is the same.
MAX_MESSAGE_BYTES = 64 * 1024 * 1024
# Must be longer than the server's own minimum, or it answers GOAWAY too_many_pings.
KEEPALIVE_MS = 30_000

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
    ("grpc.keepalive_time_ms", KEEPALIVE_MS),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.dns_min_time_between_resolutions_ms", 5_000),
    ("grpc.initial_reconnect_backoff_ms", 100),
    # A stage that starts is found as soon as it listens.
    ("grpc.max_reconnect_backoff_ms", 300),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
]


def open_channel(target: str) -> grpc.aio.Channel:
    """`target` is host:port, or any gRPC target with its scheme. Retries need a lost reply before any response."""
    return grpc.aio.insecure_channel(target if "://" in target else f"dns:///{target}", options=_OPTIONS)
