//! The arguments, and bot.conf as it is checked.

mod common;

use common::bot::Home;

#[test]
fn wrong_usage_is_status_2() {
    let home = Home::new("");
    assert_eq!(home.run(&[]).status, Some(2));
}
