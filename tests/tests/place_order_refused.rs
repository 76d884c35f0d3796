//! `PlaceOrder`, refused: every documented reason, at the last value that passes and the first that does not.

use quantdesk_client::{
    Refusal,
    engine::{
        CellIndex, EngineError, Generation, Lots, QuoteAtoms, UnixSeconds,
        book::{NewOrder, ORDERS_PER_POSITION_MAX, Sides},
        state::MarketRow,
    },
    error::ProgramError,
    instruction::Trader,
};
use quantdesk_sim::desk::{Desk, DeskConfig, MarketSpec};
use quantdesk_tests::{
    read, refuses,
    scene::{self, EVENTS, LEDGER, MARK, PRICE, Party, Scene, ask, bid, party, patch, patch_row},
};
use std::mem::offset_of;

/// Life-cycle byte of a row, which is private: it follows the market's index.
const STATUS: usize = offset_of!(MarketRow, index) + 2;

#[track_caller]
fn refuses_order(scene: &mut Scene, party: &Party, order: NewOrder, error: impl Into<ProgramError>) {
    let instruction = scene.order(party, &order);
    refuses(&mut scene.desk.chain, instruction, error);
}

#[test]
fn prices() {
    let mut scene = Scene::new();
    let alice = scene.alice;
    let out_of_range = EngineError::OrderPriceOutOfRange;
    for price in [0, 4_000_001, u32::MAX] {
        refuses_order(&mut scene, &alice, bid(price, 1).build(), out_of_range);
        refuses_order(&mut scene, &alice, ask(price, 1).build(), out_of_range);
    }
    // The band is 10% of the mark: 20,000 ticks, and only towards the other side.
    for order in [bid(220_001, 1), bid(4_000_000, 1), ask(179_999, 1), ask(1, 1)] {
        refuses_order(&mut scene, &alice, order.build(), EngineError::OrderOutsideBand);
        refuses_order(&mut scene, &alice, order.market().build(), EngineError::OrderOutsideBand);
    }
    for order in [bid(220_000, 1), bid(1, 1), ask(4_000_000, 1)] {
        scene.accept(&alice, &order.build());
    }
    let bob = scene.bob;
    scene.accept(&bob, &ask(180_000, 1).build());
}

#[test]
fn sizes() {
    let mut scene = Scene::new();
    let alice = scene.alice;
    let lots_max = read::row(&scene.desk, 0).lots_max.get();
    for lots in [0, lots_max + 1, i64::MAX as u64, u64::MAX] {
        refuses_order(&mut scene, &alice, bid(MARK, lots).build(), EngineError::OrderLotsOutOfRange);
    }
    // The largest order is refused for want of margin alone.
    refuses_order(&mut scene, &alice, bid(MARK, lots_max).build(), EngineError::BelowInitialMargin);
    scene.trade(5);
    patch_row(&mut scene.desk, 0, offset_of!(MarketRow, lots_min), &3u64.to_le_bytes());
    refuses_order(&mut scene, &alice, bid(MARK, 2).build(), EngineError::OrderLotsOutOfRange);
    scene.accept(&alice, &bid(MARK - 1, 3).build());
    // Dust may be closed below the smallest size, but nothing of zero lots.
    let bob = scene.bob;
    refuses_order(&mut scene, &bob, ask(MARK, 0).reduce_only().build(), EngineError::OrderLotsOutOfRange);
    scene.accept(&bob, &ask(MARK - 1, 1).reduce_only().immediate_or_cancel().build());
}

#[test]
fn times() {
    let mut scene = Scene::new();
    let alice = scene.alice;
    let now = scene.desk.chain.unix_seconds();
    let at = UnixSeconds::new;
    for expiry in [now, now - 1, 1, -1, i64::MIN] {
        refuses_order(&mut scene, &alice, bid(MARK, 1).expires_at(at(expiry)).build(), EngineError::OrderExpired);
    }
    scene.accept(&alice, &bid(MARK, 1).expires_at(at(now + 1)).build());
    scene.accept(&alice, &bid(MARK, 1).expires_at(at(i64::MAX)).build());

    let order = bid(MARK - 1, 1).build();
    let market = scene.market();
    let venue = scene.desk.venue;
    for until in [now - 1, 1, -1, i64::MIN] {
        let instruction = venue.place_order(&alice.trader, &market, &order, at(until));
        refuses(&mut scene.desk.chain, instruction, Refusal::InstructionExpired);
    }
    for until in [now, now + 1, 0, i64::MAX] {
        scene.desk.chain.send(venue.place_order(&alice.trader, &market, &order, at(until))).unwrap();
    }
    // The same bytes a second later.
    let instruction = venue.place_order(&alice.trader, &market, &order, at(now));
    scene.wait(1);
    refuses(&mut scene.desk.chain, instruction, Refusal::InstructionExpired);
}

