//! Cancelling, liquidating through the book, taking over, absorbing: outcomes to the atom.

use super::{
    ASK, BID, MARK, absorb, deleverage, equity, fund_pool, health, limit, liquidate, naive, place, pool_atoms,
    positions_at, recorded, support::random::Random, take_over, taking, world,
};
use crate::support::World;
use quantdesk_engine::{
    CellIndex, EngineError, Lots, Side, UnixSeconds,
    book::NewOrder,
    risk::{
        liquidation,
        scan::{self, Rung},
    },
    state::TradeEventKind,
};

/// A world with a maker, a keeper, and an account that is long (or short) `lots` with `cash`.
struct Scene {
    world: World,
    maker: CellIndex,
    keeper: CellIndex,
    target: CellIndex,
}

fn scene(side: Side, lots: u64, cash: u64) -> Scene {
    let mut world = world(2);
    let maker = world.funded(1, 100_000_000_000);
    let keeper = world.funded(2, 1_000_000);
    let target = world.funded(3, cash);
    let (long, short) = if side == BID { (target, maker) } else { (maker, target) };
    positions_at(&mut world, 0, long, short, MARK, lots);
    Scene { world, maker, keeper, target }
}

fn fees(world: &World) -> naive::Fees {
    let row = world.view().rows[0];
    naive::Fees { taker: i128::from(row.taker_fee.get()), liquidation: i128::from(row.risk.liquidation_fee.get()) }
}

fn account(world: &World, trader: CellIndex) -> naive::Account {
    let (health, base) = (health(world, trader), world.base(0, trader));
    let own = naive::required(&world.view().rows[0], i128::from(base).abs());
    naive::Account {
        base: i128::from(base),
        equity: i128::from(health.equity.get()),
        others_required: i128::from(health.required.get()) - own,
    }
}

fn rung(world: &World, trader: CellIndex) -> Option<Rung> {
    let view = world.view();
    scan::scan(&view, world.now.unix_seconds).find(|finding| finding.trader == trader).map(|finding| finding.rung)
}

#[test]
fn a_liquidation_through_the_book_restores_the_account_and_closes_no_lot_more() {
    let Scene { mut world, maker, keeper, target } = scene(BID, 100, 6_000_000);
    world.set_price(0, 9_620);
    place(&mut world, 0, maker, &limit(BID, 9_615, 500));
    assert_eq!(rung(&world, target), Some(Rung::Liquidate));
    let (before, cash, pool) = (account(&world, target), world.cash(keeper), pool_atoms(&world));
    let row = world.view().rows[0];
    let needed = naive::needed(&row, &before, &fees(&world), 9_615);
    let done = liquidate(&mut world, 0, keeper, target).unwrap();
    assert_eq!(i128::from(done.lots.get()), needed);
    assert!(needed > 1 && needed < 100, "a part of the position: {needed}");
    let after = account(&world, target);
    assert_eq!(after.base, before.base - needed);
    let goal = liquidation::restored(&row, health(&world, target).required).unwrap();
    assert!(after.equity >= i128::from(goal.get()));
    let (gain, taker, fee) = naive::cost(&row, &before, &fees(&world), 9_615, needed);
    assert_eq!(after.equity, before.equity + gain - taker - fee);
    assert_eq!(i128::from(done.fee.get()), fee);
    assert_eq!(done.tip.get(), (done.fee.get() / 2).min(50_000), "the keeper's part is capped");
    assert_eq!(world.cash(keeper), cash + done.tip.get() as i64);
    assert_eq!(pool_atoms(&world), pool + (done.fee.get() - done.tip.get()) as i64);
    assert_eq!(liquidate(&mut world, 0, keeper, target), Err(EngineError::AccountHealthy));
    let quote = done.lots.get() * 9_615 * 100;
    assert_eq!(recorded(&world, 0, TradeEventKind::Liquidated), [(keeper.get(), target.get(), done.lots.get(), quote)]);
}

