//! Closing positions of a settled market in pairs, in any order, and the market at the end.

use super::*;

#[test]
fn a_pair_is_a_long_and_a_short_with_size() {
    let (mut world, [short, long]) = in_status(MarketStatus::Settled);
    let idle = world.funded(3, 5);
    let error = EngineError::NothingToClose;
    let wrong = [(short, long), (long, long), (short, short), (idle, short), (long, idle), (idle, idle)];
    for (first, second) in wrong {
        refuses(&mut world, error, |world| settle_pair(world, first, second));
    }
    for nobody in [CellIndex::new(15), CellIndex::NIL] {
        refuses(&mut world, EngineError::TraderNotFound, |world| settle_pair(world, nobody, short));
        refuses(&mut world, EngineError::TraderNotFound, |world| settle_pair(world, long, nobody));
    }
    settle_pair(&mut world, long, short).unwrap();
    refuses(&mut world, error, |world| settle_pair(world, long, short));
}

#[test]
fn a_pair_closes_as_many_lots_as_both_have() {
    let mut world = World::new(&[listing::usual()], 16);
    world.set_price(0, MARK);
    let [short, first, second] = [1, 2, 3].map(|owner| world.funded(owner, CAPITAL));
    trade(&mut world, short, first, MARK, 4);
    trade(&mut world, short, second, MARK + 1, 3);
    settle_at(&mut world, MARK + 7);
    world.pass(i64::from(GRACE_SECONDS));
    let before = world.cash(short);
    settle_pair(&mut world, first, short).unwrap();
    world.check().unwrap();
    assert_eq!([short, first, second].map(|trader| world.base(0, trader)), [-3, 0, 3]);
    let [one, two]: [CashEvent; 2] = last_events(&world);
    assert_eq!([one.amount, two.amount], [4, -4]);
    assert_eq!(row(&world).open_interest.get(), 3);
    // Four of seven lots sold for 703,000 atoms in all, bought for 428,000: the part of what is left is rounded down.
    assert_eq!(world.cash(short) - before, 703_000 * 4 / 7 - 428_000);
    refuses(&mut world, EngineError::NothingToClose, |world| settle_pair(world, first, short));
    settle_pair(&mut world, second, short).unwrap();
    assert_eq!(world.cash(short) - before, 703_000 - 7 * 107_000);
    assert!(row(&world).open_interest.is_zero());
    close(&mut world).unwrap();
    world.check().unwrap();
}

/// A settled market in which the first, long or short ten lots, lacks this many atoms against the second.
fn with_a_loser(side: Side, missing: u64) -> (World, [CellIndex; 2]) {
    let mut world = World::new(&[listing::usual()], 16);
    world.set_price(0, MARK);
    // Just enough for ten lots of 100,000 atoms at 5%.
    let (poor, rich) = (world.funded(1, 51_000), world.funded(2, CAPITAL));
    let ticks = match side {
        Side::Bid => {
            trade(&mut world, rich, poor, MARK, 10);
            MARK - 10
        }
        Side::Ask => {
            trade(&mut world, poor, rich, MARK, 10);
            MARK + 10
        }
    };
    settle_at(&mut world, ticks);
    world.pass(i64::from(GRACE_SECONDS));
    // Each tick costs 10,000 atoms.
    let lacking = 10 * 10_000 - world.cash(poor).unsigned_abs();
    world.deposit(poor, lacking - missing).unwrap();
    (world, [poor, rich])
}

/// The account that holds this side comes first.
fn settle_on(world: &mut World, side: Side, holder: CellIndex, other: CellIndex) -> Result<()> {
    match side {
        Side::Bid => settle_pair(world, holder, other),
        Side::Ask => settle_pair(world, other, holder),
    }
}

#[test]
fn an_account_without_equity_keeps_its_position() {
    for side in [Side::Bid, Side::Ask] {
        let (mut world, [poor, rich]) = with_a_loser(side, 1);
        refuses(&mut world, EngineError::AccountBankrupt, |world| settle_on(world, side, poor, rich));
        // Marked or not.
        absorb(&mut world, poor).unwrap();
        refuses(&mut world, EngineError::AccountBankrupt, |world| settle_on(world, side, poor, rich));
        // Exactly zero is not less than nothing.
        world.deposit(poor, 1).unwrap();
        settle_on(&mut world, side, poor, rich).unwrap();
        assert_eq!(world.cash(poor), 0);
        assert!(!world.trader(poor).is_bankrupt());
        world.check().unwrap();
    }
}

