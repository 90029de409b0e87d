"""What a rule watches for, as a tired person reads it."""

import pytest

from jobs.alerts.shipped import SHIPPED
from jobs.alerts.words import condition_in_words


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("disk-full-soon", "Days until the disk is full under 7 days for 60 min"),
        ("backup-broken", "Backup does not restore"),
        ("flag-switched", "Flag switched for 15 min"),
        ("disk-full", "Disk at least 95 % for 2 min"),
    ],
)
def test_a_condition_is_a_sentence(rule: str, said: str) -> None:
    assert condition_in_words(SHIPPED[rule]) == said
