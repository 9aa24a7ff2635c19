//! The emitted design as a whole: what depends on the architecture, the lint gates, and what synthesis makes of it.

use lacuna_compress::spec::{Arch, Ese, WeightForm};
use lacuna_hdl::{generate, generate_uart, Design};
use std::path::Path;
use std::process::Command;

fn arch(pes: usize) -> Arch {
    Arch {
        pes,
        fifo_depth: 8,
        weights: WeightForm::Codebook,
        weight_bits: 4,
        run_bits: 4,
        entries_per_word: 8,
        spmat_depth: 2048,
        ptr_depth: 1500,
        act_depth: 100,
        acc_depth: 40,
        bias_depth: 60,
        acc_bits: 40,
        max_layers: 4,
        conv: false,
        ese: None,
    }
}

/// Architectures at the ends of their ranges.
fn corners() -> Vec<Arch> {
    let base = arch(3);
    vec![
        arch(1),
        base.clone(),
        Arch { fifo_depth: 1, ..base.clone() },
        Arch { fifo_depth: 2, ..least(&base) },
        Arch {
            fifo_depth: 3,
            weights: WeightForm::Direct,
            weight_bits: 16,
            run_bits: 8,
            entries_per_word: 16,
            acc_bits: 48,
            ..base.clone()
        },
        Arch {
            fifo_depth: 64,
            weights: WeightForm::Direct,
            weight_bits: 2,
            run_bits: 2,
            entries_per_word: 2,
            acc_bits: 24,
            ..base.clone()
        },
        // banks of 2,049 words, in slices
        Arch {
            pes: 17,
            weight_bits: 8,
            run_bits: 2,
            max_layers: 16,
            spmat_depth: 5000,
            ptr_depth: 2049,
            entries_per_word: 4,
            ..base.clone()
        },
        Arch { pes: 2, weight_bits: 2, max_layers: 3, act_depth: 1000, acc_depth: 1000, bias_depth: 3000, ptr_depth: 1 << 16, ..base },
    ]
}

/// The same with every memory as small as can be.
fn least(arch: &Arch) -> Arch {
    let arch = arch.clone();
    Arch { entries_per_word: 1, spmat_depth: 1, ptr_depth: 1, act_depth: 1, acc_depth: 1, bias_depth: 1, max_layers: 1, ..arch }
}

/// Accelerators with convolutions at the ends of their ranges.
fn conv_corners() -> Vec<Arch> {
    let base = Arch { conv: true, ..arch(3) };
    vec![
        base.clone(),
        Arch { pes: 1, fifo_depth: 1, ..least(&base) },
        // the place of a token is wider than an activation
        Arch { pes: 17, weights: WeightForm::Direct, weight_bits: 16, act_depth: 65_535, acc_bits: 48, max_layers: 16, ..base },
    ]
}

/// Accelerators of the ESE kind at the ends of their ranges.
fn ese_corners() -> Vec<Arch> {
    let ese = |channels| Some(Ese { channels, cell_depth: 10, input_depth: 7, output_depth: 5 });
    let base = Arch { act_depth: 30, acc_depth: 6, bias_depth: 20, max_layers: 9, ese: ese(1), ..arch(3) };
    let least = Some(Ese { channels: 1, cell_depth: 1, input_depth: 1, output_depth: 1 });
    vec![
        base.clone(),
        Arch { pes: 1, fifo_depth: 1, weights: WeightForm::Direct, weight_bits: 12, entries_per_word: 1, ese: ese(3), ..base.clone() },
        Arch {
            fifo_depth: 2,
            act_depth: 1,
            acc_depth: 1,
            bias_depth: 1,
            max_layers: 1,
            ese: least,
            spmat_depth: 1,
            ptr_depth: 1,
            entries_per_word: 1,
            ..base.clone()
        },
        Arch {
            pes: 5,
            acc_bits: 48,
            weight_bits: 16,
            run_bits: 8,
            weights: WeightForm::Direct,
            fifo_depth: 64,
            max_layers: 16,
            ..base.clone()
        },
        Arch { pes: 2, fifo_depth: 16, acc_bits: 24, weight_bits: 12, weights: WeightForm::Direct, ese: ese(32), ..base },
    ]
}

fn save(design: &Design, folder: &Path) -> String {
    let save = |m: &lacuna_hdl::verilog::Module| {
        std::fs::write(folder.join(m.file_name()), &m.text).unwrap();
        m.file_name()
    };
    design.modules.iter().map(save).collect::<Vec<_>>().join(" ")
}

fn run(folder: &Path, command: &str) -> String {
    let out = Command::new("sh").arg("-c").arg(command).current_dir(folder).output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success(), "{command}\n{text}");
    text
}

/// Verilator, Yosys and Icarus have nothing to say of a design.
fn is_clean(arch: &Arch, design: &Design) {
    let folder = tempfile::tempdir().unwrap();
    let files = save(design, folder.path());
    let quiet = |command: String| {
        let said = run(folder.path(), &command);
        // Icarus 11 says so of every part select in an always block, and means nothing by it
        let said: String = said.lines().filter(|l| !l.contains("sorry: constant selects")).collect();
        assert!(said.is_empty(), "{arch:?}\n{command}\n{said}");
    };
    quiet(format!("verilator --lint-only -Wall --top-module {} {files}", design.top));
    quiet(format!(
        "yosys -q -p 'read_verilog {files}; hierarchy -check -top {}; proc; check -assert; select -assert-none t:$dlatch'",
        design.top
    ));
    quiet(format!("iverilog -g2005 -Wall -s {} -o /dev/null {files}", design.top));
}

#[test]
fn every_corner_is_clean_in_three_tools() {
    for arch in corners().into_iter().chain(conv_corners()).chain(ese_corners()) {
        is_clean(&arch, &generate(&arch).unwrap());
    }
}

