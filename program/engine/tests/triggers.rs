//! Conditional orders, one rule at a time. Mark 100, a lot of a tick is 1,000 atoms, the band is ten ticks.

#[allow(dead_code, reason = "every test binary uses its part")]
mod support;

use quantdesk_engine::{
    CellIndex, EngineError, Lots, Ppm, QuoteAtoms, Result, Sequence, Side, Ticks, UnixSeconds, account,
    book::{NewOrder, NewTrigger, OrderHandle, OrderKind, Quote, Replacement, Sides, TriggerHandle},
    risk::{life, shortfall},
    slab::ring,
    state::{CashEventKind, Condition, Reference, TradeEventKind, TriggerCell},
};
use support::{World, listing, world::order};

const BID: Side = Side::Bid;
const ASK: Side = Side::Ask;
const CAPITAL: u64 = 10_000_000;
const TIP: u64 = 1_000;

/// A world with somebody who is long ten lots, somebody who quotes, and a keeper.
struct Stage {
    world: World,
    long: CellIndex,
    house: CellIndex,
    keeper: CellIndex,
}

fn stage() -> Stage {
    let mut listing = listing::usual();
    listing.side_capacity = 20;
    let mut world = World::new(&[listing], 64);
    world.set_price(0, 100);
    let [long, house, keeper] = [1, 2, 3].map(|owner| world.funded(owner, CAPITAL));
    let mut stage = Stage { world, long, house, keeper };
    stage.rest(house, ASK, 100, 10);
    stage.take(long, BID, 100, 10);
    assert_eq!(stage.base(), 10);
    stage
}

impl Stage {
    fn base(&self) -> i64 {
        self.world.base(0, self.long)
    }

    fn rest(&mut self, trader: CellIndex, side: Side, price: u32, lots: u64) -> OrderHandle {
        self.rest_as(trader, &order(side, OrderKind::PostOnly, price, lots))
    }

    fn rest_as(&mut self, trader: CellIndex, order: &NewOrder) -> OrderHandle {
        let (node, sequence) = self.world.place(0, trader, order).unwrap().resting.unwrap();
        self.check();
        OrderHandle::new(node, sequence)
    }

    fn take(&mut self, trader: CellIndex, side: Side, price: u32, lots: u64) {
        self.world.place(0, trader, &order(side, OrderKind::ImmediateOrCancel, price, lots)).unwrap();
        self.check();
    }

    fn try_trigger(&mut self, new: &NewTrigger) -> Result<TriggerHandle> {
        let long = self.long;
        let placed = self.world.trading(0, |trading| trading.place_trigger(long, new));
        self.check();
        placed
    }

    #[track_caller]
    fn trigger(&mut self, new: &NewTrigger) -> TriggerHandle {
        self.try_trigger(new).unwrap()
    }

    fn execute(&mut self, handles: &[TriggerHandle]) -> Result<u8> {
        let keeper = self.keeper;
        let done = self.world.trading(0, |trading| trading.execute_triggers(keeper, handles.iter().copied()));
        self.check();
        done
    }

    fn cell(&self, handle: TriggerHandle) -> Option<TriggerCell> {
        let found = self.world.view().cells[handle.cell.as_usize()].trigger().copied();
        found.filter(|trigger| trigger.number == handle.number)
    }

    fn lots(&self, handle: TriggerHandle) -> u64 {
        self.cell(handle).unwrap().lots.get()
    }

    /// What the keeper has earned.
    fn earned(&self) -> i64 {
        self.world.cash(self.keeper) - CAPITAL as i64
    }

    #[track_caller]
    fn check(&self) {
        assert_eq!(self.world.check(), Ok(()));
    }

    /// Kinds of the last records of the market.
    fn kinds(&self, last: usize) -> Vec<TradeEventKind> {
        let market = self.world.market(0);
        let kinds: Vec<_> =
            ring::iter(market.events, market.header.events_written).map(|event| event.kind().unwrap()).collect();
        kinds[kinds.len() - last..].to_vec()
    }

    fn bids(&self) -> Vec<(u32, u64, u64)> {
        let market = self.world.market(0);
        market.orders(BID).map(|(_, node)| (node.price.get(), node.lots.get(), node.client_id)).collect()
    }
}

