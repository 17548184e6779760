use std::{fs, io::Write, os::unix::fs::symlink, path::PathBuf};

use proptest::prelude::*;
use tempfile::TempDir;
use time::macros::datetime;

use super::line::{ACTIONS, parse_line};
use super::reader::BLOCK;
use super::*;
use crate::tests::open;

const NOON: OffsetDateTime = datetime!(2026-11-22 12:00:00 UTC);

/// A new directory, and the path of a journal in it.
fn place() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("links.tsv");
    (dir, path)
}

fn link(url: &str, title: &str) -> Link {
    Link {
        channel: "#dev".into(),
        nick: "alice".into(),
        account: String::new(),
        url: format!("http://example.com/{url}"),
        title: title.into(),
        posted: NOON,
    }
}

/// Saves a link as a batch does, without an account.
fn save(journal: &mut Journal, title: &str) -> OffsetDateTime {
    journal.check(u64::MAX);
    let time = journal.append(Action::Add, &link("x", title), NOON).unwrap();
    journal.commit().unwrap();
    time
}

/// The first warning about the journal at `path`.
fn skipped(path: &Path, within: u64) -> io::Result<Option<String>> {
    Ok(warnings(path, within)?.into_iter().next())
}

fn append_by_hand(path: &Path, bytes: &[u8]) {
    OpenOptions::new().append(true).open(path).unwrap().write_all(bytes).unwrap();
}

fn titles(journal: &Journal) -> Vec<String> {
    journal.links(VIEW_WINDOW, "", |_| true).map(|entry| entry.unwrap().link.title).collect()
}

/// The events pending after `cursor`, oldest first.
fn pending(journal: &Journal, cursor: OffsetDateTime) -> Vec<Event> {
    let lines = journal.read_from(journal.find_after(cursor).unwrap()).unwrap();
    lines.map(|line| line.unwrap().event).collect()
}

fn pending_titles(journal: &Journal, cursor: OffsetDateTime) -> Vec<String> {
    pending(journal, cursor).into_iter().map(|event| event.link.title).collect()
}

/// Where the pending events start, for [`Journal::check`].
fn pending_offset(journal: &Journal, cursor: OffsetDateTime) -> u64 {
    journal.find_after(cursor).unwrap()
}

fn time(ms: u32) -> OffsetDateTime {
    NOON + Duration::milliseconds(ms.into())
}

fn error(path: &Path) -> String {
    Journal::open(path).err().unwrap()
}

/// An `add` line, `ms` after noon.
fn line(ms: u32, title: &str) -> String {
    format!("2026-11-22T12:00:00.{ms:03}Z\tadd\t#dev\tbob\t\thttp://example.com/{title}\t{title}\n")
}

#[test]
fn an_event_is_one_line_of_seven_columns_and_an_eighth_if_it_was_posted_at_another_time() {
    let (_dir, path) = place();
    let mut journal = open(&path);
    let now = datetime!(2026-11-22 10:31:19.123999 UTC);
    let mut link = Link { account: "al".into(), ..link("", "Title For Link") };
    let posted = [
        datetime!(2026-11-22 10:31:18.5 UTC),
        datetime!(2026-11-22 10:31:18.499 UTC),
        datetime!(2026-11-22 10:40:00.123456 UTC),
    ];
    for (action, posted) in [Action::Add, Action::Title, Action::Title].into_iter().zip(posted) {
        journal.append(action, &Link { posted, ..link.clone() }, now).unwrap();
    }
    link.posted = datetime!(2026-11-22 10:20:00 UTC);
    journal.append(Action::Remove, &Link { title: String::new(), ..link.clone() }, now).unwrap();
    journal.commit().unwrap();
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        "2026-11-22T10:31:18.500Z\tadd\t#dev\talice\tal\thttp://example.com/\tTitle For Link\n\
         2026-11-22T10:31:19.123Z\ttitle\t#dev\talice\tal\thttp://example.com/\tTitle For Link\t2026-11-22T10:31:18.499Z\n\
         2026-11-22T10:40:00.123Z\ttitle\t#dev\talice\tal\thttp://example.com/\tTitle For Link\n\
         2026-11-22T10:40:00.124Z\tremove\t#dev\talice\tal\thttp://example.com/\t\t2026-11-22T10:20:00.000Z\n"
    );
    let events: Vec<Event> = journal.events(VIEW_WINDOW).map(Result::unwrap).collect();
    assert_eq!(events[0].link.posted, link.posted);
    assert_eq!(events[2].link.posted, posted[1], "to the millisecond");
    assert_eq!(events[3].link.posted, events[3].time);
    assert_eq!(warnings(&path, VIEW_WINDOW).unwrap(), [""; 0]);
}

#[test]
fn a_tab_or_newline_from_a_bad_server_adds_no_column_and_no_line() {
    let (_dir, path) = place();
    let mut journal = open(&path);
    let link = Link { nick: "a\tb".into(), account: "c\r\nd".into(), ..link("", "T") };
    journal.append(Action::Add, &link, NOON).unwrap();
    journal.commit().unwrap();
    let event = journal.events(VIEW_WINDOW).next().unwrap().unwrap();
    assert_eq!((event.link.nick.as_str(), event.link.account.as_str()), ("ab", "cd"));
    assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 1);
}

