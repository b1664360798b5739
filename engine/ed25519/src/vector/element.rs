//! Constants of the field, as numbers.

/// An element as five limbs of 51 bits, least first, each below 2⁵¹.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Element(pub(crate) [u64; 5]);

impl Element {
    /// The largest limb.
    #[cfg(test)]
    pub(crate) const MASK: u64 = (1 << 51) - 1;
    pub(crate) const ZERO: Self = Self([0; 5]);
    pub(crate) const ONE: Self = Self([1, 0, 0, 0, 0]);
    /// `1/2`, the number 2²⁵⁴ − 9.
    #[cfg(test)]
    pub(crate) const HALF: Self = Self([Self::MASK - 8, Self::MASK, Self::MASK, Self::MASK, Self::MASK >> 1]);
    /// `d = −121665/121666`, of the curve `−x² + y² = 1 + d·x²·y²`.
    pub(crate) const D: Self = Self([
        929_955_233_495_203,
        466_365_720_129_213,
        1_662_059_464_998_953,
        2_033_849_074_728_123,
        1_442_794_654_840_575,
    ]);
    /// `2d`.
    pub(crate) const D2: Self = Self([
        1_859_910_466_990_425,
        932_731_440_258_426,
        1_072_319_116_312_658,
        1_815_898_335_770_999,
        633_789_495_995_903,
    ]);
    /// `1/d`.
    pub(crate) const D_INVERSE: Self = Self([
        266_592_072_628_291,
        853_561_038_980_284,
        1_943_101_592_401_754,
        2_007_251_003_935_334,
        1_135_829_554_646_364,
    ]);
    /// A square root of −1.
    pub(crate) const SQRT_MINUS_ONE: Self = Self([
        1_718_705_420_411_056,
        234_908_883_556_509,
        2_233_514_472_574_048,
        2_117_202_627_021_982,
        765_476_049_583_133,
    ]);
}

#[cfg(test)]
pub(crate) mod reference {
    //! Arithmetic as slow as it is plain, to hold the machines against.

    use super::Element;

    /// The value of limbs of any size, reduced fully.
    pub(crate) fn value(limbs: [u64; 5]) -> Element {
        let mut limbs = limbs.map(u128::from);
        for _ in 0..4 {
            for index in 0..5 {
                let carry = limbs[index] >> 51;
                limbs[index] &= u128::from(Element::MASK);
                if index == 4 {
                    limbs[0] += 19 * carry;
                } else {
                    limbs[index + 1] += carry;
                }
            }
        }
        let prime = [Element::MASK - 18, Element::MASK, Element::MASK, Element::MASK, Element::MASK].map(u128::from);
        if limbs.iter().rev().ge(prime.iter().rev()) {
            limbs = [limbs[0] - prime[0], 0, 0, 0, 0];
        }
        Element(limbs.map(|limb| u64::try_from(limb).expect("51 bits")))
    }

    pub(crate) fn plus(left: Element, right: Element) -> Element {
        value(std::array::from_fn(|index| left.0[index] + right.0[index]))
    }

    pub(crate) fn negative(element: Element) -> Element {
        let prime = [Element::MASK - 18, Element::MASK, Element::MASK, Element::MASK, Element::MASK];
        value(std::array::from_fn(|index| 2 * prime[index] - element.0[index]))
    }

    pub(crate) fn minus(left: Element, right: Element) -> Element {
        plus(left, negative(right))
    }

    pub(crate) fn times(left: Element, right: Element) -> Element {
        let mut product = Element::ZERO;
        for limb in left.0.iter().rev() {
            for bit in (0..51).rev() {
                product = plus(product, product);
                if limb >> bit & 1 == 1 {
                    product = plus(product, right);
                }
            }
        }
        product
    }
}
