//! The signers of a batch as points: from the cache, or decoded, and where it pays `2¹²⁷` times them.

#![expect(clippy::cast_possible_truncation, reason = "a batch has at most 2¹³ items, and rows for thrice as many")]

use super::decode::Decode;
use super::doubled::Doubled;
use super::{Machine, NielsRow, VectorVerifier};

/// Rows before those of the signers: the identity, `−B`, `−2¹²⁷·B`.
pub(crate) const FIXED_ROWS: usize = 3;

/// The rows of a batch: the fixed ones, `A` of every signer, `2¹²⁷·A` of every signer, then whatever else the batch needs.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    pub(crate) rows: Vec<NielsRow>,
    signers: Vec<Signer>,
    /// Numbers of signers for which something is computed, and its rows.
    chosen: Vec<u32>,
    inputs: Vec<NielsRow>,
    outputs: Vec<NielsRow>,
    decoded: Vec<bool>,
}

/// What is known of a signer.
#[derive(Clone, Copy, Debug, Default)]
struct Signer {
    /// `A` is a point, and its row is there.
    decoded: bool,
    /// The row of `2¹²⁷·A` is there.
    doubled: bool,
    /// The rows came from the cache.
    cached: bool,
    /// The cache will have the rows if a signature is valid.
    admitted: bool,
}

impl Roster {
    /// Finds or decodes the signers with these keys.
    pub(crate) fn prepare<M: Machine>(&mut self, verifier: &VectorVerifier<M>, keys: &[&[u8; 32]]) {
        let [identity, ..] = verifier.fixed;
        self.rows.clear();
        self.rows.extend_from_slice(&verifier.fixed);
        self.rows.resize(FIXED_ROWS + 2 * keys.len(), identity);
        self.signers.clear();
        self.signers.resize(keys.len(), Signer::default());
        self.chosen.clear();
        let mut encodings = Vec::new();
        for (number, (key, signer)) in (0_u32..).zip(keys.iter().zip(&mut self.signers)) {
            match verifier.cache.get(&verifier.key_hash, key) {
                Some([row, doubled]) => {
                    *signer = Signer { decoded: true, doubled: true, cached: true, admitted: false };
                    self.rows[FIXED_ROWS + number as usize] = row;
                    self.rows[FIXED_ROWS + keys.len() + number as usize] = doubled;
                }
                None => {
                    self.chosen.push(number);
                    encodings.push(*key);
                }
            }
        }
        self.outputs.clear();
        self.outputs.resize(encodings.len(), identity);
        self.decoded.clear();
        self.decoded.resize(encodings.len(), false);
        let (rows, decoded) = (&mut self.outputs, &mut self.decoded);
        verifier.machine.run(Decode { encodings: &encodings, rows, decoded });
        for ((number, row), decoded) in self.chosen.iter().zip(&self.outputs).zip(&self.decoded) {
            if *decoded {
                self.signers[*number as usize].decoded = true;
                self.rows[FIXED_ROWS + *number as usize] = *row;
            }
        }
    }

    /// Computes `2¹²⁷·A` for the signers that are worth it in a batch of so many items, and chooses whom to cache.
    ///
    /// If few have no such row, all get it, and the batch needs half the windows. If many have none it is computed for
    /// some of those met before, for the benefit of batches to come.
    pub(crate) fn double_some<M: Machine>(&mut self, verifier: &VectorVerifier<M>, keys: &[&[u8; 32]], items: usize) {
        let limit = (items / 16).max(8);
        let lacking = self.signers.iter().filter(|signer| signer.decoded && !signer.doubled).count();
        let mut chosen = std::mem::take(&mut self.chosen);
        chosen.clear();
        for (number, (key, signer)) in (0_u32..).zip(keys.iter().zip(&mut self.signers)) {
            if signer.decoded && !signer.doubled && chosen.len() < limit {
                signer.admitted = verifier.cache.meet(&verifier.key_hash, key);
                if signer.admitted || lacking <= limit {
                    chosen.push(number);
                }
            }
        }
        self.double(verifier, &chosen);
        self.chosen = chosen;
    }

    /// Computes `2¹²⁷·A` for every signer that lacks it, and chooses whom to cache.
    pub(crate) fn double_all<M: Machine>(&mut self, verifier: &VectorVerifier<M>, keys: &[&[u8; 32]]) {
        let mut chosen = std::mem::take(&mut self.chosen);
        chosen.clear();
        for (number, (key, signer)) in (0_u32..).zip(keys.iter().zip(&mut self.signers)) {
            if signer.decoded && !signer.doubled {
                signer.admitted = verifier.cache.meet(&verifier.key_hash, key);
                chosen.push(number);
            }
        }
        self.double(verifier, &chosen);
        self.chosen = chosen;
    }

    /// Computes `2¹²⁷·A` for these signers, if they lack it.
    pub(crate) fn double<M: Machine>(&mut self, verifier: &VectorVerifier<M>, chosen: &[u32]) {
        let count = self.signers.len();
        self.inputs.clear();
        for number in chosen {
            self.inputs.push(self.rows[FIXED_ROWS + *number as usize]);
        }
        self.outputs.clear();
        self.outputs.resize(self.inputs.len(), verifier.fixed[0]);
        verifier.machine.run(Doubled { rows: &self.inputs, doubled: &mut self.outputs });
        for (number, row) in chosen.iter().zip(&self.outputs) {
            self.signers[*number as usize].doubled = true;
            self.rows[FIXED_ROWS + count + *number as usize] = *row;
        }
    }

    /// Whether the signer's key is a point.
    #[inline(always)]
    pub(crate) fn is_decoded(&self, number: u32) -> bool {
        self.signers[number as usize].decoded
    }

    /// Whether the row of `2¹²⁷·A` is there.
    #[inline(always)]
    pub(crate) fn is_doubled(&self, number: u32) -> bool {
        self.signers[number as usize].doubled
    }

    /// The row of `A`.
    #[inline(always)]
    pub(crate) fn row(&self, number: u32) -> u32 {
        FIXED_ROWS as u32 + number
    }

    /// The row of `2¹²⁷·A`.
    #[inline(always)]
    pub(crate) fn doubled_row(&self, number: u32) -> u32 {
        (FIXED_ROWS + self.signers.len()) as u32 + number
    }

    /// Caches the admitted signers among these, who had a valid signature.
    pub(crate) fn keep<M: Machine>(
        &mut self,
        verifier: &VectorVerifier<M>,
        keys: &[&[u8; 32]],
        valid: impl Iterator<Item = u32>,
    ) {
        let count = self.signers.len();
        for number in valid {
            let signer = &mut self.signers[number as usize];
            if signer.admitted && signer.doubled && !signer.cached {
                signer.cached = true;
                let row = FIXED_ROWS + number as usize;
                let rows = [&self.rows[row], &self.rows[row + count]];
                verifier.cache.insert(&verifier.key_hash, keys[number as usize], rows);
            }
        }
    }
}
