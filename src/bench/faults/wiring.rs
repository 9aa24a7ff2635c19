//! Faults in the table of sigmoid and tanh, and in how the bench is connected.

use super::{Extent, Subject, Tally};
use crate::bench::around::{connected, Outside};
use crate::bench::synthetic::Random;
use crate::regress::configuration::{Configuration, DoorKind};
use crate::regress::engine::{Engine, Finding, Kind};
use anyhow::{bail, Context, Result};
use lacuna_compress::spec::lut::{table, Lut, Piece, BASE_BITS, POSITION_BITS, SLOPE_BITS};
use lacuna_hdl::prim::Activation;
use lacuna_hdl::Design;
use lacuna_sim::dut::Dut;
use lacuna_sim::verilate::{Build, Optimize, Port, Source};

/// Ports of the accelerator that are connected crosswise, of one width and direction, and what names them: the register that
/// reads as another, the handshake that does not come, the rule that is broken, the response, the beats.
const PAIRS: [(&str, &str, &str); 10] = [
    ("s_axi_awaddr", "s_axi_araddr", "VERSION reads "),
    ("s_axi_awvalid", "s_axi_arvalid", "on the read channels"),
    ("s_axi_awvalid", "s_axi_wvalid", "AXI4-Lite rule broken"),
    ("s_axi_bready", "s_axi_rready", "AXI4-Lite rule broken"),
    ("s_axi_awready", "s_axi_arready", "on the write channels"),
    ("s_axi_bvalid", "s_axi_rvalid", "on the read channels"),
    ("s_axi_bresp", "s_axi_rresp", "SlvErr"),
    ("s_axis_tlast", "s_axis_tuser", "output beats (found 0)"),
    ("s_axis_tvalid", "s_axis_tlast", "output beats (found 0)"),
    ("m_axis_tlast", "m_axis_tvalid", "the output stream: "),
];

pub fn tallies(subject: &Subject, extent: Extent, random: &mut Random) -> Result<Vec<Tally>> {
    let design = lacuna_hdl::generate(&subject.arch)?;
    Ok(vec![of_the_table(&design, extent, random)?, of_the_ports(subject, &design, extent)?])
}

/// A word of the table is another one: the function is compared at every input, and the piece is named.
fn of_the_table(design: &Design, extent: Extent, random: &mut Random) -> Result<Tally> {
    let mut tally = Tally::new("bit of the table of sigmoid and tanh");
    if !design.modules.iter().any(|m| m.name == "activation") {
        return Ok(tally);
    }
    let pieces = table();
    for _ in 0..extent.table {
        let piece = random.below(pieces.len());
        // a lower bit of the base is rounded away
        let bit = SLOPE_BITS + BASE_BITS - 1 - random.below(14);
        let digits = Piece::BITS.div_ceil(4);
        let word = |bits: u64| format!("pieces[{piece}] = {}'h{bits:0digits$x};", Piece::BITS);
        let packed = pieces[piece].pack();
        let whole = Activation::text();
        let text = whole.replace(&word(packed), &word(packed ^ 1 << bit));
        if text == whole {
            bail!("activation: found no `{}`", word(packed));
        }
        tally.note(&format!("piece {piece}, bit {bit}"), first_wrong(text)?, &[&format!("piece {piece} of the table: expected ")]);
    }
    Ok(tally)
}

/// The first input at which the module is not the function.
fn first_wrong(activation: String) -> Result<Option<String>> {
    let ports = [("clock", 1, true), ("z", 16, true), ("sigmoid", 1, true), ("value", 16, false)];
    let declare = |p: &(&str, u32, bool)| format!("{} wire [{}:0] {}", if p.2 { "input" } else { "output" }, p.1 - 1, p.0);
    let text = format!(
        "module functions ({});\nactivation {} leaf (.clock(clock), .z(z), .sigmoid(sigmoid), .value(value));\nendmodule\n",
        ports.iter().map(declare).collect::<Vec<_>>().join(", "),
        Activation::parameters()
    );
    let folder = tempfile::tempdir()?;
    let sources = vec![Source { name: "functions".into(), text }, Source { name: "activation".into(), text: activation }];
    let ports = ports.iter().map(|p| Port { name: p.0.into(), width: p.1, input: p.2 }).collect();
    let build = Build { optimize: Optimize::Draft, ..Build::plain("functions", sources, ports) };
    let mut dut = Dut::new(&build.library(folder.path())?, 1)?;
    let lut = Lut::default();
    for z in i16::MIN..=i16::MAX {
        for (sigmoid, name, expected) in [(false, "tanh", lut.tanh(z)), (true, "sigmoid", lut.sigmoid(z))] {
            dut.set("z", u64::from(z as u16))?;
            dut.set("sigmoid", sigmoid.into())?;
            dut.step(3)?;
            let got = dut.get("value")? as u16 as i16;
            if got != expected {
                let piece = z.unsigned_abs() >> POSITION_BITS;
                return Ok(Some(format!("{name} of {z}, piece {piece} of the table: expected {expected}, got {got}")));
            }
        }
    }
    Ok(None)
}

/// Two ports are swapped between bench and accelerator: what is said names the handshake, the register or the stream.
fn of_the_ports(subject: &Subject, design: &Design, extent: Extent) -> Result<Tally> {
    let mut tally = Tally::new("swapped ports");
    let top = design.modules.iter().find(|m| m.name == design.top).context("a design has its top")?;
    let outside = Outside::of(top)?;
    let there = |port: &str| outside.ports.iter().any(|p| p == port);
    // without visits of the host first, which try so much that they say less about a single wire
    let drawn = || subject.configurations.iter().map(|c| Configuration { door: DoorKind::Axi, ..c.clone() });
    let quiet = drawn().map(|mut c| {
        c.runs.iter_mut().for_each(|run| run.visit = false);
        c
    });
    let configurations: Vec<Configuration> = quiet.chain(drawn()).collect();
    for (one, other, named) in PAIRS.into_iter().filter(|(one, ..)| there(one)).take(extent.ports) {
        let inner = format!("{}_inside", top.name);
        let crossed: Vec<String> = (outside.ports.iter())
            .map(|port| {
                let signal = if port == one {
                    other
                } else if port == other {
                    one
                } else {
                    port
                };
                format!(".{port}({signal})")
            })
            .collect();
        let body = format!("    {inner} #({}) crossed ({});\n", connected(&outside.parameters), crossed.join(", "));
        let lint = "/* verilator lint_off DECLFILENAME */\n/* verilator lint_off UNOPTFLAT */\n";
        let folder = tempfile::tempdir()?;
        let file = folder.path().join(top.file_name());
        std::fs::write(&file, lint.to_string() + &outside.with(&body) + &outside.renamed(&inner))
            .with_context(|| file.display().to_string())?;
        let engine = Engine::new(Some(folder.path().to_path_buf()), None, vec![]);
        let found = configurations.iter().find_map(|c| engine.first_finding(c, None));
        engine.forget()?;
        if let Some((_, Finding { kind: Kind::Build | Kind::Misfit, text })) = &found {
            bail!("{one} and {other}: {text}");
        }
        tally.note(&format!("{one} and {other}"), found.map(|(_, f)| f.text), &[named]);
    }
    Ok(tally)
}