#[test]
fn what_a_liquidation_refuses() {
    let Scene { mut world, maker, keeper, target } = scene(BID, 100, 6_000_000);
    assert_eq!(liquidate(&mut world, 0, keeper, target), Err(EngineError::AccountHealthy));
    assert_eq!(liquidate(&mut world, 1, keeper, target), Err(EngineError::NothingToClose));
    world.set_price(0, 9_620);
    assert_eq!(liquidate(&mut world, 0, keeper, target), Err(EngineError::NoLiquidity), "an empty book");
    place(&mut world, 0, maker, &limit(BID, 9_000, 500));
    assert_eq!(liquidate(&mut world, 0, keeper, target), Err(EngineError::NoLiquidity), "below the bankruptcy price");
    let none = world.trading(0, |trading| trading.liquidate(keeper, target, 0));
    assert_eq!(none, Err(EngineError::MatchLimitOutOfRange));
    world.pass(10_000);
    assert_eq!(liquidate(&mut world, 0, keeper, target), Err(EngineError::PriceNotValidForAction), "a dead price");
    world.set_price(0, 9_390);
    assert_eq!(liquidate(&mut world, 0, keeper, target), Err(EngineError::NoEquity));
    assert_eq!(rung(&world, target), Some(Rung::Bankrupt));
}

#[test]
fn a_liquidation_walks_levels_and_stops_at_the_price_that_would_bankrupt() {
    let Scene { mut world, maker, keeper, target } = scene(BID, 100, 6_000_000);
    world.set_price(0, 9_600);
    for price in [9_595, 9_580, 9_560, 9_000] {
        place(&mut world, 0, maker, &limit(BID, price, 4));
    }
    let before = health(&world, target);
    let done = liquidate(&mut world, 0, keeper, target).unwrap();
    assert_eq!(done.lots, Lots::new(12), "the far bid is out of reach, whatever is still needed");
    let after = health(&world, target);
    let excess =
        |health: &quantdesk_engine::risk::margin::MaintenanceMargin| health.equity.get() - health.required.get() as i64;
    assert!(excess(&after) >= excess(&before), "R3: health does not fall");
    assert_eq!(liquidate(&mut world, 0, keeper, target), Err(EngineError::NoLiquidity));
}

#[test]
fn the_accounts_own_orders_in_the_market_go_before_it_is_liquidated() {
    let Scene { mut world, maker, keeper, target } = scene(ASK, 100, 8_000_000);
    place(&mut world, 0, target, &limit(BID, 9_000, 20));
    place(&mut world, 0, target, &limit(ASK, 10_200, 10));
    world.set_price(0, 10_560);
    place(&mut world, 0, maker, &limit(ASK, 10_565, 500));
    assert!(rung(&world, target).is_some());
    liquidate(&mut world, 0, keeper, target).unwrap();
    assert_eq!(world.position(0, target).unwrap().orders, 0);
    assert_eq!(recorded(&world, 0, TradeEventKind::RiskCancelled).len(), 2);
}

#[test]
fn below_initial_margin_orders_are_cancelled_until_it_is_met_and_reduce_only_ones_stay() {
    let Scene { mut world, maker: _, keeper: _, target } = scene(BID, 100, 9_000_000);
    for price in [9_900, 9_890, 9_880, 9_870] {
        place(&mut world, 0, target, &limit(BID, price, 12));
    }
    place(&mut world, 0, target, &NewOrder { reduce_only: true, ..limit(ASK, 11_000, 50) });
    let refused = world.trading(0, |trading| trading.cancel_for_risk(target, 255));
    assert_eq!(refused, Err(EngineError::AccountHealthy));
    world.set_price(0, 9_810);
    assert_eq!(rung(&world, target), Some(Rung::CancelForRisk));
    let cancelled = world.trading(0, |trading| trading.cancel_for_risk(target, 255)).unwrap();
    assert!((1..4).contains(&cancelled), "only as many as needed: {cancelled}");
    assert_eq!(world.check(), Ok(()));
    assert_eq!(world.position(0, target).unwrap().orders, 5 - u32::from(cancelled), "the reduce-only one is there");
    assert_eq!(rung(&world, target), None);
    world.set_price(0, 9_500);
    while world.trading(0, |trading| trading.cancel_for_risk(target, 1)).is_ok() {}
    assert_eq!(world.position(0, target).unwrap().orders, 1);
    let nothing = world.trading(0, |trading| trading.cancel_for_risk(target, 1));
    assert_eq!(nothing, Err(EngineError::NothingToClose));
}

