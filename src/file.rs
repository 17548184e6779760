//! Files that are replaced as a whole: a reader, or the next start, finds the old one or the new one.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Puts `text` at `path` in one step, and on disk before that; a file that would not change is not touched.
pub fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    if fs::read(path).is_ok_and(|old| old == text) {
        return Ok(());
    }
    // For the web server, whatever the umask.
    put(path, text, Permissions::from_mode(0o644))
}

/// Puts `text` at `path` in one step, and on disk before that.
pub fn put(path: &Path, text: &[u8], permissions: Permissions) -> io::Result<()> {
    let path = resolve(path);
    let temporary = beside(&path, ".tmp");
    let write = || {
        // What a crash has left there may be anything, also a link to elsewhere.
        let _ = fs::remove_file(&temporary);
        let mut file = OpenOptions::new().write(true).create_new(true).open(&temporary)?;
        file.set_permissions(permissions)?;
        file.write_all(text)?;
        file.sync_data()?;
        fs::rename(&temporary, &path)
    };
    write().inspect_err(|_| {
        let _ = fs::remove_file(&temporary);
    })
}

/// `path` with `suffix` behind its name.
pub fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

/// Where symbolic links lead, also if nothing is there yet.
fn resolve(path: &Path) -> PathBuf {
    let dangling = || Some(path.parent()?.join(fs::read_link(path).ok()?));
    fs::canonicalize(path).ok().or_else(dangling).unwrap_or(path.to_owned())
}

#[cfg(test)]
#[path = "../tests/unit/file.rs"]
mod tests;
