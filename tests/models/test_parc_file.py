"""A stored PARCv2 baseline gives the same movie after loading; other files are refused in one line."""

import pytest
import safetensors.torch
import torch

from mld_closure.models.parc import Parc, ParcConfig
from mld_closure.models.parc_file import load_parc, save_parc


def test_saved_and_loaded_gives_the_same_bits(tmp_path):
    torch.manual_seed(0)
    model = Parc(ParcConfig(base=2, integrator="heun", interval=1e-10)).eval()
    save_parc(model, tmp_path / "parc.safetensors")
    other = load_parc(tmp_path / "parc.safetensors")
    assert other.config == model.config
    frame = torch.rand(1, 5, 32, 32)
    with torch.inference_mode():
        assert torch.equal(model.trajectory(frame, 2), other.trajectory(frame, 2))
    assert [p.name for p in tmp_path.iterdir()] == ["parc.safetensors"]


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "x.safetensors"
    with pytest.raises(FileNotFoundError, match="no such baseline"):
        load_parc(path)
    path.write_bytes(b"no tensors here")
    with pytest.raises(ValueError, match="not a safetensors file"):
        load_parc(path)
    safetensors.torch.save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(ValueError, match="format is None"):
        load_parc(path)
