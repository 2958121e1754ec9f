# %% [markdown]
# # From regression to a convolutional network
#
# Four models, each with one more idea than the one before: softmax regression, a hidden layer,
# convolutions, and a modern small network. You will see what each idea gains, how sure that gain
# is, and which digits it puts right.
#
# It takes two to four minutes on two cores, and needs `pip install "inkdigits[lab]"`. Nothing is
# downloaded.

# %%
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np

import inkdigits
from inkdigits import DigitClassifier
from inkdigits.measure import mcnemar, wilson_interval

plt.style.use("inkdigits.lab.ink")

everything = inkdigits.load_digits("mnist:train")
test = inkdigits.load_digits("mnist:test")


def draw(seed, count=15_000):
    """Digits to learn from, drawn at random, and 5,000 others to look at while choosing."""
    order = np.random.default_rng(seed).permutation(len(everything))
    return everything.take(order[:count]), everything.take(order[-5_000:])


train, held = draw(seed=0)
print(f"{len(train):,} digits to learn from, {len(held):,} held out, {len(test):,} to test on")

# %% [markdown]
# To keep the page short, the models learn from a quarter of MNIST, for a few *epochs* (passes over
# the digits). With all digits and more epochs each gets better; see
# [the comparison](../compare.md).
#
# The rules of the page: what had to be chosen (epochs, two learning rates) was chosen on training
# digits held out, never on the test digits. Each model answers the 10,000 test digits **once**,
# and the answers are kept. `DigitClassifier` trains any network of the package by its name.

# %%
answers, models = {}, {}


def learn(name, net, **settings):
    model = DigitClassifier(net, seed=0, **settings).fit(train.images, train.labels)
    answers[name], models[name] = model.predict(test.images), model
    right = int((answers[name] == test.labels).sum())
    low, high = wilson_interval(right, len(test))
    count = sum(weights.numel() for weights in model.network_.parameters())
    print(f"{name}: {count:,} parameters")
    print(f"learnt from: {model.score(train.images, train.labels):.2%} right")
    print(f"held out:    {model.score(held.images, held.labels):.2%} right")
    print(f"test:        {right / len(test):.2%} right ({low:.2%} to {high:.2%})")


# %% [markdown]
# In brackets is Wilson's 95 % interval: which true accuracies, on digits without end, go well with
# what was seen on 10,000.
#
# ## Step 1: softmax regression
#
# Ten *scores*, one for each digit. A score is a weighted sum of the 784 pixels, plus a constant.
# *Softmax* turns the ten scores into probabilities: take e to the power of each, and divide by
# their sum. Learning means to move the weights so that the right digit gets more probability.

# %%
learn("softmax", "softmax", epochs=10, learning_rate=0.01)

# %% [markdown]
# It is so simple that you can do by hand what the model does.

# %%
layer = models["softmax"].network_[1]
weights, constants = layer.weight.detach().numpy(), layer.bias.detach().numpy()
print(f"weights {weights.shape} and constants {constants.shape}: {weights.size + constants.size:,}")

pixels = held.images[0].reshape(784) / 255
scores = weights @ pixels + constants
by_hand = np.exp(scores) / np.exp(scores).sum()
by_model = models["softmax"].predict_proba(held.images[:1])[0]
print("scores        ", np.round(scores, 1))
print("probabilities ", np.round(by_hand, 3))
print("as the model's", np.allclose(by_hand, by_model, atol=1e-5))

# %% [markdown]
# Each digit has one weight for each pixel, so its weights are a picture. Blue speaks for the
# digit, red against it.


