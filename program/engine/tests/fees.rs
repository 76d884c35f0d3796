//! Tiers, builders, referrers, the guard on the book, orders in a batch: exact amounts, exact refusals, and that nobody
//! earns by trading with himself.

#[allow(dead_code, reason = "every test binary uses its part")]
mod support;

use quantdesk_engine::{
    CellIndex, EngineError, Generation, Lots, Ppm, QuoteAtoms, Result, Side, SignedPpm, UnixSeconds,
    book::{Builder, NewOrder, ORDERS_MAX, OrderKind, Placed},
    partner::{self, BUILDER_MAX},
    risk::tier,
    slab::ring,
    state::{
        CashEventKind, Key, TradeEventKind, TraderCell,
        fees::{FeeSchedule, FeeTier},
        ledger::Policy,
    },
};
use support::{
    World, listing,
    world::{GENEROUS, order},
};

const BID: Side = Side::Bid;
const ASK: Side = Side::Ask;
const DAY: i64 = 86_400;
/// Value of a lot at the mark of 100.
const LOT: u64 = 100_000;
const RICH: u64 = 1 << 40;
const BANKRUPT_OFFSET: usize = 86;

fn schedule(tiers: &[(u64, u32)], share: u32) -> FeeSchedule {
    let mut given = [FeeTier::UNUSED; 4];
    for (place, (volume, discount)) in given.iter_mut().zip(tiers) {
        *place = FeeTier::new(QuoteAtoms::new(*volume), Ppm::new(*discount));
    }
    FeeSchedule::new(given, Ppm::new(share))
}

/// One market at a mark of 100: taker fee 450 ppm, rebate 150 ppm.
fn world(fees: FeeSchedule) -> World {
    let mut world = World::new(&[listing::usual()], 32);
    world.set_policy(Policy { fees, ..GENEROUS });
    world.set_price(0, 100);
    world
}

fn limit(side: Side, lots: u64) -> NewOrder {
    order(side, OrderKind::Limit, 100, lots)
}

fn taking(side: Side, lots: u64) -> NewOrder {
    order(side, OrderKind::ImmediateOrCancel, 100, lots)
}

#[track_caller]
fn place(world: &mut World, trader: CellIndex, order: &NewOrder) -> Placed {
    let placed = world.place(0, trader, order).unwrap();
    assert_eq!(world.check(), Ok(()));
    placed
}

fn named(world: &World, trader: CellIndex, fee: u32) -> Builder {
    Builder { trader, generation: world.trader(trader).generation, fee: Ppm::new(fee) }
}

fn place_for(world: &mut World, trader: CellIndex, order: &NewOrder, builder: &Builder) -> Result<Placed> {
    let placed = world.trading(0, |trading| trading.place_order_for(trader, order, builder));
    assert_eq!(world.check(), Ok(()));
    placed
}

fn allow(world: &mut World, trader: CellIndex, ppm: u16) {
    world.ledger(|ledger, now| partner::set_builder_max(ledger, now, trader, ppm)).unwrap();
}

fn refer(world: &mut World, trader: CellIndex, referrer: CellIndex) -> Result<()> {
    let generation = world.trader(referrer).generation;
    world.ledger(|ledger, now| partner::set_referrer(ledger, now, trader, referrer, generation))
}

fn mark_bankrupt(world: &mut World, trader: CellIndex) {
    let marked = world.ledger(|ledger, _| {
        bytemuck::bytes_of_mut(ledger.trader_mut(trader)?)[BANKRUPT_OFFSET] = 1;
        ledger.header.bankrupts += 1;
        Ok(())
    });
    marked.unwrap();
}

fn fees(world: &World) -> i64 {
    world.view().header.fees.get().get()
}

/// The newest records of the ledger: kind, market, cell, amount, cash afterwards.
fn records(world: &World, count: usize) -> Vec<(CashEventKind, u16, CellIndex, i64, i64)> {
    let view = world.view();
    let all: Vec<_> = ring::iter(view.events, view.header.events_written)
        .map(|event| (event.kind().unwrap(), event.market.get(), event.trader, event.amount, event.balance))
        .collect();
    all[all.len() - count..].to_vec()
}

fn bytes(world: &World) -> Vec<Vec<u64>> {
    world.accounts().map(<[u64]>::to_vec).collect()
}

