//! One builder per instruction. Accounts, their order and their flags are those documented in the program's file of the
//! same name.

use bytemuck::{NoUninit, bytes_of};
use quantdesk_engine::{
    CellIndex, Generation, Lots, MarketIndex, NodeIndex, Ppm, QuoteAtoms, Sequence, Ticks, UnixSeconds,
    access::FEE_UNLIMITED,
    book::{NewLadder, NewOrder, NewTrigger, OrderHandle, Replacement, Sides, TriggerHandle},
    governance::{
        change::{Kind, Proposal, SourcesParameters},
        guard::Tightening,
        parameter::Parameter,
        queue::NO_MARKET,
        role::Role,
    },
    risk::{life::MarginParameters, listing::ListingParameters},
    state::{Key, MarketStatus, SessionTerms, fees::FeeSchedule, ledger::Policy},
};
use quantdesk_program::{
    Tag,
    instruction::{
        crank::{
            drop_expired::DropExpired, enforce_deadman::EnforceDeadman, execute_triggers::ExecuteTriggers,
            run_delayed::RunDelayed, settle_market_position::SettleMarketPosition, sweep::Sweep,
            update_price::UpdatePrice,
        },
        exchange::{
            accept_role::AcceptRole, cancel_change::CancelChange, collect_fees::CollectFees,
            create_exchange::CreateExchange, execute_change::ExecuteChange, grow_ledger::GrowLedger, guard::Guard,
            rotate_role::RotateRole, set_market_status::SetMarketStatus,
        },
        order::{
            amend_order::AmendOrder,
            cancel_all::CancelAll,
            cancel_by_client_id::CancelByClientId,
            cancel_order::CancelOrder,
            cancel_orders::CancelOrders,
            cancel_trigger::CancelTrigger,
            move_ladder::MoveLadder,
            place_order::PlaceOrder,
            place_orders::{OrderEntry, PlaceOrders},
            place_trigger::PlaceTrigger,
            replace_quotes::ReplaceQuotes,
            set_ladder::SetLadder,
        },
        pool::{request_unstake::RequestUnstake, unstake::Unstake},
        risk::{
            absorb_shortfall::AbsorbShortfall, cancel_for_risk::CancelForRisk, deleverage::Deleverage,
            liquidate::Liquidate, take_over::TakeOver,
        },
        trader::{
            MoveCash, allow_target::AllowTarget, close_trader::CloseTrader, heartbeat::Heartbeat,
            open_session::OpenSession, open_trader::OpenTrader, set_builder_max::SetBuilderMax,
            set_delegate::SetDelegate, set_fee_max::SetFeeMax, set_referrer::SetReferrer,
            set_withdraw_delay::SetWithdrawDelay, transfer_cash::TransferCash,
        },
    },
    tag::Head,
};
use solana_address::Address;
use solana_instruction::{AccountMeta, Instruction};

use crate::{address, ladder::LadderHandle, order::Ticket};

pub use quantdesk_program::instruction::{order::place_order::BookGuard, risk::Target};

/// The System program.
pub const SYSTEM_PROGRAM: Address = Address::from_str_const("11111111111111111111111111111111");
/// The classic SPL Token program.
pub const TOKEN_PROGRAM: Address = Address::from_str_const("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA");

/// The sysvar that shows all instructions of a transaction.
pub const INSTRUCTIONS_SYSVAR: Address = quantdesk_program::account::transaction::INSTRUCTIONS;

/// An exchange as its instructions name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Venue {
    /// The program.
    pub program: Address,
    /// The exchange account.
    pub exchange: Address,
    /// The ledger.
    pub ledger: Address,
    /// The vault.
    pub vault: Address,
    /// The collateral's mint.
    pub mint: Address,
}

/// A trading account: its cell and incarnation, and who signs for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trader {
    /// Owner, or delegate for orders.
    pub authority: Address,
    /// Cell in the ledger.
    pub cell: CellIndex,
    /// Incarnation of the cell.
    pub generation: Generation,
}

impl Venue {
    fn instruction<T: NoUninit>(
        &self,
        tag: Tag,
        trader: CellIndex,
        arguments: &T,
        accounts: Vec<AccountMeta>,
    ) -> Instruction {
        let mut data = bytes_of(&Head::new(tag, trader)).to_vec();
        data.extend_from_slice(bytes_of(arguments));
        Instruction { program_id: self.program, accounts, data }
    }

