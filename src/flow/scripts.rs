//! The scripts of a build, which are the build: Lacuna runs them, and so can anybody.

use super::{fusesoc, needed, RESULTS, SCRIPT};
use crate::board::{Board, Flow};
use lacuna_compress::spec::Arch;
use std::fmt::Write;

/// File name and text of each.
pub fn all(board: &Board, arch: &Arch, sources: &[String], mhz: f64, seed: u32) -> Vec<(String, String)> {
    let mut all = vec![
        ("synth.ys".to_string(), synthesis(board, arch, sources)),
        (SCRIPT.to_string(), script(board, mhz, seed)),
        (fusesoc::CORE.to_string(), fusesoc::on(board, sources)),
    ];
    if board.description.tools.flow == Flow::Vivado {
        all.push(("build.tcl".to_string(), vivado(board, sources)));
        all.push(("package_ip.tcl".to_string(), packaging(board, sources, lacuna_hdl::generate::top_name(arch))));
    }
    all
}

fn synthesis(board: &Board, arch: &Arch, sources: &[String]) -> String {
    let mut text: String = sources.iter().map(|file| format!("read_verilog {file}\n")).collect();
    text += &match board.description.tools.flow {
        Flow::Ecp5 => "synth_ecp5 -top top -json design.json\n".to_string(),
        // it has no distributed RAM, and Yosys refuses what asks for it
        Flow::Ice40 => {
            let apart = board.description.memory.entries_apart(arch);
            let (entries, spram) = if apart { ("setattr -set ram_style \"huge\" *single_port*/m:*\n", " -spram") } else { ("", "") };
            format!(
                "hierarchy -top top\nsetattr -unset ram_style m:* a:ram_style=distributed %i\n{entries}\
                 synth_ice40 -dsp{spram} -top top -json design.json\n"
            )
        }
        Flow::Vivado => format!("synth_xilinx -family {} -top top\n", board.description.device.family),
    };
    text + "tee -q -o stat.json stat -json\n"
}

/// Yosys ends well where it has resolved two drivers of a signal, as its pass for an iCE40's multipliers can make them.
const LOST: &str = r#"# Yosys goes on where a part of the design is lost
if [ -f synth.log ] && grep -e 'Driver-driver conflict' -e 'conflicting drivers' synth.log >&2; then
    echo 'synth.log: found a signal with two drivers, expected none: what Yosys wrote is not the design' >&2
    exit 1
fi
"#;

/// Finds tools as [`crate::tools::find`] does: by the first name that is on PATH, or in .venv/bin of the working directory.
const FIND: &str = r#"# package, names: the first of the names that is on PATH, or in .venv/bin where this was started
first_of() {
    package=$1
    shift
    for name; do
        for found in "$(command -v "$name" || true)" "$started/.venv/bin/$name"; do
            if [ -f "$found" ]; then
                echo "$found"
                return
            fi
        done
    done
    echo "$* is neither on PATH nor in .venv/bin: it comes with $package" >&2
    return 1
}
"#;

fn script(board: &Board, mhz: f64, seed: u32) -> String {
    let d = &board.description;
    let mut text = format!(
        "#!/bin/sh\n# {}, {}: from Verilog to a bitstream. A variable that is set names the tool; else it is looked for.\n\
         set -eu\nstarted=$(pwd)\ncd \"$(dirname \"$0\")\"\n{FIND}",
        d.title, d.device.part
    );
    for (variable, names, package) in needed(d.tools.flow) {
        let _ = writeln!(text, "{variable}=${{{variable}:-$(first_of '{package}' {})}}", names.join(" "));
    }
    let _ = write!(text, "# what an earlier run left\nrm -f {}\n\"$YOSYS\" -q -l synth.log -s synth.ys\n", RESULTS.join(" "));
    text += LOST;
    let (package, constraints, arguments) = (&d.device.package, &d.files.constraints, d.tools.nextpnr.join(" "));
    // a clock that is missed is a result, which the report says; the build goes on to the bitstream
    let common = format!("--json design.json --report report.json --freq {mhz} --timing-allow-fail --seed {seed} --log route.log -q");
    text += &match d.tools.flow {
        Flow::Ecp5 => format!(
            "\"$NEXTPNR\" {arguments} --package {package} --speed {} --lpf {constraints} --textcfg design.config {common}\n\
             \"$PACK\" --compress design.config top.bit\n",
            d.device.speed
        ),
        Flow::Ice40 => format!(
            "\"$NEXTPNR\" {arguments} --package {package} --pcf {constraints} --asc design.asc {common}\n\
             \"$PACK\" design.asc top.bin\n"
        ),
        Flow::Vivado => "if command -v \"${VIVADO:-vivado}\" >/dev/null; then\n    \
                         \"${VIVADO:-vivado}\" -mode batch -nojournal -log vivado.log -source build.tcl\n\
                         else\n    echo 'vivado is not on PATH: only the figures of Yosys were made' >&2\nfi\n"
            .to_string(),
    };
    text
}

fn vivado(board: &Board, sources: &[String]) -> String {
    let d = &board.description;
    let mut text = format!("# {}: Vivado in batch mode, without a project.\n", d.title);
    for file in sources {
        let _ = writeln!(text, "read_verilog {file}");
    }
    let _ = write!(
        text,
        "read_xdc {}\nsynth_design -top top -part {}\nopt_design\nplace_design\nphys_opt_design\nroute_design\n\
         report_utilization -file utilization.rpt\nreport_timing_summary -file timing.rpt\nwrite_bitstream -force top.bit\n",
        d.files.constraints, d.device.part
    );
    text
}

/// For block designs: the accelerator without its serial line, its module `ip`, as an IP of the folder `ip`.
fn packaging(board: &Board, sources: &[String], ip: &str) -> String {
    let d = &board.description;
    let mut text = format!("# {}: the accelerator with its AXI ports as an IP, for `vivado -mode batch -source`.\n", d.title);
    let _ = writeln!(text, "create_project -in_memory -part {}", d.device.part);
    for file in sources.iter().filter(|file| **file != d.files.top) {
        let _ = writeln!(text, "read_verilog {file}");
    }
    let _ = write!(
        text,
        "set_property top {ip} [current_fileset]\nipx::package_project -root_dir ip -vendor lacuna -library lacuna \
         -taxonomy /UserIP -import_files -force\nset_property name {ip} [ipx::current_core]\nset_property version 0.1 [ipx::current_core]\n\
         ipx::check_integrity [ipx::current_core]\nipx::save_core [ipx::current_core]\n"
    );
    text
}
