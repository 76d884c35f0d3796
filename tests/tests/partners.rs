//! `SetBuilderMax`, `SetReferrer`, and what `PlaceOrder` pays to builders and referrers and charges at each tier.

use quantdesk_client::{
    Address, Refusal,
    engine::{
        EngineError, Generation, Ppm, QuoteAtoms, UnixSeconds,
        state::{
            CashEvent, CashEventKind, TraderCell,
            fees::{FeeSchedule, FeeTier},
            ledger::Policy,
        },
    },
    instruction::{Target, Trader},
    order::Ticket,
};
use quantdesk_sim::desk::POLICY;
use quantdesk_tests::{
    instances::target,
    read,
    read::LedgerMap,
    refuses,
    scene::{self, CAPITAL, LEDGER, MARK, Party, Scene, ask, bid},
    snapshot::{Frame, Snapshot},
};
use solana_instruction::Instruction;
use std::mem::offset_of;

/// Value of one SOL at the mark, in atoms.
const SOL: u64 = 200_000_000;

/// From one SOL on half off, from two on nothing is charged; half for referrers.
fn tiered() -> Policy {
    let tier = |volume, discount| FeeTier::new(QuoteAtoms::new(volume), Ppm::new(discount));
    let tiers = [tier(SOL, 500_000), tier(2 * SOL, 1_000_000), FeeTier::UNUSED, FeeTier::UNUSED];
    Policy { fees: FeeSchedule::new(tiers, Ppm::new(500_000)), ..POLICY }
}

/// Alice, Bob, and Carol, who is nobody's counterparty.
fn three(policy: Policy) -> (Scene, Party) {
    let mut scene = Scene::with_policy(policy);
    let carol = scene::party(&mut scene.desk, 0);
    (scene, carol)
}

fn set_builder_max(scene: &Scene, trader: &Trader, ppm: u16) -> Instruction {
    scene.desk.venue.set_builder_max(trader, ppm)
}

fn set_referrer(scene: &Scene, trader: &Trader, referrer: Target) -> Instruction {
    scene.desk.venue.set_referrer(trader, referrer)
}

fn ticket(scene: &Scene, party: &Party, ticket: &Ticket) -> Instruction {
    scene.desk.venue.place_ticket(&party.trader, &scene.market(), ticket)
}

fn with_builder(order: Ticket, builder: &Party, fee: u16) -> Ticket {
    order.builder(builder.trader.cell, builder.trader.generation, fee)
}

fn cell(scene: &Scene, party: &Party) -> TraderCell {
    *scene.desk.ledger_view().unwrap().trader(party.trader.cell).unwrap()
}

fn newest(scene: &Scene, count: usize) -> Vec<CashEvent> {
    let events = read::cash_events(&scene.desk);
    events[events.len() - count..].to_vec()
}

/// The bytes of a field of a party's cell.
fn place(party: &Party, offset: usize, bytes: usize) -> std::ops::Range<usize> {
    let start = LEDGER.cell(party.trader.cell).start + offset;
    start..start + bytes
}

fn delegate_of(scene: &mut Scene, owner: &Party, delegate: Address) -> Trader {
    scene::delegate(&mut scene.desk, &owner.trader, delegate)
}

#[test]
fn builder_max_is_set_and_nothing_else() {
    let (mut scene, _) = three(POLICY);
    let bob = scene.bob;
    for ppm in [1, 1_000, 0] {
        let before = Snapshot::of(&scene.desk.chain);
        scene.desk.chain.send(set_builder_max(&scene, &bob.trader, ppm)).unwrap();
        assert_eq!(cell(&scene, &bob).builder_max, ppm);
        let (ledger, written) = (scene.desk.venue.ledger, read::header(&scene.desk).events_written.get());
        let frame = Frame::new()
            .bytes(ledger, place(&bob, offset_of!(TraderCell, builder_max), 2))
            .bytes(ledger, LedgerMap::events_written())
            .bytes(ledger, LEDGER.event(written));
        before.only(&scene.desk.chain, &frame);
        let [event] = newest(&scene, 1)[..] else { panic!() };
        assert_eq!((event.kind(), event.amount), (Some(CashEventKind::BuilderMaxSet), i64::from(ppm)));
        assert_eq!((event.trader, event.balance), (bob.trader.cell, CAPITAL as i64));
    }
}

