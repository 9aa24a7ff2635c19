//! Exports the Verilator runtime from this package's executables and tests: models are loaded at run time and
//! resolve against it. `sim/build.rs` does so for `lacuna-sim`; link arguments do not reach dependents.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if std::env::var_os("CARGO_FEATURE_VERILATOR").is_some() {
        println!("cargo:rustc-link-arg=-rdynamic");
    }
}