#[test]
fn a_take_over_happens_at_the_programs_price_and_leaves_both_sides_margined() {
    let Scene { mut world, maker: _, keeper: _, target } = scene(BID, 100, 6_000_000);
    let liquidator = world.funded(7, 50_000_000);
    world.set_price(0, 9_620);
    assert_eq!(take_over(&mut world, liquidator, target, 100), Err(EngineError::AccountHealthy), "above two thirds");
    world.set_price(0, 9_520);
    assert_eq!(rung(&world, target), Some(Rung::TakeOver));
    let (before, row) = (account(&world, target), world.view().rows[0]);
    let fees = naive::Fees { taker: 0, ..fees(&world) };
    let price = 9_520 - 95;
    let needed = naive::needed(&row, &before, &fees, price);
    let share = naive::share(&row, &before);
    assert!((9_520 - price) * 100 * 100 < share, "the discount fits into the equity");
    let done = take_over(&mut world, liquidator, target, 1_000).unwrap();
    assert_eq!(i128::from(done.lots.get()), needed);
    assert_eq!(i128::from(world.base(0, liquidator)), needed);
    let (gain, _, fee) = naive::cost(&row, &before, &fees, price, needed);
    assert_eq!(i128::from(equity(&world, target)), before.equity + gain - fee);
    assert!(equity(&world, liquidator) > 50_000_000, "the discount is the liquidator's at once");
    assert_eq!(pool_atoms(&world), fee as i64);
}

#[test]
fn what_a_take_over_refuses() {
    let Scene { mut world, maker, keeper, target } = scene(BID, 100, 6_000_000);
    let sibling = world.open(3, 1).unwrap();
    world.deposit(sibling, 50_000_000).unwrap();
    let poor = world.funded(8, 1_000);
    world.set_price(0, 9_520);
    assert_eq!(take_over(&mut world, sibling, target, 9), Err(EngineError::SelfTakeOver), "the same owner");
    assert_eq!(take_over(&mut world, target, target, 9), Err(EngineError::SelfTakeOver));
    assert_eq!(take_over(&mut world, poor, target, 9), Err(EngineError::BelowInitialMargin));
    assert_eq!(take_over(&mut world, keeper, target, 0), Err(EngineError::NothingToClose));
    assert_eq!(take_over(&mut world, maker, poor, 9), Err(EngineError::NothingToClose));
    world.set_price(0, 9_300);
    assert_eq!(take_over(&mut world, maker, target, 9), Err(EngineError::NoEquity));
}

#[test]
fn a_shortfall_is_absorbed_within_pool_and_budget_and_never_becomes_the_owners() {
    let Scene { mut world, maker, keeper: _, target } = scene(BID, 100, 6_000_000);
    fund_pool(&mut world, 1_500_000);
    assert_eq!(absorb(&mut world, target), Err(EngineError::AccountHealthy));
    world.set_price(0, 9_300);
    let missing = -equity(&world, target);
    assert!(missing > 0 && missing < 1_500_000);
    absorb(&mut world, target).unwrap();
    assert_eq!(pool_atoms(&world), 1_500_000 - missing, "exactly what was missing");
    assert_eq!(equity(&world, target), 0);
    assert_eq!(world.view().header.bankrupts, 1);
    assert_eq!(absorb(&mut world, target), Err(EngineError::NothingToAbsorb), "it is not paid twice");
    // The price recovers: what the account is worth now is the pool's first.
    world.set_price(0, 9_700);
    assert!(equity(&world, target) > 0);
    let adding = world.place(0, target, &taking(BID, 9_800, 1));
    assert_eq!(adding, Err(EngineError::AccountBankrupt));
    assert_eq!(world.withdraw(target, 1), Err(EngineError::AccountBankrupt));
    place(&mut world, 0, maker, &limit(BID, 9_700, 100));
    let reduce = NewOrder { reduce_only: true, ..taking(ASK, 9_700, 100) };
    place(&mut world, 0, target, &reduce);
    absorb(&mut world, target).unwrap();
    assert_eq!(pool_atoms(&world), 1_500_000, "all of it came back");
    assert_eq!(world.view().header.bankrupts, 0);
    let left = world.cash(target);
    assert!(left > 0);
    world.withdraw(target, left as u64).unwrap();
}

