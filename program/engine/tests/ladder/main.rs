//! The ladder of a failing account: sizes and prices against a plain restatement, every rung to the atom, and the attacks
//! on it.

mod attacks;
mod deleverage;
mod naive;
mod rungs;
mod sizing;

#[allow(dead_code, reason = "every test binary uses its part")]
#[path = "../support/mod.rs"]
mod support;

use quantdesk_engine::{
    CellIndex, Lots, Now, Ppm, QuoteAtoms, Result, Side, TickValue, Ticks,
    book::{Liquidated, NewOrder, OrderKind, Placed},
    pool,
    risk::{
        listing::{ListingParameters, TierParameters},
        margin::{self, MaintenanceMargin},
        shortfall,
    },
    state::{Ledger, TradeEventKind},
};
use support::{World, listing, world::order};

const BID: Side = Side::Bid;
const ASK: Side = Side::Ask;
/// Mark at which the markets of these tests start, in ticks; a tick of a lot is worth 100 atoms.
const MARK: u32 = 10_000;

/// A market with fine prices, 20 times leverage in the first tier, and room for hundreds of orders.
fn market() -> ListingParameters {
    let mut listing = listing::usual();
    listing.tick_size = quantdesk_engine::PicoPrice::new(1_000_000_000);
    listing.lot_size = 100_000_000_000;
    listing.tick_value = TickValue::new(100);
    listing.price_max = Ticks::new(40_000);
    listing.lots_max = Lots::new(2_000);
    listing.position_max = Lots::new(4_000);
    listing.open_interest_max = Lots::new(40_000);
    listing.band = Ppm::new(400_000);
    listing.side_capacity = 64;
    listing.events_capacity = 512;
    let tiers = [(1_000_000_000, 50_000), (4_000_000_000, 100_000), (u64::MAX, 250_000)];
    for (place, (notional, rate)) in listing.tiers.iter_mut().zip(tiers) {
        *place = TierParameters::new(QuoteAtoms::new(notional), Ppm::new(rate));
    }
    listing.tiers_len = 3;
    listing.risk.step = Ppm::new(2_000);
    listing.risk.step_seconds = 5;
    listing.risk.liquidation_fee = Ppm::new(5_000);
    listing.risk.takeover_discount = Ppm::new(10_000);
    listing.risk.liquidation_buffer = Ppm::new(100_000);
    listing.risk.interest_scale_lower = Lots::new(39_000);
    listing.risk.interest_scale_upper = Lots::new(40_000);
    listing.risk.pool_budget = QuoteAtoms::new(1 << 40);
    listing.risk.liquidation_tip_max = QuoteAtoms::new(50_000);
    listing
}

/// Markets of that kind at a mark of [`MARK`], in a ledger of 512 cells.
fn world(markets: usize) -> World {
    let mut world = World::new(&vec![market(); markets], 512);
    for market in 0..markets {
        world.set_price(market, MARK);
    }
    world
}

/// Proptest settings: this many cases, and no files of failures next to the sources.
fn support_cases(cases: u32) -> proptest::test_runner::Config {
    proptest::test_runner::Config { cases, failure_persistence: None, ..Default::default() }
}

fn limit(side: Side, price: u32, lots: u64) -> NewOrder {
    order(side, OrderKind::Limit, price, lots)
}

fn taking(side: Side, price: u32, lots: u64) -> NewOrder {
    order(side, OrderKind::ImmediateOrCancel, price, lots)
}

/// Places an order that must succeed.
fn place(world: &mut World, market: usize, trader: CellIndex, order: &NewOrder) -> Placed {
    let placed = world.place(market, trader, order).unwrap_or_else(|error| panic!("{error:?}: {order:?}"));
    assert_eq!(world.check(), Ok(()));
    placed
}

/// Gives `long` and `short` opposite positions at a price.
fn positions_at(world: &mut World, market: usize, long: CellIndex, short: CellIndex, price: u32, lots: u64) {
    place(world, market, short, &limit(ASK, price, lots));
    assert_eq!(place(world, market, long, &taking(BID, price, lots)).filled, Lots::new(lots));
}

fn health(world: &World, trader: CellIndex) -> MaintenanceMargin {
    let view = world.view();
    margin::maintenance(&view, view.trader(trader).unwrap(), world.now.unix_seconds).unwrap()
}

fn equity(world: &World, trader: CellIndex) -> i64 {
    health(world, trader).equity.get()
}

fn liquidate(world: &mut World, market: usize, keeper: CellIndex, target: CellIndex) -> Result<Liquidated> {
    let done = world.trading(market, |trading| trading.liquidate(keeper, target, 255));
    assert_eq!(world.check(), Ok(()));
    done
}

fn take_over(world: &mut World, by: CellIndex, target: CellIndex, lots: u64) -> Result<Liquidated> {
    let done = world.trading(0, |trading| trading.take_over(by, target, Lots::new(lots)));
    assert_eq!(world.check(), Ok(()));
    done
}

fn absorb(world: &mut World, target: CellIndex) -> Result<()> {
    let market = world.market(0).header.index;
    let done = world.ledger(|ledger, now| shortfall::absorb_shortfall(ledger, now, target, market));
    assert_eq!(world.check(), Ok(()));
    done
}

/// Runs a deleveraging to its end, so many steps at a time.
fn deleverage(world: &mut World, market: usize, target: CellIndex, steps: u16) -> Result<()> {
    loop {
        let finished = world.trading(market, |trading| trading.deleverage(target, steps))?;
        assert_eq!(world.check(), Ok(()));
        if finished {
            return Ok(());
        }
    }
}

/// Gives the pool atoms out of a new account's cash.
fn fund_pool(world: &mut World, atoms: u64) {
    let giver = world.funded(990, atoms);
    let given =
        world.ledger(|ledger: &mut Ledger<'_>, now: Now| pool::fund(ledger, now, giver, QuoteAtoms::new(atoms)));
    assert_eq!(given, Ok(()));
}

fn pool_atoms(world: &World) -> i64 {
    world.view().header.pool.get().get()
}

/// Lots of all events of a kind in a market, as (maker, taker, lots, atoms).
fn recorded(world: &World, market: usize, kind: TradeEventKind) -> Vec<(u32, u32, u64, u64)> {
    let view = world.market(market);
    let mut found: Vec<_> = view.events.iter().filter(|event| event.kind() == Some(kind)).collect();
    found.sort_by_key(|event| event.sequence);
    found.iter().map(|event| (event.maker.get(), event.taker.get(), event.lots.get(), event.client_id)).collect()
}
