use std::{
    cell::RefCell,
    io::{self, Write},
};

use crate::log::*;

thread_local! {
    /// The lines that this thread has logged, with their time.
    pub static LOG: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Takes the place of stderr in the unit tests.
pub struct Log;

pub fn stderr() -> Log {
    Log
}

impl Write for Log {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        LOG.with_borrow_mut(|log| log.push(String::from_utf8_lossy(line).trim_end().to_owned()));
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn shown(text: &str, secrets: &[&str]) -> String {
    let secrets: Vec<String> = secrets.iter().map(|secret| secret.to_string()).collect();
    redact(text, &secrets)
}

#[test]
fn control_characters_become_spaces_and_invisible_ones_are_removed() {
    assert_eq!(shown("a\tb\x1b[31m\r\n\u{85}", &[]), "a b [31m   ");
    assert_eq!(shown("a\u{200b}lice \u{feff}\u{2066}x\u{202e}y\u{ad}", &[]), "alice xy");
    assert_eq!(shown("caf\u{e9} \u{1f980}", &[]), "caf\u{e9} \u{1f980}");
}

#[test]
fn a_secret_is_hidden_wherever_it_is() {
    assert_eq!(shown("hunter2 and HUNTER2, xhunter2x", &["hunter2"]), "*** and ***, x***x");
    assert_eq!(shown("a b+c", &["a b", "b c"]), "***");
    assert_eq!(shown("aaaa b", &["aa", ""]), "*** b");
    assert_eq!(shown("xababax", &["aba"]), "x***x", "overlapping copies");
    assert_eq!(shown("ababab!", &["abab"]), "***!");
    assert_eq!(shown("hun\u{200b}ter2", &["hunter2"]), "***", "with an invisible character inside");
    assert_eq!(shown("hunter2", &["hun\u{200b}ter2"]), "***");
    assert_eq!(shown("a", &["longer"]), "a");
}
