//! The schedule on letters: three accounts, payments that are a payer, a payee and an amount, and every program of them there is.
//!
//! No transaction is decoded, signed or written here; the schedule is given what it looks at and nothing else. A program is a word like
//! `A>B:2 B>C:1 ! C>>A`: payments; `!`, which may touch everything and does nothing; `>>`, no payment but known to take from an account, which
//! moves two units or none; and holds, which their owners make and settle, in favour of the letter behind their own. Each word is run by shards and by a serial interpreter of a few lines, and what is left to be done in order is
//! compared with the rule as `sharded` states it.
//!
//! # What it has caught
//!
//! The four mistakes of [`PlantedOrder`], which a test below puts in; and mistakes that were put in by hand and taken out again: asking who is credited
//! later instead of earlier, the last fence instead of the first, no fence, buckets read backwards, an uncovered debit that contends nothing, a
//! payee's portion that isn't told of a payment that isn't certain, and what is ordered left unsorted. Each showed in a word of at most three letters.

use super::*;
use crate::execute::execute_all;
use crate::keys::Signature;
use crate::ops::{Hold, RegisterAsset, Settle};
use crate::prepare::{Prepared, PreparedRun};
use crate::state::{Context, Layout, Share, Slot};
use crate::transaction::Transaction;
use crate::types::{Address, Amount, AssetId, Time};
use std::panic::AssertUnwindSafe;

const ASSET: AssetId = AssetId(0);

fn address(letter: usize) -> Address {
    Address([b'A' + u8::try_from(letter).unwrap(); 32])
}

/// What stands at a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Letter {
    Pay(usize, usize, u128),
    /// Two payments of one unit in one transaction.
    Twice(usize, usize),
    /// Sets something aside; an account has one hold at a time.
    Hold(usize, u128),
    /// Releases that to the letter behind its owner's.
    Settle(usize),
    /// Nobody can say what it touches.
    Fence,
}

const fn behind(letter: usize) -> usize {
    (letter + 1) % 3
}

/// What three letters have: what they can spend and what they have set aside.
type Has = ([u128; 3], [Option<u128>; 3]);

/// All payments of up to so much.
fn payments(amount_max: u128) -> Vec<Letter> {
    let pairs =
        (0..3).flat_map(|payer| (0..3).map(move |payee| (payer, payee))).filter(|(payer, payee)| payer != payee);
    pairs.flat_map(|(payer, payee)| (1..=amount_max).map(move |amount| Letter::Pay(payer, payee, amount))).collect()
}

/// One by one: what becomes of each, and of the balances.
fn serial(word: &[Letter], mut has: [u128; 3]) -> (Vec<bool>, Has) {
    let mut held = [None; 3];
    let step = |letter: &Letter| match *letter {
        Letter::Pay(payer, payee, amount) if has[payer] >= amount => {
            has[payer] -= amount;
            has[payee] += amount;
            true
        }
        Letter::Twice(payer, payee) if has[payer] >= 2 => {
            has[payer] -= 2;
            has[payee] += 2;
            true
        }
        Letter::Hold(owner, amount) if has[owner] >= amount && held[owner].is_none() => {
            has[owner] -= amount;
            held[owner] = Some(amount);
            true
        }
        Letter::Settle(owner) if held[owner].is_some() => {
            has[behind(owner)] += held[owner].take().unwrap_or(0);
            true
        }
        letter => letter == Letter::Fence,
    };
    (word.iter().map(step).collect(), (has, held))
}

/// What has to be left to be done in order: positions, and whether only the credit is.
fn ordered(word: &[Letter], before: [u128; 3]) -> Vec<(u32, bool)> {
    let mut rest = before;
    let mut contended = [usize::MAX; 3];
    let mut has_promised = [false; 3];
    let mut paid = Vec::new();
    let mut ordered = Vec::new();
    let fence = word.iter().position(|&letter| letter == Letter::Fence).unwrap_or(usize::MAX);
    for (position, &letter) in word.iter().enumerate() {
        match letter {
            Letter::Fence => ordered.push((position, false)),
            Letter::Twice(letter, _) | Letter::Settle(letter) => {
                ordered.push((position, false));
                contended[letter] = contended[letter].min(position);
            }
            Letter::Pay(payer, ..) | Letter::Hold(payer, _) if position > fence || contended[payer] < position => {
                ordered.push((position, false));
            }
            // What the first is called.
            Letter::Hold(owner, _) if has_promised[owner] => {
                contended[owner] = position;
                ordered.push((position, false));
            }
            Letter::Hold(owner, amount) if rest[owner] >= amount => {
                rest[owner] -= amount;
                has_promised[owner] = true;
                ordered.push((position, true));
            }
            Letter::Pay(payer, payee, amount) if rest[payer] >= amount => {
                rest[payer] -= amount;
                paid.push((position, payee));
            }
            // Nobody can have paid it: a certain no.
            Letter::Pay(payer, ..) | Letter::Hold(payer, _) => {
                let credits = |letter: &Letter| match *letter {
                    Letter::Pay(_, payee, _) => payee == payer,
                    // Whom they pay isn't looked up, or isn't known.
                    Letter::Twice(..) | Letter::Settle(_) => true,
                    Letter::Hold(..) | Letter::Fence => false,
                };
                if word[..position].iter().any(credits) {
                    contended[payer] = position;
                    ordered.push((position, false));
                }
            }
        }
    }
    ordered.extend(paid.iter().filter(|&&(at, payee)| contended[payee] < at).map(|&(at, _)| (at, true)));
    ordered.sort_unstable();
    ordered.into_iter().map(|(at, is_credit)| (u32::try_from(at).unwrap(), is_credit)).collect()
}

