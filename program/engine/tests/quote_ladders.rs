//! Makers' ladders, engine and model in lockstep: what each call does, and the attacks on it.

#[allow(dead_code, reason = "every test binary uses its part")]
mod model;
#[allow(dead_code, reason = "every test binary uses its part")]
mod support;

use model::{
    pair::{Did, Op, Pair},
    quote_ladder::{LADDERS, Ladder, Wanted},
};
use quantdesk_engine::{
    EngineError, NodeIndex, PicoPrice, Side, Ticks, UnixSeconds,
    book::{NewOrder, OrderKind, Quote, Replacement, SelfTrade, Sides},
    risk::price::SourcePrice,
    state::TradeEventKind,
};
use support::{
    listing,
    world::{GENEROUS, order},
};

const BID: Side = Side::Bid;
const ASK: Side = Side::Ask;
/// Mark of the market, in ticks of 7 atoms a lot; stale begins 391 ticks through it.
const MID: u32 = 50_000;
const RICH: u64 = 1 << 40;
/// Who moves the ladders of these tests.
const QUOTER: u64 = 77;

/// One market, where everybody is rich unless a test says otherwise.
struct Desk {
    pair: Pair,
    owners: u64,
}

/// Levels as (distance, lots).
type Levels<'a> = &'a [(u32, u64)];

impl Desk {
    fn new() -> Self {
        let mut desk = Self { pair: Pair::new(&[listing::fine()], 200, GENEROUS), owners: 0 };
        desk.price(MID);
        desk
    }

    #[track_caller]
    fn apply(&mut self, op: &Op) -> Did {
        self.pair.apply(op).unwrap_or_else(|difference| panic!("{op:?}: {difference}"))
    }

    fn price(&mut self, ticks: u32) {
        let reading = SourcePrice {
            price: PicoPrice::new(700_000_000 * u64::from(ticks)),
            confidence: PicoPrice::ZERO,
            publish_time: UnixSeconds::new(self.pair.model.now),
        };
        assert_eq!(self.apply(&Op::Price { market: 0, readings: vec![Ok(reading); 2] }), Did::Nothing);
    }

    /// The mark walks to this price.
    fn walk(&mut self, ticks: u32) {
        while self.pair.model.markets[0].mark != i128::from(ticks) {
            self.apply(&Op::Pass { seconds: 5 });
            self.price(ticks);
        }
    }

    fn funded(&mut self, atoms: u64) -> usize {
        self.owners += 1;
        let opened = self.apply(&Op::Open { owner: self.owners, sub_account: 0 });
        let Did::Opened(trader) = opened else { panic!("{opened:?}") };
        self.apply(&Op::Deposit { trader, atoms });
        trader
    }

    fn set(&mut self, trader: usize, wanted: Wanted) -> Did {
        self.apply(&Op::SetLadder { trader, market: 0, wanted })
    }

    fn ladder(&self, trader: usize) -> Option<(usize, Ladder)> {
        let numbered = self.pair.model.markets[0].ladders.iter().cloned().enumerate();
        numbered.filter_map(|(number, ladder)| Some((number, ladder?))).find(|(_, ladder)| ladder.trader == trader)
    }

    /// The ladder is moved by `quoter`.
    fn moved_by(&mut self, quoter: u64, trader: usize, sequence: u64, mid: u32) -> Did {
        let number = self.ladder(trader).map_or(0, |(number, _)| number as u32);
        let position = self.pair.model.position(trader, 0).cell;
        self.apply(&Op::MoveLadder { market: 0, number, position, quoter, sequence, mid })
    }

    fn moved(&mut self, trader: usize, sequence: u64, mid: u32) -> Did {
        self.moved_by(QUOTER, trader, sequence, mid)
    }

    fn place(&mut self, trader: usize, order: NewOrder) -> Did {
        self.apply(&Op::Place { trader: Some(trader), market: 0, order })
    }

