//! Every machine this processor has, held against plain arithmetic at the edges of its limbs, and against dalek's points.

use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::scalar::Scalar;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::avx2::Avx2;
use super::decode::{Decode, invert};
use super::element::{Element, reference};
use super::hash::{Hash, hash_one};
use super::ifma::Ifma;
use super::point::{Niels, Points};
use super::{Field, LANES, Machine, NielsRow, Work};
use crate::Item;

/// Runs a check on every machine there is.
macro_rules! on_every_machine {
    ($check:ident) => {
        match Ifma::detect() {
            Some(machine) => $check(machine),
            None => println!("skipped: no AVX-512 IFMA"),
        }
        match Avx2::detect() {
            Some(machine) => $check(machine),
            None => println!("skipped: no AVX2"),
        }
    };
}

/// Eight elements from theirs, by way of rows.
fn field<M: Machine>(machine: M, elements: [Element; LANES]) -> M::Field {
    let zero = M::Field::splat(machine, &Element::ZERO);
    elements
        .into_iter()
        .enumerate()
        .fold(zero, |field, (lane, element)| field.replace_where(1 << lane, M::Field::splat(machine, &element)))
}

/// Asserts that the lanes hold these elements.
fn assert_lanes<M: Machine>(machine: M, found: M::Field, expected: [Element; LANES], what: &str) {
    let expected = field(machine, expected);
    assert_eq!(found.minus(expected).zeros(), 0xff, "{what}");
    assert_eq!(expected.minus(found).zeros(), 0xff, "{what}");
}

/// Elements at the edges and anywhere between.
fn elements(generator: &mut ChaCha8Rng) -> [Element; LANES] {
    std::array::from_fn(|_| {
        let limb = |generator: &mut ChaCha8Rng| match generator.next_u32() % 4 {
            0 => Element::MASK,
            1 => 0,
            2 => u64::from(generator.next_u32() % 40),
            _ => generator.next_u64() & Element::MASK,
        };
        Element(std::array::from_fn(|_| limb(generator)))
    })
}

fn arithmetic_agrees<M: Machine>(machine: M) {
    let mut generator = ChaCha8Rng::seed_from_u64(1);
    for _ in 0..200 {
        let (a, b) = (elements(&mut generator), elements(&mut generator));
        let (left, right) = (field(machine, a), field(machine, b));
        let each = |operation: fn(Element, Element) -> Element| std::array::from_fn(|lane| operation(a[lane], b[lane]));
        assert_lanes(machine, left.multiply(right), each(reference::times), "product");
        assert_lanes(machine, left.square(), std::array::from_fn(|lane| reference::times(a[lane], a[lane])), "square");
        assert_lanes(machine, left.plus(right), each(reference::plus), "sum");
        assert_lanes(machine, left.minus(right), each(reference::minus), "difference");
        let odd = (0..LANES).filter(|lane| reference::value(a[*lane].0).0[0] & 1 == 1);
        assert_eq!(left.odds(), odd.fold(0, |bits, lane| bits | 1 << lane));
        let negated = left.negate_where(0b0110_1001).multiply(right);
        let expected = std::array::from_fn(|lane| {
            let a =
                if 0b0110_1001 >> lane & 1 == 1 { reference::negative(reference::value(a[lane].0)) } else { a[lane] };
            reference::times(reference::value(a.0), b[lane])
        });
        assert_lanes(machine, negated, expected, "product of a negative");
        let inverse = invert([left, right])[0].multiply(left);
        let one_or_zero = a.map(|a| if reference::value(a.0) == Element::ZERO { Element::ZERO } else { Element::ONE });
        assert_lanes(machine, inverse, one_or_zero, "inverse");
        let rotated = left.permute([3, 4, 5, 6, 7, 0, 1, 2]);
        assert_lanes(machine, rotated, std::array::from_fn(|lane| a[(lane + 3) % LANES]), "permutation");
    }
}

#[test]
fn arithmetic_agrees_with_plain_arithmetic() {
    on_every_machine!(arithmetic_agrees);
}

