"""The networks that a comparison knows: those of the catalogue, and variants that answer a question of their own.

>>> network_settings("mlp-elastic")["augmentation"]
'elastic'
"""

from __future__ import annotations

from typing import Any

from ..nets.catalogue import NETWORKS, settings_for

# A multilayer perceptron gains most from distorted digits (Simard, Steinkraus and Platt 2003), which its catalogue
# entries, as their authors left them, do not have.
VARIANTS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "mlp-elastic": (
        "a-mlp-relu-adam",
        "784-1536-384-10, ReLU, Adam, on elastically distorted digits (Simard et al. 2003)",
        {"widen": 3.0, "augmentation": "elastic", "epochs": 60, "schedule": "cosine", "shift": 1, "turn": 8.0,
         "scale": 0.1, "shear": 0.1},
    ),
}  # fmt: skip

# Few digits make few batches: without this a small size would show what few steps do, not what few digits do.
LEAST_STEPS = 500

DEFAULT_NETWORKS = (
    "softmax",
    "a-mlp-relu-adam",
    "mlp-elastic",
    "lenet5",
    "b-plain",
    "b-regularised",
    "a-conv7",
    "fast",
)


def network_names() -> tuple[str, ...]:
    return (*NETWORKS, *VARIANTS)


def about_network(name: str) -> str:
    return VARIANTS[name][1] if name in VARIANTS else NETWORKS[name].about


def network_settings(name: str) -> dict[str, Any]:
    """All settings that `name` is trained with, the catalogue's network under `net`."""
    net, _, changes = VARIANTS.get(name, (name, "", {}))
    return settings_for(net, **changes).as_dict()


def epochs_for(settings: dict[str, Any], digits: int) -> float:
    """The settings' own epochs, or as many more as make LEAST_STEPS steps of so many digits."""
    held: int = settings["validation"] if settings["validation"] <= digits // 3 else digits // 5
    batches: int = max(1, round((digits - held) / settings["batch"]))
    return max(float(settings["epochs"]), LEAST_STEPS / batches)
