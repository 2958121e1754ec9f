# %% [markdown]
# # Build it yourself
#
# Write a network in twenty lines of PyTorch and a training loop in twenty more, and beat LeNet-5
# with about a ninth of its parameters. One idea at a time shows what it brings. Then your network
# becomes a file that `inkdigits evaluate`, `predict` and `read` accept like their own.
#
# It runs for three or four minutes on two cores, and needs `pip install "inkdigits[lab]"`. You
# should have seen some PyTorch before.

# %%
from itertools import pairwise
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import onnx
import torch
import torch.nn.functional as F
from onnx import TensorProto, helper, numpy_helper
from sklearn.model_selection import cross_val_score
from sklearn.svm import SVC
from torch import nn

import inkdigits
from inkdigits.measure import mcnemar, wilson_interval
from inkdigits.nets.augment import augment
from inkdigits.nets.calibrate import calibrate
from inkdigits.nets.catalogue import settings_for
from inkdigits.nets.export import to_onnx
from inkdigits.nets.views import with_views
from inkdigits.nets.zoo import count_parameters
from inkdigits.reader.model import FORMAT, PREPARATION

plt.style.use("inkdigits.lab.ink")
torch.set_num_threads(1)  # as fast for so small a network, and other programs keep their cores
BLUE, ORANGE = "#0b66a8", "#c4500c"

# %% [markdown]
# ## The digits
#
# To keep it short we learn from 10,000 of MNIST's training digits. 4,000 more are **held out**:
# on them we decide what is good. MNIST's test digits stay closed until the very end, since what
# is chosen on them can no longer be measured on them.

# %%
digits = inkdigits.load_digits("mnist:train").sample(14_000)
learn, held = digits.split(4_000, seed=0)


def tensors(some):
    """Digits as PyTorch wants them: float32 (N, 1, 28, 28) of 0…1, and labels int64 (N,)."""
    return torch.tensor(some.images[:, None]) / 255, torch.tensor(some.labels, dtype=torch.int64)


pixels, labels = tensors(learn)
held_pixels, held_labels = tensors(held)
print(pixels.shape, held_pixels.shape)

# %% [markdown]
# ## The one to beat
#
# LeNet-5 of 1998, trained by the package: the same 10,000 digits (`train` splits off its 4,000
# by the same rule and seed), five epochs, which are passes over the digits. One training is one
# throw of dice: the **seed** decides where the weights start and in which order digits come. So
# everything here is done with three seeds.

# %%
EPOCHS, BATCH, SEEDS = 5, 128, (0, 1, 2)
errors = {"LeNet-5": []}
for seed in SEEDS:
    run = inkdigits.train(
        digits,
        net="lenet5",
        epochs=EPOCHS,
        validation=len(held),
        seed=seed,
        output=f"runs/lenet5-{seed}",
        force=True,
        threads=1,
    )
    errors["LeNet-5"].append(100 * (1 - run.metrics["validation"]["accuracy"]))
lenet_parameters = run.metrics["parameters"]


def report(name):
    each = ", ".join(f"{rate:.2f}" for rate in errors[name])
    print(f"{name:24} {np.mean(errors[name]):.2f} % of the held-out digits wrong ({each})")


print(f"{lenet_parameters:,} parameters")
report("LeNet-5")

# %% [markdown]
# ## A network
#
# Three **convolutions**: each looks at small windows of the layer before, with the same weights
# everywhere. Between them **pooling** keeps the largest of every 2×2. A linear layer makes ten
# numbers of what is left, the **logits**; the largest is the answer.


# %%
def build(seed, width=8, batch_norm=True):
    torch.manual_seed(seed)

    def layer(inputs, outputs, side, pool):
        return [
            nn.Conv2d(inputs, outputs, side),
            *([nn.MaxPool2d(2)] if pool else []),
            *([nn.BatchNorm2d(outputs)] if batch_norm else []),
            nn.ReLU(),
        ]

    return nn.Sequential(
        *layer(1, width, 5, pool=True),  # 28×28 → 24×24 → 12×12
        *layer(width, 2 * width, 3, pool=True),  # → 10×10 → 5×5
        *layer(2 * width, 3 * width, 3, pool=False),  # → 3×3
        nn.Flatten(),
        nn.Linear(3 * width * 3 * 3, 10),
    )