/// A sell at or below this mark, of all ten lots, with a tip.
fn stop(price: u32) -> NewTrigger {
    NewTrigger {
        condition: Condition::Below,
        reference: Reference::Mark,
        side: ASK,
        reduce_only: true,
        price: Ticks::new(price),
        distance: Ticks::ZERO,
        limit: Ticks::ZERO,
        slippage: Ppm::new(50_000),
        lots: Lots::new(10),
        share: Ppm::ZERO,
        tip: QuoteAtoms::new(TIP),
        client_id: 0,
        parent: 0,
        group: 0,
        expires_at: UnixSeconds::ZERO,
        interval: 0,
        slices: 0,
    }
}

fn profit(price: u32) -> NewTrigger {
    NewTrigger { condition: Condition::Above, ..stop(price) }
}

fn child(parent: u64, trigger: NewTrigger) -> NewTrigger {
    NewTrigger { parent, lots: Lots::ZERO, ..trigger }
}

#[test]
fn a_stop_fires_when_its_price_is_reached_and_once() {
    let mut stage = stage();
    let cash = stage.world.cash(stage.long);
    let handle = stage.trigger(&stop(95));
    assert_eq!(stage.world.cash(stage.long), cash - TIP as i64);
    assert_eq!(stage.kinds(1), [TradeEventKind::TriggerPlaced]);
    stage.rest(stage.house, BID, 93, 20);
    stage.world.set_price(0, 96);
    assert_eq!(stage.execute(&[handle]), Err(EngineError::NoTriggerDue));
    stage.world.set_price(0, 95);
    assert_eq!(stage.execute(&[handle, handle]), Ok(1));
    assert_eq!((stage.base(), stage.earned(), stage.cell(handle)), (0, TIP as i64, None));
    let fired = [TradeEventKind::Filled, TradeEventKind::TriggerFired, TradeEventKind::TriggerRemoved];
    assert_eq!(stage.kinds(3), fired);
    assert_eq!(stage.execute(&[handle]), Err(EngineError::NoTriggerDue));
}

#[test]
fn it_takes_no_further_than_its_slippage_and_the_band() {
    let mut stage = stage();
    let near = stage.trigger(&NewTrigger { slippage: Ppm::new(20_000), ..stop(100) });
    // 98 is two percent from 100; one tick further is not.
    let far = stage.rest(stage.house, BID, 97, 10);
    assert_eq!(stage.execute(&[near]), Err(EngineError::NoTriggerDue));
    stage.rest(stage.house, BID, 98, 3);
    assert_eq!(stage.execute(&[near]), Ok(1));
    assert_eq!((stage.base(), stage.lots(near)), (7, 7));
    stage.world.cancel(0, stage.house, far.node, far.sequence).unwrap();
    // The band ends at 90, whatever the slippage.
    let wide = stage.trigger(&NewTrigger { slippage: Ppm::new(1_000_000), ..stop(100) });
    stage.rest(stage.house, BID, 89, 10);
    assert_eq!(stage.execute(&[wide]), Err(EngineError::NoTriggerDue));
    stage.rest(stage.house, BID, 90, 10);
    assert_eq!(stage.execute(&[wide]), Ok(1));
    assert_eq!(stage.base(), 0);
}

#[test]
fn parts_pay_parts_of_the_tip_and_nothing_pays_nothing() {
    let mut stage = stage();
    let handle = stage.trigger(&NewTrigger { tip: QuoteAtoms::new(999), ..stop(100) });
    assert_eq!(stage.execute(&[handle]), Err(EngineError::NoTriggerDue));
    for (lots, earned) in [(3, 299), (1, 399), (6, 999)] {
        stage.rest(stage.house, BID, 100, lots);
        assert_eq!(stage.execute(&[handle]), Ok(1));
        assert_eq!(stage.earned(), earned);
    }
    assert_eq!((stage.base(), stage.cell(handle)), (0, None));
}

