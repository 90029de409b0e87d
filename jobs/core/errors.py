"""Errors that a person reads: each message is one sentence that says what is wrong and what to do.

The command line prints the sentence and exits with the class's code; a page shows it; a trace goes to the log only.
"""

from __future__ import annotations


class NexaError(Exception):
    """The root of all errors that we raise ourselves; permanent unless it says otherwise."""

    exit_code = 1


class SettingsError(NexaError):
    """A setting is missing or wrong; the message names it and what is accepted."""

    exit_code = 2


class UsageError(NexaError):
    """The command or the form was filled in wrongly."""

    exit_code = 2


class NotFound(NexaError):
    """What was named does not exist."""


class Forbidden(NexaError):
    """The person may not do this, or is not who they say."""


class Conflict(NexaError):
    """Somebody else was faster: what was seen is no longer so."""


class TransientError(NexaError):
    """It may work the next time: a server that does not answer, a budget that is spent."""
