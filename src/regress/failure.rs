//! The folder that a failure leaves: all that it takes to see it again.

use super::configuration::Configuration;
use super::engine::{Engine, Finding};
use super::plan::quoted;
use super::shrink::{shrink, Limits, Shrunk};
use crate::staged::Staged;
use anyhow::Result;
use lacuna_compress::files::{write_image, Format};
use std::path::Path;

/// Names in the folder.
pub const CONFIGURATION: &str = "configuration.toml";
pub const FINDING: &str = "finding.txt";
const ORIGINAL: &str = "original.toml";
const VERILOG: &str = "verilog";
const WAVES: &str = "waves.vcd";
const RUN: &str = "run.sh";

/// Shrinks what failed (unless `limits` is None) and writes the folder.
pub fn leave(engine: &Engine, c: &Configuration, run: usize, finding: &Finding, limits: Option<Limits>, folder: &Path) -> Result<Shrunk> {
    let shrunk = match limits {
        Some(limits) => shrink(engine, c, run, finding, limits),
        None => Shrunk { configuration: c.clone(), run, finding: finding.clone(), attempts: 0 },
    };
    let staged = Staged::new(folder)?;
    let small = &shrunk.configuration;
    staged.write(CONFIGURATION, &toml::to_string(small)?)?;
    staged.write(ORIGINAL, &toml::to_string(c)?)?;
    let smaller = match limits {
        Some(_) => format!("smaller after {} attempts", shrunk.attempts),
        None => "not made smaller".to_string(),
    };
    let text = format!("{}\n\nas drawn ({} with {} runs): {}\n{smaller}\n", shrunk.finding.text, c.name, c.runs.len(), finding.text);
    staged.write(FINDING, &text)?;
    let fault = engine.fault.map(|fault| format!(" --fault {}", fault.text())).unwrap_or_default();
    // a generator that breaks off leaves none
    let design = engine.design(small).ok();
    let (comment, from) = match design {
        Some(_) => (", on the Verilog in this folder. Without --verilog it is generated anew", format!(" --verilog {VERILOG}")),
        None => ("", String::new()),
    };
    let own = std::env::current_exe().map(|path| quoted(&path.display().to_string())).unwrap_or("lacuna".into());
    let script = format!(
        "#!/bin/sh\n# Runs {CONFIGURATION} again{comment}.\n# LACUNA is the program; else `lacuna` on PATH, or the one that wrote this.\n\
         lacuna=${{LACUNA:-lacuna}}\ncase $lacuna in\n    /*) ;;\n    */*) lacuna=$PWD/$lacuna ;;\n    \
         *) command -v \"$lacuna\" >/dev/null || lacuna={own} ;;\nesac\n\
         cd \"$(dirname \"$0\")\" || exit 2\nexec \"$lacuna\" regress --replay {CONFIGURATION}{from}{fault} \"$@\"\n"
    );
    staged.write(RUN, &script)?;
    executable(&staged.path().join(RUN))?;
    if let Some(design) = &design {
        let verilog = staged.path().join(VERILOG);
        std::fs::create_dir(&verilog)?;
        for module in &design.modules {
            std::fs::write(verilog.join(module.file_name()), &module.text)?;
        }
    }
    for (number, model) in engine.models(small).unwrap_or_default().iter().enumerate() {
        let image = staged.path().join(format!("image{number}"));
        std::fs::create_dir(&image)?;
        write_image(&image, model.image(), Format::Mem)?;
    }
    let waves = staged.path().join(WAVES);
    // a design that cannot be built has no waves
    if let Ok(mut bench) = engine.build(small, Some(&waves)) {
        // the waves end with the run that fails; what it finds is known
        let _ = engine.run(small, &mut bench, |_, ran| {
            anyhow::ensure!(ran.finding.is_none());
            Ok(())
        });
    }
    staged.commit()?;
    Ok(shrunk)
}

fn executable(path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    Ok(std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))?)
}