#[test]
fn a_limit_trigger_rests_and_is_done() {
    let mut stage = stage();
    let limited = NewTrigger { limit: Ticks::new(98), slippage: Ppm::ZERO, client_id: 7, ..stop(99) };
    let handle = stage.trigger(&limited);
    stage.rest(stage.house, BID, 98, 4);
    stage.world.set_price(0, 99);
    assert_eq!(stage.execute(&[handle]), Ok(1));
    assert_eq!((stage.base(), stage.cell(handle), stage.earned()), (6, None, TIP as i64));
    let market = stage.world.market(0);
    let (_, rests) = market.orders(ASK).next().unwrap();
    assert_eq!((rests.lots.get(), rests.client_id, rests.is_reduce_only()), (6, 7, true));
    // A live order has the id now; the next trigger fires without it.
    let again = stage.trigger(&NewTrigger { limit: Ticks::new(101), ..limited });
    assert_eq!(stage.execute(&[again]), Ok(1));
    // Outside the band it waits.
    let outside = stage.trigger(&NewTrigger { limit: Ticks::new(80), ..limited });
    assert_eq!(stage.execute(&[outside]), Err(EngineError::NoTriggerDue));
}

#[test]
fn a_share_is_of_the_position_at_its_first_execution() {
    let mut stage = stage();
    let third = NewTrigger { lots: Lots::ZERO, share: Ppm::new(399_999), ..stop(100) };
    let handle = stage.trigger(&third);
    stage.rest(stage.house, BID, 100, 2);
    assert_eq!(stage.execute(&[handle]), Ok(1));
    assert_eq!((stage.base(), stage.lots(handle), stage.cell(handle).unwrap().share), (8, 1, Ppm::ZERO));
    stage.rest(stage.house, BID, 100, 2);
    assert_eq!(stage.execute(&[handle]), Ok(1));
    assert_eq!((stage.base(), stage.cell(handle)), (7, None));
}

#[test]
fn a_trailing_stop_follows_and_fires() {
    let mut stage = stage();
    let trailing =
        NewTrigger { condition: Condition::Trailing, price: Ticks::ZERO, distance: Ticks::new(3), ..stop(1) };
    let handle = stage.trigger(&trailing);
    assert_eq!(stage.cell(handle).unwrap().price, Ticks::new(100));
    for (price, extreme) in [(99, 100), (104, 104), (102, 104), (105, 105)] {
        stage.world.set_price(0, price);
        let moved = if extreme == price { Ok(1) } else { Err(EngineError::NoTriggerDue) };
        assert_eq!(stage.execute(&[handle]), moved);
        assert_eq!(stage.cell(handle).unwrap().price, Ticks::new(extreme));
    }
    assert_eq!((stage.earned(), stage.kinds(1)), (0, vec![TradeEventKind::TriggerMoved]));
    stage.rest(stage.house, BID, 101, 10);
    stage.world.set_price(0, 103);
    assert_eq!(stage.execute(&[handle]), Err(EngineError::NoTriggerDue));
    stage.world.set_price(0, 102);
    assert_eq!(stage.execute(&[handle]), Ok(1));
    assert_eq!(stage.base(), 0);
}

#[test]
fn slices_come_one_by_one() {
    let mut stage = stage();
    let sliced = NewTrigger { condition: Condition::Twap, price: Ticks::ZERO, slices: 3, interval: 10, ..stop(1) };
    let handle = stage.trigger(&sliced);
    stage.rest(stage.house, BID, 99, 20);
    for (base, tip) in [(7, 300), (4, 600), (0, 1_000)] {
        assert_eq!(stage.execute(&[handle]), Ok(1));
        assert_eq!((stage.base(), stage.earned()), (base, tip));
        assert_eq!(stage.execute(&[handle]), Err(EngineError::NoTriggerDue));
        stage.world.pass(9);
        assert_eq!(stage.execute(&[handle]), Err(EngineError::NoTriggerDue));
        stage.world.pass(1);
    }
    assert_eq!(stage.cell(handle), None);
}

#[test]
fn a_slice_that_finds_nothing_is_not_lost() {
    let mut stage = stage();
    let sliced = NewTrigger { condition: Condition::Twap, price: Ticks::ZERO, slices: 2, interval: 10, ..stop(1) };
    let handle = stage.trigger(&sliced);
    assert_eq!(stage.execute(&[handle]), Err(EngineError::NoTriggerDue));
    stage.rest(stage.house, BID, 99, 1);
    assert_eq!(stage.execute(&[handle]), Ok(1));
    let cell = stage.cell(handle).unwrap();
    assert_eq!((cell.lots.get(), cell.slices), (9, 1));
    stage.world.pass(10);
    stage.rest(stage.house, BID, 99, 4);
    assert_eq!(stage.execute(&[handle]), Ok(1));
    let cell = stage.cell(handle).unwrap();
    assert_eq!((cell.lots.get(), cell.slices), (5, 1), "the last one goes on until all is done");
}

