//! Named situations: attacks, edges and regressions, each with its exact outcome.

#[allow(dead_code, reason = "every test binary uses its part")]
mod support;

use quantdesk_engine::{
    CellIndex, EngineError, Lots, NodeIndex, QuoteAtoms, Sequence, Side, Ticks, UnixSeconds,
    book::{NewOrder, ORDERS_PER_POSITION_MAX, OrderKind, Placed, SelfTrade, Sides},
    money::{self, Balance},
    risk::margin,
    state::{TradeEventKind, cell::CELL_SIZE},
};
use support::{World, listing, world::order};

const BID: Side = Side::Bid;
const ASK: Side = Side::Ask;

/// One market at a mark of 100, one lot being worth 100,000 atoms there.
fn world() -> World {
    let mut world = World::new(&[listing::usual()], 32);
    world.set_price(0, 100);
    world
}

fn limit(side: Side, price: u32, lots: u64) -> NewOrder {
    order(side, OrderKind::Limit, price, lots)
}

fn taking(side: Side, price: u32, lots: u64) -> NewOrder {
    order(side, OrderKind::ImmediateOrCancel, price, lots)
}

fn reducing(side: Side, price: u32, lots: u64) -> NewOrder {
    NewOrder { reduce_only: true, ..limit(side, price, lots) }
}

/// Places an order that must succeed.
fn place(world: &mut World, trader: CellIndex, order: &NewOrder) -> Placed {
    let placed = world.place(0, trader, order).unwrap_or_else(|error| panic!("{error:?}: {order:?}"));
    assert_eq!(world.check(), Ok(()));
    placed
}

/// Gives `long` and `short` opposite positions of `lots` at the mark.
fn open_positions(world: &mut World, long: CellIndex, short: CellIndex, lots: u64) {
    place(world, long, &limit(BID, 100, lots));
    place(world, short, &taking(ASK, 100, lots));
}

fn equity(world: &World, trader: CellIndex) -> i64 {
    let view = world.view();
    margin::maintenance(&view, view.trader(trader).unwrap(), world.now.unix_seconds).unwrap().equity.get()
}

fn excess(world: &World, trader: CellIndex) -> i64 {
    let view = world.view();
    let initial = margin::initial(&view, view.trader(trader).unwrap(), world.now.unix_seconds).unwrap();
    initial.excess().unwrap().get()
}

/// Prices and lots of a side, best first.
fn book(world: &World, side: Side) -> Vec<(u32, u64)> {
    world.market(0).orders(side).map(|(_, node)| (node.price.get(), node.lots.get())).collect()
}

fn newest_event(world: &World) -> (TradeEventKind, u64) {
    let market = world.market(0);
    let slot = (market.header.events_written.get() - 1) as usize % market.events.len();
    (market.events[slot].kind().unwrap(), market.events[slot].lots.get())
}

/// The fill loss used to be netted over a side: a bid far below the mark offset one far above it, and two accounts of
/// one attacker turned the difference into bad debt by trading with each other.
#[test]
fn attack_a_far_bid_cannot_hide_the_fill_loss_of_a_bid_through_the_mark() {
    let mut world = world();
    let loser = world.funded(1, 62_000);
    place(&mut world, loser, &limit(BID, 1, 1));
    assert_eq!(world.place(0, loser, &limit(BID, 110, 10)), Err(EngineError::BelowInitialMargin));
    // With the loss covered it may rest, and being filled costs no margin.
    world.deposit(loser, 200_000).unwrap();
    let winner = world.funded(2, 200_000);
    place(&mut world, loser, &limit(BID, 110, 10));
    let before = excess(&world, loser);
    place(&mut world, winner, &taking(ASK, 110, 10));
    assert!(excess(&world, loser) >= before);
    assert!(equity(&world, loser) > 0 && equity(&world, winner) > 0);
}

#[test]
fn attack_cancelling_a_far_bid_does_not_take_an_account_below_its_margin() {
    let mut world = world();
    let trader = world.funded(1, 200_000);
    let far = place(&mut world, trader, &limit(BID, 1, 10)).resting.unwrap();
    place(&mut world, trader, &limit(BID, 105, 5));
    let before = excess(&world, trader);
    world.cancel(0, trader, far.0, far.1).unwrap();
    assert!(excess(&world, trader) >= before);
}

#[test]
fn the_price_bound_of_a_side_is_made_exact_when_its_owner_places_again() {
    let mut world = world();
    let trader = world.funded(1, 1_000_000);
    let high = place(&mut world, trader, &limit(BID, 105, 1)).resting.unwrap();
    place(&mut world, trader, &limit(BID, 95, 10));
    world.cancel(0, trader, high.0, high.1).unwrap();
    let bound = |world: &World| world.position(0, trader).unwrap().bid_bound.get();
    assert_eq!(bound(&world), 105, "cancelling leaves it");
    place(&mut world, trader, &limit(BID, 94, 1));
    assert_eq!(bound(&world), 95, "placing narrows it");
    world.cancel_all(0, trader, Sides::Both, 255).unwrap();
    assert_eq!(bound(&world), 0, "an empty side has none");
}

