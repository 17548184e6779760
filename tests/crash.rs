//! Killed at any moment, and refused by the system at any call: what was promised holds.

mod common;
mod failures;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use common::bookmarks::{Answer, Bookmarks};
use common::bot::{Bot, Home};
use common::eventually;
use common::irc::{Client, IrcServer};
use failures::{Promises, Random, Shelf, Step};

/// How the service answers while the bot is killed.
fn mood(shelf: &Shelf, random: &Mutex<Random>, request: &common::bookmarks::Request) -> Answer {
    let result = "HTTP/1.1 200 OK\r\n\r\n<?xml version=\"1.0\"?>\r\n<resu";
    // Mostly all is well: what comes later must have its chance, too.
    match random.lock().unwrap().below(40) {
        0 => Answer::http("500 Internal Server Error", ""),
        1 => Answer::http("200 OK", "<html><body>Back soon</body></html>"),
        2 => Answer::http("429 Too Many Requests\r\nRetry-After: 1", ""),
        3 => Answer::Bytes(result.into()),
        4 => Answer::close(),
        5 => Answer::Hang,
        6 => Answer::Drip(result),
        // Stored, but nobody says so.
        7 => {
            shelf.take(request);
            Answer::http("500 Internal Server Error", "")
        }
        8 => {
            shelf.take(request);
            Answer::close()
        }
        9 => {
            let answer = shelf.take(request);
            std::thread::sleep(Duration::from_millis(100));
            answer
        }
        _ => shelf.take(request),
    }
}

/// One run of the bot, from its start to its violent end.
struct Run<'a> {
    random: &'a mut Random,
    /// What was said in it, in order.
    said: Vec<Step>,
    /// How many links and titles were promised, one by one or folded.
    saved: usize,
    /// How many removals were.
    removed: usize,
}

impl Run<'_> {
    /// A new link, mostly; else a new title for one that stands, or its end, or its return.
    fn next(&mut self, name: &str) -> Step {
        let number = self.said.len();
        let title = format!("{name} link {number}");
        let act = self.random.below(6);
        if act < 3 || number == 0 {
            return Step { url: failures::address(&title), title: Some(title) };
        }
        let Step { url, .. } = &self.said[self.random.below(number as u64) as usize];
        let stands = self
            .said
            .iter()
            .rfind(|step| step.url == *url)
            .is_some_and(|step| step.title.is_some());
        Step { url: url.clone(), title: Some(title).filter(|_| act == 3 || !stands) }
    }

    fn say(&mut self, client: &mut Client, name: &str) {
        for _ in 0..=self.random.below(12) {
            let step = self.next(name);
            step.say(client);
            self.said.push(step);
        }
        client.send("PING :more");
    }

    /// Talks until the bot is dead, and counts what it promises.
    fn until_dead(&mut self, client: &mut Client, name: &str) {
        self.say(client, name);
        while let Some(line) = client.next_line() {
            if line.starts_with("PONG") {
                // At most so many at once that a run stays readable.
                if self.said.len() < 20 {
                    self.say(client, name);
                }
                continue;
            }
            let answer =
                line.strip_prefix("PRIVMSG #dev :").and_then(|answer| answer.split_once(": "));
            let (promised, title) = match answer {
                Some(("saved" | "title changed", title)) => (&mut self.saved, title),
                Some(("removed", title)) => (&mut self.removed, title),
                _ => panic!("{line}"),
            };
            *promised += match title.strip_suffix(" more links") {
                Some(folded) => folded.parse().unwrap(),
                None if self.said.iter().any(|step| step.title.as_deref() == Some(title)) => 1,
                None => panic!("{line}"),
            };
        }
    }

    /// Events are written in the order in which they are asked for: with so many promised, the first so many are
    /// safe, whichever of them the folded answers stood for.
    fn note(self, promises: &mut Promises) {
        let (mut saved, mut removed) = (self.saved, self.removed);
        for step in self.said {
            let left = if step.title.is_some() { &mut saved } else { &mut removed };
            let promised = *left > 0;
            *left -= usize::from(promised);
            promises.note(step, promised);
        }
        assert_eq!((saved, removed), (0, 0), "more was promised than asked for");
    }
}