// ---- Schedules and volume

#[test]
fn schedules_are_bounded() {
    let good = [
        schedule(&[], 0),
        schedule(&[(1, 1)], 500_000),
        schedule(&[(1, 1), (2, 2), (3, 3), (4, 4)], 1),
        schedule(&[(1, 1), (2, 2), (u64::MAX, 1_000_000)], 0),
    ];
    for fees in good {
        assert_eq!(Policy { fees, ..GENEROUS }.check(), Ok(()), "{fees:?}");
    }
    let bad = [
        schedule(&[], 500_001),
        schedule(&[], u32::MAX),
        schedule(&[(0, 1)], 0),
        schedule(&[(1, 0)], 0),
        schedule(&[(1, 1_000_001)], 0),
        schedule(&[(1, 1), (1, 2)], 0),
        schedule(&[(2, 1), (1, 2)], 0),
        schedule(&[(1, 2), (2, 2)], 0),
        schedule(&[(1, 2), (2, 1)], 0),
        schedule(&[(0, 0), (1, 1)], 0),
        schedule(&[(1, 1), (0, 0), (2, 2)], 0),
        schedule(&[(1, 1), (2, 2), (3, 3), (4, 1_000_001)], 0),
    ];
    for fees in bad {
        assert_eq!(Policy { fees, ..GENEROUS }.check(), Err(EngineError::FeeScheduleInvalid), "{fees:?}");
    }
}

/// Day by day, as it is defined.
fn faded_slowly(volume: u64, days: u64) -> u64 {
    let day = |volume: u128, _| volume * 29 / 30;
    if days > 30 { 0 } else { (0..days).fold(u128::from(volume), day) as u64 }
}

#[test]
fn volume_fades_by_a_thirtieth_a_day_and_is_gone_after_thirty_idle_days() {
    let mut trader = TraderCell::new(Key::ZERO, 0, Generation::new(1));
    for start in [0i64, 11, 65_535, 65_536, 20_000] {
        for volume in [0, 1, 29, 30, 31, 899, 900, 12_345_678_901, 1 << 62, u64::MAX] {
            for days in 0..70u64 {
                let first = UnixSeconds::new(start * DAY + DAY - 1);
                (trader.volume, trader.volume_day) = (QuoteAtoms::ZERO, 0);
                tier::add_volume(&mut trader, QuoteAtoms::new(volume), first);
                assert_eq!(trader.volume.get(), volume);
                let later = UnixSeconds::new(first.get() + days as i64 * DAY - (DAY - 1) * i64::from(days > 0));
                // From the last second of a day to the first one of a later day.
                assert_eq!(tier::volume(&trader, later).get(), faded_slowly(volume, days), "{volume} after {days}");
                let end = UnixSeconds::new(first.get() + days as i64 * DAY);
                assert_eq!(tier::volume(&trader, end), tier::volume(&trader, later), "the same all day long");
            }
        }
    }
    // What does not fit stays at the most there is.
    tier::add_volume(&mut trader, QuoteAtoms::MAX, UnixSeconds::new(90 * DAY));
    tier::add_volume(&mut trader, QuoteAtoms::new(1), UnixSeconds::new(90 * DAY));
    assert_eq!(trader.volume, QuoteAtoms::MAX);
}

/// Looking more often changes nothing, and steady trading keeps thirty days' worth.
#[test]
fn volume_does_not_depend_on_when_it_is_looked_at() {
    let mut trader = TraderCell::new(Key::ZERO, 0, Generation::new(1));
    for day in 0..1_000 {
        let now = UnixSeconds::new(day * DAY + 7);
        let before = tier::volume(&trader, now);
        assert_eq!(tier::volume(&trader, now), before);
        tier::add_volume(&mut trader, QuoteAtoms::new(1_000_000), now);
    }
    assert!((29_999_900..=30_000_000).contains(&trader.volume.get()), "{:?}", trader.volume);
}

