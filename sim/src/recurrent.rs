//! A recurrent model on the generated hardware under Verilator, judged step by step against the golden model.
//!
//! Every channel is given a sequence. The steps of all of them run together; a channel whose sequence is over is left
//! out by the mask. Every output vector is compared, and with [`Check::States`] also every c and h: then the
//! accelerator is given one vector of each channel at a time, and its memories are read after each step.

mod timing;

pub use timing::CycleFault;

use crate::dut::{StreamBeat, StreamTaken};
use crate::golden::{Recurrent, State, StepTrace};
use crate::host::Host;
use crate::host_stream::StreamCounters;
use crate::session::flush_limit;
use crate::simulate::{library, reset_host, Axi, Door, Options, Result, SimulateError};
use crate::verilate;
use lacuna_compress::manifest::RecurrentModel;
use lacuna_hdl::generate;

#[derive(Clone, Debug, Default)]
pub struct RecurrentOptions {
    pub common: Options,
    /// Share of the cycles in which the input stream offers no further beat, 0 to 95. Above 0 the beats of the
    /// channels' vectors also come mixed.
    pub input_stalls_percent: u32,
    /// Share of the cycles in which the output stream is not ready, 0 to 95.
    pub output_stalls_percent: u32,
}

/// What one channel gets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sequence {
    /// An input vector for each step. None: the channel is left out.
    pub steps: Vec<Vec<i16>>,
    /// The first vector has TUSER: h and c are zero before it. Otherwise the sequence goes on from the state that is there.
    pub fresh: bool,
}

/// What is compared with the golden model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// The output vectors, at full speed.
    Outputs,
    /// Those, and after each step h and c of every LSTM layer of every channel.
    States,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A cell of an LSTM layer.
    Cell,
    /// A result of an LSTM layer.
    Hidden,
    /// An output of the network.
    Output,
}

/// The first difference between hardware and golden model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    pub channel: usize,
    /// Step of the channel's sequence.
    pub step: usize,
    /// LSTM layers first, then the others.
    pub layer: usize,
    pub layer_name: String,
    pub kind: Kind,
    /// Number of the value in its vector.
    pub index: usize,
    /// PE that has its sums.
    pub pe: usize,
    /// Cycle in which it came out, or was read.
    pub cycle: u64,
    pub expected: i16,
    pub got: i16,
}

impl std::fmt::Display for Mismatch {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        let kind = match self.kind {
            Kind::Cell => "c",
            Kind::Hidden => "h",
            Kind::Output => "y",
        };
        write!(
            f,
            "channel {}, step {}, layer {} ({}), {kind}[{}], PE {}, cycle {}: expected {}, got {}",
            self.channel, self.step, self.layer, self.layer_name, self.index, self.pe, self.cycle, self.expected, self.got
        )
    }
}

/// What the hardware did with sequences.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecurrentRun {
    /// Output vectors, at `[channel][step]`.
    pub outputs: Vec<Vec<Vec<i16>>>,
    /// Cycle of the last output beat of each step.
    pub ends: Vec<u64>,
    /// At the end; cycles and stalls of the last start only if the accelerator was started once.
    pub counters: StreamCounters,
}

/// What was found when sequences were run on hardware and golden model.
#[derive(Clone, Debug)]
pub struct RecurrentVerdict {
    pub run: RecurrentRun,
    /// Values that saturated in the golden model.
    pub saturated: usize,
    /// None if everything that was compared equals.
    pub mismatch: Option<Mismatch>,
}

/// A recurrent model on its hardware, ready for sequences.
pub struct RecurrentSimulator {
    pub host: Host<Axi>,
    model: RecurrentModel,
    golden: Recurrent,
    /// What the golden model says each channel's memories hold.
    states: Vec<State>,
    options: RecurrentOptions,
    random: u64,
}

impl RecurrentSimulator {
    /// Generates, verilates (or takes from the cache), resets and loads.
    pub fn new(model: &RecurrentModel, options: &RecurrentOptions) -> Result<RecurrentSimulator> {
        let design = generate(model.arch())?;
        let library = library(&design, &options.common)?;
        RecurrentSimulator::start(model, &library, options)
    }

