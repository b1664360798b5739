//! From encodings to points, eight lanes at a time, several groups at once.
//!
//! `x = √((y² − 1)/(d·y² + 1))` by one power to `(p − 5)/8`, as in RFC 8032 §5.1.3 but for what ZIP-215 allows: `y` is taken
//! modulo the prime, and the sign of `x = 0` is ignored. The power is one long chain, so two groups are
//! raised side by side: one fills the gaps of the other.

use super::element::Element;
use super::point::Niels;
use super::{Field, LANES, Machine, NielsRow, Work};

/// Groups of eight that are raised side by side.
const ABREAST: usize = 2;

/// Decodes every encoding into a row; the rows of those that aren't points are those of no point in particular.
pub(crate) struct Decode<'a> {
    /// What to decode.
    pub(crate) encodings: &'a [&'a [u8; 32]],
    /// Where the points go; as long as `encodings`.
    pub(crate) rows: &'a mut [NielsRow],
    /// Whether each is a point; as long as `encodings`.
    pub(crate) decoded: &'a mut [bool],
}

impl<M: Machine> Work<M> for Decode<'_> {
    type Output = ();

    #[inline(always)]
    fn work(self, machine: M) {
        const WIDTH: usize = LANES * ABREAST;
        let places = self.rows.chunks_mut(WIDTH).zip(self.decoded.chunks_mut(WIDTH));
        for (encodings, (rows, decoded)) in self.encodings.chunks(WIDTH).zip(places) {
            let Some(first) = encodings.first() else { break };
            // The last few lanes repeat an encoding that is there anyway.
            let groups: [[&[u8; 32]; LANES]; ABREAST] = std::array::from_fn(|group| {
                std::array::from_fn(|lane| *encodings.get(group * LANES + lane).unwrap_or(first))
            });
            let results = decode_groups(machine, groups);
            for (group, (points, valid)) in results.into_iter().enumerate() {
                let stored = points.store();
                for (lane, row) in stored.into_iter().enumerate() {
                    let index = group * LANES + lane;
                    if let (Some(place), Some(decoded)) = (rows.get_mut(index), decoded.get_mut(index)) {
                        *place = row;
                        *decoded = valid >> lane & 1 == 1;
                    }
                }
            }
        }
    }
}

/// Decodes encodings by the `x` that somebody says they have. Nothing said is trusted: `x` must lie on the curve with `y`, and
/// have the encoded sign; where it doesn't, the encoding counts as not decoded here.
pub(crate) struct DecodeHinted<'a> {
    /// What to decode.
    pub(crate) encodings: &'a [&'a [u8; 32]],
    /// `x` of each, its lowest byte first; as long as `encodings`.
    pub(crate) hints: &'a [&'a [u8; 32]],
    /// Where the points go; as long as `encodings`.
    pub(crate) rows: &'a mut [NielsRow],
    /// Whether the hint is right; as long as `encodings`.
    pub(crate) decoded: &'a mut [bool],
}

impl<M: Machine> Work<M> for DecodeHinted<'_> {
    type Output = ();

    #[inline(always)]
    fn work(self, machine: M) {
        let one = M::Field::splat(machine, &Element::ONE);
        let d = M::Field::splat(machine, &Element::D);
        let places = self.rows.chunks_mut(LANES).zip(self.decoded.chunks_mut(LANES));
        let given = self.encodings.chunks(LANES).zip(self.hints.chunks(LANES));
        for ((encodings, hints), (rows, decoded)) in given.zip(places) {
            let (Some(first), Some(first_hint)) = (encodings.first(), hints.first()) else { return };
            let encodings = std::array::from_fn(|lane| *encodings.get(lane).unwrap_or(first));
            let hints = std::array::from_fn(|lane| *hints.get(lane).unwrap_or(first_hint));
            let (y, signs) = M::Field::load_encodings(machine, encodings);
            let (x, _) = M::Field::load_encodings(machine, hints);
            let (xx, yy) = (x.square(), y.square());
            let left = yy.minus(xx);
            let right = xx.multiply(yy).multiply(d).plus(one);
            let valid = left.minus(right).zeros() & !(x.odds() ^ signs);
            let stored = Niels::from_affine(machine, x, y).store();
            for ((lane, row), (place, decoded)) in stored.into_iter().enumerate().zip(rows.iter_mut().zip(decoded)) {
                *place = row;
                *decoded = valid >> lane & 1 == 1;
            }
        }
    }
}

