//! What a stranger can do about pegged orders, and their owner with them.

use super::{
    ASK, BID, MARK, RICH, equity, events_since, limit, market, met, offsets, pair, pegged, pegs, place, post_only,
    refused, rest, seen, support::World, taking, until, world,
};
use quantdesk_engine::{
    EngineError, Lots, Ticks, UnixSeconds,
    book::{NewOrder, Quote, Replacement, Sides},
    state::TradeEventKind,
};

/// Pegged orders of a side.
const FULL: usize = 128;

/// Index, and a mark that has not followed it yet.
fn set_board(world: &mut World, index: u32, mark: u32) {
    let set = world.ledger(|ledger, _| {
        let row = &mut ledger.rows[0];
        (row.index_price, row.mark, row.stable) = (Ticks::new(index), Ticks::new(mark), Ticks::new(mark));
        (row.low, row.high) = (Ticks::new(index.min(mark)), Ticks::new(index.max(mark)));
        Ok(())
    });
    set.unwrap();
}

/// 1: the index jumps far beyond a limit; whoever is quick gets nothing beyond it.
#[test]
fn attack_pegged_index_jumps_through_the_limit() {
    for (side, offset, bound, index) in [(BID, -5, 10_000, 10_070), (ASK, 5, 10_000, 9_930)] {
        let mut world = world();
        let (maker, taker) = pair(&mut world);
        rest(&mut world, maker, &pegged(side, offset, bound, 10));
        world.set_price(0, index);
        let worst = if side == BID { 9_000 } else { 11_000 };
        let found = met(&mut world, taker, &taking(side.opposite(), worst, 10));
        assert_eq!(found[0], (TradeEventKind::PegDropped, bound, 10));
        assert_eq!((found.len(), world.base(0, maker)), (2, 0));
        // And a resting order of his is not stopped by what is not for sale.
        rest(&mut world, taker, &post_only(side.opposite(), index));
    }
}

/// 2: an index that runs ahead of the mark takes pegged orders with it, but nobody fills them there.
#[test]
fn attack_pegged_index_jumps_through_the_mark() {
    for (side, offset, bound, index) in [(BID, -5, 10_800, 10_600), (ASK, 5, 9_200, 9_400)] {
        let mut world = world();
        let (maker, taker) = pair(&mut world);
        rest(&mut world, maker, &pegged(side, offset, bound, 10));
        world.pass(1);
        world.move_price(0, index).unwrap();
        let mark = world.view().rows[0].mark.get();
        assert!(mark.abs_diff(MARK) == 20, "the mark takes its time");
        let quotes = [Quote::new(side.opposite(), Ticks::new(mark), Lots::new(1))];
        let wanted = Replacement { sequence: 1, sides: None, expires_at: UnixSeconds::ZERO, quotes: &quotes };
        let mut copy = world.clone();
        assert_eq!(copy.trading(0, |trading| trading.replace_quotes(taker, &wanted)), Ok(true), "not in the way");
        let worst = if side == BID { 9_500 } else { 10_500 };
        let found = met(&mut world, taker, &taking(side.opposite(), worst, 10));
        assert_eq!(found[0], (TradeEventKind::PegDropped, bound, 10));
        assert_eq!(world.base(0, maker), 0);
    }
}

/// 3: an account about to fail is not sold out to a friend by a pegged order either: its debt would be the pool's.
#[test]
fn attack_pegged_order_around_the_check_for_debts() {
    let mut world = World::new(&[market(), market()], 64);
    (0..2).for_each(|market| world.set_price(market, MARK));
    let rich = world.funded(1, RICH);
    let (target, friend) = (world.funded(3, 12_000_000), world.funded(4, 50_000_000));
    for (market, lots) in [(0, 100), (1, 40)] {
        world.place(market, rich, &limit(ASK, MARK, lots)).unwrap();
        world.place(market, target, &taking(BID, MARK, lots)).unwrap();
    }
    // It may be sold for 600,000 less than it is worth. That is the target's own, until the other market takes it.
    rest(&mut world, target, &NewOrder { reduce_only: true, ..pegged(ASK, -60, 9_900, 100) });
    world.set_price(1, 7_100);
    world.place(1, rich, &limit(BID, 7_100, 40)).unwrap();
    world.place(1, target, &NewOrder { reduce_only: true, ..taking(ASK, 7_100, 40) }).unwrap();
    let before = equity(&world, target);
    assert!((0..600_000).contains(&before), "{before}");
    let found = met(&mut world, friend, &taking(BID, 9_940, 100));
    assert_eq!(found[0], (TradeEventKind::RiskCancelled, 9_900, 100));
    assert_eq!((world.base(0, target), equity(&world, target)), (100, before));
    // Nor by a bid: through the mark by more than a 128th it is not for sale, whoever owns it.
    let mut world = super::world();
    let (target, friend) = (world.funded(3, 6_000_000), world.funded(4, 900_000_000));
    place(&mut world, target, &pegged(BID, 0, MARK, 100));
    set_board(&mut world, MARK, 9_390);
    let sold = place(&mut world, friend, &taking(ASK, 9_000, 100));
    assert_eq!((sold.filled, world.base(0, target), equity(&world, target)), (Lots::ZERO, 0, 6_000_000));
    assert!(pegs(&world, BID).is_empty());
}

