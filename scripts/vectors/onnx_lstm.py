#!/usr/bin/env python3
"""Records what independent tools make of ONNX LSTM nodes: tests/data/onnx and tests/data/dtln.

    python3 -m venv /tmp/venv_onnx
    /tmp/venv_onnx/bin/pip install onnx==1.23.2 onnxruntime==1.31.1 numpy==2.4.6 safetensors==0.8.0
    /tmp/venv_onnx/bin/python scripts/vectors/onnx_lstm.py DTLN/model_1.onnx

A case is NAME.onnx, whose only node is the LSTM `lstm` with its weights in the file, and NAME.safetensors
with the inputs that are not in the file (X; where used sequence_lens, initial_h, initial_c) and the outputs
Y, Y_h and Y_c. The first four are the ONNX project's node tests of the operator (onnx/backend/test/case/node/lstm.py)
with their weights made initializers. Layout 0 is run by onnxruntime, layout 1, which it refuses, by the onnx package's
reference evaluator, which in turn ignores sequence_lens.
"""

import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from safetensors.numpy import save_file

DATA = Path(__file__).resolve().parents[2] / "tests" / "data"
ORDER = ["X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P"]
INSIDE = ["W", "R", "B", "P"]
SEED = 20240607


def model(tensors, attributes, outputs, dtype=TensorProto.FLOAT, constants=(), fixed=()):
    """An LSTM; `constants` become Constant nodes, `fixed` are inputs that stand in the file though they need not."""
    names = [name if name in tensors else "" for name in ORDER]
    while not names[-1]:
        names.pop()
    node = helper.make_node("LSTM", names, outputs, name="lstm", **attributes)
    inside = [name for name in tensors if name in INSIDE or name in fixed]
    stored = {name: numpy_helper.from_array(tensors[name], name) for name in inside}
    nodes = [helper.make_node("Constant", [], [name], value=stored[name]) for name in constants] + [node]
    initializers = [stored[name] for name in inside if name not in constants]
    kind = lambda name: TensorProto.INT32 if name == "sequence_lens" else dtype
    given = [helper.make_tensor_value_info(n, kind(n), t.shape) for n, t in tensors.items() if n not in inside]
    made = [helper.make_tensor_value_info(name, dtype, ["a", "b", "c", "d"][: 4 if name == "Y" else 3]) for name in outputs]
    graph = helper.make_graph(nodes, "lstm", given, made, initializers)
    result = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], producer_name="lacuna", ir_version=8)
    onnx.checker.check_model(result)
    return result


def run(proto, tensors):
    """Y, Y_h and Y_c by the tool that can."""
    wanted = [o.name for o in proto.graph.output]
    inside = {i.name for i in proto.graph.initializer} | {n.output[0] for n in proto.graph.node if n.op_type == "Constant"}
    given = {name: value for name, value in tensors.items() if name not in inside}
    lstm = next(n for n in proto.graph.node if n.op_type == "LSTM")
    if any(a.name == "layout" and a.i == 1 for a in lstm.attribute):
        assert "sequence_lens" not in tensors, "the evaluator ignores them"
        found = ReferenceEvaluator(proto).run(wanted, given)
    else:
        session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
        found = session.run(wanted, given)
    return given, dict(zip(wanted, found))


def record(name, tensors, attributes, outputs=("Y", "Y_h", "Y_c"), **options):
    tensors = {k: (v.astype(np.int32) if k == "sequence_lens" else v.astype(np.float32)) for k, v in tensors.items()}
    proto = model(tensors, attributes, list(outputs), **options)
    given, found = run(proto, tensors)
    store(name, proto, given, found)
    return proto, given, found


def store(name, proto, given, found):
    onnx.save(proto, DATA / "onnx" / f"{name}.onnx")
    everything = {k: np.ascontiguousarray(v) for k, v in {**given, **found}.items()}
    save_file(everything, DATA / "onnx" / f"{name}.safetensors")
    print(f"{name:32} " + "  ".join(f"{k}{v.shape}" for k, v in found.items()))


