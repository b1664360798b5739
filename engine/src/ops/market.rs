//! Opens a market, in which one asset is bought and sold for another.
//!
//! Anyone may open one, with its lot, its tick and its fee, which are for ever; orders name it by its number.
//!
//! **Touches** the table of markets, and the account that gets the fees.
//!
//! **Goes in order**, since numbers of markets are given in order. What others pay meanwhile goes by shards.

use super::{Source, Touch};
use crate::state::{Context, MarketState};
use crate::types::{Address, AssetId, AssetPolicy, Rejection, RejectionCode};
use crate::wire::{Malformed, Reader};

/// An order to open a market.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenMarket {
    /// What is bought and sold.
    pub base: AssetId,
    /// What it is paid in.
    pub quote: AssetId,
    /// How many of the base's smallest units a lot has; not 0.
    pub lot: u64,
    /// How many of the quote's smallest units a lot costs at a price of 1; not 0.
    pub tick: u64,
    /// What whoever takes an order gives of what it gets, in hundredths of a percent: at most 10,000.
    pub fee_basis_points: u16,
    /// Who gets that; `None` without a fee.
    pub fee_account: Option<Address>,
}

impl OpenMarket {
    pub(crate) const CODE: u8 = 12;
    pub(crate) const BYTES: usize = 64;

    pub(super) fn apply(&self, source: Source<'_>, context: &mut Context<'_>) -> Result<(), Rejection> {
        for asset in [self.base, self.quote] {
            if context.asset(asset)?.policy.has(AssetPolicy::NON_TRANSFERABLE) {
                let bit = u64::from(AssetPolicy::NON_TRANSFERABLE.0);
                return Err(Rejection::new(RejectionCode::PolicyForbids, bit));
            }
        }
        if let Some(number) = context.find_market(source.address, self.base, self.quote) {
            return Err(Rejection::new(RejectionCode::MarketExists, u64::from(number)));
        }
        if let Some(collector) = &self.fee_account {
            context.open_account(collector)?;
        }
        let Self { base, quote, lot, tick, fee_basis_points, fee_account } = *self;
        let market = MarketState {
            operator: *source.address,
            base,
            quote,
            lot,
            tick,
            fee_basis_points,
            fee_account: fee_account.unwrap_or_default(),
            ..MarketState::default()
        };
        context.open_entry(market.into())?;
        Ok(())
    }

    /// See [`Touch`].
    #[expect(clippy::unnecessary_wraps, reason = "all operations say it alike")]
    pub(super) const fn touches(_: &[u8], _: &mut dyn FnMut(Touch)) -> Option<()> {
        Some(())
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.base.0.to_le_bytes());
        out.extend_from_slice(&self.quote.0.to_le_bytes());
        out.extend_from_slice(&self.fee_basis_points.to_le_bytes());
        out.extend_from_slice(&[0; 2]);
        out.extend_from_slice(&self.lot.to_le_bytes());
        out.extend_from_slice(&self.tick.to_le_bytes());
        out.extend_from_slice(&self.fee_account.unwrap_or_default().0);
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let offset = reader.offset();
        let field = |field, at: usize, expected, found: u64| {
            Err(Malformed::Field { field, offset: offset + at, expected, found })
        };
        let (base, quote, fee_basis_points) = (AssetId(reader.u32()?), AssetId(reader.u32()?), reader.u16()?);
        if base == quote {
            return field("quote", 4, "another asset than the base", u64::from(quote.0));
        }
        if fee_basis_points > 10_000 {
            return field("fee", 8, "at most 10,000 hundredths of a percent", fee_basis_points.into());
        }
        reader.reserved::<2>()?;
        let (lot, tick) = (reader.u64()?, reader.u64()?);
        if lot == 0 || tick == 0 {
            return field("lot and tick", 12, "1 or more", 0);
        }
        let fee_account = if fee_basis_points == 0 {
            reader.reserved::<32>()?;
            None
        } else {
            Some(super::address(reader)?)
        };
        Ok(Self { base, quote, lot, tick, fee_basis_points, fee_account })
    }
}
