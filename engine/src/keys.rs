//! Keys that sign, for those who hold theirs in memory. Whoever holds them elsewhere signs the message themselves.

use crate::types::Address;
use ed25519_dalek::{Signer, SigningKey};

/// An Ed25519 signature: R, then s.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature(pub [u8; 64]);

impl Signature {
    /// A hint that spares whoever verifies it a square root, nearly half of the cost: the x-coordinate of R. Not part of the
    /// signature; may travel beside a transaction. `None` if R isn't a point. Costs that square root here.
    #[must_use]
    pub fn hint(&self) -> Option<[u8; 32]> {
        nostro_ed25519::hint(&self.0)
    }
}

impl std::fmt::Debug for Signature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Signature(")?;
        crate::types::write_hex(&self.0, f)?;
        f.write_str(")")
    }
}

/// An Ed25519 key pair (RFC 8032) whose public half is an address. The secret is wiped when it is dropped.
#[derive(Clone)]
pub struct KeyPair(SigningKey);

impl KeyPair {
    /// The key pair of a 32-byte seed, which is its whole secret.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// A fresh key pair from the operating system's randomness.
    ///
    /// # Errors
    /// The operating system's, when it has no randomness to give.
    pub fn generate() -> std::io::Result<Self> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(std::io::Error::other)?;
        Ok(Self::from_seed(&seed))
    }

    /// The address of the account this key is the first key of.
    #[must_use]
    pub fn address(&self) -> Address {
        Address(self.0.verifying_key().to_bytes())
    }

    /// Signs a message.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Signature {
        Signature(self.0.sign(message).to_bytes())
    }
}

impl PartialEq for KeyPair {
    fn eq(&self, other: &Self) -> bool {
        self.address() == other.address()
    }
}

impl Eq for KeyPair {}

impl std::fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KeyPair({}, secret)", self.address())
    }
}
