//! Random programs of markets: accounts from poor to rich, few prices, few ids, and a bit of everything that stands in the way of markets that
//! go side by side.
//!
//! Mostly some markets are calm: only accounts that are rich in whatever they trade order there, one thing at a time. How much of what is odd
//! the others see, and what, is drawn once for a program.

mod shares;

use super::{ISSUERS, Program, Step};
use crate::model::Model;
use crate::random::Random;
use crate::world::{address, unsigned};
use nostro::{
    Amend, Amount, AssetId, AssetPolicy, AssetTerms, AuthorityRules, Authorize, Comparison, ControlHolder, Hold,
    HolderAction, Lifetime, MarketId, OpenMarket, Operation, PlaceOrder, Predicate, RegisterAsset, Require, SelfTrade,
    Settle, Share, Side, Time, Transaction, Transfer,
};
use shares::{Odd, Shares};

/// The letter that issues the second asset; [`ISSUERS`] has that of the others.
const ISSUER: usize = 9;
/// Gets fees, and is there before.
const COLLECTOR: usize = 10;
/// Has set aside what is over and still in its place.
const HOLDER: usize = 11;
const OPERATOR: usize = 12;
/// Pays, and nothing else.
const BYSTANDER: usize = 13;
/// Isn't there until a market or somebody pays it.
const NEWCOMER: usize = 20;
/// More than any program of orders costs.
const RICH: u128 = 1 << 80;

impl Program {
    /// One of a seed in which most are orders in few markets: some that wait, a long block, sometimes a few more.
    #[must_use]
    pub fn trading(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let shares = Shares::drawn(&mut random);
        let (traders, markets) = (vec![], vec![]);
        let (model, next) = (Some(Model::default()), [0; 26]);
        let mut maker = Maker {
            random,
            shares,
            traders,
            markets,
            placed: vec![],
            freezable: None,
            model,
            next,
            time: 1_000,
            steps: vec![],
        };
        maker.set_up();
        maker.trade();
        Self { steps: maker.steps }
    }
}

struct Market {
    number: MarketId,
    assets: [AssetId; 2],
    is_calm: bool,
}

struct Trader {
    letter: usize,
    /// Places of the markets it trades in.
    markets: Vec<usize>,
    /// Whether it trades in calm markets only, and does nothing that is odd.
    is_calm: bool,
    /// Whether it orders nothing in the long block.
    only_pays: bool,
}

struct Maker {
    random: Random,
    shares: Shares,
    traders: Vec<Trader>,
    markets: Vec<Market>,
    /// Orders that may wait: by whom, in which of the markets, and their ids.
    placed: Vec<(usize, usize, u64)>,
    freezable: Option<AssetId>,
    /// What the markets' numbers are, as long as some come.
    model: Option<Model>,
    /// Sequences, by letter.
    next: [u64; 26],
    time: u64,
    steps: Vec<Step>,
}

fn issuer_of(asset: AssetId) -> usize {
    if asset.0 == 1 { ISSUER } else { ISSUERS[0] }
}

impl Maker {
    fn order(&mut self, letter: usize, order: impl Into<Operation>) {
        self.orders(letter, vec![(letter, order.into())]);
    }

    /// Orders of several sources in one transaction.
    fn orders(&mut self, letter: usize, orders: Vec<(usize, Operation)>) {
        let sequence = self.next[letter];
        self.next[letter] += 1;
        self.orders_with(letter, (0, sequence), None, orders);
    }

    fn orders_with(
        &mut self,
        letter: usize,
        (lane, sequence): (u16, u64),
        until: Option<Time>,
        orders: Vec<(usize, Operation)>,
    ) {
        let mut builder = Transaction::builder(address(letter)).lane(lane).sequence(sequence);
        if let Some(until) = until {
            builder = builder.valid_until(until);
        }
        for (source, order) in orders {
            builder = builder.operation(address(source), order);
        }
        let transaction = unsigned(builder.build().expect("a program holds well-formed transactions"));
        let time = Time(self.time);
        if let Some(model) = &mut self.model {
            let _ = model.apply(&transaction.as_ref(), time);
        }
        self.steps.push(Step { time, transaction });
    }

