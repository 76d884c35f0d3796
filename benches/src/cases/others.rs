//! Prices, collateral, accounts and administration.

use anyhow::Result;
use quantdesk_client::{
    Address, address,
    engine::{
        EngineError, QuoteAtoms,
        book::Sides,
        state::{ledger::ledger_size, market::market_size},
    },
    instruction::Venue,
};
use quantdesk_sim::{
    chain::PROGRAM,
    desk::{MarketSpec, Sources},
};
use solana_instruction::Instruction;

use super::{Case, compare};
use crate::{
    peers::{self, target},
    stage::{MARK, PRICE, SMALL_CAPITAL, SOL, Stage, bid},
    table::Table,
    vm::Vm,
};

const EVENTS: u32 = 256;
const CELLS: u32 = 1_800;

/// What the summary needs of this module.
pub struct Others {
    /// Tables.
    pub tables: Vec<Table>,
    /// `UpdatePrice` with two sources.
    pub update_price: u64,
    /// `Deposit`.
    pub deposit: u64,
    /// `Withdraw` with one position.
    pub withdraw: u64,
}

/// Every table of this module.
pub fn measure(vm: &mut Vm) -> Result<Others> {
    let stage = [Stage::new()?];
    let columns = ["case", "CU"];
    let mut prices = Table::new(
        "Prices",
        "`UpdatePrice` one second and a move of 0.1% after the last one. Pyth's exponent is −8.",
        &columns,
    );
    let updates = compare(vm, &mut prices, &stage, &price_cases())?;
    let mut cash =
        Table::new("Collateral", "With the transfer by the token program, which is p-token on mainnet.", &columns);
    let moves = compare(vm, &mut cash, &stage, &cash_cases())?;
    let mut rare = Table::new(
        "Accounts and administration",
        "`CreateExchange` derives two addresses on chain; each try for a bump costs 1,500, and how many it takes depends \
         on the exchange's number and the ledger's address.",
        &columns,
    );
    compare(vm, &mut rare, &stage, &rare_cases())?;
    let worst = |rows: &[Vec<u64>]| rows.iter().flatten().copied().max().unwrap_or(0);
    Ok(Others {
        update_price: worst(&updates[2..3]),
        deposit: worst(&moves[..1]),
        withdraw: worst(&moves[2..3]),
        tables: vec![prices, cash, rare],
    })
}

fn price_cases() -> Vec<Case> {
    let sources =
        [("Pyth", Sources::Pyth), ("Switchboard", Sources::Switchboard), ("Pyth and Switchboard", Sources::Both)];
    let case = |(name, sources): (&str, Sources)| {
        let case = Case::new(format!("UpdatePrice, {name}"), move |vm, mut stage| {
            let update = updated(&mut stage, sources)?;
            vm.accepted(&stage.desk, &update)
        });
        case.within(target::UPDATE_PRICE).against(peers::DRIFT_LAZER)
    };
    let mut cases: Vec<Case> = sources.into_iter().map(case).collect();
    cases.push(Case::new("refused: UpdatePrice, both sources too old", |vm, mut stage| {
        let update = updated(&mut stage, Sources::Both)?;
        stage.wait(31);
        vm.refused(&stage.desk, &update, EngineError::OracleStale)
    }));
    cases
}

/// A market with these sources that is due for an update, and the update.
fn updated(stage: &mut Stage, sources: Sources) -> Result<Instruction> {
    let market = stage.desk.list(&MarketSpec { symbol: "BENCH-PERP".into(), sources, ..MarketSpec::sol() })?;
    stage.publish(market, PRICE)?;
    stage.desk.update_price(market)?;
    stage.wait(1);
    stage.publish(market, PRICE / 1_000 * 1_001)?;
    let listed = &stage.desk.markets[market];
    Ok(stage.desk.venue.update_price(listed.index, &listed.feeds))
}

fn cash_cases() -> Vec<Case> {
    let atoms = QuoteAtoms::new(1_000_000);
    vec![
        Case::new("Deposit", move |vm, stage| {
            vm.accepted(&stage.desk, &stage.desk.venue.deposit(&stage.alice, stage.tokens, atoms))
        })
        .within(target::DEPOSIT)
        .against(peers::PERCOLATOR_DEPOSIT),
        Case::new("Withdraw, no position", move |vm, mut stage| {
            let tokens = stage.desk.fund(&stage.newcomer.authority, 0)?;
            vm.accepted(&stage.desk, &stage.desk.venue.withdraw(&stage.newcomer, tokens, atoms))
        })
        .within(target::WITHDRAW)
        .against(peers::PERCOLATOR_WITHDRAW),
        Case::new("Withdraw, 1 position", move |vm, stage| {
            vm.accepted(&stage.desk, &stage.desk.venue.withdraw(&stage.alice, stage.tokens, atoms))
        })
        .within(target::WITHDRAW)
        .against(peers::PERCOLATOR_WITHDRAW),
        Case::new("refused: Withdraw, more than is free", |vm, stage| {
            let all = QuoteAtoms::new(crate::stage::CAPITAL);
            let instruction = stage.desk.venue.withdraw(&stage.alice, stage.tokens, all);
            vm.refused(&stage.desk, &instruction, EngineError::WithdrawExceedsAvailable)
        }),
    ]
}

