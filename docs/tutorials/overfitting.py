# %% [markdown]
# # Overfitting and what to do about it
#
# You will make a network overfit until it hurts, see what exactly goes wrong, and then try the
# usual remedies one by one: dropout, L2, batch norm, augmentation, early stopping, more data.
# Each is tried with five seeds, so that you can tell what helped from what was luck.
#
# Needed: `pip install "inkdigits[lab]"`. It takes a few minutes on two cores, without a GPU or a
# network connection.

# %%
import matplotlib.pyplot as plt
import numpy as np
from joblib import Parallel, delayed

import inkdigits
from inkdigits import DigitClassifier, load_digits
from inkdigits.lab.ablation import estimate
from inkdigits.measure import accuracy, negative_log_likelihood, wilson_interval

plt.style.use("inkdigits.lab.ink")

# %% [markdown]
# ## Three piles
#
# *Learning*, *choosing* and *reporting* need digits of their own. You learn from a few digits of
# the first pile, choose between remedies on the **held-out** digits, and open the **test** set
# once, at the end.
#
# MNIST has 60,000 digits to learn from, which hides overfitting. So you learn from a few hundred
# of them only, as if somebody had to label them by hand.

# %%
pile, held = load_digits("mnist:train").split(3_000, seed=0)


def draw(count, seed):
    """So many digits of the pile; a larger count with the same seed includes the smaller."""
    return pile.take(np.random.default_rng(seed).permutation(len(pile))[:count])


print(f"{len(pile):,} to draw from, {len(held):,} held out")

# %% [markdown]
# The first network is plain: 784 pixels, a dense layer of 512 units, one of 128, ten outputs, and
# nothing to restrain it.

# %%
run = inkdigits.train(
    draw(1_500, seed=0),
    net="a-mlp-relu-adam",
    validation=500,  # digits that are watched, not learnt from
    epochs=40,
    batch=32,
    output="runs/overfit",
    force=True,
)
weights, learnt = run.metrics["parameters"], run.metrics["train"]["of"]
print(f"{weights:,} weights to learn {learnt:,} digits: {weights / learnt:.0f} for each")

# %% [markdown]
# ## The two curves
#
# While it trains, `train` writes `history.csv`: a row an epoch (one pass over the digits). The
# **loss** is the mean of −ln of the probability that the network gave to the right digit, in
# nats: 0 for certainty that is right, 2.3 for guessing, more for certainty that is wrong.

# %%
history = np.genfromtxt(run.folder / "history.csv", delimiter=",", names=True)

fig, (top, bottom) = plt.subplots(2, 1, figsize=(6.2, 5.6), sharex=True)
for axes, what in ((top, "loss"), (bottom, "accuracy")):
    axes.plot(history["epoch"], history[f"train_{what}"], label="digits learnt from")
    axes.plot(history["epoch"], history[f"validation_{what}"], label="digits held out")
    axes.set_ylabel(what)
top.set(title="The held-out loss turns round and rises", ylim=(0, 0.8))
bottom.set(title="Held-out accuracy stays where it is", xlabel="epoch", ylim=(0.75, 1.01))
bottom.legend(loc="lower right")
plt.show()

# %%
best = int(history["validation_loss"].argmin())
for name, row in (("best epoch", best), ("last epoch", -1)):
    right = round(history["validation_accuracy"][row] * 500)
    low, high = wilson_interval(right, 500)
    epoch, loss = history["epoch"][row], history["validation_loss"][row]
    print(f"{name} ({epoch:.0f}): held-out loss {loss:.3f}, accuracy {right / 500:.1%}")
    print(f"   (95 % interval of the accuracy {low:.1%} to {high:.1%})")

# %% [markdown]
# This is **overfitting** in both its meanings. The *gap*: everything that was learnt from is
# known, what was not is known less well. And the *turn*: past the best epoch the held-out loss
# gets worse while nothing is left to gain.
#
# (One network, one seed, 500 held-out digits: look at the shape, not at the second decimal.)
#
# Yet the accuracy does not fall. How can the loss rise when the answers stay as good as they
# were?
#
# ## Why the loss rises and the accuracy does not
#
# Train the same network twice on 1,000 digits, once to the epoch of the lowest loss, once to the
# end. Then look only at the held-out digits that each reads *wrongly*: how sure was it?

# %%
few = draw(1_000, seed=0)