#[test]
fn one_leg_cancels_the_other_within_one_instruction() {
    let mut stage = stage();
    let lower = stage.trigger(&NewTrigger { group: 4, ..stop(100) });
    let upper = stage.trigger(&NewTrigger { group: 4, ..profit(100) });
    let other = stage.trigger(&NewTrigger { group: 5, ..profit(110) });
    stage.rest(stage.house, BID, 100, 20);
    let cash = stage.world.cash(stage.long);
    assert_eq!(stage.execute(&[upper, lower]), Ok(1));
    assert_eq!((stage.cell(lower), stage.cell(upper)), (None, None));
    assert!(stage.cell(other).is_some());
    assert_eq!(stage.earned(), TIP as i64, "one tip");
    assert!(stage.world.cash(stage.long) > cash + TIP as i64 - 1_000, "the other went back");
}

#[test]
fn a_leg_that_adds_cancels_the_others_at_its_first_fill() {
    let mut stage = stage();
    let entry = NewTrigger { side: BID, reduce_only: false, group: 9, lots: Lots::new(6), ..stop(100) };
    let below = stage.trigger(&entry);
    let above = stage.trigger(&NewTrigger { condition: Condition::Above, price: Ticks::new(105), ..entry });
    stage.rest(stage.house, ASK, 101, 1);
    assert_eq!(stage.execute(&[below]), Ok(1));
    assert_eq!((stage.base(), stage.lots(below), stage.cell(above)), (11, 5, None));
}

#[test]
fn what_is_left_of_an_adding_one_below_the_smallest_order_goes() {
    let mut listing = listing::usual();
    (listing.side_capacity, listing.lots_min) = (20, Lots::new(3));
    let mut world = World::new(&[listing], 64);
    world.set_price(0, 100);
    let [long, house, keeper] = [1, 2, 3].map(|owner| world.funded(owner, CAPITAL));
    let mut stage = Stage { world, long, house, keeper };
    stage.rest(house, ASK, 100, 8);
    let entry = NewTrigger { side: BID, reduce_only: false, ..stop(100) };
    let handle = stage.trigger(&entry);
    assert_eq!(stage.execute(&[handle]), Ok(1));
    assert_eq!((stage.base(), stage.cell(handle), stage.earned()), (8, None, 800));
}

#[test]
fn fills_of_a_resting_parent_arm_its_children() {
    let mut stage = stage();
    let parent = NewOrder { client_id: 5, ..order(BID, OrderKind::PostOnly, 99, 8) };
    let loss = stage.trigger(&NewTrigger { group: 1, ..child(5, stop(95)) });
    let handle = stage.rest_as(stage.long, &parent);
    let gain = stage.trigger(&NewTrigger { group: 1, ..child(5, profit(105)) });
    assert_eq!((stage.lots(loss), stage.lots(gain)), (0, 0));
    stage.take(stage.house, ASK, 99, 3);
    assert_eq!((stage.lots(loss), stage.lots(gain)), (3, 3));
    stage.take(stage.house, ASK, 99, 2);
    assert_eq!((stage.lots(loss), stage.lots(gain)), (5, 5));
    stage.world.cancel(0, stage.long, handle.node, handle.sequence).unwrap();
    stage.check();
    assert_eq!((stage.lots(loss), stage.cell(loss).unwrap().parent), (5, 0));
    // The other order with that id is none of theirs.
    stage.rest_as(stage.long, &parent);
    stage.take(stage.house, ASK, 99, 2);
    assert_eq!((stage.lots(loss), stage.lots(gain)), (5, 5));
}

#[test]
fn a_parent_that_takes_arms_its_children_at_once() {
    let mut stage = stage();
    let loss = stage.trigger(&child(5, stop(95)));
    let same_side = stage.trigger(&child(5, NewTrigger { side: BID, ..profit(95) }));
    stage.rest(stage.house, ASK, 100, 4);
    let taking = NewOrder { client_id: 5, ..order(BID, OrderKind::ImmediateOrCancel, 100, 6) };
    stage.world.place(0, stage.long, &taking).unwrap();
    stage.check();
    assert_eq!((stage.lots(loss), stage.cell(loss).unwrap().parent), (4, 0));
    assert_eq!(stage.lots(same_side), 0, "it waits for a sell");
}

