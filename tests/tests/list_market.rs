//! `ListMarket`: the row, the sources, the blank book; every bound of a listing from both sides.

use quantdesk_client::{
    Address, Refusal,
    engine::{
        EngineError, Lots, MarketIndex, PicoPrice, Ppm, QuoteAtoms, SignedPpm, TickValue, Ticks,
        risk::listing::{ListingParameters, RiskParameters, TierParameters},
        state::{
            CashEvent, CashEventKind, Key, OracleSource,
            annex::ANNEX_NODES,
            exchange::{EXCHANGE_SOURCES_MAX, MARKETS_MAX},
            market::market_size,
        },
    },
    view::key_of,
};
use quantdesk_sim::{
    chain::{Chain, PROGRAM},
    desk::Desk,
};
use quantdesk_tests::{
    read, refuses,
    scene::{self, LEDGER, Scene, edit_account, patch},
    snapshot::{Frame, Snapshot},
};
use solana_instruction::Instruction;
use std::mem::offset_of;

/// A listing that is accepted, on an exchange without markets.
fn listing() -> (Desk, Address, ListingParameters) {
    let mut desk = scene::small_desk();
    let address = desk.name(b"market");
    let sources = [OracleSource::pyth(Key::new(&[1; 32])), switchboard(2)];
    let parameters = scene::sol().parameters(&sources);
    desk.chain.create_account(address, size_of(&parameters), PROGRAM).unwrap();
    (desk, address, parameters)
}

fn switchboard(number: u8) -> OracleSource {
    let key = |last: u8| Key::new(&[[number; 31].as_slice(), &[last]].concat().try_into().unwrap());
    OracleSource::switchboard(key(1), key(2), key(3), 3)
}

fn size_of(parameters: &ListingParameters) -> usize {
    market_size(parameters.side_capacity, parameters.events_capacity)
}

fn list(desk: &Desk, market: Address, parameters: &ListingParameters) -> Instruction {
    desk.venue.list_market(desk.admin, market, parameters)
}

#[test]
fn lists_a_market() {
    let (mut desk, market, parameters) = listing();
    let before = Snapshot::of(&desk.chain);
    desk.chain.send(list(&desk, market, &parameters)).unwrap();
    // Header counters, the row, one event; the sources and their places; the market's header.
    let frame = Frame::new()
        .bytes(desk.venue.ledger, read::LedgerMap::events_written())
        .bytes(desk.venue.ledger, read::LedgerMap::markets_len())
        .bytes(desk.venue.ledger, read::LedgerMap::row(0))
        .bytes(desk.venue.ledger, LEDGER.event(2))
        .bytes(desk.venue.exchange, 152..154)
        .bytes(desk.venue.exchange, 280..284)
        .bytes(desk.venue.exchange, 288..288 + 2 * 104)
        .bytes(market, 0..256);
    before.only(&desk.chain, &frame);

    let mut expected = parameters.row(key_of(&market), MarketIndex::new(0), 6).unwrap();
    expected.status_at = read::now(&desk.chain).unix_seconds;
    let ledger = desk.ledger_view().unwrap();
    assert_eq!(*ledger.row(MarketIndex::new(0)).unwrap(), expected);
    assert_eq!((ledger.header.markets_len, ledger.header.events_written.get()), (1, 2));
    assert!(expected.mark.is_zero() && expected.open_interest.is_zero() && expected.is_active());

    let exchange = read::exchange(&desk.chain, &desk.venue.exchange);
    let sources: Vec<_> = (0..4).map(|place| exchange.source(MarketIndex::new(0), place).copied()).collect();
    assert_eq!(sources, [Some(parameters.sources[0]), Some(parameters.sources[1]), None, None]);

    let mut event = CashEvent::new(CashEventKind::MarketListed);
    (event.sequence, event.slot) = (ledger.header.events_written, read::now(&desk.chain).slot);
    event.unix_seconds = read::now(&desk.chain).unix_seconds;
    assert_eq!(read::cash_events(&desk)[1], event);
}