# %%
def pictures(images, titles, columns, heading, **style):
    rows = -(-len(images) // columns)
    height = 0.3 + rows * (6.4 / columns) * (1.2 if columns < 8 else 1.45)
    figure, axes = plt.subplots(rows, columns, figsize=(6.4, height), squeeze=False)
    for place in axes.flat:
        place.axis("off")
    for place, image, title in zip(axes.flat, images, titles, strict=False):
        place.imshow(image, **style)
        place.set_title(title, fontsize=9, loc="center", pad=3)
    figure.suptitle(heading, fontsize=11, x=0.01, ha="left")
    plt.show()


signed = {"cmap": "RdBu", "vmin": -1.5, "vmax": 1.5}
pictures(weights.reshape(10, 28, 28), range(10), 5, "What softmax regression looks for", **signed)

# %% [markdown]
# Ink in the middle speaks against a 0, ink at the top right for a 5. Much looks like noise, most of
# all in a ring near the border: few digits have ink there, and those few set the weights. Farther
# out, where there is none, the weights are zero, as they began.
#
# One picture for each digit is all there is. A 7 with a bar and a 7 without must share theirs.

# %% [markdown]
# ## Step 2: a hidden layer
#
# Put *units* between pixels and scores: 512, then 128. Each is a weighted sum too, and passes on
# what is above zero and nothing otherwise (this is the *ReLU*). Units can find parts, and a score
# can be a sum of parts in different combinations. Such a network is a *multilayer perceptron*, MLP.

# %%
learn("MLP", "a-mlp-relu-adam", epochs=6)
print(models["MLP"].network_)

# %% [markdown]
# The gain is many times as large as the interval. For smaller gains a better question is needed:
# both models answered the **same** digits, so leave out those on which they are both right or both
# wrong. *McNemar's test* looks only at the rest. If the models were equally good, these digits
# would fall to either side like a coin; *p* is the chance that a coin falls at least so unevenly.


# %%
def gain(first, second):
    was, now = answers[first] == test.labels, answers[second] == test.labels
    found = mcnemar(was, now)
    difference = now.astype(float) - was
    half = 1.96 * difference.std() / np.sqrt(len(test))
    points = 100 * difference.mean()
    print(f"{first} → {second}: {points:+.2f} points ({points - 100 * half:.2f} to", end=" ")
    print(f"{points + 100 * half:.2f})")
    print(f"{found.only_second} digits put right, {found.only_first} lost, p = {found.p:.2g}")


gain("softmax", "MLP")


# %% [markdown]
# The interval of the gain comes from the same digits: each counts +1 if it was put right, −1 if it
# was lost, 0 otherwise. Here are some of those put right, with what softmax regression had said.


# %%
def put_right(first, second, count=16):
    was, now = answers[first], answers[second]
    rows = np.flatnonzero((was != test.labels) & (now == test.labels))
    rows = rows[np.linspace(0, len(rows) - 1, count).astype(int)]  # evenly spaced, not picked
    titles = [f"{was[i]} → {now[i]}" for i in rows]
    heading = f"Wrong by {first}, right by {second}"
    pictures(test.images[rows], titles, 8, heading, vmin=0, vmax=255)


put_right("softmax", "MLP")

# %% [markdown]
# Look again at the MLP's figures: nearly all digits that it learnt from are right, many more than
# of the others. With half a million parameters and 15,000 digits it knows many of them
# by heart. This is *overfitting*.

# %% [markdown]
# ## Step 3: convolutions
#
# To the MLP, pixel 300 and pixel 301 are not neighbours, only two of 784 inputs, and a stroke that
# moves by one pixel is a new thing. A *convolution* builds in what you know about pictures: a small
# window of weights, here 5 × 5, is moved over the image, and gives one weighted sum at each place.
# The same few weights serve everywhere. *Pooling* then makes the picture half as wide and high, by
# the mean of each 2 × 2.
#
# LeNet-5 of 1998 does this twice. Here it is trained as one does today (by Adam).

# %%
learn("LeNet-5", "lenet5", epochs=8, learning_rate=0.005)
gain("MLP", "LeNet-5")

# %%
rows = []
for layer in models["LeNet-5"].network_:
    count = sum(weights.numel() for weights in layer.parameters())
    if count:
        rows.append((str(layer).replace(", stride=(1, 1)", ""), count))
for text, count in rows:
    print(f"{count:7,}  {text}")
print(f"{sum(count for _, count in rows):7,}  together")

# %% [markdown]
# About an eighth of the MLP's parameters, and fewer errors. The first layer has only six windows,
# and what they make of a digit can be seen: some answer to ink, some to an edge on one side.

# %%
network = models["LeNet-5"].network_
windows = network[0].weight.detach().numpy()[:, 0]
pictures(windows, range(1, 7), 6, "The six windows of 5 × 5", cmap="RdBu", vmin=-0.8, vmax=0.8)

image = network[0].weight.new_tensor(held.images[:1, None] / 255)  # as PyTorch wants it
seen = network[:2](image)[0].detach().numpy()
heading = f"What they make of a {held.labels[0]}"
pictures(seen, range(1, 7), 6, heading, cmap="RdBu", vmin=-1, vmax=1)

# %%
put_right("MLP", "LeNet-5")

# %% [markdown]
# ## Step 4: a modern small network
#
# `fast` is also a stack of convolutions, with what has been learnt about training them since. Its
# first windows are not learnt but computed from the digits (the principal components of small
# patches). Pooling takes the largest of four, not the mean. *Batch norm* keeps the numbers inside
# the network in one range while it learns. The size of the learning steps rises and then falls,
# and the labels are *smoothed*: the right digit is asked for with 91 %, not 100 %.
#
# These are several ideas at once, so the gain is theirs together. Exercise 3 takes some apart.

# %%
learn("fast, plain", "fast", epochs=5, augmentation="none")
gain("LeNet-5", "fast, plain")
print(models["fast, plain"].network_)

# %%
put_right("LeNet-5", "fast, plain")

# %% [markdown]
# ## Step 5: digits that move
#
# *Augmentation* shows each digit a little different in each epoch: moved by up to a pixel, turned,
# slanted, made larger or smaller. It needs no new digits and costs nothing when reading.

# %%
learn("fast", "fast", epochs=5)
gain("fast, plain", "fast")

# %% [markdown]
# Look at the interval before you are pleased. Here are all steps side by side.

# %%
figure, axes = plt.subplots(figsize=(6.4, 3))
for place, name in enumerate(answers):
    wrong = int((answers[name] != test.labels).sum())
    low, high = wilson_interval(wrong, len(test))
    axes.plot([100 * low, 100 * high], [place, place], color="C0")
    axes.plot(100 * wrong / len(test), place, "o", color="C0")
    axes.annotate(f"{wrong:,} wrong", (100 * high, place), (6, -4), textcoords="offset points")
axes.set(xscale="log", xlim=(0.3, 25), xlabel="test digits wrong, % (logarithmic)")
axes.set_xticks([0.5, 1, 2, 5, 10, 20], ["0.5", "1", "2", "5", "10", "20"])
axes.set_yticks(range(len(answers)), answers)
axes.invert_yaxis()
axes.minorticks_off()
axes.set_title("Errors, with 95 % intervals")
plt.show()

# %% [markdown]
# ## Move the digits
#
# Every digit of MNIST is centred, so a model need not know that a 7 farther right is still a 7.
# Move them, and see who does. These are the held-out digits: the test digits have been asked.


# %%
def moved(images, right):
    """The images with everything moved to the right, paper coming in from the left."""
    result = np.zeros_like(images)
    result[:, :, right:] = images[:, :, : images.shape[2] - right]
    return result


print(f"ink lost by moving 2 px: {1 - moved(held.images, 2).sum() / held.images.sum():.3%}")
steps = [moved(held.images[:1], by)[0] for by in range(5)]
grey_paper = {"vmin": -40, "vmax": 255}  # so that you can see the edges
pictures(steps, range(5), 5, "Moved to the right by 0 to 4 pixels", **grey_paper)

# %%
figure, axes = plt.subplots(figsize=(6.4, 3.8))
for name, marker in zip(models, "osD^v", strict=True):
    right = [models[name].score(moved(held.images, by), held.labels) for by in range(5)]
    axes.plot(range(5), np.multiply(right, 100), marker=marker, label=name)
    print(f"{name:12} still right when moved by 2 px: {right[2]:.1%}")
axes.set(xticks=range(5), ylim=(0, 102), xlabel="moved to the right, pixels", ylabel="right, %")
axes.legend()
axes.set_title("Moved digits tell the models apart")
plt.show()

# %% [markdown]
# Softmax regression and the MLP keep weights for each place, and fail when the ink is elsewhere.
# Convolutions alone do not settle it: the layers after LeNet-5's windows still know places. `fast`
# stands the move even without augmentation; which of its ideas does that, this page has not shown.
# With augmentation it stands more. On centred digits the two hardly differ: a test set measures
# only what it contains.
#
# ## How sure is each gain?
#
# There are two kinds of luck. One is **which digits** are in the test set; intervals and McNemar's
# p speak of that. The other is **the training**: which digits were learnt from, where the weights
# began, in which order the digits came. One seed says nothing about it. So train the cheapest pair
# twice more, each time with other digits and another seed.

# %%
recipes = {
    "softmax": {"net": "softmax", "epochs": 10, "learning_rate": 0.01},
    "MLP": {"net": "a-mlp-relu-adam", "epochs": 6},
}
for seed in (1, 2):
    digits, _ = draw(seed)
    for name, recipe in recipes.items():
        model = DigitClassifier(seed=seed, **recipe).fit(digits.images, digits.labels)
        answers[f"{name}, seed {seed}"] = model.predict(test.images)

# %%
right = {name: 100 * np.mean(said == test.labels) for name, said in answers.items()}
ends = ("", ", seed 1", ", seed 2")
softmax, mlp = (np.array([right[name + end] for end in ends]) for name in recipes)
for seed in range(3):
    print(f"seed {seed}: softmax {softmax[seed]:.2f} %, MLP {mlp[seed]:.2f} %", end=", ")
    print(f"gain {mlp[seed] - softmax[seed]:.2f} points")
print(f"standard deviation: {softmax.std(ddof=1):.2f} and {mlp.std(ddof=1):.2f} points")
gains = mlp - softmax
half = 4.30 * gains.std(ddof=1) / np.sqrt(3)  # Student's t for three values: 4.30, not 1.96
print(f"gain {gains.mean():.2f} points ({gains.mean() - half:.2f} to {gains.mean() + half:.2f})")

# %% [markdown]
# The gain of the hidden layer comes again each time. But the MLP itself is now a little better, now
# a little worse. So compare it with itself: the same recipe, two trainings, McNemar's test.

# %%
gain("MLP", "MLP, seed 1")
gain("MLP", "MLP, seed 2")
gain("MLP, seed 1", "MLP, seed 2")

# %% [markdown]
# Here nothing was improved, and still some p may be small. McNemar's test is right: these two
# *trained networks* do differ. It does not say that one *recipe* is better than the other. With
# that in mind, all steps once more.

# %%
for first, second in pairwise(models):
    gain(first, second)

# %% [markdown]
# A gain many times as large as the spread of the seeds is beyond any luck. A gain about as large as
# the spread is **not shown** by one seed, even with a small p, however well the idea is known to
# work elsewhere. (Each recipe has a spread of its own: that of `fast` need not be the MLP's, and
# you have not seen it.) It needs more seeds: five at least, each pair trained on the same digits,
# and the mean of the paired differences. [`inkdigits ablate`](../ablate.md) does that for you, and
# [honest figures](../figures.md) says how every figure of this project is made.

# %% [markdown]
# ## Exercises
#
# All of them are answered with the held-out digits, so that you may try as often as you like.
#
# ### Exercise 1: a hidden layer without its ReLU
#
# Take the trained MLP and leave out its ReLUs, so that each layer is only weighted sums. Show that
# its three layers are then the same as **one** matrix of 10 × 784, and so no more than softmax
# regression. How many of the held-out digits does it get right?

# %% tags=["hide-cell"]
# Solution
rows = held.images.reshape(-1, 784) / 255
values, matrix, constant = rows, np.eye(784), np.zeros(784)
for layer in models["MLP"].network_:
    if hasattr(layer, "weight"):  # which a ReLU has not
        weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
        values = values @ weight.T + bias
        matrix, constant = weight @ matrix, weight @ constant + bias
same = np.allclose(values, rows @ matrix.T + constant, atol=1e-3)
print(f"three layers and one matrix of {matrix.shape} give the same scores: {same}")
without = np.mean(values.argmax(axis=1) == held.labels)
print(f"right with ReLU {models['MLP'].score(held.images, held.labels):.1%}, without {without:.1%}")

# %% [markdown] tags=["hide-cell"]
# A weighted sum of weighted sums is again a weighted sum. However many layers, and however long you
# train them: without a bend between them they can say nothing that one layer cannot.

# %% [markdown]
# ### Exercise 2: shuffle the pixels
#
# Put the 784 pixels of every digit in one and the same random order. What does it do to an MLP, and
# what to LeNet-5? Use 5,000 digits to be quick.

# %% tags=["hide-cell"]
# Solution
order = np.random.default_rng(0).permutation(784)
few = train.take(slice(5_000))
quick = {
    "MLP": {"net": "a-mlp-relu-adam", "epochs": 10},
    "LeNet-5": {"net": "lenet5", "epochs": 8, "learning_rate": 0.005},
}
for name, recipe in quick.items():
    for kind, place in (("as they are", np.arange(784)), ("shuffled", order)):
        model = DigitClassifier(seed=0, **recipe)
        model.fit(few.images.reshape(-1, 784)[:, place], few.labels)
        score = model.score(held.images.reshape(-1, 784)[:, place], held.labels)
        print(f"{name}, pixels {kind}: {score:.1%} right")

# %% [markdown] tags=["hide-cell"]
# The MLP does not mind, but for luck: it never knew which pixels are neighbours. LeNet-5 takes it
# for granted and loses points. What a model takes for granted helps only where it is true.

# %% [markdown]
# ### Exercise 3: which part of `fast` does it?
#
# Train `fast` without batch norm, with a constant learning rate, and without label smoothing, on
# 5,000 digits. Which is missed most? How sure are you, with one seed?

# %% tags=["hide-cell"]
# Solution
without = {
    "nothing taken away": {},
    "without batch norm": {"batch_norm": False},
    "constant rate": {"schedule": "constant"},
    "no label smoothing": {"label_smoothing": 0.0},
}
for name, change in without.items():
    model = DigitClassifier("fast", seed=0, epochs=4, augmentation="none", settings=change)
    right = int((model.fit(few.images, few.labels).predict(held.images) == held.labels).sum())
    low, high = wilson_interval(right, len(held))
    print(f"{name:19} {right / len(held):.2%} right ({low:.2%} to {high:.2%})")

# %% [markdown] tags=["hide-cell"]
# One seed and 5,000 held-out digits only show large differences. Where the intervals overlap much,
# run more seeds before you say that a part helps. (A constant rate of 0.015 is high, too: each
# variant deserves a rate of its own.)

# %% [markdown]
# ### Exercise 4: can the MLP learn to stand a shift?
#
# Train the MLP with `augmentation="shift"`, which moves each digit by up to 2 pixels in each epoch.
# What becomes of it on moved digits, and what on centred ones?

# %% tags=["hide-cell"]
# Solution
shifted = DigitClassifier("a-mlp-relu-adam", seed=0, epochs=6, augmentation="shift")
shifted.fit(train.images, train.labels)
for name, model in (("MLP", models["MLP"]), ("MLP, shifted in training", shifted)):
    right = [model.score(moved(held.images, by), held.labels) for by in (0, 2, 4)]
    print(f"{name}: centred {right[0]:.1%}, 2 px {right[1]:.1%}, 4 px {right[2]:.1%}")

# %% [markdown] tags=["hide-cell"]
# It learns to stand what it has seen, from the data alone, but at 4 pixels it loses much again.
# What convolutions build in, the MLP has to be shown.
