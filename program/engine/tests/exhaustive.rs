//! Every sequence of a few operations over tiny alphabets: engine and model agree after each operation, and all
//! invariants hold. What a small scope can show, it shows without luck.
//!
//! An operation that is refused changes nothing, so whatever could follow it also follows without it: such branches are
//! cut. `QUANTDESK_DEPTH` sets the length of the sequences.

#[allow(dead_code, reason = "every test binary uses its part")]
mod model;
#[allow(dead_code, reason = "every test binary uses its part")]
mod support;

use model::pair::{Did, Op, Pair};
use quantdesk_engine::{
    Lots, PicoPrice, Side, UnixSeconds,
    book::{NewOrder, OrderKind, SelfTrade, Sides},
    risk::{listing::ListingParameters, price::SourcePrice},
};
use std::collections::BTreeMap;
use support::{
    listing,
    random::setting,
    world::{GENEROUS, order},
};

/// Two sub-accounts of one owner, and a stranger.
const MAIN: usize = 0;
const SUB: usize = 1;
const STRANGER: usize = 2;

const BID: Side = Side::Bid;
const ASK: Side = Side::Ask;

/// A letter of an alphabet, made concrete by the state it meets.
type Letter = Box<dyn Fn(&Pair) -> Op>;

struct Scope {
    alphabet: Vec<Letter>,
    depth: u64,
    applied: u64,
    happened: BTreeMap<String, u64>,
}

fn place(trader: usize, order: NewOrder) -> Letter {
    Box::new(move |_| Op::Place { trader: Some(trader), market: 0, order })
}

fn limit(trader: usize, side: Side, price: u32, lots: u64) -> Letter {
    place(trader, order(side, OrderKind::Limit, price, lots))
}

fn reducing(trader: usize, side: Side, kind: OrderKind, price: u32, lots: u64) -> Letter {
    let mut order = order(side, kind, price, lots);
    order.reduce_only = true;
    place(trader, order)
}

fn cancel_all(trader: usize) -> Letter {
    Box::new(move |_| Op::CancelAll { trader, market: 0, sides: Sides::Both, limit: 255 })
}

/// Cancels the trader's oldest order, or one that never was.
fn cancel_oldest(trader: usize) -> Letter {
    Box::new(move |pair| {
        let oldest = pair.model.markets[0].orders_of(trader).map(|order| order.sequence).min();
        let sequence = oldest.unwrap_or(0);
        let handle = pair.handles.get(&(0, sequence)).copied().unwrap_or(quantdesk_engine::NodeIndex::NIL);
        Op::Cancel { trader, market: 0, handle, sequence }
    })
}

fn pass(seconds: i64) -> Letter {
    Box::new(move |_| Op::Pass { seconds })
}

fn price_op(pair: &Pair, ticks: i128) -> Op {
    let price = PicoPrice::new((pair.model.markets[0].terms.tick_size * ticks) as u64);
    let publish_time = UnixSeconds::new(pair.model.now);
    Op::Price { market: 0, readings: vec![Ok(SourcePrice { price, confidence: PicoPrice::ZERO, publish_time })] }
}

fn price(ticks: i128) -> Letter {
    Box::new(move |pair| price_op(pair, ticks))
}

/// The three traders with this much cash each, and a mark of 100.
fn start(listing: ListingParameters, cash: u64) -> Pair {
    let mut pair = Pair::new(&[listing], 8, GENEROUS);
    let mut ops = vec![price_op(&pair, 100)];
    ops.extend([(1, 0), (1, 1), (2, 0)].map(|(owner, sub_account)| Op::Open { owner, sub_account }));
    ops.extend([MAIN, SUB, STRANGER].map(|trader| Op::Deposit { trader, atoms: cash }));
    for op in ops {
        pair.apply(&op).unwrap();
    }
    pair
}

impl Scope {
    /// Runs all sequences and returns what happened how often.
    fn explore(alphabet: Vec<Letter>, depth: u64, start: &Pair) -> BTreeMap<String, u64> {
        let depth = setting("QUANTDESK_DEPTH", depth);
        let mut scope = Self { alphabet, depth, applied: 0, happened: BTreeMap::new() };
        scope.descend(start, &mut Vec::new());
        let letters = scope.alphabet.len();
        println!("{letters} letters, depth {depth}, {} operations: {:?}", scope.applied, scope.happened);
        scope.happened
    }