#[test]
fn the_book_starts_empty_in_its_ledger() {
    let scene = Scene::new();
    let market = scene.desk.market_view(0).unwrap();
    assert_eq!(market.header.ledger, key_of(&scene.desk.venue.ledger));
    assert_eq!((market.header.index.get(), market.header.side_capacity()), (0, scene::SIDE));
    assert_eq!((market.header.nodes.capacity(), market.header.nodes.in_use()), (2 * scene::SIDE + ANNEX_NODES, 0));
    assert_eq!((market.header.orders_placed.get(), market.header.events_written.get()), (0, 0));
    let bytes = scene.desk.chain.bytes(&scene.market()).unwrap();
    assert!(bytes[256..].iter().all(|byte| *byte == 0));
}

#[test]
fn a_second_market_takes_the_next_row() {
    let mut desk = scene::small_desk();
    let priced = desk.list(&scene::sol()).unwrap();
    desk.set_price(priced, scene::PRICE).unwrap();
    let first = read::row(&desk, 0);
    let second = desk.list(&scene::btc()).unwrap();
    assert_eq!(read::row(&desk, 0), first);
    assert_eq!(read::row(&desk, second).index.get(), 1);
    assert_eq!(read::row(&desk, second).market, key_of(&desk.markets[1].address));
    let event = *read::cash_events(&desk).last().unwrap();
    assert_eq!((event.kind(), event.market.get(), event.amount), (Some(CashEventKind::MarketListed), 1, 1));
    desk.check().unwrap();
}

type Edit = fn(&mut ListingParameters);

#[track_caller]
fn refuses_each(error: EngineError, edits: &[Edit]) {
    let (desk, market, parameters) = listing();
    for (number, edit) in edits.iter().enumerate() {
        let mut edited = parameters;
        edit(&mut edited);
        assert_ne!(edited, parameters, "edit {number} of {error} changes something");
        refuses(&mut desk.chain.clone(), list(&desk, market, &edited), error);
    }
}

#[track_caller]
fn accepts_each(edits: &[Edit]) {
    let (desk, market, parameters) = listing();
    for (number, edit) in edits.iter().enumerate() {
        let mut edited = parameters;
        edit(&mut edited);
        let mut chain = desk.chain.clone();
        chain.create_account(market, size_of(&edited), PROGRAM).unwrap();
        let sent = chain.send(list(&desk, market, &edited));
        assert!(sent.is_ok(), "edit {number}: {}", sent.unwrap_err());
    }
}

#[test]
fn sizes_and_prices_are_bounded() {
    accepts_each(&[
        |it| (it.lots_min, it.lots_max) = (it.position_max, it.position_max),
        |it| it.open_interest_max = Lots::new(1),
        |it| it.price_max = Ticks::new(1),
        |it| it.band = Ppm::new(1_000),
        |it| it.band = Ppm::new(500_000),
        |it| it.taker_delay = 25,
        |it| it.symbol = [0xff; 16],
        // The same tick value from another pair.
        |it| (it.tick_size, it.lot_size) = (PicoPrice::new(1), 1_000_000_000_000_000_000),
        |it| (it.tick_size, it.tick_value) = (PicoPrice::new(7_000_000_000), TickValue::new(7)),
    ]);
    refuses_each(
        EngineError::ListingParametersInvalid,
        &[
            |it| it.lots_min = Lots::ZERO,
            |it| it.lots_min = Lots::new(it.lots_max.get() + 1),
            |it| it.lots_max = Lots::ZERO,
            |it| it.lots_max = Lots::new(it.position_max.get() + 1),
            |it| it.position_max = Lots::new(it.lots_max.get() - 1),
            |it| it.open_interest_max = Lots::ZERO,
            |it| it.price_max = Ticks::ZERO,
            |it| it.band = Ppm::new(999),
            |it| it.band = Ppm::new(500_001),
            |it| it.band = Ppm::MAX,
            |it| it.taker_delay = 26,
            |it| it.taker_delay = u8::MAX,
            |it| it.tick_value = TickValue::ZERO,
            |it| it.tick_value = TickValue::new(2),
            |it| it.tick_size = PicoPrice::ZERO,
            |it| it.tick_size = PicoPrice::new(it.tick_size.get() + 1),
            |it| it.tick_size = PicoPrice::MAX,
            |it| it.lot_size = 0,
            |it| it.lot_size += 1,
            |it| (it.tick_size, it.lot_size, it.tick_value) = (PicoPrice::ZERO, 0, TickValue::ZERO),
        ],
    );
}

