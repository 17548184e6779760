use proptest::prelude::*;

use crate::bytes::*;

proptest! {
    #[test]
    fn the_first_and_the_last_byte_are_found_in_any_text(
        // One byte in four is an `a`, so texts have none, one or several.
        text in prop::collection::vec(prop_oneof![3 => any::<u8>(), 1 => Just(b'a')], 0..100),
        // Most blocks of 16 bytes have none.
        sparse in prop::collection::vec(prop_oneof![30 => Just(0), 1 => Just(b'a')], 0..100),
    ) {
        for text in [text, sparse] {
            prop_assert_eq!(find(b'a', &text), text.iter().position(|&b| b == b'a'));
            prop_assert_eq!(rfind(b'a', &text), text.iter().rposition(|&b| b == b'a'));
        }
    }
}
