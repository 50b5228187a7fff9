"""How a stage that was told only the digest of a speaker gets the state."""

import asyncio

from services.contract.speaker import Speaker


class SpeakerAnswer:
    """What the stage answers first of all: whether it wants the state."""

    def __init__(self, speaker: Speaker | None) -> None:
        self.expected = speaker is not None and not speaker.inline
        self._wanted: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    def came(self, wanted: bool) -> None:
        """To be told of each response."""
        if not self._wanted.done():
            self._wanted.set_result(wanted)

    async def wanted(self) -> bool:
        return await self._wanted
