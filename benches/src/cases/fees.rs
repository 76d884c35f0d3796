//! What tiers, builders and referrers add to a fill, what they cost to set up, and orders in a batch.

use anyhow::Result;
use quantdesk_client::{
    engine::{
        Ppm, QuoteAtoms, Side, UnixSeconds,
        book::NewOrder,
        state::{
            fees::{FeeSchedule, FeeTier},
            ledger::Policy,
        },
    },
    instruction::{BookGuard, Target, Trader},
};
use quantdesk_sim::desk::{DeskConfig, POLICY};

use super::Case;
use crate::{
    stage::{MARK, MARKET, SOL, STEP, Stage, ask, bid},
    vm::Vm,
};

/// Half a step: between two prices of the regular book.
const HALF: u32 = STEP / 2;
/// What the builder charges, in ppm.
const BUILDER_FEE: u16 = 100;
/// Volumes that the tiers begin with; the last is less than Alice's position has cost.
const VOLUMES: [u64; 4] = [1_000_000, 10_000_000, 100_000_000, 1_000_000_000];

/// Batches of orders, and the two instructions about fees.
pub fn placing() -> Vec<Case> {
    vec![
        Case::new("PlaceOrders, 5 orders rest", |vm, stage| batch(vm, &stage, 5)),
        Case::new("PlaceOrders, 16 orders rest", |vm, stage| batch(vm, &stage, 16)),
        Case::new("SetBuilderMax", |vm, stage| {
            vm.accepted(&stage.desk, &stage.desk.venue.set_builder_max(&stage.alice, BUILDER_FEE))
        }),
        Case::new("SetReferrer", |vm, stage| {
            vm.accepted(&stage.desk, &stage.desk.venue.set_referrer(&stage.alice, named(&stage.house)))
        }),
    ]
}

/// Bids on the better side of the regular book.
fn batch(vm: &mut Vm, stage: &Stage, count: u32) -> Result<u64> {
    let orders: Vec<NewOrder> =
        (0..count).map(|place| bid(MARK - HALF - place * STEP, SOL).post_only().build()).collect();
    let (market, guard) = (stage.market(), BookGuard::default());
    let instruction = stage.desk.venue.place_orders(&stage.alice, &market, &orders, UnixSeconds::ZERO, &guard);
    vm.accepted(&stage.desk, &instruction)
}

/// Takes that more than the exchange earns by.
pub fn taking() -> Vec<Case> {
    vec![
        Case::new("1 maker, at the highest of 4 tiers", |vm, stage| take(vm, &stage, false, false)),
        Case::new("1 maker, at the highest of 4 tiers, with builder", |vm, stage| take(vm, &stage, true, false)),
        Case::new("1 maker, at the highest of 4 tiers, with referrer", |vm, stage| take(vm, &stage, false, true)),
        Case::new("1 maker, at the highest of 4 tiers, with builder and referrer", |vm, stage| {
            take(vm, &stage, true, true)
        }),
    ]
}

/// The same book as on `regular`, in an exchange with tiers.
fn take(vm: &mut Vm, regular: &Stage, builder: bool, referrer: bool) -> Result<u64> {
    let tier = |place: usize| {
        let discount = Ppm::new(100_000 * (place as u32 + 1));
        FeeTier::new(QuoteAtoms::new(VOLUMES[place]), discount)
    };
    let tiers = std::array::from_fn(tier);
    let policy = Policy { fees: FeeSchedule::new(tiers, Ppm::new(500_000)), ..POLICY };
    let config = DeskConfig { policy, ..DeskConfig::default() };
    let depth = u32::try_from(regular.side_len(Side::Bid)?)?;
    let mut stage = Stage::on(config, regular.makers.len())?;
    stage.give(stage.alice, MARKET, 10 * SOL as i64)?;
    let mut stage = stage.with_book(depth)?;
    let (alice, bob, house) = (stage.alice, stage.makers[0], stage.house);
    let mut order = bid(MARK + HALF, SOL).immediate_or_cancel();
    if builder {
        stage.desk.chain.send(stage.desk.venue.set_builder_max(&alice, BUILDER_FEE))?;
        order = order.builder(house.cell, house.generation, BUILDER_FEE);
    }
    if referrer {
        stage.desk.chain.send(stage.desk.venue.set_referrer(&alice, named(&house)))?;
    }
    stage.place(&bob, &ask(MARK + HALF, SOL).post_only().build())?;
    vm.accepted(&stage.desk, &stage.desk.venue.place_ticket(&alice, &stage.market(), &order))
}

const fn named(trader: &Trader) -> Target {
    Target { trader: trader.cell, generation: trader.generation }
}