#[test]
fn regression_a_fill_or_kill_order_shrunk_by_self_trade_prevention_fails_whole() {
    let mut world = world();
    let (main, other) = (world.funded(1, 1_000_000), world.funded(2, 1_000_000));
    let sub = world.open(1, 1).unwrap();
    place(&mut world, main, &limit(ASK, 100, 1));
    place(&mut world, other, &limit(ASK, 100, 9));
    world.deposit(sub, 1_000_000).unwrap();
    let order = NewOrder { self_trade: SelfTrade::Decrement, ..order(BID, OrderKind::FillOrKill, 100, 4) };
    assert_eq!(world.place(0, sub, &order), Err(EngineError::FillOrKillUnfilled));
    assert_eq!(book(&world, ASK), [(100, 1), (100, 9)], "nothing was decremented");
    let order = NewOrder { self_trade: SelfTrade::CancelMaker, ..order };
    assert_eq!(place(&mut world, sub, &order).filled, Lots::new(4));
}

#[test]
fn a_fill_or_kill_order_fails_whole_for_every_reason_it_can_stop() {
    let mut world = world();
    let (maker, taker) = (world.funded(1, 10_000_000), world.funded(2, 10_000_000));
    for price in [99, 100, 101] {
        place(&mut world, maker, &limit(ASK, price, 2));
    }
    let kill = |price, lots, match_limit| NewOrder { match_limit, ..order(BID, OrderKind::FillOrKill, price, lots) };
    for (price, lots, match_limit) in [(100, 5, 255), (101, 7, 255), (101, 5, 2)] {
        assert_eq!(world.place(0, taker, &kill(price, lots, match_limit)), Err(EngineError::FillOrKillUnfilled));
        assert_eq!(book(&world, ASK), [(99, 2), (100, 2), (101, 2)]);
    }
    assert_eq!(place(&mut world, taker, &kill(101, 5, 3)).filled, Lots::new(5));
}

#[test]
fn a_reduce_only_fill_or_kill_order_is_whole_when_it_closes_the_position() {
    let mut world = world();
    let (long, short) = (world.funded(1, 1_000_000), world.funded(2, 1_000_000));
    open_positions(&mut world, long, short, 3);
    place(&mut world, short, &limit(BID, 100, 9));
    let order = NewOrder { reduce_only: true, ..order(ASK, OrderKind::FillOrKill, 100, 8) };
    assert_eq!(place(&mut world, long, &order).filled, Lots::new(3));
    assert_eq!(world.base(0, long), 0);
}

/// Reduce-only orders once escaped the position cap, and with it the bound that keeps every notional below 2^62.
#[test]
fn regression_reduce_only_orders_cannot_reserve_beyond_the_largest_position() {
    let mut world = world();
    let (long, short) = (world.funded(1, 100_000_000), world.funded(2, 100_000_000));
    open_positions(&mut world, long, short, 20);
    for _ in 0..3 {
        place(&mut world, long, &reducing(ASK, 100, 20));
    }
    // 20 − 4 × 20 = −60 lots, if they could all fill; the cap is 40.
    assert_eq!(world.place(0, long, &reducing(ASK, 100, 20)), Err(EngineError::PositionTooLarge));
    place(&mut world, short, &taking(BID, 100, 20));
    assert_eq!((world.base(0, long), world.base(0, short)), (0, 0), "but only what was held is sold");
}

#[test]
fn a_reduce_only_order_is_dropped_when_met_again_after_it_closed_the_position() {
    let mut world = world();
    let (long, short, third) = (world.funded(1, 1_000_000), world.funded(2, 1_000_000), world.funded(3, 1_000_000));
    open_positions(&mut world, long, short, 5);
    place(&mut world, long, &reducing(ASK, 101, 5));
    place(&mut world, long, &reducing(ASK, 101, 4));
    place(&mut world, third, &limit(ASK, 101, 1));
    // 5 lots close the position, the second order has nothing to reduce any more, the stranger fills the rest.
    let placed = place(&mut world, short, &limit(BID, 101, 8));
    assert_eq!(placed.filled, Lots::new(6));
    assert_eq!((world.base(0, long), world.base(0, third)), (0, -1));
    assert_eq!(book(&world, ASK), []);
    assert_eq!(book(&world, BID), [(101, 2)]);
    assert_eq!(world.position(0, long).unwrap().open_ask_lots, Lots::ZERO);
}

