# %% [markdown]
# # Look at the data
#
# Before any model, look at what it will learn from. You start with one pixel of one digit and end
# with the question whether 60,000 digits are a *manifold of few dimensions*, and what that could
# mean. On the way you meet noise, doubtful labels and a map of digits that nobody sorted.
#
# It takes a minute or two on two cores and 2 GB of memory, and needs
# `pip install "inkdigits[lab]"`. The digits are inside the package: nothing is downloaded.

# %%
import matplotlib.pyplot as plt
import numpy as np
from openTSNE import TSNE
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors

import inkdigits
from inkdigits.digits.mnist import CONTESTED_LABELS, NO_CONSENSUS
from inkdigits.measure import wilson_interval

plt.style.use("inkdigits.lab.ink")

train = inkdigits.load_digits("mnist:train")
print(f"{len(train):,} digits; images {train.images.shape} {train.images.dtype}")
print("how many of each:", dict(enumerate(np.bincount(train.labels).tolist())))


# %% [markdown]
# A small helper for the pages to come: a few digit images in rows, each with a line above it.


# %%
def show(images, titles=None, columns=8, heading=None, size=9):
    rows = -(-len(images) // columns)
    height = rows * (0.8 if titles is None else 1.05) + (0.3 if heading else 0)
    figure, axes = plt.subplots(rows, columns, figsize=(6.4, height), squeeze=False)
    for place in axes.flat:
        place.axis("off")
    for place, image, title in zip(axes.flat, images, titles or [""] * len(images), strict=False):
        place.imshow(image, vmin=0, vmax=255)
        place.set_title(title, fontsize=size, loc="center", pad=3)
    if heading:
        figure.suptitle(heading, fontsize=11, x=0.01, ha="left")
    plt.show()


# %% [markdown]
# ## One digit
#
# A pixel is one number from 0 (paper) to 255 (ink). A digit is 28 rows of 28 of them.

# %%
digit = train.images[0]
print(f"label {train.labels[0]}; the pixel in row 14, column 14 is {digit[14, 14]}")
print(f"the whole of row 14: {digit[14].tolist()}")

# %%
figure, (whole, part) = plt.subplots(1, 2, figsize=(6.4, 3.4))
whole.imshow(digit, vmin=0, vmax=255)
whole.add_patch(plt.Rectangle((7.5, 4.5), 9, 9, fill=False, edgecolor="C1", linewidth=2))
whole.set_title("The first digit …")
part.imshow(digit[5:14, 8:17], vmin=0, vmax=255)
for (row, column), value in np.ndenumerate(digit[5:14, 8:17]):
    shade = "white" if value > 127 else "black"
    part.text(column, row, value, ha="center", va="center", fontsize=9, color=shade)
part.set_title("… and the numbers in the box")
for axes in (whole, part):
    axes.axis("off")
plt.show()

# %% [markdown]
# Most pixels are paper. The strokes have soft grey edges, which come from making a larger scan
# smaller.

# %%
paper, ink = np.mean(train.images == 0), np.mean(train.images == 255)
print(f"of all pixels {paper:.1%} are paper (0), {ink:.1%} full ink (255),", end=" ")
print(f"{1 - paper - ink:.1%} grey")

# %% [markdown]
# ## What MNIST made of the scans
#
# The digits were once of many sizes, somewhere on a form. MNIST's makers fitted each into a box of
# 20 × 20 pixels, keeping its aspect, and moved it so that its *centre of mass* (the mean position
# of its ink) lies in the middle of the 28 × 28. You can check both.

# %%
inked_rows, inked_columns = train.images.any(axis=2), train.images.any(axis=1)
height = 28 - inked_rows.argmax(1) - inked_rows[:, ::-1].argmax(1)
width = 28 - inked_columns.argmax(1) - inked_columns[:, ::-1].argmax(1)
longest = np.maximum(height, width)
print("longer side, in pixels, and how many digits have it:")
print({side: int((longest == side).sum()) for side in np.unique(longest).tolist()})

# %%
weight = train.images / train.images.sum(axis=(1, 2), keepdims=True)
row_of_mass = (weight.sum(axis=2) * np.arange(28)).sum(1)
column_of_mass = (weight.sum(axis=1) * np.arange(28)).sum(1)
for name, place in (("row", row_of_mass), ("column", column_of_mass)):
    print(f"{name} of the centre of mass: {place.min():.2f} to {place.max():.2f}")

# %%
figure, panels = plt.subplots(1, 4, figsize=(6.4, 1.9))
for axes, index in zip(panels, (0, 7, 5, 3), strict=True):
    axes.imshow(train.images[index], vmin=0, vmax=255)
    corner = inked_columns[index].argmax() - 0.5, inked_rows[index].argmax() - 0.5
    box = plt.Rectangle(corner, width[index], height[index], fill=False, edgecolor="C0")
    axes.add_patch(box)
    axes.plot(column_of_mass[index], row_of_mass[index], "+", color="C1", markersize=16)
    axes.set_title(f"{width[index]} wide, {height[index]} high", fontsize=9)
    axes.axis("off")
figure.suptitle("The box around the ink, and the centre of mass", fontsize=11, x=0.01, ha="left")
plt.show()

# %% [markdown]
# So every digit has the same size and place. It makes learning easier, and it is the first reason
# why a model with 99 % here can fail on your own handwriting: yours is not prepared like this
# unless something does it. [`inkdigits read`](../read.md) does.

# %% [markdown]
# ## The mean digit, and the pixels that never vary
#
# Lay all digits of a class on one another. Where the mean is sharp, people agree; where it is
# blurred, they write in many ways.

# %%
means = [train.images[train.labels == label].mean(axis=0) for label in range(10)]
show(means, [f"mean {label}" for label in range(10)], columns=5)

# %%
ever = (train.images > 0).sum(axis=0)
print(f"{np.sum(ever == 0)} of the 784 pixels are paper in every one of the {len(train):,} digits")
shares = np.ma.masked_equal(ever, 0) / len(train)
colours = plt.get_cmap("gray_r").with_extremes(bad="#c4500c")
figure, axes = plt.subplots(figsize=(4.6, 3.6))
drawn = axes.imshow(shares, cmap=colours)
figure.colorbar(drawn, label="share of digits with ink there")
axes.set_title("Never inked: orange")
axes.axis("off")
plt.show()

# %% [markdown]
# ## Fewer numbers for a digit
#
# From here on a digit is a **point**: 784 numbers, one for each direction of a space with 784
# dimensions. Distances are in units of "one pixel from paper to ink".
#
# *Principal component analysis* (PCA) turns that space so that the first direction is the one in
# which the digits vary most, the second the one with most of the rest, and so on.

# %%
points = train.images.reshape(-1, 784).astype(np.float32) / 255
pca = PCA(svd_solver="covariance_eigh").fit(points)
held = np.cumsum(pca.explained_variance_ratio_)
for share in (0.5, 0.9, 0.95, 0.99):
    needed = 1 + int(np.searchsorted(held, share))
    print(f"{needed:3} components hold {share:.0%} of what varies")

# %%
figure, axes = plt.subplots(figsize=(6.4, 3))
axes.plot(np.arange(1, 785), held)
for share in (0.9, 0.95):
    needed = 1 + int(np.searchsorted(held, share))
    axes.plot(needed, share, "o", color="C1")
    axes.annotate(f"{needed} for {share:.0%}", (needed, share), (needed + 15, share - 0.08))
axes.set(xlim=(0, 400), ylim=(0, 1.02), xlabel="components", ylabel="share of the variance")
axes.set_title("A fifth of the directions hold nearly all of what varies")
plt.show()

# %% [markdown]
# What those shares mean to the eye: the first digit from ever more components.

# %%
shown, pictures = (2, 10, 30, 87, 154, 784), []
for count in shown:
    axes_kept = pca.components_[:count]
    rebuilt = pca.mean_ + (points[0] - pca.mean_) @ axes_kept.T @ axes_kept
    pictures.append(255 * rebuilt.reshape(28, 28))
show(pictures, [str(count) for count in shown], 6, "Rebuilt from so many components")

# %% [markdown]
# The first two components can be drawn. No label was used to find them; the colours are put on
# afterwards, and each number stands at the mean of its class.

# %%
coordinates = pca.transform(points)[:, :50]
palette = plt.style.library["petroff10"]["axes.prop_cycle"].by_key()["color"]


def scatter(places, labels, title):
    _, axes = plt.subplots(figsize=(6.4, 5))
    axes.scatter(*places.T, c=[palette[label] for label in labels], s=6, linewidths=0)
    for label in range(10):
        x, y = np.median(places[labels == label], axis=0)
        box = {"facecolor": "white", "edgecolor": palette[label], "boxstyle": "round,pad=0.2"}
        axes.text(x, y, label, fontsize=11, ha="center", va="center", bbox=box)
    axes.set(title=title, xticks=[], yticks=[])
    plt.show()


share = held[1]
scatter(coordinates[::15, :2], train.labels[::15], f"Two components: {share:.0%} of what varies")

# %% [markdown]
# Zeros and ones part, the rest is a heap. Two straight directions are not enough to see the
# classes, which does not say that they cannot be told apart.

# %% [markdown]
# ## Does a random point look like a digit?
#
# The space has room for every picture of 28 × 28 pixels. Draw points from it at random, in three
# ways: each pixel any grey; each pixel a grey that it really has in some digit, but on its own;
# and PCA's first 50 coordinates, each as widely spread as it is among the digits.

# %%
rng = np.random.default_rng(0)
own_grey = points[rng.integers(0, len(points), (200, 784)), np.arange(784)]
spread = rng.standard_normal((200, 50)) * np.sqrt(pca.explained_variance_[:50])
drawn = {
    "any grey": rng.random((200, 784), dtype=np.float32),
    "greys of each pixel": own_grey,
    "PCA coordinates": (pca.mean_ + spread @ pca.components_[:50]).clip(0, 1).astype(np.float32),
}
as_images = {}
for name, some in drawn.items():
    as_images[name] = np.rint(255 * some).astype(np.uint8).reshape(-1, 28, 28)
    show(as_images[name][:8], heading=f"Random points: {name}")

# %% [markdown]
# How far from the nearest digit are they? And what does the reader that ships with inkdigits make
# of them, a network that may refuse to answer? For comparison ask the same of 200 real digits, from
# the test part: the reader never learnt from those, nor are they among the digits compared with.


# %%
def distances(asked, among, count):
    """From each of `asked` to its `count` nearest points of `among`, the nearest first."""
    squared = (asked**2).sum(1)[:, None] + (among**2).sum(1) - 2 * asked @ among.T
    nearest = np.partition(squared, count, axis=1)[:, :count]
    return np.sqrt(np.sort(nearest, axis=1).clip(0))


reader = inkdigits.load_model("reader")
test = inkdigits.load_digits("mnist:test")
as_images["test digits"] = test.sample(200).images
for name, images in as_images.items():
    near = distances(images.reshape(-1, 784).astype(np.float32) / 255, points, 1)
    refused = reader.refused(reader.predict(images)).mean()
    print(f"{name:20} nearest digit {np.median(near):5.2f} away; {refused:4.0%} refused")

# %% [markdown]
# Digits live in a very small part of the space. Even the third kind, which has the right mean and
# the right spread in every direction, gives smears of ink: the directions are right, but a digit
# does not use them independently.
#
# ## Steps between two digits
#
# Now walk in a straight line from one digit to another, mixing their pixels. Above each step is
# what the reader says and how sure it is; a dash where it refuses.


# %%
def walk(first, last):
    """Seven pictures on the way from one digit to another, and what is said of each."""
    mix = np.linspace(0, 1, 7)[:, None]
    steps = (1 - mix) * points[first] + mix * points[last]
    images = np.rint(255 * steps).astype(np.uint8).reshape(-1, 28, 28)
    said = reader.predict(images)
    answers = zip(said.labels, said.confidence, reader.refused(said), strict=True)
    return images, ["–" if no else f"{label} ({sure:.0%})" for label, sure, no in answers]


threes, fours = (np.flatnonzero(train.labels == label) for label in (3, 4))
(to_three, said), (to_four, also_said) = walk(threes[0], threes[1]), walk(threes[0], fours[0])
heading = "From the first 3 to the second, and to the first 4"
show([*to_three, *to_four], said + also_said, columns=7, heading=heading)

# %% [markdown]
# The middle of such a walk is a double exposure, not a digit halfway. How often is a middle still
# a digit to the reader? Ask it about 500 pairs of each kind.

# %%
first = rng.choice(len(points), 500, replace=False)
like = [rng.choice(np.flatnonzero(train.labels == train.labels[i])) for i in first]
unlike = [rng.choice(np.flatnonzero(train.labels != train.labels[i])) for i in first]
for name, other in (("same class", like), ("different classes", unlike)):
    middles = np.rint(127.5 * (points[first] + points[other])).astype(np.uint8)
    taken = int((~reader.refused(reader.predict(middles.reshape(-1, 28, 28)))).sum())
    low, high = wilson_interval(taken, 500)
    print(f"{name:17} {taken / 500:.1%} of the middles taken for a digit ({low:.1%} to {high:.1%})")

# %% [markdown]
# In brackets stands Wilson's 95 % interval: where the true share may lie, given only 500 pairs. To
# this reader, the middle between two digits of a class is mostly a digit; between two classes it
# often is none.

# %% [markdown]
# ## Nearest neighbours
#
# The digits nearest to a digit are found by comparing it with all others. In the first 50
# principal components this is quick, and the neighbours are nearly the same as in all 784 pixels.

# %%
search = NearestNeighbors(n_neighbors=5, algorithm="brute").fit(coordinates)
apart, neighbours = search.kneighbors()  # of each digit, itself left out
pictures, titles = [], []
for index in (0, 18, 59):
    pictures += [train.images[index], *train.images[neighbours[index]]]
    titles += [f"a {train.labels[index]}"] + [f"{away:.1f} away" for away in apart[index]]
show(pictures, titles, columns=6, heading="Three digits, and the five nearest to each")

# %%
agrees = train.labels[neighbours[:, 0]] == train.labels
low, high = wilson_interval(int(agrees.sum()), len(agrees))
print(f"the nearest digit has the same label: {agrees.mean():.2%} ({low:.2%} to {high:.2%})")

# %% [markdown]
# So the nearest digit nearly always has the same label. Now look at the rest: the closest pairs
# that do **not** agree.

# %%
pairs = np.flatnonzero(~agrees)
pairs = pairs[np.argsort(apart[pairs, 0])]
seen, pictures, titles = set(), [], []
for index in pairs:
    other = neighbours[index, 0]
    if len(pictures) < 16 and not {index, other} & seen:
        seen |= {index, other}
        pictures += [train.images[index], train.images[other]]
        titles += [f"a {train.labels[index]}", f"a {train.labels[other]}"]
show(pictures, titles, columns=8, heading="Close in pairs, and labelled differently")

# %% [markdown]
# Some pairs differ by one small stroke. Distance counts ink; meaning can hang on a little of it.
# For a few you may wonder whether the label is right.

# %% [markdown]
# ## Contested labels
#
# Some labels of the test part are in doubt. When people were asked again, the majority disagreed
# with the label of ten digits, and saw no digit or did not agree in five more. inkdigits knows
# these 15 and gives every accuracy with and without them.

# %%
contested = [*CONTESTED_LABELS, *NO_CONSENSUS]
titles = [f"{test.labels[i]}?" for i in contested]
heading = "What the label says; last row: no consensus"
show(test.images[contested], titles, columns=5, heading=heading)

# %% [markdown]
# No model can be right about all of them for the right reason. With 15 of 10,000 in doubt, the
# last tenth of a percent of an accuracy is partly about labels.

# %% [markdown]
# ## A map
#
# *t-SNE* draws a map on which near digits stay near, at the price of distorting everything else.
# It does not use the labels either. Here are 3,000 digits.

# %%
some = slice(None, None, 20)
learner = TSNE(perplexity=15, early_exaggeration_iter=100, n_iter=250, n_jobs=2, random_state=0)
places = np.asarray(learner.fit(coordinates[some]))
scatter(places, train.labels[some], "3,000 digits, sorted by likeness alone")

# %%
near_on_map = NearestNeighbors(n_neighbors=10).fit(places).kneighbors(return_distance=False)
votes = [np.bincount(train.labels[some][row]).argmax() for row in near_on_map]
right = int((votes == train.labels[some]).sum())
low, high = wilson_interval(right, len(places))
print(f"the ten nearest on the map vote for the right digit: {right / len(places):.1%}", end=" ")
print(f"({low:.1%} to {high:.1%})")

# %% [markdown]
# Compare with the two principal components above: the classes are there, as islands. But do not
# read too much into the map. How large an island is, and how far it lies from the next, says
# little, and gaps can be made by the method.

# %% [markdown]
# ## How many dimensions has the cloud?
#
# Near one digit, how many numbers can vary? If the answer is D, then the number of neighbours
# within a distance r grows like r to the power D. *TwoNN* (Facco and others, 2017) uses only the
# two nearest: of the ratio of their distances, μ = r₂ / r₁, it follows that μ is larger than x
# with probability x⁻ᴰ. Then the logarithm of μ has the mean 1 / D, so


# %%
def two_nn(points, ask=1_000, seed=0):
    """The intrinsic dimension of a cloud (N, D), and half of its 95 % interval."""
    asked = np.random.default_rng(seed).choice(len(points), ask, replace=False)
    near = distances(points[asked], points, 3)  # the point itself, the nearest, the second
    ratio = near[:, 2] / near[:, 1]
    dimension = 1 / np.log(ratio).mean()
    return dimension, 1.96 * dimension / np.sqrt(ask)


dimension, half = two_nn(points)
print(f"near a digit about {dimension:.1f} numbers vary (± {half:.1f})")

# %% [markdown]
# Can the estimate be trusted? Try it on noise whose dimension you know, as many points.

# %%
for true in (5, 10, 15, 20, 30):
    noise = rng.standard_normal((len(points), true)).astype(np.float32)
    said, half = two_nn(noise)
    print(f"noise of {true:2} dimensions: TwoNN says {said:4.1f} ± {half:.1f}")

# %% [markdown]
# Of few dimensions it is right; of many it says too few, since there even the nearest two are no
# longer near. And does it depend on how many digits there are?

# %%
counts = (1_000, 4_000, 15_000, 60_000)
found = np.array([two_nn(points[rng.permutation(len(points))[:count]]) for count in counts])
figure, axes = plt.subplots(figsize=(6.4, 3))
axes.errorbar(counts, found[:, 0], yerr=found[:, 1], marker="o", capsize=4)
axes.set(xscale="log", ylim=(0, 18), xlabel="digits in the cloud", ylabel="dimension (TwoNN)")
axes.set_xticks(counts, [f"{count:,}" for count in counts])
axes.minorticks_off()
axes.set_title("The closer you look, the more there is that varies")
plt.show()

# %% [markdown]
# More digits lie closer together, and so show finer variation. The bars say how much depends on
# which digits were asked; they do not cover what the estimator does wrong. So take the number as
# "one or two dozen". That is far below 784, and also below the components that PCA needed.

# %% [markdown]
# ## So is it a manifold?
#
# A *manifold* of D dimensions is a shape that looks flat, with D directions, if you come close
# enough, as the Earth looks flat to those who live on it. What could such directions be? Take the
# 2s alone, and go from their mean along the components in which they vary most.

# %%
twos = points[train.labels == 2]
of_twos = PCA(n_components=3, svd_solver="covariance_eigh").fit(twos)
pictures, titles = [], []
for number in range(3):
    step = np.sqrt(of_twos.explained_variance_[number]) * of_twos.components_[number]
    for amount in (-2, -1, 0, 1, 2):  # standard deviations from the mean
        pictures.append(255 * (of_twos.mean_ + amount * step).reshape(28, 28))
        titles.append(f"{amount:+} sd" if amount else f"mean ({number + 1})")
show(pictures, titles, 5, "The 2s, along their components 1, 2 and 3")

# %% [markdown]
# The rows are slant and loop, height, and the thickness of the pen: things that a hand does.
#
# TwoNN says that D is small; yet PCA needed far more directions. Both can be true if the shape is
# **bent**. Test that: rebuild digits from flat pieces of 15 dimensions, either one for all (PCA's
# first 15 components), or one through the 16 digits nearest to each.

# %%
asked, known = points[:200], points[1000:]
axes_kept = pca.components_[:15]
centred = asked - pca.mean_
one_for_all = ((centred - centred @ axes_kept.T @ axes_kept) ** 2).mean(axis=1)
own, far = [], []
for point in asked:
    near = np.argpartition(((known - point) ** 2).sum(axis=1), 16)[:16]
    for errors, chosen in ((own, near), (far, rng.choice(len(known), 16, replace=False))):
        middle, *others = known[chosen]
        directions = np.array(others) - middle
        steps, *_ = np.linalg.lstsq(directions.T, point - middle, rcond=None)
        errors.append(np.mean((point - middle - steps @ directions) ** 2))
print("mean squared error of a pixel, rebuilt from 15 directions:")
for name, errors in (("PCA", one_for_all), ("the 16 nearest", own), ("16 random digits", far)):
    print(f"{name:17} {np.mean(errors):.4f}")

# %% [markdown]
# With the same number of directions, the flat piece next to the digit is much better than the best
# one for all digits. (It has help: which 16 are near is found from the digit itself. PCA has help
# too: it was fitted on these digits among others.) That is what a bent, thin cloud looks like from
# within.
#
# What "MNIST is a low-dimensional manifold" then **means**: near a digit only one or two dozen
# things vary, of the kind that you saw in the 2s, and not 784. It is one reason why some thousand
# examples can teach a model something.
#
# What it does **not** mean:
#
# - not one number: the estimate grows with the digits, and it differs from class to class
#   (exercise 3);
# - not flat: no handful of straight directions will do;
# - not one smooth sheet: nothing on this page shows that it has no gaps;
# - not a sharp border: the reader refused some middles between digits and took others.
#
# The whole of this, with three estimators, maps of all 70,000 digits, loops, walks along the
# cloud and a verdict by stated tests, is what [`inkdigits explore`](../explore.md) writes:
# `inkdigits explore --quick -o space`.

# %% [markdown]
# ## Exercises
#
# ### Exercise 1: how many digits does a neighbour need?
#
# Let the nearest digit give its label. How often is it right if only 100 digits are known, or
# 1,000, 10,000, 50,000? Ask for 2,000 training digits that are not among the known ones. What do
# ten times the digits buy?

# %% tags=["hide-cell"]
# Solution
shuffled = rng.permutation(len(points))
asked = shuffled[:2_000]
for count in (100, 1_000, 10_000, 50_000):
    known = shuffled[2_000 : 2_000 + count]
    search = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(coordinates[known])
    nearest = search.kneighbors(coordinates[asked], return_distance=False)[:, 0]
    right = int((train.labels[known][nearest] == train.labels[asked]).sum())
    low, high = wilson_interval(right, len(asked))
    print(f"{count:6,} known: {right / 2_000:6.1%} right ({low:.1%} to {high:.1%})")

# %% [markdown] tags=["hide-cell"]
# Ten times the digits take away more than half of the errors, and the curve has not ended: with yet
# more digits there would be fewer errors still.

# %% [markdown]
# ### Exercise 2: what if the pixels were shuffled?
#
# Put the 784 pixels in another order, the same for every digit. You could not read a single one.
# Which results of this page would change: the components' shares, the distances, the dimension?

# %% tags=["hide-cell"]
# Solution
order = rng.permutation(784)
shuffled_points = points[:, order]
show(255 * shuffled_points[:8].reshape(-1, 28, 28), train.labels[:8].tolist(), heading="Shuffled")
shuffled_pca = PCA(svd_solver="covariance_eigh").fit(shuffled_points)
change = np.abs(shuffled_pca.explained_variance_ratio_ - pca.explained_variance_ratio_).max()
print(f"largest change of a component's share: {change:.1e}")
print(f"TwoNN before {two_nn(points)[0]:.3f}, after {two_nn(shuffled_points)[0]:.3f}")

# %% [markdown] tags=["hide-cell"]
# None, but for rounding. PCA, distances and TwoNN do not know which pixels are neighbours: to them
# a picture is a list. [The next tutorial](from_regression_to_a_network.py) has models of both
# kinds.

# %% [markdown]
# ### Exercise 3: is a 1 simpler than an 8?
#
# Estimate the dimension of each class on its own, with the same number of digits of each.

# %% tags=["hide-cell"]
# Solution
found = []
for label in range(10):
    members = np.flatnonzero(train.labels == label)[:5_000]
    found.append(two_nn(points[members], ask=2_000))
figure, axes = plt.subplots(figsize=(6.4, 3))
values, halves = np.array(found).T
axes.errorbar(range(10), values, yerr=halves, fmt="o", capsize=4)
axes.set(xticks=range(10), ylim=(0, 20), xlabel="class", ylabel="dimension (TwoNN)")
axes.set_title("5,000 digits of each class among their own kind")
plt.show()

# %% [markdown] tags=["hide-cell"]
# The 1 has the fewest dimensions, as one may expect of a single stroke. But even there a dozen
# numbers vary: slant, length and thickness are not all.

# %% [markdown]
# ### Exercise 4: the loneliest digits
#
# For each class find the digit whose nearest neighbour is farthest away. Are they wrong labels,
# bad scans, or rare ways to write?

# %% tags=["hide-cell"]
# Solution
lonely = []
for label in range(10):
    members = np.flatnonzero(train.labels == label)
    lonely.append(members[apart[members, 0].argmax()])
titles = [f"{train.labels[i]}, {apart[i, 0]:.1f} away" for i in lonely]
show(train.images[lonely], titles, columns=5, heading="The farthest from any other digit")
print(f"the median digit has its nearest {np.median(apart[:, 0]):.1f} away")
