"""One peer, trained in its own framework; run by benchmarks/peers.py inside .venv-peers.

    $ .venv-peers/bin/python benchmarks/peers/keras_run.py NAME TARGET MNIST.npz

Prints one JSON line an epoch: training seconds so far (evaluation apart) and accuracy on the test digits.
Stops after the first epoch that reaches TARGET, or after the peer's own number of epochs.
"""

from __future__ import annotations

import json
import os
import sys
import time

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np
from keras import layers


def conv(filters: int, **more: object) -> layers.Layer:
    return layers.Conv2D(filters, 3, activation="relu", **more)


def keras_io() -> tuple[list[layers.Layer], int, int]:
    """The convnet of keras.io's "Simple MNIST convnet": layers, batch, epochs."""
    return (
        [
            conv(32), layers.MaxPooling2D(), conv(64), layers.MaxPooling2D(), layers.Flatten(), layers.Dropout(0.5),
            layers.Dense(10, activation="softmax"),
        ],
        128,
        15,
    )  # fmt: skip


def a_conv3() -> tuple[list[layers.Layer], int, int]:
    return (
        [
            conv(32), conv(64), layers.MaxPooling2D(), layers.Dropout(0.25),
            conv(128), layers.MaxPooling2D(), layers.Dropout(0.5), layers.Flatten(),
            layers.Dense(256, activation="relu"), layers.Dropout(0.5), layers.Dense(10, activation="softmax"),
        ],
        256,
        12,
    )  # fmt: skip


def a_conv7() -> tuple[list[layers.Layer], int, int]:
    def block(*filters: int, rate: float) -> list[layers.Layer]:
        more = {"padding": "same", "kernel_initializer": "he_uniform"}
        convs = [conv(count, **more) for count in filters]
        return [*convs, layers.MaxPooling2D(), layers.BatchNormalization(), layers.Dropout(rate)]

    return (
        [
            *block(16, 16, rate=0.25), *block(32, 32, rate=0.3), *block(64, 64, rate=0.4), *block(128, rate=0.5),
            layers.Flatten(),
            layers.Dense(256, activation="relu", kernel_initializer="he_uniform"), layers.Dropout(0.5),
            layers.Dense(128, activation="relu"), layers.Dense(10, activation="softmax"),
        ],
        256,
        10,
    )  # fmt: skip


PEERS = {"keras.io": keras_io, "a-conv3": a_conv3, "a-conv7": a_conv7}


def main() -> None:
    name, target, file = sys.argv[1], float(sys.argv[2]), sys.argv[3]
    keras.utils.set_random_seed(0)
    stack, batch, epochs = PEERS[name]()
    model = keras.Sequential([layers.Input((28, 28, 1)), *stack])
    model.compile(loss="sparse_categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
    seconds, began = 0.0, time.perf_counter()  # from opening the data, as ours
    with np.load(file, allow_pickle=False) as arrays:
        images, labels = arrays["x_train"][..., None].astype("float32") / 255, arrays["y_train"].astype("int64")
        tests, expected = arrays["x_test"][..., None].astype("float32") / 255, arrays["y_test"]
    for epoch in range(1, epochs + 1):
        model.fit(images, labels, batch_size=batch, epochs=1, verbose=0)
        seconds += time.perf_counter() - began
        said = model.predict(tests, batch_size=1000, verbose=0).argmax(1)
        accuracy = float((said == expected).mean())
        print(json.dumps({"epoch": epoch, "seconds": round(seconds, 2), "accuracy": accuracy}), flush=True)
        if accuracy >= target:
            break
        began = time.perf_counter()


if __name__ == "__main__":
    main()
