//! Deleveraging: exact, in proportion, the same in however many steps.

use super::{
    ASK, BID, MARK, deleverage, equity, fund_pool, limit, place, pool_atoms, positions_at, recorded, taking, world,
};
use crate::support::{World, random::Random};
use quantdesk_engine::{CellIndex, EngineError, state::TradeEventKind};

/// An account long `lots` at the mark against short positions of these sizes, entered at these prices.
fn crowd(lots: u64, cash: u64, shorts: &[(u32, u64)]) -> (World, CellIndex, Vec<CellIndex>) {
    let mut world = world(1);
    let target = world.funded(1, cash);
    let maker = world.funded(2, 1_000_000_000_000);
    let mut others = Vec::new();
    for ((price, size), owner) in shorts.iter().zip(10u64..) {
        let other = world.funded(owner, 10_000_000_000);
        world.set_price(0, *price);
        positions_at(&mut world, 0, maker, other, *price, *size);
        others.push(other);
    }
    world.set_price(0, MARK);
    // The maker hands its long on to the target, as far as it goes.
    positions_at(&mut world, 0, target, maker, MARK, lots);
    (world, target, others)
}

fn bases(world: &World, traders: &[CellIndex]) -> Vec<i64> {
    traders.iter().map(|trader| world.base(0, *trader)).collect()
}

#[test]
fn a_bankrupt_position_is_closed_to_the_atom_in_proportion_to_lots() {
    let shorts = [(MARK, 300), (MARK, 200), (MARK, 100)];
    let (mut world, target, others) = crowd(600, 40_000_000, &shorts);
    let flat = world.funded(77, 12_345);
    world.set_price(0, 9_300);
    assert!(equity(&world, target) < 0);
    let before: Vec<i64> = others.iter().map(|other| equity(&world, *other)).collect();
    let shortfall = -equity(&world, target);
    deleverage(&mut world, 0, target, 10_000).unwrap();
    assert_eq!(bases(&world, &others), [0, 0, 0]);
    assert_eq!((world.base(0, target), world.cash(target)), (0, 0), "closed exactly at the bankruptcy price");
    let after: Vec<i64> = others.iter().map(|other| equity(&world, *other)).collect();
    let borne: Vec<i64> = before.iter().zip(&after).map(|(before, after)| before - after).collect();
    assert_eq!(borne.iter().sum::<i64>(), shortfall, "the shortfall is borne exactly once");
    for (share, lots) in borne.iter().zip([300, 200, 100]) {
        assert!((share - shortfall * lots / 600).abs() <= 1, "{borne:?}");
    }
    assert_eq!(world.cash(flat), 12_345, "R6: no position, no loss");
    assert_eq!(world.view().header.bankrupts, 0);
}

#[test]
fn those_in_profit_at_the_bankruptcy_price_go_first() {
    let shorts = [(9_200, 200), (10_400, 100), (10_500, 300)];
    let (mut world, target, others) = crowd(300, 20_000_000, &shorts);
    world.set_price(0, 9_300);
    deleverage(&mut world, 0, target, 10_000).unwrap();
    assert_eq!(bases(&world, &others), [-200, -25, -75], "400 lots in profit bear 300 lots");
    let parts = recorded(&world, 0, TradeEventKind::Deleveraged);
    assert_eq!(parts.iter().map(|part| part.2).sum::<u64>(), 300, "R5: what was needed, and no lot more");
    let [(_, _, lots, quote)] = recorded(&world, 0, TradeEventKind::DeleverageStarted)[..] else { panic!() };
    assert_eq!((lots, quote), (300, parts.iter().map(|part| part.3).sum()), "replayable from the records");
}

#[test]
fn if_those_are_not_enough_the_others_bear_the_rest() {
    let shorts = [(9_200, 500), (10_500, 100)];
    let (mut world, target, others) = crowd(400, 27_000_000, &shorts);
    world.set_price(0, 9_300);
    deleverage(&mut world, 0, target, 10_000).unwrap();
    assert_eq!(bases(&world, &others), [-200, 0]);
}

#[test]
fn the_pool_pays_before_counterparties_do() {
    let (mut world, target, others) = crowd(600, 40_000_000, &[(MARK, 600)]);
    fund_pool(&mut world, 100_000_000);
    world.set_price(0, 9_300);
    let (missing, before) = (-equity(&world, target), equity(&world, others[0]));
    deleverage(&mut world, 0, target, 10_000).unwrap();
    assert_eq!(equity(&world, others[0]), before, "closed at mark: a counterparty loses nothing");
    assert_eq!(pool_atoms(&world), 100_000_000 - missing, "M4: by the recorded shortfall and no more");
}

