//! The verifier: what a process keeps between batches.

use crate::{Item, portable};

/// How a [`Verifier`] works; nothing here changes a verdict.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct VerifierConfig {}

/// Verifies signatures in bulk. Single-threaded in each call; share one between threads and give each its own batches.
///
/// Every verdict is that of [`verify`](crate::verify), whatever else is in the batch.
#[derive(Debug)]
pub struct Verifier {}

/// Signatures summed together at most: what keeps a batch's memory bounded and within the second-level cache.
const BATCH_MAX: usize = 8_192;

impl Verifier {
    /// A verifier for this machine.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "a configuration is given away, as it will be kept")]
    pub fn new(config: VerifierConfig) -> Self {
        let VerifierConfig {} = config;
        Self {}
    }

    /// Writes the verdict on `items[i]` to `verdicts[i]`. Best from about a thousand items up; bounded memory for any number.
    ///
    /// # Panics
    ///
    /// If the slices differ in length.
    pub fn verify_batch(&self, items: &[Item<'_>], verdicts: &mut [bool]) {
        assert_eq!(items.len(), verdicts.len(), "a verdict for every item, and no other");
        for (items, verdicts) in items.chunks(BATCH_MAX).zip(verdicts.chunks_mut(BATCH_MAX)) {
            portable::verify_batch(items, verdicts);
        }
    }
}
