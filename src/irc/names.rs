//! How names compare: case mappings (ISUPPORT CASEMAPPING) and masks.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CaseMapping {
    Ascii,
    /// `{}|^` are the small forms of `[]\~`.
    Rfc1459,
    /// The same without `^` and `~`.
    Rfc1459Strict,
}

impl CaseMapping {
    /// The mapping that ISUPPORT names; an unknown one is taken for `rfc1459`.
    pub fn named(name: &str) -> CaseMapping {
        match name {
            "ascii" => CaseMapping::Ascii,
            "rfc1459-strict" | "strict-rfc1459" => CaseMapping::Rfc1459Strict,
            _ => CaseMapping::Rfc1459,
        }
    }

    fn lower(self, byte: u8) -> u8 {
        match byte {
            // ASCII has these and their small forms in the same order.
            b'[' | b'\\' | b']' if self != CaseMapping::Ascii => byte - b'[' + b'{',
            b'~' if self == CaseMapping::Rfc1459 => b'^',
            _ => byte.to_ascii_lowercase(),
        }
    }

    pub fn eq(self, a: &[u8], b: &[u8]) -> bool {
        a.len() == b.len() && a.iter().zip(b).all(|(&a, &b)| self.lower(a) == self.lower(b))
    }

    /// Whether `name` fits `mask`, in which `*` stands for any run of bytes and `?` for any one.
    pub fn fits(self, mask: &[u8], name: &[u8]) -> bool {
        match (mask, name) {
            ([b'*', rest @ ..], _) => (0..=name.len()).any(|under| self.fits(rest, &name[under..])),
            ([b'?', mask @ ..], [_, name @ ..]) => self.fits(mask, name),
            ([m, mask @ ..], [n, name @ ..]) => {
                self.lower(*m) == self.lower(*n) && self.fits(mask, name)
            }
            _ => mask.is_empty() && name.is_empty(),
        }
    }
}

#[cfg(test)]
#[path = "../../tests/unit/names.rs"]
mod tests;