#[test]
fn children_go_with_a_parent_that_filled_nothing() {
    let ways: [fn(&mut Stage, OrderHandle) -> Result<()>; 5] = [
        |stage, handle| stage.world.cancel(0, stage.long, handle.node, handle.sequence),
        |stage, _| stage.world.cancel_all(0, stage.long, Sides::Both, 9).map(|_| ()),
        |stage, handle| {
            stage.world.pass(11);
            stage.world.trading(0, |trading| trading.drop_expired([handle].into_iter()).map(|_| ()))
        },
        |stage, _| {
            let quotes = [Quote::new(BID, Ticks::new(98), Lots::new(8))];
            let both = Some(Sides::Both);
            let wanted = Replacement { sequence: 1, sides: both, expires_at: UnixSeconds::ZERO, quotes: &quotes };
            let long = stage.long;
            stage.world.trading(0, |trading| trading.replace_quotes(long, &wanted).map(|_| ()))
        },
        |stage, _| {
            let long = stage.long;
            stage.world.ledger(|ledger, now| account::heartbeat(ledger, now, long, 5))?;
            stage.world.pass(6);
            stage.world.trading(0, |trading| trading.enforce_deadman(long, 9).map(|_| ()))
        },
    ];
    for way in ways {
        let mut stage = stage();
        let until = UnixSeconds::new(stage.world.now.unix_seconds.get() + 10);
        let parent = NewOrder { client_id: 5, expires_at: until, ..order(BID, OrderKind::PostOnly, 98, 8) };
        let handle = stage.rest_as(stage.long, &parent);
        let cash = stage.world.cash(stage.long);
        let loss = stage.trigger(&child(5, stop(95)));
        way(&mut stage, handle).unwrap();
        stage.check();
        assert_eq!((stage.cell(loss), stage.world.cash(stage.long)), (None, cash));
    }
}

#[test]
fn an_amended_parent_keeps_its_children() {
    let mut stage = stage();
    let parent = NewOrder { client_id: 5, ..order(BID, OrderKind::PostOnly, 98, 8) };
    let handle = stage.rest_as(stage.long, &parent);
    let loss = stage.trigger(&child(5, stop(95)));
    let (long, price) = (stage.long, Ticks::new(99));
    stage.world.trading(0, |trading| trading.amend_order(long, handle, price, Lots::new(9))).unwrap();
    stage.check();
    assert_eq!(stage.bids(), [(99, 9, 5)]);
    stage.take(stage.house, ASK, 99, 9);
    assert_eq!((stage.lots(loss), stage.cell(loss).unwrap().parent), (9, 0));
}

#[test]
fn a_done_child_is_armed_again_while_its_parent_rests() {
    let mut stage = stage();
    stage.rest_as(stage.long, &NewOrder { client_id: 5, ..order(BID, OrderKind::PostOnly, 99, 8) });
    let gain = stage.trigger(&NewTrigger { group: 1, ..child(5, profit(100)) });
    let loss = stage.trigger(&NewTrigger { group: 1, ..child(5, stop(80)) });
    stage.take(stage.house, ASK, 99, 3);
    // Three of eight lots, so three eighths of the tip.
    let bid = stage.rest(stage.house, BID, 100, 3);
    assert_eq!(stage.execute(&[gain]), Ok(1));
    assert_eq!((stage.base(), stage.lots(gain), stage.lots(loss), stage.earned()), (10, 0, 0, 375));
    assert!(stage.world.market(0).node(bid.node).is_none());
    stage.take(stage.house, ASK, 99, 5);
    assert_eq!((stage.lots(gain), stage.lots(loss)), (5, 5));
    stage.rest(stage.house, BID, 100, 5);
    assert_eq!(stage.execute(&[gain]), Ok(1));
    assert_eq!((stage.base(), stage.cell(gain), stage.cell(loss), stage.earned()), (10, None, None, TIP as i64));
}

