//! Writes the Verilog of a fixed architecture: `cargo run -p lacuna-hdl --example emit -- DIR PES`.
use lacuna_compress::spec::{Arch, WeightForm};
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let arch = Arch { pes: a[2].parse().unwrap(), fifo_depth: 8, weights: WeightForm::Codebook, weight_bits: 4, run_bits: 4, entries_per_word: 8, spmat_depth: 200,
        ptr_depth: 600, act_depth: 100, acc_depth: 40, bias_depth: 60, acc_bits: 40, max_layers: 4 };
    let d = lacuna_hdl::generate(&arch).unwrap_or_else(|e| panic!("{e}"));
    std::fs::create_dir_all(&a[1]).unwrap();
    for m in &d.modules { std::fs::write(format!("{}/{}.v", a[1], m.name), &m.text).unwrap(); }
}
