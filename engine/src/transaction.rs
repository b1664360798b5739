//! A transaction: one account's list of operations that all succeed or all fail, signed by everyone it takes from.
//!
//! # Layout
//!
//! ```text
//!   0  format      u8    1
//!   1  signers     u8    1 to 16: the account and the further signers
//!   2  operations  u16   1 to 256
//!   4  words       u16   length of everything, signatures included, in words of eight bytes; at most 4,096
//!   6  lane        u16   which of the account's replay windows
//!   8  sequence    u64   its number in that window; used once
//!  16  valid_until u64   last block time it may be applied at, in ms; 0 = unbounded
//!  24  account     [32]
//!  56  further signers, 32 bytes each, ascending, none of them the account, each taken from by an operation
//!   …  operations, see `ops`
//!   …  signatures, 64 bytes each, in the order of the signers
//! ```
//!
//! The *body* is all but the signatures. Its keyed hash is the transaction's id, and the 47 bytes `"nostro 1 signed" ‖ id`
//! are what each signer signs. `docs/wire.md` tells it to those who write a client.

use crate::keys::{KeyPair, Signature};
use crate::ledger::Ledger;
use crate::ops::{
    Amend, Grant, Hold, OpenMarket, Operation, PlaceOrder, Predicate, Put, RegisterAsset, Require, Settle, Transfer,
};
use crate::types::{Address, Amount, AssetCode, AssetId, Time, TransactionId};
use crate::wire::{Malformed, Reader};

/// The longest transaction in bytes: sixteen signers and 256 transfers fit, or fewer operations that are longer.
pub const TRANSACTION_BYTES_MAX: usize = 32 << 10;

const FORMAT: u8 = 1;
const HEADER_BYTES: usize = 56;
const SIGNERS_MAX: u8 = 16;
const OPERATIONS_MAX: u16 = 256;
const SIGNATURE_BYTES: usize = 64;
const MESSAGE_TAG: &[u8; 15] = b"nostro 1 signed";

// A transfer with one signature is 192 bytes, and its body two blocks of the hash function.
const _: () = assert!(HEADER_BYTES + Transfer::BYTES + SIGNATURE_BYTES == 192);
const _: () = assert!(TRANSACTION_BYTES_MAX / 8 <= u16::MAX as usize);
const LONGEST_OF_TRANSFERS: usize =
    HEADER_BYTES + 15 * 32 + OPERATIONS_MAX as usize * Transfer::BYTES + 16 * SIGNATURE_BYTES;
const _: () = assert!(LONGEST_OF_TRANSFERS <= TRANSACTION_BYTES_MAX);

/// The 47 bytes that each signer of a transaction signs.
pub type SignedMessage = [u8; 47];

/// The message for an id.
#[inline]
pub(crate) fn signed_message(id: &TransactionId) -> SignedMessage {
    let mut message = [0; 47];
    message[..15].copy_from_slice(MESSAGE_TAG);
    message[15..].copy_from_slice(&id.0);
    message
}

/// Canonical bytes of one transaction, borrowed. Holding one proves that they are well-formed; nobody has looked at the
/// signatures.
#[derive(Clone, Copy)]
pub struct TransactionRef<'a> {
    bytes: &'a [u8],
    body_bytes: usize,
}

impl<'a> TransactionRef<'a> {
    /// Reads one transaction from the front of `bytes` and gives what is left behind it. Costs tens of nanoseconds and
    /// allocates nothing.
    ///
    /// # Errors
    /// [`Malformed`], with offsets counted from the transaction's first byte.
    pub fn decode_prefix(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), Malformed> {
        let mut reader = Reader::new(bytes);
        let header = Header::decode(&mut reader)?;
        let Some((own, rest)) = bytes.split_at_checked(header.bytes) else {
            return Err(Malformed::Truncated { offset: 0, expected: header.bytes, found: bytes.len() });
        };
        if header.bytes > TRANSACTION_BYTES_MAX {
            let found = header.bytes as u64 / 8;
            return Err(Malformed::Field { field: "words", offset: 4, expected: "at most 4096", found });
        }
        let mut reader = Reader::new(own);
        reader.bytes(HEADER_BYTES)?;

        let mut before = None;
        for _ in 1..header.signers {
            let offset = reader.offset();
            let signer = Address(reader.array()?);
            if signer == header.account || before.is_some_and(|before| signer <= before) {
                return Err(Malformed::SignerOrder { offset });
            }
            refuse_low_order(&signer, offset)?;
            before = Some(signer);
        }
        let mut taken_from = 1_u32;
        for _ in 0..header.operations {
            let (source, _) = Operation::decode(&mut reader, header.signers)?;
            taken_from |= 1 << source;
        }
        let all = (1_u32 << header.signers) - 1;
        if taken_from != all {
            let signer = u8::try_from((!taken_from).trailing_zeros()).unwrap_or(u8::MAX);
            return Err(Malformed::UnusedSigner { signer });
        }
        let body_bytes = reader.offset();
        let found = body_bytes + usize::from(header.signers) * SIGNATURE_BYTES;
        if found != header.bytes {
            return Err(Malformed::Length { expected: header.bytes, found });
        }
        Ok((Self { bytes: own, body_bytes }, rest))
    }

