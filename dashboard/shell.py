"""The HTML that Streamlit's application starts in, made ours, and the files beside it.

Streamlit's own `index.html` carries its name, an inline script and pointers to an API for programs. Here it gets our
title, icon, styles (so that nothing flashes unstyled) and small scripts of our own, and the content security policy
needs no exception for it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route
from streamlit import file_util

ASSETS = Path(__file__).parent / "assets"
STYLES = ("desk.css", "engine.css", "money.css", "checklists.css", "release.css", "signing.css", "alerts.css")
SCRIPTS = ("ages.js", "desk.js", "checklist.js")
_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml", ".woff2": "font/woff2"}
_NOSCRIPT = "<noscript><p>This page needs JavaScript.</p></noscript>"


def shell_routes(pages: Iterable[str]) -> list[Route]:
    """Routes for the start page, each page by its path, and our assets; an unknown page is a 404."""
    html = _shell_html()
    known = {"", *pages}

    def shell(request: Request) -> Response:
        if request.path_params.get("page", "") not in known:
            return PlainTextResponse("There is no such page. The start page is at /.", 404)
        return HTMLResponse(html, headers={"cache-control": "no-cache"})

    def asset(request: Request) -> Response:
        name = request.path_params["name"]
        path = _font() if name == "text.woff2" else ASSETS / name
        if path.suffix not in _TYPES or not path.is_file():
            return PlainTextResponse("Not found", 404)
        fresh = "public, max-age=31536000, immutable" if request.query_params.get("v") else "no-cache"
        return FileResponse(path, media_type=_TYPES[path.suffix], headers={"cache-control": fresh})

    def favicon(_request: Request) -> Response:
        return FileResponse(ASSETS / "icon-ok.svg", media_type=_TYPES[".svg"])

    return [
        Route("/", shell, methods=["GET"]),
        Route("/assets/{name}", asset, methods=["GET"]),
        Route("/favicon.png", favicon, methods=["GET"]),
        Route("/{page}", shell, methods=["GET"]),
    ]


def _shell_html() -> str:
    html = (Path(file_util.get_static_dir()) / "index.html").read_text(encoding="utf-8")
    html = re.sub(r"<!--.*?-->", "", html, flags=re.DOTALL)
    html = re.sub(r"<title>.*?</title>", "<title>NexaFX operations</title>", html, flags=re.DOTALL)
    html = re.sub(r"<noscript>.*?</noscript>", _NOSCRIPT, html, flags=re.DOTALL)
    html = re.sub(r"<link[^>]*rel=\"(?:shortcut icon|service-desc)\"[^>]*>", "", html)
    # Inline scripts only: those with a source stay.
    html = re.sub(r"<script>.*?</script>", "", html, flags=re.DOTALL)
    styles = "".join(f'<link rel="stylesheet" href="/assets/{name}?v={_digest(name)}">' for name in STYLES)
    ours = '<link rel="icon" href="/assets/icon-ok.svg" type="image/svg+xml">' + "".join(
        f'<script src="/assets/{name}?v={_digest(name)}" defer></script>' for name in SCRIPTS
    )
    # Streamlit writes its styles into the head as it goes: ours come after them, and before anything is drawn.
    return html.replace("</head>", f"{ours}</head>").replace("<body>", f"<body>{styles}")


def _digest(name: str) -> str:
    return hashlib.sha256((ASSETS / name).read_bytes()).hexdigest()[:12]


def _font() -> Path:
    """The text face that Streamlit ships; its file name carries a hash."""
    found = sorted((Path(file_util.get_static_dir()) / "static" / "media").glob("SourceSansVF-Upright*.woff2"))
    return found[0] if found else ASSETS / "missing.woff2"
