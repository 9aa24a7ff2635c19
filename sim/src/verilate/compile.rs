//! From the C++ of a model to its object files, through g++.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{at, digest, publish, run, temporary, write, Result, Tools, CACHE_FORMAT};
use crate::shim;

/// The precompiled header for these flags. It takes longer to make than a small model, so all models share it.
pub(super) fn prelude(cache: &Path, tools: &Tools, flags: &[String]) -> Result<PathBuf> {
    let fixed = [CACHE_FORMAT, &tools.verilator, &tools.cxx, shim::PRELUDE];
    let entry = cache.join(format!("prelude-{}", digest(fixed.into_iter().chain(flags.iter().map(String::as_str)))));
    if !entry.is_dir() {
        let work = temporary(cache)?;
        write(&work.path().join("prelude.h"), shim::PRELUDE)?;
        let mut command = Command::new("g++");
        command.current_dir(work.path()).args(flags).args(["-x", "c++-header", "prelude.h", "-o", "prelude.h.gch"]);
        run(&mut command, "the precompiled header")?;
        publish(work, &entry)?;
    }
    Ok(entry.join("prelude.h"))
}

/// Compiles every `.cpp` of a directory to an object beside it, the largest first, one compiler per core.
pub(super) fn compile_all(cpp: &Path, flags: &[String], prelude: &Path, what: &str) -> Result<()> {
    let mut files = files_with_extension(cpp, "cpp")?;
    files.sort_by(|a, b| b.cmp(a));
    let next = AtomicUsize::new(0);
    let worker = || -> Result<()> {
        while let Some((_, file)) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
            let mut command = Command::new("g++");
            command.current_dir(cpp).args(flags).arg("-I.").arg("-include").arg(prelude);
            command.arg("-c").arg(file).arg("-o").arg(file.with_extension("o"));
            if let Err(error) = run(&mut command, what) {
                next.store(files.len(), Ordering::Relaxed);
                return Err(error);
            }
        }
        Ok(())
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from).min(files.len());
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().try_for_each(|w| w.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
}

/// Compiles all of a directory as one file: a third of the work where the files are small, as each compiler's start counts.
pub(super) fn compile_as_one(cpp: &Path, flags: &[String], prelude: &Path, what: &str) -> Result<()> {
    let mut files = files_with_extension(cpp, "cpp")?;
    // the shim takes back what the prelude renames for models
    files.sort_by_key(|(_, file)| file.file_name().is_some_and(|name| name == "shim.cpp"));
    let include = |(_, file): &(u64, PathBuf)| format!("#include \"{}\"\n", file.file_name().unwrap_or_default().to_string_lossy());
    write(&cpp.join("all.cc"), &files.iter().map(include).collect::<String>())?;
    let mut command = Command::new("g++");
    command.current_dir(cpp).args(flags).arg("-I.").arg("-include").arg(prelude).args(["-c", "all.cc", "-o", "all.o"]);
    run(&mut command, what).map(|_| ())
}

/// Size and path of the files of a directory.
pub(super) fn files_with_extension(directory: &Path, extension: &str) -> Result<Vec<(u64, PathBuf)>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(at(directory))? {
        let entry = entry.map_err(at(directory))?;
        if entry.path().extension().is_some_and(|e| e == extension) {
            files.push((entry.metadata().map_err(at(directory))?.len(), entry.path()));
        }
    }
    files.sort();
    Ok(files)
}