#[test]
fn a_reduce_only_order_larger_than_the_position_fills_what_is_left_and_stays() {
    let mut world = world();
    let (long, short) = (world.funded(1, 1_000_000), world.funded(2, 1_000_000));
    open_positions(&mut world, long, short, 5);
    place(&mut world, long, &reducing(ASK, 101, 5));
    // The position shrinks behind the order's back.
    place(&mut world, short, &limit(BID, 100, 3));
    place(&mut world, long, &taking(ASK, 100, 3));
    assert_eq!(place(&mut world, short, &limit(BID, 101, 2)).filled, Lots::new(2));
    assert_eq!(book(&world, ASK), [(101, 3)], "nothing has met it since");
    assert_eq!(place(&mut world, short, &limit(BID, 101, 1)).filled, Lots::ZERO);
    assert_eq!(book(&world, ASK), [], "met again, it goes");
    assert_eq!(book(&world, BID), [(101, 1)]);
}

#[test]
fn a_flip_through_zero_settles_the_old_cost_and_opens_at_the_new_price() {
    let mut world = world();
    let (trader, other) = (world.funded(1, 1_000_000), world.funded(2, 1_000_000));
    open_positions(&mut world, trader, other, 3);
    let (cash, paid) = (world.cash(trader), world.position(0, trader).unwrap().fees_paid.get());
    place(&mut world, other, &limit(BID, 102, 2));
    place(&mut world, other, &limit(BID, 101, 4));
    place(&mut world, trader, &taking(ASK, 101, 5));
    let held = world.position(0, trader).unwrap();
    assert_eq!(held.base.get(), -2);
    assert_eq!(held.quote.get().get(), 2 * 101 * 1_000, "two lots sold at 101");
    assert_eq!(held.realised.get(), (2 * 2 + 1) * 1_000, "two closed at 102, one at 101, bought at 100");
    assert_eq!(world.cash(trader) - cash, 5_000 - (held.fees_paid.get() - paid));
}

#[test]
fn an_order_that_evicts_its_own_traders_worst_one_keeps_the_count_right() {
    let mut listing = listing::usual();
    listing.side_capacity = 2;
    let mut world = World::new(&[listing], 8);
    world.set_price(0, 100);
    let trader = world.funded(1, 1_000_000);
    for price in [97, 98, 99] {
        place(&mut world, trader, &limit(BID, price, 1));
    }
    assert_eq!(book(&world, BID), [(99, 1), (98, 1)]);
    assert_eq!(world.position(0, trader).unwrap().orders, 2);
    assert_eq!(world.place(0, trader, &limit(BID, 98, 1)), Err(EngineError::BookFull), "equal is not better");
    assert_eq!(world.place(0, trader, &limit(BID, 97, 1)), Err(EngineError::BookFull));
}

#[test]
fn a_full_side_is_no_obstacle_to_an_order_that_does_not_rest() {
    let mut listing = listing::usual();
    listing.side_capacity = 1;
    let mut world = World::new(&[listing], 8);
    world.set_price(0, 100);
    let (maker, taker) = (world.funded(1, 1_000_000), world.funded(2, 1_000_000));
    place(&mut world, maker, &limit(BID, 99, 1));
    place(&mut world, maker, &limit(ASK, 100, 2));
    assert_eq!(place(&mut world, taker, &limit(BID, 100, 2)).filled, Lots::new(2));
}

#[test]
fn the_client_id_of_an_evicted_order_may_be_used_again() {
    let mut listing = listing::usual();
    listing.side_capacity = 1;
    let mut world = World::new(&[listing], 8);
    world.set_price(0, 100);
    let (first, second) = (world.funded(1, 1_000_000), world.funded(2, 1_000_000));
    let named = |price| NewOrder { client_id: 7, ..limit(BID, price, 1) };
    place(&mut world, first, &named(98));
    assert_eq!(world.place(0, first, &named(99)), Err(EngineError::ClientIdInUse));
    place(&mut world, second, &named(99));
    assert_eq!(world.position(0, first).unwrap().orders, 0);
    place(&mut world, first, &named(100));
    assert_eq!(book(&world, BID), [(100, 1)]);
}

#[test]
fn an_expired_order_keeps_its_place_and_client_id_until_somebody_meets_it() {
    let mut world = world();
    let (maker, taker) = (world.funded(1, 1_000_000), world.funded(2, 1_000_000));
    let expires_at = UnixSeconds::new(world.now.unix_seconds.get() + 5);
    place(&mut world, maker, &NewOrder { client_id: 7, expires_at, ..limit(ASK, 101, 1) });
    world.pass(5);
    assert_eq!(place(&mut world, taker, &taking(BID, 101, 1)).filled, Lots::new(1), "its last second counts");
    let expires_at = UnixSeconds::new(world.now.unix_seconds.get() + 5);
    place(&mut world, maker, &NewOrder { client_id: 7, expires_at, ..limit(ASK, 101, 1) });
    world.pass(6);
    let again = NewOrder { client_id: 7, ..limit(ASK, 102, 1) };
    assert_eq!(world.place(0, maker, &again), Err(EngineError::ClientIdInUse));
    // A post-only order clears it away instead of failing.
    place(&mut world, taker, &order(BID, OrderKind::PostOnly, 101, 1));
    assert_eq!((book(&world, ASK), book(&world, BID)), (vec![], vec![(101, 1)]));
    place(&mut world, maker, &again);
}

