"""Two processes (gloo) train like one process with twice the batch."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn

from mld_closure.training import parallel
from mld_closure.training.curriculum import Curriculum, Phase
from mld_closure.training.loop import Plan, fit


class Fit(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(3)
        self.net = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.Tanh(), nn.Conv2d(4, 1, 1))
        self.still = nn.Linear(2, 2).requires_grad_(False)

    def forward(self, x):
        return {"error": ((self.net(x) - x.roll(1, -1)) ** 2).mean()}


class Task:
    def __init__(self, batch):
        torch.set_num_threads(1)
        self.objective, self.weights = Fit(), {"error": 1.0}
        self.curriculum = Curriculum([Phase(steps=8)], lambda phase: 1, batch)
        self.sampled = []

    def batch(self, phase, step, samples):
        self.sampled += samples
        rows = [np.random.default_rng((5, k)).standard_normal((1, 6, 6)).astype(np.float32) for k in samples]
        return {"x": torch.from_numpy(np.stack(rows))}

    def validate(self):
        return {"score": float(self.objective.net[0].weight.detach().square().sum())}


def plan(batch):
    return Plan(batch=batch, lr=1e-2, clip=0.5, ema=0.9, select=True, validations=2, checkpoint_every=3)


def run_rank(folder):
    """The work of each of the two processes."""
    world, device = parallel.connect("cpu")
    task = Task(2)
    fit(task, plan(2), Path(folder) / "shared.pt", world=world, stop=lambda: task.sampled[-1] >= 11)
    task = Task(2)
    fit(task, plan(2), Path(folder) / "shared.pt", world=world)
    torch.save(
        {"weights": task.objective.state_dict(), "sampled": task.sampled, "device": device},
        Path(folder) / f"{world.rank}.pt",
    )
    parallel.disconnect(world)


def test_two_processes_equal_one_with_the_doubled_batch(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    code = "import sys; sys.path.insert(0, sys.argv[1]); import test_parallel as t; t.run_rank(sys.argv[2])"
    ranks = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", code, str(Path(__file__).parent), str(tmp_path)],
            env={
                **os.environ,
                "RANK": str(rank),
                "LOCAL_RANK": str(rank),
                "WORLD_SIZE": "2",
                "MASTER_ADDR": "127.0.0.1",
                "MASTER_PORT": str(port),
                "GLOO_SOCKET_IFNAME": "lo",
            },
        )
        for rank in range(2)
    ]
    try:
        assert [child.wait(timeout=120) for child in ranks] == [0, 0]
    finally:
        for child in ranks:
            child.kill()
    results = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2)]
    alone = Task(4)
    fit(alone, plan(4), tmp_path / "alone.pt")
    assert sorted(results[0]["sampled"] + results[1]["sampled"]) == alone.sampled[16:]  # stopped after step 3
    untrained = Task(4).objective.state_dict()
    for name, value in alone.objective.state_dict().items():
        torch.testing.assert_close(results[0]["weights"][name], value, rtol=1e-4, atol=1e-6)
        assert torch.equal(results[0]["weights"][name], results[1]["weights"][name])
    assert not torch.allclose(alone.objective.net[0].weight, untrained["net.0.weight"], atol=1e-3)


def test_one_process_without_torchrun(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert parallel.connect("cpu") == (parallel.World(0, 1), "cpu")
