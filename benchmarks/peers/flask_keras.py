"""A digit server as it is commonly written: Flask, Pillow, and the framework's own `predict`.

    $ .venv-peers/bin/python benchmarks/peers/flask_keras.py WEIGHTS.npz

`a-conv7` in Keras with the weights of a run of ours, so that both servers hold the same model. Prints its address.
"""

from __future__ import annotations

import os
import sys

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np
from flask import Flask, jsonify, request
from keras_run import PEERS
from PIL import Image
from werkzeug.serving import make_server

app = Flask(__name__)


def load(file: str) -> keras.Model:
    layers = PEERS["a-conv7"]()[0]
    model = keras.Sequential([keras.Input((28, 28, 1)), *layers])
    with np.load(file) as arrays:
        model.set_weights([arrays[f"arr_{number}"] for number in range(len(arrays.files))])
    return model


@app.post("/v1/read")
def read():
    image = Image.open(request.files["file"].stream if request.files else request.stream).convert("L").resize((28, 28))
    pixels = np.asarray(image, np.float32).reshape(1, 28, 28, 1) / 255
    probabilities = model.predict(pixels, verbose=0)[0]
    return jsonify(text=str(int(probabilities.argmax())), confidence=float(probabilities.max()))


if __name__ == "__main__":
    model = load(sys.argv[1])
    server = make_server("127.0.0.1", 0, app, threaded=True)
    print(f"http://127.0.0.1:{server.port}", flush=True)
    server.serve_forever()