#[test]
fn a_time_is_in_utc_to_the_millisecond() {
    let text = "2026-11-22T10:31:19.123Z";
    assert_eq!(parse_time(text), Some(datetime!(2026-11-22 10:31:19.123 UTC)));
    assert_eq!(format_time(datetime!(2026-11-22 11:31:19.123_9 +1)), text);
    for bad in [
        "",
        "2026-11-22T10:31:19Z",
        "2026-11-22T10:31:19.123z",
        "2026-11-22T10:31:19.1234Z",
        "2026-02-29T10:31:19.123Z",
        "2026-13-01T10:31:19.123Z",
        "2026-11-22T24:00:00.000Z",
        "2026-11-22T23:59:60.000Z",
        "+026-11-22T10:31:19.123Z",
        "2026-11-22T10:31:19.1\u{e9}Z",
    ] {
        assert_eq!(parse_time(bad), None, "{bad}");
    }
}

#[test]
fn a_malformed_line_is_skipped_and_reported_with_its_number() {
    let good = line(1, "good");
    for (bad, why) in [
        (good.replace("add", "burn"), "unknown action"),
        (good.replace("T12", ""), "not a time"),
        (good.replace("\tbob\t", ""), "not an address"),
        (good.replace("\tgood", ""), "no title"),
        (good.replace("\tgood", "").replace("add", "title"), "no title"),
        (
            good.replace("http://example.com/good\tgood", "").replace("add", "remove"),
            "not an address",
        ),
        (good.replace('\n', "\t2026-11-22T12:00\n"), "not a time"),
        (good.replace("http:", "ftp:"), "not an address"),
        (good.replace("com/", "com/ "), "not an address"),
        (good.replace("com/", &"x".repeat(1000)), "not an address"),
        (good.replace("\tgood", "\t"), "no title"),
        (good.replace("\tgood", "\t\x02 "), "no title"),
    ] {
        let (_dir, path) = place();
        fs::write(&path, format!("# a comment\n\n{bad}{good}")).unwrap();
        let text = format!("{}: lines skipped: 1; the first is line 3: {why}", path.display());
        assert_eq!(warnings(&path, VIEW_WINDOW).unwrap(), [text]);
        assert_eq!(titles(&open(&path)), ["good"]);
    }
}

#[test]
fn an_edited_title_is_read_as_if_it_had_been_posted() {
    let (_dir, path) = place();
    fs::write(
        &path,
        line(1, "good").replace("\tgood", "\ttwo  spaces, \x0304red\x0f and\x01 controls "),
    )
    .unwrap();
    assert_eq!(warnings(&path, VIEW_WINDOW).unwrap(), [""; 0]);
    assert_eq!(titles(&open(&path)), ["two spaces, red and controls"]);
}

#[test]
fn empty_columns_at_the_end_of_a_line_may_be_missing() {
    let (_dir, path) = place();
    let again =
        line(2, "kept").replace("add", "again").replace("bob", "carol").replace("\tkept", "");
    let remove = line(3, "gone").replace("add", "remove").replace("\tgone", "");
    fs::write(&path, line(0, "gone") + &line(1, "kept") + &again + &remove).unwrap();
    assert_eq!(warnings(&path, VIEW_WINDOW).unwrap(), [""; 0]);
    let journal = open(&path);
    let entries: Vec<Entry> =
        journal.links(VIEW_WINDOW, "", |_| true).map(Result::unwrap).collect();
    assert_eq!(titles(&journal), ["kept"]);
    assert_eq!(entries[0].reposters, ["carol"]);
}

#[test]
fn skipped_lines_are_counted_and_the_first_is_named() {
    let (_dir, path) = place();
    let warning = |within| {
        skipped(&path, within).unwrap().map(|text| text.split_once(": ").unwrap().1.to_owned())
    };
    assert_eq!(warning(VIEW_WINDOW), None, "there is no file");
    fs::write(&path, b"# c\na\n\xff\nb\n2026").unwrap();
    assert_eq!(warning(VIEW_WINDOW).unwrap(), "lines skipped: 4; the first is line 2: not a time");
    // A partial first line is not counted.
    for within in [6, 7] {
        assert_eq!(
            warning(within).unwrap(),
            "lines skipped: 2; the first is line 2 from the end: not a time"
        );
    }
    fs::write(&path, "bad\n".to_owned() + &line(1, "good")).unwrap();
    assert_eq!(warning(line(1, "good").len() as u64), None);
    assert!(skipped(path.parent().unwrap(), VIEW_WINDOW).is_err());
}

#[test]
fn windows_newlines_are_accepted() {
    let (_dir, path) = place();
    fs::write(&path, format!("\r\n# c\r\n{}", line(1, "good").replace('\n', "\r\n"))).unwrap();
    assert_eq!(titles(&open(&path)), ["good"]);
    assert_eq!(warnings(&path, VIEW_WINDOW).unwrap(), [""; 0]);
}