print(build(0, batch_norm=False))
parameters = count_parameters(build(0))
print(f"{parameters:,} parameters; LeNet-5 has {lenet_parameters / parameters:.1f} times as many")

# %% [markdown]
# Pooling comes before ReLU: the result is the same (the largest of four stays the largest when
# negative numbers become zero), and a quarter of the numbers go through what follows.
#
# ## A training loop
#
# Draw a batch, see how wrong the network is (the **loss**), ask in which direction each weight
# would make it less wrong (`backward`), go there a little (`step`). The last arguments are for
# ideas to come.


# %%
def fit(network, seed, rate=0.002, augmentation=None, one_cycle=False):
    chance = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.Adam(network.parameters(), lr=rate)
    steps = EPOCHS * -(-len(labels) // BATCH)
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, steps) if one_cycle else None
    network.train()
    for _ in range(EPOCHS):
        for index in torch.randperm(len(labels), generator=chance).split(BATCH):
            images = pixels[index]
            if augmentation:
                images = augment(images, augmentation, chance)
            loss = F.cross_entropy(network(images), labels[index])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            if cycle:
                cycle.step()
    return network.eval()


# %%
@torch.inference_mode()
def said(network, images):
    return torch.cat([network(some).argmax(1) for some in images.split(1_000)])


def wrong(network):
    """Held-out digits that a network gets wrong, in per cent."""
    return 100 * (said(network, held_pixels) != held_labels).float().mean().item()


errors["ours, plain"] = [wrong(fit(build(seed, batch_norm=False), seed)) for seed in SEEDS]
report("LeNet-5")
report("ours, plain")

# %% [markdown]
# Already better. The same number of digits and epochs, but not yet the same merit: ReLU and max
# pooling learn faster than LeNet's tanh and averages, and five epochs are short. Exercise 1 looks
# at that. Now the ideas, each on top of those before.
#
# **Batch norm** brings every channel to mean 0 and spread 1 over the batch, then scales it by
# two learned numbers. Layers behind it need not follow every drift of those before.

# %%
errors["+ batch norm"] = [wrong(fit(build(seed), seed)) for seed in SEEDS]
report("+ batch norm")

# %% [markdown]
# **Augmentation** shows each digit a little turned, stretched, sheared and shifted, anew every
# time. The network never sees the same image twice, and cannot learn images by heart. `augment`
# is the package's; which changes, and how strong, is a `Settings`.

# %%
gently = settings_for("fast", augmentation="affine", shift=1, turn=10.0, scale=0.1, shear=0.1)
shown = [augment(pixels[:6], gently, torch.Generator().manual_seed(number)) for number in range(3)]
figure, axes = plt.subplots(4, 6, figsize=(6.4, 4.3))
for row, images in zip(axes, [pixels[:6], *shown], strict=True):
    for axis, image in zip(row, images, strict=True):
        axis.imshow(image[0], vmin=0, vmax=1)
        axis.axis("off")
figure.suptitle("Six digits, and what the network is shown of them", fontsize=11, x=0.01, ha="left")
plt.show()

# %%
errors["+ augmentation"] = [wrong(fit(build(seed), seed, augmentation=gently)) for seed in SEEDS]
report("+ augmentation")

# %% [markdown]
# **One cycle.** A high learning rate moves fast and never settles; a low one settles where it
# happens to be. So let the rate rise to five times what it was, and then fall to nothing.

# %%
recipe = {"rate": 0.01, "augmentation": gently, "one_cycle": True}
networks = [fit(build(seed), seed, **recipe) for seed in SEEDS]
errors["+ one cycle"] = [wrong(network) for network in networks]
report("+ one cycle")

# %% [markdown]
# **Several views.** A digit moved by a pixel is the same digit, but to a network not quite the
# same pixels. `with_views` shows it the image and four copies, each moved by a pixel, and takes
# the mean. It costs five times the arithmetic when reading; no training, no parameter.

