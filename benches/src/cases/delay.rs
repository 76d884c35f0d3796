//! Takers that wait, and what it costs to run them.

use anyhow::{Context, Result};
use quantdesk_client::engine::state::MarketHeader;
use std::mem::offset_of;

use super::Case;
use crate::stage::{MARK, SOL, Stage, ask, bid};

/// Slots that takers wait in the market that is measured.
const DELAY: u32 = 2;
/// Within the spread of a regular book.
const INSIDE: u32 = MARK + 5;

/// Cases of a market where takers wait.
pub fn cases() -> Vec<Case> {
    vec![
        Case::new("PlaceOrder, IOC, waits", |vm, stage| {
            let stage = waiting(stage, 0)?;
            vm.accepted(&stage.desk, &stage.order(&bid(INSIDE, SOL).immediate_or_cancel().build()))
        }),
        Case::new("PlaceOrder, IOC, runs 2 takers, waits", |vm, stage| {
            let stage = waiting(stage, 2)?;
            vm.accepted(&stage.desk, &stage.order(&bid(INSIDE, SOL).immediate_or_cancel().build()))
        }),
        run("RunDelayed, 1 taker, 1 maker", 1),
        run("RunDelayed, 8 takers, 1 maker", 8),
    ]
}

fn run(name: &str, takers: u32) -> Case {
    Case::new(name, move |vm, stage| {
        let stage = waiting(stage, takers)?;
        vm.accepted(&stage.desk, &stage.desk.venue.run_delayed(&stage.market(), u8::MAX))
    })
}

/// Somebody offers at the best price, and so many takers of Alice's have waited long enough. A market is listed with its delay;
/// this one gets it afterwards.
fn waiting(mut stage: Stage, takers: u32) -> Result<Stage> {
    let market = stage.market();
    let mut account = stage.desk.chain.account(&market).context("a market")?;
    let place = offset_of!(MarketHeader, taker_delay);
    account.data[place..place + 4].copy_from_slice(&DELAY.to_le_bytes());
    stage.desk.chain.set_account(market, account)?;
    let (house, alice) = (stage.house, stage.alice);
    stage.place(&house, &ask(INSIDE, 20 * SOL).post_only().build())?;
    for _ in 0..takers {
        stage.place(&alice, &bid(INSIDE, SOL).immediate_or_cancel().build())?;
    }
    (0..DELAY).for_each(|_| stage.desk.chain.next_slot());
    Ok(stage)
}