#[test]
fn a_pile_of_expired_orders_goes_match_limit_by_match_limit() {
    let mut world = world();
    let (maker, taker) = (world.funded(1, 10_000_000), world.funded(2, 10_000_000));
    let expires_at = UnixSeconds::new(world.now.unix_seconds.get() + 1);
    for _ in 0..6 {
        place(&mut world, maker, &NewOrder { expires_at, ..limit(ASK, 100, 1) });
    }
    world.pass(2);
    let limited = |kind| NewOrder { match_limit: 2, ..order(BID, kind, 100, 1) };
    assert_eq!(world.place(0, taker, &limited(OrderKind::FillOrKill)), Err(EngineError::FillOrKillUnfilled));
    for left in [4, 2, 0] {
        assert_eq!(book(&world, ASK).len(), left + 2);
        let placed = place(&mut world, taker, &limited(OrderKind::Limit));
        assert_eq!((placed.filled, placed.resting.is_some()), (Lots::ZERO, left == 0), "it rests on a clear book only");
        assert_eq!(book(&world, ASK).len(), left);
    }
}

#[test]
fn a_taker_stopped_by_its_match_limit_drops_its_remainder() {
    let mut world = world();
    let (maker, taker) = (world.funded(1, 10_000_000), world.funded(2, 10_000_000));
    for _ in 0..3 {
        place(&mut world, maker, &limit(ASK, 100, 1));
    }
    let placed = place(&mut world, taker, &NewOrder { match_limit: 2, ..limit(BID, 100, 5) });
    assert_eq!((placed.filled.get(), placed.resting), (2, None));
    assert_eq!(newest_event(&world), (TradeEventKind::RemainderDropped, 3));
    let placed = place(&mut world, taker, &NewOrder { match_limit: 1, ..limit(BID, 100, 5) });
    assert_eq!((placed.filled.get(), placed.resting.is_some()), (1, true), "nothing crosses any more");
}

#[test]
fn each_self_trade_policy_does_what_it_says_across_sub_accounts() {
    for (self_trade, asks, filled, bids) in [
        (SelfTrade::CancelMaker, vec![(101, 5)], 0, vec![(100, 3)]),
        (SelfTrade::CancelTaker, vec![(100, 2), (101, 5)], 0, vec![]),
        (SelfTrade::CancelBoth, vec![(101, 5)], 0, vec![]),
        (SelfTrade::Decrement, vec![(101, 5)], 0, vec![(100, 1)]),
    ] {
        let mut world = world();
        let (main, other) = (world.funded(1, 10_000_000), world.funded(2, 10_000_000));
        let sub = world.open(1, 1).unwrap();
        world.deposit(sub, 10_000_000).unwrap();
        place(&mut world, main, &limit(ASK, 100, 2));
        place(&mut world, other, &limit(ASK, 101, 5));
        let placed = place(&mut world, sub, &NewOrder { self_trade, ..limit(BID, 100, 3) });
        assert_eq!(placed.filled.get(), filled);
        assert_eq!((book(&world, ASK), book(&world, BID)), (asks, bids), "{self_trade:?}");
        assert_eq!((world.base(0, main), world.base(0, sub)), (0, 0), "no trade took place");
    }
}

#[test]
fn decrementing_a_larger_resting_order_releases_its_share_of_margin() {
    let mut world = world();
    let main = world.funded(1, 10_000_000);
    let sub = world.open(1, 1).unwrap();
    world.deposit(sub, 10_000_000).unwrap();
    place(&mut world, main, &limit(ASK, 100, 5));
    let placed = place(&mut world, sub, &NewOrder { self_trade: SelfTrade::Decrement, ..limit(BID, 100, 2) });
    assert_eq!((placed.filled.get(), placed.resting), (0, None));
    let held = world.position(0, main).unwrap();
    assert_eq!((held.open_ask_lots.get(), held.open_ask_notional.get(), held.orders), (3, 300_000, 1));
}