    /// Reads exactly one transaction.
    ///
    /// # Errors
    /// As [`decode_prefix`](Self::decode_prefix), and [`Malformed::Trailing`].
    pub fn decode(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let (transaction, rest) = Self::decode_prefix(bytes)?;
        if rest.is_empty() {
            return Ok(transaction);
        }
        Err(Malformed::Trailing { expected: transaction.bytes.len(), found: bytes.len() })
    }

    /// Splits the first of a run of transactions that were decoded before. `None` at the end of the run.
    #[inline]
    pub(crate) fn next_checked(run: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let words = u16::from_le_bytes(*run.get(4..)?.first_chunk()?);
        let (bytes, rest) = run.split_at_checked(usize::from(words) * 8)?;
        let signatures = usize::from(*bytes.get(1)?) * SIGNATURE_BYTES;
        Some((Self { bytes, body_bytes: bytes.len().checked_sub(signatures)? }, rest))
    }

    /// All bytes, signatures included.
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The unsigned body, which the id is the hash of.
    #[must_use]
    #[inline]
    pub fn body(&self) -> &'a [u8] {
        self.bytes.get(..self.body_bytes).unwrap_or_default()
    }

    #[inline]
    fn field<const N: usize>(&self, offset: usize) -> [u8; N] {
        // The header was read when this value was made, so the field is there.
        self.bytes.get(offset..).and_then(|bytes| bytes.first_chunk()).copied().unwrap_or([0; N])
    }

    /// Which account orders.
    #[must_use]
    #[inline]
    pub fn account(&self) -> Address {
        Address(self.field(24))
    }

    /// Which of the account's replay windows it uses.
    #[must_use]
    #[inline]
    pub fn lane(&self) -> u16 {
        u16::from_le_bytes(self.field(6))
    }

    /// Its number in that window.
    #[must_use]
    #[inline]
    pub fn sequence(&self) -> u64 {
        u64::from_le_bytes(self.field(8))
    }

    /// The last block time it may be applied at; `None` is unbounded.
    #[must_use]
    #[inline]
    pub fn valid_until(&self) -> Option<Time> {
        Some(u64::from_le_bytes(self.field(16))).filter(|&time| time != 0).map(Time)
    }

    /// How many signers it has, 1 to 16.
    #[must_use]
    #[inline]
    pub fn signer_count(&self) -> u8 {
        self.field::<1>(1)[0]
    }

    /// How many operations it has, 1 to 256.
    #[must_use]
    #[inline]
    pub fn operation_count(&self) -> u16 {
        u16::from_le_bytes(self.field(2))
    }

    /// The signers in order: the account, then the further ones ascending.
    #[inline]
    pub fn signers(&self) -> impl Iterator<Item = Address> + use<'a> {
        let further = self.bytes.get(HEADER_BYTES..).unwrap_or_default().as_chunks::<32>().0;
        let account = self.bytes.get(24..).and_then(|bytes| bytes.first_chunk::<32>());
        let count = usize::from(self.signer_count());
        account.into_iter().chain(further).take(count).map(|bytes| Address(*bytes))
    }

    /// Its operations in order, each with the place of its source among the signers.
    #[inline]
    pub fn operations(&self) -> impl Iterator<Item = (u8, Operation)> + use<'a> {
        let signers = self.signer_count();
        let start = HEADER_BYTES + 32 * usize::from(signers.saturating_sub(1));
        let mut reader = Reader::new(self.body().get(start..).unwrap_or_default());
        // They were read when this value was made, so none is lost to an error here.
        (0..self.operation_count()).map_while(move |_| Operation::decode(&mut reader, signers).ok())
    }

    /// The further signers' addresses, ascending.
    #[inline]
    pub(crate) fn further_signers(&self) -> &'a [[u8; 32]] {
        let count = usize::from(self.signer_count().saturating_sub(1));
        let further = self.bytes.get(HEADER_BYTES..).unwrap_or_default().as_chunks::<32>().0;
        further.get(..count).unwrap_or_default()
    }

    /// Whether a rejection may have something to undo.
    #[inline]
    pub(crate) fn needs_journal(&self) -> bool {
        let start = HEADER_BYTES + 32 * usize::from(self.signer_count().saturating_sub(1));
        self.operation_count() > 1 || Operation::needs_journal(self.bytes.get(start..).unwrap_or_default())
    }

    /// The payee of the first operation, if it has one: worth looking up ahead.
    #[inline]
    pub(crate) fn first_payee(&self) -> Option<Address> {
        let start = HEADER_BYTES + 32 * usize::from(self.signer_count().saturating_sub(1));
        Operation::peek_payee(self.bytes.get(start..)?)
    }

    /// The transfer that it orders, if it orders nothing else and has one signer.
    #[inline]
    pub(crate) fn only_transfer(&self) -> Option<Transfer> {
        if (self.signer_count(), self.operation_count()) != (1, 1) {
            return None;
        }
        Transfer::peek(self.bytes.get(HEADER_BYTES..)?)
    }

    /// The signatures, in the order of the signers.
    #[inline]
    pub fn signatures(&self) -> impl Iterator<Item = &'a [u8; 64]> + use<'a> {
        self.bytes.get(self.body_bytes..).unwrap_or_default().as_chunks::<64>().0.iter()
    }

    /// Its id on a ledger.
    #[must_use]
    pub fn id(&self, ledger: &Ledger) -> TransactionId {
        ledger.transaction_id(self.body())
    }

    /// A copy that owns its bytes.
    #[must_use]
    pub fn to_owned(&self) -> Transaction {
        Transaction { bytes: self.bytes.into(), body_bytes: self.body_bytes }
    }
}

