//! Byte searches. They run for every line of IRC, and for up to 1 MiB of the journal at every save,
//! so they are written for the compiler to vectorize, 16 bytes at a time. `position` compares byte
//! by byte, and a call to memchr takes longer because the byte is usually near.

/// The index of the first `byte` in `text`.
// Inlined to let the compiler know `byte`, which saves 2 ns per line (`cargo bench -- floods`).
#[inline(always)]
pub fn find(byte: u8, text: &[u8]) -> Option<usize> {
    let (blocks, rest) = text.as_chunks();
    match blocks.iter().position(|block| has(byte, block)) {
        Some(n) => blocks[n].iter().position(|&b| b == byte).map(|at| 16 * n + at),
        // The last 16 bytes include all of `rest`.
        None if text.last_chunk().is_some_and(|last| !has(byte, last)) => None,
        None => rest.iter().position(|&b| b == byte).map(|at| text.len() - rest.len() + at),
    }
}

/// The index of the last `byte` in `text`.
pub fn rfind(byte: u8, text: &[u8]) -> Option<usize> {
    let (_, blocks) = text.as_rchunks();
    let passed = 16 * blocks.iter().rev().take_while(|block| !has(byte, block)).count();
    text[..text.len() - passed].iter().rposition(|&b| b == byte)
}

fn has(byte: u8, block: &[u8; 16]) -> bool {
    block.iter().fold(false, |found, &b| found | (b == byte))
}
