"""The networks are what the catalogue and the design say they are."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from inkdigits.digits.dataset import Digits
from inkdigits.errors import InputError
from inkdigits.nets.catalogue import NETWORKS, settings_for
from inkdigits.nets.zoo import CONVOLUTIONAL, DENSE, WIDE, Whitening, build, count_parameters

# As Keras counts, which includes batch norm's two running statistics a channel; systems A and B print these.
KERAS_PARAMETERS = {
    "a-conv2": 2_380_938,
    "a-conv3": 914_698,
    "a-conv5": 305_258,
    "a-conv7": 213_818,
    "a-mlp-sigmoid-adam": 468_874,
    "a-mlp-relu-adam": 468_874,
    "a-mlp-bn-adam": 471_434,
    "a-mlp-bn-dropout-adam": 471_434,
    "softmax": 7_850,
    "lenet5": 61_706,
    "b-plain": 275_326,
    "b-regularised": 276_222,
}


@pytest.mark.parametrize("name", KERAS_PARAMETERS)
def test_a_network_has_the_parameters_that_its_authors_counted(name: str) -> None:
    network = build(settings_for(name))
    statistics = sum(buffer.numel() for key, buffer in network.named_buffers() if "running" in key)
    assert count_parameters(network) + statistics == KERAS_PARAMETERS[name]


@pytest.mark.parametrize(("target", "count"), [("99.0", 29_594), ("99.3", 57_738), ("99.5", 95_274)])
def test_fast_has_its_parameters(target: str, count: int) -> None:
    """The computed layer, 16·w·9 + w·2w·9, two a channel for batch norm, 2w·9·10 + 10."""
    settings = settings_for("fast", target=target)
    w, side = settings.width, 6 if settings.stem == "stride" else 5
    assert (
        count_parameters(build(settings))
        == 16 * side**2 + 16 + 144 * w + 18 * w * w + 2 * w + 4 * w + 180 * w + 10
        == count
    )


def test_the_readers_network_has_its_parameters() -> None:
    """Kernels of 25 or 9 without bias, two a channel for batch norm, and a class more for what is no digit."""
    settings = settings_for("reader")
    channels = [24, 48, 64, 128, 128]
    assert settings.width == 48
    kernels = 25 * 24 + sum(9 * inputs * outputs for inputs, outputs in pairwise(channels))
    assert count_parameters(build(settings)) == kernels + 2 * sum(channels) + (128 * 9 + 1) * 11 == 273_267


@pytest.mark.parametrize(("width", "count"), [(6, 2_779), (8, 4_818), (3, 686)])
def test_tiny_is_tiny(width: int, count: int) -> None:
    channels = [1, width, width, width * 3 // 2, width * 3 // 2, width * 2]
    kernels = 9 * sum(inputs * outputs for inputs, outputs in pairwise(channels))
    network = build(settings_for("tiny", width=width))
    assert count_parameters(network) == kernels + 2 * sum(channels[1:]) + 10 * channels[-1] + 10 == count


@pytest.mark.parametrize(("net", "bytes_of_32_bits"), [("best", 2_000_000), ("bulk", 200_000)])
def test_the_other_shipped_networks_are_small(net: str, bytes_of_32_bits: int) -> None:
    assert count_parameters(build(settings_for(net))) * 4 < bytes_of_32_bits


def test_the_computed_layer_whitens_what_it_looks_at(few: Digits) -> None:
    images = torch.from_numpy(few.images.copy()).unsqueeze(1).float() / 255
    layer = Whitening(16, 5)
    layer.look_at(images, torch.Generator().manual_seed(0))
    kernels = layer.weight.flatten(1)
    assert torch.equal(kernels[:8], -kernels[8:])
    answers = layer(images)[:, :8].transpose(0, 1).flatten(1)
    second = answers @ answers.T / answers.shape[1]
    # Each has about unit power (a little less, for what is added to its variance), and none says what another says.
    assert second.diagonal().numpy() == pytest.approx(np.ones(8), abs=0.2)
    assert float((second - second.diagonal().diag()).abs().max()) < 0.05
    assert not any(parameter.requires_grad for parameter in layer.parameters())


@pytest.mark.parametrize("name", NETWORKS)
def test_every_name_builds_a_network_of_ten_logits_and_one_for_what_is_no_digit(name: str) -> None:
    for share, outputs in ((0.0, 10), (0.25, 11)):
        network = build(settings_for(name, non_digits=share)).eval()
        assert network(torch.zeros(2, 1, 28, 28)).shape == (2, outputs)
    assert isinstance(network[-1], nn.Linear)


def test_catalogue_and_zoo_know_the_same_names() -> None:
    assert sorted(["fast", *WIDE, *CONVOLUTIONAL, *DENSE]) == sorted(NETWORKS)


def test_the_seed_decides_the_weights() -> None:
    first, again, other = (build(settings_for("lenet5", seed=seed))[0].weight for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_settings_take_layers_away_and_set_their_rates() -> None:
    def count(kind: type[nn.Module], **changes: object) -> int:
        return sum(isinstance(layer, kind) for layer in build(settings_for("b-regularised", **changes)))

    assert count(nn.BatchNorm2d) == 3
    assert count(nn.BatchNorm2d, batch_norm=False) == 0
    assert count(nn.Dropout) == 4
    assert count(nn.Dropout, dropout=0.0) == 0
    rates = {layer.p for layer in build(settings_for("b-regularised", dropout=0.3)) if isinstance(layer, nn.Dropout)}
    assert rates == {0.3}


def test_b_plain_and_b_regularised_differ_by_batch_norm_and_dropout_alone() -> None:
    regularised = build(settings_for("b-regularised", batch_norm=False, dropout=0.0))
    assert [type(layer) for layer in regularised] == [type(layer) for layer in build(settings_for("b-plain"))]


@pytest.mark.parametrize(
    ("how", "sd"),
    # of the 784 → 512 layer: Glorot's uniform has variance 2 / (in + out), He's 2 / in
    [("glorot-uniform", (2 / (784 + 512)) ** 0.5), ("he-normal", (2 / 784) ** 0.5), ("he-uniform", (2 / 784) ** 0.5)],
)
def test_initialisation_has_the_spread_that_its_paper_gives(how: str, sd: float) -> None:
    layer = build(settings_for("a-mlp-sigmoid-adam", initialisation=how))[1]
    assert float(layer.weight.detach().std()) == pytest.approx(sd, rel=0.02)
    assert float(layer.bias.detach().abs().max()) == 0


def test_what_a_network_prescribes_stays_whatever_the_setting() -> None:
    layer = build(settings_for("a-mlp-relu-sgd", initialisation="zeros"))[1]
    assert float(layer.weight.detach().std()) == pytest.approx(0.062, rel=0.02)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"net": "fsat"}, "did you mean fast?"),
        ({"net": "lenet5", "target": "99.0"}, "is a preset of the network fast"),
        ({"target": "98"}, "unknown, expected 99.0 or 99.3 or 99.5, found 98"),
        ({"drop_out": 0.5}, "did you mean dropout?"),
        ({"optimiser": "rmsprop"}, "expected one of sgd, adam, adamw, adadelta, found rmsprop"),
        ({"dropout": 1.5}, "setting dropout: out of range"),
        ({"epochs": float("nan")}, "setting epochs: out of range"),
        ({"batch": 0}, "setting batch: out of range, expected 1 to 65536, found 0"),
    ],
)
def test_an_unknown_name_or_value_is_answered_with_what_there_is(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError) as caught:
        settings_for(**changes)  # type: ignore[arg-type]
    assert message in str(caught.value)


def test_twice_as_wide_means_twice_the_channels_of_every_layer_but_the_last() -> None:
    plain, wide = build(settings_for("b-plain")), build(settings_for("b-plain", widen=2.0))
    pairs = [(a, b) for a, b in zip(plain, wide, strict=True) if isinstance(a, nn.Conv2d | nn.Linear)]
    assert [b.weight.shape[0] / a.weight.shape[0] for a, b in pairs] == [2] * (len(pairs) - 1) + [1]


@pytest.mark.parametrize("name", sorted({*CONVOLUTIONAL, "fast", "reader"} - {"lenet5"}))
@pytest.mark.parametrize("change", [{"widen": 0.5}, {"padding": "same"}, {"depth": 1}, {"depth": -1}])
def test_a_network_of_another_shape_still_reads_images(name: str, change: dict[str, float | str]) -> None:
    settings = settings_for(name, **change)
    network = build(settings)
    assert network.eval()(torch.zeros(2, 1, 28, 28)).shape == (2, 10 + bool(settings.non_digits))
    learnt = [sum(isinstance(layer, nn.Conv2d) for layer in some) for some in (network, build(settings_for(name)))]
    assert learnt[0] - learnt[1] == change.get("depth", 0)


def test_padding_keeps_the_sides_of_an_image_and_valid_convolutions_lose_them() -> None:
    sides = {}
    for padding in ("own", "same", "valid"):
        flow = torch.zeros(1, 1, 28, 28)
        for layer in build(settings_for("b-plain", padding=padding)).eval():
            if isinstance(layer, nn.Flatten):
                break
            flow = layer(flow)
        sides[padding] = flow.shape[-1]
    assert sides == {"own": 3, "same": 7, "valid": 2}


def test_a_wider_layer_is_drawn_as_its_network_prescribes() -> None:
    wide = build(settings_for("a-conv7", widen=4.0))
    layer = [layer for layer in wide if isinstance(layer, nn.Conv2d)][1]
    bound = (6 / (64 * 9)) ** 0.5  # He's for uniform weights
    assert float(layer.weight.detach().abs().max()) == pytest.approx(bound, rel=0.01)
    assert float(layer.weight.detach().std()) == pytest.approx(bound / 3**0.5, rel=0.03)
    assert not layer.bias.any()


def test_a_spread_prescribed_for_some_inputs_narrows_with_more_of_them() -> None:
    layers = [layer for layer in build(settings_for("a-mlp-relu-adam", widen=4.0)) if isinstance(layer, nn.Linear)]
    spreads = [float(layer.weight.detach().std()) for layer in layers[:2]]
    assert spreads == pytest.approx([0.062, 0.125 / 2], rel=0.02)


@pytest.mark.parametrize(
    ("name", "change"),
    [("softmax", {"depth": -1}), ("a-mlp-relu-adam", {"depth": -2}), ("lenet5", {"padding": "valid", "depth": 1})],
)
def test_a_shape_that_leaves_nothing_is_refused_in_a_line(name: str, change: dict[str, int | str]) -> None:
    with pytest.raises(InputError, match=r"found .+"):
        build(settings_for(name, **change))


def test_how_long_batch_norm_remembers_can_be_set() -> None:
    for memory, momentum in ((None, 0.01), (0.9, 0.1)):
        norms = [layer for layer in build(settings_for("a-conv5", norm_memory=memory)) if hasattr(layer, "momentum")]
        assert [layer.momentum for layer in norms] == pytest.approx([momentum] * 3)
