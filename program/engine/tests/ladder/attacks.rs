//! Attacks on the ladder. Each would succeed without the guard that it names.

use super::{
    ASK, BID, MARK, absorb, deleverage, equity, fund_pool, health, limit, liquidate, place, pool_atoms, positions_at,
    taking, world,
};
use quantdesk_engine::{EngineError, Lots, QuoteAtoms, book::NewOrder, risk::scan};

/// 53: an owner that liquidates himself gets nothing for it.
#[test]
fn attack_self_liquidation_for_the_reward() {
    let mut world = world(1);
    let maker = world.funded(1, 100_000_000_000);
    let target = world.funded(3, 6_000_000);
    let sibling = world.open(3, 1).unwrap();
    positions_at(&mut world, 0, target, maker, MARK, 100);
    world.set_price(0, 9_620);
    place(&mut world, 0, maker, &limit(BID, 9_615, 500));
    let done = liquidate(&mut world, 0, sibling, target).unwrap();
    assert!(done.fee.get() > 0);
    assert_eq!((done.tip, world.cash(sibling)), (QuoteAtoms::ZERO, 0), "the pool gets all of the fee");
}

/// 53: with strangers' keys it costs more than it brings: the tip is at most half of what the account pays.
#[test]
fn attack_self_liquidation_through_a_second_owner_loses() {
    let mut world = world(1);
    let maker = world.funded(1, 100_000_000_000);
    let (target, puppet) = (world.funded(3, 6_000_000), world.funded(4, 1));
    positions_at(&mut world, 0, target, maker, MARK, 100);
    world.set_price(0, 9_620);
    place(&mut world, 0, maker, &limit(BID, 9_620, 500));
    let before = equity(&world, target) + equity(&world, puppet);
    liquidate(&mut world, 0, puppet, target).unwrap();
    assert!(equity(&world, target) + equity(&world, puppet) < before);
}

/// 56, F7: two accounts of one person trade far from the mark to put a loss on the pool.
#[test]
fn attack_off_market_trade_to_dump_a_loss_on_the_pool() {
    let mut world = world(1);
    let (loser, winner) = (world.funded(1, 8_000_000), world.funded(2, 80_000_000));
    fund_pool(&mut world, 500_000_000);
    let wealth = |world: &crate::support::World| equity(world, loser) + equity(world, winner);
    let before = wealth(&world);
    // The loser buys 30% above the mark: its equity at prudent prices would be gone, so the order is refused.
    place(&mut world, 0, winner, &limit(ASK, 13_000, 100));
    assert_eq!(world.place(0, loser, &taking(BID, 13_000, 100)), Err(EngineError::BelowInitialMargin));
    // What margin permits loses its own money only.
    place(&mut world, 0, winner, &limit(ASK, 10_250, 100));
    place(&mut world, 0, loser, &taking(BID, 10_250, 100));
    for mark in [9_900, 9_800, 9_700, 9_600, 9_400] {
        world.set_price(0, mark);
        let _ = liquidate(&mut world, 0, winner, loser);
    }
    let paid_before = pool_atoms(&world);
    assert!(absorb(&mut world, loser).is_ok());
    deleverage(&mut world, 0, loser, 60_000).unwrap();
    let paid = paid_before - pool_atoms(&world);
    assert!(wealth(&world) - before <= paid, "what the two gained is what the pool lost, and it was recorded");
    assert_eq!(world.view().header.bankrupts, 0);
}

/// 59: an account about to be deleveraged cannot hand its position to a sibling while the market stands still, and
/// the same lots bear the same part whoever holds them.
#[test]
fn attack_adl_dodge_by_moving_to_a_sibling() {
    let mut one = world(1);
    let target = one.funded(1, 40_000_000);
    let (big, sibling) = (one.funded(5, 10_000_000_000), one.open(5, 1).unwrap());
    one.deposit(sibling, 10_000_000_000).unwrap();
    let other = one.funded(6, 10_000_000_000);
    positions_at(&mut one, 0, target, big, MARK, 300);
    positions_at(&mut one, 0, target, other, MARK, 300);
    let mut two = one.clone();
    positions_at(&mut two, 0, big, other, MARK, 100);
    positions_at(&mut two, 0, other, sibling, MARK, 100);
    for world in [&mut one, &mut two] {
        world.set_price(0, 9_300);
        deleverage(world, 0, target, 60_000).unwrap();
    }
    let held = |world: &crate::support::World| world.base(0, big) + world.base(0, sibling);
    assert_eq!(held(&one), held(&two));
}

