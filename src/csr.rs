//! The register map in the forms that other programs read: LiteX's `csr.csv` and `csr.json`, and a C header.

use lacuna_compress::spec::registers::{registers, Access, Register, ID_VALUE, WINDOW, WINDOW_BYTES, WIRE_REGISTERS};
use lacuna_compress::spec::Arch;
use serde_json::{json, Map, Value};
use std::fmt::Write;

/// Every register that an accelerator has, behind a serial line or not.
fn all(arch: &Arch) -> impl Iterator<Item = &'static Register> {
    let own = if arch.ese.is_some() { WIRE_REGISTERS } else { &[] };
    registers(arch).chain(own)
}

fn constants(arch: &Arch) -> [(&'static str, u64); 4] {
    let hash = arch.hash();
    [("id", ID_VALUE.into()), ("arch_hash_low", hash & 0xffff_ffff), ("arch_hash_high", hash >> 32), ("pes", arch.pes as u64)]
}

/// LiteX knows two kinds of access.
fn mode(access: Access) -> &'static str {
    match access {
        Access::ReadOnly => "ro",
        Access::ReadWrite | Access::Command | Access::ClearOnes => "rw",
    }
}

pub fn csv(arch: &Arch) -> String {
    let mut text = String::from("#kind,name,address or value,words or bytes,access\n");
    for r in all(arch) {
        let _ = writeln!(text, "csr_register,lacuna_{},0x{:08x},1,{}", r.name.to_lowercase(), r.address, mode(r.access));
    }
    for (name, value) in constants(arch) {
        let _ = writeln!(text, "constant,lacuna_{name},{value},,");
    }
    let _ = writeln!(text, "memory_region,lacuna_window,0x{WINDOW:08x},{WINDOW_BYTES},io");
    text
}

pub fn json(arch: &Arch) -> Value {
    let register =
        |r: &Register| (format!("lacuna_{}", r.name.to_lowercase()), json!({"addr": r.address, "size": 1, "type": mode(r.access)}));
    let registers: Map<String, Value> = all(arch).map(register).collect();
    let constants: Map<String, Value> = constants(arch).iter().map(|(n, v)| (format!("lacuna_{n}"), json!(v))).collect();
    json!({
        "csr_bases": {"lacuna": 0},
        "csr_registers": registers,
        "constants": constants,
        "memories": {"lacuna_window": {"base": WINDOW, "size": WINDOW_BYTES, "type": "io"}},
    })
}

pub fn header(arch: &Arch) -> String {
    let mut text = String::from(
        "/* Registers of the accelerator: byte offsets. Written by lacuna build. */\n#ifndef LACUNA_CSR_H\n#define LACUNA_CSR_H\n\n",
    );
    for r in all(arch) {
        let _ = writeln!(text, "/* {} */\n#define LACUNA_{} 0x{:06x}u", r.doc.replace("*/", "* /"), r.name, r.address);
    }
    text.push('\n');
    let _ = writeln!(text, "#define LACUNA_WINDOW 0x{WINDOW:06x}u\n#define LACUNA_WINDOW_BYTES 0x{WINDOW_BYTES:06x}u");
    for (name, value) in constants(arch) {
        let _ = writeln!(text, "#define LACUNA_{}_VALUE 0x{value:08x}u", name.to_uppercase());
    }
    text.push_str("\n#endif\n");
    text
}
