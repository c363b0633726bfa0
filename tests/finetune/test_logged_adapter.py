"""An adapter that is kept in MLflow loads with MLflow and with peft, and answers as the trained model does."""

from __future__ import annotations

from pathlib import Path

import mlflow
import pytest
import torch
import yaml
from peft import LoraConfig, PeftModel, get_peft_model

from drive_vqa.errors import ModelError
from drive_vqa.tracking import EXPERIMENT, default_uri, mlflow_run
from drive_vqa.vlm import Vlm, load_vlm, without_library_deprecations
from finetune.logged_adapter import write_mlmodel

IDS = torch.arange(5, 15)[None]
TARGETS = r".*language_model\.layers\.\d+\.self_attn\.q_proj"


@pytest.fixture
def adapter(vlm: Vlm, tmp_path: Path):
    """An adapter folder, and the logits with it and without."""
    with torch.no_grad(), without_library_deprecations():
        plain = vlm.model(input_ids=IDS).logits
        torch.manual_seed(0)
        adapted = get_peft_model(vlm.model, LoraConfig(r=2, target_modules=TARGETS, init_lora_weights=False)).eval()
        adapted.peft_config["default"].base_model_name_or_path = "tiny"
        adapted.save_pretrained(str(tmp_path / "adapter"), save_embedding_layers=False)
        return tmp_path / "adapter", adapted(input_ids=IDS).logits, plain


def test_mlflow_and_peft_load_the_adapter_over_its_base(adapter, base: Path, tmp_path: Path, monkeypatch):
    folder, logits, plain = adapter
    write_mlmodel(folder, base=base, base_digest="d" * 64)
    out = tmp_path / "run"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", default_uri(out))
    with mlflow_run(out, "train") as run:
        run.log_model("adapter", folder, metrics={"eval/loss": 0.5})
    experiment = mlflow.get_experiment_by_name(EXPERIMENT)
    (model,) = mlflow.search_logged_models([experiment.experiment_id], output_format="list")
    uri = f"models:/{model.model_id}"
    with torch.no_grad(), without_library_deprecations():
        loaded = mlflow.transformers.load_model(uri, return_type="components", base_model_path=str(base))["model"]
        copied = mlflow.artifacts.download_artifacts(uri)
        by_peft = PeftModel.from_pretrained(load_vlm(base, device="cpu").model, copied)
        for found in (loaded, by_peft):
            assert torch.equal(found.eval()(input_ids=IDS).logits, logits)
    assert not torch.allclose(plain, logits)
    assert mlflow.models.get_model_info(uri).metadata == {"base": "tiny", "base_digest": "d" * 64}
    weights_bytes = sum(path.stat().st_size for path in Path(copied).rglob("*.safetensors"))
    assert weights_bytes < (base / "model.safetensors").stat().st_size / 10  # the base is not among it


def test_the_description_names_no_folder_of_this_machine(adapter, base: Path, tmp_path: Path):
    folder, *_ = adapter
    write_mlmodel(folder, base=base, base_digest="d")
    text = (folder / "MLmodel").read_text()
    assert str(tmp_path) not in text
    assert str(base.parent) not in text
    assert yaml.safe_load(text)["flavors"]["transformers"]["source_model_name"] == "tiny"


@pytest.mark.parametrize("content", [None, "", "[]", "{}", '{"architectures": []}'])
def test_a_base_without_a_config_is_refused(adapter, content, tmp_path: Path):
    folder, *_ = adapter
    (tmp_path / "other").mkdir()
    if content is not None:
        (tmp_path / "other" / "config.json").write_text(content)
    with pytest.raises(ModelError, match=r"config\.json"):
        write_mlmodel(folder, base=tmp_path / "other", base_digest="d")
    assert not (folder / "MLmodel").exists()
