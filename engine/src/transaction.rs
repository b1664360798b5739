//! A transaction: one account's list of operations that all succeed or all fail, signed by everyone it takes from.
//!
//! # Layout
//!
//! ```text
//!   0  format      u8    1, or 2 if keys are named
//!   1  signers     u8    1 to 16: the account and the further signers
//!   2  operations  u16   1 to 256
//!   4  words       u16   length of everything, signatures included, in words of eight bytes; at most 4,096
//!   6  lane        u16   which of the account's replay windows
//!   8  sequence    u64   its number in that window; used once
//!  16  valid_until u64   last block time it may be applied at, in ms; 0 = unbounded
//!  24  account     [32]
//!  56  further signers, 32 bytes each, ascending, none of them the account, each taken from by an operation
//!   …  in format 2: number of keys u8, 1 to 32, 0 [7]; each: place of its signer u8, 0 [7], key [32], ascending by place and key
//!   …  operations, see `ops`
//!   …  signatures, 64 bytes each, in the order of the signers, in format 2 of the keys
//! ```
//!
//! The *body* is all but the signatures. Its keyed hash is the transaction's id, and the 47 bytes `"nostro 1 signed" ‖ id`
//! are what each signer signs. `docs/wire.md` tells it to those who write a client.

mod builder;

pub use builder::{SignError, TransactionBuilder, UnsignedTransaction};

use crate::ledger::Ledger;
use crate::ops::{EncodedOperation, EntryKind, Operation, Transfer, Way};
use crate::state::ORDERS_MET_MAX;
use crate::types::{Address, MarketId, Time, TransactionId};
use crate::wire::{Malformed, Reader};

/// The longest transaction in bytes: sixteen signers and 256 transfers fit, or fewer operations that are longer.
pub const TRANSACTION_BYTES_MAX: usize = 32 << 10;

/// Each signer signs with the key of its address.
const FORMAT: u8 = 1;
/// The keys that sign are named.
const FORMAT_WITH_KEYS: u8 = 2;
const KEYS_MAX: u8 = 32;
const KEY_BYTES: usize = 40;
const HEADER_BYTES: usize = 56;
const SIGNERS_MAX: u8 = 16;
pub(crate) const OPERATIONS_MAX: u16 = 256;
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
        let signatures = if header.format == FORMAT { header.signers } else { check_keys(&mut reader, own, &header)? };
        let mut taken_from = 1_u32;
        for _ in 0..header.operations {
            taken_from |= 1 << Operation::check(&mut reader, header.signers)?;
        }
        let all = (1_u32 << header.signers) - 1;
        if taken_from != all {
            let signer = u8::try_from((!taken_from).trailing_zeros()).unwrap_or(u8::MAX);
            return Err(Malformed::UnusedSigner { signer });
        }
        let body_bytes = reader.offset();
        let found = body_bytes + usize::from(signatures) * SIGNATURE_BYTES;
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
        let signers = usize::from(*bytes.get(1)?);
        let signatures = if *bytes.first()? == FORMAT { signers } else { usize::from(*bytes.get(24 + 32 * signers)?) };
        Some((Self { bytes, body_bytes: bytes.len().checked_sub(signatures * SIGNATURE_BYTES)? }, rest))
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

    /// Whether it names the keys that sign, instead of those of the signers' addresses.
    #[must_use]
    #[inline]
    pub fn names_keys(&self) -> bool {
        self.field::<1>(0)[0] != FORMAT
    }

    /// How many signatures it has: one per signer, or per key that is named.
    #[must_use]
    #[inline]
    pub fn signature_count(&self) -> u8 {
        if self.names_keys() { self.field::<1>(self.behind_signers())[0] } else { self.signer_count() }
    }

    /// Where the further signers end.
    #[inline]
    fn behind_signers(&self) -> usize {
        HEADER_BYTES + 32 * usize::from(self.signer_count().saturating_sub(1))
    }

    /// Where the operations begin.
    #[inline]
    fn operations_start(&self) -> usize {
        let keys = if self.names_keys() { 8 + KEY_BYTES * usize::from(self.signature_count()) } else { 0 };
        self.behind_signers() + keys
    }

    /// The keys that sign, in the order of the signatures, each with the place of its signer.
    pub fn signed_keys(&self) -> impl Iterator<Item = (u8, Address)> + use<'a> {
        let start = self.behind_signers() + 8;
        let count = if self.names_keys() { usize::from(self.signature_count()) } else { 0 };
        let named = self.bytes.get(start..).unwrap_or_default().as_chunks::<KEY_BYTES>().0.iter().take(count);
        let named = named.filter_map(|entry| Some((entry[0], Address(*entry.last_chunk()?))));
        let own = (0_u8..).zip(self.signers()).take(if count == 0 { usize::MAX } else { 0 });
        named.chain(own)
    }

    /// The same without the signers.
    #[inline]
    pub(crate) fn keys(&self) -> impl Iterator<Item = Address> + use<'a> {
        self.signed_keys().map(|(_, key)| key)
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
        let start = self.operations_start();
        let mut reader = Reader::new(self.body().get(start..).unwrap_or_default());
        // They were read when this value was made, so none is lost to an error here.
        (0..self.operation_count()).map_while(move |_| Operation::decode(&mut reader, signers).ok())
    }

    /// Its operations in order, as they lie in it.
    #[inline]
    pub(crate) fn encoded_operations(&self) -> impl Iterator<Item = EncodedOperation<'a>> + use<'a> {
        let mut rest = self.body().get(self.operations_start()..).unwrap_or_default();
        (0..self.operation_count()).map_while(move |_| {
            let (operation, behind) = EncodedOperation::next(rest)?;
            rest = behind;
            Some(operation)
        })
    }

    /// Whom it concerns: its signers, and those its operations name. Somebody may come more than once.
    pub(crate) fn concerns(&self, see: &mut dyn FnMut(&Address)) {
        if let Some(transfer) = self.only_transfer() {
            see(&self.account());
            return see(&transfer.payee);
        }
        self.signers().for_each(|signer| see(&signer));
        self.operations().for_each(|(_, operation)| operation.concerns(see));
    }

    /// The most events that come of it.
    pub(crate) fn events_max(&self) -> usize {
        // That may cost a fee.
        if self.only_transfer().is_some() {
            return 1;
        }
        let each = self.operations().map(|(_, operation)| operation.events_max());
        let (all, meets) =
            each.fold((0_usize, false), |(all, meets), (own, also)| (all.saturating_add(own), meets | also));
        all.saturating_add(if meets { ORDERS_MET_MAX } else { 0 })
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
        let operations = || self.bytes.get(self.operations_start()..).unwrap_or_default();
        // What is done in another's place is measured when it has been done.
        self.operation_count() > 1 || self.names_keys() || Operation::needs_journal(operations())
    }

    /// The account beside its source that the first operation changes, if it is known: worth looking up ahead.
    #[inline]
    pub(crate) fn first_party(&self) -> Option<Address> {
        Operation::peek_party(self.bytes.get(self.operations_start()..)?)
    }

    /// The market in which the first operation places an order for its account.
    #[inline]
    pub(crate) fn first_market(&self) -> Option<MarketId> {
        Operation::peek_market(self.bytes.get(self.operations_start()..)?)
    }

    /// The entry that the first operation looks for: its owner, its id, and what kind it is.
    #[inline]
    pub(crate) fn first_entry(&self) -> Option<(Address, u64, EntryKind)> {
        Operation::peek_name(self.bytes.get(self.operations_start()..)?, &self.account())
    }

    /// How far what the first operation changes lies from that entry.
    #[inline]
    pub(crate) fn first_way(&self) -> Way {
        Operation::peek_way(self.bytes.get(self.operations_start()..).unwrap_or_default())
    }

    /// The transfer that it orders, if it orders nothing else and has one signer.
    #[inline]
    pub(crate) fn only_transfer(&self) -> Option<Transfer> {
        if (self.signer_count(), self.operation_count()) != (1, 1) || self.names_keys() {
            return None;
        }
        Transfer::peek(self.bytes.get(HEADER_BYTES..)?)
    }

    /// What it orders, if that is one thing, of its account, in lane 0 and by one signer.
    #[inline]
    pub(crate) fn only_operation(&self) -> Option<EncodedOperation<'a>> {
        if (self.signer_count(), self.operation_count()) != (1, 1) || self.lane() != 0 || self.names_keys() {
            return None;
        }
        self.encoded_operations().next()
    }

    /// The signatures, in the order of the signers, or of the keys that are named.
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

