//! Takers that wait: what waits and what acts at once, that nobody can take back what waits, and that nothing that waits
//! can stand in the way.

#[allow(dead_code, reason = "every test binary uses its part")]
mod support;

use quantdesk_engine::{
    CellIndex, EngineError, Lots, Ppm, Result, Sequence, Side, Slot, Ticks, UnixSeconds, account,
    book::{NewOrder, OrderHandle, OrderKind, Placed, Quote, Replacement, SelfTrade, Sides},
    slab::ring,
    state::TradeEventKind,
};
use support::{World, listing, random::Random, world::order};

const BID: Side = Side::Bid;
const ASK: Side = Side::Ask;
/// Slots that takers wait here.
const DELAY: u8 = 4;
/// More cash than anything here needs.
const RICH: u64 = 1_000_000_000;

/// One market at a mark of 100 where takers wait; one lot is worth 100,000 atoms there, 5% of it margin.
fn world() -> World {
    let mut world = World::new(&[listing::delayed(listing::usual(), DELAY)], 64);
    world.set_price(0, 100);
    world
}

fn post(side: Side, price: u32, lots: u64) -> NewOrder {
    order(side, OrderKind::PostOnly, price, lots)
}

fn limit(side: Side, price: u32, lots: u64) -> NewOrder {
    order(side, OrderKind::Limit, price, lots)
}

fn take(side: Side, price: u32, lots: u64) -> NewOrder {
    order(side, OrderKind::ImmediateOrCancel, price, lots)
}

fn reducing(order: NewOrder) -> NewOrder {
    NewOrder { reduce_only: true, ..order }
}

fn place(world: &mut World, trader: CellIndex, order: &NewOrder) -> Placed {
    let placed = world.place(0, trader, order).unwrap();
    assert_eq!(world.check(), Ok(()));
    placed
}

/// Places an order that must wait.
fn wait(world: &mut World, trader: CellIndex, order: &NewOrder) -> OrderHandle {
    let placed = place(world, trader, order);
    assert_eq!((placed.filled, placed.fee.get(), placed.resting), (Lots::ZERO, 0, None));
    let (node, sequence) = placed.waiting.expect("it waits");
    OrderHandle::new(node, sequence)
}

fn slots(world: &mut World, slots: u64) {
    world.now.slot = Slot::new(world.now.slot.get() + slots);
}

fn run(world: &mut World, limit: u8) -> Result<u8> {
    let done = world.trading(0, |trading| trading.run_delayed(limit));
    assert_eq!(world.check(), Ok(()));
    done
}

/// Runs all that wait, their time having come.
fn run_all(world: &mut World) {
    slots(world, DELAY.into());
    while waiting(world) > 0 {
        run(world, 255).unwrap();
    }
}

fn waiting(world: &World) -> u32 {
    world.market(0).header.delayed_len
}

/// A refusal leaves every byte as it was.
fn refused<T: std::fmt::Debug + PartialEq>(
    world: &mut World,
    error: EngineError,
    act: impl FnOnce(&mut World) -> Result<T>,
) {
    let before: Vec<Vec<u64>> = world.accounts().map(<[u64]>::to_vec).collect();
    assert_eq!(act(world), Err(error));
    assert!(world.accounts().eq(before.iter().map(Vec::as_slice)), "{error:?} changed something");
}

fn refuse_order(world: &mut World, trader: CellIndex, order: &NewOrder, error: EngineError) {
    refused(world, error, |world| world.place(0, trader, order));
}

/// Kinds and lots of the newest events, oldest first.
fn newest_events(world: &World, count: usize) -> Vec<(TradeEventKind, u64)> {
    let market = world.market(0);
    let all: Vec<_> = ring::iter(market.events, market.header.events_written).collect();
    all[all.len() - count..].iter().map(|event| (event.kind().unwrap(), event.lots.get())).collect()
}

/// Price, lots and number of the orders of a side, best first.
fn book(world: &World, side: Side) -> Vec<(u32, u64, u64)> {
    let market = world.market(0);
    market.orders(side).map(|(_, node)| (node.price.get(), node.lots.get(), node.sequence.get())).collect()
}

fn people<const N: usize>(world: &mut World) -> [CellIndex; N] {
    let mut owner = 0;
    [(); N].map(|()| {
        owner += 1;
        world.funded(owner, RICH)
    })
}

// ---- What waits

