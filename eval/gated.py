"""An evaluation held against a gate, and the verdict kept beside it.

EVAL/gate.xml   a JUnit test suite, one test a limit
EVAL/gate.md    the verdicts, broken limits first
"""

from __future__ import annotations

from pathlib import Path

from eval.gate import GateResult, check_gate
from eval.gate_files import write_junit, write_summary
from eval.report.inputs import read_metrics
from eval.tracked import keep_with_evaluation


def gate_evaluation(evaluation: Path, gate: Path) -> GateResult:
    """Hold the metrics of an evaluation against limits; the verdict goes to its MLflow run too.

    Args:
        evaluation: folder made by `drive-vqa evaluate`.
        gate: YAML, see `eval.gate`.

    Raises:
        StoreError: it is no evaluation.
        ConfigError: the gate cannot be read or names no metric.
    """
    result = check_gate(read_metrics(evaluation / "metrics.json"), gate)
    files = [evaluation / "gate.xml", evaluation / "gate.md"]
    write_junit(result, files[0])
    write_summary(result, files[1])
    keep_with_evaluation(evaluation, files, {"gate": "passed" if result.passed else "failed"})
    return result
