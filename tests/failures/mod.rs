//! What the failure tests share: the promises, read from linkbot's files as any other program would read
//! them, and strace, which kills and breaks it.

// Every file of tests/ is a crate of its own and uses its own part of this.
#![allow(dead_code)]

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex};

use crate::common::bookmarks::{Answer, Bookmarks, Request};
use crate::common::bot::{Bot, Home};
use crate::common::eventually;
use crate::common::irc::{Client, IrcServer};

/// How many links the feed shows.
pub const ITEMS: usize = 100;

/// The journal's lines in columns, after a look whether it is whole: no torn line, seven or eight columns,
/// times that strictly increase.
pub fn whole_journal(home: &Home, name: &str) -> Vec<Vec<String>> {
    let text = home.read(name);
    assert!(text.is_empty() || text.ends_with('\n'), "{name} ends in a torn line: {:?}", text.lines().last());
    let lines: Vec<Vec<String>> = text.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect();
    for line in &lines {
        assert!(matches!(line.len(), 7 | 8), "{name}: not a line of the journal: {line:?}");
    }
    for pair in lines.windows(2) {
        assert!(pair[0][0] < pair[1][0], "{name}: times must increase: {} then {}", pair[0][0], pair[1][0]);
    }
    lines
}

/// The feed is whole: its items are the journal's newest 100 links, newest first.
pub fn assert_feed_is_whole(home: &Home) {
    let newest = whole_journal(home, "links.tsv");
    let newest: Vec<_> = newest.iter().rev().take(ITEMS).map(|line| (line[5].clone(), line[6].clone())).collect();
    // It is written once a second.
    eventually("a feed that holds the newest links", || {
        let shown = home.feed().entries.into_iter();
        let shown: Vec<_> = shown.map(|e| (e.links[0].href.clone(), e.title.unwrap().content)).collect();
        (shown == newest).then_some(())
    });
}

/// Each of `titles` stands in the journal once.
pub fn assert_saved_once<'a>(journal: &[Vec<String>], titles: impl IntoIterator<Item = &'a String>) {
    let mut count = HashMap::new();
    for line in journal {
        *count.entry(&line[6]).or_insert(0) += 1;
    }
    for title in titles {
        assert_eq!(count.get(title), Some(&1), "{title} was promised, and stands in the journal so often");
    }
}

/// What the bot says to alice's `.url`: `Ok` for `saved: ...`, else what was wrong.
pub fn post(client: &mut Client, title: &str) -> Result<(), String> {
    try_post(client, title).expect("the bot stays in the channel")
}

/// As [`post`]; `None`: the bot is gone.
pub fn try_post(client: &mut Client, title: &str) -> Option<Result<(), String>> {
    client.say("alice", "#dev", format!(".url {} {title}", address(title)));
    loop {
        let line = client.next_line()?;
        let Some(answer) = line.strip_prefix("PRIVMSG #dev :") else { continue };
        if answer == format!("saved: {title}") {
            return Some(Ok(()));
        }
        return Some(Err(answer.strip_prefix("alice: ").unwrap_or_else(|| panic!("{answer}")).to_owned()));
    }
}

/// Lets the bot into #dev; `None`: it is gone before.
pub fn try_welcome(server: &IrcServer, bot: &mut Bot) -> Option<Client> {
    let mut client = server.accept_while(|| bot.is_running())?;
    client.send(":irc.test CAP * LS :");
    while client.next_line()? != "CAP END" {}
    client.numeric("001", ":Welcome");
    client.numeric("376", ":End of /MOTD command.");
    while client.next_line()? != "JOIN #dev" {}
    client.let_in("#dev");
    Some(client)
}

/// The address that a test posts with this title.
pub fn address(title: &str) -> String {
    format!("http://www.example.com/{}", title.replace(' ', "-"))
}

/// A bookmark service that keeps what it is given, as real ones do: once.
#[derive(Clone, Default)]
pub struct Shelf {
    urls: Arc<Mutex<Vec<String>>>,
}

impl Shelf {
    /// The addresses taken, in the order in which they came.
    pub fn urls(&self) -> Vec<String> {
        self.urls.lock().unwrap().clone()
    }

    /// Takes what the request brings, and answers as Pinboard does.
    pub fn take(&self, request: &Request) -> Answer {
        let url = request.argument("url").unwrap().to_owned();
        let mut urls = self.urls.lock().unwrap();
        if urls.contains(&url) {
            return Answer::result("item already exists");
        }
        urls.push(url);
        Answer::done()
    }

    /// A service that answers well.
    pub fn open(&self) -> Bookmarks {
        let shelf = self.clone();
        Bookmarks::plain(move |request| shelf.take(request))
    }

    /// Waits until the service has every link of the journal, in the journal's order.
    pub fn await_all(&self, home: &Home) {
        let owed: Vec<_> = whole_journal(home, "links.tsv").iter().map(|line| line[5].clone()).collect();
        let mut taken = self.urls().len();
        while taken < owed.len() {
            taken = eventually("the next link at the service", || Some(self.urls().len()).filter(|&now| now > taken));
        }
        assert_eq!(self.urls(), owed, "the service has every link, in order");
    }
}

/// linkbot under strace with `options`; the bot itself is the child, and strace writes into strace.out.
pub fn strace(home: &Home, options: &[&str], arguments: &[&str]) -> Command {
    let mut command = Command::new("strace");
    command.args(["-D", "-f", "-o", "strace.out"]).args(options);
    command.arg(env!("CARGO_BIN_EXE_linkbot")).args(arguments);
    command.current_dir(home.path("")).env_clear();
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command
}

/// A file system for a test alone, unmounted when the test is over, however it ends. Needs root.
pub struct Mount {
    place: PathBuf,
}

impl Mount {
    /// An empty one in memory, of so many bytes.
    pub fn tmpfs(place: PathBuf, options: &str) -> Mount {
        std::fs::create_dir_all(&place).unwrap();
        run("mount", &["-t", "tmpfs", "-o", options, "none", place.to_str().unwrap()]);
        Mount { place }
    }

    /// An empty ext4 in the file `image`.
    pub fn ext4(image: PathBuf, place: PathBuf) -> Mount {
        std::fs::create_dir_all(&place).unwrap();
        std::fs::File::create(&image).unwrap().set_len(4 << 20).unwrap();
        run("mkfs.ext4", &["-q", image.to_str().unwrap()]);
        let mount = Mount { place };
        mount.again(&image);
        mount
    }

    pub fn again(&self, image: &std::path::Path) {
        run("mount", &["-o", "loop", image.to_str().unwrap(), self.place.to_str().unwrap()]);
    }

    pub fn remount(&self, options: &str) {
        run("mount", &["-o", &format!("remount,{options}"), self.place.to_str().unwrap()]);
    }

    pub fn unmount(&self) {
        run("umount", &[self.place.to_str().unwrap()]);
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Lazily: a bot that the failed test has not stopped yet may hold a file.
        let _ = Command::new("umount").args(["-l"]).arg(&self.place).stderr(std::process::Stdio::null()).status();
    }
}

fn run(program: &str, arguments: &[&str]) {
    let status = Command::new(program).args(arguments).status();
    assert!(status.is_ok_and(|status| status.success()), "{program} {arguments:?} must work: is this root?");
}

/// SplitMix64: what a test needs of chance is a seed that brings it back.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }
}
