"""Our update rules move the weights as PyTorch's optimisers do."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from inkdigits.nets.catalogue import settings_for
from inkdigits.nets.optimiser import EPSILON, Optimiser

Reference = Callable[[list[dict[str, object]]], torch.optim.Optimizer]


@pytest.mark.parametrize("decay", [0.0, 0.05])
@pytest.mark.parametrize(
    ("name", "changes", "reference"),
    [
        ("sgd", {}, lambda groups: torch.optim.SGD(groups, lr=0.1)),
        ("sgd", {"momentum": 0.9}, lambda groups: torch.optim.SGD(groups, lr=0.1, momentum=0.9, nesterov=True)),
        ("adam", {"beta2": 0.999}, lambda groups: torch.optim.Adam(groups, lr=0.1, eps=EPSILON)),
        ("adamw", {"beta2": 0.99}, lambda groups: torch.optim.AdamW(groups, lr=0.1, betas=(0.9, 0.99), eps=EPSILON)),
        ("adadelta", {}, lambda groups: torch.optim.Adadelta(groups, lr=0.1, rho=0.95, eps=EPSILON)),
    ],
)
def test_twenty_steps_end_where_pytorchs_end(
    name: str, changes: dict[str, float], reference: Reference, decay: float
) -> None:
    def network() -> nn.Sequential:
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 9, 3)
        ).double()

    ours, theirs = network(), network()
    settings = settings_for("fast", optimiser=name, weight_decay=decay, **{"momentum": 0.0, **changes})
    optimiser = Optimiser(ours, settings)
    groups: list[dict[str, object]] = [
        {"params": [p for p in theirs.parameters() if p.ndim > 1], "weight_decay": decay},
        {"params": [p for p in theirs.parameters() if p.ndim <= 1], "weight_decay": 0.0},
    ]
    other = reference(groups)
    generator = torch.Generator().manual_seed(1)
    for step in range(20):
        images = torch.randn(8, 1, 5, 5, generator=generator, dtype=torch.float64)
        labels = torch.randint(0, 3, (8,), generator=generator)
        rate = 0.1 / (1 + step)
        for group in other.param_groups:
            group["lr"] = rate
        optimiser.forget_gradients()
        other.zero_grad()
        for network_ in (ours, theirs):
            nn.functional.cross_entropy(network_(images), labels).backward()
        optimiser.step(rate)
        other.step()
    for mine, expected in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.allclose(mine, expected, atol=1e-9, rtol=1e-6), float((mine - expected).detach().abs().max())


def test_training_does_not_load_pytorchs_compiler(tmp_path: Path) -> None:
    code = (
        "import sys; from inkdigits import load_digits, train; digits = load_digits('mnist:test');"
        "train(digits.take(slice(300)), net='fast', epochs=1, output=sys.argv[1]);"
        "print('torch._dynamo' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "run")], capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "False", done.stderr
