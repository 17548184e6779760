//! Checks that the README's example, quick start, links and file list, and the messages in
//! docs/operating.md, are correct.

mod common;

use std::{
    fs,
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

use common::bot::Home;

const README: &str = include_str!("../README.md");

/// The code block that follows `heading`.
fn block_after(heading: &str) -> &'static str {
    let (_, text) = README.split_once(heading).unwrap_or_else(|| panic!("no {heading:?}"));
    text.split("```\n").nth(1).unwrap()
}

fn single_spaced(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn the_readmes_example_works_as_shown() {
    let home = Home::new("server = localhost:6667\ntls = no\nchannels = #dev\ncapture = yes\n");
    let (replies, input): (Vec<_>, Vec<_>) =
        block_after("# linkbot\n").lines().partition(|line| line.starts_with("<linkbot>"));
    let replies: Vec<_> =
        replies.iter().map(|line| line.trim_start_matches("<linkbot> ")).collect();
    let console = home.console(&(input.join("\n") + "\n"));
    // linkbot puts a zero-width space into a nick, so it highlights no one.
    assert_eq!(console.stdout.replace('\u{200b}', "").lines().collect::<Vec<_>>(), replies);

    // Ignores the times: the journal has the test's own.
    let without_time = |line: &str| single_spaced(line.split_once("Z").unwrap().1);
    let journal = home.read("links.tsv");
    let shown = block_after("a **journal**");
    assert_eq!(without_time(shown), without_time(journal.lines().next().unwrap()));

    let page = home.read("links.html");
    for line in block_after("**web page**").lines() {
        for words in line.split("  ").map(str::trim).filter(|words| !words.is_empty()) {
            let is_date = words.contains("2026") || words.contains(':') && words.len() == 5;
            let is_shown = words.split(" · ").all(|part| page.contains(part));
            assert!(is_date || is_shown, "{words:?} is not on the page: {page}");
        }
    }
}

#[test]
fn the_list_of_files_is_complete() {
    let listed: Vec<_> = block_after("## Files\n")
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| name.starts_with("src/"))
        .collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for directory in ["src", "src/delivery", "src/irc", "src/network", "src/view"] {
        for entry in fs::read_dir(root.join(directory)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if name.ends_with(".rs") {
                files.push(format!("{directory}/{name}"));
            }
        }
    }
    let missing: Vec<_> = files.iter().filter(|name| !listed.contains(&name.as_str())).collect();
    let gone: Vec<_> = listed.iter().filter(|name| !root.join(name).exists()).collect();
    assert!(missing.is_empty() && gone.is_empty(), "not in README: {missing:?}; gone: {gone:?}");
}

#[test]
fn every_link_leads_to_a_heading() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for link in README.split("](docs/").skip(1) {
        let (file, anchor) = link
            .split_once(')')
            .map(|(link, _)| link.split_once('#').unwrap_or((link, "")))
            .unwrap();
        let text = fs::read_to_string(root.join("docs").join(file)).unwrap();
        let anchors =
            |line: &str| line.trim_start_matches(['#', ' ']).to_lowercase().replace(' ', "-");
        let is_there =
            text.lines().filter(|line| line.starts_with('#')).any(|l| anchors(l) == anchor);
        assert!(anchor.is_empty() || is_there, "{file} has no heading for #{anchor}");
    }
}

#[test]
fn every_message_that_the_operating_guide_explains_exists() {
    let guide = include_str!("../docs/operating.md");
    let (_, table) = guide.split_once("## Something is wrong\n").unwrap();
    let mut source = String::new();
    read_source(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut source);
    let source = single_spaced(&source.replace("\\\n", ""));
    let rows: Vec<_> = table.lines().filter_map(|line| line.strip_prefix("| `")).collect();
    assert!(rows.len() > 20, "{table}");
    let mut unknown = Vec::new();
    for row in rows {
        let (message, _) = row.split_once('`').unwrap();
        // Placeholders for names, numbers and omissions are not in the source.
        let is_variable =
            |word: &str| word.contains(['.', '#', '_', '/']) || word.contains(char::is_numeric);
        let words: Vec<_> = message.split(' ').collect();
        let fixed = words.split(|word| is_variable(word)).map(|words| words.join(" "));
        let found = fixed.filter(|text| text.len() > 5).any(|text| {
            let text = text.trim_end_matches([':', ',', ';']);
            source.contains(text)
        });
        if !found {
            unknown.push(message);
        }
    }
    assert!(unknown.is_empty(), "linkbot never logs {unknown:#?}");
}

fn read_source(directory: &Path, source: &mut String) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_source(&path, source);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            *source += &fs::read_to_string(path).unwrap();
        }
    }
}

#[test]
fn the_readme_is_short() {
    assert!(README.lines().count() <= 180);
}

#[test]
#[ignore = "compiles the release binary (.ci/run does it)"]
fn the_quick_start_works_as_written() {
    let commands: Vec<_> = block_after("## Quick start\n").lines().collect();
    // The second command is running right now: it runs this test.
    assert_eq!(commands[1..], ["cargo test"]);

    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let directory = tempfile::tempdir().unwrap();
    let clone = directory.path().join("linkbot");
    // Another user may own the checkout.
    let mut git = Command::new("git");
    git.args(["-c", "safe.directory=*", "clone", "--quiet"]).arg(root).arg(&clone);
    assert!(git.status().unwrap().success());
    let mut shell = Command::new("sh");
    shell.args(["-c", commands[0]]).current_dir(&clone).stdin(Stdio::piped());
    // Reuse the compiled packages.
    shell.env("CARGO_TARGET_DIR", root.join("target")).env("CARGO_NET_OFFLINE", "true");
    let mut shell = shell.stdout(Stdio::piped()).spawn().unwrap();
    let input = b".url http://www.example.com/ Title For Link\n";
    shell.stdin.take().unwrap().write_all(input).unwrap();
    let replies = shell.wait_with_output().unwrap().stdout;
    assert_eq!(String::from_utf8(replies).unwrap(), "saved: Title For Link\n");
    let mut git = Command::new("git");
    git.args(["status", "--porcelain"]).current_dir(&clone);
    assert_eq!(String::from_utf8(git.output().unwrap().stdout).unwrap(), "", "git ignores links");
    assert!(clone.join("links.html").exists());
}