    fn trade<T: NoUninit>(&self, tag: Tag, trader: &Trader, market: &Address, arguments: &T) -> Instruction {
        let accounts = vec![signer(trader.authority), writable(*market), writable(self.ledger)];
        self.instruction(tag, trader.cell, arguments, accounts)
    }

    /// Creates the exchange. Ledger and vault accounts must exist; the ledger's key signs.
    pub fn create_exchange(&self, admin: Address, id: u64, events_capacity: u32, policy: &Policy) -> Instruction {
        let accounts = vec![
            AccountMeta::new(admin, true),
            writable(self.exchange),
            AccountMeta::new(self.ledger, true),
            readonly(self.vault),
            readonly(self.mint),
            readonly(address::vault_authority(&self.program, &self.ledger)),
            readonly(SYSTEM_PROGRAM),
        ];
        let arguments = CreateExchange::new(id, events_capacity, *policy);
        self.instruction(Tag::CreateExchange, CellIndex::NIL, &arguments, accounts)
    }

    /// Lists a market. Its account, whose key signs, must exist with the size of [`quantdesk_engine::state::market::market_size`].
    pub fn list_market(&self, admin: Address, market: Address, parameters: &ListingParameters) -> Instruction {
        let accounts = vec![
            signer(admin),
            writable(self.exchange),
            writable(self.ledger),
            AccountMeta::new(market, true),
            readonly(INSTRUCTIONS_SYSVAR),
        ];
        self.instruction(Tag::ListMarket, CellIndex::NIL, parameters, accounts)
    }

    /// Makes a market active or reduce-only.
    pub fn set_market_status(&self, admin: Address, market: MarketIndex, status: MarketStatus) -> Instruction {
        let accounts =
            vec![signer(admin), readonly(self.exchange), writable(self.ledger), readonly(INSTRUCTIONS_SYSVAR)];
        self.instruction(Tag::SetMarketStatus, CellIndex::NIL, &SetMarketStatus::new(market, status), accounts)
    }

    /// Changes a market's margin.
    pub fn set_margin(&self, admin: Address, parameters: &MarginParameters) -> Instruction {
        let accounts =
            vec![signer(admin), readonly(self.exchange), writable(self.ledger), readonly(INSTRUCTIONS_SYSVAR)];
        self.instruction(Tag::SetMargin, CellIndex::NIL, parameters, accounts)
    }

    /// Proposes a value for a parameter; `market` is [`NO_MARKET`] for one of the exchange.
    pub fn propose_value(&self, admin: Address, parameter: Parameter, market: MarketIndex, value: i64) -> Instruction {
        self.propose(admin, None, &Proposal::value(parameter, market, value), &[0u8; 0])
    }

    /// Proposes other margin for a market.
    pub fn propose_margin(&self, admin: Address, parameters: &MarginParameters) -> Instruction {
        self.propose(admin, None, &Proposal::of(Kind::Margin, parameters.market), parameters)
    }

    /// Proposes another schedule of fees by volume.
    pub fn propose_fees(&self, admin: Address, schedule: &FeeSchedule) -> Instruction {
        self.propose(admin, None, &Proposal::of(Kind::Fees, NO_MARKET), schedule)
    }

    /// Proposes other oracle sources for a market.
    pub fn propose_sources(&self, admin: Address, market: MarketIndex, parameters: &SourcesParameters) -> Instruction {
        self.propose(admin, None, &Proposal::of(Kind::Sources, market), parameters)
    }

    /// Proposes a new market. Its account, whose key signs, must exist as for [`Self::list_market`], and stay blank.
    pub fn propose_listing(&self, lister: Address, market: Address, parameters: &ListingParameters) -> Instruction {
        self.propose(lister, Some(market), &Proposal::of(Kind::Listing, NO_MARKET), parameters)
    }

    /// Proposes to open a market again that was left to reducing.
    pub fn propose_reopening(&self, admin: Address, market: MarketIndex) -> Instruction {
        self.propose(admin, None, &Proposal::of(Kind::Reopening, market), &[0u8; 0])
    }