    /// Takes, and returns the fills as (maker, lots, price).
    #[track_caller]
    fn take(&mut self, trader: usize, side: Side, limit: u32, lots: u64) -> Vec<(usize, i128, i128)> {
        let did = self.place(trader, order(side, OrderKind::ImmediateOrCancel, limit, lots));
        assert!(matches!(did, Did::Placed(_)), "{did:?}");
        self.fills()
    }

    fn fills(&self) -> Vec<(usize, i128, i128)> {
        let by_cell = |cell| self.pair.model.live().find(|(_, trader)| trader.cell == cell).expect("a trader").0;
        let fills = self.pair.model.trail.iter().filter(|event| event.kind == TradeEventKind::Filled);
        fills.map(|event| (by_cell(event.maker), event.lots, event.price)).collect()
    }

    fn kinds(&self) -> Vec<TradeEventKind> {
        self.pair.model.trail.iter().map(|event| event.kind).collect()
    }

    /// Lots a ladder may still fill, bids and asks.
    fn reserves(&self, trader: usize) -> (i128, i128) {
        let open = self.pair.model.markets[0].open(trader);
        (open.bids, open.asks)
    }
}

/// Both sides alike: limits 300 ticks beyond the middle, 100 lots of reserve.
fn both(sequence: u64, mid: u32, levels: Levels<'_>) -> Wanted {
    let side = |limit| (limit, 100, levels.to_vec());
    Wanted { sequence, quoter: QUOTER, mid, sides: [side(MID + 300), side(MID - 300)] }
}

fn one(sequence: u64, side: Side, limit: u32, reserve: u64, levels: Levels<'_>) -> Wanted {
    let (given, none) = ((limit, reserve, levels.to_vec()), (0, 0, Vec::new()));
    let sides = if side == BID { [given, none] } else { [none, given] };
    Wanted { sequence, quoter: QUOTER, mid: MID, sides }
}

fn nothing(sequence: u64) -> Wanted {
    Wanted { sequence, quoter: QUOTER, mid: 0, sides: [(0, 0, Vec::new()), (0, 0, Vec::new())] }
}

const LEVELS: Levels<'static> = &[(10, 5), (20, 10), (50, 20)];

#[test]
fn levels_trade_nearest_first_and_a_move_makes_them_whole_but_not_the_reserve() {
    let mut desk = Desk::new();
    let (maker, taker) = (desk.funded(RICH), desk.funded(RICH));
    assert_eq!(desk.set(maker, both(1, MID, LEVELS)), Did::Quoted(true));
    assert_eq!(desk.kinds(), [TradeEventKind::LadderSet; 2]);
    assert_eq!(desk.take(taker, BID, MID + 30, 8), [(maker, 5, 50_010), (maker, 3, 50_020)]);
    let filled = desk.pair.model.trail[0].clone();
    assert_eq!((filled.order, filled.client_id), (2, 1), "the side's number, and the maker's");
    assert_eq!(desk.take(taker, BID, MID + 30, 20), [(maker, 7, 50_020)], "what is left within the limit");
    assert_eq!(desk.take(taker, ASK, MID - 10, 20), [(maker, 5, 49_990)], "the other side is whole");
    assert_eq!(desk.moved(maker, 2, MID + 100), Did::Quoted(true));
    assert_eq!(desk.kinds(), [TradeEventKind::LadderMoved]);
    assert_eq!(desk.take(taker, BID, MID + 150, 100).iter().map(|fill| fill.1).sum::<i128>(), 35);
    assert_eq!(desk.reserves(maker), (95, 50));
}

