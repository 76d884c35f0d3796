//! `PlaceTrigger`, `CancelTrigger`, `ExecuteTriggers` through the program: the same bytes as the engine writes, the budget,
//! and what is refused.

use quantdesk_client::{
    Refusal,
    engine::{
        EngineError, Lots, Ppm, QuoteAtoms, Side, Ticks, UnixSeconds,
        book::{NewTrigger, TriggerHandle},
        state::{MarketStatus, Reference, TradeEventKind},
    },
    trigger::TriggerTicket,
};
use quantdesk_tests::{
    failing::Native,
    read::{self, cash, lots},
    refuses,
    scene::{MARK, PICO, Party, Scene, ask, bid},
};
use solana_instruction::Instruction;

/// What executing a trigger may cost beyond its order.
const BUDGET: u64 = 900;
const TIP: u64 = 50_000;

/// Bob is long one SOL.
fn scene() -> Scene {
    let mut scene = Scene::new();
    scene.trade(1_000);
    scene
}

fn placing(scene: &Scene, party: &Party, trigger: &NewTrigger) -> Instruction {
    scene.desk.venue.place_trigger(&party.trader, &scene.market(), trigger, UnixSeconds::ZERO)
}

fn executing(scene: &Scene, keeper: &Party, handles: &[TriggerHandle]) -> Instruction {
    scene.desk.venue.execute_triggers(&keeper.trader, &scene.market(), handles)
}

fn stop(price: u32) -> TriggerTicket {
    TriggerTicket::stop(Side::Ask, Ticks::new(price)).lots(Lots::new(1_000))
}

#[track_caller]
fn place(scene: &mut Scene, party: &Party, trigger: &NewTrigger) -> TriggerHandle {
    let instruction = placing(scene, party, trigger);
    scene.desk.chain.send(instruction).unwrap();
    scene.desk.check().unwrap();
    read::triggers(&scene.desk, &party.trader, 0)[0].0
}

#[track_caller]
fn execute(scene: &mut Scene, keeper: &Party, handles: &[TriggerHandle]) -> u64 {
    let mut native = Native::of(&scene.desk, 0);
    native.trading(|it| it.execute_triggers(keeper.trader.cell, handles.iter().copied())).unwrap();
    let instruction = executing(scene, keeper, handles);
    let done = scene.desk.chain.send(instruction).unwrap();
    native.assert_same(&scene.desk);
    scene.desk.check().unwrap();
    done.compute_units
}

#[test]
fn a_stop_from_placing_to_execution() {
    let mut scene = scene();
    let (alice, bob) = (scene.alice, scene.bob);
    let before = cash(&scene.desk, &bob.trader);
    let trigger = stop(198_000).tip(QuoteAtoms::new(TIP)).client_id(3).build();
    let mut native = Native::of(&scene.desk, 0);
    native.trading(|it| it.place_trigger(bob.trader.cell, &trigger)).unwrap();
    let handle = place(&mut scene, &bob, &trigger);
    native.assert_same(&scene.desk);
    assert_eq!(cash(&scene.desk, &bob.trader), before - TIP as i64);

    scene.accept(&alice, &bid(197_000, 5_000).build());
    let early = executing(&scene, &alice, &[handle]);
    refuses(&mut scene.desk.chain, early, EngineError::NoTriggerDue);
    scene.desk.settle_price(0, 198 * PICO).unwrap();
    // The same order by hand, on a copy.
    let by_hand = {
        let mut scene = scene.clone();
        let order = ask(197_000, 1_000).immediate_or_cancel().reduce_only().build();
        scene.place(&bob, &order).unwrap().compute_units
    };
    let keeper = cash(&scene.desk, &alice.trader);
    let used = execute(&mut scene, &alice, &[handle]);
    assert!(used <= by_hand + BUDGET, "{used} for a trigger, {by_hand} for its order");
    assert_eq!(lots(&scene.desk, &bob.trader, 0), 0);
    let kinds: Vec<_> = read::trade_events(&scene.desk, 0).iter().map(|event| event.kind().unwrap()).collect();
    let last = [TradeEventKind::Filled, TradeEventKind::TriggerFired, TradeEventKind::TriggerRemoved];
    assert_eq!(kinds[kinds.len() - 3..], last);
    // Alice bought back what she had sold three dollars higher, got her rebate, her funding and the tip.
    let gained = cash(&scene.desk, &alice.trader) - keeper;
    let funding = read::position(&scene.desk, &alice.trader, 0).unwrap().1.funding_paid.get();
    assert_eq!(gained + funding, 3_000_000 + 197_000_000 / 10_000 + TIP as i64);
    let late = executing(&scene, &alice, &[handle]);
    refuses(&mut scene.desk.chain, late, EngineError::NoTriggerDue);
}

