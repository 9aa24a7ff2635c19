//! A folder of outputs that appears whole or not at all.

use anyhow::{bail, Context, Result};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Files under a temporary name. Dropped without [`Staged::commit`], they are gone.
pub struct Staged {
    target: PathBuf,
    scratch: TempDir,
}

impl Staged {
    /// For a folder `target`, which need not exist. An error if it is something else than a folder.
    pub fn new(target: &Path) -> Result<Staged> {
        if target.exists() && !target.is_dir() {
            bail!("{}: found a file, expected a folder or a new name", target.display());
        }
        // next to the target, or above it: renaming works within a file system only
        let near = target.ancestors().skip(1).map(or_here).find(|a| a.is_dir()).unwrap_or(Path::new("."));
        let near = if target.is_dir() { target } else { near };
        Ok(Staged { target: target.to_path_buf(), scratch: scratch(near)? })
    }

    /// Where to write.
    pub fn path(&self) -> &Path {
        self.scratch.path()
    }

    pub fn write(&self, name: &str, text: &str) -> Result<()> {
        fs::write(self.path().join(name), text).with_context(|| self.target.join(name).display().to_string())
    }

    /// Names of what was written. An error if the folder has a folder by the name of a file, which nothing can replace.
    pub fn names(&self) -> Result<Vec<OsString>> {
        let at = |path: &Path| path.display().to_string();
        let mut names = vec![];
        for entry in fs::read_dir(self.path()).with_context(|| at(self.path()))? {
            names.push(entry.with_context(|| at(self.path()))?.file_name());
        }
        match names.iter().find(|name| self.target.join(name).is_dir() && !self.path().join(name).is_dir()) {
            Some(name) => bail!("{}: found a folder, expected a file or a new name", at(&self.target.join(name))),
            None => Ok(names),
        }
    }

    /// Moves everything to its place. Files that the folder has already are replaced, others stay.
    pub fn commit(self) -> Result<()> {
        let at = |path: &Path| path.display().to_string();
        let names = self.names()?;
        fs::create_dir_all(&self.target).with_context(|| at(&self.target))?;
        for name in names {
            let path = self.target.join(&name);
            fs::rename(self.path().join(&name), &path).with_context(|| at(&path))?;
        }
        Ok(())
    }
}

fn or_here(path: &Path) -> &Path {
    if path.as_os_str().is_empty() {
        Path::new(".")
    } else {
        path
    }
}

/// A folder of this process's own in a folder, removed when dropped.
pub fn scratch(parent: &Path) -> Result<TempDir> {
    tempfile::Builder::new().prefix(".lacuna-").tempdir_in(parent).with_context(|| parent.display().to_string())
}

/// Refuses an output file that could not be written, before the work starts.
pub fn check_file(path: &Path) -> Result<()> {
    let folder = or_here(path.parent().unwrap_or(Path::new(".")));
    if !folder.is_dir() {
        bail!("{}: the folder {} does not exist", path.display(), folder.display());
    }
    if path.is_dir() {
        bail!("{}: found a folder, expected the name of a file", path.display());
    }
    Ok(())
}
