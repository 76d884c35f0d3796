//! Replacing quotes: the same book as cancelling and placing one by one would leave, in fewer steps.

#[allow(dead_code, reason = "every test binary uses its part")]
mod support;

use quantdesk_engine::{
    CellIndex, EngineError, Lots, Result, Side, Ticks, UnixSeconds,
    book::{NewOrder, OrderKind, Quote, Replacement, Sides},
    state::TradeEventKind,
};
use support::{
    World, listing,
    random::{Random, setting},
    world::order,
};

const BID: Side = Side::Bid;
const ASK: Side = Side::Ask;

fn world() -> World {
    let mut listing = listing::usual();
    listing.side_capacity = 12;
    let mut world = World::new(&[listing], 32);
    world.set_price(0, 100);
    world
}

fn quote(side: Side, price: u32, lots: u64) -> Quote {
    Quote::new(side, Ticks::new(price), Lots::new(lots))
}

fn replace(
    world: &mut World,
    trader: CellIndex,
    sequence: u64,
    sides: Option<Sides>,
    quotes: &[Quote],
) -> Result<bool> {
    let wanted = Replacement { sequence, sides, expires_at: UnixSeconds::ZERO, quotes };
    let done = world.trading(0, |trading| trading.replace_quotes(trader, &wanted));
    assert_eq!(world.check(), Ok(()));
    done
}

/// A side as (price, lots, trader), best first.
fn side(world: &World, side: Side) -> Vec<(u32, u64, u32)> {
    let (market, view) = (world.market(0), world.view());
    let orders = market
        .orders(side)
        .map(|(_, node)| (node.price.get(), node.lots.get(), view.position(node.position).unwrap().trader.get()));
    orders.collect()
}

fn sides(world: &World) -> [Vec<(u32, u64, u32)>; 2] {
    [side(world, BID), side(world, ASK)]
}

#[test]
fn quotes_move_and_what_is_too_many_goes() {
    let mut world = world();
    let (maker, other) = (world.funded(1, 100_000_000), world.funded(2, 100_000_000));
    let me = maker.get();
    let first = [quote(BID, 98, 2), quote(BID, 97, 4), quote(ASK, 102, 2), quote(ASK, 103, 4)];
    assert_eq!(replace(&mut world, maker, 5, None, &first), Ok(true));
    world.place(0, other, &order(BID, OrderKind::Limit, 99, 1)).unwrap();
    let second = [quote(BID, 99, 3), quote(ASK, 101, 3)];
    assert_eq!(replace(&mut world, maker, 6, Some(Sides::Both), &second), Ok(true));
    let expected = [vec![(99, 1, other.get()), (99, 3, me)], vec![(101, 3, me)]];
    assert_eq!(sides(&world), expected, "behind those that were there");
    let third = [quote(BID, 98, 5), quote(BID, 96, 5)];
    assert_eq!(replace(&mut world, maker, 7, Some(Sides::Bids), &third), Ok(true));
    assert_eq!(side(&world, ASK), [(101, 3, me)], "the other side stays");
    assert_eq!(side(&world, BID), [(99, 1, other.get()), (98, 5, me), (96, 5, me)]);
    assert_eq!(replace(&mut world, maker, 8, Some(Sides::Both), &[]), Ok(true));
    assert_eq!(sides(&world), [vec![(99, 1, other.get())], vec![]]);
}

#[test]
fn an_older_or_equal_number_changes_nothing() {
    let mut world = world();
    let maker = world.funded(1, 100_000_000);
    replace(&mut world, maker, 5, None, &[quote(BID, 98, 2)]).unwrap();
    let before = sides(&world);
    for sequence in [0, 4, 5] {
        assert_eq!(replace(&mut world, maker, sequence, Some(Sides::Both), &[quote(BID, 97, 9)]), Ok(false));
        assert_eq!(sides(&world), before);
    }
    // A refused one does not use its number up.
    assert_eq!(replace(&mut world, maker, 6, None, &[quote(BID, 98, 0)]), Err(EngineError::OrderLotsOutOfRange));
    assert_eq!(replace(&mut world, maker, 6, Some(Sides::Both), &[quote(BID, 97, 9)]), Ok(true));
}

#[test]
fn a_quote_that_asks_for_what_it_is_keeps_its_place() {
    let mut world = world();
    let (maker, other) = (world.funded(1, 100_000_000), world.funded(2, 100_000_000));
    let quotes = [quote(BID, 98, 2), quote(BID, 97, 4)];
    replace(&mut world, maker, 1, None, &quotes).unwrap();
    world.place(0, other, &order(BID, OrderKind::Limit, 98, 1)).unwrap();
    let written = world.market(0).header.events_written;
    replace(&mut world, maker, 2, Some(Sides::Both), &quotes).unwrap();
    assert_eq!(world.market(0).header.events_written, written);
    assert_eq!(side(&world, BID)[0], (98, 2, maker.get()), "in front of the one that came later");
}

