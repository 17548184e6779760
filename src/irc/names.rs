//! Compares nicks, channel names and masks under the network's case mapping (ISUPPORT CASEMAPPING).

use super::message::text;

/// Each byte from `A` to the value of the variant has a lower case, which is 32 higher.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum CaseMapping {
    Ascii = b'Z',
    /// `{}|` are the lower case of `[]\`.
    Rfc1459Strict = b']',
    /// Also, `^` and `~` are two cases of one letter.
    Rfc1459 = b'^',
}

impl CaseMapping {
    /// The mapping that ISUPPORT names; `rfc1459` if the name is unknown.
    pub fn named(name: &str) -> CaseMapping {
        match name {
            "ascii" => CaseMapping::Ascii,
            "rfc1459-strict" | "strict-rfc1459" => CaseMapping::Rfc1459Strict,
            _ => CaseMapping::Rfc1459,
        }
    }

    fn lower(self, byte: &u8) -> u8 {
        if (b'A'..=self as u8).contains(byte) { byte + 32 } else { *byte }
    }

    /// True if both are the same name. Two names that are not ASCII compare by Unicode lower case
    /// too.
    pub fn eq(self, a: impl AsRef<[u8]>, b: impl AsRef<[u8]>) -> bool {
        let (a, b) = (a.as_ref(), b.as_ref());
        let lower = |byte| self.lower(byte);
        a == b
            || a.iter().map(lower).eq(b.iter().map(lower))
            || !a.is_ascii() && !b.is_ascii() && text(a).to_lowercase() == text(b).to_lowercase()
    }

    /// True if `name` matches `mask`, where `*` matches any run of bytes and `?` any one byte.
    pub fn fits(self, mask: &[u8], name: &[u8]) -> bool {
        match (mask, name) {
            ([b'*', rest @ ..], _) => (0..=name.len()).any(|skip| self.fits(rest, &name[skip..])),
            ([m, mask @ ..], [n, name @ ..]) => {
                (*m == b'?' || self.lower(m) == self.lower(n)) && self.fits(mask, name)
            }
            // Equal only if both are empty.
            _ => mask == name,
        }
    }
}
