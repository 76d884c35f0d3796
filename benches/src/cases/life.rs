//! Life of markets, the queue of withdrawals, and the protection pool.

use anyhow::{Context, Result};
use quantdesk_client::{
    Address,
    engine::{
        Ppm, QuoteAtoms,
        governance::{CRITICAL_DELAY_MIN, Delays, guard::Tightening, mode::Mode, parameter::Parameter, role::Role},
        outflow,
        risk::life::MarginParameters,
        state::{MarketStatus, ledger::Policy, market::market_size},
    },
    instruction::Target,
};
use quantdesk_sim::{
    chain::PROGRAM,
    desk::{DeskConfig, MarketSpec, POLICY, Sources},
};
use solana_instruction::Instruction;

use super::{Case, compare};
use crate::{
    stage::{MARKET, PRICE, SOL, Stage},
    table::Table,
    vm::Vm,
};

/// Longer than a price has to be dead for a market to be settled.
const ABANDONED: i64 = 87_002;
/// Longer than a settled market's positions have to wait, and than a withdrawal does.
const GRACE: i64 = 3_601;
/// Hardly anything leaves at once.
const SLOW: Policy =
    Policy { outflow_rate: Ppm::new(1_000), outflow_floor: QuoteAtoms::new(1), queue_seconds: 3_600, ..POLICY };

/// Every table of this module.
pub fn tables(vm: &mut Vm) -> Result<Vec<Table>> {
    let stage = [Stage::new()?];
    let columns = ["case", "CU"];
    let table = |title: &str, text: &str| Table::new(title, text, &columns);
    let mut markets = table(
        "Life of a market",
        "`SettleMarketPosition` closes two positions against each other at the market's last price.",
    );
    compare(vm, &mut markets, &stage, &market_cases())?;
    compare(vm, &mut markets, &stage, &governance_cases())?;
    let mut queue = table(
        "Queue and transfers",
        "A withdrawal that the outflow limiter does not let out at once is booked, and paid later by anybody.",
    );
    compare(vm, &mut queue, &stage, &queue_cases())?;
    let mut pool = table(
        "Protection pool",
        "The first stake creates the stake account, whose address takes 1,500 for each try for a bump.",
    );
    compare(vm, &mut pool, &stage, &pool_cases())?;
    Ok(vec![markets, queue, pool])
}

/// One more market, in which the newcomer has a position if wanted, dead for a day.
fn abandoned(stage: &mut Stage, with_position: bool) -> Result<(usize, Address)> {
    let spec = MarketSpec { symbol: "BENCH-PERP".into(), sources: Sources::Pyth, ..MarketSpec::sol() };
    let market = stage.list(&spec)?;
    if with_position {
        stage.desk.set_price(market, PRICE)?;
        stage.give(stage.newcomer, market, 10 * SOL as i64)?;
    }
    stage.wait(ABANDONED);
    Ok((market, stage.desk.markets[market].address))
}

/// Compute units of an instruction that looks at its transaction, which Mollusk has none of to show.
fn signed(vm: &mut Vm, stage: &Stage, instruction: &Instruction) -> Result<u64> {
    vm.accepted_behind(&stage.desk, &stage.desk.venue.heartbeat(&stage.alice, 60), instruction)
}

/// A blank account for one more market, and its proposal.
fn unlisted(stage: &mut Stage) -> Result<(Address, Instruction)> {
    let desk = &mut stage.desk;
    let parameters = desk.markets[MARKET].parameters;
    let address = desk.name(b"market");
    let size = market_size(parameters.side_capacity, parameters.events_capacity);
    desk.chain.create_account(address, size, PROGRAM)?;
    Ok((address, desk.venue.propose_listing(desk.admin, address, &parameters)))
}

