//! What becomes of resting orders besides being filled: amended, cancelled many at a time, by the trader's own id, by the
//! dead-man switch, dropped when they have expired.

#[allow(dead_code, reason = "every test binary uses its part")]
mod support;

use quantdesk_engine::{
    CellIndex, EngineError, Lots, NodeIndex, Result, Sequence, Side, Ticks, UnixSeconds,
    account::{self, DEADMAN_SECONDS_MAX, DEADMAN_SECONDS_MIN},
    book::{NewOrder, OrderHandle, OrderKind},
    risk::margin,
    state::TradeEventKind,
};
use support::{World, listing, world::order};

const BID: Side = Side::Bid;
const ASK: Side = Side::Ask;

/// Time at which a world begins.
const START: i64 = 1_000_000;

/// One market at a mark of 100, one lot being worth 100,000 atoms there.
fn world() -> World {
    let mut world = World::new(&[listing::usual()], 32);
    world.set_price(0, 100);
    world
}

fn limit(side: Side, price: u32, lots: u64) -> NewOrder {
    order(side, OrderKind::Limit, price, lots)
}

fn reducing(side: Side, price: u32, lots: u64) -> NewOrder {
    NewOrder { reduce_only: true, ..limit(side, price, lots) }
}

/// The order with its last second so long after the beginning.
fn until(order: NewOrder, seconds: i64) -> NewOrder {
    NewOrder { expires_at: UnixSeconds::new(START + seconds), ..order }
}

/// Places an order that must rest.
fn rest(world: &mut World, trader: CellIndex, order: &NewOrder) -> OrderHandle {
    let (node, sequence) = world.place(0, trader, order).unwrap().resting.expect("it rests");
    assert_eq!(world.check(), Ok(()));
    OrderHandle::new(node, sequence)
}