#[test]
fn what_would_take_waits_and_then_runs() {
    let mut world = world();
    let [maker, taker] = people(&mut world);
    place(&mut world, maker, &post(ASK, 101, 3));
    let handle = wait(&mut world, taker, &take(BID, 102, 2));
    assert_eq!(newest_events(&world, 1), [(TradeEventKind::TakerQueued, 2)]);
    // It reserves like a resting order.
    let position = world.position(0, taker).unwrap();
    assert_eq!((position.open_bid_lots.get(), position.orders, position.bid_bound.get()), (2, 1, 102));
    slots(&mut world, u64::from(DELAY) - 1);
    refused(&mut world, EngineError::TakerNotDue, |world| run(world, 255));
    slots(&mut world, 1);
    refused(&mut world, EngineError::TakerNotDue, |world| run(world, 0));
    assert_eq!(run(&mut world, 255), Ok(1));
    assert_eq!((world.base(0, taker), world.base(0, maker)), (2, -2));
    assert_eq!(newest_events(&world, 1), [(TradeEventKind::Filled, 2)]);
    let position = world.position(0, taker).unwrap();
    assert_eq!((position.open_bid_lots.get(), position.orders, position.bid_bound.get()), (0, 0, 0));
    assert!(world.market(0).node(handle.node).is_none());
    refused(&mut world, EngineError::TakerNotDue, |world| run(world, 255));
}

#[test]
fn in_the_meantime_makers_cancel_and_outbid_each_other() {
    let mut world = world();
    let [slow, quick, taker] = people(&mut world);
    let stale = place(&mut world, slow, &post(ASK, 101, 3)).resting.unwrap();
    wait(&mut world, taker, &take(BID, 103, 3));
    world.cancel(0, slow, stale.0, stale.1).unwrap();
    place(&mut world, quick, &post(ASK, 103, 3));
    place(&mut world, slow, &post(ASK, 102, 1));
    let quotes = [Quote::new(ASK, Ticks::new(101), Lots::new(1))];
    let wanted = Replacement { sequence: 1, sides: Some(Sides::Both), expires_at: UnixSeconds::ZERO, quotes: &quotes };
    assert_eq!(world.trading(0, |trading| trading.replace_quotes(quick, &wanted)), Ok(true));
    run_all(&mut world);
    // The best prices of the moment at which it runs, and nothing of what was there when it came.
    assert_eq!((world.base(0, quick), world.base(0, slow), world.base(0, taker)), (-1, -1, 2));
    assert_eq!(newest_events(&world, 1), [(TradeEventKind::RemainderDropped, 1)]);
}

#[test]
fn what_does_not_take_acts_at_once() {
    let mut world = world();
    let [maker, taker] = people(&mut world);
    place(&mut world, maker, &post(ASK, 102, 3));
    assert!(place(&mut world, taker, &limit(BID, 101, 1)).resting.is_some());
    assert_eq!(place(&mut world, taker, &take(BID, 101, 1)).resting, None);
    assert_eq!(newest_events(&world, 1), [(TradeEventKind::RemainderDropped, 1)]);
    assert!(place(&mut world, taker, &order(BID, OrderKind::PostOnlySlide, 105, 1)).resting.is_some());
    refuse_order(&mut world, taker, &post(BID, 102, 1), EngineError::PostOnlyWouldCross);
    assert_eq!(waiting(&world), 0);
}

#[test]
fn orders_that_promise_or_stop_at_the_moment_are_refused() {
    let mut world = world();
    let [maker, taker] = people(&mut world);
    refuse_order(&mut world, taker, &order(BID, OrderKind::FillOrKill, 90, 1), EngineError::OrderNotDelayable);
    place(&mut world, maker, &post(ASK, 101, 3));
    for self_trade in [SelfTrade::CancelTaker, SelfTrade::CancelBoth, SelfTrade::Decrement] {
        let stopping = NewOrder { self_trade, ..take(BID, 101, 1) };
        refuse_order(&mut world, taker, &stopping, EngineError::OrderNotDelayable);
        // One that rests meets nobody.
        assert!(place(&mut world, taker, &NewOrder { self_trade, ..limit(BID, 99, 1) }).resting.is_some());
    }
}

