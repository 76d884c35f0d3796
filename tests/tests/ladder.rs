//! `SetLadder` and `MoveLadder` through the compiled program: who may, what changes and nothing else, and that it is the
//! engine's doing.

use quantdesk_client::{
    Address, Refusal, Tag,
    engine::{
        CellIndex, EngineError, Side, Ticks, UnixSeconds,
        book::{LadderMove, Moved},
        state::{Key, Ladder, TradeEvent, TradeEventKind},
    },
    ladder::{self, LadderHandle, LadderTicket},
    view::Level,
};
use quantdesk_tests::{
    failing::{Native, foreign_market, trade_events_since, written},
    read,
    read::MarketMap,
    refuses,
    scene::{MARK, MARKET, Party, Scene, ask, bid},
    snapshot::{Frame, Snapshot},
};
use solana_instruction::Instruction;
use std::mem::{offset_of, size_of};

/// Quoter of the ladders of these tests.
const BOT: Address = Address::new_from_array([0xb0; 32]);

/// Around the mark: 100 lots 10 ticks away and 200 lots 30 ticks away; reserves of 1,000 lots within 500 ticks of the mark.
fn ticket(quoter: &Address) -> LadderTicket {
    let levels = [(10, 100), (30, 200)];
    let ticket = LadderTicket::new(quoter, MARK);
    ticket.side(Side::Bid, MARK + 500, 1_000, &levels).side(Side::Ask, MARK - 500, 1_000, &levels)
}

fn quoting() -> Scene {
    let mut scene = Scene::new();
    let alice = scene.alice;
    scene.desk.chain.send(scene.set_ladder(&alice, &ticket(&BOT).wanted(1))).unwrap();
    scene.desk.check().unwrap();
    scene
}

fn found(scene: &Scene, party: &Party) -> Option<(LadderHandle, Ladder)> {
    let (ledger, market) = (scene.desk.ledger_view().unwrap(), scene.desk.market_view(0).unwrap());
    let found = ladder::find(&ledger, &market, &party.trader).unwrap();
    found.map(|(handle, ladder)| (handle, *ladder))
}

/// The bot's move of Alice's ladder.
fn moved(scene: &Scene, sequence: u64, mid: u32) -> Instruction {
    let (handle, _) = found(scene, &scene.alice).expect("a ladder");
    scene.desk.venue.move_ladder(BOT, &scene.market(), handle, sequence, Ticks::new(mid))
}

fn offers(scene: &Scene, side: Side) -> Vec<(u32, u64)> {
    let market = scene.desk.market_view(0).unwrap();
    let levels = ladder::levels(&market, side, &read::row(&scene.desk, 0));
    levels.iter().map(|Level { price, lots, .. }| (price.get(), lots.get())).collect()
}

/// What a ladder with this number is in its market's bytes.
fn place_of(number: usize) -> std::ops::Range<usize> {
    let start = size_of::<quantdesk_client::engine::state::MarketHeader>() + number * size_of::<Ladder>();
    start..start + size_of::<Ladder>()
}

fn told(event: &TradeEvent) -> (TradeEventKind, u64, u64, u64, u32) {
    let kind = event.kind().unwrap();
    (kind, event.order.get(), event.client_id, event.lots.get(), event.price.get())
}

#[test]
fn the_data_is_laid_out_for_schedulers() {
    let scene = quoting();
    let set = scene.set_ladder(&scene.alice, &ticket(&BOT).wanted(0x0102_0304_0506_0708));
    assert_eq!((set.data[0], set.data.len()), (Tag::SetLadder.byte(), 96 + 4 * 16));
    assert_eq!(set.data[8..16], 0x0102_0304_0506_0708u64.to_le_bytes());
    let instruction = moved(&scene, 0x0102_0304_0506_0708, MARK);
    assert_eq!((instruction.data[0], instruction.data.len()), (Tag::MoveLadder.byte(), 32));
    assert_eq!(instruction.data[8..16], 0x0102_0304_0506_0708u64.to_le_bytes());
    assert_eq!(instruction.accounts[1].pubkey, scene.market());
}