    fn descend(&mut self, pair: &Pair, path: &mut Vec<Op>) {
        if path.len() as u64 == self.depth {
            return;
        }
        for letter in 0..self.alphabet.len() {
            let mut next = pair.clone();
            let op = self.alphabet[letter](&next);
            path.push(op.clone());
            self.applied += 1;
            match next.apply(&op) {
                Err(difference) => panic!("{path:#?}\n{difference}"),
                Ok(Did::Refused(error)) => {
                    assert!(next.world.accounts().eq(pair.world.accounts()), "{path:#?}\nchanged by a refusal");
                    self.add(format!("{error:?}"));
                }
                Ok(_) => {
                    next.model.trail.iter().for_each(|event| self.add(format!("{:?}", event.kind)));
                    self.descend(&next, path);
                }
            }
            path.pop();
        }
    }

    fn add(&mut self, name: String) {
        *self.happened.entry(name).or_default() += 1;
    }
}

/// A scope proves something only if what it is about does happen in it.
fn expect(happened: &BTreeMap<String, u64>, names: &[&str]) {
    for name in names {
        assert!(happened.contains_key(*name), "{name} never happened");
    }
}

#[test]
fn all_kinds_of_orders_at_one_price() {
    let mut alphabet = Vec::new();
    let kinds = [OrderKind::Limit, OrderKind::ImmediateOrCancel, OrderKind::FillOrKill, OrderKind::PostOnly];
    for (trader, side) in [(MAIN, BID), (MAIN, ASK), (STRANGER, BID), (STRANGER, ASK)] {
        alphabet.extend(kinds.map(|kind| place(trader, order(side, kind, 100, if trader == MAIN { 2 } else { 3 }))));
    }
    alphabet.extend([cancel_oldest(MAIN), cancel_oldest(STRANGER)]);
    let happened = Scope::explore(alphabet, 4, &start(listing::usual(), 1_000_000));
    expect(&happened, &["Filled", "FillOrKillUnfilled", "PostOnlyWouldCross", "RemainderDropped", "Cancelled"]);
}

#[test]
fn three_prices_two_traders_and_cancels() {
    let mut alphabet = Vec::new();
    for (price, lots) in [(99, 1), (100, 2), (101, 1)] {
        for (trader, side) in [(MAIN, BID), (MAIN, ASK), (STRANGER, BID), (STRANGER, ASK)] {
            alphabet.push(limit(trader, side, price, lots + u64::from(trader == STRANGER)));
        }
    }
    alphabet.extend([cancel_oldest(MAIN), cancel_all(STRANGER)]);
    let happened = Scope::explore(alphabet, 4, &start(listing::usual(), 1_000_000));
    expect(&happened, &["Filled", "SelfTradePrevented", "Placed", "Cancelled", "OrderNotFound"]);
}

#[test]
fn all_self_trade_policies_across_sub_accounts() {
    let mut alphabet = vec![
        limit(MAIN, BID, 100, 2),
        limit(MAIN, ASK, 100, 2),
        limit(STRANGER, BID, 100, 1),
        limit(STRANGER, ASK, 100, 3),
    ];
    let policies = [SelfTrade::CancelMaker, SelfTrade::CancelTaker, SelfTrade::CancelBoth, SelfTrade::Decrement];
    for self_trade in policies {
        let policed = |side, kind, lots| NewOrder { self_trade, ..order(side, kind, 100, lots) };
        alphabet.push(place(SUB, policed(ASK, OrderKind::Limit, 3)));
        alphabet.push(place(SUB, policed(BID, OrderKind::ImmediateOrCancel, 1)));
        alphabet.push(place(SUB, policed(ASK, OrderKind::FillOrKill, 2)));
    }
    let happened = Scope::explore(alphabet, 4, &start(listing::usual(), 1_000_000));
    expect(&happened, &["Filled", "SelfTradePrevented", "FillOrKillUnfilled", "RemainderDropped"]);
}

