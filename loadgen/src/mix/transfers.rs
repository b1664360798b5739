//! Mixes of transfers alone.

use super::{Author, Desk, Draft, GOODS, MONEY};
use nostro::{Amount, AssetId, Operation, Transfer};

/// The same as the payments of a load of nothing else, in a mix.
#[derive(Debug)]
pub(super) struct Payments;

impl Author for Payments {
    fn next(&mut self, desk: &mut Desk) -> Draft {
        let payer = desk.someone();
        let payee = desk.someone_but(payer);
        let amount = desk.amount();
        desk.one(payer, Transfer { payee: desk.address(payee), asset: MONEY, amount, ..Transfer::default() })
    }
}

/// Transfers of many assets.
#[derive(Debug)]
pub(super) struct ManyAssets;

impl ManyAssets {
    const ASSETS: u32 = 64;
    /// Of how many assets everybody has some.
    const OWN: u32 = 4;
}

impl Author for ManyAssets {
    fn assets(&self) -> u32 {
        Self::ASSETS
    }

    fn funds(&self, account: u32, asset: u32) -> bool {
        (asset + Self::ASSETS - account % Self::ASSETS) % Self::ASSETS < Self::OWN
    }

    fn next(&mut self, desk: &mut Desk) -> Draft {
        let payer = desk.someone();
        let payee = desk.someone_but(payer);
        let own = u32::try_from(desk.below(u64::from(Self::OWN))).unwrap_or(0);
        let asset = AssetId((payer % Self::ASSETS + own) % Self::ASSETS);
        let amount = desk.amount();
        desk.one(payer, Transfer { payee: desk.address(payee), asset, amount, ..Transfer::default() })
    }
}

/// Delivery versus payment.
#[derive(Debug)]
pub(super) struct Dvp;

impl Author for Dvp {
    fn assets(&self) -> u32 {
        2
    }

    fn next(&mut self, desk: &mut Desk) -> Draft {
        let buyer = desk.someone();
        let seller = desk.someone_but(buyer);
        let amount = desk.amount();
        let goods = Amount(u128::from(1 + desk.below(10)));
        let pays = Transfer { payee: desk.address(seller), asset: MONEY, amount, ..Transfer::default() };
        let delivers = Transfer { payee: desk.address(buyer), asset: GOODS, amount: goods, ..Transfer::default() };
        desk.many(buyer, vec![(buyer, pays.into()), (seller, delivers.into())])
    }
}

/// Transactions that pay a hundred.
#[derive(Debug)]
pub(super) struct Disburse;

impl Disburse {
    const PAYEES: usize = 100;
}

impl Author for Disburse {
    fn next(&mut self, desk: &mut Desk) -> Draft {
        let payer = desk.someone();
        let mut operations = Vec::with_capacity(Self::PAYEES);
        for _ in 0..Self::PAYEES {
            let payee = desk.someone_but(payer);
            let amount = desk.amount();
            let pays = Transfer { payee: desk.address(payee), asset: MONEY, amount, ..Transfer::default() };
            operations.push((payer, Operation::from(pays)));
        }
        desk.many(payer, operations)
    }
}