#[test]
fn a_trader_rests_at_most_128_orders_in_a_market() {
    let mut listing = listing::usual();
    listing.side_capacity = 200;
    listing.position_max = Lots::new(1_000);
    let mut world = World::new(&[listing], 8);
    world.set_price(0, 100);
    let trader = world.funded(1, 1 << 40);
    for number in 0..ORDERS_PER_POSITION_MAX {
        let (side, price) = if number % 2 == 0 { (BID, 90) } else { (ASK, 110) };
        place(&mut world, trader, &limit(side, price, 1));
    }
    assert_eq!(world.position(0, trader).unwrap().orders, ORDERS_PER_POSITION_MAX);
    assert_eq!(world.place(0, trader, &limit(BID, 90, 1)), Err(EngineError::OrdersTooMany));
    assert_eq!(world.cancel_all(0, trader, Sides::Both, 255), Ok(128));
}

#[test]
fn cancel_all_goes_newest_first_and_by_side() {
    let mut world = world();
    let trader = world.funded(1, 10_000_000);
    for price in [97, 98, 99] {
        place(&mut world, trader, &limit(BID, price, 1));
        place(&mut world, trader, &limit(ASK, price + 6, 1));
    }
    assert_eq!(world.cancel_all(0, trader, Sides::Bids, 2), Ok(2));
    assert_eq!((book(&world, BID), book(&world, ASK).len()), (vec![(97, 1)], 3));
    assert_eq!(world.cancel_all(0, trader, Sides::Asks, 0), Ok(0));
    assert_eq!(world.cancel_all(0, trader, Sides::Asks, 255), Ok(3));
    assert_eq!(world.cancel_all(0, trader, Sides::Both, 255), Ok(1));
    assert_eq!(world.cancel_all(0, trader, Sides::Both, 255), Ok(0), "having none is no error");
    let stranger = world.open(2, 0).unwrap();
    assert_eq!(world.cancel_all(0, stranger, Sides::Both, 255), Ok(0), "nor is never having had any");
    assert_eq!(world.check(), Ok(()));
}

#[test]
fn attack_a_handle_cancels_only_the_very_order_it_was_given_for() {
    let mut world = world();
    let (owner, other) = (world.funded(1, 1_000_000), world.funded(2, 1_000_000));
    let sub = world.open(1, 1).unwrap();
    let (handle, sequence) = place(&mut world, owner, &limit(BID, 99, 1)).resting.unwrap();
    let refused = Err(EngineError::OrderNotFound);
    for trader in [other, sub, CellIndex::NIL] {
        assert_eq!(world.cancel(0, trader, handle, sequence), refused);
    }
    assert_eq!(world.cancel(0, owner, handle, Sequence::new(sequence.get() + 1)), refused);
    assert_eq!(world.cancel(0, owner, NodeIndex::NIL, sequence), refused);
    assert_eq!(world.cancel(0, owner, NodeIndex::new(handle.get() + 1), Sequence::ZERO), refused, "an unused node");
    assert_eq!(world.cancel(0, owner, handle, sequence), Ok(()));
    assert_eq!(world.cancel(0, owner, handle, sequence), refused);
    // The next order takes the same node with another number.
    let next = place(&mut world, owner, &limit(BID, 99, 1)).resting.unwrap();
    assert_eq!(next.0, handle);
    assert_eq!(world.cancel(0, owner, handle, sequence), refused);
    assert_eq!(world.cancel(0, owner, next.0, next.1), Ok(()));
}

#[test]
fn money_behind_open_orders_cannot_be_withdrawn() {
    let mut world = world();
    let trader = world.funded(1, 20_000);
    // Two lots at the mark require 5 %: 10,000 atoms.
    let resting = place(&mut world, trader, &limit(BID, 100, 2)).resting.unwrap();
    assert_eq!(world.withdraw(trader, 10_001), Err(EngineError::WithdrawExceedsAvailable));
    assert_eq!(world.withdraw(trader, 10_000), Ok(()));
    world.pass(61);
    assert_eq!(world.withdraw(trader, 1), Err(EngineError::PriceNotValidForAction), "exposed to a stale price");
    world.cancel(0, trader, resting.0, resting.1).unwrap();
    assert_eq!(world.withdraw(trader, 10_000), Ok(()), "without exposure no price matters");
    assert_eq!(world.check(), Ok(()));
}

