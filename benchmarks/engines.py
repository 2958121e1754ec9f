"""One engine with one network, for benchmarks/throughput.py: a process that answers each line on stdin with a round.

    $ .venv/bin/python benchmarks/engines.py ENGINE RUN IMAGES.npy BATCH THREADS

Prints one JSON line when it is ready (the answers to the images, as labels) and one for each round: the seconds of a
pass over the images, the mean of as many as fit into half a second, so that waking up counts little.
Engines: predict (the Python API of this package), onnxruntime, openvino, torch, torch.compile.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

LEAST = 0.5  # seconds of a round
Answer = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


def predict(folder: Path, batch: int, threads: int) -> Answer:
    from inkdigits.reader.model import load_model

    model = load_model(folder, threads=threads)
    return lambda images: model.predict(images).probabilities


def onnxruntime(folder: Path, batch: int, threads: int) -> Answer:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    session = ort.InferenceSession(str(model_file(folder)), options, providers=["CPUExecutionProvider"])
    return batched(lambda images: session.run(["probabilities"], {"images": images})[0], batch)


def openvino(folder: Path, batch: int, threads: int) -> Answer:
    import onnx
    import openvino as ov
    from onnx import version_converter

    model = onnx.load(model_file(folder))
    if model.opset_import[0].version < 18:
        model = version_converter.convert_version(model, 18)  # as `inkdigits export --to openvino` does
    core = ov.Core()
    options = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "THROUGHPUT", "NUM_STREAMS": 1}
    session = core.compile_model(core.read_model(model.SerializeToString(), b""), "CPU", options)
    return batched(lambda images: session({"images": images})["probabilities"].copy(), batch)


def torch(folder: Path, batch: int, threads: int, *, compiled: bool = False) -> Answer:
    import torch as pytorch

    from inkdigits.nets import run
    from inkdigits.nets.trained import load_trained
    from inkdigits.nets.views import with_views

    pytorch.set_num_threads(threads)
    settings, _ = run.read_config(folder / run.CONFIG)
    network = with_views(load_trained(folder).network, settings.views).to(memory_format=pytorch.channels_last)
    taken = pytorch.compile(network) if compiled else network

    def answer(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        with pytorch.inference_mode():
            inputs = pytorch.from_numpy(images).unsqueeze(1).float().div_(255)
            logits = taken(inputs.contiguous(memory_format=pytorch.channels_last))
            return pytorch.softmax(logits[:, :10], 1).numpy()

    return batched(answer, batch)


def model_file(folder: Path) -> Path:
    return folder if folder.suffix == ".onnx" else folder / "model.onnx"


def batched(answer: Answer, batch: int) -> Answer:
    return lambda images: np.concatenate([answer(images[at : at + batch]) for at in range(0, len(images), batch)])


ENGINES: dict[str, Callable[[Path, int, int], Answer]] = {
    "predict": predict,
    "onnxruntime": onnxruntime,
    "openvino": openvino,
    "torch": torch,
    "torch.compile": lambda *told: torch(*told, compiled=True),
}


def main() -> None:
    name, folder, file, batch, threads = sys.argv[1:]
    images = np.load(file, allow_pickle=False)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: int(threads)])
    answer = ENGINES[name](Path(folder), int(batch), int(threads))
    print(json.dumps({"labels": answer(images).argmax(1).tolist()}), flush=True)
    for _ in sys.stdin:
        began, passes = time.perf_counter(), 0
        while time.perf_counter() - began < LEAST:
            answer(images)
            passes += 1
        print(json.dumps({"seconds": (time.perf_counter() - began) / passes}), flush=True)


if __name__ == "__main__":
    main()