fn rare_cases() -> Vec<Case> {
    let mut cases = account_cases();
    cases.extend([
        Case::new("CreateExchange", create_exchange),
        Case::new("ListMarket", list_market).against(peers::OPENBOOK_CREATE),
        Case::new("GrowLedger, 1 cell", |vm, stage| grow(vm, &stage, 1)),
        Case::new("GrowLedger, 80 cells", |vm, stage| grow(vm, &stage, 80)),
        Case::new("CollectFees", |vm, mut stage| {
            let admin = stage.desk.admin;
            let target = stage.desk.fund(&admin, 0)?;
            vm.accepted(&stage.desk, &stage.desk.venue.collect_fees(admin, target, QuoteAtoms::new(1)))
        }),
    ]);
    cases
}

fn account_cases() -> Vec<Case> {
    vec![
        Case::new("OpenTrader", |vm, mut stage| {
            let owner = stage.desk.name(b"owner");
            vm.accepted(&stage.desk, &stage.desk.venue.open_trader(owner, 0))
        }),
        Case::new("CloseTrader, never traded", |vm, mut stage| {
            empty(&mut stage)?;
            vm.accepted(&stage.desk, &stage.desk.venue.close_trader(&stage.newcomer))
        })
        .against(peers::PERCOLATOR_CLOSE),
        Case::new("CloseTrader, traded in 1 market", |vm, mut stage| {
            let (newcomer, market) = (stage.newcomer, stage.market());
            stage.place(&newcomer, &bid(MARK, SOL).build())?;
            stage.desk.chain.send(stage.desk.venue.cancel_all(&newcomer, &market, Sides::Both, 1))?;
            empty(&mut stage)?;
            vm.accepted(&stage.desk, &stage.desk.venue.close_trader(&newcomer))
        })
        .against(peers::PERCOLATOR_CLOSE),
    ]
}

/// Takes all of the newcomer's cash out.
fn empty(stage: &mut Stage) -> Result<()> {
    let tokens = stage.desk.fund(&stage.newcomer.authority, 0)?;
    let all = QuoteAtoms::new(SMALL_CAPITAL);
    stage.desk.chain.send(stage.desk.venue.withdraw(&stage.newcomer, tokens, all))?;
    Ok(())
}

fn create_exchange(vm: &mut Vm, mut stage: Stage) -> Result<u64> {
    let desk = &mut stage.desk;
    let id = 2;
    let venue = Venue {
        exchange: address::exchange(&PROGRAM, id),
        ledger: desk.name(b"second ledger"),
        vault: desk.name(b"second vault"),
        ..desk.venue
    };
    let authority: Address = address::vault_authority(&PROGRAM, &venue.ledger);
    desk.chain.create_token_account(venue.vault, &venue.mint, &authority, 0)?;
    desk.chain.create_account(venue.ledger, ledger_size(EVENTS, CELLS), PROGRAM)?;
    vm.accepted(desk, &venue.create_exchange(desk.admin, id, EVENTS))
}

/// The instruction that the desk sends for the same market, on the state before it.
fn list_market(vm: &mut Vm, mut stage: Stage) -> Result<u64> {
    let mut after = stage.desk.clone();
    let listed = after.list(&MarketSpec { symbol: "BENCH-PERP".into(), ..MarketSpec::sol() })?;
    let market = &after.markets[listed];
    let size = market_size(market.parameters.side_capacity, market.parameters.events_capacity);
    stage.desk.chain.create_account(market.address, size, PROGRAM)?;
    let instruction = stage.desk.venue.list_market(stage.desk.admin, market.address, &market.parameters);
    vm.accepted_unchecked(&stage.desk, &instruction)
}

fn grow(vm: &mut Vm, stage: &Stage, cells: u32) -> Result<u64> {
    vm.accepted(&stage.desk, &stage.desk.venue.grow_ledger(stage.desk.admin, cells))
}
