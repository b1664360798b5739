//! What is checked: one signature, borrowed from wherever its bytes lie.

/// One signature to check.
#[derive(Clone, Copy, Debug)]
pub struct Item<'a> {
    /// The encoded point `A` of the signer.
    pub key: &'a [u8; 32],
    /// The message that was signed, of any length.
    pub message: &'a [u8],
    /// The encoded point `R` followed by the scalar `s`.
    pub signature: &'a [u8; 64],
}

impl<'a> Item<'a> {
    /// The encoded point `R`, the first half of the signature.
    pub(crate) fn nonce(&self) -> &'a [u8; 32] {
        halves(self.signature).0
    }

    /// The encoded scalar `s`, the second half of the signature.
    pub(crate) fn response(&self) -> &'a [u8; 32] {
        halves(self.signature).1
    }
}

/// Cuts a signature in two without a way to fail.
fn halves(signature: &[u8; 64]) -> (&[u8; 32], &[u8; 32]) {
    let (halves, []) = signature.as_chunks::<32>() else { unreachable!("64 is twice 32") };
    let [nonce, response] = halves else { unreachable!("64 is twice 32") };
    (nonce, response)
}