def plain(labels, **changes):
    """The plain network, taught the few digits with these labels."""
    settings = {"batch": 32, "epochs": 40} | changes
    return DigitClassifier("a-mlp-relu-adam", settings=settings).fit(few.images, labels)


early = plain(few.labels, epochs=best + 1)
late = plain(few.labels)

# %%
bins = np.linspace(0.2, 1, 17)
for name, model, style in (("stopped early", early, "step"), ("to the end", late, "stepfilled")):
    said = model.predict_proba(held.images)
    wrong = said.argmax(1) != held.labels
    sure = said.max(1)[wrong]
    plt.hist(sure, bins, histtype=style, lw=2, alpha=0.8, label=f"{name}: {wrong.sum()} wrong")
    loss = negative_log_likelihood(said, held.labels)
    print(f"{name}: {1 - wrong.mean():.2%} right, loss {loss:.3f};", end=" ")
    print(f"median sureness of the wrong ones {np.median(sure):.0%}")
plt.title("The longer it learns, the surer it is of its mistakes")
plt.xlabel("how sure it was of a wrong answer")
plt.ylabel("held-out digits")
plt.legend()
plt.show()

# %% [markdown]
# The network goes on to make its right answers surer, since that is all it can still gain on
# digits it already knows. It gets surer of its wrong answers in the same stroke. Accuracy counts
# answers and does not see this. The loss does, and so does anybody who acts on "99 % sure".
#
# ## It can learn nonsense by heart
#
# How much can such a network memorise? Shuffle the labels: every image keeps its pixels and gets
# the label of some other one. There is nothing left to understand (Zhang and others,
# "Understanding deep learning requires rethinking generalization", 2017).

# %%
nonsense = np.random.default_rng(0).permutation(few.labels)
parrot = plain(nonsense)

epochs = np.arange(1, 41)
plt.plot(epochs, late.history_["train_accuracy"], label="true labels")
plt.plot(epochs, parrot.history_["train_accuracy"], label="shuffled labels")
plt.axhline(0.1, color="0.5", lw=1, ls="--")
plt.title("Shuffled labels take longer, and are learnt as well")
plt.xlabel("epoch")
plt.ylabel("accuracy on what it learns")
plt.legend(loc="center right")
plt.show()

# %%
for name, model, labels in (("true", late, few.labels), ("shuffled", parrot, nonsense)):
    learnt = accuracy(labels, model.predict(few.images))
    right = int((model.predict(held.images) == held.labels).sum())
    low, high = wilson_interval(right, len(held))
    print(f"{name:8} labels: {learnt:.1%} of those learnt, ", end="")
    print(f"{right / len(held):.1%} of those held out ({low:.1%} to {high:.1%})")
print(f"shuffled labels that are right by luck: {accuracy(few.labels, nonsense):.1%}")

# %% [markdown]
# Training accuracy therefore proves nothing: perfect here, beside about one held-out digit in
# ten. Only digits that were not learnt from tell the two networks apart. (The last line: a few
# shuffled labels are right by luck, and on new digits the network is right about as often.)
#
# ## The remedies
#
# | remedy | what it does |
# |---|---|
# | dropout | switches off random units at each step, so that none can rely on another |
# | L2 (weight decay) | pulls every weight towards zero a little at each step |
# | batch norm | standardises what a layer hands on, by the batch while learning |
# | augmentation | turns, shifts, scales and shears each digit anew in each epoch |
# | early stopping | holds some digits out and stops when their loss no longer falls |
# | more digits | the dull one |
#
# For these you need a network that has switches for them. `b-plain` has three convolutions and
# three dense layers; here it has half its width, to save your time. It learns from 500 digits,
# about fifty of each, in 30 epochs. Four times the digits get a quarter of the epochs, so that
# the number of steps is the same. Early stopping gets no digits beyond the 500: it holds 100 of
# them out to watch.

# %%
dropout = {"dropout": None}  # None: the rates the network was designed with, 0.1 to 0.4
decay = {"weight_decay": 5e-4}
norm = {"batch_norm": True}
warp = {"augmentation": "affine", "shift": 1, "turn": 12.0}
REMEDIES = {
    "nothing": {},
    "dropout": dropout,
    "L2": decay,
    "batch norm": norm,
    "augmentation": warp,
    "early stopping": {"patience": 5, "validation": 100},
    "four times the digits": {"epochs": 7.5},
    "dropout + augmentation": dropout | warp,
    "all four": dropout | decay | norm | warp,
}