# %%
VIEWS = 5
errors["+ five views"] = [wrong(with_views(network, VIEWS)) for network in networks]
report("+ five views")

# %%
figure, axis = plt.subplots(figsize=(6.4, 3.4))
places = np.arange(len(errors))[::-1]
for place, (name, rates) in zip(places, errors.items(), strict=True):
    colour = ORANGE if name == "LeNet-5" else BLUE
    axis.plot(rates, [place] * len(rates), "o", color=colour, alpha=0.45)
    axis.plot([np.mean(rates)] * 2, [place - 0.3, place + 0.3], color=colour)
    axis.text(max(rates) + 0.1, place, f"{np.mean(rates):.2f}", color=colour, va="center")
axis.set_yticks(places, list(errors))
axis.set(xlabel="% of 4,000 held-out digits wrong; three seeds and their mean", xlim=(0, None))
axis.set_title("What each idea brings, on top of those above it")
plt.show()

# %% [markdown]
# Two dots of the same row differ by luck alone. Where the rows' dots overlap, three seeds cannot
# tell whether the idea helped; with the same seed before and after, compare pair by pair.

# %%
names = list(errors)
for before, after in pairwise(names[1:]):
    gains = np.subtract(errors[before], errors[after])
    print(f"{after:18} {gains.mean():5.2f} ± {gains.std(ddof=1):.2f} points fewer wrong")

# %% [markdown]
# ## A file that others can use
#
# **ONNX** is a file format for networks: a list of operations, and arrays of weights. PyTorch can
# write it (`torch.onnx.export`, which needs `onnxscript`), but for a stack of five kinds of layers
# we can do it ourselves, and see that there is no magic in it.


# %%
def operation(layer):
    """A layer as ONNX knows it: the operator's name, its weights, its attributes."""
    match layer:
        case nn.Conv2d():
            return "Conv", [layer.weight, layer.bias], {"kernel_shape": layer.kernel_size}
        case nn.BatchNorm2d():
            weights = [layer.weight, layer.bias, layer.running_mean, layer.running_var]
            return "BatchNormalization", weights, {"epsilon": layer.eps}
        case nn.MaxPool2d():
            return "MaxPool", [], {"kernel_shape": [2, 2], "strides": [2, 2]}
        case nn.Linear():
            return "Gemm", [layer.weight, layer.bias], {"transB": 1}
        case nn.ReLU() | nn.Flatten():
            return {"ReLU": "Relu", "Flatten": "Flatten"}[type(layer).__name__], [], {}


# %%
def write_onnx(network, path):
    nodes, arrays, flow = [], [], "pixels"
    for place, layer in enumerate(network):
        kind, weights, attributes = operation(layer)
        names = [f"{place}.{number}" for number in range(len(weights))]
        for name, weight in zip(names, weights, strict=True):
            arrays.append(numpy_helper.from_array(weight.detach().numpy(), name))
        nodes.append(helper.make_node(kind, [flow, *names], [f"after.{place}"], **attributes))
        flow = f"after.{place}"
    taken = helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["N", 1, 28, 28])
    given = helper.make_tensor_value_info(flow, TensorProto.FLOAT, ["N", 10])
    graph = helper.make_graph(nodes, "mine", [taken], [given], arrays)
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), path)


# %% [markdown]
# The network of seed 0, whatever the other seeds did. Does the file say what the network says?

# %%
write_onnx(networks[0], "mine.onnx")
mine = inkdigits.load_model("mine.onnx")
same = mine.predict(held.images).labels == said(networks[0], held_pixels).numpy()
print(f"{Path('mine.onnx').stat().st_size:,} bytes")
print(f"the same answer to {same.sum():,} of {len(same):,} held-out digits")
print(f"pixels scaled as {mine.input_scale!r}")

# %% [markdown]
# The package did not know whether this file wants pixels of 0…255, of 0…1 or around zero. It tried
# them on a few hundred training digits and took the scale under which the answers make sense. It
# says so, and `--input-scale` overrules it.
#
# ## Measured
#
# Now, once, the test digits. `evaluate` measures any model that it can open; `against` compares
# it with another on the same digits by **McNemar's test**: of the digits that only one of the
# two reads, does either have more than a fair coin would give?

