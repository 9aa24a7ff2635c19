// Included first in every file of a generated model, precompiled once per cache.
//
// Models are compiled with hidden visibility: two designs with the same class names then cannot meet in one process,
// and calls inside a model need no indirection. The runtime's own names must stay visible, because the inline
// functions with statics in its headers have to be the executable's.
#pragma GCC visibility push(default)
#include <verilated.h>
#include <verilated_cov.h>
#include <verilated_vcd_c.h>
#pragma GCC visibility pop

// Models read memory images through shim.cpp, which knows the directory `@images/` stands for.
void lacuna_readmem(bool hex, int bits, QData depth, int lsb, const std::string& name, void* memory, QData start,
                    QData end);
#define VL_READMEM_N lacuna_readmem
