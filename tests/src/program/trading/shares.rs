//! What a program of markets has much or little of, drawn once.

use crate::random::Random;

/// How much there is of what.
pub(super) struct Shares {
    /// Of a hundred messages: what is no order and goes beside them.
    pub(super) beside: u64,
    /// Of a hundred of those: what pays somebody who trades.
    pub(super) pays_traders: u64,
    /// Of a thousand: what keeps a market from going beside others.
    pub(super) odd: u64,
    /// Whether calm markets see that too.
    pub(super) is_odd_everywhere: bool,
    /// How often each kind of that comes.
    pub(super) kinds: Vec<Odd>,
    /// Of a hundred orders: those that are changed or taken back.
    pub(super) amends: u64,
    /// How many ids an account uses in a market.
    pub(super) ids: u64,
    /// Whether it uses others in each.
    pub(super) ids_apart: bool,
    pub(super) prices: u64,
    /// Whether those that aren't rich have hardly more than an order costs.
    pub(super) is_scarce: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Odd {
    TwoOrders,
    OrderAndPayment,
    TwoSigners,
    FurtherLane,
    CancelAcross,
    Requirement,
    UsedSequence,
    Expired,
    Newcomer,
    Policy,
    Rules,
}

impl Shares {
    pub(super) fn drawn(random: &mut Random) -> Self {
        let weights = [
            (Odd::TwoOrders, 2),
            (Odd::OrderAndPayment, 2),
            (Odd::TwoSigners, 2),
            (Odd::FurtherLane, 2),
            (Odd::CancelAcross, 3),
            (Odd::Requirement, 1),
            (Odd::UsedSequence, 3),
            (Odd::Expired, 3),
            (Odd::Newcomer, 2),
            (Odd::Policy, 2),
        ];
        let mut kinds: Vec<Odd> = Vec::new();
        for (kind, weight) in weights {
            if random.chance(40) {
                kinds.extend([kind].repeat(weight));
            }
        }
        // Nothing behind it is certain.
        if kinds.is_empty() || random.chance(10) {
            kinds.push(Odd::Rules);
        }
        Self {
            beside: *random.pick(&[0, 5, 15, 40]),
            pays_traders: *random.pick(&[0, 10, 50, 100]),
            odd: *random.pick(&[0, 10, 40, 200]),
            is_odd_everywhere: random.chance(20),
            kinds,
            amends: *random.pick(&[10, 25, 50]),
            ids: *random.pick(&[4, 12, 40, 200]),
            ids_apart: random.chance(70),
            prices: *random.pick(&[2, 4, 8]),
            is_scarce: random.chance(50),
        }
    }
}
