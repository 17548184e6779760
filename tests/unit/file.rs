use std::{
    fs::{self, Permissions},
    io::{self, Write},
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::PathBuf,
};

use crate::{file::*, log};

fn path_in(dir: &tempfile::TempDir) -> PathBuf {
    dir.path().join("links.xml")
}

fn names_in(dir: &tempfile::TempDir) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_file_is_replaced_as_a_whole_and_everyone_may_read_it() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(path_in(&dir), "old").unwrap();
    fs::set_permissions(path_in(&dir), Permissions::from_mode(0o600)).unwrap();
    let old = fs::metadata(path_in(&dir)).unwrap().ino();
    // A crash may have left this.
    fs::write(dir.path().join("links.xml.tmp"), "half").unwrap();
    let held = fs::File::open(path_in(&dir)).unwrap();
    replace(&path_in(&dir), "new").unwrap();
    let now = fs::metadata(path_in(&dir)).unwrap();
    assert_eq!(
        (fs::read_to_string(path_in(&dir)).unwrap().as_str(), now.mode() & 0o777),
        ("new", 0o644)
    );
    assert_ne!(now.ino(), old);
    assert_eq!(io::read_to_string(held).unwrap(), "old");
    assert_eq!(names_in(&dir), ["links.xml"]);
}

#[test]
fn the_umask_makes_no_difference() {
    let test = "tests::file::a_file_is_replaced_as_a_whole_and_everyone_may_read_it";
    let mut shell = std::process::Command::new("sh");
    shell
        .args(["-c", "umask 077; exec \"$0\" --exact \"$1\""])
        .arg(std::env::current_exe().unwrap())
        .arg(test);
    let output = shell.output().unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(stdout.contains("1 passed; 0 failed"), "{stdout}");
}

#[test]
fn a_fifo_is_not_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let made = std::process::Command::new("mkfifo").arg(path_in(&dir)).status();
    assert!(made.unwrap().success());
    let refused = replace(&path_in(&dir), "new").unwrap_err();
    assert_eq!(refused.to_string(), "not a regular file");
    assert_eq!(names_in(&dir), ["links.xml"]);
}

#[test]
fn a_file_that_would_not_change_is_not_touched() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(path_in(&dir), "same").unwrap();
    let before = fs::metadata(path_in(&dir)).unwrap();
    replace(&path_in(&dir), "same").unwrap();
    let after = fs::metadata(path_in(&dir)).unwrap();
    assert_eq!(
        (before.ino(), before.modified().unwrap()),
        (after.ino(), after.modified().unwrap())
    );
}

#[test]
fn a_symlink_stays_and_its_target_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("www")).unwrap();
    symlink("www/real.xml", path_in(&dir)).unwrap();
    // First without a target, then with an old one.
    for text in ["one", "two"] {
        replace(&path_in(&dir), text).unwrap();
        let real = dir.path().join("www/real.xml");
        assert_eq!(fs::read_to_string(&real).unwrap(), text);
        assert!(fs::symlink_metadata(&real).unwrap().is_file());
        assert!(fs::symlink_metadata(path_in(&dir)).unwrap().is_symlink());
        assert_eq!(fs::read_dir(dir.path().join("www")).unwrap().count(), 1);
    }
    symlink("links.xml", dir.path().join("hop.xml")).unwrap();
    replace(&dir.path().join("hop.xml"), "three").unwrap();
    assert_eq!(fs::read_to_string(dir.path().join("www/real.xml")).unwrap(), "three");
}

#[test]
fn a_leftover_temporary_symlink_is_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("victim"), "mine").unwrap();
    symlink("victim", dir.path().join("links.xml.tmp")).unwrap();
    replace(&path_in(&dir), "new").unwrap();
    assert_eq!(fs::read_to_string(dir.path().join("victim")).unwrap(), "mine");
    assert_eq!(names_in(&dir), ["links.xml", "victim"]);
}

#[test]
fn a_failed_write_leaves_no_temporary_file() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(path_in(&dir)).unwrap();
    let refused =
        replace_with(&path_in(&dir), 0o644, |mut file| file.write_all(b"new")).unwrap_err();
    assert_eq!(log::os_error(refused), "Is a directory");
    assert_eq!(names_in(&dir), ["links.xml"]);
}
