//! `2¹²⁷·P` of many points: what halves the windows of a signer's scalar.

use super::decode::invert;
use super::element::Element;
use super::point::{Niels, Points};
use super::{Field, LANES, Machine, NielsRow, Work};

/// Computes the row of `2¹²⁷·P` for each row of a point `P`.
pub(crate) struct Doubled<'a> {
    /// Rows of points.
    pub(crate) rows: &'a [NielsRow],
    /// Where the others go; as long as `rows`.
    pub(crate) doubled: &'a mut [NielsRow],
}

/// Groups that share one inversion.
const GROUPS: usize = 32;

impl<M: Machine> Work<M> for Doubled<'_> {
    type Output = ();

    #[inline(always)]
    fn work(self, machine: M) {
        let mut points = [Points::<M::Field>::identity(machine); GROUPS];
        let mut products = [M::Field::splat(machine, &Element::ONE); GROUPS];
        let places = self.doubled.chunks_mut(GROUPS * LANES);
        for (rows, doubled) in self.rows.chunks(GROUPS * LANES).zip(places) {
            let groups = rows.chunks(LANES);
            let (points, products) = (&mut points[..groups.len()], &mut products[..groups.len()]);
            for (rows, points) in groups.zip(points.iter_mut()) {
                let Some(first) = rows.first() else { return };
                let lanes = std::array::from_fn(|lane| rows.get(lane).unwrap_or(first));
                *points = Points::<M::Field>::from_niels(machine, Niels::load(machine, lanes)).double_times(127);
            }
            invert_all(machine, points, products);
            for ((points, inverse), places) in points.iter().zip(products.iter()).zip(doubled.chunks_mut(LANES)) {
                for (place, row) in places.iter_mut().zip(points.scaled(machine, *inverse).store()) {
                    *place = row;
                }
            }
        }
    }
}

/// `1/2Z` of every group of points, at the price of one inversion; no `Z` is ever zero. The slices are of equal length.
#[inline(always)]
pub(crate) fn invert_all<M: Machine>(machine: M, points: &[Points<M::Field>], inverses: &mut [M::Field]) {
    let mut product = M::Field::splat(machine, &Element::ONE);
    for (points, before) in points.iter().zip(inverses.iter_mut()) {
        *before = product;
        product = product.multiply(points.z.plus(points.z));
    }
    let [mut inverse, _] = invert([product, product]);
    for (points, place) in points.iter().zip(inverses).rev() {
        *place = inverse.multiply(*place);
        inverse = inverse.multiply(points.z.plus(points.z));
    }
}

/// The points with `Z = 1`.
#[inline(always)]
pub(crate) fn affine<F: Field>(machine: F::Machine, points: Points<F>) -> Niels<F> {
    let z2 = points.z.plus(points.z);
    let [inverse, _] = invert([z2, z2]);
    points.scaled(machine, inverse)
}
