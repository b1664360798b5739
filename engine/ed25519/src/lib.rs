//! Ed25519 verification in bulk: one rule, a verdict per signature, as fast as the machine allows.
//!
//! # The rule
//!
//! A signature `(R, s)` by key `A` over message `M` is valid if and only if ([ZIP-215]):
//!
//! 1. `s < l`, little-endian, where `l` is the order of the base point `B`;
//! 2. `A` and `R` decode to points of the curve (a non-canonical `y`, and `x = 0` with its sign bit set, are allowed);
//! 3. `8·s·B = 8·R + 8·k·A`, with `k = SHA-512(R ‖ A ‖ M) mod l` over the bytes as received.
//!
//! The rule is a function of the 32 + 64 bytes and the message alone. Batches of any size and composition, every path and
//! every fallback give the verdict that [`verify`] gives; where randomness is used, they could differ with
//! probability below 2⁻¹²⁶ per batch, whoever chose the signatures.
//!
//! The 14 encodings of the eight points of low order are valid keys under the rule, and verify signatures that nobody
//! made: whoever hands out accounts refuses them with [`is_low_order`]. Signature bytes are malleable
//! and never identify what was signed.
//!
//! # How
//!
//! A [`Verifier`] merges thousands of signatures into one sum, eight lanes wide with AVX-512 IFMA or AVX2, whichever the
//! processor has ([`Path`]), and falls back to curve25519-dalek's arithmetic elsewhere. It bisects a sum that fails and decides
//! what stays open in independent lanes, so that junk costs three to five times what honest signatures do and no more. It keeps a bounded
//! cache of keys. Memory is bounded for any input; no input makes it panic. Figures and proofs: `docs/verification.md`.
//!
//! Verification works on public data alone, and its time depends on it: nothing here is fit for secrets.
//!
//! # Use
//!
//! ```
//! use nostro_ed25519::{Item, Verifier, VerifierConfig};
//!
//! let key = [1; 32];
//! let signature = [2; 64];
//! let items = [Item { key: &key, message: b"not signed by anyone", signature: &signature }];
//!
//! let verifier = Verifier::new(VerifierConfig::default());
//! let mut verdicts = [false; 1];
//! verifier.verify_batch(&items, &mut verdicts);
//! assert_eq!(verdicts, [false]);
//! ```
//!
//! [ZIP-215]: https://zips.z.cash/zip-0215

mod bisect;
mod coefficients;
mod hint;
mod item;
mod portable;
mod rule;
mod scalar;
#[cfg(target_arch = "x86_64")]
mod vector;
mod verifier;

pub use hint::hint;
pub use item::Item;
pub use rule::{is_low_order, verify};
pub use verifier::{Path, Verifier, VerifierConfig};