    fn pays(payee: usize, asset: AssetId, amount: u128) -> Transfer {
        Transfer { payee: address(payee), asset, amount: Amount(amount), ..Transfer::default() }
    }

    fn set_up(&mut self) {
        let assets = 2 + u32::from(self.random.chance(60));
        // With a policy no market of it goes beside others.
        let ruled = self.random.chance(15).then(|| self.random.index(3));
        for (place, code) in ["GOLD", "EUR", "OIL"].into_iter().enumerate().take(assets as usize) {
            let asset = AssetId(u32::try_from(place).expect("few assets"));
            let plain = RegisterAsset::plain(code.parse().expect("a code"), 0, Amount::MAX);
            let order = if ruled == Some(place) { self.with_policy(asset, plain) } else { plain };
            self.order(issuer_of(asset), order);
        }
        self.order(ISSUERS[0], Self::pays(COLLECTOR, AssetId(0), 1));
        self.order(ISSUERS[0], Self::pays(OPERATOR, AssetId(0), 1));
        let pairs: &[[u32; 2]] = if assets == 2 { &[[0, 1], [1, 0]] } else { &[[0, 1], [2, 1], [2, 0], [1, 2]] };
        let count = 1 + self.random.index(pairs.len()).max(self.random.index(pairs.len()));
        let first = self.random.index(pairs.len());
        for place in 0..count {
            let [base, quote] = pairs[(first + place) % pairs.len()].map(AssetId);
            self.open_market(base, quote);
        }
        let calm_share = *self.random.pick(&[0, 60, 60, 80, 100, 100]);
        self.markets.iter_mut().for_each(|market| market.is_calm = self.random.chance(calm_share));
        self.bring_traders();
        if self.random.chance(4) {
            self.crowd();
        }
        self.time = 1_100;
        self.wait();
        self.time = 2_000;
        if self.random.chance(12) {
            let all = (0..assets).flat_map(|base| (0..assets).map(move |quote| [base, quote].map(AssetId)));
            let mut free =
                all.filter(|pair| pair[0] != pair[1] && self.markets.iter().all(|open| open.assets != *pair));
            if let Some([base, quote]) = free.next() {
                self.open_market(base, quote);
                let late = self.markets.len() - 1;
                self.traders.iter_mut().filter(|trader| !trader.is_calm).for_each(|trader| trader.markets.push(late));
            }
        }
        self.model = None;
    }

    fn with_policy(&mut self, asset: AssetId, plain: RegisterAsset) -> RegisterAsset {
        if self.random.chance(60) {
            self.shares.kinds.extend([Odd::Policy; 4]);
            self.freezable = Some(asset);
            return RegisterAsset { policy: AssetPolicy::FREEZABLE, ..plain };
        }
        let terms = AssetTerms { fee_account: address(COLLECTOR), fee_basis_points: 2_500, ..AssetTerms::default() };
        RegisterAsset { policy: AssetPolicy::FEE, terms: Some(Box::new(terms)), ..plain }
    }

    fn open_market(&mut self, base: AssetId, quote: AssetId) {
        let fee_basis_points = *self.random.pick(&[0, 0, 0, 1_000, 2_500, 10_000]);
        // One of them comes into being with the market.
        let collector = *self.random.pick(&[COLLECTOR, COLLECTOR, NEWCOMER, 0, ISSUERS[0]]);
        let fee_account = (fee_basis_points > 0).then(|| address(collector));
        let (lot, tick) = (1 + self.random.below(2), *self.random.pick(&[1, 1, 2]));
        self.order(OPERATOR, OpenMarket { base, quote, lot, tick, fee_basis_points, fee_account });
        let open = self.model.as_ref().expect("markets come first").markets();
        let known = |market: &MarketId| self.markets.iter().any(|open| open.number == *market);
        let new = open.into_iter().find(|(number, _)| !known(number));
        let (number, assets) = new.expect("each pair has one market");
        self.markets.push(Market { number, assets, is_calm: false });
    }

