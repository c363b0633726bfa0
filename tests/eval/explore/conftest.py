"""The page of a drawn world with its evaluation, served for real."""

from __future__ import annotations

import http.client
import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlencode

import pytest

from drive_vqa.store import Store
from eval.explore.answers import read_evaluated
from eval.explore.routes import Explorer
from eval.explore.server import ADDRESS, make_server
from tests.eval.report_world import built_world


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)


@dataclass(frozen=True)
class Served:
    """A running server and how to ask it."""

    port: int

    @property
    def address(self):
        return f"http://{ADDRESS}:{self.port}/"

    def ask(self, path, method="GET", headers=None, **parameters):
        connection = http.client.HTTPConnection(ADDRESS, self.port, timeout=30)
        target = f"{path}?{urlencode(parameters)}" if parameters else path
        try:
            connection.request(method, target, headers=headers or {})
            response = connection.getresponse()
            return Reply(response.status, {key.lower(): value for key, value in response.getheaders()}, response.read())
        finally:
            connection.close()


@contextmanager
def serving(explorer):
    server = make_server(explorer)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield Served(server.server_port)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="session")
def evaluated_world(tmp_path_factory):
    """Folder of a drawn world: `store`, `source` and `evaluation`."""
    return built_world(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="session")
def explorer(evaluated_world):
    store = Store.open(evaluated_world / "store")
    return Explorer(store, (read_evaluated(store, evaluated_world / "evaluation"),))


@pytest.fixture(scope="session")
def served(explorer):
    with serving(explorer) as one:
        yield one


@pytest.fixture(scope="session")
def served_without_images(world):
    """Five logs without cameras and without an evaluation."""
    with serving(Explorer(world)) as one:
        yield one