#[test]
fn a_pair_ends_a_bankruptcy_and_the_pool_gets_back_what_it_paid() {
    for side in [Side::Bid, Side::Ask] {
        let (mut world, [poor, rich]) = with_a_loser(side, 20);
        let giver = world.funded(3, 7);
        world.ledger(|ledger, now| pool::fund(ledger, now, giver, QuoteAtoms::new(7))).unwrap();
        absorb(&mut world, poor).unwrap();
        assert_eq!((world.trader(poor).absorbed.get(), world.view().header.bankrupts), (7, 1));
        refuses(&mut world, EngineError::AccountBankrupt, |world| settle_on(world, side, poor, rich));
        world.deposit(poor, 13 + 10).unwrap();
        settle_on(&mut world, side, poor, rich).unwrap();
        world.check().unwrap();
        assert_eq!((world.cash(poor), world.view().header.pool.get().get()), (3, 7));
        assert_eq!((world.trader(poor).is_bankrupt(), world.view().header.bankrupts), (false, 0));
        let kinds = last_events::<4>(&world).map(|event| (event.kind().unwrap(), event.trader == poor));
        let (settled, other) = (CashEventKind::PositionSettled, side == Side::Bid);
        let ends = [(CashEventKind::ShortfallRepaid, true), (CashEventKind::Resolved, true)];
        assert_eq!(kinds, [(settled, other), (settled, !other), ends[0], ends[1]]);
    }
}

/// Winners that are paid before a bankrupt loser is dealt with would leave nobody to bear what it lacks but those who
/// hold nothing: the vault would be short.
#[test]
fn attack_winner_settles_before_the_bankrupt_loser() {
    for side in [Side::Bid, Side::Ask] {
        let mut world = World::new(&[listing::usual()], 32);
        world.set_price(0, MARK);
        let loser = world.funded(1, 51_000);
        let winners = [2, 3].map(|owner| world.funded(owner, CAPITAL));
        let others = [4, 5].map(|owner| world.funded(owner, CAPITAL));
        let flat = world.funded(6, CAPITAL);
        let deal = |world: &mut World, holder, winner, lots| match side {
            Side::Bid => trade(world, winner, holder, MARK, lots),
            Side::Ask => trade(world, holder, winner, MARK, lots),
        };
        deal(&mut world, loser, winners[0], 10);
        deal(&mut world, others[0], winners[0], 5);
        deal(&mut world, others[1], winners[1], 8);
        settle_at(&mut world, if side == Side::Bid { MARK - 20 } else { MARK + 20 });
        world.pass(i64::from(GRACE_SECONDS));
        let worth = |world: &World, trader| {
            let view = world.view();
            margin::maintenance(&view, view.trader(trader).unwrap(), world.now.unix_seconds).unwrap().equity.get()
        };
        let shortfall = -worth(&world, loser);
        assert!(shortfall > 0);
        let before: i64 = winners.iter().map(|winner| worth(&world, *winner)).sum();
        // Every pair that can be settled is, the winners as far as they come.
        for winner in winners {
            refuses(&mut world, EngineError::AccountBankrupt, |world| settle_on(world, side, loser, winner));
            for other in others {
                let _ = settle_on(&mut world, side, other, winner);
                world.check().unwrap();
            }
        }
        assert_eq!(others.map(|other| world.base(0, other)), [0, 0]);
        let against: i64 = winners.iter().map(|winner| world.base(0, *winner)).sum();
        assert_eq!((world.base(0, loser).abs(), against), (10, -world.base(0, loser)));
        refuses(&mut world.clone(), EngineError::MarketNotEmpty, close);

        assert_eq!(deleverage(&mut world, loser), Ok(true));
        world.check().unwrap();
        assert_eq!((world.base(0, loser), world.cash(loser), world.view().header.bankrupts), (0, 0, 0));
        let after: i64 = winners.iter().map(|winner| worth(&world, *winner)).sum();
        assert_eq!(before - after, shortfall, "who won from it bears all of it");
        assert_eq!(world.cash(flat), i64::try_from(CAPITAL).unwrap(), "R6: no position, no loss");
        assert!(row(&world).open_interest.is_zero());
        close(&mut world).unwrap();
        // The vault has it: everybody leaves with all of it, and fees are what stays.
        for trader in winners.into_iter().chain(others).chain([flat]) {
            let cash = u64::try_from(world.cash(trader)).unwrap();
            world.withdraw(trader, cash).unwrap();
        }
        world.check().unwrap();
        let header = *world.view().header;
        assert_eq!(header.total.get().get(), header.fees.get().get() + header.pool.get().get());
    }
}

