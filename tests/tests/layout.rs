//! Layouts, tags and error codes: what accounts, clients and indexers rely on and what therefore never changes. First as
//! this machine compiles them, then as the program writes them on the chain.
//!
//! `differential_so.rs` compares whole accounts byte for byte; here the numbers stand at their documented places.

use quantdesk_client::{
    Refusal, Tag, address,
    engine::{
        CellIndex, EngineError, NodeIndex, QuoteAtoms, Side,
        book::{OrderHandle, Quote},
        governance::{
            change::{Proposal, SourcesParameters},
            mode::Modes,
            queue::{Change, ChangeQueue, Payload},
            role::{Rotation, Rotations},
        },
        outflow::Bucket,
        risk::{
            life::MarginParameters,
            listing::{ListingParameters, RiskParameters, TierParameters},
        },
        slab::free_list::FreeList,
        state::{
            AccessCell, AccountHeader, Annex, CashEvent, Cell, Delayed, Exchange, IndexEntry, Ladder, LadderLevel,
            LadderSide, LedgerHeader, MarginTier, MarketHeader, MarketRow, OracleSource, OrderNode, PoolStake,
            PositionCell, Session, SessionTerms, TradeEvent, TraderCell, TriggerCell, WithdrawalCell,
            fees::{FeeSchedule, FeeTier},
            ledger::{Policy, Watched},
            market::Deleverage,
        },
    },
    error::ProgramError,
};
use quantdesk_program::{
    instruction::{
        crank::{
            drop_expired::DropExpired, enforce_deadman::EnforceDeadman, execute_triggers::ExecuteTriggers,
            run_delayed::RunDelayed, sweep::Sweep, update_price::UpdatePrice,
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
            self, Target, absorb_shortfall::AbsorbShortfall, cancel_for_risk::CancelForRisk, liquidate::Liquidate,
            take_over::TakeOver,
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
use quantdesk_sim::chain::PROGRAM;
use quantdesk_tests::{
    failing::Failing,
    read,
    scene::{CAPITAL, LEDGER, MARK, MARKET, PRICE, SIDE, Scene, TRADE_EVENTS, ask, bid},
};
use std::{collections::BTreeSet, mem::offset_of};

/// Size, and offset of every public field, at compile time; no type needs more than 8-byte alignment.
macro_rules! layout {
    ($($name:ty: $size:literal, align $align:literal { $($field:ident $offset:literal)* })*) => {
        $(
            const _: () = assert!(size_of::<$name>() == $size && align_of::<$name>() == $align);
            $(const _: () = assert!(offset_of!($name, $field) == $offset);)*
        )*
    };
}

layout! {
    AccountHeader: 16, align 8 { bump 9 state 10 }
    Exchange: 10240, align 8 {
        header 0 id 16 admin 24 ledger 56 vault 88 mint 120 guardian 6944 lister 6976 fee_collector 7008 delays 7040
        rotations 7048 changes 7304
    }
    Rotations: 256, align 8 { admin 0 guardian 64 lister 128 fee_collector 192 }
    Rotation: 64, align 8 { successor 0 proposed_at 32 delay 40 }
    ChangeQueue: 2936, align 8 { proposed 0 entries 8 payloads 648 }
    Change: 40, align 8 {
        number 0 proposed_at 8 lapses_at 16 value 24 market 32 kind 34 parameter 35 payload 36 proposer 37
    }
    Payload: 736, align 8 { market 0 }
    OracleSource: 104, align 8 { kind 0 samples_min 1 account 8 feed 40 queue 72 }
    LedgerHeader: 512, align 8 {
        header 0 exchange 16 vault 48 mint 80 total 112 pool 120 fees 128 withdraw_queue 136 events_written 144 cells 152
        generation 172 markets_len 176 mint_decimals 178 sealed 179 traders 180 policy 184 outflow 280 pool_shares 296
        pool_epoch 304 bankrupts 308 queue_first 312 queue_last 316 queue_len 320 sweep_cursor 324 watch 328
        modes 456
    }
    Policy: 96, align 8 { outflow_rate 0 queue_seconds 4 outflow_floor 8 pool_fee_share 16 unstake_seconds 20 fees 24 }
    FeeSchedule: 72, align 8 { tiers 0 referral_share 64 }
    FeeTier: 16, align 8 { volume_min 0 discount 8 }
    Watched: 16, align 4 { trader 0 generation 4 health 8 seen_at 12 }
    Modes: 40, align 8 {}
    Bucket: 16, align 8 {}
    FreeList: 16, align 4 {}
    MarketRow: 640, align 8 {
        market 0 index 32 sources_min 37 sources_len 38 tick_size 40 lot_size 48 tick_value 56 price_max 60 lots_min 64
        lots_max 72 position_max 80 open_interest_max 88 open_interest 96 band 104 taker_fee 108 maker_fee 112
        maintenance 116 confidence_max 120 divergence_max 124 fresh_seconds 128 dead_seconds 132 index_price 136
        mark 140 publish_time 152 updated_at 160 updated_slot 168 source_times 176 funding_index 208 symbol 360 risk 376
        stable 448 low 452 high 456 margin_scale 460 maintenance_now 464 basis 472 mark_at 480 stable_at 488
        funding_remainder 496 funding_pot 504 pool_spent 520 ramp_from 536 ramp_start 544
        ramp_end 552 status_at 560 position_approved 568 interest_approved 576
    }
    RiskParameters: 72, align 8 {
        step 0 step_seconds 4 stable_step 8 basis_max 12 funding_dead_zone 16 funding_cap 20 liquidation_fee 24
        takeover_discount 28 liquidation_buffer 32 interest_scale_max 36 interest_scale_lower 40
        interest_scale_upper 48 pool_budget 56 liquidation_tip_max 64
    }
    MarginTier: 24, align 8 { notional_max 0 deduction 8 rate 16 }
    Cell: 128, align 8 {}
    TraderCell: 128, align 8 {
        sub_account 2 generation 4 owner 8 access 40 fee_max 44 paid_in 48 cash 72 first_position 80 positions 84 absorbed 88 withdrawal 96
        deadman_seconds 100 heartbeat_at 104 referrer_generation 108 volume 112 volume_day 120 builder_max 122
        referrer 124
    }
    AccessCell: 128, align 8 {
        trader 4 delegate 8 targets 40 allowed_from 104 withdraw_delay 112 next_delay 116 next_delay_at 120
    }
    Session: 192, align 8 {
        header 0 ledger 16 owner 48 key 80 trader 112 generation 116 terms 120 day 160 notional 168 profit 176
    }
    SessionTerms: 40, align 8 {
        markets 0 actions 4 expires_at 8 order_notional_max 16 day_notional_max 24 day_loss_max 32
    }
    WithdrawalCell: 128, align 8 { trader 4 next 8 target 16 atoms 48 requested_at 56 }
    PositionCell: 128, align 8 {
        market 2 trader 4 next 8 first_order 12 orders 16 base 24 quote 32 funding_index 40 open_bid_lots 48
        open_ask_lots 56 open_bid_notional 64 open_ask_notional 72 realised 80 fees_paid 88 funding_paid 96
        bid_bound 104 ask_bound 108 quote_sequence 112 first_trigger 120 turns 124
    }
    TriggerCell: 128, align 8 {
        slices 6 position 8 next 12 number 16 client_id 24 parent 32 lots 40 tip 48 expires_at 56 next_at 64 price 72
        distance 76 limit 80 slippage 84 share 88 interval 92 group 96 turns 100
    }
    CashEvent: 64, align 8 {
        sequence 0 unix_seconds 8 slot 16 market 26 trader 28 generation 32 amount 40 balance 48 funding_index 56
    }
    MarketHeader: 256, align 8 {
        header 0 ledger 16 index 48 last_trade_price 68 last_trade_time 72 orders_placed 80 events_written 88 nodes 96
        deleverage 112 ladders 200 taker_delay 204 delayed_first 208 delayed_len 212 triggers 248
    }
    LadderLevel: 16, align 8 { lots 0 distance 8 }
    LadderSide: 144, align 8 { levels 0 used 128 node 136 level 140 }
    Ladder: 344, align 8 { quoter 0 sequence 32 order 40 mid 48 position 52 bids 56 asks 200 }
    Delayed: 16, align 8 { slot 0 node 8 }
    Annex: 11648, align 8 { ladders 0 delayed 5504 pegged_bids 7552 pegged_asks 9600 }
    Deleverage: 80, align 8 {
        trader 4 cursor 8 price 12 number 16 lots 24 quote 32 profitable 40 opposite 48 profitable_passed 56
        others_passed 64 closed 72
    }
    PoolStake: 128, align 8 { header 0 ledger 16 owner 48 shares 80 epoch 88 requested 96 requested_at 104 }
    IndexEntry: 16, align 8 { key 0 node 4 sequence 8 }
    OrderNode: 64, align 8 {
        sequence 0 client_id 8 lots 16 expires_at 24 owner_tag 32 price 40 position 44 next 48 previous 52 place 60
    }
    TradeEvent: 80, align 8 {
        sequence 0 unix_seconds 8 slot 16 order 24 client_id 32 lots 40 price 48 maker 52 taker 56 taker_fee 64
        maker_fee 72
    }
}

layout! {
    Head: 8, align 4 { tag 0 version 1 trader 4 }
    CreateExchange: 112, align 8 { id 0 events_capacity 8 policy 16 }
    RotateRole: 40, align 8 { role 0 successor 8 }
    AcceptRole: 8, align 1 { role 0 }
    ListingParameters: 704, align 8 {
        symbol 0 tick_size 16 lot_size 24 lots_min 32 lots_max 40 position_max 48 open_interest_max 56 tick_value 64
        price_max 68 band 72 taker_fee 76 maker_fee 80 maintenance 84 confidence_max 88 divergence_max 92
        fresh_seconds 96 dead_seconds 100 side_capacity 104 events_capacity 108 sources_min 112 sources_len 113
        tiers_len 114 taker_delay 115 tiers 120 sources 216 risk 632
    }
    TierParameters: 16, align 8 { notional_max 0 rate 8 }
    GrowLedger: 8, align 4 { cells 0 }
    CollectFees: 8, align 8 { atoms 0 }
    Guard: 16, align 8 { kind 0 mode 1 market 2 seconds 4 lots 8 }
    OpenTrader: 8, align 2 { sub_account 0 }
    CloseTrader: 8, align 4 { generation 0 }
    MoveCash: 16, align 8 { generation 0 atoms 8 }
    PlaceOrder: 72, align 8 {
        generation 0 price 4 lots 8 client_id 16 expires_at 24 valid_until 32 book_sequence_max 40 builder 48
        builder_generation 52 builder_fee 56 side 58 kind 59 self_trade 60 reduce_only 61 match_limit 62 peg_offset 64
    }
    PlaceOrders: 32, align 8 { generation 0 count 4 expires_at 8 valid_until 16 book_sequence_max 24 }
    OrderEntry: 32, align 8 {
        lots 0 client_id 8 price 16 side 20 kind 21 self_trade 22 reduce_only 23 match_limit 24 peg_offset 28
    }
    CancelOrder: 16, align 8 { generation 0 node 4 sequence 8 }
    CancelAll: 8, align 4 { generation 0 sides 4 limit 5 }
    CancelOrders: 8, align 4 { generation 0 count 4 }
    ReplaceQuotes: 32, align 8 {
        sequence 0 generation 8 sides 12 count 13 expires_at 16 valid_until 24
    }
    Quote: 16, align 8 { lots 0 price 8 }
    SetLadder: 88, align 8 {
        sequence 0 generation 8 mid 12 valid_until 16 quoter 24 bid_reserve 56 ask_reserve 64 bid_limit 72 ask_limit 76
        bids 80 asks 81
    }
    MoveLadder: 24, align 8 { sequence 0 mid 8 ladder 12 position 16 }
    CancelByClientId: 16, align 8 { generation 0 client_id 8 }
    AmendOrder: 32, align 8 { generation 0 node 4 sequence 8 lots 16 price 24 }
    OrderHandle: 16, align 8 { node 0 sequence 8 }
    PlaceTrigger: 88, align 8 {
        generation 0 price 4 lots 8 tip 16 client_id 24 parent 32 expires_at 40 valid_until 48 distance 56 limit 60
        slippage 64 share 68 group 72 interval 76 slices 80 condition 82 reference 83 side 84 reduce_only 85
    }
    CancelTrigger: 16, align 8 { generation 0 cell 4 name 8 }
    ExecuteTriggers: 8, align 4 { generation 0 count 4 }
    Heartbeat: 8, align 4 { generation 0 seconds 4 }
    SetBuilderMax: 8, align 4 { generation 0 builder_max 4 }
    SetReferrer: 16, align 4 { generation 0 referrer 4 referrer_generation 8 }
    SetDelegate: 40, align 8 { generation 0 delegate 8 }
    OpenSession: 80, align 8 { generation 0 key 8 terms 40 }
    SetFeeMax: 8, align 4 { generation 0 fee_max 4 }
    SetWithdrawDelay: 8, align 4 { generation 0 seconds 4 }
    AllowTarget: 40, align 8 { generation 0 allowed 4 target 8 }
    EnforceDeadman: 16, align 4 { target 0 limit 8 }
    DropExpired: 8, align 1 { count 0 }
    RunDelayed: 8, align 1 { limit 0 }
    UpdatePrice: 8, align 2 { market 0 }
    SetMarketStatus: 8, align 2 { market 0 status 2 }
    MarginParameters: 112, align 8 { market 0 tiers_len 2 maintenance 4 ramp_seconds 8 tiers 16 }
    Proposal: 16, align 8 { value 0 market 8 kind 10 parameter 11 }
    SourcesParameters: 424, align 8 { sources_min 0 sources_len 1 sources 8 }
    ExecuteChange: 8, align 8 { number 0 }
    CancelChange: 8, align 8 { number 0 }
    TransferCash: 24, align 8 { generation 0 target 4 target_generation 8 atoms 16 }
    Sweep: 8, align 2 { cells 0 }
    Target: 8, align 4 { trader 0 generation 4 }
    CancelForRisk: 16, align 4 { target 0 limit 8 }
    Liquidate: 16, align 4 { generation 0 target 4 match_limit 12 }
    TakeOver: 24, align 8 { generation 0 target 4 lots_max 16 }
    AbsorbShortfall: 16, align 4 { target 0 market 8 }
    risk::deleverage::Deleverage: 16, align 4 { target 0 steps 8 }
    RequestUnstake: 16, align 8 { generation 0 shares 8 }
    Unstake: 8, align 4 { generation 0 }
}

#[test]
fn tags_are_unique_and_in_their_blocks() {
    let expected = [
        ("CreateExchange", 1),
        ("ListMarket", 2),
        ("GrowLedger", 3),
        ("CollectFees", 4),
        ("SetMarketStatus", 5),
        ("SetMargin", 6),
        ("CloseMarket", 7),
        ("SealExchange", 8),
        ("ProposeChange", 9),
        ("ExecuteChange", 10),
        ("CancelChange", 11),
        ("Guard", 12),
        ("RotateRole", 13),
        ("AcceptRole", 14),
        ("OpenTrader", 20),
        ("CloseTrader", 21),
        ("Deposit", 22),
        ("Withdraw", 23),
        ("ProcessWithdrawQueue", 24),
        ("TransferCash", 25),
        ("Heartbeat", 26),
        ("SetBuilderMax", 27),
        ("SetReferrer", 28),
        ("SetDelegate", 29),
        ("OpenSession", 30),
        ("CloseSession", 31),
        ("SetFeeMax", 32),
        ("SetWithdrawDelay", 33),
        ("AllowTarget", 34),
        ("PlaceOrder", 40),
        ("CancelOrder", 41),
        ("CancelAll", 42),
        ("CancelOrders", 43),
        ("CancelByClientId", 44),
        ("AmendOrder", 45),
        ("ReplaceQuotes", 46),
        ("PlaceOrders", 47),
        ("PlaceTrigger", 48),
        ("CancelTrigger", 49),
        ("SetLadder", 50),
        ("MoveLadder", 51),
        ("UpdatePrice", 60),
        ("SettleMarket", 61),
        ("SettleMarketPosition", 62),
        ("Sweep", 63),
        ("EnforceDeadman", 64),
        ("DropExpired", 65),
        ("RunDelayed", 66),
        ("ExecuteTriggers", 67),
        ("CancelForRisk", 80),
        ("Liquidate", 81),
        ("TakeOver", 82),
        ("AbsorbShortfall", 83),
        ("Deleverage", 84),
        ("StakePool", 100),
        ("RequestUnstake", 101),
        ("Unstake", 102),
        ("FundPool", 103),
    ];
    assert_eq!(Tag::ALL.map(|tag| (tag.name(), tag.byte())), expected);
    assert!(expected.is_sorted_by_key(|(_, byte)| *byte));
}

/// Codes never change their meaning; a new one is added here.
const REFUSALS: [(&str, u32); 31] = [
    ("UnknownInstruction", 100),
    ("DataLength", 101),
    ("DataVersion", 102),
    ("FieldInvalid", 103),
    ("InstructionExpired", 104),
    ("AccountsCount", 200),
    ("SignatureMissing", 201),
    ("NotWritable", 202),
    ("WrongOwner", 203),
    ("AccountTwice", 204),
    ("WrongLedger", 205),
    ("WrongVault", 207),
    ("WrongMint", 208),
    ("WrongTokenProgram", 209),
    ("WrongSystemProgram", 210),
    ("WrongAddress", 211),
    ("NotAuthorized", 212),
    ("TokenAccountInvalid", 213),
    ("VaultNotExclusive", 214),
    ("WrongTokenOwner", 215),
    ("VaultMismatch", 216),
    ("WrongTarget", 217),
    ("WrongInstructionsSysvar", 218),
    ("DurableNonce", 219),
    ("SessionMismatch", 230),
    ("OracleWrongOwner", 250),
    ("OracleWrongAccount", 251),
    ("OracleWrongType", 252),
    ("OracleWrongFeed", 253),
    ("OracleWrongQueue", 254),
    ("OracleNotVerified", 255),
];

const ENGINE_ERRORS: [(&str, u32); 125] = [
    ("OracleStale", 300),
    ("OraclePriceInvalid", 302),
    ("OracleRegressed", 303),
    ("OracleFromFuture", 304),
    ("OracleSamplesTooFew", 305),
    ("OraclePriceOutOfRange", 306),
    ("PriceNotValidForAction", 307),
    ("OracleNotTrusted", 308),
    ("TraderNotFound", 400),
    ("LedgerFull", 402),
    ("TraderNotEmpty", 403),
    ("WithdrawExceedsAvailable", 404),
    ("AmountZero", 405),
    ("DepositTooLarge", 406),
    ("WithdrawalWaiting", 407),
    ("QueueNotDue", 408),
    ("OutflowLimited", 409),
    ("AccountBankrupt", 410),
    ("TransferInvalid", 411),
    ("HeartbeatAlive", 412),
    ("BuilderFeeTooHigh", 413),
    ("BuilderNotFound", 414),
    ("SelfBuilder", 415),
    ("SelfReferral", 416),
    ("ReferrerAlreadySet", 417),
    ("FeeTooHigh", 418),
    ("AccountGuarded", 419),
    ("TargetNotAllowed", 420),
    ("TargetsFull", 421),
    ("TargetNotFound", 422),
    ("TargetListed", 423),
    ("SessionExpired", 424),
    ("SessionAction", 425),
    ("SessionMarket", 426),
    ("SessionOrderTooLarge", 427),
    ("SessionNotionalSpent", 428),
    ("SessionLossReached", 429),
    ("SessionInvalid", 430),
    ("OrderPriceOutOfRange", 500),
    ("OrderLotsOutOfRange", 501),
    ("OrderOutsideBand", 502),
    ("OrderExpired", 503),
    ("PostOnlyWouldCross", 504),
    ("FillOrKillUnfilled", 505),
    ("ReduceOnlyNothingToReduce", 506),
    ("BookFull", 507),
    ("OrderNotFound", 508),
    ("ClientIdInUse", 509),
    ("OrdersTooMany", 510),
    ("MarketNotActive", 512),
    ("MatchLimitOutOfRange", 513),
    ("OrderNotAmendable", 514),
    ("PegNotForSale", 515),
    ("BookMoved", 516),
    ("OrderWaiting", 520),
    ("OrderNotDelayable", 521),
    ("TakersTooMany", 522),
    ("TakerNotDue", 523),
    ("LaddersFull", 530),
    ("LadderInvalid", 531),
    ("LadderNotFound", 532),
    ("TriggerNotFound", 540),
    ("TriggerInvalid", 541),
    ("TriggersTooMany", 542),
    ("TriggerTipTooLarge", 543),
    ("NoTriggerDue", 544),
    ("BelowInitialMargin", 600),
    ("PositionTooLarge", 601),
    ("OpenInterestTooLarge", 602),
    ("AccountHealthy", 603),
    ("NothingToClose", 604),
    ("NoLiquidity", 605),
    ("SelfTakeOver", 606),
    ("DeleverageRunning", 607),
    ("NoEquity", 608),
    ("NothingToAbsorb", 609),
    ("MarketNotFound", 700),
    ("MarketsFull", 701),
    ("ListingParametersInvalid", 702),
    ("ListingTiersInvalid", 703),
    ("ListingBoundExceeded", 704),
    ("ListingFeesInvalid", 705),
    ("ListingOracleInvalid", 706),
    ("CapacityInvalid", 707),
    ("ListingEnvelopeExceeded", 708),
    ("ListingRiskInvalid", 709),
    ("MarketStatusInvalid", 710),
    ("NoticeNotOver", 711),
    ("PolicyInvalid", 712),
    ("MarketNotEmpty", 713),
    ("FeeScheduleInvalid", 714),
    ("ExchangeSealed", 715),
    ("ExchangeNotSealed", 716),
    ("RotationPending", 717),
    ("RotationNotPending", 718),
    ("RotationNotDue", 719),
    ("ChangeNotFound", 720),
    ("ChangeTooEarly", 721),
    ("ChangeLapsed", 722),
    ("ChangesFull", 723),
    ("PayloadsFull", 724),
    ("ChangeOutOfBounds", 725),
    ("ChangeStepTooLarge", 726),
    ("ChangeWithoutEffect", 727),
    ("DelayShrinks", 728),
    ("ChangeNotTightening", 729),
    ("MarginRampRunning", 730),
    ("TakersWaiting", 731),
    ("ChangeStale", 732),
    ("DelayTooShort", 733),
    ("ModeForbids", 740),
    ("ModeInvalid", 741),
    ("NotTightening", 742),
    ("HaltTooSoon", 743),
    ("StakeTooSmall", 800),
    ("StakeTooLarge", 801),
    ("UnstakeNotDue", 802),
    ("PoolClosed", 803),
    ("Overflow", 900),
    ("DivisionByZero", 901),
    ("Corrupt", 902),
    ("AccountSize", 903),
    ("AccountType", 904),
    ("AccountVersion", 905),
    ("AccountNotBlank", 906),
];

#[test]
fn error_codes_are_unique_and_in_their_blocks() {
    let refusals: Vec<_> = Refusal::ALL.iter().map(|it| (it.name(), it.code())).collect();
    let errors: Vec<_> = EngineError::ALL.iter().map(|it| (it.name(), it.code())).collect();
    assert_eq!(refusals, REFUSALS);
    assert_eq!(errors, ENGINE_ERRORS);
    assert!(refusals.iter().all(|(_, code)| (100..300).contains(code)), "the program's are below 300");
    assert!(errors.iter().all(|(_, code)| (300..1000).contains(code)), "the engine's from 300");
    let all: Vec<_> = refusals.into_iter().chain(errors).collect();
    assert_eq!(all.iter().map(|(_, code)| code).collect::<BTreeSet<_>>().len(), all.len());
    assert_eq!(all.iter().map(|(name, _)| name).collect::<BTreeSet<_>>().len(), all.len());
    // Anchor's codes begin at 100 for its own and at 6000 for programs; the token program's end at 19.
    for code in 0..7_000 {
        let known = all.iter().find(|(_, known)| *known == code);
        assert_eq!(ProgramError::from_code(code).map(|error| (error.name(), error.code())).as_ref(), known);
    }
}

/// Numbers at literal places of an account that the program wrote.
struct Raw(Vec<u8>);

impl Raw {
    fn u64(&self, offset: usize) -> u64 {
        u64::from_le_bytes(self.0[offset..offset + 8].try_into().unwrap())
    }

    fn u32(&self, offset: usize) -> u32 {
        u32::from_le_bytes(self.0[offset..offset + 4].try_into().unwrap())
    }

    fn key(&self, offset: usize) -> &[u8] {
        &self.0[offset..offset + 32]
    }
}

/// Alice rests an ask of 9 at the mark with client id 77; Bob takes 4 of it.
fn traded() -> (Scene, Raw, Raw, Raw) {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.alice, scene.bob);
    scene.accept(&alice, &ask(MARK, 9).client_id(77).build());
    scene.accept(&bob, &bid(MARK, 4).immediate_or_cancel().build());
    let raw = |address| Raw(scene.desk.chain.data(&address).unwrap());
    let (exchange, ledger, market) =
        (raw(scene.desk.venue.exchange), raw(scene.desk.venue.ledger), raw(scene.desk.markets[0].address));
    (scene, exchange, ledger, market)
}

#[test]
fn the_program_writes_exchange_and_ledger_in_this_layout() {
    let (scene, exchange, ledger, _) = traded();
    let venue = scene.desk.venue;
    assert_eq!((&exchange.0[..8], exchange.0[8], exchange.0.len()), (b"QDXCHNGE".as_slice(), 1, 10240));
    assert_eq!((exchange.u64(16), exchange.key(24)), (1, scene.desk.admin.as_array().as_slice()));
    assert_eq!((exchange.key(56), exchange.key(88)), (venue.ledger.as_ref(), venue.vault.as_ref()));
    assert_eq!((exchange.key(120), &exchange.0[152..156]), (venue.mint.as_ref(), [0, 1, 0xff, 0xff].as_slice()));
    // Two sources: Pyth, and Switchboard with three samples.
    assert_eq!((exchange.u32(280), exchange.0[288], exchange.0[392], exchange.0[393]), (2, 1, 3, 3));

    assert_eq!((&ledger.0[..8], ledger.0[8]), (b"QDLEDGER".as_slice(), 1));
    assert_eq!(
        (ledger.key(16), ledger.key(48), ledger.key(80)),
        (venue.exchange.as_ref(), venue.vault.as_ref(), venue.mint.as_ref())
    );
    // 4 lots at 200,000: a fee of 400 and a rebate of 80 atoms.
    assert_eq!((ledger.u64(112), ledger.u64(120), ledger.u64(128)), (2 * CAPITAL, 0, 320));
    // Created, listed, priced, sealed, opened and funded twice.
    assert_eq!((ledger.u64(144), ledger.u32(172), ledger.0[176], ledger.0[178]), (8, 2, 1, 6));
    assert_eq!(ledger.0[179], 1);
    // Four cells in use, none released, of 48; two traders.
    assert_eq!((ledger.u32(152), ledger.u32(156), ledger.u32(160), ledger.u32(164)), (u32::MAX, 4, 0, 48));
    assert_eq!((ledger.u32(168), ledger.u32(180)), (64, 2));
    // The policy without tiers, an outflow that has not begun, no stake, no queue, nobody watched.
    assert_eq!((ledger.u32(184), ledger.u32(188), ledger.u64(192)), (1_000_000, 86_400, 1 << 62));
    assert_eq!((ledger.u32(200), ledger.u32(204), ledger.u64(280)), (100_000, 86_400, 0));
    assert!(ledger.0[208..280].iter().all(|byte| *byte == 0));
    assert_eq!((ledger.u64(296), ledger.u32(312), ledger.u32(316), ledger.u32(320)), (0, u32::MAX, u32::MAX, 0));
    assert!(ledger.0[328..512].iter().all(|byte| *byte == 0));

    let row = 512;
    assert_eq!((ledger.key(row), ledger.0[row + 34]), (scene.market().as_ref(), 1));
    assert_eq!((ledger.u64(row + 40), ledger.u64(row + 48), ledger.u32(row + 56)), (1_000_000_000, 1_000_000_000, 1));
    assert_eq!((ledger.u64(row + 96), ledger.u32(row + 136), ledger.u32(row + 140)), (4, MARK, MARK));
    assert_eq!(ledger.u64(row + 152) as i64, scene.desk.chain.unix_seconds());
    assert_eq!((ledger.u64(row + 216), ledger.u32(row + 232)), (PRICE / 200, 50_000));
    assert_eq!(&ledger.0[row + 360..row + 368], b"SOL-PERP");
    assert_eq!((ledger.u32(row + 376), ledger.u32(row + 380), ledger.u32(row + 400)), (1_300, 5, 5_000));
    assert_eq!((ledger.u32(row + 448), ledger.u32(row + 452), ledger.u32(row + 456)), (MARK, MARK, MARK));
    assert_eq!((ledger.u32(row + 460), ledger.u32(row + 464)), (1_000_000, 500_000));
    assert_eq!(ledger.u64(row + 480) as i64, scene.desk.chain.unix_seconds());
}

#[test]
fn the_program_writes_cells_in_this_layout() {
    let (scene, _, ledger, _) = traded();
    let trader = LEDGER.cell(scene.bob.trader.cell).start;
    assert_eq!((ledger.0[trader], ledger.u32(trader + 4)), (1, 2));
    assert_eq!(ledger.key(trader + 8), scene.bob.trader.authority.as_ref());
    let paid_in = ledger.u64(trader + 48);
    assert_eq!((ledger.u32(trader + 40), ledger.u32(trader + 44), paid_in), (u32::MAX, u32::MAX, CAPITAL));
    assert_eq!((ledger.u64(trader + 72), ledger.u32(trader + 80), ledger.0[trader + 84]), (CAPITAL - 400, 3, 1));
    let long = LEDGER.cell(CellIndex::new(3)).start;
    assert_eq!((ledger.0[long], ledger.0[long + 2], ledger.u32(long + 4)), (2, 0, 1));
    assert_eq!((ledger.u32(long + 8), ledger.u32(long + 12), ledger.u32(long + 16)), (u32::MAX, u32::MAX, 0));
    assert_eq!((ledger.u64(long + 24) as i64, ledger.u64(long + 32) as i64), (4, -800_000));
    let short = LEDGER.cell(CellIndex::new(2)).start;
    assert_eq!((ledger.u64(short + 24) as i64, ledger.u64(short + 32) as i64), (-4, 800_000));
    assert_eq!((ledger.u32(short + 12), ledger.u32(short + 16), ledger.u64(short + 56)), (0, 1, 5));
    assert_eq!((ledger.u64(short + 72), ledger.u64(short + 88) as i64), (1_000_000, -80));
    assert_eq!((ledger.u32(short + 104), ledger.u32(short + 108)), (0, MARK));
    // The last record: Bob's deposit.
    let event = LEDGER.event(8).start;
    assert_eq!((ledger.u64(event), ledger.0[event + 24], ledger.u32(event + 28)), (8, 5, 1));
    assert_eq!((ledger.u32(event + 32), ledger.u64(event + 40), ledger.u64(event + 48)), (2, CAPITAL, CAPITAL));
}

#[test]
fn the_program_writes_markets_in_this_layout() {
    let (scene, _, _, market) = traded();
    assert_eq!(
        (&market.0[..8], market.0[8], market.key(16)),
        (b"QDMARKET".as_slice(), 1, scene.desk.venue.ledger.as_ref())
    );
    assert_eq!((market.u32(52), market.u32(56)), (SIDE, TRADE_EVENTS));
    // No bid, one ask, last trade at the mark, one order, two events.
    assert_eq!((market.u32(60), market.u32(64), market.u32(68)), (0, 1, MARK));
    assert_eq!((market.u64(72) as i64, market.u64(80), market.u64(88)), (scene.desk.chain.unix_seconds(), 1, 2));
    let entry = MARKET.entries(Side::Ask, 1).start;
    assert_eq!((market.u32(entry), market.u32(entry + 4), market.u64(entry + 8)), (!MARK, 0, 1));
    let node = MARKET.node(NodeIndex::new(0)).start;
    assert_eq!((market.u64(node), market.u64(node + 8), market.u64(node + 16)), (1, 77, 5));
    assert_eq!((market.u32(node + 40), market.u32(node + 44), market.0[node + 56]), (MARK, 2, 1));
    assert_eq!(market.0[node + 32..node + 40], scene.alice.trader.authority.as_array()[..8]);
    let fill = MARKET.event(2).start;
    assert_eq!((market.u64(fill), market.u64(fill + 24), market.u64(fill + 32)), (2, 1, 77));
    assert_eq!((market.u64(fill + 40), market.u32(fill + 48), market.0[fill + 60]), (4, MARK, 2));
    assert_eq!((market.u32(fill + 52), market.u32(fill + 56)), (0, 1));
    assert_eq!((market.u64(fill + 64) as i64, market.u64(fill + 72) as i64), (400, -80));
    assert_eq!(read::market_header(&scene.desk, 0).side_len(Side::Ask), 1);
}

/// Somebody long 1,000 lots with $10.5 against Bob is bankrupt at $189; it is swept, absorbed and begun to be deleveraged.
/// Alice has a stake.
#[test]
fn the_program_writes_failing_accounts_in_this_layout() {
    let mut failing = Failing::new(Side::Bid, 1_000, 10_500_000);
    let (alice, target) = (failing.scene.alice.trader, failing.target.trader);
    failing.scene.desk.chain.give_lamports(alice.authority, 1 << 40).unwrap();
    let (venue, market) = (failing.scene.desk.venue, failing.scene.market());
    let stake = address::stake(&PROGRAM, &venue.ledger, &alice.authority);
    for instruction in
        [venue.stake_pool(&alice, QuoteAtoms::new(2_000_000)), venue.request_unstake(&alice, 500_000), venue.sweep(3)]
    {
        failing.scene.desk.chain.send(instruction).unwrap();
    }
    let asked_at = failing.scene.desk.chain.unix_seconds();
    failing.walk(189_000);
    let index = failing.scene.desk.markets[0].index;
    for instruction in
        [venue.sweep(9), venue.absorb_shortfall(index, failing.named()), venue.deleverage(&market, failing.named(), 1)]
    {
        failing.scene.desk.chain.send(instruction).unwrap();
    }
    let raw = |address| Raw(failing.scene.desk.chain.data(&address).unwrap());
    let (ledger, market, stake) = (raw(venue.ledger), raw(market), raw(stake));
    let now = failing.scene.desk.chain.unix_seconds();

    // Pool less $0.6; shares; epoch; bankrupts; cursor after three cells and once round all six.
    assert_eq!((ledger.u64(120), ledger.u64(296), ledger.u32(304)), (1_400_000, 2_000_000, 0));
    assert_eq!((ledger.u32(308), ledger.u32(324)), (1, 3));
    assert_eq!((ledger.u32(328), ledger.u32(332)), (target.cell.get(), target.generation.get()));
    assert_eq!((ledger.u32(336), i64::from(ledger.u32(340)), ledger.u32(348)), (0, now, 0));
    let cell = LEDGER.cell(target.cell).start;
    assert_eq!((ledger.0[cell + 86], ledger.u64(cell + 88), ledger.u32(cell + 96)), (1, 600_000, u32::MAX));
    // What the pool has spent on the market, and when.
    assert_eq!((ledger.u64(512 + 520), ledger.u64(512 + 528) as i64), (600_000, now));

    // Counting, of a long; whose; first cell passed; 189.0 since the pool paid; number one.
    assert_eq!((market.0[112], market.0[113], market.u32(116), market.u32(120)), (1, 0, target.cell.get(), 1));
    assert_eq!((market.u32(124), market.u64(128), market.u64(136)), (189_000, 1, 1_000));
    assert_eq!((market.u64(144), market.u64(184)), (189_000_000, 0));

    assert_eq!((&stake.0[..8], stake.0[8], stake.0.len()), (b"QDPOOLST".as_slice(), 1, 128));
    assert_eq!((stake.key(16), stake.key(48)), (venue.ledger.as_ref(), alice.authority.as_ref()));
    assert_eq!((stake.u64(80), stake.u32(88)), (2_000_000, 0));
    assert_eq!((stake.u64(96), stake.u64(104) as i64), (500_000, asked_at));
}