def node_tests():
    ramp = lambda count, shape: np.arange(1, count + 1, dtype=np.float32).reshape(shape)
    weights = lambda scale, cells, inputs: {
        "W": scale * np.ones((1, 4 * cells, inputs)),
        "R": scale * np.ones((1, 4 * cells, cells)),
    }
    record("defaults", {"X": ramp(6, (1, 3, 2)), **weights(0.1, 3, 2)}, {"hidden_size": 3})
    bias = np.concatenate((0.1 * np.ones((1, 16)), np.zeros((1, 16))), 1)
    record("initial_bias", {"X": ramp(9, (1, 3, 3)), **weights(0.1, 4, 3), "B": bias}, {"hidden_size": 4})
    state = {"initial_h": np.zeros((1, 2, 3)), "initial_c": np.zeros((1, 2, 3)), "sequence_lens": np.array([1, 1])}
    peepholes = {"X": ramp(8, (1, 2, 4)), **weights(0.1, 3, 4), "B": np.zeros((1, 24)), "P": 0.1 * np.ones((1, 9)), **state}
    record("peepholes", peepholes, {"hidden_size": 3})
    record("batchwise", {"X": ramp(6, (3, 1, 2)), **weights(0.3, 7, 2)}, {"hidden_size": 7, "layout": 1})


def random_case(random, directions=1, steps=5, batch=3, inputs=4, cells=5, layout=0, use=("B", "P", "initial_h", "initial_c")):
    draw = lambda *shape: random.normal(0, 0.6, shape)
    state = (batch, directions, cells) if layout else (directions, batch, cells)
    every = {
        "X": draw(*((batch, steps) if layout else (steps, batch)), inputs) * 1.5,
        "W": draw(directions, 4 * cells, inputs),
        "R": draw(directions, 4 * cells, cells),
        "B": draw(directions, 8 * cells),
        "initial_h": draw(*state),
        "initial_c": draw(*state) * 2,
        "P": draw(directions, 3 * cells),
    }
    return {name: value for name, value in every.items() if name in ("X", "W", "R") or name in use}


def random_cases():
    random = np.random.default_rng(SEED)
    hidden = {"hidden_size": 5}
    record("forward", random_case(random, use=("B",)), {**hidden, "direction": "forward"})
    record("reverse", random_case(random, use=("B",)), {**hidden, "direction": "reverse"})
    both = {**hidden, "direction": "bidirectional"}
    record("bidirectional", random_case(random, directions=2, use=("B",)), both)
    record("bidirectional_peepholes", random_case(random, directions=2), both)
    record("initial_state", random_case(random, use=("initial_h", "initial_c")), hidden)
    record("initial_state_constant", random_case(random), hidden, fixed=("initial_h", "initial_c"))
    lengths = {"sequence_lens": np.array([5, 2, 3])}
    record("sequence_lens", {**random_case(random), **lengths}, hidden)
    record("sequence_lens_reverse", {**random_case(random), **lengths}, {**hidden, "direction": "reverse"})
    record("sequence_lens_bidirectional", {**random_case(random, directions=2), **lengths}, both)
    record("sequence_lens_zero", {**random_case(random), "sequence_lens": np.array([5, 0, 3])}, hidden)
    record("sigmoid_candidate", random_case(random), {**hidden, "activations": ["Sigmoid", "Sigmoid", "Tanh"]})
    mixed = ["Sigmoid", "Tanh", "Tanh", "Sigmoid", "Sigmoid", "Tanh"]
    record("mixed_candidates", random_case(random, directions=2), {**both, "activations": mixed})
    record("constant_nodes", random_case(random), hidden, constants=("W", "R", "B", "P"))
    layout = {"layout": 1}
    record("batchwise_initial_state", random_case(random, layout=1), {**hidden, **layout})
    record("batchwise_reverse", random_case(random, layout=1), {**hidden, **layout, "direction": "reverse"})
    record("batchwise_bidirectional", random_case(random, layout=1, directions=2), {**both, **layout})