/// 59: splitting into dust accounts closes as much as one account would.
#[test]
fn attack_adl_dodge_by_splitting_into_dust() {
    let mut world = world(1);
    let target = world.funded(1, 4_000_000);
    let whale = world.funded(2, 10_000_000_000);
    let dust: Vec<_> = (100..150).map(|owner| world.funded(owner, 1_000_000)).collect();
    positions_at(&mut world, 0, target, whale, MARK, 50);
    let seller = world.funded(3, 10_000_000_000);
    for account in &dust {
        positions_at(&mut world, 0, seller, *account, MARK, 1);
    }
    world.set_price(0, 9_200);
    deleverage(&mut world, 0, target, 60_000).unwrap();
    let closed = dust.iter().filter(|account| world.base(0, **account) == 0).count();
    assert_eq!(closed, 25, "fifty lots of a hundred bear half of fifty");
}

/// 60: a shortfall is paid once, and what was closed is not closed again.
#[test]
fn attack_bankruptcy_handled_twice() {
    let mut world = world(1);
    let target = world.funded(1, 40_000_000);
    let other = world.funded(2, 10_000_000_000);
    fund_pool(&mut world, 2_000_000);
    positions_at(&mut world, 0, target, other, MARK, 600);
    world.set_price(0, 9_300);
    absorb(&mut world, target).unwrap();
    assert_eq!(pool_atoms(&world), 0);
    assert_eq!(absorb(&mut world, target), Err(EngineError::NothingToAbsorb));
    deleverage(&mut world, 0, target, 60_000).unwrap();
    let again = world.trading(0, |trading| trading.deleverage(target, 60_000));
    assert_eq!(again, Err(EngineError::NothingToClose));
    assert_eq!(absorb(&mut world, target), Err(EngineError::AccountHealthy));
}

/// 54: what a liquidation leaves is either worth another one or nothing at all.
#[test]
fn attack_dust_positions_nobody_wants_to_liquidate() {
    let mut world = world(1);
    let least = world.ledger(|ledger, _| {
        ledger.rows[0].lots_min = Lots::new(48);
        Ok(())
    });
    least.unwrap();
    let maker = world.funded(1, 100_000_000_000);
    let keeper = world.funded(2, 1);
    let target = world.funded(3, 6_000_000);
    positions_at(&mut world, 0, target, maker, MARK, 100);
    world.set_price(0, 9_560);
    place(&mut world, 0, maker, &limit(BID, 9_555, 500));
    let done = liquidate(&mut world, 0, keeper, target).unwrap();
    let left = world.base(0, target);
    assert!(left == 0 || left >= 48, "{left} left after {done:?}");
    assert_eq!(left, 0, "this one needed more than fifty-two");
}

/// 55: an account full of orders is liquidated all the same.
#[test]
fn attack_resting_orders_to_block_liquidation() {
    let mut world = world(1);
    let maker = world.funded(1, 100_000_000_000);
    let keeper = world.funded(2, 1);
    let target = world.funded(3, 6_500_000);
    positions_at(&mut world, 0, target, maker, MARK, 100);
    for price in 0..60 {
        let order = NewOrder { reduce_only: true, ..limit(ASK, 12_000 + price, 1) };
        place(&mut world, 0, target, &order);
    }
    world.set_price(0, 9_560);
    place(&mut world, 0, maker, &limit(BID, 9_555, 500));
    liquidate(&mut world, 0, keeper, target).unwrap();
    assert_eq!(world.position(0, target).unwrap().orders, 0);
}

/// 51, 52: one market without a valid price stops the liquidation of an account that depends on it: no health is computed
/// with a price missing.
#[test]
fn attack_health_with_a_missing_price() {
    let mut world = world(2);
    let maker = world.funded(1, 100_000_000_000);
    let (keeper, target) = (world.funded(2, 1), world.funded(3, 12_000_000));
    positions_at(&mut world, 0, target, maker, MARK, 100);
    positions_at(&mut world, 1, target, maker, MARK, 100);
    world.pass(700);
    world.set_price(0, 9_000);
    assert_eq!(liquidate(&mut world, 0, keeper, target), Err(EngineError::PriceNotValidForAction));
    assert_eq!(absorb(&mut world, target), Err(EngineError::PriceNotValidForAction));
    world.set_price(1, MARK);
    assert_ne!(liquidate(&mut world, 0, keeper, target), Err(EngineError::PriceNotValidForAction));
}