#[test]
fn what_waits_was_examined_like_any_order() {
    let mut world = world();
    let [maker, taker] = people(&mut world);
    let poor = world.funded(9, 5_000);
    place(&mut world, maker, &post(ASK, 101, 3));
    refuse_order(&mut world, taker, &take(BID, 111, 1), EngineError::OrderOutsideBand);
    refuse_order(&mut world, taker, &take(BID, 101, 21), EngineError::OrderLotsOutOfRange);
    refuse_order(
        &mut world,
        taker,
        &NewOrder { match_limit: 0, ..take(BID, 101, 1) },
        EngineError::MatchLimitOutOfRange,
    );
    refuse_order(&mut world, taker, &reducing(take(BID, 101, 1)), EngineError::ReduceOnlyNothingToReduce);
    // A lot takes 5,000 atoms of margin, and what it may pay above the mark.
    refuse_order(&mut world, poor, &take(BID, 101, 1), EngineError::BelowInitialMargin);
    refuse_order(&mut world, CellIndex::NIL, &take(BID, 101, 1), EngineError::TraderNotFound);
    let named = NewOrder { client_id: 7, ..take(BID, 101, 1) };
    wait(&mut world, taker, &named);
    refuse_order(&mut world, taker, &named, EngineError::ClientIdInUse);
    refuse_order(&mut world, taker, &NewOrder { client_id: 7, ..post(BID, 90, 1) }, EngineError::ClientIdInUse);
    world.pass(61);
    refuse_order(&mut world, taker, &take(BID, 101, 1), EngineError::PriceNotValidForAction);
}

#[test]
fn an_order_that_could_end_before_its_time_is_refused() {
    let mut world = world();
    let [maker, taker] = people(&mut world);
    place(&mut world, maker, &post(ASK, 101, 3));
    let now = world.now.unix_seconds.get();
    let until = |seconds: i64| NewOrder { expires_at: UnixSeconds::new(now + seconds), ..take(BID, 101, 1) };
    refuse_order(&mut world, taker, &until(i64::from(DELAY) - 1), EngineError::OrderExpired);
    wait(&mut world, taker, &until(i64::from(DELAY)));
    run_all(&mut world);
    assert_eq!(world.base(0, taker), 1);
}

#[test]
fn the_remainder_of_a_limit_order_rests_behind_those_that_came_before_it_ran() {
    let mut world = world();
    let [maker, taker, other] = people(&mut world);
    place(&mut world, maker, &post(ASK, 101, 1));
    let waited = wait(&mut world, taker, &NewOrder { client_id: 5, ..limit(BID, 101, 3) });
    // Somebody takes the offer away, and another bids at the same price.
    world.cancel_all(0, maker, Sides::Both, 255).unwrap();
    place(&mut world, other, &post(BID, 101, 1));
    run_all(&mut world);
    assert_eq!(book(&world, BID), [(101, 1, 3), (101, 3, 4)]);
    let market = world.market(0);
    let event = *ring::iter(market.events, market.header.events_written).last().unwrap();
    assert_eq!(event.kind(), Some(TradeEventKind::Replaced));
    assert_eq!((event.order.get(), event.client_id, event.maker), (4, waited.sequence.get(), taker));
    // It is an order like others now, under its new number.
    refused(&mut world, EngineError::OrderNotFound, |world| world.cancel(0, taker, waited.node, waited.sequence));
    world.cancel(0, taker, waited.node, Sequence::new(4)).unwrap();
    assert_eq!(world.check(), Ok(()));
}

#[test]
fn a_remainder_for_which_there_is_no_place_is_dropped() {
    let mut world = world();
    let [maker, taker] = people(&mut world);
    place(&mut world, maker, &post(ASK, 101, 1));
    wait(&mut world, taker, &limit(BID, 101, 3));
    world.cancel_all(0, maker, Sides::Both, 255).unwrap();
    for _ in 0..6 {
        place(&mut world, maker, &post(BID, 101, 1));
    }
    run_all(&mut world);
    assert_eq!(newest_events(&world, 1), [(TradeEventKind::RemainderDropped, 3)]);
    assert_eq!(world.position(0, taker).unwrap().open_bid_lots, Lots::ZERO);
    // A worse order makes room for it.
    place(&mut world, maker, &post(ASK, 102, 1));
    wait(&mut world, taker, &limit(BID, 102, 3));
    run_all(&mut world);
    assert_eq!(
        newest_events(&world, 3).map_kinds(),
        [TradeEventKind::Filled, TradeEventKind::Evicted, TradeEventKind::Replaced]
    );
}

trait Kinds {
    fn map_kinds(self) -> Vec<TradeEventKind>;
}

impl Kinds for Vec<(TradeEventKind, u64)> {
    fn map_kinds(self) -> Vec<TradeEventKind> {
        self.into_iter().map(|(kind, _)| kind).collect()
    }
}

