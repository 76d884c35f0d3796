//! The engine inside the `.so` against the engine on this machine: the same operations on both, equal bytes of exchange,
//! ledger and markets after every one, equal codes for every refusal.
//!
//! `QUANTDESK_TEST_SEED` and `QUANTDESK_TEST_OPS` choose another run or a longer one.

use bytemuck::Zeroable;
use quantdesk_client::{
    Address, Refusal,
    engine::{
        self, CellIndex, EngineError, Generation, Lots, MarketIndex, NodeIndex, Now, Ppm, QuoteAtoms, Sequence, Side,
        Ticks, UnixSeconds, access,
        book::{
            LadderMove, Moved, NewOrder, NewTrigger, OrderHandle, OrderKind, SelfTrade, Sides, Trading, TriggerHandle,
        },
        governance::{
            Delays, change,
            guard::{self, Tightening},
            mode::Mode,
            seal,
        },
        outflow, partner, pool,
        risk::{
            listing::{self, ListingParameters},
            price::{self, Book, Validity},
            scan::{self, Rung},
            shortfall,
        },
        state::{
            AccountHeader, CashEvent, CashEventKind, Exchange, Key, Ledger, LedgerView, Market, MarketStatus,
            MarketView, PositionCell, Reference, TriggerCell,
            cell::CELL_SIZE,
            exchange::EXCHANGE_DISCRIMINATOR,
            fees::{FeeSchedule, FeeTier},
            ledger::{LedgerIdentity, Policy},
        },
    },
    error::ProgramError,
    instruction::{BookGuard, Target, Trader},
    ladder::{LadderHandle, LadderTicket},
    order::Ticket,
    trigger::TriggerTicket,
    view::key_of,
};
use quantdesk_program::oracle::{self, OracleAccount};
use quantdesk_sim::{
    chain::PROGRAM,
    desk::{self, Desk, DeskConfig, MarketSpec},
};
use quantdesk_tests::{read, scene};
use rand::{Rng, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;
use solana_instruction::Instruction;
use std::collections::{BTreeMap, VecDeque};

type Outcome = Result<(), ProgramError>;

/// Account bytes, aligned as views need them.
type Words = Vec<u64>;

fn words(bytes: &[u8]) -> Words {
    assert_eq!(bytes.len() % 8, 0);
    let mut words = vec![0; bytes.len() / 8];
    bytemuck::cast_slice_mut(&mut words).copy_from_slice(bytes);
    words
}

/// What the program does to its accounts, on this machine.
#[derive(Clone)]
struct Native {
    exchange: Words,
    ledger: Words,
    markets: Vec<Words>,
}

impl Native {
    /// What `CreateExchange` makes of blank accounts.
    fn created(desk: &Desk, events: u32) -> Self {
        let venue = &desk.venue;
        let seeds: [&[&[u8]]; 2] = [&[b"exchange", &1u64.to_le_bytes()], &[b"vault", venue.ledger.as_array()]];
        let [bump, vault_bump] = seeds.map(|seeds| Address::find_program_address(seeds, &PROGRAM).1);
        let mut exchange = Exchange::zeroed();
        exchange.header = AccountHeader::new(EXCHANGE_DISCRIMINATOR, bump);
        exchange.id = 1;
        (exchange.admin, exchange.guardian) = (key_of(&desk.admin), key_of(&desk.admin));
        (exchange.lister, exchange.fee_collector) = (key_of(&desk.admin), key_of(&desk.admin));
        (exchange.ledger, exchange.vault) = (key_of(&venue.ledger), key_of(&venue.vault));
        exchange.mint = key_of(&venue.mint);
        exchange.delays = Delays::least(&LIMITED);
        exchange.clear_sources();
        let identity = LedgerIdentity {
            exchange: key_of(&venue.exchange),
            vault: exchange.vault,
            mint: exchange.mint,
            mint_decimals: 6,
            vault_bump,
            policy: LIMITED,
        };
        let mut ledger = vec![0u64; desk.chain.bytes(&venue.ledger).unwrap().len() / 8];
        let mut view = Ledger::create(bytemuck::cast_slice_mut(&mut ledger), &identity, events).unwrap();
        view.record_amount(read::now(&desk.chain), CellIndex::NIL, CashEventKind::ExchangeCreated, 0).unwrap();
        Self { exchange: words(bytemuck::bytes_of(&exchange)), ledger, markets: Vec::new() }
    }

    fn new(desk: &Desk) -> Self {
        let account = |address| words(desk.chain.bytes(address).unwrap());
        let markets = desk.markets.iter().map(|market| account(&market.address)).collect();
        Self { exchange: account(&desk.venue.exchange), ledger: account(&desk.venue.ledger), markets }
    }

    fn ledger(&mut self) -> Result<Ledger<'_>, EngineError> {
        Ledger::load(bytemuck::cast_slice_mut(&mut self.ledger))
    }

    /// Runs `act` on a copy that is kept only if it succeeds.
    fn run(&mut self, act: impl FnOnce(&mut Self) -> Outcome) -> Outcome {
        let mut copy = self.clone();
        act(&mut copy)?;
        *self = copy;
        Ok(())
    }

    #[track_caller]
    fn assert_same(&self, desk: &Desk, what: &str) {
        let same = |words: &Words, address: &Address, account: &str| {
            let (here, there) = (bytemuck::cast_slice::<u64, u8>(words), desk.chain.bytes(address).unwrap());
            assert_eq!(here.len(), there.len(), "{what}: length of the {account}");
            let place = here.iter().zip(there).position(|(a, b)| a != b);
            assert_eq!(place, None, "{what}: byte of the {account}");
        };
        same(&self.exchange, &desk.venue.exchange, "exchange");
        same(&self.ledger, &desk.venue.ledger, "ledger");
        for (market, words) in desk.markets.iter().zip(&self.markets) {
            same(words, &market.address, &market.symbol);
        }
    }
}

/// The trader an instruction names, as the program looks it up.
fn find(ledger: &LedgerView<'_>, trader: &Trader, may_delegate: bool) -> Result<CellIndex, ProgramError> {
    let cell = ledger.trader(trader.cell)?;
    if cell.generation != trader.generation {
        return Err(EngineError::TraderNotFound.into());
    }
    let signer = key_of(&trader.authority);
    let delegate = ledger.access(cell)?.map_or(Key::ZERO, |access| access.delegate);
    let known = cell.owner == signer || (may_delegate && delegate == signer);
    if known { Ok(trader.cell) } else { Err(Refusal::NotAuthorized.into()) }
}

/// An operation on either side.
#[derive(Clone, Debug)]
enum Operation {
    Open { owner: Address, sub_account: u16 },
    Close { trader: Trader },
    Deposit { trader: Trader, tokens: Address, atoms: u64 },
    Withdraw { trader: Trader, tokens: Address, atoms: u64 },
    Place { trader: Trader, market: usize, order: NewOrder, until: UnixSeconds },
    PlaceTicket { trader: Trader, market: usize, ticket: Ticket },
    PlaceOrders { trader: Trader, market: usize, orders: Vec<NewOrder>, expires_at: UnixSeconds, guard: BookGuard },
    SetBuilderMax { trader: Trader, ppm: u16 },
    SetReferrer { trader: Trader, referrer: Target },
    SetDelegate { trader: Trader, delegate: Option<Address> },
    SetFeeMax { trader: Trader, fee_max: Option<Ppm> },
    SetWithdrawDelay { trader: Trader, seconds: u32 },
    AllowTarget { trader: Trader, target: Address, allowed: bool },
    Cancel { trader: Trader, market: usize, node: NodeIndex, sequence: Sequence },
    CancelAll { trader: Trader, market: usize, sides: Sides, limit: u8 },
    Price { market: usize },
    Transfer { trader: Trader, target: Trader, atoms: u64 },
    ProcessQueue { target: Address },
    Fund { trader: Trader, atoms: u64 },
    Status { market: usize, status: MarketStatus },
    Guard { wanted: Tightening },
    Sweep { cells: u16 },
    CancelForRisk { market: usize, target: Target, limit: u8 },
    Liquidate { keeper: Trader, market: usize, target: Target, limit: u8 },
    TakeOver { keeper: Trader, market: usize, target: Target, lots: u64 },
    Absorb { market: usize, target: Target },
    Deleverage { market: usize, target: Target, steps: u16 },
    CancelOrders { trader: Trader, market: usize, orders: Vec<(NodeIndex, Sequence)> },
    CancelByClientId { trader: Trader, market: usize, client_id: u64 },
    Amend { trader: Trader, market: usize, order: (NodeIndex, Sequence), price: u32, lots: u64 },
    SetLadder { trader: Trader, market: usize, ticket: LadderTicket, sequence: u64, until: UnixSeconds },
    MoveLadder { quoter: Address, market: usize, ladder: LadderHandle, sequence: u64, mid: u32 },
    DropExpired { market: usize, orders: Vec<(NodeIndex, Sequence)> },
    RunDelayed { market: usize, limit: u8 },
    PlaceTrigger { trader: Trader, market: usize, trigger: NewTrigger },
    CancelTrigger { trader: Trader, market: usize, handle: TriggerHandle },
    ExecuteTriggers { trader: Trader, market: usize, named: Vec<TriggerHandle> },
    Heartbeat { trader: Trader, seconds: u32 },
    EnforceDeadman { market: usize, target: Target, limit: u8 },
    Collect { target: Address, atoms: u64 },
    Grow { cells: u32 },
    List { market: Address, parameters: Box<ListingParameters> },
    Seal,
}

