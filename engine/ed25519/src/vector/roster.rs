//! The signers of a batch as points: from the cache, or decoded, and where it pays `2¹²⁷` times them.

#![expect(clippy::cast_possible_truncation, reason = "a batch has at most 2¹³ items, and rows for thrice as many")]

use super::decode::Decode;
use super::doubled::Doubled;
use super::signers::Signers;
use super::{Machine, NielsRow, VectorVerifier};

/// Keys between two steps of finding them in the cache.
const AHEAD: usize = 8;

/// Rows before those of the signers: the identity, `−B`, `−2¹²⁷·B`.
pub(crate) const FIXED_ROWS: usize = 3;

/// The rows of a batch: the fixed ones, `A` of every signer, `2¹²⁷·A` of every signer, then whatever else the batch needs.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    /// Those that nobody has written in this batch hold points of an older one: filling them first would cost more than
    /// many of them are worth. Nobody names them.
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
    /// Finds or decodes the signers.
    pub(crate) fn prepare<M: Machine>(&mut self, verifier: &VectorVerifier<M>, signers: &Signers<'_>) {
        let ([identity, ..], count) = (verifier.fixed, signers.len());
        self.make_room(FIXED_ROWS + 2 * count, identity);
        self.rows[..FIXED_ROWS].copy_from_slice(&verifier.fixed);
        self.signers.clear();
        self.signers.resize(count, Signer::default());
        self.chosen.clear();
        let mut encodings = Vec::new();
        let (single, doubled) = self.rows[FIXED_ROWS..FIXED_ROWS + 2 * count].split_at_mut(count);
        let rows = single.iter_mut().zip(doubled);
        let (mut ahead, mut closer) = (signers.each().skip(2 * AHEAD), signers.each().skip(AHEAD));
        for first in signers.each().take(AHEAD) {
            verifier.cache.look_closer(first.hash);
        }
        for ((number, keyed), (signer, (row, doubled))) in
            (0_u32..).zip(signers.each()).zip(self.signers.iter_mut().zip(rows))
        {
            if let Some(next) = ahead.next() {
                verifier.cache.look_ahead(next.hash);
            }
            if let Some(next) = closer.next() {
                verifier.cache.look_closer(next.hash);
            }
            if verifier.cache.get(keyed, [&mut *row, &mut *doubled]) {
                *signer = Signer { decoded: true, doubled: true, cached: true, admitted: false };
            } else {
                self.chosen.push(number);
                encodings.push(keyed.key);
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

    /// Room for more rows behind those of the signers; gives the place of the first.
    pub(crate) fn more<M: Machine>(&mut self, verifier: &VectorVerifier<M>, count: usize) -> usize {
        let first = FIXED_ROWS + 2 * self.signers.len();
        self.make_room(first + count, verifier.fixed[0]);
        first
    }

    fn make_room(&mut self, length: usize, identity: NielsRow) {
        if self.rows.len() < length {
            self.rows.resize(length, identity);
        }
    }

    /// Computes `2¹²⁷·A` for the signers that are worth it in a batch of so many items, and chooses whom to cache.
    ///
    /// If few have no such row, all get it, and the batch needs half the windows. If many have none it is computed for
    /// some of those met before, for the benefit of batches to come.
    pub(crate) fn double_some<M: Machine>(
        &mut self,
        verifier: &VectorVerifier<M>,
        signers: &Signers<'_>,
        items: usize,
    ) {
        let limit = (items / 16).max(8);
        let lacking = self.signers.iter().filter(|signer| signer.decoded && !signer.doubled).count();
        let mut chosen = std::mem::take(&mut self.chosen);
        chosen.clear();
        for (number, (keyed, signer)) in (0_u32..).zip(signers.each().zip(&mut self.signers)) {
            if signer.decoded && !signer.doubled && chosen.len() < limit {
                signer.admitted = verifier.cache.meet(keyed);
                if signer.admitted || lacking <= limit {
                    chosen.push(number);
                }
            }
        }
        self.double(verifier, &chosen);
        self.chosen = chosen;
    }

    /// Chooses whom to cache, and computes `2¹²⁷·A` for them if they lack it.
    pub(crate) fn double_admitted<M: Machine>(&mut self, verifier: &VectorVerifier<M>, signers: &Signers<'_>) {
        let mut chosen = std::mem::take(&mut self.chosen);
        chosen.clear();
        for (number, (keyed, signer)) in (0_u32..).zip(signers.each().zip(&mut self.signers)) {
            if signer.decoded && !signer.doubled {
                signer.admitted = verifier.cache.meet(keyed);
                if signer.admitted {
                    chosen.push(number);
                }
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
        signers: &Signers<'_>,
        valid: impl Iterator<Item = u32>,
    ) {
        let count = self.signers.len();
        for number in valid {
            let signer = &mut self.signers[number as usize];
            if signer.admitted
                && signer.doubled
                && !signer.cached
                && let Some(keyed) = signers.get(number)
            {
                signer.cached = true;
                let row = FIXED_ROWS + number as usize;
                let rows = [&self.rows[row], &self.rows[row + count]];
                verifier.cache.insert(keyed, rows);
            }
        }
    }
}