// ---- In order

#[test]
fn attack_who_came_later_does_not_run_first() {
    let mut world = world();
    let [maker, first, second] = people(&mut world);
    place(&mut world, maker, &post(ASK, 101, 2));
    wait(&mut world, first, &take(BID, 101, 2));
    slots(&mut world, 1);
    // A better price does not help, nor does being the one who runs them.
    wait(&mut world, second, &take(BID, 109, 2));
    slots(&mut world, 3);
    assert_eq!(run(&mut world, 255), Ok(1), "the second one's time has not come");
    assert_eq!((world.base(0, first), world.base(0, second)), (2, 0));
    slots(&mut world, 1);
    assert_eq!(run(&mut world, 255), Ok(1));
    assert_eq!(world.base(0, second), 0);
}

#[test]
fn attack_an_order_that_would_jump_the_queue_waits_behind_it() {
    let mut world = world();
    let [maker, first, second] = people(&mut world);
    place(&mut world, maker, &post(ASK, 101, 2));
    wait(&mut world, first, &take(BID, 101, 2));
    slots(&mut world, DELAY.into());
    // The first one is due; the order that comes now runs it, and has nothing to take any more.
    assert_eq!(place(&mut world, second, &take(BID, 101, 2)).waiting, None);
    assert_eq!((world.base(0, first), world.base(0, second)), (2, 0));
    assert_eq!(newest_events(&world, 2), [(TradeEventKind::Filled, 2), (TradeEventKind::RemainderDropped, 2)]);
}

#[test]
fn an_order_runs_two_who_wait_and_no_more() {
    let mut world = world();
    let [maker, taker, passer] = people(&mut world);
    place(&mut world, maker, &post(ASK, 101, 10));
    for _ in 0..5 {
        wait(&mut world, taker, &take(BID, 101, 1));
    }
    slots(&mut world, DELAY.into());
    place(&mut world, passer, &post(BID, 90, 1));
    assert_eq!((world.base(0, taker), waiting(&world)), (2, 3));
    // Cancelling and quoting run nobody.
    world.cancel_all(0, passer, Sides::Both, 255).unwrap();
    assert_eq!(waiting(&world), 3);
    let resting = place(&mut world, passer, &post(BID, 90, 2)).resting.unwrap();
    assert_eq!(waiting(&world), 1);
    let handle = OrderHandle::new(resting.0, resting.1);
    let amend = |world: &mut World, price: u32, lots: u64| {
        world.trading(0, |trading| trading.amend_order(passer, handle, Ticks::new(price), Lots::new(lots))).unwrap()
    };
    amend(&mut world, 90, 1);
    assert_eq!(waiting(&world), 1, "a smaller size keeps its place and runs nobody");
    amend(&mut world, 91, 1);
    assert_eq!((world.base(0, taker), waiting(&world)), (5, 0));
}

/// What it costs to run others is bounded: 16 orders met, whatever they may meet in all.
#[test]
fn attack_nobody_makes_anothers_order_meet_a_whole_book() {
    let mut deep = listing::delayed(listing::fine(), DELAY);
    deep.side_capacity = 64;
    deep.events_capacity = 256;
    let mut world = World::new(&[deep], 64);
    world.set_price(0, 50_000);
    let [maker, taker, passer] = people(&mut world);
    for _ in 0..40 {
        place(&mut world, maker, &post(ASK, 50_010, 5));
    }
    wait(&mut world, taker, &NewOrder { match_limit: 30, ..take(BID, 50_010, 200) });
    slots(&mut world, DELAY.into());
    let fills = |world: &World| world.base(0, taker) / 5;
    place(&mut world, passer, &post(BID, 49_000, 5));
    assert_eq!((fills(&world), waiting(&world)), (16, 1), "it goes on, first in line");
    assert_eq!(world.position(0, taker).unwrap().open_bid_lots.get(), 120);
    // Its match limit holds for all of them together.
    place(&mut world, passer, &post(BID, 49_000, 5));
    assert_eq!((fills(&world), waiting(&world)), (30, 0));
    assert_eq!(newest_events(&world, 2), [(TradeEventKind::RemainderDropped, 50), (TradeEventKind::Placed, 5)]);
    // `RunDelayed` goes by runs of 32.
    for _ in 0..30 {
        place(&mut world, maker, &post(ASK, 50_010, 5));
    }
    wait(&mut world, taker, &take(BID, 50_010, 190));
    slots(&mut world, DELAY.into());
    assert_eq!(run(&mut world, 1), Ok(1));
    assert_eq!((fills(&world), waiting(&world)), (62, 1));
    assert_eq!(run(&mut world, 255), Ok(1));
    assert_eq!((fills(&world), waiting(&world)), (68, 0));
}

