//! What in a block that goes by shards isn't a payment, a promise or a message of an account alone: which accounts it contends or pays, as its
//! operations say it.

use super::phases::{Bucket, Half, Phases, TOUCHED};
use super::sharded::PlantedOrder;
use crate::ops::Touch;
use crate::prepare::{Prepared, PreparedRun};
use crate::state::{GrantState, Name, Slot};

/// Enters what something touches that isn't a payment. Accounts that aren't there no payment is about.
pub(super) struct Touching<'a, 'b> {
    pub phases: &'a Phases<'b>,
    pub bucket: &'a mut Bucket,
    pub position: u32,
}

impl Touching<'_, '_> {
    pub(super) fn enter(&mut self, prepared: &Prepared, run: &PreparedRun<'_>) {
        // It was prepared from these bytes, so it is there.
        let Some(transaction) = prepared.of(run) else { return self.fence() };
        let known = &self.phases.known;
        let account = transaction.account();
        // One that wasn't found when this was prepared may be there by now.
        self.takes(prepared.payer().or_else(|| known.find(&account)));
        let parties = prepared.parties(run);
        for (place, signer) in transaction.signers().skip(1).enumerate() {
            self.takes(parties.at(place).or_else(|| known.find(&signer)));
            if transaction.names_keys() {
                // The account may act in its place.
                self.asks(&GrantState::name(&signer, GrantState::acting_id(&account)));
            }
        }
        for (place, operation) in (0..).zip(transaction.encoded_operations()) {
            if operation.is_message()
                && let Some(source) = transaction.signers().nth(operation.source().into())
            {
                self.phases.touch_books(operation, &source, (self.position, &mut self.bucket.in_order));
            }
            operation.touches(&mut |touch| match touch {
                Touch::Pays(account) if place == 0 => self.pays(prepared.payee().or_else(|| known.find(&account))),
                touch => self.touch(touch),
            });
        }
    }

    fn touch(&mut self, touch: Touch) {
        let known = &self.phases.known;
        match touch {
            Touch::Takes(account) => self.takes(known.find(&account)),
            // Those behind the first are many where there are any, and to look each up isn't worth it.
            Touch::Pays(_) | Touch::PaysAnybody => self.pays_anybody(),
            Touch::Ends if known.has_over(self.phases.block.time) => self.pays_anybody(),
            Touch::Ends => {}
            Touch::Asks(owner, id, kind) => self.asks(&kind(&owner, id)),
            Touch::Anything => self.fence(),
        }
    }

    fn takes(&mut self, account: Option<Slot>) {
        let position = self.position | TOUCHED;
        if let Some(slot) = account.filter(|_| !self.phases.has(PlantedOrder::MissedContention)) {
            self.bucket.debits[self.phases.portion(slot)].push(Half { slot, position });
        }
    }

    fn pays(&mut self, account: Option<Slot>) {
        let position = self.position | TOUCHED;
        if let Some(slot) = account.filter(|_| !self.phases.has(PlantedOrder::MissedPayment)) {
            self.bucket.credits[self.phases.portion(slot)].push(Half { slot, position });
        }
    }

    pub(super) fn pays_anybody(&mut self) {
        if !self.phases.has(PlantedOrder::MissedPayment) {
            self.bucket.pays_anybody.get_or_insert(self.position);
        }
    }

    fn asks(&mut self, promise: &Name<'_>) {
        let known = &self.phases.known;
        known.balances_asked(promise, &mut |account| self.takes(known.find(&account)));
    }

    fn fence(&mut self) {
        self.bucket.fence.get_or_insert(self.position);
    }
}