#[test]
fn match_limit_of_zero() {
    let mut scene = Scene::new();
    let alice = scene.alice;
    refuses_order(&mut scene, &alice, bid(MARK, 1).match_limit(0).build(), EngineError::MatchLimitOutOfRange);
    scene.accept(&alice, &bid(MARK, 1).match_limit(1).build());
    scene.accept(&alice, &bid(MARK, 1).match_limit(255).build());
}

#[test]
fn client_ids_in_use() {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.alice, scene.bob);
    scene.accept(&alice, &bid(MARK - 1, 1).client_id(5).build());
    scene.accept(&alice, &bid(MARK - 2, 1).client_id(u64::MAX).build());
    for (order, id) in [(bid(MARK - 3, 1), 5), (ask(MARK + 3, 1), 5), (bid(MARK, 1), u64::MAX)] {
        refuses_order(&mut scene, &alice, order.client_id(id).build(), EngineError::ClientIdInUse);
    }
    // Another trader may use it, zero is no id, and a number is free again when its order is gone.
    scene.accept(&bob, &bid(MARK - 1, 1).client_id(5).build());
    scene.accept(&alice, &bid(MARK - 4, 1).build());
    scene.accept(&alice, &bid(MARK - 4, 1).build());
    let market = scene.market();
    scene.desk.chain.send(scene.desk.venue.cancel_all(&alice.trader, &market, Sides::Both, 9)).unwrap();
    scene.accept(&alice, &bid(MARK - 1, 1).client_id(5).build());
}

#[test]
fn orders_that_cannot_be_as_asked() {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.alice, scene.bob);
    scene.accept(&alice, &ask(MARK, 5).build());
    refuses_order(&mut scene, &bob, bid(MARK, 1).post_only().build(), EngineError::PostOnlyWouldCross);
    // Its own order counts, too.
    refuses_order(&mut scene, &alice, bid(MARK, 1).post_only().build(), EngineError::PostOnlyWouldCross);
    refuses_order(&mut scene, &bob, bid(MARK, 6).fill_or_kill().build(), EngineError::FillOrKillUnfilled);
    refuses_order(&mut scene, &bob, bid(MARK - 1, 5).fill_or_kill().build(), EngineError::FillOrKillUnfilled);
    // Enough lots, but more orders than it wants to meet.
    scene.accept(&alice, &ask(MARK, 5).build());
    let order = bid(MARK, 10).fill_or_kill().match_limit(1).build();
    refuses_order(&mut scene, &bob, order, EngineError::FillOrKillUnfilled);
    scene.accept(&bob, &bid(MARK, 10).fill_or_kill().match_limit(2).build());
}

#[test]
fn nothing_to_reduce() {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.alice, scene.bob);
    let nothing = EngineError::ReduceOnlyNothingToReduce;
    refuses_order(&mut scene, &alice, bid(MARK, 1).reduce_only().build(), nothing);
    scene.trade(5);
    // Alice is short, Bob long: the other direction would add.
    refuses_order(&mut scene, &alice, ask(MARK, 1).reduce_only().build(), nothing);
    refuses_order(&mut scene, &bob, bid(MARK, 1).reduce_only().build(), nothing);
}

#[test]
fn a_full_side() {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.alice, scene.bob);
    for step in 0..scene::SIDE {
        scene.accept(&alice, &ask(MARK + step, 1).build());
    }
    let worst = MARK + scene::SIDE - 1;
    for price in [worst, worst + 1, 4_000_000] {
        refuses_order(&mut scene, &bob, ask(price, 1).build(), EngineError::BookFull);
    }
    scene.accept(&bob, &ask(worst - 1, 1).build());
    // What does not rest needs no place.
    scene.accept(&bob, &ask(worst + 5, 1).immediate_or_cancel().build());
}