# %% [markdown]
# What augmentation makes of one digit, eight times over:

# %%
import torch

from inkdigits.nets.augment import augment
from inkdigits.nets.catalogue import settings_for

one = torch.from_numpy(few.images[few.labels == 4][:1]).float().div(255)[None].repeat(8, 1, 1, 1)
moved = augment(one, settings_for("b-plain", **warp), torch.Generator().manual_seed(0))
fig, places = plt.subplots(1, 9, figsize=(6.4, 1.0))
for axes, image in zip(places, [one[0], *moved], strict=True):
    axes.imshow(image[0])
    axes.axis("off")
places[0].set_title("the digit", fontsize=9, loc="center")
places[4].set_title("what the network sees instead", fontsize=9, loc="center")
plt.show()

# %% [markdown]
# Five **seeds** each. A seed decides which 500 digits are drawn, the first weights, and the order
# of the digits. All nine networks of a seed share these, so you may compare them pair by pair.
# `Parallel` keeps two cores busy, a network each.

# %%
BASE = {"widen": 0.5, "batch": 32, "learning_rate": 0.002, "epochs": 30}
SEEDS = range(5)


def digits_for(name, seed):
    return draw(2_000 if name == "four times the digits" else 500, seed)


def learn(digits, changes, seed):
    """The network with some settings changed, taught some digits, and what it then reads."""
    model = DigitClassifier("b-plain", seed=seed, settings=BASE | changes)
    model.fit(digits.images, digits.labels)
    said = model.predict_proba(held.images)
    return model, {
        "learnt": accuracy(digits.labels, model.predict(digits.images)),
        "held": accuracy(held.labels, said.argmax(1)),
        "loss": negative_log_likelihood(said, held.labels),
        "epochs": model.n_iter_,
    }


# %%
tasks = [(name, seed) for seed in SEEDS for name in REMEDIES]
jobs = [delayed(learn)(digits_for(*task), REMEDIES[task[0]], task[1]) for task in tasks]
done = dict(zip(tasks, Parallel(n_jobs=2)(jobs), strict=True))


def mean(name, what):
    return np.mean([done[name, seed][1][what] for seed in SEEDS])


print(f"{len(done)} networks trained and asked;", end=" ")
print(f"early stopping ended after {mean('early stopping', 'epochs'):.0f} epochs on average")

# %% [markdown]
# Accuracy on the digits learnt from was measured *after* training, on the digits as they are,
# dropout off. (What a training log shows was counted with dropout on and digits warped; exercise
# 4 shows how that misleads.)

# %%
fig, axes = plt.subplots(figsize=(6.4, 4.2))
for place, name in enumerate(REMEDIES):
    know, read = 100 * mean(name, "learnt"), 100 * mean(name, "held")
    axes.plot([read, know], [place, place], color="0.8", zorder=1)
    axes.scatter(know, place, color="C0", label=None if place else "learnt from")
    axes.scatter(read, place, color="C1", label=None if place else "held out")
    axes.text(read - 0.25, place, f"{know - read:.1f}", ha="right", va="center")
lowest = min(100 * mean(name, "held") for name in REMEDIES)
axes.set(yticks=range(len(REMEDIES)), yticklabels=REMEDIES, xlim=(lowest - 1.5, 100.4))
axes.set(title="The gap, in points, and where it ends", xlabel="accuracy, %, mean of five seeds")
axes.invert_yaxis()
fig.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=2)
plt.show()

# %% [markdown]
# A smaller gap is not the aim. What counts is how far right the orange dot is.
#
# ## What each one buys
#
# For each remedy: its accuracy less that of the network with nothing, seed by seed, then the mean
# and Student's 95 % interval of these five differences. What makes a seed easy or hard falls out
# of the difference. An interval that holds zero means that five seeds do not show a gain; it does
# not prove that there is none.

# %%
effects = {}
print(f"{'':23} {'points of accuracy':24}   change of loss")
for name in list(REMEDIES)[1:]:
    pairs = [(done["nothing", seed][1], done[name, seed][1]) for seed in SEEDS]
    points = estimate(100 * (after["held"] - before["held"]) for before, after in pairs)
    loss = estimate(after["loss"] - before["loss"] for before, after in pairs)
    effects[name] = {"held": points, "loss": loss}
    shown = f"{points.mean:+.2f} ({points.low:+.2f} to {points.high:+.2f})"
    print(f"{name:23} {shown:24}   {loss.mean:+.3f} ({loss.low:+.3f} to {loss.high:+.3f})")