#[test]
fn a_malformed_last_line_without_a_newline_is_truncated_at_startup() {
    let (_dir, path) = place();
    for torn in ["2", &line(2, "torn")[..60], "\0\0\0", &"x".repeat(200_000)] {
        fs::write(&path, line(1, "whole") + torn).unwrap();
        assert_eq!(titles(&open(&path)), ["whole"]);
        assert_eq!(fs::read_to_string(&path).unwrap(), line(1, "whole"));
    }
    fs::write(&path, "never a line end").unwrap();
    open(&path);
    assert_eq!(fs::read(&path).unwrap(), b"");
}

#[test]
fn a_last_line_that_lacks_only_its_newline_is_kept_and_the_next_one_is_separate() {
    let (_dir, path) = place();
    for last in [line(2, "last"), "# a comment\n".to_owned()] {
        fs::write(&path, line(1, "first") + last.trim_end()).unwrap();
        let mut journal = open(&path);
        // What another program appends next will be a separate line too.
        assert_eq!(fs::read_to_string(&path).unwrap(), line(1, "first") + last.trim_end() + "\n");
        assert_eq!(titles(&journal).len(), last.split('\t').count().div_ceil(6));
        let saved = save(&mut journal, "new");
        assert_eq!(titles(&journal)[0], "new");
        assert!(saved > time(1));
        let text = fs::read_to_string(&path).unwrap();
        assert!(
            text.starts_with(&(line(1, "first") + &last)) && text.lines().count() == 3,
            "{text}"
        );
    }
}

#[test]
fn a_second_linkbot_is_kept_out_until_the_first_has_ended() {
    let (_dir, path) = place();
    let first = open(&path);
    assert_eq!(
        error(&path),
        format!(
            "{}: in use by another linkbot, or on a file system without locks; linkbot must be able \
             to read and write it, and no other linkbot may use it",
            path.display()
        )
    );
    drop(first);
    open(&path);
}

#[test]
fn the_error_of_an_unusable_journal_is_one_line_with_its_name() {
    let (dir, path) = place();
    let device = Path::new("/dev/null");
    for (path, what) in [
        (dir.path(), "not a regular file"),
        (device, "not a regular file"),
        (&dir.path().join("none/links.tsv"), "No such file or directory"),
    ] {
        let text = error(path);
        assert!(
            text.starts_with(&format!("{}: {what}; linkbot must be able", path.display())),
            "{text}"
        );
        assert!(!text.contains('\n') && !text.contains("os error"), "{text}");
    }
    assert!(!path.exists());
}

#[test]
fn lines_that_others_append_are_seen_at_the_next_check_and_stay_separate() {
    let (_dir, path) = place();
    let mut journal = open(&path);
    save(&mut journal, "one");
    assert!(!journal.check(u64::MAX), "linkbot's own write is no change");
    append_by_hand(&path, line(900, "by-hand").as_bytes());
    assert!(journal.check(u64::MAX));
    assert!(!journal.check(u64::MAX));
    assert_eq!(titles(&journal), ["by-hand", "one"]);
    assert_eq!(pending_titles(&journal, OffsetDateTime::UNIX_EPOCH), ["one", "by-hand"]);
    let saved = save(&mut journal, "two");
    assert_eq!(saved, time(901), "after the line appended by hand");
    append_by_hand(&path, b"half a li");
    assert!(save(&mut journal, "three") > saved);
    append_by_hand(&path, line(950, "without-newline").trim_end().as_bytes());
    save(&mut journal, "four");
    assert_eq!(titles(&journal), ["four", "without-newline", "three", "two", "by-hand", "one"]);
    assert!(skipped(&path, VIEW_WINDOW).unwrap().unwrap().contains(": lines skipped: 1; "));
}

#[test]
fn an_old_line_appended_by_hand_does_not_set_times_back() {
    let (_dir, path) = place();
    fs::write(&path, line(500, "new") + &line(1, "old")).unwrap();
    let mut journal = open(&path);
    let time = journal.append(Action::Add, &link("", "T"), NOON - Duration::HOUR).unwrap();
    assert_eq!(format_time(time), "2026-11-22T12:00:00.501Z");
}

#[test]
fn times_more_than_a_day_ahead_do_not_count_as_the_newest() {
    let (_dir, path) = place();
    let year_9999 = line(1, "late").replace("2026-11-22T12:00:00.001", "9999-12-31T23:59:59.999");
    fs::write(&path, line(500, "one") + &year_9999).unwrap();
    let mut journal = open(&path);
    assert_eq!(save(&mut journal, "two"), time(501));
    append_by_hand(&path, year_9999.as_bytes());
    assert_eq!(save(&mut journal, "three"), time(502));
    journal.raise_last(datetime!(9999-01-01 0:00 UTC));
    assert_eq!(save(&mut journal, "four"), time(503));
    // For delivery, only the order of the lines counts.
    assert_eq!(pending_titles(&journal, time(500)), ["late", "two", "late", "three", "four"]);
    assert_eq!(pending_titles(&journal, time(502)), ["four"]);
    // A cursor that was set while the clock was wrong: either `late` line may be its line.
    let late = datetime!(9999-12-31 23:59:59.999 UTC);
    assert_eq!(pending_titles(&journal, late), ["two", "late", "three", "four"]);
    assert_eq!(
        pending_titles(&journal, late - Duration::SECOND).len(),
        6,
        "the cursor's line is gone"
    );
}