    fn propose<T: NoUninit>(
        &self,
        proposer: Address,
        market: Option<Address>,
        proposal: &Proposal,
        payload: &T,
    ) -> Instruction {
        let mut accounts = vec![signer(proposer), writable(self.exchange), writable(self.ledger)];
        accounts.extend(market.map(signer));
        accounts.push(readonly(INSTRUCTIONS_SYSVAR));
        let mut instruction = self.instruction(Tag::ProposeChange, CellIndex::NIL, proposal, accounts);
        instruction.data.extend_from_slice(bytes_of(payload));
        instruction
    }

    /// Executes a change; `market` is the account of a listing's market, or of that whose takers' delay changes.
    pub fn execute_change(&self, number: u64, market: Option<Address>) -> Instruction {
        let mut accounts = vec![writable(self.exchange), writable(self.ledger)];
        accounts.extend(market.map(writable));
        self.instruction(Tag::ExecuteChange, CellIndex::NIL, &ExecuteChange { number }, accounts)
    }

    /// Takes a change out of the queue.
    pub fn cancel_change(&self, by: Address, number: u64) -> Instruction {
        let accounts = vec![signer(by), writable(self.exchange), writable(self.ledger), readonly(INSTRUCTIONS_SYSVAR)];
        self.instruction(Tag::CancelChange, CellIndex::NIL, &CancelChange { number }, accounts)
    }

    /// Removes the account of a settled market that is empty; the admin gets its rent.
    pub fn close_market(&self, admin: Address, market: &Address) -> Instruction {
        let accounts = vec![
            AccountMeta::new(admin, true),
            readonly(self.exchange),
            writable(self.ledger),
            writable(*market),
            readonly(INSTRUCTIONS_SYSVAR),
        ];
        self.instruction(Tag::CloseMarket, CellIndex::NIL, &[0u8; 0], accounts)
    }

    /// Seals the exchange: traders may deposit, and markets are listed through the queue of changes.
    pub fn seal_exchange(&self, admin: Address) -> Instruction {
        let accounts =
            vec![signer(admin), readonly(self.exchange), writable(self.ledger), readonly(INSTRUCTIONS_SYSVAR)];
        self.instruction(Tag::SealExchange, CellIndex::NIL, &[0u8; 0], accounts)
    }

    /// Tightens something at once; `guardian` is that of the exchange, or its admin.
    pub fn guard(&self, guardian: Address, wanted: &Tightening) -> Instruction {
        let accounts =
            vec![signer(guardian), readonly(self.exchange), writable(self.ledger), readonly(INSTRUCTIONS_SYSVAR)];
        self.instruction(Tag::Guard, CellIndex::NIL, &Guard::new(wanted), accounts)
    }

    /// Proposes `successor` for a role, in the name of its holder or the admin; or withdraws what is proposed, if that is
    /// the present holder.
    pub fn rotate_role(&self, official: Address, role: Role, successor: &Address) -> Instruction {
        let arguments = RotateRole::new(role, Key::new(successor.as_array()));
        self.instruction(Tag::RotateRole, CellIndex::NIL, &arguments, self.rotation(official))
    }

    /// Makes `successor`, who was proposed for a role, its holder.
    pub fn accept_role(&self, successor: Address, role: Role) -> Instruction {
        self.instruction(Tag::AcceptRole, CellIndex::NIL, &AcceptRole::new(role), self.rotation(successor))
    }

    fn rotation(&self, official: Address) -> Vec<AccountMeta> {
        vec![signer(official), writable(self.exchange), writable(self.ledger), readonly(INSTRUCTIONS_SYSVAR)]
    }

    /// Adds `cells` cells, 1 to 80, to the ledger.
    pub fn grow_ledger(&self, admin: Address, cells: u32) -> Instruction {
        let accounts = vec![
            AccountMeta::new(admin, true),
            readonly(self.exchange),
            writable(self.ledger),
            readonly(SYSTEM_PROGRAM),
            readonly(INSTRUCTIONS_SYSVAR),
        ];
        self.instruction(Tag::GrowLedger, CellIndex::NIL, &GrowLedger::new(cells), accounts)
    }

