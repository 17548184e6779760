//! A fork with its own src/local.rs merges upstream's changes without a conflict. The test compiles
//! linkbot again, so it runs in `.ci/run` only.

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
fn a_fork_adds_commands_in_its_own_file_and_merges_upstream_without_a_conflict() {
    let directory = tempfile::tempdir().unwrap();
    let upstream = Repository::copy_to(directory.path().join("upstream"));
    let fork = upstream.clone_to(directory.path().join("fork"));

    fork.edit("src/local.rs", |local| local.lines().map(uncommented).collect());
    fork.commit("Commands of our own");
    let linkbot = fork.build();
    let home = Home::new(CONF);
    let input =
        ".hello\n.wave\n.read http://www.example.com/ A Book\n.read\nthanks, linkbot\n.help\n";
    let replies = console(&linkbot, &home, input);
    let replies: Vec<_> = replies.lines().collect();
    assert_eq!(replies[..2], ["hello, you", "to read: A Book"]);
    assert!(replies[2].starts_with("you: the address is missing; usage: .read "), "{replies:?}");
    assert_eq!(replies[3], "you are welcome");
    assert!(replies[4].starts_with("commands: "), "{replies:?}");
    assert!(replies[4].contains(" .find ") && replies[4].contains(" .hello "), "{replies:?}");
    assert_eq!(home.read("links.tsv.thanks"), "you\n");
    assert_eq!(
        home.journal()[0][1..],
        ["add", "#dev", "you", "", "http://www.example.com/", "A Book #toread"]
    );
    let feed = home.feed();
    assert_eq!(feed.entries[0].title.as_ref().unwrap().content, "A Book");
    assert_eq!(feed.entries[0].categories[1].term, "toread");

    // The fork's own key.
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
        assert!(commands.contains(table), "the table of commands starts differently");
        commands.replace(table, &format!("{table}{row}\n")) + wave
    });
    upstream.commit("A command of upstream's");

    fork.update_as_in_readme(&upstream);
    let linkbot = fork.build();
    let home = Home::new(CONF);
    assert_eq!(console(&linkbot, &home, ".hello\n.wave\n"), "hello, you\no/\n");

    // A panic logs its location in one line. Its message is not logged, because it could contain a
    // secret.
    let ended = run(&linkbot, &home, ".wave secret\n");
    assert!(ended.stderr.contains("Z linkbot crashed at src/commands.rs:"), "{ended:?}");
    assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
    assert!(!ended.stderr.contains("secret"), "{ended:?}");
}

/// Uncomments a line of the worked example.
fn uncommented(line: &str) -> String {
    let indent = line.len() - line.trim_start().len();
    let (indent, rest) = line.split_at(indent);
    format!("{indent}{}\n", rest.strip_prefix("// ").unwrap_or(rest))
}

/// The console output of this build.
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

/// A repository with linkbot's files.
struct Repository {
    directory: PathBuf,
}

impl Repository {
    /// Copies the files that git tracks, with uncommitted changes, to the branch `main`.
    fn copy_to(directory: PathBuf) -> Repository {
        let ours = Path::new(env!("CARGO_MANIFEST_DIR"));
        // Another user may own the checkout.
        let list = ["-c", "safe.directory=*", "ls-files", "-z"];
        let files = output(Command::new("git").current_dir(ours).args(list));
        for file in files.split_terminator('\0') {
            let copy = directory.join(file);
            fs::create_dir_all(copy.parent().unwrap()).unwrap();
            fs::copy(ours.join(file), copy).unwrap_or_else(|e| panic!("{file}: {e}"));
        }
        let repository = Repository { directory };
        repository.git(&["init", "--quiet", "--initial-branch=main"]);
        repository.commit("linkbot");
        repository
    }

    fn clone_to(&self, directory: PathBuf) -> Repository {
        output(Command::new("git").args(["clone", "--quiet"]).arg(&self.directory).arg(&directory));
        Repository { directory }
    }

    /// Runs the README's two commands, with the address of `upstream`.
    fn update_as_in_readme(&self, upstream: &Repository) {
        let (_, commands) = README.split_once("\ngit remote add upstream ").unwrap();
        let (commands, _) = commands.split_once("```").unwrap();
        let commands = format!("git remote add upstream {commands}");
        assert_eq!(commands.lines().count(), 2, "{commands}");
        let address = upstream.directory.to_str().unwrap();
        let commands = commands.replace("ADDRESS-OF-THIS-REPOSITORY", address);
        output(self.command("sh").args(["-ec", &commands]));
    }

    fn git(&self, arguments: &[&str]) {
        output(self.command("git").args(arguments));
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.directory);
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
        let path = self.directory.join(file);
        let before = fs::read_to_string(&path).unwrap();
        let after = change(before.clone());
        assert_ne!(before, after, "{file} is unchanged");
        fs::write(path, after).unwrap();
    }

    /// Builds the working tree. Compiled packages stay for the next run.
    fn build(&self) -> PathBuf {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fork");
        let mut command = Command::new(env!("CARGO"));
        command.current_dir(&self.directory).args(["build", "--quiet", "--offline", "--locked"]);
        output(command.arg("--target-dir").arg(&target));
        target.join("debug/linkbot")
    }
}

/// The output of a command, which must succeed.
fn output(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {stderr}");
    String::from_utf8(output.stdout).unwrap()
}
