"""Model configuration: presets, overrides, TOML round trip, refused values."""

import pytest

from mld_closure.config import ConfigError, from_dict, to_dict
from mld_closure.models.settings import PRESETS, ModelConfig, from_table


def test_presets():
    assert PRESETS["paper"] == ModelConfig()
    compact = PRESETS["compact"]
    assert (compact.base, compact.residual, compact.standardize) == (16, True, True)
    assert from_table({}) == PRESETS["paper"]


def test_overrides_of_a_preset():
    mine = from_table({"preset": "compact", "base": 24, "fields": ["temperature", "density"]})
    assert mine == ModelConfig(base=24, residual=True, standardize=True, fields=("temperature", "density"))


def test_round_trip():
    config = ModelConfig(fields=("pressure",), evolution_base=8, load_range=(100.0, 200.0))
    assert from_dict(ModelConfig, to_dict(config)) == config


def test_derived_numbers():
    config = ModelConfig(fields=("pressure", "density"), base=8, latent_channels=3)
    assert config.latent_size == 6
    assert config.slices() == {"pressure": slice(0, 3), "density": slice(3, 6)}
    assert config.width == 8
    assert ModelConfig(base=8, evolution_base=5).width == 5


def test_load_scaling():
    config = ModelConfig(load_range=(500.0, 1400.0))
    assert [config.scale_load(u) for u in (500.0, 950.0, 1400.0, 1850.0)] == [0.0, 0.5, 1.0, 1.5]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"preset": "huge"}, "unknown preset 'huge'; choose paper | compact"),
        ({"bsae": 3}, "did you mean 'base'"),
        ({"base": 0}, "base must lie between 1 and 4096, got 0"),
        ({"evolution_base": -1}, "evolution_base must lie between 1 and 4096, got -1"),
        ({"fields": []}, "name at least one field"),
        ({"fields": ["temperature", "temperature"]}, "twice"),
        ({"fields": ["entropy"]}, "unknown field 'entropy'"),
        ({"evolution": "fno"}, "must be one of 'unet', 'resnet16'"),
        ({"load_range": [2.0, 1.0]}, "load_range must increase"),
    ],
)
def test_refused(table, message):
    with pytest.raises(ConfigError, match=message.replace("|", r"\|")):
        from_table(table)
