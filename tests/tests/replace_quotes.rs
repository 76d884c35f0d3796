//! `ReplaceQuotes` through the compiled program: the fixed layout, the number that decides, and the same book as natively.

use quantdesk_client::{
    Refusal, Tag,
    engine::{
        EngineError, Lots, Side, Ticks, UnixSeconds,
        book::{Quote, Replacement, Sides},
    },
};
use quantdesk_tests::{
    read, refuses,
    scene::{MARK, Scene, ask, bid},
};
use solana_instruction::Instruction;

fn quote(side: Side, price: u32, lots: u64) -> Quote {
    Quote::new(side, Ticks::new(price), Lots::new(lots))
}

fn ladder(from: u32) -> Vec<Quote> {
    (1..=4).flat_map(|level| [quote(Side::Bid, from - 10 * level, 5), quote(Side::Ask, from + 10 * level, 5)]).collect()
}

fn replace(scene: &Scene, sequence: u64, sides: Option<Sides>, quotes: &[Quote]) -> Instruction {
    let wanted = Replacement { sequence, sides, expires_at: UnixSeconds::ZERO, quotes };
    scene.desk.venue.replace_quotes(&scene.alice.trader, &scene.market(), &wanted, UnixSeconds::ZERO)
}

fn prices(scene: &Scene) -> [Vec<(u32, u64)>; 2] {
    [Side::Bid, Side::Ask].map(|side| read::book(&scene.desk, 0, side))
}

/// Block builders read the number at byte 8 and the market in the second place.
#[test]
fn the_layout_is_the_one_schedulers_know() {
    let scene = Scene::new();
    let instruction = replace(&scene, 0x0102_0304_0506_0708, Some(Sides::Both), &ladder(MARK));
    assert_eq!(instruction.data[0], Tag::ReplaceQuotes.byte());
    assert_eq!(instruction.data[8..16], [8, 7, 6, 5, 4, 3, 2, 1]);
    assert_eq!(instruction.data.len(), 8 + 32 + 8 * 16);
    let accounts: Vec<_> =
        instruction.accounts.iter().map(|meta| (meta.pubkey, meta.is_signer, meta.is_writable)).collect();
    let [signer, market, ledger] = accounts[..] else { panic!("three accounts") };
    assert_eq!(signer, (scene.alice.trader.authority, true, false));
    assert_eq!(market, (scene.market(), false, true));
    assert_eq!(ledger, (scene.desk.venue.ledger, false, true));
}

#[test]
fn the_last_number_wins_in_whatever_order_they_land() {
    let mut scene = Scene::new();
    let [first, second] = [
        replace(&scene, 1, Some(Sides::Both), &ladder(MARK)),
        replace(&scene, 2, Some(Sides::Both), &ladder(MARK + 100)),
    ];
    let mut late = scene.desk.clone();
    for (chain, order) in [(&mut scene.desk.chain, [&first, &second]), (&mut late.chain, [&second, &first])] {
        for instruction in order {
            chain.send(instruction.clone()).unwrap();
        }
        // Once more, whichever: nothing happens.
        chain.send(second.clone()).unwrap();
    }
    let book = prices(&scene);
    assert_eq!(book[0][0], (MARK + 90, 5));
    scene.desk = late;
    assert_eq!(prices(&scene), book);
    scene.desk.check().unwrap();
}

#[test]
fn moves_both_sides_at_once_and_examines_margin_once() {
    let mut scene = Scene::new();
    scene.desk.chain.send(replace(&scene, 1, Some(Sides::Both), &ladder(MARK))).unwrap();
    // The new bids stand where the old asks were.
    scene.desk.chain.send(replace(&scene, 2, Some(Sides::Both), &ladder(MARK + 50))).unwrap();
    assert_eq!(prices(&scene)[0][0], (MARK + 40, 5));
    let much = [quote(Side::Bid, MARK - 1, 10_000_000)];
    let refused = replace(&scene, 3, Some(Sides::Both), &much);
    refuses(&mut scene.desk.chain, refused, EngineError::BelowInitialMargin);
    scene.desk.chain.send(replace(&scene, 3, Some(Sides::Both), &[])).unwrap();
    assert_eq!(prices(&scene), [vec![], vec![]]);
    scene.desk.check().unwrap();
}

#[test]
fn attack_replayed_or_reordered_quotes() {
    let mut scene = Scene::new();
    let old = replace(&scene, 7, Some(Sides::Both), &ladder(MARK));
    scene.desk.chain.send(old.clone()).unwrap();
    scene.desk.chain.send(replace(&scene, 8, Some(Sides::Both), &[])).unwrap();
    for stale in [old, replace(&scene, 0, None, &ladder(MARK)), replace(&scene, 8, None, &ladder(MARK))] {
        scene.desk.chain.send(stale).unwrap();
        assert_eq!(prices(&scene), [vec![], vec![]], "quotes that were taken back stay so");
    }
}

#[test]
fn what_it_refuses() {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.alice, scene.bob);
    scene.accept(&bob, &ask(MARK + 5, 3).build());
    let crossing = replace(&scene, 1, None, &[quote(Side::Bid, MARK + 5, 1)]);
    refuses(&mut scene.desk.chain, crossing, EngineError::PostOnlyWouldCross);
    let crossing_itself = replace(&scene, 1, None, &[quote(Side::Bid, MARK, 1), quote(Side::Ask, MARK, 1)]);
    refuses(&mut scene.desk.chain, crossing_itself, EngineError::PostOnlyWouldCross);
    let far = replace(&scene, 1, None, &[quote(Side::Bid, MARK * 2, 1)]);
    refuses(&mut scene.desk.chain, far, EngineError::OrderOutsideBand);
    let empty = replace(&scene, 1, None, &[quote(Side::Bid, MARK, 0)]);
    refuses(&mut scene.desk.chain, empty, EngineError::OrderLotsOutOfRange);
    let many = replace(&scene, 1, None, &[quote(Side::Bid, MARK - 9, 1); 17]);
    refuses(&mut scene.desk.chain, many, Refusal::FieldInvalid);
    let mut foreign = replace(&scene, 1, None, &ladder(MARK));
    foreign.accounts[0].pubkey = bob.trader.authority;
    refuses(&mut scene.desk.chain, foreign, Refusal::NotAuthorized);
    // Nothing of that used the number up.
    scene.desk.chain.send(replace(&scene, 1, None, &[quote(Side::Bid, MARK, 1)])).unwrap();
    scene.accept(&alice, &bid(MARK - 1, 1).build());
    scene.desk.check().unwrap();
}
