//! The PE array of the ESE kind: clean in three tools at the ends of its ranges, and what synthesis makes of it.

use lacuna_compress::spec::arch::Ese;
use lacuna_compress::spec::{Arch, MemoryKind, WeightForm};
use lacuna_hdl::ese::EseArray;
use lacuna_hdl::spmv::Widths;
use lacuna_hdl::verilog::{write, Netlist};
use std::path::Path;
use std::process::Command;

fn arch(pes: usize, channels: usize) -> Arch {
    Arch {
        pes,
        fifo_depth: 8,
        weights: WeightForm::Direct,
        weight_bits: 12,
        run_bits: 7,
        entries_per_word: 1,
        spmat_depth: 4096,
        ptr_depth: 600,
        act_depth: 1200,
        acc_depth: 32,
        bias_depth: 1500,
        acc_bits: 40,
        max_layers: 4,
        conv: false,
        ese: Some(Ese { channels, cell_depth: 1024, input_depth: 160, output_depth: 600 }),
    }
}

fn corners() -> Vec<Arch> {
    let base = arch(3, 2);
    vec![
        arch(1, 1),
        arch(17, 32),
        base.clone(),
        Arch { fifo_depth: 1, entries_per_word: 1, spmat_depth: 1, ptr_depth: 1, acc_depth: 1, max_layers: 1, run_bits: 8, ..base.clone() },
        Arch { fifo_depth: 2, weights: WeightForm::Codebook, weight_bits: 4, acc_bits: 24, entries_per_word: 8, ..base.clone() },
        Arch { fifo_depth: 3, weights: WeightForm::Codebook, weight_bits: 8, max_layers: 16, acc_bits: 48, ..base.clone() },
        Arch { fifo_depth: 64, weight_bits: 16, entries_per_word: 16, acc_depth: 65_535, spmat_depth: 1 << 20, ..base },
    ]
}

fn save(netlist: &Netlist, folder: &Path) -> String {
    let save = |m: &lacuna_hdl::verilog::Module| {
        std::fs::write(folder.join(m.file_name()), &m.text).unwrap();
        m.file_name()
    };
    netlist.modules.iter().map(save).collect::<Vec<_>>().join(" ")
}

fn run(folder: &Path, command: &str) -> String {
    let out = Command::new("sh").arg("-c").arg(command).current_dir(folder).output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success(), "{command}\n{text}");
    text
}

fn netlist(arch: &Arch) -> Netlist {
    arch.validate().unwrap();
    write(&mut EseArray::new(arch), "ese_array").unwrap_or_else(|e| panic!("{e}"))
}

#[test]
fn every_corner_is_clean_in_three_tools() {
    for arch in corners() {
        let folder = tempfile::tempdir().unwrap();
        let files = save(&netlist(&arch), folder.path());
        let quiet = |command: String| {
            let said = run(folder.path(), &command);
            // Icarus 11 says so of every part select in an always block, and means nothing by it
            let said: String = said.lines().filter(|l| !l.contains("sorry: constant selects")).collect();
            assert!(said.is_empty(), "{arch:?}\n{command}\n{said}");
        };
        quiet(format!("verilator --lint-only -Wall --top-module ese_array {files}"));
        quiet(format!(
            "yosys -q -p 'read_verilog {files}; hierarchy -check -top ese_array; proc; check -assert; select -assert-none t:$dlatch'"
        ));
        quiet(format!("iverilog -g2005 -Wall -s ese_array -o /dev/null {files}"));
    }
}

#[test]
fn only_the_array_knows_the_number_of_pes() {
    let (small, large) = (netlist(&arch(3, 2)), netlist(&arch(64, 2)));
    assert_eq!(small.modules.len(), large.modules.len());
    for (a, b) in small.modules.iter().zip(&large.modules) {
        assert_eq!(a.name, b.name);
        assert_eq!(a.name != "ese_array", a.text == b.text, "{}", a.name);
    }
}

#[test]
fn the_bus_reaches_every_word_of_every_memory() {
    for arch in corners() {
        let w = Widths::of(&arch);
        for kind in MemoryKind::ALL.into_iter().filter(|k| k.depth(&arch) > 0) {
            assert!(w.host_data >= kind.width(&arch) && 1 << w.host_address >= kind.depth(&arch), "{arch:?}: {}", kind.name());
        }
    }
}

/// One product for each channel of a PE; entries and pointers are block RAM, sums and the queue are not.
#[test]
fn a_pe_is_one_dsp_a_channel_and_block_ram_for_entries_and_pointers_on_xilinx() {
    let folder = tempfile::tempdir().unwrap();
    let files = save(&netlist(&arch(2, 2)), folder.path());
    let said = run(
        folder.path(),
        &format!("yosys -p 'read_verilog {files}; synth_xilinx -family xc7 -noiopad -top ese_array; tee -o stat.txt stat' > log.txt; cat stat.txt"),
    );
    let count = |name: &str| {
        let line = said.lines().rev().find(|l| l.split_whitespace().next() == Some(name));
        line.and_then(|l| l.split_whitespace().nth(1)?.parse::<usize>().ok()).unwrap_or(0)
    };
    assert_eq!(count("DSP48E1"), 2 * 2, "{said}");
    // entries: 4,096 x 19 bits = 5 blocks of 4,096 x 4; pointers: two banks of 600 x 13
    assert_eq!((count("RAMB36E1"), count("RAMB18E1")), (0, 2 * (5 + 2)), "{said}");
    // nine memories of 32 x 40 bits a channel: six bits of 32 words in one RAM32M
    assert!(count("RAM32M") >= 2 * 2 * 9 * 7, "{said}");
}
