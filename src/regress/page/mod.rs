//! `report.html`: what a regression found, for people. One file without anything from elsewhere: the verdict first, then
//! failures, testplan, coverage with its holes, cycles. Only lays out what [`Summary`] and the journal say.

mod plots;

use super::bins::COVERPOINTS;
use super::coverage::{Hole, Judged, Reached};
use super::journal::Records;
use super::plan::Plan;
use super::report::{Summary, Verdict};
use super::testplan::{Status, Testplan};
use anyhow::Result;
use lacuna_compress::error::grouped;
use maud::{html, Markup, PreEscaped, DOCTYPE};
use plots::Run;
use std::collections::BTreeMap;

/// The page's name in the folder of the results.
pub const FILE: &str = "report.html";
/// The page asks for nothing, whatever a name in it may hold.
const POLICY: &str = "default-src 'none'; style-src 'nonce-page'";

/// The whole page.
pub fn page(summary: &Summary, plan: &Plan, records: &Records) -> Result<String> {
    let runs = runs(plan, records);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                title { (verdict(summary).1) " - Lacuna regression" }
                style nonce="page" { (PreEscaped(include_str!("style.css"))) }
            }
            body {
                main {
                    (head(summary))
                    (tiles(summary))
                    @if !summary.failures.is_empty() { (failures(summary)) }
                    (testplan(summary)?)
                    (bins(summary))
                    @if !summary.verilog.is_empty() { (verilog(&summary.verilog)) }
                    (cycles(summary, &runs)?)
                }
            }
        }
    };
    Ok(page.into_string())
}

/// Runs whose cycles were compared.
fn runs(plan: &Plan, records: &Records) -> Vec<Run> {
    let of = |c: &super::configuration::Configuration| {
        let results = records.0.get(&c.name).into_iter().flat_map(|record| record.runs.values());
        let datapath = usize::from(c.ese());
        results.filter(|r| r.cycles > 0 && r.bound > 0).map(move |r| Run { datapath, cycles: r.cycles, bound: r.bound }).collect::<Vec<_>>()
    };
    plan.configurations.iter().flat_map(of).collect()
}

/// Class, word and sentence.
fn verdict(summary: &Summary) -> (&'static str, &'static str, String) {
    let (runs, failed) = (grouped(summary.runs()), grouped(summary.failures.len()));
    match summary.verdict() {
        Verdict::Passed => ("good", "Passed", format!("All of {runs} runs are equal to golden model and cycle model.")),
        Verdict::Incomplete => {
            ("warn", "Incomplete", format!("{runs} runs are done and equal to golden model and cycle model; others are missing."))
        }
        Verdict::Failed => ("bad", "Failed", format!("{failed} of {runs} runs failed.")),
    }
}

fn head(summary: &Summary) -> Markup {
    let (class, word, sentence) = verdict(summary);
    html! {
        h1 { "Lacuna regression" }
        div #verdict .verdict .(class) {
            strong { (word) }
            (sentence)
            @for missing in &summary.missing { div { (missing) } }
        }
        p .settings { code { "lacuna regress " (summary.settings.flags()) } " (" (summary.settings.contents()) ")" }
    }
}

fn tiles(summary: &Summary) -> Markup {
    let sum = |of: fn(&super::report::Datapath) -> usize| grouped(summary.datapaths.iter().map(of).sum());
    let (reached, all) = summary.bin_counts();
    let mut tiles: Vec<(String, String)> = [
        ("Configurations", sum(|d| d.configurations)),
        ("Runs", sum(|d| d.runs)),
        ("Failures", sum(|d| d.failures)),
        ("Cycle mismatches", sum(|d| d.cycle_mismatches)),
        ("Cycles compared", sum(|d| d.cycles as usize)),
        ("Bins reached", format!("{reached} / {all}")),
    ]
    .map(|(name, value)| (name.to_string(), value))
    .into();
    for v in &summary.verilog {
        tiles.push((format!("{}: lines", v.accelerator), format!("{:.1} %", v.lines.percent())));
        tiles.push((format!("{}: bits", v.accelerator), format!("{:.1} %", v.bits.percent())));
    }
    html! { dl .tiles { @for (name, value) in tiles { div { dt { (name) } dd { (value) } } } } }
}