#[test]
fn a_referrer_is_set_once_and_nothing_else() {
    let (mut scene, carol) = three(POLICY);
    let (alice, bob) = (scene.alice, scene.bob);
    let before = Snapshot::of(&scene.desk.chain);
    scene.desk.chain.send(set_referrer(&scene, &bob.trader, target(&carol))).unwrap();
    let found = cell(&scene, &bob);
    assert_eq!((found.referrer, found.referrer_generation), (carol.trader.cell, carol.trader.generation));
    let (ledger, written) = (scene.desk.venue.ledger, read::header(&scene.desk).events_written.get());
    let frame = Frame::new()
        .bytes(ledger, place(&bob, offset_of!(TraderCell, referrer), 4))
        .bytes(ledger, place(&bob, offset_of!(TraderCell, referrer_generation), 4))
        .bytes(ledger, LedgerMap::events_written())
        .bytes(ledger, LEDGER.event(written));
    before.only(&scene.desk.chain, &frame);
    let [event] = newest(&scene, 1)[..] else { panic!() };
    assert_eq!((event.kind(), event.amount), (Some(CashEventKind::ReferrerSet), i64::from(carol.trader.cell.get())));
    for again in [carol, alice, bob] {
        let instruction = set_referrer(&scene, &bob.trader, target(&again));
        refuses(&mut scene.desk.chain, instruction, EngineError::ReferrerAlreadySet);
    }
    scene.desk.check().unwrap();
}

#[test]
fn attack_only_the_owner_names_partners_and_never_himself() {
    let (mut scene, carol) = three(POLICY);
    let (alice, bob) = (scene.alice, scene.bob);
    let sibling = scene::party_of(&mut scene.desk, bob.trader.authority, 1);
    for own in [bob, sibling] {
        let instruction = set_referrer(&scene, &bob.trader, target(&own));
        refuses(&mut scene.desk.chain, instruction, EngineError::SelfReferral);
    }
    let thief = Trader { authority: alice.trader.authority, ..bob.trader };
    let delegate = delegate_of(&mut scene, &bob, carol.trader.authority);
    for signer in [thief, delegate] {
        let instruction = set_referrer(&scene, &signer, target(&alice));
        refuses(&mut scene.desk.chain, instruction, Refusal::NotAuthorized);
        let instruction = set_builder_max(&scene, &signer, 1_000);
        refuses(&mut scene.desk.chain, instruction, Refusal::NotAuthorized);
    }
    // The delegate may trade, but brings no builder that was not allowed.
    let order = with_builder(bid(MARK, 10), &alice, 1);
    let instruction = scene.desk.venue.place_ticket(&delegate, &scene.market(), &order);
    refuses(&mut scene.desk.chain, instruction, EngineError::BuilderFeeTooHigh);
    let mut unsigned = set_builder_max(&scene, &bob.trader, 1);
    unsigned.accounts[0].is_signer = false;
    refuses(&mut scene.desk.chain, unsigned, Refusal::SignatureMissing);
    let older = Target { generation: Generation::new(carol.trader.generation.get() + 1), ..target(&carol) };
    let instruction = set_referrer(&scene, &bob.trader, older);
    refuses(&mut scene.desk.chain, instruction, EngineError::TraderNotFound);
}

#[test]
fn builder_and_referrer_are_paid_at_every_tier() {
    let (mut scene, carol) = three(tiered());
    let (alice, bob) = (scene.alice, scene.bob);
    let dora = scene::party(&mut scene.desk, 0);
    scene.desk.chain.send(set_builder_max(&scene, &bob.trader, 250)).unwrap();
    scene.desk.chain.send(set_referrer(&scene, &bob.trader, target(&dora))).unwrap();
    // Taker fee 500 ppm, rebate 100 ppm; then 250 and 100; then neither. The builder gets its 250 whatever the tier.
    for (fee, rebate, tier) in [(100_000i64, 20_000i64, 0), (50_000, 20_000, 1), (0, 0, 2)] {
        assert_eq!(cell(&scene, &bob).volume.get(), tier * SOL);
        scene.accept(&alice, &ask(MARK, 1_000).build());
        let cash = |scene: &Scene| [bob, alice, carol, dora].map(|it| read::cash(&scene.desk, &it.trader));
        let (before, earned) = (cash(&scene), read::money(&scene.desk).1);
        let order = with_builder(bid(MARK, 1_000).immediate_or_cancel(), &carol, 250);
        scene.desk.chain.send(ticket(&scene, &bob, &order)).unwrap();
        scene.desk.check().unwrap();
        let after = cash(&scene);
        let changes: Vec<i64> = before.iter().zip(after).map(|(before, after)| after - before).collect();
        let share = (fee - rebate) / 2;
        assert_eq!(changes, [-fee - 50_000, rebate, 50_000, share], "tier {tier}");
        assert_eq!(i128::from(read::money(&scene.desk).1) - i128::from(earned), i128::from(fee - rebate - share));
        let paid = newest(&scene, 2);
        let told = |event: &CashEvent| (event.kind().unwrap(), event.trader, event.amount, event.balance);
        let kind = CashEventKind::BuilderPaid;
        assert_eq!(told(&paid[0]), (kind, bob.trader.cell, -50_000, after[0]));
        assert_eq!(told(&paid[1]), (kind, carol.trader.cell, 50_000, after[2]));
    }
    let shares = read::cash_events(&scene.desk);
    let shares: Vec<i64> =
        shares.iter().filter(|it| it.kind() == Some(CashEventKind::ReferrerPaid)).map(|it| it.amount).collect();
    assert_eq!(shares, [40_000, 15_000], "nothing is shared where nothing is earned");
    // A day later a thirtieth of it is gone, a month later all.
    let volume = 3 * SOL;
    for (days, left) in [(1, volume - volume / 30), (31, 0)] {
        scene.wait(days * 86_400);
        scene.desk.settle_price(0, scene::PRICE).unwrap();
        scene.accept(&alice, &ask(MARK, 1).build());
        scene.accept(&bob, &bid(MARK, 1).immediate_or_cancel().build());
        assert_eq!(cell(&scene, &bob).volume.get(), left + 200_000);
    }
}