#[test]
fn a_trigger_dies_with_the_position_it_was_for() {
    let mut stage = stage();
    let handle = stage.trigger(&stop(100));
    let cash = stage.world.cash(stage.long);
    stage.rest(stage.house, BID, 100, 12);
    stage.take(stage.long, ASK, 100, 12);
    stage.rest(stage.house, ASK, 100, 12);
    stage.take(stage.long, BID, 100, 12);
    assert_eq!(stage.base(), 10, "closed, short, and long again");
    stage.rest(stage.house, BID, 100, 10);
    let before = stage.world.cash(stage.long);
    assert_eq!(stage.execute(&[handle]), Ok(1), "removed, not executed");
    assert_eq!((stage.base(), stage.cell(handle), stage.earned()), (10, None, 0));
    assert_eq!(stage.world.cash(stage.long), before + TIP as i64);
    assert!(before < cash + 1_000_000);
}

#[test]
fn a_new_fill_of_the_parent_forgets_what_was_armed_for_another_position() {
    let mut stage = stage();
    stage.rest_as(stage.long, &NewOrder { client_id: 5, ..order(BID, OrderKind::PostOnly, 99, 8) });
    let loss = stage.trigger(&child(5, stop(100)));
    stage.take(stage.house, ASK, 99, 3);
    let house = stage.house;
    stage.rest(house, BID, 100, 13);
    stage.take(stage.long, ASK, 100, 13);
    assert_eq!(stage.base(), 0);
    assert_eq!(stage.execute(&[loss]), Err(EngineError::NoTriggerDue), "its parent may arm it again");
    stage.take(house, ASK, 99, 2);
    assert_eq!((stage.base(), stage.lots(loss)), (2, 2));
}

#[test]
fn an_expired_one_is_removed_by_anybody() {
    let mut stage = stage();
    let until = UnixSeconds::new(stage.world.now.unix_seconds.get() + 10);
    let handle = stage.trigger(&NewTrigger { expires_at: until, ..stop(100) });
    stage.rest(stage.house, BID, 100, 4);
    stage.world.pass(10);
    assert_eq!(stage.execute(&[handle]), Ok(1));
    assert_eq!(stage.lots(handle), 6, "its last second");
    stage.world.pass(1);
    stage.rest(stage.house, BID, 100, 4);
    assert_eq!(stage.execute(&[handle]), Ok(1));
    assert_eq!((stage.base(), stage.cell(handle), stage.earned()), (6, None, 400));
}

#[test]
fn without_a_price_that_counts_nothing_fires() {
    let mut stage = stage();
    let [mark, index, last] = [Reference::Mark, Reference::Index, Reference::Last]
        .map(|reference| stage.trigger(&NewTrigger { reference, lots: Lots::new(1), ..stop(100) }));
    stage.rest(stage.house, BID, 99, 10);
    // The last fill is as old as may be, and a fresh price comes.
    stage.world.pass(60);
    assert_eq!(stage.execute(&[last]), Ok(1));
    let again = stage.trigger(&NewTrigger { reference: Reference::Last, lots: Lots::new(1), ..stop(100) });
    stage.world.pass(1);
    for handle in [mark, index, again] {
        assert_eq!(stage.execute(&[handle]), Err(EngineError::NoTriggerDue), "soft-stale");
    }
    stage.world.set_price(0, 100);
    assert_eq!(stage.execute(&[mark]), Ok(1));
    assert_eq!(stage.execute(&[index]), Ok(1));
    stage.world.pass(61);
    stage.world.set_price(0, 100);
    assert_eq!(stage.execute(&[again]), Err(EngineError::NoTriggerDue), "the last fill is too old");
}

#[test]
fn a_last_fill_outside_the_band_does_not_count() {
    let mut stage = stage();
    let handle = stage.trigger(&NewTrigger { reference: Reference::Last, ..profit(100) });
    stage.rest(stage.house, BID, 101, 10);
    // The last fill was at 100. At a mark of 89 that is eleven ticks off, and the band eight.
    stage.world.set_price(0, 89);
    assert_eq!(stage.execute(&[handle]), Err(EngineError::NoTriggerDue));
    stage.world.set_price(0, 91);
    assert_eq!(stage.execute(&[handle]), Ok(1));
}