fn market_cases() -> Vec<Case> {
    vec![
        Case::new("SetMarketStatus", |vm, stage| {
            let index = stage.desk.markets[MARKET].index;
            let instruction = stage.desk.venue.set_market_status(stage.desk.admin, index, MarketStatus::ReduceOnly);
            vm.accepted(&stage.desk, &instruction)
        }),
        Case::new("SetMargin, 3 tiers", |vm, stage| {
            let listed = &stage.desk.markets[MARKET].parameters;
            let index = stage.desk.markets[MARKET].index;
            let (maintenance, length) = (Ppm::new(600_000), listed.tiers_len);
            let parameters = MarginParameters::new(index, maintenance, 86_400, listed.tiers, length);
            vm.accepted(&stage.desk, &stage.desk.venue.set_margin(stage.desk.admin, &parameters))
        }),
        Case::new("SettleMarket", |vm, mut stage| {
            let (_, address) = abandoned(&mut stage, true)?;
            vm.accepted(&stage.desk, &stage.desk.venue.settle_market(&address))
        }),
        Case::new("SettleMarketPosition", |vm, mut stage| {
            let (_, address) = abandoned(&mut stage, true)?;
            stage.desk.chain.send(stage.desk.venue.settle_market(&address))?;
            stage.wait(GRACE);
            let [long, short] = [stage.newcomer, stage.house]
                .map(|trader| Target { trader: trader.cell, generation: trader.generation });
            vm.accepted(&stage.desk, &stage.desk.venue.settle_market_position(&address, long, short))
        }),
        Case::new("CloseMarket", |vm, mut stage| {
            let (_, address) = abandoned(&mut stage, false)?;
            stage.desk.chain.send(stage.desk.venue.settle_market(&address))?;
            vm.accepted_unchecked(&stage.desk, &stage.desk.venue.close_market(stage.desk.admin, &address))
        }),
    ]
}

fn governance_cases() -> Vec<Case> {
    vec![
        Case::new("SealExchange", |vm, mut stage| {
            let instruction = stage.desk.venue.seal_exchange(stage.desk.admin);
            stage.set_seal(0)?;
            vm.accepted(&stage.desk, &instruction)
        }),
        Case::new("RotateRole", |vm, stage| {
            let (admin, lister) = (stage.desk.admin, stage.alice.authority);
            vm.accepted(&stage.desk, &stage.desk.venue.rotate_role(admin, Role::Lister, &lister))
        }),
        Case::new("AcceptRole", |vm, mut stage| {
            let (admin, lister) = (stage.desk.admin, stage.alice.authority);
            stage.desk.chain.send(stage.desk.venue.rotate_role(admin, Role::Lister, &lister))?;
            stage.wait(i64::from(CRITICAL_DELAY_MIN));
            vm.accepted(&stage.desk, &stage.desk.venue.accept_role(lister, Role::Lister))
        }),
        Case::new("ProposeChange, a number that waits", |vm, stage| {
            let index = stage.desk.markets[MARKET].index;
            let venue = stage.desk.venue;
            signed(vm, &stage, &venue.propose_value(stage.desk.admin, Parameter::Band, index, 120_000))
        }),
        Case::new("ProposeChange, a number that tightens", |vm, stage| {
            let index = stage.desk.markets[MARKET].index;
            let venue = stage.desk.venue;
            signed(vm, &stage, &venue.propose_value(stage.desk.admin, Parameter::TakerFee, index, 400))
        }),
        Case::new("ProposeChange, a listing", |vm, mut stage| {
            let (_, propose) = unlisted(&mut stage)?;
            signed(vm, &stage, &propose)
        }),
        Case::new("ExecuteChange, a number", |vm, mut stage| {
            let index = stage.desk.markets[MARKET].index;
            let (venue, admin) = (stage.desk.venue, stage.desk.admin);
            stage.desk.chain.send(venue.propose_value(admin, Parameter::Band, index, 120_000))?;
            stage.wait(Delays::least(&POLICY).loosening.into());
            vm.accepted(&stage.desk, &venue.execute_change(1, None))
        }),
        Case::new("ExecuteChange, a listing", |vm, mut stage| {
            let (address, propose) = unlisted(&mut stage)?;
            stage.desk.chain.send(propose)?;
            stage.wait(CRITICAL_DELAY_MIN.into());
            vm.accepted_unchecked(&stage.desk, &stage.desk.venue.execute_change(1, Some(address)))
        }),
        Case::new("CancelChange", |vm, mut stage| {
            let (_, propose) = unlisted(&mut stage)?;
            stage.desk.chain.send(propose)?;
            signed(vm, &stage, &stage.desk.venue.cancel_change(stage.desk.admin, 1))
        }),
        Case::new("Guard, a mode", |vm, stage| {
            let wanted = Tightening::Mode { mode: Mode::CloseOnly, seconds: 60 };
            vm.accepted_in_sight(&stage.desk, &stage.desk.venue.guard(stage.desk.admin, &wanted))
        }),
        Case::new("Guard, a cap", |vm, stage| {
            let listed = &stage.desk.markets[MARKET];
            let wanted = Tightening::InterestMax { market: listed.index, lots: listed.parameters.lots_max };
            vm.accepted_in_sight(&stage.desk, &stage.desk.venue.guard(stage.desk.admin, &wanted))
        }),
    ]
}

