"""The loop on a task that can be checked by hand: resume, average, clip, select, time budget."""

import copy
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from mld_closure.training import checkpoints
from mld_closure.training.curriculum import Curriculum, Phase, learning_rate
from mld_closure.training.loop import Plan, fit


class Line(nn.Module):
    """y = network(x) with the squared error as loss; the target depends on the horizon, so phases differ."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(3)
        self.net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
        self.frozen = nn.Linear(2, 2).requires_grad_(False)

    def forward(self, x, y):
        error = self.net(x) - y
        return {"square": (error**2).mean(), "size": self.net[0].weight.abs().mean()}


class Task:
    """Samples depend only on their number."""

    def __init__(self, steps=(12, 8), pause=0.0):
        torch.set_num_threads(1)
        self.objective = Line()
        self.weights = {"square": 1.0, "size": 0.01}
        self.phases = [Phase(horizon=h + 1, steps=n) for h, n in enumerate(steps)]
        self.curriculum = Curriculum(self.phases, lambda phase: 1, batch=4)
        self.pause, self.seen, self.scores = pause, [], None

    def batch(self, phase, step, samples):
        self.seen.append((step, phase.horizon, tuple(samples)))
        time.sleep(self.pause)
        rows = [np.random.default_rng((7, k)).standard_normal(4).astype(np.float32) for k in samples]
        x = torch.from_numpy(np.stack(rows))
        jitter = torch.randn(len(rows), 1)  # a step may use torch's global generator
        return {"x": x, "y": phase.horizon * x[:, :1] + 0.1 * jitter}

    def validate(self):
        if self.scores is not None:
            return {"score": self.scores.pop(0)}
        return {"score": float(sum(p.square().sum() for p in self.objective.parameters()))}


PLAN = Plan(
    batch=4,
    lr=1e-2,
    lr_end=1e-3,
    warmup=0.1,
    clip=1.0,
    ema=0.9,
    select=True,
    validations=5,
    checkpoint_every=3,
)


def weights(task):
    return {k: v.clone() for k, v in task.objective.state_dict().items()}


def same(a, b):
    assert a.keys() == b.keys()
    for name in a:
        assert torch.equal(a[name], b[name]), name


def without_seconds(history):
    return [{k: v for k, v in row.items() if k != "seconds"} for row in history]


@pytest.mark.parametrize("stops", [(1,), (3,), (5, 11), (2, 4, 12, 13, 19)])
def test_interrupted_and_resumed_equals_uninterrupted_bit_for_bit(tmp_path, stops):
    whole = Task()
    _, history = fit(whole, PLAN, tmp_path / "whole.pt")
    for stop in stops:
        part = Task()
        progress, _ = fit(
            part,
            PLAN,
            tmp_path / "part.pt",
            stop=lambda n=stop, p=part: len(p.seen) and p.seen[-1][0] + 1 >= n,
        )
        assert (progress.step, progress.finished) == (stop, False)
    last = Task()
    progress, resumed = fit(last, PLAN, tmp_path / "part.pt")
    assert (progress.step, progress.finished) == (20, True)
    same(weights(last), weights(whole))
    assert without_seconds(resumed) == without_seconds(history)


def test_a_finished_stage_is_not_trained_again_and_gives_its_weights_back(tmp_path):
    first, second = Task(), Task()
    fit(first, PLAN, tmp_path / "a.pt")
    fit(second, PLAN, tmp_path / "a.pt")
    assert second.seen == []
    same(weights(first), weights(second))


def test_kill_minus_nine_loses_at_most_one_checkpoint_interval(tmp_path):
    whole = Task()
    fit(whole, PLAN, tmp_path / "whole.pt")
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from test_loop import *;"
        "fit(Task(pause=0.05), PLAN, sys.argv[2])"
    )
    path = tmp_path / "killed.pt"
    child = subprocess.Popen([sys.executable, "-c", code, str(Path(__file__).parent), str(path)])
    until = time.monotonic() + 60
    while not path.exists() and time.monotonic() < until:
        time.sleep(0.01)
    time.sleep(0.2)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    state = checkpoints.load(path)
    assert state["progress"]["step"] % PLAN.checkpoint_every == 0
    assert 0 < state["progress"]["step"] < 20
    resumed = Task()
    fit(resumed, PLAN, path)
    assert resumed.seen[0][0] == state["progress"]["step"]
    same(weights(resumed), weights(whole))


def test_frozen_parameters_stay_bitwise_and_the_global_generator_is_left_alone(tmp_path):
    task = Task()
    before = weights(task)
    torch.manual_seed(11)
    expected = torch.Generator().manual_seed(11)
    fit(task, PLAN, tmp_path / "a.pt")
    assert torch.equal(torch.rand(3), torch.rand(3, generator=expected))
    after = weights(task)
    changed = {name for name in after if not torch.equal(before[name], after[name])}
    assert changed == {"net.0.weight", "net.0.bias", "net.2.weight", "net.2.bias"}


def test_average_equals_the_one_computed_by_hand(tmp_path):
    decay, seen = 0.5, []
    task = Task(steps=(6,))
    plan = Plan(batch=4, lr=1e-2, ema=decay)
    expected = {n: p.detach().clone() for n, p in task.objective.named_parameters() if p.requires_grad}

    def follow(progress, losses):
        if progress.finished:
            return
        d = min(decay, (1 + progress.step - 1) / (10 + progress.step - 1))
        for name, p in task.objective.named_parameters():
            if name in expected:
                expected[name] = d * expected[name] + (1 - d) * p.detach()
        seen.append(progress.step)

    twin = Task(steps=(6,))
    fit(task, plan, tmp_path / "a.pt", report=follow)
    fit(twin, Plan(batch=4, lr=1e-2), tmp_path / "b.pt")
    d = min(decay, 6 / 15)
    for name, p in twin.objective.named_parameters():
        if name in expected:
            expected[name] = d * expected[name] + (1 - d) * p.detach()
            torch.testing.assert_close(task.objective.get_parameter(name).detach(), expected[name])
    assert seen == [1, 2, 3, 4, 5]


def test_clipping_bounds_the_gradient_that_the_optimizer_sees(tmp_path):
    norms = {}
    for clip in (0.0, 1e-3):
        task = Task(steps=(1,))
        norms[clip] = []
        step = torch.optim.Adam.step

        def spy(self, *args, clip=clip, step=step, **kwargs):
            grads = [p.grad for g in self.param_groups for p in g["params"]]
            norms[clip].append(float(torch.cat([g.flatten() for g in grads]).norm()))
            return step(self, *args, **kwargs)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(torch.optim.Adam, "step", spy)
            fit(task, Plan(batch=4, clip=clip), tmp_path / f"{clip}.pt")
    assert norms[0.0][0] > 1e-2
    assert norms[1e-3][0] == pytest.approx(1e-3, rel=1e-2)


def test_selection_takes_the_best_validated_weights_not_the_last(tmp_path):
    kept = {}
    task = Task(steps=(20,))
    task.scores = [5.0, 2.0, 9.0, 9.0, 9.0]
    plan = Plan(batch=4, lr=1e-2, select=True, validations=5)

    def keep(progress, losses):
        kept[progress.step] = copy.deepcopy(weights(task))

    _, history = fit(task, plan, tmp_path / "a.pt", report=keep)
    assert [row["step"] for row in history if "validation score" in row] == [4, 8, 12, 16, 20]
    same(weights(task), kept[8])
    last = Task(steps=(20,))
    fit(last, Plan(batch=4, lr=1e-2, validations=5), tmp_path / "b.pt")
    assert not torch.equal(last.objective.net[0].weight, task.objective.net[0].weight)


def test_phases_advance_on_their_steps_and_batches_follow_the_step(tmp_path):
    task = Task(steps=(3, 2, 4))
    fit(task, Plan(batch=4), tmp_path / "a.pt")
    assert [h for _, h, _ in task.seen] == [1, 1, 1, 2, 2, 3, 3, 3, 3]
    assert [s for _, _, s in task.seen] == [tuple(range(4 * n, 4 * n + 4)) for n in range(9)]


def test_a_budget_ends_the_stage_and_squeezes_every_phase_into_it(tmp_path):
    task = Task(steps=(500, 500), pause=0.01)
    begun = time.monotonic()
    progress, history = fit(task, Plan(batch=4, lr=1e-2, record_every=1), tmp_path / "a.pt", budget=0.5)
    assert progress.finished
    assert 0.4 < time.monotonic() - begun < 3.0
    assert {h for _, h, _ in task.seen} == {1, 2}
    assert progress.step < 100
    assert history[0]["lr"] == pytest.approx(1e-2)
    assert history[-1]["lr"] < 1e-3


def test_the_budget_counts_the_time_of_earlier_sittings(tmp_path):
    first = Task(steps=(1000,), pause=0.01)
    fit(first, Plan(batch=4), tmp_path / "a.pt", budget=0.6, stop=lambda: len(first.seen) >= 20)
    second = Task(steps=(1000,), pause=0.01)
    progress, _ = fit(second, Plan(batch=4), tmp_path / "a.pt", budget=0.6)
    assert progress.finished
    assert len(first.seen) + len(second.seen) < 65


def test_a_loss_that_is_not_finite_is_an_error_naming_the_step(tmp_path):
    task = Task()
    task.weights = {"square": float("inf"), "size": 1.0}
    with pytest.raises(RuntimeError, match=r"step 0: losses .* not finite"):
        fit(task, Plan(batch=4), tmp_path / "a.pt")


def test_a_checkpoint_of_other_networks_is_refused(tmp_path):
    task = Task()
    fit(task, PLAN, tmp_path / "a.pt", stop=lambda: True)
    other = Task()
    other.objective.net[0].weight.requires_grad_(False)
    with pytest.raises(ValueError, match="other networks"):
        fit(other, PLAN, tmp_path / "a.pt")
    (tmp_path / "bad.pt").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="not a readable checkpoint"):
        fit(Task(), PLAN, tmp_path / "bad.pt")


def test_learning_rate_rises_then_falls_as_a_cosine():
    assert learning_rate(0.0, 2.0, 0.5) == 2.0
    assert learning_rate(0.5, 2.0, 0.5) == pytest.approx(1.25)
    assert learning_rate(1.0, 2.0, 0.5) == pytest.approx(0.5)
    assert learning_rate(0.05, 2.0, 0.0, warmup=0.1) == pytest.approx(1.0, rel=0.02)
    assert learning_rate(0.1, 2.0, 0.0, warmup=0.1) == pytest.approx(2.0)


def test_phase_lengths_in_epochs_and_bad_phases():
    lengths = Curriculum(
        [Phase(steps=5), Phase(horizon=3, epochs=2.0)], lambda phase: 30 - 5 * phase.horizon, batch=4
    ).lengths
    assert lengths == (5, 8)  # 2 epochs of 15 windows in batches of 4
    for bad in ({}, {"steps": 3, "epochs": 1.0}, {"steps": 3, "horizon": 0}):
        with pytest.raises(ValueError, match=r"exactly one|at least 1"):
            Phase(**bad)


def test_history_is_plain_json(tmp_path):
    _, history = fit(Task(), PLAN, tmp_path / "a.pt")
    assert json.loads(json.dumps(history)) == history
