//! Operations as a person would write them down: one line each, amounts in the smallest unit, times in ms.

use super::{
    Amend, Authorize, ControlHolder, Grant, GrantAction, Hold, HolderAction, OpenMarket, Operation, PlaceOrder, Put,
    PutAction, RegisterAsset, Require, Settle, Transfer,
};
use crate::types::{Address, AssetTerms, AuthorityRules, GrantKind, Lifetime, Side, Time, write_hex};
use std::fmt::{self, Display, Formatter};

impl Display for Operation {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Transfer(order) => order.fmt(f),
            Self::RegisterAsset(order) => order.fmt(f),
            Self::ControlHolder(order) => order.fmt(f),
            Self::Put(order) => order.fmt(f),
            Self::Hold(order) => order.fmt(f),
            Self::Settle(order) => order.fmt(f),
            Self::Grant(order) => order.fmt(f),
            Self::PlaceOrder(order) => order.fmt(f),
            Self::Amend(order) => order.fmt(f),
            Self::Authorize(order) => order.fmt(f),
            Self::Require(Require { predicate }) => write!(f, "require {predicate}"),
            Self::OpenMarket(order) => order.fmt(f),
        }
    }
}

/// `text` and a value, if there is one.
fn also<T: Display>(f: &mut Formatter<'_>, text: &str, value: Option<T>) -> fmt::Result {
    value.map_or(Ok(()), |value| write!(f, "{text}{value}"))
}

fn until(f: &mut Formatter<'_>, expiry: Option<Time>) -> fmt::Result {
    also(f, " until ", expiry.map(|time| time.0))
}

struct Hex<'a>(&'a [u8]);

impl Display for Hex<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write_hex(self.0, f)
    }
}

impl Display for Transfer {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let up_to = if self.up_to { "up to " } else { "" };
        write!(f, "transfer {up_to}{} of asset {} to {}", self.amount, self.asset, self.payee)?;
        if let Some(grant) = &self.grant {
            write!(f, " by grant {} of {}", grant.id, grant.owner)?;
        }
        also(f, ", reference ", Some(self.reference).filter(|&reference| reference != 0))?;
        also(f, ", code ", Some(self.code).filter(|&code| code != 0))
    }
}

impl Display for RegisterAsset {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.is_update {
            write!(f, "update {} supply at most {}", self.code, self.maximum_supply)?;
        } else {
            write!(f, "register {} scale {} supply at most {}", self.code, self.scale, self.maximum_supply)?;
        }
        if self.policy.0 != 0 {
            write!(f, " policy {:#05x}", self.policy.0)?;
        }
        let Some(terms) = &self.terms else { return Ok(()) };
        let AssetTerms { schema, attester, fee_account, fee_maximum, fee_basis_points, expiry, metadata } = **terms;
        if attester != Address::default() {
            write!(f, ", attested {} by {attester}", Hex(&schema))?;
        }
        if fee_basis_points != 0 {
            write!(f, ", fee {fee_basis_points} hundredths of a percent, at most {fee_maximum}, to {fee_account}")?;
        }
        until(f, Some(expiry).filter(|time| time.0 != 0))?;
        also(f, ", metadata ", Some(Hex(&metadata)).filter(|_| metadata != [0; 32]))
    }
}

impl Display for ControlHolder {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let action = match self.action {
            HolderAction::Authorize => "authorize",
            HolderAction::Deauthorize => "deauthorize",
            HolderAction::Freeze => "freeze",
            HolderAction::Unfreeze => "unfreeze",
            HolderAction::ClawBack => "claw back",
        };
        write!(f, "{action} ")?;
        if self.action == HolderAction::ClawBack {
            write!(f, "{}{} from ", if self.up_to { "up to " } else { "" }, self.amount)?;
        }
        write!(f, "{} in asset {}", self.holder, self.asset)
    }
}

impl Display for Put {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let action = match self.action {
            PutAction::Create => "create",
            PutAction::Write => "write",
            PutAction::Revoke => "revoke",
            PutAction::Remove => "remove",
        };
        write!(f, "{action} {} record {}", self.kind, Hex(&self.key))?;
        also(f, " of ", self.owner)?;
        also(f, " about ", self.subject)?;
        also(f, ", hash ", Some(Hex(&self.hash)).filter(|_| self.hash != [0; 32]))?;
        also(f, ", value ", Some(Hex(&self.value)).filter(|_| !self.value.is_empty()))?;
        until(f, self.expiry)
    }
}

impl Display for Hold {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "hold {}: {} of asset {} for", self.id, self.amount, self.asset)?;
        for share in &self.payees {
            write!(f, " {} ({} parts)", share.payee, share.parts)?;
        }
        write!(f, ", released if {}, cancelled if {}", self.release, self.cancel)?;
        also(f, ", arbiter ", self.arbiter)?;
        also(f, ", vouchers by ", self.voucher_key)?;
        until(f, self.expiry)?;
        f.write_str(if self.releases_at_expiry { ", then released" } else { "" })
    }
}

