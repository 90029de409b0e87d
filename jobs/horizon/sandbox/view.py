"""How far a server claims to see: the ledger's own range, narrowed or shifted by faults."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from itertools import count

from jobs.horizon.sandbox.chain import Chain
from jobs.horizon.sandbox.faults import FaultName, Faults
from jobs.horizon.sandbox.network import PROTOCOL, SANDBOX_PASSPHRASE
from jobs.horizon.sandbox.records import Included


@dataclass(frozen=True, slots=True)
class View:
    """The range of history that one answer is given from, and what root says beside it."""

    latest: int
    elder: int
    core: int
    ingest: int
    closed_at: datetime
    passphrase: str = SANDBOX_PASSPHRASE
    protocol: int = PROTOCOL

    def sees(self, entry: Included) -> bool:
        return self.elder <= entry.ledger <= self.latest


class Viewer:
    """Makes the view of each answer; counts them, for the two servers behind one load balancer."""

    def __init__(self, chain: Chain, faults: Faults) -> None:
        self._chain = chain
        self._faults = faults
        self._answers = count()

    def newest(self) -> View:
        """The ledger as it is, whatever the faults."""
        latest = self._chain.latest
        return View(latest.sequence, self._chain.elder, latest.sequence, latest.sequence, latest.closed_at)

    def view(self) -> View:
        """What the next answer may see; each call is one answer."""
        chain, on = self._chain, self._faults.on
        newest = chain.latest
        if not self._faults.active():
            return self.newest()
        core = newest.sequence
        if fault := on(FaultName.REGRESS):
            core -= fault.ledgers
        latest = core
        if fault := on(FaultName.LAG):
            latest -= fault.ledgers
        if (fault := on(FaultName.LOAD_BALANCER)) and next(self._answers) % 2:
            latest, core = latest - fault.ledgers, core - fault.ledgers
        latest = max(latest, chain.elder)
        elder = chain.elder
        if fault := on(FaultName.RETENTION):
            elder = max(elder, latest - fault.ledgers + 1)
        ingest = latest
        if fault := on(FaultName.INGEST_LAG):
            ingest -= fault.ledgers
        seen = chain.ledger(latest)
        wrong = on(FaultName.WRONG_NETWORK)
        return View(
            latest=latest,
            elder=elder,
            core=core,
            ingest=ingest,
            closed_at=seen.closed_at if seen else newest.closed_at,
            passphrase=wrong.value if wrong else SANDBOX_PASSPHRASE,
            protocol=PROTOCOL + 1 if on(FaultName.PROTOCOL_AHEAD) else PROTOCOL,
        )