/// Kills the bot `kills` times and looks after each restart; gives how many events were promised.
fn kill_again_and_again(seed: u64, kills: usize) -> usize {
    println!("seed {seed}");
    let mut random = Random(seed);
    let shelf = Shelf::default();
    let moods = Arc::new(Mutex::new(Random(seed + 1)));
    let service = {
        let (shelf, moods) = (shelf.clone(), moods.clone());
        Bookmarks::plain(move |request| mood(&shelf, &moods, request))
    };
    let home = Home::new("");
    let (mut promises, mut promised) = (Promises::default(), 0);
    for kill in 0..kills {
        // A server of its own for each run: no connection of a dead bot waits in it.
        let server = IrcServer::plain();
        home.configure(&format!("{}{}", server.conf(), service.conf()));
        let bot = home.start();
        // Now and then in the middle of starting, else while links arrive.
        if random.below(8) == 0 {
            std::thread::sleep(Duration::from_micros(random.below(20_000)));
            drop(bot);
            continue;
        }
        let mut client = server.welcome();
        look(&home, &promises);
        let longest = if random.below(10) == 0 { 4_000 } else { 500 };
        let wait = Duration::from_micros(random.below(longest * 1_000));
        let killer = std::thread::spawn(move || {
            std::thread::sleep(wait);
            drop(bot);
        });
        let mut run = Run { random: &mut random, said: Vec::new(), saved: 0, removed: 0 };
        run.until_dead(&mut client, &format!("run {kill}"));
        killer.join().unwrap();
        promised += run.saved + run.removed;
        run.note(&mut promises);
    }
    let server = IrcServer::plain();
    let good = shelf.open();
    home.configure(&format!("{}{}", server.conf(), good.conf()));
    let mut bot: Bot = home.start();
    let mut client = server.welcome();
    look(&home, &promises);
    goes_on(&home, &mut client, &mut promises);
    // Nobody answers the bot on IRC meanwhile: delivery needs none.
    shelf.await_all(&home);
    bot.kill();
    promised
}

fn look(home: &Home, promises: &Promises) {
    promises.assert_kept(&failures::whole_journal(home, "links.tsv"));
    failures::assert_feed_is_whole(home);
}

/// One more link is promised and kept.
fn goes_on(home: &Home, client: &mut Client, promises: &mut Promises) {
    failures::post(client, "after all").unwrap();
    promises.note(
        Step { url: failures::address("after all"), title: Some("after all".to_owned()) },
        true,
    );
    client.barrier();
    look(home, promises);
}

/// The seed of this run, or the one that is asked for to see a failure again.
fn seed() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    std::env::var("SEED").map_or(now.as_secs(), |seed| seed.parse().unwrap())
}

#[test]
fn a_bot_that_is_killed_keeps_its_promises() {
    kill_again_and_again(seed(), 10);
}

#[test]
#[ignore = "takes minutes (.ci/run runs it)"]
fn a_bot_that_is_killed_two_hundred_times_keeps_its_promises() {
    let promised = kill_again_and_again(seed(), 220);
    println!("{promised} events were promised");
}

/// A call as strace shows it: its name, the whole line, and whether it succeeded.
struct Call<'a> {
    name: &'a str,
    line: &'a str,
    done: bool,
}

fn calls(trace: &str) -> Vec<Call<'_>> {
    let calls = trace.lines().filter_map(|line| {
        let call = line.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ');
        let name = call.split_once('(')?.0;
        Some(Call { name, line: call, done: line.contains(") = ") && !line.contains(") = -1") })
    });
    calls.filter(|call| call.name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')).collect()
}

