//! Anti-replay windows: which sequence numbers of a lane were used.
//!
//! The highest number seen and a bitmap of it and the 63 below (RFC 4303 §3.4.3, RFC 6479). Numbers may come out of order
//! inside the window; what falls out of it counts as used. Sixteen bytes, whatever was seen.

/// What a window says of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    Fresh,
    Duplicate,
    /// Too far below the highest; with the lowest number that would do.
    OutOfWindow(u64),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Window {
    /// The highest number seen; 0 if none.
    pub(super) top: u64,
    /// Bit `n` says that `top - n` was used.
    pub(super) bits: u64,
}

impl Window {
    /// How many numbers a window remembers.
    pub(crate) const WIDTH: u64 = 64;

    #[inline]
    pub(crate) fn check(self, sequence: u64) -> Use {
        match self.top.checked_sub(sequence) {
            None => Use::Fresh,
            Some(below) if below >= Self::WIDTH => Use::OutOfWindow(self.top - (Self::WIDTH - 1)),
            Some(below) if self.bits >> below & 1 == 1 => Use::Duplicate,
            Some(_) => Use::Fresh,
        }
    }

    /// The window after a fresh number was used.
    #[inline]
    #[must_use]
    pub(crate) fn with(self, sequence: u64) -> Self {
        match sequence.checked_sub(self.top) {
            Some(above) => Self {
                top: sequence,
                bits: u32::try_from(above).ok().and_then(|above| self.bits.checked_shl(above)).unwrap_or(0) | 1,
            },
            None => Self { top: self.top, bits: self.bits | 1 << (self.top - sequence) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// The same said naively: a set of all numbers ever used.
    fn naive(used: &BTreeSet<u64>, sequence: u64) -> Use {
        let Some(&top) = used.last() else { return Use::Fresh };
        if sequence.saturating_add(Window::WIDTH) <= top {
            Use::OutOfWindow(top - 63)
        } else if used.contains(&sequence) {
            Use::Duplicate
        } else {
            Use::Fresh
        }
    }

    #[test]
    fn a_window_agrees_with_a_set_of_everything_used() {
        let mut seed = 7_u64;
        for round in 0..200 {
            let (mut window, mut used) = (Window::default(), BTreeSet::new());
            let base = if round % 3 == 0 { u64::MAX - 200 } else { round };
            for _ in 0..300 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let step = [3, 70, 200][(seed >> 60) as usize % 3];
                let sequence = base.saturating_add((seed >> 33) % step);
                let said = window.check(sequence);
                assert_eq!(said, naive(&used, sequence), "round {round}, sequence {sequence}, window {window:?}");
                if said == Use::Fresh {
                    window = window.with(sequence);
                    used.insert(sequence);
                }
            }
        }
    }

    #[test]
    fn zero_is_a_number_like_any_other() {
        let window = Window::default();
        assert_eq!(window.check(0), Use::Fresh);
        assert_eq!(window.with(0).check(0), Use::Duplicate);
        assert_eq!(window.with(u64::MAX).check(0), Use::OutOfWindow(u64::MAX - 63));
        assert_eq!(window.with(u64::MAX).check(u64::MAX), Use::Duplicate);
    }
}