impl Operation {
    fn name(&self) -> &'static str {
        match self {
            Self::Open { .. } => "OpenTrader",
            Self::Close { .. } => "CloseTrader",
            Self::Deposit { .. } => "Deposit",
            Self::Withdraw { .. } => "Withdraw",
            Self::Place { .. } | Self::PlaceTicket { .. } => "PlaceOrder",
            Self::PlaceOrders { .. } => "PlaceOrders",
            Self::SetBuilderMax { .. } => "SetBuilderMax",
            Self::SetReferrer { .. } => "SetReferrer",
            Self::SetDelegate { .. } => "SetDelegate",
            Self::SetFeeMax { .. } => "SetFeeMax",
            Self::SetWithdrawDelay { .. } => "SetWithdrawDelay",
            Self::AllowTarget { .. } => "AllowTarget",
            Self::Cancel { .. } => "CancelOrder",
            Self::CancelAll { .. } => "CancelAll",
            Self::Price { .. } => "UpdatePrice",
            Self::Transfer { .. } => "TransferCash",
            Self::ProcessQueue { .. } => "ProcessWithdrawQueue",
            Self::Fund { .. } => "FundPool",
            Self::Status { .. } => "SetMarketStatus",
            Self::Guard { .. } => "Guard",
            Self::Sweep { .. } => "Sweep",
            Self::CancelForRisk { .. } => "CancelForRisk",
            Self::Liquidate { .. } => "Liquidate",
            Self::TakeOver { .. } => "TakeOver",
            Self::Absorb { .. } => "AbsorbShortfall",
            Self::Deleverage { .. } => "Deleverage",
            Self::CancelOrders { .. } => "CancelOrders",
            Self::CancelByClientId { .. } => "CancelByClientId",
            Self::Amend { .. } => "AmendOrder",
            Self::SetLadder { .. } => "SetLadder",
            Self::MoveLadder { .. } => "MoveLadder",
            Self::DropExpired { .. } => "DropExpired",
            Self::RunDelayed { .. } => "RunDelayed",
            Self::PlaceTrigger { .. } => "PlaceTrigger",
            Self::CancelTrigger { .. } => "CancelTrigger",
            Self::ExecuteTriggers { .. } => "ExecuteTriggers",
            Self::Heartbeat { .. } => "Heartbeat",
            Self::EnforceDeadman { .. } => "EnforceDeadman",
            Self::Collect { .. } => "CollectFees",
            Self::Grow { .. } => "GrowLedger",
            Self::List { .. } => "ListMarket",
            Self::Seal => "SealExchange",
        }
    }

    fn instruction(&self, desk: &Desk) -> Instruction {
        let venue = &desk.venue;
        let address = |market: usize| desk.markets[market].address;
        match self {
            Self::Open { owner, sub_account } => venue.open_trader(*owner, *sub_account),
            Self::Close { trader } => venue.close_trader(trader),
            Self::Deposit { trader, tokens, atoms } => venue.deposit(trader, *tokens, QuoteAtoms::new(*atoms)),
            Self::Withdraw { trader, tokens, atoms } => venue.withdraw(trader, *tokens, QuoteAtoms::new(*atoms)),
            Self::Place { trader, market, order, until } => venue.place_order(trader, &address(*market), order, *until),
            Self::Cancel { trader, market, node, sequence } => {
                venue.cancel_order(trader, &address(*market), *node, *sequence)
            }
            Self::CancelAll { trader, market, sides, limit } => {
                venue.cancel_all(trader, &address(*market), *sides, *limit)
            }
            Self::Price { market } => {
                let listed = &desk.markets[*market];
                venue.update_price(&listed.address, listed.index, &listed.feeds)
            }
            Self::Transfer { trader, target, atoms } => venue.transfer_cash(trader, target, QuoteAtoms::new(*atoms)),
            Self::ProcessQueue { target } => venue.process_withdraw_queue(*target),
            Self::Fund { trader, atoms } => venue.fund_pool(trader, QuoteAtoms::new(*atoms)),
            Self::Status { market, status } => {
                venue.set_market_status(desk.admin, desk.markets[*market].index, *status)
            }
            Self::Guard { wanted } => venue.guard(desk.admin, wanted),
            Self::Collect { target, atoms } => venue.collect_fees(desk.admin, *target, QuoteAtoms::new(*atoms)),
            Self::Grow { cells } => venue.grow_ledger(desk.admin, *cells),
            Self::List { market, parameters } => venue.list_market(desk.admin, *market, parameters),
            Self::Seal => venue.seal_exchange(desk.admin),
            Self::PlaceTicket { .. }
            | Self::PlaceOrders { .. }
            | Self::SetBuilderMax { .. }
            | Self::SetReferrer { .. }
            | Self::SetDelegate { .. }
            | Self::SetFeeMax { .. }
            | Self::SetWithdrawDelay { .. }
            | Self::AllowTarget { .. }
            | Self::CancelOrders { .. }
            | Self::CancelByClientId { .. }
            | Self::Amend { .. }
            | Self::SetLadder { .. }
            | Self::MoveLadder { .. }
            | Self::PlaceTrigger { .. }
            | Self::CancelTrigger { .. }
            | Self::ExecuteTriggers { .. }
            | Self::DropExpired { .. }
            | Self::RunDelayed { .. }
            | Self::Heartbeat { .. }
            | Self::EnforceDeadman { .. } => self.change(desk),
            _ => self.step_of_the_ladder(desk),
        }
    }

    fn change(&self, desk: &Desk) -> Instruction {
        let venue = &desk.venue;
        let address = |market: usize| desk.markets[market].address;
        match self {
            Self::PlaceTicket { trader, market, ticket } => venue.place_ticket(trader, &address(*market), ticket),
            Self::PlaceOrders { trader, market, orders, expires_at, guard } => {
                venue.place_orders(trader, &address(*market), orders, *expires_at, guard)
            }
            Self::SetBuilderMax { trader, ppm } => venue.set_builder_max(trader, *ppm),
            Self::SetReferrer { trader, referrer } => venue.set_referrer(trader, *referrer),
            Self::SetDelegate { trader, delegate } => venue.set_delegate(trader, *delegate),
            Self::SetFeeMax { trader, fee_max } => venue.set_fee_max(trader, *fee_max),
            Self::SetWithdrawDelay { trader, seconds } => venue.set_withdraw_delay(trader, *seconds),
            Self::AllowTarget { trader, target, allowed } => venue.allow_target(trader, target, *allowed),
            Self::CancelOrders { trader, market, orders } => venue.cancel_orders(trader, &address(*market), orders),
            Self::CancelByClientId { trader, market, client_id } => {
                venue.cancel_by_client_id(trader, &address(*market), *client_id)
            }
            Self::Amend { trader, market, order, price, lots } => {
                venue.amend_order(trader, &address(*market), *order, Ticks::new(*price), Lots::new(*lots))
            }
            Self::SetLadder { trader, market, ticket, sequence, until } => {
                venue.set_ladder(trader, &address(*market), &ticket.wanted(*sequence), *until)
            }
            Self::MoveLadder { quoter, market, ladder, sequence, mid } => {
                venue.move_ladder(*quoter, &address(*market), *ladder, *sequence, Ticks::new(*mid))
            }
            Self::PlaceTrigger { trader, market, trigger } => {
                venue.place_trigger(trader, &address(*market), trigger, UnixSeconds::ZERO)
            }
            Self::CancelTrigger { trader, market, handle } => venue.cancel_trigger(trader, &address(*market), *handle),
            Self::ExecuteTriggers { trader, market, named } => venue.execute_triggers(trader, &address(*market), named),
            Self::DropExpired { market, orders } => venue.drop_expired(&address(*market), orders),
            Self::RunDelayed { market, limit } => venue.run_delayed(&address(*market), *limit),
            Self::Heartbeat { trader, seconds } => venue.heartbeat(trader, *seconds),
            Self::EnforceDeadman { market, target, limit } => venue.enforce_deadman(&address(*market), *target, *limit),
            _ => panic!("{self:?} is none"),
        }
    }

    fn step_of_the_ladder(&self, desk: &Desk) -> Instruction {
        let venue = &desk.venue;
        let address = |market: usize| desk.markets[market].address;
        match self {
            Self::Sweep { cells } => venue.sweep(*cells),
            Self::CancelForRisk { market, target, limit } => venue.cancel_for_risk(&address(*market), *target, *limit),
            Self::Liquidate { keeper, market, target, limit } => {
                venue.liquidate(keeper, &address(*market), *target, *limit)
            }
            Self::TakeOver { keeper, market, target, lots } => {
                venue.take_over(keeper, &address(*market), *target, Lots::new(*lots))
            }
            Self::Absorb { market, target } => venue.absorb_shortfall(desk.markets[*market].index, *target),
            Self::Deleverage { market, target, steps } => venue.deleverage(&address(*market), *target, *steps),
            _ => panic!("{self:?} is none"),
        }
    }

    /// The same on copies of the accounts.
    fn run(&self, native: &mut Native, desk: &Desk) -> Outcome {
        let now = read::now(&desk.chain);
        match self {
            Self::Open { owner, sub_account } => {
                engine::account::open_trader(&mut native.ledger()?, now, key_of(owner), *sub_account)?;
            }
            Self::Close { trader } => {
                let mut ledger = native.ledger()?;
                let cell = find(&ledger.view(), trader, false)?;
                engine::account::close_trader(&mut ledger, now, cell)?;
            }
            Self::Deposit { trader, atoms, .. } => {
                let mut ledger = native.ledger()?;
                let cell = find(&ledger.view(), trader, false)?;
                engine::account::deposit(&mut ledger, now, cell, QuoteAtoms::new(*atoms))?;
            }
            Self::Withdraw { trader, tokens, atoms } => {
                let mut ledger = native.ledger()?;
                let cell = find(&ledger.view(), trader, false)?;
                engine::account::withdraw(&mut ledger, now, cell, QuoteAtoms::new(*atoms), &key_of(tokens))?;
            }
            Self::Transfer { trader, target, atoms } => {
                let mut ledger = native.ledger()?;
                let cell = find(&ledger.view(), trader, false)?;
                let receiver = scan::live(&ledger, target.cell, target.generation)?;
                engine::account::transfer(&mut ledger, now, cell, receiver, QuoteAtoms::new(*atoms))?;
            }
            Self::ProcessQueue { target } => {
                let mut ledger = native.ledger()?;
                let first = outflow::due(&ledger.view(), now.unix_seconds)?;
                assert_eq!(first.target, key_of(target));
                let trader = ledger.trader(first.trader)?;
                if access::may_pay(&ledger.view(), trader, &first.target, now.unix_seconds)? {
                    outflow::pay_first(&mut ledger, now)?;
                } else {
                    outflow::return_first(&mut ledger, now)?;
                }
            }
            Self::Fund { trader, atoms } => {
                let mut ledger = native.ledger()?;
                let cell = find(&ledger.view(), trader, false)?;
                pool::fund(&mut ledger, now, cell, QuoteAtoms::new(*atoms))?;
            }
            Self::Status { market, status } => {
                change::set_status(&mut native.ledger()?, now, desk.markets[*market].index, *status as u8)?;
            }
            Self::Guard { wanted } => guard::tighten(&mut native.ledger()?, now, wanted)?,
            Self::Sweep { cells } => {
                scan::sweep(&mut native.ledger()?, now, *cells)?;
            }
            Self::Absorb { market, target } => {
                let mut ledger = native.ledger()?;
                let cell = scan::live(&ledger, target.trader, target.generation)?;
                shortfall::absorb_shortfall(&mut ledger, now, cell, desk.markets[*market].index)?;
            }
            Self::Collect { atoms, .. } => {
                engine::account::collect_fees(&mut native.ledger()?, now, QuoteAtoms::new(*atoms))?;
            }
            Self::Grow { cells } => grow(native, now, *cells)?,
            Self::List { market, parameters } => list(native, now, market, parameters)?,
            Self::Seal => seal::seal(&mut native.ledger()?, now)?,
            Self::Price { market } => update_price(native, now, desk, *market)?,
            Self::Place { .. } | Self::Cancel { .. } | Self::CancelAll { .. } => self.trade(native, now)?,
            Self::PlaceTicket { .. } | Self::PlaceOrders { .. } => self.trade(native, now)?,
            Self::SetBuilderMax { trader, ppm } => {
                let mut ledger = native.ledger()?;
                let cell = find(&ledger.view(), trader, false)?;
                partner::set_builder_max(&mut ledger, now, cell, *ppm)?;
            }
            Self::SetReferrer { trader, referrer } => {
                let mut ledger = native.ledger()?;
                let cell = find(&ledger.view(), trader, false)?;
                partner::set_referrer(&mut ledger, now, cell, referrer.trader, referrer.generation)?;
            }
            Self::SetDelegate { trader, .. }
            | Self::SetFeeMax { trader, .. }
            | Self::SetWithdrawDelay { trader, .. }
            | Self::AllowTarget { trader, .. } => {
                let mut ledger = native.ledger()?;
                let cell = find(&ledger.view(), trader, false)?;
                self.give_access(&mut ledger, now, cell)?;
            }
            Self::CancelOrders { .. }
            | Self::CancelByClientId { .. }
            | Self::Amend { .. }
            | Self::SetLadder { .. }
            | Self::PlaceTrigger { .. }
            | Self::CancelTrigger { .. }
            | Self::ExecuteTriggers { .. } => self.trade(native, now)?,
            Self::MoveLadder { quoter, market, ladder, sequence, mid } => {
                let mut market = Market::load(bytemuck::cast_slice_mut(&mut native.markets[*market]))?;
                let LadderHandle { number, position } = *ladder;
                let wanted = LadderMove { number, position, sequence: *sequence, mid: Ticks::new(*mid) };
                if market.move_ladder(quoter.as_array(), &wanted)? == Moved::NotAllowed {
                    return Err(Refusal::NotAuthorized.into());
                }
            }
            Self::Heartbeat { trader, seconds } => {
                let mut ledger = native.ledger()?;
                let cell = find(&ledger.view(), trader, true)?;
                engine::account::heartbeat(&mut ledger, now, cell, *seconds)?;
            }
            Self::DropExpired { market, .. }
            | Self::RunDelayed { market, .. }
            | Self::EnforceDeadman { market, .. } => {
                self.clear(native, now, *market)?;
            }
            _ => self.wind_up(native, now)?,
        }
        Ok(())
    }

    fn give_access(&self, ledger: &mut Ledger<'_>, now: Now, cell: CellIndex) -> Result<(), EngineError> {
        match self {
            Self::SetDelegate { delegate, .. } => {
                let delegate = delegate.as_ref().map_or(Key::ZERO, key_of);
                access::set_delegate(ledger, now, cell, delegate)
            }
            Self::SetFeeMax { fee_max, .. } => {
                access::set_fee_max(ledger, now, cell, fee_max.unwrap_or(access::FEE_UNLIMITED))
            }
            Self::SetWithdrawDelay { seconds, .. } => access::set_withdraw_delay(ledger, now, cell, *seconds),
            Self::AllowTarget { target, allowed: true, .. } => access::allow_target(ledger, now, cell, key_of(target)),
            Self::AllowTarget { target, .. } => access::disallow_target(ledger, now, cell, key_of(target)),
            _ => panic!("{self:?} is none"),
        }
    }

    fn wind_up(&self, native: &mut Native, now: Now) -> Outcome {
        let (Self::CancelForRisk { market, target, .. }
        | Self::Liquidate { market, target, .. }
        | Self::TakeOver { market, target, .. }
        | Self::Deleverage { market, target, .. }) = self
        else {
            panic!("{self:?} is no step of the ladder");
        };
        let market = Market::load(bytemuck::cast_slice_mut(&mut native.markets[*market]))?;
        let ledger = Ledger::load(bytemuck::cast_slice_mut(&mut native.ledger))?;
        let mut trading = Trading { market, ledger, now };
        let live = |trading: &Trading<'_>| scan::live(&trading.ledger, target.trader, target.generation);
        match self {
            Self::CancelForRisk { limit, .. } => {
                let target = live(&trading)?;
                trading.cancel_for_risk(target, *limit)?;
            }
            Self::Liquidate { keeper, limit, .. } => {
                let keeper = find(&trading.ledger.view(), keeper, true)?;
                let target = live(&trading)?;
                trading.liquidate(keeper, target, *limit)?;
            }
            Self::TakeOver { keeper, lots, .. } => {
                let keeper = find(&trading.ledger.view(), keeper, true)?;
                let target = live(&trading)?;
                trading.take_over(keeper, target, Lots::new(*lots))?;
            }
            Self::Deleverage { steps, .. } => {
                let running = trading.market.header.deleverage;
                let target = if running.is_running() { running.trader } else { live(&trading)? };
                trading.deleverage(target, *steps)?;
            }
            _ => panic!("{self:?} is none"),
        }
        Ok(())
    }

    fn clear(&self, native: &mut Native, now: Now, market: usize) -> Outcome {
        let market = Market::load(bytemuck::cast_slice_mut(&mut native.markets[market]))?;
        let ledger = Ledger::load(bytemuck::cast_slice_mut(&mut native.ledger))?;
        let mut trading = Trading { market, ledger, now };
        match self {
            Self::DropExpired { orders, .. } => trading.drop_expired(handles(orders))?,
            Self::RunDelayed { limit, .. } => trading.run_delayed(*limit)?,
            Self::EnforceDeadman { target, limit, .. } => {
                let target = scan::live(&trading.ledger, target.trader, target.generation)?;
                trading.enforce_deadman(target, *limit)?
            }
            _ => panic!("{self:?} clears nothing"),
        };
        Ok(())
    }

    fn trade(&self, native: &mut Native, now: Now) -> Outcome {
        let (Self::Place { trader, market, .. }
        | Self::PlaceTicket { trader, market, .. }
        | Self::PlaceOrders { trader, market, .. }
        | Self::Cancel { trader, market, .. }
        | Self::CancelAll { trader, market, .. }
        | Self::CancelOrders { trader, market, .. }
        | Self::CancelByClientId { trader, market, .. }
        | Self::PlaceTrigger { trader, market, .. }
        | Self::CancelTrigger { trader, market, .. }
        | Self::ExecuteTriggers { trader, market, .. }
        | Self::Amend { trader, market, .. }
        | Self::SetLadder { trader, market, .. }) = self
        else {
            panic!("{self:?} is no order");
        };
        let market = Market::load(bytemuck::cast_slice_mut(&mut native.markets[*market]))?;
        let ledger = Ledger::load(bytemuck::cast_slice_mut(&mut native.ledger))?;
        let cell = find(&ledger.view(), trader, true)?;
        let mut trading = Trading { market, ledger, now };
        match self {
            Self::Place { until, .. } | Self::SetLadder { until, .. }
                if !until.is_zero() && now.unix_seconds > *until =>
            {
                Err(Refusal::InstructionExpired.into())
            }
            Self::PlaceTicket { ticket, .. } => {
                keep(&trading, &ticket.guard())?;
                let order = ticket.build();
                let placed = match ticket.brought_by() {
                    Some(builder) => trading.place_order_for(cell, &order, &builder),
                    None => trading.place_order(cell, &order),
                };
                Ok(placed.map(|_| ())?)
            }
            Self::PlaceOrders { orders, expires_at, guard, .. } => {
                keep(&trading, guard)?;
                let orders: Vec<_> = orders.iter().map(|it| NewOrder { expires_at: *expires_at, ..*it }).collect();
                Ok(trading.place_orders(cell, &orders)?)
            }
            Self::Place { order, .. } => Ok(trading.place_order(cell, order).map(|_| ())?),
            Self::SetLadder { ticket, sequence, .. } => {
                Ok(trading.set_ladder(cell, &ticket.wanted(*sequence)).map(|_| ())?)
            }
            Self::Cancel { node, sequence, .. } => Ok(trading.cancel_order(cell, *node, *sequence)?),
            Self::CancelAll { sides, limit, .. } => Ok(trading.cancel_all(cell, *sides, *limit).map(|_| ())?),
            Self::CancelOrders { orders, .. } => Ok(trading.cancel_orders(cell, handles(orders)).map(|_| ())?),
            Self::CancelByClientId { client_id, .. } => Ok(trading.cancel_by_client_id(cell, *client_id)?),
            Self::PlaceTrigger { trigger, .. } => Ok(trading.place_trigger(cell, trigger).map(|_| ())?),
            Self::CancelTrigger { handle, .. } => Ok(trading.cancel_trigger(cell, *handle)?),
            Self::ExecuteTriggers { named, .. } => {
                Ok(trading.execute_triggers(cell, named.iter().copied()).map(|_| ())?)
            }
            Self::Amend { order, price, lots, .. } => {
                let order = OrderHandle::new(order.0, order.1);
                Ok(trading.amend_order(cell, order, Ticks::new(*price), Lots::new(*lots)).map(|_| ())?)
            }
            _ => panic!("{self:?} is no order"),
        }
    }
}

