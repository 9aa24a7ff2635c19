//! LNZD: leading non-zero detection, the node of the tree that EIE's CCU is the root of.

use super::PE_BITS;
use crate::signal::*;
use lacuna_compress::spec::arch::ACT_BITS;

/// Of four lanes (or nodes below) the first that is pending.
#[derive(LogicBlock)]
pub struct LnzdNode {
    pub in_pending: Vec<Signal<In, Bit>>,
    pub in_more: Vec<Signal<In, Bit>>,
    pub in_lane: Vec<Wire<In>>,
    pub in_value: Vec<Wire<In>>,
    pub pending: Signal<Out, Bit>,
    pub more: Signal<Out, Bit>,
    pub lane: Wire<Out>,
    pub value: Wire<Out>,
    several: Signal<Local, Bit>,
}

impl Default for LnzdNode {
    fn default() -> LnzdNode {
        LnzdNode {
            in_pending: (0..4).map(|_| Default::default()).collect(),
            in_more: (0..4).map(|_| Default::default()).collect(),
            in_lane: (0..4).map(|_| Wire::new(PE_BITS)).collect(),
            in_value: (0..4).map(|_| Wire::new(ACT_BITS)).collect(),
            pending: Default::default(),
            more: Default::default(),
            lane: Wire::new(PE_BITS),
            value: Wire::new(ACT_BITS),
            several: Default::default(),
        }
    }
}

impl Logic for LnzdNode {
    #[hdl_gen]
    fn update(&mut self) {
        self.lane.next = self.in_lane[3].val();
        self.value.next = self.in_value[3].val();
        if self.in_pending[0].val() {
            self.lane.next = self.in_lane[0].val();
            self.value.next = self.in_value[0].val();
        } else if self.in_pending[1].val() {
            self.lane.next = self.in_lane[1].val();
            self.value.next = self.in_value[1].val();
        } else if self.in_pending[2].val() {
            self.lane.next = self.in_lane[2].val();
            self.value.next = self.in_value[2].val();
        }
        self.pending.next = self.in_pending[0].val() | self.in_pending[1].val() | self.in_pending[2].val() | self.in_pending[3].val();
        self.several.next = (self.in_pending[0].val() & (self.in_pending[1].val() | self.in_pending[2].val() | self.in_pending[3].val()))
            | (self.in_pending[1].val() & (self.in_pending[2].val() | self.in_pending[3].val()))
            | (self.in_pending[2].val() & self.in_pending[3].val());
        self.more.next = self.several.val() | self.in_more[0].val() | self.in_more[1].val() | self.in_more[2].val() | self.in_more[3].val();
    }
    fn timing(&self) -> Vec<TimingInfo> {
        Meta::new("lnzd_node")
            .doc(
                "LNZD node: of four inputs in order, the lane number and activation of the first that is pending.\n\
                 \n\
                 more: at least one pending lane follows it. Combinational; lane and value mean nothing unless pending.",
            )
            .into_timing()
    }
}
