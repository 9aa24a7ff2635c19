#!/usr/bin/env python3
"""Features and answers of the bundled keyword LSTMs, computed with numpy alone.

Reads the clips and models in src/demo/speech and writes for each model, in small letters:

- tests/data/kws/MODEL.json: for each clip its MFCC features, the float model's logits and probabilities, and
  the word. Nothing of Lacuna is used, so that its tests compare with something computed elsewhere.
- src/demo/speech/MODEL-calibration.npy: the features of the clips, then those of digital silence, 32-bit
  floats (clips, frames, coefficients). Silence has the lowest values that there can be, and every clip
  that is shorter than a second ends with it.

Before it writes, the script checks the probabilities that were known beforehand.

    python3 scripts/vectors/kws.py            write the files
    python3 scripts/vectors/kws.py --check    only compare them with what is computed
"""

import argparse
import io
import json
import struct
import sys
import wave
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
SPEECH = ROOT / "src/demo/speech"
VECTORS = ROOT / "tests/data/kws"

RATE = 16_000
WINDOW = 640
FFT = 1024
MEL_BANDS = 40
MEL_RANGE = (20.0, 4000.0)
COEFFICIENTS = 10
MEL_FLOOR = 1e-12

CLIPS = ["yes", "no", "silence", "marvin"]
MODELS = {
    "LSTM_S": {"stride": 640, "cell": "lstm/rnn/lstm_cell"},
    "Basic_LSTM_S": {"stride": 320, "cell": "lstm/rnn/basic_lstm_cell"},
}
# word, then probabilities that are known, to their last digit
KNOWN = {
    ("LSTM_S", "yes"): ("yes", {}),
    ("LSTM_S", "no"): ("no", {}),
    ("LSTM_S", "marvin"): ("_unknown_", {}),
    ("LSTM_S", "silence"): ("right", {"right": "0.53"}),
    ("Basic_LSTM_S", "yes"): ("yes", {}),
    ("Basic_LSTM_S", "no"): ("no", {}),
    ("Basic_LSTM_S", "marvin"): ("_unknown_", {}),
    ("Basic_LSTM_S", "silence"): ("yes", {"yes": "0.326", "_silence_": "0.292"}),
}


def read_clip(path):
    """Mono samples, one per 16-bit step over 32,768; stereo is averaged."""
    with wave.open(str(path)) as file:
        assert (file.getframerate(), file.getsampwidth(), file.getnframes()) == (RATE, 2, RATE), path
        raw = np.frombuffer(file.readframes(RATE), "<i2").reshape(RATE, file.getnchannels())
    return (raw.astype(np.float64) / 32768).mean(axis=1).astype(np.float32)


def read_safetensors(path):
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    tensors = {}
    for name, entry in header.items():
        if name != "__metadata__":
            assert entry["dtype"] == "F32", (path, name)
            start, end = (8 + length + offset for offset in entry["data_offsets"])
            tensors[name] = np.frombuffer(data[start:end], "<f4").reshape(entry["shape"]).astype(np.float64)
    return tensors


def mel(frequency):
    return 1127 * np.log1p(np.asarray(frequency) / 700)


def mel_matrix():
    """Bands x bins of the spectrum: triangles between neighbouring centres, on the mel axis."""
    low, high = mel(MEL_RANGE[0]), mel(MEL_RANGE[1])
    edges = np.linspace(low, high, MEL_BANDS + 2)
    bins = FFT // 2 + 1
    hertz = RATE / FFT
    at = mel(np.arange(bins) * hertz)
    rising = (at - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - at) / np.diff(edges)[1:, None]
    weights = np.maximum(0, np.minimum(rising, falling))
    # the first bin above the lower limit plus half a bin, and the last not above the upper one
    first, last = int(1.5 + MEL_RANGE[0] / hertz), int(MEL_RANGE[1] / hertz)
    weights[:, :first] = 0
    weights[:, last + 1 :] = 0
    return weights


