//! Life of a market: every transition from every status, settlement in any order, closing, and the ramp of margin.

mod ramp;
mod settlement;
mod status;

use super::{
    cases,
    support::{World, listing, random::Random, world::order},
};
use proptest::prelude::*;
use quantdesk_engine::{
    CellIndex, EngineError, FundingIndex, MarketIndex, PositionLots, Ppm, QuoteAtoms, Result, Side, Ticks, UnixSeconds,
    book::{NewOrder, OrderKind, Sides},
    invariant::Violation,
    pool,
    risk::{
        life::{
            self, ABANDONED_SECONDS, GRACE_SECONDS, MarginParameters, NOTICE_SECONDS, Pair, RAMP_SECONDS_MAX,
            RAMP_SECONDS_MIN,
        },
        listing::{ListingParameters, TierParameters},
        margin,
        price::Validity,
        shortfall,
    },
    state::{CashEvent, CashEventKind, MarketRow, MarketStatus, PriceCondition, row::TIERS_MAX},
};

const MARKET: MarketIndex = MarketIndex::new(0);
const MARK: u32 = listing::USUAL_MARK;
const CAPITAL: u64 = 10_000_000;

fn row(world: &World) -> MarketRow {
    world.view().rows[0]
}

fn set_status(world: &mut World, status: u8) -> Result<()> {
    world.ledger(|ledger, now| life::set_status(ledger, now, MARKET, status))
}

fn settle(world: &mut World) -> Result<()> {
    world.trading(0, |trading| life::settle_market(&mut trading.ledger, trading.now, trading.market.header))
}

/// Closes the first, who is long, against the second.
fn settle_pair(world: &mut World, long: CellIndex, short: CellIndex) -> Result<()> {
    let pair = Pair { long, short };
    world.trading(0, |trading| life::settle_positions(&mut trading.ledger, trading.now, trading.market.header, pair))
}

fn deleverage(world: &mut World, target: CellIndex) -> Result<bool> {
    world.trading(0, |trading| trading.deleverage(target, u16::MAX))
}

fn absorb(world: &mut World, target: CellIndex) -> Result<()> {
    world.ledger(|ledger, now| shortfall::absorb_shortfall(ledger, now, target, MARKET))
}

fn close(world: &mut World) -> Result<()> {
    world.trading(0, |trading| life::close_market(&mut trading.ledger, trading.now, trading.market.header))
}

fn set_margin(world: &mut World, parameters: &MarginParameters) -> Result<()> {
    world.ledger(|ledger, now| life::set_margin(ledger, now, parameters))
}

/// Changes the row as nothing in the engine would at that moment.
fn edit(world: &mut World, edit: impl FnOnce(&mut MarketRow)) {
    let edited = world.ledger(|ledger, _| {
        edit(&mut ledger.rows[0]);
        Ok(())
    });
    edited.unwrap();
}

/// The call fails with this error and changes nothing.
#[track_caller]
fn refuses<R: core::fmt::Debug>(world: &mut World, error: EngineError, call: impl FnOnce(&mut World) -> Result<R>) {
    let before: Vec<_> = world.accounts().map(<[u64]>::to_vec).collect();
    assert_eq!(call(world).map(|_| ()), Err(error));
    assert!(world.accounts().eq(before.iter().map(Vec::as_slice)), "{error} changed something");
}

/// The newest records of the ledger, oldest first.
fn last_events<const N: usize>(world: &World) -> [CashEvent; N] {
    let view = world.view();
    let all: Vec<_> = quantdesk_engine::slab::ring::iter(view.events, view.header.events_written).copied().collect();
    *all.last_chunk().unwrap()
}

fn last_event(world: &World) -> CashEvent {
    let view = world.view();
    *quantdesk_engine::slab::ring::iter(view.events, view.header.events_written).last().unwrap()
}

fn ioc(side: Side, price: u32, lots: u64) -> NewOrder {
    order(side, OrderKind::ImmediateOrCancel, price, lots)
}

fn reducing(order: NewOrder) -> NewOrder {
    NewOrder { reduce_only: true, ..order }
}

/// The first sells, the second buys.
#[track_caller]
fn trade(world: &mut World, seller: CellIndex, buyer: CellIndex, price: u32, lots: u64) {
    world.place(0, seller, &order(Side::Ask, OrderKind::Limit, price, lots)).unwrap();
    world.place(0, buyer, &ioc(Side::Bid, price, lots)).unwrap();
}

/// A market at 100 with a short of ten lots and a long of ten.
fn open_market() -> (World, [CellIndex; 2]) {
    let mut world = World::new(&[listing::usual()], 16);
    world.set_price(0, MARK);
    let traders = [world.funded(1, CAPITAL), world.funded(2, CAPITAL)];
    trade(&mut world, traders[0], traders[1], MARK, 10);
    (world, traders)
}

/// Lets notice pass and settles at this price.
#[track_caller]
fn settle_at(world: &mut World, price: u32) {
    set_status(world, 2).unwrap();
    world.pass(i64::from(NOTICE_SECONDS));
    world.set_price(0, price);
    settle(world).unwrap();
    world.check().unwrap();
}

/// The same market in each of its statuses, with notice over where there is one.
fn in_status(status: MarketStatus) -> (World, [CellIndex; 2]) {
    let (mut world, traders) = open_market();
    if status == MarketStatus::Active {
        world.pass(i64::from(NOTICE_SECONDS));
        world.set_price(0, MARK);
        return (world, traders);
    }
    set_status(&mut world, 2).unwrap();
    world.pass(i64::from(NOTICE_SECONDS));
    world.set_price(0, MARK);
    if status == MarketStatus::ReduceOnly {
        return (world, traders);
    }
    settle(&mut world).unwrap();
    world.pass(i64::from(GRACE_SECONDS));
    if status == MarketStatus::Closed {
        settle_pair(&mut world, traders[1], traders[0]).unwrap();
        close(&mut world).unwrap();
    }
    (world, traders)
}

fn tiers(given: &[(u64, u32)]) -> ([TierParameters; TIERS_MAX], u8) {
    let mut tiers = [TierParameters::new(QuoteAtoms::ZERO, Ppm::ZERO); TIERS_MAX];
    for (place, (notional_max, rate)) in tiers.iter_mut().zip(given) {
        *place = TierParameters::new(QuoteAtoms::new(*notional_max), Ppm::new(*rate));
    }
    (tiers, given.len() as u8)
}

fn margin_of(given: &[(u64, u32)], maintenance: u32, ramp_seconds: u32) -> MarginParameters {
    let (tiers, tiers_len) = tiers(given);
    MarginParameters::new(MARKET, Ppm::new(maintenance), ramp_seconds, tiers, tiers_len)
}

/// The usual listing's tiers with another maintenance share.
fn share_of(maintenance: u32) -> MarginParameters {
    margin_of(&[(1_000_000, 50_000), (u64::MAX, 100_000)], maintenance, RAMP_SECONDS_MIN)
}

type Call = fn(&mut World, &[CellIndex; 2]) -> Result<()>;
