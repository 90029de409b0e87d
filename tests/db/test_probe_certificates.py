"""How long certificates are still valid and how old secrets are: real handshakes, and no value in the database."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from pydantic import SecretStr
from sqlalchemy import text

from jobs.core.db import Database
from jobs.core.schema import run_sql
from jobs.core.settings import Settings
from jobs.probes.certificates import addresses
from jobs.probes.secrets import secrets_of
from tests.db.books import run_job
from tests.db.conftest import free_port

Certify = Callable[[timedelta], Path]


@pytest.fixture
def certify(tmp_path: Path) -> Certify:
    """Makes a certificate that nobody has signed, valid for so long from now on, with its key in one file."""

    def make(valid: timedelta) -> Path:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "somebody else")])
        now = datetime.now(UTC)
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=90))
            .not_valid_after(now + valid)
            .sign(key, hashes.SHA256())
        )
        file = tmp_path / "both.pem"
        secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        file.write_bytes(secret + made.public_bytes(Encoding.PEM))
        return file

    return make


@contextmanager
def speaking_tls(pem: Path) -> Iterator[int]:
    """A server that shows this certificate to whoever comes, and says no more; its port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    client, _ = listener.accept()
                    with suppress(OSError), context.wrap_socket(client, server_side=True) as talk:
                        talk.recv(1)

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def samples(db: Database, metric: str) -> dict[str, float]:
    with db.read() as conn:
        rows = conn.execute(
            text(
                "SELECT DISTINCT ON (s.subject) s.subject, x.value FROM ops.samples x JOIN ops.series s ON s.id = x.series"
                " WHERE s.metric = :metric ORDER BY s.subject, x.at DESC"
            ),
            {"metric": metric},
        )
        return {row.subject: row.value for row in rows}


@pytest.mark.parametrize("days", [30, -2])
def test_days_are_read_from_a_handshake_whoever_signed_and_also_once_it_has_expired(
    db: Database, settings: Settings, certify: Certify, days: int
) -> None:
    with speaking_tls(certify(timedelta(days=days))) as port:
        url = f"https://127.0.0.1:{port}/events?key=k3y-of-the-hook"
        run = run_job(db, settings.model_copy(update={"webhook_url": url}), "probe-certificates")
    assert (run.state, run.counters["certificates"]) == ("succeeded", 1)
    found = samples(db, "certificate.days_left")
    assert found == {f"127.0.0.1:{port}": pytest.approx(days, abs=0.1)}