#[test]
fn settling_waits_for_a_deleveraging_under_way() {
    let (mut world, [short, long]) = in_status(MarketStatus::ReduceOnly);
    let phase = core::mem::offset_of!(quantdesk_engine::state::MarketHeader, deleverage);
    let running = |world: &mut World, phase_byte: u8| world.market_bytes(0)[phase] = phase_byte;
    running(&mut world, 1);
    refuses(&mut world, EngineError::DeleverageRunning, settle);
    running(&mut world, 0);
    settle(&mut world).unwrap();
    world.pass(i64::from(GRACE_SECONDS));
    running(&mut world, 1);
    refuses(&mut world, EngineError::DeleverageRunning, |world| settle_pair(world, long, short));
    running(&mut world, 0);
    settle_pair(&mut world, long, short).unwrap();
}

/// A settled market after random trades, with funding that nobody has settled, which leaves atoms to round.
fn traded(seed: i64, owners: u64, trades: u32) -> (World, Vec<CellIndex>) {
    let mut random = Random::new(seed.unsigned_abs());
    let mut world = World::new(&[listing::usual()], 64);
    world.set_price(0, MARK);
    let traders: Vec<_> = (1..=owners).map(|owner| world.funded(owner, CAPITAL)).collect();
    for _ in 0..trades {
        let (seller, buyer) = (random.pick(&traders), random.pick(&traders));
        let price = random.range(95, 105) as u32;
        let lots = random.range(1, 6) as u64;
        let _ = world.place(0, seller, &order(Side::Ask, OrderKind::Limit, price, lots));
        let _ = world.place(0, buyer, &ioc(Side::Bid, price, lots));
    }
    traders.iter().for_each(|trader| {
        world.cancel_all(0, *trader, Sides::Both, 255).unwrap();
    });
    edit(&mut world, |row| row.funding_index = FundingIndex::new(random.range(-9 << 20, 9 << 20)));
    settle_at(&mut world, random.range(80, 120) as u32);
    world.pass(i64::from(GRACE_SECONDS));
    (world, traders)
}

/// Every long with every short.
fn pairs(world: &World, traders: &[CellIndex]) -> Vec<(CellIndex, CellIndex)> {
    let (longs, shorts): (Vec<_>, Vec<_>) = {
        let open = traders.iter().copied().filter(|trader| world.base(0, *trader) != 0);
        open.partition(|trader| world.base(0, *trader) > 0)
    };
    longs.iter().flat_map(|long| shorts.iter().map(|short| (*long, *short))).collect()
}

/// What everybody has once the market is closed: cash, the residue of funding and the pool.
type Outcome = (Vec<i64>, i64, i64);

fn outcome(mut world: World, traders: &[CellIndex]) -> Outcome {
    assert!(traders.iter().all(|trader| world.base(0, *trader) == 0) && row(&world).open_interest.is_zero());
    let residue = row(&world).funding_pot.get().get();
    assert!((0..=traders.len() as i64).contains(&residue), "{residue} atoms of rounding");
    close(&mut world).unwrap();
    world.check().unwrap();
    let cash = traders.iter().map(|trader| world.cash(*trader)).collect();
    (cash, residue, world.view().header.pool.get().get())
}

/// The outcomes of all ways to pair.
fn outcomes(world: &World, traders: &[CellIndex], found: &mut Vec<Outcome>) {
    let pairs = pairs(world, traders);
    if pairs.is_empty() {
        found.push(outcome(world.clone(), traders));
    }
    for (long, short) in pairs {
        let mut next = world.clone();
        settle_pair(&mut next, long, short).unwrap();
        next.check().unwrap();
        outcomes(&next, traders, found);
    }
}

#[test]
fn the_order_of_pairs_makes_no_difference() {
    let mut most = 0;
    for seed in 0..6 {
        let (world, traders) = traded(seed, 4, 12);
        let mut found = Vec::new();
        outcomes(&world, &traders, &mut found);
        most = most.max(found.len());
        assert_eq!(found[0].1, found[0].2, "the residue is the pool's");
        assert!(found.iter().all(|outcome| *outcome == found[0]), "seed {seed}");
    }
    assert!(most > 3, "{most} ways at most");
}

#[test]
fn random_pairings_settle_everything() {
    for seed in 0..12 {
        let (world, traders) = traded(seed, 12, 60);
        let results: Vec<_> = (0..6)
            .map(|way| {
                let mut random = Random::new(1_000 + way);
                let mut world = world.clone();
                let mut left = traders.len();
                loop {
                    let pairs = pairs(&world, &traders);
                    if pairs.is_empty() {
                        break;
                    }
                    // Each pair closes one of the two.
                    left = left.checked_sub(1).unwrap();
                    let (long, short) = random.pick(&pairs);
                    settle_pair(&mut world, long, short).unwrap();
                    world.check().unwrap();
                }
                outcome(world, &traders)
            })
            .collect();
        assert!(results.iter().all(|result| *result == results[0]), "seed {seed}");
    }
}

