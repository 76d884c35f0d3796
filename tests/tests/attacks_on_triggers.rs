//! Attacks with and on conditional orders, through the program. Each ends in an exact refusal with nothing changed, or in
//! nothing gained.

use quantdesk_client::{
    Refusal,
    engine::{
        CellIndex, EngineError, Lots, Ppm, QuoteAtoms, Sequence, Side, Ticks, UnixSeconds,
        book::{NewTrigger, TriggerHandle},
        state::Reference,
    },
    trigger::TriggerTicket,
};
use quantdesk_sim::desk::{Desk, DeskConfig};
use quantdesk_tests::{
    read::{self, cash, lots},
    refused_at, refuses,
    scene::{self, EVENTS, MARK, PICO, PRICE, Party, Scene, ask, bid},
};
use solana_instruction::Instruction;

const TIP: u64 = 50_000;

/// Bob is long one SOL.
fn scene() -> Scene {
    let mut scene = Scene::new();
    scene.trade(1_000);
    scene
}

/// Out of Bob's whole position at or below this mark, with a tip.
fn stop(price: u32) -> TriggerTicket {
    TriggerTicket::stop(Side::Ask, Ticks::new(price)).lots(Lots::new(1_000)).tip(QuoteAtoms::new(TIP))
}

fn placing(scene: &Scene, party: &Party, trigger: &NewTrigger) -> Instruction {
    scene.desk.venue.place_trigger(&party.trader, &scene.market(), trigger, UnixSeconds::ZERO)
}

fn executing(scene: &Scene, keeper: &Party, handles: &[TriggerHandle]) -> Instruction {
    scene.desk.venue.execute_triggers(&keeper.trader, &scene.market(), handles)
}

#[track_caller]
fn place(scene: &mut Scene, party: &Party, ticket: TriggerTicket) -> TriggerHandle {
    let instruction = placing(scene, party, &ticket.build());
    scene.desk.chain.send(instruction).unwrap();
    scene.desk.check().unwrap();
    read::triggers(&scene.desk, &party.trader, 0)[0].0
}

#[track_caller]
fn execute(scene: &mut Scene, keeper: &Party, handles: &[TriggerHandle]) -> u64 {
    let instruction = executing(scene, keeper, handles);
    let done = scene.desk.chain.send(instruction).unwrap();
    scene.desk.check().unwrap();
    done.compute_units
}

#[track_caller]
fn not_due(scene: &mut Scene, keeper: &Party, handles: &[TriggerHandle]) {
    let instruction = executing(scene, keeper, handles);
    refuses(&mut scene.desk.chain, instruction, EngineError::NoTriggerDue);
}

#[test]
fn attack_firing_a_stop_one_tick_early() {
    let mut scene = scene();
    let (alice, bob) = (scene.alice, scene.bob);
    let handle = place(&mut scene, &bob, stop(198_000));
    scene.accept(&alice, &bid(190_000, 5_000).build());
    scene.desk.settle_price(0, 198_001 * PICO / 1_000).unwrap();
    not_due(&mut scene, &alice, &[handle; 8]);
}

#[test]
fn attack_firing_twice() {
    let mut scene = scene();
    let (alice, bob) = (scene.alice, scene.bob);
    // Half of the position: a second execution would find the other half.
    let handle = place(&mut scene, &bob, stop(MARK).lots(Lots::new(500)));
    scene.accept(&alice, &bid(199_500, 5_000).build());
    let twice = [executing(&scene, &alice, &[handle, handle]), executing(&scene, &alice, &[handle])];
    refused_at(scene.desk.chain.send_all(&twice), 1, EngineError::NoTriggerDue);
    execute(&mut scene, &alice, &[handle, handle]);
    assert_eq!(lots(&scene.desk, &bob.trader, 0), 500);
    // A later trigger gets the cell, but not the name.
    let later = place(&mut scene, &bob, stop(MARK).lots(Lots::new(500)));
    assert_eq!(later.cell, handle.cell);
    not_due(&mut scene, &alice, &[handle]);
}

#[test]
fn attack_firing_on_a_stale_price() {
    let mut scene = scene();
    let (alice, bob) = (scene.alice, scene.bob);
    let references = [Reference::Mark, Reference::Index, Reference::Last];
    let handles = references.map(|reference| place(&mut scene, &bob, stop(MARK + 5).watching(reference)));
    scene.accept(&alice, &bid(199_500, 5_000).build());
    scene.wait(31);
    for handle in handles {
        not_due(&mut scene, &alice, &[handle]);
    }
}