def test_what_cannot_be_read_is_told_and_leaves_a_gap(db: Database, settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as plain:  # accepts, and never speaks TLS

        def refuse() -> None:
            client, _ = plain.accept()
            client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            client.close()

        threading.Thread(target=refuse, daemon=True).start()
        urls = (f"https://127.0.0.1:{plain.getsockname()[1]}", f"https://127.0.0.1:{free_port()}")
        run = run_job(db, settings.model_copy(update={"horizon_urls": urls}), "probe-certificates")
    assert (run.state, run.counters["certificates"], run.counters["unread"]) == ("succeeded", 0, 2)
    assert samples(db, "certificate.days_left") == {}


def test_every_https_address_of_the_settings_is_looked_at_once(settings: Settings) -> None:
    several = settings.model_copy(
        update={
            "horizon_urls": ("https://h.example/path", "http://plain.example", "https://h.example:8443"),
            "rpc_url": "https://h.example/rpc",
            "app_url": "https://app.example",
        }
    )
    assert addresses(several) == (("h.example", 443), ("h.example", 8443), ("app.example", 443))


def test_a_secret_ages_until_it_is_another_one_and_its_value_is_nowhere(db: Database, settings: Settings) -> None:
    def look(token: str) -> dict[str, float]:
        run = run_job(db, settings.model_copy(update={"forge_token": SecretStr(token)}), "watch-secrets")
        assert run.state == "succeeded", run.error
        return samples(db, "secret.age_days")

    assert look("first-token") == {"NEXAOPS_FORGE_TOKEN": 0.0}
    with db.begin() as conn:
        conn.execute(text("UPDATE ops.secrets_held SET since = since - interval '100 days'"))
    assert look("first-token") == {"NEXAOPS_FORGE_TOKEN": pytest.approx(100, abs=0.01)}
    assert look("second-token") == {"NEXAOPS_FORGE_TOKEN": 0.0}
    with db.read() as conn:
        row = conn.execute(text("SELECT actor, action, entity_id FROM ops.audit WHERE entity = 'setting'")).one()
        kept = conn.execute(text("SELECT fingerprint FROM ops.secrets_held")).scalar_one()
    assert row.action == "secret.changed"
    assert row.entity_id == "NEXAOPS_FORGE_TOKEN"
    assert "token" not in kept


def test_hosts_that_hold_different_values_are_told_and_take_no_turns_in_changing_it(
    db: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with db.begin() as conn:
        conn.execute(
            text(
                "INSERT INTO ops.workers (id, host, pid, version, concurrency, started_at)"
                " SELECT gen_random_uuid(), host, 1, '1', 1, now() - interval '1 hour' FROM unnest(ARRAY['ops-1', 'ops-2']) AS host"
            )
        )

    def look(host: str, token: str) -> tuple[float, float, int]:
        """The age, how many values, and how many changes there have been."""
        monkeypatch.setattr(socket, "gethostname", lambda: host)
        run = run_job(db, settings.model_copy(update={"forge_token": SecretStr(token)}), "watch-secrets")
        assert run.state == "succeeded", run.error
        with db.read() as conn:
            changes = conn.execute(text("SELECT count(*) FROM ops.audit WHERE action = 'secret.changed'")).scalar_one()
        days, values = (samples(db, f"secret.{name}")["NEXAOPS_FORGE_TOKEN"] for name in ("age_days", "values"))
        return round(days), values, changes

    assert look("ops-1", "first") == (0, 1, 0)
    with db.begin() as conn:
        # As it was kept before hosts were told apart.
        conn.execute(text("UPDATE ops.secrets_held SET since = since - interval '100 days', host = ''"))
    assert look("ops-1", "first") == (100, 1, 0)
    assert look("ops-2", "first") == (100, 1, 0), "what another host holds already is no new value"
    assert look("ops-1", "second") == (100, 2, 1), "the oldest that is held counts"
    assert [look(host, token) for host, token in (("ops-2", "first"), ("ops-1", "second"))] == [(100, 2, 1)] * 2
    with db.begin() as conn:
        # Started anew: what it held before may be another value now.
        conn.execute(text("UPDATE ops.workers SET started_at = clock_timestamp() WHERE host = 'ops-2'"))
    assert look("ops-1", "second") == (0, 1, 1)
    assert look("ops-2", "second") == (0, 1, 2)
    with db.read() as conn:
        said = conn.execute(text("SELECT fields ->> 'hosts' FROM ops.run_logs WHERE event LIKE 'hosts hold%' LIMIT 1"))
        assert said.scalar_one() == '[["ops-2"], ["ops-1"]]'
        assert conn.execute(text("SELECT count(DISTINCT fingerprint) FROM ops.secrets_held")).scalar_one() == 1


def test_workers_of_the_version_before_go_on_beside_what_is_known_of_hosts(db: Database, settings: Settings) -> None:
    """The statements are those of the last version that knew of no hosts: a migration comes before its workers do."""
    known = "SELECT fingerprint, since, now() AS now FROM ops.secrets WHERE setting = :setting"
    first = (
        "INSERT INTO ops.secrets (setting, fingerprint) VALUES (:setting, :fingerprint)"
        " ON CONFLICT DO NOTHING RETURNING since"
    )
    changed = (
        "UPDATE ops.secrets SET fingerprint = :fingerprint, since = now()"
        " WHERE setting = :setting AND fingerprint = :before RETURNING since"
    )
    held = settings.model_copy(update={"forge_token": SecretStr("token")})
    assert run_job(db, held, "watch-secrets").state == "succeeded"
    with db.begin() as conn:
        conn.execute(
            text(
                "INSERT INTO ops.secrets_held (setting, host, fingerprint)"
                " SELECT setting, 'another', fingerprint FROM ops.secrets_held"
            )
        )
    bound = {"setting": "NEXAOPS_FORGE_TOKEN", "fingerprint": "a", "before": "a"}
    with db.begin() as conn:
        assert conn.execute(text(known), bound).one_or_none() is None
        assert conn.execute(text(first), bound).one_or_none() is not None
        assert conn.execute(text(first), bound).one_or_none() is None
        assert conn.execute(text(changed), {**bound, "fingerprint": "b"}).one_or_none() is not None
    assert run_job(db, held, "watch-secrets").state == "succeeded"
    with db.read() as conn:
        assert conn.execute(text(known), bound).one().fingerprint == "b", "the new worker leaves it alone"


def test_what_is_known_of_a_secret_is_taken_along(db: Database) -> None:
    with db.begin() as conn:
        conn.execute(text("DROP TABLE ops.secrets_held"))
        conn.execute(text("INSERT INTO ops.secrets VALUES ('NEXAOPS_FORGE_TOKEN', 'a', '2026-01-01Z')"))
        run_sql(conn, "0029_secrets_held.sql")
        row = conn.execute(text("SELECT setting, host, fingerprint, since FROM ops.secrets_held")).one()
    assert tuple(row) == ("NEXAOPS_FORGE_TOKEN", "", "a", datetime(2026, 1, 1, tzinfo=UTC))


def test_a_dry_run_notes_no_change(db: Database, settings: Settings) -> None:
    held = settings.model_copy(update={"backup_key": SecretStr("AGE-SECRET-KEY-1X")})
    assert run_job(db, held, "watch-secrets", dry_run=True).state == "succeeded"
    with db.read() as conn:
        assert conn.execute(text("SELECT count(*) FROM ops.secrets_held")).scalar_one() == 0


def test_several_secrets_of_one_setting_are_one(settings: Settings) -> None:
    channels = (SecretStr("slack://a"), SecretStr("json://b"))
    held = settings.model_copy(update={"notice_urls": channels, "db_password": SecretStr("p")})
    assert secrets_of(settings) == {}
    assert secrets_of(held) == {"DB_PASSWORD": "p", "NEXAOPS_NOTICE_URLS": "slack://a\njson://b"}
