// The C interface of one generated model. `ports.h`, written per design by sim/src/shim.rs, gives `peek`, `poke`,
// `lanes`, `clear_inputs` and the LACUNA_* macros; everything else is the same for every design.
//
// Contract: no function throws, and none is called on two threads at once for one `Dut`. Those that can fail return a
// status and leave a text in `lacuna_error`. A model that threw is in no defined state: every later call fails too.

#include "Vdut.h"
#include "ports.h"

#include <cstdint>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>

// Shared with sim/src/dut.rs.
enum Status : int32_t { DONE = 0, FAILED = 1, TIMEOUT = 2, PROTOCOL = 3, STREAM_FAULT = 4 };

constexpr uint64_t HALF_PERIOD_NS = 5;

// xorshift64*: small, seeded, and independent of the model's own random state.
struct Random {
    uint64_t state;
    uint64_t next() {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        return state * 0x2545f4914f6cdd1dULL;
    }
};

struct Stalls {
    Random random{1};
    uint32_t percent = 0;
    bool now() { return percent && (random.next() >> 32) % 100 < percent; }
    // What a channel carries while it is not valid: its last value, or noise when stalls are on.
    uint32_t idle(uint32_t last) { return percent ? static_cast<uint32_t>(random.next() >> 32) : last; }
};

#ifdef LACUNA_STREAMS
#include "streams.h"
#endif

struct Dut {
    // Declared before the model, so destroyed after it.
    std::unique_ptr<VerilatedContext> context;
    std::unique_ptr<Vdut> model;
#ifdef LACUNA_TRACE
    std::unique_ptr<VerilatedVcdC> vcd;
    bool tracing = false;
#endif
    std::string images;
    std::string error;
    uint64_t cycles = 0;
    bool dead = false;
    // An input changed since the last evaluation.
    bool stale = false;
    Stalls stalls;
    uint64_t limit = 10000;
    uint32_t outstanding = 1;
#ifdef LACUNA_STREAMS
    Streams streams;
#endif

    void evaluate() {
        model->eval();
        stale = false;
    }
    void dump() {
#ifdef LACUNA_TRACE
        if (tracing) vcd->dump(context->time());
#endif
    }
    // The low half of a cycle: afterwards outputs are what the registers see at the coming edge.
    void fall() {
        model->LACUNA_CLOCK = 0;
#ifdef LACUNA_STREAMS
        streams.drive(*model, LACUNA_RESET);
#endif
        evaluate();
#ifdef LACUNA_STREAMS
        streams.sample(*model, LACUNA_RESET, cycles);
#endif
        dump();
        context->timeInc(HALF_PERIOD_NS);
    }
    void rise() {
        model->LACUNA_CLOCK = 1;
        evaluate();
        dump();
        context->timeInc(HALF_PERIOD_NS);
        ++cycles;
        if (VL_UNLIKELY(context->gotFinish())) throw std::runtime_error{"the design called $finish"};
    }
    void step() {
        fall();
        rise();
    }
};

// The directory that `@images/` stands for while this thread evaluates a model.
static thread_local const std::string* t_images = nullptr;

// The runtime finds the context of what runs through a thread-local pointer; it must not outlive the call, or the
// next user of the default context on this thread would follow it to a deleted one.
struct Enter {
    explicit Enter(Dut* dut) {
        Verilated::threadContextp(dut->context.get());
        t_images = &dut->images;
    }
    ~Enter() {
        t_images = nullptr;
        Verilated::threadContextp(Verilated::defaultContextp());
    }
};

template <typename Body>
int32_t guarded(Dut* dut, Body body) {
    if (dut->dead) return FAILED;
    const Enter enter{dut};
    try {
        return body();
#ifdef LACUNA_STREAMS
    } catch (const StreamFault& e) {
        dut->error = e.what();
        return STREAM_FAULT;
#endif
    } catch (const std::exception& e) {
        dut->error = e.what();
    } catch (...) {
        dut->error = "an exception of unknown type";
    }
    dut->dead = true;
    return FAILED;
}

#undef VL_READMEM_N
// Called by the model in place of VL_READMEM_N (see prelude.h): one compiled model serves any set of images.
void lacuna_readmem(bool hex, int bits, QData depth, int lsb, const std::string& name, void* memory, QData start,
                    QData end) {
    static const std::string mark = "@images/";
    if (name.compare(0, mark.size(), mark) != 0) {
        VL_READMEM_N(hex, bits, depth, lsb, name, memory, start, end);
        return;
    }
    if (!t_images || t_images->empty())
        throw std::runtime_error{"the design reads " + name + " and was started without a directory of images"};
    VL_READMEM_N(hex, bits, depth, lsb, *t_images + "/" + name.substr(mark.size()), memory, start, end);
}

