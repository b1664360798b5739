//! Eight points of the curve `−x² + y² = 1 + d·x²·y²`, one per lane.
//!
//! Coordinates are extended (Hisil, Wong, Carter, Dawson 2008, <https://ia.cr/2008/522>), `x = X/Z`, `y = Y/Z`, `T = XY/Z`,
//! with `Y + X` and `Y − X` in place of `X` and `Y`: an addition starts from these, and the doubling
//! does too. The formulas are complete: they hold for every pair of points, torsion and identity included.

use super::element::Element;
use super::{Field, LANES, NielsRow, PointRow};

/// Eight points.
#[derive(Clone, Copy)]
pub(crate) struct Points<F> {
    /// `Y + X`.
    pub(crate) sum: F,
    /// `Y − X`.
    pub(crate) difference: F,
    /// `Z`.
    pub(crate) z: F,
    /// `T`.
    pub(crate) t: F,
}

/// Eight affine points, ready to be added.
#[derive(Clone, Copy)]
pub(crate) struct Niels<F> {
    /// `y + x`.
    pub(crate) sum: F,
    /// `y − x`.
    pub(crate) difference: F,
    /// `2dxy`.
    pub(crate) product: F,
}

/// Eight points, ready to be added.
#[derive(Clone, Copy)]
pub(crate) struct Addends<F> {
    sum: F,
    difference: F,
    /// `2Z`.
    z2: F,
    /// `2dT`.
    product: F,
}

impl<F: Field> Niels<F> {
    /// The rows of eight points.
    #[inline(always)]
    pub(crate) fn load(machine: F::Machine, rows: [&NielsRow; LANES]) -> Self {
        let [sum, difference, product] = F::load_niels(machine, rows);
        Self { sum, difference, product }
    }

    /// Eight rows.
    #[inline(always)]
    pub(crate) fn store(self) -> [NielsRow; LANES] {
        F::store_niels([self.sum, self.difference, self.product])
    }

    /// The point `(x, y)`, each coordinate reduced.
    #[inline(always)]
    pub(crate) fn from_affine(machine: F::Machine, x: F, y: F) -> Self {
        let product = x.multiply(y).multiply(F::splat(machine, &Element::D2));
        Self { sum: y.plus(x), difference: y.minus(x), product }
    }

    /// The negative in the given lanes; ready to be added, not to be stored.
    #[inline(always)]
    pub(crate) fn negate_where(self, lanes: u8) -> Self {
        Self {
            sum: self.sum.replace_where(lanes, self.difference),
            difference: self.difference.replace_where(lanes, self.sum),
            product: self.product.negate_where(lanes),
        }
    }
}

impl<F: Field> Addends<F> {
    /// What [`Addends::store`] stored.
    #[inline(always)]
    pub(crate) fn load(machine: F::Machine, rows: [&PointRow; LANES]) -> Self {
        let [sum, difference, z2, product] = F::load_points(machine, rows);
        Self { sum, difference, z2, product }
    }

    /// Eight rows.
    #[inline(always)]
    pub(crate) fn store(self) -> [PointRow; LANES] {
        F::store_points([self.sum, self.difference, self.z2, self.product])
    }

    /// The negative in the given lanes.
    #[inline(always)]
    pub(crate) fn negate_where(self, lanes: u8) -> Self {
        Self {
            sum: self.sum.replace_where(lanes, self.difference),
            difference: self.difference.replace_where(lanes, self.sum),
            z2: self.z2,
            product: self.product.negate_where(lanes),
        }
    }
}

impl<F: Field> Points<F> {
    /// The neutral element in every lane.
    #[inline(always)]
    pub(crate) fn identity(machine: F::Machine) -> Self {
        let one = F::splat(machine, &Element::ONE);
        Self { sum: one, difference: one, z: one, t: F::splat(machine, &Element::ZERO) }
    }

    /// The same points in other coordinates: `Z = 2`, `T = 2xy`.
    #[inline(always)]
    pub(crate) fn from_niels(machine: F::Machine, point: Niels<F>) -> Self {
        let one = F::splat(machine, &Element::ONE);
        Self {
            sum: point.sum.plus(point.sum),
            difference: point.difference.plus(point.difference),
            z: one.plus(one),
            t: point.product.multiply(F::splat(machine, &Element::D_INVERSE)),
        }
    }

    /// The rows of eight points.
    #[inline(always)]
    pub(crate) fn load(machine: F::Machine, rows: [&PointRow; LANES]) -> Self {
        let [sum, difference, z, t] = F::load_points(machine, rows);
        Self { sum, difference, z, t }
    }

    /// Eight rows.
    #[inline(always)]
    pub(crate) fn store(self) -> [PointRow; LANES] {
        F::store_points([self.sum, self.difference, self.z, self.t])
    }

    /// The points as they are added to others.
    #[inline(always)]
    pub(crate) fn addends(self, machine: F::Machine) -> Addends<F> {
        Addends {
            sum: self.sum,
            difference: self.difference,
            z2: self.z.plus(self.z),
            product: self.t.multiply(F::splat(machine, &Element::D2)),
        }
    }