#[test]
fn a_bracket_in_one_transaction_with_its_order() {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.alice, scene.bob);
    scene.accept(&alice, &ask(MARK, 300).build());
    let [loss, gain] = TriggerTicket::bracket(Side::Bid, 7, Ticks::new(198_000), Ticks::new(201_000), 1)
        .map(|leg| leg.tip(QuoteAtoms::new(TIP)).build());
    let entry = scene.order(&bob, &bid(MARK, 500).client_id(7).build());
    let all = [placing(&scene, &bob, &loss), placing(&scene, &bob, &gain), entry];
    scene.desk.chain.send_all(&all).unwrap();
    scene.desk.check().unwrap();
    let armed = |scene: &Scene| {
        let own = read::triggers(&scene.desk, &bob.trader, 0);
        own.iter().map(|(_, trigger)| trigger.lots.get()).collect::<Vec<_>>()
    };
    assert_eq!(armed(&scene), [300, 300]);
    scene.accept(&alice, &ask(MARK, 200).immediate_or_cancel().build());
    assert_eq!(armed(&scene), [500, 500]);
    scene.accept(&alice, &bid(200_900, 500).build());
    scene.desk.settle_price(0, 201 * PICO).unwrap();
    let handles: Vec<_> = read::triggers(&scene.desk, &bob.trader, 0).iter().map(|(handle, _)| *handle).collect();
    execute(&mut scene, &alice, &handles);
    assert_eq!((lots(&scene.desk, &bob.trader, 0), armed(&scene)), (0, vec![]));
}

#[test]
fn eight_at_once() {
    let mut scene = scene();
    let (alice, bob) = (scene.alice, scene.bob);
    scene.accept(&alice, &bid(199_000, 5_000).build());
    let handles: Vec<_> = (1..=8)
        .map(|id| {
            let part = stop(MARK).lots(Lots::new(100)).client_id(id).tip(QuoteAtoms::new(TIP)).build();
            place(&mut scene, &bob, &part)
        })
        .collect();
    let by_hand = {
        let mut scene = scene.clone();
        let order = ask(199_000, 100).immediate_or_cancel().reduce_only().build();
        scene.place(&bob, &order).unwrap().compute_units
    };
    let used = execute(&mut scene, &alice, &handles);
    assert!(used <= 8 * (by_hand + BUDGET), "{used} for eight triggers, {by_hand} for an order");
    assert_eq!(lots(&scene.desk, &bob.trader, 0), 200);
    let nine = executing(&scene, &alice, &[handles[0]; 9]);
    refuses(&mut scene.desk.chain, nine, Refusal::FieldInvalid);
    let none = executing(&scene, &alice, &[]);
    refuses(&mut scene.desk.chain, none, Refusal::FieldInvalid);
}

#[test]
fn trailing_and_slices_through_the_program() {
    let mut scene = scene();
    let (alice, bob) = (scene.alice, scene.bob);
    let trailing = TriggerTicket::trailing(Side::Ask, Ticks::new(1_000)).share(Ppm::new(500_000)).build();
    let trailing = place(&mut scene, &bob, &trailing);
    let sliced = TriggerTicket::twap(Side::Ask, 2, 60).lots(Lots::new(400)).watching(Reference::Index).build();
    let sliced = place(&mut scene, &bob, &sliced);
    scene.accept(&alice, &bid(199_500, 5_000).build());
    execute(&mut scene, &alice, &[trailing, sliced]);
    assert_eq!(lots(&scene.desk, &bob.trader, 0), 800);
    scene.desk.settle_price(0, 202 * PICO).unwrap();
    execute(&mut scene, &alice, &[trailing]);
    assert_eq!(read::triggers(&scene.desk, &bob.trader, 0)[1].1.price, Ticks::new(202_000));
    scene.wait(60);
    scene.desk.settle_price(0, 201 * PICO).unwrap();
    execute(&mut scene, &alice, &[sliced, trailing]);
    assert_eq!(lots(&scene.desk, &bob.trader, 0), 300, "two hundred of the slices, half of the rest");
    assert!(read::triggers(&scene.desk, &bob.trader, 0).is_empty());
}

#[test]
fn cancelling_is_always_possible_and_returns_the_tip() {
    let mut scene = scene();
    let (alice, bob) = (scene.alice, scene.bob);
    let before = cash(&scene.desk, &bob.trader);
    let handle = place(&mut scene, &bob, &stop(190_000).tip(QuoteAtoms::new(TIP)).client_id(1).build());
    let foreign = scene.desk.venue.cancel_trigger(&alice.trader, &scene.market(), handle);
    refuses(&mut scene.desk.chain, foreign, EngineError::TriggerNotFound);
    place(&mut scene, &bob, &stop(190_000).tip(QuoteAtoms::new(TIP)).client_id(2).build());
    scene.wait(1_000_000);
    let (venue, market) = (scene.desk.venue, scene.market());
    let listed = scene.desk.markets[0].index;
    let halted = venue.set_market_status(scene.desk.admin, listed, MarketStatus::ReduceOnly);
    scene.desk.chain.send(halted).unwrap();
    scene.desk.chain.send(venue.cancel_trigger(&bob.trader, &market, handle)).unwrap();
    scene.desk.chain.send(venue.cancel_trigger_by_client_id(&bob.trader, &market, 2)).unwrap();
    assert_eq!(cash(&scene.desk, &bob.trader), before);
    scene.desk.check().unwrap();
    let gone = venue.cancel_trigger(&bob.trader, &market, handle);
    refuses(&mut scene.desk.chain, gone, EngineError::TriggerNotFound);
}

#[test]
fn an_instruction_that_is_late_does_nothing() {
    let mut scene = scene();
    let bob = scene.bob;
    let now = read::now(&scene.desk.chain).unix_seconds;
    let trigger = stop(190_000).build();
    let market = scene.market();
    scene.wait(2);
    let late = scene.desk.venue.place_trigger(&bob.trader, &market, &trigger, now);
    refuses(&mut scene.desk.chain, late, Refusal::InstructionExpired);
}
