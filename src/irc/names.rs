//! Compares nicks, channel names and masks under the network's case mapping (ISUPPORT CASEMAPPING).

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum CaseMapping {
    Ascii,
    /// `{}|^` are the lower case of `[]\~`.
    Rfc1459,
    /// The same without `^` and `~`.
    Rfc1459Strict,
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

    fn lower(self, byte: u8) -> u8 {
        match byte {
            // In ASCII these follow each other in the same order as their lower case.
            b'[' | b'\\' | b']' if self != CaseMapping::Ascii => byte - b'[' + b'{',
            b'~' if self == CaseMapping::Rfc1459 => b'^',
            _ => byte.to_ascii_lowercase(),
        }
    }

    /// True if both are the same name. Two names that are not ASCII compare by Unicode lower case
    /// too.
    pub fn eq(self, a: &[u8], b: &[u8]) -> bool {
        let mut pairs = a.iter().zip(b);
        a == b
            || a.len() == b.len() && pairs.all(|(&a, &b)| self.lower(a) == self.lower(b))
            || !a.is_ascii() && !b.is_ascii() && eq_unicode(a, b)
    }

    /// True if `name` matches `mask`, where `*` matches any run of bytes and `?` any one byte.
    pub fn fits(self, mask: &[u8], name: &[u8]) -> bool {
        match (mask, name) {
            ([b'*', rest @ ..], _) => (0..=name.len()).any(|skip| self.fits(rest, &name[skip..])),
            ([m, mask @ ..], [n, name @ ..]) => {
                (*m == b'?' || self.lower(*m) == self.lower(*n)) && self.fits(mask, name)
            }
            _ => mask.is_empty() && name.is_empty(),
        }
    }
}

fn eq_unicode(a: &[u8], b: &[u8]) -> bool {
    let (Ok(a), Ok(b)) = (str::from_utf8(a), str::from_utf8(b)) else { return false };
    a.chars().flat_map(char::to_lowercase).eq(b.chars().flat_map(char::to_lowercase))
}

#[cfg(test)]
#[path = "../../tests/unit/names.rs"]
mod tests;