/// A ledger of three letters and the issuer of what they have.
struct Table {
    state: State,
    scratch: Scratch,
    sequence: u64,
    prepared: Vec<Prepared>,
    bytes: Vec<u8>,
}

impl Table {
    fn new(shards: u32, crew: Crew, planted: Option<PlantedOrder>) -> Self {
        let mut state = State::with_layout(Layout::new(shards, 0)).unwrap();
        let mut scratch = Scratch::default();
        let mut context = Context::new(&mut state, &mut scratch.changes, false);
        for letter in 0..4 {
            assert_eq!(context.open_account(&address(letter)), Ok(slot(letter)));
        }
        let asset = RegisterAsset::plain("X".parse().unwrap(), 0, Amount::MAX);
        context.register_asset(&address(3), &asset).unwrap();
        let scratch = scratch.with_sharding(Sharding::new(crew, Mode::Always, None));
        let mut table = Self { state, scratch, sequence: 0, prepared: Vec::new(), bytes: Vec::new() };
        // Who issues what is known from the first payment on.
        table.run(&[Letter::Pay(0, 1, 1)], [1, 0, 0]);
        table.sharding().planted = planted;
        table
    }

    fn sharding(&mut self) -> &mut Sharding {
        self.scratch.sharding.as_mut().unwrap()
    }

    /// Runs a word from these balances: what became of each, and of the balances.
    fn run(&mut self, word: &[Letter], has: [u128; 3]) -> (Vec<bool>, Has) {
        let mut context = Context::new(&mut self.state, &mut self.scratch.changes, false);
        for letter in 0..3 {
            if let Some((number, hold)) = context.hold(&address(letter), 0) {
                context.refund(number, &hold);
            }
        }
        context.set_issued(ASSET, Amount(has.iter().sum()));
        (0..3).for_each(|letter| context.set_available(slot(letter), ASSET, Amount(has[letter])));
        self.prepared.clear();
        self.bytes.clear();
        for whole in word {
            self.sequence += 1;
            let words = u32::try_from(self.bytes.len() / 8).unwrap();
            self.prepared.push(match *whole {
                Letter::Pay(payer, payee, amount) => {
                    Prepared::letter(slot(payer), Some(slot(payee)), amount, self.sequence, 0)
                }
                Letter::Twice(letter, _) | Letter::Hold(letter, _) | Letter::Settle(letter) => {
                    self.bytes.extend(order(*whole, self.sequence));
                    Prepared::letter(slot(letter), None, 0, self.sequence, words)
                }
                // Its bytes are nowhere.
                Letter::Fence => Prepared::letter(slot(3), None, 0, self.sequence, u32::MAX),
            });
        }
        let count = u32::try_from(word.len()).unwrap();
        let block = Block::assemble(Time(1), count, vec![PreparedRun::plain(&self.bytes, &self.prepared)]);
        let rejections = execute_all(&block, &mut self.state, &mut self.scratch);
        let mut done = vec![true; word.len()];
        rejections.iter().for_each(|&(position, _)| done[position as usize] = false);
        let context = Context::new(&mut self.state, &mut self.scratch.changes, false);
        let after = [0, 1, 2].map(|letter| context.available(&address(letter), ASSET).0);
        let held = [0, 1, 2].map(|letter| context.hold(&address(letter), 0).map(|(_, hold)| hold.amount.0));
        (done, (after, held))
    }

    /// How a word differs from the serial order, or its schedule from the rule.
    fn differs(&mut self, word: &[Letter], has: [u128; 3]) -> Option<String> {
        let (done, after) = serial(word, has);
        let expected = ordered(word, has);
        let Ok((found, left)) = std::panic::catch_unwind(AssertUnwindSafe(|| self.run(word, has))) else {
            return Some(format!("{word:?} from {has:?}: money is lost or made"));
        };
        let found = (found, left, &self.sharding().ordered);
        (found != (done.clone(), after, &expected))
            .then(|| format!("{word:?} from {has:?}: expected {done:?} {after:?} {expected:?}, found {found:?}"))
    }

