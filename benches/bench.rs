//! `cargo bench`: measures the release binary and prints one table. Linux only.
//! `cargo bench -- links` measures only links, `cargo bench -- floods` only talk.
//!
//! Machines differ, so most figures are medians, compared with a figure of the same run: of a C
//! program that does the minimum (yardstick.c), or of one fdatasync in the same directory. Nothing
//! is asserted.

#[path = "../tests/common/mod.rs"]
mod common;
#[path = "../tests/failures/mod.rs"]
mod failures;

use std::{
    fs::{self, File},
    io::{BufWriter, Write},
    path::{Path, PathBuf},
    process::Command,
    sync::mpsc::{self, Receiver},
    thread,
    time::{Duration, Instant},
};

use common::PATIENCE;
use common::bookmarks::{Answer, Bookmarks};
use common::bot::{Bot, Home};
use common::irc::{Client, IrcServer};
use common::tls::Authority;

/// The number of samples of a quick measurement.
const SAMPLES: usize = 9;
/// The number of channel lines in one flood.
const FLOOD: u32 = 20_000;
/// A bot that receives nothing sends PING after this.
const PING: Duration = Duration::from_secs(90);

fn main() {
    let begun = Instant::now();
    let folder = tempfile::tempdir().unwrap();
    let c = compile(folder.path());
    match std::env::args().nth(1).as_deref() {
        Some("links") => return print(&thousand_links(&c)),
        Some("floods") => return print(&floods(&c)),
        _ => {}
    }
    // These mostly wait, so they run beside the other measurements.
    let (idle, hang) = (thread::spawn(idle), thread::spawn(hang));
    let mut table = floods(&c);
    table.extend(starts(&c));
    table.extend(idle_channel());
    table.extend(thousand_links(&c));
    table.push(burst());
    table.push(tls_memory(&c));
    table.push(hang.join().unwrap());
    table.push(idle.join().unwrap());
    let size = fs::metadata(env!("CARGO_BIN_EXE_linkbot")).unwrap().len();
    table.push(Row::new("binary", format!("{:.2} MB", size as f64 / 1e6), "1.4 MB"));
    print(&table);
    println!("\nmeasured in {} s", begun.elapsed().as_secs());
}

/// A row of the table.
struct Row {
    what: &'static str,
    figure: String,
    /// The figure to compare with, and how many times larger linkbot's is.
    beside: String,
    ratio: String,
    aim: &'static str,
}

impl Row {
    fn new(what: &'static str, figure: impl Into<String>, aim: &'static str) -> Row {
        Row { what, figure: figure.into(), beside: String::new(), ratio: String::new(), aim }
    }

    fn time(
        what: &'static str,
        figure: Duration,
        beside: (&str, Duration),
        aim: &'static str,
    ) -> Row {
        let ratio = figure.as_secs_f64() / beside.1.as_secs_f64();
        Row::new(what, time(figure), aim).beside(format!("{} {}", beside.0, time(beside.1)), ratio)
    }

    fn memory(what: &'static str, kib: u64, beside: (&str, u64), aim: &'static str) -> Row {
        let ratio = kib as f64 / beside.1 as f64;
        Row::new(what, mib(kib), aim).beside(format!("{} {}", beside.0, mib(beside.1)), ratio)
    }

    fn beside(self, beside: String, ratio: f64) -> Row {
        Row { beside, ratio: format!("{ratio:.1}"), ..self }
    }
}

fn print(table: &[Row]) {
    let line = |columns: [&str; 5]| {
        let [what, figure, beside, ratio, aim] = columns;
        println!("| {what:<44} | {figure:>8} | {beside:<23} | {ratio:>5} | {aim:<19} |");
    };
    line(["row", "linkbot", "compared with", "ratio", "target, at most"]);
    line(["---"; 5]);
    for row in table {
        line([row.what, &row.figure, &row.beside, &row.ratio, row.aim]);
    }
}

