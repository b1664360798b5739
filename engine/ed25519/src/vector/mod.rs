//! Eight signatures at a time: what a vector machine must do, and what is built on it.
//!
//! A [`Machine`] is a set of instructions, held as proof that this processor has them. Its [`Field`] holds eight
//! elements of GF(2²⁵⁵ − 19), one per lane, and its [`Words`] eight 64-bit words. Everything above (points, decoding,
//! hashing, the merged batch, the independent lanes) is written once over these traits, and compiled for each machine.
//!
//! # How it is compiled
//!
//! Everything generic is `#[inline(always)]` and ends up inside [`Machine::run`], a function compiled with the machine's
//! instructions enabled. A piece of work that is to be one compiled function is a [`Work`].
//! Closures are functions of their own and would not be compiled so: no vector passes through `map` or `from_fn`.
//!
//! # Limbs
//!
//! A field element is *reduced* when its limbs are at most a little over their nominal width; every operation gives
//! reduced elements, except [`Field::negate_where`], whose result may only be multiplied. A product before its carries
//! is a [`Field::Wide`]; sums and differences of products are taken there, so that each costs one carry pass, not two.

pub(crate) mod avx2;
pub(crate) mod cache;
pub(crate) mod decode;
pub(crate) mod doubled;
pub(crate) mod element;
pub(crate) mod hash;
pub(crate) mod ifma;
pub(crate) mod lanes;
pub(crate) mod merged;
pub(crate) mod multiscalar;
pub(crate) mod nonces;
pub(crate) mod point;
pub(crate) mod prefetch;
pub(crate) mod repeated;
pub(crate) mod roster;
pub(crate) mod signers;
#[cfg(test)]
mod tests;

use curve25519_dalek::constants::ED25519_BASEPOINT_COMPRESSED;
use parking_lot::Mutex;

use crate::Item;
use cache::KeyCache;
use decode::Decode;
use doubled::Doubled;
use element::Element;
use lanes::{BaseTables, MakeBaseTables};
use merged::{BATCH_MAX, Workspace};
use point::Points;
use repeated::{MakePartTables, PartTables};
use roster::FIXED_ROWS;
use signers::KeyHash;

/// Lanes of every machine.
pub(crate) const LANES: usize = 8;

/// Proof that the processor has a set of instructions.
pub(crate) trait Machine: Copy + Send + Sync + 'static {
    /// Its arithmetic.
    type Field: Field<Machine = Self>;

    /// Its words.
    type Words: Words<Machine = Self>;

    /// Runs a piece of work compiled for this machine.
    fn run<W: Work<Self>>(self, work: W) -> W::Output;
}

/// A piece of work that becomes one function compiled for a machine.
pub(crate) trait Work<M: Machine> {
    /// What it gives.
    type Output;

    /// Does it. Implementations are `#[inline(always)]`.
    fn work(self, machine: M) -> Self::Output;
}

/// An affine point ready for addition as it lies in memory: `y + x`, `y − x`, `2dxy`, in the machine's own limbs.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(crate) struct NielsRow(pub(crate) [u64; 16]);

/// A point as it lies in memory: `Y + X`, `Y − X`, `Z`, `T`, in the machine's own limbs.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(32))]
pub(crate) struct PointRow(pub(crate) [u64; 20]);

/// Eight elements of GF(2²⁵⁵ − 19).
pub(crate) trait Field: Copy {
    /// The machine that computes with it.
    type Machine: Machine<Field = Self>;

    /// Sums and differences of products, before carries. One holds at most four products, two of them subtracted.
    type Wide: Copy;

    /// The same element in every lane.
    fn splat(machine: Self::Machine, element: &Element) -> Self;

    /// The `y` of eight encoded points, taken as a number below 2²⁵⁵, canonical or not; and the sign bits.
    fn load_encodings(machine: Self::Machine, encodings: [&[u8; 32]; LANES]) -> (Self, u8);

    /// The three coordinates of eight rows.
    fn load_niels(machine: Self::Machine, rows: [&NielsRow; LANES]) -> [Self; 3];

    /// Eight rows from their coordinates.
    fn store_niels(coordinates: [Self; 3]) -> [NielsRow; LANES];

    /// The four coordinates of eight rows.
    fn load_points(machine: Self::Machine, rows: [&PointRow; LANES]) -> [Self; 4];

    /// Eight rows from their coordinates.
    fn store_points(coordinates: [Self; 4]) -> [PointRow; LANES];

    /// A product, before carries.
    fn multiply_wide(self, other: Self) -> Self::Wide;

    /// A square, before carries.
    fn square_wide(self) -> Self::Wide;

    /// The element as a sum of one term.
    fn widen(self) -> Self::Wide;

    /// A sum.
    fn wide_plus(left: Self::Wide, right: Self::Wide) -> Self::Wide;

    /// A difference; the right side holds at most two products.
    fn wide_minus(left: Self::Wide, right: Self::Wide) -> Self::Wide;

    /// Carries.
    fn reduce(wide: Self::Wide) -> Self;

    /// The unique representative below 2²⁵⁵ − 19.
    fn freeze(self) -> Self;

    /// The lanes whose frozen element is zero.
    fn frozen_zeros(self) -> u8;

    /// The lanes whose frozen element is odd.
    fn frozen_odds(self) -> u8;

    /// `chosen` in the given lanes, `self` in the others.
    fn replace_where(self, lanes: u8, chosen: Self) -> Self;

    /// The negative in the given lanes, fit for multiplication alone.
    fn negate_where(self, lanes: u8) -> Self;

    /// The lanes in the order `from[0], from[1], …`.
    fn permute(self, from: [u8; LANES]) -> Self;

