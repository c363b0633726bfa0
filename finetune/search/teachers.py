"""A teacher as the command line names it."""

from __future__ import annotations

import os
from pathlib import Path

from drive_vqa.chat_endpoint import ChatEndpoint
from drive_vqa.errors import ConfigError
from drive_vqa.vlm.family import SizePx
from drive_vqa.vlm.sent_units import SentUnits, Unit
from eval.predict import open_vlm
from finetune.search.local import LocalTeacher
from finetune.search.served import ServedTeacher
from finetune.search.teacher import Teacher

KEY_VARIABLE = "DRIVE_VQA_TEACHER_KEY"
"""Environment variable with what a server wants as a bearer token."""


def open_teacher(
    teacher: str,
    *,
    served_name: str | None = None,
    unit: Unit = "pixels",
    size_px: SizePx | None = None,
    adapter: Path | None = None,
    device: str | None = None,
    temperature: float = 1.0,
) -> Teacher:
    """Look a teacher up.

    Args:
        teacher: http(s) address of a server, a folder or name of a checkpoint, or "tiny" for the base of `adapter`.
        served_name: of a model on a server; None: the only one that it has.
        unit: what a served model gives points in.
        size_px: (width, height) of the images that a server is sent; None: as recorded.
        adapter: of a model that is loaded here.
        device: where it is loaded.
        temperature: of the sampling.

    Raises:
        ConfigError: an option does not go with the teacher, or the server has several models.
        ModelError: there is no such model, or the server does not answer.
    """
    if not teacher.startswith(("http://", "https://")):
        if served_name is not None or size_px is not None or unit != "pixels":
            raise ConfigError(
                f"--served-name, --size and --units are for servers, and {teacher} is loaded here: leave them out"
            )
        return LocalTeacher(*open_vlm(teacher, adapter, device), temperature)
    if adapter is not None or device is not None:
        raise ConfigError(
            f"--adapter and --device are for models loaded here, and {teacher} is a server: leave them out"
        )
    endpoint = ChatEndpoint(teacher, (os.environ.get(KEY_VARIABLE) or "").strip() or None)
    return ServedTeacher(endpoint, served_name or endpoint.only_model(), SentUnits(unit), size_px, temperature)
