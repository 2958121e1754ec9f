"""Techniques that are no networks of ours, by name: what each is, how it is made, how many digits it may be given.

>>> from inkdigits.lab.classic import TECHNIQUES
>>> model = TECHNIQUES["logistic"].build(seed=0).fit(train.images, train.labels)
>>> model.predict(test.images[:5])
array([7, 2, 1, 0, 4], dtype=uint8)

Each is a scikit-learn estimator from digit images uint8 (N, 28, 28) to labels, with the preparation that it deserves:
upright digits for what compares pixel with pixel, a slight blur where strokes must overlap, fewer dimensions where many
cost much. The settings were chosen on a part of the training digits. Nothing here loads scikit-learn before `build`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

Build = Callable[[int], Any]


@dataclass(frozen=True)
class Parts:
    """How the last step of a technique is fitted bit by bit, so that it can be stopped with what it has.

    kind: `grow` adds `step` to the parameter `name` until it is `most`, keeping what is there (trees, rounds); `passes`
    goes over the digits `most` times.
    """

    kind: Literal["grow", "passes"]
    most: int
    step: int = 1
    name: str = ""
    unit: str = "passes"


@dataclass(frozen=True)
class Technique:
    """A technique: one line about it, its builder, and what it may cost.

    Attributes
    ----------
    about: what it is and how the digits are prepared.
    build: from a seed to an estimator with `fit(images, labels)` and `predict(images)`.
    slow: needs more than a minute of one core for 60,000 digits, answers included; left out of a quick comparison.
    most: digits that it is given at most; None for as many as there are.
    parts: how it is fitted bit by bit, or None if only as a whole.
    """

    about: str
    build: Build
    slow: bool = False
    most: int | None = None
    parts: Parts | None = None


def _constant(seed: int) -> Any:
    from sklearn.dummy import DummyClassifier

    return DummyClassifier(strategy="most_frequent")


def _darkness(seed: int) -> Any:
    from sklearn.naive_bayes import GaussianNB

    from .preparation import Darkness

    return _pipeline(Darkness(), GaussianNB())


def _nearest_mean(seed: int) -> Any:
    from sklearn.decomposition import PCA
    from sklearn.neighbors import NearestCentroid

    # Components, since of a pixel that is paper in all digits it warns.
    return _pipeline(_prepare(upright=True, sigma=0.7), _few(PCA, 100, seed), NearestCentroid())


def _naive_bayes(seed: int) -> Any:
    from sklearn.naive_bayes import BernoulliNB

    # Ink or no ink: the grey of an edge has no bell shape for a Gaussian to describe.
    return _pipeline(_prepare(upright=True), BernoulliNB(alpha=0.1, binarize=0.4))


def _lda(seed: int) -> Any:
    from sklearn.decomposition import PCA
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    linear = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
    return _pipeline(_prepare(upright=True, sigma=0.7), _few(PCA, 150, seed), linear)


def _qda(seed: int) -> Any:
    from sklearn.decomposition import PCA
    from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis

    quadratic = QuadraticDiscriminantAnalysis(solver="eigen", shrinkage="auto")
    return _pipeline(_prepare(upright=True, sigma=0.7), _few(PCA, 50, seed), quadratic)


def _ridge(seed: int) -> Any:
    from sklearn.linear_model import RidgeClassifier

    return _pipeline(_prepare(upright=True, sigma=0.7), RidgeClassifier(alpha=10.0))


def _logistic(seed: int) -> Any:
    from sklearn.linear_model import LogisticRegression

    return _pipeline(_prepare(upright=True, sigma=0.5), LogisticRegression(C=0.3, max_iter=300, tol=1e-3))


def _logistic_raw(seed: int) -> Any:
    from sklearn.linear_model import LogisticRegression

    return _pipeline(_prepare(), LogisticRegression(C=0.03, max_iter=300, tol=1e-3))


def _neighbours(*, upright: bool) -> Build:
    def build(seed: int) -> Any:
        from sklearn.neighbors import KNeighborsClassifier

        neighbours = KNeighborsClassifier(n_neighbors=4, weights="distance", algorithm="brute")
        return _pipeline(_prepare(upright=upright, sigma=0.7 if upright else 0.0), neighbours)

    return build


def _shifted_neighbours(seed: int) -> Any:
    from .estimators import ShiftedNeighbours

    return ShiftedNeighbours()


def _linear_svm(seed: int) -> Any:
    from sklearn.svm import LinearSVC

    return _pipeline(
        _prepare(upright=True, sigma=0.5), LinearSVC(C=0.02, tol=1e-3, dual=True, max_iter=1_000, random_state=seed)
    )


def _svm(**settings: Any) -> Build:
    def build(seed: int) -> Any:
        from sklearn.decomposition import PCA
        from sklearn.svm import SVC

        return _pipeline(_prepare(upright=True, sigma=0.5), _few(PCA, 60, seed), SVC(cache_size=500, **settings))

    return build


def _virtual_svm(seed: int) -> Any:
    from sklearn.decomposition import PCA
    from sklearn.svm import SVC

    from .estimators import VirtualExamples
    from .preparation import Slopes, Upright

    # Upright first: what is centred by mass after it was moved has not moved.
    machine = _pipeline(Slopes(), _few(PCA, 100, seed), SVC(C=10, gamma=0.04, cache_size=1_000))
    return _pipeline(Upright(), VirtualExamples(machine))


def _nystroem(seed: int) -> Any:
    from sklearn.decomposition import PCA
    from sklearn.kernel_approximation import Nystroem
    from sklearn.linear_model import RidgeClassifier

    kernel = Nystroem(kernel="rbf", gamma=0.02, n_components=1_000, random_state=seed)
    return _pipeline(_prepare(upright=True, sigma=0.5), _few(PCA, 70, seed), kernel, RidgeClassifier(alpha=0.01))


def _tree(seed: int) -> Any:
    from sklearn.tree import DecisionTreeClassifier

    return _pipeline(_prepare(upright=True, sigma=0.7), DecisionTreeClassifier(min_samples_leaf=2, random_state=seed))


def _forest(seed: int) -> Any:
    from sklearn.ensemble import RandomForestClassifier

    return _pipeline(_prepare(upright=True, sigma=0.5), RandomForestClassifier(FOREST.most, random_state=seed))


def _extra_trees(seed: int) -> Any:
    from sklearn.ensemble import ExtraTreesClassifier

    return _pipeline(_prepare(upright=True, sigma=0.5), ExtraTreesClassifier(FOREST.most, random_state=seed))


def _boosting(seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    boosted = HistGradientBoostingClassifier(
        max_iter=BOOSTING.most, learning_rate=0.1, max_features=0.2, min_samples_leaf=10, max_bins=63,
        early_stopping=False, random_state=seed,
    )  # fmt: skip
    # 10×10 numbers in place of 784: a round sorts every feature of every digit, ten times.
    return _pipeline(_prepare(upright=True, sigma=0.5, margin=4, halve=True), boosted)


def _mlp(seed: int) -> Any:
    from sklearn.neural_network import MLPClassifier

    return _pipeline(
        _prepare(upright=True, sigma=0.5),
        MLPClassifier((256,), batch_size=128, max_iter=PASSES.most, random_state=seed),
    )


def _pipeline(*steps: Any) -> Any:
    from sklearn.pipeline import make_pipeline

    return make_pipeline(*steps)


def _prepare(**settings: Any) -> Any:
    from .preparation import Prepare

    return Prepare(**settings)


def _few(pca: Any, dimensions: int, seed: int) -> Any:
    """The first principal components: a twelfth of the numbers, and without the noise of the last ones."""
    return pca(dimensions, svd_solver="covariance_eigh", random_state=seed)


FOREST = Parts("grow", 300, 20, "n_estimators", "trees")
BOOSTING = Parts("grow", 200, 10, "max_iter", "rounds")
PASSES = Parts("passes", 20)

UPRIGHT = "of upright digits"

TECHNIQUES: dict[str, Technique] = {
    "constant": Technique("always the commonest digit: what nothing at all reaches", _constant),
    "darkness": Technique("the mean ink alone, one number a digit", _darkness),
    "nearest-mean": Technique(f"the nearest class mean {UPRIGHT}, slightly blurred", _nearest_mean),
    "naive-bayes": Technique(f"naive Bayes on ink or no ink {UPRIGHT}", _naive_bayes),
    "lda": Technique(f"linear discriminant analysis on 150 principal components {UPRIGHT}", _lda),
    "qda": Technique(f"quadratic discriminant analysis on 50 principal components {UPRIGHT}", _qda),
    "ridge": Technique(f"ridge regression on the ten classes {UPRIGHT}", _ridge),
    "logistic-raw": Technique("logistic regression on the pixels as they are", _logistic_raw),
    "logistic": Technique(f"logistic regression {UPRIGHT}, slightly blurred", _logistic),
    "knn": Technique("4 nearest neighbours on the pixels as they are", _neighbours(upright=False)),
    "knn-upright": Technique(f"4 nearest neighbours {UPRIGHT}, slightly blurred", _neighbours(upright=True)),
    "knn-shifted": Technique(
        f"3 nearest neighbours {UPRIGHT}, each patch of which may lie a pixel off (Keysers et al. 2007)",
        _shifted_neighbours,
        slow=True,
    ),
    "svm-linear": Technique(f"linear support vector machine {UPRIGHT}", _linear_svm, slow=True),
    "svm-poly": Technique(
        f"support vector machine, polynomial of degree 4, 60 principal components {UPRIGHT}",
        _svm(kernel="poly", degree=4, coef0=1.0, gamma=0.02, C=1),
        slow=True,
    ),
    "svm-rbf": Technique(
        f"support vector machine, Gaussian kernel, 60 principal components {UPRIGHT}", _svm(C=5, gamma=0.04), slow=True
    ),
    "svm-virtual": Technique(
        f"support vector machine on slopes {UPRIGHT}, and again on its support vectors and these moved by a pixel",
        _virtual_svm,
        slow=True,
    ),
    "nystroem": Technique("a Gaussian kernel through 1,000 landmarks (Nyström), then linear", _nystroem),
    "tree": Technique(f"a single decision tree {UPRIGHT}", _tree),
    "random-forest": Technique(f"random forest of 300 trees {UPRIGHT}", _forest, slow=True, parts=FOREST),
    "extra-trees": Technique(f"extremely randomised trees, 300 of them, {UPRIGHT}", _extra_trees, parts=FOREST),
    "boosting": Technique(
        f"histogram gradient boosting {UPRIGHT}, 10 by 10 pixels", _boosting, slow=True, parts=BOOSTING
    ),
    "mlp": Technique(f"scikit-learn's multilayer perceptron, 256 hidden units, {UPRIGHT}", _mlp, parts=PASSES),
}
