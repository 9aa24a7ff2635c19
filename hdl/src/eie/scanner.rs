//! From the source activations to a stream of broadcasts (EIE's CCU in computing mode).

use crate::signal::*;
use crate::spmv::{Widths, PE_BITS, PE_COUNT_BITS, ROW_BITS};
use lacuna_compress::spec::arch::{Arch, ACT_BITS};

#[derive(LogicBlock)]
pub struct Scanner {
    pub clock: Signal<In, Clock>,
    pub clear: Signal<In, Bit>,
    pub begin_layer: Signal<In, Bit>,
    pub run: Signal<In, Bit>,
    pub empty: Signal<In, Bit>,
    pub pes: Wire<In>,
    pub source_rows: Wire<In>,
    pub last_lanes: Wire<In>,
    pub ptr_base: Wire<In>,
    pub scan_read: Signal<Out, Bit>,
    pub scan_row: Wire<Out>,
    pub load: Signal<Out, Bit>,
    pub load_lanes: Wire<Out>,
    pub take: Signal<Out, Bit>,
    pub pending: Signal<In, Bit>,
    pub more: Signal<In, Bit>,
    pub lane: Wire<In>,
    pub value: Wire<In>,
    pub accept: Signal<In, Bit>,
    pub broadcast: Signal<Out, Bit>,
    pub token: Signal<Out, Bit>,
    pub column: Wire<Out>,
    pub act: Wire<Out>,
    pub stall_queue: Signal<Out, Bit>,
    pub stall_scan: Signal<Out, Bit>,
    pub drain: Signal<Out, Bit>,
    // convolutions: the walks beside the scanner
    pub walk_row: Vec<Wire<In>>,
    pub walk_over: Vec<Signal<In, Bit>>,
    pub next_row_of_walk: Vec<Signal<Out, Bit>>,
    pub place: Vec<Wire<In>>,
    pub next_place: Vec<Signal<Out, Bit>>,
    // rows
    fetched: Flag,
    next_row: Reg,
    offset: Reg,
    base: Reg,
    rows: Wire<Local>,
    at_end: Signal<Local, Bit>,
    read_more: Signal<Local, Bit>,
    // stage 1: the lane found
    valid_1: Flag,
    token_1: Flag,
    lane_1: Reg,
    base_1: Reg,
    value_1: Reg,
    can_1: Signal<Local, Bit>,
    found: Signal<Local, Bit>,
    send_token: Signal<Local, Bit>,
    sent: Flag,
    // stage 2: the broadcast
    valid_2: Flag,
    token_2: Flag,
    column_2: Reg,
    value_2: Reg,
    can_2: Signal<Local, Bit>,
    ended: Flag,
    // convolutions: the walk has taken its first step; the row being scanned is its place's last and no token of it is
    // out or owed; a token is owed for the place before
    started: Vec<Flag>,
    closing: Vec<Flag>,
    owed: Vec<Flag>,
    _conv: usize,
    _value: usize,
    _last: usize,
    _act: usize,
    _column: usize,
}

impl Scanner {
    pub fn new(arch: &Arch) -> Scanner {
        let w = Widths::of(arch);
        let conv = usize::from(arch.conv);
        Scanner {
            clock: Default::default(),
            clear: Default::default(),
            begin_layer: Default::default(),
            run: Default::default(),
            empty: Default::default(),
            pes: Wire::new(PE_COUNT_BITS),
            source_rows: Wire::new(ROW_BITS),
            last_lanes: Wire::new(PE_COUNT_BITS),
            ptr_base: Wire::new(w.column),
            scan_read: Default::default(),
            scan_row: Wire::new(w.act),
            load: Default::default(),
            load_lanes: Wire::new(PE_COUNT_BITS),
            take: Default::default(),
            pending: Default::default(),
            more: Default::default(),
            lane: Wire::new(PE_BITS),
            value: Wire::new(ACT_BITS),
            accept: Default::default(),
            broadcast: Default::default(),
            token: Default::default(),
            column: Wire::new(w.column),
            act: Wire::new(w.value),
            stall_queue: Default::default(),
            stall_scan: Default::default(),
            drain: Default::default(),
            walk_row: (0..conv).map(|_| Wire::new(w.act)).collect(),
            walk_over: (0..conv).map(|_| Default::default()).collect(),
            next_row_of_walk: (0..conv).map(|_| Default::default()).collect(),
            place: (0..conv).map(|_| Wire::new(w.value)).collect(),
            next_place: (0..conv).map(|_| Default::default()).collect(),
            fetched: Flag::new(),
            next_row: Reg::new(ROW_BITS),
            offset: Reg::new(w.column),
            base: Reg::new(w.column),
            rows: Wire::new(ROW_BITS),
            at_end: Default::default(),
            read_more: Default::default(),
            valid_1: Flag::new(),
            token_1: Flag::new(),
            lane_1: Reg::new(PE_BITS),
            base_1: Reg::new(w.column),
            value_1: Reg::new(w.value),
            can_1: Default::default(),
            found: Default::default(),
            send_token: Default::default(),
            sent: Flag::new(),
            valid_2: Flag::new(),
            token_2: Flag::new(),
            column_2: Reg::new(w.column),
            value_2: Reg::new(w.value),
            can_2: Default::default(),
            ended: Flag::new(),
            started: (0..conv).map(|_| Flag::new()).collect(),
            closing: (0..conv).map(|_| Flag::new()).collect(),
            owed: (0..conv).map(|_| Flag::new()).collect(),
            _conv: conv,
            _value: w.value,
            _last: w.act + 1,
            _act: w.act,
            _column: w.column,
        }
    }
}

