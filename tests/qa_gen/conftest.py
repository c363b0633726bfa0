from __future__ import annotations

import pytest

from drive_vqa.store import Store
from qa_gen.config import GenerateConfig
from qa_gen.generate import generate
from tests.qa_gen.world import STREET, make_store


@pytest.fixture(scope="session")
def street(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """One log, its questions asked; not to be written to."""
    store = make_store(tmp_path_factory.mktemp("street") / "store", {"street": STREET})
    assert generate(store, GenerateConfig(), workers=1).done == ("street",)
    return store