// ---- No way back

#[test]
fn attack_what_waits_cannot_be_taken_back() {
    let mut world = world();
    let [maker, taker] = people(&mut world);
    place(&mut world, maker, &post(ASK, 101, 9));
    let handle = wait(&mut world, taker, &NewOrder { client_id: 7, ..take(BID, 103, 2) });
    let both = |world: &mut World| world.cancel_all(0, taker, Sides::Both, 255);
    refused(&mut world, EngineError::OrderWaiting, |world| world.cancel(0, taker, handle.node, handle.sequence));
    refused(&mut world, EngineError::OrderWaiting, |world| {
        world.trading(0, |trading| trading.cancel_by_client_id(taker, 7))
    });
    refused(&mut world, EngineError::OrderNotAmendable, |world| {
        world.trading(0, |trading| trading.amend_order(taker, handle, Ticks::new(103), Lots::new(1)))
    });
    assert_eq!(both(&mut world), Ok(0));
    assert_eq!(world.trading(0, |trading| trading.cancel_orders(taker, [handle].into_iter())), Ok(0));
    for sequence in [1, 2] {
        let nothing = Replacement { sequence, sides: Some(Sides::Both), expires_at: UnixSeconds::ZERO, quotes: &[] };
        assert_eq!(world.trading(0, |trading| trading.replace_quotes(taker, &nothing)), Ok(true));
    }
    // Not by the dead-man switch, which a friend would pull for him.
    world.ledger(|ledger, now| account::heartbeat(ledger, now, taker, 5)).unwrap();
    world.now.unix_seconds = UnixSeconds::new(world.now.unix_seconds.get() + 6);
    refused(&mut world, EngineError::NothingToClose, |world| {
        world.trading(0, |trading| trading.enforce_deadman(taker, 255))
    });
    refused(&mut world, EngineError::NothingToClose, |world| {
        world.trading(0, |trading| trading.drop_expired([handle].into_iter()))
    });
    // Not by an order of his own in its way: that one goes.
    place(&mut world, taker, &post(ASK, 101, 1));
    world.cancel_all(0, maker, Sides::Both, 255).unwrap();
    place(&mut world, maker, &post(ASK, 102, 9));
    run_all(&mut world);
    assert_eq!((world.base(0, taker), book(&world, ASK).len()), (2, 1));
}

/// Who chooses his collateral so that a tick against him takes him below initial margin still gets what he asked for.
#[test]
fn attack_initial_margin_is_no_way_to_take_an_order_back() {
    let mut world = world();
    let [maker] = people(&mut world);
    // Two lots at 101: 10,000 of margin and 2,000 for the price.
    let taker = world.funded(5, 12_000);
    place(&mut world, maker, &post(ASK, 101, 9));
    wait(&mut world, taker, &take(BID, 101, 2));
    world.set_price(0, 99);
    refused(&mut world, EngineError::NothingToClose, |world| {
        world.trading(0, |trading| trading.cancel_for_risk(taker, 255))
    });
    run_all(&mut world);
    assert_eq!(world.base(0, taker), 2);
}

#[test]
fn attack_the_reservation_cannot_be_withdrawn_or_used_twice() {
    let mut world = world();
    let [maker] = people(&mut world);
    let taker = world.funded(5, 12_000);
    place(&mut world, maker, &post(ASK, 101, 9));
    wait(&mut world, taker, &take(BID, 101, 2));
    refused(&mut world, EngineError::WithdrawExceedsAvailable, |world| world.withdraw(taker, 1));
    refuse_order(&mut world, taker, &take(BID, 101, 1), EngineError::BelowInitialMargin);
    refuse_order(&mut world, taker, &post(BID, 95, 1), EngineError::BelowInitialMargin);
    refused(&mut world, EngineError::TraderNotEmpty, |world| world.close(taker));
    run_all(&mut world);
    assert_eq!(world.base(0, taker), 2);
}