#[test]
fn an_account_closes_with_its_empty_positions_and_frees_all_their_cells() {
    let mut world = World::new(&listing::all(), 16);
    (0..3).for_each(|market| world.set_price(market, [100, 12, 50_000][market]));
    let trader = world.funded(1, 1_000_000_000);
    for market in 0..3 {
        let lots = world.view().rows[market].lots_min.get();
        let mark = world.view().rows[market].mark.get();
        world.place(market, trader, &order(BID, OrderKind::Limit, mark, lots)).unwrap();
    }
    assert_eq!(world.close(trader), Err(EngineError::TraderNotEmpty), "cash and orders");
    world.withdraw(trader, 1_000_000).unwrap();
    for market in 0..3 {
        world.cancel_all(market, trader, Sides::Both, 255).unwrap();
    }
    assert_eq!(world.close(trader), Err(EngineError::TraderNotEmpty), "cash");
    world.withdraw(trader, 999_000_000).unwrap();
    assert_eq!(world.view().header.cells.in_use(), 4);
    world.close(trader).unwrap();
    assert_eq!(world.view().header.cells.in_use(), 0);
    assert_eq!(world.close(trader), Err(EngineError::TraderNotFound));
    assert_eq!(world.check(), Ok(()));
    let again = world.open(1, 0).unwrap();
    assert_eq!(world.trader(again).generation.get(), 2, "a new incarnation");
}

#[test]
fn inv_p6_open_interest_may_shrink_but_not_grow_above_its_cap() {
    let mut listing = listing::usual();
    listing.open_interest_max = Lots::new(5);
    let mut world = World::new(&[listing], 16);
    world.set_price(0, 100);
    let (long, short) = (world.funded(1, 10_000_000), world.funded(2, 10_000_000));
    open_positions(&mut world, long, short, 5);
    place(&mut world, long, &limit(BID, 100, 1));
    assert_eq!(world.place(0, short, &taking(ASK, 100, 1)), Err(EngineError::OpenInterestTooLarge));
    world.cancel_all(0, long, Sides::Both, 255).unwrap();
    let third = world.funded(3, 10_000_000);
    place(&mut world, third, &limit(ASK, 99, 2));
    assert_eq!(world.place(0, long, &taking(BID, 99, 1)), Err(EngineError::OpenInterestTooLarge));
    place(&mut world, short, &taking(BID, 99, 2));
    assert_eq!(world.view().rows[0].open_interest, Lots::new(5), "positions change hands");
}

/// Should a cap ever be lowered below what is there, everybody can still leave or hand over, and nobody can add.
#[test]
fn above_a_lowered_cap_orders_pass_that_make_nothing_larger() {
    let mut world = world();
    let (long, short) = (world.funded(1, 10_000_000), world.funded(2, 10_000_000));
    let (third, fourth) = (world.funded(3, 10_000_000), world.funded(4, 10_000_000));
    open_positions(&mut world, long, short, 10);
    let lowered = world.ledger(|ledger, _| {
        (ledger.rows[0].open_interest_max, ledger.rows[0].position_max) = (Lots::new(5), Lots::new(5));
        Ok(())
    });
    lowered.unwrap();
    place(&mut world, third, &limit(BID, 100, 5));
    assert_eq!(world.place(0, fourth, &taking(ASK, 100, 1)), Err(EngineError::OpenInterestTooLarge));
    assert_eq!(world.place(0, short, &taking(ASK, 100, 1)), Err(EngineError::PositionTooLarge));
    assert_eq!(place(&mut world, long, &taking(ASK, 100, 1)).filled, Lots::new(1), "handed over: 10 lots still");
    place(&mut world, long, &limit(ASK, 101, 9));
    assert_eq!(world.place(0, long, &limit(BID, 99, 1)), Err(EngineError::PositionTooLarge));
    assert_eq!(place(&mut world, short, &taking(BID, 101, 2)).filled, Lots::new(2));
    assert_eq!(world.view().rows[0].open_interest, Lots::new(8));
}

#[test]
fn an_account_below_initial_margin_may_only_reduce() {
    let mut world = world();
    let (long, short) = (world.funded(1, 52_000), world.funded(2, 10_000_000));
    open_positions(&mut world, long, short, 10);
    world.set_price(0, 97);
    place(&mut world, short, &limit(BID, 97, 20));
    place(&mut world, short, &limit(ASK, 98, 20));
    assert!(excess(&world, long) < 0);
    for refused in [taking(ASK, 97, 5), limit(ASK, 99, 1), taking(BID, 98, 1)] {
        assert_eq!(world.place(0, long, &refused), Err(EngineError::BelowInitialMargin));
    }
    let reduce = NewOrder { reduce_only: true, ..taking(ASK, 97, 5) };
    let before = excess(&world, long);
    place(&mut world, long, &reduce);
    assert!(excess(&world, long) > before);
    assert_eq!(
        world.place(0, long, &NewOrder { reduce_only: true, ..taking(BID, 98, 1) }),
        Err(EngineError::ReduceOnlyNothingToReduce)
    );
}

#[test]
fn a_reduce_only_order_far_through_the_mark_may_not_widen_the_gap() {
    let mut world = world();
    let (long, short) = (world.funded(1, 52_000), world.funded(2, 10_000_000));
    open_positions(&mut world, long, short, 10);
    world.set_price(0, 97);
    // Selling 10 lots at 88 would lose 9 ticks a lot: more than the margin it frees.
    assert_eq!(world.place(0, long, &reducing(ASK, 88, 10)), Err(EngineError::BelowInitialMargin));
    place(&mut world, long, &reducing(ASK, 97, 10));
}