#[test]
fn both_sides_may_move_through_where_they_were() {
    let mut world = world();
    let maker = world.funded(1, 100_000_000);
    replace(&mut world, maker, 1, None, &[quote(BID, 99, 2), quote(ASK, 101, 2)]).unwrap();
    assert_eq!(replace(&mut world, maker, 2, Some(Sides::Both), &[quote(BID, 103, 2), quote(ASK, 105, 2)]), Ok(true));
    assert_eq!(replace(&mut world, maker, 3, Some(Sides::Both), &[quote(BID, 95, 2), quote(ASK, 97, 2)]), Ok(true));
    let crossed = [quote(BID, 99, 2), quote(ASK, 99, 2)];
    assert_eq!(replace(&mut world, maker, 4, Some(Sides::Both), &crossed), Err(EngineError::PostOnlyWouldCross));
}

#[test]
fn an_expired_order_in_the_way_is_dropped_and_a_live_one_is_not() {
    let mut world = world();
    let (maker, other) = (world.funded(1, 100_000_000), world.funded(2, 100_000_000));
    let expires_at = UnixSeconds::new(world.now.unix_seconds.get() + 10);
    let ask = NewOrder { expires_at, ..order(ASK, OrderKind::Limit, 101, 3) };
    world.place(0, other, &ask).unwrap();
    let high = [quote(BID, 102, 2)];
    assert_eq!(replace(&mut world, maker, 1, None, &high), Err(EngineError::PostOnlyWouldCross));
    world.pass(11);
    world.set_price(0, 100);
    assert_eq!(replace(&mut world, maker, 1, None, &high), Ok(true));
    let last = world.market(0).events.iter().max_by_key(|event| event.sequence).copied().unwrap();
    assert_eq!(last.kind(), Some(TradeEventKind::Expired));
}

/// Against the long way: cancel the same sides, then place post-only one by one. Sizes are even before and odd after, so
/// that no quote is what it was.
#[test]
fn replacing_leaves_what_cancelling_and_placing_would() {
    let seed = setting("QUANTDESK_SEED", 3);
    let rounds = setting("QUANTDESK_OPS", 4_000);
    println!("seed {seed}");
    let mut random = Random::new(seed);
    let (mut agreed, mut refused) = (0, 0);
    for _ in 0..rounds {
        let mut world = world();
        let traders: Vec<_> = (1..4).map(|owner| world.funded(owner, 600_000 * owner)).collect();
        for _ in 0..random.range(0, 14) {
            let (side, mid) = random.pick(&[(BID, 97), (ASK, 103)]);
            let price = (mid + random.range(-3, 3)) as u32;
            let kind = random.pick(&[OrderKind::PostOnly, OrderKind::PostOnly, OrderKind::Limit]);
            let _ = world.place(0, random.pick(&traders), &order(side, kind, price, 2 * random.range(1, 5) as u64));
        }
        let maker = random.pick(&traders);
        let cancelled = random.pick(&[None, Some(Sides::Both), Some(Sides::Bids), Some(Sides::Asks)]);
        let quotes: Vec<Quote> = (0..random.range(0, 7))
            .map(|_| {
                let (side, mid) = random.pick(&[(BID, 98), (ASK, 102)]);
                quote(side, (mid + random.range(-3, 3)) as u32, 2 * random.range(0, 5) as u64 + 1)
            })
            .collect();
        let mut long_way = world.clone();
        let short = replace(&mut world, maker, 1, cancelled, &quotes);
        let long = one_by_one(&mut long_way, maker, cancelled, &quotes);
        // On a full side a quote may push out one of the maker's own orders: what was too much on the way is not in the end.
        let pushed =
            |world: &World| world.market(0).events.iter().any(|event| event.kind() == Some(TradeEventKind::Evicted));
        if short.is_ok() && long == Err(EngineError::PositionTooLarge) && pushed(&world) {
            continue;
        }
        assert_eq!(short.is_ok(), long.is_ok(), "seed {seed}: {short:?} {long:?} {quotes:?}");
        if short.is_err() {
            refused += 1;
            continue;
        }
        agreed += 1;
        assert_eq!(sides(&world), sides(&long_way), "seed {seed}");
        let reserved = |world: &World| {
            let held = world.position(0, maker);
            held.map_or_else(Default::default, |it| {
                (it.open_bid_lots, it.open_ask_lots, it.open_bid_notional, it.open_ask_notional, it.orders)
            })
        };
        assert_eq!(reserved(&world), reserved(&long_way), "seed {seed}");
    }
    assert!(agreed * 4 > rounds && refused * 20 > rounds, "{agreed} agreed, {refused} refused");
}

fn one_by_one(world: &mut World, maker: CellIndex, cancelled: Option<Sides>, quotes: &[Quote]) -> Result<()> {
    if let Some(sides) = cancelled {
        world.cancel_all(0, maker, sides, 255)?;
    }
    for quote in quotes {
        let wanted = order(quote.side().unwrap(), OrderKind::PostOnly, quote.price.get(), quote.lots.get());
        world.place(0, maker, &wanted)?;
    }
    Ok(())
}
