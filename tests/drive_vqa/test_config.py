from __future__ import annotations

from dataclasses import dataclass, field

import pytest
import yaml

from drive_vqa.config import flatten, load_config, save_config, strict_config, to_dict
from drive_vqa.errors import ConfigError


@strict_config
@dataclass(frozen=True)
class Optimizer:
    lr: float = 0.1
    betas: tuple[float, ...] = (0.9, 0.99)


@strict_config
@dataclass(frozen=True)
class Training:
    optimizer: Optimizer = field(default_factory=Optimizer)
    name: str = "plain"

    def __post_init__(self) -> None:
        if self.name == "bad":
            raise ValueError("name must not be bad")


def test_overrides_win_over_file_over_defaults(tmp_path):
    file = tmp_path / "c.yaml"
    file.write_text("name: filed\noptimizer: {lr: 0.5}\n")
    config = load_config(Training, file, ["optimizer.lr=0.25"])
    assert config == Training(Optimizer(lr=0.25), name="filed")


def test_saved_config_loads_equal(tmp_path):
    config = Training(Optimizer(betas=(0.5,)))
    save_config(config, tmp_path / "c.yaml")
    assert load_config(Training, tmp_path / "c.yaml") == config
    assert flatten(to_dict(config)) == {"optimizer.lr": 0.1, "optimizer.betas": [0.5], "name": "plain"}


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("optimizer.lrr=1", "unknown key 'optimizer.lrr'; allowed here: lr, betas"),
        ("nam=1", "unknown key 'nam'; allowed here: optimizer, name"),
        ("optimizer.lr=fast", "optimizer.lr: Input should be a valid number"),
        ("optimizer=3", "optimizer"),
        ("name", "must have the form"),
        ("name.sub=1", "name"),
        ("name=bad", "name must not be bad"),
        ("name=[", "not valid YAML"),
    ],
)
def test_wrong_settings_are_named(override, said):
    with pytest.raises(ConfigError) as error:
        load_config(Training, None, [override])
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("overrides", "source"),
    [
        (["optimizer.lr=fast"], "override 'optimizer.lr=fast': optimizer.lr"),
        (["nam=1", "optimizer.lr=1"], "override 'nam=1': unknown key"),
        (["optimizer.betas=[a]"], "override 'optimizer.betas=[a]': optimizer.betas.0"),
        (["name=bad", "optimizer.lr=1"], "c.yaml with name=bad optimizer.lr=1: name must not be bad"),
        (["name=good"], "c.yaml: optimizer.betas"),
    ],
)
def test_what_gave_a_wrong_setting_is_named(tmp_path, overrides, source):
    file = tmp_path / "c.yaml"
    file.write_text("optimizer: {betas: 3}\n" if overrides == ["name=good"] else "name: filed\n")
    with pytest.raises(ConfigError) as error:
        load_config(Training, file, overrides)
    assert source in str(error.value)
    assert str(error.value).startswith("override") == source.startswith("override")


@pytest.mark.parametrize("text", ["[1, 2]", "a: [", "!!python/object/apply:os.system ['true']", "\x00"])
def test_hostile_files_are_refused_in_one_line(tmp_path, text):
    file = tmp_path / "c.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match="c.yaml") as error:
        load_config(Training, file)
    assert "\n" not in str(error.value)


def test_yaml_is_plain_data(tmp_path):
    save_config(Training(), tmp_path / "c.yaml")
    assert yaml.safe_load((tmp_path / "c.yaml").read_text())["name"] == "plain"
