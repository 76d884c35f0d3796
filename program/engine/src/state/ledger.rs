//! The ledger: one slab with all traders, positions, market rows and cash events of a risk group.
//!
//! ```text
//! ┌──────────────┬───────────────────┬──────────────────────────┬───────────────────────────────┐
//! │ LedgerHeader │ 32 × MarketRow    │ ring of CashEvent        │ arena of 128-byte cells       │
//! │ 512 B        │ 20 KiB            │ events_capacity × 64 B   │ capacity × 128 B, may grow    │
//! └──────────────┴───────────────────┴──────────────────────────┴───────────────────────────────┘
//! ```

use super::{
    access::AccessCell,
    cell::{CELL_SIZE, Cell, PositionCell, TraderCell},
    event::{CashEvent, CashEventKind},
    exchange::MARKETS_MAX,
    fees::FeeSchedule,
    header::{AccountHeader, Key},
    row::{MarketRow, ROW_SIZE},
    trigger::TriggerCell,
};
use crate::{
    error::{EngineError, Result},
    governance::mode::Modes,
    math,
    money::Balance,
    outflow::Bucket,
    slab::{self, free_list::FreeList, ring},
    units::{CellIndex, Generation, MarketIndex, Now, Ppm, QuoteAtoms, Sequence},
};
use bytemuck::{Pod, Zeroable};

/// `"QDLEDGER"`.
pub const LEDGER_DISCRIMINATOR: u64 = u64::from_le_bytes(*b"QDLEDGER");
/// Largest account the chain allows.
pub const ACCOUNT_SIZE_MAX: usize = 10 << 20;

/// Start of the ledger account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct LedgerHeader {
    /// Header; the bump is that of the vault authority.
    pub header: AccountHeader,
    /// The exchange this ledger belongs to.
    pub exchange: Key,
    /// The token account that holds all collateral.
    pub vault: Key,
    /// The collateral's mint.
    pub mint: Key,
    /// Sum of all buckets; what the vault owes. Tokens in the vault above it are donations.
    pub total: Balance,
    /// Protection pool.
    pub pool: Balance,
    /// Fees earned.
    pub fees: Balance,
    /// Owed to queued withdrawals.
    pub withdraw_queue: Balance,
    /// Cash events written.
    pub events_written: Sequence,
    /// Cells of the arena.
    pub cells: FreeList,
    events_capacity: u32,
    /// Last generation given to a trader.
    pub generation: Generation,
    /// Markets listed.
    pub markets_len: u16,
    /// Decimals of the collateral's mint.
    pub mint_decimals: u8,
    /// 1 once changes go through the queue; before that, nothing can be deposited.
    pub sealed: u8,
    /// Trader cells in use.
    pub traders: u32,
    /// What may leave, what the pool gets, how fees go by volume.
    pub policy: Policy,
    /// What has left lately.
    pub outflow: Bucket,
    /// Shares of the protection pool.
    pub pool_shares: u64,
    /// Times the pool was used up entirely; shares of an earlier time are worth nothing.
    pub pool_epoch: u32,
    /// Accounts marked bankrupt and not yet resolved.
    pub bankrupts: u32,
    /// First and last of the waiting withdrawals.
    pub queue_first: CellIndex,
    /// First and last of the waiting withdrawals.
    pub queue_last: CellIndex,
    /// Waiting withdrawals.
    pub queue_len: u32,
    /// Where the next sweep starts.
    pub sweep_cursor: CellIndex,
    /// The worst accounts that sweeps found, worst first; unused places are zero.
    pub watch: [Watched; WATCH_MAX],
    /// What is refused at present, and until when.
    pub modes: Modes,
    reserved: [u8; 16],
}

/// Triggers of one position, which bounds every walk over them.
pub const TRIGGERS_PER_POSITION_MAX: usize = 16;

/// Accounts a sweep remembers.
pub const WATCH_MAX: usize = 8;

