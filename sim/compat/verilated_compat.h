// Included first in every C++ file of this build (see .cargo/config.toml); it acts only on those of the crate
// `verilated`, the only ones compiled with VERILATOR_VERSION_MAJOR defined.
// Cargo does not rebuild that crate when this file changes: `cargo clean -p verilated`.
#ifdef VERILATOR_VERSION_MAJOR

// The crate's shim knows the flush and exit callbacks under "4.38 or newer" and nothing beyond 4.
#undef VERILATOR_VERSION_MAJOR
#undef VERILATOR_VERSION_MINOR
#define VERILATOR_VERSION_MAJOR 4
#define VERILATOR_VERSION_MINOR 38

// VerilatedVcdC::rolloverMB was replaced in Verilator 5.
#define rolloverMB rolloverSize

// verilated.cpp leaves these functions to runtime.cpp, which throws where the stock ones end the process.
#define VL_USER_FINISH
#define VL_USER_STOP
#define VL_USER_FATAL
#define VL_USER_WARN

// $display and the runtime's own messages go to standard error: standard output is for results.
#define VL_PRINTF(...) std::fprintf(stderr, __VA_ARGS__)
#define VL_VPRINTF(...) std::vfprintf(stderr, __VA_ARGS__)

#endif
