"""What every test starts from."""

import pytest


@pytest.fixture(autouse=True)
def no_tracking_store_from_elsewhere(monkeypatch):
    """MLflow's store in an environment variable outlives the test that set it, and would take the next test's runs."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