    /// The first word of so many letters or fewer, the shortest first, that differs.
    fn first_that_differs(&mut self, letters: &[Letter], length: u32, most: u128) -> Option<(Vec<Letter>, String)> {
        let base = usize::try_from(most).unwrap() + 1;
        for length in 1..=length {
            for number in 0..letters.len().pow(length) {
                let word: Vec<Letter> =
                    digits(number, letters.len()).map(|at| letters[at]).take(length as usize).collect();
                for number in 0..base.pow(3) {
                    let mut all = digits(number, base).map(|digit| digit as u128);
                    let has = [(); 3].map(|()| all.next().unwrap());
                    if let Some(what) = self.differs(&word, has) {
                        return Some((word, what));
                    }
                }
            }
        }
        None
    }
}

fn slot(letter: usize) -> Slot {
    Slot(u32::try_from(letter).unwrap())
}

fn digits(number: usize, base: usize) -> impl Iterator<Item = usize> {
    std::iter::successors(Some(number), move |rest| Some(rest / base)).map(move |rest| rest % base)
}

/// What isn't a payment, as bytes.
fn order(letter: Letter, sequence: u64) -> Vec<u8> {
    let begin = |letter| Transaction::builder(address(letter)).sequence(sequence);
    let order = match letter {
        Letter::Twice(payer, payee) => {
            begin(payer).transfer(address(payee), ASSET, Amount(1)).transfer(address(payee), ASSET, Amount(1))
        }
        Letter::Hold(owner, amount) => {
            let payees = vec![Share { payee: address(behind(owner)), parts: 1 }];
            let hold = Hold { asset: ASSET, amount: Amount(amount), payees, ..Hold::default() };
            begin(owner).operation(address(owner), hold.into())
        }
        Letter::Settle(owner) => {
            begin(owner).operation(address(owner), Settle { owner: address(owner), ..Settle::default() }.into())
        }
        Letter::Pay(..) | Letter::Fence => panic!("a payment or nothing"),
    };
    let order = order.build().unwrap();
    order.with_signatures(&[Signature([0; 64])]).unwrap().bytes().to_vec()
}

/// What makes a word more than payments.
const UNLIKE: [Letter; 11] = [
    Letter::Fence,
    Letter::Twice(0, 1),
    Letter::Twice(1, 2),
    Letter::Twice(2, 0),
    Letter::Hold(0, 1),
    Letter::Hold(0, 2),
    Letter::Hold(1, 1),
    Letter::Hold(2, 1),
    Letter::Settle(0),
    Letter::Settle(1),
    Letter::Settle(2),
];

/// Those of one account.
const SOME: [Letter; 5] =
    [Letter::Fence, Letter::Twice(0, 1), Letter::Hold(0, 1), Letter::Hold(0, 2), Letter::Settle(0)];

#[test]
fn every_short_word_gives_the_serial_result_and_leaves_in_order_what_the_rule_says() {
    let all: Vec<Letter> = payments(2).into_iter().chain(UNLIKE).collect();
    let some: Vec<Letter> =
        all.iter().copied().filter(|letter| SOME.contains(letter) || !UNLIKE.contains(letter)).collect();
    // The last has most to go wrong, so it gets the longest words.
    let shapes = [(1, Crew::default(), 0), (2, Crew::played(2), 0), (3, Crew::played(5), 1)];
    for (shards, crew, more) in shapes {
        let mut table = Table::new(shards, crew, None);
        assert_eq!(table.first_that_differs(&all, 3, 2).map(|(_, what)| what), None, "{shards} shards");
        let found = table.first_that_differs(&some, 3 + more, 2);
        assert_eq!(found.map(|(_, what)| what), None, "{shards} shards");
        let found = table.first_that_differs(&payments(2), 4 + more, 2);
        assert_eq!(found.map(|(_, what)| what), None, "{shards} shards");
    }
}

#[test]
fn short_words_give_it_on_threads_too() {
    for threads in [2, 3] {
        let mut table = Table::new(3, Crew::new(threads).unwrap(), None);
        let all: Vec<Letter> = payments(1).into_iter().chain(UNLIKE).collect();
        assert_eq!(table.first_that_differs(&all, 3, 1).map(|(_, what)| what), None, "{threads} threads");
    }
}

#[test]
fn every_mistake_in_the_schedule_shows_in_a_short_word() {
    let all: Vec<Letter> = payments(2).into_iter().chain(UNLIKE).collect();
    let planted = [
        (PlantedOrder::CreditBeforeBarrier, 1),
        (PlantedOrder::MissedContention, 2),
        (PlantedOrder::UnorderedResidual, 2),
        (PlantedOrder::UndeferredCredit, 2),
        (PlantedOrder::MissedPayment, 2),
    ];
    for (planted, length) in planted {
        // Where a mistake makes or loses money the block says so itself.
        let mut table = Table::new(3, Crew::played(2), Some(planted));
        let found = table.first_that_differs(&all, 4, 2);
        let (word, what) = found.unwrap_or_else(|| panic!("{planted:?} isn't noticed"));
        println!("{planted:?}: {what}");
        assert_eq!(word.len(), length, "{what}");
    }
}
