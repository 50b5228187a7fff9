"""JSON lines on stderr, each with the id of the request that it belongs to."""

import logging
import sys

from pythonjsonlogger.json import JsonFormatter

from services.runtime import request_context


class _RequestFilter(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        request = request_context.current()
        record.request_id = None if request is None else request.request_id
        record.traceparent = None if request is None else request.traceparent
        return True


def _is_news(record: logging.LogRecord) -> bool:
    """Not so what grpc calls an error: that a caller had left before the end of its call could be told."""
    error = record.exc_info[1] if record.exc_info else None
    return record.name != "grpc._cython.cygrpc" or "SendStatusFromServerOperation" not in str(error)


def configure_logs(stage: str, level: str) -> None:
    """Replaces the root handlers of this process."""
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_is_news)
    handler.addFilter(_RequestFilter())
    handler.setFormatter(
        JsonFormatter(
            "{levelname}{name}{message}{request_id}{traceparent}",
            style="{",
            timestamp="time",
            static_fields={"stage": stage},
            rename_fields={"levelname": "level", "name": "logger"},
        )
    )
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
