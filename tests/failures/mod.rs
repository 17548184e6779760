//! Shared by the failure tests: checks that linkbot's files match its replies, and runs linkbot
//! under strace, which kills it or makes calls fail.

// Every file in tests/ is a separate crate and uses only a part of this.
#![allow(dead_code)]

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    path::PathBuf,
    process::Command,
    sync::{Arc, Mutex},
};

use crate::{
    common::bookmarks::{Answer, Bookmarks, Request},
    common::bot::{Bot, Home},
    common::eventually,
    common::irc::{Client, IrcServer},
};

/// How many links the feed shows: the default of `feed_items`.
pub const ITEMS: usize = 100;

/// The journal's lines in columns. Asserts that it is intact: no torn line, seven or eight columns,
/// strictly increasing times.
pub fn whole_journal(home: &Home, name: &str) -> Vec<Vec<String>> {
    let text = home.read(name);
    assert!(
        text.is_empty() || text.ends_with('\n'),
        "{name} ends in a torn line: {:?}",
        text.lines().last()
    );
    let lines: Vec<Vec<String>> =
        text.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect();
    for line in &lines {
        assert!(matches!(line.len(), 7 | 8), "{name}: not a line of the journal: {line:?}");
    }
    for pair in lines.windows(2) {
        assert!(
            pair[0][0] < pair[1][0],
            "{name}: times must increase: {} then {}",
            pair[0][0],
            pair[1][0]
        );
    }
    lines
}

/// The current links after these lines of the journal, oldest first: address and title.
pub fn standing(journal: &[Vec<String>]) -> Vec<(String, String)> {
    let mut links: Vec<(String, String)> = Vec::new();
    for line in journal {
        let (url, title) = (line[5].clone(), line[6].clone());
        let nearest = links.iter().rposition(|link| link.0 == url);
        match (line[1].as_str(), nearest) {
            // Concerns only the bookmark account.
            ("foreign", _) => {}
            ("add", _) => links.push((url, title)),
            ("title", Some(nearest)) => links[nearest].1 = title,
            ("remove", Some(nearest)) => drop(links.remove(nearest)),
            (action, _) => panic!("{action} of {url}, which is not a current link"),
        }
    }
    links
}

/// Asserts that the feed's items are the newest [`ITEMS`] current links, newest first.
pub fn assert_feed_is_whole(home: &Home) {
    let mut newest = standing(&whole_journal(home, "links.tsv"));
    newest.reverse();
    newest.truncate(ITEMS);
    // The bot writes it once a second.
    eventually("a feed with the newest links", || {
        let shown = home.feed().entries.into_iter();
        let shown: Vec<_> =
            shown.map(|e| (e.links[0].href.clone(), e.title.unwrap().content)).collect();
        (shown == newest).then_some(())
    });
}

/// What alice does with one of her links.
#[derive(Clone, Debug)]
pub struct Step {
    pub url: String,
    /// The title that it gets; `None`: it is removed.
    pub title: Option<String>,
}

impl Step {
    pub fn say(&self, client: &mut Client) {
        let Step { url, title } = self;
        let said =
            title.as_ref().map_or(format!(".undo {url}"), |title| format!(".url {url} {title}"));
        client.say("alice", "#dev", said);
    }
}

/// The states that each link may be in: the last confirmed one, and those of the requests after it
/// that were not confirmed.
#[derive(Default)]
pub struct Promises(BTreeMap<String, Vec<Option<String>>>);

impl Promises {
    pub fn note(&mut self, step: Step, confirmed: bool) {
        let states = self.0.entry(step.url).or_insert_with(|| vec![None]);
        if confirmed {
            states.clear();
        }
        states.push(step.title);
    }

    /// Asserts that every link is in one of its states, and that no event is in the journal twice.
    pub fn assert_kept(&self, journal: &[Vec<String>]) {
        let mut events = HashSet::new();
        for line in journal.iter().filter(|line| line[1] != "remove") {
            assert!(events.insert(&line[5..7]), "written twice: {line:?}");
        }
        let links = standing(journal);
        let current: HashMap<_, _> = links.iter().map(|(url, title)| (url, title)).collect();
        assert_eq!(links.len(), current.len(), "a link is there twice");
        for (url, states) in &self.0 {
            let state = current.get(url).map(|&title| title.clone());
            assert!(
                states.contains(&state),
                "{url} should be in one of {states:?}, and is in {state:?}"
            );
        }
    }
}

/// The bot's reply to alice's `.url`: `Ok` if the link was saved, or else the error.
pub fn post(client: &mut Client, title: &str) -> Result<(), String> {
    let step = Step { url: address(title), title: Some(title.to_owned()) };
    attempt(client, &step).expect("the bot should stay in the channel")
}

