//! A full, read-only or broken disk: no reply says "saved" for an unsaved link, and the bot keeps
//! running.

mod common;
mod failures;

use std::{
    fs::{self, OpenOptions},
    io::Write,
};

use common::bot::{Bot, Home};
use common::irc::IrcServer;
use failures::Mount;

/// The journal and the feed on their own file system.
const ON_DISK: &str = "journal = disk/links.tsv\nfeed = disk/links.xml\n";

/// Writes until nothing more can be written.
fn fill(home: &Home, name: &str) {
    let mut file = OpenOptions::new().create(true).append(true).open(home.path(name)).unwrap();
    while file.write(&[b'x'; 512]).is_ok() {}
}

#[test]
#[ignore = "mounts a file system, needs root (.ci/run runs it)"]
fn on_a_full_disk_a_save_gets_an_error_and_saved_links_stay() {
    let server = IrcServer::plain();
    let home = Home::new(&(server.conf() + ON_DISK + "capture = yes\n"));
    let disk = Mount::tmpfs(home.path("disk"), "size=64k");
    // A memory page ends inside the next line, so the first write is short and only the second one
    // fails.
    let time = "2026-01-01T00:00:00.001Z\tadd\t#dev\tbob\t\thttp://www.example.com/\t";
    home.write("disk/links.tsv", format!("{time}{}\n", "x".repeat(4096 - 50 - time.len() - 1)));
    let before = home.read("disk/links.tsv");

    let mut bot = home.start();
    let mut client = server.welcome();
    fill(&home, "disk/filler");
    let files = fs::read_dir(home.path("disk")).unwrap().count();
    let check = home.run(&["--check", "bot.conf"]);
    assert!(check.stderr.contains("No space left on device; linkbot must be able"), "{check:?}");
    assert_eq!(fs::read_dir(home.path("disk")).unwrap().count(), files);
    for _ in 0..2 {
        let reply = failures::post(&mut client, "too much");
        assert_eq!(reply, Err("could not save: No space left on device".to_owned()));
        assert_eq!(home.read("disk/links.tsv"), before, "no partial line is left");
    }
    // A failed capture gets no reply.
    client.say("bob", "#dev", "http://www.example.com/captured is too much, too");
    client.barrier();
    bot.logs("#dev bob: could not save: No space left on device");
    assert_eq!(home.read("disk/links.tsv"), before);
    fs::remove_file(home.path("disk/filler")).unwrap();
    failures::post(&mut client, "there is room again").unwrap();
    client.barrier();
    bot.kill();
    let titles: Vec<_> = failures::whole_journal(&home, "disk/links.tsv")
        .into_iter()
        .map(|l| l[6].clone())
        .collect();
    assert_eq!(titles[1..], ["there is room again"]);
    drop(disk);
}

#[test]
#[ignore = "mounts a file system, needs root (.ci/run runs it)"]
fn a_feed_that_did_not_fit_is_whole_after_the_next_start() {
    let server = IrcServer::plain();
    let home = Home::new(&(server.conf() + ON_DISK));
    let disk = Mount::tmpfs(home.path("disk"), "size=64k");
    let mut bot = home.start();
    let mut client = server.welcome();
    // The journal's page has room for a line, but the disk has none for a second feed.
    failures::post(&mut client, "first").unwrap();
    let feed = common::eventually("the first link in the feed", || {
        Some(home.read("disk/links.xml")).filter(|feed| feed.contains("first"))
    });
    fill(&home, "disk/filler");
    failures::post(&mut client, "second").unwrap();
    let log = bot.logs("links.xml");
    assert!(log.contains("No space left on device"), "{log}");
    assert_eq!(home.read("disk/links.xml"), feed, "the old feed stays intact");
    bot.kill();

    fs::remove_file(home.path("disk/filler")).unwrap();
    let _bot = home.start();
    let _client = server.welcome();
    let feed = home.read("disk/links.xml");
    assert!(feed.contains("second") && feed.ends_with("</rss>\n"), "{feed}");
    drop(disk);
}