impl std::fmt::Debug for TransactionRef<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transaction")
            .field("account", &self.account())
            .field("lane", &self.lane())
            .field("sequence", &self.sequence())
            .field("valid_until", &self.valid_until())
            .field("operations", &self.operations().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

fn refuse_low_order(address: &Address, offset: usize) -> Result<(), Malformed> {
    if nostro_ed25519::is_low_order(&address.0) { Err(Malformed::LowOrderAddress { offset }) } else { Ok(()) }
}

/// The fields before the further signers, as far as decoding needs them.
struct Header {
    signers: u8,
    operations: u16,
    bytes: usize,
    account: Address,
}

impl Header {
    #[inline]
    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let field = |field, offset, expected, found| Err(Malformed::Field { field, offset, expected, found });
        let format = reader.u8()?;
        if format != FORMAT {
            return field("format", 0, "1", u64::from(format));
        }
        let signers = reader.u8()?;
        if !(1..=SIGNERS_MAX).contains(&signers) {
            return field("signers", 1, "1 to 16", u64::from(signers));
        }
        let operations = reader.u16()?;
        if !(1..=OPERATIONS_MAX).contains(&operations) {
            return field("operations", 2, "1 to 256", u64::from(operations));
        }
        let bytes = usize::from(reader.u16()?) * 8;
        let _lane = reader.u16()?;
        let _sequence = reader.u64()?;
        let _valid_until = reader.u64()?;
        let account = Address(reader.array()?);
        refuse_low_order(&account, 24)?;
        Ok(Self { signers, operations, bytes, account })
    }
}

/// A transaction that owns its canonical bytes. Well-formed; nobody has looked at the signatures.
#[derive(Clone, PartialEq, Eq)]
pub struct Transaction {
    bytes: Box<[u8]>,
    body_bytes: usize,
}

