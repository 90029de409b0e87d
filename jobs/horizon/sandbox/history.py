"""The read endpoints over history: transactions, operations, payments, ledgers and accounts."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from stellar_sdk import StrKey

from jobs.horizon.sandbox import documents
from jobs.horizon.sandbox.answers import hal, rendered
from jobs.horizon.sandbox.gate import seen_by
from jobs.horizon.sandbox.ledger import SandboxLedger
from jobs.horizon.sandbox.operations import joined, operation_records
from jobs.horizon.sandbox.paging import PageQuery, Rendered, page_query, walk
from jobs.horizon.sandbox.problems import BEFORE_HISTORY, NOT_FOUND, bad_field
from jobs.horizon.sandbox.records import Included
from jobs.horizon.sandbox.view import View

_HEX = frozenset("0123456789abcdef")


def history_routes(ledger: SandboxLedger) -> list[Route]:
    """The routes, the one that is asked most first."""
    history = _History(ledger)
    routes = [
        Route("/transactions/{tx_hash}", history.transaction),
        Route("/transactions", history.transactions),
        Route("/accounts/{account_id}/transactions", history.transactions),
        Route("/ledgers/{sequence}/transactions", history.transactions),
        Route("/claimable_balances/{balance_id}/transactions", history.transactions),
        Route("/accounts/{account_id}", history.account),
        Route("/ledgers", history.ledgers),
        Route("/ledgers/{sequence}", history.one_ledger),
        Route("/operations/{token}", history.operation),
    ]
    for prefix in ("", "/transactions/{tx_hash}", "/accounts/{account_id}", "/ledgers/{sequence}"):
        routes.append(Route(f"{prefix}/operations", history.operations))
        routes.append(Route(f"{prefix}/payments", history.payments))
    return routes


class _History:
    def __init__(self, ledger: SandboxLedger) -> None:
        self._ledger = ledger

    async def transaction(self, request: Request) -> Response:
        asked = request.path_params["tx_hash"]
        entry = self._seen(asked, seen_by(request))
        return rendered(request, entry.record(asked))

    async def transactions(self, request: Request) -> Response:
        view = seen_by(request)
        query = page_query(request.url.path, request.query_params, view)
        with self._ledger.lock:
            wanted = (
                entry
                for entry in walk(self._scope(request, view), query, view)
                if (entry.successful or query.include_failed) and query.begins_after(entry.toid)
            )
            records = [(entry.toid, entry.body) for entry in islice(wanted, query.limit)]
        return rendered(request, query.document(records))

    async def operations(self, request: Request) -> Response:
        return self._operations(request, payments_only=False)

    async def payments(self, request: Request) -> Response:
        return self._operations(request, payments_only=True)

    def _operations(self, request: Request, *, payments_only: bool) -> Response:
        view = seen_by(request)
        query = page_query(request.url.path, request.query_params, view)
        account_id = request.path_params.get("account_id")
        # Who asks for one transaction's operations knows how it ended, and gets them all the same.
        failed_too = query.include_failed or "tx_hash" in request.path_params
        records: list[Rendered] = []
        with self._ledger.lock:
            for entry in walk(self._scope(request, view), query, view):
                if entry.successful or failed_too:
                    records.extend(_operations_of(entry, query, account_id, payments_only))
                if len(records) >= query.limit:
                    break
        return rendered(request, query.document(records[: query.limit]))

    async def operation(self, request: Request) -> Response:
        text, view = request.path_params["token"], seen_by(request)
        if not text.isascii() or not text.isdigit():
            raise bad_field("id", "an operation's id is a number")
        token = int(text)
        for entry in self._ledger.chain.transactions(ledger=token >> 32):
            if view.sees(entry):
                for record in operation_records(entry):
                    if record.token == token:
                        return rendered(request, record.body)
        raise NOT_FOUND

    async def account(self, request: Request) -> Response:
        found = self._ledger.account(_account_id(request))
        if found is None:
            raise NOT_FOUND
        return hal(request, documents.account(found, self._ledger.sequence_at(found, seen_by(request).latest)))

    async def ledgers(self, request: Request) -> Response:
        view = seen_by(request)
        query = page_query(request.url.path, request.query_params, view)
        first, last = view.elder, view.latest
        if query.cursor is not None:
            at = query.cursor >> 32
            if query.descending:
                last = min(last, at - 1 if query.cursor == at << 32 else at)
            else:
                first = max(first, at + 1)
        numbers = range(last, first - 1, -1) if query.descending else range(first, last + 1)
        found = [closed for number in numbers[: query.limit] if (closed := self._ledger.chain.ledger(number))]
        return rendered(
            request,
            query.document([(closed.sequence << 32, orjson.dumps(documents.ledger(closed))) for closed in found]),
        )

    async def one_ledger(self, request: Request) -> Response:
        number = self._sequence(request, seen_by(request))
        found = self._ledger.chain.ledger(number)
        if found is None:
            raise NOT_FOUND
        return hal(request, documents.ledger(found))

    def _scope(self, request: Request, view: View) -> Sequence[Included]:
        """The transactions of what the path names: an account, a claimable balance, a ledger, one transaction, or all."""
        params, chain = request.path_params, self._ledger.chain
        if "tx_hash" in params:
            return [self._seen(params["tx_hash"], view)]
        if "account_id" in params:
            account_id = _account_id(request)
            found = chain.transactions(account_id)
            if not found and self._ledger.account(account_id) is None:
                raise NOT_FOUND
            return found
        if "balance_id" in params:
            beside = chain.transactions(params["balance_id"])
            if not beside:
                raise NOT_FOUND
            return beside
        if "sequence" in params:
            return chain.transactions(ledger=self._sequence(request, view))
        return chain.transactions()

    def _seen(self, asked: str, view: View) -> Included:
        if len(asked) != 64 or not _HEX.issuperset(asked):
            raise bad_field("tx_id", "a transaction hash is 64 lower-case hex digits")
        entry = self._ledger.find(asked)
        if entry is None or not view.sees(entry):
            raise NOT_FOUND
        return entry

    def _sequence(self, request: Request, view: View) -> int:
        text = request.path_params["sequence"]
        if not text.isascii() or not text.isdigit() or not 0 < int(text) < 2**32:
            raise bad_field("ledger_id", "a ledger's sequence is a positive number")
        number = int(text)
        if number < view.elder:
            raise BEFORE_HISTORY
        if number > view.latest:
            raise NOT_FOUND
        return number


def _account_id(request: Request) -> str:
    account_id: str = request.path_params["account_id"]
    if not StrKey.is_valid_ed25519_public_key(account_id):
        raise bad_field("account_id", "an account id begins with G and has 56 characters")
    return account_id


def _operations_of(entry: Included, query: PageQuery, account_id: str | None, payments_only: bool) -> list[Rendered]:
    found: list[Rendered] = [
        (record.token, joined(record, entry) if query.join else record.body)
        for record in operation_records(entry)
        if query.begins_after(record.token)
        and (account_id is None or account_id in record.participants)
        and (record.payment or not payments_only)
    ]
    return found[::-1] if query.descending else found