#[test]
fn the_budget_of_a_market_limits_what_the_pool_pays_in_a_day() {
    let Scene { mut world, maker: _, keeper: _, target } = scene(BID, 100, 6_000_000);
    fund_pool(&mut world, 9_000_000);
    let limited = world.ledger(|ledger, _| {
        ledger.rows[0].risk.pool_budget = quantdesk_engine::QuoteAtoms::new(400_000);
        Ok(())
    });
    limited.unwrap();
    world.set_price(0, 9_200);
    absorb(&mut world, target).unwrap();
    assert_eq!(pool_atoms(&world), 8_600_000);
    assert_eq!(absorb(&mut world, target), Err(EngineError::NothingToAbsorb));
    world.pass(43_200);
    world.set_price(0, 9_200);
    absorb(&mut world, target).unwrap();
    assert_eq!(pool_atoms(&world), 8_400_000, "half a day, half a budget");
}

/// R3, R4, M1 over random failing accounts, on either side, with several positions and thin books.
#[test]
fn inv_r3_random_failures_are_resolved_rung_by_rung_without_a_lot_too_many() {
    let seed = super::support::random::setting("QUANTDESK_SEED", 11);
    println!("seed {seed}");
    let mut random = Random::new(seed);
    for _ in 0..40 {
        let side = random.pick(&[BID, ASK]);
        let lots = random.range(2, 300) as u64;
        let cash = lots * 1_000_000 / 18 + random.below(lots * 100_000);
        let Scene { mut world, maker, keeper, target } = scene(side, lots, cash);
        fund_pool(&mut world, random.below(3_000_000) + 1);
        let long = side == BID;
        let mut mark = i64::from(MARK);
        for _ in 0..40 {
            mark += random.range(-60, 30) * if long { 1 } else { -1 };
            world.set_price(0, mark as u32);
            let depth = random.range(-40, 60) * if long { 1 } else { -1 };
            let quote = limit(side, (mark - depth) as u32, random.range(1, 60) as u64);
            let _ = world.place(0, maker, &quote);
            step(&mut world, keeper, target);
            assert_eq!(world.check(), Ok(()), "seed {seed}");
            if world.base(0, target) == 0 {
                break;
            }
        }
        finish(&mut world, target, keeper, &mut random);
        assert_eq!(world.check(), Ok(()), "seed {seed}");
    }
}

/// What a keeper does when it finds the account failing.
fn step(world: &mut World, keeper: CellIndex, target: CellIndex) {
    if matches!(rung(world, target), Some(Rung::Liquidate | Rung::TakeOver)) {
        let (before, row) = (health(world, target), world.view().rows[0]);
        let excess = before.equity.get() - before.required.get() as i64;
        if liquidate(world, 0, keeper, target).is_ok() {
            let after = health(world, target);
            assert!(after.equity.get() - after.required.get() as i64 >= excess - 16, "R3: {before:?} {after:?}");
            assert!(after.equity.get() >= 0, "R4: {after:?}");
        }
        assert!(row.mark == world.view().rows[0].mark);
    }
}

/// Drops the price until nothing is left of the account, then resolves it.
fn finish(world: &mut World, target: CellIndex, keeper: CellIndex, random: &mut Random) {
    if world.base(0, target) == 0 {
        return;
    }
    let long = world.base(0, target) > 0;
    while rung(world, target) != Some(Rung::Bankrupt) {
        let mark = i64::from(world.view().rows[0].mark.get()) + if long { -50 } else { 50 };
        world.set_price(0, mark as u32);
    }
    let flat = world.cash(keeper);
    deleverage(world, 0, target, random.range(1, 400) as u16).unwrap();
    assert_eq!(world.base(0, target), 0);
    assert_eq!(world.cash(keeper), flat, "R6");
    assert!(world.cash(target) >= 0, "R4");
    assert_eq!(world.view().header.bankrupts, 0);
    assert!(world.now.unix_seconds > UnixSeconds::ZERO);
}
