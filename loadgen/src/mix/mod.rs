//! What a generated load is made of: payments alone, or operations in the shares of some trade.
//!
//! A mix is written by one hand, in order, since what is settled, cancelled or executed has to be open by then; its author knows what is
//! open because it has written everything before. It is signed by many. So a mix depends on its seed, its accounts and their distribution, not on threads,
//! and nearly all of it is applied: an author orders only what the ledger will have.
//!
//! Everybody has money, the asset 0, and goods, the asset 1, and plenty of both.

mod bank;
mod book;
mod desk;
mod devices;
mod exchange;
mod holds;
mod transfers;

pub(crate) use desk::{Desk, Draft, ISSUER};

use nostro::{AssetId, Time};
use std::fmt;

/// What everybody pays with.
const MONEY: AssetId = AssetId(0);
/// What everybody buys.
const GOODS: AssetId = AssetId(1);

/// What a load is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Mix {
    /// Transfers of one asset.
    #[default]
    Payments,
    /// Transfers of 64 assets, of which everybody has four to begin with.
    ManyAssets,
    /// Money set aside, then released, in part or whole, or given back.
    Holds,
    /// Goods for money in one transaction that both sign.
    Dvp,
    /// A day's messages of a stock exchange: 48.1 % new orders, 0.5 % reduced, 44.6 % deleted, 6.8 % executions.
    Exchange,
    /// The same in eight markets.
    Markets,
    /// Devices that pay out of their owners' money, within grants, and report readings.
    Devices,
    /// Transactions that pay a hundred.
    Disburse,
    /// A bank's customers, each with a checking and a savings account: the six transactions of the SmallBank benchmark.
    Smallbank,
    /// Some of everything.
    Mixed,
}

impl Mix {
    /// Every one.
    pub const ALL: [Self; 10] = [
        Self::Payments,
        Self::ManyAssets,
        Self::Holds,
        Self::Dvp,
        Self::Exchange,
        Self::Markets,
        Self::Devices,
        Self::Disburse,
        Self::Smallbank,
        Self::Mixed,
    ];

    /// Its name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Payments => "payments",
            Self::ManyAssets => "many-assets",
            Self::Holds => "holds",
            Self::Dvp => "dvp",
            Self::Exchange => "exchange",
            Self::Markets => "markets",
            Self::Devices => "devices",
            Self::Disburse => "disburse",
            Self::Smallbank => "smallbank",
            Self::Mixed => "mixed",
        }
    }

    /// The block time it asks for: where records remember when they were written, the clock would be part of the digest.
    pub(crate) const fn time(self) -> Option<Time> {
        match self {
            // The first of January 2026.
            Self::Devices | Self::Mixed => Some(Time(1_767_225_600_000)),
            _ => None,
        }
    }

    /// How many plain transfers one of its transactions is as long as, about.
    pub(crate) const fn length(self) -> u64 {
        match self {
            Self::Disburse => 40,
            Self::Dvp => 2,
            _ => 1,
        }
    }

    /// Who writes it; `None` for payments, which need nobody who knows what came before.
    pub(crate) fn author(self, accounts: u32) -> Option<Box<dyn Author>> {
        let everybody = u64::from(accounts);
        Some(match self {
            Self::Payments => return None,
            Self::ManyAssets => Box::new(transfers::ManyAssets),
            Self::Holds => Box::new(holds::Holds::new(everybody / 10)),
            Self::Dvp => Box::new(transfers::Dvp),
            Self::Exchange => Box::new(exchange::Exchange::new(everybody)),
            Self::Markets => Box::new(exchange::Markets::new(everybody)),
            Self::Devices => Box::new(devices::Devices::new(accounts)),
            Self::Disburse => Box::new(transfers::Disburse),
            Self::Smallbank => Box::new(bank::Bank::new(accounts)),
            Self::Mixed => Box::new(Mixed {
                parts: vec![
                    // First, so that its market is the first of all entries.
                    (12, Box::new(exchange::Exchange::new(everybody / 10))),
                    (60, Box::new(transfers::Payments)),
                    (12, Box::new(holds::Holds::new(everybody / 100))),
                    (10, Box::new(devices::Devices::new(accounts))),
                    (5, Box::new(transfers::Dvp)),
                    (1, Box::new(transfers::Disburse)),
                ],
            }),
        })
    }
}

impl fmt::Display for Mix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Writes transactions, one after the other.
pub(crate) trait Author: fmt::Debug + Send + Sync {
    /// How many assets there have to be.
    fn assets(&self) -> u32 {
        1
    }

    /// Whether an account is given some of an asset to begin with.
    fn funds(&self, _account: u32, asset: u32) -> bool {
        asset < self.assets()
    }

    /// How many transactions stand before the load.
    fn openings(&self) -> u64 {
        0
    }

    /// The next of them.
    fn open(&mut self, desk: &mut Desk) -> Draft {
        self.next(desk)
    }

    /// The next of the load.
    fn next(&mut self, desk: &mut Desk) -> Draft;
}

/// Several in one, each as often as its part of a hundred says.
#[derive(Debug)]
struct Mixed {
    parts: Vec<(u64, Box<dyn Author>)>,
}

impl Author for Mixed {
    fn assets(&self) -> u32 {
        self.parts.iter().map(|(_, part)| part.assets()).max().unwrap_or(1)
    }

    fn openings(&self) -> u64 {
        self.parts.iter().map(|(_, part)| part.openings()).sum()
    }

    fn open(&mut self, desk: &mut Desk) -> Draft {
        let place = self.parts.iter().position(|(_, part)| part.openings() > 0).unwrap_or(0);
        self.parts[place].1.open(desk)
    }

    fn next(&mut self, desk: &mut Desk) -> Draft {
        let mut at = desk.below(self.parts.iter().map(|(share, _)| share).sum());
        let place = self.parts.iter().position(|&(share, _)| {
            let is_here = at < share;
            at = at.saturating_sub(share);
            is_here
        });
        self.parts[place.unwrap_or(0)].1.next(desk)
    }
}
