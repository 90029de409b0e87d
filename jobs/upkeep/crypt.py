"""Backups that only the holder of a key can read, in the format of age (age-encryption.org/v1).

A known format rather than one of our own: on the worst day `age --decrypt -i KEY FILE` reads it without this software.
It is encrypted and authenticated in pieces of 64 KiB, so memory stays small and a byte that was changed is noticed.
"""

from __future__ import annotations

from typing import IO

import pyrage
from pydantic import SecretStr

from jobs.core.errors import NexaError, SettingsError
from jobs.core.settings import Settings
from jobs.upkeep.manifest import BadBackup

SUFFIX = ".age"


def key_of(settings: Settings) -> SecretStr | None:
    """The key that backups are encrypted with; None: they are not."""
    return settings.backup_key if settings.backup_key.get_secret_value() else None


def seal(source: IO[bytes], target: IO[bytes], key: SecretStr) -> None:
    """Encrypts what `source` holds, to its end, for the key's owner. NexaError says what the disk says."""
    try:
        pyrage.encrypt_io(source, target, [_identity(key).to_public()])
    except pyrage.EncryptError as error:
        # It passes on what the file said, as text: "OSError: [Errno 28] No space left on device".
        raise NexaError(f"The encrypted backup cannot be written: {str(error).rpartition('] ')[2]}.") from error


def unseal(source: IO[bytes], target: IO[bytes], key: SecretStr) -> None:
    """Decrypts; BadBackup where the key is another one or the file was changed. What is written before is genuine."""
    try:
        pyrage.decrypt_io(source, target, [_identity(key)])
    except pyrage.DecryptError as error:
        raise BadBackup(
            f"The backup cannot be decrypted ({error}): NEXAOPS_BACKUP_KEY is not the one it was made with, or the file "
            "was changed."
        ) from error


def _identity(key: SecretStr) -> pyrage.x25519.Identity:
    try:
        return pyrage.x25519.Identity.from_str(key.get_secret_value())
    except pyrage.IdentityError as error:
        raise SettingsError(
            "NEXAOPS_BACKUP_KEY is not accepted: accepted is AGE-SECRET-KEY-1… as `age-keygen` prints it."
        ) from error