/// When the instruction may run.
fn keep(trading: &Trading<'_>, guard: &BookGuard) -> Outcome {
    if !guard.valid_until.is_zero() && trading.now.unix_seconds > guard.valid_until {
        return Err(Refusal::InstructionExpired.into());
    }
    Ok(trading.require_unmoved(guard.book_sequence_max)?)
}

fn handles(orders: &[(NodeIndex, Sequence)]) -> impl Iterator<Item = OrderHandle> {
    orders.iter().map(|(node, sequence)| OrderHandle::new(*node, *sequence))
}

fn grow(native: &mut Native, now: Now, cells: u32) -> Outcome {
    native.ledger.resize(native.ledger.len() + cells as usize * CELL_SIZE / 8, 0);
    let mut ledger = Ledger::grow(bytemuck::cast_slice_mut(&mut native.ledger))?;
    let capacity = i64::from(ledger.header.cells.capacity());
    ledger.record_amount(now, CellIndex::NIL, CashEventKind::LedgerGrown, capacity)?;
    Ok(())
}

fn list(native: &mut Native, now: Now, market: &Address, parameters: &ListingParameters) -> Outcome {
    let size = engine::state::market::market_size(parameters.side_capacity, parameters.events_capacity);
    let mut ledger = Ledger::load(bytemuck::cast_slice_mut(&mut native.ledger))?;
    seal::require_unsealed(ledger.header)?;
    let index = listing::list(&mut ledger, now, key_of(market), parameters)?;
    Exchange::load_mut(bytemuck::cast_slice_mut(&mut native.exchange))?.set_sources(index, parameters.sources())?;
    let mut account = vec![0u64; size / 8];
    let owner = Exchange::load(bytemuck::cast_slice(&native.exchange))?.ledger;
    let bytes = bytemuck::cast_slice_mut(&mut account);
    let (side, events) = (parameters.side_capacity, parameters.events_capacity);
    Market::create(bytes, owner, index, side, events)?.header.taker_delay = parameters.taker_delay.into();
    native.markets.push(account);
    let mut event = CashEvent::new(CashEventKind::MarketListed);
    (event.market, event.amount) = (index, i64::from(index.get()));
    ledger.record(now, CellIndex::NIL, event)?;
    Ok(())
}

