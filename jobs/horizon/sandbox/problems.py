"""Horizon's problem documents: the same types, titles, statuses and extras, with explanations of our own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import orjson
from starlette.responses import Response

ERRORS = "https://stellar.org/horizon-errors/"
MEDIA_TYPE = "application/problem+json; charset=utf-8"


@dataclass(eq=False)
class Problem(Exception):
    """An error answer; raised anywhere below a route and rendered once."""

    type: str
    title: str
    status: int
    detail: str
    extras: Mapping[str, object] = field(default_factory=dict)

    def body(self) -> bytes:
        document: dict[str, object] = {
            "type": ERRORS + self.type,
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
        }
        if self.extras:
            document["extras"] = self.extras
        return orjson.dumps(document, option=orjson.OPT_INDENT_2)

    def response(self) -> Response:
        return Response(self.body(), self.status, media_type=MEDIA_TYPE)


NOT_FOUND = Problem(
    "not_found",
    "Resource Missing",
    404,
    "Nothing is at this address: the path is unknown to the sandbox, or what it names is not in its database.",
)
BEFORE_HISTORY = Problem(
    "before_history",
    "Data Requested Is Before Recorded History",
    410,
    "The sandbox keeps only its latest ledgers, and this was asked for from before the first of them.",
)
RATE_LIMIT_EXCEEDED = Problem(
    "rate_limit_exceeded",
    "Rate Limit Exceeded",
    429,
    "This address has used up its requests; the X-RateLimit-* headers say how many there are and when more come.",
)
STALE_HISTORY = Problem(
    "stale_history",
    "Historical DB Is Too Stale",
    503,
    "The sandbox's history lags too far behind its core to answer.",
)
STILL_INGESTING = Problem(
    "still_ingesting",
    "Still Ingesting",
    503,
    "The sandbox has not ingested its first ledger yet; ask again later.",
)
SERVICE_UNAVAILABLE = Problem(
    "service_unavailable",
    "Service Unavailable",
    503,
    "The sandbox cannot answer at the moment; ask again later.",
)
TIMEOUT = Problem(
    "timeout",
    "Timeout",
    504,
    "The request took too long. Whether a submitted transaction was included is not known: "
    "look it up, or submit exactly the same envelope again.",
)
UNSUPPORTED_MEDIA_TYPE = Problem(
    "unsupported_media_type",
    "Unsupported Media Type",
    415,
    "A submission is an application/x-www-form-urlencoded body with the envelope in `tx`.",
)


def bad_field(name: str, reason: str) -> Problem:
    """A parameter that cannot be understood."""
    extras = {"invalid_field": name, "reason": reason}
    return Problem("bad_request", "Bad Request", 400, "A parameter of the request is not valid.", extras)


def transaction_malformed(envelope: str) -> Problem:
    return Problem(
        "transaction_malformed",
        "Transaction Malformed",
        400,
        "The envelope in `tx` is no base64 of a TransactionEnvelope.",
        {"envelope_xdr": envelope},
    )


def transaction_failed(envelope: str, result: str, tx_hash: str, codes: Mapping[str, object]) -> Problem:
    """Refused, or included and failed: the two look alike; only a look-up by hash tells them apart."""
    return Problem(
        "transaction_failed",
        "Transaction Failed",
        400,
        "The transaction failed; extras.result_codes says why.",
        {"envelope_xdr": envelope, "hash": tx_hash, "result_codes": codes, "result_xdr": result},
    )
