//! What place and route, or synthesis alone, found.

use anyhow::{bail, Context, Result};
use serde_json::Value;
use std::path::Path;

/// Used, and what there is of it, by the tool's own name.
#[derive(Clone, Debug, PartialEq)]
pub struct Figures {
    /// LUTs (as logic, carry and RAM), flip-flops, block RAM, multipliers.
    pub cells: Vec<(String, u64, Option<u64>)>,
    pub fmax_mhz: Option<f64>,
    /// Of the clock that was asked for; nanoseconds.
    pub slack_ns: Option<f64>,
}

/// nextpnr's names of LUTs (as logic, carry and RAM), flip-flops, block RAM and multipliers, for each family. A logic cell of
/// an iCE40 is a LUT and a flip-flop, and counts as both.
const KINDS: [[&str; 4]; 2] =
    [["TRELLIS_COMB", "TRELLIS_FF", "DP16KD", "MULT18X18D"], ["ICESTORM_LC", "ICESTORM_LC", "ICESTORM_RAM", "ICESTORM_DSP"]];

impl Figures {
    fn used(&self, kind: &str) -> Option<u64> {
        self.cells.iter().find(|(name, ..)| name == kind).map(|(_, used, _)| *used)
    }

    /// LUTs, flip-flops, block RAM, multipliers that place and route used.
    pub fn area(&self) -> Result<[u64; 4]> {
        let Some(kinds) = KINDS.iter().find(|kinds| self.used(kinds[0]).is_some()) else {
            bail!("nextpnr's report does not say how many {} or {} are used", KINDS[0][0], KINDS[1][0]);
        };
        let mut area = [0; 4];
        for (used, kind) in area.iter_mut().zip(kinds) {
            *used = self.used(kind).with_context(|| format!("nextpnr's report does not say how many {kind} are used"))?;
        }
        Ok(area)
    }
}

/// Of nextpnr's report: what it used of each kind of cell, and the slowest clock.
pub fn nextpnr(report: &Value) -> Result<Figures> {
    let Some(kinds) = report["utilization"].as_object() else { bail!("nextpnr's report has no utilization") };
    let number = |cell: &Value, key: &str| cell[key].as_u64();
    let used = |(name, cell): (&String, &Value)| {
        let used = number(cell, "used")
            .with_context(|| format!("nextpnr's report: utilization.{name}.used is {}, expected a count", cell["used"]))?;
        Ok((name.clone(), used, number(cell, "available")))
    };
    let cells = kinds.iter().map(used).collect::<Result<Vec<_>>>()?;
    if cells.is_empty() {
        bail!("nextpnr's report has no cells");
    }
    let clocks = report["fmax"].as_object().into_iter().flatten();
    let slowest = clocks.filter_map(|(_, clock)| clock["achieved"].as_f64()).fold(f64::INFINITY, f64::min);
    if !slowest.is_finite() {
        bail!("nextpnr's report has no clock");
    }
    Ok(Figures { cells, fmax_mhz: Some(slowest), slack_ns: None })
}

/// Of Yosys's `stat -json`: cells of the whole design by type, flat or with its hierarchy.
fn yosys(text: &str) -> Result<Figures> {
    let cells = super::yosys::cells(&super::yosys::parse(text)?, super::TOP)?;
    if cells.is_empty() {
        bail!("Yosys counted no cells in the module {}", super::TOP);
    }
    Ok(Figures { cells: cells.into_iter().map(|(name, used)| (name, used, None)).collect(), fmax_mhz: None, slack_ns: None })
}

/// Of Vivado's report_utilization and report_timing_summary.
pub fn vivado(utilization: &str, timing: &str) -> Result<Figures> {
    const ROWS: [&str; 8] = ["CLB LUTs", "Slice LUTs", "CLB Registers", "Slice Registers", "Block RAM Tile", "URAM", "DSPs", "DSP48E1"];
    let row = |line: &str| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let name = cells.get(1)?.trim_end_matches('*');
        let known = ROWS.iter().find(|r| **r == name)?;
        // name, used, fixed, [prohibited,] available, percent
        let used: f64 = cells.get(2)?.parse().ok()?;
        let available: Option<f64> = cells.get(cells.len().checked_sub(3)?)?.parse().ok();
        Some((known.to_string(), used.ceil() as u64, available.map(|n| n as u64)))
    };
    // section 2, of the slices, repeats rows of section 1
    let mut cells: Vec<(String, u64, Option<u64>)> = vec![];
    for found in utilization.lines().filter_map(row) {
        if cells.iter().all(|cell| cell.0 != found.0) {
            cells.push(found);
        }
    }
    if cells.is_empty() {
        bail!("utilization.rpt has no line of LUTs, registers, block RAM or DSPs: is it Vivado's report_utilization?");
    }
    // the summary's first number, two lines below its heading
    let mut lines = timing.lines().skip_while(|l| !(l.contains("WNS(ns)") && l.contains("TNS(ns)"))).skip(2);
    let slack = lines.next().and_then(|l| l.split_whitespace().next()?.parse().ok());
    let Some(slack) = slack else { bail!("timing.rpt has no worst negative slack: is it Vivado's report_timing_summary?") };
    Ok(Figures { cells, fmax_mhz: None, slack_ns: Some(slack) })
}