#[test]
fn after_a_wrong_clock_is_set_back_events_follow_it_again() {
    let (_dir, path) = place();
    let mut journal = open(&path);
    save(&mut journal, "one");
    let later = NOON + Duration::HOUR;
    journal.append(Action::Add, &link("x", "an hour ahead"), later).unwrap();
    journal.commit().unwrap();
    assert_eq!(save(&mut journal, "two"), later + Duration::MILLISECOND);
    let far = OffsetDateTime::now_utc().truncate_to_millisecond() + Duration::days(365);
    assert_eq!(journal.append(Action::Add, &link("x", "a year ahead"), far).unwrap(), far);
    journal.commit().unwrap();
    assert_eq!(save(&mut journal, "three"), later + 2 * Duration::MILLISECOND);
    assert_eq!(pending_titles(&journal, far), ["three"]);
}

#[test]
fn lines_in_the_future_are_reported_in_one_warning() {
    let (_dir, path) = place();
    let now = OffsetDateTime::now_utc();
    let at = |time| line(1, "late").replace("2026-11-22T12:00:00.001Z", &format_time(time));
    fs::write(&path, line(500, "one") + &at(now + Duration::SECOND)).unwrap();
    assert_eq!(warnings(&path, VIEW_WINDOW).unwrap(), [""; 0]);
    let soon = now + Duration::hours(3);
    let posted_later = line(501, "two").replace('\n', &format!("\t{}\n", format_time(soon)));
    let later = at(now + Duration::days(400));
    append_by_hand(&path, (posted_later + &later + "torn\n").as_bytes());
    let found = warnings(&path, VIEW_WINDOW).unwrap();
    let [future, skipped] = &found[..] else { panic!("{found:?}") };
    assert!(skipped.contains("lines skipped: 1; the first is line 5: "), "{skipped}");
    let soon = format_time(soon);
    assert!(
        future.contains(&format!(
            "lines dated in the future: 2; the first is line 3: {soon}; correct it"
        )),
        "{future}"
    );
}

#[test]
fn an_edit_that_keeps_the_length_is_noticed_once() {
    let (_dir, path) = place();
    let mut journal = open(&path);
    save(&mut journal, "one");
    assert!(!journal.check(u64::MAX));
    let text = fs::read_to_string(&path).unwrap();
    // The mtime may be as coarse as the kernel's timer.
    let before = fs::metadata(&path).unwrap().modified().unwrap();
    while fs::metadata(&path).unwrap().modified().unwrap() == before {
        fs::write(&path, text.replace("one", "two")).unwrap();
    }
    assert!(journal.check(u64::MAX));
    assert!(!journal.check(u64::MAX));
    assert_eq!(titles(&journal), ["two"]);
    save(&mut journal, "three");
    assert!(!journal.check(u64::MAX), "linkbot's own write is no edit");
}

#[test]
fn after_the_journal_is_replaced_or_deleted_saves_go_to_the_new_file_with_later_times() {
    let (dir, path) = place();
    let mut journal = open(&path);
    let first = save(&mut journal, "one");
    fs::rename(&path, dir.path().join("links.tsv.1")).unwrap();
    assert!(journal.check(u64::MAX));
    assert!(save(&mut journal, "two") > first);
    assert_eq!(titles(&open(&dir.path().join("links.tsv.1"))), ["one"]);
    assert_eq!(titles(&journal), ["two"]);
    fs::remove_file(&path).unwrap();
    save(&mut journal, "three");
    let new = dir.path().join("new");
    fs::write(&new, line(900, "put-there") + "torn").unwrap();
    fs::rename(&new, &path).unwrap();
    save(&mut journal, "four");
    assert_eq!(titles(&journal), ["four", "put-there"]);
    assert!(error(&path).contains("in use"), "the new file is locked too");
}

#[test]
fn a_file_that_another_linkbot_uses_is_not_written_to() {
    let (dir, path) = place();
    let mut journal = open(&path);
    let other = dir.path().join("other");
    let theirs = open(&other);
    fs::rename(&other, &path).unwrap();
    assert!(!journal.check(u64::MAX), "there is nothing new to show");
    journal.append(Action::Add, &link("", "T"), NOON).unwrap();
    let error = journal.commit().unwrap_err();
    assert!(error.contains("in use by another linkbot"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), b"");
    drop(theirs);
    save(&mut journal, "T");
}

/// A journal with a delivered link and two pending events, and the cursor between them.
fn with_pending(path: &Path) -> (Journal, OffsetDateTime) {
    let mut journal = open(path);
    let cursor = save(&mut journal, "delivered");
    journal.append(Action::Add, &link("y", "pending"), NOON).unwrap();
    journal.append(Action::Title, &link("y", "pending, too"), NOON).unwrap();
    journal.commit().unwrap();
    (journal, cursor)
}