impl Transaction {
    /// Begins a transaction of this account, on lane 0 with sequence 0, valid for ever, without operations.
    pub const fn builder(account: Address) -> TransactionBuilder {
        TransactionBuilder { account, lane: 0, sequence: 0, valid_until: None, operations: Vec::new() }
    }

    /// Reads exactly one transaction.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        TransactionRef::decode(bytes).map(|transaction| transaction.to_owned())
    }

    /// The same, borrowed; what can be asked of a transaction is asked there.
    #[must_use]
    pub const fn as_ref(&self) -> TransactionRef<'_> {
        TransactionRef { bytes: &self.bytes, body_bytes: self.body_bytes }
    }

    /// The canonical bytes, as on the wire.
    #[must_use]
    pub const fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Its id on a ledger.
    #[must_use]
    pub fn id(&self, ledger: &Ledger) -> TransactionId {
        self.as_ref().id(ledger)
    }
}

impl std::fmt::Debug for Transaction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.as_ref().fmt(f)
    }
}

/// Collects what a transaction orders.
#[derive(Clone, Debug)]
#[must_use]
pub struct TransactionBuilder {
    account: Address,
    lane: u16,
    sequence: u64,
    valid_until: Option<Time>,
    operations: Vec<(Address, Operation)>,
}

impl TransactionBuilder {
    /// Uses this lane: one of 65,536 replay windows of the account, of which it may open 64.
    pub fn lane(self, lane: u16) -> Self {
        Self { lane, ..self }
    }

    /// Uses this number, once per account and lane.
    pub fn sequence(self, sequence: u64) -> Self {
        Self { sequence, ..self }
    }

    /// Rejects it in blocks later than this. Time 0 stands for unbounded.
    pub fn valid_until(self, time: Time) -> Self {
        Self { valid_until: Some(time), ..self }
    }

    /// Pays from the account.
    pub fn transfer(self, payee: Address, asset: AssetId, amount: Amount) -> Self {
        let payer = self.account;
        self.transfer_from(payer, payee, asset, amount)
    }

    /// Pays from any account, which becomes a further signer.
    pub fn transfer_from(self, payer: Address, payee: Address, asset: AssetId, amount: Amount) -> Self {
        self.operation(payer, Transfer { payee, asset, amount, ..Transfer::default() }.into())
    }

    /// Registers an asset that the account issues.
    pub fn register_asset(self, code: AssetCode, scale: u8, maximum_supply: Amount) -> Self {
        let issuer = self.account;
        self.operation(issuer, RegisterAsset::plain(code, scale, maximum_supply).into())
    }

    /// Writes a record of the account's, or takes one back.
    pub fn put(self, order: Put) -> Self {
        let owner = self.account;
        self.operation(owner, order.into())
    }

    /// Sets money of the account's aside.
    pub fn hold(self, order: Hold) -> Self {
        let owner = self.account;
        self.operation(owner, order.into())
    }

    /// Settles a hold, as the account.
    pub fn settle(self, order: Settle) -> Self {
        let account = self.account;
        self.operation(account, order.into())
    }

    /// Opens a market.
    pub fn open_market(self, order: OpenMarket) -> Self {
        let operator = self.account;
        self.operation(operator, order.into())
    }

    /// Buys or sells in a market.
    pub fn order(self, order: PlaceOrder) -> Self {
        let owner = self.account;
        self.operation(owner, order.into())
    }

    /// Changes orders of the account's that wait, or takes them back.
    pub fn amend(self, order: Amend) -> Self {
        let owner = self.account;
        self.operation(owner, order.into())
    }

    /// Lets somebody act in the account's place, or no longer.
    pub fn grant(self, order: Grant) -> Self {
        let owner = self.account;
        self.operation(owner, order.into())
    }

    /// Lets everything fail unless this holds at this point.
    pub fn require(self, predicate: Predicate) -> Self {
        let account = self.account;
        self.operation(account, Require { predicate }.into())
    }

    /// Adds any operation that takes from `source`.
    pub fn operation(mut self, source: Address, operation: Operation) -> Self {
        self.operations.push((source, operation));
        self
    }