#[test]
fn too_many_orders_of_one_trader() {
    let mut scene = Scene::on(&MarketSpec { side_capacity: 256, ..MarketSpec::sol() });
    let (alice, bob) = (scene.alice, scene.bob);
    let order = bid(MARK - 9, 1).build();
    for _ in 0..ORDERS_PER_POSITION_MAX {
        scene.place(&alice, &order).unwrap();
    }
    refuses_order(&mut scene, &alice, order, EngineError::OrdersTooMany);
    refuses_order(&mut scene, &alice, ask(MARK + 9, 1).build(), EngineError::OrdersTooMany);
    scene.accept(&alice, &ask(MARK + 9, 1).immediate_or_cancel().build());
    scene.accept(&bob, &order);
}

#[test]
fn positions_beyond_the_cap() {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.alice, scene.bob);
    patch_row(&mut scene.desk, 0, offset_of!(MarketRow, position_max), &100u64.to_le_bytes());
    let too_large = EngineError::PositionTooLarge;
    refuses_order(&mut scene, &alice, ask(MARK, 101).build(), too_large);
    scene.trade(60);
    // 60 held and 40 resting are 100; the other side is counted for itself.
    scene.accept(&bob, &bid(MARK - 1, 40).build());
    refuses_order(&mut scene, &bob, bid(MARK - 2, 1).build(), too_large);
    scene.accept(&bob, &ask(MARK + 1, 100).build());
    scene.accept(&bob, &ask(MARK + 2, 60).build());
    refuses_order(&mut scene, &bob, ask(MARK + 3, 1).build(), too_large);
    // A cap lowered afterwards does not stop what makes nothing larger.
    patch_row(&mut scene.desk, 0, offset_of!(MarketRow, position_max), &10u64.to_le_bytes());
    refuses_order(&mut scene, &alice, ask(MARK + 9, 1).build(), too_large);
    scene.accept(&alice, &bid(MARK - 9, 20).build());
}

#[test]
fn open_interest_beyond_the_cap() {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.alice, scene.bob);
    patch_row(&mut scene.desk, 0, offset_of!(MarketRow, open_interest_max), &10u64.to_le_bytes());
    scene.trade(10);
    scene.accept(&alice, &ask(MARK, 5).build());
    refuses_order(&mut scene, &bob, bid(MARK, 1).build(), EngineError::OpenInterestTooLarge);
    // Bob may hand his over, which leaves the sum as it is, and reduce it.
    let carol = party(&mut scene.desk, 0);
    scene.accept(&bob, &ask(MARK - 1, 5).build());
    scene.accept(&carol, &bid(MARK - 1, 5).immediate_or_cancel().build());
    assert_eq!(read::row(&scene.desk, 0).open_interest.get(), 10);
    patch_row(&mut scene.desk, 0, offset_of!(MarketRow, open_interest_max), &1u64.to_le_bytes());
    scene.accept(&alice, &bid(MARK - 2, 5).build());
    scene.accept(&carol, &ask(MARK - 2, 3).immediate_or_cancel().build());
    assert_eq!(read::row(&scene.desk, 0).open_interest.get(), 7);
}

#[test]
fn margin_to_the_lot() {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.alice, scene.bob);
    let below = EngineError::BelowInitialMargin;
    // $1,000 at 20 times leverage are 100 SOL, wherever below the mark the bid rests.
    for price in [MARK, 1] {
        refuses_order(&mut scene, &alice, bid(price, 100_001).build(), below);
    }
    // A bid 10% through the mark also reserves the 10%.
    refuses_order(&mut scene, &alice, bid(220_000, 33_334).build(), below);
    scene.accept(&alice, &bid(220_000, 33_333).build());
    let market = scene.market();
    scene.desk.chain.send(scene.desk.venue.cancel_all(&alice.trader, &market, Sides::Both, 9)).unwrap();
    // A taker also pays the fee: n × (10,000 + 100) atoms.
    scene.accept(&alice, &ask(MARK, 100_000).build());
    refuses_order(&mut scene, &bob, bid(MARK, 99_010).immediate_or_cancel().build(), below);
    scene.accept(&bob, &bid(MARK, 99_009).immediate_or_cancel().build());
    refuses_order(&mut scene, &bob, bid(MARK - 5, 1).build(), below);
}