fn update_price(native: &mut Native, now: Now, desk: &Desk, market: usize) -> Outcome {
    let (index, feeds) = (desk.markets[market].index, &desk.markets[market].feeds);
    let exchange = *Exchange::load(bytemuck::cast_slice(&native.exchange))?;
    let mut readings = Vec::new();
    for (place, feed) in feeds.iter().enumerate() {
        let account = desk.chain.account(feed).unwrap_or_default();
        let account = OracleAccount { address: key_of(feed), owner: key_of(&account.owner), data: &account.data };
        readings.push(oracle::read(exchange.source(index, place).unwrap(), &account)?);
    }
    let mut ledger = Ledger::load(bytemuck::cast_slice_mut(&mut native.ledger))?;
    let book = MarketView::load(bytemuck::cast_slice(&native.markets[market]))?;
    price::update(&mut ledger, index, &readings, &Book::of(&book, now.unix_seconds), now)?;
    Ok(())
}

/// A step of what is planned.
enum Planned {
    Head(usize, u64),
    Price(usize),
    Order(Operation),
}

/// Both sides, and the source of operations.
struct Run {
    desk: Desk,
    native: Native,
    random: ChaCha8Rng,
    owners: Vec<(Address, Address)>,
    treasury: Address,
    /// Where each market's price is going, as a share of its base in thousandths.
    heading: [u64; 3],
    /// What is about to be done, between other things: somebody takes a large position, and the price runs against it.
    plan: VecDeque<Planned>,
    outcomes: BTreeMap<String, u32>,
}

