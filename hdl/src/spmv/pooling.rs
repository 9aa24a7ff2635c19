//! Pooling: where a result goes, and whether it or the one that is there already stays.

use super::Widths;
use crate::prim::Larger;
use crate::signal::*;
use lacuna_compress::spec::arch::{Arch, ACT_BITS};

#[derive(LogicBlock)]
pub struct Pooling {
    pub clock: Signal<In, Clock>,
    pub place: Wire<In>,
    pub row: Wire<In>,
    pub target: Wire<Out>,
    pub valid_8: Signal<In, Bit>,
    pub row_8: Wire<In>,
    pub read: Signal<Out, Bit>,
    pub valid_9: Signal<In, Bit>,
    pub row_9: Wire<In>,
    pub act_9: Wire<In>,
    pub old: Wire<In>,
    pub kept: Wire<Out>,
    // stage 6
    target_6: Reg,
    first_6: Flag,
    // stage 7
    first_7: Flag,
    // stage 8
    first_8: Flag,
    // stage 9
    first_9: Flag,
    again_9: Flag,
    before_9: Reg,
    larger: Larger,
    unused: Signal<Local, Bit>,
    _act: usize,
}

impl Pooling {
    pub fn new(arch: &Arch) -> Pooling {
        let w = Widths::of(arch);
        Pooling {
            clock: Default::default(),
            place: Wire::new(w.value),
            row: Wire::new(w.acc),
            target: Wire::new(w.act),
            valid_8: Default::default(),
            row_8: Wire::new(w.act),
            read: Default::default(),
            valid_9: Default::default(),
            row_9: Wire::new(w.act),
            act_9: Wire::new(ACT_BITS),
            old: Wire::new(ACT_BITS),
            kept: Wire::new(ACT_BITS),
            target_6: Reg::new(w.act),
            first_6: Flag::new(),
            first_7: Flag::new(),
            first_8: Flag::new(),
            first_9: Flag::new(),
            again_9: Flag::new(),
            before_9: Reg::new(ACT_BITS),
            larger: Larger::new(ACT_BITS),
            unused: Default::default(),
            _act: w.act,
        }
    }
}

impl Logic for Pooling {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, target_6, first_6, first_7, first_8, first_9, again_9, before_9);
        // stage 5 to 6
        self.target_6.d.next = bit_cast_to(self.place.val(), self._act) + bit_cast_to(self.row.val(), self._act);
        self.first_6.d.next = self.place.val().get_bit(self._act);
        self.unused.next = self.place.val().any() ^ self.row.val().any();
        self.target.next = self.target_6.q.val();
        self.first_7.d.next = self.first_6.q.val();
        self.first_8.d.next = self.first_7.q.val();

        // stage 8: what is there already is read; what stage 9 writes to the same row is not there yet
        self.read.next = self.valid_8.val() & !self.first_8.q.val();
        self.first_9.d.next = self.first_8.q.val();
        self.again_9.d.next = self.valid_9.val() & (self.row_9.val() == self.row_8.val());

        // stage 9
        self.larger.a.next = self.act_9.val();
        self.larger.b.next = self.old.val();
        if self.again_9.q.val() {
            self.larger.b.next = self.before_9.q.val();
        }
        self.kept.next = self.larger.most.val();
        if self.first_9.q.val() {
            self.kept.next = self.act_9.val();
        }
        self.before_9.d.next = self.kept.val();
    }
    fn timing(&self) -> Vec<TimingInfo> {
        Meta::new("pooling")
            .doc(
                "Pooling: the stages behind write-back for results that go to a map.\n\
                 \n\
                 place is what the token carried (row of the window, first of its window above), row the row of the PE; a cycle\n\
                 later target is where the result goes. In stage 8 read asks for word row_8 of the destination unless the place\n\
                 is the first of its window; in stage 9 kept is the larger of that word, old, and act_9, or act_9 of a first\n\
                 place. What was written in the cycle of the read is forwarded.",
            )
            .value("_act", self._act)
            .into_timing()
    }
}
