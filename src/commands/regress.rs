//! `lacuna regress`: random configurations on the generated Verilog, judged; failures shrunk and kept.

use clap::{Args, Subcommand};
use std::path::PathBuf;
use std::time::Duration;

#[cfg(feature = "verilator")]
use crate::regress::{engine::Fault, named::Size, plan::Shard};

/// Run random configurations on the generated hardware under Verilator, against golden model and cycle model
///
/// Draws accelerators, networks, inputs, stalls and resets from a seed, and goes on after a failure: that is shrunk, and
/// leaves a folder with all it takes to see it again. With -c or --named the accelerator is fixed and the rest varies.
///
/// The plan is written before anything runs, and each finished run at once: after a kill the same command goes on.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct RegressArgs {
    #[command(subcommand)]
    command: Option<RegressCommand>,
    /// Configuration of an accelerator; its model says what is "auto"
    #[arg(short, long, value_name = "TOML")]
    config: Option<PathBuf>,
    /// Accelerators of both datapaths of which more is promised than of others
    #[cfg(feature = "verilator")]
    #[arg(long, value_enum, value_name = "SIZE", conflicts_with = "config")]
    named: Option<Size>,
    /// Decides all that is drawn
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Runs; a configuration has three. 30, or with --time as many as it allows
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    runs: Option<u32>,
    /// Begin no further configuration after this time, like 90s, 10m or 2h
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    time: Option<Duration>,
    /// For making a failing configuration smaller; 0s keeps it as it is drawn
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration, default_value = "3m")]
    shrink: Duration,
    /// Configurations that are built and run at once; one for each core if not said
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: Option<u16>,
    /// Only configurations whose label has this text (--list shows the labels)
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// With -c or --named: count which lines of the Verilog run and which of its bits change; builds take ten times as long
    #[arg(long, conflicts_with = "replay")]
    coverage: bool,
    /// Only part k of n, for several machines
    #[cfg(feature = "verilator")]
    #[arg(long, value_name = "K/N")]
    shard: Option<Shard>,
    /// Folder for plan, results and failures
    #[arg(short, long, value_name = "DIR", default_value = "regress")]
    output: PathBuf,
    /// Show what would run, and stop
    #[arg(long)]
    list: bool,
    /// Write the plan, and run nothing
    #[arg(long)]
    plan: bool,
    /// Run one configuration, as failures leave it
    #[arg(long, value_name = "TOML", conflicts_with_all = ["config", "seed", "runs", "time", "shrink", "jobs", "filter", "output", "list", "plan"])]
    replay: Option<PathBuf>,
    /// With --replay: write a waveform
    #[arg(long, value_name = "VCD", requires = "replay")]
    trace: Option<PathBuf>,
    /// Take modules from here, as NAME.v, instead of those that are generated
    #[arg(long, value_name = "DIR")]
    verilog: Option<PathBuf>,
    /// Put in a fault, to see it found
    #[cfg(feature = "verilator")]
    #[arg(long, value_enum, value_name = "WHERE")]
    fault: Option<Fault>,
}

#[derive(Subcommand)]
enum RegressCommand {
    /// Put the results of shards together; 1 if a run failed or a shard is missing
    Merge {
        /// Folders of the shards
        #[arg(required = true, value_name = "DIR")]
        folders: Vec<PathBuf>,
        /// Folder for the results
        #[arg(short, long, value_name = "DIR")]
        output: PathBuf,
    },
}

#[cfg(not(feature = "verilator"))]
pub fn run(_: &RegressArgs) -> anyhow::Result<std::process::ExitCode> {
    Err(super::built_without_verilator("regress"))
}

#[cfg(feature = "verilator")]
pub use running::run;

#[cfg(feature = "verilator")]
mod running {
    use super::{RegressArgs, RegressCommand};
    use crate::accelerator::{of_config, Need};
    use crate::regress::configuration::{flag, word, Configuration};
    use crate::regress::coverage::{Counts, Reached};
    use crate::regress::engine::Engine;
    use crate::regress::merge::merge;
    use crate::regress::plan::{quoted, Given, Plan, Settings};
    use crate::regress::regression::{Regression, Told};
    use crate::regress::report::{Summary, Verdict};
    use crate::regress::{bins::Bins, named};
    use crate::{staged, term};
    use anyhow::{bail, Context, Result};
    use lacuna_compress::config::Config;
    use lacuna_compress::error::grouped;
    use lacuna_compress::spec::Arch;
    use lacuna_sim::verilate;
    use std::path::Path;
    use std::process::ExitCode;
    use std::time::{Duration, Instant};

    /// Runs without `--runs` and `--time`.
    const RUNS: usize = 30;
    /// Runs that are planned at once where a time says how many there will be.
    const AT_ONCE: usize = 120;
    /// Between two lines about the progress, where no bar can be seen.
    const LINES: Duration = Duration::from_secs(60);