/// A group for decoding: `y`, the signs of `x`, and `x² = u/v`.
#[derive(Clone, Copy)]
struct Group<F> {
    y: F,
    signs: u8,
    u: F,
    v: F,
}

impl<F: Field> Group<F> {
    #[inline(always)]
    fn load(machine: F::Machine, encodings: [&[u8; 32]; LANES]) -> Self {
        let one = F::splat(machine, &Element::ONE);
        let (y, signs) = F::load_encodings(machine, encodings);
        let square = y.square();
        Self { y, signs, u: square.minus(one), v: square.multiply(F::splat(machine, &Element::D)).plus(one) }
    }

    /// `u·v³`, and `u·v⁷`, whose power is to be taken.
    #[inline(always)]
    fn prepared(self) -> (F, F) {
        let cube = self.v.square().multiply(self.v);
        (self.u.multiply(cube), cube.square().multiply(self.v).multiply(self.u))
    }

    /// The points, and the lanes that are points, of `x = u·v³·(u·v⁷)^((p − 5)/8)`, right up to a root of unity.
    #[inline(always)]
    fn finished(self, machine: F::Machine, x: F) -> (Niels<F>, u8) {
        let check = x.square().multiply(self.v);
        let right = check.minus(self.u).zeros();
        let turned = check.plus(self.u).zeros();
        let x = x.replace_where(turned, x.multiply(F::splat(machine, &Element::SQRT_MINUS_ONE)));
        let other_sign = x.odds() ^ self.signs;
        let negative = F::splat(machine, &Element::ZERO).minus(x);
        let x = x.replace_where(other_sign, negative);
        (Niels::from_affine(machine, x, self.y), right | turned)
    }
}

/// Decodes two groups side by side: the points, and the lanes that are points.
#[inline(always)]
fn decode_groups<M: Machine>(
    machine: M,
    [first, second]: [[&[u8; 32]; LANES]; ABREAST],
) -> [(Niels<M::Field>, u8); ABREAST] {
    let (first, second) = (Group::load(machine, first), Group::load(machine, second));
    let ((first_scale, first_base), (second_scale, second_base)) = (first.prepared(), second.prepared());
    let [first_power, second_power]: [M::Field; ABREAST] = power_p58([first_base, second_base]);
    [
        first.finished(machine, first_scale.multiply(first_power)),
        second.finished(machine, second_scale.multiply(second_power)),
    ]
}

/// `x` to the `(p − 5)/8 = 2²⁵² − 3`, of two elements.
#[inline(always)]
fn power_p58<F: Field>(x: [F; ABREAST]) -> [F; ABREAST] {
    let x2 = squared(x, 1);
    let x9 = times(x, squared(x2, 2));
    let x11 = times(x2, x9);
    let to_5 = times(squared(x11, 1), x9); // the exponent is 2⁵ − 1, and so on
    let to_10 = times(squared(to_5, 5), to_5);
    let to_20 = times(squared(to_10, 10), to_10);
    let to_40 = times(squared(to_20, 20), to_20);
    let to_50 = times(squared(to_40, 10), to_10);
    let to_100 = times(squared(to_50, 50), to_50);
    let to_200 = times(squared(to_100, 100), to_100);
    let to_250 = times(squared(to_200, 50), to_50);
    times(squared(to_250, 2), x)
}

/// `1/x`, or zero of zero, of two elements.
#[inline(always)]
pub(crate) fn invert<F: Field>(x: [F; ABREAST]) -> [F; ABREAST] {
    times(squared(power_p58(x), 3), times(squared(x, 1), x))
}

#[inline(always)]
fn squared<F: Field>([mut first, mut second]: [F; ABREAST], times: u32) -> [F; ABREAST] {
    for _ in 0..times {
        first = first.square();
        second = second.square();
    }
    [first, second]
}

#[inline(always)]
fn times<F: Field>(left: [F; ABREAST], right: [F; ABREAST]) -> [F; ABREAST] {
    [left[0].multiply(right[0]), left[1].multiply(right[1])]
}