#[test]
fn attack_a_last_price_made_outside_the_band() {
    let mut scene = scene();
    let (alice, bob) = (scene.alice, scene.bob);
    let handle = place(&mut scene, &bob, stop(MARK - 1_000).watching(Reference::Last));
    // Orders reach no further than the band, so the attacker trades with an accomplice at its edge, and lets the mark go.
    let accomplice = scene::party(&mut scene.desk, 0);
    scene.accept(&accomplice, &bid(180_000, 1).build());
    scene.accept(&alice, &ask(180_000, 1).immediate_or_cancel().build());
    scene.accept(&alice, &bid(199_500, 5_000).build());
    let fired = {
        let mut scene = scene.clone();
        execute(&mut scene, &alice, &[handle]);
        lots(&scene.desk, &bob.trader, 0)
    };
    assert_eq!(fired, 0, "within the band the last price is what its owner chose to watch");
    scene.desk.set_price(0, PRICE + PRICE / 1_000).unwrap();
    scene.wait(1);
    scene.desk.set_price(0, PRICE + PRICE / 1_000).unwrap();
    assert!(read::row(&scene.desk, 0).mark > Ticks::new(MARK));
    not_due(&mut scene, &alice, &[handle]);
}

#[test]
fn attack_draining_tips_without_fills() {
    let mut scene = scene();
    let (alice, bob) = (scene.alice, scene.bob);
    let handle = place(&mut scene, &bob, stop(MARK));
    let before = cash(&scene.desk, &alice.trader);
    // Due, but there is no bid within its slippage.
    scene.accept(&alice, &bid(197_999, 5_000).build());
    for _ in 0..3 {
        not_due(&mut scene, &alice, &[handle; 8]);
    }
    // Nor does anything of it count beside one that works.
    let other = place(&mut scene, &bob, TriggerTicket::trailing(Side::Ask, Ticks::new(1_000)).lots(Lots::new(1)));
    scene.desk.settle_price(0, 200_001 * PICO / 1_000).unwrap();
    let waiting = place(&mut scene, &bob, stop(MARK + 1));
    let execution = executing(&scene, &alice, &[waiting, other]);
    scene.desk.chain.send(execution).unwrap();
    let left = read::triggers(&scene.desk, &bob.trader, 0);
    assert_eq!(left[0].1.tip.get().get(), TIP as i64);
    assert_eq!(cash(&scene.desk, &alice.trader), before);
}

#[test]
fn attack_draining_tips_by_tiny_fills() {
    let mut scene = scene();
    let (alice, bob) = (scene.alice, scene.bob);
    let handle = place(&mut scene, &bob, stop(MARK).lots(Lots::new(100)).tip(QuoteAtoms::new(99)));
    let keeper = scene::party(&mut scene.desk, 0);
    let before = cash(&scene.desk, &keeper.trader);
    for number in 1..=100 {
        scene.accept(&alice, &bid(199_500, 1).build());
        execute(&mut scene, &keeper, &[handle]);
        let earned = cash(&scene.desk, &keeper.trader) - before;
        assert!(earned < number, "{earned} of the tip for {number} of a hundred lots");
        if number < 100 {
            let left = read::triggers(&scene.desk, &bob.trader, 0)[0].1.tip.get().get();
            assert_eq!(left + earned, 99);
        }
    }
    assert_eq!(cash(&scene.desk, &keeper.trader) - before, 99);
    not_due(&mut scene, &keeper, &[handle]);
}

#[test]
fn attack_executing_an_orphan_for_its_tip() {
    let mut scene = scene();
    let (alice, bob) = (scene.alice, scene.bob);
    let before = cash(&scene.desk, &bob.trader);
    let handle = place(&mut scene, &bob, stop(MARK));
    scene.accept(&bob, &ask(MARK, 1_000).build());
    scene.accept(&alice, &bid(MARK, 1_000).immediate_or_cancel().build());
    let keeper = scene::party(&mut scene.desk, 0);
    let has = cash(&scene.desk, &keeper.trader);
    execute(&mut scene, &keeper, &[handle]);
    assert_eq!(cash(&scene.desk, &keeper.trader), has, "whoever clears up gets nothing");
    // What the sale brought in: a rebate of 100 ppm.
    assert_eq!(cash(&scene.desk, &bob.trader), before + 20_000);
}