#[test]
fn the_tier_is_that_of_the_volume_before_the_order_and_fades_with_it() {
    // One lot is worth 100,000 atoms: from ten lots on a tenth off, from twenty on nothing is charged.
    let mut world = world(schedule(&[(10 * LOT, 100_000), (20 * LOT, 1_000_000)], 0));
    let (maker, taker) = (world.funded(1, RICH), world.funded(2, RICH));
    place(&mut world, maker, &limit(ASK, 20));
    let take = |world: &mut World, lots| place(world, taker, &taking(BID, lots)).fee.get();
    assert_eq!(take(&mut world, 9), 9 * 45);
    assert_eq!(take(&mut world, 1), 45, "the volume before it is nine lots");
    assert_eq!(take(&mut world, 2), 2 * 81 / 2, "405 ppm of two lots");
    assert_eq!(world.trader(taker).volume.get(), 12 * LOT);
    assert_eq!(world.trader(maker).volume.get(), 0, "a maker's fills are none of a taker's");
    // Ten lots' worth after five days: 12 × (29/30)^5 is 10.13, and a day later it is not.
    world.pass(5 * DAY);
    world.set_price(0, 100);
    assert_eq!(take(&mut world, 1), 41, "405 ppm of one lot is 40.5");
    let volume = faded_slowly(12 * LOT, 5) + LOT;
    assert_eq!(world.trader(taker).volume.get(), volume);
    world.pass(4 * DAY);
    world.set_price(0, 100);
    assert!(faded_slowly(volume, 4) < 10 * LOT);
    assert_eq!(take(&mut world, 1), 45);
}

/// M5 with every tier: a maker never gets more of a fill than its taker pays.
#[test]
fn a_rebate_is_at_most_the_discounted_fee() {
    for discount in [1, 333_333, 666_667, 900_000, 999_999, 1_000_000] {
        let mut world = world(schedule(&[(1, discount)], 0));
        let (maker, taker) = (world.funded(1, RICH), world.funded(2, RICH));
        place(&mut world, maker, &limit(ASK, 20));
        place(&mut world, taker, &taking(BID, 1));
        let (before, rebated) = (fees(&world), world.cash(maker));
        let paid = place(&mut world, taker, &taking(BID, 3)).fee.get() as i64;
        let rate = (450 * u64::from(1_000_000 - discount)).div_ceil(1_000_000);
        assert_eq!(paid, (3 * LOT * rate).div_ceil(1_000_000) as i64, "{discount}");
        let rebate = world.cash(maker) - rebated;
        assert_eq!(rebate, (3 * LOT * rate.min(150) / 1_000_000) as i64);
        assert_eq!(fees(&world) - before, paid - rebate);
        assert!(rebate <= paid);
    }
}

/// A liquidation is charged in full: what an account may lose by it was computed with that.
#[test]
fn discounts_are_for_orders_alone() {
    let mut world = world(schedule(&[(1, 1_000_000)], 500_000));
    let (maker, loser, friend) = (world.funded(1, RICH), world.funded(2, 102_000), world.funded(3, RICH));
    refer(&mut world, loser, friend).unwrap();
    place(&mut world, maker, &limit(ASK, 10));
    place(&mut world, loser, &taking(BID, 10));
    assert_eq!(world.trader(loser).volume.get(), 10 * LOT);
    world.set_price(0, 92);
    place(&mut world, maker, &order(BID, OrderKind::Limit, 92, 10));
    let got = world.cash(friend);
    world.trading(0, |trading| trading.liquidate(maker, loser, 9)).unwrap();
    let market = world.market(0);
    let filled = ring::iter(market.events, market.header.events_written)
        .filter(|event| event.kind() == Some(TradeEventKind::Filled))
        .last();
    let filled = filled.unwrap();
    let value = u64::from(filled.price.get()) * 1_000 * filled.lots.get();
    assert_eq!(filled.taker_fee.get() as u64, (value * 450).div_ceil(1_000_000));
    assert_eq!(world.trader(loser).volume.get(), 10 * LOT, "counts for nothing");
    assert_eq!(world.cash(friend), got, "and pays no referrer");
}

// ---- Builders

