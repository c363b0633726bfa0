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
from drive_vqa.schema import table_from_rows
from drive_vqa.store import Store
from drive_vqa.tracking import default_uri
from drive_vqa.vlm import Vlm, load_run, load_vlm
from finetune.collate import Collator
from finetune.config import Evaluation, FinetuneConfig, LearningRates, LoraSettings, load_recipe
from finetune.dataset import LessonDataset, read_index
from finetune.loss import answer_loss
from finetune.sft import finetune
from tests.painted_store import LOG

SIZE_PX = (168, 112)
QUICK = FinetuneConfig(
    image_size_px=SIZE_PX,
    batch_size=3,
    gradient_accumulation=1,
    max_steps=6,
    learning_rates=LearningRates(language=1e-2, vision=1e-2, projector=1e-2),
    tokens_per_row=200,  # a group is a row
    probe_steps=0,
    precision="fp32",
    workers=0,
    log_steps=1,
    checkpoint_steps=3,
    lora=LoraSettings(rank=8, alpha=16, dropout=0.0, modules_to_save=("visual", "embed_tokens", "lm_head")),
)


@pytest.fixture(scope="module")
def run(store: Store, base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "run"
    finetune(store, QUICK, model=str(base), out=out, tracking_uri=default_uri(out))
    return out


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
    assert record["trainable_parameters"] == sum(weight.numel() for weight in weights.values())
    assert yaml.safe_load((run / "config.yaml").read_text())["max_steps"] == QUICK.max_steps
    assert str(run.parent) not in (run / "adapter" / "adapter_config.json").read_text()


def test_reloaded_adapter_gives_the_trained_logits(
    store: Store, base: Path, dataset: LessonDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model in memory at the end of training against the one that prediction loads."""
    kept: list[torch.nn.Module] = []
    import finetune.finish as finish

    original = finish.save_trained
    monkeypatch.setattr(finish, "save_trained", lambda model, *rest: (kept.append(model), original(model, *rest))[1])
    finetune(store, replace(QUICK, max_steps=2), model=str(base), out=tmp_path / "run")
    reloaded = load_run(tmp_path / "run", device="cpu")
    trained = Vlm(kept[0], reloaded.processor)
    assert reloaded.image_size_px == SIZE_PX
    told = pytest.approx(_loss(reloaded, dataset), rel=1e-6)  # how weights lie in memory changes the last bit
    assert _loss(Vlm(trained.model.eval(), trained.processor), dataset) == told
    assert _loss(load_vlm(base, device="cpu"), dataset) != told


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
        "config.yaml",
        "run.json",
        "samples.md",
    }


@pytest.fixture
def looked_at(store: Store, tmp_path: Path) -> Store:
    """The store with each of its questions in the split `val` as well."""
    shutil.copytree(store.root.parent, tmp_path / "painted")
    copy = Store.open(tmp_path / "painted" / "store")
    rows = store.read("questions", LOG).to_pylist()
    rows += [{**row, "qa_id": f"{row['qa_id']}-val", "split": "val"} for row in rows]
    copy.write("questions", LOG, table_from_rows("questions", rows), "test")
    return copy


def test_the_lowest_held_out_loss_is_kept(store: Store, looked_at: Store, base: Path, tmp_path: Path) -> None:
    """A rate that spoils the model: the first look is the best one, and two worse ones end the training."""
    looks = Evaluation(steps=1, patience=2, samples=2)
    rates = LearningRates(language=0.3, vision=0.3, projector=0.3)
    config = replace(QUICK, max_steps=50, evaluation=looks, checkpoint_steps=1, learning_rates=rates)
    out = tmp_path / "run"
    trained = finetune(looked_at, config, model=str(base), out=out)
    losses = [record["eval/loss"] for record in _log(out) if "eval/loss" in record]
    best = min(losses)
    assert 3 <= len(losses) < 50
    assert losses.index(best) == len(losses) - 3
    assert trained.metrics["eval/loss"] == pytest.approx(best)
    kept = load_run(out, device="cpu")
    assert _mean_loss(kept, store, config) == pytest.approx(best, rel=1e-5)


def test_time_limit_stops_training(store: Store, base: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    config = replace(QUICK, max_steps=1000, max_seconds=0.01)
    finetune(store, config, model=str(base), out=out, tracking_uri=default_uri(out))
    assert len(_losses(out)) < 5
    assert (out / "adapter" / "adapter_model.safetensors").is_file()


def test_diverging_training_is_an_error_and_leaves_no_adapter(store: Store, base: Path, tmp_path: Path) -> None:
    config = replace(QUICK, learning_rates=LearningRates(1e18, 1e18, 1e18), max_grad_norm=1e18, warmup_fraction=0.0)
    with pytest.raises(ModelError, match="step"):
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


@pytest.mark.parametrize("name", ["tiny", "tiny_base", "stride", "cold_start"])
def test_recipes_are_valid(name: str) -> None:
    recipe = load_recipe(name, ["lora.rank=3"])
    assert recipe.lora.rank == 3


def test_unknown_recipe_is_an_error() -> None:
    with pytest.raises(ConfigError, match="cold_start, stride, tiny, tiny_base"):
        load_recipe("nothing")


def _losses(run: Path) -> list[float]:
    return [record["loss"] for record in _log(run) if "loss" in record]


def _log(run: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


def _mean_loss(vlm: Vlm, store: Store, config: FinetuneConfig) -> float:
    """Over all answer tokens of the split."""
    data = LessonDataset(store, read_index(store, config, vlm.processor), config)
    batch = Collator(vlm.processor, True, 8192, SIZE_PX)([[data.shown(lesson)] for lesson in range(len(data))])
    with torch.inference_mode():
        total, count = answer_loss(vlm.model, batch)
    return (total / count).item()


def _loss(vlm: Vlm, dataset: LessonDataset) -> float:
    batch = Collator(vlm.processor, True, 8192, SIZE_PX)([[dataset.shown(0)]])
    with torch.inference_mode():
        return answer_loss(vlm.model, batch)[0].item()
