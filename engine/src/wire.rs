//! The canonical encoding: how bytes are read and written.
//!
//! # Rules
//!
//! 1. Fields have fixed widths and fixed places; integers are little-endian.
//! 2. Reserved bytes are zero.
//! 3. Lengths add up exactly; nothing trails.
//! 4. Hence one value has one encoding: decoding and encoding are each other's inverse.
//!
//! Nothing here allocates in proportion to a length that was read.

/// Why bytes aren't a transaction. Numbers are stable (1xx); where several apply the first one met from the left is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Malformed {
    /// 101: the bytes end too early.
    #[error("101 truncated: expected {expected} bytes at offset {offset}, found {found}")]
    Truncated {
        /// Where reading began, in bytes from the transaction's first.
        offset: usize,
        /// How many bytes were needed there.
        expected: usize,
        /// How many there were.
        found: usize,
    },
    /// 102: a field has a value it may not have.
    #[error("102 {field} at offset {offset}: expected {expected}, found {found}")]
    Field {
        /// Which field.
        field: &'static str,
        /// Where it stands, in bytes from the transaction's first.
        offset: usize,
        /// What it may be.
        expected: &'static str,
        /// What it is.
        found: u64,
    },
    /// 103: the operation's code isn't one this version knows.
    #[error("103 operation code at offset {offset}: expected one of the operations of this version, found {found}")]
    UnknownOperation {
        /// Where it stands.
        offset: usize,
        /// The code.
        found: u8,
    },
    /// 104: the lengths don't add up.
    #[error("104 length: the header says {expected} bytes, the fields take {found}")]
    Length {
        /// What the header says.
        expected: usize,
        /// What signers, operations and signatures add up to.
        found: usize,
    },
    /// 105: an address that anyone can sign for.
    #[error("105 address at offset {offset}: expected a key, found a point of low order, for which anyone can sign")]
    LowOrderAddress {
        /// Where it stands.
        offset: usize,
    },
    /// 106: further signers aren't in ascending order, or one of them is the account.
    #[error(
        "106 further signers: expected ascending addresses without the account, found otherwise at offset {offset}"
    )]
    SignerOrder {
        /// Where the first one out of order stands.
        offset: usize,
    },
    /// 107: a further signer from whom no operation takes.
    #[error("107 further signer {signer}: expected an operation that takes from it, found none")]
    UnusedSigner {
        /// Which signer; 1 is the first further one.
        signer: u8,
    },
    /// 108: bytes behind the end.
    #[error("108 trailing bytes: expected the end at offset {expected}, found {found} bytes")]
    Trailing {
        /// How many bytes the transaction has.
        expected: usize,
        /// How many there were.
        found: usize,
    },
}

/// Reads fields from the left.
#[derive(Clone, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    offset: usize,
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, offset: 0 }
    }

    /// Bytes read so far.
    pub(crate) const fn offset(&self) -> usize {
        self.offset
    }

    #[inline]
    pub(crate) fn bytes(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let Some((head, tail)) = self.rest.split_at_checked(count) else {
            return Err(Malformed::Truncated { offset: self.offset, expected: count, found: self.rest.len() });
        };
        self.rest = tail;
        self.offset += count;
        Ok(head)
    }

    #[inline]
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let Some((head, tail)) = self.rest.split_first_chunk::<N>() else {
            return Err(Malformed::Truncated { offset: self.offset, expected: N, found: self.rest.len() });
        };
        self.rest = tail;
        self.offset += N;
        Ok(*head)
    }

    #[inline]
    pub(crate) fn u8(&mut self) -> Result<u8, Malformed> {
        self.array().map(u8::from_le_bytes)
    }

    #[inline]
    pub(crate) fn u16(&mut self) -> Result<u16, Malformed> {
        self.array().map(u16::from_le_bytes)
    }

    #[inline]
    pub(crate) fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_le_bytes)
    }

    #[inline]
    pub(crate) fn u64(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_le_bytes)
    }

    #[inline]
    pub(crate) fn u128(&mut self) -> Result<u128, Malformed> {
        self.array().map(u128::from_le_bytes)
    }

    /// Reads `N` reserved bytes, which are zero.
    #[inline]
    pub(crate) fn reserved<const N: usize>(&mut self) -> Result<(), Malformed> {
        let offset = self.offset;
        let bytes = self.array::<N>()?;
        match bytes.iter().find(|&&byte| byte != 0) {
            None => Ok(()),
            Some(&byte) => Err(Malformed::Field { field: "reserved", offset, expected: "0", found: u64::from(byte) }),
        }
    }
}