/// R5: neither how many cells a step looks at, nor who runs it, changes anything.
#[test]
fn inv_r5_any_number_of_steps_gives_the_same_result() {
    let seed = crate::support::random::setting("QUANTDESK_SEED", 5);
    println!("seed {seed}");
    let mut random = Random::new(seed);
    for _ in 0..12 {
        let shorts: Vec<(u32, u64)> = (0..random.range(1, 12))
            .map(|_| (random.range(9_200, 10_800) as u32, random.range(1, 200) as u64))
            .collect();
        let all: u64 = shorts.iter().map(|short| short.1).sum();
        let lots = random.range(1, all as i64) as u64;
        let (start, target, _) = crowd(lots, lots * 70_000, &shorts);
        let mut results = Vec::new();
        for steps in [1, 7, 33, 100, 60_000] {
            let mut world = start.clone();
            world.set_price(0, 9_200);
            deleverage(&mut world, 0, target, steps).unwrap();
            results.push(world.accounts().map(<[u64]>::to_vec).collect::<Vec<_>>());
        }
        assert!(results.windows(2).all(|pair| pair[0] == pair[1]), "seed {seed}");
    }
}

/// While it runs the market stands still, but for cancels.
#[test]
fn nothing_moves_while_a_deleveraging_is_under_way() {
    let (mut world, target, others) = crowd(600, 40_000_000, &[(MARK, 300), (MARK, 300)]);
    let rich = world.funded(55, 10_000_000_000);
    let resting = place(&mut world, 0, rich, &limit(BID, 9_000, 5)).resting.unwrap();
    world.set_price(0, 9_300);
    let finished = world.trading(0, |trading| trading.deleverage(target, 1)).unwrap();
    assert!(!finished);
    let placing = world.place(0, rich, &taking(BID, 9_400, 1));
    assert_eq!(placing, Err(EngineError::DeleverageRunning));
    let liquidating = world.trading(0, |trading| trading.liquidate(rich, others[0], 1));
    assert_eq!(liquidating, Err(EngineError::DeleverageRunning));
    let taking_over = world.trading(0, |trading| trading.take_over(rich, target, quantdesk_engine::Lots::new(1)));
    assert_eq!(taking_over, Err(EngineError::DeleverageRunning));
    world.cancel(0, rich, resting.0, resting.1).unwrap();
    deleverage(&mut world, 0, rich, 500).unwrap();
    assert_eq!(world.base(0, target), 0, "whoever goes on, the one under way is finished");
    place(&mut world, 0, rich, &limit(BID, 9_200, 5));
    assert_eq!(world.base(0, rich), 0);
    place(&mut world, 0, rich, &limit(ASK, 9_400, 5));
}

#[test]
fn what_a_deleveraging_refuses() {
    let (mut world, target, others) = crowd(600, 40_000_000, &[(MARK, 600)]);
    let start = |world: &mut World, target| world.trading(0, |trading| trading.deleverage(target, 9));
    assert_eq!(start(&mut world, target), Err(EngineError::AccountHealthy));
    assert_eq!(start(&mut world, others[0]), Err(EngineError::AccountHealthy));
    world.set_price(0, 9_300);
    world.pass(100);
    assert_eq!(start(&mut world, target), Err(EngineError::PriceNotValidForAction), "only on a fresh price");
    let flat = world.funded(66, 5);
    world.set_price(0, 9_300);
    assert_eq!(start(&mut world, flat), Err(EngineError::NothingToClose));
}

/// What handing out whole parts and then lots by the largest remainder would close of each, ties in order.
fn by_largest_remainder(needed: u64, lots: &[u64]) -> Vec<u64> {
    let all: u64 = lots.iter().sum();
    let mut closed: Vec<u64> = lots.iter().map(|lots| needed * lots / all).collect();
    let mut order: Vec<usize> = (0..lots.len()).collect();
    order.sort_by_key(|place| core::cmp::Reverse(needed * lots[*place] % all));
    let left = needed - closed.iter().sum::<u64>();
    order.iter().take(left as usize).for_each(|place| closed[*place] += 1);
    closed
}

/// Why parts are divided by a running floor and not by the largest remainder: a hundred lots in a hundred accounts would
/// close 2 lots instead of the 10 that they close in one account. The running floor closes 10 either way.
#[test]
fn largest_remainders_would_spare_dust_accounts() {
    let mids = vec![6; 20];
    let (whole, dust) = (vec![100], vec![1; 100]);
    let under = |first: &[u64]| {
        let lots = [first, &mids[..]].concat();
        by_largest_remainder(22, &lots)[..first.len()].iter().sum::<u64>()
    };
    assert_eq!((under(&whole), under(&dust)), (10, 2));
    for first in [whole, dust] {
        let shorts: Vec<(u32, u64)> = first.iter().chain(&mids).map(|lots| (MARK, *lots)).collect();
        let (mut world, target, others) = crowd(22, 22 * 70_000, &shorts);
        world.set_price(0, 9_200);
        deleverage(&mut world, 0, target, 10_000).unwrap();
        let closed: i64 = first.iter().zip(&others).map(|(lots, other)| *lots as i64 + world.base(0, *other)).sum();
        assert_eq!(closed, 10);
    }
}
