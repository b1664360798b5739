//! `2¹²⁷·P` of many points: what halves the windows of a signer's scalar.

use super::decode::invert;
use super::point::{Niels, Points};
use super::{Field, LANES, Machine, NielsRow, Work};

/// Computes the row of `2¹²⁷·P` for each row of a point `P`.
pub(crate) struct Doubled<'a> {
    /// Rows of points.
    pub(crate) rows: &'a [NielsRow],
    /// Where the others go; as long as `rows`.
    pub(crate) doubled: &'a mut [NielsRow],
}

impl<M: Machine> Work<M> for Doubled<'_> {
    type Output = ();

    #[inline(always)]
    fn work(self, machine: M) {
        for (rows, doubled) in self.rows.chunks(LANES).zip(self.doubled.chunks_mut(LANES)) {
            let Some(first) = rows.first() else { return };
            let lanes = std::array::from_fn(|lane| rows.get(lane).unwrap_or(first));
            let points = Points::<M::Field>::from_niels(machine, Niels::load(machine, lanes)).double_times(127);
            for (place, row) in doubled.iter_mut().zip(affine(machine, points).store()) {
                *place = row;
            }
        }
    }
}

/// The points with `Z = 1`.
#[inline(always)]
pub(crate) fn affine<F: Field>(machine: F::Machine, points: Points<F>) -> Niels<F> {
    let z2 = points.z.plus(points.z);
    let [inverse, _] = invert([z2, z2]);
    let x = points.sum.minus(points.difference).multiply(inverse);
    let y = points.sum.plus(points.difference).multiply(inverse);
    Niels::from_affine(machine, x, y)
}