/// Reads the keys that are named; gives their number. Every signer has one at least, and not all of them only that of its address,
/// since then they needn't be named.
fn check_keys(reader: &mut Reader<'_>, own: &[u8], header: &Header) -> Result<u8, Malformed> {
    let field =
        |field, offset, expected, found: u8| Err(Malformed::Field { field, offset, expected, found: u64::from(found) });
    let start = reader.offset();
    let count = reader.u8()?;
    if count < header.signers || count > KEYS_MAX {
        return field("keys", start, "one per signer at least, 32 at most", count);
    }
    reader.reserved::<7>()?;
    let signer = |place: u8| {
        let further = usize::from(place).checked_sub(1).map(|place| HEADER_BYTES + 32 * place);
        own.get(further.unwrap_or(24)..).and_then(|bytes| bytes.first_chunk::<32>()).copied()
    };
    let mut last: Option<(u8, Address)> = None;
    let mut is_needed = false;
    for _ in 0..count {
        let offset = reader.offset();
        let place = reader.u8()?;
        reader.reserved::<7>()?;
        let key_offset = reader.offset();
        let key = Address(reader.array()?);
        let expected = last.map_or(0, |(last, _)| last);
        let is_next = last.is_some() && place == expected.saturating_add(1);
        if place >= header.signers || (place != expected && !is_next) || last.is_some_and(|last| last >= (place, key)) {
            return field("key", offset, "ascending places, none left out, and ascending keys", place);
        }
        refuse_low_order(&key, key_offset)?;
        is_needed |= signer(place) != Some(key.0);
        last = Some((place, key));
    }
    if last.is_none_or(|(place, _)| place.saturating_add(1) != header.signers) {
        return field("keys", start, "one per signer at least, 32 at most", count);
    }
    if !is_needed {
        return field("format", 0, "1 where every signer signs with the key of its address", FORMAT_WITH_KEYS);
    }
    Ok(count)
}

/// The fields before the further signers, as far as decoding needs them.
struct Header {
    format: u8,
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
        if format != FORMAT && format != FORMAT_WITH_KEYS {
            return field("format", 0, "1 or 2", u64::from(format));
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
        Ok(Self { format, signers, operations, bytes, account })
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
        TransactionBuilder::new(account)
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

#[cfg(test)]
mod tests;
