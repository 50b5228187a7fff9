"""An HTTP response that sends the bytes of a reply as they are made."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send


class StreamedResponse(StreamingResponse):
    """Owns `chunks` and closes them however the response ends. When the client leaves while a chunk is being sent,
    nothing else would close them. An error of `chunks` is raised, so that the server breaks the body off.
    """

    def __init__(self, chunks: AsyncGenerator[bytes, None], media_type: str, headers: dict[str, str]) -> None:
        super().__init__(chunks, media_type=media_type, headers=headers)
        self._chunks = chunks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with aclosing(self._chunks):
            await self.stream_response(send)