#[test]
fn attack_waiting_orders_count_for_the_largest_position() {
    let mut world = world();
    let [maker, other, taker] = people(&mut world);
    place(&mut world, maker, &post(ASK, 101, 20));
    place(&mut world, other, &post(ASK, 101, 20));
    wait(&mut world, taker, &take(BID, 101, 20));
    wait(&mut world, taker, &take(BID, 101, 20));
    refuse_order(&mut world, taker, &take(BID, 101, 1), EngineError::PositionTooLarge);
    refuse_order(&mut world, taker, &post(BID, 95, 1), EngineError::PositionTooLarge);
    run_all(&mut world);
    assert_eq!(world.base(0, taker), 40);
}

// ---- Reducing

/// Long four lots, with this much cash beyond the 20,000 of margin that they take.
fn leveraged(world: &mut World, maker: CellIndex, excess: u64) -> CellIndex {
    let taker = world.funded(5, RICH);
    place(world, maker, &post(ASK, 100, 4));
    wait(world, taker, &take(BID, 100, 4));
    run_all(world);
    let kept = 20_000 + excess;
    world.withdraw(taker, world.cash(taker).unsigned_abs() - kept).unwrap();
    taker
}

#[test]
fn who_is_at_his_limit_may_shrink_at_once() {
    for (excess, waits) in [(0, false), (3_999, false), (4_000, true), (4_001, true)] {
        let mut world = world();
        let [maker] = people(&mut world);
        let taker = leveraged(&mut world, maker, excess);
        place(&mut world, maker, &post(BID, 99, 9));
        // Waiting at the bid of 99 would take 1,000 a lot.
        let placed = place(&mut world, taker, &reducing(take(ASK, 99, 9)));
        assert_eq!((placed.waiting.is_some(), placed.filled.is_zero()), (waits, waits), "{excess}");
        run_all(&mut world);
        assert_eq!(world.base(0, taker), 0);
    }
}

#[test]
fn below_initial_margin_only_what_reduces_acts_at_once() {
    let mut world = world();
    let [maker] = people(&mut world);
    let taker = leveraged(&mut world, maker, 0);
    place(&mut world, maker, &post(BID, 99, 2));
    place(&mut world, maker, &post(ASK, 101, 2));
    world.set_price(0, 99);
    refuse_order(&mut world, taker, &take(ASK, 99, 1), EngineError::BelowInitialMargin);
    assert_eq!(place(&mut world, taker, &reducing(take(ASK, 99, 1))).filled, Lots::new(1));
    // A limit chosen to look unaffordable is no way around the delay.
    let mut world = self::world();
    let [maker] = people(&mut world);
    let taker = leveraged(&mut world, maker, 30_000);
    place(&mut world, maker, &post(BID, 99, 4));
    refuse_order(&mut world, taker, &reducing(take(ASK, 90, 4)), EngineError::BelowInitialMargin);
    wait(&mut world, taker, &reducing(take(ASK, 95, 4)));
}

#[test]
fn what_reduces_fills_no_more_than_there_is_to_reduce_then() {
    let mut world = world();
    let [maker] = people(&mut world);
    let taker = leveraged(&mut world, maker, RICH / 2);
    place(&mut world, maker, &post(BID, 99, 9));
    wait(&mut world, taker, &reducing(limit(ASK, 99, 3)));
    wait(&mut world, taker, &reducing(limit(ASK, 99, 3)));
    wait(&mut world, taker, &reducing(take(ASK, 99, 3)));
    slots(&mut world, DELAY.into());
    assert_eq!(run(&mut world, 2), Ok(2));
    assert_eq!(world.base(0, taker), 0);
    assert_eq!(
        newest_events(&world, 3),
        [(TradeEventKind::Filled, 3), (TradeEventKind::Filled, 1), (TradeEventKind::RemainderDropped, 2)]
    );
    assert_eq!(run(&mut world, 2), Ok(1));
    assert_eq!(newest_events(&world, 1), [(TradeEventKind::TakerDropped, 3)]);
}

// ---- No way to stand in the way

/// A full queue refuses who would take, and nobody else; it empties as time passes.
#[test]
fn attack_a_full_queue_only_keeps_takers_waiting() {
    let mut world = world();
    let [maker, a, b, c, d, late] = people(&mut world);
    for _ in 0..2 {
        place(&mut world, maker, &post(ASK, 101, 20));
    }
    for number in 0..128 {
        wait(&mut world, [a, b, c, d][number % 4], &take(BID, 101, 1));
    }
    refuse_order(&mut world, late, &take(BID, 101, 1), EngineError::TakersTooMany);
    assert!(place(&mut world, late, &post(BID, 95, 1)).resting.is_some());
    // One that left is no place for another before it is first.
    slots(&mut world, DELAY.into());
    wait(&mut world, late, &take(BID, 101, 1));
    assert_eq!(waiting(&world), 127);
    wait(&mut world, late, &take(BID, 101, 1));
    run_all(&mut world);
    assert_eq!(world.base(0, maker), -40);
    assert_eq!(world.market(0).header.nodes.in_use(), 1);
}