    /// Pays `atoms` of earned fees, less the pool's share of them, to the fee collector's token account `target`.
    pub fn collect_fees(&self, collector: Address, target: Address, atoms: QuoteAtoms) -> Instruction {
        let accounts = vec![
            signer(collector),
            readonly(self.exchange),
            writable(self.ledger),
            writable(target),
            writable(self.vault),
            readonly(address::vault_authority(&self.program, &self.ledger)),
            readonly(TOKEN_PROGRAM),
            readonly(INSTRUCTIONS_SYSVAR),
        ];
        self.instruction(Tag::CollectFees, CellIndex::NIL, &CollectFees { atoms }, accounts)
    }

    /// Opens a trading account labelled `sub_account`.
    pub fn open_trader(&self, owner: Address, sub_account: u16) -> Instruction {
        let accounts = vec![signer(owner), writable(self.ledger)];
        self.instruction(Tag::OpenTrader, CellIndex::NIL, &OpenTrader::new(sub_account), accounts)
    }

    /// Closes an empty trading account.
    pub fn close_trader(&self, trader: &Trader) -> Instruction {
        let accounts = vec![signer(trader.authority), writable(self.ledger)];
        self.instruction(Tag::CloseTrader, trader.cell, &CloseTrader::new(trader.generation), accounts)
    }

    /// Deposits `atoms` from the token account `source`.
    pub fn deposit(&self, trader: &Trader, source: Address, atoms: QuoteAtoms) -> Instruction {
        let accounts = vec![
            signer(trader.authority),
            writable(self.ledger),
            writable(source),
            writable(self.vault),
            readonly(TOKEN_PROGRAM),
        ];
        self.instruction(Tag::Deposit, trader.cell, &MoveCash::new(trader.generation, atoms), accounts)
    }

    /// Withdraws `atoms` to the owner's token account `target`, at once or through the queue.
    pub fn withdraw(&self, trader: &Trader, target: Address, atoms: QuoteAtoms) -> Instruction {
        let accounts = vec![
            signer(trader.authority),
            writable(self.ledger),
            writable(target),
            writable(self.vault),
            readonly(address::vault_authority(&self.program, &self.ledger)),
            readonly(TOKEN_PROGRAM),
        ];
        self.instruction(Tag::Withdraw, trader.cell, &MoveCash::new(trader.generation, atoms), accounts)
    }

    /// Pays the first waiting withdrawal, whose `target` is [`quantdesk_engine::outflow::waiting`]'s first.
    pub fn process_withdraw_queue(&self, target: Address) -> Instruction {
        let accounts = vec![
            writable(self.ledger),
            writable(target),
            writable(self.vault),
            readonly(address::vault_authority(&self.program, &self.ledger)),
            readonly(TOKEN_PROGRAM),
        ];
        self.instruction(Tag::ProcessWithdrawQueue, CellIndex::NIL, &(), accounts)
    }

    /// Moves `atoms` of cash to another trader of the same owner.
    pub fn transfer_cash(&self, trader: &Trader, target: &Trader, atoms: QuoteAtoms) -> Instruction {
        let accounts = vec![signer(trader.authority), writable(self.ledger)];
        let arguments = TransferCash::new(trader.generation, target.cell, target.generation, atoms);
        self.instruction(Tag::TransferCash, trader.cell, &arguments, accounts)
    }

    /// Says that the trader is there for so many `seconds`; 0 turns its dead-man switch off.
    pub fn heartbeat(&self, trader: &Trader, seconds: u32) -> Instruction {
        let accounts = vec![signer(trader.authority), writable(self.ledger)];
        let arguments = Heartbeat { generation: trader.generation, seconds };
        self.instruction(Tag::Heartbeat, trader.cell, &arguments, accounts)
    }

    /// Says that builders may charge the trader at most this many ppm of what its orders take.
    pub fn set_builder_max(&self, trader: &Trader, builder_max: u16) -> Instruction {
        let accounts = vec![signer(trader.authority), writable(self.ledger)];
        let arguments = SetBuilderMax::new(trader.generation, builder_max);
        self.instruction(Tag::SetBuilderMax, trader.cell, &arguments, accounts)
    }

    /// Names who brought the trader, once and for all.
    pub fn set_referrer(&self, trader: &Trader, referrer: Target) -> Instruction {
        let accounts = vec![signer(trader.authority), writable(self.ledger)];
        let arguments = SetReferrer::new(trader.generation, referrer.trader, referrer.generation);
        self.instruction(Tag::SetReferrer, trader.cell, &arguments, accounts)
    }