#[test]
fn a_builder_is_paid_for_what_is_taken() {
    let mut world = world(FeeSchedule::NONE);
    let [maker, taker, builder] = [1, 2, 3].map(|owner| world.funded(owner, RICH));
    allow(&mut world, taker, 1_000);
    place(&mut world, maker, &order(ASK, OrderKind::Limit, 99, 1));
    place(&mut world, maker, &limit(ASK, 2));
    let of = named(&world, builder, 333);
    // 99,000 and 200,000 atoms taken, one lot rests.
    let cash = world.cash(taker);
    let placed = place_for(&mut world, taker, &limit(BID, 4), &of).unwrap();
    assert_eq!((placed.filled, placed.quote), (Lots::new(3), QuoteAtoms::new(299_000)));
    assert_eq!(placed.fee.get(), 45 + 90, "each fill rounded up");
    assert_eq!(placed.builder_fee.get(), 100, "333 ppm of 299,000 is 99.567");
    assert_eq!(world.cash(taker), cash - 135 - 100);
    assert_eq!(world.cash(builder), RICH as i64 + 100);
    let kind = CashEventKind::BuilderPaid;
    let expected = [(kind, 0, taker, -100, cash - 235), (kind, 0, builder, 100, RICH as i64 + 100)];
    assert_eq!(records(&world, 2), expected);
    // What rests pays no builder when it is filled, and what takes nothing pays nothing.
    place(&mut world, maker, &taking(ASK, 1));
    place_for(&mut world, taker, &taking(BID, 5), &of).unwrap();
    assert_eq!(world.cash(builder), RICH as i64 + 100);
}

#[test]
fn builders_are_refused_with_the_reason() {
    let mut world = world(FeeSchedule::NONE);
    let [maker, taker, builder, sibling, gone] = [1, 2, 3, 2, 5].map(|owner| world.funded(owner, RICH));
    place(&mut world, maker, &limit(ASK, 9));
    let of = |world: &World, trader, fee| named(world, trader, fee);
    let refused = |world: &mut World, builder: Builder, error: EngineError| {
        let before = bytes(world);
        assert_eq!(place_for(world, taker, &taking(BID, 1), &builder), Err(error));
        assert!(bytes(world) == before);
    };
    // Nothing is agreed to at first; a fee of nothing needs no agreement.
    let one = of(&world, builder, 1);
    refused(&mut world, one, EngineError::BuilderFeeTooHigh);
    allow(&mut world, taker, BUILDER_MAX);
    let high = of(&world, builder, u32::from(BUILDER_MAX) + 1);
    refused(&mut world, high, EngineError::BuilderFeeTooHigh);
    for trader in [taker, sibling] {
        let own = of(&world, trader, 1);
        refused(&mut world, own, EngineError::SelfBuilder);
    }
    let former = of(&world, gone, 1);
    refused(&mut world, Builder { generation: Generation::new(77), ..former }, EngineError::BuilderNotFound);
    let position = world.view().trader(maker).unwrap().first_position;
    for trader in [CellIndex::NIL, CellIndex::new(31), position] {
        refused(&mut world, Builder { trader, ..former }, EngineError::BuilderNotFound);
    }
    world.withdraw(gone, RICH).unwrap();
    world.close(gone).unwrap();
    refused(&mut world, former, EngineError::BuilderNotFound);
    // Its cell is another's now.
    assert_eq!(world.open(6, 0), Ok(gone));
    refused(&mut world, former, EngineError::BuilderNotFound);
    mark_bankrupt(&mut world, builder);
    refused(&mut world, one, EngineError::AccountBankrupt);
    let owner = world.trader(taker);
    assert_eq!((owner.volume.get(), owner.builder_max), (0, BUILDER_MAX));
}

/// What the pool has in a bankrupt account is not its owner's to pay a friend with.
#[test]
fn attack_a_bankrupt_account_pays_neither_builder_nor_referrer() {
    let mut world = world(schedule(&[], 500_000));
    let [maker, taker, friend] = [1, 2, 3].map(|owner| world.funded(owner, RICH));
    allow(&mut world, taker, BUILDER_MAX);
    refer(&mut world, taker, friend).unwrap();
    place(&mut world, maker, &limit(ASK, 9));
    place(&mut world, taker, &taking(BID, 5));
    let got = world.cash(friend);
    assert_eq!(got, RICH as i64 + (5 * (45 - 15)) / 2);
    mark_bankrupt(&mut world, taker);
    place(&mut world, maker, &order(BID, OrderKind::Limit, 99, 9));
    let reduce = NewOrder { reduce_only: true, ..order(ASK, OrderKind::ImmediateOrCancel, 99, 2) };
    let of = named(&world, friend, 1_000);
    assert_eq!(place_for(&mut world, taker, &reduce, &of), Err(EngineError::AccountBankrupt));
    let before = fees(&world);
    let placed = place(&mut world, taker, &reduce);
    assert_eq!(world.cash(friend), got);
    assert_eq!(fees(&world) - before, placed.fee.get() as i64 - 29, "all of it stays");
}

