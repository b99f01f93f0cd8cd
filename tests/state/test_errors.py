"""Errors a person or a supervisor can act on."""

import pytest

from btswarm.state import errors
from btswarm.state.errors import BtswarmError, ExitCode, FailureClass

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, BtswarmError)]


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_error_has_a_failing_exit_code_and_a_class(kind: type[BtswarmError]) -> None:
    assert kind.code in set(ExitCode) - {ExitCode.OK}
    assert kind.failure in set(FailureClass)


def test_an_error_is_always_one_line() -> None:
    error = BtswarmError("a\n  b", fix="do\tc")
    assert error.line() == "a b; do c"
    assert BtswarmError("a").line() == "a"