/// The largest reduced element that operations can leave behind, by doing them to the largest there is.
fn extremes_hold<M: Machine>(machine: M) {
    let top = Element([Element::MASK; 5]);
    let value = reference::value(top.0);
    let start = field(machine, [top; LANES]);
    let mut held = [(start, value); 6];
    for step in 0..400_usize {
        let (left, a) = held[step % 6];
        let (right, b) = held[(step * 5 + 1) % 6];
        let wide_left = left.multiply_wide(right);
        let wide_right = right.square_wide();
        let double = |wide| M::Field::wide_plus(wide, wide);
        let (product, square) = (reference::times(a, b), reference::times(b, b));
        let (twice, square_twice) = (reference::plus(product, product), reference::plus(square, square));
        // The largest sum and difference that a point formula takes.
        let (next, expected) = match step % 4 {
            0 => (
                M::Field::reduce(M::Field::wide_minus(double(double(wide_left)), double(wide_right))),
                reference::minus(reference::plus(twice, twice), square_twice),
            ),
            1 => (M::Field::reduce(M::Field::wide_minus(right.widen(), double(wide_left))), reference::minus(b, twice)),
            2 => (left.negate_where(0xff).multiply(right), reference::times(reference::negative(a), b)),
            _ => (left.plus(right), reference::plus(a, b)),
        };
        assert_lanes(machine, next, [expected; LANES], &format!("step {step}"));
        held[step * 7 % 6] = (next, expected);
    }
}

#[test]
fn extreme_limbs_are_carried() {
    on_every_machine!(extremes_hold);
}

fn zeros_are_seen<M: Machine>(machine: M) {
    let prime = Element([Element::MASK - 18, Element::MASK, Element::MASK, Element::MASK, Element::MASK]);
    for low in 0..=18 {
        let mut near = prime;
        near.0[0] += low; // p + low, up to 2²⁵⁵ − 1
        let lanes = std::array::from_fn(|lane| if lane % 2 == 0 { near } else { Element([low, 0, 0, 0, 0]) });
        let held = field(machine, lanes);
        assert_eq!(held.zeros(), if low == 0 { 0xff } else { 0 }, "p + {low}");
        assert_eq!(held.odds(), if low % 2 == 1 { 0xff } else { 0 }, "p + {low}");
        let small = M::Field::splat(machine, &Element([low, 0, 0, 0, 0]));
        assert_eq!(held.minus(small).zeros(), 0xff);
        assert_eq!(small.minus(held).zeros(), 0xff);
        assert_eq!(held.plus(held).minus(small).minus(small).zeros(), 0xff);
    }
}

#[test]
fn both_representatives_of_zero_are_zero() {
    on_every_machine!(zeros_are_seen);
}

/// The encoding of eight points.
struct Encode<F>(Points<F>);

impl<M: Machine> Work<M> for Encode<M::Field> {
    type Output = [[u8; 32]; LANES];

    #[inline(always)]
    fn work(self, machine: M) -> [[u8; 32]; LANES] {
        let points = self.0;
        let inverse = invert([points.z.plus(points.z), points.z])[0];
        let x = points.sum.minus(points.difference).multiply(inverse);
        let mut y = points.sum.plus(points.difference).multiply(inverse);
        let half = M::Field::splat(machine, &Element::HALF);
        let (mut bytes, odd) = ([[0; 32]; LANES], x.odds());
        // Bit by bit: the parity, then half of what is left, the number being below the prime.
        for bit in 0..255 {
            let odds = y.odds();
            for (lane, bytes) in bytes.iter_mut().enumerate() {
                bytes[bit / 8] |= (odds >> lane & 1) << (bit % 8);
            }
            y = y.replace_where(odds, y.minus(M::Field::splat(machine, &Element::ONE))).multiply(half);
        }
        for (lane, bytes) in bytes.iter_mut().enumerate() {
            bytes[31] |= (odd >> lane & 1) << 7;
        }
        bytes
    }
}

struct PointsAgree;

impl<M: Machine> Work<M> for PointsAgree {
    type Output = ();

