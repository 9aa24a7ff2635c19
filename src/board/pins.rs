//! What the files of a board say about its pins: ports of the top module, and constraints in the tools' own formats.

use anyhow::{bail, Result};
use std::collections::BTreeMap;

/// Verilog without comments, attributes and directives.
fn plain(verilog: &str) -> String {
    let mut text = String::new();
    let mut rest = verilog;
    loop {
        let starts = [("//", "\n"), ("/*", "*/"), ("(*", "*)"), ("`", "\n")];
        let next = starts.iter().filter_map(|(start, end)| Some((rest.find(start)?, start, end))).min();
        let Some((at, start, end)) = next else { return text + rest };
        // the sensitivity of a block is no attribute
        if *start == "(*" && rest[at + start.len()..].trim_start().starts_with(')') {
            text += &rest[..at + start.len()];
            rest = &rest[at + start.len()..];
            continue;
        }
        text += &rest[..at];
        text.push(' ');
        let inside = &rest[at + start.len()..];
        rest = inside.find(end).map_or("", |found| &inside[found + end.len()..]);
    }
}

/// What is inside the parentheses that a text begins with, and what is behind them.
fn parenthesized(text: &str) -> Option<(&str, &str)> {
    let inside = text.trim_start().strip_prefix('(')?;
    let mut depth = 1;
    for (at, c) in inside.char_indices() {
        depth += match c {
            '(' => 1,
            ')' => -1,
            _ => 0,
        };
        if depth == 0 {
            return Some((&inside[..at], &inside[at + 1..]));
        }
    }
    None
}

/// Ports of the module `top`, of one bit each.
pub fn ports(verilog: &str) -> Result<Vec<String>> {
    let text = plain(verilog);
    let header = |(at, word): (usize, &str)| {
        let name = text[at + word.len()..].strip_prefix(char::is_whitespace)?.trim_start();
        let behind = name.strip_prefix("top").filter(|rest| rest.starts_with(['(', '#']) || rest.starts_with(char::is_whitespace))?;
        match behind.trim_start().strip_prefix('#') {
            Some(parameters) => parenthesized(parenthesized(parameters)?.1),
            None => parenthesized(behind),
        }
    };
    let Some((list, body)) = text.match_indices("module").find_map(header) else {
        bail!("found no module top with a list of ports");
    };
    let is_declaration =
        |text: &&str| ["input", "output", "inout"].contains(&text.split([' ', '\t', '\n', '[']).next().unwrap_or_default());
    let declared: Vec<&str> = list.split(',').map(str::trim).filter(|port| !port.is_empty()).collect();
    // a list of names alone is declared behind it
    let later = if declared.iter().any(is_declaration) { "" } else { body };
    let ranged = declared.iter().copied().chain(later.split(';').map(str::trim).filter(is_declaration)).find(|port| port.contains('['));
    if let Some(port) = ranged {
        bail!("{port}: found a range, expected ports of one bit");
    }
    let name = |port: &str| port.split('=').next().and_then(|port| port.split_whitespace().last()).unwrap_or_default().to_string();
    Ok(declared.into_iter().map(name).collect())
}

/// The format of a file of constraints, by its name.
fn format(file: &str) -> &str {
    file.rsplit('.').next().unwrap_or_default()
}

/// What a file of constraints says, command by command, as words: no comments and quotes.
pub fn commands(file: &str, text: &str) -> Vec<Vec<String>> {
    let is = |kind: &str| format(file) == kind;
    let comment = |line: &str| line.find('#').into_iter().chain(line.find("//").filter(|_| is("lpf"))).min().unwrap_or(line.len());
    let lines: Vec<&str> = text.lines().map(|line| &line[..comment(line)]).collect();
    let text = lines.join("\n").replace("\\\n", " ").replace(['"', '{', '}'], " ");
    // of Tcl, a command in brackets; those of an index stay
    let text = if is("xdc") { text.replace("[get_ports", " get_ports") } else { text };
    let word = |word: &str| match word.strip_suffix(']') {
        Some(without) if is("xdc") && word.matches(']').count() > word.matches('[').count() => without.to_string(),
        _ => word.to_string(),
    };
    let words = |command: &str| command.split_whitespace().map(word).filter(|word| !word.is_empty()).collect::<Vec<_>>();
    // a command of an .lpf ends with its semicolon alone
    let commands: Vec<&str> = if is("lpf") { text.split(';').collect() } else { text.split([';', '\n']).collect() };
    commands.into_iter().map(words).filter(|words| !words.is_empty()).collect()
}

pub fn word_after<'a>(words: &'a [String], before: &str) -> Option<&'a String> {
    words.get(words.iter().position(|word| word == before)? + 1)
}