fn failures(summary: &Summary) -> Markup {
    html! {
        h2 { "Failures" }
        @for (failure, folder) in summary.failures_with_folders() {
            article .card {
                h3 { (failure.configuration) ", run " (failure.run) " " span .badge.bad { (super::configuration::word(&failure.finding.kind)) } }
                pre { (failure.finding.text) }
                @if let Some(folder) = folder {
                    p { "Repeat with " code { "sh " (folder) "/run.sh" } }
                }
            }
        }
    }
}

fn testplan(summary: &Summary) -> Result<Markup> {
    let plan = Testplan::of_project()?;
    let badge = |status: Status| match status {
        Status::Reached => ("good", "reached".to_string()),
        Status::Partly(reached, all) => ("warn", format!("{reached} of {all} bins")),
        Status::NotReached => ("bad", "not reached".into()),
        Status::NotHere => ("", "not in these accelerators".into()),
        Status::Tests => ("", "by its tests".into()),
    };
    let rows: Vec<_> = plan.testpoint.iter().map(|point| (point, badge(point.status(&summary.bins, &summary.reachable)))).collect();
    let whole = rows.iter().filter(|(_, (class, _))| *class == "good").count();
    Ok(html! {
        h2 #testplan { "Testplan" }
        p .note { (whole) " of " (rows.len()) " testpoints have all of their bins. What a testpoint means is in tests/testplan.toml." }
        div .scroll {
            table .stack {
                thead { tr { th scope="col" { "Testpoint" } th scope="col" { "Status" } th scope="col" { "Stimulus" } th scope="col" { "Check" } } }
                tbody {
                    @for (point, (class, text)) in &rows {
                        tr {
                            th scope="row" { (point.name.replace('_', " ")) }
                            td { span .badge.(class) { (text) } }
                            td data-of="Stimulus" { (point.stimulus) }
                            td data-of="Check" { (point.check) }
                        }
                    }
                }
            }
        }
    })
}

