"""`/sandbox`: what the sandbox is, its faults to see and to switch while it runs, and a status page for its network."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from jobs.core.errors import UsageError
from jobs.horizon.sandbox.answers import hal
from jobs.horizon.sandbox.faults import KINDS, Fault, FaultName, Faults
from jobs.horizon.sandbox.ledger import SandboxLedger
from jobs.horizon.sandbox.network import stamp
from jobs.horizon.sandbox.problems import bad_field
from jobs.horizon.sandbox.records import Record


class _Switch(BaseModel):
    """The optional body of a PUT."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    value: str | float | None = None
    path: str = "/"
    times: int | None = Field(default=None, ge=1)


def control_routes(ledger: SandboxLedger, faults: Faults) -> list[Route]:
    """`GET /sandbox`, `GET /sandbox/status/api/v2/summary.json` as Statuspage answers it, `POST
    /sandbox/ledgers` (close one now), `PUT` and `DELETE /sandbox/faults/{name}`.
    """

    async def show(request: Request) -> Response:
        return hal(request, _state(ledger, faults))

    async def status(request: Request) -> Response:
        return hal(request, _summary(ledger, faults.on(FaultName.STATUS_PAGE)))

    async def close(request: Request) -> Response:
        ledger.close_ledger()
        return hal(request, _state(ledger, faults))

    async def put(request: Request) -> Response:
        body = await request.body()
        try:
            switch = _Switch.model_validate_json(body) if body else _Switch()
            name = request.path_params["name"]
            faults.set(name, switch.value, path=switch.path, times=switch.times)
        except UsageError as error:
            raise bad_field("name", str(error)) from error
        except ValidationError as error:
            raise bad_field("body", "a JSON object with value, path and times, each optional") from error
        return hal(request, _state(ledger, faults))

    async def delete(request: Request) -> Response:
        faults.clear(request.path_params.get("name"))
        return hal(request, _state(ledger, faults))

    return [
        Route("/sandbox", show),
        Route("/sandbox/status/api/v2/summary.json", status),
        Route("/sandbox/ledgers", close, methods=["POST"]),
        Route("/sandbox/faults", delete, methods=["DELETE"]),
        Route("/sandbox/faults/{name}", put, methods=["PUT"]),
        Route("/sandbox/faults/{name}", delete, methods=["DELETE"]),
    ]


def _state(ledger: SandboxLedger, faults: Faults) -> Record:
    latest = ledger.latest
    return {
        "sandbox": True,
        "network_passphrase": ledger.passphrase,
        "latest_ledger": latest.sequence,
        "latest_ledger_closed_at": stamp(latest.closed_at),
        "elder_ledger": ledger.chain.elder,
        "transactions": len(ledger.chain.transactions()),
        "faults": {fault.name.value: _fault(fault) for fault in faults.active()},
        "known_faults": {
            name.value: kind.does + (f" ({kind.value}, {kind.default} if not given)" if kind.default else "")
            for name, kind in KINDS.items()
        },
    }


def _fault(fault: Fault) -> Record:
    return {"value": fault.value, "path": fault.path, "times": fault.times}


def _summary(ledger: SandboxLedger, fault: Fault | None) -> Record:
    indicator = fault.value if fault else "none"
    closed = stamp(ledger.latest.closed_at)
    return {
        "page": {"name": "Sandbox", "updated_at": closed},
        "status": {
            "indicator": indicator,
            "description": "Horizon of the sandbox is slow" if fault else "All Systems Operational",
        },
        "components": [{"name": "Horizon", "status": "degraded_performance" if fault else "operational"}],
        "incidents": [
            {"name": "Horizon answers slowly", "status": "investigating", "impact": indicator, "started_at": closed}
        ]
        if fault
        else [],
        "scheduled_maintenances": [],
    }
