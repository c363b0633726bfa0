"""Training through the function that the command line calls."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file

from drive_vqa.errors import ConfigError, ModelError, StoreError
from drive_vqa.store import Store
from drive_vqa.tracking import default_uri
from drive_vqa.vlm import Vlm, load_run, load_vlm
from finetune.adapter import LANGUAGE_LINEARS, add_adapter, trainable_names
from finetune.collate import Collator
from finetune.config import FinetuneConfig, LoraSettings, load_recipe
from finetune.dataset import LessonDataset
from finetune.sft import finetune, last_checkpoint
from finetune.trainer import answer_loss

SIZE_PX = (168, 112)
QUICK = FinetuneConfig(
    image_size_px=SIZE_PX,
    batch_size=3,
    gradient_accumulation=1,
    max_steps=6,
    learning_rate=1e-2,
    precision="fp32",
    workers=0,
    log_steps=1,
    checkpoint_steps=3,
    lora=LoraSettings(rank=8, alpha=16, dropout=0.0, modules_to_save=("visual", "embed_tokens")),
)


@pytest.fixture(scope="module")
def run(store: Store, base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "run"
    return finetune(store, QUICK, model=str(base), out=out, tracking_uri=default_uri(out))


def test_loss_falls(run: Path) -> None:
    losses = _losses(run)
    assert len(losses) == QUICK.max_steps
    assert losses[-1] < 0.7 * losses[0]


def test_run_folder_is_complete(run: Path, base: Path) -> None:
    record = json.loads((run / "run.json").read_text())
    assert (run / record["base"]).resolve() == base.resolve()
    assert len(record["dataset_digest"]) == 64
    assert record["image_size_px"] == list(SIZE_PX)
    assert record["questions"] == 12
    weights = load_file(run / "adapter" / "adapter_model.safetensors")
    trained = sum(weight.numel() for name, weight in weights.items() if "lm_head" not in name)  # tied to the embeddings
    assert record["trainable_parameters"] == trained
    assert yaml.safe_load((run / "config.yaml").read_text())["max_steps"] == QUICK.max_steps
    assert str(run.parent) not in (run / "adapter" / "adapter_config.json").read_text()


def test_reloaded_adapter_gives_the_trained_logits(
    store: Store, base: Path, dataset: LessonDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model in memory at the end of training against the one that prediction loads."""
    kept: list[Vlm] = []
    import finetune.sft as sft

    original = sft._finish
    monkeypatch.setattr(sft, "_finish", lambda vlm, *rest: (kept.append(vlm), original(vlm, *rest))[1])
    out = finetune(store, replace(QUICK, max_steps=2), model=str(base), out=tmp_path / "run")
    trained, reloaded = kept[0], load_run(out, device="cpu")
    assert reloaded.image_size_px == SIZE_PX
    assert _loss(Vlm(trained.model.eval(), trained.processor), dataset) == _loss(reloaded, dataset)
    assert _loss(load_vlm(base, device="cpu"), dataset) != _loss(reloaded, dataset)


def test_another_image_gives_another_loss(run: Path, dataset: LessonDataset) -> None:
    vlm = load_run(run, device="cpu")
    shown = dataset[0]
    swapped = replace(shown, frames=dataset[1].frames)
    collator = Collator(vlm.processor, packed=True, max_tokens=8192)
    losses = [
        answer_loss(vlm.model, collator([one]), vlm.processor.image_token_id)[0].item() for one in (shown, swapped)
    ]
    assert abs(losses[0] - losses[1]) > 1e-4


def test_only_named_modules_change(vlm: Vlm, base: Path, store: Store, dataset: LessonDataset, tmp_path: Path) -> None:
    """A real checkpoint's settings: language layers alone, the vision tower stays as it is."""
    before = {name: value.clone() for name, value in vlm.model.state_dict().items()}
    config = replace(QUICK, max_steps=2, lora=LoraSettings(rank=4))
    out = finetune(store, config, model=str(base), out=tmp_path / "run")
    after = load_vlm(base, out / "adapter", device="cpu").model
    changed = {
        name for name, value in after.get_base_model().state_dict().items() if "lora_" in name and value.abs().sum() > 0
    }
    assert len(changed) == 4 * 7 * 2, "two LoRA matrices for each of seven linear layers in four blocks"
    assert all(".language_model.layers." in name for name in changed)
    frozen = {name.replace(".base_layer", ""): value for name, value in after.get_base_model().state_dict().items()}
    for name, value in before.items():
        assert torch.equal(value, frozen[name]), name


