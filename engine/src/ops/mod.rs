//! The operations: one file each, one line each in the table below, which gives it its wire code for ever.
//!
//! An operation answers five questions in the same order: what it is, what it touches (from its bytes alone), what it does
//! (check everything, then change everything), how it is written, how it is read. Operations don't know each other; what two
//! of them share belongs to [`Context`] or the state.
//!
//! Every operation begins with the same four bytes and is a multiple of eight bytes long:
//!
//! ```text
//! 0  code    u8    which operation
//! 1  source  u8    which signer it takes from: 0 the account, n the n-th further signer
//! 2  words   u16   its length in words of eight bytes, these four bytes included
//! ```

mod asset;
mod transfer;

pub use asset::RegisterAsset;
pub use transfer::Transfer;

use crate::state::Context;
use crate::types::{Address, Rejection};
use crate::wire::{Malformed, Reader};

/// One line of the table of operations.
#[derive(Clone, Copy, Debug)]
pub struct OperationKind {
    /// The code on the wire.
    pub code: u8,
    /// Its name, as in the documents.
    pub name: &'static str,
    /// Its length on the wire in bytes.
    pub bytes: usize,
}

/// Every operation, by ascending code. Codes are never reused.
pub const OPERATIONS: &[OperationKind] = &[
    OperationKind { code: Transfer::CODE, name: "Transfer", bytes: Transfer::BYTES },
    OperationKind { code: RegisterAsset::CODE, name: "RegisterAsset", bytes: RegisterAsset::BYTES },
];

/// What a transaction orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Operation {
    /// Moves an amount of an asset from the source to a payee.
    Transfer(Transfer),
    /// Registers an asset, issued by the source.
    RegisterAsset(RegisterAsset),
}

impl Operation {
    /// The account a credit goes to, if the operation these bytes begin with has one; nothing else of it is read.
    #[inline]
    pub(crate) fn peek_payee(operation: &[u8]) -> Option<Address> {
        match *operation.first()? {
            Transfer::CODE => Transfer::peek_payee(operation),
            _ => None,
        }
    }

    /// Does it. An `Err` leaves everything as it was.
    #[inline]
    pub(crate) fn apply(&self, source: Source<'_>, context: &mut Context<'_>) -> Result<(), Rejection> {
        match self {
            Self::Transfer(transfer) => transfer.apply(source, context),
            Self::RegisterAsset(register) => register.apply(source, context),
        }
    }

    /// Writes it; `source` is the place of its source among the signers.
    pub(crate) fn encode(&self, source: u8, out: &mut Vec<u8>) {
        let kind = self.kind();
        let words = u16::try_from(kind.bytes / 8).unwrap_or(u16::MAX);
        out.extend_from_slice(&[kind.code, source]);
        out.extend_from_slice(&words.to_le_bytes());
        match self {
            Self::Transfer(transfer) => transfer.encode(out),
            Self::RegisterAsset(register) => register.encode(out),
        }
    }

    /// Reads one; gives the place of its source among the `signers` too.
    #[inline]
    pub(crate) fn decode(reader: &mut Reader<'_>, signers: u8) -> Result<(u8, Self), Malformed> {
        let offset = reader.offset();
        let code = reader.u8()?;
        let kind = match code {
            Transfer::CODE => &OPERATIONS[0],
            RegisterAsset::CODE => &OPERATIONS[1],
            _ => return Err(Malformed::UnknownOperation { offset, found: code }),
        };
        let source = reader.u8()?;
        if source >= signers {
            let expected = "a signer of this transaction";
            return Err(Malformed::Field { field: "source", offset: offset + 1, expected, found: u64::from(source) });
        }
        let words = reader.u16()?;
        if usize::from(words) * 8 != kind.bytes {
            let expected = "the length of this operation in words";
            return Err(Malformed::Field { field: "words", offset: offset + 2, expected, found: u64::from(words) });
        }
        let operation = match code {
            Transfer::CODE => Self::Transfer(Transfer::decode(reader)?),
            _ => Self::RegisterAsset(RegisterAsset::decode(reader)?),
        };
        Ok((source, operation))
    }

    /// Its line in the table.
    #[must_use]
    pub fn kind(&self) -> &'static OperationKind {
        match self {
            Self::Transfer(_) => &OPERATIONS[0],
            Self::RegisterAsset(_) => &OPERATIONS[1],
        }
    }
}

/// Who an operation takes from, with the slot of its account if that has come into being.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source<'a> {
    pub address: &'a Address,
    pub slot: Option<crate::state::Slot>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_ascend_and_lengths_are_whole_words() {
        assert!(OPERATIONS.windows(2).all(|pair| pair[0].code < pair[1].code));
        assert!(OPERATIONS.iter().all(|kind| kind.bytes % 8 == 0 && kind.bytes >= 8));
    }
}
