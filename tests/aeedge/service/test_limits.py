import pytest

from aeedge.service.limits import Admission, RefusedError, ServiceLimits


def test_places_are_given_back():
    admission = Admission(ServiceLimits(concurrent=1, queue=0, per_client=1))
    for _ in range(3):
        with admission.of("a"):
            assert admission.admitted == 1
    assert admission.admitted == 0


@pytest.mark.parametrize(("limits", "status"), [({"per_client": 1}, 429), ({"concurrent": 1, "queue": 0}, 503)])
def test_no_more_are_admitted_than_allowed(limits, status):
    admission = Admission(ServiceLimits(**limits))
    with admission.of("a"), pytest.raises(RefusedError) as refused, admission.of("a"):
        pass
    assert refused.value.status == status


def test_nobody_is_admitted_while_it_stops():
    admission = Admission(ServiceLimits())
    admission.closing = True
    with pytest.raises(RefusedError) as refused, admission.of("a"):
        pass
    assert refused.value.status == 503
