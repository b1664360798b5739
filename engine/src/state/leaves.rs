//! The leaves of the state's trees: what stands for a record, and those of a block on their way to whoever makes its root.

/// Bytes of a leaf.
pub(super) const LEAF_BYTES: usize = 128;
/// The most canonical bytes that stand in a leaf themselves.
const PLAIN_BYTES_MAX: usize = LEAF_BYTES - 4;

/// The 128 bytes that stand for a record.
pub(super) fn leaf(canonical: &[u8]) -> [u8; LEAF_BYTES] {
    let mut bytes = [0; LEAF_BYTES];
    match bytes.get_mut(..canonical.len()).filter(|_| canonical.len() <= PLAIN_BYTES_MAX) {
        Some(plain) => plain.copy_from_slice(canonical),
        None => bytes[..32].copy_from_slice(&blake3::derive_key("nostro 1 state long", canonical)),
    }
    finish(&mut bytes, canonical.len());
    bytes
}

/// The same of a record that writes so many canonical bytes itself, over whatever was there; they must fit.
#[inline]
pub(super) fn write_leaf<const N: usize>(bytes: &mut [u8; LEAF_BYTES], write: impl FnOnce(&mut [u8; N])) {
    const { assert!(N <= PLAIN_BYTES_MAX) };
    if let Some((own, rest)) = bytes.split_first_chunk_mut() {
        write(own);
        rest.fill(0);
    }
    finish(bytes, N);
}

#[inline]
fn finish(bytes: &mut [u8; LEAF_BYTES], length: usize) {
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    bytes[PLAIN_BYTES_MAX..].copy_from_slice(&length.to_le_bytes());
}

/// Leaves of one tree, by ascending number of their records.
#[derive(Debug, Default)]
pub(crate) struct LeafRun {
    pub(super) numbers: Vec<u32>,
    pub(super) leaves: Vec<[u8; LEAF_BYTES]>,
    /// Records that don't fit into theirs: the place among the leaves, and how many of the bytes are theirs.
    long: Vec<(usize, usize)>,
    bytes: Vec<u8>,
}

impl LeafRun {
    /// Enters a record by its canonical bytes. Hashes nothing.
    #[inline]
    pub(crate) fn push(&mut self, number: u32, canonical: &[u8]) {
        if canonical.len() > PLAIN_BYTES_MAX {
            self.long.push((self.leaves.len(), canonical.len()));
            self.bytes.extend_from_slice(canonical);
            self.leaves.push([0; LEAF_BYTES]);
        } else {
            self.leaves.push(leaf(canonical));
        }
        self.numbers.push(number);
    }

    /// Makes the leaves of records that don't fit into theirs.
    pub(super) fn finish(&mut self) {
        let mut rest = self.bytes.as_slice();
        for (place, length) in self.long.drain(..) {
            let Some((own, after)) = rest.split_at_checked(length) else { return };
            rest = after;
            if let Some(place) = self.leaves.get_mut(place) {
                *place = leaf(own);
            }
        }
    }

    fn clear(&mut self) {
        self.numbers.clear();
        self.leaves.clear();
        self.long.clear();
        self.bytes.clear();
    }
}

/// The leaves of everything that a block has changed, and how many records of each kind there are after it.
#[derive(Debug, Default)]
pub(crate) struct Leaves {
    pub counts: [u32; 3],
    pub accounts: LeafRun,
    pub assets: LeafRun,
    pub entries: LeafRun,
}

impl Leaves {
    /// Makes room for another block's.
    pub(crate) fn clear(&mut self) {
        [&mut self.accounts, &mut self.assets, &mut self.entries].into_iter().for_each(LeafRun::clear);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leaf_is_one_for_each_record() {
        // Zeros at the end and long records are told apart.
        let all = [leaf(&[1]), leaf(&[1, 0]), leaf(&[0; 124]), leaf(&[0; 125]), leaf(&[])];
        for (n, one) in all.iter().enumerate() {
            assert!(all.iter().skip(n + 1).all(|other| other != one));
        }
    }
}
