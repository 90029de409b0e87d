"""Leases, by the races that they have to survive."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from jobs.core.db import Database
from jobs.run.lease import Lease

ONE, TWO = UUID(int=1), UUID(int=2)


def held(db: Database, lease: Lease) -> bool:
    with db.begin() as conn:
        return lease.hold(conn)


def resign(db: Database, lease: Lease) -> None:
    with db.begin() as conn:
        lease.resign(conn)


def run_out(db: Database) -> None:
    with db.begin() as conn:
        conn.execute(text("UPDATE ops.leases SET expires_at = clock_timestamp()"))


def test_one_holds_the_lease_until_it_resigns_and_the_term_rises(db: Database) -> None:
    one, two = Lease("test", ONE, ttl_s=60), Lease("test", TWO, ttl_s=60)
    assert held(db, one)
    assert not held(db, two)
    assert held(db, one)
    assert one.term == 1
    resign(db, one)
    assert held(db, two)
    assert two.term == 2
    assert not held(db, one)
    assert one.term is None


def test_a_lease_that_ran_out_begins_a_new_term_even_for_the_same_holder(db: Database) -> None:
    lease = Lease("test", ONE, ttl_s=0)
    assert held(db, lease)
    assert held(db, lease)
    assert lease.term == 2


def test_competing_holders(db: Database) -> None:
    """Of many who ask at the same time one holds it, and again when it has run out; no term is issued twice."""
    leases = [Lease("test", uuid4(), ttl_s=60) for _ in range(8)]
    with ThreadPoolExecutor(len(leases)) as pool:
        for term in (1, 2, 3):
            winners = [
                lease for lease, won in zip(leases, pool.map(lambda it: held(db, it), leases), strict=True) if won
            ]
            assert [winner.term for winner in winners] == [term]
            run_out(db)


def test_nobody_takes_a_lease_over_while_its_work_is_under_way(db: Database) -> None:
    one, two = Lease("test", ONE, ttl_s=0), Lease("test", TWO, ttl_s=60)
    with db.begin() as conn:
        assert one.hold(conn)
        with db.engine.connect() as other:
            other.execute(text("SET LOCAL lock_timeout = '200ms'"))
            with pytest.raises(DBAPIError, match="lock timeout"):
                two.hold(other)
    assert held(db, two)


def test_slow_renewal_does_not_extend_trust(db: Database) -> None:
    """What a renewal waited for counts: the term runs from when it was asked for, not from when it was answered."""
    one, two = Lease("test", ONE, ttl_s=0.5), Lease("test", TWO, ttl_s=60)
    assert held(db, one)
    with db.engine.connect() as blocker, ThreadPoolExecutor(1) as pool:
        blocker.execute(text("SELECT FROM ops.leases FOR UPDATE"))
        slow = pool.submit(held, db, one)
        time.sleep(0.7)
        blocker.commit()
        slow.result()
    assert held(db, two)


def test_resign_while_renewing(db: Database) -> None:
    """The resignation waits for the renewal and ends it; whoever has resigned does not come back."""
    one, two = Lease("test", ONE, ttl_s=60), Lease("test", TWO, ttl_s=60)
    renewed, go_on = threading.Event(), threading.Event()

    def renew() -> None:
        with db.begin() as conn:
            assert one.hold(conn)
            renewed.set()
            go_on.wait(10)

    with ThreadPoolExecutor(2) as pool:
        renewing = pool.submit(renew)
        renewed.wait(10)
        resigning = pool.submit(resign, db, one)
        time.sleep(0.1)
        assert not resigning.done()
        go_on.set()
        renewing.result()
        resigning.result()
    assert not held(db, one)
    assert held(db, two)


def test_holder_paused_for_longer_than_its_term(db: Database) -> None:
    """The database ends its transaction: nobody waits for it, and nothing that it wrote remains when it wakes up."""
    one, two = Lease("test", ONE, ttl_s=1), Lease("test", TWO, ttl_s=60)
    with db.engine.connect() as conn:
        assert one.hold(conn)
        conn.execute(text("UPDATE ops.flags SET reason = 'by one'"))
        # Nothing more comes from it: two waits for its lock, and then does not.
        assert held(db, two)
        with pytest.raises(DBAPIError):
            conn.execute(text("UPDATE ops.flags SET reason = 'by one, late'"))
    with db.read() as conn:
        assert conn.execute(text("SELECT count(*) FROM ops.flags WHERE reason LIKE 'by one%'")).scalar() == 0
        assert conn.execute(text("SELECT holder FROM ops.leases")).scalar() == TWO