#[test]
fn an_accelerator_behind_a_serial_line_is_clean_in_three_tools() {
    for (arch, divider) in [(corners().swap_remove(1), 4), (conv_corners().swap_remove(0), 25), (ese_corners().swap_remove(1), 1085)] {
        is_clean(&arch, &generate_uart(&arch, divider).unwrap());
    }
    let refused = generate_uart(&arch(1), 3).unwrap_err().to_string();
    assert!(refused.contains("found 3 clock cycles a bit, expected at least 4"), "{refused}");
}

#[test]
fn four_and_256_pes_differ_in_the_array_and_in_constants_of_the_top() {
    let (small, large) = (generate(&arch(4)).unwrap(), generate(&arch(256)).unwrap());
    let names = |d: &Design| d.modules.iter().map(|m| m.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&small), names(&large));
    for (a, b) in small.modules.iter().zip(&large.modules) {
        match a.name.as_str() {
            "pe_array" => {}
            "lacuna_eie" => {
                // nothing but values of localparams
                let differ: Vec<(&str, &str)> = a.text.lines().zip(b.text.lines()).filter(|(x, y)| x != y).collect();
                assert_eq!(a.text.lines().count(), b.text.lines().count());
                assert!(differ.iter().all(|(x, _)| x.trim_start().starts_with("localparam")), "{differ:?}");
                assert_eq!(differ.len(), 3, "PE count and both halves of the hash: {differ:?}");
            }
            name => assert_eq!(a.text, b.text, "{name}"),
        }
    }
}

#[test]
fn the_array_grows_linearly_and_the_rest_not_at_all() {
    let lines = |pes| {
        let design = generate(&arch(pes)).unwrap();
        let array = design.modules.iter().find(|m| m.name == "pe_array").unwrap();
        array.text.lines().count()
    };
    let (a, b, c) = (lines(64), lines(128), lines(256));
    let (first, second) = ((b - a) as f64 / 64.0, (c - b) as f64 / 128.0);
    assert!((first / second - 1.0).abs() < 0.03, "lines per PE: {first} and {second}");
}

#[test]
fn equal_architectures_give_equal_bytes() {
    assert_eq!(generate(&arch(5)).unwrap(), generate(&arch(5)).unwrap());
}

#[test]
fn every_module_says_what_it_guarantees() {
    for module in generate(&arch(2)).unwrap().modules {
        let header = module.text.lines().take_while(|l| l.starts_with("//")).count();
        assert!(header >= 1, "{} has no header comment", module.name);
    }
}

#[test]
fn an_architecture_that_breaks_a_rule_is_refused() {
    let error = generate(&Arch { pes: 257, ..arch(1) }).unwrap_err();
    assert_eq!(error.to_string(), "accelerator.pes is 257: 1 to 256 PEs are supported");
}

/// Cells of each type after synthesis.
fn cells(pes: usize, command: &str) -> std::collections::BTreeMap<String, usize> {
    let design = generate(&Arch { pes, ..arch(1) }).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let files = save(&design, folder.path());
    let said = run(
        folder.path(),
        &format!("yosys -p 'read_verilog {files}; {command} -top {}; tee -o stat.txt stat' > log.txt; cat stat.txt", design.top),
    );
    said.lines()
        .filter_map(|l| {
            l.split_once(char::is_whitespace).and_then(|_| {
                let mut words = l.split_whitespace();
                Some((words.next()?.to_string(), words.next()?.parse().ok()?))
            })
        })
        .collect()
}

/// Per PE, memories deep enough for block RAM must be block RAM and the product one multiplier.
#[test]
fn entries_and_pointers_are_block_ram_and_the_product_a_dsp_on_ecp5() {
    let two = cells(2, "synth_ecp5");
    // entries: 2,048 x 64 bits = 8 blocks of 2,048 x 9; pointers: two banks of 1,500 x 15 = 2 blocks of 1,024 x 18;
    // biases and accumulators: 60 and 40 x 40 = 2 blocks of 512 x 36 each; the codebook, whose place the tool chooses: 1 of
    // 1,024 x 18; both activation buffers together: 256 x 17 = 1 of 1,024 x 18
    let per_pe = 8 + 2 * 2 + 2 + 2 + 1 + 1;
    assert_eq!(two.get("DP16KD"), Some(&(2 * per_pe)), "{two:?}");
    assert_eq!(two.get("MULT18X18D"), Some(&2), "{two:?}");
}

#[test]
fn entries_and_pointers_are_block_ram_and_the_product_a_dsp_on_xilinx() {
    let two = cells(2, "synth_xilinx -family xc7 -noiopad");
    let blocks = |name: &str| two.get(name).copied().unwrap_or(0);
    // of 36 kbit: 4 for entries, one for each pointer bank (2,048 x 18), one for the biases, one for the accumulators; of
    // 18 kbit: codebook, activations
    let found = (blocks("RAMB36E1"), blocks("RAMB18E1"));
    assert_eq!(found, (2 * 8, 2 * 2), "{two:?}");
    assert_eq!(two.get("DSP48E1"), Some(&2), "{two:?}");
}

/// Yosys 0.23 drops the multiplier of a product with two registers behind it, with a warning only.
#[test]
fn the_product_is_a_dsp_on_an_ice40() {
    // an iCE40 has no LUT RAM, and the tool takes block RAM only if it may
    let anywhere = "setattr -unset ram_style m:* a:ram_style=distributed %i";
    let two = cells(2, &format!("hierarchy -top lacuna_eie; {anywhere}; synth_ice40 -dsp -spram"));
    assert_eq!(two.get("SB_MAC16"), Some(&2), "{two:?}");
}
