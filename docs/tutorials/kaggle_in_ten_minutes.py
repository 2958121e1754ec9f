# %% [markdown]
# # Kaggle in ten minutes
#
# From `train.csv` and `test.csv` to a `submission.csv`: you will train, say beforehand what the
# leaderboard will show and how sure that is, find the rows in doubt, and try an ensemble. Then
# the awkward part: how the answers leak into this competition, and how a leaderboard fools people
# who cheat nobody.
#
# Needed: `pip install "inkdigits[lab]"`. It takes a few minutes on two cores, without a GPU or a
# network connection.

# %%
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import inkdigits
from inkdigits import Digits, load_digits, save_digits
from inkdigits.digits.dataset import pixel_hashes
from inkdigits.measure import confusion_matrix, mcnemar, wilson_interval

plt.style.use("inkdigits.lab.ink")

# %% [markdown]
# ## The files
#
# Kaggle's [Digit Recognizer](https://www.kaggle.com/c/digit-recognizer) has 42,000 digits with
# labels and 28,000 without. If you have them, put them into the folder `kaggle/` before you
# begin, and this page uses them. If not, it makes two files of that shape out of the MNIST inside
# the package.

# %%
folder = Path("kaggle")
folder.mkdir(exist_ok=True)
train_csv, test_csv = folder / "train.csv", folder / "test.csv"
if not train_csv.exists():
    mnist = load_digits("mnist")
    order = np.random.default_rng(28_000).permutation(len(mnist))
    save_digits(mnist.take(order[:42_000]), train_csv)
    save_digits(Digits(mnist.images[order[42_000:]]), test_csv)  # without labels

with train_csv.open() as file:
    print(file.readline()[:60], "…")
    print(file.readline()[:60], "…")

# %% [markdown]
# Look before you train: `inkdigits data kaggle/train.csv` in the shell, or

# %%
print(inkdigits.data(train_csv).text())

# %%
train = load_digits(train_csv)
test = load_digits(test_csv)

fig, places = plt.subplots(3, 10, figsize=(6.4, 2.1))
for digit, column in enumerate(places.T):
    for axes, image in zip(column, train.images[train.labels == digit], strict=False):
        axes.imshow(image)
        axes.axis("off")
fig.suptitle("Three of each digit of train.csv", fontsize=11)
plt.show()

# %% [markdown]
# The classes are about equally frequent, no image comes twice, and pixels go from 0 (paper) to
# 255 (ink). Remember the two last lines of the table; they come back below.
#
# ## Train
#
# ```
# inkdigits train kaggle/train.csv --target 99.3 -o runs/kaggle
# ```
#
# `--target 99.3` is the quicker preset, for the sake of this page. Leave it out for a better
# model.

# %%
recipe = {"target": "99.3", "force": True}  # force: replace the run of an earlier reading
run = inkdigits.train(train_csv, output="runs/kaggle", say=print, **recipe)

# %% [markdown]
# ## What will the leaderboard say?
#
# 5,000 rows of `train.csv` were **held out**: the network has not learnt from them. They were
# drawn at random from the same file, as the rows of `test.csv` were, so they stand for them. That
# is what makes the forecast honest; it would not be one for digits of other people.

# %%
checked = run.metrics["validation"]
right = checked["n"] - checked["errors"]
low, high = wilson_interval(right, checked["n"])
print(f"{right:,} of {checked['n']:,} held-out rows right: {right / checked['n']:.2%}")
print(f"95 % interval of the model's true rate: {low:.2%} to {high:.2%}")

# %% [markdown]
# Wilson's interval is for the rate that the model would have on endlessly many digits. The score
# is counted on 28,000, so it has some luck of its own. Draw a true rate that fits what you saw,
# then 28,000 rows with it, many times over:

# %%
rng = np.random.default_rng(0)
rates = rng.beta(right + 0.5, checked["errors"] + 0.5, 100_000)  # Jeffreys' interval, made of draws
scores = rng.binomial(28_000, rates) / 28_000
forecast = np.quantile(scores, [0.025, 0.975])
print(f"95 % forecast of the score: {forecast[0]:.5f} to {forecast[1]:.5f}")

# %% [markdown]
# Nearly all of this width comes from the 5,000 held-out rows, not from the 28,000. If somebody
# names a score to five digits before submitting, ask how many rows it was counted on.
#
# ## Submit
#
# ```
# inkdigits predict kaggle/test.csv -m runs/kaggle -o submission.csv
# ```

# %%
submission = inkdigits.predict(test_csv, model=run.folder, output="submission.csv")
print(submission.text())

# %% [markdown]
# It has checked the file. Check it yourself, once: the header, ids from 1 to 28,000 in order,
# digits only.