/// A builder's fee is charged before the margin is examined, also of orders that only reduce.
#[test]
fn attack_a_builder_cannot_be_paid_out_of_margin() {
    let requires = |lots: u64| 5_000 * lots;
    let mut world = world(FeeSchedule::NONE);
    let (maker, friend) = (world.funded(1, RICH), world.funded(3, RICH));
    // Ten lots need 50,000 of margin and 450 of fees; a builder at 1,000 ppm costs 1,000 more.
    let exact = requires(10) + 450 + 1_000;
    for (cash, expected) in [(exact, Ok(1_000)), (exact - 1, Err(EngineError::BelowInitialMargin))] {
        let taker = world.funded(cash + 100, cash);
        allow(&mut world, taker, BUILDER_MAX);
        place(&mut world, maker, &limit(ASK, 10));
        let of = named(&world, friend, 1_000);
        let placed = place_for(&mut world, taker, &taking(BID, 10), &of).map(|placed| placed.builder_fee.get());
        assert_eq!(placed, expected);
        if expected.is_ok() {
            // At the very margin: reducing frees 5,000 a lot, which is more than the builder's 100, so it may.
            place(&mut world, maker, &order(BID, OrderKind::Limit, 100, 1));
            let reduce = NewOrder { reduce_only: true, ..taking(ASK, 1) };
            assert_eq!(place_for(&mut world, taker, &reduce, &of).unwrap().builder_fee.get(), 100);
        } else {
            assert_eq!(place(&mut world, taker, &taking(BID, 10)).filled, Lots::new(10), "without one it may");
        }
    }
}

/// An account below its margin may reduce, but what reducing frees is not there for a builder beyond it.
#[test]
fn attack_reducing_with_a_builder_may_not_leave_the_account_worse() {
    let mut world = world(FeeSchedule::NONE);
    let (maker, friend) = (world.funded(1, RICH), world.funded(3, RICH));
    world.set_price(0, 106);
    let taker = world.funded(2, 60_000);
    allow(&mut world, taker, BUILDER_MAX);
    place(&mut world, maker, &order(ASK, OrderKind::Limit, 106, 9));
    place(&mut world, taker, &order(BID, OrderKind::ImmediateOrCancel, 106, 9));
    // Equity 14,570, initial margin 45,450. A lot frees 5,050 and, sold at 96, loses 5,000 and a fee of 44.
    world.set_price(0, 101);
    place(&mut world, maker, &order(BID, OrderKind::Limit, 96, 9));
    let reduce = NewOrder { reduce_only: true, ..order(ASK, OrderKind::ImmediateOrCancel, 96, 1) };
    for fee in [1_000, 63] {
        let of = named(&world, friend, fee);
        assert_eq!(place_for(&mut world, taker, &reduce, &of), Err(EngineError::BelowInitialMargin), "{fee}");
    }
    let of = named(&world, friend, 62);
    assert_eq!(place_for(&mut world, taker, &reduce, &of).unwrap().builder_fee.get(), 6, "all that is left of it");
}

// ---- Referrers

#[test]
fn a_referrer_gets_its_share_of_what_was_earned() {
    let mut world = world(schedule(&[], 333_333));
    let [maker, taker, friend] = [1, 2, 3].map(|owner| world.funded(owner, RICH));
    refer(&mut world, taker, friend).unwrap();
    let kind = CashEventKind::ReferrerSet;
    assert_eq!(records(&world, 1), [(kind, 0, taker, i64::from(friend.get()), RICH as i64)]);
    place(&mut world, maker, &limit(ASK, 7));
    let (cash, before) = (world.cash(taker), fees(&world));
    let placed = place(&mut world, taker, &taking(BID, 7));
    // 315 charged, 105 given back to the maker: 69.99 of the 210 that are left.
    assert_eq!((placed.fee.get(), world.cash(taker)), (315, cash - 315), "costs the taker nothing");
    assert_eq!(world.cash(friend), RICH as i64 + 69);
    assert_eq!(fees(&world) - before, 210 - 69);
    assert_eq!(records(&world, 1), [(CashEventKind::ReferrerPaid, 0, friend, 69, RICH as i64 + 69)]);
    // As a maker it refers nobody.
    place(&mut world, taker, &limit(ASK, 7));
    place(&mut world, maker, &taking(BID, 7));
    assert_eq!(world.cash(friend), RICH as i64 + 69);
}