impl Display for Settle {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match (self.cancels, self.amount.0) {
            (true, _) => write!(f, "cancel hold {} of {}", self.id, self.owner)?,
            (false, 0) => write!(f, "release all of hold {} of {}", self.id, self.owner)?,
            (false, amount) => write!(f, "release {amount} of hold {} of {}", self.id, self.owner)?,
        }
        also(f, ", preimage ", self.preimage.as_deref().map(Hex))?;
        also(f, ", voucher ", self.voucher.as_ref().map(|voucher| Hex(&voucher.0)))
    }
}

impl Display for Grant {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Some(terms) = &self.terms else {
            let action = if self.action == GrantAction::Revoke { "revoke" } else { "remove" };
            return write!(f, "{action} grant {}", self.id);
        };
        match terms.kind {
            GrantKind::Spend => write!(f, "grant {}: {} may spend of asset {}", self.id, terms.to, terms.asset)?,
            GrantKind::Act => {
                write!(
                    f,
                    "grant {}: {} may act, operations {:#x}, asset {}",
                    self.id, terms.to, terms.scope, terms.asset
                )?;
            }
            GrantKind::Access => write!(f, "grant {}: {} may access {}", self.id, terms.to, Hex(&terms.subject))?,
        }
        let some = |amount: u128| Some(amount).filter(|&amount| amount != 0);
        also(f, ", to ", terms.payee)?;
        also(f, ", at most ", some(terms.cap.0))?;
        if terms.period_ms != 0 {
            write!(f, ", at most {} every {} ms", terms.period_cap, terms.period_ms)?;
        }
        also(f, ", a second ", some(terms.rate.0))?;
        also(f, ", from ", some(terms.start.0.into()))?;
        until(f, terms.end)?;
        write!(f, ", if {}", terms.predicate)
    }
}

impl Display for PlaceOrder {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let side = if self.side == Side::Buy { "buy" } else { "sell" };
        write!(f, "order {}: {side} {} at {} in market {}", self.id, self.quantity, self.price, self.market)?;
        f.write_str(match self.lifetime {
            Lifetime::GoodTillCancelled => "",
            Lifetime::ImmediateOrCancel => ", immediate or cancel",
            Lifetime::FillOrKill => ", fill or kill",
            Lifetime::PostOnly => ", post only",
            Lifetime::Budget => ", budget ",
        })?;
        also(f, "", Some(self.budget).filter(|_| self.lifetime == Lifetime::Budget))?;
        until(f, self.expiry)
    }
}

impl Display for Amend {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cancel(ids) => {
                f.write_str("cancel orders")?;
                ids.iter().try_for_each(|id| write!(f, " {id}"))
            }
            Self::CancelAll(market) => write!(f, "cancel all orders in market {market}"),
            Self::Change { id, price, quantity } => write!(f, "change order {id} to {quantity} at {price}"),
        }
    }
}

impl Display for Authorize {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let rules = match self {
            Self::Set(rules) => {
                f.write_str("authorize")?;
                rules
            }
            Self::Recover(rules) => {
                f.write_str("recover with")?;
                rules
            }
            Self::Object => return f.write_str("object to the recovery"),
        };
        let AuthorityRules { keys, low, medium, high, recovery_keys, quorum, delay_ms, is_closed, needs_memo } = rules;
        for key in keys {
            write!(f, " {} (weight {}", key.key, key.weight)?;
            if key.scope != 0 {
                write!(f, ", scope {:#x}", key.scope)?;
            }
            until(f, key.expiry)?;
            f.write_str(")")?;
        }
        write!(f, ", thresholds {low} {medium} {high}")?;
        if !recovery_keys.is_empty() {
            write!(f, ", recovery by {quorum} of")?;
            recovery_keys.iter().try_for_each(|key| write!(f, " {key}"))?;
            write!(f, " after {delay_ms} ms")?;
        }
        f.write_str(if *is_closed { ", closed" } else { "" })?;
        f.write_str(if *needs_memo { ", memo required" } else { "" })
    }
}

impl Display for OpenMarket {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "open a market of asset {} in asset {}, lot {}, tick {}",
            self.base, self.quote, self.lot, self.tick
        )?;
        if let Some(collector) = &self.fee_account {
            write!(f, ", fee {} hundredths of a percent to {collector}", self.fee_basis_points)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Amount, AssetId};

    #[test]
    fn an_operation_reads_as_a_sentence() {
        let payee = Address([0x11; 32]);
        let transfer = Transfer { payee, asset: AssetId(3), amount: Amount(250), up_to: true, ..Transfer::default() };
        let shown = Operation::from(transfer).to_string();
        assert_eq!(shown, format!("transfer up to 250 of asset 3 to {payee}"));
        assert_eq!(Operation::from(Amend::Cancel(vec![1, 2])).to_string(), "cancel orders 1 2");
        let order = PlaceOrder { id: 7, price: 5, quantity: 2, lifetime: Lifetime::Budget, ..PlaceOrder::default() };
        let order = PlaceOrder { budget: Amount(9), ..order };
        assert_eq!(Operation::from(order).to_string(), "order 7: buy 2 at 5 in market 0, budget 9");
        assert_eq!(Operation::from(Require::default()).to_string(), "require true");
        assert_eq!(Operation::from(Authorize::Object).to_string(), "object to the recovery");
    }
}
