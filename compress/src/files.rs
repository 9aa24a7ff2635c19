//! Images as files: the container, and one text file per memory.
//!
//! Everything is written under a temporary name next to its place and then renamed: a file of the
//! final name is always whole. Memory files hold exactly as many words as the memory is deep, zeros
//! beyond those of the model, as preloading needs.

mod text;

pub use text::Format;

use crate::error::Error;
use crate::manifest::{AnyModel, Model};
use crate::spec::layout::sections;
use crate::spec::{Arch, MemoryImage, Section, Words};
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

fn at<T>(path: &Path, result: std::io::Result<T>) -> Result<T, Error> {
    result.map_err(|source| Error::File { path: path.to_path_buf(), source })
}

/// A folder of this process's own inside `parent`, removed when dropped; `target` is what an error names.
fn scratch(parent: &Path, target: &Path) -> Result<TempDir, Error> {
    at(target, tempfile::Builder::new().prefix(".lacuna-").tempdir_in(parent))
}

/// Writes `bytes` to `path`: all of them, or no change. The folder must exist.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let scratch = scratch(parent, path)?;
    let temporary = scratch.path().join("file");
    let mut file = at(path, fs::File::create(&temporary))?;
    at(path, file.write_all(bytes))?;
    at(path, file.sync_all())?;
    drop(file);
    at(path, fs::rename(&temporary, path))
}

/// Writes the container of a model; returns its size in bytes.
pub fn write_container(path: &Path, model: &Model) -> Result<usize, Error> {
    let bytes = model.to_container()?;
    write_whole(path, &bytes)?;
    Ok(bytes.len())
}

/// Reads a container and checks everything in it. An error names the file.
pub fn read_any_container(path: &Path) -> Result<AnyModel, Error> {
    let bytes = at(path, fs::read(path))?;
    AnyModel::from_container(&bytes).map_err(|fault| Error::In { path: path.to_path_buf(), fault: Box::new(fault) })
}

/// [`read_any_container`] of a network of fully connected layers; another one is an error.
pub fn read_container(path: &Path) -> Result<Model, Error> {
    match read_any_container(path)? {
        AnyModel::Layers(model) => Ok(model),
        AnyModel::Recurrent(_) => {
            let found = format!("a container of {}", AnyModel::RECURRENT);
            Err(Error::Format { path: path.to_path_buf(), found, expected: format!("one of {}", AnyModel::LAYERS) })
        }
    }
}

/// The file of a section, without folder: `pe3_spmat.mem`.
pub fn file_name(section: Section, format: Format) -> String {
    format!("{}.{}", section.file_stem(), format.suffix())
}

/// Writes one file per memory that the model fills into `folder`, which is made if it does not exist.
/// Nothing gets its name before all are written. Returns the paths in checking order.
pub fn write_image(folder: &Path, image: &MemoryImage, format: Format) -> Result<Vec<PathBuf>, Error> {
    at(folder, fs::create_dir_all(folder))?;
    let scratch = scratch(folder, folder)?;
    let mut names = vec![];
    for (section, words) in &image.sections {
        let name = file_name(*section, format);
        let temporary = scratch.path().join(&name);
        at(&folder.join(&name), fs::write(&temporary, format.render(words, section.kind().depth(&image.arch))))?;
        names.push(name);
    }
    let mut paths = vec![];
    for name in names {
        let path = folder.join(&name);
        at(&path, fs::rename(scratch.path().join(&name), &path))?;
        paths.push(path);
    }
    Ok(paths)
}

/// Reads the memories that [`write_image`] wrote. Sections come back as long as their memories are deep.
pub fn read_image(folder: &Path, arch: &Arch, format: Format) -> Result<MemoryImage, Error> {
    arch.validate()?;
    let mut read = BTreeMap::new();
    for section in sections(arch) {
        read.insert(section, read_section(&folder.join(file_name(section, format)), section, arch, format)?);
    }
    Ok(MemoryImage { arch: arch.clone(), sections: read })
}

/// Reads one memory file.
pub fn read_section(path: &Path, section: Section, arch: &Arch, format: Format) -> Result<Words, Error> {
    let text = at(path, fs::read_to_string(path))?;
    format.parse(&text, section.kind().width(arch), section.kind().depth(arch), path)
}
