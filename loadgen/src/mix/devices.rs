//! Devices that pay out of their owners' money. Account 2n + 1 is the device of account 2n, and pays by a grant with a cap a day: of a
//! hundred transactions 80 are such payments, 15 report a reading as a record of the device's, and with 5 an owner takes the grant back and makes a new
//! one.

use super::{Author, Desk, Draft, MONEY};
use nostro::{
    Amount, Grant, GrantAction, GrantName, GrantTerms, Operation, Predicate, Put, PutAction, RecordKind, Time, Transfer,
};

/// More than any device pays in a load.
const DAILY: Amount = Amount(100_000_000_000);
const DAY_MS: u64 = 86_400_000;
/// Readings that a device keeps.
const READINGS: u64 = 4;
const READING_BYTES: usize = 32;

/// Its author, who knows which grant of every owner counts.
#[derive(Debug)]
pub(super) struct Devices {
    /// By device: the id of its grant.
    grants: Vec<u64>,
    opened: u32,
}

impl Devices {
    pub(super) fn new(accounts: u32) -> Self {
        Self { grants: vec![0; accounts as usize / 2], opened: 0 }
    }

    fn create(desk: &Desk, device: u32, id: u64) -> Operation {
        let terms = GrantTerms {
            to: desk.address(2 * device + 1),
            asset: MONEY,
            cap: Amount(DAILY.0 * 365),
            period_ms: DAY_MS,
            period_cap: DAILY,
            start: Time(1),
            predicate: Predicate::always(),
            ..GrantTerms::default()
        };
        Grant { action: GrantAction::Create, id, terms: Some(Box::new(terms)) }.into()
    }
}

impl Author for Devices {
    fn openings(&self) -> u64 {
        (self.grants.len() as u64).saturating_sub(u64::from(self.opened))
    }

    fn open(&mut self, desk: &mut Desk) -> Draft {
        let device = self.opened;
        self.opened += 1;
        desk.one(2 * device, Self::create(desk, device, 0))
    }

    fn next(&mut self, desk: &mut Desk) -> Draft {
        // An account without a partner, of an odd number of them, lends its turn to the first.
        let device = Some(desk.someone() / 2).filter(|&device| (device as usize) < self.grants.len()).unwrap_or(0);
        let (owner, key) = (2 * device, 2 * device + 1);
        let id = self.grants[device as usize];
        let chance = desk.below(100);
        if chance < 80 {
            let payee = desk.someone_but(owner);
            let grant = Some(GrantName { owner: desk.address(owner), id });
            let amount = desk.amount();
            let pays = Transfer { payee: desk.address(payee), asset: MONEY, amount, grant, ..Transfer::default() };
            return desk.one(key, pays);
        }
        if chance < 95 {
            let mut place = [0; 32];
            place[..8].copy_from_slice(&desk.below(READINGS).to_le_bytes());
            let value = (0..READING_BYTES / 8).flat_map(|_| desk.below(u64::MAX).to_le_bytes()).collect();
            let action = PutAction::Write;
            return desk.one(key, Put { action, kind: RecordKind::Data, key: place, value, ..Put::default() });
        }
        self.grants[device as usize] = id + 1;
        let removes = Grant { action: GrantAction::Remove, id, terms: None };
        desk.many(owner, vec![(owner, removes.into()), (owner, Self::create(desk, device, id + 1))])
    }
}