#[test]
fn the_largest_notional_stays_below_2_to_the_62() {
    // 2^31 ticks × 2^31 lots is the bound itself; one lot less is below it.
    accepts_each(&[|it| {
        it.price_max = Ticks::new(1 << 31);
        it.position_max = Lots::new((1 << 31) - 1);
        it.lots_max = Lots::new(1);
    }]);
    refuses_each(
        EngineError::ListingBoundExceeded,
        &[
            |it| {
                it.price_max = Ticks::new(1 << 31);
                it.position_max = Lots::new(1 << 31);
                it.lots_max = Lots::new(1);
            },
            |it| it.position_max = Lots::MAX,
            |it| it.price_max = Ticks::MAX,
            // A lot of more than 2^32 atoms, which funding could not be computed for.
            |it| {
                (it.price_max, it.position_max, it.lots_max) = (Ticks::new((1 << 30) + 1), Lots::new(1), Lots::new(1));
                (it.tick_size, it.tick_value) = (PicoPrice::new(4_000_000_000), TickValue::new(4));
            },
        ],
    );
    accepts_each(&[|it| {
        (it.price_max, it.position_max, it.lots_max) = (Ticks::new(1 << 30), Lots::new(1), Lots::new(1));
        (it.tick_size, it.tick_value) = (PicoPrice::new(4_000_000_000), TickValue::new(4));
    }]);
}

#[test]
fn fees_are_bounded_and_cover_the_rebate() {
    accepts_each(&[
        |it| (it.taker_fee, it.maker_fee) = (Ppm::ZERO, SignedPpm::ZERO),
        |it| it.maker_fee = SignedPpm::new(-500),
        |it| it.maker_fee = SignedPpm::new(500),
        |it| (it.taker_fee, it.risk) = (Ppm::new(20_000), calm(it)),
    ]);
    refuses_each(
        EngineError::ListingFeesInvalid,
        &[
            |it| it.taker_fee = Ppm::new(20_001),
            |it| it.taker_fee = Ppm::MAX,
            |it| it.maker_fee = SignedPpm::new(-501),
            |it| it.maker_fee = SignedPpm::new(501),
            |it| it.maker_fee = SignedPpm::new(i32::MIN),
            |it| it.maker_fee = SignedPpm::MAX,
        ],
    );
}

#[test]
fn price_limits_and_sources_are_bounded() {
    accepts_each(&[
        |it| it.sources_min = 1,
        |it| (it.confidence_max, it.divergence_max) = (Ppm::new(1), Ppm::new(1)),
        |it| (it.confidence_max, it.divergence_max) = (Ppm::new(100_000), Ppm::new(100_000)),
        |it| (it.fresh_seconds, it.dead_seconds) = (1, 2),
        |it| (it.fresh_seconds, it.dead_seconds) = (300, 86_400),
        |it| {
            (it.sources[2], it.sources[3]) = (switchboard(8), switchboard(9));
            (it.sources_len, it.sources_min) = (4, 4);
        },
    ]);
    refuses_each(
        EngineError::ListingOracleInvalid,
        &[
            |it| it.sources_min = 0,
            |it| it.sources_min = 3,
            |it| it.sources_len = 5,
            |it| (it.sources[1], it.sources_len) = (it.sources[2], 1),
            |it| (it.sources, it.sources_len, it.sources_min) = ([it.sources[2]; 4], 0, 0),
            |it| it.sources_len = u8::MAX,
            |it| it.confidence_max = Ppm::ZERO,
            |it| it.confidence_max = Ppm::new(100_001),
            |it| it.divergence_max = Ppm::ZERO,
            |it| it.divergence_max = Ppm::MAX,
            |it| it.fresh_seconds = 0,
            |it| it.fresh_seconds = 301,
            |it| it.dead_seconds = it.fresh_seconds,
            |it| it.dead_seconds = 86_401,
        ],
    );
}

