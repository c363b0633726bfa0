"""The newcomer's first call goes all the way, on fewer and shorter drives with one camera."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from drive_vqa.cli import demo as demo_module
from drive_vqa.cli.demo import demo


def test_the_demo_goes_all_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_module, "SCENE_S", 7.0)
    monkeypatch.setattr(demo_module, "SHORT", ("max_steps=2",))
    monkeypatch.setitem(demo_module.UNSEEN, "rig", "front")
    assert demo(tmp_path, scenes=4, seed=0, workers=1) == 0
    assert (tmp_path / "report.html").stat().st_size > 10_000
    metrics = json.loads((tmp_path / "evaluation" / "metrics.json").read_text())
    assert metrics["localization.mlsr"]["n"] > 0
    assert metrics["parse.failure_rate"]["n"] > metrics["localization.mlsr"]["n"]
