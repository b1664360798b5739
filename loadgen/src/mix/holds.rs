//! Money set aside for a payee, as a card payment is authorised and then captured: of a hundred transactions 48 set aside, 43 release
//! all that is left, 4 release a part, 5 give it back.

use super::{Author, Desk, Draft, MONEY};
use nostro::{Amount, Hold, Settle, Share};

/// Its author, who knows what is open.
#[derive(Debug)]
pub(super) struct Holds {
    openings: u64,
    made: u64,
    open: Vec<Open>,
}

#[derive(Clone, Copy, Debug)]
struct Open {
    owner: u32,
    payee: u32,
    id: u64,
    left: Amount,
}

impl Holds {
    /// With so many open when the load begins.
    pub(super) const fn new(openings: u64) -> Self {
        Self { openings, made: 0, open: Vec::new() }
    }

    fn hold(&mut self, desk: &mut Desk) -> Draft {
        let owner = desk.someone();
        let payee = desk.someone_but(owner);
        let (id, amount) = (self.made, desk.amount());
        self.made += 1;
        self.open.push(Open { owner, payee, id, left: amount });
        let payees = vec![Share { payee: desk.address(payee), parts: 1 }];
        desk.one(owner, Hold { id, asset: MONEY, amount, payees, ..Hold::default() })
    }

    /// The payee settles one of those open.
    fn settle(&mut self, desk: &mut Desk, place: usize, cancels: bool, amount: Amount) -> Draft {
        let Open { owner, payee, id, .. } = self.open[place];
        desk.one(payee, Settle { owner: desk.address(owner), id, cancels, amount, ..Settle::default() })
    }
}

impl Author for Holds {
    fn openings(&self) -> u64 {
        self.openings
    }

    fn open(&mut self, desk: &mut Desk) -> Draft {
        self.openings = self.openings.saturating_sub(1);
        self.hold(desk)
    }

    fn next(&mut self, desk: &mut Desk) -> Draft {
        let chance = desk.below(100);
        if chance < 48 || self.open.is_empty() {
            return self.hold(desk);
        }
        let place = usize::try_from(desk.below(self.open.len() as u64)).unwrap_or(0);
        let left = self.open[place].left.0;
        if chance >= 96 && left > 1 {
            let part = 1 + u128::from(desk.below(u64::try_from(left - 1).unwrap_or(1)));
            self.open[place].left = Amount(left - part);
            return self.settle(desk, place, false, Amount(part));
        }
        let draft = self.settle(desk, place, (91..96).contains(&chance), Amount::ZERO);
        self.open.swap_remove(place);
        draft
    }
}