#[test]
fn a_market_in_reduce_only_takes_reducing_orders_and_cancels_alone() {
    let mut world = world();
    let (long, short) = (world.funded(1, 1_000_000), world.funded(2, 1_000_000));
    open_positions(&mut world, long, short, 4);
    let resting = place(&mut world, short, &limit(BID, 99, 4)).resting.unwrap();
    world.set_status(0, 2);
    assert_eq!(world.place(0, long, &taking(ASK, 99, 1)), Err(EngineError::MarketNotActive));
    assert_eq!(place(&mut world, long, &NewOrder { reduce_only: true, ..taking(ASK, 99, 1) }).filled, Lots::new(1));
    for status in [0, 3] {
        world.set_status(0, status);
        assert_eq!(world.place(0, long, &reducing(ASK, 99, 1)), Err(EngineError::MarketNotActive));
    }
    world.cancel(0, short, resting.0, resting.1).unwrap();
}

#[test]
fn nothing_is_filled_on_a_dead_price_and_reducing_needs_no_fresh_one() {
    let mut world = world();
    let (long, short) = (world.funded(1, 1_000_000), world.funded(2, 1_000_000));
    open_positions(&mut world, long, short, 4);
    place(&mut world, short, &limit(BID, 99, 4));
    let reduce = NewOrder { reduce_only: true, ..taking(ASK, 99, 1) };
    for (seconds, adding, reducing) in [
        (0, Ok(()), Ok(())),
        (61, Err(EngineError::PriceNotValidForAction), Ok(())),
        (540, Err(EngineError::PriceNotValidForAction), Err(EngineError::PriceNotValidForAction)),
    ] {
        world.pass(seconds);
        assert_eq!(world.place(0, long, &taking(ASK, 99, 1)).map(|_| ()), adding);
        assert_eq!(world.place(0, long, &reduce).map(|_| ()), reducing);
    }
}

/// A stale price of one market forbids new risk in any other the account could pay for it with.
#[test]
fn a_stale_price_anywhere_in_the_account_forbids_new_risk_everywhere() {
    let mut world = World::new(&[listing::usual(), listing::usual()], 16);
    (0..2).for_each(|market| world.set_price(market, 100));
    let trader = world.funded(1, 10_000_000);
    world.place(1, trader, &limit(BID, 90, 1)).unwrap();
    world.pass(61);
    world.set_price(0, 100);
    assert_eq!(world.place(0, trader, &limit(BID, 90, 1)), Err(EngineError::PriceNotValidForAction));
    world.cancel_all(1, trader, Sides::Both, 255).unwrap();
    assert!(world.place(0, trader, &limit(BID, 90, 1)).is_ok());
}

#[test]
fn a_fill_at_zero_fees_and_a_full_ledger_are_nothing_special() {
    let mut listing = listing::usual();
    (listing.taker_fee, listing.maker_fee) = (quantdesk_engine::Ppm::ZERO, quantdesk_engine::SignedPpm::ZERO);
    let mut world = World::new(&[listing], 4);
    world.set_price(0, 100);
    let (maker, taker) = (world.funded(1, 1_000_000), world.funded(2, 1_000_000));
    place(&mut world, maker, &limit(ASK, 100, 1));
    let placed = place(&mut world, taker, &taking(BID, 100, 1));
    assert_eq!((placed.quote, placed.fee), (QuoteAtoms::new(100_000), QuoteAtoms::ZERO));
    assert_eq!(world.open(3, 0), Err(EngineError::LedgerFull));
    assert_eq!(world.market(0).header.last_trade_price, Ticks::new(100));
    assert_eq!(CELL_SIZE, 128);
}

/// A long account at 100 with hardly any cash, its owner's friend on the other side, and a stranger's deposit; the mark
/// falls to where the account owes 140,000 atoms.
fn indebted() -> (World, CellIndex, CellIndex) {
    let mut world = world();
    let (long, friend) = (world.funded(1, 60_000), world.funded(2, 1_000_000));
    world.funded(3, 500_000);
    open_positions(&mut world, long, friend, 10);
    world.set_price(0, 80);
    assert!(equity(&world, long) < -139_000);
    (world, long, friend)
}

/// What the friend has won is what the account has lost: whatever they do, the vault can pay everybody.
fn is_covered(world: &World) {
    let view = world.view();
    let debts: i64 = view.traders().map(|(_, trader)| trader.cash.get().get().min(0)).sum();
    assert_eq!(debts, 0, "nobody without size owes anything");
}

