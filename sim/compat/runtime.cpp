// What Lacuna adds to the Verilator runtime that the crate `verilated` links into the executable.
//
// A model built at run time has no runtime of its own and resolves against this one, so everything a model may need
// has to be linked in: the build script links this file whole, and what it names pulls in the crate's parts.
//
// The stock vl_fatal ends the process. A wrong memory image must be an error that names the file instead, so the
// functions here throw; the entry points in shim.cpp catch.

#include <verilated.h>
#include <verilated_cov.h>
#include <verilated_vcd_c.h>

#include <stdexcept>
#include <string>

namespace {
[[noreturn]] void fault(const char* what, const char* file, int line, const char* message) {
    std::string text = what;
    if (file && file[0]) {
        text += std::string{" at "} + file;
        if (line) text += ":" + std::to_string(line);
    }
    if (message) text += std::string{": "} + message;
    throw std::runtime_error{text};
}
}  // namespace

// The stock one calls exit() on the second $finish.
void vl_finish(const char*, int, const char*) { Verilated::threadContextp()->gotFinish(true); }

void vl_stop(const char* file, int line, const char*) {
    Verilated::threadContextp()->gotError(true);
    fault("$stop or a failed assertion", file, line, nullptr);
}

void vl_fatal(const char* file, int line, const char*, const char* message) {
    Verilated::threadContextp()->gotError(true);
    fault("fatal error", file, line, message);
}

// The runtime's warnings are "$readmem file not found" and "file ended before": a memory that keeps its random
// contents for want of a file is never what a test meant.
void vl_warn(const char* file, int line, const char*, const char* message) { fault("error", file, line, message); }

extern "C" {
/// Never called with `true`: it exists so that tracer and coverage are linked, which only some models refer to.
void lacuna_runtime_anchor(bool make) {
    if (!make) return;
    delete new VerilatedVcdC;
    VerilatedCov::zero();
}
}
