"""How a run ends is one sentence, and says whether another attempt may end better."""

from __future__ import annotations

import pytest
from pydantic import BaseModel, ValidationError

from jobs.core.errors import Conflict, TransientError
from jobs.run.ends import Stop, died, failed, killed, stopped, too_large

SEED = "S" + "A" * 55


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        (-11, "Its process was ended by SIGSEGV: it crashed."),
        (-9, "Its process was ended by SIGKILL: killed from outside, mostly for lack of memory."),
        (-15, "Its process was ended by SIGTERM: somebody asked it to end."),
        (-63, "Its process was ended by signal 63: it crashed."),
        (7, "Its process ended by itself in the middle of the run, with exit code 7."),
        (0, "Its process ended by itself in the middle of the run, with exit code 0."),
        (None, "Its process ended, and nobody saw how."),
    ],
)
def test_a_process_that_died_says_how(code: int | None, sentence: str) -> None:
    end = died(code)
    assert (end.state, end.error_class, end.error, end.again) == ("failed", "ProcessDied", sentence, True)


def test_whoever_did_not_hear_is_killed_in_the_state_that_it_was_to_end_in() -> None:
    stop = Stop("stopped", "Its process was shut down.", again=True)
    assert (stopped(stop).state, stopped(stop).error, stopped(stop).again) == (stop.state, stop.sentence, True)
    assert killed(stop, 10.0).error == (
        "Its process was shut down. It did not stop within 10 s of being told, and its process was killed."
    )
    assert killed(stop, 10.0).again
    assert not killed(Stop("timed_out", "Its time limit of 5 s was reached."), 10.0).again


def test_too_much_memory_names_the_setting() -> None:
    assert too_large(1234.5, 1024).error == (
        "Its process took 1,234 MB of memory, more than the 1,024 MB of NEXAOPS_RUN_MEMORY_MB, and was killed."
    )


class _Small(BaseModel):
    size: int


def _invalid() -> ValidationError:
    with pytest.raises(ValidationError) as caught:
        _Small.model_validate({"size": "secret"})
    return caught.value


@pytest.mark.parametrize(
    ("error", "sentence", "again"),
    [
        (ZeroDivisionError(f"by {SEED}\x00"), "by [secret key]", True),
        (TransientError("It may work."), "It may work.", True),
        (Conflict("It will not."), "It will not.", False),
        (KeyError(), "no message", True),
        (SystemExit(3), "3", True),
        (_invalid(), "1 values are not as expected in _Small", True),
    ],
)
def test_what_was_raised_is_told_without_secrets(error: BaseException, sentence: str, again: bool) -> None:
    end = failed(error)
    assert (end.state, end.error_class, end.error, end.again) == ("failed", type(error).__name__, sentence, again)
    assert SEED not in str(end.trace)
