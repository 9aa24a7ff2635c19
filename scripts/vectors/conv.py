#!/usr/bin/env python3
"""Records what scipy makes of a small network with convolutions: tests/data/conv/net.safetensors.

    python3 -m venv /tmp/venv_conv
    /tmp/venv_conv/bin/pip install numpy==2.4.6 scipy==1.17.1 safetensors==0.8.0
    /tmp/venv_conv/bin/python scripts/vectors/conv.py

Two convolutions and a fully connected layer over maps of 2 x 9 x 11: 3 filters of 3 x 2 with stride 2 and ReLU, pooled by 2
(of 4 x 5 results one column is left over), 4 filters of 2 x 1 without either, 5 outputs. The file has the weights, the biases,
3 inputs and the outputs of every layer, all in the order channel, row, column.
"""

from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from scipy.signal import correlate

FILE = Path(__file__).resolve().parents[2] / "tests/data/conv/net.safetensors"


def convolve(maps, weights, bias, stride):
    full = [sum(correlate(m, w, mode="valid") for m, w in zip(maps, filter)) for filter in weights]
    return np.array(full)[:, ::stride, ::stride] + bias[:, None, None]


def pooled(maps, size):
    channels, height, width = maps.shape[0], maps.shape[1] // size, maps.shape[2] // size
    whole = maps[:, : height * size, : width * size]
    return whole.reshape(channels, height, size, width, size).max(axis=(2, 4))


def main():
    random = np.random.default_rng(5)
    draw = lambda *shape: random.normal(size=shape).astype(np.float32)
    a, b, c = draw(3, 2, 3, 2), draw(4, 3, 2, 1), draw(5, 8)
    tensors = {"a": a, "b": b, "c": c, "a.bias": draw(3), "b.bias": draw(4), "c.bias": draw(5), "input": draw(3, 2, 9, 11)}
    wide = {name: tensor.astype(np.float64) for name, tensor in tensors.items()}
    outputs = {"a.out": [], "b.out": [], "c.out": []}
    for maps in wide["input"]:
        first = pooled(np.maximum(convolve(maps, wide["a"], wide["a.bias"], 2), 0), 2)
        second = convolve(first, wide["b"], wide["b.bias"], 1)
        last = np.maximum(wide["c"] @ second.reshape(-1) + wide["c.bias"], 0)
        for name, value in zip(outputs, (first, second, last)):
            outputs[name].append(value)
    assert np.array(outputs["b.out"]).shape == (3, 4, 1, 2)
    FILE.parent.mkdir(exist_ok=True)
    save_file(tensors | {name: np.array(values) for name, values in outputs.items()}, FILE)


if __name__ == "__main__":
    main()
