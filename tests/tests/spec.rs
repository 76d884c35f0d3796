//! `program/SPEC.md` against the code: layouts, encodings, codes, bounds, tables.

use bytemuck::{Zeroable, bytes_of};
use quantdesk_client::{
    Address, address,
    engine::{
        CellIndex, EngineError, FundingIndex, Generation, Lots, MarketIndex, NodeIndex, PicoPrice, PositionLots, Ppm,
        QuoteAtoms, QuoteDelta, Sequence, Side, SignedPpm, Slot, TickValue, Ticks, UnixSeconds, access, account,
        book::{
            NewOrder, ORDERS_MAX, ORDERS_PER_POSITION_MAX, OrderHandle, OrderKind, Replacement, SelfTrade, Sides,
            TWAP_INTERVAL_MAX, TWAP_SLICES_MAX, TWAP_SLICES_MIN, TriggerHandle,
        },
        governance::{
            Delays,
            change::{Kind, MARGIN_STEP, Proposal, SourcesParameters},
            guard::Tightening,
            mode::{self, Act, Mode, Modes},
            parameter::{Class, RULES, Rule, Scope, Tighter},
            queue::{CHANGES_MAX, Change, ChangeQueue, LAPSE_SECONDS, NO_MARKET, NO_PAYLOAD, PAYLOADS_MAX, Payload},
            role::{self, Role, Rotation},
        },
        money::TOTAL_MAX,
        partner,
        risk::{
            fee, life,
            listing::{self, ListingParameters, RiskParameters, TierParameters},
            price::{Action, CLOCK_SKEW_SECONDS, Validity},
            restart, tier,
        },
        session as rules,
        slab::free_list::{FreeList, NIL},
        state::{
            AccessCell, AccountHeader, Annex, Cell, Condition, Delayed, Exchange, IndexEntry, Key, Ladder, LadderLevel,
            LadderSide, LedgerHeader, MarketHeader, MarketRow, MarketStatus, OracleSource, OrderNode, PoolStake,
            PositionCell, PriceCondition, Reference, Session, SessionTerms, SourceKind, TraderCell, TriggerCell,
            WithdrawalCell, annex, cell, event, exchange,
            fees::{self, FeeSchedule, FeeTier},
            ledger::{self, Policy, Watched},
            market, row, session, stake,
        },
    },
    instruction::{BookGuard, INSTRUCTIONS_SYSVAR, SYSTEM_PROGRAM, TOKEN_PROGRAM, Target, Trader, Venue},
    ladder::{LadderHandle, LadderTicket},
    order::Ticket,
    trigger::TriggerTicket,
};
use quantdesk_program::{
    Refusal, Tag,
    account::{pda, resize},
    instruction::{
        crank::{
            drop_expired::DropExpired,
            enforce_deadman::EnforceDeadman,
            execute_triggers::{ExecuteTriggers, TRIGGERS_MAX},
            run_delayed::RunDelayed,
            settle_market_position::SettleMarketPosition,
            sweep::Sweep,
            update_price::UpdatePrice,
        },
        exchange::{
            accept_role::AcceptRole,
            cancel_change::CancelChange,
            collect_fees::CollectFees,
            create_exchange::CreateExchange,
            execute_change::ExecuteChange,
            grow_ledger::{CELLS_MAX, GrowLedger},
            guard::Guard,
            rotate_role::RotateRole,
        },
        order::{
            amend_order::AmendOrder,
            cancel_all::CancelAll,
            cancel_by_client_id::CancelByClientId,
            cancel_order::CancelOrder,
            cancel_orders::CancelOrders,
            cancel_trigger::CancelTrigger,
            handles::HANDLES_MAX,
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
    oracle::{lazer, pyth, quote, switchboard},
    tag::{ENCODING_VERSION, Head},
};
use quantdesk_tests::document::{SPEC, Table, code, section, table, tables};
use solana_instruction::Instruction;
use state::header::VERSION;
use std::{
    collections::BTreeSet,
    fmt::Debug,
    mem::{offset_of, size_of},
    path::{Path, PathBuf},
};

use quantdesk_client::engine::state;

// ---- Reading the document

/// Names of the fields that a layout row lists: in backticks, before any explanation.
fn fields(cell: &str) -> Vec<String> {
    let mut plain = String::new();
    let mut depth = 0usize;
    for letter in cell.chars() {
        match letter {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ if depth == 0 => plain.push(letter),
            _ => {}
        }
    }
    let listed = plain.split(": ").next().unwrap_or_default();
    code(listed).into_iter().map(String::from).collect()
}

/// A field: name, offset, bytes.
type Field = (String, usize, usize);

/// Fields of a layout table. Checks that its rows ascend without overlap.
fn layout_of(rows: &Table, what: &str) -> Vec<Field> {
    let mut layout: Vec<Field> = Vec::new();
    let mut end = 0;
    for row in rows {
        let start: usize = row[0].parse().unwrap();
        assert!(start >= end, "{what}: offset {start} overlaps what ends at {end}");
        let names = fields(&row[2]);
        let (count, each) = match row[1].split_once(" × ") {
            Some((count, each)) => (count.parse().unwrap(), each.parse().unwrap()),
            None => (1, row[1].parse().unwrap()),
        };
        assert_eq!(names.len(), count, "{what}, offset {start}: {names:?}");
        layout.extend(names.into_iter().enumerate().map(|(place, name)| (name, start + place * each, each)));
        end = start + count * each;
    }
    layout
}

/// Fields of an inline list such as "0 `generation` u32 · 8 `atoms` u64".
fn arguments_of(line: &str) -> Vec<Field> {
    line.split(" · ")
        .map(|item| {
            let (offset, rest) = item.split_once(' ').unwrap();
            let kind = rest.split('`').nth(2).unwrap().trim_start();
            let bits: String = kind[1..].chars().take_while(char::is_ascii_digit).collect();
            assert!(kind.starts_with('u'), "{item}");
            (code(rest)[0].to_string(), offset.parse().unwrap(), bits.parse::<usize>().unwrap() / 8)
        })
        .collect()
}

/// The one line of a section that begins with this, joined with its continuations.
fn item(heading: &str, start: &str) -> Option<String> {
    let mut lines = section(heading).lines().skip_while(|line| !line.starts_with(start));
    let first = lines.next()?.strip_prefix(start)?.to_string();
    Some(lines.take_while(|line| line.starts_with("  ")).fold(first, |text, line| text + " " + line.trim()))
}

// ---- Layouts

fn size_of_field<T, F>(_: impl Fn(&T) -> &F) -> usize {
    size_of::<F>()
}

/// Compares listed fields with those of a type: public ones exactly, private ones by name only.
macro_rules! same_layout {
    ($what:expr, $listed:expr, $type:ty { $($field:ident),* $(,)? } $(, private $($private:ident),*)?) => {{
        let mut expected: Vec<Field> = vec![$((
            stringify!($field).to_string(),
            offset_of!($type, $field),
            size_of_field(|value: &$type| &value.$field),
        )),*];
        let private: &[&str] = &[$($(stringify!($private)),*)?];
        let listed: Vec<Field> = $listed;
        let end = listed.last().map_or(0, |(_, offset, bytes)| offset + bytes);
        assert!(end <= size_of::<$type>(), "{}: {end} bytes listed", $what);
        let (hidden, shown): (Vec<Field>, Vec<Field>) =
            listed.into_iter().partition(|(name, ..)| private.contains(&name.as_str()));
        assert_eq!(hidden.len(), private.len(), "{}: private fields {hidden:?}", $what);
        expected.sort_by_key(|(_, offset, _)| *offset);
        assert_eq!(shown, expected, "{}", $what);
    }};
}

macro_rules! same_account {
    ($type:ident { $($field:ident),* $(,)? } $(, private $($private:ident),*)?) => {{
        let heading = format!("{}: {} bytes", stringify!($type), size_of::<$type>());
        let listed = layout_of(&table(&heading, "offset"), &heading);
        same_layout!(heading, listed, $type { $($field),* } $(, private $($private),*)?);
    }};
}

#[test]
fn account_layouts() {
    use event::{CashEvent, TradeEvent};
    same_account!(AccountHeader { bump, state }, private discriminator, version);
    same_account!(
        Exchange {
            header, id, admin, ledger, vault, mint, guardian, lister, fee_collector, delays, rotations, changes
        },
        private market_sources, sources_len, sources
    );
    same_account!(Rotation { successor, proposed_at, delay });
    same_account!(ChangeQueue { proposed, entries, payloads });
    same_account!(Change { number, proposed_at, lapses_at, value, market, kind, parameter, payload, proposer });
    same_account!(Payload { market }, private parameters);
    same_account!(SourcesParameters { sources_min, sources_len, sources });
    same_account!(OracleSource { kind, samples_min, account, feed, queue });
    same_account!(LedgerHeader {
        header, exchange, vault, mint, total, pool, fees, withdraw_queue, events_written, cells, generation,
        markets_len, mint_decimals, sealed, traders, policy, outflow, pool_shares, pool_epoch, bankrupts, queue_first,
        queue_last, queue_len, sweep_cursor, watch, modes,
    }, private events_capacity);
    same_account!(Policy { outflow_rate, queue_seconds, outflow_floor, pool_fee_share, unstake_seconds, fees });
    same_account!(FeeSchedule { tiers, referral_share });
    let tier = (size_of::<FeeTier>(), offset_of!(FeeTier, volume_min), offset_of!(FeeTier, discount));
    assert_eq!(tier, (16, 0, 8));
    assert!(
        section("FeeSchedule: 72 bytes")
            .contains("FeeTier is 16 bytes: `volume_min` u64, `discount` u32 in ppm, 4 zero")
    );
    same_account!(Modes {}, private restricted_until, close_only_until, halt_until, halt_started, halt_mode);
    same_account!(Watched { trader, generation, health, seen_at });
    same_account!(MarketRow {
        market, index, sources_min, sources_len, tick_size, lot_size, tick_value, price_max, lots_min, lots_max,
        position_max, open_interest_max, open_interest, band, taker_fee, maker_fee, maintenance, confidence_max,
        divergence_max, fresh_seconds, dead_seconds, index_price, mark, publish_time, updated_at, updated_slot,
        source_times, funding_index, symbol, risk, stable, low, high, margin_scale, maintenance_now, basis, mark_at,
        stable_at, funding_remainder, funding_pot, pool_spent, ramp_from, ramp_start, ramp_end,
        status_at, position_approved, interest_approved,
    }, private status, tiers_len, condition, lagging, fresh_until, tiers);
    same_account!(RiskParameters {
        step,
        step_seconds,
        stable_step,
        basis_max,
        funding_dead_zone,
        funding_cap,
        liquidation_fee,
        takeover_discount,
        liquidation_buffer,
        interest_scale_max,
        interest_scale_lower,
        interest_scale_upper,
        pool_budget,
        liquidation_tip_max,
    });
    same_account!(TraderCell {
        sub_account, generation, owner, access, fee_max, paid_in, cash, first_position, positions, absorbed, withdrawal,
        deadman_seconds, heartbeat_at, referrer_generation, volume, volume_day, builder_max, referrer,
    }, private kind, bankrupt);
    same_account!(WithdrawalCell { trader, next, target, atoms, requested_at }, private kind);
    same_account!(AccessCell {
        trader, delegate, targets, allowed_from, withdraw_delay, next_delay, next_delay_at,
    }, private kind);
    same_account!(Session { header, ledger, owner, key, trader, generation, terms, day, notional, profit });
    same_account!(SessionTerms { markets, actions, expires_at, order_notional_max, day_notional_max, day_loss_max });
    same_account!(PoolStake { header, ledger, owner, shares, epoch, requested, requested_at });
    same_account!(PositionCell {
        market, trader, next, first_order, orders, base, quote, funding_index, open_bid_lots, open_ask_lots,
        open_bid_notional, open_ask_notional, realised, fees_paid, funding_paid, bid_bound, ask_bound,
        quote_sequence, first_trigger, turns,
    }, private kind);
    same_account!(TriggerCell {
        slices, position, next, number, client_id, parent, lots, tip, expires_at, next_at, price, distance, limit,
        slippage, share, interval, group, turns,
    }, private kind, condition, reference, side, reduce_only);
    same_account!(MarketHeader {
        header, ledger, index, last_trade_price, last_trade_time, orders_placed, events_written, nodes, deleverage,
        ladders, taker_delay, delayed_first, delayed_len, triggers,
    }, private side_capacity, events_capacity, bids_len, asks_len, pegged_bids_len, pegged_asks_len);
    same_account!(Annex { ladders, delayed, pegged_bids, pegged_asks });
    same_account!(Ladder { quoter, sequence, order, mid, position, bids, asks });
    same_account!(LadderSide { levels, used, node, level });
    same_account!(LadderLevel { lots, distance });
    same_account!(Delayed { slot, node }, private kind);
    let heading = "Deleverage: 80 bytes";
    same_layout!(heading, layout_of(&table(heading, "offset"), heading), market::Deleverage {
        trader, cursor, price, number, lots, quote, profitable, opposite, profitable_passed, others_passed, closed,
    }, private phase, side);
    same_account!(IndexEntry { key, node, sequence });
    same_account!(OrderNode {
        sequence, client_id, lots, expires_at, owner_tag, price, position, next, previous, place,
    }, private side, flags, source);
    same_account!(TradeEvent {
        sequence, unix_seconds, slot, order, client_id, lots, price, maker, taker, taker_fee, maker_fee,
    }, private kind, side);
    same_account!(CashEvent {
        sequence, unix_seconds, slot, market, trader, generation, amount, balance, funding_index,
    }, private kind);
    same_account!(Head { tag, version, trader }, private flags);
}

/// Where a private field stands, for the tests below.
fn place(heading: &str, name: &str) -> usize {
    let listed = layout_of(&table(heading, "offset"), heading);
    let found = listed.iter().find(|(field, ..)| field == name);
    let (_, offset, bytes) = found.unwrap_or_else(|| panic!("{heading}: {name}"));
    let expected = match name {
        "tiers" => 144,
        "fresh_until" | "restricted_until" | "close_only_until" | "halt_until" => 8,
        "market_sources" => 128,
        "sources" => 64 * size_of::<OracleSource>(),
        "tiers_len" => 1,
        name if name.ends_with("_len") || name.ends_with("_capacity") => 4,
        _ => 1,
    };
    assert_eq!(*bytes, expected, "{heading}: {name}");
    *offset
}

/// A value with these bytes set.
fn patched<T: bytemuck::Pod>(offset: usize, bytes: &[u8]) -> T {
    let mut value = T::zeroed();
    bytemuck::bytes_of_mut(&mut value)[offset..offset + bytes.len()].copy_from_slice(bytes);
    value
}

#[test]
fn private_fields_stand_where_listed() {
    let header = AccountHeader::new(u64::from_le_bytes(*b"QDLEDGER"), 9);
    assert_eq!(bytes_of(&header)[..10], *b"QDLEDGER\x01\x09");
    assert_eq!(place("AccountHeader: 16 bytes", "version"), 8);

    let status = place("MarketRow: 640 bytes", "status");
    assert_eq!(patched::<MarketRow>(status, &[0]).status(), None);
    assert_eq!(patched::<MarketRow>(status, &[1]).status(), Some(MarketStatus::Active));
    assert_eq!(patched::<MarketRow>(status, &[2]).status(), Some(MarketStatus::ReduceOnly));
    assert_eq!(patched::<MarketRow>(status, &[3]).status(), Some(MarketStatus::Settled));
    assert_eq!(patched::<MarketRow>(status, &[4]).status(), Some(MarketStatus::Closed));
    assert!(patched::<MarketRow>(place("MarketRow: 640 bytes", "lagging"), &[1]).is_lagging());
    let phase = place("Deleverage: 80 bytes", "phase");
    assert_eq!([0, 1, 2].map(|byte| patched::<market::Deleverage>(phase, &[byte]).is_running()), [false, true, true]);
    let side = place("Deleverage: 80 bytes", "side");
    let closing = [0, 1].map(|byte| patched::<market::Deleverage>(side, &[byte]).closing_side());
    assert_eq!(closing, [Side::Ask, Side::Bid]);
    let condition = place("MarketRow: 640 bytes", "condition");
    for (byte, expected) in [PriceCondition::Good, PriceCondition::Wide, PriceCondition::Diverged].iter().enumerate() {
        assert_eq!(patched::<MarketRow>(condition, &[byte as u8]).condition(), *expected);
    }
    let fresh: MarketRow = patched(place("MarketRow: 640 bytes", "fresh_until"), &[9]);
    let validity = [9, 10].map(|now| fresh.validity(UnixSeconds::new(now)));
    assert_eq!(validity, [Validity::Fresh, Validity::Dead]);
    let tiers: MarketRow = patched(place("MarketRow: 640 bytes", "tiers_len"), &[3]);
    assert_eq!(tiers.tiers().len(), 3);
    let tiers: MarketRow = {
        let mut row: MarketRow = patched(place("MarketRow: 640 bytes", "tiers_len"), &[1]);
        let at = place("MarketRow: 640 bytes", "tiers");
        bytemuck::bytes_of_mut(&mut row)[at..at + 8].copy_from_slice(&77u64.to_le_bytes());
        row
    };
    assert_eq!(tiers.tiers()[0].notional_max.get(), 77);

    let kind = place("TraderCell: 128 bytes", "kind");
    let trader = TraderCell::new(Key::ZERO, 0, Generation::new(1));
    assert_eq!((bytes_of(&trader)[kind], trader.into_cell().trader().is_some()), (1, true));
    assert!(patched::<TraderCell>(place("TraderCell: 128 bytes", "bankrupt"), &[1]).is_bankrupt());
    let waiting = WithdrawalCell::new(CellIndex::new(0), Key::ZERO, QuoteAtoms::new(1), UnixSeconds::ZERO);
    let kind = place("WithdrawalCell: 128 bytes", "kind");
    assert_eq!((bytes_of(&waiting)[kind], waiting.into_cell().withdrawal().is_some()), (3, true));
    let access = AccessCell::new(CellIndex::new(0));
    let kind = place("AccessCell: 128 bytes", "kind");
    assert_eq!((bytes_of(&access)[kind], access.into_cell().access().is_some()), (5, true));
    let nil = CellIndex::NIL;
    let position = PositionCell::new(MarketIndex::new(0), CellIndex::new(0), nil, FundingIndex::ZERO);
    assert_eq!((bytes_of(&position)[place("PositionCell: 128 bytes", "kind")], position.is_empty()), (2, true));

    let trigger = TriggerCell::new(Condition::Twap, Reference::Index, Side::Ask, true);
    let byte = |name: &str| bytes_of(&trigger)[place("TriggerCell: 128 bytes", name)];
    assert_eq!(["kind", "condition", "reference", "side", "reduce_only"].map(byte), [4, 3, 2, 1, 1]);
    assert!(trigger.into_cell().trigger().is_some());

    let mut exchange = Box::new(Exchange::zeroed());
    exchange.clear_sources();
    let source = OracleSource::pyth(Key::new(&[7; 32]));
    exchange.set_sources(MarketIndex::new(1), &[source]).unwrap();
    let bytes = bytes_of(&*exchange);
    let at = |name: &str| place("Exchange: 10240 bytes", name);
    assert_eq!(bytes[at("market_sources")..][..8], [255, 255, 255, 255, 0, 255, 255, 255]);
    assert_eq!(bytes[at("sources_len")..][..4], [1, 0, 0, 0]);
    assert_eq!(&bytes[at("sources")..][..size_of::<OracleSource>()], bytes_of(&source));

    let capacity: MarketHeader = patched(place("MarketHeader: 256 bytes", "side_capacity"), &[5]);
    assert_eq!(capacity.side_capacity(), 5);
    for (name, side) in [("bids_len", Side::Bid), ("asks_len", Side::Ask)] {
        assert_eq!(patched::<MarketHeader>(place("MarketHeader: 256 bytes", name), &[5]).side_len(side), 5);
    }

    let node: OrderNode = patched(place("OrderNode: 64 bytes", "flags"), &[1]);
    assert!(node.is_reduce_only() && node.side() == Side::Bid);
    let node: OrderNode = patched(place("OrderNode: 64 bytes", "side"), &[1]);
    assert!(!node.is_reduce_only() && node.side() == Side::Ask);
    let node: OrderNode = patched(place("OrderNode: 64 bytes", "flags"), &[2]);
    assert!(!node.is_reduce_only() && node.is_parent());

    let until = |name: &str| patched::<Modes>(place("Modes: 40 bytes", name), &[9]);
    assert_eq!(until("restricted_until").restricted_until(), UnixSeconds::new(9));
    for (name, mode) in [("close_only_until", Mode::CloseOnly), ("halt_until", Mode::Halted)] {
        assert_eq!([8, 9].map(|now| until(name).mode(UnixSeconds::new(now))), [mode, Mode::Active]);
    }
    let mut withdrawing = until("halt_until");
    bytemuck::bytes_of_mut(&mut withdrawing)[place("Modes: 40 bytes", "halt_mode")] = 2;
    assert_eq!(withdrawing.mode(UnixSeconds::new(8)), Mode::WithdrawOnly);

    let list = bytemuck::cast::<FreeList, [u32; 4]>(FreeList::new(7));
    assert_eq!(list, [NIL, 0, 0, 7]);
    assert!(SPEC.contains("\nA FreeList is four u32: `head`"));
    let order = ["`head`", "`high_water`", "`free`", "`capacity`"].map(|name| SPEC.find(name));
    assert!(order.is_sorted());
}

#[test]
fn account_sizes_and_addresses() {
    let sizes = table("2 Accounts", "account");
    let of = |account: &str| {
        let row = sizes.iter().find(|row| row[0] == account).unwrap();
        (row[1].as_str(), row[2].as_str())
    };
    assert_eq!(of("Exchange").1, exchange::EXCHANGE_SIZE.to_string());
    assert_eq!(of("Vault").1, "165");
    assert_eq!(of("PoolStake").1, stake::STAKE_SIZE.to_string());
    assert_eq!(of("Session").1, session::SESSION_SIZE.to_string());
    let (header, rows, row) = (ledger::LEDGER_HEADER_SIZE, exchange::MARKETS_MAX, row::ROW_SIZE);
    let (record, cell) = (size_of::<event::CashEvent>(), cell::CELL_SIZE);
    assert_eq!(of("Ledger").1, format!("{header} + {rows} · {row} + `events_capacity` · {record} + cells · {cell}"));
    assert_eq!(ledger::ledger_size(64, 48), header + rows * row + 64 * record + 48 * cell);
    let (header, entry, node) = (market::MARKET_HEADER_SIZE, size_of::<IndexEntry>(), size_of::<OrderNode>());
    let record = size_of::<event::TradeEvent>();
    let fixed = header + annex::ANNEX_SIZE + annex::ANNEX_NODES as usize * node;
    let size = format!("{fixed} + `side_capacity` · 2 · ({entry} + {node}) + `events_capacity` · {record}");
    assert_eq!(of("Market").1, size);
    assert_eq!(market::market_size(8, 64), fixed + 8 * 2 * (entry + node) + 64 * record);
    assert_eq!((size_of::<Cell>(), cell::CELL_SIZE), (128, 128));
    let seeds = [
        ("Exchange", pda::EXCHANGE_SEED),
        ("Vault", pda::VAULT_SEED),
        ("PoolStake", pda::STAKE_SEED),
        ("Session", pda::SESSION_SEED),
    ];
    for (account, seed) in seeds {
        let seed = format!("\"{}\"", std::str::from_utf8(seed).unwrap());
        assert!(code(of(account).0).contains(&seed.as_str()), "{seed}");
    }
    let names = section("AccountHeader: 16 bytes");
    let discriminators = [
        exchange::EXCHANGE_DISCRIMINATOR,
        ledger::LEDGER_DISCRIMINATOR,
        market::MARKET_DISCRIMINATOR,
        stake::STAKE_DISCRIMINATOR,
        session::SESSION_DISCRIMINATOR,
    ];
    for discriminator in discriminators {
        let bytes = discriminator.to_le_bytes();
        assert!(code(names).contains(&std::str::from_utf8(&bytes).unwrap()));
    }
    assert_eq!((VERSION, ENCODING_VERSION), (1, 1));
}

#[test]
fn units() {
    let sizes = [
        ("Ticks", size_of::<Ticks>()),
        ("Lots", size_of::<Lots>()),
        ("PositionLots", size_of::<PositionLots>()),
        ("QuoteAtoms", size_of::<QuoteAtoms>()),
        ("QuoteDelta", size_of::<QuoteDelta>()),
        ("TickValue", size_of::<TickValue>()),
        ("Ppm", size_of::<Ppm>()),
        ("SignedPpm", size_of::<SignedPpm>()),
        ("PicoPrice", size_of::<PicoPrice>()),
        ("FundingIndex", size_of::<FundingIndex>()),
        ("UnixSeconds", size_of::<UnixSeconds>()),
        ("Slot", size_of::<Slot>()),
        ("Sequence", size_of::<Sequence>()),
        ("Generation", size_of::<Generation>()),
        ("CellIndex", size_of::<CellIndex>()),
        ("NodeIndex", size_of::<NodeIndex>()),
        ("MarketIndex", size_of::<MarketIndex>()),
        ("Key", size_of::<Key>()),
    ];
    let rows = table("1 Units", "type");
    let listed: Vec<_> = rows.iter().flat_map(|row| code(&row[0]).into_iter().map(|name| (name, &row[1]))).collect();
    assert_eq!(listed.len(), sizes.len());
    for ((name, inner), (expected, bytes)) in listed.into_iter().zip(sizes) {
        assert_eq!(name, expected);
        let (size, signed) = match inner.as_str() {
            "32 bytes" => (32, false),
            inner => (inner[1..].parse::<usize>().unwrap() / 8, inner.starts_with('i')),
        };
        assert_eq!(size, bytes, "{name}");
        let expected = matches!(name, "PositionLots" | "QuoteDelta" | "SignedPpm" | "FundingIndex" | "UnixSeconds");
        assert_eq!(signed, expected, "{name}");
    }
}

#[test]
fn worked_example() {
    let rows = table("1 Units", "quantity");
    let number = |name: &str| -> u64 {
        let row = rows.iter().find(|row| row[0].starts_with(name)).unwrap();
        row[2].split(' ').next().unwrap().parse().unwrap()
    };
    let mut row: MarketRow = Zeroable::zeroed();
    (row.tick_size, row.lot_size) = (PicoPrice::new(1_000_000_000), 1_000_000_000);
    (row.tick_value, row.price_max) = (TickValue::new(1), Ticks::new(4_000_000));
    let order = Ticket::limit(&row, Side::Bid, "221.05", "2.5").unwrap().build();
    assert_eq!((u64::from(order.price.get()), order.lots.get()), (number("price"), number("size")));
    let notional = order.price.notional(order.lots, row.tick_value).unwrap();
    assert_eq!(notional.get(), number("notional"));
    let fees = fee::of_fill(notional, Ppm::new(500), SignedPpm::new(-100)).unwrap();
    assert_eq!(fees.taker.get(), number("taker fee"));
    assert_eq!(-fees.maker.get(), number("maker rebate") as i64);
}

// ---- Instructions

/// One of each instruction, with the accounts the client gives it.
fn instruction(tag: Tag) -> Instruction {
    let name = |byte: u8| Address::new_from_array([byte; 32]);
    let program = name(1);
    let venue = Venue { program, exchange: name(2), ledger: name(3), vault: name(4), mint: name(5) };
    let trader = Trader { authority: name(6), cell: CellIndex::new(7), generation: Generation::new(8) };
    let target = Target { trader: trader.cell, generation: trader.generation };
    let (market, tokens, atoms) = (name(9), name(10), QuoteAtoms::new(1));
    let handle = (NodeIndex::new(0), Sequence::new(1));
    match tag {
        Tag::CreateExchange => venue.create_exchange(name(6), 1, 64, &Zeroable::zeroed()),
        Tag::ListMarket => venue.list_market(name(6), market, &Zeroable::zeroed()),
        Tag::GrowLedger => venue.grow_ledger(name(6), 1),
        Tag::CollectFees => venue.collect_fees(name(6), tokens, atoms),
        Tag::OpenTrader => venue.open_trader(name(6), 0),
        Tag::CloseTrader => venue.close_trader(&trader),
        Tag::Deposit => venue.deposit(&trader, tokens, atoms),
        Tag::Withdraw => venue.withdraw(&trader, tokens, atoms),
        Tag::ProcessWithdrawQueue => venue.process_withdraw_queue(tokens),
        Tag::TransferCash => venue.transfer_cash(&trader, &trader, atoms),
        Tag::Heartbeat => venue.heartbeat(&trader, 5),
        Tag::SetBuilderMax => venue.set_builder_max(&trader, 5),
        Tag::SetReferrer => venue.set_referrer(&trader, target),
        Tag::SetDelegate => venue.set_delegate(&trader, None),
        Tag::OpenSession => venue.open_session(&trader, name(10), &Zeroable::zeroed()),
        Tag::CloseSession => venue.close_session(name(6), &name(10)),
        Tag::SetFeeMax => venue.set_fee_max(&trader, None),
        Tag::SetWithdrawDelay => venue.set_withdraw_delay(&trader, 5),
        Tag::AllowTarget => venue.allow_target(&trader, &tokens, true),
        Tag::StakePool => venue.stake_pool(&trader, atoms),
        Tag::RequestUnstake => venue.request_unstake(&trader, 1),
        Tag::Unstake => venue.unstake(&trader),
        Tag::FundPool => venue.fund_pool(&trader, atoms),
        Tag::PlaceOrder => {
            let order = Ticket::of(Side::Bid, Ticks::new(1), Lots::new(1)).build();
            venue.place_order(&trader, &market, &order, UnixSeconds::ZERO)
        }
        Tag::PlaceOrders => {
            let orders: [NewOrder; 2] = [Ticket::of(Side::Bid, Ticks::new(1), Lots::new(1)).build(); 2];
            venue.place_orders(&trader, &market, &orders, UnixSeconds::ZERO, &BookGuard::default())
        }
        Tag::CancelOrder => venue.cancel_order(&trader, &market, handle.0, handle.1),
        Tag::CancelAll => venue.cancel_all(&trader, &market, Sides::Both, 1),
        Tag::CancelOrders => venue.cancel_orders(&trader, &market, &[handle; 2]),
        Tag::CancelByClientId => venue.cancel_by_client_id(&trader, &market, 1),
        Tag::PlaceTrigger => {
            let stop = TriggerTicket::stop(Side::Ask, Ticks::new(1)).lots(Lots::new(1)).build();
            venue.place_trigger(&trader, &market, &stop, UnixSeconds::ZERO)
        }
        Tag::CancelTrigger => venue.cancel_trigger_by_client_id(&trader, &market, 1),
        Tag::ExecuteTriggers => {
            let handle = TriggerHandle { cell: CellIndex::new(0), number: Sequence::new(1) };
            venue.execute_triggers(&trader, &market, &[handle; 3])
        }
        Tag::AmendOrder => venue.amend_order(&trader, &market, handle, Ticks::new(1), Lots::new(1)),
        Tag::ReplaceQuotes => {
            let nothing = Replacement { sequence: 1, sides: None, expires_at: UnixSeconds::ZERO, quotes: &[] };
            venue.replace_quotes(&trader, &market, &nothing, UnixSeconds::ZERO)
        }
        Tag::SetLadder => {
            let nothing = LadderTicket::new(&name(6), 0);
            venue.set_ladder(&trader, &market, &nothing.wanted(1), UnixSeconds::ZERO)
        }
        Tag::MoveLadder => {
            let ladder = LadderHandle { number: 0, position: trader.cell };
            venue.move_ladder(name(6), &market, ladder, 1, Ticks::new(1))
        }
        Tag::UpdatePrice => venue.update_price(&market, MarketIndex::new(0), &[name(11), name(12)]),
        Tag::SetMarketStatus => venue.set_market_status(name(6), MarketIndex::new(0), MarketStatus::ReduceOnly),
        Tag::SetMargin => venue.set_margin(name(6), &Zeroable::zeroed()),
        Tag::CloseMarket => venue.close_market(name(6), &market),
        Tag::ProposeChange => venue.propose_listing(name(6), market, &Zeroable::zeroed()),
        Tag::ExecuteChange => venue.execute_change(1, Some(market)),
        Tag::CancelChange => venue.cancel_change(name(6), 1),
        Tag::SealExchange => venue.seal_exchange(name(6)),
        Tag::Guard => venue.guard(name(6), &Tightening::Mode { mode: Mode::Halted, seconds: 1 }),
        Tag::RotateRole => venue.rotate_role(name(6), Role::Admin, &name(7)),
        Tag::AcceptRole => venue.accept_role(name(6), Role::Admin),
        Tag::SettleMarket => venue.settle_market(&market),
        Tag::SettleMarketPosition => venue.settle_market_position(&market, target, target),
        Tag::Sweep => venue.sweep(1),
        Tag::EnforceDeadman => venue.enforce_deadman(&market, target, 1),
        Tag::DropExpired => venue.drop_expired(&market, &[handle; 3]),
        Tag::RunDelayed => venue.run_delayed(&market, 1),
        Tag::CancelForRisk => venue.cancel_for_risk(&market, target, 1),
        Tag::Liquidate => venue.liquidate(&trader, &market, target, 1),
        Tag::TakeOver => venue.take_over(&trader, &market, target, Lots::new(1)),
        Tag::AbsorbShortfall => venue.absorb_shortfall(MarketIndex::new(0), target),
        Tag::Deleverage => venue.deleverage(&market, target, 1),
    }
}

#[test]
fn tags_and_argument_sizes() {
    let rows = table("Head: 8 bytes", "tag");
    assert_eq!(rows.len(), Tag::ALL.len());
    for (row, tag) in rows.iter().zip(Tag::ALL) {
        let data = instruction(tag).data;
        let head: Head = bytemuck::pod_read_unaligned(&data[..size_of::<Head>()]);
        assert_eq!((head.tag, data[0]), (tag.byte(), tag.byte()));
        let named = if head.trader.is_nil() { "no" } else { "yes" };
        let bytes = data.len() - size_of::<Head>();
        let bytes = match tag {
            Tag::ProposeChange => format!("{} + payload", bytes - Kind::Listing.payload_size()),
            // The client was given two handles, two orders, and three handles.
            Tag::CancelOrders => format!("{} + `count` · 16", bytes - 2 * 16),
            Tag::PlaceOrders => format!("{} + `count` · 32", bytes - 2 * 32),
            Tag::DropExpired | Tag::ExecuteTriggers => format!("{} + `count` · 16", bytes - 3 * 16),
            _ => bytes.to_string(),
        };
        let expected = [tag.byte().to_string(), format!("`{}`", tag.name()), bytes, named.to_string()];
        assert_eq!(row.as_slice(), expected);
    }
}

#[test]
fn accounts_of_instructions() {
    for tag in Tag::ALL {
        let listed = item(tag.name(), "* Accounts: ").unwrap();
        let flags: Vec<&str> = code(&listed).into_iter().filter(|text| text.starts_with('[')).collect();
        let given: Vec<&str> = instruction(tag)
            .accounts
            .iter()
            .map(|meta| match (meta.is_signer, meta.is_writable) {
                (true, true) => "[signer, writable]",
                (true, false) => "[signer]",
                (false, true) => "[writable]",
                (false, false) => "[]",
            })
            .collect();
        let numbers: Vec<&str> = listed.split(" · ").map(|account| account.split(' ').next().unwrap()).collect();
        if tag == Tag::UpdatePrice {
            // The client was given two sources.
            assert_eq!((flags.len(), numbers[3]), (4, "3…"));
            assert_eq!([&flags[..], &flags[3..]].concat(), given);
        } else {
            assert_eq!(flags, given, "{}", tag.name());
            assert!(numbers.iter().enumerate().all(|(place, number)| *number == place.to_string()), "{}", tag.name());
        }
        let known = [
            ("System program", SYSTEM_PROGRAM),
            ("SPL Token program", TOKEN_PROGRAM),
            ("instructions sysvar", INSTRUCTIONS_SYSVAR),
        ];
        for (name, address) in known {
            let place = listed.split(" · ").position(|account| account.ends_with(name));
            let account = place.map(|place| instruction(tag).accounts[place].pubkey);
            assert!(account.is_none_or(|account| account == address), "{}: {name}", tag.name());
        }
        let program = instruction(tag).program_id;
        let authority = address::vault_authority(&program, &Address::new_from_array([3; 32]));
        let place = listed.split(" · ").position(|account| account.ends_with("vault authority"));
        let account = place.map(|place| instruction(tag).accounts[place].pubkey);
        assert!(account.is_none_or(|account| account == authority), "{}", tag.name());
    }
}

/// Arguments that a section lists in a line.
fn inline(tag: Tag) -> Vec<Field> {
    arguments_of(&item(tag.name(), "* Arguments: ").unwrap())
}

/// Arguments that a section lists in a table.
fn tabular(tag: Tag) -> Vec<Field> {
    layout_of(&table(tag.name(), "offset"), tag.name())
}

/// Compares arguments that begin with a target.
fn targeted(tag: Tag, rest: &[(&str, usize, usize)]) {
    let own = [("trader", offset_of!(Target, trader), 4), ("generation", offset_of!(Target, generation), 4)];
    let expected: Vec<Field> =
        own.iter().chain(rest).map(|(name, offset, bytes)| ((*name).into(), *offset, *bytes)).collect();
    assert_eq!(inline(tag), expected, "{}", tag.name());
}

#[test]
fn arguments_of_administration_and_collateral() {
    same_layout!("CreateExchange", tabular(Tag::CreateExchange), CreateExchange { id, events_capacity, policy });
    same_layout!("GrowLedger", inline(Tag::GrowLedger), GrowLedger { cells });
    same_layout!("CollectFees", inline(Tag::CollectFees), CollectFees { atoms });
    same_layout!("ProposeChange", tabular(Tag::ProposeChange), Proposal { value, market, kind, parameter });
    same_layout!("ExecuteChange", inline(Tag::ExecuteChange), ExecuteChange { number });
    same_layout!("CancelChange", inline(Tag::CancelChange), CancelChange { number });
    same_layout!("Guard", inline(Tag::Guard), Guard { kind, mode, market, seconds, lots });
    same_layout!("RotateRole", tabular(Tag::RotateRole), RotateRole { role, successor });
    same_layout!("AcceptRole", inline(Tag::AcceptRole), AcceptRole { role });
    same_layout!("OpenTrader", inline(Tag::OpenTrader), OpenTrader { sub_account });
    same_layout!("CloseTrader", inline(Tag::CloseTrader), CloseTrader { generation });
    same_layout!("Deposit", inline(Tag::Deposit), MoveCash { generation, atoms });
    same_layout!("Withdraw", inline(Tag::Withdraw), MoveCash { generation, atoms });
    same_layout!(
        "TransferCash",
        inline(Tag::TransferCash),
        TransferCash { generation, target, target_generation, atoms }
    );
    same_layout!("SetDelegate", tabular(Tag::SetDelegate), SetDelegate { generation, delegate });
    same_layout!("OpenSession", tabular(Tag::OpenSession), OpenSession { generation, key, terms });
    same_layout!("SetFeeMax", inline(Tag::SetFeeMax), SetFeeMax { generation, fee_max });
    same_layout!("SetWithdrawDelay", inline(Tag::SetWithdrawDelay), SetWithdrawDelay { generation, seconds });
    same_layout!("AllowTarget", tabular(Tag::AllowTarget), AllowTarget { generation, allowed, target });
    same_layout!("StakePool", inline(Tag::StakePool), MoveCash { generation, atoms });
    same_layout!("RequestUnstake", inline(Tag::RequestUnstake), RequestUnstake { generation, shares });
    same_layout!("Unstake", inline(Tag::Unstake), Unstake { generation });
    same_layout!("FundPool", inline(Tag::FundPool), MoveCash { generation, atoms });
    same_layout!("Sweep", inline(Tag::Sweep), Sweep { cells });
    same_layout!("RunDelayed", inline(Tag::RunDelayed), RunDelayed { limit });
}

#[test]
fn arguments_of_the_ladder() {
    let pair = [("long", offset_of!(SettleMarketPosition, long)), ("short", offset_of!(SettleMarketPosition, short))];
    let pair: Vec<Field> = pair
        .into_iter()
        .flat_map(|(side, place)| {
            let of = |name: &str, offset: usize| (format!("{side}_{name}"), place + offset, 4);
            [of("trader", offset_of!(Target, trader)), of("generation", offset_of!(Target, generation))]
        })
        .collect();
    assert_eq!(inline(Tag::SettleMarketPosition), pair);
    targeted(Tag::CancelForRisk, &[("limit", offset_of!(CancelForRisk, limit), 1)]);
    targeted(Tag::EnforceDeadman, &[("limit", offset_of!(EnforceDeadman, limit), 1)]);
    targeted(Tag::AbsorbShortfall, &[("market", offset_of!(AbsorbShortfall, market), 2)]);
    targeted(Tag::Deleverage, &[("steps", offset_of!(Deleverage, steps), 2)]);
    let own = ["generation", "target_trader", "target_generation"].into_iter().map(String::from).zip([0, 4, 8]);
    let own: Vec<Field> = own.map(|(name, offset)| (name, offset, 4)).collect();
    assert_eq!((offset_of!(Liquidate, target), offset_of!(TakeOver, target)), (4, 4));
    let liquidate = [own.clone(), vec![("match_limit".into(), offset_of!(Liquidate, match_limit), 1)]].concat();
    assert_eq!(inline(Tag::Liquidate), liquidate);
    let take_over = [own, vec![("lots_max".into(), offset_of!(TakeOver, lots_max), 8)]].concat();
    assert_eq!(inline(Tag::TakeOver), take_over);
}

#[test]
fn arguments_of_orders() {
    same_layout!("CancelOrder", inline(Tag::CancelOrder), CancelOrder { generation, node, sequence });
    same_layout!("CancelAll", inline(Tag::CancelAll), CancelAll { generation, sides, limit });
    let before_handles = |tag: Tag| {
        let listed = item(tag.name(), "* Arguments: ").unwrap();
        arguments_of(listed.strip_suffix(" · 8 handles").unwrap())
    };
    same_layout!("CancelOrders", before_handles(Tag::CancelOrders), CancelOrders { generation, count });
    same_layout!("ExecuteTriggers", before_handles(Tag::ExecuteTriggers), ExecuteTriggers { generation, count });
    same_layout!("CancelTrigger", inline(Tag::CancelTrigger), CancelTrigger { generation, cell, name });
    same_layout!(
        "PlaceTrigger",
        tabular(Tag::PlaceTrigger),
        PlaceTrigger {
            generation,
            price,
            lots,
            tip,
            client_id,
            parent,
            expires_at,
            valid_until,
            distance,
            limit,
            slippage,
            share,
            group,
            interval,
            slices,
            condition,
            reference,
            side,
            reduce_only,
        }
    );
    same_layout!("DropExpired", before_handles(Tag::DropExpired), DropExpired { count });
    assert_eq!((size_of::<CancelOrders>(), size_of::<DropExpired>()), (8, 8));
    assert!(section("Head: 8 bytes").contains("OrderHandle is 16 bytes: `node` u32, 4 zero bytes, `sequence` u64"));
    let handle = (offset_of!(OrderHandle, node), offset_of!(OrderHandle, sequence), size_of::<OrderHandle>());
    assert_eq!(handle, (0, 8, 16));
    let client_id = inline(Tag::CancelByClientId);
    same_layout!("CancelByClientId", client_id, CancelByClientId { generation, client_id });
    same_layout!("AmendOrder", inline(Tag::AmendOrder), AmendOrder { generation, node, sequence, lots, price });
    same_layout!("Heartbeat", inline(Tag::Heartbeat), Heartbeat { generation, seconds });
    same_layout!("SetBuilderMax", inline(Tag::SetBuilderMax), SetBuilderMax { generation, builder_max });
    same_layout!("SetReferrer", inline(Tag::SetReferrer), SetReferrer { generation, referrer, referrer_generation });
    same_layout!(
        "PlaceOrders",
        tabular(Tag::PlaceOrders),
        PlaceOrders { generation, count, expires_at, valid_until, book_sequence_max }
    );
    let entry = [
        offset_of!(OrderEntry, lots),
        offset_of!(OrderEntry, client_id),
        offset_of!(OrderEntry, price),
        offset_of!(OrderEntry, side),
        offset_of!(OrderEntry, match_limit),
        size_of::<OrderEntry>(),
    ];
    assert_eq!(entry, [0, 8, 16, 20, 24, 32]);
    same_layout!(
        "ReplaceQuotes",
        tabular(Tag::ReplaceQuotes),
        ReplaceQuotes { sequence, generation, sides, count, expires_at, valid_until }
    );
    same_layout!(
        "SetLadder",
        tabular(Tag::SetLadder),
        SetLadder {
            sequence,
            generation,
            mid,
            valid_until,
            quoter,
            bid_reserve,
            ask_reserve,
            bid_limit,
            ask_limit,
            bids,
            asks,
        }
    );
    same_layout!("MoveLadder", inline(Tag::MoveLadder), MoveLadder { sequence, mid, ladder, position });
    same_layout!("UpdatePrice", inline(Tag::UpdatePrice), UpdatePrice { market });
    same_layout!(
        "PlaceOrder",
        tabular(Tag::PlaceOrder),
        PlaceOrder {
            generation,
            price,
            lots,
            client_id,
            expires_at,
            valid_until,
            book_sequence_max,
            builder,
            builder_generation,
            builder_fee,
            side,
            kind,
            self_trade,
            reduce_only,
            match_limit,
            peg_offset,
        }
    );
}

#[test]
fn arguments_of_a_listing() {
    same_layout!(
        "ListMarket",
        tabular(Tag::ListMarket),
        ListingParameters {
            symbol,
            tick_size,
            lot_size,
            lots_min,
            lots_max,
            position_max,
            open_interest_max,
            tick_value,
            price_max,
            band,
            taker_fee,
            maker_fee,
            maintenance,
            confidence_max,
            divergence_max,
            fresh_seconds,
            dead_seconds,
            side_capacity,
            events_capacity,
            sources_min,
            sources_len,
            tiers_len,
            taker_delay,
            tiers,
            sources,
            risk,
        }
    );
    assert_eq!((size_of::<TierParameters>(), offset_of!(TierParameters, rate)), (16, 8));
    assert_eq!((size_of::<state::MarginTier>(), offset_of!(state::MarginTier, rate)), (24, 16));
}

#[test]
fn encoded_values() {
    let rows = table("4 Order book", "value");
    let shown = |value: Option<&dyn Debug>| value.map_or(String::new(), |value| format!("`{value:?}`"));
    for byte in 0..=u8::MAX {
        let side = Side::from_byte(byte);
        let kind = OrderKind::from_byte(byte);
        let self_trade = SelfTrade::from_byte(byte);
        let sides = Sides::from_byte(byte);
        let expected = [
            byte.to_string(),
            shown(side.as_ref().map(|value| value as &dyn Debug)),
            shown(kind.as_ref().map(|value| value as &dyn Debug)),
            shown(self_trade.as_ref().map(|value| value as &dyn Debug)),
            shown(sides.as_ref().map(|value| value as &dyn Debug)),
        ];
        match rows.get(usize::from(byte)) {
            Some(row) => assert_eq!(row.as_slice(), expected),
            None => assert!(expected[1..].iter().all(String::is_empty), "{byte} means something"),
        }
    }
    let rows = table("Conditional orders", "value");
    for byte in 0..=u8::MAX {
        let condition = Condition::from_byte(byte);
        let reference = Reference::from_byte(byte);
        let expected = [
            byte.to_string(),
            shown(condition.as_ref().map(|value| value as &dyn Debug)),
            shown(reference.as_ref().map(|value| value as &dyn Debug)),
        ];
        match rows.get(usize::from(byte)) {
            Some(row) => assert_eq!(row[..3], expected),
            None => assert!(expected[1..].iter().all(String::is_empty), "{byte} means something"),
        }
    }
    let kinds = (0..=u8::MAX).filter_map(SourceKind::from_byte).collect::<Vec<_>>();
    let (accounts, signed) = kinds.split_at(3);
    assert_eq!(accounts, [SourceKind::Pyth, SourceKind::PythPro, SourceKind::Switchboard]);
    assert_eq!(signed, [SourceKind::SwitchboardQuote, SourceKind::PythLazer]);
}

#[test]
fn event_kinds() {
    let rows: Vec<Table> = tables(section("10 Events"));
    let [trade, cash] = rows.as_slice() else { panic!("two tables expected") };
    let kind = place("TradeEvent: 80 bytes", "kind");
    let trades = |byte: u8| patched::<event::TradeEvent>(kind, &[byte]).kind().map(|kind| format!("{kind:?}"));
    let kind = place("CashEvent: 64 bytes", "kind");
    let cashes = |byte: u8| patched::<event::CashEvent>(kind, &[byte]).kind().map(|kind| format!("{kind:?}"));
    let compare = |table: &Table, decoded: &dyn Fn(u8) -> Option<String>| {
        assert_eq!(decoded(0), None);
        let known = (1u8..=u8::MAX).filter_map(|byte| Some((byte.to_string(), format!("`{}`", decoded(byte)?))));
        let listed = table.iter().skip(1).map(|row| (row[0].clone(), row[1].clone()));
        assert_eq!(listed.collect::<Vec<_>>(), known.collect::<Vec<_>>());
    };
    compare(trade, &trades);
    compare(cash, &cashes);
}

// ---- Rules

#[test]
fn listing_bounds_and_limits() {
    let bounds: [(&str, u64); 24] = [
        ("RATE_MIN", listing::RATE_MIN.get().into()),
        ("RATE_MAX", listing::RATE_MAX.get().into()),
        ("MAINTENANCE_MIN", listing::MAINTENANCE_MIN.get().into()),
        ("MAINTENANCE_MAX", listing::MAINTENANCE_MAX.get().into()),
        ("TAKER_FEE_MAX", listing::TAKER_FEE_MAX.get().into()),
        ("BAND_MIN", listing::BAND_MIN.get().into()),
        ("BAND_MAX", listing::BAND_MAX.get().into()),
        ("WIDTH_MAX", listing::WIDTH_MAX.get().into()),
        ("FRESH_SECONDS_MAX", listing::FRESH_SECONDS_MAX.into()),
        ("DEAD_SECONDS_MAX", listing::DEAD_SECONDS_MAX.into()),
        ("SIDE_CAPACITY_MAX", market::SIDE_CAPACITY_MAX.into()),
        ("TAKER_DELAY_MAX", listing::TAKER_DELAY_MAX.into()),
        ("NOTIONAL_BOUND", listing::NOTIONAL_BOUND),
        ("LOT_VALUE_MAX", listing::LOT_VALUE_MAX),
        ("STEP_MAX", listing::STEP_MAX.get().into()),
        ("STEP_SECONDS_MAX", listing::STEP_SECONDS_MAX.into()),
        ("BASIS_MIN", listing::BASIS_MIN.get().into()),
        ("BASIS_MAX", listing::BASIS_MAX.get().into()),
        ("FUNDING_CAP_MAX", listing::FUNDING_CAP_MAX.get().into()),
        ("LIQUIDATION_FEE_MAX", listing::LIQUIDATION_FEE_MAX.get().into()),
        ("TAKEOVER_DISCOUNT_MAX", listing::TAKEOVER_DISCOUNT_MAX.get().into()),
        ("LIQUIDATION_BUFFER_MAX", listing::LIQUIDATION_BUFFER_MAX.get().into()),
        ("INTEREST_SCALE_MIN", listing::INTEREST_SCALE_MIN.get().into()),
        ("INTEREST_SCALE_MAX", listing::INTEREST_SCALE_MAX.get().into()),
    ];
    let listed = table("ListMarket", "constant");
    let expected = bounds.map(|(name, value)| vec![format!("`{name}`"), value.to_string()]);
    assert_eq!(listed.iter().map(|row| row[..2].to_vec()).collect::<Vec<_>>(), expected);

    let limits: [(&str, u64); 40] = [
        ("`MARKETS_MAX`", exchange::MARKETS_MAX as u64),
        ("`MARKET_SOURCES_MAX`", exchange::MARKET_SOURCES_MAX as u64),
        ("`EXCHANGE_SOURCES_MAX`", exchange::EXCHANGE_SOURCES_MAX as u64),
        ("`TIERS_MAX`", row::TIERS_MAX as u64),
        ("`SIDE_CAPACITY_MAX`", market::SIDE_CAPACITY_MAX.into()),
        ("`PEGGED_MAX`", annex::PEGGED_MAX as u64),
        ("`ORDERS_PER_POSITION_MAX`", ORDERS_PER_POSITION_MAX.into()),
        ("`DELAYED_MAX`", state::annex::DELAYED_MAX as u64),
        ("u8", u8::MAX.into()),
        ("`CELLS_MAX`", CELLS_MAX.into()),
        ("`ACCOUNT_SIZE_MAX`", ledger::ACCOUNT_SIZE_MAX as u64),
        ("`TOTAL_MAX`", TOTAL_MAX as u64),
        ("`CLOCK_SKEW_SECONDS`", CLOCK_SKEW_SECONDS as u64),
        ("`NOTICE_SECONDS`", life::NOTICE_SECONDS.into()),
        ("`ABANDONED_SECONDS`", life::ABANDONED_SECONDS.into()),
        ("`GRACE_SECONDS`", life::GRACE_SECONDS.into()),
        ("`RAMP_SECONDS_MIN`", life::RAMP_SECONDS_MIN.into()),
        ("`RAMP_SECONDS_MAX`", life::RAMP_SECONDS_MAX.into()),
        ("`ACCEPT_SECONDS`", role::ACCEPT_SECONDS.into()),
        ("`HANDLES_MAX`", HANDLES_MAX.into()),
        ("`ORDERS_MAX`", ORDERS_MAX as u64),
        ("`BUILDER_MAX`", partner::BUILDER_MAX.into()),
        ("`FEE_TIERS_MAX`", fees::FEE_TIERS_MAX as u64),
        ("`VOLUME_DAYS`", tier::VOLUME_DAYS.into()),
        ("`LADDERS_MAX`", annex::LADDERS_MAX as u64),
        ("`LEVELS_MAX`", annex::LEVELS_MAX as u64),
        ("`TRIGGERS_PER_POSITION_MAX`", ledger::TRIGGERS_PER_POSITION_MAX as u64),
        ("`TRIGGERS_MAX`", TRIGGERS_MAX.into()),
        ("`TWAP_SLICES_MIN`", TWAP_SLICES_MIN.into()),
        ("`TWAP_SLICES_MAX`", TWAP_SLICES_MAX.into()),
        ("`TWAP_INTERVAL_MAX`", TWAP_INTERVAL_MAX.into()),
        ("`DEADMAN_SECONDS_MIN`", account::DEADMAN_SECONDS_MIN.into()),
        ("`DEADMAN_SECONDS_MAX`", account::DEADMAN_SECONDS_MAX.into()),
        ("`HALT_SECONDS_MAX`", mode::HALT_SECONDS_MAX.into()),
        ("`QUIET_SECONDS`", mode::QUIET_SECONDS.into()),
        ("`CLOSE_ONLY_SECONDS_MAX`", mode::CLOSE_ONLY_SECONDS_MAX.into()),
        ("`STILL_SECONDS_MIN`", restart::STILL_SECONDS_MIN.into()),
        ("`TARGETS_MAX`", state::access::TARGETS_MAX as u64),
        ("`WITHDRAW_DELAY_MAX`", access::WITHDRAW_DELAY_MAX.into()),
        ("`SESSION_SECONDS_MAX`", rules::SESSION_SECONDS_MAX.into()),
    ];
    let listed = table("13 Limits", "limit");
    let expected = limits.map(|(name, value)| vec![value.to_string(), name.to_string()]);
    assert_eq!(listed.iter().map(|row| row[1..].to_vec()).collect::<Vec<_>>(), expected);
    assert_eq!(CELLS_MAX as usize * cell::CELL_SIZE, resize::GROWTH_MAX);
}

#[test]
fn inv_f5_validity_and_actions_cell_by_cell() {
    use Action::{Deleverage, Fund, Liquidate, Place, Reduce, Trigger, Withdraw};
    let actions = [Place, Reduce, Liquidate, Fund, Trigger, Withdraw, Deleverage];
    let validities = [Validity::Fresh, Validity::SoftStale, Validity::Wide, Validity::Diverged, Validity::Dead];
    let text = section("8 Price board");
    let found = tables(text).into_iter().find(|table| table[0][0] == "validity").unwrap();
    let header: Vec<String> = actions.iter().map(|action| format!("{action:?}")).collect();
    assert_eq!(found[0][1..], header);
    assert_eq!(found.len(), validities.len() + 1);
    for (row, validity) in found.iter().skip(1).zip(validities) {
        assert_eq!(row[0], format!("{validity:?}"));
        for (cell, action) in row[1..].iter().zip(actions) {
            let allowed = if validity.allows(action) { "yes" } else { "no" };
            assert_eq!(cell, allowed, "{validity:?} × {action:?}");
        }
    }
}

#[test]
fn oracle_programs_and_sizes() {
    let text = [section("Price accounts"), section("Signed prices")].concat();
    let programs = [pyth::RECEIVER, pyth::RECEIVER_PRO, switchboard::PROGRAM, lazer::PROGRAM, lazer::STORAGE];
    for program in programs {
        assert!(code(&text).contains(&program.to_string().as_str()), "{program}");
    }
    let account_sizes = [size_of::<pyth::PriceUpdate>(), size_of::<switchboard::PullFeed>()];
    let signed_sizes = [size_of::<quote::Queue>(), size_of::<lazer::Storage>()];
    let signed = table("Signed prices", "signed");
    for (rows, sizes) in [(&table("Price accounts", ""), account_sizes), (&signed, signed_sizes)] {
        let lengths = rows.iter().find(|row| row[0].starts_with("length")).unwrap();
        for (cell, size) in lengths[1..].iter().zip(sizes) {
            assert_eq!(cell.split(',').next().unwrap(), size.to_string());
        }
    }
    for (cell, kind) in signed[0][1..].iter().zip([SourceKind::SwitchboardQuote, SourceKind::PythLazer]) {
        assert_eq!(cell.split(',').count(), kind.accounts(), "{cell}");
    }
}

// ---- Errors

/// Code and name.
#[test]
fn modes_and_acts_cell_by_cell() {
    let rows = table("Modes", "value");
    assert_eq!(rows.len(), Mode::ALL.len());
    for (row, mode) in rows.iter().zip(Mode::ALL) {
        let allowed = [Act::Open, Act::Reduce, Act::PayOut].map(|act| if mode.allows(act) { "yes" } else { "no" });
        let [open, reduce, out] = allowed.map(String::from);
        assert_eq!(*row, [mode.byte().to_string(), format!("`{mode:?}`"), open, reduce, out]);
    }
    // The longest time that an exit can be refused beyond the queue's.
    assert_eq!(2 * mode::HALT_SECONDS_MAX, 43_200);
    assert!(section("Modes").contains("`queue_seconds` + 43,200 seconds at most"));
    let hidden = u64::from(listing::FRESH_SECONDS_MAX) + CLOCK_SKEW_SECONDS as u64;
    assert_eq!(u64::from(restart::STILL_SECONDS_MIN), hidden);
}

fn listed_errors() -> Vec<(u32, String)> {
    let rows = table("12 Error codes", "code");
    rows.iter().map(|row| (row[0].parse().unwrap(), code(&row[1])[0].to_string())).collect()
}

#[test]
fn error_codes() {
    let refusals = Refusal::ALL.iter().map(|error| (error.code(), error.name().to_string()));
    let errors = EngineError::ALL.iter().map(|error| (error.code(), error.name().to_string()));
    assert_eq!(listed_errors(), refusals.chain(errors).collect::<Vec<_>>());
}

/// The sources of program and engine.
fn sources() -> String {
    fn read(folder: &Path, text: &mut String) {
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            if entry.path().is_dir() {
                read(&entry.path(), text);
            } else {
                text.push_str(&std::fs::read_to_string(entry.path()).unwrap());
            }
        }
    }
    let mut text = String::new();
    read(&root().join("program/src"), &mut text);
    read(&root().join("program/engine/src"), &mut text);
    text
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[test]
fn every_error_is_raised_somewhere() {
    let sources = sources();
    for (_, name) in listed_errors() {
        let raised = ["Refusal", "EngineError"].iter().any(|of| {
            let call = format!("{of}::{name}");
            let ends = |at: usize| !sources[at + call.len()..].starts_with(|next: char| next.is_alphanumeric());
            sources.match_indices(&call).any(|(at, _)| ends(at))
        });
        assert!(raised, "{name}");
    }
}

#[test]
fn checks_name_errors_that_exist() {
    let known: BTreeSet<String> = listed_errors().into_iter().map(|(_, name)| name).collect();
    for tag in Tag::ALL {
        let checks = item(tag.name(), "* Checks: ").unwrap();
        for word in code(&checks).into_iter().filter(|word| word.starts_with(|letter: char| letter.is_uppercase())) {
            assert!(known.contains(word), "{}: {word}", tag.name());
        }
    }
    for heading in ["8 Price board", "9 Oracle sources", "Price accounts", "Signed prices"] {
        for word in code(section(heading)).into_iter().filter(|word| word.starts_with("Oracle")) {
            assert!(known.contains(word), "{heading}: {word}");
        }
    }
}

// ---- References into the sources

#[test]
fn rounding_table_names_functions_that_exist() {
    for row in table("6 Rounding", "what") {
        let named = code(&row[3]);
        let [file, functions @ ..] = named.as_slice() else { panic!("{row:?}") };
        let folder = if file.starts_with("oracle/") { "program/src" } else { "program/engine/src" };
        let text = std::fs::read_to_string(root().join(folder).join(file)).unwrap();
        assert!(!functions.is_empty());
        for function in functions {
            assert!(text.contains(&format!("fn {function}(")), "{file}: {function}");
        }
    }
}

#[test]
fn invariants_are_implemented_and_tested_where_listed() {
    let files = ["program/engine/src/invariant.rs", "program/engine/src/invariant/ladder.rs"];
    let text: String = files.map(|file| std::fs::read_to_string(root().join(file)).unwrap()).concat();
    let rows = table("11 Invariants", "id");
    let mut listed = BTreeSet::new();
    for row in &rows {
        for function in code(&row[2]) {
            assert!(text.contains(&format!("pub fn {function}(")), "{}: {function}", row[0]);
        }
        for file in code(&row[3]) {
            assert!(root().join(file).exists(), "{}: {file}", row[0]);
        }
        assert!(!row[2].is_empty() || !row[3].is_empty(), "{} is neither implemented nor tested", row[0]);
        if !row[2].is_empty() {
            listed.insert(row[0].clone());
        }
    }
    for file in code(section("11 Invariants")).into_iter().filter(|word| word.starts_with("program/")) {
        assert!(root().join(file).exists(), "{file}");
    }
    // Ids are one letter and a number, such as "M1".
    let is_id = |word: &&str| {
        let (letter, number) = word.split_at_checked(1).unwrap_or_default();
        letter.chars().all(|letter| letter.is_ascii_uppercase()) && number.parse::<u8>().is_ok()
    };
    let implemented: BTreeSet<String> = text.split('"').filter(is_id).map(String::from).collect();
    assert_eq!(implemented, listed);
}

// ---- Changes

/// A rule as the table of parameters writes it.
fn listed_rule(rule: &Rule) -> Vec<String> {
    let scope = match rule.scope {
        Scope::Market => "market",
        Scope::Exchange => "exchange",
    };
    let tightens = match rule.tighter {
        Tighter::Down => "down",
        Tighter::Up => "up",
        Tighter::Neither => "neither",
    };
    let class = match rule.class {
        Class::Tightening => unreachable!(),
        Class::Loosening => "loosening",
        Class::Critical => "critical",
        Class::Never => "never",
    };
    let share = rule.step.get() / 10_000;
    assert_eq!(rule.step.get() % 10_000, 0);
    let step = match (share, rule.step_least) {
        (0, least) => least.to_string(),
        (share, 0) => format!("{share}%"),
        (share, least) => format!("{share}% or {least}"),
    };
    let (number, name) = (rule.parameter.byte().to_string(), format!("`{}`", rule.name));
    let bounds = [rule.min, rule.max].map(|bound| bound.to_string());
    let [least, largest] = bounds;
    [number, name, scope.into(), tightens.into(), class.into(), least, largest, step].to_vec()
}

#[test]
fn parameters_row_by_row() {
    let expected: Vec<Vec<String>> = RULES.iter().map(listed_rule).collect();
    assert_eq!(table("Parameters", "number"), expected);
}

#[test]
fn kinds_of_changes() {
    let kinds = [Kind::Parameter, Kind::Margin, Kind::Fees, Kind::Sources, Kind::Listing, Kind::Reopening];
    let rows = table("Kinds", "kind");
    assert_eq!(rows.len(), kinds.len());
    for (row, kind) in rows.iter().zip(kinds) {
        assert_eq!(Kind::from_byte(kind.byte()), Some(kind));
        let expected = [kind.byte().to_string(), format!("`{kind:?}`"), kind.payload_size().to_string()];
        assert_eq!([&row[0], &row[1], &row[4]], [&expected[0], &expected[1], &expected[2]]);
    }
    assert_eq!([0, 7, 255].map(Kind::from_byte), [None; 3]);
    let text = section("18 Changes");
    assert!(text.contains(&format!("one of {CHANGES_MAX} entries")) && text.contains("a week after the delay"));
    assert!(text.contains(&format!("one of {PAYLOADS_MAX} payloads")));
    assert_eq!((LAPSE_SECONDS, MARGIN_STEP.get()), (7 * 86_400, 250_000));
    assert_eq!((NO_MARKET.get(), NO_PAYLOAD), (65_535, 255));
}

/// Whatever a market and an exchange consist of is changed as a number, as a whole, or never.
#[test]
fn every_field_can_be_changed_or_is_fixed() {
    let fields_of = |heading: &str| layout_of(&table(heading, "offset"), heading).into_iter().map(|(name, ..)| name);
    let mut all: BTreeSet<String> = tabular(Tag::ListMarket).into_iter().map(|(name, ..)| name).collect();
    assert!(all.remove("risk"));
    all.extend(
        ["RiskParameters: 72 bytes", "Policy: 96 bytes", "FeeSchedule: 72 bytes"].into_iter().flat_map(fields_of),
    );
    // A tier of margin, one of fees, and the delays.
    all.extend(["notional_max", "rate", "volume_min", "discount", "loosening", "critical"].map(String::from));
    assert_eq!((size_of::<TierParameters>(), size_of::<FeeTier>(), size_of::<Delays>()), (16, 16, 8));

    let numbers: BTreeSet<String> = RULES.iter().map(|rule| rule.name.to_string()).collect();
    let rows = table("Kinds", "kind");
    let whole: BTreeSet<String> = rows.iter().flat_map(|row| code(&row[2])).map(String::from).collect();
    let fixed: BTreeSet<String> = code(section("Fixed for ever")).into_iter().map(String::from).collect();
    assert!(fixed.is_disjoint(&numbers) && fixed.is_disjoint(&whole));
    let both: Vec<_> = numbers.intersection(&whole).collect();
    assert_eq!(both, ["sources_min"], "with the sources, and alone");
    let mut covered: BTreeSet<String> = [numbers, whole, fixed].into_iter().flatten().collect();
    assert!(covered.remove("status"), "which no listing chooses");
    assert_eq!(covered, all);
}
