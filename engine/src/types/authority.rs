//! Who may act for an account.

use super::{Address, Time};

/// A key that may act for an account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AuthorityKey {
    /// The Ed25519 public key.
    pub key: Address,
    /// What it counts for; not 0.
    pub weight: u8,
    /// What it may sign: bit n is the operation of code n. 0 is everything.
    pub scope: u32,
    /// The last block time at which it counts.
    pub expiry: Option<Time>,
}

impl AuthorityKey {
    /// What it counts for with an operation of this code at a time.
    pub(crate) fn weight_for(&self, code: u8, now: Time) -> u32 {
        let is_over = self.expiry.is_some_and(|last| last < now);
        let covers = self.scope == 0 || self.scope >> (code % 32) & 1 == 1;
        if covers && !is_over { u32::from(self.weight) } else { 0 }
    }
}

/// What it takes to act for an account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuthorityRules {
    /// One to 16, ascending by key.
    pub keys: Vec<AuthorityKey>,
    /// How much weight it takes for what gives nothing away: records, requirements, settling, taking orders back.
    pub low: u8,
    /// How much for everything else.
    pub medium: u8,
    /// How much to change this.
    pub high: u8,
    /// At most eight, ascending: who can put other rules in the place of these.
    pub recovery_keys: Vec<Address>,
    /// How many of them it takes; 0 if there are none.
    pub quorum: u8,
    /// How long it takes, in ms, so that the account can object.
    pub delay_ms: u64,
    /// Whether the account is closed: it can't be paid and orders nothing but to be opened again.
    pub is_closed: bool,
    /// Whether a transfer to it needs a reference.
    pub needs_memo: bool,
}

impl AuthorityRules {
    /// Those of an account that has never said anything else: the key of its address, for everything.
    #[must_use]
    pub fn of_address(address: Address) -> Self {
        let own = AuthorityKey { key: address, weight: 1, scope: 0, expiry: None };
        Self { keys: vec![own], low: 1, medium: 1, high: 1, ..Self::default() }
    }
}