#[test]
fn reduce_only_orders_resting_and_taking_while_positions_come_and_go() {
    let mut alphabet = Vec::new();
    for (trader, lots) in [(MAIN, 2), (STRANGER, 3)] {
        for side in [BID, ASK] {
            alphabet.push(limit(trader, side, 100, lots));
            alphabet.push(reducing(trader, side, OrderKind::Limit, 100, lots - 1));
            alphabet.push(reducing(trader, side, OrderKind::ImmediateOrCancel, 100, 9));
        }
    }
    // Rests while the position is reduced by other means.
    alphabet.extend([BID, ASK].map(|side| reducing(MAIN, side, OrderKind::PostOnly, 100, 9)));
    alphabet.push(cancel_oldest(STRANGER));
    let happened = Scope::explore(alphabet, 4, &start(listing::usual(), 1_000_000));
    expect(&happened, &["Filled", "ReduceOnlyNothingToReduce", "PostOnlyWouldCross"]);
}

/// Everybody holds a position already, and reduce-only orders rest at two prices: they outlive what they reduce.
#[test]
fn reduce_only_orders_that_outlive_the_position() {
    let mut pair = start(listing::usual(), 1_000_000);
    let opening = [(MAIN, BID, 4), (STRANGER, ASK, 4)];
    for (trader, side, lots) in opening {
        let order = order(side, OrderKind::Limit, 100, lots);
        pair.apply(&Op::Place { trader: Some(trader), market: 0, order }).unwrap();
    }
    let mut alphabet = Vec::new();
    for (trader, closing) in [(MAIN, ASK), (STRANGER, BID)] {
        let passive = if closing == ASK { 101 } else { 99 };
        alphabet.push(reducing(trader, closing, OrderKind::Limit, passive, 3));
        alphabet.push(reducing(trader, closing, OrderKind::Limit, 100, 2));
        alphabet.push(limit(trader, closing, 100, 3));
        alphabet.push(limit(trader, closing.opposite(), passive, 6));
    }
    alphabet.extend([cancel_oldest(MAIN), cancel_oldest(STRANGER)]);
    let happened = Scope::explore(alphabet, 5, &pair);
    expect(&happened, &["Filled", "ReduceOnlyDropped", "ReduceOnlyNothingToReduce", "SelfTradePrevented"]);
}

#[test]
fn a_book_of_one_place_a_side_evicts_and_refuses() {
    let mut listing = listing::usual();
    listing.side_capacity = 1;
    let mut alphabet = vec![pass(5), cancel_all(MAIN)];
    for price in [99, 100, 101] {
        alphabet.push(limit(MAIN, BID, price, 2));
        alphabet.push(limit(STRANGER, ASK, price, 1));
        alphabet.push(limit(STRANGER, BID, price, 1));
        let mut short_lived = order(ASK, OrderKind::Limit, price, 2);
        short_lived.client_id = 7;
        short_lived.expires_at = UnixSeconds::new(1_000_003);
        alphabet.push(place(MAIN, short_lived));
    }
    let happened = Scope::explore(alphabet, 4, &start(listing, 1_000_000));
    expect(&happened, &["Evicted", "BookFull", "Expired", "Filled", "ClientIdInUse", "OrderExpired"]);
}

#[test]
fn a_match_limit_never_leaves_the_book_crossed() {
    let mut alphabet = vec![pass(5)];
    for (price, lots) in [(100, 1), (101, 1)] {
        alphabet.push(limit(MAIN, ASK, price, lots));
        let mut short_lived = order(ASK, OrderKind::Limit, price, lots);
        short_lived.expires_at = UnixSeconds::new(1_000_003);
        alphabet.push(place(MAIN, short_lived));
        for match_limit in [1, 2] {
            let kinds = [OrderKind::Limit, OrderKind::FillOrKill, OrderKind::PostOnly];
            let limited = |kind| NewOrder { match_limit, ..order(BID, kind, price, 2) };
            alphabet.extend(kinds.map(|kind| place(STRANGER, limited(kind))));
        }
    }
    let happened = Scope::explore(alphabet, 4, &start(listing::usual(), 1_000_000));
    expect(&happened, &["Expired", "Filled", "RemainderDropped", "FillOrKillUnfilled", "PostOnlyWouldCross"]);
}