#[test]
fn below_margin_only_reducing_passes() {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.alice, scene.bob);
    scene.accept(&alice, &ask(MARK, 90_000).build());
    scene.accept(&bob, &bid(MARK, 90_000).immediate_or_cancel().build());
    scene.desk.set_price(0, PRICE / 100 * 98).unwrap();
    let below = EngineError::BelowInitialMargin;
    refuses_order(&mut scene, &bob, bid(MARK - 9_000, 1).build(), below);
    refuses_order(&mut scene, &bob, ask(MARK, 1).build(), below);
    // Reducing at a price that costs more than the margin it frees does not help the account.
    scene.accept(&alice, &bid(180_000, 100).build());
    refuses_order(&mut scene, &bob, ask(180_000, 100).reduce_only().immediate_or_cancel().build(), below);
    scene.accept(&alice, &bid(195_000, 100).build());
    scene.accept(&bob, &ask(195_000, 100).reduce_only().immediate_or_cancel().build());
    assert_eq!(read::lots(&scene.desk, &bob.trader, 0), 89_900);
}

#[test]
fn prices_that_are_not_fresh() {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.alice, scene.bob);
    scene.trade(10);
    scene.accept(&alice, &bid(MARK - 1, 10).build());
    let invalid = EngineError::PriceNotValidForAction;
    scene.wait(30);
    scene.accept(&alice, &bid(MARK - 2, 1).build());
    scene.wait(1);
    refuses_order(&mut scene, &alice, bid(MARK - 2, 1).build(), invalid);
    refuses_order(&mut scene, &bob, ask(MARK - 1, 1).immediate_or_cancel().build(), invalid);
    // Soft-stale: one may still get out. Dead: not even that.
    scene.accept(&bob, &ask(MARK - 1, 1).reduce_only().immediate_or_cancel().build());
    scene.wait(569);
    scene.accept(&bob, &ask(MARK - 1, 1).reduce_only().immediate_or_cancel().build());
    scene.wait(1);
    refuses_order(&mut scene, &bob, ask(MARK - 1, 1).reduce_only().build(), invalid);
}

#[test]
fn a_stale_price_elsewhere_counts() {
    let (mut scene, bitcoin) = Scene::with_bitcoin();
    let (alice, bob) = (scene.alice, scene.bob);
    // Never priced.
    let address = scene.desk.markets[bitcoin].address;
    let venue = scene.desk.venue;
    let order = bid(1_000_000, 1).build();
    let instruction = venue.place_order(&alice.trader, &address, &order, UnixSeconds::ZERO);
    refuses(&mut scene.desk.chain, instruction.clone(), EngineError::PriceNotValidForAction);
    scene.desk.set_price(bitcoin, 100_000 * scene::PICO).unwrap();
    scene.desk.chain.send(instruction).unwrap();
    scene.wait(31);
    scene.desk.set_price(0, PRICE).unwrap();
    refuses_order(&mut scene, &alice, bid(MARK, 1).build(), EngineError::PriceNotValidForAction);
    scene.accept(&bob, &bid(MARK, 1).build());
}

#[test]
fn markets_that_are_not_active() {
    let mut scene = Scene::new();
    let bob = scene.bob;
    scene.trade(5);
    patch_row(&mut scene.desk, 0, STATUS, &[2]);
    refuses_order(&mut scene, &bob, bid(MARK, 1).build(), EngineError::MarketNotActive);
    refuses_order(&mut scene, &bob, ask(MARK, 1).build(), EngineError::MarketNotActive);
    scene.accept(&bob, &ask(MARK, 1).reduce_only().build());
    for status in [0, 3, 255] {
        patch_row(&mut scene.desk, 0, STATUS, &[status]);
        refuses_order(&mut scene, &bob, ask(MARK, 1).reduce_only().build(), EngineError::MarketNotActive);
    }
}

#[test]
fn no_cell_for_the_position() {
    let mut desk = Desk::new(DeskConfig { cells: 2, events: EVENTS, ..DeskConfig::default() }).unwrap();
    let market = desk.list(&scene::sol()).unwrap();
    desk.set_price(market, PRICE).unwrap();
    let (first, second) = (party(&mut desk, 0), party(&mut desk, 0));
    let address = desk.markets[0].address;
    for party in [first, second] {
        let order = bid(MARK, 1).build();
        let instruction = desk.venue.place_order(&party.trader, &address, &order, UnixSeconds::ZERO);
        refuses(&mut desk.chain, instruction, EngineError::LedgerFull);
    }
}

