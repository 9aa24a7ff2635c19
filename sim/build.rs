//! Completes the Verilator runtime that the crate `verilated` builds (see `sim/compat/`), and exports it from the
//! executables of this package so that models loaded at run time find it. The root package's build script does the
//! same for its own executables: link arguments do not reach dependents.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    #[cfg(feature = "verilator")]
    runtime();
}

#[cfg(feature = "verilator")]
fn runtime() {
    println!("cargo:rerun-if-changed=compat");
    println!("cargo:rerun-if-env-changed=VERILATOR_ROOT");
    println!("cargo:rustc-link-arg=-rdynamic");

    let root = std::process::Command::new("verilator")
        .args(["--getenv", "VERILATOR_ROOT"])
        .output()
        .ok()
        .filter(|output| output.status.success())
        .and_then(|output| String::from_utf8(output.stdout).ok())
        .unwrap_or_else(|| {
            panic!(
                "`verilator` is not on PATH: install the Debian package `verilator`, \
                 or build with --no-default-features to compress and generate only"
            )
        });
    let include = std::path::Path::new(root.trim()).join("include");
    cc::Build::new()
        .cpp(true)
        .std("gnu++17")
        .opt_level(2)
        .warnings(false)
        .include(&include)
        .include(include.join("vltstd"))
        .file("compat/runtime.cpp")
        // The crate's list of runtime files dates from Verilator 4, where this one was optional.
        .file(include.join("verilated_threads.cpp"))
        // Only models refer to these objects, and the linker would drop them.
        .link_lib_modifier("+whole-archive")
        .compile("lacuna_runtime");
}
