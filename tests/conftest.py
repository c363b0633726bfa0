"""What every test starts from."""

import sys

import pytest
from hypothesis import settings

settings.register_profile("no-clock", deadline=None)  # a busy machine is no fault of the code
settings.load_profile("no-clock")


@pytest.fixture(autouse=True)
def no_tracking_store_from_elsewhere(monkeypatch):
    """MLflow's store in an environment variable or set in the process outlives its test, and would take the next test's runs."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    state = sys.modules.get("mlflow.tracking._tracking_service.utils")
    if state is not None:
        monkeypatch.setattr(state, "_tracking_uri", None)
