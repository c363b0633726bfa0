"""Who is answered, with what, and what is refused."""

import re
import socket
import webbrowser
from http import HTTPStatus
from http.server import ThreadingHTTPServer

import pytest

from drive_vqa.errors import ConfigError, StoreError
from eval.explore import explore
from eval.explore.answers import read_evaluated
from eval.explore.routes import ROUTES
from eval.explore.server import ADDRESS, FILES, make_server
from tests.eval.report_world import LOG

CAMERA = {"log": LOG, "frame": 1, "camera": "front", "width": 320}


@pytest.mark.parametrize("path", sorted(FILES))
def test_the_page_and_its_files_are_sent(served, path):
    reply = served.ask(path)
    assert reply.status == HTTPStatus.OK
    assert len(reply.body) > 200
    assert reply.headers["content-type"].startswith("text/")


def test_it_listens_on_this_machine_only(explorer):
    with make_server(explorer) as server:
        assert server.server_address[0] == ADDRESS == "127.0.0.1"


def test_a_taken_port_is_told(served, explorer):
    with pytest.raises(ConfigError, match="another --port"):
        make_server(explorer, served.port)
    with pytest.raises(ConfigError, match="another --port"):
        make_server(explorer, 70_000)


@pytest.mark.parametrize("path", ["/", "/api/logs", "/image"])
def test_every_answer_forbids_what_is_not_its_own(served, path):
    headers = served.ask(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["x-content-type-options"] == "nosniff"
    assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "127.0.0.1.evil.example:{port}", "[::1]:{port}", ""])
def test_a_host_of_another_name_is_refused(served, host):
    reply = served.ask("/api/logs", headers={"Host": host.format(port=served.port)})
    assert reply.status == HTTPStatus.FORBIDDEN
    assert "127.0.0.1" in reply.json["error"]


def test_localhost_is_its_other_name(served):
    assert served.ask("/api/logs", headers={"Host": f"LOCALHOST:{served.port}"}).status == HTTPStatus.OK


def _raw(served, text):
    with socket.create_connection((ADDRESS, served.port), timeout=30) as connection:
        connection.sendall(text.encode())
        received = b""
        while part := connection.recv(65536):
            received += part
    return received


def test_two_hosts_or_none_are_refused(served):
    own = f"Host: 127.0.0.1:{served.port}\r\n"
    for hosts in (own + own, own + "Host: evil.example\r\n", ""):
        assert b" 403 " in _raw(served, f"GET /api/logs HTTP/1.1\r\n{hosts}\r\n").splitlines()[0]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "TRACE"])
def test_nothing_but_get_is_answered(served, method):
    assert served.ask("/api/logs", method=method).status == HTTPStatus.NOT_IMPLEMENTED


def test_no_request_makes_a_traceback(served):
    for text in ("GARBAGE\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", f"GET /{'a' * 70_000} HTTP/1.1\r\n\r\n"):
        received = _raw(served, text)
        assert b"Traceback" not in received
        assert b'{"error":' in received


