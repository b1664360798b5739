//! What identifies an asset.

use std::fmt;
use std::str::FromStr;

/// The dense number an asset was given at registration: the first asset of a ledger is 0, the next 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AssetId(pub u32);

impl fmt::Display for AssetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Text that can't be an asset's code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an asset code has 1 to 12 of A-Z a-z 0-9 . _ -, found {found:?}")]
pub struct AssetCodeError {
    found: String,
}

/// The short name an issuer gives an asset: 1 to 12 characters of `A-Z a-z 0-9 . _ -`, unique per issuer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AssetCode([u8; 12]);

impl AssetCode {
    /// Reads a code from its field on the wire: the characters, then zeros.
    pub(crate) fn from_field(field: [u8; 12]) -> Option<Self> {
        let length = field.iter().position(|&byte| byte == 0).unwrap_or(field.len());
        let (name, padding) = field.split_at(length);
        let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-".contains(byte);
        (!name.is_empty() && name.iter().all(allowed) && padding.iter().all(|&byte| byte == 0)).then_some(Self(field))
    }

    /// The code as a field of twelve bytes: the characters, then zeros.
    pub(crate) const fn field(&self) -> &[u8; 12] {
        &self.0
    }

    /// The code as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let length = self.0.iter().position(|&byte| byte == 0).unwrap_or(self.0.len());
        // Only ASCII gets in, so this can't fail; an empty text would show if it did.
        self.0.get(..length).and_then(|name| std::str::from_utf8(name).ok()).unwrap_or_default()
    }
}

impl FromStr for AssetCode {
    type Err = AssetCodeError;

    fn from_str(text: &str) -> Result<Self, AssetCodeError> {
        let complaint = || AssetCodeError { found: text.chars().take(40).collect() };
        let mut field = [0; 12];
        field.get_mut(..text.len()).ok_or_else(complaint)?.copy_from_slice(text.as_bytes());
        // A zero at the end of the text would pass for padding.
        Self::from_field(field).filter(|code| code.as_str() == text).ok_or_else(complaint)
    }
}

impl fmt::Display for AssetCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for AssetCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AssetCode({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_comes_back_as_its_text_and_nothing_else_is_one() {
        for text in ["A", "EUR", "z-9._", "ABCDEFGHIJKL"] {
            assert_eq!(text.parse::<AssetCode>().map(|code| code.to_string()), Ok(text.to_owned()));
        }
        for text in ["", "ABCDEFGHIJKLM", "A B", "A\0", "\0", "A\0B", "\u{c4}"] {
            assert!(text.parse::<AssetCode>().is_err(), "{text:?}");
        }
    }
}
