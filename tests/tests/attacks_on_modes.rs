//! Attacks with the guardian's key, through the program. Each ends in an exact refusal with nothing changed, or in nothing
//! gained and a bounded wait.

use quantdesk_client::{
    Address, Refusal,
    engine::{
        EngineError, Lots, Ppm, QuoteAtoms, Side,
        governance::{
            guard::Tightening,
            mode::{CLOSE_ONLY_SECONDS_MAX, HALT_SECONDS_MAX, Mode, QUIET_SECONDS},
        },
        outflow,
        state::{Exchange, ledger::Policy},
    },
    instruction::SYSTEM_PROGRAM,
};
use quantdesk_sim::desk::{Desk, POLICY};
use quantdesk_tests::{
    failing::Failing,
    read, refused_at, refuses,
    scene::{self, CAPITAL, MARK, Scene, ask, bid, patch},
};
use solana_account::Account;
use solana_instruction::{AccountMeta, Instruction};
use std::mem::offset_of;

/// Hardly anything leaves at once, and the rest within a day.
const SLOW: Policy =
    Policy { outflow_rate: Ppm::new(1_000), outflow_floor: QuoteAtoms::new(1), queue_seconds: 86_400, ..POLICY };
/// How often the thief tries. Divides all the times there are.
const STEP: i64 = 600;

/// Somebody else is the guardian from now on.
fn thief(desk: &mut Desk) -> Address {
    let thief = desk.name(b"thief");
    let exchange = desk.venue.exchange;
    patch(&mut desk.chain, exchange, offset_of!(Exchange, guardian), thief.as_array());
    thief
}

fn halt(desk: &Desk, thief: Address, mode: Mode, seconds: u32) -> Instruction {
    desk.venue.guard(thief, &Tightening::Mode { mode, seconds })
}

/// Lets time pass to the second.
fn pass(scene: &mut Scene, seconds: i64) {
    scene.wait(seconds);
}

/// 79: stops that shut people in.
#[test]
fn attack_a_stolen_guardian_halts_again_and_again() {
    let mut scene = Scene::with_policy(SLOW);
    let (alice, thief) = (scene.alice, thief(&mut scene.desk));
    let began = scene.desk.chain.unix_seconds();
    let mut asked = None;
    // Alice wants out the moment the first halt has begun; the thief always comes first.
    let paid = loop {
        let again = halt(&scene.desk, thief, Mode::Halted, HALT_SECONDS_MAX);
        let _ = scene.desk.chain.send(again);
        let now = scene.desk.chain.unix_seconds() - began;
        if asked.is_none() {
            let ask = scene.withdraw(&alice, CAPITAL);
            asked = scene.desk.chain.send(ask).is_ok().then_some(now);
        }
        let waiting = outflow::waiting(&scene.desk.ledger_view().unwrap()).count();
        let pay = scene.desk.venue.process_withdraw_queue(alice.tokens);
        if waiting == 1 && scene.desk.chain.send(pay).is_ok() {
            break now;
        }
        assert!(now < 10 * 86_400, "locked up");
        pass(&mut scene, STEP);
    };
    assert_eq!(asked, Some(i64::from(HALT_SECONDS_MAX)));
    // Exactly the longest time that is published.
    assert_eq!(paid, i64::from(SLOW.queue_seconds) + 43_200);
    scene.desk.check().unwrap();
}