    pub fn run(args: &RegressArgs) -> Result<ExitCode> {
        if let Some(RegressCommand::Merge { folders, output }) = &args.command {
            return merged(folders, output);
        }
        let given = args.verilog.as_deref().map(Given::of).transpose()?;
        if let Some(path) = &args.replay {
            return replay(args, path);
        }
        // clap asks for --replay only where nothing that excludes it is there
        if let Some(trace) = &args.trace {
            bail!("found --trace {} without --replay, expected a configuration to run", trace.display());
        }
        let settings = Settings { verilog: given, ..settings(args)? };
        if args.list {
            settings.plan()?.configurations.iter().try_for_each(|c| term::line(c.label()))?;
            return Ok(ExitCode::SUCCESS);
        }
        if !args.plan {
            verilate::verilator_version()?;
        }
        let spinner = term::spinner("drawing configurations");
        let mut plan = Plan::open(&args.output, &settings)?;
        spinner.finish_and_clear();
        if args.plan {
            let configurations = term::count(plan.configurations.len(), "configuration");
            term::note(format!("wrote {}: {configurations}", args.output.join(crate::regress::plan::FILE).display()));
            return Ok(ExitCode::SUCCESS);
        }
        let jobs = args.jobs.map_or_else(|| std::thread::available_parallelism().map_or(1, usize::from), usize::from);
        let begin = Instant::now();
        let runs = (!settings.open).then(|| plan.runs());
        let summary = with_progress(runs, args.time, |told| loop {
            let time = args.time.map(|time| time.saturating_sub(begin.elapsed()));
            let (verilog, fault) = (args.verilog.clone(), args.fault);
            let regression = Regression { plan: &plan, folder: &args.output, jobs, time, shrink: args.shrink, verilog, fault };
            let summary = regression.run(told)?;
            if !settings.open || args.time.is_none_or(|time| begin.elapsed() >= time) {
                return Ok(summary);
            }
            plan.extend(AT_ONCE)?;
            plan.write(&args.output)?;
        })?;
        judged(&summary, &args.output)
    }

    fn settings(args: &RegressArgs) -> Result<Settings> {
        let (accelerators, accelerators_from) = match (&args.config, args.named) {
            (Some(path), _) => (vec![accelerator(path)?], Some(format!("-c {}", quoted(&path.display().to_string())))),
            (None, Some(size)) => {
                let named = named::of_size(size)?;
                named.iter().for_each(|named| term::note(format!("{}: stage {}", named.name, word(&named.stage))));
                (named.into_iter().map(|named| named.accelerator).collect(), Some(format!("--named {}", flag(&size))))
            }
            (None, None) => (vec![], None),
        };
        let runs = match (args.runs, args.time) {
            (Some(runs), _) => runs as usize,
            (None, Some(_)) => AT_ONCE,
            (None, None) => RUNS,
        };
        if args.coverage && accelerators.is_empty() {
            bail!("found --coverage without an accelerator, expected -c or --named beside it: the lines of drawn ones are not the same");
        }
        Ok(Settings {
            open: args.runs.is_none() && args.time.is_some(),
            coverage: args.coverage,
            filter: args.filter.clone(),
            shard: args.shard,
            fault: args.fault.map(|fault| fault.text()),
            accelerators,
            accelerators_from,
            ..Settings::drawn(args.seed, runs)
        })
    }

    /// The accelerator of a configuration file. What is "auto" is as its model needs it.
    fn accelerator(path: &Path) -> Result<Arch> {
        let config = Config::load(path)?;
        Ok(of_config(&config, Need::Accelerator).with_context(|| path.display().to_string())?.0)
    }

    /// A bar on a terminal, else a line a minute, both with an estimate of the end: of `runs`, or of the time where that says how
    /// many there will be.
    fn with_progress(
        runs: Option<usize>,
        time: Option<Duration>,
        work: impl FnOnce(&mut dyn FnMut(Told)) -> Result<Summary>,
    ) -> Result<Summary> {
        let bar = match runs {
            Some(runs) => term::progress("runs", runs),
            None => term::progress("seconds", time.unwrap_or_default().as_secs() as usize),
        };
        let (begin, mut last) = (Instant::now(), Instant::now());
        let mut before = None;
        let mut failures = 0;
        let mut tell = |told: Told| match told {
            Told::Runs(done) => {
                bar.set_position(if runs.is_some() { done as u64 } else { begin.elapsed().as_secs() });
                let at_first = *before.get_or_insert(done);
                if bar.is_hidden() && last.elapsed() >= LINES && done > at_first {
                    last = Instant::now();
                    let of_time = time.map(|time| time.saturating_sub(begin.elapsed()));
                    let of_runs = runs.map(|runs| begin.elapsed().mul_f64((runs.saturating_sub(done)) as f64 / (done - at_first) as f64));
                    let left = of_time.into_iter().chain(of_runs).min().unwrap_or_default();
                    let left = humantime::format_duration(Duration::from_secs(left.as_secs()));
                    let of = match runs {
                        Some(runs) => format!("{} of {}", grouped(done), term::count(runs, "run")),
                        None => term::count(done, "run"),
                    };
                    term::note(format!("{of}, {failures} failed, about {left} left"));
                }
            }
            Told::Failure(text) => {
                failures += 1;
                bar.suspend(|| term::note(text));
            }
        };
        let summary = work(&mut tell);
        bar.finish_and_clear();
        summary
    }

