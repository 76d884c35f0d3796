//! One builder per instruction. Accounts, their order and their flags are those documented in the program's file of the
//! same name.

use bytemuck::{NoUninit, bytes_of};
use quantdesk_engine::{
    CellIndex, Generation, MarketIndex, NodeIndex, QuoteAtoms, Sequence, UnixSeconds,
    book::{NewOrder, Sides},
    risk::listing::ListingParameters,
};
use quantdesk_program::{
    Tag,
    instruction::{
        crank::update_price::UpdatePrice,
        exchange::{collect_fees::CollectFees, create_exchange::CreateExchange, grow_ledger::GrowLedger},
        order::{cancel_all::CancelAll, cancel_order::CancelOrder, place_order::PlaceOrder},
        trader::{MoveCash, close_trader::CloseTrader, open_trader::OpenTrader},
    },
    tag::Head,
};
use solana_address::Address;
use solana_instruction::{AccountMeta, Instruction};

use crate::address;

/// The System program.
pub const SYSTEM_PROGRAM: Address = Address::from_str_const("11111111111111111111111111111111");
/// The classic SPL Token program.
pub const TOKEN_PROGRAM: Address = Address::from_str_const("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA");

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
    pub fn create_exchange(&self, admin: Address, id: u64, events_capacity: u32) -> Instruction {
        let accounts = vec![
            AccountMeta::new(admin, true),
            writable(self.exchange),
            AccountMeta::new(self.ledger, true),
            readonly(self.vault),
            readonly(self.mint),
            readonly(address::vault_authority(&self.program, &self.ledger)),
            readonly(SYSTEM_PROGRAM),
        ];
        self.instruction(Tag::CreateExchange, CellIndex::NIL, &CreateExchange::new(id, events_capacity), accounts)
    }

    /// Lists a market. Its account, whose key signs, must exist with the size of [`quantdesk_engine::state::market::market_size`].
    pub fn list_market(&self, admin: Address, market: Address, parameters: &ListingParameters) -> Instruction {
        let accounts =
            vec![signer(admin), writable(self.exchange), writable(self.ledger), AccountMeta::new(market, true)];
        self.instruction(Tag::ListMarket, CellIndex::NIL, parameters, accounts)
    }

    /// Adds `cells` cells, 1 to 80, to the ledger.
    pub fn grow_ledger(&self, admin: Address, cells: u32) -> Instruction {
        let accounts = vec![
            AccountMeta::new(admin, true),
            readonly(self.exchange),
            writable(self.ledger),
            readonly(SYSTEM_PROGRAM),
        ];
        self.instruction(Tag::GrowLedger, CellIndex::NIL, &GrowLedger::new(cells), accounts)
    }

    /// Pays `atoms` of earned fees to the admin's token account `target`.
    pub fn collect_fees(&self, admin: Address, target: Address, atoms: QuoteAtoms) -> Instruction {
        let accounts = vec![
            signer(admin),
            readonly(self.exchange),
            writable(self.ledger),
            writable(target),
            writable(self.vault),
            readonly(address::vault_authority(&self.program, &self.ledger)),
            readonly(TOKEN_PROGRAM),
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

    /// Withdraws `atoms` to the owner's token account `target`.
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

    /// Places an order. After `valid_until` (0: never) the instruction is refused.
    pub fn place_order(
        &self,
        trader: &Trader,
        market: &Address,
        order: &NewOrder,
        valid_until: UnixSeconds,
    ) -> Instruction {
        self.trade(Tag::PlaceOrder, trader, market, &PlaceOrder::new(trader.generation, order, valid_until))
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

    /// Moves a market's price board; `sources` in the order of the listing.
    pub fn update_price(&self, market: MarketIndex, sources: &[Address]) -> Instruction {
        let mut accounts = vec![readonly(self.exchange), writable(self.ledger)];
        accounts.extend(sources.iter().copied().map(readonly));
        self.instruction(Tag::UpdatePrice, CellIndex::NIL, &UpdatePrice::new(market), accounts)
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