#[test]
fn attack_being_ones_own_keeper() {
    let mut scene = scene();
    let (alice, bob) = (scene.alice, scene.bob);
    scene.accept(&alice, &bid(199_500, 5_000).build());
    let by_hand = {
        let mut scene = scene.clone();
        scene.accept(&bob, &ask(199_500, 1_000).immediate_or_cancel().build());
        cash(&scene.desk, &bob.trader)
    };
    let handle = place(&mut scene, &bob, stop(MARK));
    execute(&mut scene, &bob, &[handle]);
    assert_eq!(cash(&scene.desk, &bob.trader), by_hand, "the tip comes back, and nothing besides");
}

#[test]
fn attack_a_stop_on_the_position_after_the_one_it_was_for() {
    let mut scene = scene();
    let (alice, bob) = (scene.alice, scene.bob);
    let handle = place(&mut scene, &bob, stop(MARK));
    for (first, second) in [(bob, alice), (alice, bob)] {
        scene.accept(&first, &ask(MARK, 1_000).build());
        scene.accept(&second, &bid(MARK, 1_000).immediate_or_cancel().build());
    }
    assert_eq!(lots(&scene.desk, &bob.trader, 0), 1_000, "closed and opened again");
    scene.accept(&alice, &bid(199_500, 5_000).build());
    execute(&mut scene, &alice, &[handle]);
    assert_eq!(lots(&scene.desk, &bob.trader, 0), 1_000, "it was removed");
    assert!(read::triggers(&scene.desk, &bob.trader, 0).is_empty());
    // Through zero and back within one order it is another position, too.
    let handle = place(&mut scene, &bob, stop(MARK));
    scene.accept(&bob, &ask(199_500, 1_500).immediate_or_cancel().build());
    scene.accept(&alice, &ask(MARK, 2_500).build());
    scene.accept(&bob, &bid(MARK, 2_500).immediate_or_cancel().build());
    assert_eq!(lots(&scene.desk, &bob.trader, 0), 2_000);
    execute(&mut scene, &alice, &[handle]);
    assert_eq!(lots(&scene.desk, &bob.trader, 0), 2_000);
}

#[test]
fn attack_both_legs_of_a_pair_in_one_instruction() {
    let mut scene = scene();
    let (alice, bob) = (scene.alice, scene.bob);
    scene.accept(&alice, &bid(199_500, 5_000).build());
    let legs = TriggerTicket::oco(
        3,
        [stop(MARK).lots(Lots::new(400)), TriggerTicket::take_profit(Side::Ask, Ticks::new(MARK)).lots(Lots::new(400))],
    );
    let handles = legs.map(|leg| place(&mut scene, &bob, leg));
    for order in [handles, [handles[1], handles[0]]] {
        let mut scene = scene.clone();
        execute(&mut scene, &alice, &order);
        assert_eq!(lots(&scene.desk, &bob.trader, 0), 600, "one of them");
        assert!(read::triggers(&scene.desk, &bob.trader, 0).is_empty());
    }
}

#[test]
fn attack_executing_what_is_being_cancelled() {
    let mut scene = scene();
    let (alice, bob) = (scene.alice, scene.bob);
    scene.accept(&alice, &bid(199_500, 5_000).build());
    let handle = place(&mut scene, &bob, stop(MARK));
    let cancel = scene.desk.venue.cancel_trigger(&bob.trader, &scene.market(), handle);
    let execution = executing(&scene, &alice, &[handle]);
    // Whichever comes first, the other finds nothing.
    let first = scene.desk.chain.send_all(&[cancel.clone(), execution.clone()]);
    refused_at(first, 1, EngineError::NoTriggerDue);
    refused_at(scene.desk.chain.send_all(&[execution, cancel.clone()]), 1, EngineError::TriggerNotFound);
    scene.desk.chain.send(cancel).unwrap();
    not_due(&mut scene, &alice, &[handle]);
    assert_eq!(lots(&scene.desk, &bob.trader, 0), 1_000);
}

