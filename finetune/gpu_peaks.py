"""How many FLOPs a second a GPU can do: what a utilization is a share of."""

from __future__ import annotations

import torch

DENSE_BF16 = {
    "NVIDIA A100-PCIE-40GB": 312e12,
    "NVIDIA A100 80GB PCIe": 312e12,
    "NVIDIA A100-SXM4-40GB": 312e12,
    "NVIDIA A100-SXM4-80GB": 312e12,
    "NVIDIA H100 PCIe": 756e12,
    "NVIDIA H100 NVL": 835e12,
    "NVIDIA H100 80GB HBM3": 989e12,
    "NVIDIA GH200 480GB": 989e12,
    "NVIDIA H200 NVL": 835e12,
    "NVIDIA H200": 989e12,
    "NVIDIA L4": 121e12,
    "NVIDIA L40S": 362e12,
}
"""Tensor-core peak in bfloat16 without sparsity, from the vendor's data sheets, by the name that the driver gives.

Names must match as a whole: an H100 in a PCIe slot has three quarters of the rate of one on a board, a slice of a GPU (its name
goes on with MIG) has a part of it, and an H20 is no H200.
"""


def peak_flops(device: torch.device, bf16: bool) -> float | None:
    """FLOPs a second, or None where they are not known: on a CPU, on another GPU, or in another precision.

    Args:
        device: that trains.
        bf16: whether matrices are multiplied in bfloat16.
    """
    if device.type != "cuda" or not bf16:
        return None
    return named_peak_flops(torch.cuda.get_device_name(device))


def named_peak_flops(name: str) -> float | None:
    """The peak of a GPU by its full name; None for one that is not in the list."""
    return DENSE_BF16.get(name.strip())
