//! The element-wise side of the LSTM datapath in the lint gates.

use lacuna_compress::spec::arch::Ese;
use lacuna_compress::spec::{Arch, Section, WeightForm};
use lacuna_hdl::ese::{CellUnit, Drain};
use lacuna_hdl::verilog::{write, Netlist};
use std::path::Path;
use std::process::Command;

fn arch(pes: usize, channels: usize, acc_bits: usize) -> Arch {
    Arch {
        pes,
        fifo_depth: 8,
        weights: WeightForm::Direct,
        weight_bits: 12,
        run_bits: 7,
        entries_per_word: 8,
        spmat_depth: 2048,
        ptr_depth: 1500,
        act_depth: 100,
        acc_depth: 40,
        bias_depth: 60,
        acc_bits,
        max_layers: 6,
        conv: false,
        ese: Some(Ese { channels, cell_depth: 70, input_depth: 20, output_depth: 30 }),
    }
}

fn corners() -> Vec<Arch> {
    let one = Arch { act_depth: 1, acc_depth: 1, bias_depth: 1, max_layers: 1, ..arch(1, 1, 24) };
    let one = Arch { ese: Some(Ese { channels: 1, cell_depth: 1, input_depth: 1, output_depth: 1 }), ..one };
    let large = Arch { act_depth: 65_535, acc_depth: 65_535, bias_depth: 65_536, max_layers: 16, ..arch(256, 32, 48) };
    let large = Arch { ese: Some(Ese { channels: 32, cell_depth: 65_535, input_depth: 1, output_depth: 1 }), ..large };
    vec![arch(3, 2, 40), one, large, arch(1, 3, 47)]
}

fn quiet(folder: &Path, command: &str) {
    let out = Command::new("sh").arg("-c").arg(command).current_dir(folder).output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success(), "{command}\n{said}");
    // Icarus 11 says so of every part select in an always block, and means nothing by it
    let said: String = said.lines().filter(|l| !l.contains("sorry: constant selects")).collect();
    assert!(said.is_empty(), "{command}\n{said}");
}

/// A design's files in a folder, and their names.
fn save(netlist: Netlist) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    for module in &netlist.modules {
        std::fs::write(folder.path().join(module.file_name()), &module.text).unwrap();
    }
    let files = netlist.modules.iter().map(|m| m.file_name()).collect::<Vec<_>>().join(" ");
    (folder, files)
}

fn clean(top: &str, netlist: Netlist) {
    let (folder, files) = save(netlist);
    quiet(folder.path(), &format!("verilator --lint-only -Wall --top-module {top} {files}"));
    quiet(
        folder.path(),
        &format!("yosys -q -p 'read_verilog {files}; hierarchy -check -top {top}; proc; check -assert; select -assert-none t:$dlatch'"),
    );
    quiet(folder.path(), &format!("iverilog -g2005 -Wall -s {top} -o /dev/null {files}"));
}

#[test]
fn drain_and_cell_unit_are_clean_in_three_tools_at_every_corner() {
    for arch in corners() {
        clean("cell_unit", write(&mut CellUnit::new(&arch), "cell_unit").unwrap());
        clean("drain", write(&mut Drain::new(&arch), "drain").unwrap());
    }
}

/// Six products of 16 bits and five interpolations; a table is 1,024 x 33 bits = 2 blocks of 1,024 x 18.
#[test]
fn a_cell_unit_is_eleven_multipliers_and_five_tables_in_block_ram_on_ecp5() {
    let (folder, files) = save(write(&mut CellUnit::new(&arch(1, 1, 40)), "cell_unit").unwrap());
    let asserts = "select -assert-count 10 t:DP16KD; select -assert-count 11 t:MULT18X18D";
    quiet(folder.path(), &format!("yosys -q -p 'read_verilog {files}; synth_ecp5 -top cell_unit; {asserts}'"));
}

#[test]
fn program_and_parameters_are_preloaded_from_the_files_of_their_sections() {
    let netlist = write(&mut Drain::new(&arch(1, 1, 40)), "drain").unwrap();
    for section in [Section::Layers, Section::Parameters] {
        let file = format!(".PRELOAD(PRELOAD), .FILE({{IMAGE, \"{}.mem\"}})", section.file_stem());
        assert!(netlist.modules[0].text.contains(&file), "{file}");
    }
}