#[test]
fn price_goes_first_then_time_and_a_move_takes_a_new_number() {
    let mut desk = Desk::new();
    let (first, second, taker) = (desk.funded(RICH), desk.funded(RICH), desk.funded(RICH));
    let third = desk.funded(RICH);
    desk.set(first, one(1, ASK, MID, 50, &[(10, 5)]));
    desk.place(second, order(ASK, OrderKind::PostOnly, MID + 10, 6));
    desk.set(third, one(1, ASK, MID, 50, &[(9, 7)]));
    let expected = [(third, 7, 50_009), (first, 5, 50_010), (second, 1, 50_010)];
    assert_eq!(desk.take(taker, BID, MID + 10, 13), expected);
    desk.moved(first, 2, MID);
    assert_eq!(desk.take(taker, BID, MID + 10, 9), [(second, 5, 50_010), (first, 4, 50_010)]);
}

#[test]
fn what_is_beyond_the_limit_or_stale_is_passed_in_one_step() {
    let mut desk = Desk::new();
    let (maker, taker) = (desk.funded(RICH), desk.funded(RICH));
    desk.set(maker, one(1, BID, MID - 25, 50, &[(10, 5), (20, 6), (30, 7)]));
    let ioc = |lots, match_limit| NewOrder { match_limit, ..order(ASK, OrderKind::ImmediateOrCancel, MID - 100, lots) };
    // One step for the two that are beyond the limit, one for the third.
    desk.place(taker, ioc(9, 2));
    assert_eq!(desk.fills(), [(maker, 7, 49_970)]);
    assert!(desk.take(taker, ASK, MID - 100, 9).is_empty(), "consumed until the next move");
    // Through the mark by more than a 128th, though within the limit.
    desk.set(maker, one(2, BID, MID + 900, 50, &[(10, 5), (500, 6)]));
    desk.moved(maker, 3, MID + 800);
    assert_eq!(desk.take(taker, ASK, MID - 100, 20), [(maker, 6, 50_300)]);
    // A post-only order passes them too, but not what is for sale.
    desk.moved(maker, 4, MID + 800);
    let refused = Did::Refused(EngineError::PostOnlyWouldCross);
    assert_eq!(desk.place(taker, order(ASK, OrderKind::PostOnly, MID + 200, 5)), refused);
    let placed = desk.place(taker, order(ASK, OrderKind::PostOnlySlide, MID + 200, 5));
    assert!(matches!(placed, Did::Placed(placed) if placed.resting.is_some()), "{placed:?}");
    assert_eq!(desk.pair.model.markets[0].asks.values().next().unwrap().price, 50_301);
}

#[test]
fn a_move_does_not_take_and_without_a_middle_nothing_is_for_sale() {
    let mut desk = Desk::new();
    let (maker, other, taker) = (desk.funded(RICH), desk.funded(RICH), desk.funded(RICH));
    desk.place(other, order(ASK, OrderKind::PostOnly, MID + 5, 9));
    desk.set(maker, both(1, MID, LEVELS));
    desk.moved(maker, 2, MID + 25);
    let left = |desk: &Desk, side: usize| desk.ladder(maker).unwrap().1.sides[side].left.clone();
    assert_eq!(left(&desk, 0), [(50, 20)], "bids at 50,015 and 50,005 would take");
    assert_eq!(left(&desk, 1).len(), 3);
    assert_eq!(desk.take(taker, ASK, MID - 50, 100), [(maker, 20, 49_975)]);
    desk.moved(maker, 3, 0);
    assert!(desk.take(taker, ASK, MID - 900, 100).is_empty());
    assert_eq!(desk.take(taker, BID, MID + 900, 100), [(other, 9, 50_005)]);
    assert_eq!(desk.reserves(maker), (80, 100), "nothing is released by pulling");
    desk.moved(maker, 4, 1);
    assert!(desk.take(taker, ASK, MID - 900, 100).is_empty(), "a bid below the first tick is none");
    desk.moved(maker, 5, u32::MAX);
    assert!(desk.take(taker, BID, MID + 900, 100).is_empty());
}