    /// Two to eight accounts, and sometimes the issuers, with what they have.
    fn bring_traders(&mut self) {
        let count = 2 + self.random.index(7);
        let calm = self.markets.iter().filter(|market| market.is_calm).count();
        let calm_ones = if calm == self.markets.len() { count } else { (2 + self.random.index(3)).min(count) };
        let calm_ones = if calm == 0 { 0 } else { calm_ones };
        // Or each only in one of the calm markets.
        let calm_anywhere = self.random.chance(60);
        let issuers = self.random.chance(30);
        let letters = (0..count).chain([ISSUERS[0], ISSUER].into_iter().filter(|_| issuers));
        for (place, letter) in letters.enumerate() {
            let is_calm = calm > 0 && if letter >= ISSUERS[0] { self.random.chance(50) } else { place < calm_ones };
            let only_pays = !is_calm && self.random.chance(30);
            let is_wanted = |(_, market): &(usize, &Market)| {
                // It may have none of either.
                (only_pays || market.is_calm == is_calm)
                    && market.assets.iter().any(|&asset| issuer_of(asset) != letter)
            };
            let wanted = self.markets.iter().enumerate().filter(is_wanted);
            let mut own: Vec<usize> = wanted.map(|(place, _)| place).collect();
            if is_calm && !calm_anywhere && !own.is_empty() {
                own = vec![own[place / 2 % own.len()]];
            }
            let loud =
                if self.shares.is_scarce { [0, 3, 5, 5, 10, 10, 20, 40] } else { [0, 4, 15, 40, 150, 150, RICH, RICH] };
            let means = if is_calm {
                RICH
            } else if only_pays {
                14
            } else {
                *self.random.pick(&loud)
            };
            for asset in (0..3).map(AssetId).filter(|&asset| issuer_of(asset) != letter) {
                let amount = if is_calm || means == RICH || self.random.chance(70) { means } else { 0 };
                if amount > 0 {
                    self.order(issuer_of(asset), Self::pays(letter, asset, amount));
                }
            }
            if means == 0 {
                // It is there all the same.
                self.order(letter, Self::pays(OPERATOR, AssetId(0), 1));
            }
            self.traders.push(Trader { letter, markets: own, is_calm, only_pays });
        }
        for asset in (0..3).map(AssetId) {
            self.order(issuer_of(asset), Self::pays(BYSTANDER, asset, RICH));
        }
    }

    /// Sets aside what is over in the long block, more of it than leaves its place when time passes.
    fn crowd(&mut self) {
        self.order(ISSUERS[0], Self::pays(HOLDER, AssetId(0), 280));
        for first in [0, 140] {
            let expiry = Some(Time(1_500));
            let payees = vec![Share { payee: address(COLLECTOR), parts: 1 }];
            let hold = |id| Hold { id, amount: Amount(1), expiry, payees: payees.clone(), ..Hold::default() };
            self.orders(HOLDER, (first..first + 140).map(|id| (HOLDER, hold(id).into())).collect());
        }
    }

    /// Orders that wait before the long block, sometimes more of one account than one order can meet.
    fn wait(&mut self) {
        for _ in 0..self.random.below(30) {
            let trader = self.random.index(self.traders.len());
            let Some(market) = self.a_market_of(trader) else { continue };
            let order = PlaceOrder { expiry: self.waiting_end(), ..self.place(trader, market) };
            if matches!(order.lifetime, Lifetime::GoodTillCancelled | Lifetime::PostOnly) {
                self.order(self.traders[trader].letter, order);
            }
        }
        // Small ones of those who are going to spend what they get.
        for trader in (0..self.traders.len()).filter(|&trader| self.traders[trader].only_pays).collect::<Vec<_>>() {
            for id in 500..512 {
                let Some(market) = self.a_market_of(trader) else { break };
                let (number, side, price) = (self.markets[market].number, self.a_side(trader, market), self.price());
                let order =
                    PlaceOrder { market: number, id, side, price, quantity: 1 + id % 2, ..PlaceOrder::default() };
                self.order(self.traders[trader].letter, order);
            }
        }
        if self.shares.ids < 100 {
            return;
        }
        for trader in 0..self.traders.len().min(3) {
            let Some(market) = self.a_market_of(trader) else { continue };
            let side = self.a_side(trader, market);
            let first = self.first_id(market);
            let price = 1 + self.random.below(self.shares.prices);
            let bare = PlaceOrder { market: self.markets[market].number, side, price, ..PlaceOrder::default() };
            let one = |id| PlaceOrder { id, price: price + id % 2, quantity: 1, ..bare };
            let letter = self.traders[trader].letter;
            let count = 34 + self.random.below(12);
            let orders: Vec<(usize, Operation)> = (first..first + count).map(|id| (letter, one(id).into())).collect();
            self.orders(letter, orders);
        }
    }

