"""What an error holds once it has been answered."""

import traceback


def let_go(error: BaseException | None) -> None:
    """Of all that the frames hold which `error` and its causes passed through. Frames and errors hold each other in the
    frameworks' own code, and a recording of 20 MiB would stay with them until the collector comes by.
    """
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__
