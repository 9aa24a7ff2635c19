//! What is proved: for each checker of `tests/formal` the design that it is about, the bounds, and changes of the Verilog
//! that it must refute.

/// Which accelerator emits the modules under proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    Eie,
    Ese,
    /// The LSTM accelerator behind a serial line.
    Serial,
}

/// A checker, and how it is run.
pub struct Proof {
    pub name: &'static str,
    pub of: Of,
    pub checker: &'static str,
    /// Values of the checker's parameters; a proof each.
    pub parameters: &'static [&'static [(&'static str, u32)]],
    /// Length of the induction.
    pub depth: usize,
    /// Cycles in which each cover witness is found.
    pub witness: usize,
    /// A module whose outputs are taken to be anything.
    pub cut: Option<&'static str>,
    pub mutants: &'static [Mutant],
}

/// A change of the emitted Verilog, and the property that must refute it within `Proof::witness` cycles.
pub struct Mutant {
    pub module: &'static str,
    pub from: &'static str,
    pub to: &'static str,
    pub refuted: &'static str,
}

const fn mutant(module: &'static str, from: &'static str, to: &'static str, refuted: &'static str) -> Mutant {
    Mutant { module, from, to, refuted }
}

macro_rules! checker {
    ($name:literal) => {
        include_str!(concat!("../../../tests/formal/", $name, ".sv"))
    };
}

const NONE: &[&[(&str, u32)]] = &[&[]];

/// The memories of a PE and of the accelerator, a bit each, as the checker of `weights_valid` takes them.
const EIE_DIRECT: [(&str, u32); 2] = [("PER_PE", 0b1111), ("ONCE", 0b1000_0000)];
const ESE_DIRECT: [(&str, u32); 2] = [("PER_PE", 0b111), ("ONCE", 0b1000_1000)];

pub const PROOFS: &[Proof] = &[
    Proof {
        name: "column_queue",
        of: Of::Eie,
        checker: checker!("column_queue"),
        parameters: &[&[("DEPTH", 1)], &[("DEPTH", 2)], &[("DEPTH", 3)], &[("DEPTH", 4)], &[("DEPTH", 7)]],
        depth: 3,
        witness: 16,
        cut: None,
        mutants: &[
            mutant("column_queue", "filled <= store && count == LAST_COUNT[COUNT-1:0];", "filled <= 1'b0;", "no_overflow"),
            mutant("column_queue", "if (remove) tail <= tail + ONE[INDEX-1:0];", "", "in_order_and_unchanged"),
        ],
    },
    Proof {
        name: "ptr_read",
        of: Of::Eie,
        checker: checker!("ptr_read"),
        parameters: NONE,
        depth: 2,
        witness: 6,
        cut: None,
        mutants: &[
            mutant("ptr_read", "| (~full)", "| 1'd1", "none_lost"),
            mutant("ptr_read", "if (odd_1) begin", "if (~odd_1) begin", "as_broadcast"),
            mutant("ptr_address", "starts_odd = column[0];", "starts_odd = 1'd0;", "as_broadcast"),
            mutant("ptr_address", "starts_odd = host_memory == 3'd2;", "starts_odd = host_memory == 3'd1;", "host_hears_its_word"),
        ],
    },
    Proof {
        name: "axi_lite",
        of: Of::Eie,
        checker: checker!("axi_lite"),
        parameters: NONE,
        depth: 2,
        witness: 8,
        cut: None,
        mutants: &[
            mutant("axi_lite", "if (b_full & bready) begin", "if (b_full) begin", "b_is_stable"),
            mutant("axi_lite", "if (arvalid & (~ar_full)) begin", "if (arvalid) begin", "read_as_sent"),
        ],
    },
    Proof {
        name: "sequencer",
        of: Of::Eie,
        checker: checker!("sequencer"),
        parameters: NONE,
        depth: 2,
        witness: 10,
        cut: None,
        mutants: &[
            mutant("sequencer", "step_next = STEP_FETCH;\n                    end", "end", "busy_until_the_end"),
            mutant("sequencer", "finished = 1'd1;", "finished = 1'd0;", "finished_once"),
        ],
    },
    Proof {
        name: "weights_valid, eie",
        of: Of::Eie,
        checker: checker!("weights_valid"),
        parameters: &[&[("PRELOAD", 1), EIE_DIRECT[0], EIE_DIRECT[1]], &[("PRELOAD", 0), EIE_DIRECT[0], EIE_DIRECT[1]]],
        depth: 3,
        witness: 17,
        cut: Some("crc32"),
        mutants: &[
            mutant(
                "registers",
                "if (weights_valid) begin\n                    start = 1'd1;",
                "if (1'd1) begin\n                    start = 1'd1;",
                "no_start_without_valid_weights",
            ),
            // a write that a reset interrupts must not be carried out behind it
            mutant("memory_port", "writing_next = 1'd0;\n            step_next", "step_next", "no_write_under_valid_weights"),
        ],
    },
    Proof {
        name: "weights_valid, ese",
        of: Of::Ese,
        checker: checker!("weights_valid"),
        parameters: &[
            &[("CHANNELS", 2), ("PRELOAD", 1), ESE_DIRECT[0], ESE_DIRECT[1]],
            &[("CHANNELS", 2), ("PRELOAD", 0), ESE_DIRECT[0], ESE_DIRECT[1]],
        ],
        depth: 3,
        witness: 17,
        cut: Some("crc32"),
        mutants: &[mutant(
            "registers",
            "if (port_ack & port_range_error) begin\n                    error_range_next = 1'd1;",
            "if (port_ack) begin\n                    error_range_next = 1'd1;",
            "no_write_under_valid_weights",
        )],
    },
    Proof {
        name: "control",
        of: Of::Ese,
        checker: checker!("control"),
        parameters: NONE,
        depth: 3,
        witness: 9,
        cut: None,
        mutants: &[
            // an access that begins in the cycle in which weights become valid would end in the flush
            mutant("control", " | (weights_valid & (~was_valid))", "", "other_weights_make_busy"),
            mutant("control", "address_next = address + 16'd1;", "address_next = address + 16'd2;", "every_address"),
        ],
    },
    Proof {
        name: "channel_buffers",
        of: Of::Ese,
        checker: checker!("channel_buffers"),
        parameters: NONE,
        depth: 3,
        witness: 7,
        cut: None,
        mutants: &[
            mutant("channel_buffers", "room = ~full_1;", "room = 1'd1;", "room_is_a_free_half"),
            mutant("channel_buffers", "read_half_next = ~read_half;", "read_half_next = read_half;", "none_lost_none_twice"),
        ],
    },
    Proof {
        name: "stream_out",
        of: Of::Ese,
        checker: checker!("stream_out"),
        parameters: NONE,
        depth: 3,
        witness: 10,
        cut: None,
        mutants: &[
            mutant("stream_out", "assign can = (~valid) | tready;", "assign can = 1'd1;", "no_word_is_replaced_before_it_was_taken"),
            mutant("stream_out", "last_next = ends;", "last_next = 1'd0;", "beat_says_channel_and_end"),
        ],
    },
];