    /// As [`RecurrentSimulator::new`], with the library already there.
    pub fn start(model: &RecurrentModel, library: &verilate::Library, options: &RecurrentOptions) -> Result<RecurrentSimulator> {
        let golden = Recurrent::new(&model.image)?;
        let mut host = reset_host(&model.image, library, &options.common)?;
        host.bus.0.stream_stalls(options.common.seed, options.input_stalls_percent, options.output_stalls_percent)?;
        let states = vec![golden.state(); model.arch().channels()];
        let random = options.common.seed;
        let mut simulator = RecurrentSimulator { host, model: model.clone(), golden, states, options: options.clone(), random };
        if options.common.door == Door::Axi {
            simulator.load(model)?;
        }
        Ok(simulator)
    }

    /// Writes and checks an image of this architecture, which is what runs from now on; every state is zero then.
    pub fn load(&mut self, model: &RecurrentModel) -> Result<()> {
        self.golden = Recurrent::new(&model.image)?;
        self.model = model.clone();
        self.host.write_image(&self.model.image, |_, _| {})?;
        self.host.check(&self.model.image)?;
        self.host.wait_idle(flush_limit(self.model.arch()))?;
        self.forget_states();
        Ok(())
    }

    /// Resets the accelerator, whatever it does; weights stay, states do not.
    pub fn reset(&mut self) -> Result<()> {
        self.host.bus.0.reset(1)?;
        self.host.bus.0.stream_clear()?;
        self.host.forget();
        self.host.wait_idle(flush_limit(self.model.arch()))?;
        self.forget_states();
        Ok(())
    }

    /// Clears the states of channels (bit c: channel c) while nothing is under way.
    pub fn clear(&mut self, channels: u32) -> Result<()> {
        self.host.clear_state(channels)?;
        self.host.wait_idle(flush_limit(self.model.arch()))?;
        let named = self.states.iter_mut().enumerate().filter(|(c, _)| channels >> c & 1 == 1);
        named.for_each(|(_, state)| state.clear());
        Ok(())
    }

    fn forget_states(&mut self) {
        self.states = vec![self.golden.state(); self.model.arch().channels()];
    }

    /// Stalls of both streams from now on, and of the order of beats.
    pub fn set_stalls(&mut self, seed: u64, input_percent: u32, output_percent: u32) -> Result<()> {
        self.host.bus.0.stream_stalls(seed, input_percent, output_percent)?;
        (self.options.input_stalls_percent, self.options.output_stalls_percent) = (input_percent, output_percent);
        self.random = seed;
        Ok(())
    }

    /// Everything is compared with this golden model from now on; every state of it is zero then.
    pub fn judge_by(&mut self, golden: Recurrent) {
        self.golden = golden;
        self.forget_states();
    }

    pub fn golden(&self) -> &Recurrent {
        &self.golden
    }
    pub fn model(&self) -> &RecurrentModel {
        &self.model
    }
    /// The golden model's state of each channel. Who runs the accelerator past this type keeps them up to date.
    pub fn states_mut(&mut self) -> &mut [State] {
        &mut self.states
    }

    /// Writes every channel's golden state into the accelerator, which must be idle.
    pub fn write_states(&mut self) -> Result<()> {
        for (channel, state) in self.states.iter().enumerate() {
            self.host.write_vectors(channel, 0, &state.vectors)?;
            self.host.write_cells(channel, 0, &state.cells)?;
        }
        Ok(())
    }

    /// More cycles than `steps` steps can take.
    pub fn limit(&self, steps: usize) -> u64 {
        let ops = self.golden.ops.iter().map(|o| o.op.columns + o.op.count + 200).sum::<usize>();
        let stream = (self.golden.inputs() + self.golden.outputs()) * self.states.len();
        let stalls = self.options.input_stalls_percent.max(self.options.output_stalls_percent) as usize;
        (1000 + steps * (self.golden.entries() + 4 * ops + 2 * stream * 100 / 100usize.saturating_sub(stalls).max(1))) as u64
    }