    fn judged(summary: &Summary, folder: &Path) -> Result<ExitCode> {
        let rows: Vec<Vec<String>> = (summary.datapaths.iter())
            .map(|d| {
                let each = |seconds: f64| format!("{:.2}", seconds / d.configurations.max(1) as f64);
                vec![
                    d.datapath.clone(),
                    grouped(d.configurations),
                    grouped(d.runs),
                    grouped(d.failures),
                    grouped(d.cycle_mismatches),
                    grouped(d.cycles as usize),
                    each(d.times.emit),
                    each(d.times.verilate),
                    each(d.times.run),
                ]
            })
            .collect();
        let headers =
            ["datapath", "configurations", "runs", "failures", "cycle mismatches", "cycles compared", "emit s", "verilate s", "run s"];
        term::table("", &headers, &rows)?;
        for (failure, folder_below) in summary.failures_with_folders() {
            term::line(format!("{}: {}", failure.configuration, failure.finding.text))?;
            if let Some(kept) = folder_below {
                term::line(format!("  repeat with: {}/run.sh", folder.join(kept).display()))?;
            }
        }
        for missing in &summary.missing {
            term::line(missing)?;
        }
        let (reached, all) = summary.bin_counts();
        term::line(format!("coverage: {reached} of {all} bins"))?;
        for v in &summary.verilog {
            let of = |r: &Reached| format!("{:.2} % of {}", r.percent(), grouped(r.all - r.waived));
            term::line(format!("{}: {} lines and branches ran, {} bits changed", v.accelerator, of(&v.lines), of(&v.bits)))?;
        }
        let holes = summary.holes();
        if !holes.is_empty() && holes.len() <= 40 {
            term::line(format!("not reached: {}", holes.join(", ")))?;
        }
        let runs = term::count(summary.runs(), "run");
        let verdict = match summary.verdict() {
            Verdict::Passed if summary.runs() == 0 => "nothing to run in this shard".to_string(),
            Verdict::Passed => format!("equal to golden model and cycle model: all of {runs}"),
            Verdict::Incomplete => format!("equal to golden model and cycle model: {runs}, of what is done"),
            Verdict::Failed => format!("FAILED: {} of {runs}", grouped(summary.failures.len())),
        };
        term::line(verdict)?;
        term::note(format!("wrote {}/report.html, results.json and junit.xml", folder.display()));
        Ok(if summary.passed { ExitCode::SUCCESS } else { ExitCode::from(term::BAD) })
    }

    fn merged(folders: &[std::path::PathBuf], output: &Path) -> Result<ExitCode> {
        let merged = merge(folders)?;
        // what the same merge left is replaced: shards may have gone on since
        let there = if output.join(crate::regress::plan::FILE).exists() { Some(Plan::read(output)?) } else { None };
        if there.is_some_and(|plan| !plan.settings.same(&merged.plan.settings)) || folders.iter().any(|folder| folder == output) {
            bail!("{} has another regression: give another folder with -o", output.display());
        }
        Counts::forget(output)?;
        merged.plan.write(output)?;
        merged.records.write(output)?;
        merged.coverage.iter().try_for_each(|(arch, counts)| counts.add_to(output, arch))?;
        let summary = Summary::new(&merged.plan, &merged.records, merged.missing).with_coverage(output)?;
        summary.write(output, &merged.plan, &merged.records)?;
        judged(&summary, output)
    }

    /// One configuration from a file.
    fn replay(args: &RegressArgs, path: &Path) -> Result<ExitCode> {
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        let configuration: Configuration = toml::from_str(&text).with_context(|| format!("{}: found no configuration", path.display()))?;
        configuration.accelerator.validate().with_context(|| path.display().to_string())?;
        if let Some(trace) = &args.trace {
            staged::check_file(trace)?;
        }
        verilate::verilator_version()?;
        let engine = Engine::new(args.verilog.clone(), args.fault, vec![]);
        let spinner = term::spinner("building the hardware's model");
        let built = engine.build(&configuration, args.trace.as_deref());
        spinner.finish_and_clear();
        let mut bench = match built {
            Ok(bench) => bench,
            Err(finding) => {
                term::line(&finding.text)?;
                return Ok(ExitCode::from(term::BAD));
            }
        };
        let (mut failed, mut bins) = (0, Bins::default());
        engine.run(&configuration, &mut bench, |number, ran| {
            bins.add(&ran.bins);
            failed += usize::from(ran.finding.is_some());
            let text = ran.finding.map_or(format!("run {number}: equal; {} cycles compared", grouped(ran.cycles as usize)), |f| f.text);
            term::line(text)
        })?;
        engine.forget()?;
        Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::from(term::BAD) })
    }
}