fn time(duration: Duration) -> String {
    match duration.as_nanos() as f64 {
        ns if ns < 1e3 => format!("{ns:.0} ns"),
        ns if ns < 1e6 => format!("{:.0} us", ns / 1e3),
        ns if ns < 1e9 => format!("{:.2} ms", ns / 1e6),
        ns => format!("{:.1} s", ns / 1e9),
    }
}

fn mib(kib: u64) -> String {
    format!("{:.1} MiB", kib as f64 / 1024.0)
}

fn median<T: Ord + Copy>(mut samples: Vec<T>) -> T {
    samples.sort_unstable();
    samples[samples.len() / 2]
}

/// The median of the fastest samples: other processes can only slow a program down.
fn undisturbed(mut samples: Vec<Duration>) -> Duration {
    samples.sort_unstable();
    samples.truncate(SAMPLES);
    median(samples)
}

fn compile(folder: &Path) -> PathBuf {
    let program = folder.join("yardstick");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/yardstick.c");
    let compiler = std::env::var_os("CC").unwrap_or("cc".into());
    let status = Command::new(compiler).args(["-O2", "-o"]).arg(&program).arg(source).status();
    assert!(status.is_ok_and(|status| status.success()), "the C compiler must work");
    program
}

/// Starts the C program; it is connected on return.
fn run_c(program: &Path, server: &IrcServer) -> (Bot, Client) {
    let mut command = Command::new(program);
    command.arg(server.port().to_string());
    (Bot::spawn(command), server.accept_at_once())
}

/// Starts linkbot; on return it is in its channel and idle.
fn run(home: &Home, server: &IrcServer) -> (Bot, Client) {
    let bot = home.start();
    let mut client = server.accept_at_once();
    client.login();
    (bot, client)
}

/// The CPU time that a program has used so far.
fn cpu(bot: &Bot) -> Duration {
    let nanoseconds = fs::read_to_string(format!("/proc/{}/schedstat", bot.id())).unwrap();
    Duration::from_nanos(nanoseconds.split(' ').next().unwrap().parse().unwrap())
}

/// Waits until everything sent before has been handled.
fn settle(client: &mut Client) {
    for token in ["one", "two"] {
        client.send(&format!("PING :{token}"));
        while !client.until("PONG").ends_with(token) {}
    }
}

/// Writes a journal with this many links, all of them delivered.
fn fill(home: &Home, links: u64) {
    let mut file = BufWriter::new(File::create(home.path("links.tsv")).unwrap());
    let mut time = String::new();
    for n in 0..links {
        let (day, s) = (1 + n / 86_400, n % 86_400);
        time = format!("2020-01-{day:02}T{:02}:{:02}:{:02}.000Z", s / 3600, s / 60 % 60, s % 60);
        let url = format!("http://www.example.com/articles/{n:07}/a-page");
        writeln!(file, "{time}\tadd\t#dev\talice\talice\t{url}\tA title as long as titles are")
            .unwrap();
    }
    // The next measurement must not wait for this.
    file.into_inner().unwrap().sync_all().unwrap();
    home.write("links.tsv.delivered", format!("{time}\n"));
}

/// A service that accepts every link, and reports when each request arrived.
fn service() -> (Bookmarks, Receiver<Instant>) {
    let (sender, asked) = mpsc::channel();
    let service = Bookmarks::plain(move |_| {
        let _ = sender.send(Instant::now());
        Answer::done()
    });
    (service, asked)
}