/// What may leave the vault, and how fees are charged and shared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Policy {
    /// Withdrawals of an hour that are paid at once, as a share of the ledger's total.
    pub outflow_rate: Ppm,
    /// Longest time a withdrawal waits in the queue, in seconds.
    pub queue_seconds: u32,
    /// Withdrawals of an hour that are always paid at once.
    pub outflow_floor: QuoteAtoms,
    /// The pool's share of collected fees.
    pub pool_fee_share: Ppm,
    /// Seconds between asking for stake and getting it.
    pub unstake_seconds: u32,
    /// Tiers by volume, and the referrers' share.
    pub fees: FeeSchedule,
}

/// An account that a sweep found below maintenance margin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Watched {
    /// Its cell.
    pub trader: u32,
    /// Its incarnation; zero in an unused place.
    pub generation: Generation,
    /// Equity as a share of its maintenance requirement when seen; zero without equity.
    pub health: Ppm,
    /// Seconds since 1970 when seen, modulo 2^32.
    pub seen_at: u32,
}

/// Bytes of the ledger's header.
pub const LEDGER_HEADER_SIZE: usize = 512;
const _: () = assert!(size_of::<LedgerHeader>() == LEDGER_HEADER_SIZE && align_of::<LedgerHeader>() == 8);

/// What a new ledger needs to know.
#[derive(Clone, Copy, Debug)]
pub struct LedgerIdentity {
    /// The exchange.
    pub exchange: Key,
    /// The vault.
    pub vault: Key,
    /// The mint.
    pub mint: Key,
    /// Decimals of the mint.
    pub mint_decimals: u8,
    /// Bump of the vault authority.
    pub vault_bump: u8,
    /// Limits.
    pub policy: Policy,
}

/// Mutable view over a ledger account.
#[derive(Debug)]
pub struct Ledger<'a> {
    /// Header.
    pub header: &'a mut LedgerHeader,
    /// Market rows, all 32.
    pub rows: &'a mut [MarketRow],
    /// Ring of cash events.
    pub events: &'a mut [CashEvent],
    /// Arena.
    pub cells: &'a mut [Cell],
}

/// Read-only view over a ledger account.
#[derive(Clone, Copy, Debug)]
pub struct LedgerView<'a> {
    /// Header.
    pub header: &'a LedgerHeader,
    /// Market rows, all 32.
    pub rows: &'a [MarketRow],
    /// Ring of cash events.
    pub events: &'a [CashEvent],
    /// Arena.
    pub cells: &'a [Cell],
}

impl LedgerHeader {
    fn new(identity: &LedgerIdentity, events_capacity: u32, cells_capacity: u32) -> Self {
        Self {
            header: AccountHeader::new(LEDGER_DISCRIMINATOR, identity.vault_bump),
            exchange: identity.exchange,
            vault: identity.vault,
            mint: identity.mint,
            mint_decimals: identity.mint_decimals,
            cells: FreeList::new(cells_capacity),
            events_capacity,
            policy: identity.policy,
            queue_first: CellIndex::NIL,
            queue_last: CellIndex::NIL,
            ..Self::zeroed()
        }
    }

    /// Whether changes go through the queue, and cash may come in.
    #[inline(always)]
    pub const fn is_sealed(&self) -> bool {
        self.sealed > 0
    }
}

/// Bytes of a ledger with these capacities.
pub const fn ledger_size(events_capacity: u32, cells_capacity: u32) -> usize {
    // Two u32 counts times small sizes: far below 2^64.
    LEDGER_HEADER_SIZE
        .wrapping_add(MARKETS_MAX.wrapping_mul(ROW_SIZE))
        .wrapping_add(math::to_usize(events_capacity).wrapping_mul(size_of::<CashEvent>()))
        .wrapping_add(math::to_usize(cells_capacity).wrapping_mul(CELL_SIZE))
}