/// The numbers of the calls that succeeded on a file or socket of this kind, with these words in them.
fn find(calls: &[Call], names: &[&str], file: &str, words: &str) -> Vec<usize> {
    let wanted = |call: &Call| {
        call.done
            && names.contains(&call.name)
            && call.line.contains(file)
            && call.line.contains(words)
    };
    (0..calls.len()).filter(|&i| wanted(&calls[i])).collect()
}

#[test]
#[ignore = "needs strace (.ci/run runs it)"]
fn saved_leaves_after_the_sync_and_the_cursor_moves_after_the_answer() {
    let (server, shelf) = (IrcServer::plain(), Shelf::default());
    let service = shelf.open();
    let home = Home::new(&format!("{}{}", server.conf(), service.conf()));
    let mut bot = Bot::spawn(failures::strace(&home, &["-y", "-s", "2000"], &["bot.conf"]));
    let mut client = server.welcome();
    let titles = ["one", "two", "three", "four"];
    for title in titles {
        failures::post(&mut client, title).unwrap();
    }
    shelf.await_all(&home);
    let journal = failures::whole_journal(&home, "links.tsv");
    home.await_cursor(&journal[3][0]);
    bot.kill();
    let trace = eventually("strace's last line", || {
        Some(home.read("strace.out")).filter(|trace| trace.contains("+++ killed by SIGKILL"))
    });
    let calls = calls(&trace);
    for (title, line) in titles.iter().zip(&journal) {
        let written = find(&calls, &["write", "pwrite64", "writev"], "/links.tsv>", title)[0];
        let told =
            find(&calls, &["sendto", "write", "sendmsg"], "<socket:", &format!("saved: {title}"))
                [0];
        let synced = find(&calls, &["fdatasync", "fsync"], "/links.tsv>", "= 0");
        assert!(
            synced.iter().any(|&sync| written < sync && sync < told),
            "{title} was promised before it was on disk"
        );

        let asked = find(
            &calls,
            &["sendto", "write", "sendmsg"],
            "<socket:",
            &format!("example.com%2F{title}&"),
        )[0];
        let answered =
            find(&calls, &["recvfrom", "read", "recvmsg"], "<socket:", "code=\\\"done\\\"");
        let answered = answered.into_iter().find(|&answer| answer > asked).unwrap();
        let moved = find(&calls, &["pwrite64"], "/links.tsv.delivered>", &line[0])[0];
        assert!(answered < moved, "{title}: the cursor moved before the service had answered");
    }
    // It was on the disk before it was first overwritten.
    let created = find(&calls, &["write"], "/links.tsv.delivered.tmp>", "1970-01-01")[0];
    let synced = find(&calls, &["fdatasync", "fsync"], "/links.tsv.delivered.tmp>", "= 0")[0];
    let renamed = find(&calls, &["rename", "renameat", "renameat2"], "links.tsv.delivered", "")[0];
    assert!(created < synced && synced < renamed, "the cursor is created durably");
}

/// The files of the bot. strace counts only the calls on these.
const FILES: [&str; 9] = [
    "",
    "bot.conf",
    "links.tsv",
    "links.tsv.delivered",
    "links.tsv.delivered.tmp",
    "links.xml",
    "links.xml.tmp",
    "links.html",
    "links.html.tmp",
];

/// What the system may say to a call on a file.
fn errors(call: &str) -> &'static [&'static str] {
    match call {
        "openat" | "open" => &["EACCES", "EIO", "EMFILE", "ENOSPC", "EROFS"],
        "write" | "pwrite64" | "writev" => &["EDQUOT", "EIO", "ENOSPC", "EINTR"],
        "fdatasync" | "fsync" => &["EDQUOT", "EIO", "ENOSPC"],
        "read" | "pread64" => &["EIO", "EINTR"],
        "ftruncate" => &["EIO", "EACCES"],
        "rename" | "renameat" | "renameat2" | "unlink" | "unlinkat" => {
            &["EACCES", "EIO", "ENOSPC", "EROFS"]
        }
        "fchmod" | "chmod" => &["EIO", "EPERM", "EROFS"],
        "stat" | "statx" | "fstat" | "newfstatat" | "lseek" => &["EACCES", "EIO"],
        "flock" => &["EINTR", "ENOLCK"],
        _ => &[],
    }
}