/// Where makers pay, too, what they pay is not shared.
#[test]
fn a_referrer_has_no_part_of_the_makers_fee() {
    let mut listing = listing::usual();
    listing.maker_fee = SignedPpm::new(450);
    let mut world = World::new(&[listing], 32);
    world.set_policy(Policy { fees: schedule(&[], 500_000), ..GENEROUS });
    world.set_price(0, 100);
    let [maker, taker, friend] = [1, 2, 3].map(|owner| world.funded(owner, RICH));
    refer(&mut world, taker, friend).unwrap();
    place(&mut world, maker, &limit(ASK, 2));
    assert_eq!(place(&mut world, taker, &taking(BID, 2)).fee.get(), 90);
    assert_eq!((world.cash(friend), fees(&world)), (RICH as i64 + 45, 90 + 90 - 45));
}

#[test]
fn a_referrer_is_named_once_and_is_somebody_else() {
    let mut world = world(schedule(&[], 500_000));
    let [taker, sibling, friend, other] = [2, 2, 3, 4].map(|owner| world.funded(owner, RICH));
    for own in [taker, sibling] {
        assert_eq!(refer(&mut world, taker, own), Err(EngineError::SelfReferral));
    }
    let mut unknown = |referrer, generation| {
        world.ledger(|ledger, now| partner::set_referrer(ledger, now, taker, referrer, Generation::new(generation)))
    };
    for (referrer, generation) in [(friend, 0), (friend, 77), (CellIndex::NIL, 0), (CellIndex::new(31), 3)] {
        assert_eq!(unknown(referrer, generation), Err(EngineError::TraderNotFound));
    }
    assert_eq!(refer(&mut world, taker, friend), Ok(()));
    for again in [friend, other, taker] {
        assert_eq!(refer(&mut world, taker, again), Err(EngineError::ReferrerAlreadySet));
    }
}

#[test]
fn attack_a_share_goes_to_no_later_account_in_the_referrers_cell() {
    let mut world = world(schedule(&[], 500_000));
    let [maker, taker, friend] = [1, 2, 3].map(|owner| world.funded(owner, RICH));
    refer(&mut world, taker, friend).unwrap();
    place(&mut world, maker, &limit(ASK, 9));
    place(&mut world, taker, &taking(BID, 2));
    assert_eq!((fees(&world), world.cash(friend)), (30, RICH as i64 + 30));
    world.withdraw(friend, RICH + 30).unwrap();
    world.close(friend).unwrap();
    place(&mut world, taker, &taking(BID, 2));
    assert_eq!(fees(&world), 90, "gone: all of it stays");
    assert_eq!(world.open(4, 0), Ok(friend));
    place(&mut world, taker, &taking(BID, 2));
    assert_eq!((fees(&world), world.cash(friend)), (150, 0));
    // Nor does the taker become free to name another one.
    assert_eq!(refer(&mut world, taker, friend), Err(EngineError::ReferrerAlreadySet));
}

#[test]
fn a_bankrupt_referrer_gets_nothing() {
    let mut world = world(schedule(&[], 500_000));
    let [maker, taker, friend] = [1, 2, 3].map(|owner| world.funded(owner, RICH));
    refer(&mut world, taker, friend).unwrap();
    mark_bankrupt(&mut world, friend);
    place(&mut world, maker, &limit(ASK, 2));
    place(&mut world, taker, &taking(BID, 2));
    assert_eq!((fees(&world), world.cash(friend)), (60, RICH as i64));
}

// ---- Wash trading

