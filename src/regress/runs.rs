//! One run on either datapath: what is sent, what breaks it off, and what is compared.

use super::bins::Bins;
use super::bus;
use super::chance::of_place;
use super::configuration::{Break, Configuration, Disturbance, Lstms, Run};
use super::engine::{Fault, Finding, Kind, Ran};
use super::layers::{input, INPUT};
use super::session::{check_status, expect_status, for_golden, protocol, unexpected};
use super::visit;
use lacuna_compress::manifest::{Model, RecurrentModel};
use lacuna_compress::spec::registers::{self as map, control, errors, status};
use lacuna_compress::spec::MemoryKind;
use lacuna_sim::coverage::Coverage;
use lacuna_sim::dut::{AxiWrite, Response};
use lacuna_sim::golden::{Golden, Recurrent};
use lacuna_sim::host::Transport;
use lacuna_sim::perf_ese::EseNetwork;
use lacuna_sim::recurrent::{Check, RecurrentOptions, RecurrentSimulator, Sequence};
use lacuna_sim::session::flush_limit;
use lacuna_sim::simulate::{Options, Simulator};
use lacuna_sim::verilate::Library;
use rand::RngExt;

/// Bits of STATUS that say what is under way.
const UNDER_WAY: u32 = status::BUSY | status::COMPUTING | status::CHECKING | status::WEIGHTS_VALID;

/// Of an accelerator at work.
const RUNNING: u32 = status::BUSY | status::COMPUTING | status::WEIGHTS_VALID;

/// More cycles than pass between a look at the counter and an abort behind it.
const ABORTED: u64 = 200;

/// Cycles of a run up to where it is broken off.
fn moment(disturbance: &Disturbance, cycles: u64) -> u64 {
    cycles * u64::from(disturbance.at) / 1000
}

/// Layers on their accelerator (EIE).
pub struct LayerRuns {
    simulator: Simulator,
    model: Model,
    fault: Option<Fault>,
}

impl LayerRuns {
    pub fn start(model: &Model, library: &Library, options: &Options, fault: Option<Fault>) -> Result<LayerRuns, Finding> {
        let simulator = Simulator::start(model, library, options).map_err(protocol)?;
        let mut runs = LayerRuns { simulator, model: model.clone(), fault };
        runs.judge()?;
        Ok(runs)
    }

    /// Another network; counts how the bus had it.
    pub fn exchange(&mut self, model: &Model, seed: u64, bins: &mut Bins) -> Result<(), Finding> {
        // a load is thousands of words; stalls of the bus are for the runs
        self.simulator.host.bus.0.axi_stalls(0, 0).map_err(protocol)?;
        bins.transactions(bus::outstanding(&mut self.simulator.host, seed)?);
        self.simulator.exchange(model).map_err(protocol)?;
        bus::rewrite(&mut self.simulator.host, &model.image, seed)?;
        self.model = model.clone();
        self.judge()
    }

    pub fn coverage(&mut self) -> Result<Option<Coverage>, Finding> {
        self.simulator.host.bus.0.coverage().map_err(protocol)
    }

    fn judge(&mut self) -> Result<(), Finding> {
        if let Some(image) = for_golden(&self.model.image, self.fault) {
            self.simulator.judge_by(Golden::new(&image).map_err(protocol)?);
        }
        Ok(())
    }