/// `fault` may be several, separated by blanks.
fn under_strace(home: &Home, fault: &str) -> Bot {
    let mut options: Vec<String> = Vec::new();
    for file in FILES {
        options.extend([
            "-P".to_owned(),
            home.path(file).to_str().unwrap().trim_end_matches('/').to_owned(),
        ]);
    }
    for fault in fault.split_whitespace() {
        options.extend(["-e".to_owned(), format!("inject={fault}")]);
    }
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    // By its whole name, as the paths above are: strace compares them as they are spelt.
    Bot::spawn(failures::strace(home, &options, &[home.path("bot.conf").to_str().unwrap()]))
}

/// Three links, a new title for the first, the end of the second, and their deliveries; gives what was promised, and
/// whether the bot lived on.
fn five_steps(server: &IrcServer, shelf: &Shelf, bot: &mut Bot) -> (Promises, bool) {
    let mut promises = Promises::default();
    let Some(mut client) = failures::try_welcome(server, bot) else { return (promises, false) };
    for (url, title) in [
        ("one", Some("one")),
        ("two", Some("two")),
        ("three", Some("three")),
        ("one", Some("uno")),
        ("two", None),
    ] {
        let step = Step { url: failures::address(url), title: title.map(str::to_owned) };
        let answer = failures::attempt(&mut client, &step);
        promises.note(step.clone(), answer == Some(Ok(())));
        match answer {
            None => return (promises, false),
            // It may stand there all the same, so it may not be there to be taken back.
            Some(Err(why)) => {
                let may_be = ["could not save: ", "not among the newest links"];
                assert!(may_be.iter().any(|beginning| why.starts_with(beginning)), "{why}");
                continue;
            }
            Some(Ok(())) => {}
        }
        let held =
            || shelf.links().into_iter().find(|(url, _)| *url == step.url).map(|(_, title)| title);
        // A journal that cannot be read is tried again after a while: here, with the next start.
        let mut put_off = || bot.log().contains("the journal cannot be read") || !bot.is_running();
        eventually("the delivery", || (held() == step.title || put_off()).then_some(()));
        // Behind this the cursor is where it belongs, or the bot is dead.
        client.send("PING :settled");
        loop {
            match client.next_line() {
                None => return (promises, false),
                Some(line) if line.starts_with("PONG") => break,
                Some(_) => {}
            }
        }
    }
    (promises, true)
}

/// A run with one fault, and the run after it; gives whether the fault came to pass.
fn survives(fault: &str) -> bool {
    let shelf = Shelf::default();
    let (server, service) = (IrcServer::plain(), shelf.open());
    let home = Home::new(&format!("{}{}", server.conf(), service.conf()));
    let mut bot = under_strace(&home, fault);
    let (mut promises, lived) = five_steps(&server, &shelf, &mut bot);
    let log = bot.kill();
    assert!(!log.contains("panicked"), "{log}");
    let trace = std::fs::read_to_string(home.path("strace.out")).unwrap_or_default();

    let server = IrcServer::plain();
    home.configure(&format!("{}{}", server.conf(), service.conf()));
    let mut bot = home.start();
    let mut client = server.welcome();
    look(&home, &promises);
    goes_on(&home, &mut client, &mut promises);
    shelf.await_all(&home);
    bot.kill();
    !lived || trace.contains("(INJECTED)")
}

