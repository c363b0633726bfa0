"""The walls of the house: which folder may import which, and what stays light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PARTS = ("drive_vqa", "sensors", "qa_gen", "finetune", "eval")
MAY_IMPORT = {
    "drive_vqa": set(),
    "sensors": {"drive_vqa"},
    "qa_gen": {"drive_vqa"},
    "eval": {"drive_vqa"},
    "finetune": {"drive_vqa", "eval"},
}
CLI = ROOT / "drive_vqa" / "cli"


def _imported_parts(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        yield from (name.split(".")[0] for name in names if name.split(".")[0] in PARTS)


@pytest.mark.parametrize("part", PARTS)
def test_each_folder_imports_only_what_design_allows(part):
    for path in (ROOT / part).rglob("*.py"):
        if CLI not in path.parents:
            assert set(_imported_parts(path)) - {part} <= MAY_IMPORT[part], path


def _modules_after(code):
    result = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint(' '.join(sys.modules))"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(result.stdout.split())


HEAVY = {
    "torch",
    "open3d",
    "transformers",
    "mlflow",
    "nuscenes",
    "matplotlib",
    "datasets",
    "pandas",
    "pyarrow",
    "numpy",
}


def test_import_and_help_load_nothing_heavy():
    help_code = "from drive_vqa.cli.arguments import build_parser; build_parser().format_help(); import drive_vqa.cli"
    assert not _modules_after("import drive_vqa") & HEAVY
    assert not _modules_after(help_code) & HEAVY


def test_training_half_imports_without_the_data_half():
    """Where nuscenes-devkit, open3d, mlflow, datasets and trl are absent, every module must still import."""
    modules = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for part in ("drive_vqa", "eval", "finetune")
        for path in sorted((ROOT / part).rglob("*.py"))
        if path.name != "__main__.py"
    ]
    absent = ("nuscenes", "open3d", "mlflow", "datasets", "trl", "pyquaternion")
    block = f"import sys\nsys.modules.update(dict.fromkeys({absent}))\n"
    code = block + "import importlib\n" + "\n".join(f"importlib.import_module({name!r})" for name in modules)
    subprocess.run([sys.executable, "-c", code], check=True)
