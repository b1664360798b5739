//! Making a transaction: what it orders, then its bytes, then its signatures.

use super::{FORMAT, FORMAT_WITH_KEYS, SIGNATURE_BYTES, SignedMessage, Transaction, TransactionRef, signed_message};
use crate::keys::{KeyPair, Signature};
use crate::ledger::Ledger;
use crate::ops::{
    Amend, Authorize, Grant, Hold, OpenMarket, Operation, PlaceOrder, Predicate, Put, RegisterAsset, Require, Settle,
    Transfer,
};
use crate::types::{Address, Amount, AssetCode, AssetId, Time, TransactionId};
use crate::wire::Malformed;

/// Collects what a transaction orders.
#[derive(Clone, Debug)]
#[must_use]
pub struct TransactionBuilder {
    pub(super) account: Address,
    pub(super) lane: u16,
    pub(super) sequence: u64,
    pub(super) valid_until: Option<Time>,
    pub(super) operations: Vec<(Address, Operation)>,
    /// Keys that are named, each with its signer.
    keys: Vec<(Address, Address)>,
}

impl TransactionBuilder {
    pub(super) const fn new(account: Address) -> Self {
        Self { account, lane: 0, sequence: 0, valid_until: None, operations: Vec::new(), keys: Vec::new() }
    }

    /// Lets this key sign for this signer, instead of that of the signer's address. May be said several times.
    pub fn signed_by(mut self, signer: Address, key: Address) -> Self {
        self.keys.push((signer, key));
        self
    }

    /// Says who may act for the account from the next transaction on.
    pub fn authorize(self, order: Authorize) -> Self {
        let account = self.account;
        self.operation(account, order.into())
    }

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

    /// The keys that have to be named, by the place of their signer: none if everyone signs with the key of its address.
    fn named_keys(&self, further: &[Address]) -> Vec<(u8, Address)> {
        if self.keys.iter().all(|(signer, key)| signer == key) {
            return Vec::new();
        }
        let mut keys = Vec::new();
        for (place, signer) in (0_u8..).zip(std::iter::once(&self.account).chain(further)) {
            let named = self.keys.iter().filter(|(of, _)| of == signer).map(|&(_, key)| (place, key));
            let before = keys.len();
            keys.extend(named);
            if keys.len() == before {
                keys.push((place, *signer));
            }
        }
        keys.sort_unstable();
        keys.dedup();
        keys
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
        let keys = self.named_keys(&further);
        let format = if keys.is_empty() { FORMAT } else { FORMAT_WITH_KEYS };
        bytes.extend_from_slice(&[format, u8::try_from(signers).unwrap_or(u8::MAX)]);
        bytes.extend_from_slice(&u16::try_from(self.operations.len()).unwrap_or(u16::MAX).to_le_bytes());
        bytes.extend_from_slice(&[0; 2]);
        bytes.extend_from_slice(&self.lane.to_le_bytes());
        bytes.extend_from_slice(&self.sequence.to_le_bytes());
        bytes.extend_from_slice(&self.valid_until.map_or(0, |time| time.0).to_le_bytes());
        bytes.extend_from_slice(&self.account.0);
        further.iter().for_each(|signer| bytes.extend_from_slice(&signer.0));
        if !keys.is_empty() {
            bytes.extend_from_slice(&[u8::try_from(keys.len()).unwrap_or(u8::MAX), 0, 0, 0, 0, 0, 0, 0]);
        }
        for (place, key) in &keys {
            bytes.extend_from_slice(&[*place, 0, 0, 0, 0, 0, 0, 0]);
            bytes.extend_from_slice(&key.0);
        }
        for (source, operation) in &self.operations {
            let place = further.binary_search(source).map_or(0, |place| place + 1);
            operation.encode(u8::try_from(place).unwrap_or(u8::MAX), &mut bytes);
        }
        let signatures = if keys.is_empty() { signers } else { keys.len() };
        bytes.resize(bytes.len() + signatures * SIGNATURE_BYTES, 0);
        let words = u16::try_from(bytes.len() / 8).unwrap_or(u16::MAX);
        bytes[4..6].copy_from_slice(&words.to_le_bytes());
        TransactionRef::decode(&bytes).map(|transaction| UnsignedTransaction(transaction.to_owned()))
    }
}

/// A transaction that lacks its signatures. Any signer will do: give it the [message](Self::message), bring the signatures.
#[derive(Clone, Debug)]
pub struct UnsignedTransaction(pub(super) Transaction);

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
    /// The keys whose signatures are needed, in order.
    pub fn signers(&self) -> impl Iterator<Item = Address> {
        self.0.as_ref().keys()
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