#[test]
#[ignore = "mounts a file system, needs root (.ci/run runs it)"]
fn a_file_system_that_turns_read_only_loses_no_saved_link() {
    let server = IrcServer::plain();
    let home = Home::new(&(server.conf() + ON_DISK));
    let disk = Mount::ext4(home.path("image"), home.path("disk"));
    let mut bot = home.start();
    let mut client = server.welcome();
    failures::post(&mut client, "before").unwrap();
    // As the kernel does when the disk fails: read-only, with the files still open.
    disk.remount("abort");
    for _ in 0..2 {
        let reply = failures::post(&mut client, "meanwhile").unwrap_err();
        assert!(reply.starts_with("could not save: "), "{reply}");
    }
    client.barrier();
    bot.kill();
    disk.unmount();
    disk.again(&home.path("image"));

    let mut bot = home.start();
    let mut client = server.welcome();
    failures::post(&mut client, "after").unwrap();
    client.barrier();
    let titles: Vec<_> = failures::whole_journal(&home, "disk/links.tsv")
        .into_iter()
        .map(|l| l[6].clone())
        .collect();
    // "meanwhile" was reported as not saved; at worst it exists.
    assert_eq!(titles.first().unwrap(), "before");
    assert_eq!(titles.last().unwrap(), "after");
    bot.kill();
}

#[test]
#[ignore = "mounts a file system, needs root (.ci/run runs it)"]
fn saving_fails_only_while_a_read_only_mount_hides_the_journal() {
    let server = IrcServer::plain();
    let home = Home::new(&(server.conf() + ON_DISK));
    fs::create_dir(home.path("disk")).unwrap();
    let mut bot = home.start();
    let mut client = server.welcome();
    failures::post(&mut client, "before").unwrap();
    let over = Mount::tmpfs(home.path("disk"), "ro,size=64k");
    let reply = failures::post(&mut client, "meanwhile").unwrap_err();
    assert!(
        reply.starts_with("could not save: ") && reply.contains("Read-only file system"),
        "{reply}"
    );
    over.unmount();
    failures::post(&mut client, "after").unwrap();
    bot.logs("links.tsv: can be written again");
    client.barrier();
    bot.kill();
    let titles: Vec<_> = failures::whole_journal(&home, "disk/links.tsv")
        .into_iter()
        .map(|l| l[6].clone())
        .collect();
    assert_eq!(titles, ["before", "after"]);
}

#[test]
#[ignore = "needs strace (.ci/run runs it)"]
fn saving_fails_only_while_fdatasync_fails() {
    let server = IrcServer::plain();
    let home = Home::new(&server.conf());
    let journal = home.path("links.tsv");
    // The first save's sync succeeds. The second save's fails, and so do the two after its
    // truncation.
    let options = ["-P", journal.to_str().unwrap(), "-e", "inject=fdatasync:error=EIO:when=2..4"];
    let mut bot =
        Bot::spawn(failures::strace(&home, &options, &[home.path("bot.conf").to_str().unwrap()]));
    let mut client = server.welcome();
    failures::post(&mut client, "first").unwrap();
    // The next write of the feed, which wakes the bot and uses up a failure, is a second away now.
    home.await_feed(&["first"]);
    let replies: Vec<_> =
        ["second", "third"].map(|title| failures::post(&mut client, title)).to_vec();
    assert_eq!(replies, vec![Err("could not save: Input/output error".to_owned()); 2]);
    assert_eq!(home.titles(), ["first"], "a line that could not be synced is truncated");
    failures::post(&mut client, "fourth").unwrap();
    bot.logs("links.tsv: can be written again");
    failures::assert_feed_is_whole(&home);
    bot.kill();
    assert_eq!(home.titles(), ["first", "fourth"]);
}