#[test]
#[ignore = "needs strace (.ci/run runs it)"]
fn a_new_journal_is_there_with_all_that_is_owed_or_not_at_all() {
    for fault in [
        "openat:signal=KILL",
        "write:signal=KILL",
        "fdatasync:signal=KILL",
        "rename:signal=KILL",
        "openat:error=EACCES",
        "write:error=ENOSPC",
        "fdatasync:error=EIO",
        "rename:error=EACCES",
    ] {
        let server = IrcServer::plain();
        let service = Bookmarks::plain(|_| Answer::http("503 Service Unavailable", ""));
        let home = Home::new(&(server.conf() + &service.conf()));
        let (file, fault) = (home.path("links.tsv.tmp"), format!("inject={fault}:when=1"));
        let options = ["-P", file.to_str().unwrap(), "-e", &fault];
        let mut bot = Bot::spawn(failures::strace(
            &home,
            &options,
            &[home.path("bot.conf").to_str().unwrap()],
        ));
        let mut client = server.welcome();
        for title in ["one", "two"] {
            failures::post(&mut client, title).unwrap();
        }
        let owed = home.read("links.tsv");
        std::fs::rename(home.path("links.tsv"), home.path("links.tsv.1")).unwrap();
        client.send("PING :look");
        match client.next_line() {
            None => {
                assert_eq!(
                    std::fs::read_to_string(home.path("links.tsv")).unwrap_or(owed.clone()),
                    owed,
                    "{fault}"
                )
            }
            // It is tried again with each round.
            Some(_) => {
                bot.logs("; nothing can be saved");
                failures::post(&mut client, "three").unwrap();
                assert!(home.read("links.tsv").starts_with(&owed), "{fault}");
                assert_eq!(home.titles(), ["one", "two", "three"], "{fault}");
            }
        }
    }
}

#[test]
#[ignore = "needs strace, takes minutes (.ci/run runs it)"]
fn each_call_on_the_bots_files_may_kill_it_or_fail() {
    let shelf = Shelf::default();
    let (server, service) = (IrcServer::plain(), shelf.open());
    let home = Home::new(&format!("{}{}", server.conf(), service.conf()));
    let mut bot = under_strace(&home, "");
    assert!(five_steps(&server, &shelf, &mut bot).1);
    bot.kill();
    shelf.await_all(&home);
    assert_eq!(shelf.links().len(), 2);
    let trace = home.read("strace.out");
    let mut count = BTreeMap::new();
    for call in calls(&trace) {
        *count.entry(call.name).or_insert(0) += 1;
    }
    println!("{count:?}");
    let mut faults = Vec::new();
    for (&call, &count) in &count {
        for when in 1..=count {
            faults.push(format!("{call}:signal=KILL:when={when}"));
            faults.extend(
                errors(call).iter().map(|error| format!("{call}:error={error}:when={when}")),
            );
        }
        // What follows a failure may fail, too, or be the last thing that the bot does.
        for when in 1..=if call == "write" || call == "fdatasync" { count } else { 0 } {
            let first = format!("{call}:error=ENOSPC:when={when}");
            faults.push(format!("{first} ftruncate:error=EIO:when=1"));
            faults.push(format!("{first} ftruncate:error=EIO:when=1..3"));
            faults.push(format!("{first} ftruncate:signal=KILL:when=1"));
            faults.push(format!("{call}:error=EIO:when={when}..{}", when + 2));
        }
    }
    let all = faults.len();
    let faults = Mutex::new(faults.into_iter());
    let hit = Mutex::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                loop {
                    let Some(fault) = faults.lock().unwrap().next() else { return };
                    let result = std::panic::catch_unwind(|| survives(&fault));
                    let came = result.unwrap_or_else(|_| panic!("with {fault}"));
                    *hit.lock().unwrap() += usize::from(came);
                }
            });
        }
    });
    let hit = hit.into_inner().unwrap();
    println!("{all} faults, {hit} of them came to pass");
    // A run may take a few calls less than the first one did, not many.
    assert!(hit * 10 > all * 9, "{hit} of {all}");
}