/// 4: who takes all places of a side keeps nobody out who offers more.
#[test]
fn attack_pegged_side_filled_up() {
    for (side, bound) in [(BID, 10_000), (ASK, 10_000)] {
        let away = |ticks: i32| if side == BID { -ticks } else { ticks };
        let mut world = world();
        let (squatter, honest) = pair(&mut world);
        for _ in 0..FULL {
            world.place(0, squatter, &pegged(side, away(10), bound, 1)).unwrap();
        }
        assert_eq!(world.check(), Ok(()));
        for offset in [away(10), away(11)] {
            refused(&mut world, honest, &pegged(side, offset, bound, 1), EngineError::BookFull);
        }
        let before = seen(&world);
        rest(&mut world, honest, &pegged(side, away(9), bound, 1));
        let events = events_since(&world, before);
        // The newest of the worst goes.
        assert_eq!((events[0].kind(), events[0].order.get()), (Some(TradeEventKind::Evicted), FULL as u64));
        assert_eq!((events[1].kind(), events.len()), (Some(TradeEventKind::PegPlaced), 2));
        assert_eq!((offsets(&world, side)[0], pegs(&world, side).len()), (away(9), FULL));
        // The book has its own places.
        let price = if side == BID { 9_980 } else { 10_020 };
        rest(&mut world, honest, &post_only(side, price));
        assert_eq!(world.cancel_all(0, squatter, Sides::Both, 255), Ok(127));
        assert_eq!((world.check(), offsets(&world, side)), (Ok(()), vec![away(9)]));
    }
}

/// 5: a pile of expired orders costs a taker its steps, not more, and goes as it is met.
#[test]
fn attack_pegged_pile_of_expired_orders_exhausts_a_taker() {
    let mut world = world();
    let (squatter, honest) = pair(&mut world);
    let taker = world.funded(3, RICH);
    let order = until(pegged(BID, -1, 10_000, 1), &world, 5);
    for _ in 0..FULL - 1 {
        world.place(0, squatter, &order).unwrap();
    }
    rest(&mut world, honest, &pegged(BID, -2, 10_000, 5));
    world.pass(6);
    world.set_price(0, MARK);
    // Nothing that has expired stands in the way of a quote.
    let quotes = [Quote::new(ASK, Ticks::new(9_999), Lots::new(1))];
    let wanted = Replacement { sequence: 1, sides: None, expires_at: UnixSeconds::ZERO, quotes: &quotes };
    assert_eq!(world.clone().trading(0, |trading| trading.replace_quotes(taker, &wanted)), Ok(true));
    let few = NewOrder { match_limit: 100, ..limit(ASK, 9_998, 5) };
    let stopped = place(&mut world, taker, &few);
    assert_eq!((stopped.filled, stopped.resting), (Lots::ZERO, None), "nor does what is left rest across them");
    assert_eq!(pegs(&world, BID).len(), FULL - 100);
    assert_eq!(place(&mut world, taker, &few).filled, Lots::new(5));
    assert!(world.market(0).header.is_plain(BID));
}

/// 6: a liquidation is closed against pegged orders for no less than they offer, and steps over what is not for sale.
#[test]
fn attack_pegged_orders_that_are_not_for_sale_against_a_liquidation() {
    let mut world = world();
    let rich = world.funded(1, RICH);
    let (target, keeper) = (world.funded(3, 6_000_000), world.funded(4, RICH));
    place(&mut world, rich, &limit(ASK, MARK, 100));
    place(&mut world, target, &taking(BID, MARK, 100));
    for (offset, bound, lots) in [(-10, 9_990, 3), (-10, 10_000, 40), (-30, 9_970, 60)] {
        rest(&mut world, keeper, &pegged(BID, offset, bound, lots));
    }
    // The mark is behind the index: 9,690 is too far through it, 9,670 is not.
    world.set_price(0, 9_600);
    set_board(&mut world, 9_700, 9_600);
    let before = seen(&world);
    let done = world.trading(0, |trading| trading.liquidate(rich, target, 255)).unwrap();
    assert_eq!(world.check(), Ok(()));
    let events = events_since(&world, before);
    let found: Vec<_> = events.iter().map(|event| (event.kind().unwrap(), event.price.get())).collect();
    let dropped = |price| (TradeEventKind::PegDropped, price);
    assert_eq!(found[..3], [dropped(9_990), dropped(10_000), (TradeEventKind::Filled, 9_670)]);
    assert!((events[2].lots, found.len()) == (done.lots, 4) && done.lots < Lots::new(60));
}