#[test]
#[ignore = "needs strace (.ci/run runs it)"]
fn a_failed_commit_fails_for_everyone_in_it() {
    let server = IrcServer::plain();
    let home = Home::new(&(server.conf() + "capture = yes\n"));
    let title =
        "2026-01-01T00:00:00.001Z\tadd\t#dev\tdave\tdave\thttp://www.example.com/\tDave's\n";
    home.write("links.tsv", title);
    let journal = home.path("links.tsv");
    let options = ["-P", journal.to_str().unwrap(), "-e", "inject=fdatasync:error=EIO:when=1"];
    let mut bot =
        Bot::spawn(failures::strace(&home, &options, &[home.path("bot.conf").to_str().unwrap()]));
    let mut client = server.welcome();
    let line = |nick, text: &str| {
        format!("@account={nick} :{nick}!{nick}@host.example PRIVMSG #dev :{text}\r\n")
    };
    let lines = [
        line("alice", ".url http://www.example.com/1 One"),
        line("bob", ".url http://www.example.com/2 Two"),
        line("carol", "captured: http://www.example.com/3"),
        line("dave", ".undo"),
        line("dave", ".url http://www.example.com/ Another title"),
    ];
    client.send_bytes(lines.concat().as_bytes());
    for nick in ["alice", "bob", "dave", "dave"] {
        assert_eq!(
            client.line(),
            format!("PRIVMSG #dev :{nick}: could not save: Input/output error")
        );
    }
    client.barrier();
    bot.logs("#dev carol: could not save: Input/output error");
    assert_eq!(home.read("links.tsv"), title);
    failures::post(&mut client, "three").unwrap();
    bot.kill();
    assert_eq!(home.titles(), ["Dave's", "three"]);
}

#[test]
#[ignore = "mounts a file system, needs root (.ci/run runs it)"]
fn links_not_saved_during_catch_up_are_requested_again_on_reconnect() {
    let server = IrcServer::plain();
    let home = Home::new(&(server.conf() + ON_DISK));
    let disk = Mount::tmpfs(home.path("disk"), "size=64k");
    let now = time::OffsetDateTime::now_utc();
    let at = |minutes: i64| timestamp(now - time::Duration::minutes(60 - minutes));
    // The journal fills a memory page, so a new line needs another one.
    let line = format!("{}\tadd\t#dev\tbob\t\thttp://www.example.com/\t", at(0));
    home.write("disk/links.tsv", format!("{line}{}\n", "x".repeat(4096 - line.len() - 1)));
    home.write("disk/links.tsv.heard", format!("#dev\t{}\n", at(0)));
    fill(&home, "disk/filler");
    let mut bot = home.start();
    for (summary, is_full) in [("0 links from 3 lines", true), ("3 links from 3 lines", false)] {
        let mut client = server.accept();
        client.register("server-time message-tags account-tag batch draft/chathistory");
        client.expect("JOIN #dev");
        client.send(&format!("@time={} :linkbot!b@h JOIN #dev", at(60)));
        client.expect(&format!("CHATHISTORY AFTER #dev timestamp={}", at(0)));
        client.send(":irc.test BATCH +x chathistory #dev");
        for n in 1..4 {
            let text = format!(".url http://www.example.com/{n} Link {n}");
            client.send(&format!("@batch=x;time={} :al!a@h PRIVMSG #dev :{text}", at(n)));
        }
        client.send(":irc.test BATCH -x");
        client.expect("CHATHISTORY AFTER #dev");
        client.send(":irc.test BATCH +x chathistory #dev");
        client.send(":irc.test BATCH -x");
        let log = bot.logs(&format!("caught up in #dev: {summary}"));
        let rest = "; 3 could not be saved: asking again on the next connection";
        assert_eq!(log.contains(rest), is_full, "{log}");
        if is_full {
            fs::remove_file(home.path("disk/filler")).unwrap();
        }
        client.close();
        bot.logs("not connected");
    }
    bot.kill();
    let journal = failures::whole_journal(&home, "disk/links.tsv");
    let titles: Vec<_> = journal[1..].iter().map(|columns| &columns[6]).collect();
    assert_eq!(titles, ["Link 1", "Link 2", "Link 3"]);
    drop(disk);
}

/// A time as servers and the journal write it.
fn timestamp(time: time::OffsetDateTime) -> String {
    let (date, (h, m, s, ms)) = (time.date(), time.to_hms_milli());
    format!("{date}T{h:02}:{m:02}:{s:02}.{ms:03}Z")
}