/// Pegged orders of two owners beside orders at fixed prices, and an index that moves under them.
#[test]
fn pegged_orders_while_the_index_moves() {
    let pegged = |trader, side, offset, limit, lots| {
        place(trader, NewOrder { peg_offset: offset, ..order(side, OrderKind::Pegged, limit, lots) })
    };
    let taking = |side, price| place(SUB, order(side, OrderKind::ImmediateOrCancel, price, 3));
    let mut short_lived = NewOrder { peg_offset: 0, ..order(BID, OrderKind::Pegged, 101, 2) };
    short_lived.expires_at = UnixSeconds::new(1_000_003);
    let alphabet = vec![
        pegged(MAIN, BID, -1, 100, 2),
        pegged(STRANGER, BID, -1, 99, 1),
        pegged(STRANGER, ASK, 1, 100, 2),
        pegged(STRANGER, ASK, 0, 99, 1),
        place(STRANGER, short_lived),
        limit(STRANGER, BID, 99, 1),
        limit(STRANGER, ASK, 100, 1),
        taking(BID, 101),
        taking(ASK, 99),
        cancel_oldest(STRANGER),
        price(99),
        price(101),
        pass(5),
    ];
    let happened = Scope::explore(alphabet, 4, &start(listing::usual(), 1_000_000));
    let names =
        ["PegPlaced", "PegDropped", "Filled", "PegNotForSale", "PostOnlyWouldCross", "Expired", "SelfTradePrevented"];
    expect(&happened, &names);
}

/// Just enough cash for a lot or two, a mark that moves, and money that leaves.
#[test]
fn margin_holds_while_the_mark_moves_and_money_leaves() {
    let mut listing = listing::usual();
    (listing.position_max, listing.lots_max) = (Lots::new(3), Lots::new(3));
    listing.open_interest_max = Lots::new(2);
    let mut alphabet = vec![price(90), price(100), price(106), pass(5), cancel_all(MAIN)];
    for side in [BID, ASK] {
        alphabet.push(limit(MAIN, side, if side == BID { 101 } else { 99 }, 1));
        alphabet.push(limit(MAIN, side, 100, 2));
        alphabet.push(limit(STRANGER, side, 100, 3));
        alphabet.push(reducing(MAIN, side, OrderKind::ImmediateOrCancel, if side == BID { 101 } else { 99 }, 3));
    }
    for trader in [MAIN, STRANGER] {
        alphabet.push(Box::new(move |pair| {
            let available = pair.model.withdrawable(trader).0 as u64;
            Op::Withdraw { trader, atoms: available.max(1) }
        }));
        alphabet.push(Box::new(move |pair| {
            let available = pair.model.withdrawable(trader).0 as u64;
            Op::Withdraw { trader, atoms: available + 1 }
        }));
    }
    let happened = Scope::explore(alphabet, 4, &start(listing, 16_000));
    let names =
        ["BelowInitialMargin", "OpenInterestTooLarge", "PositionTooLarge", "WithdrawExceedsAvailable", "Filled"];
    expect(&happened, &names);
}

/// One more stranger.
const OTHER: usize = 3;

/// The main account is long ten lots at 100 against two strangers, on little cash, and the mark has come down to this;
/// there is a little in the pool.
fn falling(mark: i128, pool: u64) -> Pair {
    let mut pair = Pair::new(&[listing::usual()], 12, GENEROUS);
    let mut ops = vec![price_op(&pair, 100)];
    ops.extend([(1, 0), (1, 1), (2, 0), (3, 0)].map(|(owner, sub_account)| Op::Open { owner, sub_account }));
    let cash = [(MAIN, 60_000), (SUB, 100_000), (STRANGER, 100_000), (OTHER, 400_000)];
    ops.extend(cash.map(|(trader, atoms)| Op::Deposit { trader, atoms }));
    ops.push(Op::Fund { trader: OTHER, atoms: pool });
    let orders = [(STRANGER, ASK, 100, 6), (OTHER, ASK, 100, 4), (MAIN, BID, 100, 10)];
    ops.extend(orders.map(|(trader, side, price, lots)| {
        let order = order(side, OrderKind::Limit, price, lots);
        Op::Place { trader: Some(trader), market: 0, order }
    }));
    for op in ops {
        assert!(!matches!(pair.apply(&op).unwrap(), Did::Refused(_)), "{op:?}");
    }
    while pair.model.markets[0].mark > mark {
        pair.apply(&Op::Pass { seconds: 5 }).unwrap();
        pair.apply(&price_op(&pair, mark)).unwrap();
    }
    pair
}

