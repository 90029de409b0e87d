"""The way to a public explorer, for whoever wants to see with other eyes than ours."""

from __future__ import annotations

import re

import streamlit as st

from dashboard.desk import desk

_EXPLORERS = {"PUBLIC": "public", "TESTNET": "testnet"}
_HASH = re.compile(r"[0-9a-fA-F]{64}")


def explorer(tx_hash: str | None) -> None:
    """A link to the transaction; nothing in a demo, on a network without an explorer, or for what is no hash."""
    settings = desk().settings
    network = None if settings.demo else _EXPLORERS.get(settings.network or "")
    if network and tx_hash and _HASH.fullmatch(tx_hash):
        st.link_button(
            "Look at it on stellar.expert",
            f"https://stellar.expert/explorer/{network}/tx/{tx_hash.lower()}",
            icon=":material/open_in_new:",
            type="tertiary",
        )