    #[inline(always)]
    fn work(self, machine: M) {
        let mut generator = ChaCha8Rng::seed_from_u64(2);
        for round in 0..8 {
            let points: [EdwardsPoint; LANES] = std::array::from_fn(|lane| {
                let torsion = curve25519_dalek::constants::EIGHT_TORSION[lane * usize::from(round % 2 == 0)];
                let scalar = if round == 7 { Scalar::ZERO } else { Scalar::from(generator.next_u64()) };
                EdwardsPoint::mul_base(&scalar) + torsion
            });
            let encodings = points.map(|point| point.compress().to_bytes());
            let references = encodings.each_ref();
            let (mut rows, mut decoded) = ([NielsRow([0; 16]); LANES], [false; LANES]);
            Decode { encodings: &references, rows: &mut rows, decoded: &mut decoded }.work(machine);
            assert_eq!(decoded, [true; LANES]);
            let niels = Niels::<M::Field>::load(machine, rows.each_ref());
            let check = |found: Points<M::Field>, expected: [EdwardsPoint; LANES], what: &str| {
                assert_eq!(machine.run(Encode(found)), expected.map(|point| point.compress().to_bytes()), "{what}");
                // T is what the formulas assume: XY/Z.
                let product = found.sum.minus(found.difference).multiply(found.sum.plus(found.difference));
                let four = |x: M::Field| x.plus(x).plus(x).plus(x);
                assert_eq!(product.minus(four(found.t.multiply(found.z))).zeros(), 0xff, "{what}: T");
            };
            let own = Points::from_niels(machine, niels);
            check(own, points, "decoded");
            let twice = own.double();
            check(twice, points.map(|point| point + point), "doubled");
            check(own.double_times(3), points.map(|point| point.mul_by_cofactor()), "eightfold");
            check(own.plus_niels(niels), points.map(|point| point + point), "added to itself");
            check(twice.plus_niels(niels), points.map(|point| point + point + point), "threefold");
            check(twice.plus(own.addends(machine)), points.map(|point| point + point + point), "threefold, in full");
            check(twice.plus_niels(niels.negate_where(0xff)), points, "twice less once");
            check(
                twice.plus(own.addends(machine).negate_where(0x0f)),
                std::array::from_fn(
                    |lane| {
                        if lane < 4 { points[lane] } else { points[lane] + points[lane] + points[lane] }
                    },
                ),
                "some negated",
            );
            check(Points::identity(machine).plus_niels(niels), points, "added to the identity");
            let small = (0..LANES).filter(|lane| points[*lane].is_small_order());
            assert_eq!(own.vanishing(), small.fold(0, |bits, lane| bits | 1 << lane));
            let rows = own.store();
            check(Points::load(machine, rows.each_ref()), points, "stored");
        }
    }
}

fn points_agree<M: Machine>(machine: M) {
    machine.run(PointsAgree);
}

#[test]
fn points_agree_with_dalek() {
    on_every_machine!(points_agree);
}

fn decoding_agrees<M: Machine>(machine: M) {
    let mut generator = ChaCha8Rng::seed_from_u64(3);
    let mut encodings: Vec<[u8; 32]> = (0..3_000)
        .map(|_| {
            let mut bytes = [0; 32];
            generator.fill_bytes(&mut bytes);
            bytes
        })
        .collect();
    for low in 0..=0xff_u8 {
        for (rest, sign) in [(0, 0), (0, 0x80), (0xff, 0), (0xff, 0x80)] {
            let mut bytes = [rest; 32];
            bytes[0] = low;
            bytes[31] = bytes[31] & 0x7f | sign;
            encodings.push(bytes);
        }
    }
    encodings.pop(); // not a multiple of the lanes
    let references: Vec<&[u8; 32]> = encodings.iter().collect();
    let (mut rows, mut decoded) = (vec![NielsRow([0; 16]); encodings.len()], vec![false; encodings.len()]);
    machine.run(Decode { encodings: &references, rows: &mut rows, decoded: &mut decoded });
    let mut points = 0;
    for (index, encoding) in encodings.iter().enumerate() {
        let expected = crate::rule::decode(encoding);
        assert_eq!(decoded[index], expected.is_some(), "{encoding:02x?}");
        if let (Some(expected), true) = (expected, index % 32 == 0 || index >= 3_900) {
            let niels = Niels::<M::Field>::load(machine, [&rows[index]; LANES]);
            let found = machine.run(Encode(Points::from_niels(machine, niels)))[0];
            assert_eq!(found, expected.compress().to_bytes(), "{encoding:02x?}");
            points += 1;
        }
    }
    assert!(points > 50);
}

#[test]
fn decoding_agrees_with_dalek() {
    on_every_machine!(decoding_agrees);
}

fn hashes_agree<M: Machine>(machine: M) {
    let mut generator = ChaCha8Rng::seed_from_u64(6);
    let messages: Vec<Vec<u8>> = (0..700)
        .chain([47; 9])
        .map(|length| {
            let mut message = vec![0; length];
            generator.fill_bytes(&mut message);
            message
        })
        .collect();
    let (mut key, mut signature) = ([0; 32], [0; 64]);
    generator.fill_bytes(&mut key);
    generator.fill_bytes(&mut signature);
    let items: Vec<Item<'_>> =
        messages.iter().map(|message| Item { key: &key, message, signature: &signature }).collect();
    let mut digests = vec![[0; 8]; items.len()];
    machine.run(Hash { items: &items, digests: &mut digests });
    for (item, digest) in items.iter().zip(digests) {
        assert_eq!(digest, hash_one(item), "{} bytes", item.message.len());
        let challenge: Vec<u8> = crate::scalar::reduce(&digest).iter().flat_map(|word| word.to_le_bytes()).collect();
        assert_eq!(challenge, crate::rule::challenge(item).to_bytes());
    }
}

#[test]
fn hashes_of_every_length_agree_with_sha2() {
    on_every_machine!(hashes_agree);
}
