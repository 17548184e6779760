//! A fork adds its commands in src/local.rs and merges what upstream does, without a conflict. It compiles
//! linkbot a second time, so it runs in `.ci/run` only.

mod common;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use common::bot::{Ended, Home};

const README: &str = include_str!("../README.md");
const CONF: &str = "server = localhost:6667\ntls = no\nchannels = #dev\n";

#[test]
#[ignore = "compiles linkbot again (.ci/run does it)"]
fn a_fork_looks_saves_and_hears_in_its_own_file_and_merges_upstream_without_a_conflict() {
    let folder = tempfile::tempdir().unwrap();
    let upstream = Repository::copy_to(folder.path().join("upstream"));
    let fork = upstream.clone_to(folder.path().join("fork"));

    fork.edit("src/local.rs", |local| local.lines().map(uncommented).collect());
    fork.commit("Commands of our own");
    let linkbot = fork.build();
    let home = Home::new(CONF);
    let said =
        ".hello\n.wave\n.read http://www.example.com/ A Book\n.read\nthanks, linkbot\n.help\n";
    let told = console(&linkbot, &home, said);
    let told: Vec<_> = told.lines().collect();
    assert_eq!(told[..2], ["hello, you", "to read: A Book"]);
    assert!(told[2].starts_with("you: the address is missing; usage: .read "), "{told:?}");
    assert_eq!(told[3], "you are welcome");
    assert!(told[4].starts_with("commands: .find .hello .help "), "{told:?}");
    assert_eq!(home.read("links.tsv.thanks"), "you\n");
    assert_eq!(
        home.journal()[0][1..],
        ["add", "#dev", "you", "", "http://www.example.com/", "A Book #toread"]
    );
    let feed = home.feed();
    assert_eq!(feed.entries[0].title.as_ref().unwrap().content, "A Book");
    assert_eq!(feed.entries[0].categories[1].term, "toread");

    // Its own key.
    home.configure(&format!("{CONF}local.greeting = good day\n"));
    assert_eq!(console(&linkbot, &home, ".hello\n"), "good day, you\n");

    upstream.edit("src/commands.rs", |commands| {
        let row = r#"    Command { name: "wave", example: "wave", help: "waves", run: Run::Look(wave) },"#;
        let wave = r#"
            fn wave(_: &Bot, request: &Request) -> Answer {
                assert!(request.args.is_empty(), "{}", request.args);
                Ok("o/".to_owned())
            }"#;
        let table = "pub const COMMANDS: &[Command] = &[\n";
        assert!(commands.contains(table), "the table of commands has another beginning");
        commands.replace(table, &format!("{table}{row}\n")) + wave
    });
    upstream.commit("A command of upstream's");

    fork.update_as_in_readme(&upstream);
    let linkbot = fork.build();
    let home = Home::new(CONF);
    assert_eq!(console(&linkbot, &home, ".hello\n.wave\n"), "hello, you\no/\n");

    // A panic tells where it was in one line, and none of its words, for they could hold a secret.
    let ended = run(&linkbot, &home, ".wave secret\n");
    assert!(ended.stderr.contains("Z linkbot crashed at src/commands.rs:"), "{ended:?}");
    assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
    assert!(!ended.stderr.contains("secret"), "{ended:?}");
}

/// The worked example: every line that begins with two slashes and a blank loses them.
fn uncommented(line: &str) -> String {
    let indent = line.len() - line.trim_start().len();
    let (indent, rest) = line.split_at(indent);
    format!("{indent}{}\n", rest.strip_prefix("// ").unwrap_or(rest))
}

/// What the console of this linkbot says.
fn console(linkbot: &Path, home: &Home, input: &str) -> String {
    let ended = run(linkbot, home, input);
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    ended.stdout
}

fn run(linkbot: &Path, home: &Home, input: &str) -> Ended {
    let mut command = Command::new(linkbot);
    command.args(["--console", "bot.conf"]).current_dir(home.path("")).env_clear();
    Ended::of(command, input.as_bytes())
}

/// A repository with the files of linkbot.
struct Repository {
    folder: PathBuf,
}

impl Repository {
    /// Copies what git knows of, as it is in the working directory now, to the branch `main`.
    fn copy_to(folder: PathBuf) -> Repository {
        let ours = Path::new(env!("CARGO_MANIFEST_DIR"));
        // A clone may belong to someone else than the one who tests it.
        let list = ["-c", "safe.directory=*", "ls-files", "-z"];
        let files = output(Command::new("git").current_dir(ours).args(list));
        for file in files.split_terminator('\0') {
            let copy = folder.join(file);
            fs::create_dir_all(copy.parent().unwrap()).unwrap();
            fs::copy(ours.join(file), copy).unwrap_or_else(|e| panic!("{file}: {e}"));
        }
        let repository = Repository { folder };
        repository.git(&["init", "--quiet", "--initial-branch=main"]);
        repository.commit("linkbot");
        repository
    }

    fn clone_to(&self, folder: PathBuf) -> Repository {
        output(Command::new("git").args(["clone", "--quiet"]).arg(&self.folder).arg(&folder));
        Repository { folder }
    }

    /// Runs the two commands that README gives, with the address of `upstream`.
    fn update_as_in_readme(&self, upstream: &Repository) {
        let (_, commands) = README.split_once("\ngit remote add upstream ").unwrap();
        let (commands, _) = commands.split_once("```").unwrap();
        let commands = format!("git remote add upstream {commands}");
        assert_eq!(commands.lines().count(), 2, "{commands}");
        let address = upstream.folder.to_str().unwrap();
        let commands = commands.replace("ADDRESS-OF-THIS-REPOSITORY", address);
        output(self.command("sh").args(["-ec", &commands]));
    }

    fn git(&self, arguments: &[&str]) {
        output(self.command("git").args(arguments));
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.folder);
        for role in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{role}_NAME"), "test");
            command.env(format!("GIT_{role}_EMAIL"), "test@example.org");
        }
        command
    }

    fn commit(&self, message: &str) {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message", message]);
    }

    fn edit(&self, file: &str, change: impl FnOnce(String) -> String) {
        let path = self.folder.join(file);
        let before = fs::read_to_string(&path).unwrap();
        let after = change(before.clone());
        assert_ne!(before, after, "{file} is as it was");
        fs::write(path, after).unwrap();
    }

    /// Builds what is checked out; the packages stay compiled from one run to the next.
    fn build(&self) -> PathBuf {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fork");
        let mut command = Command::new(env!("CARGO"));
        command.current_dir(&self.folder).args(["build", "--quiet", "--offline", "--locked"]);
        output(command.arg("--target-dir").arg(&target));
        target.join("debug/linkbot")
    }
}

/// What a command prints that must succeed.
fn output(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {stderr}");
    String::from_utf8(output.stdout).unwrap()
}
