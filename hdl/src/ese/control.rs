//! When steps may run, and when everything is made empty.

use super::buffers::POSITION_BITS;
use crate::signal::*;
use lacuna_compress::spec::arch::Arch;
use lacuna_compress::spec::MemoryKind;

#[derive(Copy, Clone, PartialEq, Debug, LogicState)]
pub enum Mode {
    /// Everything under way is dropped; accumulators and all channels' state become zero, word after word.
    Flush,
    /// Steps run, or nothing does.
    Ready,
    /// The state of some channels becomes zero, word after word.
    Sweep,
}

#[derive(LogicBlock)]
pub struct Control {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    // host
    pub start: Signal<In, Bit>,
    pub stop: Signal<In, Bit>,
    pub abort: Signal<In, Bit>,
    pub clear_state: Wire<In>,
    pub weights_valid: Signal<In, Bit>,
    // what is under way
    pub broadcaster_rests: Signal<In, Bit>,
    pub array_idle: Signal<In, Bit>,
    pub complete: Signal<In, Bit>,
    pub drain_busy: Signal<In, Bit>,
    pub clears_taken: Wire<In>,
    pub step_done: Signal<In, Bit>,
    pub stall_queue: Signal<In, Bit>,
    pub stall_input: Signal<In, Bit>,
    pub stall_data: Signal<In, Bit>,
    pub stall_output: Signal<In, Bit>,
    pub run: Signal<Out, Bit>,
    pub clear: Signal<Out, Bit>,
    pub clear_pending: Wire<Out>,
    pub flush: Signal<Out, Bit>,
    pub sweep: Signal<Out, Bit>,
    pub sweep_mask: Wire<Out>,
    pub sweep_address: Wire<Out>,
    pub busy: Signal<Out, Bit>,
    pub computing: Signal<Out, Bit>,
    pub cycles: Wire<Out>,
    pub steps: Wire<Out>,
    pub stalls_queue: Wire<Out>,
    pub stalls_input: Wire<Out>,
    pub stalls_data: Wire<Out>,
    pub stalls_output: Wire<Out>,
    mode: DFF<Mode>,
    running: Flag,
    was_valid: Flag,
    pending: Reg,
    sweeping: Reg,
    address: Reg,
    resting: Signal<Local, Bit>,
    counting: Signal<Local, Bit>,
    cycle_count: Reg,
    step_count: Reg,
    queue_count: Reg,
    input_count: Reg,
    data_count: Reg,
    output_count: Reg,
    last_address: Const,
    everyone: Const,
}

impl Control {
    pub fn new(arch: &Arch) -> Control {
        let channels = arch.channels();
        let deepest = arch.acc_depth.max(MemoryKind::ActA.depth(arch)).max(MemoryKind::ActB.depth(arch));
        let count = || Wire::new(32);
        Control {
            clock: Default::default(),
            reset: Default::default(),
            start: Default::default(),
            stop: Default::default(),
            abort: Default::default(),
            clear_state: Wire::new(channels),
            weights_valid: Default::default(),
            broadcaster_rests: Default::default(),
            array_idle: Default::default(),
            complete: Default::default(),
            drain_busy: Default::default(),
            clears_taken: Wire::new(channels),
            step_done: Default::default(),
            stall_queue: Default::default(),
            stall_input: Default::default(),
            stall_data: Default::default(),
            stall_output: Default::default(),
            run: Default::default(),
            clear: Default::default(),
            clear_pending: Wire::new(channels),
            flush: Default::default(),
            sweep: Default::default(),
            sweep_mask: Wire::new(channels),
            sweep_address: Wire::new(POSITION_BITS),
            busy: Default::default(),
            computing: Default::default(),
            cycles: count(),
            steps: count(),
            stalls_queue: count(),
            stalls_input: count(),
            stalls_data: count(),
            stalls_output: count(),
            mode: Default::default(),
            running: Flag::new(),
            was_valid: Flag::new(),
            pending: Reg::new(channels),
            sweeping: Reg::new(channels),
            address: Reg::new(POSITION_BITS),
            resting: Default::default(),
            counting: Default::default(),
            cycle_count: Reg::new(32),
            step_count: Reg::new(32),
            queue_count: Reg::new(32),
            input_count: Reg::new(32),
            data_count: Reg::new(32),
            output_count: Reg::new(32),
            last_address: Const::new(POSITION_BITS, deepest as u64 - 1),
            everyone: Const::new(channels, (1 << channels) - 1),
        }
    }
}

