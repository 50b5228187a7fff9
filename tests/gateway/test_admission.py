import pytest

from services.gateway.admission import Admission
from services.runtime.errors import Overloaded


def test_one_more_than_there_is_room_for_is_turned_away_until_one_leaves():
    admission = Admission(1, retry_after=2.5)
    with admission.admitted():
        with pytest.raises(Overloaded) as raised, admission.admitted():
            pass
        assert raised.value.retry_after == 2.5
    with admission.admitted():
        pass


def test_room_is_given_back_when_a_request_fails():
    admission = Admission(1)
    with pytest.raises(ValueError, match="broke"), admission.admitted():
        raise ValueError("broke")
    with admission.admitted():
        pass