/// The time from exec to JOIN, and the peak memory after JOIN.
fn starts(c: &Path) -> Vec<Row> {
    let server = IrcServer::plain();
    let (few, many) = (Home::new(&server.conf()), Home::new(&server.conf()));
    fill(&many, 1_000_000);
    let start = |home: &Home| {
        let begun = Instant::now();
        let bot = home.start();
        let mut client = server.accept_at_once();
        client.register("server-time message-tags account-tag");
        client.expect("JOIN ");
        let took = begun.elapsed();
        client.let_in("#dev");
        settle(&mut client);
        (took, bot.peak_memory())
    };
    let c_start = || {
        let begun = Instant::now();
        let (bot, mut client) = run_c(c, &server);
        client.send("PING :ready");
        client.until("PONG");
        (begun.elapsed(), bot.peak_memory())
    };
    let mut all: [(Vec<_>, Vec<_>); 3] = Default::default();
    for _ in 0..SAMPLES {
        for (samples, (took, memory)) in all.iter_mut().zip([c_start(), start(&few), start(&many)])
        {
            samples.0.push(took);
            samples.1.push(memory);
        }
    }
    let [(c, c_memory), (few, few_memory), (many, many_memory)] =
        all.map(|(took, held)| (median(took), median(held)));
    vec![
        Row::time("start: exec to JOIN, empty journal", few, ("C, to PONG", c), "3.5 ms"),
        Row::time("start: exec to JOIN, a million links", many, ("C, to PONG", c), "10 ms"),
        Row::memory("memory after JOIN, plain", few_memory, ("C", c_memory), "4.6 MiB"),
        Row::memory(
            "memory after JOIN, a million links",
            many_memory,
            ("empty", few_memory),
            "+1 MiB",
        ),
    ]
}

/// Lines of a channel as a server sends them.
fn talk(tags: bool) -> Vec<u8> {
    const WORDS: &str =
        "so that is what the other one meant when it said that nothing would come of it in the end";
    let mut lines = String::new();
    for n in 0..FLOOD {
        if tags {
            let ms = n % 1000;
            lines += &format!(
                "@time=2026-11-22T10:31:19.{ms:03}Z;msgid=Zi9kQ4xW{n:08};account=account{ms} "
            );
        }
        let words = &WORDS[..10 + (n as usize * 7) % (WORDS.len() - 10)];
        lines += &format!(
            ":person{}!~user@host-{}.example.net PRIVMSG #dev :{words}\r\n",
            n % 500,
            n % 300
        );
    }
    lines.into_bytes()
}

/// CPU time per line of a channel in which others talk.
fn floods(c: &Path) -> Vec<Row> {
    let server = IrcServer::plain();
    let home = Home::new(&server.conf());
    let capturing = Home::new(&(server.conf() + "capture = yes\n"));
    let knows_capture = capturing.run(&["--check", "bot.conf"]).status == Some(0);
    let (mut c, mut bot) = (run_c(c, &server), run(&home, &server));
    let mut capturing = knows_capture.then(|| run(&capturing, &server));
    let before = bot.0.peak_memory();

    let (plain, tagged) = (talk(false), talk(true));
    let mut all: [Vec<_>; 5] = Default::default();
    for _ in 0..5 * SAMPLES {
        all[0].push(flood(&mut c, &plain));
        all[1].push(flood(&mut bot, &plain));
        all[2].push(flood(&mut c, &tagged));
        all[3].push(flood(&mut bot, &tagged));
        all[4].extend(capturing.as_mut().map(|bot| flood(bot, &plain)));
    }
    let grown = bot.0.peak_memory() - before;
    let [c_plain, plain, c_tagged, tagged] = [0, 1, 2, 3].map(|i| undisturbed(all[i].clone()));
    let capture = "flood: CPU per line, capture = yes";
    vec![
        Row::time("flood: CPU per line of the channel", plain, ("C", c_plain), "3 x"),
        Row::time("flood: CPU per line, each with tags", tagged, ("C", c_tagged), "4 x"),
        if knows_capture {
            Row::time(capture, undisturbed(all[4].clone()), ("C", c_plain), "5 x")
        } else {
            Row::new(capture, "n/a", "5 x")
        },
        Row::memory("memory growth over these floods", grown, ("after JOIN", before), "1 MiB"),
    ]
}