#[test]
fn its_own_owner_consumes_levels_and_no_reserve() {
    use SelfTrade::{CancelBoth, CancelMaker, CancelTaker, Decrement};
    for (self_trade, left, other) in [(CancelMaker, 0, 5), (CancelTaker, 35, 0), (CancelBoth, 30, 0), (Decrement, 5, 0)]
    {
        let mut desk = Desk::new();
        let (maker, rival) = (desk.funded(RICH), desk.funded(RICH));
        desk.set(maker, both(1, MID, LEVELS));
        desk.place(rival, order(ASK, OrderKind::PostOnly, MID + 60, 5));
        let taking = NewOrder { self_trade, ..order(BID, OrderKind::ImmediateOrCancel, MID + 70, 30) };
        desk.place(maker, taking);
        assert_eq!(desk.fills().iter().map(|fill| fill.1).sum::<i128>(), other, "{self_trade:?}");
        let found: i128 = desk.ladder(maker).unwrap().1.sides[1].left.iter().map(|level| level.1).sum();
        assert_eq!((found, desk.reserves(maker)), (left, (100, 100)), "{self_trade:?}");
    }
}

/// A reserve smaller than the level: what does not trade with its owner is no more than what would trade.
#[test]
fn its_own_owner_is_decremented_by_no_more_than_the_reserve_at_a_time() {
    let mut desk = Desk::new();
    let maker = desk.funded(RICH);
    desk.set(maker, one(1, ASK, MID, 6, &[(10, 20)]));
    let self_trade = SelfTrade::Decrement;
    let order = order(BID, OrderKind::ImmediateOrCancel, MID + 10, 30);
    desk.place(maker, NewOrder { self_trade, match_limit: 2, ..order });
    assert_eq!(desk.ladder(maker).unwrap().1.sides[0].left, [(10, 8)]);
}

#[test]
fn a_side_ends_with_its_reserve_and_a_ladder_with_its_sides() {
    let mut desk = Desk::new();
    let (maker, taker) = (desk.funded(RICH), desk.funded(RICH));
    desk.set(maker, both(1, MID, &[(10, 60), (20, 60)]));
    assert_eq!(desk.take(taker, BID, MID + 20, 200), [(maker, 60, 50_010), (maker, 40, 50_020)]);
    assert_eq!((desk.reserves(maker), desk.ladder(maker).unwrap().1.sides.len()), ((100, 0), 1));
    desk.moved(maker, 2, MID);
    assert!(desk.take(taker, BID, MID + 900, 200).is_empty());
    desk.take(taker, ASK, MID - 20, 200);
    assert_eq!((desk.reserves(maker), desk.ladder(maker)), ((0, 0), None));
    assert_eq!(desk.moved(maker, 3, MID), Did::Refused(EngineError::LadderNotFound));
}

#[test]
fn the_last_number_wins_whoever_gave_it() {
    let mut desk = Desk::new();
    let (maker, taker) = (desk.funded(RICH), desk.funded(RICH));
    assert_eq!(desk.set(maker, both(5, MID, LEVELS)), Did::Quoted(true));
    for sequence in [0, 4, 5] {
        assert_eq!(desk.set(maker, both(sequence, MID + 9, LEVELS)), Did::Quoted(false));
        assert_eq!(desk.moved(maker, sequence, MID + 9), Did::Quoted(false));
    }
    assert_eq!(desk.moved(maker, 9, MID + 1), Did::Quoted(true));
    assert_eq!(desk.set(maker, both(9, MID, LEVELS)), Did::Quoted(false), "the ladder has moved since");
    assert_eq!(desk.set(maker, nothing(10)), Did::Quoted(true));
    assert_eq!((desk.kinds(), desk.ladder(maker)), (vec![TradeEventKind::Cancelled; 2], None));
    assert_eq!(desk.set(maker, both(10, MID, LEVELS)), Did::Quoted(false), "the number outlives the ladder");
    assert_eq!(desk.set(maker, nothing(11)), Did::Quoted(true), "taking nothing away is not an error");
    assert_eq!(desk.set(taker, both(1, MID, LEVELS)), Did::Quoted(true));
    assert_eq!(desk.set(maker, both(12, MID, LEVELS)), Did::Quoted(true));
    assert_eq!(desk.ladder(maker).unwrap().0, 1);
    desk.set(taker, nothing(2));
    desk.set(maker, both(13, MID, LEVELS));
    assert_eq!(desk.ladder(maker).unwrap().0, 1, "a ladder set anew keeps its number");
}