# %%
fig, (left, right) = plt.subplots(1, 2, figsize=(6.4, 3.6), sharey=True)
for axes, what in ((left, "held"), (right, "loss")):
    for place, it in enumerate(gains[what] for gains in effects.values()):
        worse = it.mean < 0 if what == "held" else it.mean > 0
        colour = ("C1" if worse else "C0") if it.sure else "0.6"
        axes.plot([it.low, it.high], [place, place], color=colour)
        axes.scatter(it.mean, place, color=colour, zorder=2)
    axes.axvline(0, color="0.3", lw=1)
left.set(title="Accuracy, points", xlabel="more is better")
left.set(yticks=range(len(effects)), yticklabels=effects)
right.set(title="Loss, nats", xlabel="less is better")
left.invert_yaxis()
plt.show()

# %%
for what, word, sign in (("held", "accuracy", 1), ("loss", "loss", -1)):
    verdicts = {"better": [], "worse": [], "not told from nothing": []}
    for name, gains in effects.items():
        it = gains[what]
        better = "better" if sign * it.mean > 0 else "worse"
        verdicts[better if it.sure else "not told from nothing"].append(name)
    for verdict, names in verdicts.items():
        print(f"{word}, {verdict}: {', '.join(names) or 'none'}")

# %% [markdown]
# Some things to read out of it:
#
# - Augmentation is the nearest thing to more digits, and it is free: you told the network
#   something true that it could not know, that a digit turned a little is the same digit.
# - Remedies do not add up. Two that mend the same fault mend it once.
# - Early stopping saves time, and pays with the digits that it has to hold out. With few digits
#   that is dear, and a hundred digits are too few to say when the loss turns.
# - A remedy can be worth its place for the loss alone, if you mean to use the probabilities.
#
# There are sixteen intervals here. Of twenty without any true effect, one would leave out zero by
# chance; so a result that only just does is a reason for more seeds, not for a conclusion.
#
# ## The test set, once
#
# Choose by held-out accuracy among those that got by with 500 digits. Only now the test set is
# opened, for two networks: the chosen one, and the one with nothing.

# %%
fair = [name for name in REMEDIES if name != "four times the digits"]
chosen = max(fair, key=lambda name: mean(name, "held"))
test = load_digits("mnist:test")
scores = {}
for name in ("nothing", chosen):
    said = [done[name, seed][0].predict(test.images) for seed in SEEDS]
    scores[name] = [accuracy(test.labels, some) for some in said]
    spread = np.std(scores[name], ddof=1)
    low, high = wilson_interval(int((said[0] == test.labels).sum()), len(test))
    print(f"{name}: {np.mean(scores[name]):.2%} ± {spread:.2%} of the test digits, five seeds;")
    print(f"   seed 0 alone {scores[name][0]:.2%} (95 % interval {low:.2%} to {high:.2%})")
pairs = zip(scores["nothing"], scores[chosen], strict=True)
gain = estimate(100 * (after - before) for before, after in pairs)
print(f"{chosen} buys {gain.mean:+.2f} points ({gain.low:+.2f} to {gain.high:+.2f})")
print(f"on the held-out digits it was {effects[chosen]['held'].mean:+.2f}")

# %% [markdown]
# Two kinds of uncertainty stand here side by side. Wilson's interval is for *one network* and the
# luck of *which test digits* there are. The ± and the interval of the difference are about the
# luck of *training*: which digits, which seed.
#
# ## The whole table
#
# You have seen one network, half as wide as it should be, with 500 digits. The command
#
# ```
# inkdigits ablate --quick -o ablation
# ```
#
# does the same for dropout, L2 and batch norm in all eight combinations, on the full width, and
# `inkdigits ablate -o ablation` for many more changes and for 400 to 16,000 digits. It takes
# hours and writes a report. What came out of it is [on its page](../ablate.md): the more digits
# there are, the less there is left for the remedies to do.

# %% [markdown]
# ### Exercise 1: How strong must L2 be?
#
# Above, L2 had a strength of 5e-4. Is it the wrong remedy, or the wrong dose? Try 2e-3 to 3e-2,
# two seeds each, on the held-out digits. What happens to accuracy and to loss?