#[test]
fn sources_are_complete_and_different() {
    refuses_each(
        EngineError::ListingOracleInvalid,
        &[
            |it| it.sources[0].kind = 0,
            |it| it.sources[0].kind = 4,
            |it| it.sources[0].kind = u8::MAX,
            |it| it.sources[0].feed = Key::ZERO,
            |it| it.sources[0].account = Key::new(&[3; 32]),
            |it| it.sources[0].queue = Key::new(&[3; 32]),
            |it| it.sources[0].samples_min = 1,
            // A Pyth identity under Switchboard's name and the reverse.
            |it| it.sources[0].kind = 3,
            |it| it.sources[1].kind = 1,
            |it| it.sources[1].feed = Key::ZERO,
            |it| it.sources[1].account = Key::ZERO,
            |it| it.sources[1].queue = Key::ZERO,
            |it| it.sources[1].samples_min = 0,
            |it| it.sources[1] = it.sources[0],
            |it| (it.sources_len, it.sources_min) = (3, 2),
        ],
    );
}

/// Risk parameters that leave room for any margin.
fn calm(listing: &ListingParameters) -> RiskParameters {
    let (step, step_seconds) = (Ppm::new(1), 1);
    let (funding_cap, liquidation_fee) = (Ppm::new(1), Ppm::ZERO);
    RiskParameters { step, step_seconds, stable_step: step, funding_cap, liquidation_fee, ..listing.risk }
}

fn tier(notional: u64, rate: u32) -> TierParameters {
    TierParameters::new(QuoteAtoms::new(notional), Ppm::new(rate))
}

#[test]
fn margin_tiers_rise_and_end_open() {
    accepts_each(&[
        |it| {
            (it.tiers, it.tiers_len) =
                ([tier(u64::MAX, 5_000), tier(0, 0), tier(0, 0), tier(0, 0), tier(0, 0), tier(0, 0)], 1);
            it.risk = calm(it);
        },
        |it| it.tiers[2].rate = Ppm::new(1_000_000),
        // Deductions up to the largest number there is.
        |it| {
            (it.tiers[0], it.tiers[1]) = (tier(u64::MAX - 2, 5_000), tier(u64::MAX - 1, 100_000));
            it.risk = calm(it);
        },
        |it| it.maintenance = Ppm::new(250_000),
        |it| it.maintenance = Ppm::new(900_000),
        |it| {
            for (place, number) in it.tiers.iter_mut().zip(1u32..) {
                *place = tier(u64::from(number), number * 50_000);
            }
            (it.tiers[5].notional_max, it.tiers_len) = (QuoteAtoms::MAX, 6);
        },
    ]);
    refuses_each(
        EngineError::ListingTiersInvalid,
        &[
            |it| (it.tiers, it.tiers_len) = ([tier(0, 0); 6], 0),
            |it| it.tiers_len = 7,
            |it| it.tiers_len = u8::MAX,
            |it| it.tiers[2].notional_max = QuoteAtoms::new(u64::MAX - 1),
            |it| it.tiers[1].notional_max = it.tiers[0].notional_max,
            |it| it.tiers[1].notional_max = QuoteAtoms::MAX,
            |it| it.tiers[0].notional_max = QuoteAtoms::ZERO,
            |it| it.tiers[1].rate = it.tiers[0].rate,
            |it| it.tiers[1].rate = Ppm::new(it.tiers[0].rate.get() - 1),
            |it| it.tiers[0].rate = Ppm::new(4_999),
            |it| it.tiers[2].rate = Ppm::new(1_000_001),
            |it| it.maintenance = Ppm::new(249_999),
            |it| it.maintenance = Ppm::new(900_001),
            // The fee of closing does not fit into half of 5%.
            |it| (it.taker_fee, it.tiers[0].rate) = (Ppm::new(20_000), Ppm::new(40_000)),
        ],
    );
}