    pub fn run(&mut self, run: &Run, number: usize, bins: &mut Bins) -> Result<Ran, Finding> {
        let seed = run.seed;
        if run.visit {
            self.visit(seed)?;
        }
        self.simulator.host.bus.0.axi_stalls(seed, run.bus_stalls).map_err(protocol)?;
        let mut ran = Ran::default();
        for vector in 0..run.vectors {
            let values = input(run.input, seed, vector, self.model.network.input_size);
            let input = self.model.arrange_input(values).map_err(protocol)?;
            if let Some(disturbance) = run.disturbance.as_ref().filter(|_| vector == 0) {
                if let Some(finding) = self.disturb(disturbance, &input)? {
                    return Ok(Ran { finding: Some(finding), ..ran });
                }
            }
            let verdict = self.simulator.verify(&input).map_err(protocol)?;
            bins.layers(self.simulator.golden(), &input, &verdict);
            ran.cycles += verdict.run.cycles;
            ran.bound += self.simulator.network().time(&verdict.golden).total.bound(self.model.arch().pes);
            let at = |text: String| format!("run {number}, input {vector}: {text}");
            if let Some(mismatch) = &verdict.mismatch {
                ran.finding = Some(Finding::new(Kind::Results, at(mismatch.to_string())));
                return Ok(ran);
            }
            let (r, mut e) = (&verdict.run, verdict.expected);
            e.cycles += u64::from(self.fault == Some(Fault::CycleModel));
            let counts = [
                ("cycles", e.cycles, r.cycles),
                ("cycles that waited for a queue", e.stall_queue, r.stall_queue),
                ("cycles that waited for the scan", e.stall_scan, r.stall_scan),
                ("cycles of the drain", e.stall_drain, r.stall_drain),
            ];
            if let Some((what, expected, got)) = counts.into_iter().find(|(_, expected, got)| expected != got) {
                ran.finding = Some(Finding::new(Kind::Cycles, at(format!("{what}: expected {expected}, got {got}"))));
                return Ok(ran);
            }
        }
        let found = self.simulator.host.take_errors().map_err(protocol)?;
        ran.finding = unexpected(&format!("run {number}"), found, 0);
        let result_b = MemoryKind::source_of(self.model.network.layers.len()) == MemoryKind::ActB;
        let done = status::WEIGHTS_VALID | status::DONE | if result_b { status::RESULT_IN_B } else { 0 };
        expect_status(&mut self.simulator.host, "after a run", UNDER_WAY | status::DONE | status::ERROR | status::RESULT_IN_B, done)?;
        Ok(ran)
    }

    fn visit(&mut self, seed: u64) -> Result<(), Finding> {
        self.simulator.host.bus.0.axi_stalls(0, 0).map_err(protocol)?;
        visit::host(&mut self.simulator.host, seed)?;
        self.simulator.load().map_err(protocol)?;
        visit::interrupt(&mut self.simulator.host)
    }

    /// Starts, and breaks off.
    fn disturb(&mut self, disturbance: &Disturbance, input: &[i16]) -> Result<Option<Finding>, Finding> {
        let cycles = {
            let trace = self.simulator.golden().trace(input).map_err(protocol)?;
            self.simulator.network().time(&trace).total.cycles
        };
        let limit = flush_limit(self.model.arch()) + cycles;
        let s = &mut self.simulator;
        s.host.write_input(input).map_err(protocol)?;
        if disturbance.what == Break::Write {
            // one burst, so that the write meets a busy accelerator
            s.host.bus.write(&[(map::MEM_SELECT, 0), (map::MEM_PAGE, 0)]).map_err(protocol)?;
            s.host.forget();
            let burst = [AxiWrite::word(map::CONTROL, control::START), AxiWrite::word(map::WINDOW, 0xffff_ffff)];
            let refused = s.host.bus.0.axi_write_burst(&burst).map_err(protocol)?;
            s.host.wait_done(limit * 4).map_err(protocol)?;
            let found = s.host.take_errors().map_err(protocol)?;
            return Ok(match refused {
                Some(r) if (r.index, r.response) == (1, Response::SlvErr) => {
                    unexpected("a write into the weights in use", found, errors::BUSY_ACCESS)
                }
                // a short run can be over before the write comes, which then makes the weights invalid
                None if found == 0 => {
                    s.load().map_err(protocol)?;
                    None
                }
                other => Some(Finding::new(Kind::Protocol, format!("a write into the weights in use: found {other:?}, expected SLVERR"))),
            });
        }
        s.host.start().map_err(protocol)?;
        s.host.bus.0.step(moment(disturbance, cycles)).map_err(protocol)?;
        let read = s.host.bus.read(&[map::STATUS, map::CYCLES]).map_err(protocol)?;
        // the cycles still count, so that it was at work before
        if u64::from(read[1]) < cycles {
            check_status(read[0], "of a start", UNDER_WAY | status::DONE, RUNNING)?;
        }
        match disturbance.what {
            Break::Reset => s.reset().map_err(protocol)?,
            _ => {
                s.host.abort(limit).map_err(protocol)?;
                // the run did not come to its end, unless it did before
                let mask = UNDER_WAY | if u64::from(read[1]) + ABORTED < cycles { status::DONE } else { 0 };
                expect_status(&mut s.host, "after an abort", mask, status::WEIGHTS_VALID)?;
            }
        }
        Ok(None)
    }
}

