use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use proptest::prelude::*;
use tempfile::TempDir;
use time::macros::datetime;

use super::*;

const NOON: OffsetDateTime = datetime!(2026-11-22 12:00:00 UTC);

/// A folder of its own for each test, and the path of a journal in it.
fn place() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("links.tsv");
    (folder, path)
}

fn open(path: &Path) -> Journal {
    Journal::open(path).unwrap()
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

/// Saves a link, a second after the one before it.
fn save(journal: &mut Journal, title: &str) -> OffsetDateTime {
    let time = journal.append(Action::Add, &link("x", title), NOON).unwrap();
    journal.commit().unwrap();
    time
}

fn append_by_hand(path: &Path, bytes: &[u8]) {
    OpenOptions::new().append(true).open(path).unwrap().write_all(bytes).unwrap();
}

fn titles(journal: &Journal) -> Vec<String> {
    journal.newest_first().map(|entry| entry.unwrap().link.title).collect()
}

fn owed(journal: &mut Journal, cursor: Option<OffsetDateTime>) -> Vec<String> {
    after(journal, cursor).into_iter().map(|entry| entry.link.title).collect()
}

fn after(journal: &Journal, cursor: Option<OffsetDateTime>) -> Vec<Entry> {
    let entries = standing(journal.after(cursor.unwrap_or(OffsetDateTime::UNIX_EPOCH)));
    let mut entries: Vec<Entry> = entries.map(Result::unwrap).collect();
    entries.reverse();
    entries
}

fn error(path: &Path) -> String {
    Journal::open(path).err().unwrap()
}

/// A line by hand, `ms` after noon.
fn line(ms: u32, title: &str) -> String {
    format!("2026-11-22T12:00:00.{ms:03}Z\tadd\t#dev\tbob\t\thttp://example.com/{title}\t{title}\n")
}

#[test]
fn an_event_is_one_line_of_seven_columns_and_an_eighth_where_it_was_posted_at_another_time() {
    let (_folder, path) = place();
    let mut journal = open(&path);
    let now = datetime!(2026-11-22 10:31:19.123999 UTC);
    let mut link = Link { account: "al".into(), posted: now - Duration::SECOND, ..link("", "Title For Link") };
    journal.append(Action::Add, &link, now).unwrap();
    link.posted = datetime!(2026-11-22 10:29:00.5 UTC);
    journal.append(Action::Remove, &Link { title: String::new(), ..link.clone() }, now).unwrap();
    journal.commit().unwrap();
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        "2026-11-22T10:31:19.123Z\tadd\t#dev\talice\tal\thttp://example.com/\tTitle For Link\n\
         2026-11-22T10:31:19.124Z\tremove\t#dev\talice\tal\thttp://example.com/\t\t2026-11-22T10:29:00.500Z\n"
    );
    let events: Vec<Event> = journal.events().map(Result::unwrap).collect();
    assert_eq!(events[0].link.posted, link.posted);
    assert_eq!(events[1].link.posted, events[1].time, "within a second it is the event's own");
    assert_eq!(skipped(&path).unwrap(), None);
}

#[test]
fn a_tab_or_line_end_from_a_lying_server_makes_no_column_and_no_line() {
    let (_folder, path) = place();
    let mut journal = open(&path);
    let link = Link { nick: "a\tb".into(), account: "c\r\nd".into(), ..link("", "T") };
    journal.append(Action::Add, &link, NOON).unwrap();
    let event = journal.events().next().unwrap().unwrap();
    assert_eq!((event.link.nick.as_str(), event.link.account.as_str()), ("ab", "cd"));
    assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 1);
}

