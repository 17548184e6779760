//! `--check`: would the start be able to write its files? Leaves nothing behind.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::config::Config;
use crate::file::{beside, resolve};
use crate::log;

/// An error is one line that names the file.
pub fn files(config: &Config) -> Result<(), String> {
    let journal = &config.journal;
    for path in [journal.clone(), beside(journal, ".delivered")] {
        open_for_writing(&path)
            .map_err(|e| format!("{}: cannot be written: {}", path.display(), log::os_error(e)))?;
    }
    for path in config.outputs.iter().map(|output| &output.path).chain([journal]) {
        let path = resolve(path);
        replace(&path).map_err(|e| {
            format!("{}: linkbot cannot create or replace it: {}", path.display(), log::os_error(e))
        })?;
    }
    Ok(())
}

fn open_for_writing(path: &Path) -> io::Result<()> {
    match OpenOptions::new().append(true).open(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        opened => opened.map(drop),
    }
}

/// Tests what [`crate::file::replace`] needs: a new file in the directory, and permission to replace the old one.
fn replace(path: &Path) -> io::Result<()> {
    let probe = beside(path, ".check");
    let our_user = File::create_new(&probe)?.metadata()?.uid();
    fs::remove_file(&probe)?;
    let Ok(old) = fs::metadata(path) else { return Ok(()) };
    let directory = fs::metadata(path.parent().unwrap_or(path).join("."))?;
    let is_sticky = directory.mode() & 0o1000 != 0;
    if is_sticky && ![0, old.uid(), directory.uid()].contains(&our_user) {
        return Err(io::Error::other("its directory is sticky, and it belongs to another user"));
    }
    Ok(())
}
