"""The InceptionV3 factory: its messages without torchvision or weights, and its use of a network."""

import sys
import types

import pytest
import torch
from torch import nn

from mld_closure.models.losses import perceptual_loss
from mld_closure.models.perceptual import inception_v3


class Network(nn.Module):
    """A network whose children have the names that torchvision uses."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, stride=8)
        self.norm = nn.BatchNorm2d(4)
        self.AuxLogits = nn.Linear(1, 1)
        self.last = nn.ReLU()
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(4, 2)


@pytest.fixture
def torchvision(monkeypatch):
    models = types.ModuleType("torchvision.models")
    models.inception_v3 = lambda **settings: Network()
    monkeypatch.setitem(sys.modules, "torchvision", types.ModuleType("torchvision"))
    monkeypatch.setitem(sys.modules, "torchvision.models", models)


@pytest.mark.usefixtures("torchvision")
def test_features_before_the_pooling(tmp_path):
    torch.manual_seed(0)
    network = Network().eval()
    torch.save(network.state_dict(), tmp_path / "w.pt")
    extractor = inception_v3(tmp_path / "w.pt").train()
    x = torch.rand((1, 3, 80, 96), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        wanted = network.last(network.norm(network.first(2 * x - 1)))
        assert torch.equal(extractor(x), wanted)
    assert not any(m.training for m in extractor.modules())
    guess = x[:, :1].clone().requires_grad_()
    perceptual_loss(guess, x[:, 1:2], extractor).sum().backward()
    assert guess.grad.abs().sum() > 0
    assert all(p.grad is None for p in extractor.parameters())
    with pytest.raises(ValueError, match="needs 75 per side"):
        extractor(x[..., :64])


@pytest.mark.usefixtures("torchvision")
def test_bad_weights(tmp_path):
    with pytest.raises(FileNotFoundError, match="no InceptionV3 weights"):
        inception_v3(tmp_path / "w.pt")
    torch.save({"other": torch.zeros(1)}, tmp_path / "w.pt")
    with pytest.raises(ValueError, match="does not hold torchvision's InceptionV3 weights"):
        inception_v3(tmp_path / "w.pt")


@pytest.mark.usefixtures("torchvision")
def test_weights_that_are_text(tmp_path):
    (tmp_path / "w.pt").write_text("no weights")
    with pytest.raises(ValueError, match="does not hold torchvision's InceptionV3 weights"):
        inception_v3(tmp_path / "w.pt")


def test_without_torchvision(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "torchvision", None)
    monkeypatch.setitem(sys.modules, "torchvision.models", None)
    with pytest.raises(ImportError, match="pip install torchvision"):
        inception_v3(tmp_path / "w.pt")
