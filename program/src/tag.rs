//! Instruction tags and the head every instruction starts with.

use crate::error::Refusal;
use bytemuck::{Pod, Zeroable};
use quantdesk_engine::CellIndex;

/// Version of the instruction encoding.
pub const ENCODING_VERSION: u8 = 1;

/// Which instruction. A number is never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Tag {
    // 0: exchange
    /// Creates an exchange with its ledger and vault.
    CreateExchange = 1,
    /// Lists a market.
    ListMarket = 2,
    /// Adds cells to the ledger.
    GrowLedger = 3,
    /// Pays out earned fees.
    CollectFees = 4,
    /// Opens a market for trading, or leaves it to reducing.
    SetMarketStatus = 5,
    /// Changes a market's margin, gliding onto positions that are open.
    SetMargin = 6,
    /// Ends a settled market and returns its rent.
    CloseMarket = 7,
    /// Ends the setting up of an exchange and lets cash in.
    SealExchange = 8,
    /// Proposes a change, or makes one that tightens.
    ProposeChange = 9,
    /// Puts a change into effect whose time has come.
    ExecuteChange = 10,
    /// Takes a change out of the queue.
    CancelChange = 11,
    /// Tightens something at once: a mode, a market's cap.
    Guard = 12,
    /// Proposes a key for a role, or withdraws one.
    RotateRole = 13,
    /// Takes on a role.
    AcceptRole = 14,

    // 20: traders
    /// Opens a trading account.
    OpenTrader = 20,
    /// Closes an empty trading account.
    CloseTrader = 21,
    /// Puts collateral in.
    Deposit = 22,
    /// Takes collateral out.
    Withdraw = 23,
    /// Pays the first of the waiting withdrawals.
    ProcessWithdrawQueue = 24,
    /// Moves collateral between two accounts of one owner.
    TransferCash = 25,
    /// Sets a trader's dead-man switch.
    Heartbeat = 26,
    /// Says how much builders may charge a trader.
    SetBuilderMax = 27,
    /// Names who brought a trader.
    SetReferrer = 28,
    /// Names who may also trade for a trader.
    SetDelegate = 29,
    /// Lets a key trade for a trader within a scope.
    OpenSession = 30,
    /// Ends a session.
    CloseSession = 31,
    /// Says up to which taker fee a trader trades.
    SetFeeMax = 32,
    /// Guards a trader: withdrawals go to targets alone, and new targets wait.
    SetWithdrawDelay = 33,
    /// Names a target of withdrawals, or strikes one off.
    AllowTarget = 34,

    // 40: orders
    /// Places an order.
    PlaceOrder = 40,
    /// Cancels an order by its handle.
    CancelOrder = 41,
    /// Cancels a trader's orders in a market.
    CancelAll = 42,
    /// Cancels several orders by their handles.
    CancelOrders = 43,
    /// Cancels an order by the trader's own id.
    CancelByClientId = 44,
    /// Changes size or price of an order.
    AmendOrder = 45,
    /// Replaces a maker's quotes.
    ReplaceQuotes = 46,
    /// Places several orders.
    PlaceOrders = 47,
    /// Places a conditional order.
    PlaceTrigger = 48,
    /// Cancels a conditional order.
    CancelTrigger = 49,
    /// Sets a maker's ladder.
    SetLadder = 50,
    /// Moves a maker's ladder to another middle.
    MoveLadder = 51,

    // 60: cranks
    /// Reads a market's oracle sources and moves its price board.
    UpdatePrice = 60,
    /// Gives a market its last price.
    SettleMarket = 61,
    /// Closes one position of a settled market at its price.
    SettleMarketPosition = 62,
    /// Looks for failing accounts and keeps the worst in the ledger's watch list.
    Sweep = 63,
    /// Cancels orders of a trader whose dead-man switch has run out.
    EnforceDeadman = 64,
    /// Drops expired orders.
    DropExpired = 65,
    /// Runs takers that have waited long enough.
    RunDelayed = 66,
    /// Executes conditional orders that are due.
    ExecuteTriggers = 67,

    // 80: risk
    /// Cancels orders of an account below initial margin.
    CancelForRisk = 80,
    /// Closes a failing position through the book.
    Liquidate = 81,
    /// Moves a failing position to a liquidator's account.
    TakeOver = 82,
    /// Lets the protection pool pay what a bankrupt account lacks.
    AbsorbShortfall = 83,
    /// Closes a bankrupt position against its counterparties.
    Deleverage = 84,

    // 100: protection pool
    /// Puts collateral into the protection pool.
    StakePool = 100,
    /// Asks for stake back.
    RequestUnstake = 101,
    /// Takes stake out of the protection pool.
    Unstake = 102,
    /// Gives collateral to the protection pool.
    FundPool = 103,
}