/// LSTMs on their accelerator (ESE).
pub struct StepRuns<'a> {
    c: &'a Configuration,
    simulator: RecurrentSimulator,
    model: RecurrentModel,
    fault: Option<Fault>,
}

impl<'a> StepRuns<'a> {
    pub fn start(
        c: &'a Configuration,
        model: &RecurrentModel,
        library: &Library,
        options: &Options,
        fault: Option<Fault>,
    ) -> Result<StepRuns<'a>, Finding> {
        let options = RecurrentOptions { common: options.clone(), ..RecurrentOptions::default() };
        let simulator = RecurrentSimulator::start(model, library, &options).map_err(protocol)?;
        let mut runs = StepRuns { c, simulator, model: model.clone(), fault };
        runs.judge()?;
        Ok(runs)
    }

    /// Another network; counts how the bus had it.
    pub fn exchange(&mut self, model: &RecurrentModel, seed: u64, bins: &mut Bins) -> Result<(), Finding> {
        self.simulator.host.bus.0.axi_stalls(0, 0).map_err(protocol)?;
        bins.transactions(bus::outstanding(&mut self.simulator.host, seed)?);
        self.simulator.load(model).map_err(protocol)?;
        bus::rewrite(&mut self.simulator.host, &model.image, seed)?;
        self.simulator.host.wait_idle(flush_limit(model.arch())).map_err(protocol)?;
        self.model = model.clone();
        self.judge()
    }

    pub fn coverage(&mut self) -> Result<Option<Coverage>, Finding> {
        self.simulator.host.bus.0.coverage().map_err(protocol)
    }

    fn judge(&mut self) -> Result<(), Finding> {
        if let Some(image) = for_golden(&self.model.image, self.fault) {
            self.simulator.judge_by(Recurrent::new(&image).map_err(protocol)?);
        }
        Ok(())
    }

    pub fn run(&mut self, run: &Run, spec: &Lstms, number: usize, bins: &mut Bins) -> Result<Ran, Finding> {
        let seed = run.seed;
        let channels = self.c.accelerator.channels();
        // vectors at [channel][step]
        let of_channel = |channel: usize| -> Vec<Vec<i16>> {
            (0..run.vectors).map(|step| input(run.input, seed, channel << 16 | step, spec.inputs)).collect()
        };
        let vectors: Vec<Vec<Vec<i16>>> = (0..channels).map(of_channel).collect();
        if run.visit {
            self.visit(seed)?;
        }
        self.simulator.host.bus.0.axi_stalls(seed, run.bus_stalls).map_err(protocol)?;
        self.simulator.set_stalls(seed, run.input_stalls, run.output_stalls).map_err(protocol)?;
        if let Some(disturbance) = &run.disturbance {
            if let Some(finding) = self.disturb(disturbance, &vectors)? {
                return Ok(Ran { finding: Some(finding), ..Ran::default() });
            }
        }
        let sequence = |channel: usize| {
            let mut rng = of_place(seed, INPUT * 3, channel, 0);
            let steps = if run.uneven { rng.random_range(0..=run.vectors) } else { run.vectors };
            Sequence { steps: vectors[channel][..steps].to_vec(), fresh: !run.uneven || rng.random_bool(0.5) }
        };
        let sequences: Vec<Sequence> = (0..channels).map(sequence).collect();
        let check = if run.states { Check::States } else { Check::Outputs };
        let verdict = self.simulator.verify(&sequences, check).map_err(protocol)?;
        bins.steps(&sequences, &verdict);
        bins.compared(run.states);
        if let Some(mismatch) = &verdict.mismatch {
            return Ok(Ran { finding: Some(Finding::new(Kind::Results, format!("run {number}: {mismatch}"))), ..Ran::default() });
        }
        let mut ran = Ran::default();
        if run.input_stalls + run.output_stalls == 0 && run.vectors > 0 {
            let cycle_model = EseNetwork::new(self.simulator.golden());
            let (mut one, all) = (cycle_model.run_all(1), cycle_model.run_all(run.vectors));
            ran.cycles = all.ends.last().copied().unwrap_or(0);
            ran.bound = cycle_model.bound() * run.vectors as u64;
            if self.fault == Some(Fault::CycleModel) {
                one.completes.iter_mut().for_each(|cycle| *cycle += 1);
            }
            // a stop must come in the cycle that is meant
            self.simulator.host.bus.0.axi_stalls(seed, 0).map_err(protocol)?;
            let fault = self.simulator.compare_cycles(&vectors, &one, &all).map_err(protocol)?;
            bins.step_cycles(&all);
            ran.finding = fault.map(|fault| Finding::new(Kind::Cycles, format!("run {number}: {fault}")));
        }
        if ran.finding.is_none() {
            let found = self.simulator.host.take_errors().map_err(protocol)?;
            ran.finding = unexpected(&format!("run {number}"), found, 0);
        }
        Ok(ran)
    }

    fn visit(&mut self, seed: u64) -> Result<(), Finding> {
        let s = &mut self.simulator;
        s.host.bus.0.axi_stalls(0, 0).map_err(protocol)?;
        visit::host(&mut s.host, seed)?;
        visit::closed(s)?;
        s.load(&self.model).map_err(protocol)?;
        let limit = s.limit(2);
        visit::streams(s, limit)?;
        visit::interrupt(&mut s.host)?;
        self.judge()
    }

    /// Starts, and breaks off: a reset drops everything, a stop lets the step under way end.
    fn disturb(&mut self, disturbance: &Disturbance, vectors: &[Vec<Vec<i16>>]) -> Result<Option<Finding>, Finding> {
        let steps = vectors.first().map_or(0, Vec::len);
        let golden = self.simulator.golden().clone();
        let cycles = EseNetwork::new(&golden).run_all(steps).ends.last().copied().unwrap_or(0);
        let limit = self.simulator.limit(steps);
        let s = &mut self.simulator;
        s.host.set_mask((0..vectors.len()).fold(0, |mask, c| mask | 1 << c)).map_err(protocol)?;
        for step in 0..steps {
            for (channel, of_channel) in vectors.iter().enumerate() {
                s.host.bus.0.stream_send(&RecurrentSimulator::beats(channel, &of_channel[step], step == 0)).map_err(protocol)?;
            }
        }
        s.host.start().map_err(protocol)?;
        s.host.bus.0.step(moment(disturbance, cycles)).map_err(protocol)?;
        expect_status(&mut s.host, "of a start", UNDER_WAY, RUNNING)?;
        if disturbance.what != Break::Stop {
            s.reset().map_err(protocol)?;
            return Ok(None);
        }
        s.host.stop_and_wait(limit).map_err(protocol)?;
        expect_status(&mut s.host, "after a stop", UNDER_WAY, status::WEIGHTS_VALID)?;
        let stopped = s.host.steps().map_err(protocol)?;
        s.host.bus.0.step(200).map_err(protocol)?;
        let later = s.host.steps().map_err(protocol)?;
        if stopped != later {
            return Ok(Some(Finding::new(Kind::Protocol, format!("after a stop: expected {stopped} steps, got {later}"))));
        }
        s.host.start().map_err(protocol)?;
        s.host.bus.0.stream_run((steps * vectors.len() * golden.outputs()) as u64, 0, limit).map_err(protocol)?;
        s.host.stop_and_wait(limit).map_err(protocol)?;
        let taken = s.host.bus.0.stream_fetch().map_err(protocol)?.1;
        let mut beats = taken.iter();
        let mut states: Vec<_> = vectors.iter().map(|_| golden.state()).collect();
        for step in 0..steps {
            for (channel, (state, of_channel)) in states.iter_mut().zip(vectors).enumerate() {
                let expected = golden.step(state, &of_channel[step]).map_err(protocol)?.output;
                for (index, expected) in expected.into_iter().enumerate() {
                    let beat = beats.next().copied().unwrap_or_default();
                    let got = beat.data as u16 as i16;
                    if (got, beat.dest as usize) != (expected, channel) {
                        let text = format!(
                            "stopped and gone on: channel {channel}, step {step}, y[{index}], PE {}, cycle {}: expected {expected}, got {got} for channel {}",
                            index % golden.arch.pes, beat.cycle, beat.dest
                        );
                        return Ok(Some(Finding::new(Kind::Results, text)));
                    }
                }
            }
        }
        s.states_mut().clone_from_slice(&states);
        Ok(None)
    }
}
