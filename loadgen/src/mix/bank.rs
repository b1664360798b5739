//! The SmallBank benchmark (Alomari, Cahill, Fekete, Röhm 2008) in the shares of H-Store: customer n has a checking account, 2n, and a savings account, 2n + 1. Of a
//! hundred transactions 15 read both balances, 15 deposit, 15 change the savings, 15 move everything a customer has to another's checking account,
//! 25 send a payment, 15 pay by check. What comes in is minted, what goes out is burnt.

use super::{Author, Desk, Draft, ISSUER, MONEY};
use crate::generate::FUNDS;
use nostro::{Amount, Comparison, Operation, Predicate, Require, Transfer};

/// Its author, who keeps the bank's books.
#[derive(Debug)]
pub(super) struct Bank {
    /// By account: what is in it.
    balances: Vec<u128>,
}

/// How often a customer with enough money is looked for. A bank has some who haven't: their orders are rejected.
const TRIES: u32 = 4;

impl Bank {
    pub(super) fn new(accounts: u32) -> Self {
        Self { balances: vec![FUNDS; accounts as usize] }
    }

    /// A customer's checking account.
    fn customer(&self, desk: &mut Desk) -> u32 {
        let account = desk.someone() & !1;
        // One without savings, of an odd number of accounts, lends its turn to the first.
        if account as usize + 1 < self.balances.len() { account } else { 0 }
    }

    fn customer_but(&self, desk: &mut Desk, other: u32) -> u32 {
        let customer = self.customer(desk);
        if customer != other {
            return customer;
        }
        let next = other + 2;
        if next as usize + 1 < self.balances.len() { next } else { 0 }
    }

    /// A customer with this much in an account: 0 checking, 1 savings.
    fn customer_with(&self, desk: &mut Desk, which: u32, amount: Amount) -> u32 {
        let mut customer = self.customer(desk);
        for _ in 1..TRIES {
            if self.balances[(customer + which) as usize] >= amount.0 {
                break;
            }
            customer = self.customer(desk);
        }
        customer
    }

    /// Moves money in the books, if there is enough; orders it in any case.
    fn pay(&mut self, desk: &Desk, payer: u32, payee: u32, amount: Amount) -> (u32, Operation) {
        let left = self.balances.get(payer as usize).map(|balance| balance.checked_sub(amount.0));
        if left != Some(None) {
            if let (Some(balance), Some(Some(left))) = (self.balances.get_mut(payer as usize), left) {
                *balance = left;
            }
            if let Some(balance) = self.balances.get_mut(payee as usize) {
                *balance += amount.0;
            }
        }
        (payer, Transfer { payee: desk.address(payee), asset: MONEY, amount, ..Transfer::default() }.into())
    }

    /// Everything one customer has goes to the other.
    fn amalgamate(&mut self, desk: &mut Desk) -> Draft {
        let mut from = self.customer(desk);
        for _ in 1..TRIES {
            if self.balances[from as usize] + self.balances[from as usize + 1] > 0 {
                break;
            }
            from = self.customer(desk);
        }
        let to = self.customer_but(desk, from);
        let all = [from + 1, from].map(|account| (account, Amount(self.balances[account as usize])));
        let some: Vec<(u32, Amount)> = all.into_iter().filter(|&(_, amount)| amount != Amount::ZERO).collect();
        // Who has nothing at all orders it nevertheless.
        let some = if some.is_empty() { vec![(from, Amount(1))] } else { some };
        let operations = some.into_iter().map(|(account, amount)| self.pay(desk, account, to, amount)).collect();
        desk.many(from, operations)
    }
}

impl Author for Bank {
    fn next(&mut self, desk: &mut Desk) -> Draft {
        let chance = desk.below(100);
        let amount = desk.amount();
        match chance {
            0..15 => {
                let customer = self.customer(desk);
                let has = |account| Predicate::balance(desk.address(account), MONEY, Comparison::AtLeast, Amount::ZERO);
                let predicate = has(customer).and(&has(customer + 1));
                desk.one(customer, Require { predicate })
            }
            15..30 => {
                let customer = self.customer(desk);
                let deposits = self.pay(desk, ISSUER, customer, amount);
                desk.many(ISSUER, vec![deposits])
            }
            30..45 if desk.below(2) == 0 => {
                let customer = self.customer(desk);
                let deposits = self.pay(desk, ISSUER, customer + 1, amount);
                desk.many(ISSUER, vec![deposits])
            }
            30..45 => {
                let savings = self.customer_with(desk, 1, amount) + 1;
                let withdraws = self.pay(desk, savings, ISSUER, amount);
                desk.many(savings, vec![withdraws])
            }
            45..60 => self.amalgamate(desk),
            60..85 => {
                let from = self.customer_with(desk, 0, amount);
                let to = self.customer_but(desk, from);
                let pays = self.pay(desk, from, to, amount);
                desk.many(from, vec![pays])
            }
            _ => {
                let from = self.customer_with(desk, 0, amount);
                let pays = self.pay(desk, from, ISSUER, amount);
                desk.many(from, vec![pays])
            }
        }
    }
}
