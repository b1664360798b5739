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
            let results = decode_groups::<M, ABREAST>(machine, groups);
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

/// Decodes groups side by side: the points, and the lanes that are points.
#[inline(always)]
fn decode_groups<M: Machine, const G: usize>(
    machine: M,
    encodings: [[&[u8; 32]; LANES]; G],
) -> [(Niels<M::Field>, u8); G] {
    let one = M::Field::splat(machine, &Element::ONE);
    let d = M::Field::splat(machine, &Element::D);
    let loaded = encodings.map(|encodings| M::Field::load_encodings(machine, encodings));
    let y = loaded.map(|(y, _)| y);
    let ratios = y.map(|y| {
        let square = y.square();
        (square.minus(one), square.multiply(d).plus(one))
    });
    let roots = roots::<M, G>(machine, ratios);
    std::array::from_fn(|group| {
        let (x, valid) = roots[group];
        let other_sign = x.odds() ^ loaded[group].1;
        let negative = M::Field::splat(machine, &Element::ZERO).minus(x);
        let x = x.replace_where(other_sign, negative);
        (Niels::from_affine(machine, x, y[group]), valid)
    })
}

/// For each `(u, v)` a square root of `u/v`, and the lanes that have one; `v` is not zero.
#[inline(always)]
fn roots<M: Machine, const G: usize>(machine: M, ratios: [(M::Field, M::Field); G]) -> [(M::Field, u8); G] {
    let sqrt_minus_one = M::Field::splat(machine, &Element::SQRT_MINUS_ONE);
    let cubes = ratios.map(|(_, v)| v.square().multiply(v));
    let powers = power_p58(std::array::from_fn::<_, G, _>(|group| {
        let (u, v) = ratios[group];
        cubes[group].square().multiply(v).multiply(u)
    }));
    std::array::from_fn(|group| {
        let (u, v) = ratios[group];
        let x = u.multiply(cubes[group]).multiply(powers[group]);
        let check = x.square().multiply(v);
        let right = check.minus(u).zeros();
        let turned = check.plus(u).zeros();
        (x.replace_where(turned, x.multiply(sqrt_minus_one)), right | turned)
    })
}

/// `x` to the `(p − 5)/8 = 2²⁵² − 3`.
#[inline(always)]
pub(crate) fn power_p58<F: Field, const G: usize>(x: [F; G]) -> [F; G] {
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

/// `1/x`, or zero of zero.
#[inline(always)]
pub(crate) fn invert<F: Field, const G: usize>(x: [F; G]) -> [F; G] {
    times(squared(power_p58(x), 3), times(squared(x, 1), x))
}

#[inline(always)]
fn squared<F: Field, const G: usize>(mut x: [F; G], times: u32) -> [F; G] {
    for _ in 0..times {
        x = x.map(F::square);
    }
    x
}

#[inline(always)]
fn times<F: Field, const G: usize>(left: [F; G], right: [F; G]) -> [F; G] {
    std::array::from_fn(|group| left[group].multiply(right[group]))
}