#[test]
fn pending_events_are_copied_to_a_new_file_with_their_times() {
    let ways: [fn(&Path); 3] = [
        |path| fs::remove_file(path).unwrap(),
        |path| fs::rename(path, path.with_extension("1")).unwrap(),
        // Like logrotate with `create`; here with a line without a newline.
        |path| {
            fs::rename(path, path.with_extension("1")).unwrap();
            fs::write(path, line(900, "there").trim_end()).unwrap();
        },
    ];
    for take in ways {
        let (dir, path) = place();
        let (mut journal, cursor) = with_pending(&path);
        let before: Vec<Event> = pending(&journal, cursor);
        // Appended by hand, and not checked before the file is gone.
        append_by_hand(&path, line(500, "by-hand").as_bytes());
        let mode = fs::metadata(&path).unwrap().mode();
        let offset = pending_offset(&journal, cursor);
        take(&path);
        assert!(journal.check(offset));
        let after: Vec<Event> =
            pending(&journal, cursor).into_iter().filter(|e| e.time < time(500)).collect();
        assert_eq!(after, before);
        assert!(pending_titles(&journal, cursor).contains(&"by-hand".into()));
        assert!(!titles(&journal).contains(&"delivered".into()));
        assert_eq!(fs::metadata(&path).unwrap().mode(), mode);
        assert!(!journal.check(pending_offset(&journal, cursor)));
        assert!(save(&mut journal, "new") > time(500));
        assert!(!dir.path().join("links.tsv.tmp").exists());
    }
}

#[test]
fn pending_events_appear_once_in_an_editors_copy() {
    let (dir, path) = place();
    let (mut journal, cursor) = with_pending(&path);
    let copy = dir.path().join("copy");
    let edited = fs::read_to_string(&path).unwrap().replace("delivered", "edited");
    for (kept, missing) in [(3, 0), (2, 1), (1, 2)] {
        fs::write(&copy, edited.split_inclusive('\n').take(kept).collect::<String>()).unwrap();
        fs::rename(&copy, &path).unwrap();
        assert!(journal.check(pending_offset(&journal, cursor)));
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            edited,
            "{missing} pending events were not in the copy"
        );
    }
}

#[test]
fn without_an_account_nothing_is_copied() {
    let (_dir, path) = place();
    let (mut journal, _) = with_pending(&path);
    fs::remove_file(&path).unwrap();
    assert!(journal.check(u64::MAX));
    assert_eq!(fs::read(&path).unwrap(), b"");
}

#[test]
fn while_the_journals_path_is_unusable_nothing_is_saved_and_pending_events_wait() {
    let (dir, path) = place();
    let (mut journal, cursor) = with_pending(&path);
    fs::rename(&path, dir.path().join("links.tsv.1")).unwrap();
    fs::create_dir(&path).unwrap();
    for _ in 0..2 {
        assert!(!journal.check(pending_offset(&journal, cursor)));
        journal.append(Action::Add, &link("", "T"), NOON).unwrap();
        assert_eq!(journal.commit().unwrap_err().to_string(), "not a regular file");
        assert_eq!(pending_titles(&journal, cursor), ["pending", "pending, too"]);
    }
    fs::remove_dir(&path).unwrap();
    assert!(journal.check(pending_offset(&journal, cursor)));
    assert_eq!(pending_titles(&journal, cursor), ["pending", "pending, too"]);
}

#[test]
fn a_journal_that_is_a_symlink_does_not_count_as_replaced() {
    let (dir, path) = place();
    let real = dir.path().join("real.tsv");
    fs::write(&real, "").unwrap();
    symlink(&real, &path).unwrap();
    let mut journal = open(&path);
    save(&mut journal, "one");
    save(&mut journal, "two");
    assert_eq!(titles(&journal), ["two", "one"]);
}

#[test]
fn after_the_journal_is_truncated_saves_go_to_its_new_end() {
    let (_dir, path) = place();
    let mut journal = open(&path);
    let first = save(&mut journal, "one");
    let len = fs::metadata(&path).unwrap().len();
    let second = save(&mut journal, "two");
    OpenOptions::new().write(true).open(&path).unwrap().set_len(len + 9).unwrap();
    assert!(save(&mut journal, "three") > second && second > first);
    assert_eq!(titles(&journal), ["three", "one"]);
    assert!(!fs::read(&path).unwrap().contains(&0));
    assert!(
        skipped(&path, VIEW_WINDOW)
            .unwrap()
            .unwrap()
            .contains("lines skipped: 1; the first is line 2: ")
    );
}