/// Returns the CPU time per line. The lines are in the socket before the program continues, so it
/// never waits for us.
fn flood((bot, client): &mut (Bot, Client), lines: &[u8]) -> Duration {
    bot.stop();
    let before = cpu(bot);
    thread::scope(|scope| {
        scope.spawn(|| client.send_bytes(lines));
        thread::sleep(Duration::from_millis(5));
        bot.cont();
    });
    client.send("PING :flood");
    client.until("PONG");
    (cpu(bot) - before) / FLOOD
}

/// `.url` in a quiet channel: the time until the reply, and until the request reaches the bookmark
/// service. Twenty bots take turns with ten links each, so the rate limit is not what is measured.
fn idle_channel() -> Vec<Row> {
    const BOTS: usize = 20;
    /// The pause between two links of one bot: neither the reply nor the feed has to wait.
    const REST: Duration = Duration::from_millis(2100);
    let (server, (service, asked)) = (IrcServer::plain(), service());
    let mut bots: Vec<_> = (0..BOTS)
        .map(|_| {
            let home = Home::new(&(server.conf() + &service.conf()));
            fill(&home, 100);
            let running = run(&home, &server);
            (home, running)
        })
        .collect();
    let (mut replies, mut requests, mut syncs) = (Vec::new(), Vec::new(), Vec::new());
    for n in 0..200 {
        let (home, (_bot, client)) = &mut bots[n % BOTS];
        thread::sleep(REST / BOTS as u32 / 2);
        syncs.push(fdatasync(home));
        thread::sleep(REST / BOTS as u32 / 2);
        let begun = Instant::now();
        post(client, n);
        client.until("PRIVMSG #dev :saved");
        replies.push(begun.elapsed());
        requests.push(asked.recv_timeout(PATIENCE).unwrap() - begun);
    }
    let sync = median(syncs);
    vec![
        Row::time(
            "`.url` to its reply, idle channel",
            median(replies),
            ("fdatasync", sync),
            "fdatasync + 0.7 ms",
        ),
        Row::time(
            "`.url` to its request, idle channel",
            median(requests),
            ("fdatasync", sync),
            "fdatasync + 0.7 ms",
        ),
    ]
}

fn post(client: &mut Client, n: usize) {
    client.say("alice", "#dev", format!(".url http://www.example.com/{n} Title For Link"));
}

/// Appends one line and syncs it, as the journal does.
fn fdatasync(home: &Home) -> Duration {
    let mut file = File::options().append(true).create(true).open(home.path("yardstick")).unwrap();
    let begun = Instant::now();
    file.write_all(&[b'x'; 100]).unwrap();
    file.sync_data().unwrap();
    begun.elapsed()
}

/// A thousand links, each posted once the service has the one before.
fn thousand_links(c: &Path) -> Vec<Row> {
    let (server, (service, asked)) = (IrcServer::plain(), service());
    let home = Home::new(&(server.conf() + &service.conf()));
    fill(&home, 100);
    let mut bot = run(&home, &server);
    let before = bot.0.peak_memory();
    let each = cpu_a_link(&mut bot, &asked);
    let grown = bot.0.peak_memory() - before;
    drop(bot);

    let elsewhere = tempfile::tempdir().unwrap();
    let mut command = Command::new(c);
    command.arg(server.port().to_string()).arg(service.port().to_string());
    command.current_dir(elsewhere.path());
    let mut c = (Bot::spawn(command), server.accept_at_once());
    let c_each = cpu_a_link(&mut c, &asked);
    vec![
        Row::time(
            "CPU per link, with feed and delivery",
            each,
            ("C, same calls", c_each),
            "350 us, 2 x",
        ),
        Row::memory("memory growth over 1,000 links", grown, ("after JOIN", before), "1 MiB"),
    ]
}

fn cpu_a_link((bot, client): &mut (Bot, Client), asked: &Receiver<Instant>) -> Duration {
    const LINKS: usize = 1000;
    let begun = cpu(bot);
    for n in 0..LINKS {
        post(client, n);
        asked.recv_timeout(PATIENCE).unwrap();
    }
    settle(client);
    (cpu(bot) - begun) / LINKS as u32
}

