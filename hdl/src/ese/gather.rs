//! The node of the tree that collects what all PEs say: accept, token, idle, the sums of one PE, a word for the host.

use crate::signal::*;

#[derive(LogicBlock)]
pub struct EseGather {
    pub in_accept: Vec<Signal<In, Bit>>,
    pub in_token_seen: Vec<Signal<In, Bit>>,
    pub in_idle: Vec<Signal<In, Bit>>,
    /// Sum `s` of child `k` is number `4 s + k`.
    pub in_sums: Vec<Wire<In>>,
    pub in_word: Vec<Wire<In>>,
    pub accept: Signal<Out, Bit>,
    pub token_seen: Signal<Out, Bit>,
    pub idle: Signal<Out, Bit>,
    pub sums: Vec<Wire<Out>>,
    pub word: Wire<Out>,
    _sums: usize,
}

impl EseGather {
    /// Number and bits of the sums of a PE, bits of a word.
    pub fn new(sums: usize, sum: usize, word: usize) -> EseGather {
        let bits = || (0..4).map(|_| Default::default()).collect();
        EseGather {
            in_accept: bits(),
            in_token_seen: bits(),
            in_idle: bits(),
            in_sums: (0..4 * sums).map(|_| Wire::new(sum)).collect(),
            in_word: (0..4).map(|_| Wire::new(word)).collect(),
            accept: Default::default(),
            token_seen: Default::default(),
            idle: Default::default(),
            sums: (0..sums).map(|_| Wire::new(sum)).collect(),
            word: Wire::new(word),
            _sums: sums,
        }
    }

    /// Marks every input as driven, for a parent that connects them by name.
    pub fn connect_inputs(&mut self) {
        let bits = self.in_accept.iter_mut().chain(&mut self.in_token_seen).chain(&mut self.in_idle);
        bits.for_each(|s| s.connect());
        self.in_sums.iter_mut().chain(&mut self.in_word).for_each(|s| s.connect());
    }
}

impl Logic for EseGather {
    #[hdl_gen]
    fn update(&mut self) {
        self.accept.next = self.in_accept[0].val() & self.in_accept[1].val() & self.in_accept[2].val() & self.in_accept[3].val();
        self.token_seen.next =
            self.in_token_seen[0].val() & self.in_token_seen[1].val() & self.in_token_seen[2].val() & self.in_token_seen[3].val();
        self.idle.next = self.in_idle[0].val() & self.in_idle[1].val() & self.in_idle[2].val() & self.in_idle[3].val();
        for s in 0..(self._sums) {
            self.sums[s].next =
                self.in_sums[4 * s].val() | self.in_sums[4 * s + 1].val() | self.in_sums[4 * s + 2].val() | self.in_sums[4 * s + 3].val();
        }
        self.word.next = self.in_word[0].val() | self.in_word[1].val() | self.in_word[2].val() | self.in_word[3].val();
    }
    fn timing(&self) -> Vec<TimingInfo> {
        Meta::new("ese_gather")
            .doc(
                "Gather node: accept, token_seen and idle of all four inputs, and the sums and the word of the one of them\n\
                 that does not say zero. Combinational.",
            )
            .into_timing()
    }
}
