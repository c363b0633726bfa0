"""What works on this machine, and how to mend the rest."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial

from drive_vqa.executor import available_cores

PYTHON = (3, 11)


@dataclass(frozen=True)
class Check:
    """One thing looked at.

    Attributes:
        name: what.
        works: whether it is usable.
        detail: version, or what went wrong.
        mend: what to do where it does not work.
        needed: whether some command fails without it.
    """

    name: str
    works: bool
    detail: str
    mend: str
    needed: bool


def examine() -> list[Check]:
    """Look at everything; each package is really imported, in a process of its own, so a crash is only a finding."""
    looks: list[Callable[[], Check]] = [
        _python,
        partial(_package, "numpy", "numpy", needed=True),
        partial(_package, "pyarrow", "pyarrow", needed=True),
        partial(_package, "torch", "torch", needed=True),
        partial(_package, "transformers", "transformers", needed=True),
        partial(_package, "peft", "peft", needed=True),
        partial(
            _package, "open3d", "open3d", needed=True, mend="apt-get install libusb-1.0-0, then pip install open3d"
        ),
        partial(_package, "nuscenes-devkit", "nuscenes.nuscenes", needed=False),
        partial(_package, "mlflow", "mlflow", needed=False),
        _gpu,
        _browser,
        _cores,
    ]
    with ThreadPoolExecutor(available_cores()) as pool:
        return list(pool.map(lambda look: look(), looks))


def show(checks: list[Check], *, as_json: bool) -> str:
    """The findings as a table for people or as JSON for programs."""
    if as_json:
        return json.dumps([asdict(check) for check in checks], indent=1)
    lines = []
    for check in checks:
        sign = "ok  " if check.works else "MISS" if check.needed else "none"
        mend = "" if check.works or not check.mend else f"  → {check.mend}"
        lines.append(f"{sign}  {check.name:<16} {check.detail}{mend}")
    return "\n".join(lines)


def _python() -> Check:
    version = ".".join(str(part) for part in sys.version_info[:3])
    return Check("python", sys.version_info[:2] >= PYTHON, version, "install Python 3.11 or newer", needed=True)


def _package(name: str, module: str, *, needed: bool, mend: str = "") -> Check:
    code = f"import {module}, importlib.metadata as m; print(m.version({name!r}))"
    works, text = _python_says(code)
    return Check(name, works, text, mend or f"pip install {name}", needed=needed)


def _gpu() -> Check:
    works, text = _python_says("import torch; print(torch.cuda.get_device_name() if torch.cuda.is_available() else '')")
    found = works and bool(text)
    return Check("gpu", found, text if found else "none: training runs on the CPU", "", needed=False)


def _browser() -> Check:
    path = shutil.which("chromium") or shutil.which("google-chrome")
    detail = path or "absent: browser tests are skipped"
    return Check("chromium", path is not None, detail, "apt-get install chromium chromium-driver", needed=False)


def _cores() -> Check:
    return Check("cores", True, f"{available_cores()} usable", "", needed=False)


def _python_says(code: str) -> tuple[bool, str]:
    """Run code in a fresh interpreter; its last line of output, or of its error."""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)  # noqa: S603
    lines = (result.stdout if result.returncode == 0 else result.stderr).strip().splitlines()
    return result.returncode == 0, lines[-1] if lines else ""