/// What makes a waiting order one that may not run.
type Poison = fn(&mut World, CellIndex);

#[test]
fn attack_a_poisoned_order_is_dropped_and_the_next_one_runs() {
    let drop_cash: Poison = |world, trader| {
        // A loss in no time: the account is worth less than maintenance margin.
        world.set_price(0, 100);
        let atoms = world.cash(trader).unsigned_abs();
        let sink = world.funded(77, 1);
        world
            .ledger(|ledger, _| {
                let pair = ledger.cells.get_disjoint_mut([trader.as_usize(), sink.as_usize()]).unwrap();
                let [from, to] = pair.map(|cell| cell.trader_mut().unwrap());
                quantdesk_engine::money::post(&mut from.cash, &mut to.cash, quantdesk_engine::QuoteAtoms::new(atoms))
            })
            .unwrap();
    };
    let expire: Poison = |world, _| world.pass(60);
    let crowd: Poison = |world, _| {
        world
            .ledger(|ledger, _| {
                ledger.rows[0].open_interest_max = Lots::new(4);
                Ok(())
            })
            .unwrap();
    };
    for (name, poison) in [("cash", drop_cash), ("expiry", expire), ("open interest", crowd)] {
        let mut world = world();
        let [maker, poisoned, next] = people(&mut world);
        place(&mut world, maker, &post(ASK, 101, 9));
        let until = UnixSeconds::new(world.now.unix_seconds.get() + 10);
        wait(&mut world, poisoned, &NewOrder { expires_at: until, ..take(BID, 101, 5) });
        wait(&mut world, next, &take(BID, 101, 3));
        poison(&mut world, poisoned);
        world.set_price(0, 100);
        slots(&mut world, DELAY.into());
        assert_eq!(run(&mut world, 255), Ok(2), "{name}");
        assert_eq!((world.base(0, poisoned), world.base(0, next)), (0, 3), "{name}");
        assert_eq!(newest_events(&world, 2), [(TradeEventKind::TakerDropped, 5), (TradeEventKind::Filled, 3)]);
    }
}

#[test]
fn attack_a_market_that_may_not_be_traded_drops_what_waits() {
    let dead: Poison = |world, _| world.pass(61);
    let reduce_only: Poison = |world, _| world.set_status(0, 2);
    let settled: Poison = |world, _| world.set_status(0, 3);
    for poison in [dead, reduce_only, settled] {
        let mut world = world();
        let [maker, taker] = people(&mut world);
        place(&mut world, maker, &post(ASK, 101, 9));
        wait(&mut world, taker, &take(BID, 101, 5));
        poison(&mut world, taker);
        slots(&mut world, DELAY.into());
        assert_eq!(run(&mut world, 255), Ok(1));
        assert_eq!((world.base(0, taker), waiting(&world)), (0, 0));
        assert_eq!(newest_events(&world, 1), [(TradeEventKind::TakerDropped, 5)]);
    }
}

#[test]
fn a_settled_market_is_cleared_without_waiting() {
    let mut world = world();
    let [maker, taker] = people(&mut world);
    place(&mut world, maker, &post(ASK, 101, 9));
    wait(&mut world, taker, &take(BID, 101, 5));
    world.set_status(0, 3);
    assert_eq!(world.trading(0, |trading| trading.cancel_for_risk(taker, 255)), Ok(1));
    assert_eq!(waiting(&world), 0);
    assert_eq!(world.check(), Ok(()));
}

