//! The named configurations: accelerators for which more is promised than for others. Each says what (its stage), and
//! docs/verification.md says it too.

use anyhow::{bail, Context, Result};
use lacuna_compress::spec::Arch;
use serde::{Deserialize, Serialize};

/// A size of both datapaths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Size {
    /// 2 PEs: fast enough for every change
    S,
    /// 8 PEs (ESE: 4)
    M,
    /// 32 PEs
    L,
}

/// How far the verification of a configuration is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Generated, lint clean, smoke-tested.
    Generated,
    /// Also bit-exact and cycle-exact on random networks, with stalls and resets in flight.
    Regressed,
    /// Also covered, proved and mutation-tested.
    Verified,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Named {
    pub name: String,
    pub stage: Stage,
    pub accelerator: Arch,
}

const TEXTS: [(Size, &str, &str); 6] = [
    (Size::S, "eie-s", include_str!("named/eie-s.toml")),
    (Size::S, "ese-s", include_str!("named/ese-s.toml")),
    (Size::M, "eie-m", include_str!("named/eie-m.toml")),
    (Size::M, "ese-m", include_str!("named/ese-m.toml")),
    (Size::L, "eie-l", include_str!("named/eie-l.toml")),
    (Size::L, "ese-l", include_str!("named/ese-l.toml")),
];

/// The configurations of a size: EIE, then ESE.
pub fn of_size(size: Size) -> Result<Vec<Named>> {
    let texts = TEXTS.iter().filter(|(of, ..)| *of == size);
    texts.map(|(_, name, text)| parse(name, text)).collect()
}

/// What an accelerator is called: its name if it is one of these, else its hash.
pub fn name_of(arch: &Arch) -> Result<String> {
    for (_, name, text) in TEXTS {
        if parse(name, text)?.accelerator == *arch {
            return Ok(name.to_string());
        }
    }
    Ok(format!("{:016x}", arch.hash()))
}

fn parse(name: &str, text: &str) -> Result<Named> {
    let named: Named = toml::from_str(text).with_context(|| format!("{name}.toml"))?;
    if named.name != name {
        bail!("{name}.toml names {}", named.name);
    }
    named.accelerator.validate().with_context(|| format!("{name}.toml"))?;
    Ok(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_says_the_stage_of_each() {
        let page = include_str!("../../docs/verification.md");
        for (size, name, text) in TEXTS {
            let stage = super::super::configuration::word(&parse(name, text).unwrap().stage);
            let row = page.lines().find(|line| line.starts_with('|') && line.contains(&format!("`{name}`"))).unwrap();
            assert_eq!(row.split('|').nth(3).map(str::trim), Some(stage.as_str()), "{size:?} {row}");
        }
    }

    #[test]
    fn every_named_configuration_is_legal_and_one_of_each_datapath() {
        for size in [Size::S, Size::M, Size::L] {
            let named = of_size(size).unwrap();
            assert_eq!(named.iter().map(|n| n.accelerator.ese.is_some()).collect::<Vec<_>>(), [false, true], "{size:?}");
            for n in named.iter().filter(|n| n.stage == Stage::Verified) {
                // what is not shown is not promised
                for shown in [include_str!("../../docs/results/mutants.json"), include_str!("../../docs/results/coverage.json")] {
                    assert!(shown.contains(&format!("\"config\": \"{}\"", n.name)), "{}", n.name);
                }
            }
        }
    }
}