    /// A product.
    #[inline(always)]
    fn multiply(self, other: Self) -> Self {
        Self::reduce(self.multiply_wide(other))
    }

    /// A square.
    #[inline(always)]
    fn square(self) -> Self {
        Self::reduce(self.square_wide())
    }

    /// A carried sum.
    #[inline(always)]
    fn reduced_sum(left: Self::Wide, right: Self::Wide) -> Self {
        Self::reduce(Self::wide_plus(left, right))
    }

    /// A carried difference; the right side holds at most two products.
    #[inline(always)]
    fn reduced_difference(left: Self::Wide, right: Self::Wide) -> Self {
        Self::reduce(Self::wide_minus(left, right))
    }

    /// A sum.
    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        Self::reduced_sum(self.widen(), other.widen())
    }

    /// A difference.
    #[inline(always)]
    fn minus(self, other: Self) -> Self {
        Self::reduced_difference(self.widen(), other.widen())
    }

    /// The lanes that are zero modulo the prime.
    #[inline(always)]
    fn zeros(self) -> u8 {
        self.freeze().frozen_zeros()
    }

    /// The lanes whose least non-negative representative is odd.
    #[inline(always)]
    fn odds(self) -> u8 {
        self.freeze().frozen_odds()
    }
}

/// Eight words of 64 bits, for hashing.
pub(crate) trait Words: Copy {
    /// The machine that computes with them.
    type Machine: Machine<Words = Self>;

    /// The same word in every lane.
    fn splat(machine: Self::Machine, word: u64) -> Self;

    /// Word `i` of eight blocks, big-endian, in element `i`.
    fn load_blocks(machine: Self::Machine, blocks: &[[u8; 128]; LANES]) -> [Self; 16];

    /// The eight states, each word with its bytes reversed.
    fn store_digests(state: [Self; 8]) -> [[u64; 8]; LANES];

    /// The sum modulo 2⁶⁴.
    fn plus(self, other: Self) -> Self;

    /// The exclusive or of three.
    fn xor3(first: Self, second: Self, third: Self) -> Self;

    /// Rotated right.
    fn rotate<const BITS: i32>(self) -> Self;

    /// Shifted right.
    fn shift<const BITS: u32>(self) -> Self;

    /// Bits of `yes` where `by` is set, of `no` elsewhere.
    fn choose(by: Self, yes: Self, no: Self) -> Self;

    /// Bits that are set in at least two.
    fn majority(first: Self, second: Self, third: Self) -> Self;
}

/// A verifier on one machine.
#[derive(Debug)]
pub(crate) struct VectorVerifier<M> {
    machine: M,
    key_hash: KeyHash,
    /// The identity, `−B` and `−2¹²⁷·B`.
    fixed: [NielsRow; FIXED_ROWS],
    base_tables: BaseTables,
    part_tables: PartTables,
    cache: KeyCache,
    /// Memory of batches that are done, for those to come; as many as ever ran at once.
    workspaces: Mutex<Vec<Workspace>>,
}

/// The rows every table begins with.
struct FixedRows;

impl<M: Machine> Work<M> for FixedRows {
    type Output = [NielsRow; FIXED_ROWS];

    #[inline(always)]
    fn work(self, machine: M) -> [NielsRow; FIXED_ROWS] {
        let identity = doubled::affine(machine, Points::<M::Field>::identity(machine)).store()[0];
        let mut negative = ED25519_BASEPOINT_COMPRESSED.to_bytes();
        negative[31] ^= 0x80;
        let mut rows = [identity; FIXED_ROWS];
        let [_, base, high] = &mut rows;
        Decode { encodings: &[&negative], rows: std::slice::from_mut(base), decoded: &mut [false] }.work(machine);
        Doubled { rows: std::slice::from_ref(base), doubled: std::slice::from_mut(high) }.work(machine);
        rows
    }
}

impl<M: Machine> VectorVerifier<M> {
    /// A verifier on this machine, with a cache of so many bytes.
    pub(crate) fn new(machine: M, key_cache_bytes: usize) -> Self {
        let fixed = machine.run(FixedRows);
        let [identity, base, high] = &fixed;
        Self {
            machine,
            key_hash: KeyHash::from_system(),
            base_tables: machine.run(MakeBaseTables { identity, points: [base, high] }),
            part_tables: machine.run(MakePartTables { identity, point: base }),
            fixed,
            cache: KeyCache::new(key_cache_bytes),
            workspaces: Mutex::default(),
        }
    }

    /// Verifies any number of items; the slices are of equal length, but hints may be missing altogether.
    pub(crate) fn verify_batch(&self, items: &[Item<'_>], hints: &[Option<&[u8; 32]>], verdicts: &mut [bool]) {
        let mut workspace = self.workspaces.lock().pop().unwrap_or_default();
        let mut hints = hints.chunks(BATCH_MAX);
        for (items, verdicts) in items.chunks(BATCH_MAX).zip(verdicts.chunks_mut(BATCH_MAX)) {
            merged::verify(self, &mut workspace, items, hints.next().unwrap_or(&[]), verdicts);
        }
        self.workspaces.lock().push(workspace);
    }

    /// Verifies any number of items in independent lanes; the slices are of equal length.
    pub(crate) fn verify_each(&self, items: &[Item<'_>], verdicts: &mut [bool]) {
        let mut workspace = self.workspaces.lock().pop().unwrap_or_default();
        for (items, verdicts) in items.chunks(BATCH_MAX).zip(verdicts.chunks_mut(BATCH_MAX)) {
            merged::verify_singly(self, &mut workspace, items, verdicts);
        }
        self.workspaces.lock().push(workspace);
    }
}
