//! `CancelForRisk`: which orders go, how many, for whom, and what is refused.

use quantdesk_client::{
    Refusal,
    engine::{EngineError, Generation, Side, state::TradeEventKind},
    error::ProgramError,
    instruction::Target,
};
use quantdesk_tests::{
    failing::{self, Failing, Native, initial, trading_frame, written},
    read::{self, book},
    refuses,
    scene::{ask, bid},
    snapshot::Snapshot,
};
use solana_instruction::Instruction;

fn cancel(failing: &Failing, limit: u8) -> Instruction {
    failing.scene.desk.venue.cancel_for_risk(&failing.scene.market(), failing.named(), limit)
}

/// Long 1 SOL with $14 and bids for another 0.24 SOL far below; a reduce-only sale above.
fn ordered() -> Failing {
    let mut failing = Failing::new(Side::Bid, 1_000, 14_000_000);
    let target = failing.target;
    for price in [180_000, 179_000, 178_000, 177_000] {
        failing.scene.accept(&target, &bid(price, 60).build());
    }
    failing.scene.accept(&target, &ask(215_000, 900).reduce_only().build());
    failing
}

#[test]
fn cancels_the_newest_until_the_account_is_margined() {
    let mut failing = ordered();
    let instruction = cancel(&failing, 255);
    refuses(&mut failing.scene.desk.chain, instruction, EngineError::AccountHealthy);
    failing.walk(198_000);
    let target = failing.target;
    let margin = initial(&failing.scene.desk, &target);
    assert!(!margin.is_met() && failing.health(&target).is_met(), "{margin:?}");
    let (before, since) = (Snapshot::of(&failing.scene.desk.chain), written(&failing.scene));
    let mut native = Native::of(&failing.scene.desk, 0);
    let count = native.trading(|it| it.cancel_for_risk(target.trader.cell, 255)).unwrap();
    failing.scene.desk.chain.send(cancel(&failing, 255)).unwrap();
    native.assert_same(&failing.scene.desk);
    assert!((1..4).contains(&count), "{count}");
    let kept: Vec<_> = [180_000, 179_000, 178_000, 177_000].map(|price| (price, 60))[..4 - usize::from(count)].to_vec();
    assert_eq!(book(&failing.scene.desk, 0, Side::Bid), kept, "the newest went");
    assert_eq!(book(&failing.scene.desk, 0, Side::Ask), [(215_000, 900)], "what can only reduce stays");
    assert!(initial(&failing.scene.desk, &target).is_met());
    let events = failing::trade_events_since(&failing.scene, since.0);
    assert_eq!(events.len(), usize::from(count));
    assert!(events.iter().all(|it| it.kind() == Some(TradeEventKind::RiskCancelled) && it.maker == target.trader.cell));
    before.only(&failing.scene.desk.chain, &trading_frame(&failing.scene, &[target], since));
    let again = cancel(&failing, 255);
    refuses(&mut failing.scene.desk.chain, again, EngineError::AccountHealthy);
    failing.scene.desk.check().unwrap();
}

#[test]
fn no_more_than_the_limit_in_one_instruction() {
    let mut failing = ordered();
    failing.walk(195_000);
    for left in [3, 2, 1, 0] {
        failing.scene.desk.chain.send(cancel(&failing, 1)).unwrap();
        assert_eq!(book(&failing.scene.desk, 0, Side::Bid).len(), left);
        failing.scene.desk.check().unwrap();
    }
    // Still below, and what is left can only reduce.
    assert!(!initial(&failing.scene.desk, &failing.target).is_met());
    let instruction = cancel(&failing, 1);
    refuses(&mut failing.scene.desk.chain, instruction, EngineError::NothingToClose);
    assert_eq!(book(&failing.scene.desk, 0, Side::Ask).len(), 1);
}

#[test]
fn orders_of_a_settled_market_are_anybodys_to_cancel() {
    let mut failing = ordered();
    let bob = failing.scene.bob;
    failing.scene.accept(&bob, &ask(220_000, 5).build());
    failing::settle(&mut failing.scene);
    let (venue, market) = (failing.scene.desk.venue, failing.scene.market());
    for party in [failing.target, bob] {
        failing.scene.desk.chain.send(venue.cancel_for_risk(&market, failing::target(&party), 255)).unwrap();
        let again = venue.cancel_for_risk(&market, failing::target(&party), 255);
        refuses(&mut failing.scene.desk.chain, again, EngineError::NothingToClose);
    }
    assert_eq!((book(&failing.scene.desk, 0, Side::Bid), book(&failing.scene.desk, 0, Side::Ask)), (vec![], vec![]));
    failing.scene.desk.check().unwrap();
}

/// Cancelling goes on while a market is deleveraged: it moves no position.
#[test]
fn goes_on_while_the_market_is_deleveraged() {
    let mut failing = ordered();
    let (alice, target) = (failing.scene.alice, failing.target);
    let weak = failing::party_with(&mut failing.scene.desk, 10_150_000);
    failing::open(&mut failing.scene, Side::Bid, &weak, &alice, 1_000);
    failing.walk(189_000);
    let (venue, market) = (failing.scene.desk.venue, failing.scene.market());
    failing.scene.desk.chain.send(venue.deleverage(&market, failing::target(&weak), 1)).unwrap();
    assert!(read::market_header(&failing.scene.desk, 0).deleverage.is_running());
    failing.scene.desk.chain.send(cancel(&failing, 255)).unwrap();
    assert_eq!(book(&failing.scene.desk, 0, Side::Bid), []);
    assert_eq!(read::handles(&failing.scene.desk, &target.trader, 0).len(), 1);
}

#[test]
fn refusals_in_order() {
    let mut failing = ordered();
    failing.walk(195_000);
    let foreign = failing::foreign_market(&mut failing.scene);
    let (venue, market, named) = (failing.scene.desk.venue, failing.scene.market(), failing.named());
    let nobody = Target { generation: Generation::new(77), ..named };
    let alice = failing::target(&failing.scene.alice);
    let bob = failing::target(&failing.scene.bob);
    let cases: [(Instruction, ProgramError); 5] = [
        (venue.cancel_for_risk(&foreign, nobody, 0), Refusal::FieldInvalid.into()),
        (venue.cancel_for_risk(&foreign, nobody, 1), Refusal::WrongLedger.into()),
        (venue.cancel_for_risk(&market, nobody, 1), EngineError::TraderNotFound.into()),
        (venue.cancel_for_risk(&market, alice, 1), EngineError::NothingToClose.into()),
        (venue.cancel_for_risk(&market, bob, 1), EngineError::AccountHealthy.into()),
    ];
    for (instruction, error) in cases {
        refuses(&mut failing.scene.desk.chain, instruction, error);
    }
    failing.scene.wait(700);
    let instruction = cancel(&failing, 255);
    refuses(&mut failing.scene.desk.chain, instruction, EngineError::PriceNotValidForAction);
}