    fn trade(&mut self) {
        let count = *self.random.pick(&[25, 80, 150, 250]);
        let later = if self.random.chance(30) { 1 + self.random.below(2) } else { 0 };
        for _ in 0..count {
            if later > 0 && self.random.below(count) < later {
                self.time += 1;
            }
            self.message();
        }
    }

    fn message(&mut self) {
        let trader = self.random.index(self.traders.len());
        if self.traders[trader].only_pays || self.random.chance(self.shares.beside) {
            return self.beside(trader);
        }
        let may_be_odd = self.shares.is_odd_everywhere || !self.traders[trader].is_calm;
        let is_odd = may_be_odd && self.random.below(1_000) < self.shares.odd;
        if is_odd && let Some(market) = self.a_market_of(trader) {
            return self.odd(trader, market);
        }
        let Some(market) = self.a_market_of(trader) else { return self.beside(trader) };
        let order = self.simple(trader, market);
        self.order(self.traders[trader].letter, order);
    }

    fn a_market_of(&mut self, trader: usize) -> Option<usize> {
        let own = &self.traders[trader].markets;
        (!own.is_empty()).then(|| *self.random.pick(own))
    }

    fn someone(&mut self) -> usize {
        let place = self.random.index(self.traders.len());
        self.traders[place].letter
    }

    fn first_id(&self, market: usize) -> u64 {
        if self.shares.ids_apart { 1_000 * market as u64 } else { 0 }
    }

    fn id(&mut self, market: usize) -> u64 {
        self.first_id(market) + self.random.below(self.shares.ids)
    }

    /// What the long block has most of.
    fn simple(&mut self, trader: usize, market: usize) -> Operation {
        let has_some =
            self.placed.iter().any(|&(whose, place, _)| whose == self.traders[trader].letter && place == market);
        let amends = if has_some { self.shares.amends } else { 3 };
        if !self.random.chance(amends) {
            return self.place(trader, market).into();
        }
        match self.random.below(20) {
            0..9 => Amend::Cancel(vec![self.placed_id(trader, market)]).into(),
            9 => Amend::Cancel((0..2 + self.random.below(2)).map(|_| self.placed_id(trader, market)).collect()).into(),
            n if n == 10 || n < 13 && self.shares.ids > 100 => {
                let letter = self.traders[trader].letter;
                self.placed.retain(|&(whose, place, _)| whose != letter || place != market);
                Amend::CancelAll(self.markets[market].number).into()
            }
            _ => {
                let (price, quantity) = (self.price(), *self.random.pick(&[1, 1, 2, 3, 5, 9]));
                Amend::Change { id: self.placed_id(trader, market), price, quantity }.into()
            }
        }
    }

    /// Mostly one of the newest of a trader's that may wait; mostly it is then gone.
    fn placed_id(&mut self, trader: usize, market: usize) -> u64 {
        let letter = self.traders[trader].letter;
        let is_its = |&place: &usize| (self.placed[place].0, self.placed[place].1) == (letter, market);
        let own: Vec<usize> = (0..self.placed.len()).rev().filter(is_its).take(5).collect();
        if own.is_empty() || self.random.chance(10) {
            return self.id(market);
        }
        let place = *self.random.pick(&own);
        let (_, _, id) = self.placed[place];
        if self.random.chance(70) {
            self.placed.remove(place);
        }
        id
    }