#[test]
fn committing_to_a_removed_or_truncated_file_is_an_error() {
    let ways: [fn(&Path); 3] = [
        |path| fs::remove_file(path).unwrap(),
        |path| fs::rename(path, path.with_extension("old")).unwrap(),
        |path| OpenOptions::new().write(true).open(path).unwrap().set_len(0).unwrap(),
    ];
    for lose in ways {
        let (_dir, path) = place();
        let mut journal = open(&path);
        save(&mut journal, "before");
        journal.append(Action::Add, &link("a", "lost"), NOON).unwrap();
        lose(&path);
        let error = journal.commit().unwrap_err().to_string();
        assert!(error.contains("replaced or truncated"), "{error}");
        journal.commit().unwrap();
        save(&mut journal, "after");
        // A link reported as not saved may exist, if the file was emptied before the write.
        let mut titles = titles(&journal);
        titles.retain(|title| title != "lost");
        assert_eq!(titles, ["after"]);
        assert!(!fs::read(&path).unwrap().contains(&0));
    }
}

#[test]
fn a_batch_that_cannot_be_written_is_not_saved_and_the_next_one_is() {
    let (_dir, path) = place();
    let mut journal = open(&path);
    save(&mut journal, "one");
    for title in ["same batch", "not saved"] {
        journal.append(Action::Add, &link("a", title), NOON).unwrap();
    }
    assert_eq!(
        titles(&journal),
        ["not saved", "same batch", "one"],
        "a command sees the events of earlier ones"
    );
    // /dev/full accepts no bytes and cannot be truncated.
    let full = OpenOptions::new().read(true).append(true).open("/dev/full").unwrap();
    let real = std::mem::replace(&mut journal.file, full);
    assert_eq!(journal.commit().unwrap_err().to_string(), "No space left on device");
    assert!(!journal.check(u64::MAX));
    journal.append(Action::Add, &link("b", "refused"), NOON).unwrap();
    assert!(journal.commit().is_err());
    journal.commit().unwrap();
    journal.file = real;
    // Part of the batch may have been written.
    append_by_hand(&path, b"2026-11-22T12:0");
    assert_eq!(titles(&journal), ["one"], "what will be truncated is not shown");
    save(&mut journal, "two");
    assert_eq!(titles(&journal), ["two", "one"]);
    assert_eq!(warnings(&path, VIEW_WINDOW).unwrap(), [""; 0]);
}

#[test]
fn lines_across_blocks_are_read_whole_and_lines_over_a_block_are_skipped() {
    let comment = |len: usize| "#".repeat(len - 1) + "\n";
    // Puts the block boundary at every byte in and around a line.
    for shift in 0..150 {
        let (_dir, path) = place();
        fs::write(&path, line(1, "a") + &line(2, "b") + &comment(BLOCK - shift) + &line(3, "c"))
            .unwrap();
        assert_eq!(titles(&open(&path)), ["c", "b", "a"], "shift {shift}");
    }
    for long in [BLOCK, BLOCK + 1, 2 * BLOCK, 2 * BLOCK + 1, 5 * BLOCK + 7] {
        for (before, after) in [("", ""), ("", "c"), ("a", ""), ("a", "c")] {
            let (_dir, path) = place();
            let of = |title: &str| if title.is_empty() { String::new() } else { line(1, title) };
            fs::write(&path, of(before) + &comment(long) + &of(after)).unwrap();
            let expected: Vec<_> = [after, before].into_iter().filter(|t| !t.is_empty()).collect();
            assert_eq!(titles(&open(&path)), expected, "{long}");
            let number = if before.is_empty() { 1 } else { 2 };
            let reason = (long > BLOCK).then(|| format!("line {number}: longer than 32 KiB"));
            let text = skipped(&path, VIEW_WINDOW).unwrap();
            assert_eq!(
                text.as_deref().map(|t| t.split("first is ").nth(1).unwrap()),
                reason.as_deref()
            );
        }
    }
}

#[test]
fn a_view_reads_only_its_window_and_delivery_reads_everything_pending() {
    let (_dir, path) = place();
    let wide = ("#".repeat(BLOCK - 1) + "\n").repeat(VIEW_WINDOW as usize / BLOCK);
    fs::write(&path, line(1, "a") + &line(2, "b") + &wide + "bad\n" + &line(4, "c")).unwrap();
    let journal = open(&path);
    assert_eq!(titles(&journal), ["c"]);
    assert_eq!(pending_titles(&journal, OffsetDateTime::UNIX_EPOCH), ["a", "b", "c"]);
    assert_eq!(pending_titles(&journal, time(1)), ["b", "c"]);
    assert_eq!(pending_titles(&journal, time(2)), ["c"]);
    assert_eq!(pending_titles(&journal, time(4)), [""; 0]);
    let text = skipped(&path, VIEW_WINDOW).unwrap().unwrap();
    assert!(
        text.ends_with("lines skipped: 1; the first is line 2 from the end: not a time"),
        "{text}"
    );
}