#[test]
fn a_ladder_is_set_as_the_engine_does_and_its_margin_is_reserved() {
    let mut scene = Scene::new();
    let alice = scene.alice;
    let mut native = Native::of(&scene.desk, 0);
    let (ticket, since) = (ticket(&BOT), written(&scene));
    assert_eq!(native.trading(|it| it.set_ladder(alice.trader.cell, &ticket.wanted(7))), Ok(true));
    scene.desk.chain.send(scene.set_ladder(&alice, &ticket.wanted(7))).unwrap();
    native.assert_same(&scene.desk);
    scene.desk.check().unwrap();
    let events: Vec<_> = trade_events_since(&scene, since.0).iter().map(told).collect();
    let set = TradeEventKind::LadderSet;
    assert_eq!(events, [(set, 1, 7, 1_000, MARK + 500), (set, 2, 7, 1_000, MARK - 500)]);
    let (_, position) = read::position(&scene.desk, &alice.trader, 0).unwrap();
    let reserved = (position.open_bid_lots.get(), position.open_ask_lots.get(), position.quote_sequence);
    assert_eq!(reserved, (1_000, 1_000, 7));
    assert_eq!((position.bid_bound.get(), position.ask_bound.get()), (MARK + 500, MARK - 500));
    let (handle, ladder) = found(&scene, &alice).unwrap();
    assert_eq!((handle.number, ladder.quoter, ladder.order.get()), (0, Key::new(BOT.as_array()), 2));
    assert_eq!(offers(&scene, Side::Bid), [(MARK - 10, 100), (MARK - 30, 200)]);
    assert_eq!(offers(&scene, Side::Ask), [(MARK + 10, 100), (MARK + 30, 200)]);
    // An older number, and the same one again, change nothing.
    let before = Snapshot::of(&scene.desk.chain);
    for sequence in [0, 6, 7] {
        scene.desk.chain.send(scene.set_ladder(&alice, &ticket.wanted(sequence))).unwrap();
        before.unchanged(&scene.desk.chain);
    }
    scene.desk.chain.send(scene.set_ladder(&alice, &LadderTicket::new(&BOT, 0).wanted(8))).unwrap();
    scene.desk.check().unwrap();
    assert_eq!((found(&scene, &alice), offers(&scene, Side::Bid)), (None, vec![]));
}

#[test]
fn a_move_writes_the_ladder_two_counters_and_a_record() {
    let mut scene = quoting();
    let (alice, bob) = (scene.alice, scene.bob);
    scene.accept(&bob, &bid(MARK + 10, 60).immediate_or_cancel().build());
    assert_eq!(offers(&scene, Side::Ask), [(MARK + 10, 40), (MARK + 30, 200)]);
    let (before, since) = (Snapshot::of(&scene.desk.chain), written(&scene));
    let (handle, _) = found(&scene, &alice).unwrap();
    let mut native = Native::of(&scene.desk, 0);
    let wanted =
        LadderMove { number: handle.number, position: handle.position, sequence: 2, mid: Ticks::new(MARK + 40) };
    assert_eq!(native.trading(|it| it.market.move_ladder(BOT.as_array(), &wanted)), Ok(Moved::Now));
    scene.desk.chain.send(moved(&scene, 2, MARK + 40)).unwrap();
    native.assert_same(&scene.desk);
    let record = MARKET.event(since.0 + 1);
    let frame = Frame::new()
        .bytes(scene.market(), MarketMap::header())
        .bytes(scene.market(), place_of(0))
        .bytes(scene.market(), record);
    before.only(&scene.desk.chain, &frame);
    let events = trade_events_since(&scene, since.0);
    assert_eq!(events.iter().map(told).collect::<Vec<_>>(), [(TradeEventKind::LadderMoved, 3, 2, 0, MARK + 40)]);
    assert_eq!((events[0].unix_seconds, events[0].slot.get()), (UnixSeconds::ZERO, 0), "no clock is read");
    assert_eq!(offers(&scene, Side::Ask), [(MARK + 50, 100), (MARK + 70, 200)], "whole again");
    let (_, position) = read::position(&scene.desk, &alice.trader, 0).unwrap();
    assert_eq!((position.open_ask_lots.get(), position.base.get()), (940, -60), "the reserve is not");
    scene.desk.check().unwrap();
}

#[test]
fn a_move_does_not_take() {
    let mut scene = quoting();
    let bob = scene.bob;
    scene.accept(&bob, &ask(MARK + 5, 7).post_only().build());
    let since = written(&scene);
    scene.desk.chain.send(moved(&scene, 2, MARK + 20)).unwrap();
    assert_eq!(offers(&scene, Side::Bid), [(MARK - 10, 200)], "one at 10 ticks above the mark would take");
    let kinds: Vec<_> = trade_events_since(&scene, since.0).iter().map(|event| event.kind().unwrap()).collect();
    assert_eq!(kinds, [TradeEventKind::LadderMoved]);
    scene.desk.chain.send(moved(&scene, 3, 0)).unwrap();
    assert_eq!((offers(&scene, Side::Bid), offers(&scene, Side::Ask)), (vec![], vec![]));
    scene.accept(&bob, &bid(MARK + 900, 50).immediate_or_cancel().build());
    assert_eq!(read::lots(&scene.desk, &bob.trader, 0), 0, "nothing but its own ask was there");
}

