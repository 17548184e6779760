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
    pub fn named(name: &[u8]) -> CaseMapping {
        match name {
            b"ascii" => CaseMapping::Ascii,
            b"rfc1459-strict" | b"strict-rfc1459" => CaseMapping::Rfc1459Strict,
            _ => CaseMapping::Rfc1459,
        }
    }

    fn lower(self, byte: u8) -> u8 {
        match (self, byte) {
            (CaseMapping::Ascii, _) => byte.to_ascii_lowercase(),
            (_, b'[') => b'{',
            (_, b']') => b'}',
            (_, b'\\') => b'|',
            (CaseMapping::Rfc1459, b'~') => b'^',
            _ => byte.to_ascii_lowercase(),
        }
    }

    pub fn eq(self, a: &[u8], b: &[u8]) -> bool {
        a.len() == b.len() && a.iter().zip(b).all(|(&a, &b)| self.lower(a) == self.lower(b))
    }

    /// Whether `name` fits `mask`, in which `*` stands for any run of bytes and `?` for any one.
    pub fn fits(self, mask: &[u8], name: &[u8]) -> bool {
        let (mut m, mut n) = (0, 0);
        // Where to go on when what follows the last `*` does not fit: with one more byte under it.
        let mut star = None;
        while n < name.len() {
            match mask.get(m) {
                Some(b'*') => {
                    star = Some((m, n));
                    m += 1;
                }
                Some(&b) if b == b'?' || self.lower(b) == self.lower(name[n]) => {
                    m += 1;
                    n += 1;
                }
                _ => match &mut star {
                    Some((at, under)) => {
                        *under += 1;
                        (m, n) = (*at + 1, *under);
                    }
                    None => return false,
                },
            }
        }
        mask[m..].iter().all(|&b| b == b'*')
    }
}

#[cfg(test)]
#[path = "../../tests/unit/names.rs"]
mod tests;