/// Of a folder, from the best report that it has.
pub fn of(folder: &Path, mhz: f64) -> Result<(&'static str, Figures)> {
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).with_context(|| folder.join(name).display().to_string());
    let has = |name: &str| folder.join(name).is_file();
    if has("utilization.rpt") && has("timing.rpt") {
        let figures = vivado(&read("utilization.rpt")?, &read("timing.rpt")?)?;
        let period = 1e3 / mhz;
        if let Some(slack) = figures.slack_ns.filter(|slack| *slack >= period) {
            bail!("{}: found a slack of {slack} ns, expected less than the clock's {period} ns", folder.join("timing.rpt").display());
        }
        let fmax = figures.slack_ns.map(|slack| 1e3 / (period - slack));
        return Ok(("Vivado, placed and routed", Figures { fmax_mhz: fmax, ..figures }));
    }
    if has("report.json") {
        let report = serde_json::from_str(&read("report.json")?).context("nextpnr's report.json")?;
        return Ok(("nextpnr, placed and routed", nextpnr(&report)?));
    }
    if has("stat.json") {
        return Ok(("Yosys, synthesis only", yosys(&read("stat.json")?).context("Yosys's stat.json")?));
    }
    bail!(
        "{}: found no report of a tool, expected report.json, utilization.rpt with timing.rpt, or stat.json: run {} first",
        folder.display(),
        super::SCRIPT
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn area_is_what_the_family_calls_it_and_nothing_is_made_up() {
        let figures = |cells: &[(&str, u64)]| Figures {
            cells: cells.iter().map(|(name, used)| (name.to_string(), *used, None)).collect(),
            fmax_mhz: None,
            slack_ns: None,
        };
        let ecp5 = [("TRELLIS_COMB", 9), ("TRELLIS_FF", 8), ("DP16KD", 7), ("MULT18X18D", 6)];
        let ice40 = [("ICESTORM_LC", 5), ("ICESTORM_RAM", 4), ("ICESTORM_DSP", 0)];
        assert_eq!(figures(&ecp5).area().unwrap(), [9, 8, 7, 6]);
        assert_eq!(figures(&ice40).area().unwrap(), [5, 5, 4, 0]);
        assert!(figures(&ecp5[..3]).area().unwrap_err().to_string().contains("MULT18X18D"));
        assert!(figures(&ice40[1..]).area().unwrap_err().to_string().contains("ICESTORM_LC"));
    }

    #[test]
    fn yosys_counts_every_instance_of_a_module() {
        let module = |cells: &[(&str, u64)]| serde_json::json!({"num_cells_by_type": cells.iter().cloned().collect::<std::collections::BTreeMap<_, _>>()});
        let report = serde_json::json!({"modules": {
            "\\top": module(&[("BUFG", 1), ("FDRE", 2), ("$paramod\\pe\\DEPTH=4", 3)]),
            "$paramod\\pe\\DEPTH=4": module(&[("FDRE", 100), ("leaf", 2)]),
            "\\leaf": module(&[("LUT6", 5)]),
        }});
        let figures = yosys(&report.to_string()).unwrap();
        let cells: Vec<_> = figures.cells.iter().map(|(name, used, _)| (name.as_str(), *used)).collect();
        assert_eq!(cells, [("BUFG", 1), ("FDRE", 302), ("LUT6", 30)]);
        assert!(yosys(r#"{"modules": {}}"#).is_err());
    }

    #[test]
    fn damaged_reports_say_what_is_wrong() {
        let said = |found: Result<Figures>| format!("{:#}", found.unwrap_err());
        let many = serde_json::json!({"modules": {"top": {"num_cells_by_type": {"a": 1u64 << 63, "b": 1u64 << 63}},
            "a": {"num_cells_by_type": {"LUT2": 3}}, "b": {"num_cells_by_type": {"LUT2": 1}}}});
        assert!(said(yosys(&many.to_string())).contains("Yosys counted too many cells LUT2"));
        let empty = serde_json::json!({"modules": {"top": {"num_cells_by_type": {}}}});
        assert!(said(yosys(&empty.to_string())).contains("Yosys counted no cells in the module top"));
        for (cells, expected) in [
            (serde_json::json!({"DP16KD": {"used": -1}}), "utilization.DP16KD.used is -1, expected a count"),
            (serde_json::json!({}), "has no cells"),
        ] {
            let found = said(nextpnr(&serde_json::json!({"utilization": cells, "fmax": {"clock": {"achieved": 90.0}}})));
            assert!(found.contains(expected), "{found}");
        }
    }

    #[test]
    fn vivados_reports_are_read() {
        // the order and the headings of a real one
        let utilization = "\
1. CLB Logic
------------
| Site Type              | Used | Fixed | Prohibited | Available | Util% |
| CLB LUTs*              | 1234 |     0 |          0 |    242400 |  0.51 |
|   LUT as Logic         | 1000 |     0 |          0 |    242400 |  0.41 |
| CLB Registers          | 2345 |     0 |          0 |    484800 |  0.48 |
|   Register as Flip Flop | 2345 |    0 |          0 |    484800 |  0.48 |
2. CLB Logic Distribution
-------------------------
| CLB                    |  321 |     0 |          0 |     30300 |  1.06 |
| LUT as Logic           | 1000 |     0 |          0 |    242400 |  0.41 |
| CLB Registers          | 2345 |     0 |          0 |    484800 |  0.48 |
|   Register driven from within the CLB | 2000 |  |    |           |       |
3. BLOCKRAM
-----------
| Block RAM Tile         | 10.5 |     0 |          0 |       600 |  1.75 |
|   RAMB36/FIFO*         |   10 |     0 |          0 |       600 |  1.67 |
4. ARITHMETIC
-------------
| DSPs                   |    8 |     0 |          0 |      1920 |  0.42 |
|   DSP48E2 only         |    8 |       |            |           |       |
";
        let timing = "\
    WNS(ns)      TNS(ns)  TNS Failing Endpoints  TNS Total Endpoints
    -------      -------  ---------------------  -------------------
     -0.250       -1.100                      9                 4567
";
        let found = vivado(utilization, timing).unwrap();
        let cell = |name: &str, used, available| (name.to_string(), used, Some(available));
        let once = [cell("CLB LUTs", 1234, 242_400), cell("CLB Registers", 2345, 484_800)];
        assert_eq!(found.cells, [once, [cell("Block RAM Tile", 11, 600), cell("DSPs", 8, 1920)]].concat());
        assert_eq!(found.slack_ns, Some(-0.25));
        let slices = "\
| Slice Registers                        |  77 |     0 |          0 |     41600 |  0.19 |
| Slice Registers                        |  77 |     0 |          0 |     41600 |  0.19 |
";
        assert_eq!(vivado(slices, timing).unwrap().cells, [cell("Slice Registers", 77, 41_600)]);
        assert!(vivado("nothing", timing).is_err() && vivado(utilization, "nothing").is_err());

        // a slack of -0.25 ns of a period of 8 ns: 8.25 ns; one of 3 ns: 5 ns
        for (slack, mhz) in [("-0.250", Some(1e3 / 8.25)), ("3.000", Some(200.0)), ("8.000", None), ("9.000", None)] {
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join("utilization.rpt"), utilization).unwrap();
            std::fs::write(folder.path().join("timing.rpt"), timing.replace("-0.250", slack)).unwrap();
            let found = of(folder.path(), 125.0);
            let Some(mhz) = mhz else {
                assert!(format!("{:#}", found.unwrap_err()).contains("expected less than the clock's 8 ns"), "{slack}");
                continue;
            };
            let (tool, found) = found.unwrap();
            assert_eq!(tool, "Vivado, placed and routed");
            assert!(found.fmax_mhz.is_some_and(|fmax| (fmax - mhz).abs() < 1e-9), "{slack}: {found:?}");
        }
    }
}