#[test]
fn risk_parameters_are_bounded() {
    accepts_each(&[
        |it| (it.risk.step, it.risk.stable_step, it.risk.step_seconds) = (Ppm::new(1), Ppm::new(1), 60),
        |it| it.risk.stable_step = it.risk.step,
        |it| (it.risk.basis_max, it.risk.funding_dead_zone) = (Ppm::new(100), Ppm::new(100)),
        |it| (it.risk.basis_max, it.risk.funding_dead_zone) = (Ppm::new(50_000), Ppm::ZERO),
        |it| it.risk.funding_cap = Ppm::new(1),
        |it| it.risk.funding_cap = Ppm::new(200_000),
        |it| it.risk.liquidation_fee = Ppm::ZERO,
        |it| it.risk.takeover_discount = Ppm::new(1),
        |it| it.risk.takeover_discount = Ppm::new(100_000),
        |it| it.risk.liquidation_buffer = Ppm::ZERO,
        |it| it.risk.liquidation_buffer = Ppm::new(500_000),
        |it| it.risk.interest_scale_max = Ppm::new(1_000_000),
        |it| it.risk.interest_scale_max = Ppm::new(10_000_000),
        |it| (it.risk.interest_scale_lower, it.risk.interest_scale_upper) = (Lots::ZERO, Lots::MAX),
        |it| (it.risk.pool_budget, it.risk.liquidation_tip_max) = (QuoteAtoms::MAX, QuoteAtoms::MAX),
        |it| (it.risk.pool_budget, it.risk.liquidation_tip_max) = (QuoteAtoms::ZERO, QuoteAtoms::ZERO),
    ]);
    refuses_each(
        EngineError::ListingRiskInvalid,
        &[
            |it| it.risk.step = Ppm::ZERO,
            |it| it.risk.step = Ppm::new(50_001),
            |it| it.risk.step = Ppm::MAX,
            |it| it.risk.step_seconds = 0,
            |it| it.risk.step_seconds = 61,
            |it| it.risk.step_seconds = u32::MAX,
            |it| it.risk.stable_step = Ppm::ZERO,
            |it| it.risk.stable_step = Ppm::new(it.risk.step.get() + 1),
            |it| it.risk.basis_max = Ppm::new(99),
            |it| it.risk.basis_max = Ppm::new(50_001),
            |it| it.risk.funding_dead_zone = Ppm::new(it.risk.basis_max.get() + 1),
            |it| it.risk.funding_cap = Ppm::ZERO,
            |it| it.risk.funding_cap = Ppm::new(200_001),
            |it| it.risk.liquidation_fee = Ppm::new(50_001),
            |it| it.risk.takeover_discount = Ppm::ZERO,
            |it| it.risk.takeover_discount = Ppm::new(100_001),
            |it| it.risk.liquidation_buffer = Ppm::new(500_001),
            |it| it.risk.interest_scale_max = Ppm::new(999_999),
            |it| it.risk.interest_scale_max = Ppm::new(10_000_001),
            |it| it.risk.interest_scale_upper = it.risk.interest_scale_lower,
            |it| it.risk.interest_scale_lower = Lots::MAX,
        ],
    );
}

/// 5% · 50% = 25,000 ppm hold 5 · 1,300 of the staircase, ⌈40,000 · 300 / 86,400⌉ = 139 of funding, 5,500 of fees and
/// ⌈5,639 · 6,500 / 10^6⌉ = 37 of their growth: 12,176.
#[test]
fn the_worst_price_step_fits_into_maintenance_margin() {
    accepts_each(&[|it| it.tiers[0].rate = Ppm::new(2 * 12_176)]);
    refuses_each(
        EngineError::ListingEnvelopeExceeded,
        &[
            |it| it.tiers[0].rate = Ppm::new(2 * 12_176 - 1),
            |it| it.risk.step = Ppm::new(50_000),
            |it| it.risk.step_seconds = 60,
            |it| it.risk.liquidation_fee = Ppm::new(50_000),
            |it| it.taker_fee = Ppm::new(20_000),
        ],
    );
}

#[test]
fn the_account_is_exactly_as_large_as_its_capacities() {
    let (desk, market, parameters) = listing();
    let size = size_of(&parameters);
    for actual in [0, 255, 256, size - 8, size - 1, size + 1, size + 8] {
        let mut chain = desk.chain.clone();
        chain.create_account(market, actual, PROGRAM).unwrap();
        refuses(&mut chain, list(&desk, market, &parameters), EngineError::CapacityInvalid);
    }
    let capacities = [(0, 1_024), (16_385, 1_024), (u32::MAX, 1_024), (8, 0), (8, 3), (8, u32::MAX)];
    for (side_capacity, events_capacity) in capacities {
        let mut edited = parameters;
        (edited.side_capacity, edited.events_capacity) = (side_capacity, events_capacity);
        let mut chain = desk.chain.clone();
        // As large as the chain allows an account to be.
        chain.create_account(market, size_of(&edited).min(10 << 20), PROGRAM).unwrap();
        refuses(&mut chain, list(&desk, market, &edited), EngineError::CapacityInvalid);
    }
    accepts_each(&[
        |it| (it.side_capacity, it.events_capacity) = (1, 1),
        |it| it.side_capacity = 16_384,
        |it| it.events_capacity = 1 << 16,
    ]);
}