#[test]
fn what_is_wrong_is_said_and_changes_nothing() {
    use EngineError::*;
    let mut desk = Desk::new();
    let (maker, poor) = (desk.funded(RICH), desk.funded(10_000_000));
    let levels = |levels: Levels<'_>| one(1, BID, MID, 50, levels);
    let nine: Vec<(u32, u64)> = (0..9).map(|level| (level, 5)).collect();
    let cases = [
        (levels(&[(10, 5), (10, 5)]), LadderInvalid),
        (levels(&[(10, 5), (9, 5)]), LadderInvalid),
        (levels(&nine), LadderInvalid),
        (one(1, BID, MID, 50, &[]), LadderInvalid),
        (one(1, BID, 0, 50, &[]), LadderInvalid),
        (Wanted { quoter: 0, ..levels(LEVELS) }, LadderInvalid),
        (levels(&[(10, 4)]), OrderLotsOutOfRange),
        (levels(&[(10, 1_001)]), OrderLotsOutOfRange),
        (one(1, BID, MID, 4, LEVELS), OrderLotsOutOfRange),
        (one(1, BID, MID, 1_001, LEVELS), OrderLotsOutOfRange),
        (one(1, BID, 0, 50, LEVELS), OrderPriceOutOfRange),
        (one(1, ASK, 200_001, 50, LEVELS), OrderPriceOutOfRange),
        (one(1, BID, MID + 1_001, 50, LEVELS), OrderOutsideBand),
        (one(1, ASK, MID - 1_001, 50, LEVELS), OrderOutsideBand),
    ];
    for (wanted, error) in cases {
        assert_eq!(desk.set(maker, wanted.clone()), Did::Refused(error), "{wanted:?}");
    }
    // The reserve is what needs margin, whatever the levels are.
    assert_eq!(desk.set(poor, one(1, BID, MID, 1_000, &[(10, 5)])), Did::Refused(BelowInitialMargin));
    assert_eq!(desk.set(poor, one(1, BID, MID, 50, &[(10, 1_000)])), Did::Quoted(true));
    desk.place(maker, order(BID, OrderKind::PostOnly, MID - 1, 1_000));
    assert_eq!(desk.set(maker, one(1, BID, MID, 501, LEVELS)), Did::Refused(PositionTooLarge));
    desk.apply(&Op::Status { market: 0, status: 2 });
    assert_eq!(desk.set(maker, both(1, MID, LEVELS)), Did::Refused(MarketNotActive));
    assert_eq!(desk.moved(poor, 2, MID), Did::Quoted(true), "what stands may still be moved");
    assert_eq!(desk.set(poor, nothing(3)), Did::Quoted(true), "and taken away");
    desk.apply(&Op::Status { market: 0, status: 1 });
    desk.apply(&Op::Pass { seconds: 61 });
    assert_eq!(desk.set(maker, both(1, MID, LEVELS)), Did::Refused(PriceNotValidForAction));
}

