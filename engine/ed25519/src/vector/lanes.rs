//! Independent lanes: eight signatures at a time, each with an exact verdict of its own and no randomness.
//!
//! In every lane `P = s·B − k·A`, with both scalars cut at bit 127 and the four halves added over one chain of 124 doublings.
//! What `P` says of a signature is in [`nonces`](super::nonces); where a signer has many signatures,
//! [`repeated`](super::repeated) finds `P` sooner.

use super::doubled::invert_all;
use super::nonces::{Nonces, TOGETHER, judge};
use super::point::{Addends, Niels, Points};
use super::{Field, LANES, Machine, NielsRow, PointRow, Work};
use crate::scalar::{self, Scalar};

/// Windows of a half scalar of a key: 4 bits, digits −8 to 8.
const KEY_WINDOWS: usize = 32;

/// Multiples of a key and the identity before them.
const KEY_MULTIPLES: usize = 9;

/// Multiples of the base, eight at a time: windows of 8 bits, digits −128 to 128.
const BASE_GROUPS: usize = 16;

/// The multiples of `−B` and of `−2¹²⁷·B`.
pub(crate) type BaseTables = [Vec<NielsRow>; 2];

/// Computes the tables from the rows of the two points.
pub(crate) struct MakeBaseTables<'a> {
    pub(crate) identity: &'a NielsRow,
    pub(crate) points: [&'a NielsRow; 2],
}

impl<M: Machine> Work<M> for MakeBaseTables<'_> {
    type Output = BaseTables;

    #[inline(always)]
    fn work(self, machine: M) -> BaseTables {
        let mut tables = [vec![*self.identity], vec![*self.identity]];
        for (table, point) in tables.iter_mut().zip(self.points) {
            fill_base_table(machine, Niels::<M::Field>::load(machine, [point; LANES]), table);
        }
        tables
    }
}

/// Appends to a table, which has the identity, the multiples that windows of 8 bits need of the point that is in every lane.
#[inline(always)]
pub(crate) fn fill_base_table<F: Field>(machine: F::Machine, point: Niels<F>, table: &mut Vec<NielsRow>) {
    // Lane i holds i + 1 times the point.
    let mut multiples = Points::<F>::from_niels(machine, point);
    for lanes in [0xfe_u8, 0xfc, 0xf8, 0xf0, 0xe0, 0xc0, 0x80] {
        multiples = multiples.replace_where(lanes, multiples.plus_niels(point));
    }
    let eight = multiples.permute([7; LANES]).addends(machine);
    let mut groups = [multiples; BASE_GROUPS];
    for group in groups.iter_mut().skip(1) {
        multiples = multiples.plus(eight);
        *group = multiples;
    }
    let mut inverses = [point.sum; BASE_GROUPS];
    invert_all(machine, &groups, &mut inverses);
    for (points, inverse) in groups.iter().zip(inverses) {
        table.extend_from_slice(&points.scaled(machine, inverse).store());
    }
}

/// A well-formed signature whose signer is a point.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Single {
    /// The row of `A`.
    pub(crate) signer: u32,
    /// The row of `2¹²⁷·A`.
    pub(crate) doubled: u32,
    /// `k`.
    pub(crate) challenge: Scalar,
    /// `s`.
    pub(crate) response: Scalar,
}

/// Verifies every signature; the slices are of equal length.
pub(crate) struct VerifySingly<'a, 'b> {
    pub(crate) tables: &'a BaseTables,
    /// The rows of the signers.
    pub(crate) rows: &'a [NielsRow],
    pub(crate) singles: &'a [Single],
    pub(crate) nonces: Nonces<'a, 'b>,
    pub(crate) verdicts: &'a mut [bool],
}

impl<M: Machine> Work<M> for VerifySingly<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn work(self, machine: M) {
        let Self { tables, rows, singles, nonces, verdicts } = self;
        let mut expected = vec![PointRow([0; 20]); TOGETHER.min(singles.len().next_multiple_of(LANES))];
        let mut first = 0;
        for (singles, verdicts) in singles.chunks(TOGETHER).zip(verdicts.chunks_mut(TOGETHER)) {
            for (group, expected) in singles.chunks(LANES).zip(expected.as_chunks_mut::<LANES>().0) {
                machine.run(ExpectedNonces { tables, rows, group, expected });
            }
            judge(machine, rows, &expected, nonces.of(first..first + singles.len()), verdicts);
            first += singles.len();
        }
    }
}

/// The digits of two half scalars for every window.
struct Digits([[u8; 16]; 2]);