#[test]
fn attack_a_builder_that_has_left_or_failed_makes_the_order_fail() {
    let (mut scene, carol) = three(POLICY);
    let (alice, bob) = (scene.alice, scene.bob);
    let sibling = scene::party_of(&mut scene.desk, bob.trader.authority, 1);
    scene.desk.chain.send(set_builder_max(&scene, &bob.trader, 100)).unwrap();
    scene.accept(&alice, &ask(MARK, 1_000).build());
    let buy = bid(MARK, 10);
    let refused = |scene: &mut Scene, order: Ticket, error: EngineError| {
        let instruction = ticket(scene, &bob, &order);
        refuses(&mut scene.desk.chain, instruction, error);
    };
    refused(&mut scene, with_builder(buy, &carol, 101), EngineError::BuilderFeeTooHigh);
    for own in [bob, sibling] {
        refused(&mut scene, with_builder(buy, &own, 100), EngineError::SelfBuilder);
    }
    let later = Generation::new(carol.trader.generation.get() + 1);
    refused(&mut scene, buy.builder(carol.trader.cell, later, 100), EngineError::BuilderNotFound);
    scene::mark_bankrupt(&mut scene.desk, &carol.trader);
    refused(&mut scene, with_builder(buy, &carol, 100), EngineError::AccountBankrupt);
    // Without it the order is as good as any.
    scene.accept(&bob, &buy.build());
}

#[test]
fn guards_refuse_what_comes_too_late() {
    let (mut scene, _) = three(POLICY);
    let (alice, bob) = (scene.alice, scene.bob);
    scene.accept(&alice, &ask(MARK, 1_000).build());
    let seen = scene.desk.market_view(0).unwrap().header.events_written.get();
    let now = scene.desk.chain.unix_seconds();
    let sent = ticket(&scene, &bob, &bid(MARK - 5, 1).book_sequence_max(seen).valid_until(UnixSeconds::new(now)));
    scene.desk.chain.send(sent.clone()).unwrap();
    // The same once more: its own event has moved the book.
    refuses(&mut scene.desk.chain, sent, EngineError::BookMoved);
    let late = ticket(&scene, &bob, &bid(MARK, 1).book_sequence_max(seen).valid_until(UnixSeconds::new(now - 1)));
    refuses(&mut scene.desk.chain, late, Refusal::InstructionExpired);
    for guard in [seen + 1, u64::MAX, 0] {
        let again = ticket(&scene, &bob, &bid(MARK - 5, 1).book_sequence_max(guard));
        assert!(guard != seen + 1 || scene.desk.market_view(0).unwrap().header.events_written.get() == guard);
        scene.desk.chain.send(again).unwrap();
    }
}

/// Alice makes, Bob takes, Carol is builder and referrer of both, and they are one person.
#[test]
fn attack_wash_trading_with_partners_loses_what_the_exchange_keeps() {
    let (mut scene, carol) = three(tiered());
    let (alice, bob) = (scene.alice, scene.bob);
    for party in [alice, bob] {
        scene.desk.chain.send(set_builder_max(&scene, &party.trader, 1_000)).unwrap();
        scene.desk.chain.send(set_referrer(&scene, &party.trader, target(&carol))).unwrap();
    }
    let wealth = |scene: &Scene| [alice, bob, carol].map(|it| read::cash(&scene.desk, &it.trader)).iter().sum::<i64>();
    let mut free = 0;
    for round in 0..6u64 {
        let (before, kept) = (wealth(&scene), read::money(&scene.desk).1);
        let volume = cell(&scene, &bob).volume.get();
        for (maker, taker) in [(ask(MARK, 500), bid(MARK, 500)), (bid(MARK, 500), ask(MARK, 500))] {
            scene.accept(&alice, &maker.build());
            let order = with_builder(taker.immediate_or_cancel(), &carol, 1_000);
            scene.desk.chain.send(ticket(&scene, &bob, &order)).unwrap();
        }
        let (lost, kept) = (before - wealth(&scene), read::money(&scene.desk).1 - kept);
        assert_eq!(lost, i64::try_from(kept).unwrap(), "round {round}");
        assert!(lost > 0 || volume >= 2 * SOL, "round {round}");
        free += u32::from(lost == 0);
    }
    assert_eq!(free, 4, "the tier that charges nothing costs nothing, and gains nothing");
    scene.desk.check().unwrap();
}
