//! Sessions, and what else an owner sets for its account.

use anyhow::Result;
use quantdesk_client::{
    Address,
    engine::{Ppm, QuoteAtoms, UnixSeconds, session::Action, state::SessionTerms},
};
use solana_instruction::Instruction;

use super::Case;
use crate::{
    stage::{MARK, SOL, STEP, Stage, ask, bid},
    vm::Vm,
};

/// Half a step: between two prices of the regular book.
const HALF: u32 = STEP / 2;
/// What Alice pays rent with.
const LAMPORTS: u64 = 1 << 40;

/// Orders of a session, and the instructions of the owner.
pub fn cases() -> Vec<Case> {
    let mut cases = vec![
        Case::new("PlaceOrder by a session, post-only, best price", |vm, stage| {
            let order = stage.order(&bid(MARK - HALF, SOL).post_only().build());
            by_session(vm, stage, order)
        }),
        Case::new("PlaceOrder by a session, first of the day", |vm, mut stage| {
            let key = open(&mut stage)?;
            let order = stage.order(&bid(MARK - HALF, SOL).post_only().build());
            vm.accepted(&stage.desk, &stage.desk.venue.in_session(order, key))
        }),
        Case::new("PlaceOrder by a session, reduce-only, rests", |vm, stage| {
            let order = stage.order(&ask(MARK + HALF, SOL).post_only().reduce_only().build());
            by_session(vm, stage, order)
        }),
        Case::new("CancelOrder by a session, best price", |vm, mut stage| {
            let alice = stage.alice;
            stage.place(&alice, &bid(MARK - HALF, SOL).post_only().build())?;
            let cancel = stage.cancel_newest(&alice)?;
            let key = open(&mut stage)?;
            vm.accepted(&stage.desk, &stage.desk.venue.in_session(cancel, key))
        }),
        Case::new("ReplaceQuotes by a session, 10 quotes", |vm, stage| {
            let quotes = stage.replace_quotes((0..10).map(|place| MARK - HALF - place * STEP));
            by_session(vm, stage, quotes)
        }),
    ];
    cases.extend(settings());
    cases
}

fn settings() -> Vec<Case> {
    vec![
        Case::new("OpenSession", |vm, mut stage| {
            let (instruction, _) = opening(&mut stage)?;
            vm.accepted(&stage.desk, &instruction)
        }),
        Case::new("CloseSession", |vm, mut stage| {
            let key = open(&mut stage)?;
            vm.accepted(&stage.desk, &stage.desk.venue.close_session(stage.alice.authority, &key))
        }),
        Case::new("SetDelegate", |vm, stage| {
            let delegate = Some(stage.house.authority);
            vm.accepted(&stage.desk, &stage.desk.venue.set_delegate(&stage.alice, delegate))
        }),
        Case::new("SetFeeMax", |vm, stage| {
            vm.accepted(&stage.desk, &stage.desk.venue.set_fee_max(&stage.alice, Some(Ppm::new(500))))
        }),
        Case::new("SetWithdrawDelay", |vm, stage| {
            vm.accepted(&stage.desk, &stage.desk.venue.set_withdraw_delay(&stage.alice, 86_400))
        }),
        Case::new("AllowTarget", |vm, stage| {
            vm.accepted(&stage.desk, &stage.desk.venue.allow_target(&stage.alice, &stage.tokens, true))
        }),
    ]
}

/// What an order costs more if a session signs it than if its owner does, at the depth where that is most.
pub fn surcharge(vm: &mut Vm, stages: &[Stage]) -> Result<u64> {
    let mut most = 0;
    for stage in stages {
        let order = stage.order(&bid(MARK - HALF, SOL).post_only().build());
        let by_owner = vm.accepted(&stage.desk, &order)?;
        most = most.max(by_session(vm, stage.clone(), order)?.saturating_sub(by_owner));
    }
    Ok(most)
}

/// Measures an instruction of Alice as her session signs it, on a day that has begun with an order that left nothing.
fn by_session(vm: &mut Vm, mut stage: Stage, instruction: Instruction) -> Result<u64> {
    let key = open(&mut stage)?;
    let first = stage.order(&bid(MARK / 2, SOL).immediate_or_cancel().build());
    stage.desk.chain.send(stage.desk.venue.in_session(first, key))?;
    vm.accepted(&stage.desk, &stage.desk.venue.in_session(instruction, key))
}

/// Opens a session of Alice's and returns its key.
fn open(stage: &mut Stage) -> Result<Address> {
    let (instruction, key) = opening(stage)?;
    stage.desk.chain.send(instruction)?;
    Ok(key)
}

/// The instruction that opens a session with limits far away.
fn opening(stage: &mut Stage) -> Result<(Instruction, Address)> {
    let key = stage.desk.name(b"session key");
    stage.desk.chain.give_lamports(stage.alice.authority, LAMPORTS)?;
    let end = UnixSeconds::new(stage.desk.chain.unix_seconds() + 86_400);
    let actions = Action::ALL.iter().map(|action| action.bit()).sum();
    let limit = QuoteAtoms::new(1 << 50);
    let terms = SessionTerms::new(u32::MAX, actions, end, [limit; 3]);
    Ok((stage.desk.venue.open_session(&stage.alice, key, &terms), key))
}