/// A tenth of what there is may leave in an hour, so that some withdrawals wait.
const LIMITED: Policy = Policy {
    outflow_rate: Ppm::new(100_000),
    queue_seconds: 3_600,
    outflow_floor: QuoteAtoms::new(1_000_000_000),
    fees: FeeSchedule::new(
        [
            FeeTier::new(QuoteAtoms::new(10_000_000), Ppm::new(111_111)),
            FeeTier::new(QuoteAtoms::new(1_000_000_000), Ppm::new(600_001)),
            FeeTier::new(QuoteAtoms::new(50_000_000_000), Ppm::new(1_000_000)),
            FeeTier::UNUSED,
        ],
        Ppm::new(333_333),
    ),
    ..desk::POLICY
};

const PRICES: [u64; 3] = [scene::PRICE, 100_000 * scene::PICO, 4_000 * scene::PICO];

impl Run {
    fn new(seed: u64) -> Self {
        let mut desk =
            Desk::new(DeskConfig { cells: 64, events: 64, policy: LIMITED, ..DeskConfig::default() }).unwrap();
        Native::created(&desk, 64).assert_same(&desk, "CreateExchange");
        for (spec, price) in [(scene::sol(), PRICES[0]), (scene::btc(), PRICES[1])] {
            let market = desk.list(&spec).unwrap();
            desk.set_price(market, price).unwrap();
        }
        let owners = (0..5).map(|_| {
            let owner = desk.name(b"owner");
            (owner, desk.fund(&owner, 1 << 60).unwrap())
        });
        let owners: Vec<_> = owners.collect();
        let admin = desk.admin;
        let treasury = desk.fund(&admin, 0).unwrap();
        let native = Native::new(&desk);
        let random = ChaCha8Rng::seed_from_u64(seed);
        Self {
            desk,
            native,
            random,
            owners,
            treasury,
            heading: [1_000; 3],
            plan: VecDeque::new(),
            outcomes: BTreeMap::new(),
        }
    }

    /// One operation on both sides.
    fn step(&mut self) {
        if self.random.random_bool(0.2) {
            self.desk.chain.next_slot();
        }
        if self.random.random_bool(0.1) {
            let then = self.desk.chain.unix_millis() + self.random.random_range(1_000..6_000);
            self.desk.chain.advance_to(then);
        }
        if self.random.random_bool(0.005) {
            let then = self.desk.chain.unix_millis() + self.random.random_range(1_000..40_000);
            self.desk.chain.advance_to(then);
        }
        // The chain stands still: time passes without a slot.
        if self.random.random_bool(0.001) {
            let then = self.desk.chain.unix_seconds() + self.random.random_range(200..5_000);
            self.desk.chain.set_unix_seconds(then);
        }
        if self.random.random_bool(0.01) {
            self.heading = std::array::from_fn(|_| self.random.random_range(850..1_150));
        }
        if self.plan.is_empty() && self.random.random_bool(0.02) {
            self.plan_a_failure();
        }
        let operation = self.operation();
        let instruction = operation.instruction(&self.desk);
        let desk = &self.desk;
        let here = self.native.run(|native| operation.run(native, desk));
        let sent = self.desk.chain.send(instruction);
        let there =
            sent.map(|_| ()).map_err(|failure| failure.error.unwrap_or_else(|| panic!("{operation:?}: {failure}")));
        assert_eq!(there, here, "{operation:?}");
        if let (Operation::List { market, parameters }, Ok(())) = (&operation, &there) {
            self.listed(*market, parameters);
        }
        self.native.assert_same(&self.desk, &format!("{operation:?}"));
        let outcome = here.map_or_else(|error| error.name().to_owned(), |()| "ok".to_owned());
        *self.outcomes.entry(format!("{} {outcome}", operation.name())).or_default() += 1;
    }

    fn operation(&mut self) -> Operation {
        let planned = if self.random.random_bool(0.6) { self.plan.pop_front() } else { None };
        match planned {
            Some(Planned::Price(market)) => {
                let then = self.desk.chain.unix_millis() + 5_000;
                self.desk.chain.advance_to(then);
                return self.price(market);
            }
            Some(Planned::Head(market, heading)) => self.heading[market] = heading,
            Some(Planned::Order(operation)) => return operation,
            None => (),
        }
        if let Some(market) = self.stale().filter(|_| self.random.random_bool(0.4)) {
            return self.price(market);
        }
        if !read::header(&self.desk).is_sealed() && self.random.random_bool(0.05) {
            return if self.desk.markets.len() < 3 { self.list() } else { Operation::Seal };
        }
        let trader = self.trader();
        let market = self.random.random_range(0..self.desk.markets.len());
        let tokens =
            self.owners.iter().find(|(owner, _)| *owner == trader.authority).map_or(self.owners[0].1, |it| it.1);
        match self.random.random_range(0..1000) {
            0..15 => {
                let owner = self.owners.choose(&mut self.random).unwrap().0;
                Operation::Open { owner, sub_account: self.random.random_range(0..4) }
            }
            15..40 => Operation::Close { trader },
            40..100 => Operation::Deposit { trader, tokens, atoms: self.atoms() },
            100..150 => Operation::Withdraw { trader, tokens, atoms: self.atoms() },
            150..165 => {
                let waiting = outflow::waiting(&self.desk.ledger_view().unwrap()).next().map(|(_, it)| it.target);
                let target = waiting.map_or(self.treasury, |key| Address::new_from_array(*key.as_bytes()));
                Operation::ProcessQueue { target }
            }
            165..175 => {
                let mut target = self.trader();
                if self.random.random_bool(0.5) {
                    target = self.sibling(&trader).unwrap_or(target);
                }
                Operation::Transfer { trader, target, atoms: self.atoms() }
            }
            175..180 => Operation::Fund { trader, atoms: self.random.random_range(0..3_000_000) },
            180..300 => self.price(market),
            300..310 => {
                let fees = read::money(&self.desk).1 as u64;
                Operation::Collect { target: self.treasury, atoms: self.random.random_range(0..=fees + fees / 8 + 1) }
            }
            310..313 => Operation::Grow { cells: self.random.random_range(1..4) },
            313 => self.list(),
            314 => Operation::Seal,
            315..320 => {
                // What is closed stays closed once the exchange is sealed: the first market stays open.
                let sealed = read::header(&self.desk).is_sealed();
                let closing = if sealed && market == 0 { 0.0 } else { 0.15 };
                let status =
                    if self.random.random_bool(closing) { MarketStatus::ReduceOnly } else { MarketStatus::Active };
                Operation::Status { market, status }
            }
            320..500 => self.ladder(trader, market),
            500..540 => self.cancel(trader, market),
            540..560 => Operation::CancelAll {
                trader,
                market,
                sides: *[Sides::Both, Sides::Bids, Sides::Asks].choose(&mut self.random).unwrap(),
                limit: self.random.random_range(1..5),
            },
            560..620 => self.change(market),
            620..624 => self.guard(market),
            624..629 => self.partner(trader),
            629..635 => self.access(trader, tokens),
            635..655 => self.special(trader, market),
            655..675 => self.quote_ladder(trader, market),
            675..700 => self.conditional(trader, market),
            _ => self.place(trader, market),
        }
    }