#[test]
fn attack_naming_cells_that_are_no_triggers() {
    let mut scene = scene();
    let (alice, bob) = (scene.alice, scene.bob);
    let handle = place(&mut scene, &bob, stop(MARK));
    scene.accept(&alice, &bid(199_500, 5_000).build());
    let high = read::header(&scene.desk).cells.high_water();
    for cell in (0..high + 2).chain([u32::MAX - 1, u32::MAX]).filter(|cell| *cell != handle.cell.get()) {
        for number in [0, handle.number.get(), u64::MAX] {
            let cell = CellIndex::new(cell);
            not_due(&mut scene, &alice, &[TriggerHandle { cell, number: Sequence::new(number) }]);
        }
    }
}

#[test]
fn attack_hiding_cash_from_a_withdrawal_limit_in_tips() {
    let mut scene = scene();
    let bob = scene.bob;
    // What margin needs is not there for a tip.
    let free = 1_000_000_000 - 100_000 - 10_000_000;
    let need = stop(MARK - 500).tip(QuoteAtoms::new(50_000_001)).build();
    let too_large = placing(&scene, &bob, &need);
    refuses(&mut scene.desk.chain, too_large, EngineError::TriggerTipTooLarge);
    let withdraw = scene.withdraw(&bob, free - 1_000);
    scene.desk.chain.send(withdraw).unwrap();
    let need = placing(&scene, &bob, &stop(MARK - 500).tip(QuoteAtoms::new(1_001)).build());
    refuses(&mut scene.desk.chain, need, EngineError::WithdrawExceedsAvailable);
    place(&mut scene, &bob, stop(MARK - 500).tip(QuoteAtoms::new(1_000)));
}

#[test]
fn attack_a_delegate_paying_itself_tips() {
    let mut scene = scene();
    let (alice, bob) = (scene.alice, scene.bob);
    let delegate = Party { trader: scene::delegate(&mut scene.desk, &bob.trader, alice.trader.authority), ..bob };
    let tipped = placing(&scene, &delegate, &stop(MARK).tip(QuoteAtoms::new(1)).build());
    refuses(&mut scene.desk.chain, tipped, Refusal::NotAuthorized);
    let handle = place(&mut scene, &delegate, stop(MARK).tip(QuoteAtoms::ZERO));
    let cancel = scene.desk.venue.cancel_trigger(&delegate.trader, &scene.market(), handle);
    scene.desk.chain.send(cancel).unwrap();
}

/// Four thousand triggers of two hundred and fifty strangers, who need no money for them.
#[test]
fn attack_four_thousand_foreign_triggers() {
    const STRANGERS: u64 = 250;
    let mut desk = Desk::new(DeskConfig { cells: 5_000, events: EVENTS, ..DeskConfig::default() }).unwrap();
    let market = desk.list(&scene::sol()).unwrap();
    desk.set_price(market, PRICE).unwrap();
    let (alice, bob) = (scene::party(&mut desk, 0), scene::party(&mut desk, 0));
    let mut scene = Scene { desk, alice, bob };
    scene.trade(1_000);
    scene.accept(&alice, &bid(199_500, 1_000).build());
    let cost = |scene: &Scene| {
        let mut scene = scene.clone();
        let instruction = placing(&scene, &bob, &stop(MARK).build());
        let placed = scene.desk.chain.send(instruction).unwrap().compute_units;
        let handle = read::triggers(&scene.desk, &bob.trader, 0)[0].0;
        let executed = execute(&mut scene, &alice, &[handle]);
        assert_eq!(lots(&scene.desk, &bob.trader, 0), 0);
        (placed, executed)
    };
    let before = cost(&scene);
    let flood = TriggerTicket::stop(Side::Ask, Ticks::new(MARK)).lots(Lots::new(1)).adding().slippage(Ppm::ZERO);
    for number in 0..STRANGERS {
        let owner = scene.desk.name(b"stranger");
        let stranger = scene.desk.open(owner, number as u16, 0).unwrap().0;
        let many = scene.desk.venue.place_trigger(&stranger, &scene.market(), &flood.build(), UnixSeconds::ZERO);
        for _ in 0..4 {
            let four: Vec<Instruction> = std::iter::repeat_n(many.clone(), 4).collect();
            scene.desk.chain.send_all(&four).unwrap();
        }
        if number == 0 {
            refuses(&mut scene.desk.chain, many, EngineError::TriggersTooMany);
        }
    }
    assert_eq!(u64::from(read::market_header(&scene.desk, 0).triggers), STRANGERS * 16);
    scene.desk.check().unwrap();
    assert_eq!(cost(&scene), before, "to the compute unit");
}
