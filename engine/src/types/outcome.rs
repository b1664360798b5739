//! What became of a transaction in a block.

use std::fmt;

/// Bytes of one rejection in a block's body.
pub(crate) const REJECTION_BYTES: usize = 16;

macro_rules! rejection_codes {
    ($($(#[$doc:meta])* $code:literal $name:ident $text:literal,)*) => {
        /// Why a transaction in a block changed nothing. Numbers are stable: never renumbered, never reused; where several
        /// reasons apply the smallest number wins, operation by operation, so that every replica answers alike.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        #[repr(u16)]
        pub enum RejectionCode {
            $($(#[$doc])* $name = $code,)*
        }

        impl RejectionCode {
            /// Every code, ascending.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The code of a number, if there is one.
            #[must_use]
            pub const fn from_number(number: u16) -> Option<Self> {
                match number {
                    $($code => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// The number, as written to the log.
            #[must_use]
            pub const fn number(self) -> u16 {
                self as u16
            }

            /// What it means, for a person.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

rejection_codes! {
    /// A key that has signed isn't one of the signer's. Detail: the place of the signer. The sequence stays fresh.
    201 UnknownKey "a key that has signed isn't one of the account's",
    /// The keys that have signed don't reach what it takes. Detail: the place of the signer. The sequence stays fresh.
    202 ThresholdUnmet "the keys that have signed don't weigh enough",
    /// The block's time is past `valid_until`. Detail: the block's time.
    301 Expired "the transaction was valid until an earlier time than the block's",
    /// The sequence was used before on this lane. Detail: the sequence.
    303 Duplicate "the sequence was used before",
    /// The sequence is too far below the highest one seen. Detail: the lowest that would do.
    304 OutOfWindow "the sequence is below the replay window",
    /// The account already has as many lanes as it may have. Detail: that number.
    305 TooManyLanes "the account can't open a further lane",
    /// No asset has this number. Detail: the number.
    401 NoAsset "the asset is not registered",
    /// The issuer has registered this code before. Detail: the number of that asset.
    402 AssetExists "the issuer has registered this code before",
    /// Every asset number is taken. Detail: how many assets there are.
    403 TooManyAssets "no asset number is left",
    /// The source isn't the asset's issuer. Detail: the asset.
    404 NotIssuer "the source isn't the asset's issuer",
    /// The asset's policy doesn't allow it. Detail: the policy bit that decides.
    405 PolicyForbids "the asset's policy doesn't allow it",
    /// The block's time is past the asset's expiry. Detail: the expiry.
    406 AssetExpired "the asset has expired",
    /// The issuer has frozen one of the holders. Detail: 0 the payer, 1 the payee.
    407 Frozen "the issuer has frozen one of the holders",
    /// The issuer hasn't authorised one of the holders. Detail: 0 the payer, 1 the payee.
    408 NotAuthorized "the issuer hasn't authorised one of the holders",
    /// One of the holders lacks the credential that the asset asks for. Detail: 0 the payer, 1 the payee.
    409 NotAttested "one of the holders lacks the credential the asset asks for",
    /// The payer is the payee.
    410 SelfTransfer "payer and payee are the same account",
    /// The amount is zero.
    411 ZeroAmount "the amount is zero",
    /// The payer has too little. Detail: what is missing, or 2⁶⁴ − 1 if it is more than that.
    412 InsufficientFunds "the payer's available balance is too small",
    /// The issue would pass the asset's maximum supply. Detail: by how much, or 2⁶⁴ − 1 if it is more than that.
    413 SupplyExceeded "the issue would pass the asset's maximum supply",
    /// The issuer has given up what the update asks for. Detail: 0 the supply, 1 the policy, 2 the terms.
    414 PolicyLocked "the asset's supply and policy can't be changed in this way",
    /// The account is closed. Detail: 0 the payee, or the place of the signer.
    416 AccountClosed "the account is closed",
    /// The payee asks for a reference. Detail: 0.
    417 MemoRequired "the payee asks for a reference",
    /// The ledger can't take a further account. Detail: how many it has.
    420 TooManyAccounts "the ledger can't take a further account",
    /// The ledger can't take a further entry. Detail: how many places it has.
    421 TooManyEntries "the ledger can't take a further entry",
    /// What is to last would be over at once. Detail: the block's time.
    430 ExpiryPast "the expiry is before the block's time",
    /// No keys that last could ever reach the highest threshold. Detail: what they weigh.
    431 AuthorityUnreachable "the keys can't reach the highest threshold",
    /// A recovery is under way. Detail: when it takes effect.
    432 RecoveryPending "a recovery is under way",
    /// No recovery is under way. Detail: 0.
    433 NoRecovery "no recovery is under way",
    /// An account that has something can't be closed. Detail: 0.
    434 NotEmpty "an account that has something can't be closed",
    /// The hold is there already. Detail: its number.
    501 HoldExists "the source has a hold of this id",
    /// There is no such hold, or it is over. Detail: 0.
    502 NoHold "there is no such hold",
    /// The source is none of those who may do this. Detail: 0.
    503 WrongParty "the source may not do this",
    /// The predicate doesn't hold. Detail: the node that decides, counted in the order of its bytes.
    504 ConditionUnmet "the condition isn't met",
    /// More is asked for than the hold has. Detail: by how much, or 2⁶⁴ − 1 if it is more than that.
    505 ExceedsHold "the hold has less",
    /// Payees of the hold need a voucher that is signed by its key. Detail: 0 none was brought, 1 the hold has no such key, 2 it isn't signed by it.
    506 BadVoucher "the voucher isn't good for this hold",
    /// A voucher is good but once, and one for less isn't any more. Detail: what was drawn, or 2⁶⁴ − 1 if it is more than that.
    507 StaleVoucher "as much was drawn by vouchers before",
    /// The grant is there already. Detail: its number.
    520 GrantExists "the source has a grant of this id",
    /// There is no such grant, or it is over. Detail: 0.
    521 NoGrant "there is no such grant",
    /// Its owner has taken the grant back. Detail: 0.
    522 GrantRevoked "the grant was taken back",
    /// The grant isn't for this. Detail: 0 its kind, 1 the asset, 2 the payee, 3 another's grant.
    523 OutOfScope "the grant isn't for this",
    /// The grant doesn't count yet, or less has become free. Detail: what is missing, or 2⁶⁴ − 1 if it is more than that.
    524 NotVested "the grant doesn't cover it yet",
    /// The grant's cap would be passed. Detail: by how much, or 2⁶⁴ − 1 if it is more than that.
    525 GrantExhausted "the grant's cap would be passed",
    /// The grant's cap for this period would be passed. Detail: by how much, or 2⁶⁴ − 1 if it is more than that.
    526 PeriodCap "the grant's cap for this period would be passed",
    /// No market has this number. Detail: the number.
    601 NoMarket "there is no such market",
    /// The source has opened a market for these assets before. Detail: its number.
    602 MarketExists "the source has a market for these assets",
    /// The order is there already. Detail: its number.
    603 OrderExists "the source has an order of this id",
    /// No order of this id waits. Detail: the id.
    604 NoOrder "the source has no order of this id",
    /// It would trade at once. Detail: the price it would meet.
    605 WouldCross "the order would trade at once",
    /// Not all of it could trade at once. Detail: how many lots are left.
    606 NotFilled "the order can't be filled at once",
    /// It meets an order of the same account. Detail: the id of that.
    607 SelfTrade "the order meets another of the same account",
    /// The record is there already. Detail: its number.
    701 RecordExists "the record is there already",
    /// There is no such record, or it is over. Detail: 0.
    702 NoRecord "there is no such record",
    /// The source may not do this to the record. Detail: 0.
    703 NotOwner "the record belongs to somebody else",
    /// The predicate doesn't hold. Detail: the node that decides, counted in the order of its bytes.
    710 RequirementUnmet "the requirement isn't met",
}

impl fmt::Display for RejectionCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}: {}", self.number(), self, self.text())
    }
}

/// A transaction that is in a block, used its sequence number up and changed nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rejection {
    /// Why.
    pub code: RejectionCode,
    /// Which operation of the transaction it was, from 0. 0 for the reasons of a whole transaction (3xx).
    pub operation: u16,
    /// A number that belongs to the code, as told there.
    pub detail: u64,
}

impl Rejection {
    /// A rejection of the whole transaction, or of the operation that [`Rejection::at`] names.
    pub(crate) const fn new(code: RejectionCode, detail: u64) -> Self {
        Self { code, operation: 0, detail }
    }

    /// The same, said of an operation.
    pub(crate) const fn at(self, operation: u16) -> Self {
        Self { operation, ..self }
    }

    /// Sixteen bytes: position, code, operation, detail.
    pub(crate) fn encode(&self, position: u32) -> [u8; REJECTION_BYTES] {
        let mut bytes = [0; REJECTION_BYTES];
        bytes[..4].copy_from_slice(&position.to_le_bytes());
        bytes[4..6].copy_from_slice(&self.code.number().to_le_bytes());
        bytes[6..8].copy_from_slice(&self.operation.to_le_bytes());
        bytes[8..].copy_from_slice(&self.detail.to_le_bytes());
        bytes
    }

    /// Reads one back, with its position. `None` for a code this version doesn't know.
    pub(crate) fn decode(bytes: &[u8; REJECTION_BYTES]) -> Option<(u32, Self)> {
        let mut reader = crate::wire::Reader::new(bytes);
        let position = reader.u32().ok()?;
        let code = RejectionCode::from_number(reader.u16().ok()?)?;
        Some((position, Self { code, operation: reader.u16().ok()?, detail: reader.u64().ok()? }))
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (operation {}, detail {})", self.code, self.operation, self.detail)
    }
}

/// What became of a transaction in a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// All its operations took effect.
    Applied,
    /// None did.
    Rejected(Rejection),
}

impl Outcome {
    /// Whether it took effect.
    #[must_use]
    pub const fn is_applied(&self) -> bool {
        matches!(self, Self::Applied)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_ascend_and_come_back_from_their_numbers() {
        for pair in RejectionCode::ALL.windows(2) {
            assert!(pair[0].number() < pair[1].number(), "{} comes before {}", pair[0], pair[1]);
        }
        for &code in RejectionCode::ALL {
            assert_eq!(RejectionCode::from_number(code.number()), Some(code));
        }
    }

    #[test]
    fn a_rejection_comes_back_from_its_bytes() {
        for &code in RejectionCode::ALL {
            let rejection = Rejection { code, operation: 513, detail: u64::MAX - 7 };
            assert_eq!(Rejection::decode(&rejection.encode(70_000)), Some((70_000, rejection)));
        }
        assert_eq!(Rejection::decode(&[0xff; REJECTION_BYTES]), None);
    }
}
