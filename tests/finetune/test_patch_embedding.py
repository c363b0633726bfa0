"""The patch embedding as a product gives what the convolution gives."""

from __future__ import annotations

import torch

from drive_vqa.vlm import Vlm
from finetune.patch_embedding import multiply_patches


def test_result_and_gradients_are_those_of_the_convolution(vlm: Vlm) -> None:
    visual = vlm.model.model.visual
    weight = visual.patch_embed.proj.weight
    patches = torch.randn(16 * 8, weight[0].numel(), generator=torch.Generator().manual_seed(0))
    grid = torch.tensor([[1, 8, 16]])
    results, names = [], [name for name, _ in vlm.model.named_parameters()]
    for product in (False, True):
        if product:
            assert multiply_patches(vlm.model) == 1
        vlm.model.zero_grad()
        output = visual(patches, grid_thw=grid).pooler_output
        output.square().sum().backward()
        assert weight.grad is not None
        results.append((output.detach(), weight.grad.clone()))
    assert [name for name, _ in vlm.model.named_parameters()] == names
    (expected, expected_gradient), (got, gradient) = results
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(gradient, expected_gradient, rtol=1e-3, atol=1e-4)


def test_other_convolutions_stay() -> None:
    assert multiply_patches(torch.nn.Conv3d(3, 4, 3, stride=1)) == 0
    assert multiply_patches(torch.nn.Conv3d(3, 4, 2, stride=2, padding=1)) == 0