impl Digits {
    /// Half of every digit's range, but for the topmost digit, which takes no sign.
    const KEY_BIAS: u128 = u128::from_le_bytes([0x88; 16]) & (u128::MAX >> 4);
    const BASE_BIAS: u128 = u128::from_le_bytes([0x80; 16]) & (u128::MAX >> 8);

    #[inline(always)]
    fn new(scalar: &Scalar, bias: u128) -> Self {
        let (low, high) = scalar::split(scalar);
        Self([low.wrapping_add(bias).to_le_bytes(), high.wrapping_add(bias).to_le_bytes()])
    }

    /// The size of a 4-bit digit, and whether it is negative.
    #[inline(always)]
    fn key(&self, half: usize, window: usize) -> (usize, bool) {
        let byte = i32::from(self.0[half][window / 2]);
        let digit = (byte >> (window % 2 * 4) & 0xf) - if window + 1 == KEY_WINDOWS { 0 } else { 8 };
        (digit.unsigned_abs() as usize, digit < 0)
    }

    /// The size of an 8-bit digit, and whether it is negative.
    #[inline(always)]
    fn base(&self, half: usize, window: usize) -> (usize, bool) {
        let digit = i32::from(self.0[half][window]) - if window == 15 { 0 } else { 128 };
        (digit.unsigned_abs() as usize, digit < 0)
    }
}

/// The multiples of eight keys, by multiple and lane.
type KeyTable = [[PointRow; LANES]; KEY_MULTIPLES];

/// Fills the table of eight keys.
#[inline(always)]
fn fill_key_table<M: Machine>(machine: M, key: Niels<M::Field>, table: &mut KeyTable) {
    let [none, once, others @ ..] = table;
    let mut multiple = Points::<M::Field>::from_niels(machine, key);
    *none = Points::<M::Field>::identity(machine).addends(machine).store();
    *once = multiple.addends(machine).store();
    for rows in others {
        multiple = multiple.plus_niels(key);
        *rows = multiple.addends(machine).store();
    }
}

/// `s·B − k·A` of up to eight signatures.
struct ExpectedNonces<'a> {
    tables: &'a BaseTables,
    rows: &'a [NielsRow],
    group: &'a [Single],
    expected: &'a mut [PointRow; LANES],
}

impl<M: Machine> Work<M> for ExpectedNonces<'_> {
    type Output = ();

    #[inline(always)]
    fn work(self, machine: M) {
        let Self { tables, rows, group, expected } = self;
        let (Some(first), Some(identity)) = (group.first(), rows.first()) else { return };
        let lanes: [&Single; LANES] = std::array::from_fn(|lane| group.get(lane).unwrap_or(first));
        let row = |index: u32| rows.get(index as usize).unwrap_or(identity);
        let keys = [lanes.map(|single| row(single.signer)), lanes.map(|single| row(single.doubled))];
        let mut key_tables: [KeyTable; 2] = [[[PointRow([0; 20]); LANES]; KEY_MULTIPLES]; 2];
        for (key, table) in keys.into_iter().zip(&mut key_tables) {
            fill_key_table(machine, Niels::load(machine, key), table);
        }
        let key_digits = lanes.map(|single| Digits::new(&single.challenge, Digits::KEY_BIAS));
        let base_digits = lanes.map(|single| Digits::new(&single.response, Digits::BASE_BIAS));
        // The tables are those of A and −B; the sum is that of −A and B.
        let mut sum = Points::<M::Field>::identity(machine);
        for window in (0..KEY_WINDOWS).rev() {
            if window + 1 < KEY_WINDOWS {
                sum = sum.double_times(4);
            }
            for (half, table) in key_tables.iter().enumerate() {
                let mut positive = 0;
                let mut picked = [&table[0][0]; LANES];
                for (lane, (digits, picked)) in key_digits.iter().zip(&mut picked).enumerate() {
                    let (size, negative) = digits.key(half, window);
                    positive |= u8::from(!negative) << lane;
                    *picked = &table[size.min(KEY_MULTIPLES - 1)][lane];
                }
                sum = sum.plus(Addends::load(machine, picked).negate_where(positive));
            }
            if window % 2 == 0 {
                for (half, table) in tables.iter().enumerate() {
                    let mut positive = 0;
                    let mut picked = [identity; LANES];
                    for (lane, (digits, picked)) in base_digits.iter().zip(&mut picked).enumerate() {
                        let (size, negative) = digits.base(half, window / 2);
                        positive |= u8::from(!negative) << lane;
                        *picked = table.get(size).unwrap_or(identity);
                    }
                    sum = sum.plus_niels(Niels::load(machine, picked).negate_where(positive));
                }
            }
        }
        *expected = sum.store();
    }
}