HOSTILE = [
    ("/etc/passwd", {}, 404),
    ("/../../etc/passwd", {}, 404),
    ("/%2e%2e/answers.py", {}, 404),
    ("/answers.py", {}, 404),
    ("//evil.example/", {}, 404),
    ("/" + "a" * 5000, {}, 414),
    ("/api/log", {}, 400),
    ("/api/log", {"log": "../../secret"}, 404),
    ("/api/log", {"log": "/etc/passwd"}, 404),
    ("/api/log", {"log": "a\0b"}, 400),
    ("/api/log", {"log": "a" * 301}, 400),
    ("/api/log", {"log": LOG, "other": "1"}, 400),
    ("/api/log?log=a&log=b", {}, 400),
    ("/api/log?log", {}, 400),
    ("/api/logs?" + "&".join(["start=1"] * 30), {}, 400),
    ("/api/logs", {"start": "-1"}, 400),
    ("/api/logs", {"start": "1e3"}, 400),
    ("/api/moment", {"log": LOG, "frame": "99999999999999999999"}, 400),
    ("/api/moment", {"log": LOG, "frame": "-1"}, 400),
    ("/api/moment", {"log": LOG, "frame": "١"}, 400),
    ("/api/moment", {"log": LOG, "frame": "0x1"}, 400),
    ("/api/moment", {"log": LOG, "frame": "500"}, 404),
    ("/image", {**CAMERA, "width": 321}, 400),
    ("/image", {**CAMERA, "width": 10**8}, 400),
    ("/image", {**CAMERA, "camera": "../../front"}, 404),
    ("/image", {**CAMERA, "frame": 77}, 404),
    ("/context", {"log": LOG, "group": "g1", "context": 9, "width": 320}, 404),
    ("/context", {"log": LOG, "group": "../g1", "context": 0, "width": 320}, 404),
    ("/api/group", {"log": LOG, "group": "nothing"}, 404),
    ("/api/question", {"log": LOG, "question": "nothing"}, 404),
    ("/api/questions", {"metric": "accuracy", "evaluation": 7}, 400),
    ("/api/questions", {"metric": "accuracy", "answerer": "nobody"}, 404),
    ("/api/questions", {"log": "nothing"}, 404),
    ("/api/metrics", {"evaluation": "1"}, 400),
]


@pytest.mark.parametrize(("path", "parameters", "status"), HOSTILE)
def test_hostile_requests_get_one_sentence(served, path, parameters, status):
    reply = served.ask(path, **parameters)
    assert reply.status == status
    assert reply.headers["content-type"] == "application/json"
    assert list(reply.json) == ["error"]
    assert "Traceback" not in reply.json["error"]


def test_a_bug_is_logged_and_not_shown(served, monkeypatch, caplog):
    def broken(explorer, asked):
        raise ZeroDivisionError("insides")

    monkeypatch.setitem(ROUTES, "/api/logs", type(ROUTES["/api/logs"])(broken))
    reply = served.ask("/api/logs")
    assert reply.status == HTTPStatus.INTERNAL_SERVER_ERROR
    assert b"insides" not in reply.body
    assert "insides" in caplog.text


def test_images_are_scaled_and_kept_by_the_browser(served):
    first = served.ask("/image", **CAMERA)
    assert first.status == HTTPStatus.OK
    assert first.body[:2] == b"\xff\xd8"
    assert "max-age" in first.headers["cache-control"]
    again = served.ask("/image", headers={"If-None-Match": first.headers["etag"]}, **CAMERA)
    assert (again.status, again.body) == (HTTPStatus.NOT_MODIFIED, b"")
    assert served.ask("/image", **{**CAMERA, "width": 480}).headers["etag"] != first.headers["etag"]


def test_the_images_of_a_group_have_their_marks(served):
    picture = {"log": LOG, "group": "g1", "context": 1, "width": 320}
    marked, plain = served.ask("/context", **picture), served.ask("/image", **CAMERA)
    assert marked.status == HTTPStatus.OK
    assert marked.body != plain.body


@pytest.mark.parametrize("shown", [True, False])
def test_it_tells_its_address_and_ends_when_interrupted(evaluated_world, monkeypatch, caplog, shown):
    def interrupted(server):
        raise KeyboardInterrupt

    opened = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    monkeypatch.setattr(ThreadingHTTPServer, "serve_forever", interrupted)
    with caplog.at_level("INFO"):
        explore(evaluated_world / "store", [evaluated_world / "evaluation"], open_browser=shown)
    (address,) = re.findall(r"http://127\.0\.0\.1:[0-9]+/", caplog.text)
    assert opened == ([address] if shown else [])
    assert caplog.messages[-1] == "ended"


def test_an_evaluation_of_another_store_is_refused(evaluated_world, world):
    with pytest.raises(StoreError, match="give both of one store"):
        read_evaluated(world, evaluated_world / "evaluation")


def test_what_is_no_evaluation_is_told(explorer, tmp_path):
    with pytest.raises(StoreError, match="drive-vqa evaluate"):
        read_evaluated(explorer.store, tmp_path)
