"""Decodes a container and runs its network in numpy. Written from docs/formats.md and docs/lstm.md alone.

    decode_image.py FILE.lacuna [INPUTS.npy OUTPUTS.npy]

Checks every length and CRC of the container, builds the matrices from the words of the memories, runs the known-answer
test with them, and the samples of INPUTS.npy, whose results must be OUTPUTS.npy (32-bit floats, as `lacuna infer` writes them).
Prints what was compared; exits with 1 at the first difference.
"""

import hashlib
import sys
import tomllib
import zlib

import numpy as np

SPMAT, EVEN, ODD, BIAS, CODEBOOK, LAYERS, ANSWER_IN, ANSWER_OUT, ORDER = 0, 1, 2, 3, 4, 7, 14, 15, 16


def fail(text):
    sys.exit(f"decode_image: {text}")


def bits(word, first, count):
    return word >> first & (1 << count) - 1


def signed(value, count):
    return value - (1 << count) if value >> count - 1 else value


def limited(value, low=-32768, high=32767):
    return max(low, min(high, value))


class Container:
    def __init__(self, data):
        u = lambda at, count: int.from_bytes(data[at : at + count], "little")
        if data[:8] != b"LACUNA\r\n" or u(8, 4) != 1:
            fail("no container of version 1")
        if zlib.crc32(data[:-4]) != u(len(data) - 4, 4):
            fail("the CRC-32 of the file differs")
        manifest, count = u(20, 4), u(24, 4)
        self.manifest = tomllib.loads(data[28 : 28 + manifest].decode())
        self.arch = self.manifest["accelerator"]
        if self.hash() != u(12, 8):
            fail("the architecture hash differs")
        table = 28 + manifest
        at = table + 16 * count
        self.memories, self.widths, self.orders = {}, {}, {}
        for row in range(table, at, 16):
            code, pe, words, width = data[row], u(row + 2, 2), u(row + 4, 4), u(row + 8, 2)
            end = at + -(-words * width // 8)
            stream = int.from_bytes(data[at:end], "little")
            found = [bits(stream, k * width, width) for k in range(words)]
            lanes = -(-width // 32)
            if zlib.crc32(b"".join(word.to_bytes(4 * lanes, "little") for word in found)) != u(row + 12, 4):
                fail(f"the CRC-32 of section {code} of PE {pe} differs")
            if code >= ORDER:
                self.orders[code - ORDER] = found
            else:
                self.memories[code, pe], self.widths[code, pe] = found, width
            at = end
        if at + 4 != len(data):
            fail(f"the sections end at {at}, the file at {len(data)}")

    def hash(self):
        ese = self.arch.get("ese")
        text = f"lacuna {'ese' if ese else 'eie'} format 1\n"
        names = "pes fifo_depth weights weight_bits run_bits entries_per_word spmat_depth ptr_depth act_depth acc_depth bias_depth acc_bits max_layers"
        text += "".join(f"{name}={self.arch[name]}\n" for name in names.split())
        if self.arch.get("conv"):
            text += "conv=1\n"
        if ese:
            text += "".join(f"{name}={ese[name]}\n" for name in "channels cell_depth input_depth output_depth".split())
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")

    def pointer(self, pe, number):
        return self.memories[ODD if number % 2 else EVEN, pe][number // 2]

    def matrix(self, ptr_base, columns, rows_of_pe, codebook):
        """The rows of every PE's part, position r of the whole at [r mod N, r / N], as one matrix of N x rows_of_pe rows."""
        n, b, r, e = (self.arch[k] for k in ("pes", "weight_bits", "run_bits", "entries_per_word"))
        whole = np.zeros((rows_of_pe * n, columns), np.int64)
        for pe in range(n):
            words = self.memories[SPMAT, pe]
            for column in range(columns):
                row = 0
                for number in range(self.pointer(pe, ptr_base + column), self.pointer(pe, ptr_base + column + 1)):
                    entry = bits(words[number // e], number % e * (b + r), b + r)
                    row += bits(entry, 0, r)
                    field = bits(entry, r, b)
                    if self.arch["weights"] == "codebook":
                        value = signed(self.memories[CODEBOOK, pe][(codebook << b) + field], 16)
                    else:
                        value = signed(field, b)
                    whole[row * n + pe, column] += value
                    row += 1
        return whole


class Layers:
    """Fully connected layers, one after the other."""

    def __init__(self, container):
        if container.arch.get("conv"):
            fail("this decoder does not walk over feature maps")
        network = container.manifest["network"]
        self.inputs, self.outputs = network["input_size"], network["output_size"]
        self.fractions = network["input_fraction"], network["output_fraction"]
        self.scale, self.offset = network.get("input_scale", 1.0), network.get("input_offset", 0.0)
        self.layers, n, a = [], container.arch["pes"], container.arch["acc_bits"]
        for number, word in enumerate(container.memories[LAYERS, 0]):
            columns = (bits(word, 0, 16) - 1) * n + bits(word, 16, 9)
            rows, bias_base = bits(word, 64, 16), bits(word, 80, 16)
            matrix = container.matrix(bits(word, 32, 32), columns, rows, number)
            bias = [signed(container.memories[BIAS, q % n][bias_base + q // n], a) for q in range(rows * n)]
            self.layers.append((matrix, np.array(bias, np.int64), bits(word, 96, 6), bits(word, 104, 1)))
            if bits(word, 105, 1):
                break
        last = len(self.layers) - 1
        count = network["layers"][last]["rows"]
        self.order = container.orders.get(last, list(range(count)))

    def sequence(self, samples):
        return [self.run(sample) for sample in samples]

    def run(self, values):
        for matrix, bias, shift, relu in self.layers:
            x = np.zeros(matrix.shape[1], np.int64)
            x[: min(len(values), len(x))] = values[: len(x)]
            values = np.clip(matrix @ x + bias >> shift, 0 if relu else -32768, 32767)
        result = np.zeros(self.outputs, np.int64)
        for position, row in enumerate(self.order):
            result[row] = values[position]
        return result


class Tables:
    """tanh and sigmoid in integers."""

    def __init__(self):
        unit, self.pieces = 1 << 22, []
        tanh = lambda z: float(np.tanh(z / 4096))
        for k in range(1024):
            start, end = 32 * k, 32 * k + 32
            rise = (tanh(end) - tanh(start)) / 32
            most = max([0.0] + [tanh(start + d) - (tanh(start) + rise * d) for d in range(32)])
            half_up = lambda value: int(np.floor(value + 0.5))
            self.pieces.append((min(half_up((tanh(start) + most / 2) * unit), unit - 1), half_up(rise * unit)))

    def magnitude(self, z):
        z = min(abs(z), 32767)
        base, slope = self.pieces[z >> 5]
        return base + slope * (z & 31)

    def tanh(self, z):
        value = min(self.magnitude(z) + 64 >> 7, 32767)
        return -value if z < 0 else value

    def sigmoid(self, z):
        tanh = -self.magnitude(z) if z < 0 else self.magnitude(z)
        return min((1 << 22) + tanh + 128 >> 8, 32767)


class Recurrent:
    """A program of operations for each time step. What is done ahead is done in its own step here: the sums are the same."""

    FIELDS = dict(
        columns=(0, 16), source_base=(16, 16), ptr_base=(32, 32), layer=(64, 8), input=(72, 1), ahead=(73, 1), rows_bank=(77, 1), token=(78, 1),
        last=(79, 1), count=(80, 16), dest=(96, 16), cell_base=(112, 16), param_base=(128, 16), shift_i=(144, 6), shift_f=(152, 6), shift_g=(160, 6),
        shift_o=(168, 6), align_i=(176, 4), align_f=(180, 4), align_o=(184, 4), cell_shift=(192, 6), hidden_shift=(200, 6), cells=(208, 1),
        candidate_sigmoid=(209, 1), relu=(210, 1), bias=(211, 1), store=(212, 1), output=(213, 1),
    )  # fmt: skip

    def __init__(self, container):
        network = container.manifest["recurrent"]
        self.inputs, self.outputs = network["input_size"], network["output_size"]
        self.fractions = network["input_fraction"], network["output_fraction"]
        self.scale, self.offset = network.get("input_scale", 1.0), network.get("input_offset", 0.0)
        self.arch, self.parameters = container.arch, container.memories[BIAS, 0]
        self.program, self.tables, self.reverse = [], Tables(), network.get("reverse", False)
        local = {0: 4 * self.arch["acc_depth"], 1: self.arch["acc_depth"]}
        for word in container.memories[LAYERS, 0]:
            op = {name: bits(word, *place) for name, place in self.FIELDS.items()}
            op["matrix"] = container.matrix(op["ptr_base"], op["columns"], local[op["rows_bank"]], op["layer"])
            self.program.append(op)
            if op["last"]:
                break

    def sequence(self, steps):
        self.vectors = np.zeros(self.arch["act_depth"], np.int64)
        self.cells = [0] * self.arch["ese"]["cell_depth"]
        return [self.step(list(values)) for values in steps]

    def step(self, values):
        sums = [np.zeros(op["matrix"].shape[0], np.int64) for op in (self.bank(0), self.bank(1))]
        done, result = 0, []
        for op in self.program:
            if op["ahead"]:
                continue
            if op["input"]:
                columns, x = slice(done, op["columns"]), values[done : op["columns"]]
                done = op["columns"]
            else:
                columns, x = slice(0, op["columns"]), self.vectors[op["source_base"] :][: op["columns"]]
            sums[op["rows_bank"]] += op["matrix"][:, columns] @ np.array(x, np.int64)
            if not op["token"]:
                continue
            bank = sums[0 if op["cells"] else 1]
            for k in range(op["count"]):
                value = self.cell(op, k, bank) if op["cells"] else self.row(op, k, bank)
                if op["store"]:
                    self.vectors[op["dest"] + k] = value
                if op["output"]:
                    result.append(value)
            bank[:] = 0
        return np.array(result, np.int64)

    def bank(self, rows):
        size = self.arch["acc_depth"] * self.arch["pes"] * (1 if rows else 4)
        return {"matrix": np.zeros((size, 0), np.int64)}

    def parameter(self, address):
        word, a = self.parameters[address], self.arch["acc_bits"]
        return [signed(bits(word, g * a, a), a) for g in range(4)], [signed(bits(word, 4 * a + 16 * g, 16), 16) for g in range(3)]

    def row(self, op, k, sums):
        s = op["shift_i"]
        bias = self.parameter(op["param_base"] + k)[0][0] if op["bias"] else (1 << s >> 1)
        return limited(int(sums[k]) + bias >> s, 0 if op["relu"] else -32768)

    def cell(self, op, k, sums):
        n, t = self.arch["pes"], self.tables
        # gate g of cell k is local row 4 (k / N) + g of PE k mod N
        i, f, g, o = (int(sums[(4 * (k // n) + gate) * n + k % n]) for gate in range(4))
        (bi, bf, bg, bo), (pi, pf, po) = self.parameter(op["param_base"] + k)
        before = self.cells[op["cell_base"] + k]
        half = lambda shift: 1 << shift >> 1
        gate_i = t.sigmoid(limited(i + bi + (pi * before << op["align_i"]) >> op["shift_i"]))
        gate_f = t.sigmoid(limited(f + bf + (pf * before << op["align_f"]) >> op["shift_f"]))
        z_g = limited(g + bg >> op["shift_g"])
        gate_g = t.sigmoid(z_g) if op["candidate_sigmoid"] else t.tanh(z_g)
        s = (gate_f * before << op["cell_shift"] - 15) + gate_i * gate_g
        c = limited(s + half(op["cell_shift"]) >> op["cell_shift"])
        self.cells[op["cell_base"] + k] = c
        gate_o = t.sigmoid(limited(o + bo + (po * c << op["align_o"]) >> op["shift_o"]))
        tanh_c = t.tanh(limited(s + half(18) >> 18))
        return limited(gate_o * tanh_c + half(op["hidden_shift"]) >> op["hidden_shift"])


def compare(what, found, expected):
    found, expected = np.asarray(found), np.asarray(expected)
    if found.shape != expected.shape:
        fail(f"{what}: found the shape {found.shape}, expected {expected.shape}")
    if not (found == expected).all():
        at = tuple(int(axis[0]) for axis in np.nonzero(found != expected))
        fail(f"{what}: found {found[at]} at {at}, expected {expected[at]}")
    print(f"{what}: {found.size} values equal")


def known_answer(container, network):
    """Vectors of the known-answer test, and the values of all results, one behind the other."""
    pattern, expected = ([signed(v, 16) for v in container.memories[code, 0]] for code in (ANSWER_IN, ANSWER_OUT))
    steps = len(expected) // network.outputs
    values = [pattern[k % len(pattern)] for k in range(steps * network.inputs)]
    return [values[k : k + network.inputs] for k in range(0, len(values), network.inputs)], expected


def main(arguments):
    with open(arguments[0], "rb") as file:
        container = Container(file.read())
    network = (Recurrent if "recurrent" in container.manifest else Layers)(container)
    if (ANSWER_IN, 0) in container.memories:
        inputs, expected = known_answer(container, network)
        compare("known answer", np.concatenate(network.sequence(inputs)), expected)
    if len(arguments) == 3:
        samples, expected = np.load(arguments[1]).astype(np.float64), np.load(arguments[2])
        codes = (samples * network.scale + network.offset) * 2.0 ** network.fractions[0]
        codes = np.clip(np.floor(codes + 0.5), -32768, 32767).astype(np.int64)
        sequences = codes if codes.ndim == 3 else codes[None]
        found = np.array([network.sequence(sequence) for sequence in sequences])
        found = (found if codes.ndim == 3 else found[0]) / 2.0 ** network.fractions[1]
        compare("results", found.astype(np.float32), expected)


if __name__ == "__main__":
    main(sys.argv[1:])