/// A liquidation ends what waits; those behind it keep their order and those before it their places.
#[test]
fn a_liquidation_ends_what_waits_in_the_middle() {
    let mut world = world();
    let [maker, first, last] = people(&mut world);
    let failing = leveraged(&mut world, maker, 20_000);
    place(&mut world, maker, &post(ASK, 101, 9));
    place(&mut world, maker, &post(BID, 97, 9));
    wait(&mut world, first, &take(BID, 101, 1));
    wait(&mut world, failing, &take(BID, 101, 1));
    wait(&mut world, last, &take(BID, 101, 1));
    wait(&mut world, failing, &take(BID, 101, 1));
    world.set_price(0, 91);
    place(&mut world, last, &post(BID, 91, 9));
    world.cancel_all(0, maker, Sides::Bids, 255).unwrap();
    let keeper = last;
    world.trading(0, |trading| trading.liquidate(keeper, failing, 255)).unwrap();
    assert_eq!(world.check(), Ok(()));
    assert_eq!(waiting(&world), 4, "places that were left stay until they are first");
    world.set_price(0, 100);
    slots(&mut world, DELAY.into());
    assert_eq!(run(&mut world, 1), Ok(1));
    assert_eq!((world.base(0, first), waiting(&world)), (1, 2));
    assert_eq!(run(&mut world, 255), Ok(1));
    assert_eq!(waiting(&world), 0);
}

/// The mark runs away while an order waits: it does not leave its account below maintenance margin, let alone in debt.
#[test]
fn attack_a_waiting_order_leaves_no_debt() {
    for (mark, runs) in [(99, true), (98, true), (97, false), (91, false)] {
        let mut world = world();
        let [friend] = people(&mut world);
        // Ten lots at 101: 50,000 of margin and 10,000 for the price.
        let taker = world.funded(5, 60_001);
        place(&mut world, friend, &post(ASK, 101, 10));
        wait(&mut world, taker, &take(BID, 101, 10));
        world.set_price(0, mark);
        run_all(&mut world);
        assert_eq!(world.base(0, taker), if runs { 10 } else { 0 }, "{mark}");
        let view = world.view();
        let cell = view.trader(taker).unwrap();
        let health = quantdesk_engine::risk::margin::maintenance(&view, cell, world.now.unix_seconds).unwrap();
        assert!(health.is_met(), "{mark}");
    }
}

// ---- Whatever the state

/// States that nothing leads to: prices, caps, margin factors, status and cash at random. What waits never fails, and the
/// queue always comes to its end.
#[test]
fn attack_whatever_the_state_what_waits_never_fails() {
    let mut random = Random::new(26);
    for round in 0..600 {
        let mut world = world();
        let traders: [CellIndex; 6] = people(&mut world);
        for _ in 0..40 {
            let side = random.pick(&[BID, ASK]);
            let kind = random.pick(&[OrderKind::Limit, OrderKind::PostOnly, OrderKind::ImmediateOrCancel]);
            let price = random.range(96, 104) as u32;
            let lots = 1 + random.below(6);
            let mut asked = order(side, kind, price, lots);
            asked.reduce_only = random.chance(20);
            asked.match_limit = random.pick(&[1, 2, 9, 255]);
            let trader = random.pick(&traders);
            let _ = world.place(0, trader, &asked);
            slots(&mut world, random.below(2));
        }
        assert_eq!(world.check(), Ok(()));
        for trader in traders {
            if random.chance(40) {
                let atoms = random.pick(&[-RICH.cast_signed(), 0, 1, 30_000, 1 << 40]);
                world
                    .ledger(|ledger, _| {
                        ledger.cells[trader.as_usize()].trader_mut().unwrap().cash = bytemuck::cast(atoms);
                        Ok(())
                    })
                    .unwrap();
            }
        }
        if random.chance(70) {
            world.set_price(0, random.pick(&[1, 50, 90, 97, 99, 101, 103, 110, 500, 1_000]));
        }
        let (status, interest) = (random.pick(&[1, 1, 1, 1, 2, 3]), random.pick(&[0, 5, 60, u64::MAX]));
        world.set_status(0, status);
        world
            .ledger(|ledger, _| {
                let row = &mut ledger.rows[0];
                row.open_interest_max = Lots::new(interest);
                row.margin_scale = Ppm::new(1_000_000 + round * 3_000);
                Ok(())
            })
            .unwrap();
        world.pass(random.pick(&[1, 1, 1, 100, 100_000]));
        while waiting(&world) > 0 {
            let before = world.market(0).header.events_written;
            let done = world.trading(0, |trading| trading.run_delayed(1));
            assert_eq!(done, Ok(1), "round {round}");
            assert!(world.market(0).header.events_written > before, "every run leaves a record");
        }
        assert_eq!(
            world.trading(0, |trading| trading.run_delayed(1)),
            Err(EngineError::TakerNotDue),
            "and then nobody waits"
        );
        let market = world.market(0);
        let rested = market.orders(BID).chain(market.orders(ASK)).count();
        assert_eq!(market.header.nodes.in_use() as usize, rested);
    }
}