/// Port and pin of each location in a file of constraints: .lpf, .pcf or .xdc, by its name.
pub fn constrained_pins(file: &str, text: &str) -> Result<BTreeMap<String, String>> {
    let pair = |words: &Vec<String>| match (format(file), words[0].as_str()) {
        ("lpf", "LOCATE") => Some((word_after(words, "COMP")?.clone(), word_after(words, "SITE")?.clone())),
        ("pcf", "set_io") => Some((words[1..].iter().nth_back(1)?.clone(), words.last()?.clone())),
        ("xdc", _) => {
            let pin = word_after(words, "PACKAGE_PIN").or_else(|| word_after(words, "LOC"))?;
            Some((word_after(words, "get_ports")?.clone(), pin.clone()))
        }
        _ => None,
    };
    let mut found = BTreeMap::new();
    for (port, pin) in commands(file, text).iter().filter_map(pair) {
        if let Some(before) = found.insert(port.clone(), pin.clone()) {
            bail!("{file}: {port} is at pin {before} and at pin {pin}");
        }
    }
    Ok(found)
}

/// Port and frequency of each clock that is said to come in at one, in MHz.
pub fn constrained_mhz(file: &str, text: &str) -> Vec<(String, f64)> {
    let clock = |words: &Vec<String>| match (format(file), words[0].as_str()) {
        ("lpf", "FREQUENCY") => {
            let mut end = words.iter().skip_while(|word| *word != "PORT").skip(1);
            let (port, number, unit) = (end.next()?, end.next()?.parse::<f64>().ok()?, end.next()?.to_ascii_uppercase());
            let (_, mhz) = [("MHZ", 1.0), ("KHZ", 1e-3), ("HZ", 1e-6)].into_iter().find(|(name, _)| *name == unit)?;
            Some((port.clone(), number * mhz))
        }
        ("pcf", "set_frequency") => Some((words.get(1)?.clone(), words.get(2)?.parse().ok()?)),
        ("xdc", "create_clock") => {
            Some((word_after(words, "get_ports")?.clone(), 1e3 / word_after(words, "-period")?.parse::<f64>().ok()?))
        }
        _ => None,
    };
    commands(file, text).iter().filter_map(clock).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As vendors and other tools write them.
    #[test]
    fn constraints_and_ports_are_read_in_every_form_that_tools_take() {
        let pins = |file, text| constrained_pins(file, text).unwrap().into_iter().collect::<Vec<_>>();
        let expected = [("clock".to_string(), "E3".to_string())];
        for (file, text) in [
            ("a.xdc", "set_property -dict { PACKAGE_PIN E3    IOSTANDARD LVCMOS33 } [get_ports { clock }]; #IO_L12P Sch=gclk[100]"),
            ("a.xdc", "#set_property PACKAGE_PIN E4 [get_ports clock]\nset_property PACKAGE_PIN E3 [get_ports {clock}]"),
            ("a.pcf", "set_io\tclock\tE3 # the oscillator"),
            ("a.pcf", "set_io -nowarn -pullup yes clock E3"),
            ("a.lpf", "LOCATE  COMP \"clock\"\tSITE \"E3\"; // the oscillator"),
            ("a.lpf", "# LED; LOCATE COMP \"led\" SITE \"C2\"; // other\nLOCATE COMP \"clock\"\n  SITE \"E3\";"),
            ("a.xdc", "set_property LOC E3 [get_ports clock]"),
        ] {
            assert_eq!(pins(file, text), expected, "{file}: {text}");
        }
        let two = [("gp[0]".to_string(), "C2".to_string()), ("gp[1]".to_string(), "D2".to_string())];
        for (file, text) in [
            ("a.xdc", "set_property PACKAGE_PIN C2 [get_ports gp[0]]\nset_property PACKAGE_PIN D2 [get_ports {gp[1]}]"),
            ("a.lpf", "LOCATE COMP \"gp[0]\" SITE \"C2\"; LOCATE COMP \"gp[1]\" SITE \"D2\";"),
        ] {
            assert_eq!(pins(file, text), two, "{file}: {text}");
        }
        for (file, text) in [
            ("a.xdc", "create_clock -add -name sys_clk_pin -period 10.00 -waveform {0 5} [get_ports { CLK100MHZ }];"),
            ("a.pcf", "set_frequency  clock 100 # MHz"),
            ("a.lpf", "FREQUENCY PORT \"clock\" 100.0 MHz;\nFREQUENCY NET \"fast\" 50 MHZ;"),
            ("a.lpf", "FREQUENCY PORT \"clock\" 100000 KHZ;"),
        ] {
            let found = constrained_mhz(file, text);
            assert!(found.len() == 1 && found[0].1 == 100.0, "{file}: {text}: {found:?}");
        }
        for text in [
            "// module other(x);\nmodule top(input wire clock, // 12 MHz, (35)\n\tinput /* in; */ rx,\n output\twire tx\n);\nendmodule",
            "`default_nettype none\nmodule top (clock, rx, tx);\n input clock, rx; output tx;\n always @(*) x = y[3:0];\nendmodule",
            "module topmost(x); endmodule module top #(parameter A = (1), B = 2) (input clock, (* keep = 1 *)\n input rx, output reg tx = 1'b0);",
        ] {
            assert_eq!(ports(text).unwrap(), ["clock", "rx", "tx"], "{text}");
        }
    }
}