/// The letter as long as the main account is there.
fn while_open(letter: Letter) -> Letter {
    Box::new(move |pair| match pair.model.traders[MAIN] {
        Some(_) => letter(pair),
        None => Op::Pass { seconds: 0 },
    })
}

fn rungs() -> Vec<Letter> {
    let (target, market) = (MAIN, 0);
    let constant = |op: Op| -> Letter { Box::new(move |_| op.clone()) };
    let liquidate = |keeper, steps| Op::Liquidate { keeper: Some(keeper), target, market, steps };
    let take_over = |by, lots| Op::TakeOver { by: Some(by), target, market, lots };
    let deleverage = |steps| Op::Deleverage { target, market, steps };
    [
        liquidate(STRANGER, 255),
        liquidate(SUB, 1),
        take_over(OTHER, 2),
        take_over(SUB, 2),
        Op::Absorb { target, market },
        deleverage(1),
        deleverage(33),
        deleverage(200),
        Op::CancelForRisk { target, market, limit: 1 },
    ]
    .map(constant)
    .into()
}

/// An account below two thirds of its maintenance margin: every rung that is open for it, in every order, with its
/// owner, a helper and the market getting in between.
#[test]
fn every_way_down_the_ladder_of_an_account_that_is_failing() {
    let mut alphabet = rungs();
    alphabet.extend([pass(5), price(93), price(97)]);
    alphabet.push(limit(OTHER, BID, 95, 4));
    alphabet.push(limit(STRANGER, BID, 94, 3));
    alphabet.push(limit(SUB, BID, 90, 3));
    alphabet.push(reducing(MAIN, ASK, OrderKind::Limit, 94, 5));
    alphabet.push(limit(MAIN, ASK, 96, 2));
    alphabet.push(Box::new(|_| Op::Deposit { trader: MAIN, atoms: 8_000 }));
    let happened = Scope::explore(alphabet, 4, &falling(95, 1));
    let names =
        ["Liquidated", "TakenOver", "AccountHealthy", "NoLiquidity", "SelfTakeOver", "BelowInitialMargin", "Filled"];
    expect(&happened, &names);
}

/// An account without equity: absorbed, deleveraged in steps of every size, resolved, while everybody trades, pays in,
/// leaves.
#[test]
fn every_way_out_of_a_bankruptcy() {
    for pool in [5_000, 50_000] {
        let mut alphabet = rungs();
        alphabet.extend([pass(5), price(94), price(90), cancel_all(STRANGER)]);
        alphabet.push(limit(OTHER, BID, 93, 4));
        alphabet.push(reducing(MAIN, ASK, OrderKind::ImmediateOrCancel, 92, 10));
        alphabet.push(Box::new(|_| Op::Deposit { trader: MAIN, atoms: 30_000 }));
        alphabet.push(Box::new(|_| Op::Close { trader: MAIN }));
        alphabet.push(Box::new(|pair| {
            let atoms = pair.model.withdrawable(STRANGER).0 as u64;
            Op::Withdraw { trader: STRANGER, atoms: atoms.max(1) }
        }));
        let alphabet = alphabet.into_iter().map(while_open).collect();
        let happened = Scope::explore(alphabet, 4, &falling(93, pool));
        expect(&happened, &["DeleverageStarted", "Deleveraged", "DeleverageFinished", "DeleverageRunning", "NoEquity"]);
        expect(&happened, &["TraderNotEmpty", "Filled", "NothingToAbsorb"]);
    }
}