/// 61: which of two positions is wound up first makes no difference to anybody.
#[test]
fn attack_order_of_markets_changes_payouts() {
    let mut world = world(2);
    let target = world.funded(1, 15_000_000);
    let others = [world.funded(2, 10_000_000_000), world.funded(3, 10_000_000_000)];
    positions_at(&mut world, 0, target, others[0], MARK, 150);
    positions_at(&mut world, 1, target, others[1], MARK, 90);
    world.set_price(0, 9_100);
    world.set_price(1, 9_400);
    assert!(equity(&world, target) < 0);
    let mut results = Vec::new();
    for order in [[0, 1], [1, 0]] {
        let mut world = world.clone();
        for market in order {
            deleverage(&mut world, market, target, 60_000).unwrap();
        }
        assert_eq!(world.cash(target), 0);
        results.push(others.map(|other| world.cash(other)));
    }
    let [first, second] = &results[..] else { panic!() };
    for (a, b) in first.iter().zip(second) {
        assert!((a - b).abs() <= 1, "{first:?} {second:?}");
    }
}

/// A sweep finds what a scan finds, in however small steps, and forgets who recovered.
#[test]
fn a_sweep_keeps_the_worst_accounts() {
    let mut world = world(1);
    let maker = world.funded(1, 100_000_000_000);
    let targets: Vec<_> = (10..22).map(|owner| world.funded(owner, 5_600_000 + owner * 10_000)).collect();
    for target in &targets {
        positions_at(&mut world, 0, *target, maker, MARK, 100);
    }
    world.set_price(0, 9_600);
    for _ in 0..60 {
        world.ledger(|ledger, now| scan::sweep(ledger, now, 5)).unwrap();
    }
    let view = world.view();
    let mut found: Vec<_> = scan::scan(&view, world.now.unix_seconds).collect();
    assert_eq!(found.len(), 12);
    found.sort_by_key(|finding| finding.equity);
    let kept: Vec<u32> = view.header.watch.iter().map(|entry| entry.trader).collect();
    let worst: Vec<u32> = found.iter().take(8).map(|finding| finding.trader.get()).collect();
    assert_eq!(kept, worst);
    assert_eq!(kept[0], targets[0].get());
    world.set_price(0, MARK);
    world.ledger(|ledger, now| scan::sweep(ledger, now, 1)).unwrap();
    assert!(world.view().header.watch.iter().all(|entry| entry.generation.is_zero()));
    assert!(health(&world, targets[0]).is_met());
}

/// 56: an account about to fail cannot sell to a friend far below the mark, which would leave its loss to the pool.
#[test]
fn attack_reduce_only_far_from_the_mark_to_leave_a_debt() {
    let mut world = world(1);
    let maker = world.funded(1, 100_000_000_000);
    let (target, friend) = (world.funded(3, 6_000_000), world.funded(4, 50_000_000));
    positions_at(&mut world, 0, target, maker, MARK, 100);
    world.set_price(0, 9_500);
    let equity_before = equity(&world, target);
    assert!(equity_before > 0 && !health(&world, target).is_met());
    place(&mut world, 0, friend, &limit(BID, 9_300, 100));
    let dump = NewOrder { reduce_only: true, ..taking(ASK, 9_300, 100) };
    assert_eq!(world.place(0, target, &dump), Err(EngineError::BelowInitialMargin));
    let part = NewOrder { lots: Lots::new(40), ..dump };
    assert!(place(&mut world, 0, target, &part).filled == Lots::new(40), "its own equity is its own to lose");
    assert!(equity(&world, target) >= 0);
}

/// 45, 56: an order left behind by the mark is not filled into debt: it is dropped when it is met.
#[test]
fn attack_stale_order_filled_by_a_friend_to_leave_a_debt() {
    let mut world = world(1);
    let (target, friend) = (world.funded(3, 6_000_000), world.funded(4, 900_000_000));
    place(&mut world, 0, target, &limit(BID, MARK, 100));
    world.set_price(0, 9_390);
    let sold = place(&mut world, 0, friend, &taking(ASK, 9_000, 100));
    assert_eq!((sold.filled, world.base(0, target)), (Lots::ZERO, 0));
    assert_eq!(equity(&world, target), 6_000_000);
    // Who can bear it is filled, however stale the order: that is the maker's own business.
    place(&mut world, 0, friend, &limit(BID, 9_390, 100));
    world.set_price(0, 9_200);
    let sold = place(&mut world, 0, target, &taking(ASK, 9_000, 20));
    assert_eq!(sold.filled, Lots::new(20));
}
