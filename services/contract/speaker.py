"""Speakers: opaque to all but the family, and addressed by their content where they are large."""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cached_property

from services.runtime.errors import InvalidRequest
from voxline.stages.v1 import speaker_pb2

# A larger state is named by its digest.
INLINE_BYTES = 4096


@dataclass(frozen=True)
class Speaker:
    """`state`: what the family makes of it; `global_tokens`: what is public of it, no part of who it is."""

    state: bytes
    global_tokens: tuple[int, ...] = field(default=(), compare=False)

    @cached_property
    def digest(self) -> bytes:
        """SHA-256 of the state."""
        return hashlib.sha256(self.state).digest()

    @property
    def inline(self) -> bool:
        """Whether a message holds the state itself."""
        return len(self.state) <= INLINE_BYTES

    def to_proto(self) -> speaker_pb2.Speaker:
        """With the state only where it is small: a stage that needs a large one asks for it."""
        if self.inline:
            return speaker_pb2.Speaker(state=self.state, global_tokens=self.global_tokens)
        return speaker_pb2.Speaker(digest=self.digest, global_tokens=self.global_tokens)

    def whole_to_proto(self) -> speaker_pb2.Speaker:
        """With the state, for the one who does not know it yet."""
        return speaker_pb2.Speaker(state=self.state, global_tokens=self.global_tokens)

    @classmethod
    def from_proto(cls, message: speaker_pb2.Speaker) -> "Speaker":
        """Of a message that holds the state."""
        assert message.HasField("state")
        return cls(message.state, tuple(message.global_tokens))


class SpeakerStore:
    """The large states that a process was sent, so that each crosses the wire once; the least used go first."""

    def __init__(self, max_bytes: int = 256 * 2**20) -> None:
        self._max_bytes = max_bytes
        self._states: OrderedDict[bytes, bytes] = OrderedDict()
        self._bytes = 0
        self._coming: dict[bytes, asyncio.Event] = {}

    @asynccontextmanager
    async def exchange(self, digest: bytes) -> AsyncIterator[bool]:
        """Whether the state of `digest` is to be asked for, and kept before the exchange ends: not if it is known, or
        none is named, and not while another call gets it, which is waited for.
        """
        while digest in self._coming:
            await self._coming[digest].wait()
        if not digest or digest in self._states:
            yield False
            return
        self._coming[digest] = asyncio.Event()
        try:
            yield True
        finally:
            self._coming.pop(digest).set()

    def keep(self, digest: bytes, state: bytes) -> None:
        """Raises InvalidRequest for a state that is not the one of the digest."""
        if hashlib.sha256(state).digest() != digest:
            raise InvalidRequest("This is not the state of that digest.", field="speaker_state")
        if digest not in self._states:
            self._states[digest] = state
            self._bytes += len(state)
        while self._bytes > self._max_bytes and len(self._states) > 1:
            _, oldest = self._states.popitem(last=False)
            self._bytes -= len(oldest)

    def speaker(self, message: speaker_pb2.Speaker | None, field: str) -> Speaker | None:
        """Who the message is of, after its exchange. `field`: what errors call the message. Raises InvalidRequest."""
        if message is None:
            return None
        if message.HasField("state"):
            return Speaker.from_proto(message)
        state = self._states.get(message.digest)
        if state is None:
            raise InvalidRequest("A speaker is its state, or the digest of one that is known.", field=f"{field}.state")
        self._states.move_to_end(message.digest)
        return Speaker(state, tuple(message.global_tokens))