def test_trainable_parameters_are_the_named_ones(vlm: Vlm, base: Path) -> None:
    adapted = add_adapter(vlm.model, LoraSettings(rank=4, modules_to_save=("visual",)), base)
    names = trainable_names(adapted)
    assert names
    assert all(".lora_" in name or "visual.modules_to_save" in name for name in names)


def test_resume_goes_on_from_the_checkpoint(store: Store, base: Path, run: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    shutil.copytree(run, out)
    shutil.rmtree(out / "adapter")
    shutil.rmtree(out / "checkpoints" / "checkpoint-6")
    checkpoint = last_checkpoint(out / "checkpoints")
    assert checkpoint is not None
    assert checkpoint.name == "checkpoint-3"
    finetune(store, QUICK, model=str(base), out=out, resume=True)
    one, other = (load_file(folder / "adapter" / "adapter_model.safetensors") for folder in (run, out))
    for name, value in one.items():
        torch.testing.assert_close(other[name], value, atol=1e-5, rtol=1e-4)


def test_half_written_checkpoint_is_passed_over(tmp_path: Path) -> None:
    for step, complete in ((3, True), (12, True), (20, False)):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        if complete:
            (folder / "trainer_state.json").write_text("{}")
    found = last_checkpoint(tmp_path)
    assert found is not None
    assert found.name == "checkpoint-12"


def test_numbers_reach_mlflow(run: Path) -> None:
    import mlflow

    client = mlflow.MlflowClient(default_uri(run))
    found = client.search_runs([client.search_experiments(filter_string="name = 'drive-vqa'")[0].experiment_id])[0]
    assert found.info.status == "FINISHED"
    assert found.data.params["lora.rank"] == "8"
    assert found.data.tags["dataset_digest"] == json.loads((run / "run.json").read_text())["dataset_digest"]
    assert found.data.metrics["speed/questions_per_s"] > 0
    assert 0 <= found.data.metrics["speed/data_loading_share"] <= 1
    assert {artifact.path for artifact in client.list_artifacts(found.info.run_id)} == {
        "adapter",
        "config.yaml",
        "run.json",
    }


def test_time_limit_stops_training(store: Store, base: Path, tmp_path: Path) -> None:
    out = finetune(
        store,
        replace(QUICK, max_steps=1000, max_seconds=0.01),
        model=str(base),
        out=tmp_path / "run",
        tracking_uri=default_uri(tmp_path / "run"),
    )
    assert len(_losses(out)) < 5
    assert (out / "adapter" / "adapter_model.safetensors").is_file()


def test_diverging_training_is_an_error_and_leaves_no_adapter(store: Store, base: Path, tmp_path: Path) -> None:
    config = replace(QUICK, learning_rate=1e18, max_grad_norm=1e18, warmup_fraction=0.0)
    with pytest.raises(ModelError, match="loss of step"):
        finetune(store, config, model=str(base), out=tmp_path / "run")
    assert not (tmp_path / "run" / "adapter").exists()


def test_a_used_folder_is_refused(store: Store, base: Path, run: Path) -> None:
    with pytest.raises(ConfigError, match="--resume"):
        finetune(store, QUICK, model=str(base), out=run)


def test_empty_split_is_an_error(store: Store, base: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="split 'nowhere'"):
        finetune(store, replace(QUICK, split="nowhere"), model=str(base), out=tmp_path / "run")


@pytest.mark.parametrize("settings", [LoraSettings(targets="nothing"), LoraSettings(modules_to_save=("nothing",))])
def test_lora_that_fits_nothing_is_an_error(store: Store, base: Path, tmp_path: Path, settings: LoraSettings) -> None:
    with pytest.raises(ConfigError, match="lora"):
        finetune(store, replace(QUICK, lora=settings), model=str(base), out=tmp_path / "run")


@pytest.mark.parametrize("name", ["tiny", "stride"])
def test_recipes_are_valid(name: str) -> None:
    recipe = load_recipe(name, ["lora.rank=3"])
    assert recipe.lora.rank == 3
    assert LANGUAGE_LINEARS


def test_unknown_recipe_is_an_error() -> None:
    with pytest.raises(ConfigError, match="stride, tiny"):
        load_recipe("nothing")


def _losses(run: Path) -> list[float]:
    import mlflow

    client = mlflow.MlflowClient(default_uri(run))
    found = client.search_runs([client.search_experiments(filter_string="name = 'drive-vqa'")[0].experiment_id])[0]
    return [metric.value for metric in client.get_metric_history(found.info.run_id, "train/loss")]


def _loss(vlm: Vlm, dataset: LessonDataset) -> float:
    batch = Collator(vlm.processor, packed=True, max_tokens=8192)([dataset[0]])
    with torch.inference_mode():
        return answer_loss(vlm.model, batch, vlm.processor.image_token_id)[0].item()