#[test]
fn attack_ten_days_of_halts_take_six_hours_of_thirty() {
    let mut scene = Scene::new();
    let (alice, thief) = (scene.alice, thief(&mut scene.desk));
    let (mut refused, mut kinds) = (Vec::new(), [Mode::Halted, Mode::Halted, Mode::WithdrawOnly].into_iter().cycle());
    let steps = 10 * 86_400 / STEP;
    for _ in 0..steps {
        for (mode, seconds) in [(kinds.next().unwrap(), HALT_SECONDS_MAX), (Mode::CloseOnly, CLOSE_ONLY_SECONDS_MAX)] {
            let again = halt(&scene.desk, thief, mode, seconds);
            let _ = scene.desk.chain.send(again);
        }
        let out = scene.withdraw(&alice, 1);
        refused.push(scene.desk.chain.send(out).is_err());
        pass(&mut scene, STEP);
    }
    let day = usize::try_from(i64::from(QUIET_SECONDS) / STEP).unwrap();
    let worst = refused.windows(day).map(|window| window.iter().filter(|it| **it).count() as i64 * STEP).max();
    assert_eq!(worst, Some(i64::from(HALT_SECONDS_MAX)));
    let all = refused.iter().filter(|it| **it).count() as i64 * STEP;
    assert!(all <= 8 * i64::from(HALT_SECONDS_MAX), "eight halts begin in ten days: {all} s");
}

/// Long 1,000 lots with $14; one resting bid, Alice's.
fn leveraged() -> Failing {
    let mut failing = Failing::new(Side::Bid, 1_000, 14_000_000);
    let alice = failing.scene.alice;
    failing.scene.accept(&alice, &bid(190_000, 2_000).build());
    failing
}

#[test]
fn attack_halting_to_liquidate_people() {
    let mut failing = leveraged();
    let mut free = failing.clone();
    let (target, keeper) = (failing.target, failing.keeper);
    let thief = thief(&mut failing.scene.desk);
    let stop = halt(&failing.scene.desk, thief, Mode::Halted, HALT_SECONDS_MAX);
    failing.scene.desk.chain.send(stop).unwrap();
    for failing in [&mut failing, &mut free] {
        failing.walk(190_500);
    }
    // The target cannot trade.
    let out = failing.scene.order(&target, &ask(190_000, 1_000).reduce_only().immediate_or_cancel().build());
    refuses(&mut failing.scene.desk.chain, out, EngineError::ModeForbids);
    let liquidate = |failing: &Failing| {
        let (venue, market) = (&failing.scene.desk.venue, failing.scene.market());
        venue.liquidate(&keeper.trader, &market, failing.named(), 9)
    };
    // It can pay in, and is out of reach.
    let mut saved = failing.clone();
    let desk = &mut saved.scene.desk;
    let tokens = desk.fund(&target.trader.authority, 5_000_000).unwrap();
    desk.chain.send(desk.venue.deposit(&target.trader, tokens, QuoteAtoms::new(5_000_000))).unwrap();
    let attempt = liquidate(&saved);
    refuses(&mut saved.scene.desk.chain, attempt, EngineError::AccountHealthy);
    // If it does not, it loses what it would have lost without a halt, to the atom, and the keeper gets no more.
    let figures = [&mut failing, &mut free].map(|failing| {
        let attempt = liquidate(failing);
        failing.scene.desk.chain.send(attempt).unwrap();
        failing.scene.desk.check().unwrap();
        let desk = &failing.scene.desk;
        assert!(read::lots(desk, &target.trader, 0) < 1_000, "something was closed");
        let cash = [target, keeper, failing.scene.alice].map(|party| read::cash(desk, &party.trader));
        (cash, read::lots(desk, &target.trader, 0), read::money(desk))
    });
    assert_eq!(figures[0], figures[1]);
}

/// Who made cannot be picked off while it cannot requote: nobody may take. And it may take back what rests.
#[test]
fn attack_halting_to_pick_off_what_rests() {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.alice, scene.bob);
    scene.accept(&alice, &ask(MARK + 5, 100).build());
    let thief = thief(&mut scene.desk);
    for mode in [Mode::CloseOnly, Mode::WithdrawOnly, Mode::Halted] {
        let stop = halt(&scene.desk, thief, mode, 3_600);
        scene.desk.chain.send(stop).unwrap();
        let take = scene.order(&bob, &bid(MARK + 5, 100).immediate_or_cancel().build());
        refuses(&mut scene.desk.chain, take, EngineError::ModeForbids);
    }
    let (node, sequence) = read::handles(&scene.desk, &alice.trader, 0)[0];
    let cancel = scene.desk.venue.cancel_order(&alice.trader, &scene.market(), node, sequence);
    scene.desk.chain.send(cancel).unwrap();
}

