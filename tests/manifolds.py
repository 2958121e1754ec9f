"""Clouds of known topology."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]


def circle(n: int, rng: np.random.Generator, *, noise: float = 0.03) -> Points:
    angle = rng.uniform(0, 2 * np.pi, n)
    return np.column_stack([np.cos(angle), np.sin(angle)]) + noise * rng.standard_normal((n, 2))


def two_circles(n: int, rng: np.random.Generator) -> Points:
    return np.concatenate([circle(n // 2, rng), circle(n - n // 2, rng) + np.array([5, 0])])


def sphere(n: int, rng: np.random.Generator) -> Points:
    points = rng.standard_normal((n, 3))
    return points / np.linalg.norm(points, axis=1)[:, None]


def torus(n: int, rng: np.random.Generator) -> Points:
    a, b = rng.uniform(0, 2 * np.pi, (2, n))
    return np.column_stack([(2 + np.cos(b)) * np.cos(a), (2 + np.cos(b)) * np.sin(a), np.sin(b)])


def swiss_roll(n: int, rng: np.random.Generator) -> Points:
    t = 1.5 * np.pi * (1 + 2 * rng.uniform(size=n))
    return np.column_stack([t * np.cos(t), 21 * rng.uniform(size=n), t * np.sin(t)])


def star(n: int, rng: np.random.Generator, *, arms: int = 6) -> Points:
    """Arms along the axes of ten dimensions, from a common middle."""
    points = np.zeros((n, 10))
    points[np.arange(n), np.arange(n) % arms] = rng.uniform(0, 10, n)
    return points + 0.1 * rng.standard_normal(points.shape)


def blobs(n: int, rng: np.random.Generator) -> Points:
    """Five round blobs of ten dimensions, far apart."""
    middles = 12 * np.eye(10)[np.arange(n) % 5]
    return middles + rng.standard_normal((n, 10))
