//! Pooling: where a result goes, and whether it or the one that is there already stays.

use super::{Widths, ROW_BITS};
use crate::prim::Larger;
use crate::signal::*;
use lacuna_compress::spec::arch::{Arch, ACT_BITS};

#[derive(LogicBlock)]
pub struct Pooling {
    pub clock: Signal<In, Clock>,
    pub place: Wire<In>,
    pub row: Wire<In>,
    pub target: Wire<Out>,
    pub valid_5: Signal<In, Bit>,
    pub row_5: Wire<In>,
    pub read: Signal<Out, Bit>,
    pub valid_6: Signal<In, Bit>,
    pub row_6: Wire<In>,
    pub act_6: Wire<In>,
    pub old: Wire<In>,
    pub kept: Wire<Out>,
    // stage 4
    target_4: Reg,
    first_4: Flag,
    // stage 5
    first_5: Flag,
    // stage 6
    first_6: Flag,
    again_6: Flag,
    before_6: Reg,
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
            row: Wire::new(ROW_BITS),
            target: Wire::new(w.act),
            valid_5: Default::default(),
            row_5: Wire::new(w.act),
            read: Default::default(),
            valid_6: Default::default(),
            row_6: Wire::new(w.act),
            act_6: Wire::new(ACT_BITS),
            old: Wire::new(ACT_BITS),
            kept: Wire::new(ACT_BITS),
            target_4: Reg::new(w.act),
            first_4: Flag::new(),
            first_5: Flag::new(),
            first_6: Flag::new(),
            again_6: Flag::new(),
            before_6: Reg::new(ACT_BITS),
            larger: Larger::new(ACT_BITS),
            unused: Default::default(),
            _act: w.act,
        }
    }
}

impl Logic for Pooling {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, target_4, first_4, first_5, first_6, again_6, before_6);
        // stage 3 to 4
        self.target_4.d.next = bit_cast_to(self.place.val(), self._act) + bit_cast_to(self.row.val(), self._act);
        self.first_4.d.next = self.place.val().get_bit(self._act);
        self.unused.next = self.place.val().any() ^ self.row.val().any();
        self.target.next = self.target_4.q.val();
        self.first_5.d.next = self.first_4.q.val();

        // stage 5: what is there already is read; what stage 6 writes to the same row is not there yet
        self.read.next = self.valid_5.val() & !self.first_5.q.val();
        self.first_6.d.next = self.first_5.q.val();
        self.again_6.d.next = self.valid_6.val() & (self.row_6.val() == self.row_5.val());

        // stage 6
        self.larger.a.next = self.act_6.val();
        self.larger.b.next = self.old.val();
        if self.again_6.q.val() {
            self.larger.b.next = self.before_6.q.val();
        }
        self.kept.next = self.larger.most.val();
        if self.first_6.q.val() {
            self.kept.next = self.act_6.val();
        }
        self.before_6.d.next = self.kept.val();
    }
    fn timing(&self) -> Vec<TimingInfo> {
        Meta::new("pooling")
            .doc(
                "Pooling: the stages behind write-back for results that go to a map.\n\
                 \n\
                 place is what the token carried (row of the window, first of its window above), row the row of the PE; a cycle\n\
                 later target is where the result goes. In stage 5 read asks for word row_5 of the destination unless the place\n\
                 is the first of its window; in stage 6 kept is the larger of that word, old, and act_6, or act_6 of a first\n\
                 place. What was written in the cycle of the read is forwarded.",
            )
            .value("_act", self._act)
            .into_timing()
    }
}
