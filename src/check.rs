//! `--check`: tests whether linkbot can write its files. Leaves nothing behind.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use crate::config::Config;
use crate::file::{beside, resolve, what_is_at};
use crate::log;

/// An error is one line that names the file.
pub fn files(config: &Config) -> Result<(), String> {
    for path in &config.files {
        try_writing(&resolve(path)).map_err(|e| {
            let (path, why) = (path.display(), log::os_error(e));
            format!(
                "{path}: {why}; linkbot must be able to write it, and to create files beside it"
            )
        })?;
    }
    Ok(())
}

fn try_writing(path: &Path) -> io::Result<()> {
    if what_is_at(path)?.is_some() {
        OpenOptions::new().append(true).open(path)?;
    }
    // Files are replaced, so permission to write them is not enough.
    let probe = beside(path, ".check");
    // A full disk still takes an empty file.
    let written = File::create_new(&probe)?.write_all(b"linkbot");
    fs::remove_file(&probe).and(written)
}