def element_types():
    """The same weights in other types. onnxruntime's LSTM takes 32 bits only, so it runs the 32-bit twin."""
    random = np.random.default_rng(SEED + 1)
    tensors = {k: v.astype(np.float16).astype(np.float32) for k, v in random_case(random).items()}
    attributes = {"hidden_size": 5}
    twin = model(tensors, attributes, ["Y", "Y_h", "Y_c"])
    given, found = run(twin, tensors)
    for name, dtype, kind in [("float16", np.float16, TensorProto.FLOAT16), ("double", np.float64, TensorProto.DOUBLE)]:
        cast = {k: v.astype(dtype) for k, v in tensors.items()}
        store(name, model(cast, attributes, ["Y", "Y_h", "Y_c"], dtype=kind), given, found)
    # as lists of numbers instead of bytes
    for name, kind in [("float16_typed", TensorProto.FLOAT16), ("float_typed", TensorProto.FLOAT), ("double_typed", TensorProto.DOUBLE)]:
        dtype = helper.tensor_dtype_to_np_dtype(kind)
        proto = model({k: v.astype(dtype) for k, v in tensors.items()}, attributes, ["Y", "Y_h", "Y_c"], dtype=kind)
        for stored in proto.graph.initializer:
            values = numpy_helper.to_array(stored)
            stored.CopyFrom(helper.make_tensor(stored.name, kind, values.shape, values.flatten().tolist()))
            assert not stored.raw_data
        store(name, proto, given, found)
    # weights in a file beside
    proto = model(tensors, attributes, ["Y", "Y_h", "Y_c"])
    options = {"save_as_external_data": True, "all_tensors_to_one_file": True, "location": "external.bin", "size_threshold": 0}
    (DATA / "onnx" / "external.bin").unlink(missing_ok=True)
    store("external", proto, given, found)
    onnx.save_model(proto, DATA / "onnx" / "external.onnx", **options)


def dtln(source):
    """20 steps of DTLN's first model with its state carried; spectra like speech's: positive, falling with frequency."""
    proto = onnx.load(source)
    for name in ["lstm_4_Y_h", "lstm_4_Y_c", "lstm_5_Y_h", "lstm_5_Y_c", "biased_tensor_name"]:
        proto.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None if name == "biased_tensor_name" else [1, 1, 128]))
    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    random = np.random.default_rng(SEED + 2)
    slope = 3.0 / (1.0 + np.arange(257) / 20.0)
    loudness = np.abs(np.sin(np.arange(20) / 3.0)) + 0.05
    inputs = (np.abs(random.normal(0, 1, (20, 257))) * slope * loudness[:, None]).astype(np.float32)
    state = np.zeros((1, 2, 128, 2), np.float32)
    names = [o.name for o in session.get_outputs()]
    steps = []
    for step in inputs:
        found = dict(zip(names, session.run(None, {"input_2": step.reshape(1, 1, 257), "input_3": state})))
        state = found["tf_op_layer_stack_2"]
        steps.append(found)
    gather = lambda name: np.ascontiguousarray(np.stack([s[name].flatten() for s in steps]))
    recorded = {"X": inputs, "mask": gather("activation_2"), "logits": gather("biased_tensor_name")}
    recorded |= {f"{n}_{s}": gather(f"{n}_Y_{s}") for n in ["lstm_4", "lstm_5"] for s in "hc"}
    save_file(recorded, DATA / "dtln" / "steps.safetensors")
    print("dtln                             " + "  ".join(f"{k}{v.shape}" for k, v in recorded.items()))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: onnx_lstm.py DTLN/model_1.onnx")
    for folder in ["onnx", "dtln"]:
        (DATA / folder).mkdir(parents=True, exist_ok=True)
    node_tests()
    random_cases()
    element_types()
    dtln(sys.argv[1])
