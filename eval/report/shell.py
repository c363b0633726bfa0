"""The shell of a self-contained page: its style, its scripts by their hash, its data in parts.

A page extends `base.html` and fills its blocks. The policy of the page lets nothing be loaded from anywhere, and runs no script
but those of this folder: each is allowed by the SHA-256 of its text.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from drive_vqa.store import replacing
from eval.report.parts import Part

HERE = Path(__file__).parent


def fill(
    template: str,
    content: dict[str, Any],
    *,
    styles: Sequence[Path] = (),
    scripts: Sequence[Path] = (),
    parts: Sequence[Part] = (),
    templates: Path = HERE,
) -> str:
    """A page as text.

    Args:
        template: name of a file that extends `base.html`.
        content: what it shows; all of it is escaped but `Markup`.
        styles: CSS files after `style.css`.
        scripts: JavaScript files, in the order in which they run.
        parts: data that the scripts read.
        templates: folder of the template; those of this folder are found too.
    """
    loader = ChoiceLoader([FileSystemLoader(templates), FileSystemLoader(HERE)])
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    own = [_own(path) for path in scripts]
    shell = {
        "style": Markup("\n").join(_own(path) for path in (HERE / "style.css", *styles)),
        "scripts": own,
        "script_hashes": " ".join(f"'sha256-{_digest(script)}'" for script in own) or "'none'",
        "parts": parts,
    }
    return environment.get_template(template).render(**content, **shell)


def _own(path: Path) -> Markup:
    """A file that comes with the code, so it is trusted; whatever comes from data is escaped."""
    return Markup(path.read_text(encoding="utf-8"))  # noqa: S704


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")


def write_page(html: str, out: Path) -> Path:
    """Write a page in one step; its folder is made where absent."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with replacing(out) as temporary:
        temporary.write_text(html, encoding="utf-8", errors="backslashreplace")
    return out