    /// The points with `Z = 1`, given `1/2Z`.
    #[inline(always)]
    pub(crate) fn scaled(self, machine: F::Machine, inverse: F) -> Niels<F> {
        let x = self.sum.minus(self.difference).multiply(inverse);
        let y = self.sum.plus(self.difference).multiply(inverse);
        Niels::from_affine(machine, x, y)
    }

    /// What both additions end with: `a = Y₁−X₁ · Y₂−X₂`, `b = Y₁+X₁ · Y₂+X₂`, `c = 2d·T₁T₂`, `d = 2·Z₁Z₂`.
    #[inline(always)]
    fn sum_from(a: F::Wide, b: F::Wide, c: F::Wide, d: F::Wide) -> Self {
        let e = F::reduced_difference(b, a);
        let f = F::reduced_difference(d, c);
        let g = F::reduced_sum(d, c);
        let h = F::reduced_sum(b, a);
        Self::from_completed(e, f, g, h)
    }

    /// `X = ef`, `Y = gh`, `Z = fg`, `T = eh`.
    #[inline(always)]
    fn from_completed(e: F, f: F, g: F, h: F) -> Self {
        let (x, y) = (e.multiply_wide(f), g.multiply_wide(h));
        Self { sum: F::reduced_sum(y, x), difference: F::reduced_difference(y, x), z: f.multiply(g), t: e.multiply(h) }
    }

    /// The sums with affine points: seven products.
    #[inline(always)]
    pub(crate) fn plus_niels(self, other: Niels<F>) -> Self {
        let z = self.z.widen();
        Self::sum_from(
            self.difference.multiply_wide(other.difference),
            self.sum.multiply_wide(other.sum),
            self.t.multiply_wide(other.product),
            F::wide_plus(z, z),
        )
    }

    /// The sums: eight products.
    #[inline(always)]
    pub(crate) fn plus(self, other: Addends<F>) -> Self {
        Self::sum_from(
            self.difference.multiply_wide(other.difference),
            self.sum.multiply_wide(other.sum),
            self.t.multiply_wide(other.product),
            self.z.multiply_wide(other.z2),
        )
    }

    /// Twice the points: three squares and five products.
    ///
    /// With `s = (Y+X)²`, `r = (Y−X)²`, `p = Y² − X²`, and everything scaled by two: `e = s − r`, `h = s + r`, `g = 2p`,
    /// `f = 4Z² − 2p`.
    #[inline(always)]
    pub(crate) fn double(self) -> Self {
        let (e, f, g, h) = self.doubled();
        Self::from_completed(e, f, g, h)
    }

    /// Twice the points, `T` left as it was: for a doubling that another follows.
    #[inline(always)]
    pub(crate) fn double_without_t(self) -> Self {
        let (e, f, g, h) = self.doubled();
        let (x, y) = (e.multiply_wide(f), g.multiply_wide(h));
        Self { sum: F::reduced_sum(y, x), difference: F::reduced_difference(y, x), z: f.multiply(g), t: self.t }
    }

    /// The doubling up to its last four products.
    #[inline(always)]
    fn doubled(self) -> (F, F, F, F) {
        let s = self.sum.square_wide();
        let r = self.difference.square_wide();
        let p = self.sum.multiply_wide(self.difference);
        let z = self.z.square_wide();
        let e = F::reduced_difference(s, r);
        let h = F::reduced_sum(s, r);
        let p2 = F::wide_plus(p, p);
        let g = F::reduce(p2);
        let z2 = F::wide_plus(z, z);
        let f = F::reduced_difference(F::wide_plus(z2, z2), p2);
        (e, f, g, h)
    }

    /// `2ⁿ` times the points; `n` is at least 1.
    #[inline(always)]
    pub(crate) fn double_times(mut self, n: u32) -> Self {
        for _ in 1..n {
            self = self.double_without_t();
        }
        self.double()
    }

    /// The chosen points in the given lanes.
    #[inline(always)]
    pub(crate) fn replace_where(self, lanes: u8, chosen: Self) -> Self {
        Self {
            sum: self.sum.replace_where(lanes, chosen.sum),
            difference: self.difference.replace_where(lanes, chosen.difference),
            z: self.z.replace_where(lanes, chosen.z),
            t: self.t.replace_where(lanes, chosen.t),
        }
    }

    /// The points in the order `from[0], from[1], …`.
    #[inline(always)]
    pub(crate) fn permute(self, from: [u8; LANES]) -> Self {
        Self {
            sum: self.sum.permute(from),
            difference: self.difference.permute(from),
            z: self.z.permute(from),
            t: self.t.permute(from),
        }
    }

    /// The lanes whose point times eight is the identity: `X = 0` and `Y = Z`.
    #[inline(always)]
    pub(crate) fn vanishing(self) -> u8 {
        let eight = self.double_times(3);
        let x2 = eight.sum.minus(eight.difference);
        let y2 = eight.sum.plus(eight.difference);
        let z2 = eight.z.plus(eight.z);
        x2.zeros() & y2.minus(z2).zeros()
    }
}