/// An exchange that lets hardly anything out, with withdrawals of so many makers waiting.
fn waiting(count: usize) -> Result<Stage> {
    let mut stage = Stage::on(DeskConfig { policy: SLOW, ..DeskConfig::default() }, 4)?;
    for maker in stage.makers.clone().iter().take(count) {
        let tokens = stage.desk.fund(&maker.authority, 0)?;
        let withdraw = stage.desk.venue.withdraw(maker, tokens, QuoteAtoms::new(crate::stage::CAPITAL));
        stage.desk.chain.send(withdraw)?;
    }
    Ok(stage)
}

fn queue_cases() -> Vec<Case> {
    vec![
        Case::new("Withdraw, joins the queue", |vm, _| {
            let mut stage = waiting(2)?;
            let tokens = stage.desk.fund(&stage.alice.authority, 0)?;
            let all = QuoteAtoms::new(crate::stage::CAPITAL);
            vm.accepted(&stage.desk, &stage.desk.venue.withdraw(&stage.alice, tokens, all))
        }),
        Case::new("ProcessWithdrawQueue", |vm, _| {
            let mut stage = waiting(2)?;
            stage.wait(GRACE);
            let first = outflow::waiting(&stage.desk.ledger_view()?).next().map(|(_, it)| it.target);
            let target = Address::new_from_array(*first.context("a withdrawal")?.as_bytes());
            vm.accepted(&stage.desk, &stage.desk.venue.process_withdraw_queue(target))
        }),
        Case::new("TransferCash, 1 position", |vm, mut stage| {
            let sibling = stage.desk.open(stage.alice.authority, 1, 0)?.0;
            let atoms = QuoteAtoms::new(1_000_000);
            vm.accepted(&stage.desk, &stage.desk.venue.transfer_cash(&stage.alice, &sibling, atoms))
        }),
    ]
}

/// Alice stakes.
fn staked(stage: &mut Stage) -> Result<()> {
    let alice = stage.alice;
    stage.desk.chain.give_lamports(alice.authority, 1 << 40)?;
    stage.desk.chain.send(stage.desk.venue.stake_pool(&alice, QuoteAtoms::new(1_000_000_000)))?;
    Ok(())
}

fn pool_cases() -> Vec<Case> {
    let atoms = QuoteAtoms::new(1_000_000);
    vec![
        Case::new("StakePool, the first time", move |vm, mut stage| {
            stage.desk.chain.give_lamports(stage.alice.authority, 1 << 40)?;
            vm.accepted(&stage.desk, &stage.desk.venue.stake_pool(&stage.alice, atoms))
        }),
        Case::new("StakePool, more", move |vm, mut stage| {
            staked(&mut stage)?;
            vm.accepted(&stage.desk, &stage.desk.venue.stake_pool(&stage.alice, atoms))
        }),
        Case::new("RequestUnstake", |vm, mut stage| {
            staked(&mut stage)?;
            vm.accepted(&stage.desk, &stage.desk.venue.request_unstake(&stage.alice, 1_000_000))
        }),
        Case::new("Unstake", |vm, mut stage| {
            staked(&mut stage)?;
            stage.desk.chain.send(stage.desk.venue.request_unstake(&stage.alice, 1_000_000))?;
            stage.wait(86_401);
            stage.desk.set_price(MARKET, PRICE)?;
            vm.accepted(&stage.desk, &stage.desk.venue.unstake(&stage.alice))
        }),
        Case::new("FundPool", move |vm, stage| {
            vm.accepted(&stage.desk, &stage.desk.venue.fund_pool(&stage.alice, atoms))
        }),
    ]
}