#[test]
fn a_silent_trader_keeps_its_protection() {
    let mut stage = stage();
    let protective = stage.trigger(&stop(90));
    let risky = stage.trigger(&NewTrigger { reduce_only: false, ..profit(120) });
    let long = stage.long;
    stage.world.ledger(|ledger, now| account::heartbeat(ledger, now, long, 5)).unwrap();
    stage.world.pass(6);
    let enforce = |stage: &mut Stage| stage.world.trading(0, |trading| trading.enforce_deadman(long, 9));
    assert_eq!(enforce(&mut stage), Ok(1));
    stage.check();
    assert_eq!((stage.cell(protective).is_some(), stage.cell(risky)), (true, None));
    assert_eq!(enforce(&mut stage), Err(EngineError::NothingToClose));
}

#[test]
fn tips_hide_nothing_from_those_who_pay_for_a_shortfall() {
    let mut stage = stage();
    let poor = stage.world.funded(7, 100_000);
    stage.rest(stage.house, ASK, 100, 10);
    stage.take(poor, BID, 100, 10);
    let new = stop(50);
    let handle = stage.world.trading(0, |trading| trading.place_trigger(poor, &new)).unwrap();
    stage.world.set_price(0, 85);
    let market = stage.world.market(0).header.index;
    stage.world.ledger(|ledger, now| shortfall::absorb_shortfall(ledger, now, poor, market)).unwrap();
    stage.check();
    let view = stage.world.view();
    let kinds: Vec<_> = ring::iter(view.events, view.header.events_written).map(|it| it.kind().unwrap()).collect();
    assert_eq!(kinds[kinds.len() - 2..], [CashEventKind::TipsReturned, CashEventKind::Bankrupt]);
    assert!(stage.cell(handle).unwrap().tip.is_zero());
    assert!(stage.world.trader(poor).is_bankrupt());
    // Of no use any more: anybody may have it removed, and nothing new is accepted.
    assert_eq!(stage.execute(&[handle]), Ok(1));
    let refused = stage.world.trading(0, |trading| trading.place_trigger(poor, &new));
    assert_eq!(refused, Err(EngineError::AccountBankrupt));
}

#[test]
fn a_market_ends_without_triggers_only() {
    let mut stage = stage();
    let handle = stage.trigger(&NewTrigger { tip: QuoteAtoms::ZERO, ..stop(50) });
    stage.rest(stage.house, BID, 100, 10);
    stage.take(stage.long, ASK, 100, 10);
    stage.world.set_status(0, 3);
    let close = |stage: &mut Stage| {
        let header = *stage.world.market(0).header;
        stage.world.ledger(|ledger, now| life::close_market(ledger, now, &header))
    };
    assert_eq!(close(&mut stage), Err(EngineError::MarketNotEmpty));
    assert_eq!(stage.execute(&[handle]), Ok(1));
    assert_eq!(close(&mut stage), Ok(()));
}

#[test]
fn an_account_with_triggers_stays_but_its_cash_may_go() {
    let mut stage = stage();
    let waiting = child(9, NewTrigger { tip: QuoteAtoms::ZERO, ..stop(50) });
    let fresh = stage.world.funded(8, 5_000);
    let handle = stage.world.trading(0, |trading| trading.place_trigger(fresh, &waiting)).unwrap();
    // L2: without size and orders no price is needed.
    stage.world.pass(100_000);
    stage.world.withdraw(fresh, 5_000).unwrap();
    assert_eq!(stage.world.close(fresh), Err(EngineError::TraderNotEmpty));
    stage.world.trading(0, |trading| trading.cancel_trigger(fresh, handle)).unwrap();
    assert_eq!(stage.world.close(fresh), Ok(()));
    stage.check();
}

