"""Signing in and out, and choosing a password: plain pages of our own, without scripts and without Streamlit.

The forms are protected by the gate (same site only); wrong passwords are counted and locked by `people.authenticate`,
and an address that tries too often is made to wait before a password is even looked at. Everybody can reach these
pages, so nobody who sends slowly or guesses in crowds may hold the threads that the others' pages need.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from html import escape
from pathlib import Path
from string import Template
from urllib.parse import parse_qsl, quote

import anyio
from anyio import to_thread
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from dashboard import doors
from dashboard.gate import SessionBook
from dashboard.throttle import Throttle
from jobs.core.db import Database
from jobs.core.errors import Forbidden, NexaError
from jobs.core.people import SHORTEST_PASSWORD, Person, authenticate, change_password
from jobs.core.sessions import close_session, find_session, open_session
from jobs.core.settings import Settings

_TRIES, _WINDOW_S = 20, 60.0
_LONGEST_FORM, _SLOWEST_FORM_S = 16_384, 10.0
_REFUSAL_S = 0.5
_AT_ONCE = 4  # an argon2 hash takes 64 MB
_FRAME = Template((Path(__file__).parent / "assets" / "login.html").read_text(encoding="utf-8"))


Form = Mapping[str, str]
_FormAnswer = Callable[[Request, Form], Response]


class Doorkeeper:
    """The pages /login, /password and /logout. All are plain functions, which run in threads."""

    def __init__(self, settings: Settings, db: Database, book: SessionBook) -> None:
        self._settings, self._db, self._book = settings, db, book
        self._throttle = Throttle(_TRIES, _WINDOW_S)  # an argon2 hash is dear, and guesses come in crowds
        self._threads = anyio.CapacityLimiter(_AT_ONCE)

    def routes(self) -> list[Route]:
        return [
            Route(doors.LOGIN, self.login_page, methods=["GET"]),
            Route(doors.LOGIN, self._with_form(self.login), methods=["POST"]),
            Route(doors.PASSWORD, self.password_page, methods=["GET"]),
            Route(doors.PASSWORD, self._with_form(self.password), methods=["POST"]),
            Route(doors.LOGOUT, self.logout_page, methods=["GET"]),
            Route(doors.LOGOUT, self.logout, methods=["POST"]),
        ]

    def _with_form(self, answer: _FormAnswer) -> Callable[[Request], Awaitable[Response]]:
        """Reads the form first, then takes a thread, one of few of its own."""

        async def endpoint(request: Request) -> Response:
            began = time.monotonic()
            form = await _form(request)
            response = await to_thread.run_sync(answer, request, form, limiter=self._threads)
            if response.status_code == 403:
                # How long a refusal takes must not tell whether the address exists.
                await anyio.sleep(max(0.0, began + _REFUSAL_S - time.monotonic()))
            return response

        return endpoint

    def login_page(self, request: Request) -> Response:
        wanted = doors.local_path(request.query_params.get("next"))
        if self._person(request) is not None:
            return RedirectResponse(wanted, 303)
        return self._login_form(wanted)

    def login(self, request: Request, form: Form) -> Response:
        email, wanted = form.get("email", ""), doors.local_path(form.get("next"))
        if not self._throttle.admits(_address(request), time.monotonic()):
            return self._login_form(wanted, email, "Too many tries from this address: wait a minute.", 429)
        try:
            person = authenticate(self._db, email, form.get("password", ""), origin=_origin(request))
        except Forbidden as refusal:
            return self._login_form(wanted, email, str(refusal), 403)
        return self._welcome(request, person, wanted)

    def password_page(self, request: Request) -> Response:
        person = self._person(request)
        if person is None:
            return RedirectResponse(doors.LOGIN, 303)
        return self._password_form(person, doors.local_path(request.query_params.get("next")))

    def password(self, request: Request, form: Form) -> Response:
        person = self._person(request)
        if person is None:
            return RedirectResponse(doors.LOGIN, 303)
        wanted, new = doors.local_path(form.get("next")), form.get("new", "")
        if new != form.get("again", ""):
            return self._password_form(person, wanted, "The two new passwords differ: type them again.", 400)
        if not self._throttle.admits(_address(request), time.monotonic()):
            return self._password_form(person, wanted, "Too many tries from this address: wait a minute.", 429)
        try:
            change_password(self._db, person.id, form.get("old", ""), new, origin=_origin(request))
        except NexaError as refusal:
            return self._password_form(person, wanted, str(refusal), 400)
        return self._welcome(request, person, wanted)

    def logout_page(self, request: Request) -> Response:
        if self._person(request) is None:
            return RedirectResponse(doors.LOGIN, 303)
        return self._page("Sign out", '<form method="post" action="/logout"><button>Sign out</button></form>')

    def logout(self, request: Request) -> Response:
        token = doors.session_token(request.scope["headers"])
        person = self._person(request)
        if token is not None and person is not None:
            with self._db.begin() as conn:
                close_session(conn, token)
            self._book.forget(person.id)
        response = RedirectResponse(doors.LOGIN, 303)
        response.delete_cookie(doors.COOKIE, path="/", httponly=True, samesite="lax")
        response.headers["clear-site-data"] = '"cache", "storage"'
        return response

    def _person(self, request: Request) -> Person | None:
        token = doors.session_token(request.scope["headers"])
        if token is None:
            return None
        with self._db.read() as conn:
            return find_session(conn, token)

    def _welcome(self, request: Request, person: Person, wanted: str) -> Response:
        """A new session and its cookie; never one that the browser brought along."""
        hours = self._settings.session_hours
        with self._db.begin() as conn:
            token = open_session(conn, person.id, origin=_address(request), hours=hours)
        self._book.forget(person.id)
        response = RedirectResponse(wanted, 303)
        response.set_cookie(
            doors.COOKIE,
            token,
            max_age=hours * 3600,
            path="/",
            httponly=True,
            samesite="lax",
            secure=request.url.scheme == "https",
        )
        return response

    def _login_form(self, wanted: str, email: str = "", problem: str = "", status: int = 200) -> Response:
        focus_password = bool(email)
        return self._page(
            "Sign in",
            f"""<form method="post" action="/login">
            <input type="hidden" name="next" value="{escape(wanted)}">
            {_input("email", "E-mail address", "email", "username", value=email, focus=not focus_password)}
            {_input("password", "Password", "password", "current-password", focus=focus_password)}
            <button>Sign in</button></form>""",
            problem=problem,
            status=status,
        )

    def _password_form(self, person: Person, wanted: str, problem: str = "", status: int = 200) -> Response:
        note = (
            "You came with a one-time password. Choose your own now; nobody else will know it."
            if person.must_change
            else "Every other session of yours ends when the password changes."
        )
        action = f"/password?next={quote(wanted)}"
        return self._page(
            "Choose a password",
            f"""<p class="note">{escape(note)}</p><form method="post" action="{escape(action)}">
            <input type="hidden" name="next" value="{escape(wanted)}">
            <input type="hidden" name="username" autocomplete="username" value="{escape(person.email)}">
            {_input("old", "Present password", "password", "current-password", focus=True)}
            {_input("new", f"New password, at least {SHORTEST_PASSWORD} characters", "password", "new-password")}
            {_input("again", "New password again", "password", "new-password")}
            <button>Use this password</button></form>""",
            problem=problem,
            status=status,
        )

    def _page(self, title: str, body: str, *, problem: str = "", status: int = 200) -> Response:
        label = self._settings.network_label
        shown = f'<p class="problem" role="alert">{escape(problem)}</p>' if problem else ""
        content = _FRAME.substitute(
            title=escape(title), network=escape(label), network_class=escape(label.lower()), body=shown + body
        )
        return HTMLResponse(content, status, headers={"cache-control": "no-store"})


async def _form(request: Request) -> Form:
    """The fields of a form as our pages send it; HTTPException if it is too long or comes too slowly."""
    body = bytearray()
    try:
        with anyio.fail_after(_SLOWEST_FORM_S):
            # Counted as it comes: what a request says about its length need not be so.
            async for chunk in request.stream():
                body += chunk
                if len(body) > _LONGEST_FORM:
                    raise HTTPException(413, "The form is too long.")
        return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=20))
    except TimeoutError:
        raise HTTPException(408, "The form came too slowly.") from None
    except (ClientDisconnect, ValueError):
        raise HTTPException(400, "That is no form of ours.") from None


def _origin(request: Request) -> str:
    return doors.origin("dashboard", doors.address_of(request.client))


def _address(request: Request) -> str:
    return doors.address_of(request.client) or "unknown"


def _input(name: str, label: str, kind: str, complete: str, *, value: str = "", focus: bool = False) -> str:
    attributes = f'id="{name}" name="{name}" type="{kind}" autocomplete="{complete}" value="{escape(value)}" required'
    return f'<label for="{name}">{escape(label)}</label><input {attributes}{" autofocus" if focus else ""}>'
