//! Where the results of a layer's places go.

use crate::signal::*;
use crate::spmv::{Widths, ROW_BITS};
use lacuna_compress::spec::arch::Arch;
use lacuna_compress::spec::LayerRecord;

#[derive(LogicBlock)]
pub struct WindowWalk {
    pub clock: Signal<In, Clock>,
    pub begin_layer: Signal<In, Bit>,
    pub advance: Signal<In, Bit>,
    pub empty: Signal<In, Bit>,
    pub out_rows: Wire<In>,
    pub out_width: Wire<In>,
    pub out_height: Wire<In>,
    pub pool: Wire<In>,
    pub place: Wire<Out>,
    // the window's first row, and that of the first window of its line
    window: Reg,
    line: Reg,
    // places of the line and lines up to this one, of the window's line and column
    x: Reg,
    y: Reg,
    pool_x: Reg,
    pool_y: Reg,
    next_window: Wire<Local>,
    line_end: Signal<Local, Bit>,
    first: Signal<Local, Bit>,
    last: Signal<Local, Bit>,
    _act: usize,
    _value: usize,
    _last: usize,
}

impl WindowWalk {
    pub fn new(arch: &Arch) -> WindowWalk {
        let w = Widths::of(arch);
        let pool = LayerRecord::field("pool").1;
        WindowWalk {
            clock: Default::default(),
            begin_layer: Default::default(),
            advance: Default::default(),
            empty: Default::default(),
            out_rows: Wire::new(w.act),
            out_width: Wire::new(ROW_BITS),
            out_height: Wire::new(ROW_BITS),
            pool: Wire::new(pool),
            place: Wire::new(w.value),
            window: Reg::new(w.act),
            line: Reg::new(w.act),
            x: Reg::new(ROW_BITS),
            y: Reg::new(ROW_BITS),
            pool_x: Reg::new(pool),
            pool_y: Reg::new(pool),
            next_window: Wire::new(w.act),
            line_end: Default::default(),
            first: Default::default(),
            last: Default::default(),
            _act: w.act,
            _value: w.value,
            _last: w.act + 1,
        }
    }
}

impl Logic for WindowWalk {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, window, line, x, y, pool_x, pool_y);
        self.next_window.next = self.window.q.val() + self.out_rows.val();
        self.line_end.next = self.x.q.val() == self.out_width.val();
        self.first.next = (self.pool_x.q.val() == 1) & (self.pool_y.q.val() == 1);
        self.last.next = self.empty.val() | (self.line_end.val() & (self.y.q.val() == self.out_height.val()));
        self.place.next = bit_cast_to(self.window.q.val(), self._value)
            | (bit_cast_bit(self.first.val(), self._value) << self._act)
            | (bit_cast_bit(self.last.val(), self._value) << self._last);
        if self.advance.val() {
            if self.line_end.val() {
                self.x.d.next = 1.into();
                self.y.d.next = self.y.q.val() + 1;
                self.pool_x.d.next = 1.into();
                self.pool_y.d.next = self.pool_y.q.val() + 1;
                self.window.d.next = self.line.q.val();
                if self.pool_y.q.val() == self.pool.val() {
                    self.pool_y.d.next = 1.into();
                    self.window.d.next = self.next_window.val();
                    self.line.d.next = self.next_window.val();
                }
            } else {
                self.x.d.next = self.x.q.val() + 1;
                self.pool_x.d.next = self.pool_x.q.val() + 1;
                if self.pool_x.q.val() == self.pool.val() {
                    self.pool_x.d.next = 1.into();
                    self.window.d.next = self.next_window.val();
                }
            }
        }
        if self.begin_layer.val() {
            self.window.d.next = 0.into();
            self.line.d.next = 0.into();
            self.x.d.next = 1.into();
            self.y.d.next = 1.into();
            self.pool_x.d.next = 1.into();
            self.pool_y.d.next = 1.into();
        }
    }
    fn timing(&self) -> Vec<TimingInfo> {
        Meta::new("window_walk")
            .doc(
                "WindowWalk: what the token of each place carries, in the order of the places.\n\
                 \n\
                 place: from bit 0 up the destination row of the place's window of pooling, then a bit for the first place\n\
                 of its window, then one for the last place of the layer. begin_layer goes to the first place, advance to\n\
                 the next. With empty every place is the last.",
            )
            .value("_act", self._act)
            .value("_last", self._last)
            .into_timing()
    }
}