#[test]
fn a_time_is_spelt_one_way_only() {
    let text = "2026-11-22T10:31:19.123Z";
    assert_eq!(parse_time(text), Some(datetime!(2026-11-22 10:31:19.123 UTC)));
    assert_eq!(format_time(datetime!(2026-11-22 11:31:19.123_9 +1)), text);
    for bad in [
        "",
        "2026-11-22T10:31:19Z",
        "2026-11-22 10:31:19.123Z",
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
fn a_malformed_line_is_skipped_and_said_with_its_number() {
    let good = line(1, "good");
    for (bad, why) in [
        (good.replace("add", "burn"), "unknown action"),
        (good.replace("T12", " 12"), "not a time"),
        (good.replace("\tbob", ""), "fewer than seven columns"),
        (good.replace('\n', "\t2026-11-22T12:00\n"), "not a time of posting"),
        (good.replace('\n', "\t2026-11-22T12:00:00.000Z\tx\n"), "more than eight columns"),
        (good.replace("http:", "ftp:"), "not an address"),
        (good.replace("example.com/good", ""), "not an address"),
        (good.replace("com/", "com/ "), "not an address"),
        (good.replace("com/", &"x".repeat(1000)), "not an address"),
        (good.replace("\tgood", "\t"), "no title"),
        (good.replace("\tgood", "\t\x02 "), "no title"),
        (good.replace("bob", "b\x02b"), "a control character"),
    ] {
        let (_folder, path) = place();
        fs::write(&path, format!("# a comment\n\n{bad}{good}")).unwrap();
        assert_eq!(skipped(&path).unwrap(), Some(format!("{}: 1 line is skipped: line 3 ({why})", path.display())));
        assert_eq!(titles(&open(&path)), ["good"]);
    }
}

#[test]
fn a_title_that_someone_has_edited_is_read_as_if_it_had_been_posted() {
    let (_folder, path) = place();
    fs::write(&path, line(1, "good").replace("\tgood", "\ttwo  blanks, \x0304red\x0f and\x01 controls ")).unwrap();
    assert_eq!(skipped(&path).unwrap(), None);
    assert_eq!(titles(&open(&path)), ["two blanks, red and controls"]);
}

#[test]
fn only_the_first_of_many_malformed_lines_are_named_and_a_torn_one_is_mentioned() {
    let (_folder, path) = place();
    assert_eq!(skipped(&path).unwrap(), None, "no file, nothing to say");
    fs::write(&path, b"a\n\xff\n# c\nb\n2026").unwrap();
    let text = skipped(&path).unwrap().unwrap();
    assert!(
        text.ends_with(
            ": 4 lines are skipped: line 1 (fewer than seven columns), line 2 (not UTF-8), \
             line 4 (fewer than seven columns), line 5 (torn: it has no line end)"
        ),
        "{text}"
    );
    fs::write(&path, "x\n".repeat(9)).unwrap();
    let text = skipped(&path).unwrap().unwrap();
    assert!(text.contains(": 9 lines are skipped: line 1 ("), "{text}");
    assert!(text.ends_with("line 5 (fewer than seven columns), and 4 more"), "{text}");
    assert!(skipped(path.parent().unwrap()).is_err());
}

#[test]
fn dos_line_ends_are_understood() {
    let (_folder, path) = place();
    fs::write(&path, format!("\r\n# c\r\n{}", line(1, "good").replace('\n', "\r\n"))).unwrap();
    assert_eq!(titles(&open(&path)), ["good"]);
    assert_eq!(skipped(&path).unwrap(), None);
}

#[test]
fn a_torn_last_line_is_cut_off_at_start() {
    let (_folder, path) = place();
    for torn in ["2", &line(2, "torn")[..60], line(2, "torn").trim_end(), &"x".repeat(200_000)] {
        fs::write(&path, line(1, "whole") + torn).unwrap();
        assert_eq!(titles(&open(&path)), ["whole"]);
        assert_eq!(fs::read_to_string(&path).unwrap(), line(1, "whole"));
    }
    fs::write(&path, "never a line end").unwrap();
    open(&path);
    assert_eq!(fs::read(&path).unwrap(), b"");
}

#[test]
fn a_second_linkbot_is_kept_out_until_the_first_has_ended() {
    let (_folder, path) = place();
    let first = open(&path);
    assert_eq!(error(&path), format!("{}: in use by another linkbot; stop that one first", path.display()));
    drop(first);
    open(&path);
}

#[test]
fn what_cannot_be_a_journal_is_one_line_with_its_name() {
    let (folder, path) = place();
    let pipe = Path::new("/dev/null");
    for (path, what) in [
        (folder.path(), "Is a directory"),
        (pipe, "not a regular file"),
        (&folder.path().join("none/links.tsv"), "No such file or directory"),
    ] {
        let text = error(path);
        assert!(text.starts_with(&format!("{}: {what}; the journal must be", path.display())), "{text}");
        assert!(!text.contains('\n') && !text.contains("os error"), "{text}");
    }
    assert!(!path.exists());
}

#[test]
fn lines_that_others_append_are_seen_and_kept_and_stay_lines_of_their_own() {
    let (_folder, path) = place();
    let mut journal = open(&path);
    save(&mut journal, "one");
    append_by_hand(&path, line(900, "by-hand").as_bytes());
    assert_eq!(titles(&journal), ["by-hand", "one"], "seen before the next save");
    assert_eq!(owed(&mut journal, None), ["one", "by-hand"]);
    let time = save(&mut journal, "two");
    assert_eq!(format_time(time), "2026-11-22T12:00:00.901Z", "behind the line by hand");
    append_by_hand(&path, line(950, "half").trim_end().as_bytes());
    assert_eq!(titles(&journal)[0], "two", "a line counts when it has its end");
    let time = save(&mut journal, "three");
    assert_eq!(titles(&journal), ["three", "half", "two", "by-hand", "one"]);
    assert!(time > NOON);
    assert_eq!(skipped(&path).unwrap(), None);
}

#[test]
fn an_old_line_appended_by_hand_sets_no_time_back() {
    let (_folder, path) = place();
    fs::write(&path, line(500, "new") + &line(1, "old")).unwrap();
    let mut journal = open(&path);
    let time = journal.append(Action::Add, &link("", "T"), datetime!(2020-01-01 0:00 UTC)).unwrap();
    assert_eq!(format_time(time), "2026-11-22T12:00:00.501Z");
}

#[test]
fn at_the_end_of_time_a_save_is_refused_and_nothing_panics() {
    let (_folder, path) = place();
    fs::write(&path, line(1, "late").replace("2026-11-22T12:00:00.001", "9999-12-31T23:59:59.999")).unwrap();
    assert!(open(&path).append(Action::Add, &link("", "T"), NOON).is_err());
}

#[test]
fn after_the_journal_is_replaced_or_deleted_saves_go_to_the_file_there_now_with_later_times() {
    let (folder, path) = place();
    let mut journal = open(&path);
    let first = save(&mut journal, "one");
    fs::rename(&path, folder.path().join("links.tsv.1")).unwrap();
    assert!(save(&mut journal, "two") > first);
    assert_eq!(titles(&open(&folder.path().join("links.tsv.1"))), ["one"]);
    assert_eq!(titles(&journal), ["two"]);
    fs::remove_file(&path).unwrap();
    save(&mut journal, "three");
    let new = folder.path().join("new");
    fs::write(&new, line(900, "put-there") + "torn").unwrap();
    fs::rename(&new, &path).unwrap();
    save(&mut journal, "four");
    assert_eq!(titles(&journal), ["four", "put-there"]);
    assert!(error(&path).contains("in use"), "the new file is locked too");
}

#[test]
fn a_file_put_there_by_another_linkbot_is_not_written_to() {
    let (folder, path) = place();
    let mut journal = open(&path);
    let other = folder.path().join("other");
    let theirs = open(&other);
    fs::rename(&other, &path).unwrap();
    let error = journal.append(Action::Add, &link("", "T"), NOON).unwrap_err();
    assert!(error.to_string().contains("in use by another linkbot"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), b"");
    drop(theirs);
    save(&mut journal, "T");
}

#[test]
fn a_journal_behind_a_symbolic_link_is_the_same_file_and_not_a_replaced_one() {
    let (folder, path) = place();
    let real = folder.path().join("real.tsv");
    fs::write(&real, "").unwrap();
    symlink(&real, &path).unwrap();
    let mut journal = open(&path);
    save(&mut journal, "one");
    save(&mut journal, "two");
    assert_eq!(titles(&journal), ["two", "one"]);
}

#[test]
fn a_journal_cut_short_is_gone_on_with_at_its_new_end() {
    let (_folder, path) = place();
    let mut journal = open(&path);
    let first = save(&mut journal, "one");
    let len = fs::metadata(&path).unwrap().len();
    let second = save(&mut journal, "two");
    OpenOptions::new().write(true).open(&path).unwrap().set_len(len + 9).unwrap();
    assert!(save(&mut journal, "three") > second && second > first);
    assert_eq!(titles(&journal), ["three", "one"]);
    assert!(!fs::read(&path).unwrap().contains(&0));
    assert!(skipped(&path).unwrap().unwrap().contains("1 line is skipped: line 2 "));
}

#[test]
fn a_batch_whose_file_went_away_under_it_is_not_called_saved() {
    // Each way to lose it, before a further link of the same batch and without one.
    let ways: [fn(&Path); 3] = [
        |path| fs::remove_file(path).unwrap(),
        |path| fs::rename(path, path.with_extension("old")).unwrap(),
        |path| OpenOptions::new().write(true).open(path).unwrap().set_len(0).unwrap(),
    ];
    for lose in ways {
        for further in [false, true] {
            let (_folder, path) = place();
            let mut journal = open(&path);
            save(&mut journal, "before");
            journal.append(Action::Add, &link("a", "lost"), NOON).unwrap();
            lose(&path);
            if further {
                journal.append(Action::Add, &link("b", "further"), NOON).unwrap();
            }
            let error = journal.commit().unwrap_err().to_string();
            assert!(error.contains("meanwhile"), "{error}");
            journal.commit().unwrap();
            save(&mut journal, "after");
            assert_eq!(titles(&journal), ["after"]);
        }
    }
}

#[test]
fn a_full_disk_is_said_in_the_systems_words_and_the_next_save_works() {
    let (_folder, path) = place();
    let mut journal = open(&path);
    save(&mut journal, "one");
    journal.append(Action::Add, &link("a", "same batch"), NOON).unwrap();
    // /dev/full takes no byte and cannot be cut back either, as a disk that is worse than full.
    let full = OpenOptions::new().read(true).append(true).open("/dev/full").unwrap();
    let real = std::mem::replace(&mut journal.file, full);
    let error = journal.append(Action::Add, &link("b", "not saved"), NOON).unwrap_err();
    assert_eq!(log::os(&error), "No space left on device");
    assert!(journal.append(Action::Add, &link("b", "not saved"), NOON).is_err(), "not before it is cut back");
    journal.file = real;
    append_by_hand(&path, b"2026-11-22T12:0");
    journal.append(Action::Add, &link("c", "same batch"), NOON).unwrap();
    assert!(journal.commit().is_err(), "the batch went with the rubbish");
    save(&mut journal, "two");
    assert_eq!(titles(&journal), ["two", "one"]);
    assert_eq!(skipped(&path).unwrap(), None);
}

#[test]
fn after_a_failed_sync_nothing_is_saved_until_the_file_is_cut_back_and_synced() {
    let (_folder, path) = place();
    let mut journal = open(&path);
    save(&mut journal, "one");
    journal.append(Action::Add, &link("a", "lost"), NOON).unwrap();
    let full = OpenOptions::new().read(true).append(true).open("/dev/full").unwrap();
    let real = std::mem::replace(&mut journal.file, full);
    let error = log::os(&journal.commit().unwrap_err());
    assert!(!error.is_empty() && !error.contains("os error"), "{error}");
    assert!(journal.append(Action::Add, &link("b", "refused"), NOON).is_err());
    assert!(journal.commit().is_err());
    journal.file = real;
    assert_eq!(titles(&journal), ["one"], "what is to be cut off is not shown");
    save(&mut journal, "two");
    assert_eq!(titles(&journal), ["two", "one"]);
}

#[test]
fn lines_that_cross_a_block_are_read_whole_and_longer_ones_are_skipped() {
    let comment = |len: usize| "#".repeat(len - 1) + "\n";
    // The block's border on every byte around a line, from within the first block to behind it.
    for shift in 0..150 {
        let (_folder, path) = place();
        fs::write(&path, line(1, "a") + &line(2, "b") + &comment(BLOCK - shift) + &line(3, "c")).unwrap();
        assert_eq!(titles(&open(&path)), ["c", "b", "a"], "shift {shift}");
    }
    for long in [BLOCK, BLOCK + 1, 2 * BLOCK, 2 * BLOCK + 1, 5 * BLOCK + 7] {
        for (before, after) in [("", ""), ("", "c"), ("a", ""), ("a", "c")] {
            let (_folder, path) = place();
            let of = |title: &str| if title.is_empty() { String::new() } else { line(1, title) };
            fs::write(&path, of(before) + &comment(long) + &of(after)).unwrap();
            let expected: Vec<_> = [after, before].into_iter().filter(|t| !t.is_empty()).collect();
            assert_eq!(titles(&open(&path)), expected, "{long}");
            let number = if before.is_empty() { 1 } else { 2 };
            let said = (long > BLOCK).then(|| format!("line {number} (longer than 64 KiB)"));
            let text = skipped(&path).unwrap();
            assert_eq!(text.as_deref().map(|t| t.split("skipped: ").nth(1).unwrap()), said.as_deref());
        }
    }
}

#[test]
fn lines_deleted_inserted_or_edited_above_the_cursor_neither_skip_nor_repeat() {
    let (_folder, path) = place();
    let whole: Vec<String> = (1..=6).map(|ms| line(ms * 10, &format!("t{ms}"))).collect();
    fs::write(&path, whole.concat()).unwrap();
    let mut journal = open(&path);
    let cursor = after(&journal, None).get(2).map(|entry| entry.time);
    let expected = ["t4", "t5", "t6"];
    assert_eq!(owed(&mut journal, cursor), expected);
    type Edit = fn(&mut Vec<String>);
    let edits: [(&str, Edit); 6] = [
        ("deleted above", |lines| drop(lines.remove(0))),
        ("deleted the cursor's own", |lines| drop(lines.remove(2))),
        ("deleted all above", |lines| drop(lines.drain(..3))),
        ("inserted above", |lines| lines.insert(1, line(15, "inserted"))),
        ("edited above", |lines| lines[1] = line(20, "a-longer-title")),
        ("appended an old line", |lines| lines.push(line(5, "old"))),
    ];
    for (edit, make) in edits {
        let mut lines = whole.clone();
        make(&mut lines);
        fs::write(&path, lines.concat()).unwrap();
        assert_eq!(owed(&mut journal, cursor), expected, "{edit}, while running");
        assert_eq!(owed(&mut journal, cursor), expected, "{edit}, asked again");
        drop(journal);
        journal = open(&path);
        assert_eq!(owed(&mut journal, cursor), expected, "{edit}, after a start");
    }
}

#[test]
fn a_link_posted_beside_a_cursor_from_the_future_is_still_owed() {
    let (_folder, path) = place();
    let mut journal = open(&path);
    let time = datetime!(2027-11-22 12:00 UTC);
    let cursor = Some(time);
    assert_eq!(owed(&mut journal, cursor), [""; 0]);
    journal.not_before(time);
    save(&mut journal, "owed");
    assert_eq!(owed(&mut journal, cursor), ["owed"]);
    assert_eq!(after(&journal, cursor)[0].link.posted, NOON);
}

/// What a journal says, by the plainest means: all links in order, each event applied as it comes.
#[derive(Default)]
struct Model(Vec<(Entry, bool)>);

impl Model {
    fn apply(&mut self, time: OffsetDateTime, action: Action, link: &Link) {
        let same = |e: &Entry| e.link.channel == link.channel && e.link.url == link.url;
        let nearest = self.0.iter_mut().rev().find(|(entry, removed)| !removed && same(entry));
        match (action, nearest) {
            (Action::Add, _) => self.0.push((Entry { time, link: link.clone(), again: vec![] }, false)),
            (Action::Title, Some((entry, _))) => entry.link.title = link.title.clone(),
            (Action::Again, Some((entry, _))) => entry.again.push(link.nick.clone()),
            (Action::Remove, Some((_, removed))) => *removed = true,
            (_, None) => {}
        }
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
    let action = prop::sample::select(Action::NAMES.map(|(_, action)| action).to_vec());
    // The clock jumps about by up to an hour between any two events.
    prop_oneof![
        12 => (action, 0..4usize, -3_600_000..3_600_000i64).prop_map(|(a, which, ms)| Step::Event(a, which, ms)),
        2 => Just(Step::Commit),
        1 => Just(Step::Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_view_tells_what_the_plain_model_tells(steps in prop::collection::vec(step(), 0..60)) {
        let (_folder, path) = place();
        let mut journal = open(&path);
        let (mut model, mut times) = (Model::default(), vec![]);
        for (i, step) in steps.into_iter().enumerate() {
            match step {
                Step::Event(action, which, ms) => {
                    let now = NOON + Duration::milliseconds(ms);
                    let mut link = link(["a", "b"][which % 2], &format!("title {i}"));
                    link.channel = ["#dev", "#ops"][which / 2].into();
                    link.nick = format!("nick{i}");
                    let time = journal.append(action, &link, now).unwrap();
                    prop_assert!(times.last().is_none_or(|&last| time > last), "times strictly increase");
                    prop_assert!(time >= now);
                    times.push(time);
                    if (link.posted - time).abs() <= Duration::SECOND {
                        link.posted = time;
                    }
                    model.apply(time, action, &link);
                }
                Step::Commit => journal.commit().unwrap(),
                Step::Reopen => {
                    drop(journal);
                    journal = open(&path);
                }
            }
        }
        let entries = model.entries();
        let newest: Vec<Entry> = journal.newest_first().map(Result::unwrap).collect();
        prop_assert!(newest.iter().rev().eq(&entries));
        prop_assert!(journal.events().map(|e| e.unwrap().time).eq(times.iter().rev().copied()));
        prop_assert_eq!(skipped(&path).unwrap(), None);
        let cursors = times.iter().flat_map(|&t| [t - Duration::MILLISECOND, t]).map(Some);
        for cursor in std::iter::once(None).chain(cursors) {
            let expected: Vec<_> = entries.iter().filter(|e| cursor.is_none_or(|c| e.time > c)).cloned().collect();
            prop_assert_eq!(after(&journal, cursor), expected);
        }
    }

    #[test]
    fn any_bytes_are_a_journal_and_no_good_line_among_them_is_lost(
        parts in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..200), any::<bool>()), 0..20),
        cut in prop_oneof![9 => Just(0), 1 => 0..67usize],
    ) {
        let (_folder, path) = place();
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
        skipped(&path).unwrap();
        let mut journal = open(&path);
        let all = after(&journal, None);
        prop_assert!(good.iter().eq(all.iter().map(|entry| &entry.link.title)));
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
            let mut line = String::new();
            format_line(&mut line, event.time, event.action, &event.link);
            prop_assert_eq!(parse_line(line.trim_end_matches('\n').as_bytes()).unwrap().unwrap().time, event.time);
        }
    }

    #[test]
    fn a_time_that_is_written_is_read_again(ms in -62_167_219_200_000..253_402_300_800_000i64) {
        let time = OffsetDateTime::UNIX_EPOCH + Duration::milliseconds(ms);
        prop_assert_eq!(parse_time(&format_time(time)), Some(time));
    }
}