/// A hundred links in one write by the server.
fn burst() -> Row {
    const WHAT: &str = "burst of 100: fdatasync of the journal";
    const AIM: &str = "5";
    if Command::new("strace").arg("-V").output().is_err() {
        return Row { beside: "needs strace".to_owned(), ..Row::new(WHAT, "n/a", AIM) };
    }
    let server = IrcServer::plain();
    let home = Home::new(&server.conf());
    let traced = failures::strace(&home, &["-y", "-e", "trace=fdatasync"], &["bot.conf"]);
    let _bot = Bot::spawn(traced);
    let mut client = server.welcome();
    let lines = |n| {
        format!(
            ":alice!a@host.example PRIVMSG #dev :.url http://www.example.com/{n} Title For Link\r\n"
        )
    };
    let mut counts = Vec::new();
    let syncs =
        || home.read("strace.out").lines().filter(|line| line.contains("/links.tsv>")).count();
    for sample in 0..SAMPLES {
        let before = syncs();
        client.send_bytes((0..100).map(|n| lines(100 * sample + n)).collect::<String>().as_bytes());
        settle(&mut client);
        counts.push(syncs() - before);
    }
    Row::new(WHAT, median(counts).to_string(), AIM)
}

fn tls_memory(c: &Path) -> Row {
    let authority = Authority::new();
    let server = IrcServer::tls(&authority.certificate());
    let home = Home::new(&server.conf());
    home.write("ca.pem", authority.pem());
    let held = (0..SAMPLES).map(|_| run(&home, &server).0.peak_memory()).collect();
    let server = IrcServer::plain();
    Row::memory(
        "memory after JOIN, TLS",
        median(held),
        ("C", run_c(c, &server).0.peak_memory()),
        "10 MiB",
    )
}

/// Twenty links are pending and the service hangs. Measures how long a PING waits if it arrives
/// just after a request has begun.
fn hang() -> Row {
    let (sender, asked) = mpsc::channel();
    let service = Bookmarks::plain(move |_| {
        let _ = sender.send(());
        Answer::Hang
    });
    let server = IrcServer::plain();
    let home = Home::new(&(server.conf() + &service.conf()));
    fill(&home, 20);
    fs::remove_file(home.path("links.tsv.delivered")).unwrap();
    let (until, bot) = (Instant::now() + PING, home.start());
    let mut client = server.welcome();
    asked.try_iter().for_each(drop);
    let (mut worst, mut requests) = (Duration::ZERO, 0);
    while asked.recv_timeout(until.saturating_duration_since(Instant::now())).is_ok() {
        let sent = Instant::now();
        client.send("PING :still there?");
        client.until("PONG");
        worst = worst.max(sent.elapsed());
        requests = requests.max(1 + asked.try_iter().count());
    }
    drop(bot);
    let beside = format!("requests meanwhile: {requests}");
    Row { beside, ..Row::new("hang, 20 pending: longest wait for PONG", time(worst), "1 request") }
}

/// How often an idle bot wakes up, up to its PING.
fn idle() -> Row {
    let (service, server) = (Bookmarks::answering([]), IrcServer::plain());
    let home = Home::new(&(server.conf() + &service.conf()));
    let (bot, mut client) = run(&home, &server);
    let sleeps = || {
        let status = fs::read_to_string(format!("/proc/{}/status", bot.id())).unwrap();
        let count =
            status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")).unwrap();
        count.trim().parse::<u64>().unwrap()
    };
    // After this it has handled its last line and sleeps.
    thread::sleep(Duration::from_secs(1));
    let (begun, before) = (Instant::now(), sleeps());
    thread::sleep(PING);
    let ping = client.until("PING ");
    client.send(&ping.replacen("PING", "PONG irc.test", 1));
    thread::sleep(Duration::from_secs(1));
    let a_minute = (sleeps() - before) as f64 * 60.0 / begun.elapsed().as_secs_f64();
    Row::new("idle: wake-ups per minute", format!("{a_minute:.1}"), "2")
}
