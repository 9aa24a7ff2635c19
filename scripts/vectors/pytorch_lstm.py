#!/usr/bin/env python3
"""Records what PyTorch makes of its nn.LSTM: tests/data/pytorch.

    python3 -m venv /tmp/venv_torch
    /tmp/venv_torch/bin/pip install torch==1.13.1 numpy==1.26.4 safetensors==0.8.0
    /tmp/venv_torch/bin/python scripts/vectors/pytorch_lstm.py

`projection`: two layers with proj_size and biases. `bidirectional`: one layer without biases, both directions.
A file has the parameters under PyTorch's own names, the sequence `x` (steps, inputs) and `y` (steps, outputs) from zero state.
"""

from pathlib import Path

import torch
from safetensors.torch import save_file

DATA = Path(__file__).resolve().parents[2] / "tests" / "data" / "pytorch"


def record(name, steps, inputs, cells, **options):
    torch.manual_seed(20240607)
    lstm = torch.nn.LSTM(inputs, cells, **options)
    for parameter in lstm.parameters():
        torch.nn.init.normal_(parameter, 0.0, 0.5)
    x = torch.randn(steps, inputs) * 1.5
    with torch.no_grad():
        y, (h, c) = lstm(x)
    tensors = {**lstm.state_dict(), "x": x, "y": y, "h": h, "c": c}
    save_file({k: v.contiguous() for k, v in tensors.items()}, DATA / f"{name}.safetensors")
    print(name, {k: tuple(v.shape) for k, v in tensors.items()})


if __name__ == "__main__":
    DATA.mkdir(parents=True, exist_ok=True)
    record("projection", steps=12, inputs=5, cells=7, num_layers=2, proj_size=4)
    record("bidirectional", steps=9, inputs=3, cells=6, bias=False, bidirectional=True)
