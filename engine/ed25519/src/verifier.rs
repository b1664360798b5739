//! The verifier: what a process keeps between batches, and the choice of path.

#[cfg(target_arch = "x86_64")]
use crate::vector::{VectorVerifier, avx2::Avx2, ifma::Ifma};
use crate::{Item, portable};

/// A way to compute; all give the same verdicts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Path {
    /// Eight lanes with AVX-512 IFMA.
    Avx512,
    /// Eight lanes, four at a time, with AVX2 and FMA.
    Avx2,
    /// curve25519-dalek's arithmetic, on any processor.
    Portable,
}

impl Path {
    /// Every path, fastest first.
    pub const ALL: [Self; 3] = [Self::Avx512, Self::Avx2, Self::Portable];

    /// Whether this processor can take the path.
    #[must_use]
    pub fn is_available(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => Ifma::detect().is_some(),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => Avx2::detect().is_some(),
            #[cfg(not(target_arch = "x86_64"))]
            Self::Avx512 | Self::Avx2 => false,
            Self::Portable => true,
        }
    }
}

/// How a [`Verifier`] works; nothing here changes a verdict.
#[derive(Clone, Debug)]
pub struct VerifierConfig {
    /// The path to take, for tests and comparisons; by default, and where the processor can't take it, the fastest there is.
    pub path: Option<Path>,
    /// Bytes that the cache of keys may take; 0 for none. A key takes about 330, and saves a third of its signatures' cost when
    /// it is met again. Taken at once. The portable path has no cache.
    pub key_cache_bytes: usize,
}

impl Default for VerifierConfig {
    fn default() -> Self {
        Self { path: None, key_cache_bytes: 16 << 20 }
    }
}

/// Verifies signatures in bulk. Single-threaded in each call; share one between threads and give each its own batches.
///
/// Every verdict is that of [`verify`](crate::verify), whatever else is in the batch.
#[derive(Debug)]
pub struct Verifier {
    engine: Engine,
}

#[derive(Debug)]
enum Engine {
    #[cfg(target_arch = "x86_64")]
    Avx512(Box<VectorVerifier<Ifma>>),
    #[cfg(target_arch = "x86_64")]
    Avx2(Box<VectorVerifier<Avx2>>),
    Portable,
}

impl Verifier {
    /// A verifier for this processor.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "a configuration is given away, so that it can grow")]
    pub fn new(config: VerifierConfig) -> Self {
        let wanted = config.path.filter(|path| path.is_available());
        let engine = match wanted {
            #[cfg(target_arch = "x86_64")]
            None | Some(Path::Avx512) if let Some(machine) = Ifma::detect() => {
                Engine::Avx512(Box::new(VectorVerifier::new(machine, config.key_cache_bytes)))
            }
            #[cfg(target_arch = "x86_64")]
            None | Some(Path::Avx2) if let Some(machine) = Avx2::detect() => {
                Engine::Avx2(Box::new(VectorVerifier::new(machine, config.key_cache_bytes)))
            }
            _ => Engine::Portable,
        };
        Self { engine }
    }

    /// The path taken.
    #[must_use]
    pub fn path(&self) -> Path {
        match self.engine {
            #[cfg(target_arch = "x86_64")]
            Engine::Avx512(_) => Path::Avx512,
            #[cfg(target_arch = "x86_64")]
            Engine::Avx2(_) => Path::Avx2,
            Engine::Portable => Path::Portable,
        }
    }

    /// Writes the verdict on `items[i]` to `verdicts[i]`. Best from about a thousand items up; bounded memory for any number.
    ///
    /// # Panics
    ///
    /// If the slices differ in length.
    pub fn verify_batch(&self, items: &[Item<'_>], verdicts: &mut [bool]) {
        assert_eq!(items.len(), verdicts.len(), "a verdict for every item, and no other");
        match &self.engine {
            #[cfg(target_arch = "x86_64")]
            Engine::Avx512(verifier) => verifier.verify_batch(items, &[], verdicts),
            #[cfg(target_arch = "x86_64")]
            Engine::Avx2(verifier) => verifier.verify_batch(items, &[], verdicts),
            Engine::Portable => portable::verify_batch(items, verdicts),
        }
    }

    /// [`verify_batch`](Self::verify_batch) with help from the senders: `hints[i]` may be the [`hint`](crate::hint()) of
    /// `items[i].signature`, which spares the square root that is nearly half of the cost.
    ///
    /// A hint is checked and never trusted: with none, with a wrong one or with anything else the verdict is the same. A wrong one
    /// costs a few per cent more than none.
    ///
    /// # Panics
    ///
    /// If the slices differ in length.
    pub fn verify_hinted(&self, items: &[Item<'_>], hints: &[Option<&[u8; 32]>], verdicts: &mut [bool]) {
        assert_eq!(items.len(), hints.len(), "a hint or none for every item");
        assert_eq!(items.len(), verdicts.len(), "a verdict for every item, and no other");
        match &self.engine {
            #[cfg(target_arch = "x86_64")]
            Engine::Avx512(verifier) => verifier.verify_batch(items, hints, verdicts),
            #[cfg(target_arch = "x86_64")]
            Engine::Avx2(verifier) => verifier.verify_batch(items, hints, verdicts),
            // Its arithmetic decodes in one step, with no place for a hint.
            Engine::Portable => portable::verify_batch(items, verdicts),
        }
    }

    /// [`verify_batch`](Self::verify_batch) without a batch: each signature by itself, so that invalid ones cost what valid ones
    /// do. For few items, for latency, and for traffic from whoever sent invalid signatures lately.
    ///
    /// # Panics
    ///
    /// If the slices differ in length.
    pub fn verify_each(&self, items: &[Item<'_>], verdicts: &mut [bool]) {
        assert_eq!(items.len(), verdicts.len(), "a verdict for every item, and no other");
        match &self.engine {
            #[cfg(target_arch = "x86_64")]
            Engine::Avx512(verifier) => verifier.verify_each(items, verdicts),
            #[cfg(target_arch = "x86_64")]
            Engine::Avx2(verifier) => verifier.verify_each(items, verdicts),
            Engine::Portable => portable::verify_each(items, verdicts),
        }
    }
}