impl<'a> Ledger<'a> {
    /// Turns blank bytes into an empty ledger; the arena takes what the ring leaves. Fails with `CapacityInvalid` if
    /// the ring's length is no power of two or no cell fits, with `AccountNotBlank` if the bytes are in use.
    pub fn create(bytes: &'a mut [u8], identity: &LedgerIdentity, events_capacity: u32) -> Result<Self> {
        let fixed = ledger_size(events_capacity, 0);
        let rest = bytes.len().checked_sub(fixed).ok_or(EngineError::CapacityInvalid)?;
        let fits = events_capacity.is_power_of_two() && rest >= CELL_SIZE && rest % CELL_SIZE == 0;
        if !fits || bytes.len() > ACCOUNT_SIZE_MAX {
            return Err(EngineError::CapacityInvalid);
        }
        let cells = math::to_u32(rest / CELL_SIZE)?;
        let (header, _): (&mut LedgerHeader, _) = slab::take_one_mut(bytes)?;
        if !header.header.is_blank() {
            return Err(EngineError::AccountNotBlank);
        }
        *header = LedgerHeader::new(identity, events_capacity, cells);
        Self::load(bytes)
    }

    /// The ledger in these bytes. Fails with `AccountSize`, `AccountType` or `AccountVersion`.
    #[inline(always)]
    pub fn load(bytes: &'a mut [u8]) -> Result<Self> {
        let len = bytes.len();
        let (header, rest): (&mut LedgerHeader, _) = slab::take_one_mut(bytes)?;
        header.header.check(LEDGER_DISCRIMINATOR)?;
        if len != ledger_size(header.events_capacity, header.cells.capacity()) {
            return Err(EngineError::AccountSize);
        }
        let (rows, rest) = slab::take_mut(rest, MARKETS_MAX)?;
        let (events, rest) = slab::take_mut(rest, math::to_usize(header.events_capacity))?;
        let (cells, _) = slab::take_mut(rest, math::to_usize(header.cells.capacity()))?;
        Ok(Self { header, rows, events, cells })
    }

    /// Takes over cells that were appended to the account. `bytes` are the grown account. Fails with
    /// `CapacityInvalid` unless whole cells were added.
    pub fn grow(bytes: &'a mut [u8]) -> Result<Self> {
        let len = bytes.len();
        let (header, _): (&mut LedgerHeader, _) = slab::take_one_mut(bytes)?;
        header.header.check(LEDGER_DISCRIMINATOR)?;
        let before = ledger_size(header.events_capacity, header.cells.capacity());
        let added = len.checked_sub(before).ok_or(EngineError::CapacityInvalid)?;
        if added == 0 || added % CELL_SIZE != 0 || len > ACCOUNT_SIZE_MAX {
            return Err(EngineError::CapacityInvalid);
        }
        header.cells.grow(math::to_u32(added / CELL_SIZE)?)?;
        Self::load(bytes)
    }