#[test]
fn attack_a_cap_tightened_to_zero() {
    let mut failing = leveraged();
    let (target, bob, alice) = (failing.target, failing.scene.bob, failing.scene.alice);
    let thief = thief(&mut failing.scene.desk);
    let market = failing.scene.desk.markets[0].index;
    let position = |lots| Tightening::PositionMax { market, lots: Lots::new(lots) };
    let interest = |lots| Tightening::InterestMax { market, lots: Lots::new(lots) };
    for wanted in [position(0), interest(0), position(1)] {
        let zero = failing.scene.desk.venue.guard(thief, &wanted);
        refuses(&mut failing.scene.desk.chain, zero, EngineError::ListingParametersInvalid);
    }
    let least = read::row(&failing.scene.desk, 0).lots_max.get();
    for wanted in [position(least), interest(1)] {
        let tighten = failing.scene.desk.venue.guard(thief, &wanted);
        failing.scene.desk.chain.send(tighten).unwrap();
    }
    // Nothing new is opened.
    let mut scene = failing.scene.clone();
    let newcomer = scene::party(&mut scene.desk, 0);
    let open = scene.order(&newcomer, &ask(190_000, 5).immediate_or_cancel().build());
    refuses(&mut scene.desk.chain, open, EngineError::OpenInterestTooLarge);
    // Who is in gets out, reduce-only or not, to others who are in.
    scene.accept(&bob, &bid(MARK, 300).reduce_only().build());
    scene.accept(&target, &ask(MARK, 300).immediate_or_cancel().build());
    assert_eq!([target, bob].map(|party| read::lots(&scene.desk, &party.trader, 0)), [700, -700]);
    let withdraw = scene.withdraw(&alice, 5);
    scene.desk.chain.send(withdraw).unwrap();
    // And who fails is liquidated and taken over as before.
    failing.walk(189_000);
    let (venue, address) = (failing.scene.desk.venue, failing.scene.market());
    let named = failing.named();
    let take_over = venue.take_over(&alice.trader, &address, named, Lots::new(1_000));
    let liquidate = venue.liquidate(&failing.keeper.trader, &address, named, 9);
    for step in [take_over, liquidate] {
        let mut desk = failing.scene.desk.clone();
        desk.chain.send(step).unwrap();
        desk.check().unwrap();
    }
}

/// Signed in another time: a guard in a transaction with a durable nonce could be kept and used when it suits.
#[test]
fn attack_a_guard_kept_for_later() {
    let mut scene = Scene::new();
    let guard = halt(&scene.desk, scene.desk.admin, Mode::Halted, 60);
    let (nonce, authority) = (scene.desk.name(b"nonce"), scene.desk.admin);
    // Version and state, authority, a hash of the past, a fee.
    let mut data = [1u32.to_le_bytes(), 1u32.to_le_bytes()].concat();
    data.extend_from_slice(authority.as_array());
    data.extend_from_slice(&[7; 32]);
    data.extend_from_slice(&5_000u64.to_le_bytes());
    let account = Account { lamports: 1 << 30, data, owner: SYSTEM_PROGRAM, executable: false, rent_epoch: 0 };
    scene.desk.chain.set_account(nonce, account).unwrap();
    let hashes = Address::from_str_const("SysvarRecentB1ockHashes11111111111111111111");
    let accounts = vec![
        AccountMeta::new(nonce, false),
        AccountMeta::new_readonly(hashes, false),
        AccountMeta::new_readonly(authority, true),
    ];
    let advance = Instruction { program_id: SYSTEM_PROGRAM, accounts, data: 4u32.to_le_bytes().to_vec() };
    refused_at(scene.desk.chain.send_all(&[advance, guard.clone()]), 1, Refusal::DurableNonce);
    scene.desk.chain.send(guard).unwrap();
}