#[test]
fn sides_go_as_orders_do_and_are_not_amended() {
    let mut desk = Desk::new();
    let maker = desk.funded(RICH);
    desk.set(maker, both(1, MID, LEVELS));
    let handle = |desk: &Desk, number: u64| desk.pair.handles[&(0, number)];
    let named = (handle(&desk, 1), 1);
    let amended = desk.apply(&Op::Amend { trader: maker, market: 0, named, price: MID, lots: 5 });
    assert_eq!(amended, Did::Refused(EngineError::OrderNotAmendable));
    let (market, node): (usize, NodeIndex) = (0, named.0);
    assert_eq!(desk.apply(&Op::Cancel { trader: maker, market, handle: node, sequence: 1 }), Did::Nothing);
    assert_eq!(desk.reserves(maker), (0, 100));
    let all = Op::CancelAll { trader: maker, market, sides: Sides::Both, limit: 255 };
    assert_eq!(desk.apply(&all), Did::Cancelled(1));
    desk.set(maker, both(2, MID, LEVELS));
    desk.apply(&Op::Heartbeat { trader: maker, seconds: 5 });
    desk.apply(&Op::Pass { seconds: 6 });
    let silent = Op::EnforceDeadman { target: maker, market, limit: 255 };
    assert_eq!((desk.apply(&silent), desk.ladder(maker)), (Did::Cancelled(2), None));
}

/// The mark falls away from somebody long with a ladder of bids: the ladder goes before anything else does.
#[test]
fn a_ladder_of_an_account_below_its_margin_goes_and_a_ladder_serves_a_liquidation() {
    let mut desk = Desk::new();
    let (maker, target) = (desk.funded(RICH), desk.funded(2_600_000));
    desk.set(maker, both(1, MID, &[(0, 100)]));
    desk.take(target, BID, MID, 50);
    assert_eq!(desk.set(target, one(1, BID, MID, 400, LEVELS)), Did::Quoted(true));
    desk.walk(MID - 400);
    let gone = Op::CancelForRisk { target, market: 0, limit: 255 };
    assert_eq!((desk.apply(&gone), desk.ladder(target)), (Did::Cancelled(1), None));
    while desk.pair.model.health(target).equity >= desk.pair.model.health(target).required {
        let lower = desk.pair.model.markets[0].mark as u32 - 100;
        desk.walk(lower);
    }
    let mark = desk.pair.model.markets[0].mark as u32;
    desk.moved(maker, 2, mark);
    let did = desk.apply(&Op::Liquidate { keeper: Some(maker), target, market: 0, steps: 255 });
    assert!(matches!(did, Did::Closed(done) if done.lots > 0), "{did:?}");
    assert!(desk.fills().iter().all(|(by, _, price)| (*by, *price) == (maker, i128::from(mark))));
}

/// Quotes of both kinds live beside each other, under one number.
#[test]
fn replacing_quotes_leaves_ladders_alone() {
    let mut desk = Desk::new();
    let maker = desk.funded(RICH);
    desk.set(maker, both(1, MID, LEVELS));
    let cell = desk.pair.cell(maker);
    let mut world = desk.pair.world.clone();
    let mut replace = |sequence, sides, price| {
        let quotes = [Quote::new(BID, Ticks::new(price), quantdesk_engine::Lots::new(5))];
        let wanted = Replacement { sequence, sides, expires_at: UnixSeconds::ZERO, quotes: &quotes };
        let done = world.trading(0, |trading| trading.replace_quotes(cell, &wanted));
        assert_eq!(world.check(), Ok(()));
        (done, world.position(0, cell).unwrap().orders)
    };
    assert_eq!(replace(1, Some(Sides::Both), MID), (Ok(false), 2));
    assert_eq!(replace(2, Some(Sides::Both), MID - 5), (Ok(true), 3));
    assert_eq!(replace(3, Some(Sides::Both), MID - 6), (Ok(true), 3));
    assert_eq!(replace(4, None, MID + 10), (Err(EngineError::PostOnlyWouldCross), 3), "its own ladder is for sale");
}