impl Logic for Scanner {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, fetched, next_row, offset, base, sent, ended);
        dff_setup!(self, clock, valid_1, token_1, lane_1, base_1, value_1, valid_2, token_2, column_2, value_2);

        self.can_2.next = !self.valid_2.q.val() | self.accept.val();
        self.can_1.next = !self.valid_1.q.val() | self.can_2.val();
        self.rows.next = self.source_rows.val();
        if self.empty.val() {
            self.rows.next = 0.into();
        }

        // rows: one is being scanned, the next waits in the output of the activation memories
        self.at_end.next = self.next_row.q.val() == self.rows.val();
        self.found.next = self.run.val() & self.pending.val() & self.can_1.val();
        self.take.next = self.found.val();
        self.load.next = self.run.val() & self.fetched.q.val() & (!self.pending.val() | (self.found.val() & !self.more.val()));
        self.read_more.next = self.run.val() & (self.load.val() | !self.fetched.q.val()) & !self.at_end.val();
        for c in 0..(self._conv) {
            // the walk's first step takes a cycle; a token goes before the columns of the place behind it
            self.found.next = self.run.val() & self.started[c].q.val() & self.pending.val() & self.can_1.val() & !self.owed[c].q.val();
            self.take.next = self.found.val();
            self.load.next = self.run.val()
                & self.started[c].q.val()
                & self.fetched.q.val()
                & (!self.pending.val() | (self.found.val() & !self.more.val()))
                & !(self.closing[c].q.val() & self.owed[c].q.val());
            self.read_more.next =
                self.run.val() & self.started[c].q.val() & (self.load.val() | !self.fetched.q.val()) & !self.walk_over[c].val();
        }
        self.scan_read.next = self.begin_layer.val() | self.read_more.val();
        self.scan_row.next = bit_cast_to(self.next_row.q.val(), self._act);
        for c in 0..(self._conv) {
            self.scan_row.next = self.walk_row[c].val();
        }
        self.load_lanes.next = self.pes.val();
        if self.at_end.val() {
            self.load_lanes.next = self.last_lanes.val();
        }
        if self.load.val() {
            self.fetched.d.next = false;
            self.base.d.next = self.ptr_base.val() + self.offset.q.val();
            self.offset.d.next = self.offset.q.val() + bit_cast_to(self.pes.val(), self._column);
        }
        if self.read_more.val() {
            self.fetched.d.next = true;
            self.next_row.d.next = self.next_row.q.val() + 1;
        }
        for c in 0..(self._conv) {
            if self.load.val() & self.at_end.val() {
                self.offset.d.next = 0.into();
            }
            if self.read_more.val() & self.at_end.val() {
                self.next_row.d.next = 1.into();
            }
            self.next_row_of_walk[c].next = self.read_more.val() | (self.run.val() & !self.started[c].q.val());
        }
        if self.begin_layer.val() {
            self.scan_row.next = 0.into();
            self.fetched.d.next = true;
            self.next_row.d.next = 1.into();
            self.offset.d.next = 0.into();
            self.sent.d.next = false;
            self.ended.d.next = false;
        }

        // stage 1: a column, or after the last one the token
        self.send_token.next =
            self.run.val() & self.at_end.val() & !self.fetched.q.val() & !self.pending.val() & !self.sent.q.val() & self.can_1.val();
        for c in 0..(self._conv) {
            self.send_token.next =
                self.run.val() & self.can_1.val() & (self.owed[c].q.val() | (self.closing[c].q.val() & !self.pending.val()));
            self.next_place[c].next = self.send_token.val();
            self.started[c].clock.next = self.clock.val();
            self.closing[c].clock.next = self.clock.val();
            self.owed[c].clock.next = self.clock.val();
            self.started[c].d.next = self.started[c].q.val() | self.run.val();
            self.closing[c].d.next = self.closing[c].q.val() & (!self.send_token.val() | self.owed[c].q.val());
            self.owed[c].d.next = (self.owed[c].q.val() | (self.load.val() & self.closing[c].q.val())) & !self.send_token.val();
            if self.load.val() {
                self.closing[c].d.next = self.at_end.val();
            }
            if self.begin_layer.val() {
                self.started[c].d.next = false;
                self.closing[c].d.next = false;
                self.owed[c].d.next = false;
            }
            if self.clear.val() {
                self.started[c].d.next = true;
                self.closing[c].d.next = true;
                self.owed[c].d.next = false;
            }
        }
        if self.send_token.val() {
            self.sent.d.next = true;
        }
        if self.can_1.val() {
            self.valid_1.d.next = self.found.val() | self.send_token.val();
            self.token_1.d.next = self.send_token.val();
            self.lane_1.d.next = self.lane.val();
            self.base_1.d.next = self.base.q.val();
            self.value_1.d.next = bit_cast_to(self.value.val(), self._value);
            for c in 0..(self._conv) {
                if self.send_token.val() {
                    self.value_1.d.next = self.place[c].val();
                }
            }
        }

        // stage 2: broadcast when every PE accepts
        if self.can_2.val() {
            self.valid_2.d.next = self.valid_1.q.val();
            self.token_2.d.next = self.token_1.q.val();
            self.column_2.d.next = self.base_1.q.val() + bit_cast_to(self.lane_1.q.val(), self._column);
            self.value_2.d.next = self.value_1.q.val();
        }
        self.broadcast.next = self.valid_2.q.val() & self.accept.val();
        self.token.next = self.token_2.q.val();
        self.column.next = self.column_2.q.val();
        self.act.next = self.value_2.q.val();
        if self.broadcast.val() & self.token_2.q.val() {
            self.ended.d.next = true;
        }
        for _c in 0..(self._conv) {
            // only the token of the layer's last place ends it
            self.ended.d.next = !self.begin_layer.val()
                & (self.ended.q.val() | (self.broadcast.val() & self.token_2.q.val() & self.value_2.q.val().get_bit(self._last)));
        }
        if self.clear.val() {
            self.next_row.d.next = 0.into();
            self.fetched.d.next = false;
            self.sent.d.next = false;
            self.ended.d.next = false;
            self.valid_1.d.next = false;
            self.valid_2.d.next = false;
        }

        self.stall_queue.next = self.valid_2.q.val() & !self.accept.val();
        self.stall_scan.next = !self.valid_2.q.val() & !self.ended.q.val();
        self.drain.next = self.ended.q.val();
    }
    fn timing(&self) -> Vec<TimingInfo> {
        let meta = Meta::new("scanner").doc(
            "Scanner: reads the source activations row by row and broadcasts the non-zero ones, in order.\n\
             \n\
             begin_layer (with run low) reads row 0; with run, rows follow one another without a lost cycle: while the\n\
             lanes of one are taken, the next one waits. A row without pending lanes costs a cycle. Behind the\n\
             last column goes a token. With empty there are no rows, only the token. Both stages hold while a\n\
             PE does not accept; a free stage is filled all the same.\n\
             stall_queue: a broadcast waits for a PE. stall_scan: nothing to broadcast yet. drain: the token is out.",
        );
        if self._conv == 0 {
            return meta.into_timing();
        }
        meta.doc(
            "\n\
             Convolutions: the first cycle of run is next_row_of_walk alone, then row 1 of the walk is in walk_row, and each\n\
             read takes one. source_rows rows make a place; behind the last column of each goes a token with the word of\n\
             place, then next_place. The first row of the next place is read ahead as any other. drain: the last place's\n\
             token is out.",
        )
        .value("_last", self._last)
        .into_timing()
    }
}