#[test]
fn fills_go_to_the_best_of_book_and_ladders() {
    let mut scene = quoting();
    let (alice, bob) = (scene.alice, scene.bob);
    let carol = quantdesk_tests::scene::party(&mut scene.desk, 0);
    scene.accept(&bob, &ask(MARK + 20, 50).post_only().build());
    let since = written(&scene);
    scene.accept(&carol, &bid(MARK + 30, 300).immediate_or_cancel().build());
    let fills: Vec<_> = trade_events_since(&scene, since.0)
        .iter()
        .map(|event| (event.maker, event.order.get(), event.client_id, event.lots.get(), event.price.get()))
        .collect();
    let (maker, other) = (alice.trader.cell, bob.trader.cell);
    let expected = [(maker, 2, 1, 100, MARK + 10), (other, 3, 0, 50, MARK + 20), (maker, 2, 1, 150, MARK + 30)];
    assert_eq!(fills, expected);
}

#[test]
fn only_the_quoter_moves_it_and_only_as_its_owner_wishes() {
    let mut scene = quoting();
    let (alice, bob) = (scene.alice, scene.bob);
    let (handle, _) = found(&scene, &alice).unwrap();
    let (venue, market) = (scene.desk.venue, scene.market());
    let by = |who: Address, handle: LadderHandle| venue.move_ladder(who, &market, handle, 2, Ticks::new(MARK + 1));
    for stranger in [alice.trader.authority, bob.trader.authority, Address::default()] {
        refuses(&mut scene.desk.chain, by(stranger, handle), Refusal::NotAuthorized);
    }
    let mut unsigned = by(BOT, handle);
    unsigned.accounts[0].is_signer = false;
    refuses(&mut scene.desk.chain, unsigned, Refusal::SignatureMissing);
    for number in [1, 15, 16, 31, 32, u32::MAX] {
        refuses(&mut scene.desk.chain, by(BOT, LadderHandle { number, ..handle }), EngineError::LadderNotFound);
    }
    for position in [CellIndex::new(0), CellIndex::NIL] {
        refuses(&mut scene.desk.chain, by(BOT, LadderHandle { position, ..handle }), EngineError::LadderNotFound);
    }
    let other = foreign_market(&mut scene);
    let mut elsewhere = by(BOT, handle);
    elsewhere.accounts[1].pubkey = other;
    refuses(&mut scene.desk.chain, elsewhere, EngineError::LadderNotFound);
    // Another's trader cannot be given a ladder, and nobody is given one without a quoter.
    let mut stolen = scene.set_ladder(&bob, &ticket(&BOT).wanted(9));
    stolen.data[4..8].copy_from_slice(&alice.trader.cell.get().to_le_bytes());
    stolen.data[16..20].copy_from_slice(&alice.trader.generation.get().to_le_bytes());
    refuses(&mut scene.desk.chain, stolen, Refusal::NotAuthorized);
    let nobodys = scene.set_ladder(&bob, &ticket(&Address::default()).wanted(9));
    refuses(&mut scene.desk.chain, nobodys, EngineError::LadderInvalid);
}

/// Attack: a quoter that was replaced, with what it signed before and after.
#[test]
fn attack_a_revoked_quoter() {
    let mut scene = quoting();
    let alice = scene.alice;
    let signed_before = moved(&scene, 100, MARK + 400);
    let own = alice.trader.authority;
    scene.desk.chain.send(scene.set_ladder(&alice, &ticket(&own).wanted(2))).unwrap();
    refuses(&mut scene.desk.chain, signed_before, Refusal::NotAuthorized);
    scene.desk.chain.send(scene.move_ladder(&alice, 3, MARK + 1)).unwrap();
    assert_eq!(found(&scene, &alice).unwrap().1.mid.get(), MARK + 1);
}