    /// Orders are amended, cancelled many at a time or by what is known of them, and cleared by others.
    fn change(&mut self, market: usize) -> Operation {
        let count = self.random.random_range(1..5);
        // Where takers wait.
        let delayed = self.desk.markets.iter().position(|market| market.parameters.taker_delay > 0);
        let named: Vec<_> = (0..count)
            .map(|_| {
                let any = self.trader();
                let Operation::Cancel { trader, node, sequence, .. } = self.cancel(any, market) else { panic!() };
                (trader, (node, sequence))
            })
            .collect();
        let (trader, order) = named[0];
        let orders = named.iter().map(|it| it.1).collect();
        let target = Target { trader: trader.cell, generation: trader.generation };
        let view = self.desk.market_view(market).unwrap();
        let node = view.node(order.0);
        let (price, lots, client_id) =
            node.map_or((1, 1, 1), |node| (node.price.get(), node.lots.get(), node.client_id));
        let random = &mut self.random;
        if let Some(market) = delayed.filter(|_| random.random_bool(0.3)) {
            return Operation::RunDelayed { market, limit: random.random_range(1..4) };
        }
        match random.random_range(0..10) {
            0 => Operation::CancelOrders { trader, market, orders },
            1 => Operation::CancelByClientId { trader, market, client_id },
            2 => Operation::DropExpired { market, orders },
            3 => Operation::Heartbeat { trader, seconds: *[0, 5, 5, 60].choose(random).unwrap() },
            4 => Operation::EnforceDeadman { market, target, limit: random.random_range(1..4) },
            5..8 => Operation::Amend { trader, market, order, price, lots: random.random_range(0..=lots) },
            8 => Operation::Amend { trader, market, order, price: price.saturating_sub(7), lots },
            _ => Operation::Amend { trader, market, order, price: price.saturating_add(7), lots: lots / 2 + 9 },
        }
    }

    /// Mostly a present ladder is moved by its quoter, sometimes one is set or taken away, sometimes it is all wrong.
    fn quote_ladder(&mut self, trader: Trader, market: usize) -> Operation {
        let row = *self.desk.ledger_view().unwrap().row(self.desk.markets[market].index).unwrap();
        let view = self.desk.market_view(market).unwrap();
        let used = view.annex.ladders.iter().zip(0u32..).filter(|(ladder, _)| !ladder.quoter.is_zero());
        let used: Vec<_> = used.map(|(ladder, number)| (number, *ladder)).collect();
        let random = &mut self.random;
        let mark = row.mark.get().max(1_000);
        let mid = match random.random_range(0..20) {
            0 => random.random(),
            1 => 0,
            _ => mark + random.random_range(0..60) - 30,
        };
        let found = used.choose(random).copied().filter(|_| random.random_bool(0.7));
        let Some((number, ladder)) = found else {
            let mut ticket = LadderTicket::new(&trader.authority, mid);
            for side in [Side::Bid, Side::Ask] {
                let count = random.random_range(0..=8);
                let levels: Vec<_> = (0..count).map(|level| (level * 9, random.random_range(1..300))).collect();
                let limit = mark + random.random_range(0..100) - 50;
                if count > 0 {
                    ticket = ticket.side(side, limit, random.random_range(1..2_000), &levels);
                }
            }
            let sequence = random.random_range(0..200);
            let until = UnixSeconds::new(if random.random_bool(0.05) { 1 } else { 0 });
            return Operation::SetLadder { trader, market, ticket, sequence, until };
        };
        let quoter =
            if random.random_bool(0.95) { Address::new_from_array(*ladder.quoter.as_bytes()) } else { PROGRAM };
        let number = if random.random_bool(0.95) { number } else { random.random() };
        let sequence = ladder.sequence + u64::from(random.random_bool(0.9));
        let ladder = LadderHandle { number, position: ladder.position };
        Operation::MoveLadder { quoter, market, ladder, sequence, mid }
    }

    /// Mostly a mode for some seconds, seldom a cap.
    fn guard(&mut self, market: usize) -> Operation {
        let row = *self.desk.ledger_view().unwrap().row(self.desk.markets[market].index).unwrap();
        let random = &mut self.random;
        let less = |random: &mut ChaCha8Rng, cap: Lots| {
            let cap = cap.get();
            Lots::new(*[cap - 1, cap - cap / 50, cap, 0].choose(random).unwrap())
        };
        let wanted = match random.random_range(0..10) {
            0 => Tightening::PositionMax { market: row.index, lots: less(random, row.position_max) },
            1 => Tightening::InterestMax { market: row.index, lots: less(random, row.open_interest_max) },
            _ => {
                let modes = [Mode::CloseOnly, Mode::CloseOnly, Mode::WithdrawOnly, Mode::Halted, Mode::Active];
                let seconds = *[0, 1, 2, 4, 8, 8, 15, 700_000].choose(random).unwrap();
                Tightening::Mode { mode: *modes.choose(random).unwrap(), seconds }
            }
        };
        Operation::Guard { wanted }
    }

    /// Somebody is named as referrer, or builders are allowed to charge.
    fn partner(&mut self, trader: Trader) -> Operation {
        if self.random.random_bool(0.6) {
            return Operation::SetBuilderMax { trader, ppm: *[0, 7, 1_000, 1_000].choose(&mut self.random).unwrap() };
        }
        let other = self.trader();
        Operation::SetReferrer { trader, referrer: Target { trader: other.cell, generation: other.generation } }
    }

    /// Somebody else may trade, fees may be no more than so much, cash may go to certain places only.
    fn access(&mut self, trader: Trader, tokens: Address) -> Operation {
        let other = self.trader();
        let random = &mut self.random;
        match random.random_range(0..10) {
            0..3 => Operation::SetDelegate { trader, delegate: random.random_bool(0.5).then_some(other.authority) },
            3..5 => {
                let fee_max = *[None, None, Some(Ppm::new(10_000)), Some(Ppm::new(100))].choose(random).unwrap();
                Operation::SetFeeMax { trader, fee_max }
            }
            // Mostly nothing, or a guard for a short time: what is guarded refuses much.
            5..7 => {
                let seconds = *[0, 0, 0, 0, 1, 2, 2, 30].choose(random).unwrap();
                Operation::SetWithdrawDelay { trader, seconds }
            }
            _ => {
                let target = if random.random_bool(0.7) { tokens } else { other.authority };
                Operation::AllowTarget { trader, target, allowed: random.random_bool(0.6) }
            }
        }
    }

    /// An order with a builder and guards, or several at once.
    fn special(&mut self, trader: Trader, market: usize) -> Operation {
        let events = self.desk.market_view(market).unwrap().header.events_written.get();
        let (mut orders, mut until) = (Vec::new(), UnixSeconds::ZERO);
        for _ in 0..self.random.random_range(1..6) {
            let Operation::Place { order, until: limit, .. } = self.place(trader, market) else { panic!() };
            orders.push(order);
            until = limit;
        }
        let book_sequence_max = *[0, 0, events, events + 3, events.saturating_sub(1)].choose(&mut self.random).unwrap();
        let guard = BookGuard { valid_until: until, book_sequence_max };
        if self.random.random_bool(0.4) {
            let expires_at = orders.first().map_or(UnixSeconds::ZERO, |order| order.expires_at);
            return Operation::PlaceOrders { trader, market, orders, expires_at, guard };
        }
        let builder = self.trader();
        let Operation::Place { order, .. } = self.place(trader, market) else { panic!() };
        let ticket = Ticket::of(order.side, order.price, order.lots).kind(order.kind).self_trade(order.self_trade);
        let ticket = ticket.client_id(order.client_id).expires_at(order.expires_at).match_limit(order.match_limit);
        let ticket = if order.reduce_only { ticket.reduce_only() } else { ticket };
        let fee = *[0, 7, 7, 1_000, 1_001].choose(&mut self.random).unwrap();
        let ticket = ticket.valid_until(until).book_sequence_max(book_sequence_max);
        // A builder of zeros is nobody.
        let generation = Generation::new(builder.generation.get().max(1));
        Operation::PlaceTicket { trader, market, ticket: ticket.builder(builder.cell, generation, fee) }
    }

