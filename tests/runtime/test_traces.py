"""What errors hold."""

import gc
import weakref

from services.runtime.traces import let_go


class Recording:
    """As large as one may be."""


def test_an_error_and_its_causes_let_go_of_what_they_passed_through():
    held = []

    def read() -> None:
        recording = Recording()
        held.append(weakref.ref(recording))
        raise ValueError

    def refuse() -> None:
        try:
            read()
        except ValueError as exc:
            raise TypeError from exc

    gc.disable()
    try:
        refuse()
    except TypeError as exc:
        assert held[0]() is not None
        let_go(exc)
        assert held[0]() is None
    finally:
        gc.enable()