    /// Fixes the bytes.
    ///
    /// # Errors
    /// [`Malformed`] where a limit is passed: no operation or too many, too many signers, a field out of its range.
    pub fn build(self) -> Result<UnsignedTransaction, Malformed> {
        let mut further: Vec<Address> = self.operations.iter().map(|&(source, _)| source).collect();
        further.retain(|&source| source != self.account);
        further.sort_unstable();
        further.dedup();
        let signers = further.len() + 1;
        // Counts that don't fit their fields become values the decoder below refuses.
        let mut bytes = Vec::with_capacity(256);
        bytes.extend_from_slice(&[FORMAT, u8::try_from(signers).unwrap_or(u8::MAX)]);
        bytes.extend_from_slice(&u16::try_from(self.operations.len()).unwrap_or(u16::MAX).to_le_bytes());
        bytes.extend_from_slice(&[0; 2]);
        bytes.extend_from_slice(&self.lane.to_le_bytes());
        bytes.extend_from_slice(&self.sequence.to_le_bytes());
        bytes.extend_from_slice(&self.valid_until.map_or(0, |time| time.0).to_le_bytes());
        bytes.extend_from_slice(&self.account.0);
        further.iter().for_each(|signer| bytes.extend_from_slice(&signer.0));
        for (source, operation) in &self.operations {
            let place = further.binary_search(source).map_or(0, |place| place + 1);
            operation.encode(u8::try_from(place).unwrap_or(u8::MAX), &mut bytes);
        }
        bytes.resize(bytes.len() + signers * SIGNATURE_BYTES, 0);
        let words = u16::try_from(bytes.len() / 8).unwrap_or(u16::MAX);
        bytes[4..6].copy_from_slice(&words.to_le_bytes());
        TransactionRef::decode(&bytes).map(|transaction| UnsignedTransaction(transaction.to_owned()))
    }
}

/// A transaction that lacks its signatures. Any signer will do: give it the [message](Self::message), bring the signatures.
#[derive(Clone, Debug)]
pub struct UnsignedTransaction(Transaction);

/// Signatures that can't be put under a transaction.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// Too few or too many.
    #[error("expected {expected} signatures, one per signer in order, found {found}")]
    Count {
        /// How many signers there are.
        expected: usize,
        /// How many signatures were given.
        found: usize,
    },
    /// None of the keys is that of a signer.
    #[error("expected a key for signer {signer}, found none among those given")]
    KeyMissing {
        /// The signer's address.
        signer: Address,
    },
}

impl UnsignedTransaction {
    /// Whose signatures are needed, in order.
    pub fn signers(&self) -> impl Iterator<Item = Address> {
        self.0.as_ref().signers()
    }

    /// The 47 bytes each of them signs: pure Ed25519 (RFC 8032), no prehash, no context.
    #[must_use]
    pub fn message(&self, ledger: &Ledger) -> SignedMessage {
        signed_message(&self.0.id(ledger))
    }

    /// Its id on a ledger, known before anyone has signed.
    #[must_use]
    pub fn id(&self, ledger: &Ledger) -> TransactionId {
        self.0.id(ledger)
    }

    /// Puts signatures made elsewhere under it, in the order of the signers. They aren't checked here.
    ///
    /// # Errors
    /// [`SignError::Count`].
    pub fn with_signatures(self, signatures: &[Signature]) -> Result<Transaction, SignError> {
        let Self(mut transaction) = self;
        let slots = transaction.bytes.get_mut(transaction.body_bytes..).unwrap_or_default().as_chunks_mut::<64>().0;
        if slots.len() != signatures.len() {
            return Err(SignError::Count { expected: slots.len(), found: signatures.len() });
        }
        for (slot, signature) in slots.iter_mut().zip(signatures) {
            *slot = signature.0;
        }
        Ok(transaction)
    }

    /// Signs with keys held here, in any order; keys of others are ignored.
    ///
    /// # Errors
    /// [`SignError::KeyMissing`].
    pub fn sign(self, ledger: &Ledger, keys: &[&KeyPair]) -> Result<Transaction, SignError> {
        let message = self.message(ledger);
        let signatures: Vec<Signature> = self
            .signers()
            .map(|signer| {
                let key = keys.iter().find(|key| key.address() == signer);
                key.map(|key| key.sign(&message)).ok_or(SignError::KeyMissing { signer })
            })
            .collect::<Result<_, _>>()?;
        self.with_signatures(&signatures)
    }
}

#[cfg(test)]
mod tests;