    /// A conditional order near the mark, or somebody executes what there is.
    fn conditional(&mut self, trader: Trader, market: usize) -> Operation {
        let ledger = self.desk.ledger_view().unwrap();
        let index = self.desk.markets[market].index;
        let row = *ledger.row(index).unwrap();
        let here = |position: CellIndex| ledger.position(position).is_ok_and(|position| position.market == index);
        let placed: Vec<_> = ledger.all_triggers().filter(|(_, trigger)| here(trigger.position)).collect();
        let handle =
            |(cell, trigger): &(CellIndex, &TriggerCell)| TriggerHandle { cell: *cell, number: trigger.number };
        let random = &mut self.random;
        let mut named =
            || placed.choose(random).map_or(TriggerHandle { cell: CellIndex::NIL, number: Sequence::new(1) }, handle);
        let (first, named) = (named(), (0..4).map(|_| named()).collect());
        let holder = |position: &PositionCell| {
            let it = ledger.trader(position.trader).unwrap();
            let authority = Address::new_from_array(*it.owner.as_bytes());
            Trader { authority, cell: position.trader, generation: it.generation }
        };
        match random.random_range(0..10) {
            0 => {
                let found = placed.iter().find(|(cell, _)| *cell == first.cell).filter(|_| random.random_bool(0.7));
                let position = found.map(|(_, trigger)| ledger.position(trigger.position).unwrap());
                let trader = position.map_or(trader, holder);
                return Operation::CancelTrigger { trader, market, handle: first };
            }
            1..6 => return Operation::ExecuteTriggers { trader, market, named },
            _ => (),
        }
        // Mostly for a position that there is.
        let held: Vec<_> = ledger.all_positions().filter(|(_, it)| it.market == index && !it.base.is_zero()).collect();
        let held = held.choose(random).filter(|_| random.random_bool(0.8)).map(|(_, position)| *position);
        let side = match held {
            Some(position) if position.base.get() > 0 => Side::Ask,
            _ => Side::Bid,
        };
        let owner = held.map_or(trader, holder);
        let price = Ticks::new(row.mark.get().max(1_000) + random.random_range(0..400) - 200);
        let ticket = match random.random_range(0..5) {
            0 | 1 => TriggerTicket::stop(side, price),
            2 => TriggerTicket::take_profit(side, price),
            3 => TriggerTicket::trailing(side, Ticks::new(random.random_range(1..300))),
            _ => TriggerTicket::twap(side, random.random_range(2..4), random.random_range(1..6)),
        };
        let ticket = match random.random_range(0..6) {
            0 => ticket.share(Ppm::new(random.random_range(1..1_000_001))),
            1 => ticket.child_of(random.random_range(1..6)),
            2 => ticket.lots(Lots::new(random.random_range(1..100))).limit(price),
            3 => ticket.lots(Lots::new(random.random_range(1..50))).adding(),
            _ => ticket.lots(Lots::new(random.random_range(1..1_000))),
        };
        let references = [Reference::Mark, Reference::Last, Reference::Index];
        let ticket = ticket.watching(*references.choose(random).unwrap()).group(random.random_range(0..3));
        let trigger = ticket.tip(QuoteAtoms::new(random.random_range(0..10_000))).build();
        Operation::PlaceTrigger { trader: owner, market, trigger }
    }

    /// A market whose price is not fresh.
    fn stale(&self) -> Option<usize> {
        let (ledger, now) = (self.desk.ledger_view().unwrap(), UnixSeconds::new(self.desk.chain.unix_seconds()));
        let fresh = |index: &MarketIndex| ledger.row(*index).unwrap().validity(now) == Validity::Fresh;
        self.desk.markets.iter().position(|market| !fresh(&market.index))
    }

    /// The richest account offers, another one takes as much as its cash carries, and the price turns.
    fn plan_a_failure(&mut self) {
        let ledger = self.desk.ledger_view().unwrap();
        let rich = ledger.traders().max_by_key(|(_, it)| it.cash.get());
        let Some((rich, owner)) = rich.map(|(cell, it)| (cell, it.owner)) else { return };
        let others: Vec<_> =
            ledger.traders().filter(|(_, it)| it.owner != owner && it.cash.get().get() > 2_000_000).collect();
        let Some((poor, taker)) = others.choose(&mut self.random).copied() else { return };
        let market = self.random.random_range(0..self.desk.markets.len());
        let mark = ledger.row(self.desk.markets[market].index).unwrap().mark;
        let lots = taker.cash.get().magnitude().get() / u64::from(mark.get().max(1)) * self.random.random_range(15..20);
        let trader = |cell: CellIndex| {
            let it = ledger.trader(cell).unwrap();
            Trader { authority: Address::new_from_array(*it.owner.as_bytes()), cell, generation: it.generation }
        };
        let (buys, heading) = if self.random.random_bool(0.5) { (true, 880) } else { (false, 1_120) };
        let (making, taking) = if buys { (Side::Ask, Side::Bid) } else { (Side::Bid, Side::Ask) };
        let order = |who: CellIndex, side: Side| Operation::Place {
            trader: trader(who),
            market,
            order: quantdesk_client::order::Ticket::of(side, mark, Lots::new(lots)).build(),
            until: UnixSeconds::ZERO,
        };
        let (made, taken) = (order(rich, making), order(poor, taking));
        self.plan.extend([Planned::Price(market), Planned::Order(made), Planned::Order(taken)]);
        self.plan.push_back(Planned::Head(market, heading));
        self.plan.extend((0..16).map(|_| Planned::Price(market)));
    }

    /// A step of the ladder, mostly on an account that needs one.
    fn ladder(&mut self, keeper: Trader, market: usize) -> Operation {
        let now = UnixSeconds::new(self.desk.chain.unix_seconds());
        let view = self.desk.ledger_view().unwrap();
        let failing: Vec<_> = scan::scan(&view, now).collect();
        let found = failing.choose(&mut self.random).copied().filter(|_| self.random.random_bool(0.9));
        // Mostly where it has a position.
        let mut market = market;
        if let Some(found) = found.filter(|_| self.random.random_bool(0.8)) {
            let trader = view.trader(found.trader).unwrap();
            let held = view.positions(trader).find(|(_, position)| !position.base.is_zero());
            market = held.map_or(market, |(_, position)| usize::from(position.market.get()));
        }
        let target = match found {
            Some(found) => Target { trader: found.trader, generation: found.generation },
            None => {
                let any = self.trader();
                Target { trader: any.cell, generation: any.generation }
            }
        };
        // And mostly the one that it needs.
        let step = match found.map(|found| found.rung).filter(|_| self.random.random_bool(0.6)) {
            Some(Rung::CancelForRisk) => 10..20,
            Some(Rung::Liquidate) => 20..50,
            Some(Rung::TakeOver) => 35..70,
            Some(Rung::Bankrupt) => 70..100,
            None => 0..100,
        };
        let step = self.random.random_range(step);
        let limit = self.random.random_range(0..20);
        let view = self.desk.ledger_view().unwrap();
        let richest = view.traders().max_by_key(|(_, it)| it.cash.get()).filter(|_| self.random.random_bool(0.6));
        let keeper = richest.map_or(keeper, |(cell, it)| Trader {
            authority: Address::new_from_array(*it.owner.as_bytes()),
            cell,
            generation: it.generation,
        });
        match step {
            0..10 => Operation::Sweep { cells: self.random.random_range(1..40) },
            10..20 => Operation::CancelForRisk { market, target, limit: limit.max(1) },
            20..50 => Operation::Liquidate { keeper, market, target, limit },
            50..70 => Operation::TakeOver { keeper, market, target, lots: self.random.random_range(0..5_000) },
            70..80 => Operation::Absorb { market, target },
            _ => Operation::Deleverage { market, target, steps: self.random.random_range(1..200) },
        }
    }

    /// Another account of the same owner.
    fn sibling(&self, trader: &Trader) -> Option<Trader> {
        let ledger = self.desk.ledger_view().unwrap();
        let owner = key_of(&trader.authority);
        let mut others = ledger.traders().filter(|(cell, it)| it.owner == owner && *cell != trader.cell);
        others.next().map(|(cell, it)| Trader { authority: trader.authority, cell, generation: it.generation })
    }

    /// Mostly a live trader with its owner; sometimes an old incarnation, another owner, or any cell.
    fn trader(&mut self) -> Trader {
        let ledger = self.desk.ledger_view().unwrap();
        let live: Vec<_> = ledger.traders().map(|(cell, it)| (cell, it.generation, it.owner)).collect();
        let (mut cell, mut generation, owner) =
            live.choose(&mut self.random).copied().unwrap_or((CellIndex::new(0), Generation::new(0), key_of(&PROGRAM)));
        let mut authority = Address::new_from_array(*owner.as_bytes());
        match self.random.random_range(0..100) {
            0 => generation = Generation::new(generation.get().wrapping_sub(1)),
            1 => cell = CellIndex::new(self.random.random_range(0..25)),
            2 => authority = self.owners.choose(&mut self.random).unwrap().0,
            _ => (),
        }
        Trader { authority, cell, generation }
    }