# %%
evaluation = inkdigits.evaluate("mine.onnx", against="runs/lenet5-0")
print(evaluation.text())

# %% [markdown]
# On the command line: `inkdigits evaluate mine.onnx --against runs/lenet5-0 -o mine`, which writes
# a page with every digit it got wrong. `predict test.csv -m mine.onnx -o submission.csv` makes a
# submission for Kaggle of it. What LeNet-5 reads and ours does not, and the other way round:

# %%
test = inkdigits.load_digits("mnist:test")
figure, axes = plt.subplots(2, 7, figsize=(6.4, 2.9))
other = evaluation.against
lists = {"Only LeNet-5 reads": other.mended, "Only ours reads": other.broken}
for row, (name, answers) in zip(axes, lists.items(), strict=True):
    for axis in row:
        axis.axis("off")
    row[0].set_title(f"{name}: {len(answers)}", fontsize=11, loc="left", pad=16)
    for axis, answer in zip(row, answers, strict=False):
        axis.imshow(test.images[answer.index], vmin=0, vmax=255)
        axis.text(14, -2, f"a {answer.label}, not {answer.said}", size=9, ha="center")
plt.show()

# %% [markdown]
# That is one seed of each. All three, with and without views, and each with its interval (the
# Wilson 95 % interval says what 10,000 digits leave open, not what another seed would do):

# %%
test_pixels, test_labels = tensors(test)
hits = {"LeNet-5": [], "ours": [], "ours, five views": []}
for seed, network in zip(SEEDS, networks, strict=True):
    answers = inkdigits.load_model(f"runs/lenet5-{seed}").predict(test.images).labels
    hits["LeNet-5"].append(answers == test.labels)
    for name, shape in (("ours", network), ("ours, five views", with_views(network, VIEWS))):
        hits[name].append((said(shape, test_pixels) == test_labels).numpy())
for name, each in hits.items():
    rates = [right.mean() for right in each]
    low, high = wilson_interval(int(each[0].sum()), len(test))
    print(f"{name:18}{np.mean(rates):.2%} ± {np.std(rates, ddof=1):.2%} of the test digits right")
    print(f"{'':18}seed 0: {rates[0]:.2%} (95 % interval {low:.2%} to {high:.2%})")

found = mcnemar(hits["ours, five views"][0], hits["ours"][0])
print(f"views, seed 0: mended {found.only_first}, broke {found.only_second}, p = {found.p:.2g}")

# %% [markdown]
# ## Let it read
#
# Any model reads pictures: the package finds the ink, cuts out the digits, and asks yours.

# %%
row = np.hstack([255 - image for image in test.images[[1, 4, 9, 3]]])
picture = row.repeat(4, axis=0).repeat(4, axis=1)
reading = inkdigits.Reader("mine.onnx").read(picture)
print(reading.text, [f"{digit.confidence:.1%}" for digit in reading.digits])

figure, axis = plt.subplots(figsize=(6.4, 1.9))
axis.imshow(picture, cmap="gray")
axis.axis("off")
axis.set_title(f"Your network reads {reading.text}")
plt.show()

# %% [markdown]
# It answers whatever it is asked: a foreign model has ten outputs and no idea of what is no
# digit. The package's own writer puts more into the file: the views, a **temperature** fitted on
# the held-out digits, by which 90 % sure means right nine times in ten, and a score of
# **novelty** with thresholds, by which it refuses. It takes any stack of these layers, yours too.

# %%
whole = with_views(networks[0], VIEWS)
with torch.inference_mode():
    logits = torch.cat([whole(some) for some in held_pixels.split(1_000)]).double().numpy()
fitted = calibrate(logits, held.labels)
about = {
    "format": FORMAT,
    "preparation": PREPARATION,
    "labels": "0,1,2,3,4,5,6,7,8,9",
    "novelty_threshold": "0.5",
    "confidence_threshold": f"{fitted.least_confidence:.6g}",
}
Path("mine-whole.onnx").write_bytes(to_onnx(whole, fitted, about))
print(f"temperature {fitted.temperature:.2f}")
print(inkdigits.evaluate("mine-whole.onnx").text())