fn bins(summary: &Summary) -> Markup {
    let holes = summary.holes();
    html! {
        h2 #coverage { "Coverage" }
        h3 { "Bins" }
        @if holes.is_empty() {
            p { "Every bin that can be reached was." }
        } @else {
            p { "Not reached, " (holes.len()) ":" }
            ul .bins { @for hole in &holes { li .bad { (hole) } } }
        }
        details {
            summary { "All coverpoints, each bin with the runs that reached it" }
            div .scroll {
                table .stack {
                    thead { tr { th scope="col" { "Coverpoint" } th scope="col" { "Bins" } } }
                    tbody {
                        @for (point, names) in COVERPOINTS {
                            @if let Some(found) = summary.coverage.get(point) {
                                tr {
                                    th scope="row" { (point.replace('_', " ")) }
                                    td {
                                        ul .bins {
                                            @for (bin, hits) in names.iter().filter_map(|bin| Some((bin, *found.get(bin)?))) {
                                                li .bad[hits == 0] { (bin) " " (grouped(hits as usize)) }
                                            }
                                        }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn verilog(all: &[Judged]) -> Markup {
    let cells = |r: &Reached| {
        html! {
            td .number data-of="Reached" { (grouped(r.reached)) " of " (grouped(r.all - r.waived)) }
            td .number data-of="Share" { (format!("{:.2} %", r.percent())) }
            td .number data-of="Waived" { (grouped(r.waived)) }
        }
    };
    html! {
        h3 { "Lines and bits of the Verilog" }
        div .scroll {
            table .stack {
                thead { tr {
                    th scope="col" { "Accelerator" } th scope="col" { "Kind" } th .number scope="col" { "Reached" }
                    th .number scope="col" { "Share" } th .number scope="col" { "Waived" }
                } }
                tbody {
                    @for v in all {
                        tr { th scope="row" { (v.accelerator) } td { "lines and branches" } (cells(&v.lines)) }
                        tr { th scope="row" { (v.accelerator) } td { "bits" } (cells(&v.bits)) }
                    }
                }
            }
        }
        @for v in all {
            @if !v.holes.is_empty() { (by_module(&format!("{}: not reached", v.accelerator), &v.holes)) }
            @if !v.waived.is_empty() { (by_module(&format!("{}: waived, with reasons", v.accelerator), &v.waived)) }
        }
    }
}

fn by_module(title: &str, holes: &[Hole]) -> Markup {
    let mut modules: BTreeMap<(&str, Option<&str>), Vec<&str>> = BTreeMap::new();
    for hole in holes {
        modules.entry((&hole.module, hole.reason.as_deref())).or_default().push(&hole.what);
    }
    html! {
        details {
            summary { (title) }
            @for ((module, reason), what) in modules {
                div .card {
                    strong { (module) }
                    @if let Some(reason) = reason { p .note { (reason) } }
                    ul .bins { @for what in what { li { code { (what) } } } }
                }
            }
        }
    }
}

fn cycles(summary: &Summary, runs: &[Run]) -> Result<Markup> {
    let of = |datapath: &str, what: fn(&Run) -> u64| -> u64 {
        let number = usize::from(datapath == "ese");
        runs.iter().filter(|r| r.datapath == number).map(what).sum()
    };
    let utilization = |datapath: &str| match (of(datapath, |r| r.bound), of(datapath, |r| r.cycles)) {
        (_, 0) => "-".to_string(),
        (bound, cycles) => format!("{:.1} %", 100.0 * bound as f64 / cycles as f64),
    };
    let seconds = |time: f64, d: &super::report::Datapath| format!("{:.2}", time / d.configurations.max(1) as f64);
    let plots = match runs.is_empty() {
        true => vec![],
        false => vec![
            ("Cycles of each run over what they cannot be fewer than, with the line on which both are equal", plots::cycles(runs)?),
            ("Utilization: the bound's share in the cycles of each run", plots::utilization(runs)?),
        ],
    };
    Ok(html! {
        h2 #cycles { "Cycles" }
        div .scroll {
            table .stack {
                caption { "Cycles that were compared with the cycle model, and seconds for a configuration" }
                thead { tr {
                    th scope="col" { "Datapath" } th .number scope="col" { "Runs" } th .number scope="col" { "Failures" }
                    th .number scope="col" { "Cycles" } th .number scope="col" { "Utilization" }
                    th .number scope="col" { "Emit" } th .number scope="col" { "Verilate" } th .number scope="col" { "Run" }
                } }
                tbody {
                    @for d in &summary.datapaths {
                        tr {
                            th scope="row" { (d.datapath.to_uppercase()) }
                            td .number data-of="Runs" { (grouped(d.runs)) }
                            td .number data-of="Failures" { (grouped(d.failures)) }
                            td .number data-of="Cycles" { (grouped(d.cycles as usize)) }
                            td .number data-of="Utilization" { (utilization(&d.datapath)) }
                            td .number data-of="Emit, s" { (seconds(d.times.emit, d)) }
                            td .number data-of="Verilate, s" { (seconds(d.times.verilate, d)) }
                            td .number data-of="Run, s" { (seconds(d.times.run, d)) }
                        }
                    }
                }
            }
        }
        @if plots.is_empty() {
            p .note { "No run has a bound of its cycles." }
        } @else {
            p .note { span .key.eie {} "EIE" span .key.ese {} "ESE" }
            div .plots {
                @for (caption, svg) in plots {
                    figure {
                        div role="img" aria-label=(caption) { (PreEscaped(svg)) }
                        figcaption { (caption) }
                    }
                }
            }
        }
    })
}
