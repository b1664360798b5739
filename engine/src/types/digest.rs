//! Thirty-two bytes that identify something, each kind with a type of its own.

use std::fmt;
use std::str::FromStr;

/// Text that isn't sixty-four hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected 64 hexadecimal digits, found {found}")]
pub struct ParseHexError {
    found: String,
}

/// Reads thirty-two bytes from sixty-four hexadecimal digits of either case.
pub(crate) fn parse_hex(text: &str) -> Result<[u8; 32], ParseHexError> {
    let complaint = || {
        let shown: String = text.chars().take(80).collect();
        ParseHexError { found: format!("{} bytes: {shown:?}", text.len()) }
    };
    let digits = text.as_bytes();
    if digits.len() != 64 {
        return Err(complaint());
    }
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = pair.iter().try_fold(0_u8, |high, &digit| Some(high << 4 | hex_value(digit)?)).ok_or_else(complaint)?;
    }
    Ok(bytes)
}

const fn hex_value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// Writes bytes as lower-case hexadecimal digits.
pub(crate) fn write_hex(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

macro_rules! thirty_two_bytes {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; 32]);

        impl $name {
            /// The bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_hex(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = ParseHexError;
            fn from_str(text: &str) -> Result<Self, ParseHexError> {
                parse_hex(text).map(Self)
            }
        }
    };
}
pub(crate) use thirty_two_bytes;

thirty_two_bytes! {
    /// A BLAKE3 hash: of a block, of a state, of effects.
    Digest
}
thirty_two_bytes! {
    /// Identifies a ledger: the hash of its genesis. Transactions signed for one ledger mean nothing to another.
    LedgerId
}
thirty_two_bytes! {
    /// Identifies what was ordered: the BLAKE3 hash of a transaction's unsigned body under the ledger's key.
    ///
    /// Signatures aren't part of it, so nobody can make a second id for the same order.
    TransactionId
}