    /// Names who may also trade for the trader, or nobody.
    pub fn set_delegate(&self, trader: &Trader, delegate: Option<Address>) -> Instruction {
        let accounts = vec![signer(trader.authority), writable(self.ledger)];
        let delegate = delegate.map_or(Key::ZERO, |delegate| Key::new(delegate.as_array()));
        self.instruction(Tag::SetDelegate, trader.cell, &SetDelegate::new(trader.generation, delegate), accounts)
    }

    /// Lets `key` trade for the trader on these terms. What it signs is built as for the trader and then put
    /// [`Self::in_session`].
    pub fn open_session(&self, trader: &Trader, key: Address, terms: &SessionTerms) -> Instruction {
        let accounts = vec![
            AccountMeta::new(trader.authority, true),
            writable(self.ledger),
            writable(address::session(&self.program, &self.ledger, &key)),
            readonly(SYSTEM_PROGRAM),
        ];
        let arguments = OpenSession::new(trader.generation, Key::new(key.as_array()), *terms);
        self.instruction(Tag::OpenSession, trader.cell, &arguments, accounts)
    }

    /// Ends the session of `key`, which `owner` opened; its rent goes back there.
    pub fn close_session(&self, owner: Address, key: &Address) -> Instruction {
        let session = address::session(&self.program, &self.ledger, key);
        let accounts = vec![AccountMeta::new(owner, true), writable(self.ledger), writable(session)];
        self.instruction(Tag::CloseSession, CellIndex::NIL, &(), accounts)
    }

    /// An order instruction or heartbeat of the trader, signed by the `key` of a session instead.
    pub fn in_session(&self, mut instruction: Instruction, key: Address) -> Instruction {
        let session = address::session(&self.program, &self.ledger, &key);
        let heartbeat = instruction.data.first() == Some(&Tag::Heartbeat.byte());
        if let Some(first) = instruction.accounts.first_mut() {
            *first = signer(key);
        }
        instruction.accounts.push(if heartbeat { readonly(session) } else { writable(session) });
        instruction
    }

    /// Says that the trader's orders are for markets with at most this taker fee; `None` for any.
    pub fn set_fee_max(&self, trader: &Trader, fee_max: Option<Ppm>) -> Instruction {
        let accounts = vec![signer(trader.authority), writable(self.ledger)];
        let arguments = SetFeeMax { generation: trader.generation, fee_max: fee_max.unwrap_or(FEE_UNLIMITED) };
        self.instruction(Tag::SetFeeMax, trader.cell, &arguments, accounts)
    }

    /// Guards the trader: its cash leaves only to targets, and new targets wait so many `seconds`; 0 to guard no longer.
    pub fn set_withdraw_delay(&self, trader: &Trader, seconds: u32) -> Instruction {
        let accounts = vec![signer(trader.authority), writable(self.ledger)];
        let arguments = SetWithdrawDelay { generation: trader.generation, seconds };
        self.instruction(Tag::SetWithdrawDelay, trader.cell, &arguments, accounts)
    }

    /// Names a token account as a target of the trader's withdrawals, or strikes it off.
    pub fn allow_target(&self, trader: &Trader, target: &Address, allowed: bool) -> Instruction {
        let accounts = vec![signer(trader.authority), writable(self.ledger)];
        let arguments = AllowTarget::new(trader.generation, Key::new(target.as_array()), allowed);
        self.instruction(Tag::AllowTarget, trader.cell, &arguments, accounts)
    }

    /// Stakes `atoms` of the trader's cash in the protection pool.
    pub fn stake_pool(&self, trader: &Trader, atoms: QuoteAtoms) -> Instruction {
        let accounts = vec![
            AccountMeta::new(trader.authority, true),
            writable(self.ledger),
            writable(address::stake(&self.program, &self.ledger, &trader.authority)),
            readonly(SYSTEM_PROGRAM),
        ];
        self.instruction(Tag::StakePool, trader.cell, &MoveCash::new(trader.generation, atoms), accounts)
    }

    /// Asks for `shares` of the trader's owner's stake.
    pub fn request_unstake(&self, trader: &Trader, shares: u64) -> Instruction {
        let arguments = RequestUnstake::new(trader.generation, shares);
        self.instruction(Tag::RequestUnstake, trader.cell, &arguments, self.staker(trader))
    }