#[test]
fn padding_is_zero() {
    let (desk, market, parameters) = listing();
    let after_lengths = offset_of!(ListingParameters, taker_delay) + 1;
    let tier = |number: usize| offset_of!(ListingParameters, tiers) + number * 16;
    let source = |number: usize| offset_of!(ListingParameters, sources) + number * 104;
    let paddings = [
        after_lengths..offset_of!(ListingParameters, tiers),
        // Of the tiers in use, and all of the others.
        tier(0) + 12..tier(1),
        tier(1) + 12..tier(2),
        tier(2) + 12..tier(6),
        // Of the sources in use, and all of the others.
        source(0) + 2..source(0) + 8,
        source(1) + 2..source(1) + 8,
        source(2)..source(4),
    ];
    for place in paddings.into_iter().flatten() {
        let mut instruction = list(&desk, market, &parameters);
        instruction.data[8 + place] = 1;
        refuses(&mut desk.chain.clone(), instruction, Refusal::FieldInvalid);
    }
}

#[test]
fn only_blank_accounts_of_the_program_become_markets() {
    let (desk, market, parameters) = listing();
    let case = |edit: &dyn Fn(&mut Chain), error: quantdesk_client::error::ProgramError| {
        let mut chain = desk.chain.clone();
        edit(&mut chain);
        refuses(&mut chain, list(&desk, market, &parameters), error);
    };
    for offset in 0..9 {
        case(&|chain| patch(chain, market, offset, &[1]), EngineError::AccountNotBlank.into());
    }
    case(&|chain| edit_account(chain, market, |account| account.owner = desk.admin), Refusal::WrongOwner.into());
    case(&|chain| edit_account(chain, market, |account| *account = Default::default()), Refusal::WrongOwner.into());
}

#[test]
fn only_the_admin_lists_on_its_own_exchange() {
    let (mut desk, market, parameters) = listing();
    let mut instruction = list(&desk, market, &parameters);
    instruction.accounts[0].is_signer = false;
    refuses(&mut desk.chain, instruction, Refusal::SignatureMissing);
    let stranger = desk.name(b"stranger");
    let instruction = desk.venue.list_market(stranger, market, &parameters);
    refuses(&mut desk.chain, instruction, Refusal::NotAuthorized);

    let admin = desk.admin;
    let (other, ()) = scene::beside(&mut desk, 2, admin, |_| ());
    let mut instruction = list(&desk, market, &parameters);
    instruction.accounts[1].pubkey = other.venue.exchange;
    refuses(&mut desk.chain, instruction, Refusal::WrongLedger);
}

#[test]
fn rows_and_source_places_run_out() {
    let mut desk = scene::small_desk();
    let one_pyth = scene::btc();
    for _ in 0..MARKETS_MAX {
        desk.list(&one_pyth).unwrap();
    }
    let (address, parameters) = (desk.name(b"market"), desk.markets[0].parameters);
    desk.chain.create_account(address, size_of(&parameters), PROGRAM).unwrap();
    let instruction = list(&desk, address, &parameters);
    refuses(&mut desk.chain, instruction, EngineError::MarketsFull);
    desk.check().unwrap();

    let mut desk = scene::small_desk();
    let four = [1, 2, 3, 4].map(switchboard);
    for _ in 0..=EXCHANGE_SOURCES_MAX / 4 {
        let address = desk.name(b"market");
        let parameters = scene::sol().parameters(&four);
        desk.chain.create_account(address, size_of(&parameters), PROGRAM).unwrap();
        let instruction = list(&desk, address, &parameters);
        if read::header(&desk).markets_len < 16 {
            desk.chain.send(instruction).unwrap();
        } else {
            refuses(&mut desk.chain, instruction, EngineError::ListingOracleInvalid);
        }
    }
    assert_eq!(read::header(&desk).markets_len, 16);
}