impl Logic for Control {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, mode, running, was_valid, pending, sweeping, address);
        dff_setup!(self, clock, cycle_count, step_count, queue_count, input_count, data_count, output_count);
        self.resting.next =
            self.broadcaster_rests.val() & self.array_idle.val() & self.complete.val() & !self.drain_busy.val() & !self.running.q.val();
        // without weights the program memory may hold anything
        self.clear.next = !self.weights_valid.val();
        self.flush.next = false;
        self.sweep.next = false;
        self.sweep_mask.next = self.everyone.val();
        self.sweep_address.next = self.address.q.val();
        self.counting.next = false;
        self.was_valid.d.next = self.weights_valid.val();
        // a mark stays until the channel begins a step or is swept; one made in that cycle is for the next time
        self.pending.d.next = (self.pending.q.val() & !self.clears_taken.val()) | self.clear_state.val();
        match self.mode.q.val() {
            Mode::Flush => {
                self.clear.next = true;
                self.flush.next = true;
                self.sweep.next = true;
                self.running.d.next = false;
                self.pending.d.next = 0.into();
                self.address.d.next = self.address.q.val() + 1;
                if self.address.q.val() == self.last_address.val() {
                    self.mode.d.next = Mode::Ready;
                }
                self.cycle_count.d.next = 0.into();
                self.step_count.d.next = 0.into();
                self.queue_count.d.next = 0.into();
                self.input_count.d.next = 0.into();
                self.data_count.d.next = 0.into();
                self.output_count.d.next = 0.into();
            }
            Mode::Ready => {
                self.counting.next = self.running.q.val() | !self.resting.val();
                self.address.d.next = 0.into();
                if self.start.val() {
                    self.running.d.next = true;
                } else if self.stop.val() {
                    self.running.d.next = false;
                } else if self.resting.val() & self.pending.q.val().any() {
                    self.sweeping.d.next = self.pending.q.val();
                    self.mode.d.next = Mode::Sweep;
                }
            }
            Mode::Sweep => {
                self.sweep.next = true;
                self.sweep_mask.next = self.sweeping.q.val();
                self.address.d.next = self.address.q.val() + 1;
                if self.address.q.val() == self.last_address.val() {
                    self.pending.d.next = (self.pending.q.val() & !self.sweeping.q.val()) | self.clear_state.val();
                    self.mode.d.next = Mode::Ready;
                }
            }
        }
        if self.counting.val() {
            self.cycle_count.d.next = self.cycle_count.q.val() + 1;
            if self.stall_queue.val() {
                self.queue_count.d.next = self.queue_count.q.val() + 1;
            }
            if self.stall_input.val() {
                self.input_count.d.next = self.input_count.q.val() + 1;
            }
            if self.stall_data.val() {
                self.data_count.d.next = self.data_count.q.val() + 1;
            }
            if self.stall_output.val() {
                self.output_count.d.next = self.output_count.q.val() + 1;
            }
        }
        if self.step_done.val() {
            self.step_count.d.next = self.step_count.q.val() + 1;
        }
        // other weights, or none: nothing of the old ones goes on
        if self.reset.val() | self.abort.val() | (self.weights_valid.val() & !self.was_valid.q.val()) {
            self.clear.next = true;
            self.mode.d.next = Mode::Flush;
            self.address.d.next = 0.into();
            self.running.d.next = false;
        }
        self.run.next = self.running.q.val();
        self.clear_pending.next = self.pending.q.val();
        // in the cycle in which weights become valid too: an access that the host port began there would end in the flush
        self.busy.next = (self.mode.q.val() != Mode::Ready)
            | !self.resting.val()
            | self.pending.q.val().any()
            | (self.weights_valid.val() & !self.was_valid.q.val());
        self.computing.next = self.counting.val();
        self.cycles.next = self.cycle_count.q.val();
        self.steps.next = self.step_count.q.val();
        self.stalls_queue.next = self.queue_count.q.val();
        self.stalls_input.next = self.input_count.q.val();
        self.stalls_data.next = self.data_count.q.val();
        self.stalls_output.next = self.output_count.q.val();
    }
    fn timing(&self) -> Vec<TimingInfo> {
        Meta::new("control")
            .doc(
                "Control: when steps may run, and when everything is made empty.\n\
                 \n\
                 start lets steps run until stop; busy falls when what was under way has ended. Reset, abort and weights\n\
                 that become valid drop everything (clear, at once, and as long as weights are not valid) while accumulators (flush) and the state of all channels (sweep)\n\
                 become zero, one address a cycle. clear_state marks channels: their state is taken as zero when the next\n\
                 step begins (clears_taken), or swept when nothing is under way. Counters run while steps do.",
            )
            .into_timing()
    }
}
