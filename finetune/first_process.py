"""Work that one of several processes does for all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from drive_vqa.errors import DriveVqaError


def in_first_process(work: Callable[[], Path | None]) -> Path | None:
    """What the first process finds or makes, in all of them; all must call it.

    Args:
        work: done by the first process, while the others wait (as long as torch.distributed lets them: half an hour usually).

    Raises:
        DriveVqaError: what the first process raised, in all of them.
    """
    if not torch.distributed.is_available() or not torch.distributed.is_initialized():
        return work()
    answer: list[Path | DriveVqaError | None] = [None]
    if torch.distributed.get_rank() == 0:
        try:
            answer[0] = work()
        except DriveVqaError as error:
            answer[0] = error
    torch.distributed.broadcast_object_list(answer, src=0)
    if isinstance(answer[0], DriveVqaError):
        raise answer[0]
    return answer[0]