    fn price(&mut self) -> u64 {
        1 + self.random.below(self.shares.prices)
    }

    fn a_side(&mut self, trader: usize, market: usize) -> Side {
        // An issuer has none of its own.
        let issues = self.markets[market].assets.map(|asset| issuer_of(asset) == self.traders[trader].letter);
        match issues {
            [true, false] => Side::Buy,
            [false, true] => Side::Sell,
            _ => *self.random.pick(&[Side::Buy, Side::Sell]),
        }
    }

    fn waiting_end(&mut self) -> Option<Time> {
        let end = *self.random.pick(&[1_600, 1_999, 2_000, 2_000, 2_001, 2_002, 9_999]);
        self.random.chance(35).then_some(Time(end))
    }

    fn place(&mut self, trader: usize, market: usize) -> PlaceOrder {
        use Lifetime::{Budget, FillOrKill, GoodTillCancelled, ImmediateOrCancel, PostOnly};
        let side = self.a_side(trader, market);
        let lifetime = *self.random.pick(&[
            GoodTillCancelled,
            GoodTillCancelled,
            GoodTillCancelled,
            GoodTillCancelled,
            PostOnly,
            ImmediateOrCancel,
            FillOrKill,
            Budget,
        ]);
        let lifetime = if side == Side::Sell && lifetime == Budget { FillOrKill } else { lifetime };
        let is_calm = self.traders[trader].is_calm;
        let quantity = match self.random.below(40) {
            0..34 if self.shares.is_scarce && !is_calm => 1 + self.random.below(3),
            0..20 => 1 + self.random.below(3),
            20..36 => 1 + self.random.below(12),
            36..38 => 50,
            // More than anybody has.
            38 if !is_calm => u64::MAX,
            _ => 90,
        };
        let price = if !is_calm && self.random.chance(2) { u64::MAX } else { self.price() };
        let waits = matches!(lifetime, GoodTillCancelled | PostOnly);
        let id = self.id(market);
        let placed = (self.traders[trader].letter, market, id);
        if waits && !self.placed.contains(&placed) {
            self.placed.push(placed);
        }
        let end = *self.random.pick(&[1_999, 2_000, 2_000, 2_001, 2_002, 9_999]);
        PlaceOrder {
            // Now and then there is none.
            market: if self.random.below(300) == 0 { MarketId(99) } else { self.markets[market].number },
            id,
            side,
            price,
            quantity,
            lifetime,
            self_trade: *self.random.pick(&[SelfTrade::CancelWaiting, SelfTrade::CancelTaking, SelfTrade::Reject]),
            expiry: (waits && self.random.chance(15)).then_some(Time(end)),
            budget: Amount(if lifetime == Budget { 1 + u128::from(self.random.below(60)) } else { 0 }),
        }
    }

    /// Payments, mints and burns, holds and what becomes of them: what needs no order to be taken out of its place.
    fn beside(&mut self, trader: usize) {
        let payer = self.traders[trader].letter;
        // Mostly what it trades.
        let traded = self.a_market_of(trader).filter(|_| self.random.chance(90));
        let any = AssetId(u32::try_from(self.random.below(3)).expect("few assets"));
        let asset = traded.map_or(any, |market| self.markets[market].assets[self.random.index(2)]);
        let issuer = issuer_of(asset);
        let Trader { is_calm, only_pays, .. } = self.traders[trader];
        let amount = if only_pays {
            1 + self.random.below(4)
        } else if self.shares.is_scarce || self.random.chance(70) {
            self.random.below(12)
        } else {
            10 + self.random.below(90)
        };
        let amount = u128::from(amount);
        let other = if self.random.chance(self.shares.pays_traders) { self.someone() } else { COLLECTOR };
        // Whoever settles is contended.
        let settles = !(is_calm || only_pays && self.random.chance(80));
        match self.random.below(13) {
            10.. => self.order(BYSTANDER, Self::pays(other, asset, amount)),
            0 => self.order(issuer, Self::pays(other, asset, 3 * amount)),
            1 => self.order(payer, Self::pays(issuer, asset, amount)),
            2..4 if issuer != payer && !only_pays => {
                let payees = vec![Share { payee: address(other), parts: 1 }];
                let expiry = self.random.chance(20).then_some(Time(2_000 + self.random.below(2)));
                let id = self.random.below(4);
                self.order(payer, Hold { id, asset, amount: Amount(amount), payees, expiry, ..Hold::default() });
            }
            4..6 if settles => {
                let own = self.random.chance(40);
                let owner = address(if own { payer } else { other });
                let (id, cancels) = (self.random.below(4), self.random.chance(30));
                self.order(payer, Settle { owner, id, cancels, ..Settle::default() });
            }
            _ => self.order(payer, Self::pays(other, asset, amount)),
        }
    }