    /// The beats of one vector.
    pub fn beats(channel: usize, values: &[i16], fresh: bool) -> Vec<StreamBeat> {
        let last = values.len().saturating_sub(1);
        let beat =
            |(i, v): (usize, &i16)| StreamBeat { data: u64::from(*v as u16), dest: channel as u32, user: fresh && i == 0, last: i == last };
        values.iter().enumerate().map(beat).collect()
    }

    /// The beats of one step, in an order by the seed if the input stalls.
    fn step_beats(&mut self, vectors: &[(usize, &[i16], bool)]) -> Vec<StreamBeat> {
        let mut queues: Vec<std::collections::VecDeque<StreamBeat>> =
            vectors.iter().map(|(channel, values, fresh)| Self::beats(*channel, values, *fresh).into()).collect();
        let mut beats = vec![];
        while !queues.is_empty() {
            let at = if self.options.input_stalls_percent == 0 { 0 } else { self.draw(queues.len()) };
            beats.extend(queues[at].pop_front());
            queues.retain(|q| !q.is_empty());
        }
        beats
    }

    fn draw(&mut self, below: usize) -> usize {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) as usize % below
    }

    /// Runs a sequence on each channel, on hardware and golden model. The accelerator must be idle; it is so again.
    pub fn verify(&mut self, sequences: &[Sequence], check: Check) -> Result<RecurrentVerdict> {
        self.check_sequences(sequences)?;
        let before = self.states.clone();
        let mut verdict = RecurrentVerdict { run: RecurrentRun::default(), saturated: 0, mismatch: None };
        verdict.run.outputs = vec![vec![]; self.states.len()];
        let longest = sequences.iter().map(|s| s.steps.len()).max().unwrap_or(0);
        let mut from = 0;
        while from < longest && verdict.mismatch.is_none() {
            let to = match check {
                Check::States => from + 1,
                Check::Outputs => sequences.iter().map(|s| s.steps.len()).filter(|n| *n > from).min().unwrap_or(longest),
            };
            self.segment(sequences, from, to, &mut verdict)?;
            if check == Check::States {
                // an output that differs may come from a state that does
                verdict.mismatch = self.compare_states(from)?.or(verdict.mismatch);
            }
            from = to;
        }
        verdict.run.counters = self.host.stream_counters()?;
        if let (Check::Outputs, Some(_)) = (check, &verdict.mismatch) {
            // where it began: the same again, step by step
            self.states = before;
            self.write_states()?;
            let again = self.verify(sequences, Check::States)?;
            verdict.mismatch = again.mismatch.or(verdict.mismatch);
        }
        Ok(verdict)
    }

    fn check_sequences(&self, sequences: &[Sequence]) -> Result<()> {
        let (channels, inputs) = (self.states.len(), self.golden.inputs());
        if sequences.len() != channels {
            return Err(SimulateError::Sequences(format!("there are {}, the accelerator has {channels} channels", sequences.len())));
        }
        for (channel, sequence) in sequences.iter().enumerate() {
            if let Some(step) = sequence.steps.iter().position(|values| values.len() != inputs) {
                let found = sequence.steps[step].len();
                let text = format!("channel {channel}, step {step}: {found} values, the network has {inputs} inputs");
                return Err(SimulateError::Sequences(text));
            }
        }
        Ok(())
    }

    /// Steps `from..to` of the sequences that have them all.
    fn segment(&mut self, sequences: &[Sequence], from: usize, to: usize, verdict: &mut RecurrentVerdict) -> Result<()> {
        let taking: Vec<usize> = (0..sequences.len()).filter(|c| sequences[*c].steps.len() >= to).collect();
        self.host.set_mask(taking.iter().fold(0, |mask, c| mask | 1 << c))?;
        let mut expected: Vec<Vec<StepTrace>> = vec![];
        for step in from..to {
            let fresh = |c: usize| step == 0 && sequences[c].fresh;
            let vectors: Vec<(usize, &[i16], bool)> =
                taking.iter().map(|c| (*c, sequences[*c].steps[step].as_slice(), fresh(*c))).collect();
            let beats = self.step_beats(&vectors);
            self.host.bus.0.stream_send(&beats)?;
            let mut traces = vec![];
            for (channel, values, fresh) in vectors {
                if fresh {
                    self.states[channel].begin();
                }
                traces.push(self.golden.step(&mut self.states[channel], values)?);
            }
            verdict.saturated += traces.iter().map(StepTrace::saturated).sum::<usize>();
            expected.push(traces);
        }
        let outputs = self.golden.outputs();
        let beats = (to - from) * taking.len() * outputs;
        let limit = self.limit(to - from);
        self.host.start()?;
        self.host.bus.0.stream_run(beats as u64, 0, limit)?;
        self.host.stop_and_wait(limit)?;
        let taken = self.host.bus.0.stream_fetch()?.1;
        if taken.len() != beats {
            return Err(SimulateError::Framing(format!("{} beats came, expected {beats}", taken.len())));
        }
        let mut vectors = taken.chunks(outputs.max(1));
        for (step, traces) in (from..to).zip(&expected) {
            for (channel, trace) in taking.iter().zip(traces) {
                let beats = vectors.next().unwrap_or(&[]);
                let found = framed(beats, *channel)?;
                if let Some(index) = (0..found.len()).find(|i| found[*i] != trace.output[*i]) {
                    let (layer, layer_name) = self.last_layer();
                    let (pe, cycle) = (index % self.model.arch().pes, beats[index].cycle);
                    let (expected, got) = (trace.output[index], found[index]);
                    let first =
                        Mismatch { channel: *channel, step, layer, layer_name, kind: Kind::Output, index, pe, cycle, expected, got };
                    verdict.mismatch.get_or_insert(first);
                }
                verdict.run.outputs[*channel].push(found);
            }
        }
        let of_step = taking.len() * outputs;
        verdict.run.ends.extend(taken.chunks(of_step.max(1)).filter_map(|beats| beats.last()).map(|beat| beat.cycle));
        Ok(())
    }

    fn last_layer(&self) -> (usize, String) {
        let network = &self.model.network;
        let names = network.lstm.iter().map(|l| &l.name).chain(network.layers.iter().map(|l| &l.name));
        names.enumerate().last().map(|(layer, name)| (layer, name.clone())).unwrap_or_default()
    }

    /// Compares h and c of every layer of every channel; the accelerator is idle after step `step`.
    pub fn compare_states(&mut self, step: usize) -> Result<Option<Mismatch>> {
        let pes = self.model.arch().pes;
        for (layer, lstm) in self.model.network.lstm.iter().enumerate() {
            for (channel, state) in self.states.iter().enumerate() {
                let cells = (Kind::Cell, self.host.read_cells(channel, lstm.cell_base, lstm.cells)?, &state.cells[lstm.cell_base..]);
                let (base, hidden) = (lstm.hidden_base, lstm.hidden);
                let hidden = (Kind::Hidden, self.host.read_vectors(channel, base, hidden)?, &state.vectors[base..]);
                for (kind, found, expected) in [cells, hidden] {
                    if let Some(index) = (0..found.len()).find(|i| found[*i] != expected[*i]) {
                        let (layer_name, cycle) = (lstm.name.clone(), self.host.bus.0.cycles());
                        let (pe, expected, got) = (index % pes, expected[index], found[index]);
                        return Ok(Some(Mismatch { channel, step, layer, layer_name, kind, index, pe, cycle, expected, got }));
                    }
                }
            }
        }
        Ok(None)
    }
}

/// The values of one output vector, if it is one.
fn framed(beats: &[StreamTaken], channel: usize) -> Result<Vec<i16>> {
    for (i, beat) in beats.iter().enumerate() {
        if beat.dest as usize != channel || beat.last != (i + 1 == beats.len()) {
            let found = format!("TDEST {} and TLAST {}", beat.dest, beat.last);
            return Err(SimulateError::Framing(format!("beat {i} of {} of channel {channel}: {found}, cycle {}", beats.len(), beat.cycle)));
        }
    }
    Ok(beats.iter().map(|beat| beat.data as u16 as i16).collect())
}