# %% tags=["hide-cell"]
# Solution
strengths = (2e-3, 1e-2, 3e-2)
pairs = [(strength, seed) for strength in strengths for seed in (0, 1)]
jobs = []
for strength, seed in pairs:
    jobs.append(delayed(learn)(draw(500, seed), {"weight_decay": strength}, seed))
doses = dict(zip(pairs, Parallel(n_jobs=2)(jobs), strict=True))
doses |= {(0, seed): done["nothing", seed] for seed in (0, 1)}
for strength in (0, *strengths):
    some = [doses[strength, seed][1] for seed in (0, 1)]
    right, loss = np.mean([[one["held"], one["loss"]] for one in some], axis=0)
    print(f"L2 {strength:<7g} {right:.2%} right, loss {loss:.3f}")

# %% [markdown] tags=["hide-cell"]
# A stronger dose keeps the weights small and so the network from being too sure: the loss falls.
# Accuracy hardly moves until the dose is so strong that the network cannot learn. Two seeds tell
# no more than that.

# %% [markdown]
# ### Exercise 2: Can a remedy keep it from learning nonsense?
#
# Shuffled labels were learnt by heart. Do L2 (5e-4), augmentation, early stopping (`patience=3`)
# prevent that, in the same 40 epochs? What does each of them see that tells it something is
# wrong?

# %% tags=["hide-cell"]
# Solution
tries = {"nothing": {}, "L2": decay, "augmentation": warp}
tries["early stopping"] = {"patience": 3, "validation": 200}
for name, changes in tries.items():
    model = parrot if name == "nothing" else plain(nonsense, **changes)
    learnt = accuracy(nonsense, model.predict(few.images))
    print(f"{name:14} {learnt:6.1%} of the shuffled labels learnt, {model.n_iter_} epochs")

# %% [markdown] tags=["hide-cell"]
# L2 in this dose changes nothing, and augmentation only makes it slower. Early stopping alone
# finds out: it asks digits that were not learnt from, and on these there is nothing to gain.

# %% [markdown]
# ### Exercise 3: Is it knowledge or confidence?
#
# Overfitting made the network too sure. Divide its log-probabilities by one number *T* and
# normalise again; this cannot change any answer. Find the best *T* on half of the held-out digits
# and measure the loss on the other half. How much of the damage does one number mend?


# %% tags=["hide-cell"]
# Solution
def soften(said, temperature):
    powered = np.maximum(said, 1e-30) ** (1 / temperature)
    return powered / powered.sum(1, keepdims=True)


said = late.predict_proba(held.images)
one, other = slice(0, None, 2), slice(1, None, 2)
temperatures = np.linspace(1, 6, 51)
losses = [negative_log_likelihood(soften(said[one], t), held.labels[one]) for t in temperatures]
t = temperatures[int(np.argmin(losses))]
kept = early.predict_proba(held.images)
tries = {"as it is": said, f"T = {t:.1f}": soften(said, t), "stopped early": kept}
for name, some in tries.items():
    loss = negative_log_likelihood(some[other], held.labels[other])
    print(f"{name:13} loss {loss:.3f} on the other half")

# %% [markdown] tags=["hide-cell"]
# The rise of the loss was confidence, not lost knowledge: softened, the network trained to the
# end is no worse than the one that was stopped. `inkdigits train` fits this number on the digits
# it holds out and writes it into the model (`metrics.json` calls it `temperature`), so a model
# that was trained too long is still honest about how sure it is.

# %% [markdown]
# ### Exercise 4: The gap that misleads
#
# A training log counts accuracy *while* learning. For the networks above it is in
# `model.history_["train_accuracy"]`. Compare its last value with the accuracy on the same digits
# after training, and with that on held-out digits. With which remedy would the log make you
# believe that there is no gap?

# %% tags=["hide-cell"]
# Solution
for name in ("nothing", "dropout", "augmentation", "all four"):
    log = np.mean([done[name, seed][0].history_["train_accuracy"][-1] for seed in SEEDS])
    after, read = mean(name, "learnt"), mean(name, "held")
    print(f"{name:13} log {log:.1%}, after training {after:.1%}, held out {read:.1%}")

# %% [markdown] tags=["hide-cell"]
# With dropout and warped digits the log can lie below the held-out accuracy: the network is
# examined with units missing, on harder digits. The gap is still there.