#[test]
fn attack_a_friend_cannot_take_a_position_off_an_account_in_debt() {
    for lots in [1, 9, 10] {
        let (mut world, long, friend) = indebted();
        assert_eq!(world.place(0, long, &reducing(ASK, 80, lots)), Err(EngineError::BelowInitialMargin));
        place(&mut world, friend, &limit(BID, 80, lots));
        assert_eq!(world.place(0, long, &reducing(ASK, 80, lots)), Err(EngineError::BelowInitialMargin));
        assert_eq!(world.trading(0, |trading| trading.deleverage(long, 60_000)), Ok(true));
        assert_eq!((world.base(0, long), world.base(0, friend)), (0, 0), "it is closed against who won");
        is_covered(&world);
    }
}

/// An order that rested before the account was in debt, by funding or by losses elsewhere, is no way out either.
#[test]
fn attack_an_order_that_rests_already_does_not_take_a_position_off_an_account_in_debt() {
    for lots in [1, 10] {
        let mut world = world();
        let (long, friend) = (world.funded(1, 60_000), world.funded(2, 1_000_000));
        open_positions(&mut world, long, friend, 10);
        world.set_price(0, 94);
        assert_eq!(equity(&world, long), 150);
        place(&mut world, long, &reducing(ASK, 94, lots));
        let lost = world.ledger(|ledger, _| {
            let (atoms, mut way) = (QuoteAtoms::new(1_000), Balance::ZERO);
            money::post(&mut ledger.trader_mut(long)?.cash, &mut way, atoms)?;
            money::post(&mut way, &mut ledger.trader_mut(friend)?.cash, atoms)
        });
        assert_eq!(lost, Ok(()));
        assert_eq!(place(&mut world, friend, &taking(BID, 94, lots)).filled, Lots::ZERO);
        assert_eq!(book(&world, ASK), [], "the order went");
        assert_eq!((world.base(0, long), equity(&world, long)), (10, -850));
        assert_eq!(world.trading(0, |trading| trading.deleverage(long, 60_000)), Ok(true));
        is_covered(&world);
    }
}

/// A deleveraging once was under way until a step found nothing left to do. Meanwhile the account, without size, could be
/// resolved and closed, and the market stood still for ever.
#[test]
fn regression_a_deleveraging_is_over_with_its_last_lot() {
    let (mut world, long, friend) = indebted();
    let end = u16::try_from(world.view().header.cells.high_water()).unwrap();
    assert_eq!(world.trading(0, |trading| trading.deleverage(long, end)), Ok(false), "everybody is counted");
    let mut steps = 0;
    while world.trading(0, |trading| trading.deleverage(long, 1)) == Ok(false) {
        assert_ne!(world.base(0, long), 0, "while it goes on there is something to close");
        assert_eq!(world.check(), Ok(()));
        steps += 1;
    }
    assert!(steps > 0);
    assert_eq!((world.base(0, long), world.base(0, friend)), (0, 0));
    assert!(!world.market(0).header.deleverage.is_running() && !world.trader(long).is_bankrupt());
    let left = world.cash(long).unsigned_abs();
    if left > 0 {
        world.withdraw(long, left).unwrap();
    }
    assert_eq!(world.close(long), Ok(()));
    place(&mut world, friend, &limit(BID, 79, 1));
}

/// A sliding order goes where it does not take: behind the best order on the other side, be it its owner's own.
#[test]
fn a_sliding_order_rests_a_tick_behind_what_it_would_take() {
    let mut world = world();
    let (maker, taker) = (world.funded(1, 100_000_000), world.funded(2, 100_000_000));
    place(&mut world, maker, &limit(ASK, 102, 3));
    place(&mut world, maker, &limit(BID, 98, 3));
    let slide = |side, price| order(side, OrderKind::PostOnlySlide, price, 2);
    for (side, asked, got) in
        [(BID, 105, 101), (BID, 102, 101), (BID, 101, 101), (BID, 97, 97), (ASK, 99, 102), (ASK, 104, 104)]
    {
        let placed = place(&mut world, taker, &slide(side, asked));
        let (handle, sequence) = placed.resting.unwrap();
        assert_eq!(
            (placed.filled, world.market(0).node(handle).unwrap().price),
            (Lots::ZERO, Ticks::new(got)),
            "{asked}"
        );
        if (side, asked) == (BID, 97) {
            world.cancel(0, taker, handle, sequence).unwrap();
        }
    }
    assert_eq!(world.market(0).events.iter().filter(|event| event.kind() == Some(TradeEventKind::Filled)).count(), 0);
    let mut lowest = self::world();
    let asker = lowest.funded(1, 100_000_000);
    lowest.set_price(0, 1);
    place(&mut lowest, asker, &limit(ASK, 1, 1));
    assert_eq!(lowest.place(0, asker, &slide(BID, 1)), Err(EngineError::OrderPriceOutOfRange));
}