#[test]
fn the_search_for_a_cursor_without_a_line_ends_after_a_window_of_older_lines() {
    let (_dir, path) = place();
    let wide = ("#".repeat(BLOCK - 1) + "\n").repeat(VIEW_WINDOW as usize / BLOCK);
    // Outside the window, a line is later than the cursor. Searching that far is not required.
    fs::write(
        &path,
        line(7, "hidden")
            + &wide
            + &wide[..BLOCK]
            + &line(1, "old")
            + &line(9, "c")
            + &line(2, "old"),
    )
    .unwrap();
    assert_eq!(pending_titles(&open(&path), time(5)), ["c", "old"]);
    fs::write(&path, line(7, "seen") + &wide[BLOCK..] + &line(1, "old") + &line(9, "c")).unwrap();
    assert_eq!(pending_titles(&open(&path), time(5)), ["seen", "old", "c"]);
    // The distance does not matter: only older lines count toward the window.
    let far = line(5, "done") + &line(7, "a") + &wide + &wide[..BLOCK] + &line(9, "b");
    fs::write(&path, far + &line(1, "old")).unwrap();
    assert_eq!(pending_titles(&open(&path), time(5)), ["a", "b", "old"]);
}

#[test]
fn edits_above_the_cursor_neither_skip_nor_repeat_events() {
    let (_dir, path) = place();
    let whole: Vec<String> = (1..=6).map(|ms| line(ms * 10, &format!("t{ms}"))).collect();
    fs::write(&path, whole.concat()).unwrap();
    let mut journal = open(&path);
    let cursor = time(30);
    let expected = ["t4", "t5", "t6"];
    assert_eq!(pending_titles(&journal, cursor), expected);
    type Edit = fn(&mut Vec<String>);
    let edits: [(&str, Edit); 5] = [
        ("deleted above", |lines| drop(lines.remove(0))),
        ("deleted the cursor's own", |lines| drop(lines.remove(2))),
        ("deleted all above", |lines| drop(lines.drain(..3))),
        ("inserted above", |lines| lines.insert(1, line(15, "inserted"))),
        ("edited above", |lines| lines[1] = line(20, "a-longer-title")),
    ];
    for (edit, make) in edits {
        let mut lines = whole.clone();
        make(&mut lines);
        fs::write(&path, lines.concat()).unwrap();
        journal.check(0);
        assert_eq!(pending_titles(&journal, cursor), expected, "{edit}, while running");
        drop(journal);
        journal = open(&path);
        assert_eq!(pending_titles(&journal, cursor), expected, "{edit}, after a start");
    }
}

#[test]
fn every_line_below_the_cursors_is_pending_whatever_its_time() {
    let (_dir, path) = place();
    let lines = |all: &[u32]| all.iter().map(|&ms| line(ms, &ms.to_string())).collect::<String>();
    let cases: [(&[u32], &[&str]); 6] = [
        (&[10, 20, 30, 5], &["5"]),
        (&[10, 20, 30, 40, 5, 20, 50], &["40", "5", "20", "50"]),
        // Copies and lines with equal times: `find_after` cannot know which are done.
        (&[10, 30, 30, 30], &["30", "30"]),
        (&[10, 20, 30, 10, 20, 30], &["10", "20", "30"]),
        (&[10, 30, 20, 40, 30], &["20", "40", "30"]),
        (&[10, 20, 40, 50, 60, 30], &["40", "50", "60", "30"]),
    ];
    for (all, expected) in cases {
        fs::write(&path, lines(all)).unwrap();
        assert_eq!(pending_titles(&open(&path), time(30)), expected, "{all:?}");
    }
}

#[test]
fn a_link_saved_while_the_cursor_is_in_the_future_is_pending() {
    let (_dir, path) = place();
    let mut journal = open(&path);
    let cursor = OffsetDateTime::now_utc().truncate_to_millisecond() + Duration::days(365);
    journal.raise_last(cursor);
    journal.raise_last(NOON);
    save(&mut journal, "pending");
    assert_eq!(pending_titles(&journal, cursor), ["pending"]);
    assert_eq!(pending(&journal, cursor)[0].time, time(1));
}

/// A simple model of the journal: all links in order, with each event applied as it comes. The
/// flag is true if the link is removed.
#[derive(Default)]
struct Model(Vec<(Entry, bool)>);

impl Model {
    /// False if a title or a removal matches no link.
    fn apply(&mut self, time: OffsetDateTime, action: Action, link: &Link) -> bool {
        let same = |e: &Entry| e.link.channel == link.channel && e.link.url == link.url;
        let nearest = self.0.iter_mut().rev().find(|(entry, removed)| !removed && same(entry));
        match (action, nearest) {
            (Action::Add, _) => {
                self.0.push((Entry { time, link: link.clone(), reposters: vec![] }, false))
            }
            (Action::Title, Some((entry, _))) => entry.link.title = link.title.clone(),
            (Action::Repost, Some((entry, _))) => entry.reposters.push(link.nick.clone()),
            (Action::Remove, Some((_, removed))) => *removed = true,
            (Action::Foreign, _) | (Action::Repost, None) => {}
            (_, None) => return false,
        }
        true
    }

    fn entries(&self) -> Vec<Entry> {
        self.0.iter().filter(|(_, removed)| !removed).map(|(entry, _)| entry.clone()).collect()
    }
}