# %%
lines = Path("submission.csv").read_text().splitlines()
ids, labels = np.array([line.split(",") for line in lines[1:]], int).T
print(lines[:4])
print("ids in order:", bool((ids == np.arange(1, len(test) + 1)).all()))
print("rows of each digit:", np.bincount(labels))

# %% [markdown]
# ## Which rows are in doubt
#
# Every answer comes with a probability. `--details` writes it into the file, beside columns that
# Kaggle would not accept; in Python you get it when you name no output.

# %%
said = inkdigits.predict(test_csv, model=run.folder).predictions
doubt = np.argsort(said.confidence)
print(f"it expects to be wrong on {(1 - said.confidence).sum():.0f} of {len(test):,} rows:")
print(f"a score of {said.confidence.mean():.5f}")

fig, places = plt.subplots(3, 8, figsize=(6.4, 3.1))
for axes, row in zip(places.flat, doubt, strict=False):
    axes.imshow(test.images[row])
    axes.set_title(f"{said.labels[row]}? {said.confidence[row]:.0%}", fontsize=9, loc="center")
    axes.axis("off")
fig.suptitle("The rows of test.csv of which it is least sure", fontsize=11)
plt.show()

# %% [markdown]
# The sum of its doubts is a second forecast, and it needs no labels. It is as good as the
# probabilities are, and these were set right on the held-out rows.
#
# ## Does an ensemble help?
#
# An **ensemble** answers with the mean of several networks, here networks that differ in the seed
# alone.
#
# ```
# inkdigits train kaggle/train.csv --target 99.3 --seed 1 -o runs/kaggle-1
# inkdigits train kaggle/train.csv --target 99.3 --seed 2 -o runs/kaggle-2
# inkdigits ensemble runs/kaggle runs/kaggle-1 runs/kaggle-2 -o three.onnx
# ```

# %%
runs = [run.folder]
for seed in (1, 2):
    another = inkdigits.train(train_csv, seed=seed, output=f"runs/kaggle-{seed}", **recipe)
    runs.append(another.folder)
for name, members in (("two", runs[:2]), ("three", runs)):
    print(inkdigits.ensemble(members, output=f"{name}.onnx").text())

# %% [markdown]
# Judge them on the held-out rows. `split` holds out the same rows as the three trainings did,
# since the `split_seed` was 0 for all of them. Do not take it on trust: `overlap` counts the rows
# that a run has learnt from.

# %%
_, held = train.split(checked["n"], seed=0)
for model in (*runs, "two.onnx", "three.onnx"):
    scored = inkdigits.predict(held, model=model)
    wrong = int((scored.predictions.labels != held.labels).sum())
    low, high = wilson_interval(len(held) - wrong, len(held))
    seen = "" if scored.overlap is None else f"; learnt from: {scored.overlap}"
    print(f"{scored.model:9} {wrong} wrong, {scored.accuracy:.2%} ({low:.2%} to {high:.2%}){seen}")

# %% [markdown]
# The intervals overlap, but that settles nothing: all were asked the same rows. Compare row by
# row. McNemar's test counts the rows that only one of two models reads, and asks how often a fair
# coin would fall so unevenly.

# %%
versus = inkdigits.evaluate("three.onnx", held, against=run.folder)
print(versus.against_text())

# %% [markdown]
# How large would a gain have to be, for 5,000 rows to show it? With as many rows on which the two
# differ, try all ways of dividing them up:

# %%
differ = versus.against.test.only_first + versus.against.test.only_second
for mended in range(differ // 2, differ + 1):
    is_mended = np.arange(differ) < mended
    if mcnemar(is_mended, ~is_mended).p < 0.05:
        print(f"of {differ} rows on which one alone is right, {mended} must be the ensemble's:")
        print(f"a gain of {100 * (2 * mended - differ) / len(held):.2f} points or more")
        break

# %% [markdown]
# That an ensemble of networks of one kind gains a little is long known (Hansen and Salamon,
# 1990). On your rows it may not show. Both are true: a small effect, and too few rows to see it.
# So take the ensemble because you have reason to, not because it got two more rows right.
#
# ## What leaks
#
# Look at `test.csv` as you looked at `train.csv`:

# %%
for place, count in inkdigits.data(test_csv).parts["all"].found_in.items():
    print(f"{count:,} of the {len(test):,} rows of test.csv stand, pixel for pixel, in {place}")

# %% [markdown]
# All of them. Kaggle's 70,000 digits *are* MNIST's, dealt anew. Whoever trains "on MNIST" has
# trained on the answers, and MNIST comes with most libraries. A **leak** is any way by which what
# is to be predicted gets into the learning.
#
# See what it does. Take a plain network, three dense layers, which is no match for yours, and
# train it on all of MNIST:
#
# ```
# inkdigits train mnist:train --extra mnist:test --net a-mlp-relu-adam --epochs 6 \
#     --set batch=256 --set schedule=one-cycle --set learning_rate=0.003 -o runs/leaky
# ```

# %%
changes = {"epochs": 6, "batch": 256, "schedule": "one-cycle", "learning_rate": 0.003}
leaky = inkdigits.train(
    "mnist:train",
    extra=["mnist:test"],
    net="a-mlp-relu-adam",
    output="runs/leaky",
    force=True,
    **changes,
)
print(leaky.text())

# %%
print(inkdigits.predict(test_csv, model=leaky.folder, output="leaky.csv").text())

# %% [markdown]
# A run keeps fingerprints of the images that it was trained on, so `predict` notices, and tells
# you. It can do so because you trained the network with it: a model that somebody hands you keeps
# silent about what it has seen.
#
# What would that submission score? For once, look the labels up. This is the leak in its purest
# form: a table from fingerprint to label, and no learning at all.

# %%
mnist = load_digits("mnist")
table = dict(zip(pixel_hashes(mnist.images).tolist(), mnist.labels.tolist(), strict=True))
truth = np.array([table.get(row, 255) for row in pixel_hashes(test.images).tolist()])
known = truth < 10
answers = Digits(test.images[known], truth[known], "test.csv, looked up")
print(f"{known.sum():,} of {len(test):,} rows found: a score of {known.mean():.5f} without a model")

# %% [markdown]
# So a perfect score on this leaderboard says nothing about reading. Use the table for one thing
# only: to find out what your submissions are worth.

# %%
versus = inkdigits.evaluate(leaky.folder, answers, against=run.folder)
print(versus.text())
print("\n".join(versus.warnings()))

# %% [markdown]
# The plain network wins the leaderboard. `evaluate` says why, and puts the figure without the
# images it was trained on beside the raw one: some 2,000 rows had been held out of that training,
# and on these your network reads far more than it does.
#
# And your forecast?

# %%
results = {}
for name, model in (("one", run.folder), ("three", "three.onnx")):
    results[name] = inkdigits.predict(answers, model=model).predictions.labels == answers.labels
score = results["one"].mean()
print(f"forecast {forecast[0]:.5f} to {forecast[1]:.5f}; it came out at {score:.5f}")
pair = mcnemar(results["three"], results["one"])
print(f"the ensemble {results['three'].mean():.5f}; rows that only it reads {pair.only_first},")
print(f"rows that only your first network reads {pair.only_second}; p = {pair.p:.2g}")

# %% [markdown]
# With 28,000 rows the comparison is sharper than with 5,000. On Kaggle you could not have made
# it: there the labels stay with them, and you see a score.
#
# ## How a leaderboard fools honest people
#
# Most competitions show the score on a part of the test rows, the **public** leaderboard, say a
# quarter, and rank in the end by the others, the **private** one. Deal the rows of your
# submission into a quarter and the rest, 2,000 times:

# %%
right = results["one"]
rows, quarter = len(right), len(right) // 4
gaps = []
for _ in range(2_000):
    public = np.zeros(rows, bool)
    public[rng.choice(rows, quarter, replace=False)] = True
    gaps.append(100 * (right[public].mean() - right[~public].mean()))
print(f"95 % of the differences lie within ±{np.quantile(np.abs(gaps), 0.95):.2f} points")

# %%
step = 100 / quarter + 100 / (rows - quarter)  # what one mistake more in the public part makes
bins = np.arange(min(gaps) - step / 2, max(gaps) + 2 * step, 2 * step)
plt.hist(gaps, bins)
plt.axvline(0, color="0.3", lw=1)
plt.title("The same submission: public less private score")
plt.xlabel("points")
plt.ylabel("of 2,000 deals")
plt.show()

# %% [markdown]
# Two people whose public scores differ by less may be in the other order in the end.
#
# Now submit 20 times, with networks that are all equally good, and keep the one with the best
# public score. Simulate it: a row of which the model is 60 % sure is got wrong by 40 % of such
# networks.

# %%
risk = (1 - said.confidence)[known]


def season(submissions, count=quarter):
    """Public and private scores of equally good submissions; so many rows dealt to the public."""
    right = rng.random((submissions, rows), np.float32) >= rng.permutation(risk)
    return 100 * right[:, :count].mean(1), 100 * right[:, count:].mean(1)


# %%
fig, places = plt.subplots(1, 4, figsize=(6.4, 3.4), sharey=True)
for axes in places:
    public, private = season(20)
    winner = public.argmax()
    lines = np.stack([public - public.mean(), private - private.mean()])
    axes.plot([0, 1], lines, "o-", color="0.8", lw=1, ms=4)
    axes.plot([0, 1], lines[:, winner], "o-", color="C1")
    axes.set(xticks=[0, 1], xticklabels=["public", "private"], xlim=(-0.4, 1.4))
places[0].set_ylabel("points above the average")
fig.suptitle("Four seasons of twenty equal submissions; the public winner in orange", fontsize=11)
plt.show()

# %% [markdown]
# Four seasons are four draws. Three hundred:

# %%
leads = []
for _ in range(300):
    public, private = season(20)
    winner = public.argmax()
    leads.append([public[winner] - public.mean(), private[winner] - private.mean()])
shown, worth = np.mean(leads, axis=0)
print(f"public:  the best of 20 leads the average of the twenty by {shown:.3f} points")
print(f"private: the same submission leads it by {worth:.3f} points")

# %% [markdown]
# The public winner of the twenty is no better than the others, and in private it does not lead.
# What looked like progress was the largest of twenty errors of measurement. So choose on rows of
# your own, as many as you can spare, and submit seldom.
#
# More: [train](../train.md), [predict](../predict.md), [ensemble](../ensemble.md),
# [evaluate](../evaluate.md).

# %% [markdown]
# ### Exercise 1: What does it confuse?
#
# Which digits does your model take for which, on the held-out rows? Do you need the labels of the
# test rows to know what to improve?

# %% tags=["hide-cell"]
# Solution
scored = inkdigits.predict(held, model=run.folder).predictions
counts = confusion_matrix(held.labels, scored.labels)
np.fill_diagonal(counts, 0)
for place in np.argsort(counts, axis=None)[::-1][:6]:
    label, answer = divmod(int(place), 10)
    print(f"{label} read as {answer}: {counts[label, answer]} times")

# %% [markdown] tags=["hide-cell"]
# The held-out rows show it as well as the test rows would. The counts are small: another seed
# gives other pairs.

# %% [markdown]
# ### Exercise 2: If you could ask a person
#
# Suppose that somebody may look at one row in a hundred and put it right. (Competitions forbid
# it; with forms in an office it is how the work is done.) Which rows do you show, and what share
# of the mistakes do they find? Use the held-out rows.

# %% tags=["hide-cell"]
# Solution
wrong = scored.labels != held.labels
order = np.argsort(scored.confidence)
for share in (0.002, 0.005, 0.01, 0.02, 0.05):
    looked = order[: round(share * len(held))]
    print(f"look at {share:.1%} ({len(looked)} rows): {wrong[looked].sum()} of {wrong.sum()} found")

# %% [markdown] tags=["hide-cell"]
# One row in a hundred holds a large part of the mistakes, dozens of times more than a hundredth
# taken blindly. The rest it makes with confidence, and no reasonable amount of looking finds
# those.

# %% [markdown]
# ### Exercise 3: Train on all of it
#
# The held-out rows are 5,000 digits not learnt from. `train(all_of=…)` repeats a run on all
# 42,000. What is lost by this, and what is gained? Think first; then measure the gain with the
# labels looked up.

# %% tags=["hide-cell"]
# Solution
whole = inkdigits.train(all_of=run.folder, output="runs/kaggle-all", force=True)
scored = inkdigits.predict(answers, model=whole.folder)
now = scored.predictions.labels == answers.labels
pair = mcnemar(now, results["one"])
print(f"from 37,000 rows {results['one'].mean():.5f}, from all 42,000 {now.mean():.5f}")
print(f"only the new right: {pair.only_first}, only the old: {pair.only_second}, p = {pair.p:.2g}")

# %% [markdown] tags=["hide-cell"]
# Lost is the forecast: no row is left to check it on. What a seventh more digits bring is small,
# and one seed against one seed cannot tell it from the luck of the seeds, whatever McNemar's test
# says of these two networks.

# %% [markdown]
# ### Exercise 4: How many submissions?
#
# How does the illusion grow with the number of submissions: 2, 5, 20, 100? And with a public part
# that is half of the rows?

# %% tags=["hide-cell"]
# Solution
for share, count in (("a quarter", quarter), ("half", rows // 2)):
    for submissions in (2, 5, 20, 100):
        illusion = []
        for _ in range(3_000 // submissions):
            public, private = season(submissions, count)
            winner = public.argmax()
            worth = private[winner] - private.mean()
            illusion.append(public[winner] - public.mean() - worth)
        error = np.std(illusion) / len(illusion) ** 0.5
        print(f"{share} public, best of {submissions:3}: ", end="")
        print(f"{np.mean(illusion):.3f} points of lead too many (± {error:.3f})")

# %% [markdown] tags=["hide-cell"]
# It grows fast at first, then slowly: the largest of n draws from a bell curve lies about √(2 ln
# n) standard deviations out. With half of the rows public the standard deviation, and so the
# illusion, is √2 times smaller.