    /// Takes the stake asked for into the trader's cash.
    pub fn unstake(&self, trader: &Trader) -> Instruction {
        self.instruction(Tag::Unstake, trader.cell, &Unstake::new(trader.generation), self.staker(trader))
    }

    fn staker(&self, trader: &Trader) -> Vec<AccountMeta> {
        let stake = address::stake(&self.program, &self.ledger, &trader.authority);
        vec![signer(trader.authority), writable(self.ledger), writable(stake)]
    }

    /// Gives `atoms` of the trader's cash to the protection pool.
    pub fn fund_pool(&self, trader: &Trader, atoms: QuoteAtoms) -> Instruction {
        let accounts = vec![signer(trader.authority), writable(self.ledger)];
        self.instruction(Tag::FundPool, trader.cell, &MoveCash::new(trader.generation, atoms), accounts)
    }

    /// Places an order. After `valid_until` (0: never) the instruction is refused.
    pub fn place_order(
        &self,
        trader: &Trader,
        market: &Address,
        order: &NewOrder,
        valid_until: UnixSeconds,
    ) -> Instruction {
        let guard = BookGuard { valid_until, ..BookGuard::default() };
        self.trade(Tag::PlaceOrder, trader, market, &PlaceOrder::new(trader.generation, order, &guard))
    }

    /// Places an order with all that its ticket says: its guards and its builder, too.
    pub fn place_ticket(&self, trader: &Trader, market: &Address, ticket: &Ticket) -> Instruction {
        let arguments = PlaceOrder::new(trader.generation, &ticket.build(), &ticket.guard());
        let arguments = ticket.brought_by().map_or(arguments, |builder| arguments.brought_by(&builder));
        self.trade(Tag::PlaceOrder, trader, market, &arguments)
    }

    /// Places up to 16 orders, all or none. They expire at `expires_at` (0: never), whatever they say themselves.
    pub fn place_orders(
        &self,
        trader: &Trader,
        market: &Address,
        orders: &[NewOrder],
        expires_at: UnixSeconds,
        guard: &BookGuard,
    ) -> Instruction {
        let arguments = PlaceOrders::new(trader.generation, count_of(orders), expires_at, guard);
        let mut instruction = self.trade(Tag::PlaceOrders, trader, market, &arguments);
        for order in orders {
            instruction.data.extend_from_slice(bytes_of(&OrderEntry::new(order)));
        }
        instruction
    }

    /// Replaces the trader's quotes, at most 16, if `wanted.sequence` is larger than the last one's. After `valid_until`
    /// (0: never) the instruction is refused.
    pub fn replace_quotes(
        &self,
        trader: &Trader,
        market: &Address,
        wanted: &Replacement<'_>,
        valid_until: UnixSeconds,
    ) -> Instruction {
        let arguments = ReplaceQuotes::new(trader.generation, wanted, valid_until);
        let mut instruction = self.trade(Tag::ReplaceQuotes, trader, market, &arguments);
        instruction.data.extend_from_slice(bytemuck::cast_slice(wanted.quotes));
        instruction
    }

    /// Sets the trader's ladder, or takes it away if `wanted` has no levels. After `valid_until` (0: never) the instruction is
    /// refused.
    pub fn set_ladder(
        &self,
        trader: &Trader,
        market: &Address,
        wanted: &NewLadder<'_>,
        valid_until: UnixSeconds,
    ) -> Instruction {
        let arguments = SetLadder::new(trader.generation, wanted, valid_until);
        let mut instruction = self.trade(Tag::SetLadder, trader, market, &arguments);
        for side in [wanted.bids, wanted.asks] {
            instruction.data.extend_from_slice(bytemuck::cast_slice(side.levels));
        }
        instruction
    }

    /// Moves a ladder (see [`crate::ladder::find`]) to the middle `mid`; its `quoter` signs.
    pub fn move_ladder(
        &self,
        quoter: Address,
        market: &Address,
        ladder: LadderHandle,
        sequence: u64,
        mid: Ticks,
    ) -> Instruction {
        let arguments = MoveLadder::new(sequence, mid, ladder.number, ladder.position);
        let accounts = vec![signer(quoter), writable(*market)];
        self.instruction(Tag::MoveLadder, CellIndex::NIL, &arguments, accounts)
    }

