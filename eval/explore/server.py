"""The server of the page: on this machine only, reading only, and answering only those who ask it by its own name.

It listens on 127.0.0.1. A request whose `Host` is another name is refused, so that no page from elsewhere can read along by
pointing its own name here (DNS rebinding); other pages may not embed what it sends. Only GET is answered. The page may load
nothing from anywhere else. Errors are JSON: `{"error": sentence}`.
"""

from __future__ import annotations

import json
import logging
import math
import webbrowser
from collections.abc import Mapping, Sequence
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from drive_vqa.errors import ConfigError, DriveVqaError
from drive_vqa.store import Store
from eval.explore.answers import read_evaluated
from eval.explore.parameters import Parameters
from eval.explore.routes import ROUTES, Explorer

logger = logging.getLogger(__name__)

ADDRESS = "127.0.0.1"
HERE = Path(__file__).parent
SCRIPT, STYLE = "text/javascript; charset=utf-8", "text/css; charset=utf-8"
FILES = {
    "/": (HERE / "page.html", "text/html; charset=utf-8"),
    "/page.css": (HERE / "page.css", STYLE),
    "/style.css": (HERE.parent / "report" / "style.css", STYLE),
    **{f"/{path.name}": (path, SCRIPT) for path in sorted(HERE.glob("*.js"))},
}
"""The page's own files."""

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
LONGEST_ADDRESS = 4000
IDLE_S = 60
IMAGE_CACHING = "private, max-age=600"


def explore(store: Path, evaluations: Sequence[Path] = (), *, port: int = 0, open_browser: bool = True) -> None:
    """Serve the page until interrupted.

    Args:
        store: folder of the store.
        evaluations: folders made by `drive-vqa evaluate` of this store.
        port: on 127.0.0.1; 0 takes a free one.
        open_browser: show the page.

    Raises:
        StoreError: the store or an evaluation is missing or damaged.
        ConfigError: the port is taken.
    """
    opened = Store.open(store)
    explorer = Explorer(opened, tuple(read_evaluated(opened, root) for root in evaluations))
    with make_server(explorer, port) as server:
        address = f"http://{ADDRESS}:{server.server_port}/"
        logger.info("exploring %s at %s (Ctrl-C ends)", store, address)
        if open_browser:
            webbrowser.open(address)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            logger.info("ended")


def make_server(explorer: Explorer, port: int = 0) -> ThreadingHTTPServer:
    """A server that listens, but does not answer yet.

    Raises:
        ConfigError: the port is taken or none.
    """
    try:
        server = ThreadingHTTPServer((ADDRESS, port), partial(Handler, explorer))
    except (OSError, OverflowError) as error:
        raise ConfigError(f"port {port} of {ADDRESS} cannot be used ({error}): give another --port") from error
    server.daemon_threads = True
    return server


class Handler(BaseHTTPRequestHandler):
    """Answers one connection."""

    protocol_version = "HTTP/1.1"
    server_version, sys_version = "drive-vqa", ""
    timeout = IDLE_S

    def __init__(self, explorer: Explorer, *connection: Any) -> None:
        self.explorer = explorer
        super().__init__(*connection)

    def do_GET(self) -> None:
        """Answer, or say in one sentence why not."""
        if not self._is_asked_by_name():
            self.send_error(HTTPStatus.FORBIDDEN, "this server answers to 127.0.0.1 and localhost only")
        elif len(self.path) > LONGEST_ADDRESS:
            self.send_error(HTTPStatus.REQUEST_URI_TOO_LONG, "the address is too long")
        else:
            self._answer()

    def _is_asked_by_name(self) -> bool:
        port = self.connection.getsockname()[1]
        hosts = self.headers.get_all("Host") or []
        return len(hosts) == 1 and hosts[0].lower() in {f"{name}:{port}" for name in (ADDRESS, "localhost")}

    def _answer(self) -> None:
        try:
            address = urlsplit(self.path)
            if address.path in FILES:
                self._send_file(*FILES[address.path])
            elif address.path in ROUTES:
                self._send_route(address.path, address.query)
            else:
                self.send_error(HTTPStatus.NOT_FOUND, "there is nothing at this address")
        except ConfigError as error:
            self.send_error(HTTPStatus.BAD_REQUEST, str(error))
        except DriveVqaError as error:
            self.send_error(HTTPStatus.NOT_FOUND, str(error))
        except ConnectionError:
            self.close_connection = True
        except Exception:  # a bug must neither end the server nor show its insides
            logger.exception("the answer to %s failed", self.path)
            self.send_error(HTTPStatus.INTERNAL_SERVER_ERROR, "the answer failed: see the log of the server")

    def _send_file(self, path: Path, content_type: str) -> None:
        self._send(HTTPStatus.OK, content_type, path.read_bytes(), {"Cache-Control": "no-cache"})

    def _send_route(self, path: str, query: str) -> None:
        route = ROUTES[path]
        found = route.answer(self.explorer, Parameters.parse(query, route.known))
        if isinstance(found, tuple):
            self._send_image(*found)
        else:
            self._send_json(HTTPStatus.OK, found)

    def _send_image(self, content: bytes, tag: str) -> None:
        caching = {"ETag": f'"{tag}"', "Cache-Control": IMAGE_CACHING}
        if self.headers.get("If-None-Match") == caching["ETag"]:
            self._send(HTTPStatus.NOT_MODIFIED, "image/jpeg", b"", caching)
        else:
            self._send(HTTPStatus.OK, "image/jpeg", content, caching)

    def _send_json(self, status: HTTPStatus, content: Mapping[str, Any]) -> None:
        body = json.dumps(_plain(content), allow_nan=False, separators=(",", ":")).encode()
        self._send(status, "application/json", body, {"Cache-Control": "no-store"})

    def _send(self, status: HTTPStatus, content_type: str, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in {**HEADERS, **headers, "Content-Type": content_type, "Content-Length": len(body)}.items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(body)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:  # noqa: ARG002 - the library's
        """An error as JSON, after which the connection ends: what else was sent with the request is not read."""
        self.close_connection = True
        status = HTTPStatus(code)
        self._send_json(status, {"error": message or status.phrase})

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - the library's name
        """Requests are told to those who want to know."""
        logger.debug(format, *arguments)


def _plain(value: Any) -> Any:
    """A value as JSON has it: numbers that are none become null, floats keep five digits after the point."""
    if isinstance(value, float):
        return round(float(value), 5) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    return value.item() if hasattr(value, "item") else value
