"""A network of ours rebuilt in Keras, answering rounds as benchmarks/engines.py does; run inside .venv-peers.

    $ .venv-peers/bin/python benchmarks/peers/keras_predict.py LAYERS.json IMAGES.npy BATCH THREADS

LAYERS.json holds the shapes of the network's layers; its weights are drawn at random, which takes as long.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np
import tensorflow as tf
from keras import layers

LEAST = 0.5  # seconds of a round, as in engines.py


def layer(kind: str, **told: int) -> list[layers.Layer]:
    if kind == "conv":
        pad = [layers.ZeroPadding2D(told["padding"])] if told["padding"] else []
        return [*pad, layers.Conv2D(told["outputs"], told["side"], strides=told["stride"], use_bias=bool(told["bias"]))]
    if kind == "linear":
        return [layers.Dense(told["outputs"])]
    made = {
        "norm": layers.BatchNormalization, "relu": layers.ReLU, "flatten": layers.Flatten,
        "max": lambda: layers.MaxPooling2D(told["side"]), "mean": lambda: layers.AveragePooling2D(told["side"]),
    }  # fmt: skip
    return [made[kind]()]


def main() -> None:
    shapes, file, batch, threads = sys.argv[1:]
    tf.config.threading.set_intra_op_parallelism_threads(int(threads))
    tf.config.threading.set_inter_op_parallelism_threads(1)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: int(threads)])
    stack = [made for told in json.loads(Path(shapes).read_text("ascii")) for made in layer(**told)]
    model = keras.Sequential([layers.Input((28, 28, 1)), layers.Rescaling(1 / 255), *stack, layers.Softmax()])
    images = np.load(file, allow_pickle=False)[..., None]
    model.predict(images, batch_size=int(batch), verbose=0)
    print(json.dumps({"labels": None, "parameters": model.count_params()}), flush=True)
    for _ in sys.stdin:
        began, passes = time.perf_counter(), 0
        while time.perf_counter() - began < LEAST:
            model.predict(images, batch_size=int(batch), verbose=0)
            passes += 1
        print(json.dumps({"seconds": (time.perf_counter() - began) / passes}), flush=True)


if __name__ == "__main__":
    main()