    /// Cancels the order with this handle.
    pub fn cancel_order(&self, trader: &Trader, market: &Address, node: NodeIndex, sequence: Sequence) -> Instruction {
        let arguments = CancelOrder { generation: trader.generation, node, sequence };
        self.trade(Tag::CancelOrder, trader, market, &arguments)
    }

    /// Cancels up to `limit` of the trader's orders in the market.
    pub fn cancel_all(&self, trader: &Trader, market: &Address, sides: Sides, limit: u8) -> Instruction {
        self.trade(Tag::CancelAll, trader, market, &CancelAll::new(trader.generation, sides, limit))
    }

    /// Cancels those of up to 16 orders that are still live.
    pub fn cancel_orders(&self, trader: &Trader, market: &Address, handles: &[(NodeIndex, Sequence)]) -> Instruction {
        let arguments = CancelOrders::new(trader.generation, count_of(handles));
        let mut instruction = self.trade(Tag::CancelOrders, trader, market, &arguments);
        append(&mut instruction, handles);
        instruction
    }

    /// Cancels the order with the trader's own id.
    pub fn cancel_by_client_id(&self, trader: &Trader, market: &Address, client_id: u64) -> Instruction {
        let arguments = CancelByClientId::new(trader.generation, client_id);
        self.trade(Tag::CancelByClientId, trader, market, &arguments)
    }

    /// Places a conditional order.
    pub fn place_trigger(
        &self,
        trader: &Trader,
        market: &Address,
        trigger: &NewTrigger,
        valid_until: UnixSeconds,
    ) -> Instruction {
        let arguments = PlaceTrigger::new(trader.generation, trigger, valid_until);
        self.trade(Tag::PlaceTrigger, trader, market, &arguments)
    }

    /// Cancels a conditional order by its handle.
    pub fn cancel_trigger(&self, trader: &Trader, market: &Address, handle: TriggerHandle) -> Instruction {
        let arguments = CancelTrigger::by_handle(trader.generation, handle);
        self.trade(Tag::CancelTrigger, trader, market, &arguments)
    }

    /// Cancels a conditional order by the trader's own id.
    pub fn cancel_trigger_by_client_id(&self, trader: &Trader, market: &Address, client_id: u64) -> Instruction {
        let arguments = CancelTrigger::by_client_id(trader.generation, client_id);
        self.trade(Tag::CancelTrigger, trader, market, &arguments)
    }

    /// Executes up to 8 conditional orders, whoever's, that are due; `keeper` gets the tips.
    pub fn execute_triggers(&self, keeper: &Trader, market: &Address, handles: &[TriggerHandle]) -> Instruction {
        let named: Vec<_> = handles.iter().map(|handle| (NodeIndex::new(handle.cell.get()), handle.number)).collect();
        let arguments = ExecuteTriggers::new(keeper.generation, count_of(&named));
        let mut instruction = self.trade(Tag::ExecuteTriggers, keeper, market, &arguments);
        append(&mut instruction, &named);
        instruction
    }

    /// Gives a resting order this price and size. Fewer lots at its price keep its place in the queue.
    pub fn amend_order(
        &self,
        trader: &Trader,
        market: &Address,
        handle: (NodeIndex, Sequence),
        price: Ticks,
        lots: Lots,
    ) -> Instruction {
        let arguments = AmendOrder::new(trader.generation, handle.0, handle.1, price, lots);
        self.trade(Tag::AmendOrder, trader, market, &arguments)
    }

    /// Moves the price board of the market in row `index`; `sources` in the order of the listing.
    pub fn update_price(&self, market: &Address, index: MarketIndex, sources: &[Address]) -> Instruction {
        let mut accounts = vec![readonly(self.exchange), writable(self.ledger), readonly(*market)];
        accounts.extend(sources.iter().copied().map(readonly));
        self.instruction(Tag::UpdatePrice, CellIndex::NIL, &UpdatePrice::new(index), accounts)
    }

    /// Gives a market its last price.
    pub fn settle_market(&self, market: &Address) -> Instruction {
        let accounts = vec![writable(*market), writable(self.ledger)];
        self.instruction(Tag::SettleMarket, CellIndex::NIL, &[0u8; 0], accounts)
    }

