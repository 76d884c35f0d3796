//! Prices, collateral, accounts and administration.

use anyhow::{Context, Result};
use quantdesk_client::{
    Address, address,
    engine::{
        EngineError, MarketIndex, QuoteAtoms,
        book::Sides,
        state::{Key, OracleSource, ledger::ledger_size, market::market_size},
    },
    instruction::Venue,
    view::key_of,
};
use quantdesk_sim::{
    chain::PROGRAM,
    desk::{Desk, Market, MarketSpec, POLICY, Sources},
    oracle::{
        Reading,
        signed::{self, LazerMessage, Quote},
    },
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
        "`UpdatePrice` one second and a move of 0.1% after the last one. Pyth's exponent is −8. Signed prices come in an \
         ed25519 instruction, which the runtime verifies outside of any compute units.",
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
    cases.push(
        Case::new("UpdatePrice, Pyth Lazer message", |vm, stage| {
            signed_price(vm, stage, |_| OracleSource::pyth_lazer(6))
        })
        .within(target::UPDATE_PRICE)
        .against(peers::DRIFT_LAZER),
    );
    for samples in [1, 3] {
        let quoted = move |queue: Key| OracleSource::switchboard_quote(Key::new(&[7; 32]), queue, samples);
        cases.push(
            Case::new(format!("UpdatePrice, Switchboard quote, {samples} signed"), move |vm, stage| {
                signed_price(vm, stage, quoted)
            })
            .within(target::UPDATE_PRICE),
        );
    }
    cases.push(Case::new("refused: UpdatePrice, both sources too old", |vm, mut stage| {
        let update = updated(&mut stage, Sources::Both)?;
        stage.wait(31);
        vm.refused(&stage.desk, &update, EngineError::OracleStale)
    }));
    cases
}

/// A market with these sources that is due for an update, and the update.
fn updated(stage: &mut Stage, sources: Sources) -> Result<Instruction> {
    let market = stage.list(&MarketSpec { symbol: "BENCH-PERP".into(), sources, ..MarketSpec::sol() })?;
    stage.publish(market, PRICE)?;
    stage.desk.update_price(market)?;
    stage.wait(1);
    stage.publish(market, PRICE / 1_000 * 1_001)?;
    let listed = &stage.desk.markets[market];
    Ok(stage.desk.venue.update_price(&listed.address, listed.index, &listed.feeds))
}

/// Secret and public keys of the first test vectors of RFC 8032.
const KEYS: [(&str, &str); 3] = [
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
    ),
];

/// A key pair, whatever type that is to whoever signs with it.
fn key<K: for<'a> TryFrom<&'a [u8]>>(place: usize) -> Result<K> {
    let (secret, public) = KEYS.get(place).context("few keys")?;
    K::try_from(&bytes_of_hex(&format!("{secret}{public}"))?).ok().context("a key pair")
}

fn public(place: usize) -> Result<Address> {
    let bytes = bytes_of_hex(KEYS.get(place).context("few keys")?.1)?;
    Ok(Address::new_from_array(bytes.as_slice().try_into()?))
}

fn bytes_of_hex(text: &str) -> Result<Vec<u8>> {
    let pairs = (0..text.len()).step_by(2).map(|at| text.get(at..at + 2).context("pairs of digits"));
    pairs.map(|pair| Ok(u8::from_str_radix(pair?, 16)?)).collect()
}

/// `UpdatePrice` of a market whose one source is signed, behind the ed25519 instruction that carries its price.
fn signed_price(vm: &mut Vm, mut stage: Stage, source: impl Fn(Key) -> OracleSource) -> Result<u64> {
    let desk = &mut stage.desk;
    let queue = desk.name(b"queue");
    let source = source(key_of(&queue));
    let address = desk.name(b"signed market");
    let parameters = MarketSpec { symbol: "BENCH-PERP".into(), ..MarketSpec::sol() }.parameters(&[source]);
    let size = market_size(parameters.side_capacity, parameters.events_capacity);
    desk.chain.create_account(address, size, PROGRAM)?;
    let list = desk.venue.list_market(desk.admin, address, &parameters);
    stage.unsealed(|desk| Ok(desk.chain.send(list)?))?;
    let desk = &mut stage.desk;
    let index = MarketIndex::new(u16::try_from(desk.markets.len())?);
    let feeds = signed::addresses(&source);
    desk.markets.push(Market { symbol: "BENCH-PERP".into(), address, index, parameters, feeds });
    let keys: Vec<Address> = (0..KEYS.len()).map(public).collect::<Result<_>>()?;
    desk.chain.set_account(queue, signed::queue_account(&keys))?;
    desk.chain.set_account(signed::LAZER_STORAGE, signed::lazer_storage_account(&[(keys[0], i64::MAX)]))?;
    let update = desk.venue.update_price(&address, index, &desk.markets[desk.markets.len() - 1].feeds);
    let first = carried(desk, &source, PRICE)?;
    desk.chain.send_all(&[first, update.clone()])?;
    desk.chain.advance_to(desk.chain.unix_millis() + 1_000);
    let second = carried(desk, &source, PRICE / 1_000 * 1_001)?;
    vm.accepted_behind(desk, &second, &update)
}

/// The ed25519 instruction that carries this price now, and the slot's hash that it is signed for.
fn carried(desk: &mut Desk, source: &OracleSource, price: u64) -> Result<Instruction> {
    let (slot, hash) = (desk.chain.slot() - 1, [0x5a; 32]);
    let reading = Reading { price, half_width: price / 2_000, publish_time: desk.chain.unix_seconds(), slot };
    if source.lazer_feed().is_some() {
        return Ok(LazerMessage::of(source, &reading)?.instruction(&key(0)?));
    }
    let entries: Vec<_> = (0..512).map_while(|age| slot.checked_sub(age)).map(|slot| (slot, hash)).collect();
    desk.chain.set_account(signed::SLOT_HASHES, signed::slot_hashes_account(&entries))?;
    let keys = [key(0)?, key(1)?, key(2)?];
    Ok(Quote::of(source, &reading, hash, &keys).instruction())
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
    vm.accepted(desk, &venue.create_exchange(desk.admin, id, EVENTS, &POLICY))
}

/// The instruction that the desk sends for the same market, on the state before it.
fn list_market(vm: &mut Vm, mut stage: Stage) -> Result<u64> {
    stage.set_seal(0)?;
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
