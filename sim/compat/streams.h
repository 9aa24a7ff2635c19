// AXI4-Stream master and slave of shim.cpp, which includes this behind `Stalls`; ports.h names their signals.

#include <cstdint>
#include <deque>
#include <stdexcept>
#include <vector>

// A rule of AXI4-Stream that the design broke: the model itself is intact.
struct StreamFault : std::runtime_error {
    using std::runtime_error::runtime_error;
};

struct StreamBeat {
    uint64_t data;
    uint32_t dest;
    uint8_t user;
    uint8_t last;
};

struct StreamTaken {
    uint64_t data;
    uint64_t cycle;
    uint32_t dest;
    uint8_t last;
};

// Master on STREAM_IN, slave on STREAM_OUT. They work whenever the clock does, also while the AXI4-Lite master is busy.
struct Streams {
    Stalls in_stalls, out_stalls;
    std::deque<StreamBeat> queue;
    std::vector<uint64_t> accepted;
    std::vector<StreamTaken> taken;
    bool in_held = false, out_held = false;
    // `valid` is raised, so it stays.
    bool offered = false;
    // What the slave of the design showed and was not asked for.
    bool waiting = false;
    StreamTaken shown{};

    void drive(Vdut& m, bool reset) {
        if (reset) offered = waiting = false;
        else if (!offered && !in_held && !queue.empty() && !in_stalls.now()) offered = true;
        m.STREAM_IN(tvalid) = offered;
        const auto idle = [&](uint64_t last) {
            return in_stalls.percent ? in_stalls.random.next() : last;
        };
        m.STREAM_IN(tdata) = (offered ? queue.front().data : idle(m.STREAM_IN(tdata))) & LACUNA_STREAM_TDATA;
        m.STREAM_IN(tdest) = (offered ? queue.front().dest : idle(m.STREAM_IN(tdest))) & LACUNA_STREAM_TDEST;
        m.STREAM_IN(tuser) = (offered ? queue.front().user : idle(m.STREAM_IN(tuser))) & 1;
        m.STREAM_IN(tlast) = (offered ? queue.front().last : idle(m.STREAM_IN(tlast))) & 1;
        m.STREAM_OUT(tready) = !reset && !out_held && !out_stalls.now();
    }
    // What the coming edge transfers.
    void sample(Vdut& m, bool reset, uint64_t cycle) {
        if (reset) return;
        if (offered && m.STREAM_IN(tready)) {
            accepted.push_back(cycle);
            queue.pop_front();
            offered = false;
        }
        const bool valid = m.STREAM_OUT(tvalid);
        const StreamTaken now{m.STREAM_OUT(tdata), cycle, m.STREAM_OUT(tdest), static_cast<uint8_t>(m.STREAM_OUT(tlast))};
        const bool was = waiting;
        waiting = valid && !m.STREAM_OUT(tready);
        if (was && !valid) throw StreamFault{"tvalid fell before tready"};
        if (was && now.data != shown.data) throw StreamFault{"tdata changed while tvalid waited for tready"};
        if (was && now.dest != shown.dest) throw StreamFault{"tdest changed while tvalid waited for tready"};
        if (was && now.last != shown.last) throw StreamFault{"tlast changed while tvalid waited for tready"};
        shown = now;
        if (valid && !waiting) taken.push_back(now);
    }
};
