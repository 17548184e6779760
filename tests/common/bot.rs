//! Runs the real program in a temporary directory.

use std::{
    ffi::OsStr,
    fs::{self, Permissions},
    io::{BufRead, BufReader, Read, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    time::Instant,
};

use tempfile::TempDir;

use super::{PATIENCE, eventually};

/// A temporary directory with a bot.conf in it.
pub struct Home {
    directory: TempDir,
}

impl Home {
    /// `conf` is the text of bot.conf; only its owner may read the file.
    pub fn new(conf: &str) -> Home {
        let home = Home { directory: tempfile::tempdir().unwrap() };
        home.configure(conf);
        home
    }

    pub fn configure(&self, conf: &str) {
        self.write("bot.conf", conf);
        fs::set_permissions(self.path("bot.conf"), Permissions::from_mode(0o600)).unwrap();
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).unwrap();
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    /// The names of all files in the directory, sorted.
    pub fn files(&self) -> Vec<String> {
        let files = fs::read_dir(self.directory.path()).unwrap();
        let mut names: Vec<_> =
            files.map(|f| f.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// The lines of the journal, split into columns.
    pub fn journal(&self) -> Vec<Vec<String>> {
        let columns = |line: &str| line.split('\t').map(str::to_owned).collect();
        self.read("links.tsv").lines().map(columns).collect()
    }

    /// The titles in the journal.
    pub fn titles(&self) -> Vec<String> {
        self.journal().into_iter().map(|columns| columns[6].clone()).collect()
    }

    /// The feed, read by an independent parser.
    pub fn feed(&self) -> feed_rs::model::Feed {
        feed_rs::parser::parse(self.read("links.xml").as_bytes()).unwrap()
    }

    /// The feed once it shows these titles, newest first. The bot writes it once a second.
    pub fn await_feed(&self, titles: &[&str]) -> feed_rs::model::Feed {
        eventually(&format!("a feed with {titles:?}"), || {
            let feed = self.feed();
            let shown =
                feed.entries.iter().map(|entry| entry.title.as_ref().unwrap().content.as_str());
            shown.eq(titles.iter().copied()).then_some(feed)
        })
    }

    /// Waits until `links.tsv.delivered` contains `time`.
    pub fn await_cursor(&self, time: &str) {
        eventually(&format!("a cursor at {time}"), || {
            fs::read_to_string(self.path("links.tsv.delivered"))
                .ok()
                .filter(|cursor| cursor.trim_end() == time)
        });
    }

    /// `linkbot ARGUMENTS` in this directory. The environment has only PATH and SSL_CERT_FILE, so
    /// linkbot trusts only the certificates in `ca.pem`.
    pub fn linkbot(&self, arguments: &[&str]) -> Command {
        self.program(env!("CARGO_BIN_EXE_linkbot"), arguments)
    }

    /// `PROGRAM ARGUMENTS` in this directory, in the same environment.
    pub fn program(&self, program: impl AsRef<OsStr>, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(self.directory.path()).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("SSL_CERT_FILE", self.path("ca.pem"));
        command
    }

    /// Runs the bot on bot.conf until the [`Bot`] is dropped.
    pub fn start(&self) -> Bot {
        Bot::spawn(self.linkbot(&["bot.conf"]))
    }

    /// Runs the bot under strace, which records these `calls`, separated by commas.
    pub fn start_traced(&self, calls: &str) -> Traced {
        let file = self.path("strace.out");
        // With -D the bot itself is our child, as without strace.
        let filter = format!("trace={calls}");
        let mut command = self.program("strace", &["-D", "-f", "-o", "strace.out", "-e", &filter]);
        command.args([env!("CARGO_BIN_EXE_linkbot"), "bot.conf"]);
        Traced { bot: Bot::spawn(command), file }
    }

    /// Runs the bot to its end under strace. Returns strace's lines.
    pub fn trace(&self, calls: &str, arguments: &[&str], input: &str) -> String {
        let filter = format!("trace={calls}");
        let mut command = self.program("strace", &["-f", "-o", "strace.out", "-e", &filter]);
        command.arg(env!("CARGO_BIN_EXE_linkbot")).args(arguments);
        let ended = Ended::of(command, input.as_bytes());
        assert_eq!(ended.status, Some(0), "{ended:?}");
        self.read("strace.out")
    }

    /// Runs the bot to its end.
    pub fn run(&self, arguments: &[&str]) -> Ended {
        Ended::of(self.linkbot(arguments), b"")
    }

    /// Pipes `input` into the console.
    pub fn console(&self, input: impl AsRef<[u8]>) -> Ended {
        Ended::of(self.linkbot(&["--console", "bot.conf"]), input.as_ref())
    }
}

/// The outcome of a run. `status` is `None` if it did not end within [`PATIENCE`] and was killed.
#[derive(Debug)]
pub struct Ended {
    pub status: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    pub fn of(mut command: Command, input: &[u8]) -> Ended {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let pid = child.id().to_string();
        let (_done, ended) = mpsc::channel::<()>();
        std::thread::spawn(move || {
            if ended.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
                let _ = Command::new("kill").args(["-s", "KILL", &pid]).status();
            }
        });
        // If the bot ends before it reads everything, the test decides what that means.
        let _ = child.stdin.take().unwrap().write_all(input);
        let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Ended { status: status.code(), stdout: text(stdout), stderr: text(stderr) }
    }
}

/// A running bot.
pub struct Bot {
    child: Child,
    lines: Receiver<String>,
    log: Vec<String>,
}

impl Bot {
    pub fn spawn(mut command: Command) -> Bot {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = child.stderr.take().unwrap();
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).split(b'\n').map_while(Result::ok) {
                let _ = sender.send(String::from_utf8_lossy(&line).into_owned());
            }
        });
        Bot { child, lines, log: Vec::new() }
    }

    /// The next line of the log that is `wanted`. Skips the lines before it permanently.
    pub fn log_until(&mut self, wanted: impl Fn(&str) -> bool) -> String {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    self.log.push(line.clone());
                    if wanted(&line) {
                        return line;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    panic!("not in the log:\n{}", self.log.join("\n"))
                }
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("the bot ended:\n{}", self.log.join("\n"))
                }
            }
        }
    }

    /// The next line of the log that contains `words`.
    pub fn logs(&mut self, words: &str) -> String {
        self.log_until(|line| line.contains(words))
    }

    /// Everything that was logged so far.
    pub fn log(&mut self) -> String {
        self.log.extend(self.lines.try_iter());
        self.log.join("\n")
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The peak memory of the process, in KiB.
    pub fn peak_memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        peak.trim().trim_end_matches(" kB").parse().unwrap()
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    pub fn stop(&self) {
        self.signal("STOP");
        let stat = PathBuf::from(format!("/proc/{}/stat", self.child.id()));
        // The state follows the name in parentheses; `t` is stopped under a tracer.
        let stopped = |stat: String| stat.contains(") T ") || stat.contains(") t ");
        eventually("the bot to stop", || {
            fs::read_to_string(&stat).ok().filter(|s| stopped(s.clone()))
        });
    }

    pub fn cont(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    /// Sends SIGKILL. Returns everything that was logged.
    pub fn kill(&mut self) -> String {
        let _ = self.child.kill();
        self.end().1
    }

    /// Waits for the bot to end by itself. Also returns everything that was logged.
    pub fn end(&mut self) -> (ExitStatus, String) {
        let status = eventually("the bot to end", || self.child.try_wait().unwrap());
        self.log.extend(self.lines.iter());
        (status, self.log.join("\n"))
    }
}

impl Drop for Bot {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A running bot, and strace's record of it.
pub struct Traced {
    pub bot: Bot,
    file: PathBuf,
}

impl Traced {
    /// Kills the bot. Returns strace's lines.
    pub fn kill(mut self) -> String {
        self.bot.kill();
        eventually("strace's last line", || {
            read(&self.file).filter(|trace| trace.contains("+++ killed by SIGKILL"))
        })
    }

    /// What strace has written so far.
    pub fn so_far(&self) -> String {
        read(&self.file).unwrap_or_default()
    }
}

fn read(path: &Path) -> Option<String> {
    let mut bytes = Vec::new();
    fs::File::open(path).ok()?.read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}