/// A move names a ladder and its position: neither a ladder that took the place, nor an old number, nor a stranger moves it.
#[test]
fn attack_moves_replayed_reordered_and_of_strangers() {
    let mut desk = Desk::new();
    let (maker, rival) = (desk.funded(RICH), desk.funded(RICH));
    desk.set(maker, both(1, MID, LEVELS));
    for (sequence, mid, done) in [(5, MID + 5, true), (3, MID + 3, false), (5, MID + 9, false), (6, MID + 6, true)] {
        assert_eq!(desk.moved(maker, sequence, mid), Did::Quoted(done));
    }
    assert_eq!(desk.ladder(maker).unwrap().1.mid, 50_006);
    assert_eq!(desk.moved_by(QUOTER + 1, maker, 7, MID), Did::Quoted(false));
    assert_eq!(desk.ladder(maker).unwrap().1.mid, 50_006);
    // The rival's ladder, with the same quoter, in the same place.
    let position = desk.pair.model.position(maker, 0).cell;
    desk.set(maker, nothing(7));
    desk.set(rival, both(1, MID, LEVELS));
    let late = Op::MoveLadder { market: 0, number: 0, position, quoter: QUOTER, sequence: 8, mid: 1 };
    assert_eq!(desk.apply(&late), Did::Refused(EngineError::LadderNotFound));
    for number in [1, 15, 16, 31, 32, u32::MAX] {
        let position = desk.pair.model.position(rival, 0).cell;
        let stray = Op::MoveLadder { market: 0, number, position, quoter: QUOTER, sequence: 8, mid: 1 };
        assert_eq!(desk.apply(&stray), Did::Refused(EngineError::LadderNotFound));
    }
}

/// Whoever was the quoter is nobody once the owner says so.
#[test]
fn attack_a_revoked_quoter() {
    let mut desk = Desk::new();
    let maker = desk.funded(RICH);
    desk.set(maker, both(1, MID, LEVELS));
    desk.set(maker, Wanted { quoter: QUOTER + 1, ..both(2, MID, LEVELS) });
    assert_eq!(desk.moved_by(QUOTER, maker, 3, MID + 200), Did::Quoted(false));
    assert_eq!(desk.ladder(maker).unwrap().1.mid, i128::from(MID));
    assert_eq!(desk.moved_by(QUOTER + 1, maker, 3, MID + 200), Did::Quoted(true));
}

/// A quoter that is robbed or mad: whatever it says, and whoever takes at once, nothing trades beyond the limit.
#[test]
fn attack_moving_past_the_limit() {
    let mut desk = Desk::new();
    let (maker, thief) = (desk.funded(RICH), desk.funded(RICH));
    desk.set(maker, both(1, MID, LEVELS));
    let mids = [1, MID - 40_000, MID - 400, MID - 310, MID, MID + 310, MID + 400, 2 * MID, u32::MAX - 5, u32::MAX];
    for (sequence, mid) in (2..).zip(mids) {
        desk.moved(maker, sequence, mid);
        for (side, limit) in [(BID, MID + 900), (ASK, MID - 900)] {
            for (_, _, price) in desk.take(thief, side, limit, 7) {
                assert!(if side == BID { price >= 49_700 } else { price <= 50_300 }, "{side:?} at {price}");
            }
        }
    }
}

/// Armed anew after every fill, with hardly any margin: the reserve is all it ever fills, and the account stays above its
/// margin but for fees.
#[test]
fn attack_arming_anew_after_every_fill() {
    let mut desk = Desk::new();
    let (maker, taker) = (desk.funded(300_000), desk.funded(RICH));
    assert_eq!(desk.set(maker, one(1, BID, MID, 105, &[(0, 5)])), Did::Quoted(true));
    assert_eq!(desk.set(maker, one(2, BID, MID, 130, &[(0, 5)])), Did::Refused(EngineError::BelowInitialMargin));
    let mut filled = 0;
    for sequence in 3..50 {
        let fills = desk.take(taker, ASK, MID - 900, 50);
        filled += fills.iter().map(|fill| fill.1).sum::<i128>();
        if desk.moved(maker, sequence, MID) == Did::Refused(EngineError::LadderNotFound) {
            break;
        }
    }
    assert_eq!((filled, desk.pair.model.position(maker, 0).base, desk.ladder(maker)), (105, 105, None));
    assert!(desk.pair.model.initial(maker).excess() >= 0);
}

