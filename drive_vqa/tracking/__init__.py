"""MLflow runs: where numbers, settings, samples and models of a step are kept.

The default is a SQLite store in the output folder, which needs no server; any tracking URI takes its place. A step never waits
for a server and never ends because of one: what it records goes to a file in the output folder first, and a thread sends it.
Where mlflow is not installed the step still runs, and says once that nothing is tracked.

    OUTPUT/mlflow.json          which run this is: what `resume` goes on with
    OUTPUT/mlflow-KEY.jsonl     what was recorded; removed at the end when all of it has arrived
    OUTPUT/mlflow.db            the default store, with mlartifacts/ beside it
"""

from drive_vqa.tracking.failures import redacted
from drive_vqa.tracking.names import EXPERIMENT, URI_VARIABLE, config_digest, default_uri
from drive_vqa.tracking.run import Run, TrackedRun
from drive_vqa.tracking.session import mlflow_run

__all__ = [
    "EXPERIMENT",
    "URI_VARIABLE",
    "Run",
    "TrackedRun",
    "config_digest",
    "default_uri",
    "mlflow_run",
    "redacted",
]
