"""Numbers that are not finite."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch

from drive_vqa.errors import ModelError
from drive_vqa.vlm import Vlm
from finetune.guards.finite import check_gradient_norm, check_loss
from finetune.loss import answer_loss


def test_a_loss_that_is_not_finite_is_traced(fresh: Vlm, batches: list[Any]) -> None:
    model, batch, nan = copy.deepcopy(fresh.model), batches[0], torch.tensor(float("nan"))
    check_loss(torch.tensor(1.0), model, batch, 7)
    with pytest.raises(ModelError, match=r"loss of step 7 is nan: .* precision=fp32"):
        check_loss(nan, model, batch, 7)
    with pytest.raises(ModelError, match=r"loss of step 8 is inf: the images of the batch are not finite"):
        check_loss(torch.tensor(float("inf")), model, {**batch, "pixel_values": batch["pixel_values"] / 0}, 8)
    with torch.no_grad():
        model.model.language_model.layers[1].mlp.up_proj.weight[3, 4] = float("nan")
    total, _ = answer_loss(model, batch)
    with pytest.raises(
        ModelError, match=r"is nan: model\.language_model\.layers\.1\.mlp\.up_proj\.weight is not finite.*resume"
    ):
        check_loss(total, model, batch, 7)


def test_a_gradient_that_is_not_finite_is_named(adapted: Any, batches: list[Any]) -> None:
    answer_loss(adapted, batches[0])[0].backward()
    trained = [parameter for parameter in adapted.parameters() if parameter.requires_grad]
    check_gradient_norm(torch.nn.utils.get_total_norm([p.grad for p in trained if p.grad is not None]), adapted, 3)
    name = next(name for name, _ in adapted.named_parameters() if "layers.1.self_attn.v_proj.lora_B" in name)
    adapted.get_parameter(name).grad[0, 0] = float("inf")
    norm = torch.nn.utils.clip_grad_norm_(trained, 1e9)
    with pytest.raises(ModelError, match=r"norm of step 3 is \w+: the gradient of \S+layers\.\S+ is not finite"):
        check_gradient_norm(norm, adapted, 3)
    with pytest.raises(ModelError, match="each gradient is finite"):
        check_gradient_norm(float("inf"), torch.nn.Linear(1, 1), 3)