#pragma GCC visibility push(default)
extern "C" {

Dut* lacuna_new(int32_t seed, const char* images) {
    auto* const dut = new Dut;
    dut->images = images;
    dut->context.reset(new VerilatedContext);
    guarded(dut, [&] {
        dut->context->randReset(2);
        dut->context->randSeed(seed);
#ifdef LACUNA_TRACE
        dut->context->traceEverOn(true);
#endif
        dut->model.reset(new Vdut{dut->context.get(), "TOP"});
        // Inputs are random too at this point; a clock that starts high would hide the first edge.
        clear_inputs(*dut->model);
        dut->evaluate();
        return DONE;
    });
    return dut;
}

void lacuna_delete(Dut* dut) {
    const Enter enter{dut};
#ifdef LACUNA_TRACE
    if (dut->vcd) dut->vcd->close();
    dut->vcd.reset();
#endif
    dut->model.reset();
    Verilated::threadContextp(Verilated::defaultContextp());
    dut->context.reset();
    delete dut;
}

const char* lacuna_error(Dut* dut) { return dut->error.c_str(); }

uint64_t lacuna_cycles(Dut* dut) { return dut->cycles; }

int32_t lacuna_poke(Dut* dut, uint32_t port, uint64_t value) {
    return guarded(dut, [&] {
        poke(*dut->model, port, value);
        dut->stale = true;
        return DONE;
    });
}

int32_t lacuna_peek(Dut* dut, uint32_t port, uint64_t* value) {
    return guarded(dut, [&] {
        if (dut->stale) dut->evaluate();
        *value = peek(*dut->model, port);
        return DONE;
    });
}

/// Ports of more than 64 bits, least significant lane first; `count` was checked by the caller.
int32_t lacuna_poke_lanes(Dut* dut, uint32_t port, const uint32_t* from, uint32_t count) {
    return guarded(dut, [&] {
        EData* const to = lanes(*dut->model, port);
        for (uint32_t i = 0; i < count; ++i) to[i] = from[i];
        dut->stale = true;
        return DONE;
    });
}

int32_t lacuna_peek_lanes(Dut* dut, uint32_t port, uint32_t* to, uint32_t count) {
    return guarded(dut, [&] {
        if (dut->stale) dut->evaluate();
        const EData* const from = lanes(*dut->model, port);
        for (uint32_t i = 0; i < count; ++i) to[i] = from[i];
        return DONE;
    });
}

int32_t lacuna_step(Dut* dut, uint64_t count) {
    return guarded(dut, [&] {
        for (uint64_t i = 0; i < count; ++i) dut->step();
        return DONE;
    });
}

/// Steps until (port & mask) == value, at most `limit` cycles; `taken` is the number of cycles stepped.
int32_t lacuna_wait(Dut* dut, uint32_t port, uint64_t mask, uint64_t value, uint64_t limit, uint64_t* taken) {
    return guarded(dut, [&] {
        if (dut->stale) dut->evaluate();
        for (*taken = 0;; ++*taken) {
            if ((peek(*dut->model, port) & mask) == value) return DONE;
            if (*taken == limit) return TIMEOUT;
            dut->step();
        }
    });
}

#ifdef LACUNA_TRACE
/// Closes the file that is open, if any, and opens `path`; an empty path only closes. FAILED when it cannot be written.
int32_t lacuna_trace(Dut* dut, const char* path) {
    return guarded(dut, [&] {
        dut->error.clear();
        if (dut->vcd) dut->vcd->close();
        dut->tracing = false;
        if (!*path) return DONE;
        dut->vcd.reset(new VerilatedVcdC);
        dut->model->trace(dut->vcd.get(), 99);
        dut->vcd->open(path);
        if (!dut->vcd->isOpen()) return FAILED;
        dut->tracing = true;
        return DONE;
    });
}
#endif

#ifdef LACUNA_COVERAGE
/// Writes what was counted since the last call, unless `path` is empty, and begins anew.
int32_t lacuna_coverage(Dut* dut, const char* path) {
    return guarded(dut, [&] {
        VerilatedCovContext* const coverage = dut->context->coveragep();
        if (*path) coverage->write(path);
        coverage->zero();
        return DONE;
    });
}
#endif

#ifdef LACUNA_AXI
void lacuna_axi_stalls(Dut* dut, uint64_t seed, uint32_t percent) {
    dut->stalls.random.state = seed ? seed : 1;
    dut->stalls.percent = percent;
}

void lacuna_axi_limits(Dut* dut, uint64_t limit, uint32_t outstanding) {
    dut->limit = limit;
    dut->outstanding = outstanding;
}

struct AxiWrite {
    uint32_t address;
    uint32_t data;
    uint32_t strobes;
};

/// Writes in order, up to `outstanding` under way, and stops issuing at the first response that is not OKAY.
/// `finished` is the number of responses received; `responses` may hold fewer than `count` meaningful entries.
int32_t lacuna_axi_write(Dut* dut, const AxiWrite* writes, uint64_t count, uint8_t* responses,
                         uint64_t* finished) {
    return guarded(dut, [&] {
        Vdut& m = *dut->model;
        Stalls& stalls = dut->stalls;
        uint64_t addressed = 0, written = 0, answered = 0, end = count, quiet = 0;
        bool aw = false, w = false, held = false;
        uint32_t held_response = 0;
        int32_t status = DONE;
        // `end` moves once, to the larger of what either channel has begun: a begun transaction must be completed.
        while (answered < end) {
            if (!aw && addressed < end && addressed - answered < dut->outstanding && !stalls.now()) aw = true;
            if (!w && written < end && written - answered < dut->outstanding && !stalls.now()) w = true;
            const bool b = !stalls.now();
            m.AXI(awvalid) = aw;
            m.AXI(awaddr) = (aw ? writes[addressed].address : stalls.idle(m.AXI(awaddr))) & LACUNA_AXI_AWADDR;
            m.AXI(wvalid) = w;
            m.AXI(wdata) = w ? writes[written].data : stalls.idle(m.AXI(wdata));
            m.AXI(wstrb) = (w ? writes[written].strobes : stalls.idle(m.AXI(wstrb))) & 15;
            m.AXI(bready) = b;
            dut->fall();
            const bool aw_done = aw && m.AXI(awready), w_done = w && m.AXI(wready);
            const bool bvalid = m.AXI(bvalid);
            const uint32_t response = m.AXI(bresp);
            dut->rise();
            if (held && (!bvalid || response != held_response)) {
                dut->error = bvalid ? "bresp changed while bvalid waited for bready" : "bvalid fell before bready";
                status = PROTOCOL;
                break;
            }
            if (bvalid && answered >= (addressed < written ? addressed : written)) {
                dut->error = "bvalid without a write whose address and data were both accepted";
                status = PROTOCOL;
                break;
            }
            held = bvalid && !b;
            held_response = response;
            if (aw_done) { aw = false; ++addressed; }
            if (w_done) { w = false; ++written; }
            if (bvalid && b) {
                responses[answered++] = static_cast<uint8_t>(response);
                if (response != 0 && end == count) {
                    const uint64_t a = addressed + aw, d = written + w;
                    end = a > d ? a : d;
                }
            }
            if (aw_done || w_done || (bvalid && b)) {
                quiet = 0;
            } else if (++quiet >= dut->limit) {
                dut->error = std::string{"no handshake on the write channels; waiting for:"}
                             + (aw ? " awready" : "") + (w ? " wready" : "")
                             + (answered < addressed && answered < written ? " bvalid" : "");
                status = TIMEOUT;
                break;
            }
        }
        m.AXI(awvalid) = 0;
        m.AXI(wvalid) = 0;
        m.AXI(bready) = 0;
        dut->stale = true;
        *finished = answered;
        return status;
    });
}

/// Reads in order, up to `outstanding` under way; all of them, whatever the responses are.
int32_t lacuna_axi_read(Dut* dut, const uint32_t* addresses, uint64_t count, uint32_t* data, uint8_t* responses,
                        uint64_t* finished) {
    return guarded(dut, [&] {
        Vdut& m = *dut->model;
        Stalls& stalls = dut->stalls;
        uint64_t addressed = 0, answered = 0, quiet = 0;
        bool ar = false, held = false;
        uint32_t held_data = 0, held_response = 0;
        int32_t status = DONE;
        while (answered < count) {
            if (!ar && addressed < count && addressed - answered < dut->outstanding && !stalls.now()) ar = true;
            const bool r = !stalls.now();
            m.AXI(arvalid) = ar;
            m.AXI(araddr) = (ar ? addresses[addressed] : stalls.idle(m.AXI(araddr))) & LACUNA_AXI_ARADDR;
            m.AXI(rready) = r;
            dut->fall();
            const bool ar_done = ar && m.AXI(arready);
            const bool rvalid = m.AXI(rvalid);
            const uint32_t value = m.AXI(rdata), response = m.AXI(rresp);
            dut->rise();
            if (held && (!rvalid || value != held_data || response != held_response)) {
                dut->error = rvalid ? "rdata or rresp changed while rvalid waited for rready" : "rvalid fell before rready";
                status = PROTOCOL;
                break;
            }
            if (rvalid && answered >= addressed) {
                dut->error = "rvalid without a read whose address was accepted";
                status = PROTOCOL;
                break;
            }
            held = rvalid && !r;
            held_data = value;
            held_response = response;
            if (ar_done) { ar = false; ++addressed; }
            if (rvalid && r) {
                data[answered] = value;
                responses[answered++] = static_cast<uint8_t>(response);
            }
            if (ar_done || (rvalid && r)) {
                quiet = 0;
            } else if (++quiet >= dut->limit) {
                dut->error = std::string{"no handshake on the read channels; waiting for:"} + (ar ? " arready" : "")
                             + (answered < addressed ? " rvalid" : "");
                status = TIMEOUT;
                break;
            }
        }
        m.AXI(arvalid) = 0;
        m.AXI(rready) = 0;
        dut->stale = true;
        *finished = answered;
        return status;
    });
}

/// Reads `address` until (data & mask) == value or `limit` cycles have gone by. `response` is that of the last read;
/// one that is not OKAY ends the poll.
int32_t lacuna_axi_poll(Dut* dut, uint32_t address, uint32_t mask, uint32_t value, uint64_t limit, uint64_t* taken,
                        uint32_t* data, uint8_t* response) {
    const uint64_t start = dut->cycles;
    for (;;) {
        uint64_t finished = 0;
        const int32_t status = lacuna_axi_read(dut, &address, 1, data, response, &finished);
        *taken = dut->cycles - start;
        if (status != DONE) return status;
        if (*response != 0 || (*data & mask) == value) return DONE;
        if (*taken >= limit) {
            dut->error.clear();
            return TIMEOUT;
        }
    }
}
#endif

#ifdef LACUNA_STREAMS
void lacuna_stream_stalls(Dut* dut, uint64_t seed, uint32_t in_percent, uint32_t out_percent) {
    dut->streams.in_stalls = Stalls{Random{seed ? seed : 1}, in_percent};
    dut->streams.out_stalls = Stalls{Random{~seed ? ~seed : 1}, out_percent};
}

/// While held, the master raises no further `valid`, the slave no `ready`.
void lacuna_stream_hold(Dut* dut, bool in, bool out) {
    dut->streams.in_held = in;
    dut->streams.out_held = out;
}

void lacuna_stream_send(Dut* dut, const StreamBeat* beats, uint64_t count) {
    dut->streams.queue.insert(dut->streams.queue.end(), beats, beats + count);
}

/// Steps until `outputs` beats lie ready to be fetched and at most `inputs` wait to be accepted.
int32_t lacuna_stream_run(Dut* dut, uint64_t outputs, uint64_t inputs, uint64_t limit, uint64_t* steps) {
    *steps = 0;
    return guarded(dut, [&] {
        for (; dut->streams.taken.size() < outputs || dut->streams.queue.size() > inputs; ++*steps) {
            if (*steps == limit) {
                dut->error.clear();
                return TIMEOUT;
            }
            dut->step();
        }
        return DONE;
    });
}

/// Beats that wait to be accepted; accepted ones and received ones that were not fetched yet.
void lacuna_stream_counts(Dut* dut, uint64_t* queued, uint64_t* accepted, uint64_t* taken) {
    *queued = dut->streams.queue.size();
    *accepted = dut->streams.accepted.size();
    *taken = dut->streams.taken.size();
}

/// Fetches all accepted cycles and received beats: as many as `lacuna_stream_counts` says.
void lacuna_stream_fetch(Dut* dut, uint64_t* accepted, StreamTaken* taken) {
    for (const uint64_t cycle : dut->streams.accepted) *accepted++ = cycle;
    for (const StreamTaken& beat : dut->streams.taken) *taken++ = beat;
    dut->streams.accepted.clear();
    dut->streams.taken.clear();
}

/// Forgets everything that is under way; legal while the design is in reset, or after it.
void lacuna_stream_clear(Dut* dut) {
    Streams& s = dut->streams;
    s.queue.clear();
    s.accepted.clear();
    s.taken.clear();
    s.offered = s.waiting = false;
}
#endif

}  // extern "C"
#pragma GCC visibility pop
