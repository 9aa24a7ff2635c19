//! The node of the tree that collects what all PEs say: accept, done, and the word that one of them reads for the host.

use crate::signal::*;

/// Nodes of each level of a tree of four over `leaves`, the root's last.
pub(crate) fn levels(leaves: usize) -> Vec<usize> {
    let mut all = vec![leaves.div_ceil(4)];
    while let Some(&n) = all.last().filter(|n| **n > 1) {
        all.push(n.div_ceil(4));
    }
    all
}

#[derive(LogicBlock)]
pub struct GatherNode {
    pub in_accept: Vec<Signal<In, Bit>>,
    pub in_done: Vec<Signal<In, Bit>>,
    pub in_word: Vec<Wire<In>>,
    pub accept: Signal<Out, Bit>,
    pub done: Signal<Out, Bit>,
    pub word: Wire<Out>,
}

impl GatherNode {
    /// Bits of a word.
    pub fn new(width: usize) -> GatherNode {
        GatherNode {
            in_accept: (0..4).map(|_| Default::default()).collect(),
            in_done: (0..4).map(|_| Default::default()).collect(),
            in_word: (0..4).map(|_| Wire::new(width)).collect(),
            accept: Default::default(),
            done: Default::default(),
            word: Wire::new(width),
        }
    }
}

impl Logic for GatherNode {
    #[hdl_gen]
    fn update(&mut self) {
        self.accept.next = self.in_accept[0].val() & self.in_accept[1].val() & self.in_accept[2].val() & self.in_accept[3].val();
        self.done.next = self.in_done[0].val() & self.in_done[1].val() & self.in_done[2].val() & self.in_done[3].val();
        self.word.next = self.in_word[0].val() | self.in_word[1].val() | self.in_word[2].val() | self.in_word[3].val();
    }
    fn timing(&self) -> Vec<TimingInfo> {
        Meta::new("gather_node")
            .doc("Gather node: accept and done of all four inputs, and the one word that is not zero. Combinational.")
            .into_timing()
    }
}