def features(samples, stride):
    """Frames x coefficients."""
    starts = range(0, len(samples) - WINDOW + 1, stride)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)
    frames = np.stack([samples[start : start + WINDOW] for start in starts]) * hann
    # the spectrogram is handed on in 32 bits
    power = (np.abs(np.fft.rfft(frames, FFT)) ** 2).astype(np.float32).astype(np.float64)
    bands = np.log(np.maximum(np.sqrt(power) @ mel_matrix().T, MEL_FLOOR))
    order, band = np.arange(COEFFICIENTS)[:, None], np.arange(MEL_BANDS)
    cosines = np.sqrt(2 / MEL_BANDS) * np.cos(order * np.pi / MEL_BANDS * (band + 0.5))
    return bands @ cosines.T


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def logits(tensors, cell, sequence):
    """Kernel rows are inputs, then the previous output; columns the gates i, j, f, o."""
    kernel, bias = tensors[f"{cell}/kernel"], tensors[f"{cell}/bias"]
    cells = bias.size // 4
    peephole = lambda gate: tensors.get(f"{cell}/w_{gate}_diag", 0)
    projection = tensors.get(f"{cell}/projection/kernel", np.eye(cells))
    c, y = np.zeros(cells), np.zeros(projection.shape[1])
    for x in sequence:
        i, j, f, o = np.split(np.concatenate([x, y]) @ kernel + bias, 4)
        c = sigmoid(f + 1 + peephole("f") * c) * c + sigmoid(i + peephole("i") * c) * np.tanh(j)
        y = (sigmoid(o + peephole("o") * c) * np.tanh(c)) @ projection
    return y @ tensors["W_o"] + tensors["b_o"]


def softmax(x):
    e = np.exp(x - x.max())
    return e / e.sum()


def rounded(values, digits):
    return np.round(values, digits).tolist()


def vectors(model, labels):
    recipe = MODELS[model]
    tensors = read_safetensors(SPEECH / f"{model}.safetensors")
    clips = {}
    for clip in CLIPS:
        sequence = features(read_clip(SPEECH / f"{clip}.wav"), recipe["stride"])
        scores = logits(tensors, recipe["cell"], sequence)
        shares = softmax(scores)
        word, known = KNOWN[model, clip]
        answer = labels[int(shares.argmax())]
        assert answer == word, f"{model} hears {answer} in {clip}, not {word}"
        for label, text in known.items():
            found = shares[labels.index(label)]
            digits = len(text.split(".")[1])
            assert f"{found:.{digits}f}" == text, f"{model}, {clip}: {label} {found}, not {text}"
        print(f"{model:13} {clip:8} {word:10} {shares.max():.4f}", file=sys.stderr)
        clips[clip] = {
            "word": word,
            "probabilities": rounded(shares, 7),
            "logits": rounded(scores, 6),
            "features": rounded(sequence, 5),
        }
    return {"model": model, "window": WINDOW, "stride": recipe["stride"], "labels": labels, "clips": clips}


def text_of(value, indent=0):
    """JSON with a list of numbers or names on a line."""
    flat = not isinstance(value, (dict, list)) or isinstance(value, list) and not isinstance(value[0], list)
    if flat:
        return json.dumps(value)
    inner = "\n" + " " * (indent + 1)
    if isinstance(value, list):
        return "[" + inner + ("," + inner).join(text_of(v, indent + 1) for v in value) + "\n" + " " * indent + "]"
    pairs = (f"{json.dumps(k)}: {text_of(v, indent + 1)}" for k, v in value.items())
    return "{" + inner + ("," + inner).join(pairs) + "\n" + " " * indent + "}"


def calibration(model):
    """A .npy file."""
    stride = MODELS[model]["stride"]
    clips = [read_clip(SPEECH / f"{clip}.wav") for clip in CLIPS] + [np.zeros(RATE, np.float32)]
    file = io.BytesIO()
    # to 5 digits, so that other versions of numpy write the same bytes
    np.save(file, np.round([features(clip, stride) for clip in clips], 5).astype("<f4"))
    return file.getvalue()


def main():
    parser = argparse.ArgumentParser(description="Features and answers of the bundled keyword LSTMs.")
    parser.add_argument("--check", action="store_true", help="compare the recorded files, write nothing")
    check = parser.parse_args().check
    labels = (SPEECH / "labels.txt").read_text().split()
    for model in MODELS:
        text = text_of(vectors(model, labels)) + "\n"
        files = {
            VECTORS / f"{model.lower()}.json": text.encode(),
            SPEECH / f"{model.lower()}-calibration.npy": calibration(model),
        }
        for path, content in files.items():
            if not check:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            elif content != path.read_bytes():
                sys.exit(f"{path.relative_to(ROOT)} is not what this script computes")


if __name__ == "__main__":
    main()