/// All places are taken by makers with little: who reserves more gets one, the smallest goes, and nobody without margin
/// could have held one.
#[test]
fn attack_squatting_all_ladders() {
    let mut desk = Desk::new();
    let squatters: Vec<usize> = (0..LADDERS).map(|_| desk.funded(200_000)).collect();
    for (number, squatter) in squatters.iter().enumerate() {
        let reserve = if number == 6 || number == 9 { 6 } else { 10 };
        assert_eq!(desk.set(*squatter, one(1, BID, MID - 900, reserve, &[(0, 5)])), Did::Quoted(true));
    }
    let (maker, other) = (desk.funded(RICH), desk.funded(RICH));
    let full = Did::Refused(EngineError::LaddersFull);
    assert_eq!(desk.set(maker, one(1, ASK, 200_000, 6, &[(0, 5)])), full, "no more lots, however much they are worth");
    assert_eq!(desk.set(squatters[0], one(2, BID, MID, 5, &[(0, 5)])), Did::Quoted(true), "a present one may shrink");
    assert_eq!(desk.set(squatters[0], one(3, BID, MID, 10, &[(0, 5)])), Did::Quoted(true));
    assert_eq!(desk.set(maker, both(1, MID, LEVELS)), Did::Quoted(true));
    let kinds = [TradeEventKind::Evicted, TradeEventKind::LadderSet, TradeEventKind::LadderSet];
    assert_eq!((desk.kinds(), desk.ladder(maker).unwrap().0), (kinds.to_vec(), 6));
    assert_eq!(desk.set(other, one(1, ASK, MID, 7, &[(0, 5)])), Did::Quoted(true));
    assert_eq!(desk.ladder(other).unwrap().0, 9);
    assert_eq!(desk.set(squatters[6], one(2, BID, MID, 7, &[(0, 5)])), full, "not strictly more");
    // A newcomer that fails for its margin evicts nobody.
    assert_eq!(desk.set(squatters[6], one(2, BID, MID, 900, &[(0, 5)])), Did::Refused(EngineError::BelowInitialMargin));
    assert_eq!(desk.pair.model.markets[0].ladders.iter().flatten().count(), LADDERS);
}

/// Ladders far through everything cost a taker one step each, however many levels they have.
#[test]
fn attack_levels_that_are_not_for_sale_in_a_takers_way() {
    let mut desk = Desk::new();
    let eight: Vec<(u32, u64)> = (0..8).map(|level| (level, 5)).collect();
    let (honest, taker) = (desk.funded(RICH), desk.funded(RICH));
    for _ in 0..LADDERS {
        let maker = desk.funded(RICH);
        desk.set(maker, one(1, ASK, MID, 5, &eight));
        desk.moved(maker, 2, 1);
    }
    desk.place(honest, order(ASK, OrderKind::PostOnly, MID + 1, 5));
    let match_limit = LADDERS as u8 + 1;
    desk.place(taker, NewOrder { match_limit, ..order(BID, OrderKind::ImmediateOrCancel, MID + 1, 5) });
    assert_eq!(desk.fills(), [(honest, 5, 50_001)]);
}

/// The mark looks at the book alone: a ladder, which may not be for sale, moves nothing.
#[test]
fn attack_moving_the_mark_by_a_ladder() {
    let mut desk = Desk::new();
    let (maker, other) = (desk.funded(RICH), desk.funded(RICH));
    desk.place(other, order(BID, OrderKind::PostOnly, MID - 10, 5));
    desk.place(other, order(ASK, OrderKind::PostOnly, MID + 10, 5));
    desk.set(maker, both(1, MID, &[(0, 100)]));
    for sequence in 2..20 {
        desk.moved(maker, sequence, MID + 9);
        desk.apply(&Op::Pass { seconds: 5 });
        desk.price(MID);
    }
    assert_eq!((desk.pair.model.markets[0].mark, desk.pair.model.markets[0].basis), (i128::from(MID), 0));
}