#[derive(Clone, Debug)]
enum Step {
    Event(Action, usize, i64),
    Commit,
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let action = prop::sample::select(ACTIONS.map(|(_, action)| action).to_vec());
    // Each event's time is within an hour of noon, so the clock jumps in both directions.
    prop_oneof![
        12 => (action, 0..4usize, -3_600_000..3_600_000i64).prop_map(|(a, which, ms)| Step::Event(a, which, ms)),
        2 => Just(Step::Commit),
        1 => Just(Step::Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_view_matches_the_model(steps in prop::collection::vec(step(), 0..60)) {
        let (_dir, path) = place();
        let mut journal = open(&path);
        let (mut model, mut times, mut shown, mut all_match) = (Model::default(), vec![], vec![], true);
        for (i, step) in steps.into_iter().enumerate() {
            match step {
                Step::Event(action, which, ms) => {
                    let now = NOON + Duration::milliseconds(ms);
                    let mut link = link(["a", "b"][which % 2], &format!("title {i}"));
                    link.channel = ["#dev", "#ops"][which / 2].into();
                    link.nick = format!("nick{i}");
                    let time = journal.append(action, &link, now).unwrap();
                    prop_assert!(times.last().is_none_or(|&last| time > last), "times strictly increase");
                    prop_assert!(time >= now || time == link.posted);
                    times.push(time);
                    all_match &= model.apply(time, action, &link);
                    if action != Action::Foreign {
                        shown.push(time);
                    }
                }
                Step::Commit => journal.commit().unwrap(),
                Step::Reopen => {
                    journal.commit().unwrap();
                    drop(journal);
                    journal = open(&path);
                }
            }
        }
        let entries = model.entries();
        let newest: Vec<Entry> = journal.links(VIEW_WINDOW, "", |_| true).map(Result::unwrap).collect();
        prop_assert!(newest.iter().rev().eq(&entries));
        for (url, channel) in [("a", "#dev"), ("b", "#dev"), ("a", "#ops"), ("b", "#ops")] {
            let is_it = |e: &&Entry| e.link.channel == channel && e.link.url == link(url, "").url;
            let spelled = format!("https://www.example.com/{url}/?utm_source=x");
            let found = journal.links(VIEW_WINDOW, &spelled, |name| name == channel).next().transpose().unwrap();
            prop_assert_eq!(found.as_ref(), newest.iter().find(is_it));
        }
        prop_assert!(journal.events(VIEW_WINDOW).map(|e| e.unwrap().time).eq(shown.iter().rev().copied()));
        journal.commit().unwrap();
        prop_assert_eq!(skipped(&path, VIEW_WINDOW).unwrap().is_none(), all_match);
        let cursors = times.iter().flat_map(|&t| [t - Duration::MILLISECOND, t]);
        for cursor in cursors.chain([OffsetDateTime::UNIX_EPOCH]) {
            let after: Vec<_> = pending(&journal, cursor).iter().map(|event| event.time).collect();
            prop_assert!(after.iter().eq(times.iter().filter(|&&t| t > cursor)));
        }
    }

    #[test]
    fn any_bytes_are_accepted_and_no_good_line_among_them_is_lost(
        parts in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..200), any::<bool>()), 0..20),
        cut in prop_oneof![9 => Just(0), 1 => 0..58usize],
    ) {
        let (_dir, path) = place();
        let (mut bytes, mut good) = (vec![], vec![]);
        for (i, (noise, whole)) in parts.iter().enumerate() {
            bytes.extend(noise);
            bytes.push(b'\n');
            if *whole {
                good.push(format!("good{i}"));
                bytes.extend(line(i as u32, &good[good.len() - 1]).bytes());
            }
        }
        bytes.extend(&line(999, "torn").as_bytes()[..cut]);
        fs::write(&path, &bytes).unwrap();
        skipped(&path, VIEW_WINDOW).unwrap();
        let mut journal = open(&path);
        prop_assert!(good.iter().rev().eq(&titles(&journal)));
        good.push("new".into());
        save(&mut journal, "new");
        prop_assert!(good.iter().rev().eq(&titles(&journal)));
    }

    #[test]
    fn any_columns_are_read_or_refused_without_a_panic(
        columns in prop::collection::vec(
            prop_oneof![
                Just("add".to_owned()),
                Just("2026-11-22T10:31:19.123Z".to_owned()),
                Just("http://example.com/".to_owned()),
                "\\PC{0,9}",
                "[0-9TZ:.-]{24}",
                any::<String>(),
            ],
            0..10,
        ),
    ) {
        if let Ok(Some(event)) = parse_line(columns.join("\t").as_bytes()) {
            let line = format_line(&event);
            prop_assert_eq!(parse_line(line.trim_end_matches('\n').as_bytes()).unwrap().unwrap().time, event.time);
        }
    }

    #[test]
    fn a_time_that_is_written_is_read_back(ms in -62_167_219_200_000..253_402_300_800_000i64) {
        let time = OffsetDateTime::UNIX_EPOCH + Duration::milliseconds(ms);
        prop_assert_eq!(parse_time(&format_time(time)), Some(time));
    }
}