/// The bot's reply to a step: `Ok` if it was done, or else the error; `None` if the bot is gone.
pub fn attempt(client: &mut Client, step: &Step) -> Option<Result<(), String>> {
    step.say(client);
    let confirmations = match &step.title {
        Some(title) => vec![format!("saved: {title}"), format!("title changed: {title}")],
        None => vec!["removed: ".to_owned()],
    };
    loop {
        let line = client.next_line()?;
        let Some(reply) = line.strip_prefix("PRIVMSG #dev :") else { continue };
        if confirmations.iter().any(|start| reply.starts_with(start)) {
            return Some(Ok(()));
        }
        return Some(Err(reply
            .strip_prefix("alice: ")
            .unwrap_or_else(|| panic!("{reply}"))
            .to_owned()));
    }
}

/// Lets the bot into #dev; `None` if the bot ends before that.
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

/// A bookmark service that stores each address once, as real ones do.
#[derive(Clone, Default)]
pub struct Shelf {
    links: Arc<Mutex<Vec<(String, String)>>>,
}

impl Shelf {
    /// The stored addresses and titles, in the order in which they arrived.
    pub fn links(&self) -> Vec<(String, String)> {
        self.links.lock().unwrap().clone()
    }

    /// Adds a bookmark as its owner would.
    pub fn put(&self, url: &str, title: &str) {
        self.links.lock().unwrap().push((url.to_owned(), title.to_owned()));
    }

    pub fn urls(&self) -> Vec<String> {
        self.links().into_iter().map(|(url, _)| url).collect()
    }

    /// Stores or deletes what the request says, and responds as Pinboard does.
    pub fn take(&self, request: &Request) -> Answer {
        let url = request.argument("url").unwrap().to_owned();
        let mut links = self.links.lock().unwrap();
        let found = links.iter().position(|link| link.0 == url);
        if request.path.ends_with("/posts/delete") {
            let Some(found) = found else { return Answer::result("item not found") };
            links.remove(found);
            return Answer::done();
        }
        let title = request.argument("description").unwrap().to_owned();
        match found {
            None => links.push((url, title)),
            Some(found) if request.argument("replace") == Some("yes") => links[found].1 = title,
            Some(_) => return Answer::result("item already exists"),
        }
        Answer::done()
    }

    /// A service that never fails.
    pub fn open(&self) -> Bookmarks {
        let shelf = self.clone();
        Bookmarks::plain(move |request| shelf.take(request))
    }

    /// Waits until the service has exactly the current links of the journal, in order.
    pub fn await_all(&self, home: &Home) {
        self.await_links(&standing(&whole_journal(home, "links.tsv")));
    }

    pub fn await_links(&self, expected: &[(String, String)]) {
        let mut stored = self.links();
        while stored != expected {
            let wrong =
                stored.iter().zip(expected).position(|(a, b)| a != b).unwrap_or(stored.len());
            let what = format!(
                "the service to have {:?} instead of {:?}",
                expected.get(wrong),
                stored.get(wrong)
            );
            stored = eventually(&what, || Some(self.links()).filter(|now| *now != stored));
        }
    }
}

/// linkbot under strace with `options`. The bot itself is the child; strace writes to strace.out.
pub fn strace(home: &Home, options: &[&str], arguments: &[&str]) -> Command {
    let mut command = Command::new("strace");
    command.args(["-D", "-f", "-o", "strace.out"]).args(options);
    command.arg(env!("CARGO_BIN_EXE_linkbot")).args(arguments);
    command.current_dir(home.path("")).env_clear();
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command
}

/// A file system for one test, unmounted when the test ends, even if it fails. Needs root.
pub struct Mount {
    place: PathBuf,
}

impl Mount {
    /// An empty file system in memory; `options` set its size.
    pub fn tmpfs(place: PathBuf, options: &str) -> Mount {
        std::fs::create_dir_all(&place).unwrap();
        run("mount", &["-t", "tmpfs", "-o", options, "none", place.to_str().unwrap()]);
        Mount { place }
    }

    /// An empty ext4 file system in the file `image`.
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
        // Lazily: after a failed test, a running bot may have a file open.
        let _ = Command::new("umount")
            .args(["-l"])
            .arg(&self.place)
            .stderr(std::process::Stdio::null())
            .status();
    }
}

fn run(program: &str, arguments: &[&str]) {
    let status = Command::new(program).args(arguments).status();
    assert!(
        status.is_ok_and(|status| status.success()),
        "{program} {arguments:?} failed: is this root?"
    );
}

/// SplitMix64: random numbers that a seed reproduces.
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
