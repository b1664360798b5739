//! Cuts transactions that lie back to back into batches, by the lengths they begin with.

/// What is left of a run of transactions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cutter<'a>(&'a [u8]);

impl<'a> Cutter<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Whether everything was taken.
    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next `count` transactions, fewer at the end; with how many they are. Bytes that can't be cut are given whole, as one:
    /// admission says what is wrong with them.
    pub(crate) fn take(&mut self, count: u32) -> (&'a [u8], u32) {
        let (mut end, mut taken) = (0_usize, 0_u32);
        while taken < count && end < self.0.len() {
            let words =
                self.0.get(end..).and_then(|rest| rest.get(4..)?.first_chunk()).copied().map(u16::from_le_bytes);
            let bytes = usize::from(words.unwrap_or(0)) * 8;
            end = if bytes == 0 { self.0.len() } else { end.saturating_add(bytes).min(self.0.len()) };
            taken += 1;
        }
        let (head, rest) = self.0.split_at(end);
        self.0 = rest;
        (head, taken)
    }
}