# %% [markdown]
# ## Exercises
#
# ### Exercise 1: was it fair?
#
# Is it the network, or the way it was trained? Give LeNet-5 the same recipe: the same
# augmentation, and one cycle. `train` takes all settings by name (`augmentation`, `shift`, `turn`,
# `scale`, `shear`, `schedule="one-cycle"`, `learning_rate`). Try two or three rates, and judge
# on the held-out digits.

# %% tags=["hide-cell"]
# Solution
same = {"augmentation": "affine", "shift": 1, "turn": 10.0, "scale": 0.1, "shear": 0.1}
for rate in (0.003, 0.006):
    run = inkdigits.train(
        digits,
        net="lenet5",
        epochs=EPOCHS,
        validation=len(held),
        schedule="one-cycle",
        learning_rate=rate,
        output="runs/lenet5-recipe",
        force=True,
        threads=1,
        **same,
    )
    print(f"rate {rate}: {100 * (1 - run.metrics['validation']['accuracy']):.2f} % wrong, seed 0")
report("LeNet-5")
report("+ one cycle")

# %% [markdown]
# ### Exercise 2: which idea could you do without?
#
# The ladder adds ideas in one order. Take the finished recipe and leave out one idea at a time.
# One seed has to do, so be careful with what you conclude.

# %% tags=["hide-cell"]
# Solution
changes = {
    "batch norm": (build(0, batch_norm=False), recipe),
    "augmentation": (build(0), recipe | {"augmentation": None}),
    "one cycle": (build(0), recipe | {"one_cycle": False, "rate": 0.002}),
}
print(f"nothing left out        {errors['+ one cycle'][0]:.2f} % wrong")
for name, (network, how) in changes.items():
    print(f"without {name:15} {wrong(fit(network, 0, **how)):.2f} % wrong")
print(f"between seeds of the whole recipe: ± {np.std(errors['+ one cycle'], ddof=1):.2f}")

# %% [markdown]
# ### Exercise 3: how many views?
#
# `with_views` takes up to nine: the image, four shifts, two turns, two sizes. What does each buy,
# and what does it cost? You need not train anything.

# %% tags=["hide-cell"]
# Solution
for count in (1, 3, 5, 9):
    rates = [wrong(with_views(network, count)) for network in networks]
    print(f"{count} views: {np.mean(rates):.2f} % wrong ({', '.join(f'{r:.2f}' for r in rates)})")

# %% [markdown]
# ### Exercise 4: with how little can you beat LeNet-5?
#
# `width` scales the network. How few parameters still have fewer errors than LeNet-5 had?

# %% tags=["hide-cell"]
# Solution
for width in (2, 4):
    network = fit(build(0, width=width), 0, **recipe)
    print(f"{count_parameters(network):6,} parameters: {wrong(network):.2f} % wrong, seed 0")
print(f"{lenet_parameters:6,} parameters: {np.mean(errors['LeNet-5']):.2f} % wrong, LeNet-5")

# %% [markdown]
# ### Exercise 5: in scikit-learn's company
#
# `inkdigits.DigitClassifier` makes any network of `inkdigits train --list` an estimator of
# scikit-learn's. `bulk` is one of the package's small ones. Cross-validate it (three folds, five
# epochs, 6,000 digits, so that it is quick) beside scikit-learn's `SVC`. Who wins on so few digits?

# %% tags=["hide-cell"]
# Solution
few = learn.sample(6_000)
rows = few.images.reshape(len(few), -1) / 255
for name, estimator in {
    "bulk": inkdigits.DigitClassifier("bulk", epochs=5),
    "SVC": SVC(C=10, gamma=0.02),
}.items():
    scores = cross_val_score(estimator, rows, few.labels, cv=3)
    print(f"{name:5} {scores.mean():.2%} right (folds {', '.join(f'{s:.2%}' for s in scores)})")