    /// The same, read-only.
    #[inline(always)]
    pub fn view(&self) -> LedgerView<'_> {
        LedgerView { header: self.header, rows: self.rows, events: self.events, cells: self.cells }
    }

    /// Row of a listed market. Fails with `MarketNotFound`.
    #[inline(always)]
    pub fn row_mut(&mut self, market: MarketIndex) -> Result<&mut MarketRow> {
        if market.get() >= self.header.markets_len {
            return Err(EngineError::MarketNotFound);
        }
        self.rows.get_mut(usize::from(market.get())).ok_or(EngineError::MarketNotFound)
    }

    /// Row of a listed market. Fails with `MarketNotFound`.
    #[inline(always)]
    pub fn row(&self, market: MarketIndex) -> Result<&MarketRow> {
        row(self.header, self.rows, market)
    }

    /// A trader. Fails with `TraderNotFound`.
    #[inline(always)]
    pub fn trader(&self, index: CellIndex) -> Result<&TraderCell> {
        trader(self.cells, index)
    }

    /// A trader. Fails with `TraderNotFound`.
    #[inline(always)]
    pub fn trader_mut(&mut self, index: CellIndex) -> Result<&mut TraderCell> {
        trader_mut(self.cells, index)
    }

    /// A position by its cell. Fails with `Corrupt`: such an index only comes from account bytes.
    #[inline(always)]
    pub fn position(&self, index: CellIndex) -> Result<&PositionCell> {
        position(self.cells, index)
    }

    /// A position by its cell. Fails with `Corrupt`: such an index only comes from account bytes.
    #[inline(always)]
    pub fn position_mut(&mut self, index: CellIndex) -> Result<&mut PositionCell> {
        position_mut(self.cells, index)
    }

    /// A trigger by its cell. Fails with `Corrupt`: such an index only comes from account bytes.
    #[inline(always)]
    pub fn trigger(&self, index: CellIndex) -> Result<&TriggerCell> {
        trigger(self.cells, index)
    }

    /// A trigger by its cell. Fails with `Corrupt`: such an index only comes from account bytes.
    #[inline(always)]
    pub fn trigger_mut(&mut self, index: CellIndex) -> Result<&mut TriggerCell> {
        self.cells.get_mut(index.as_usize()).and_then(Cell::trigger_mut).ok_or(EngineError::Corrupt)
    }

    /// Writes a cash event about a trader, or about nobody if `trader` is nil.
    pub fn record(&mut self, now: Now, trader: CellIndex, mut event: CashEvent) -> Result<()> {
        if !trader.is_nil() {
            let cell = self.trader(trader)?;
            event.generation = cell.generation;
            event.balance = cell.cash.get().get();
        }
        event.trader = trader;
        event.unix_seconds = now.unix_seconds;
        event.slot = now.slot;
        ring::append(self.events, &mut self.header.events_written, event)
    }

    /// Writes a cash event with an amount about a trader.
    pub fn record_amount(&mut self, now: Now, trader: CellIndex, kind: CashEventKind, amount: i64) -> Result<()> {
        let mut event = CashEvent::new(kind);
        event.amount = amount;
        self.record(now, trader, event)
    }
}

impl<'a> LedgerView<'a> {
    /// The ledger in these bytes. Fails with `AccountSize`, `AccountType` or `AccountVersion`.
    pub fn load(bytes: &'a [u8]) -> Result<Self> {
        let (header, rest): (&LedgerHeader, _) = slab::take_one(bytes)?;
        header.header.check(LEDGER_DISCRIMINATOR)?;
        if bytes.len() != ledger_size(header.events_capacity, header.cells.capacity()) {
            return Err(EngineError::AccountSize);
        }
        let (rows, rest) = slab::take(rest, MARKETS_MAX)?;
        let (events, rest) = slab::take(rest, math::to_usize(header.events_capacity))?;
        let (cells, _) = slab::take(rest, math::to_usize(header.cells.capacity()))?;
        Ok(Self { header, rows, events, cells })
    }