#[test]
fn bytes_that_mean_nothing() {
    let mut scene = Scene::new();
    let alice = scene.alice;
    let good = scene.order(&alice, &bid(MARK, 1).build());
    // Side, kind, self-trade policy, reduce-only: each behind its last meaning; then padding.
    for (place, values) in [(66, 2..=255), (67, 7..=255), (68, 4..=255), (69, 2..=255)] {
        for value in values {
            let mut instruction = good.clone();
            instruction.data[place] = value;
            refuses(&mut scene.desk.chain, instruction, Refusal::FieldInvalid);
        }
    }
    for place in (71..76).chain(76..80) {
        let mut instruction = good.clone();
        instruction.data[place] = 1;
        refuses(&mut scene.desk.chain, instruction, Refusal::FieldInvalid);
    }
}

#[test]
fn who_may_place() {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.alice, scene.bob);
    let order = bid(MARK, 1).build();
    let mut instruction = scene.order(&alice, &order);
    instruction.accounts[0].is_signer = false;
    refuses(&mut scene.desk.chain, instruction, Refusal::SignatureMissing);
    let thief = Party { trader: Trader { authority: bob.trader.authority, ..alice.trader }, ..alice };
    refuses_order(&mut scene, &thief, order, Refusal::NotAuthorized);
    for generation in [0, 2, u32::MAX] {
        let trader = Trader { generation: Generation::new(generation), ..alice.trader };
        refuses_order(&mut scene, &Party { trader, ..alice }, order, EngineError::TraderNotFound);
    }
    for cell in [2, 47, 48, u32::MAX] {
        let trader = Trader { cell: CellIndex::new(cell), ..alice.trader };
        refuses_order(&mut scene, &Party { trader, ..alice }, order, EngineError::TraderNotFound);
    }
    // The System program's address is what an unset delegate holds; nobody can sign for it.
    let zero = Trader { authority: Default::default(), ..alice.trader };
    let mut instruction = scene.order(&Party { trader: zero, ..alice }, &order);
    instruction.accounts[0].is_signer = false;
    refuses(&mut scene.desk.chain, instruction, Refusal::SignatureMissing);
}

#[test]
fn which_market_and_ledger() {
    let mut scene = Scene::new();
    let (alice, admin) = (scene.alice, scene.desk.admin);
    let owner = alice.trader.authority;
    let (other, twin) = scene::beside(&mut scene.desk, 2, admin, |desk| {
        let market = desk.list(&scene::sol()).unwrap();
        desk.set_price(market, PRICE).unwrap();
        scene::party_of(desk, owner, 0)
    });
    assert_eq!(twin.trader, alice.trader);
    let order = scene.order(&alice, &bid(MARK, 1).build());
    for (place, address) in [(1, other.markets[0].address), (2, other.venue.ledger)] {
        let mut instruction = order.clone();
        instruction.accounts[place].pubkey = address;
        refuses(&mut scene.desk.chain, instruction, Refusal::WrongLedger);
    }
    for place in [1, 2] {
        let mut instruction = order.clone();
        instruction.accounts[place].is_writable = false;
        refuses(&mut scene.desk.chain, instruction, Refusal::NotWritable);
    }
}

#[test]
fn arithmetic_at_its_edges() {
    // A trader with all the money there can be still cannot overflow an order.
    let mut scene = Scene::new();
    let alice = scene.alice;
    let cash = LEDGER.cell(alice.trader.cell).start + 72;
    patch(&mut scene.desk.chain, scene.desk.venue.ledger, cash, &(i64::MAX - 1).to_le_bytes());
    let row = read::row(&scene.desk, 0);
    let largest = bid(MARK, row.lots_max.get()).build();
    for _ in 0..8 {
        scene.place(&alice, &largest).unwrap();
    }
    let (_, position) = read::position(&scene.desk, &alice.trader, 0).unwrap();
    assert_eq!(position.open_bid_lots, Lots::new(8 * row.lots_max.get()));
    assert_eq!(position.open_bid_notional, QuoteAtoms::new(8 * row.lots_max.get() * u64::from(MARK)));
    // A sale on top of a settled fortune overflows a sum, and says so.
    let bob = scene.bob;
    let cash = LEDGER.cell(bob.trader.cell).start + 72;
    patch(&mut scene.desk.chain, scene.desk.venue.ledger, cash, &i64::MAX.to_le_bytes());
    patch_row(&mut scene.desk, 0, offset_of!(MarketRow, maker_fee), &(-500i32).to_le_bytes());
    scene.place(&bob, &ask(MARK + 1, 10).build()).unwrap();
    let carol = party(&mut scene.desk, 0);
    let order = scene.order(&carol, &bid(MARK + 1, 10).immediate_or_cancel().build());
    refuses(&mut scene.desk.chain, order, EngineError::Overflow);
}
