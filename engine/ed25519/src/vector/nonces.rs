//! From the nonce that a signature should have to its verdict.
//!
//! `P = s·B − k·A` is known. Where `R` is a point already, `8·(P − R) = 0` is asked at once. Where it is only an encoding,
//! most signatures are honest, so `P` is first compared with it, which needs one inversion for many groups; only where they
//! differ is `R` decoded and the question asked. Equal encodings mean equal points, so the first answer is as exact as the
//! second.

use std::ops::Range;

use super::decode::Decode;
use super::doubled::invert_all;
use super::element::Element;
use super::point::{Niels, Points};
use super::{Field, LANES, Machine, NielsRow, PointRow, Work};

/// Groups that share one inversion.
const GROUPS: usize = 16;

/// Signatures that share one inversion; the most that are judged at once.
pub(crate) const TOGETHER: usize = GROUPS * LANES;

/// The nonces of as many signatures, as far as they are known.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Nonces<'a, 'b> {
    /// As they came.
    Encoded(&'a [&'b [u8; 32]]),
    /// As points: the row of each.
    Decoded(&'a [u32]),
}

impl Nonces<'_, '_> {
    /// Those of some of the signatures.
    pub(crate) fn of(self, range: Range<usize>) -> Self {
        match self {
            Self::Encoded(encodings) => Self::Encoded(encodings.get(range).unwrap_or(&[])),
            Self::Decoded(places) => Self::Decoded(places.get(range).unwrap_or(&[])),
        }
    }
}

/// Judges up to [`TOGETHER`] signatures by the points their nonces should be.
pub(crate) fn judge<M: Machine>(
    machine: M,
    rows: &[NielsRow],
    expected: &[PointRow],
    nonces: Nonces<'_, '_>,
    verdicts: &mut [bool],
) {
    match nonces {
        Nonces::Decoded(places) => machine.run(Subtract { rows, expected, places, verdicts }),
        Nonces::Encoded(encodings) => {
            let mut unequal = Vec::new();
            machine.run(Compare { encodings, expected, verdicts, unequal: &mut unequal });
            if !unequal.is_empty() {
                machine.run(DecideUnequal { encodings, expected, verdicts, unequal: &unequal });
            }
        }
    }
}

/// Accepts the signatures whose nonce differs from the expected one by torsion at most.
struct Subtract<'a> {
    rows: &'a [NielsRow],
    expected: &'a [PointRow],
    places: &'a [u32],
    verdicts: &'a mut [bool],
}

impl<M: Machine> Work<M> for Subtract<'_> {
    type Output = ();

    #[inline(always)]
    fn work(self, machine: M) {
        let Self { rows, expected, places, verdicts } = self;
        let Some(identity) = rows.first() else { return };
        let groups = expected.as_chunks::<LANES>().0.iter().zip(places.chunks(LANES));
        for ((expected, places), verdicts) in groups.zip(verdicts.chunks_mut(LANES)) {
            let row = |place: &u32| rows.get(*place as usize).unwrap_or(identity);
            let nonces = std::array::from_fn(|lane| places.get(lane).map_or(identity, row));
            let nonces = Niels::<M::Field>::load(machine, nonces);
            let vanishing =
                Points::load(machine, expected.each_ref()).plus_niels(nonces.negate_where(0xff)).vanishing();
            for (lane, verdict) in verdicts.iter_mut().enumerate() {
                *verdict = vanishing >> lane & 1 == 1;
            }
        }
    }
}

/// Accepts the signatures whose nonce is encoded as expected, and lists the others.
struct Compare<'a, 'b> {
    encodings: &'a [&'b [u8; 32]],
    expected: &'a [PointRow],
    verdicts: &'a mut [bool],
    unequal: &'a mut Vec<usize>,
}

impl<M: Machine> Work<M> for Compare<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn work(self, machine: M) {
        let Self { encodings, expected, verdicts, unequal } = self;
        let Some(first) = encodings.first() else { return };
        let mut points = [Points::<M::Field>::identity(machine); GROUPS];
        let mut inverses = [M::Field::splat(machine, &Element::ONE); GROUPS];
        let groups = encodings.chunks(LANES);
        let count = groups.len().min(GROUPS);
        let (points, inverses) = (&mut points[..count], &mut inverses[..count]);
        for (points, rows) in points.iter_mut().zip(expected.as_chunks::<LANES>().0) {
            *points = Points::load(machine, rows.each_ref());
        }
        invert_all(machine, points, inverses);
        for (index, (group, (points, inverse))) in groups.zip(points.iter().zip(inverses.iter())).enumerate() {
            let x = points.sum.minus(points.difference).multiply(*inverse);
            let y = points.sum.plus(points.difference).multiply(*inverse);
            let nonces = std::array::from_fn(|lane| *group.get(lane).unwrap_or(first));
            let (nonce_y, signs) = M::Field::load_encodings(machine, nonces);
            let equal = y.minus(nonce_y).zeros() & !(x.odds() ^ signs);
            for lane in 0..group.len() {
                let place = index * LANES + lane;
                if let Some(verdict) = verdicts.get_mut(place) {
                    *verdict = equal >> lane & 1 == 1;
                    if !*verdict {
                        unequal.push(place);
                    }
                }
            }
        }
    }
}

/// Decides the signatures whose nonce is not the expected one but may differ from it by torsion.
struct DecideUnequal<'a, 'b> {
    encodings: &'a [&'b [u8; 32]],
    expected: &'a [PointRow],
    verdicts: &'a mut [bool],
    unequal: &'a [usize],
}

impl<M: Machine> Work<M> for DecideUnequal<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn work(self, machine: M) {
        let Self { encodings, expected, verdicts, unequal } = self;
        let encodings: Vec<&[u8; 32]> = unequal.iter().filter_map(|place| encodings.get(*place).copied()).collect();
        let mut rows = vec![NielsRow([0; 16]); encodings.len()];
        let mut decoded = vec![false; encodings.len()];
        machine.run(Decode { encodings: &encodings, rows: &mut rows, decoded: &mut decoded });
        for ((group, rows), decoded) in unequal.chunks(LANES).zip(rows.chunks(LANES)).zip(decoded.chunks(LANES)) {
            let (Some(first), Some(first_row)) = (group.first(), rows.first()) else { return };
            let Some(any) = expected.first() else { return };
            let own = std::array::from_fn(|lane| expected.get(*group.get(lane).unwrap_or(first)).unwrap_or(any));
            let nonces =
                Niels::<M::Field>::load(machine, std::array::from_fn(|lane| rows.get(lane).unwrap_or(first_row)));
            let vanishing = Points::load(machine, own).plus_niels(nonces.negate_where(0xff)).vanishing();
            for (lane, (single, decoded)) in group.iter().zip(decoded).enumerate() {
                if let Some(verdict) = verdicts.get_mut(*single) {
                    *verdict = *decoded && vanishing >> lane & 1 == 1;
                }
            }
        }
    }
}