/// Attack: a move that was seen is sent again, or held back until a newer one is through.
#[test]
fn attack_moves_replayed_and_reordered() {
    let mut scene = quoting();
    let alice = scene.alice;
    let held_back = moved(&scene, 5, MARK - 300);
    scene.desk.chain.send(moved(&scene, 6, MARK + 6)).unwrap();
    let before = Snapshot::of(&scene.desk.chain);
    for instruction in [held_back, moved(&scene, 6, MARK - 300), moved(&scene, 0, MARK - 300)] {
        scene.desk.chain.send(instruction).unwrap();
        before.unchanged(&scene.desk.chain);
    }
    assert_eq!(found(&scene, &alice).unwrap().1.sequence, 6);
}

/// Attack: a robbed quoter gives all away at a mad middle. The limit is what it costs at most.
#[test]
fn attack_moving_past_the_limit() {
    let mut scene = quoting();
    let (alice, bob) = (scene.alice, scene.bob);
    for (sequence, mid) in [(2, 1), (3, MARK - 100_000), (4, MARK * 2), (5, u32::MAX)] {
        scene.desk.chain.send(moved(&scene, sequence, mid)).unwrap();
        scene.accept(&bob, &bid(MARK + 900, 100).immediate_or_cancel().build());
        scene.accept(&bob, &ask(MARK - 900, 100).immediate_or_cancel().build());
    }
    assert_eq!(read::lots(&scene.desk, &alice.trader, 0), 0, "nothing was for sale beyond the limits");
    scene.desk.chain.send(moved(&scene, 6, MARK + 510)).unwrap();
    scene.accept(&bob, &ask(MARK - 900, 100).immediate_or_cancel().build());
    let last = read::trade_events(&scene.desk, 0).last().copied().unwrap();
    assert_eq!(told(&last), (TradeEventKind::Filled, 1, 6, 100, MARK + 500));
}

/// Attack: moved after every fill, a ladder of an account with hardly any margin fills its reserve and not a lot more.
#[test]
fn attack_arming_anew_after_every_fill() {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.alice, scene.bob);
    let small = LadderTicket::new(&alice.trader.authority, MARK).side(Side::Bid, MARK, 1_000, &[(0, 100)]);
    scene.desk.chain.send(scene.set_ladder(&alice, &small.wanted(1))).unwrap();
    for sequence in 2..12 {
        scene.accept(&bob, &ask(MARK, 500).immediate_or_cancel().build());
        if sequence < 11 {
            scene.desk.chain.send(scene.move_ladder(&alice, sequence, MARK)).unwrap();
        }
    }
    assert_eq!((read::lots(&scene.desk, &alice.trader, 0), found(&scene, &alice)), (1_000, None));
}

/// Attack: all places taken by makers with next to nothing. Who reserves more gets one.
#[test]
fn attack_squatting_all_ladders() {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.alice, scene.bob);
    for number in 0..16 {
        let party = quantdesk_tests::scene::party(&mut scene.desk, number);
        let little = LadderTicket::new(&BOT, MARK).side(Side::Bid, MARK - 9_000, 2, &[(0, 1)]);
        scene.desk.chain.send(scene.set_ladder(&party, &little.wanted(1))).unwrap();
    }
    let as_little = LadderTicket::new(&BOT, MARK).side(Side::Ask, 4_000_000, 2, &[(0, 1)]);
    let refused = scene.set_ladder(&bob, &as_little.wanted(1));
    refuses(&mut scene.desk.chain, refused, EngineError::LaddersFull);
    let since = written(&scene);
    scene.desk.chain.send(scene.set_ladder(&alice, &ticket(&BOT).wanted(1))).unwrap();
    scene.desk.check().unwrap();
    let kinds: Vec<_> = trade_events_since(&scene, since.0).iter().map(|event| event.kind().unwrap()).collect();
    assert_eq!(kinds, [TradeEventKind::Evicted, TradeEventKind::LadderSet, TradeEventKind::LadderSet]);
    assert_eq!(found(&scene, &alice).unwrap().0.number, 0);
}

#[test]
fn an_instruction_that_comes_too_late_is_refused() {
    let mut scene = quoting();
    let alice = scene.alice;
    let now = scene.desk.chain.unix_seconds();
    let (venue, market, ticket) = (scene.desk.venue, scene.market(), ticket(&BOT));
    let until =
        |seconds: i64| venue.set_ladder(&alice.trader, &market, &ticket.wanted(2), UnixSeconds::new(now + seconds));
    refuses(&mut scene.desk.chain, until(-1), Refusal::InstructionExpired);
    scene.desk.chain.send(until(0)).unwrap();
    assert_eq!(offset_of!(Ladder, sequence), 32);
    assert_eq!(found(&scene, &alice).unwrap().1.sequence, 2);
}
