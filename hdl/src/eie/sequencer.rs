//! Runs the layers of a network after one start.

use crate::signal::*;
use crate::spmv::{Widths, ROW_BITS};
use lacuna_compress::spec::arch::Arch;

#[derive(Copy, Clone, PartialEq, Debug, LogicState)]
pub enum Step {
    /// Waits for a start.
    Idle,
    /// One cycle: everything under way is dropped; then the accumulators are cleared.
    Flush,
    /// One cycle: the layer's record and its first activations are read.
    Fetch,
    /// Until every PE has written its rows back.
    Run,
}

#[derive(LogicBlock)]
pub struct Sequencer {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    pub start: Signal<In, Bit>,
    pub abort: Signal<In, Bit>,
    pub last: Signal<In, Bit>,
    pub out_rows_of_layer: Wire<In>,
    pub done: Signal<In, Bit>,
    pub stall_queue: Signal<In, Bit>,
    pub stall_scan: Signal<In, Bit>,
    pub drain: Signal<In, Bit>,
    pub clear: Signal<Out, Bit>,
    pub begin_layer: Signal<Out, Bit>,
    pub run: Signal<Out, Bit>,
    pub discard: Signal<Out, Bit>,
    pub layer: Wire<Out>,
    pub source_b: Signal<Out, Bit>,
    pub out_rows: Wire<Out>,
    pub busy: Signal<Out, Bit>,
    pub computing: Signal<Out, Bit>,
    pub finished: Signal<Out, Bit>,
    pub result_b: Signal<Out, Bit>,
    pub cycles: Wire<Out>,
    pub stalls_queue: Wire<Out>,
    pub stalls_scan: Wire<Out>,
    pub stalls_drain: Wire<Out>,
    step: DFF<Step>,
    clearing: Flag,
    layer_number: Reg,
    in_b: Flag,
    cycle_count: Reg,
    queue_count: Reg,
    scan_count: Reg,
    drain_count: Reg,
    all_accumulators: Const,
}

impl Sequencer {
    pub fn new(arch: &Arch) -> Sequencer {
        let w = Widths::of(arch);
        Sequencer {
            clock: Default::default(),
            reset: Default::default(),
            start: Default::default(),
            abort: Default::default(),
            last: Default::default(),
            out_rows_of_layer: Wire::new(ROW_BITS),
            done: Default::default(),
            stall_queue: Default::default(),
            stall_scan: Default::default(),
            drain: Default::default(),
            clear: Default::default(),
            begin_layer: Default::default(),
            run: Default::default(),
            discard: Default::default(),
            layer: Wire::new(w.layer),
            source_b: Default::default(),
            out_rows: Wire::new(ROW_BITS),
            busy: Default::default(),
            computing: Default::default(),
            finished: Default::default(),
            result_b: Default::default(),
            cycles: Wire::new(32),
            stalls_queue: Wire::new(32),
            stalls_scan: Wire::new(32),
            stalls_drain: Wire::new(32),
            step: Default::default(),
            clearing: Flag::new(),
            layer_number: Reg::new(w.layer),
            in_b: Flag::new(),
            cycle_count: Reg::new(32),
            queue_count: Reg::new(32),
            scan_count: Reg::new(32),
            drain_count: Reg::new(32),
            all_accumulators: Const::new(ROW_BITS, arch.acc_depth as u64),
        }
    }
}

impl Logic for Sequencer {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, step, clearing, layer_number, in_b, cycle_count, queue_count, scan_count, drain_count);
        self.clear.next = false;
        self.begin_layer.next = false;
        self.run.next = false;
        self.finished.next = false;
        self.computing.next = !self.clearing.q.val();
        match self.step.q.val() {
            Step::Idle => {
                self.computing.next = false;
                if self.start.val() {
                    self.step.d.next = Step::Fetch;
                    self.layer_number.d.next = 0.into();
                    self.cycle_count.d.next = 0.into();
                    self.queue_count.d.next = 0.into();
                    self.scan_count.d.next = 0.into();
                    self.drain_count.d.next = 0.into();
                }
            }
            Step::Flush => {
                self.computing.next = false;
                self.clear.next = true;
                self.clearing.d.next = true;
                self.step.d.next = Step::Run;
            }
            Step::Fetch => {
                self.begin_layer.next = true;
                self.step.d.next = Step::Run;
            }
            Step::Run => {
                self.run.next = true;
                if self.done.val() {
                    if self.clearing.q.val() {
                        self.clearing.d.next = false;
                        self.step.d.next = Step::Idle;
                    } else if self.last.val() {
                        self.finished.next = true;
                        self.in_b.d.next = !self.layer_number.q.val().get_bit(0);
                        self.step.d.next = Step::Idle;
                    } else {
                        self.layer_number.d.next = self.layer_number.q.val() + 1;
                        self.step.d.next = Step::Fetch;
                    }
                }
            }
        }
        if self.computing.val() {
            self.cycle_count.d.next = self.cycle_count.q.val() + 1;
            if self.begin_layer.val() | (self.stall_scan.val() & !self.drain.val()) {
                self.scan_count.d.next = self.scan_count.q.val() + 1;
            } else if self.drain.val() {
                self.drain_count.d.next = self.drain_count.q.val() + 1;
            } else if self.stall_queue.val() {
                self.queue_count.d.next = self.queue_count.q.val() + 1;
            }
            if self.abort.val() {
                self.finished.next = false;
                self.step.d.next = Step::Flush;
            }
        }
        if self.reset.val() {
            self.step.d.next = Step::Flush;
            self.in_b.d.next = false;
            self.cycle_count.d.next = 0.into();
            self.queue_count.d.next = 0.into();
            self.scan_count.d.next = 0.into();
            self.drain_count.d.next = 0.into();
        }

        self.layer.next = self.layer_number.q.val();
        self.source_b.next = self.layer_number.q.val().get_bit(0);
        self.discard.next = self.clearing.q.val();
        self.out_rows.next = self.out_rows_of_layer.val();
        if self.clearing.q.val() {
            self.out_rows.next = self.all_accumulators.val();
        }
        self.busy.next = self.step.q.val() != Step::Idle;
        self.result_b.next = self.in_b.q.val();
        self.cycles.next = self.cycle_count.q.val();
        self.stalls_queue.next = self.queue_count.q.val();
        self.stalls_scan.next = self.scan_count.q.val();
        self.stalls_drain.next = self.drain_count.q.val();
    }
    fn timing(&self) -> Vec<TimingInfo> {
        Meta::new("sequencer")
            .doc(
                "Sequencer: the layers of a network, one after the other, from one start.\n\
                 \n\
                 A layer is a cycle of begin_layer (its record and first activations are read) and then run until done. The\n\
                 layer marked last ends with finished. Reset and abort flush the datapath and then run an empty\n\
                 layer over all accumulators with discard, which leaves them zero; a start in that time is not taken.\n\
                 Counters count the cycles of the last start: every cycle of begin_layer and run, and of these the ones\n\
                 in which a broadcast waited for a queue, nothing was there to broadcast, or a layer drained.",
            )
            .into_timing()
    }
}