#[test]
fn what_cannot_be_placed() {
    let mut stage = stage();
    let valid = stop(95);
    let with = |change: fn(&mut NewTrigger)| {
        let mut trigger = valid;
        change(&mut trigger);
        trigger
    };
    let inconsistent: [fn(&mut NewTrigger); 18] = [
        |it| it.price = Ticks::ZERO,
        |it| it.distance = Ticks::new(1),
        |it| it.slices = 2,
        |it| it.interval = 1,
        |it| it.lots = Lots::ZERO,
        |it| it.share = Ppm::new(1),
        |it| it.parent = 1,
        |it| it.limit = Ticks::new(100),
        |it| it.slippage = Ppm::new(1_000_001),
        |it| it.condition = Condition::Trailing,
        |it| it.condition = Condition::Twap,
        |it| (it.condition, it.price, it.slices, it.interval) = (Condition::Twap, Ticks::ZERO, 1, 1),
        |it| (it.condition, it.price, it.slices, it.interval) = (Condition::Twap, Ticks::ZERO, 1_001, 1),
        |it| (it.condition, it.price, it.slices, it.interval) = (Condition::Twap, Ticks::ZERO, 2, 86_401),
        |it| (it.condition, it.price, it.slices, it.interval) = (Condition::Twap, Ticks::ZERO, 2, 0),
        |it| (it.lots, it.share, it.reduce_only) = (Lots::ZERO, Ppm::new(1), false),
        |it| (it.lots, it.parent, it.reduce_only) = (Lots::ZERO, 1, false),
        |it| (it.lots, it.share) = (Lots::ZERO, Ppm::new(1_000_001)),
    ];
    for change in inconsistent {
        assert_eq!(stage.try_trigger(&with(change)), Err(EngineError::TriggerInvalid));
    }
    let refused: [(fn(&mut NewTrigger), EngineError); 8] = [
        (|it| it.price = Ticks::new(1_001), EngineError::OrderPriceOutOfRange),
        (|it| (it.limit, it.slippage) = (Ticks::new(1_001), Ppm::ZERO), EngineError::OrderPriceOutOfRange),
        (|it| it.lots = Lots::new(21), EngineError::OrderLotsOutOfRange),
        (|it| it.expires_at = UnixSeconds::new(1_000_000), EngineError::OrderExpired),
        (|it| it.side = BID, EngineError::ReduceOnlyNothingToReduce),
        (|it| it.tip = QuoteAtoms::new(1_001), EngineError::TriggerTipTooLarge),
        (
            |it| {
                (it.condition, it.price) = (Condition::Twap, Ticks::ZERO);
                (it.lots, it.slices, it.interval) = (Lots::new(41), 3, 1);
            },
            EngineError::OrderLotsOutOfRange,
        ),
        (
            |it| {
                (it.condition, it.price) = (Condition::Twap, Ticks::ZERO);
                (it.lots, it.slices, it.interval) = (Lots::new(2), 3, 1);
            },
            EngineError::OrderLotsOutOfRange,
        ),
    ];
    for (change, error) in refused {
        assert_eq!(stage.try_trigger(&with(change)), Err(error));
    }
    stage.world.set_status(0, 2);
    assert_eq!(stage.try_trigger(&with(|it| it.reduce_only = false)), Err(EngineError::MarketNotActive));
    stage.world.set_status(0, 1);
    for client_id in 1..=16 {
        stage.trigger(&NewTrigger { client_id, tip: QuoteAtoms::new(1), ..valid });
    }
    assert_eq!(stage.try_trigger(&with(|it| it.client_id = 16)), Err(EngineError::ClientIdInUse));
    assert_eq!(stage.try_trigger(&valid), Err(EngineError::TriggersTooMany));
    let poor = stage.world.funded(9, 10);
    let entry = with(|it| it.reduce_only = false);
    let placed = stage.world.trading(0, |trading| trading.place_trigger(poor, &entry));
    assert_eq!(placed, Err(EngineError::WithdrawExceedsAvailable));
}

#[test]
fn triggers_are_cancelled_by_name_and_by_nobody_else() {
    let mut stage = stage();
    let handle = stage.trigger(&NewTrigger { client_id: 3, ..stop(95) });
    let (long, house) = (stage.long, stage.house);
    let mut cancel = |trader, handle| stage.world.trading(0, |trading| trading.cancel_trigger(trader, handle));
    assert_eq!(cancel(house, handle), Err(EngineError::TriggerNotFound));
    let number = Sequence::new(handle.number.get() + 1);
    assert_eq!(cancel(long, TriggerHandle { number, ..handle }), Err(EngineError::TriggerNotFound));
    let mut by_id = |trader, id| stage.world.trading(0, |trading| trading.cancel_trigger_by_client_id(trader, id));
    assert_eq!(by_id(house, 3), Err(EngineError::TriggerNotFound));
    assert_eq!(by_id(long, 0), Err(EngineError::TriggerNotFound));
    assert_eq!(by_id(long, 3), Ok(()));
    assert_eq!(by_id(long, 3), Err(EngineError::TriggerNotFound));
    stage.check();
    assert_eq!(stage.world.market(0).header.triggers, 0);
}