fn amend(
    world: &mut World,
    trader: CellIndex,
    order: OrderHandle,
    price: u32,
    lots: u64,
) -> Result<Option<OrderHandle>> {
    let (price, lots) = (Ticks::new(price), Lots::new(lots));
    let done = world.trading(0, |trading| trading.amend_order(trader, order, price, lots));
    assert_eq!(world.check(), Ok(()));
    done.map(|resting| resting.map(|(node, sequence)| OrderHandle::new(node, sequence)))
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

fn cancel_orders(world: &mut World, trader: CellIndex, orders: &[OrderHandle]) -> Result<u8> {
    let done = world.trading(0, |trading| trading.cancel_orders(trader, orders.iter().copied()));
    assert_eq!(world.check(), Ok(()));
    done
}

fn drop_expired(world: &mut World, orders: &[OrderHandle]) -> Result<u8> {
    let done = world.trading(0, |trading| trading.drop_expired(orders.iter().copied()));
    assert_eq!(world.check(), Ok(()));
    done
}

fn cancel_by_client_id(world: &mut World, trader: CellIndex, client_id: u64) -> Result<()> {
    let done = world.trading(0, |trading| trading.cancel_by_client_id(trader, client_id));
    assert_eq!(world.check(), Ok(()));
    done
}

fn heartbeat(world: &mut World, trader: CellIndex, seconds: u32) {
    world.ledger(|ledger, now| account::heartbeat(ledger, now, trader, seconds)).unwrap();
}

fn enforce(world: &mut World, target: CellIndex, limit: u8) -> Result<u8> {
    let done = world.trading(0, |trading| trading.enforce_deadman(target, limit));
    assert_eq!(world.check(), Ok(()));
    done
}

/// Price, lots and number of the orders of a side, best first.
fn book(world: &World, side: Side) -> Vec<(u32, u64, u64)> {
    let market = world.market(0);
    market.orders(side).map(|(_, node)| (node.price.get(), node.lots.get(), node.sequence.get())).collect()
}

/// Kinds and lots of the newest events, oldest first.
fn newest_events(world: &World, count: usize) -> Vec<(TradeEventKind, u64, u64)> {
    let market = world.market(0);
    let all: Vec<_> = quantdesk_engine::slab::ring::iter(market.events, market.header.events_written).collect();
    let newest = all[all.len() - count..].iter();
    newest.map(|event| (event.kind().unwrap(), event.order.get(), event.lots.get())).collect()
}

fn events_written(world: &World) -> u64 {
    world.market(0).header.events_written.get()
}

fn excess(world: &World, trader: CellIndex) -> i64 {
    let view = world.view();
    let initial = margin::initial(&view, view.trader(trader).unwrap(), world.now.unix_seconds).unwrap();
    initial.excess().unwrap().get()
}

/// Long 10 lots against somebody.
fn long(world: &mut World, trader: CellIndex) {
    let seller = world.funded(99, 100_000_000);
    rest(world, seller, &limit(ASK, 100, 10));
    world.place(0, trader, &order(BID, OrderKind::ImmediateOrCancel, 100, 10)).unwrap();
}

// ---- Amending

#[test]
fn fewer_lots_at_the_same_price_keep_the_place_in_the_queue() {
    let mut world = world();
    let [alice, bob] = [1, 2].map(|owner| world.funded(owner, 100_000_000));
    let first = rest(&mut world, alice, &NewOrder { client_id: 7, ..limit(BID, 99, 9) });
    rest(&mut world, bob, &limit(BID, 99, 5));
    let held = excess(&world, alice);
    assert_eq!(amend(&mut world, alice, first, 99, 4), Ok(Some(first)));
    assert_eq!(book(&world, BID), [(99, 4, 1), (99, 5, 2)]);
    assert_eq!(newest_events(&world, 1), [(TradeEventKind::Amended, 1, 4)]);
    let position = world.position(0, alice).unwrap();
    assert_eq!((position.open_bid_lots.get(), position.orders, position.bid_bound.get()), (4, 1, 99));
    assert!(excess(&world, alice) > held, "what the rest reserved is released");
    // The first in the queue is filled first.
    world.place(0, bob, &order(ASK, OrderKind::ImmediateOrCancel, 99, 3)).unwrap();
    assert_eq!(book(&world, BID), [(99, 1, 1), (99, 5, 2)]);
}

#[test]
fn the_same_lots_and_price_change_nothing() {
    let mut world = world();
    let alice = world.funded(1, 100_000_000);
    let order = rest(&mut world, alice, &limit(BID, 99, 9));
    let before: Vec<Vec<u64>> = world.accounts().map(<[u64]>::to_vec).collect();
    assert_eq!(amend(&mut world, alice, order, 99, 9), Ok(Some(order)));
    assert!(world.accounts().eq(before.iter().map(Vec::as_slice)));
}

#[test]
fn attack_more_lots_do_not_jump_the_queue() {
    let mut world = world();
    let [alice, bob] = [1, 2].map(|owner| world.funded(owner, 100_000_000));
    let first = rest(&mut world, alice, &NewOrder { client_id: 7, ..limit(BID, 99, 1) });
    rest(&mut world, bob, &limit(BID, 99, 5));
    let moved = amend(&mut world, alice, first, 99, 2).unwrap().unwrap();
    assert_eq!(book(&world, BID), [(99, 5, 2), (99, 2, 3)]);
    assert_eq!(newest_events(&world, 2), [(TradeEventKind::Cancelled, 1, 1), (TradeEventKind::Placed, 3, 2)]);
    // The old name is nobody's.
    refused(&mut world, EngineError::OrderNotFound, |world| amend(world, alice, first, 99, 1));
    // Down again it stays behind.
    assert_eq!(amend(&mut world, alice, moved, 99, 1), Ok(Some(moved)));
    assert_eq!(book(&world, BID), [(99, 5, 2), (99, 1, 3)]);
}

#[test]
fn another_price_is_a_new_order_of_the_same_kind() {
    let mut world = world();
    let alice = world.funded(1, 100_000_000);
    long(&mut world, alice);
    let wanted = until(NewOrder { client_id: 7, ..reducing(ASK, 103, 6) }, 60);
    let old = rest(&mut world, alice, &wanted);
    let new = amend(&mut world, alice, old, 102, 4).unwrap().unwrap();
    let market = world.market(0);
    let node = market.node(new.node).unwrap();
    assert_eq!((node.price.get(), node.lots.get(), node.client_id), (102, 4, 7));
    assert_eq!((node.side(), node.is_reduce_only(), node.expires_at), (ASK, true, wanted.expires_at));
    // A reduce-only order rests with what there is to reduce.
    let larger = amend(&mut world, alice, new, 102, 20).unwrap().unwrap();
    assert_eq!(world.market(0).node(larger.node).unwrap().lots.get(), 10);
}

#[test]
fn an_amended_order_never_takes() {
    let mut world = world();
    let [alice, bob] = [1, 2].map(|owner| world.funded(owner, 100_000_000));
    let order = rest(&mut world, alice, &limit(BID, 99, 3));
    rest(&mut world, bob, &limit(ASK, 101, 3));
    refused(&mut world, EngineError::PostOnlyWouldCross, |world| amend(world, alice, order, 101, 3));
    refused(&mut world, EngineError::PostOnlyWouldCross, |world| amend(world, alice, order, 102, 1));
    assert_eq!(book(&world, BID), [(99, 3, 1)], "and is still there");
}

#[test]
fn amending_down_stops_at_the_smallest_order_unless_it_only_reduces() {
    let mut listing = listing::usual();
    listing.lots_min = Lots::new(3);
    let mut world = World::new(&[listing], 32);
    world.set_price(0, 100);
    let alice = world.funded(1, 100_000_000);
    long(&mut world, alice);
    let plain = rest(&mut world, alice, &limit(BID, 99, 9));
    let closing = rest(&mut world, alice, &reducing(ASK, 101, 9));
    let too_small = EngineError::OrderLotsOutOfRange;
    for lots in [0, 1, 2] {
        refused(&mut world, too_small, |world| amend(world, alice, plain, 99, lots));
        refused(&mut world, too_small, |world| amend(world, alice, plain, 98, lots));
    }
    refused(&mut world, too_small, |world| amend(world, alice, closing, 101, 0));
    refused(&mut world, too_small, |world| amend(world, alice, closing, 102, 0));
    let most = world.view().rows[0].lots_max.get();
    refused(&mut world, too_small, |world| amend(world, alice, plain, 99, most + 1));
    assert_eq!(amend(&mut world, alice, plain, 99, 3), Ok(Some(plain)));
    assert_eq!(amend(&mut world, alice, closing, 101, 1), Ok(Some(closing)));
}

/// A remainder below the smallest size may stay as it is, not become smaller.
#[test]
fn a_remainder_below_the_smallest_order() {
    let mut listing = listing::usual();
    listing.lots_min = Lots::new(3);
    let mut world = World::new(&[listing], 32);
    world.set_price(0, 100);
    let [alice, bob] = [1, 2].map(|owner| world.funded(owner, 100_000_000));
    let order_of_alice = rest(&mut world, alice, &limit(BID, 99, 5));
    world.place(0, bob, &order(ASK, OrderKind::ImmediateOrCancel, 99, 3)).unwrap();
    assert_eq!(amend(&mut world, alice, order_of_alice, 99, 2), Ok(Some(order_of_alice)));
    let too_small = EngineError::OrderLotsOutOfRange;
    refused(&mut world, too_small, |world| amend(world, alice, order_of_alice, 99, 1));
    refused(&mut world, too_small, |world| amend(world, alice, order_of_alice, 98, 2));
}

#[test]
fn amending_down_asks_for_no_price_no_margin_and_no_market() {
    let mut world = world();
    let alice = world.funded(1, 100_000);
    let order = rest(&mut world, alice, &limit(BID, 99, 9));
    let mut lots = 9;
    let mut less = |world: &mut World| {
        lots -= 1;
        assert_eq!(amend(world, alice, order, 99, lots), Ok(Some(order)));
    };
    let more = |world: &mut World, error| refused(world, error, |world| amend(world, alice, order, 98, 2));
    for (status, error) in [(2, EngineError::MarketNotActive), (3, EngineError::MarketNotActive)] {
        world.set_status(0, status);
        less(&mut world);
        more(&mut world, error);
    }
    world.set_status(0, 1);
    world.pass(100_000);
    less(&mut world);
    more(&mut world, EngineError::PriceNotValidForAction);
    world.set_price(0, 30);
    assert!(excess(&world, alice) < 0);
    less(&mut world);
    more(&mut world, EngineError::OrderOutsideBand);
}

#[test]
fn placing_anew_examines_margin_and_expiry() {
    let mut world = world();
    let alice = world.funded(1, 100_000);
    let order = rest(&mut world, alice, &until(limit(BID, 99, 5), 10));
    refused(&mut world, EngineError::BelowInitialMargin, |world| amend(world, alice, order, 99, 20));
    world.pass(10);
    world.set_price(0, 100);
    // Live in its last second, but no order can be placed with so little left.
    refused(&mut world, EngineError::OrderExpired, |world| amend(world, alice, order, 98, 5));
    assert_eq!(amend(&mut world, alice, order, 99, 4), Ok(Some(order)));
}

#[test]
fn an_amended_order_needs_no_room_but_its_own() {
    let mut world = world();
    let [alice, bob] = [1, 2].map(|owner| world.funded(owner, 100_000_000));
    let worst = rest(&mut world, alice, &limit(BID, 93, 1));
    for price in 94..99 {
        rest(&mut world, bob, &limit(BID, price, 1));
    }
    assert_eq!(book(&world, BID).len(), world.market(0).header.side_capacity() as usize);
    // Nobody is evicted for it, whether it becomes the best or stays the worst.
    let best = amend(&mut world, alice, worst, 99, 2).unwrap().unwrap();
    assert_eq!((book(&world, BID).len(), book(&world, BID)[0]), (6, (99, 2, 7)));
    amend(&mut world, alice, best, 92, 3).unwrap();
    assert_eq!((book(&world, BID).len(), book(&world, BID)[5]), (6, (92, 3, 8)));
}

#[test]
fn an_amended_order_obeys_the_limits() {
    let mut world = world();
    let alice = world.funded(1, 100_000_000);
    let order = rest(&mut world, alice, &limit(BID, 99, 5));
    for price in [98, 97] {
        rest(&mut world, alice, &limit(BID, price, 17));
    }
    // 40 lots are the most.
    refused(&mut world, EngineError::PositionTooLarge, |world| amend(world, alice, order, 99, 7));
    assert!(amend(&mut world, alice, order, 99, 6).unwrap().is_some());
}

#[test]
fn attack_nobody_amends_the_order_of_another() {
    let mut world = world();
    let [alice, bob] = [1, 2].map(|owner| world.funded(owner, 100_000_000));
    let sibling = world.open(1, 1).unwrap();
    let order = rest(&mut world, alice, &limit(BID, 99, 5));
    let other = OrderHandle::new(order.node, Sequence::new(2));
    let nowhere = [NodeIndex::new(1), NodeIndex::new(1_000_000), NodeIndex::NIL]
        .map(|node| [order.sequence, Sequence::ZERO].map(|sequence| OrderHandle::new(node, sequence)));
    for trader in [bob, sibling] {
        refused(&mut world, EngineError::OrderNotFound, |world| amend(world, trader, order, 99, 1));
    }
    for handle in nowhere.as_flattened().iter().chain([&other]) {
        refused(&mut world, EngineError::OrderNotFound, |world| amend(world, alice, *handle, 99, 1));
    }
}

// ---- Many at a time

#[test]
fn a_batch_cancels_what_is_left_of_it() {
    let mut world = world();
    let [alice, bob] = [1, 2].map(|owner| world.funded(owner, 100_000_000));
    let orders = [95, 99, 97].map(|price| rest(&mut world, alice, &limit(BID, price, 2)));
    let of_bob = rest(&mut world, bob, &limit(BID, 98, 1));
    // The best one is filled in between.
    world.place(0, bob, &order(ASK, OrderKind::ImmediateOrCancel, 99, 2)).unwrap();
    let stray = OrderHandle::new(NodeIndex::NIL, Sequence::new(1));
    let batch = [orders[2], orders[1], of_bob, stray, orders[0], orders[0]];
    assert_eq!(cancel_orders(&mut world, alice, &batch), Ok(2));
    assert_eq!(newest_events(&world, 2), [(TradeEventKind::Cancelled, 3, 2), (TradeEventKind::Cancelled, 1, 2)]);
    assert_eq!(book(&world, BID), [(98, 1, 4)]);
    let before: Vec<Vec<u64>> = world.accounts().map(<[u64]>::to_vec).collect();
    assert_eq!(cancel_orders(&mut world, alice, &batch), Ok(0), "none is left, which is no error");
    assert!(world.accounts().eq(before.iter().map(Vec::as_slice)));
}

#[test]
fn attack_a_batch_does_not_reach_a_later_order_in_the_same_node() {
    let mut world = world();
    let alice = world.funded(1, 100_000_000);
    let old = rest(&mut world, alice, &limit(BID, 99, 1));
    assert_eq!(cancel_orders(&mut world, alice, &[old]), Ok(1));
    let new = rest(&mut world, alice, &limit(BID, 99, 1));
    assert_eq!(new.node, old.node);
    assert_eq!(cancel_orders(&mut world, alice, &[old]), Ok(0));
    assert_eq!(book(&world, BID).len(), 1);
}

// ---- By client id

#[test]
fn a_client_id_names_one_live_order_of_the_trader() {
    let mut world = world();
    let [alice, bob] = [1, 2].map(|owner| world.funded(owner, 100_000_000));
    let stranger = world.funded(3, 1);
    for (trader, client_id, price) in [(alice, 1, 95), (alice, 2, 96), (alice, 0, 97), (bob, 3, 98)] {
        rest(&mut world, trader, &NewOrder { client_id, ..limit(BID, price, 1) });
    }
    // Of none, of another trader, without a position.
    for (trader, client_id) in [(alice, 0), (alice, 3), (alice, u64::MAX), (stranger, 1)] {
        refused(&mut world, EngineError::OrderNotFound, |world| cancel_by_client_id(world, trader, client_id));
    }
    assert_eq!(cancel_by_client_id(&mut world, alice, 1), Ok(()));
    assert_eq!(book(&world, BID), [(98, 1, 4), (97, 1, 3), (96, 1, 2)]);
    refused(&mut world, EngineError::OrderNotFound, |world| cancel_by_client_id(world, alice, 1));
}

#[test]
fn an_expired_order_is_found_by_its_client_id() {
    let mut world = world();
    let alice = world.funded(1, 100_000_000);
    let order = until(NewOrder { client_id: 5, ..limit(BID, 95, 1) }, 3);
    rest(&mut world, alice, &order);
    world.pass(100);
    assert_eq!(cancel_by_client_id(&mut world, alice, 5), Ok(()));
    assert_eq!(newest_events(&world, 1), [(TradeEventKind::Cancelled, 1, 1)]);
}

// ---- The dead-man switch

#[test]
fn the_dead_mans_orders_go_after_the_last_second_and_not_in_it() {
    let mut world = world();
    let alice = world.funded(1, 100_000_000);
    rest(&mut world, alice, &limit(BID, 95, 1));
    refused(&mut world, EngineError::HeartbeatAlive, |world| enforce(world, alice, 255));
    heartbeat(&mut world, alice, 5);
    world.pass(5);
    refused(&mut world, EngineError::HeartbeatAlive, |world| enforce(world, alice, 255));
    heartbeat(&mut world, alice, 5);
    world.pass(5);
    refused(&mut world, EngineError::HeartbeatAlive, |world| enforce(world, alice, 255));
    world.pass(1);
    assert_eq!(enforce(&mut world, alice, 255), Ok(1));
    assert_eq!(newest_events(&world, 1), [(TradeEventKind::DeadmanCancelled, 1, 1)]);
    refused(&mut world, EngineError::NothingToClose, |world| enforce(world, alice, 255));
}

#[test]
fn a_switch_that_is_off_never_runs_out() {
    let mut world = world();
    let alice = world.funded(1, 100_000_000);
    rest(&mut world, alice, &limit(BID, 95, 1));
    heartbeat(&mut world, alice, 5);
    world.pass(1_000);
    heartbeat(&mut world, alice, 0);
    world.pass(1_000_000);
    refused(&mut world, EngineError::HeartbeatAlive, |world| enforce(world, alice, 255));
}

#[test]
fn the_dead_mans_orders_go_newest_first_and_those_that_reduce_stay() {
    let mut world = world();
    let [alice, bob] = [1, 2].map(|owner| world.funded(owner, 100_000_000));
    long(&mut world, alice);
    heartbeat(&mut world, alice, 5);
    for order in [limit(BID, 95, 1), limit(ASK, 105, 1), reducing(ASK, 104, 2), limit(BID, 94, 1)] {
        rest(&mut world, alice, &order);
    }
    rest(&mut world, bob, &limit(BID, 93, 1));
    world.pass(100_000);
    world.set_status(0, 2);
    assert_eq!(enforce(&mut world, alice, 2), Ok(2));
    assert_eq!((book(&world, BID), book(&world, ASK)), (vec![(95, 1, 2), (93, 1, 6)], vec![(104, 2, 4)]));
    assert_eq!(enforce(&mut world, alice, 255), Ok(1));
    assert_eq!((book(&world, BID), book(&world, ASK)), (vec![(93, 1, 6)], vec![(104, 2, 4)]));
    refused(&mut world, EngineError::NothingToClose, |world| enforce(world, alice, 255));
    // Nobody else's are touched, and who never traded here has none.
    let carol = world.open(3, 0).unwrap();
    refused(&mut world, EngineError::HeartbeatAlive, |world| enforce(world, bob, 255));
    heartbeat(&mut world, carol, 5);
    world.pass(6);
    refused(&mut world, EngineError::NothingToClose, |world| enforce(world, carol, 255));
}

#[test]
fn attack_a_later_account_in_the_cell_does_not_inherit_the_switch() {
    let mut world = world();
    let alice = world.open(1, 0).unwrap();
    heartbeat(&mut world, alice, 5);
    world.close(alice).unwrap();
    let bob = world.funded(2, 100_000_000);
    assert_eq!(bob, alice);
    rest(&mut world, bob, &limit(BID, 95, 1));
    world.pass(100);
    refused(&mut world, EngineError::HeartbeatAlive, |world| enforce(world, bob, 255));
}

#[test]
fn the_times_a_switch_can_be_set_to() {
    let (least, most) = (DEADMAN_SECONDS_MIN, DEADMAN_SECONDS_MAX);
    assert!([0, least, least + 1, 60, most].into_iter().all(account::is_deadman_time));
    assert!(![1, least - 1, most + 1, u32::MAX].into_iter().any(account::is_deadman_time));
}

// ---- Expired orders

#[test]
fn anybody_drops_what_has_expired_and_only_that() {
    let mut world = world();
    let [alice, bob] = [1, 2].map(|owner| world.funded(owner, 100_000_000));
    let first = rest(&mut world, alice, &until(limit(BID, 95, 1), 3));
    let second = rest(&mut world, bob, &until(limit(ASK, 105, 2), 4));
    let endless = rest(&mut world, alice, &limit(BID, 94, 3));
    let batch = [endless, first, second, first];
    world.pass(3);
    // Its last second is one in which it can be filled.
    refused(&mut world, EngineError::NothingToClose, |world| drop_expired(world, &batch));
    world.pass(1);
    assert_eq!(drop_expired(&mut world, &batch), Ok(1));
    assert_eq!((book(&world, BID), book(&world, ASK).len()), (vec![(94, 3, 3)], 1));
    world.pass(1);
    let written = events_written(&world);
    assert_eq!(drop_expired(&mut world, &batch), Ok(1));
    assert_eq!(
        (events_written(&world), newest_events(&world, 1)),
        (written + 1, vec![(TradeEventKind::Expired, 2, 2)])
    );
    let market = world.market(0);
    let event = quantdesk_engine::slab::ring::iter(market.events, market.header.events_written).last().unwrap();
    assert_eq!((event.maker, event.taker), (bob, CellIndex::NIL));
    assert_eq!(world.position(0, bob).unwrap().open_ask_lots, Lots::ZERO);
    refused(&mut world, EngineError::NothingToClose, |world| drop_expired(world, &batch));
}

#[test]
fn attack_a_stale_hint_does_not_drop_a_later_order_in_the_node() {
    let mut world = world();
    let alice = world.funded(1, 100_000_000);
    let old = rest(&mut world, alice, &until(limit(BID, 95, 1), 3));
    assert_eq!(cancel_orders(&mut world, alice, &[old]), Ok(1));
    let new = rest(&mut world, alice, &until(limit(BID, 95, 1), 3));
    assert_eq!(new.node, old.node);
    world.pass(10);
    refused(&mut world, EngineError::NothingToClose, |world| drop_expired(world, &[old]));
    assert_eq!(drop_expired(&mut world, &[new]), Ok(1));
}