/// What a coalition of maker, taker and a friend, who is builder and referrer, has in cash once it is flat again.
fn wash(listing_fees: (u32, i32), discount: u32, share: u32, builder: u16, lots: u64) -> (i64, i64) {
    let mut listing = listing::usual();
    (listing.taker_fee, listing.maker_fee) = (Ppm::new(listing_fees.0), SignedPpm::new(listing_fees.1));
    let mut world = World::new(&[listing], 32);
    let tiers: &[(u64, u32)] = if discount > 0 { &[(1, discount)] } else { &[] };
    world.set_policy(Policy { fees: schedule(tiers, share), ..GENEROUS });
    world.set_price(0, 100);
    let [maker, taker, friend] = [1, 2, 3].map(|owner| world.funded(owner, RICH));
    for trader in [maker, taker] {
        allow(&mut world, trader, builder);
        refer(&mut world, trader, friend).unwrap();
    }
    // Both have traded before, so that they are at the tier.
    for (side, other) in [(ASK, BID), (BID, ASK)] {
        place(&mut world, maker, &limit(side, 1));
        place(&mut world, taker, &taking(other, 1));
        place(&mut world, taker, &limit(side, 1));
        place(&mut world, maker, &taking(other, 1));
    }
    let wealth = |world: &World| [maker, taker, friend].map(|trader| world.cash(trader)).iter().sum::<i64>();
    let (before, earned) = (wealth(&world), fees(&world));
    let of = named(&world, friend, builder.into());
    // There and back, at one price, each of them taking once; and once as makers at 101.
    for (side, other) in [(ASK, BID), (BID, ASK)] {
        place(&mut world, maker, &limit(side, lots));
        place_for(&mut world, taker, &taking(other, lots), &of).unwrap();
    }
    for (side, other) in [(BID, ASK), (ASK, BID)] {
        place(&mut world, taker, &order(side, OrderKind::Limit, 101, lots));
        let take = order(other, OrderKind::ImmediateOrCancel, 101, lots);
        place_for(&mut world, maker, &take, &of).unwrap();
    }
    assert_eq!(world.base(0, maker), 0);
    (wealth(&world) - before, fees(&world) - earned)
}

/// Of whatever tier, rebate, share and builder: what they lose is what the exchange keeps, and it keeps something unless
/// it charges nothing. Where a market gives all of the fee back, or a tier asks for none, they do not gain: there the
/// network's fee is the price.
#[test]
fn attack_wash_trading_loses_at_every_tier_with_every_partner() {
    let mut cases = 0;
    for listing_fees in [(450, -150), (450, -450), (450, 450), (450, 0), (1, -1), (337, -336), (7, -3)] {
        for discount in [0, 1, 250_000, 500_000, 750_000, 999_999, 1_000_000] {
            for share in [0, 1, 333_333, 500_000] {
                for builder in [0, 1, BUILDER_MAX] {
                    for lots in [1, 3, 20] {
                        let (gain, kept) = wash(listing_fees, discount, share, builder, lots);
                        let case = format!("{listing_fees:?} {discount} {share} {builder} {lots}");
                        assert_eq!(gain, -kept, "{case}");
                        let taker = (i64::from(listing_fees.0) * i64::from(1_000_000 - discount) + 999_999) / 1_000_000;
                        let maker = i64::from(listing_fees.1).max(-taker);
                        assert!(kept > 0 || taker + maker == 0, "{case}: {kept}");
                        assert!(kept >= 0, "{case}");
                        cases += 1;
                    }
                }
            }
        }
    }
    println!("{cases} cases");
}

/// Rounding is not for sale either: orders of every small size, one after another.
#[test]
fn attack_wash_trading_in_dust_loses_an_atom_a_fill() {
    for (taker_fee, maker_fee) in [(450, -450), (337, -336), (1, -1)] {
        let mut listing = listing::dust();
        (listing.taker_fee, listing.maker_fee) = (Ppm::new(taker_fee), SignedPpm::new(maker_fee));
        let mut world = World::new(&[listing], 32);
        world.set_policy(Policy { fees: schedule(&[(50, 500_000), (500, 990_000)], 500_000), ..GENEROUS });
        world.set_price(0, 12);
        let [maker, taker, friend] = [1, 2, 3].map(|owner| world.funded(owner, RICH));
        allow(&mut world, taker, BUILDER_MAX);
        refer(&mut world, taker, friend).unwrap();
        let of = named(&world, friend, BUILDER_MAX.into());
        let wealth = |world: &World| [maker, taker, friend].map(|trader| world.cash(trader)).iter().sum::<i64>();
        for lots in 2..=9 {
            for (side, other) in [(ASK, BID), (BID, ASK)] {
                let before = fees(&world);
                place(&mut world, maker, &order(side, OrderKind::Limit, 12, lots));
                let take = order(other, OrderKind::ImmediateOrCancel, 12, lots);
                place_for(&mut world, taker, &take, &of).unwrap();
                assert!(fees(&world) > before, "{lots} lots");
            }
            assert_eq!(wealth(&world) + fees(&world), 3 * RICH as i64);
        }
    }
}