    /// Closes a long and a short position in a settled market against each other.
    pub fn settle_market_position(&self, market: &Address, long: Target, short: Target) -> Instruction {
        let accounts = vec![writable(*market), writable(self.ledger)];
        self.instruction(Tag::SettleMarketPosition, CellIndex::NIL, &SettleMarketPosition { long, short }, accounts)
    }

    /// Looks for failing accounts in the next `cells` cells.
    pub fn sweep(&self, cells: u16) -> Instruction {
        self.instruction(Tag::Sweep, CellIndex::NIL, &Sweep::new(cells), vec![writable(self.ledger)])
    }

    /// Cancels up to `limit` orders of a trader whose dead-man switch has run out.
    pub fn enforce_deadman(&self, market: &Address, target: Target, limit: u8) -> Instruction {
        let accounts = vec![writable(*market), writable(self.ledger)];
        self.instruction(Tag::EnforceDeadman, CellIndex::NIL, &EnforceDeadman::new(target, limit), accounts)
    }

    /// Drops those of up to 16 orders that have expired.
    pub fn drop_expired(&self, market: &Address, handles: &[(NodeIndex, Sequence)]) -> Instruction {
        let accounts = vec![writable(*market), writable(self.ledger)];
        let arguments = DropExpired::new(count_of(handles));
        let mut instruction = self.instruction(Tag::DropExpired, CellIndex::NIL, &arguments, accounts);
        append(&mut instruction, handles);
        instruction
    }

    /// Runs takers that have waited long enough, in `limit` runs at most.
    pub fn run_delayed(&self, market: &Address, limit: u8) -> Instruction {
        let accounts = vec![writable(*market), writable(self.ledger)];
        self.instruction(Tag::RunDelayed, CellIndex::NIL, &RunDelayed::new(limit), accounts)
    }

    /// Cancels up to `limit` orders of a failing account.
    pub fn cancel_for_risk(&self, market: &Address, target: Target, limit: u8) -> Instruction {
        let accounts = vec![writable(*market), writable(self.ledger)];
        self.instruction(Tag::CancelForRisk, CellIndex::NIL, &CancelForRisk::new(target, limit), accounts)
    }

    /// Closes a failing position through the book; `keeper` gets a part of the fee.
    pub fn liquidate(&self, keeper: &Trader, market: &Address, target: Target, match_limit: u8) -> Instruction {
        self.trade(Tag::Liquidate, keeper, market, &Liquidate::new(keeper.generation, target, match_limit))
    }

    /// Moves up to `lots_max` lots of a failing position to `liquidator`'s account.
    pub fn take_over(&self, liquidator: &Trader, market: &Address, target: Target, lots_max: Lots) -> Instruction {
        self.trade(Tag::TakeOver, liquidator, market, &TakeOver::new(liquidator.generation, target, lots_max))
    }

    /// Lets the pool pay what a bankrupt account lacks, out of `market`'s budget.
    pub fn absorb_shortfall(&self, market: MarketIndex, target: Target) -> Instruction {
        let arguments = AbsorbShortfall::new(target, market);
        self.instruction(Tag::AbsorbShortfall, CellIndex::NIL, &arguments, vec![writable(self.ledger)])
    }

    /// Closes a bankrupt position against its counterparties, or goes on with what is under way in the market.
    pub fn deleverage(&self, market: &Address, target: Target, steps: u16) -> Instruction {
        let accounts = vec![writable(*market), writable(self.ledger)];
        self.instruction(Tag::Deleverage, CellIndex::NIL, &Deleverage::new(target, steps), accounts)
    }
}

/// More than fit are refused by the program, whatever is said about their number.
fn count_of<T>(entries: &[T]) -> u8 {
    u8::try_from(entries.len()).unwrap_or(u8::MAX)
}

fn append(instruction: &mut Instruction, handles: &[(NodeIndex, Sequence)]) {
    for (node, sequence) in handles {
        instruction.data.extend_from_slice(bytes_of(&OrderHandle::new(*node, *sequence)));
    }
}

fn signer(address: Address) -> AccountMeta {
    AccountMeta::new_readonly(address, true)
}

fn writable(address: Address) -> AccountMeta {
    AccountMeta::new(address, false)
}

fn readonly(address: Address) -> AccountMeta {
    AccountMeta::new_readonly(address, false)
}
