"""Rate, errors and duration of every RPC, on a registry that the process owns. Stages add their own beside them."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

# prometheus_client types it not at all.
disable_created_metrics()  # type: ignore[no-untyped-call]

# Seconds: from one gRPC hop to a long reply.
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)


class RpcMetrics:
    """`method` is /package.Service/Method; `code` is the name of the gRPC status."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.requests = Counter("voxline_rpc_requests", "RPCs that ended.", ["method", "code"], registry=registry)
        self.seconds = Histogram(
            "voxline_rpc_seconds", "Duration of RPCs.", ["method"], buckets=SECONDS, registry=registry
        )
        self.in_flight = Gauge("voxline_rpc_in_flight", "RPCs being served.", ["method"], registry=registry)