#[test]
fn funding_accrues_up_to_the_settlement_and_not_after_it() {
    let (mut world, [short, long]) = open_market();
    set_status(&mut world, 2).unwrap();
    world.pass(i64::from(NOTICE_SECONDS));
    world.set_price(0, MARK);
    // The mark three ticks above the index for 48 seconds; dead zone and cap leave all three.
    edit(&mut world, |row| (row.mark, row.high) = (Ticks::new(MARK + 3), Ticks::new(MARK + 3)));
    world.pass(48);
    settle(&mut world).unwrap();
    let settled = row(&world);
    assert_eq!(settled.funding_index.get(), 3 * 48 * (1_000 << 20) / 86_400);
    let before = [short, long].map(|trader| world.cash(trader));
    world.pass(i64::from(GRACE_SECONDS) * 100);
    settle_pair(&mut world, long, short).unwrap();
    assert_eq!(row(&world).funding_index, settled.funding_index);
    // 10 lots × 3 ticks × 1,000 atoms, and 16.67 atoms of funding, each side rounded against itself.
    assert_eq!([short, long].map(|trader| world.cash(trader)), [before[0] - 30_000 + 16, before[1] + 30_000 - 17]);
    assert_eq!(row(&world).funding_pot.get().get(), 1);
    close(&mut world).unwrap();
    assert_eq!((world.view().header.pool.get().get(), row(&world).funding_pot.get().get()), (1, 0));
    let events: Vec<_> = {
        let view = world.view();
        let events = quantdesk_engine::slab::ring::iter(view.events, view.header.events_written);
        events.map(|event| (event.kind().unwrap(), event.amount, event.trader)).collect()
    };
    let nil = CellIndex::NIL;
    let expected = [(CashEventKind::PoolFunded, 1, nil), (CashEventKind::MarketStatusChanged, 4, nil)];
    assert_eq!(events[events.len() - 2..], expected);
    world.check().unwrap();
}

#[test]
fn a_market_closes_when_nothing_is_left_in_it() {
    let (mut world, [short, long]) = open_market();
    let third = world.funded(3, CAPITAL);
    trade(&mut world, short, third, MARK, 2);
    settle_at(&mut world, MARK);
    world.pass(i64::from(GRACE_SECONDS));
    refuses(&mut world, EngineError::MarketNotEmpty, close);
    settle_pair(&mut world, long, short).unwrap();
    refuses(&mut world, EngineError::MarketNotEmpty, close);
    settle_pair(&mut world, third, short).unwrap();
    close(&mut world).unwrap();
    world.check().unwrap();

    // Only an order left.
    let (mut world, [short, long]) = open_market();
    world.place(0, short, &order(Side::Ask, OrderKind::Limit, MARK + 1, 1)).unwrap();
    settle_at(&mut world, MARK);
    world.pass(i64::from(GRACE_SECONDS));
    settle_pair(&mut world, long, short).unwrap();
    world.check().unwrap();
    refuses(&mut world, EngineError::MarketNotEmpty, close);
    world.cancel_all(0, short, Sides::Both, 9).unwrap();
    close(&mut world).unwrap();
    world.check().unwrap();
    // Nothing keeps an account from leaving.
    let cash = world.cash(short).unsigned_abs();
    world.withdraw(short, cash).unwrap();
    world.close(short).unwrap();
    world.check().unwrap();
}

#[test]
fn the_address_of_a_market_is_listed_once() {
    let (mut world, _) = in_status(MarketStatus::Closed);
    let market = row(&world).market;
    refuses(&mut world, EngineError::AccountNotBlank, |world| {
        world.ledger(|ledger, now| {
            quantdesk_engine::risk::listing::list(ledger, now, market, &listing::usual()).map(|_| ())
        })
    });
}

#[test]
fn invariants_find_a_half_settled_pair_and_a_market_closed_too_early() {
    let rule = |world: &World| world.check().map_err(|Violation { id, .. }| id);
    let (world, [short, _]) = in_status(MarketStatus::Settled);
    let mut half = world.clone();
    let position = half.ledger(|ledger, _| {
        let view = ledger.view();
        let (position, _) = view.positions(view.trader(short)?).next().ok_or(EngineError::Corrupt)?;
        let cell = ledger.position_mut(position)?;
        cell.base = PositionLots::new(-9);
        Ok(position)
    });
    assert!(position.is_ok());
    assert_eq!(rule(&half), Err("P1"));

    let (mut early, traders) = in_status(MarketStatus::Settled);
    early.place(0, traders[0], &reducing(order(Side::Bid, OrderKind::Limit, MARK, 1))).unwrap_err();
    early.set_status(0, 4);
    assert_eq!(rule(&early), Err("P7"));
}