    /// What makes an account contended, a market go in order, or is a fence.
    fn odd(&mut self, trader: usize, market: usize) {
        let letter = self.traders[trader].letter;
        let one = self.simple(trader, market);
        let quote = self.markets[market].assets[1];
        match *self.random.pick(&self.shares.kinds) {
            Odd::TwoOrders => {
                let market = self.a_market_of(trader).unwrap_or(market);
                let other = self.simple(trader, market);
                self.orders(letter, vec![(letter, one), (letter, other)]);
            }
            Odd::OrderAndPayment => {
                let payment = Self::pays(self.someone(), quote, u128::from(self.random.below(9)));
                self.orders(letter, vec![(letter, one), (letter, payment.into())]);
            }
            Odd::TwoSigners => {
                let loud = (0..self.traders.len()).filter(|&other| !self.traders[other].is_calm);
                let loud: Vec<usize> = loud.collect();
                let other = if loud.is_empty() { trader } else { *self.random.pick(&loud) };
                let second = self.simple(other, market);
                self.orders(letter, vec![(letter, one), (self.traders[other].letter, second)]);
            }
            Odd::FurtherLane => {
                let sequence = self.random.below(9);
                self.orders_with(letter, (1, sequence), None, vec![(letter, one)]);
            }
            Odd::CancelAcross => {
                let other = self.a_market_of(trader).unwrap_or(market);
                let ids = vec![self.placed_id(trader, market), self.placed_id(trader, other)];
                self.order(letter, Amend::Cancel(ids));
            }
            Odd::Requirement => {
                let predicate = Predicate::balance(address(letter), quote, Comparison::AtLeast, Amount(20));
                self.order(letter, Require { predicate });
            }
            Odd::UsedSequence => {
                let sequence = self.next[letter].saturating_sub(1 + self.random.below(70));
                self.orders_with(letter, (0, sequence), None, vec![(letter, one)]);
            }
            Odd::Expired => {
                let sequence = self.next[letter];
                self.next[letter] += 1;
                let until = Time(self.time + self.random.below(3) - 1);
                self.orders_with(letter, (0, sequence), Some(until), vec![(letter, one)]);
            }
            Odd::Newcomer => {
                let newcomer = NEWCOMER + 1 + self.random.index(2);
                if self.random.chance(40) {
                    let amount = u128::from(self.random.below(30));
                    return self.order(letter, Self::pays(newcomer, quote, amount));
                }
                self.order(newcomer, one);
            }
            Odd::Policy => {
                let action = *self.random.pick(&[HolderAction::Freeze, HolderAction::Unfreeze]);
                let (asset, holder) = (self.freezable.unwrap_or(quote), address(self.someone()));
                self.order(issuer_of(asset), ControlHolder { asset, holder, action, ..ControlHolder::default() });
            }
            Odd::Rules => {
                // Mostly its own key, so that it goes on.
                let key = if self.random.chance(60) { letter } else { COLLECTOR };
                let needs_memo = self.random.chance(50);
                let rules = AuthorityRules { needs_memo, ..AuthorityRules::of_address(address(key)) };
                self.order(letter, Authorize::Set(rules));
            }
        }
    }
}