    /// Row of a listed market. Fails with `MarketNotFound`.
    #[inline(always)]
    pub fn row(&self, market: MarketIndex) -> Result<&'a MarketRow> {
        row(self.header, self.rows, market)
    }

    /// A trader. Fails with `TraderNotFound`.
    #[inline(always)]
    pub fn trader(&self, index: CellIndex) -> Result<&'a TraderCell> {
        trader(self.cells, index)
    }

    /// A position by its cell. Fails with `Corrupt`.
    #[inline(always)]
    pub fn position(&self, index: CellIndex) -> Result<&'a PositionCell> {
        position(self.cells, index)
    }

    /// A trader's access cell, if it has one. Fails with `Corrupt`.
    #[inline(always)]
    pub fn access(&self, trader: &TraderCell) -> Result<Option<&'a AccessCell>> {
        if trader.access.is_nil() {
            return Ok(None);
        }
        let cell = self.cells.get(trader.access.as_usize()).and_then(Cell::access);
        cell.map(Some).ok_or(EngineError::Corrupt)
    }

    /// A trader's positions, as `(cell, position)`, newest market first. Ends early on a contradiction in the bytes;
    /// the invariants report it.
    pub fn positions(&self, trader: &TraderCell) -> impl Iterator<Item = (CellIndex, &'a PositionCell)> {
        let cells = self.cells;
        let mut next = trader.first_position;
        let mut left = MARKETS_MAX;
        core::iter::from_fn(move || {
            if next.is_nil() || left == 0 {
                return None;
            }
            left = left.wrapping_sub(1);
            let cell = next;
            let position = position(cells, cell).ok()?;
            next = position.next;
            Some((cell, position))
        })
    }

    /// A position's triggers, as `(cell, trigger)`, newest first. Ends early on a contradiction in the bytes; the
    /// invariants report it.
    pub fn triggers(&self, position: &PositionCell) -> impl Iterator<Item = (CellIndex, &'a TriggerCell)> {
        let cells = self.cells;
        let mut next = position.first_trigger;
        let mut left = TRIGGERS_PER_POSITION_MAX;
        core::iter::from_fn(move || {
            if next.is_nil() || left == 0 {
                return None;
            }
            left = left.wrapping_sub(1);
            let cell = next;
            let trigger = trigger(cells, cell).ok()?;
            next = trigger.next;
            Some((cell, trigger))
        })
    }

    /// All triggers with their cells.
    pub fn all_triggers(&self) -> impl Iterator<Item = (CellIndex, &'a TriggerCell)> {
        self.cells.iter().zip(0u32..).filter_map(|(cell, index)| Some((CellIndex::new(index), cell.trigger()?)))
    }

    /// All traders with their cells.
    pub fn traders(&self) -> impl Iterator<Item = (CellIndex, &'a TraderCell)> {
        self.cells.iter().zip(0u32..).filter_map(|(cell, index)| Some((CellIndex::new(index), cell.trader()?)))
    }

    /// All positions with their cells.
    pub fn all_positions(&self) -> impl Iterator<Item = (CellIndex, &'a PositionCell)> {
        self.cells.iter().zip(0u32..).filter_map(|(cell, index)| Some((CellIndex::new(index), cell.position()?)))
    }
}

#[inline(always)]
fn row<'a>(header: &LedgerHeader, rows: &'a [MarketRow], market: MarketIndex) -> Result<&'a MarketRow> {
    if market.get() >= header.markets_len {
        return Err(EngineError::MarketNotFound);
    }
    rows.get(usize::from(market.get())).ok_or(EngineError::MarketNotFound)
}

/// A trader among `cells`. Fails with `TraderNotFound`.
#[inline(always)]
pub fn trader(cells: &[Cell], index: CellIndex) -> Result<&TraderCell> {
    cells.get(index.as_usize()).and_then(Cell::trader).ok_or(EngineError::TraderNotFound)
}

/// A trader among `cells`. Fails with `TraderNotFound`.
#[inline(always)]
pub fn trader_mut(cells: &mut [Cell], index: CellIndex) -> Result<&mut TraderCell> {
    cells.get_mut(index.as_usize()).and_then(Cell::trader_mut).ok_or(EngineError::TraderNotFound)
}

/// A trigger among `cells`. Fails with `Corrupt`.
#[inline(always)]
pub fn trigger(cells: &[Cell], index: CellIndex) -> Result<&TriggerCell> {
    cells.get(index.as_usize()).and_then(Cell::trigger).ok_or(EngineError::Corrupt)
}

/// A position among `cells`. Fails with `Corrupt`.
#[inline(always)]
pub fn position(cells: &[Cell], index: CellIndex) -> Result<&PositionCell> {
    cells.get(index.as_usize()).and_then(Cell::position).ok_or(EngineError::Corrupt)
}

/// A position among `cells`. Fails with `Corrupt`.
#[inline(always)]
pub fn position_mut(cells: &mut [Cell], index: CellIndex) -> Result<&mut PositionCell> {
    cells.get_mut(index.as_usize()).and_then(Cell::position_mut).ok_or(EngineError::Corrupt)
}
