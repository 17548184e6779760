//! Writes files as a whole: a reader, or the next start after a kill, finds either the old contents
//! or the new ones.

use std::{
    fs::{self, File, Metadata, Permissions},
    io::{self, Write},
    os::unix::fs::{FileExt, PermissionsExt},
    path::{Path, PathBuf},
};

use crate::log;

/// Replaces the file at `path` with `text` in one step, readable by everyone. Does not touch a file
/// that would not change.
///
/// Does not fsync, so after a power failure the file may be old or empty. linkbot rebuilds the
/// feeds and pages at every start; an empty `links.tsv.heard` only means that it does not catch up.
pub fn replace(path: &Path, text: &str) -> io::Result<()> {
    what_is_at(path)?;
    if fs::read_to_string(path).is_ok_and(|old| old == text) {
        return Ok(());
    }
    // The web server must be able to read it, whatever the umask.
    replace_with(path, 0o644, |mut file| file.write_all(text.as_bytes()))
}

/// Overwrites the start of the file at `path`, or creates it. Does not fsync: `text` fits into a
/// disk's sector, so after a crash the file holds the old text or the new one.
pub fn overwrite(path: &Path, text: &[u8]) -> io::Result<()> {
    let file = File::options().write(true).create(true).truncate(false).open(path)?;
    file.write_all_at(text, 0)
}

/// Replaces the file at `path` in one step with what `write` writes, with these permissions.
pub fn replace_with(
    path: &Path,
    mode: u32,
    write: impl FnOnce(&File) -> io::Result<()>,
) -> io::Result<()> {
    let path = resolve(path);
    let temporary = beside(&path, ".tmp");
    // A crash may have left anything here, even a symbolic link to somewhere else.
    let _ = fs::remove_file(&temporary);
    let create = || {
        let file = File::create_new(&temporary)?;
        file.set_permissions(Permissions::from_mode(mode))?;
        write(&file)?;
        fs::rename(&temporary, &path)
    };
    create().inspect_err(|_| drop(fs::remove_file(&temporary)))
}

/// Tests whether linkbot can write the file at `path`, and leaves nothing behind. An error is one
/// line that names the file.
pub fn check(path: &Path) -> Result<(), String> {
    let try_writing = || {
        if what_is_at(path)?.is_some() {
            File::options().append(true).open(path)?;
        }
        // Files are replaced, so permission to write them is not enough.
        let probe = beside(&resolve(path), ".check");
        // A full disk still accepts an empty file.
        let written = File::create_new(&probe)?.write_all(b"linkbot");
        fs::remove_file(&probe).and(written)
    };
    try_writing().map_err(|e| {
        format!(
            "{}: {}; linkbot must be able to write it, and to create files beside it",
            path.display(),
            log::os_error(e)
        )
    })
}

/// The metadata of the file at `path`, if there is one. Anything but a regular file is an error:
/// opening a pipe would wait for its other end, and `/dev/null` must not be replaced.
pub fn what_is_at(path: &Path) -> io::Result<Option<Metadata>> {
    match fs::metadata(path) {
        Ok(meta) if !meta.is_file() => Err(io::Error::other("not a regular file")),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        meta => meta.map(Some),
    }
}

/// The file that `path` names: for a symbolic link its target, even if that does not exist yet.
fn resolve(path: &Path) -> PathBuf {
    match fs::read_link(path) {
        Ok(target) => fs::canonicalize(path).unwrap_or(path.with_file_name(target)),
        Err(_) => path.to_owned(),
    }
}

/// `path` with `suffix` after its name.
pub fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}