    fn atoms(&mut self) -> u64 {
        match self.random.random_range(0..20) {
            0 => 0,
            1 => self.random.random::<u64>() | 1 << 62,
            2..6 => self.random.random_range(1..1_000),
            _ => self.random.random_range(1..2_000_000_000),
        }
    }

    fn price(&mut self, market: usize) -> Operation {
        let base = PRICES[market];
        let heading = self.heading[market];
        let price = base / 1_000 * self.random.random_range(heading - 10..heading + 10)
            + self.random.random_range(0..base / 10_000);
        let half_width = if self.random.random_bool(0.05) { price / 30 } else { price / 1_000 };
        let late = if self.random.random_bool(0.1) { -15..40 } else { 0..3 };
        let published = self.desk.chain.unix_seconds() - self.random.random_range(late);
        self.desk.publish_at(market, price, half_width, published).unwrap();
        // One of two sources somewhere else.
        if self.random.random_bool(0.05) {
            let feeds = self.desk.markets[market].feeds.clone();
            let kept = self.desk.chain.account(&feeds[0]).unwrap();
            self.desk.publish(market, price + price / 20, half_width).unwrap();
            self.desk.chain.set_account(feeds[0], kept).unwrap();
        }
        Operation::Price { market }
    }

    fn list(&mut self) -> Operation {
        let market = self.desk.name(b"market");
        let feed = key_of(&self.desk.name(b"feed"));
        let spec = MarketSpec { side_capacity: scene::SIDE, taker_delay: 3, ..MarketSpec::eth() };
        let parameters = Box::new(spec.parameters(&[engine::state::OracleSource::pyth(feed)]));
        let size = engine::state::market::market_size(parameters.side_capacity, parameters.events_capacity);
        self.desk.chain.create_account(market, size, PROGRAM).unwrap();
        Operation::List { market, parameters }
    }

    fn listed(&mut self, address: Address, parameters: &ListingParameters) {
        let index = MarketIndex::new(self.desk.markets.len() as u16);
        let feeds = vec![self.desk.name(b"posted update")];
        let parameters = *parameters;
        self.desk.markets.push(desk::Market { symbol: "ETH-PERP".into(), address, index, parameters, feeds });
        self.desk.publish(2, PRICES[2], 0).unwrap();
    }

    fn cancel(&mut self, trader: Trader, market: usize) -> Operation {
        let view: MarketView<'_> = self.desk.market_view(market).unwrap();
        let all: Vec<_> = [Side::Bid, Side::Ask].into_iter().flat_map(|side| view.orders(side)).collect();
        let found = all.choose(&mut self.random).map(|(node, order)| (*node, order.sequence, order.position));
        let Some((node, sequence, position)) = found.filter(|_| self.random.random_bool(0.9)) else {
            let (node, sequence) = (NodeIndex::new(self.random.random_range(0..18)), Sequence::new(1));
            return Operation::Cancel { trader, market, node, sequence };
        };
        // Mostly by whom it belongs to.
        let ledger = self.desk.ledger_view().unwrap();
        let owner = ledger.position(position).unwrap().trader;
        let cell = ledger.trader(owner).unwrap();
        let authority = Address::new_from_array(*cell.owner.as_bytes());
        let owner = Trader { authority, cell: owner, generation: cell.generation };
        let trader = if self.random.random_bool(0.9) { owner } else { trader };
        Operation::Cancel { trader, market, node, sequence }
    }

    fn place(&mut self, trader: Trader, market: usize) -> Operation {
        let ledger = self.desk.ledger_view().unwrap();
        let row = *ledger.row(self.desk.markets[market].index).unwrap();
        let cash = ledger.trader(trader.cell).map_or(0, |it| it.cash.get().positive_part().get());
        let random = &mut self.random;
        let mark = i64::from(row.mark.get().max(1_000));
        let distance = match random.random_range(0..20) {
            0 => random.random_range(-mark..2 * mark),
            1..4 => random.random_range(-mark / 8..mark / 8),
            _ => random.random_range(-40..40),
        };
        let lots = match random.random_range(0..20) {
            0 => random.random(),
            1..3 => random.random_range(0..200_000),
            // As much as its cash can carry, or nearly.
            3..10 => cash / mark.unsigned_abs() * random.random_range(5..21),
            _ => random.random_range(1..100),
        };
        let kinds = [
            OrderKind::Market,
            OrderKind::ImmediateOrCancel,
            OrderKind::FillOrKill,
            OrderKind::PostOnly,
            OrderKind::PostOnlySlide,
            OrderKind::Pegged,
        ];
        let policies = [SelfTrade::CancelMaker, SelfTrade::CancelTaker, SelfTrade::CancelBoth, SelfTrade::Decrement];
        let now = self.desk.chain.unix_seconds();
        let expiry =
            |random: &mut ChaCha8Rng| if random.random_bool(0.1) { now + random.random_range(-3..20) } else { 0 };
        let kind = if random.random_bool(0.6) { OrderKind::Limit } else { *kinds.choose(random).unwrap() };
        let order = NewOrder {
            side: if random.random_bool(0.5) { Side::Bid } else { Side::Ask },
            kind,
            price: Ticks::new((mark + distance) as u32),
            lots: Lots::new(lots),
            client_id: if random.random_bool(0.2) { random.random_range(1..6) } else { 0 },
            expires_at: UnixSeconds::new(expiry(random)),
            self_trade: *policies.choose(random).unwrap(),
            reduce_only: random.random_bool(0.08),
            match_limit: if random.random_bool(0.02) { 0 } else { random.random_range(1..12) },
            peg_offset: if kind == OrderKind::Pegged { random.random_range(-60..60) } else { 0 },
        };
        Operation::Place { trader, market, order, until: UnixSeconds::new(expiry(random)) }
    }
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

#[test]
fn equal_bytes_and_equal_codes() {
    let (seed, operations) = (setting("QUANTDESK_TEST_SEED", 1), setting("QUANTDESK_TEST_OPS", 30_000));
    println!("QUANTDESK_TEST_SEED={seed} QUANTDESK_TEST_OPS={operations}");
    let mut run = Run::new(seed);
    for number in 0..operations {
        run.step();
        if number % 64 == 0 {
            run.desk.check().unwrap();
        }
    }
    run.desk.check().unwrap();
    for (outcome, count) in &run.outcomes {
        println!("{count:>6} {outcome}");
    }
    let header = read::header(&run.desk);
    println!("{} cash events, fees {}", header.events_written.get(), header.fees.get().get());
    // Other seeds need not meet everything.
    if operations >= 30_000 && seed == 1 {
        assert_varied(&run);
    }
}

/// A run this long meets every kind of operation in success and in failure.
fn assert_varied(run: &Run) {
    let names = [
        "OpenTrader",
        "CloseTrader",
        "Deposit",
        "Withdraw",
        "ProcessWithdrawQueue",
        "TransferCash",
        "PlaceOrders",
        "SetReferrer",
        "SetDelegate",
        "SetWithdrawDelay",
        "AllowTarget",
        "PlaceOrder",
        "CancelOrder",
        "UpdatePrice",
        "FundPool",
        "SetMarketStatus",
        "ListMarket",
        "SealExchange",
        "Guard",
        "CancelByClientId",
        "AmendOrder",
        "SetLadder",
        "MoveLadder",
        "PlaceTrigger",
        "CancelTrigger",
        "ExecuteTriggers",
        "DropExpired",
        "RunDelayed",
        "EnforceDeadman",
        "CancelForRisk",
        "Liquidate",
        "TakeOver",
        "AbsorbShortfall",
        "Deleverage",
    ];
    for name in names {
        let of = |wanted: bool| {
            let ends = run
                .outcomes
                .iter()
                .filter(|(outcome, _)| outcome.starts_with(name) && outcome.ends_with(" ok") == wanted);
            ends.map(|(_, count)| *count).sum::<u32>()
        };
        assert!(of(true) > 0 && of(false) > 0, "{name}");
    }
    let refusals = run.outcomes.keys().filter(|outcome| outcome.starts_with("PlaceOrder") && !outcome.ends_with(" ok"));
    assert!(refusals.count() >= 10, "kinds of refusals of orders");
}
