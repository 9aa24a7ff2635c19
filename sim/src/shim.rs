//! The C++ around a generated model: the parts that are the same for every design (`sim/compat`), and `ports.h`, which
//! maps port numbers to the model's members. A port's number is its place in [`Build::ports`].

use std::fmt::Write;

use crate::verilate::{Build, Port};

pub(crate) const SHIM: &str = include_str!("../compat/shim.cpp");
pub(crate) const STREAMS: &str = include_str!("../compat/streams.h");
pub(crate) const PRELUDE: &str = include_str!("../compat/prelude.h");

/// Prefixes of the ports of an AXI4-Stream slave and of a master of the design.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Streams {
    /// Of what the design takes: TDATA, TDEST, TUSER, TLAST.
    pub input: String,
    /// Of what it gives: TDATA, TDEST, TLAST.
    pub output: String,
}

impl Default for Streams {
    fn default() -> Streams {
        Streams { input: "s_axis_".into(), output: "m_axis_".into() }
    }
}

/// Signals of an AXI4-Lite slave as the master in `shim.cpp` drives them: name, least and greatest width, input of the slave.
const AXI_LITE: [(&str, u32, u32, bool); 17] = [
    ("awaddr", 1, 32, true),
    ("awvalid", 1, 1, true),
    ("awready", 1, 1, false),
    ("wdata", 32, 32, true),
    ("wstrb", 4, 4, true),
    ("wvalid", 1, 1, true),
    ("wready", 1, 1, false),
    ("bresp", 2, 2, false),
    ("bvalid", 1, 1, false),
    ("bready", 1, 1, true),
    ("araddr", 1, 32, true),
    ("arvalid", 1, 1, true),
    ("arready", 1, 1, false),
    ("rdata", 32, 32, false),
    ("rresp", 2, 2, false),
    ("rvalid", 1, 1, false),
    ("rready", 1, 1, true),
];

/// Signals of an AXI4-Stream slave of the design, as the master in `shim.cpp` drives it.
const STREAM_IN: [(&str, u32, u32, bool); 6] = [
    ("tdata", 1, 64, true),
    ("tdest", 1, 32, true),
    ("tuser", 1, 1, true),
    ("tlast", 1, 1, true),
    ("tvalid", 1, 1, true),
    ("tready", 1, 1, false),
];

/// Signals of an AXI4-Stream master of the design.
const STREAM_OUT: [(&str, u32, u32, bool); 5] =
    [("tdata", 1, 64, false), ("tdest", 1, 32, false), ("tlast", 1, 1, false), ("tvalid", 1, 1, false), ("tready", 1, 1, true)];

/// The ports that the drivers of a build need: name, least and greatest width, input of the design.
pub(crate) fn bus_signals(build: &Build) -> Vec<(String, u32, u32, bool)> {
    let mut all = vec![];
    let mut add = |prefix: &str, signals: &[(&str, u32, u32, bool)]| {
        all.extend(signals.iter().map(|(signal, least, most, input)| (format!("{prefix}{signal}"), *least, *most, *input)));
    };
    if let Some(prefix) = &build.axi_lite {
        add(prefix, &AXI_LITE);
    }
    if let Some(streams) = &build.streams {
        add(&streams.input, &STREAM_IN);
        add(&streams.output, &STREAM_OUT);
    }
    all
}

/// The text of `ports.h`. The caller has checked the port names and the signals of buses and streams.
pub(crate) fn ports_header(build: &Build) -> String {
    let mut macros = format!("#define LACUNA_CLOCK {}\n", build.clock);
    if build.trace {
        macros += "#define LACUNA_TRACE\n";
    }
    if build.coverage {
        macros += "#define LACUNA_COVERAGE\n";
    }
    if let Some(prefix) = &build.axi_lite {
        macros += &format!("#define LACUNA_AXI\n#define AXI(name) {prefix}##name\n");
        for (signal, macro_name) in [("awaddr", "LACUNA_AXI_AWADDR"), ("araddr", "LACUNA_AXI_ARADDR")] {
            let name = format!("{prefix}{signal}");
            let width = build.ports.iter().find(|p| p.name == name).map_or(32, |p| p.width);
            let _ = writeln!(macros, "#define {macro_name} {:#x}u", u64::from(u32::MAX) >> (32 - width.min(32)));
        }
    }
    if let Some(streams) = &build.streams {
        let (input, output) = (&streams.input, &streams.output);
        macros += &format!("#define LACUNA_STREAMS\n#define STREAM_IN(name) {input}##name\n#define STREAM_OUT(name) {output}##name\n");
        for (signal, macro_name) in [("tdata", "LACUNA_STREAM_TDATA"), ("tdest", "LACUNA_STREAM_TDEST")] {
            let name = format!("{input}{signal}");
            let width = build.ports.iter().find(|p| p.name == name).map_or(1, |p| p.width);
            let _ = writeln!(macros, "#define {macro_name} {:#x}ull", u64::MAX >> (64 - width.min(64)));
        }
        let reset = build.ports.iter().any(|p| p.name == "reset" && p.input && p.width == 1);
        let _ = writeln!(macros, "#define LACUNA_RESET {}", if reset { "model->reset" } else { "false" });
    }

    let narrow = |p: &Port| p.width <= 64;
    let mut peek = String::new();
    let mut poke = String::new();
    let mut lanes = String::new();
    let mut clear = String::new();
    for (number, port) in build.ports.iter().enumerate() {
        let name = &port.name;
        if narrow(port) {
            let _ = writeln!(peek, "    case {number}: return m.{name};");
            if port.input {
                let _ = writeln!(poke, "    case {number}: m.{name} = value; break;");
                let _ = writeln!(clear, "    m.{name} = 0;");
            }
        } else {
            let _ = writeln!(lanes, "    case {number}: return m.{name}.data();");
            if port.input {
                let count = port.width.div_ceil(32);
                let _ = writeln!(clear, "    for (int i = 0; i < {count}; ++i) m.{name}[i] = 0;");
            }
        }
    }
    format!(
        "{macros}\
         static inline uint64_t peek(const Vdut& m, uint32_t port) {{\n    switch (port) {{\n{peek}    default: return 0;\n    }}\n}}\n\
         static inline void poke(Vdut& m, uint32_t port, uint64_t value) {{\n    switch (port) {{\n{poke}    default: break;\n    }}\n}}\n\
         static inline EData* lanes(Vdut& m, uint32_t port) {{\n    switch (port) {{\n{lanes}    default: return nullptr;\n    }}\n}}\n\
         static inline void clear_inputs(Vdut& m) {{\n{clear}}}\n"
    )
}

/// A port as Verilator's model header declares it, e.g. `VL_INW(&wide,99,0,4);`.
pub(crate) fn declared_port(line: &str) -> Option<Port> {
    let (kind, rest) = line.trim().strip_prefix("VL_")?.split_once("(&")?;
    let input = match kind.trim_end_matches(|c: char| c.is_ascii_digit() || c == 'W') {
        "IN" => true,
        "OUT" => false,
        _ => return None,
    };
    let mut fields = rest.trim_end_matches(");").split(',');
    let name = fields.next()?.to_string();
    let high: u32 = fields.next()?.parse().ok()?;
    let low: u32 = fields.next()?.parse().ok()?;
    Some(Port { name, width: high.checked_sub(low)? + 1, input })
}
