//! Nothing grows with the journal. With a million links linkbot reads and holds no more than with
//! 130,000, except that it reads all lines when all are pending. Counts bytes, not seconds.

mod common;
mod failures;

use std::{
    fs::{self, File},
    io::{BufWriter, Write},
};

use common::bot::{Bot, Home};
use common::eventually;
use common::irc::IrcServer;
use failures::Shelf;

/// The number of links in a view's window (16 MiB).
const FEW: usize = 130_000;
const MANY: usize = 1_000_000;
const MOVED: &str = "a move of the journal";

/// Writes a journal of `links` links, one per second. Returns the time of the last one.
fn fill(home: &Home, links: usize) -> String {
    let mut file = BufWriter::new(File::create(home.path("links.tsv")).unwrap());
    let start = time::macros::datetime!(2020-01-01 00:00 UTC);
    let mut time = String::new();
    for n in 0..links {
        let (date, clock) = {
            let at = start + time::Duration::seconds(n as i64);
            (at.date(), at.to_hms())
        };
        time = format!("{date}T{:02}:{:02}:{:02}.000Z", clock.0, clock.1, clock.2);
        let url = format!("http://www.example.com/articles/{n:07}/a-page-as-pages-are");
        writeln!(
            file,
            "{time}\tadd\t#dev\talice\talice\t{url}\tA title that is as long as titles are"
        )
        .unwrap();
    }
    file.flush().unwrap();
    time
}

/// The bytes that a running bot has read, and its peak memory.
fn spent(bot: &Bot) -> [u64; 2] {
    let io = fs::read_to_string(format!("/proc/{}/io", bot.id())).unwrap();
    let read = io.lines().find_map(|line| line.strip_prefix("rchar: ")).unwrap();
    [read.parse().unwrap(), bot.peak_memory() * 1024]
}

/// The bytes read and the peak memory after each step, with a journal of `links` links.
fn costs(links: usize) -> Vec<(&'static str, [u64; 2])> {
    let (server, shelf) = (IrcServer::plain(), Shelf::default());
    let service = shelf.open();
    let home = Home::new(&(server.conf() + &service.conf()));
    let last = fill(&home, links);
    home.write("links.tsv.delivered", format!("{last}\n"));
    let bot = home.start();
    let mut client = server.welcome();
    let mut costs = vec![("start", spent(&bot))];

    failures::post(&mut client, "one more").unwrap();
    client.barrier();
    let [time, ..] = &home.journal().pop().unwrap()[..] else { unreachable!() };
    home.await_cursor(time);
    for file in ["links.xml", "links.html"] {
        eventually(file, || home.read(file).contains(">one more<").then_some(()));
    }
    client.barrier();
    costs.push(("a save, its delivery, feed and page", spent(&bot)));

    client.say("alice", "#dev", ".status");
    client.until("PRIVMSG #dev :status");
    costs.push((".status", spent(&bot)));
    drop(bot);

    // Everything is pending: one delivery, then the bot waits.
    let server = IrcServer::plain();
    home.configure(&(server.conf() + &service.conf().replace("interval = 0", "interval = 1000")));
    fs::remove_file(home.path("links.tsv.delivered")).unwrap();
    let bot = home.start();
    let mut client = server.welcome();
    home.await_cursor("2020-01-01T00:00:00.000Z");
    client.barrier();
    costs.push(("a start over", spent(&bot)));

    fs::rename(home.path("links.tsv"), home.path("links.tsv.1")).unwrap();
    failures::post(&mut client, "in the new file").unwrap();
    costs.push((MOVED, spent(&bot)));
    costs
}

#[test]
#[ignore = "takes a minute and 150 MB (.ci/run runs it)"]
fn a_million_links_cost_no_more_than_130_000() {
    let (few, many) = (costs(FEW), costs(MANY));
    println!("bytes read, most memory:\n{few:?}\n{many:?}");
    for ((what, [read_few, held_few]), (_, [read_many, held_many])) in few.into_iter().zip(many) {
        // Allow a few blocks of difference. With everything pending, everything is read at the
        // start and copied in a move.
        assert!(
            what == "a start over" || what == MOVED || read_many <= read_few + (256 << 10),
            "{what}: {read_many} bytes read instead of {read_few}"
        );
        assert!(
            held_many <= held_few + (2 << 20),
            "{what}: {held_many} bytes held instead of {held_few}"
        );
    }
}
