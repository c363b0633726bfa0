"""Driving logs in, a trained and honestly scored driving VLM out.

This package is the core that `sensors`, `qa_gen`, `finetune` and `eval` stand on. Importing it is cheap: no torch, no open3d.
"""

from drive_vqa._version import __version__

__all__ = ["__version__"]