// ---- Guards and batches

#[test]
fn a_guard_refuses_a_book_that_has_moved() {
    let mut world = world(FeeSchedule::NONE);
    let (maker, taker) = (world.funded(1, RICH), world.funded(2, RICH));
    place(&mut world, maker, &limit(ASK, 1));
    let seen = world.market(0).header.events_written.get();
    let guarded = |world: &mut World, most| world.trading(0, |trading| trading.require_unmoved(most));
    assert_eq!(seen, 1);
    for most in [0, seen, seen + 1, u64::MAX] {
        assert_eq!(guarded(&mut world, most), Ok(()));
    }
    place(&mut world, taker, &order(BID, OrderKind::Limit, 99, 1));
    assert_eq!(guarded(&mut world, seen), Err(EngineError::BookMoved));
    for most in [0, seen + 1] {
        assert_eq!(guarded(&mut world, most), Ok(()));
    }
}

#[test]
fn a_batch_is_placed_in_order_or_not_at_all() {
    let mut world = world(FeeSchedule::NONE);
    let (maker, taker) = (world.funded(1, RICH), world.funded(2, RICH));
    place(&mut world, maker, &limit(ASK, 2));
    let orders = [taking(BID, 1), order(BID, OrderKind::PostOnly, 99, 3), limit(BID, 2)];
    let batch = |world: &mut World, orders: &[NewOrder]| {
        let before = bytes(world);
        let done = world.trading(0, |trading| trading.place_orders(taker, orders));
        assert!(done.is_ok() || bytes(world) == before);
        assert_eq!(world.check(), Ok(()));
        done
    };
    assert_eq!(batch(&mut world, &orders), Ok(()));
    assert_eq!(world.base(0, taker), 2);
    let resting: Vec<_> = world.market(0).orders(BID).map(|(_, node)| (node.price.get(), node.lots.get())).collect();
    assert_eq!(resting, [(100, 1), (99, 3)]);
    // The first one that fails says why, whatever comes before and after it.
    let far = order(BID, OrderKind::Limit, 111, 1);
    let failing = [limit(BID, 1), far, order(BID, OrderKind::Limit, 0, 1)];
    assert_eq!(batch(&mut world, &failing), Err(EngineError::OrderOutsideBand));
    let named = NewOrder { client_id: 7, ..order(BID, OrderKind::Limit, 98, 1) };
    assert_eq!(batch(&mut world, &[named, named]), Err(EngineError::ClientIdInUse));
    assert_eq!(ORDERS_MAX, 16);
}

/// One look at the end would let the first order through, because the second one makes good for it.
#[test]
fn attack_a_batch_cannot_borrow_margin_from_its_last_order() {
    let mut world = world(FeeSchedule::NONE);
    let (maker, taker) = (world.funded(1, RICH), world.funded(2, 30_000));
    place(&mut world, maker, &limit(ASK, 10));
    place(&mut world, maker, &order(BID, OrderKind::Limit, 99, 10));
    // Ten lots need 50,000; bought and sold again they need nothing.
    let reduce = order(ASK, OrderKind::ImmediateOrCancel, 99, 10);
    let orders = [taking(BID, 10), reduce];
    let batch = world.trading(0, |trading| trading.place_orders(taker, &orders));
    assert_eq!(batch, Err(EngineError::BelowInitialMargin));
    let fitting = [taking(BID, 5), order(ASK, OrderKind::ImmediateOrCancel, 99, 5)];
    assert_eq!(world.trading(0, |trading| trading.place_orders(taker, &fitting)), Ok(()));
    assert_eq!(world.base(0, taker), 0);
}