impl Tag {
    /// Every tag, in numeric order.
    pub const ALL: [Self; 58] = [
        Self::CreateExchange,
        Self::ListMarket,
        Self::GrowLedger,
        Self::CollectFees,
        Self::SetMarketStatus,
        Self::SetMargin,
        Self::CloseMarket,
        Self::SealExchange,
        Self::ProposeChange,
        Self::ExecuteChange,
        Self::CancelChange,
        Self::Guard,
        Self::RotateRole,
        Self::AcceptRole,
        Self::OpenTrader,
        Self::CloseTrader,
        Self::Deposit,
        Self::Withdraw,
        Self::ProcessWithdrawQueue,
        Self::TransferCash,
        Self::Heartbeat,
        Self::SetBuilderMax,
        Self::SetReferrer,
        Self::SetDelegate,
        Self::OpenSession,
        Self::CloseSession,
        Self::SetFeeMax,
        Self::SetWithdrawDelay,
        Self::AllowTarget,
        Self::PlaceOrder,
        Self::CancelOrder,
        Self::CancelAll,
        Self::CancelOrders,
        Self::CancelByClientId,
        Self::AmendOrder,
        Self::ReplaceQuotes,
        Self::PlaceOrders,
        Self::PlaceTrigger,
        Self::CancelTrigger,
        Self::SetLadder,
        Self::MoveLadder,
        Self::UpdatePrice,
        Self::SettleMarket,
        Self::SettleMarketPosition,
        Self::Sweep,
        Self::EnforceDeadman,
        Self::DropExpired,
        Self::RunDelayed,
        Self::ExecuteTriggers,
        Self::CancelForRisk,
        Self::Liquidate,
        Self::TakeOver,
        Self::AbsorbShortfall,
        Self::Deleverage,
        Self::StakePool,
        Self::RequestUnstake,
        Self::Unstake,
        Self::FundPool,
    ];

    /// The byte an instruction starts with.
    #[inline(always)]
    pub const fn byte(self) -> u8 {
        #[expect(clippy::as_conversions, reason = "discriminant of a fieldless repr(u8) enum")]
        {
            self as u8
        }
    }

    /// Name as in the documentation.
    pub const fn name(self) -> &'static str {
        match self {
            Self::CreateExchange => "CreateExchange",
            Self::ListMarket => "ListMarket",
            Self::GrowLedger => "GrowLedger",
            Self::CollectFees => "CollectFees",
            Self::SetMarketStatus => "SetMarketStatus",
            Self::SetMargin => "SetMargin",
            Self::CloseMarket => "CloseMarket",
            Self::SealExchange => "SealExchange",
            Self::ProposeChange => "ProposeChange",
            Self::ExecuteChange => "ExecuteChange",
            Self::CancelChange => "CancelChange",
            Self::Guard => "Guard",
            Self::RotateRole => "RotateRole",
            Self::AcceptRole => "AcceptRole",
            Self::OpenTrader => "OpenTrader",
            Self::CloseTrader => "CloseTrader",
            Self::Deposit => "Deposit",
            Self::Withdraw => "Withdraw",
            Self::ProcessWithdrawQueue => "ProcessWithdrawQueue",
            Self::TransferCash => "TransferCash",
            Self::Heartbeat => "Heartbeat",
            Self::SetBuilderMax => "SetBuilderMax",
            Self::SetReferrer => "SetReferrer",
            Self::SetDelegate => "SetDelegate",
            Self::OpenSession => "OpenSession",
            Self::CloseSession => "CloseSession",
            Self::SetFeeMax => "SetFeeMax",
            Self::SetWithdrawDelay => "SetWithdrawDelay",
            Self::AllowTarget => "AllowTarget",
            Self::PlaceOrder => "PlaceOrder",
            Self::CancelOrder => "CancelOrder",
            Self::CancelAll => "CancelAll",
            Self::CancelOrders => "CancelOrders",
            Self::CancelByClientId => "CancelByClientId",
            Self::AmendOrder => "AmendOrder",
            Self::ReplaceQuotes => "ReplaceQuotes",
            Self::PlaceOrders => "PlaceOrders",
            Self::PlaceTrigger => "PlaceTrigger",
            Self::CancelTrigger => "CancelTrigger",
            Self::SetLadder => "SetLadder",
            Self::MoveLadder => "MoveLadder",
            Self::UpdatePrice => "UpdatePrice",
            Self::SettleMarket => "SettleMarket",
            Self::SettleMarketPosition => "SettleMarketPosition",
            Self::Sweep => "Sweep",
            Self::EnforceDeadman => "EnforceDeadman",
            Self::DropExpired => "DropExpired",
            Self::RunDelayed => "RunDelayed",
            Self::ExecuteTriggers => "ExecuteTriggers",
            Self::CancelForRisk => "CancelForRisk",
            Self::Liquidate => "Liquidate",
            Self::TakeOver => "TakeOver",
            Self::AbsorbShortfall => "AbsorbShortfall",
            Self::Deleverage => "Deleverage",
            Self::StakePool => "StakePool",
            Self::RequestUnstake => "RequestUnstake",
            Self::Unstake => "Unstake",
            Self::FundPool => "FundPool",
        }
    }
}

/// First eight bytes of every instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Head {
    /// A [`Tag`].
    pub tag: u8,
    /// [`ENCODING_VERSION`].
    pub version: u8,
    flags: u16,
    /// The trader cell the instruction is about; nil where it is about none.
    pub trader: CellIndex,
}

const _: () = assert!(size_of::<Head>() == 8);

impl Head {
    /// Head of an instruction about `trader`.
    pub const fn new(tag: Tag, trader: CellIndex) -> Self {
        Self { tag: tag.byte(), version: ENCODING_VERSION, flags: 0, trader }
    }

    /// Splits instruction data into head and arguments. Fails with `DataLength`, `DataVersion` or, for flags nobody
    /// defined, `FieldInvalid`.
    #[inline(always)]
    pub fn split(data: &[u8]) -> core::result::Result<(Self, &[u8]), Refusal> {
        let (head, arguments) = data.split_at_checked(size_of::<Self>()).ok_or(Refusal::DataLength)?;
        let head: Self = bytemuck::try_pod_read_unaligned(head).map_err(|_| Refusal::DataLength)?;
        if head.version != ENCODING_VERSION {
            return Err(Refusal::DataVersion);
        }
        if head.flags != 0 {
            return Err(Refusal::FieldInvalid);
        }
        Ok((head, arguments))
    }
}
