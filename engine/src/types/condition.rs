//! The small words that conditions and records are said in.

use std::fmt;

/// How two values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Comparison {
    /// Less than.
    Less,
    /// Less than or equal.
    AtMost,
    /// Equal.
    Equal,
    /// Unequal.
    Unequal,
    /// Greater than or equal.
    AtLeast,
    /// Greater than.
    More,
}

impl Comparison {
    const ALL: [Self; 6] = [Self::Less, Self::AtMost, Self::Equal, Self::Unequal, Self::AtLeast, Self::More];

    /// Its number on the wire.
    pub(crate) const fn number(self) -> u8 {
        self as u8
    }

    pub(crate) fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// Whether `left` compares to `right` like this.
    pub(crate) fn holds<T: PartialOrd + Copy>(self, left: T, right: T) -> bool {
        match self {
            Self::Less => left < right,
            Self::AtMost => left <= right,
            Self::Equal => left == right,
            Self::Unequal => left != right,
            Self::AtLeast => left >= right,
            Self::More => left > right,
        }
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(["<", "<=", "=", "!=", ">=", ">"][*self as usize])
    }
}

/// What a grant is good for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum GrantKind {
    /// To pay out of the account that granted it.
    #[default]
    Spend,
    /// To see something that is kept elsewhere; the ledger says who may, and since when.
    Access,
    /// To order operations in the place of the account that granted it.
    Act,
}

impl GrantKind {
    const ALL: [Self; 3] = [Self::Spend, Self::Access, Self::Act];

    /// Its number on the wire.
    pub(crate) const fn number(self) -> u8 {
        self as u8
    }

    pub(crate) fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }
}

/// What a record is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RecordKind {
    /// Its owner attests something of its subject; the key names the schema.
    Attestation,
    /// The hash of something kept elsewhere.
    Anchor,
    /// A price or a measurement that its owner publishes: sixteen bytes of value, a little-endian number.
    Rate,
    /// Anything else.
    #[default]
    Data,
    /// What is to be known of an identity: its document, its services.
    Identity,
}

impl RecordKind {
    const ALL: [Self; 5] = [Self::Attestation, Self::Anchor, Self::Rate, Self::Data, Self::Identity];

    /// Its number on the wire.
    pub(crate) const fn number(self) -> u8 {
        self as u8
    }

    pub(crate) fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }
}

impl fmt::Display for RecordKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(["attestation", "anchor", "rate", "data", "identity"][*self as usize])
    }
}
