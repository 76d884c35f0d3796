//! Account bytes: creating, loading, growing, and every way they can be refused.

use crate::support::{
    World, listing,
    world::{GENEROUS, key},
};
use bytemuck::Zeroable;
use quantdesk_engine::{
    EngineError, MarketIndex, Result,
    state::{
        Exchange, Key, Ledger, LedgerView, Market, MarketView, OracleSource,
        exchange::EXCHANGE_DISCRIMINATOR,
        header::AccountHeader,
        ledger::{ACCOUNT_SIZE_MAX, LedgerIdentity, ledger_size},
        market::{SIDE_CAPACITY_MAX, market_size},
    },
};

fn identity() -> LedgerIdentity {
    LedgerIdentity {
        exchange: key(1),
        vault: key(2),
        mint: key(3),
        mint_decimals: 6,
        vault_bump: 254,
        policy: GENEROUS,
    }
}

fn create_ledger(bytes: &mut [u8], events: u32) -> Result<()> {
    Ledger::create(bytes, &identity(), events).map(|_| ())
}

fn create_market(bytes: &mut [u8], side: u32, events: u32) -> Result<()> {
    Market::create(bytes, key(1), MarketIndex::new(0), side, events).map(|_| ())
}

/// Aligned bytes of any length, blank.
struct Bytes(Vec<u64>, usize);

impl Bytes {
    fn new(len: usize) -> Self {
        Self(vec![0; len.div_ceil(8)], len)
    }

    fn get(&mut self) -> &mut [u8] {
        &mut bytemuck::cast_slice_mut(&mut self.0)[..self.1]
    }
}

#[test]
fn a_ledger_takes_whole_cells_and_a_power_of_two_of_records() {
    for (extra, events, expected) in [
        (0, 16, Ok(())),
        (1, 16, Err(EngineError::CapacityInvalid)),
        (127, 16, Err(EngineError::CapacityInvalid)),
        (-128, 16, Err(EngineError::CapacityInvalid)),
        (0, 12, Err(EngineError::CapacityInvalid)),
        (0, 0, Err(EngineError::CapacityInvalid)),
    ] {
        let len = ledger_size(events, 1).checked_add_signed(extra).unwrap();
        assert_eq!(create_ledger(Bytes::new(len).get(), events), expected, "{extra} bytes more, {events} records");
    }
    for (cells, expected) in [(81_748, Ok(())), (81_749, Err(EngineError::CapacityInvalid))] {
        let len = ledger_size(16, cells);
        assert_eq!(len <= ACCOUNT_SIZE_MAX, expected.is_ok());
        assert_eq!(create_ledger(Bytes::new(len).get(), 16), expected, "{len} bytes");
    }
    assert_eq!(create_ledger(&mut [], 16), Err(EngineError::CapacityInvalid));
}

#[test]
fn a_market_is_exactly_as_long_as_its_capacities_say() {
    let len = market_size(4, 8);
    assert_eq!(create_market(Bytes::new(len).get(), 4, 8), Ok(()));
    for (len, side, events) in [
        (len - 8, 4, 8),
        (len + 8, 4, 8),
        (market_size(0, 8), 0, 8),
        (market_size(4, 6), 4, 6),
        (market_size(4, 0), 4, 0),
        (market_size(SIDE_CAPACITY_MAX + 1, 8), SIDE_CAPACITY_MAX + 1, 8),
    ] {
        let refused = create_market(Bytes::new(len).get(), side, events);
        assert_eq!(refused, Err(EngineError::CapacityInvalid), "{len} bytes, {side} a side, {events} records");
    }
}

#[test]
fn an_account_in_use_is_not_created_again() {
    let mut ledger = Bytes::new(ledger_size(16, 2));
    assert_eq!(create_ledger(ledger.get(), 16), Ok(()));
    assert_eq!(create_ledger(ledger.get(), 16), Err(EngineError::AccountNotBlank));
    let mut market = Bytes::new(market_size(4, 8));
    assert_eq!(create_market(market.get(), 4, 8), Ok(()));
    assert_eq!(create_market(market.get(), 4, 8), Err(EngineError::AccountNotBlank));
}

/// What loading says about these bytes: as a ledger and as a market, to write and to read.
fn loads(bytes: &mut Bytes) -> [Option<EngineError>; 4] {
    [
        Ledger::load(bytes.get()).err(),
        LedgerView::load(bytes.get()).err(),
        Market::load(bytes.get()).err(),
        MarketView::load(bytes.get()).err(),
    ]
}

#[test]
fn an_account_of_another_type_version_or_length_is_not_loaded() {
    let (size, kind, version) =
        (Some(EngineError::AccountSize), Some(EngineError::AccountType), Some(EngineError::AccountVersion));
    let mut ledger = Bytes::new(ledger_size(16, 2));
    assert_eq!(loads(&mut ledger), [kind; 4], "blank");
    create_ledger(ledger.get(), 16).unwrap();
    assert_eq!(loads(&mut ledger), [None, None, kind, kind]);
    ledger.1 -= 8;
    assert_eq!(loads(&mut ledger)[..2], [size; 2], "too short");
    ledger.1 = 100;
    assert_eq!(loads(&mut ledger)[..2], [size; 2], "shorter than the header");
    ledger.0.push(0);
    ledger.1 = ledger.0.len() * 8;
    assert_eq!(loads(&mut ledger)[..2], [size; 2], "too long");
    ledger.0.pop();
    ledger.1 = ledger.0.len() * 8;
    ledger.get()[8] = 2;
    assert_eq!(loads(&mut ledger), [version, version, kind, kind]);

    let mut market = Bytes::new(market_size(4, 8));
    create_market(market.get(), 4, 8).unwrap();
    assert_eq!(loads(&mut market), [kind, kind, None, None]);
    market.1 -= 8;
    assert_eq!(loads(&mut market)[2..], [size; 2]);
    market.1 += 8;
    market.get()[8] = 0;
    assert_eq!(loads(&mut market)[2..], [version; 2]);
}

#[test]
fn misaligned_bytes_are_refused() {
    let mut ledger = Bytes::new(ledger_size(16, 2) + 8);
    let len = ledger.1;
    assert_eq!(Ledger::load(&mut ledger.get()[1..len - 7]).err(), Some(EngineError::AccountSize));
    assert_eq!(LedgerView::load(&ledger.get()[1..len - 7]).err(), Some(EngineError::AccountSize));
}

#[test]
fn a_ledger_grows_by_whole_cells_that_can_then_be_used() {
    let mut world = World::new(&[listing::usual()], 1);
    world.open(1, 0).unwrap();
    assert_eq!(world.open(2, 0), Err(EngineError::LedgerFull));
    assert_eq!(world.grow(0), Err(EngineError::CapacityInvalid));
    world.grow(2).unwrap();
    assert_eq!(world.view().header.cells.capacity(), 3);
    world.open(2, 0).unwrap();
    world.open(3, 0).unwrap();
    assert_eq!(world.open(4, 0), Err(EngineError::LedgerFull));
    assert_eq!(world.check(), Ok(()));

    let mut bytes = Bytes::new(ledger_size(16, 1));
    create_ledger(bytes.get(), 16).unwrap();
    bytes.0.push(0);
    bytes.1 += 8;
    assert_eq!(Ledger::grow(bytes.get()).err(), Some(EngineError::CapacityInvalid), "a part of a cell");
}

fn exchange() -> Box<Exchange> {
    let mut exchange = Box::new(Exchange::zeroed());
    exchange.header = AccountHeader::new(EXCHANGE_DISCRIMINATOR, 1);
    exchange.clear_sources();
    exchange
}

#[test]
fn an_exchange_is_loaded_only_whole() {
    let exchange = exchange();
    let mut words: Vec<u64> = bytemuck::cast_slice(core::slice::from_ref(&*exchange)).to_vec();
    assert!(Exchange::load(bytemuck::cast_slice(&words)).is_ok());
    assert!(Exchange::load_mut(bytemuck::cast_slice_mut(&mut words)).is_ok());
    words.push(0);
    assert_eq!(Exchange::load(bytemuck::cast_slice(&words)).err(), Some(EngineError::AccountSize));
    words.truncate(words.len() - 2);
    assert_eq!(Exchange::load(bytemuck::cast_slice(&words)).err(), Some(EngineError::AccountSize));
    words.push(0);
    words[0] = 1;
    assert_eq!(Exchange::load_mut(bytemuck::cast_slice_mut(&mut words)).err(), Some(EngineError::AccountType));
}

#[test]
fn sources_are_complete_distinct_and_found_by_market_and_place() {
    let (pyth, other) = (OracleSource::pyth(key(1)), OracleSource::switchboard(key(2), key(3), key(4), 3));
    let market = MarketIndex::new(5);
    let mut exchange = exchange();
    assert_eq!(exchange.set_sources(market, &[pyth, other]), Ok(()));
    assert_eq!(exchange.source(market, 0), Some(&pyth));
    assert_eq!(exchange.source(market, 1), Some(&other));
    assert_eq!(exchange.source(market, 2), None);
    assert_eq!(exchange.source(MarketIndex::new(0), 0), None);
    assert_eq!(exchange.source(MarketIndex::new(32), 0), None);

    let refused = Err(EngineError::ListingOracleInvalid);
    let changed = |mut source: OracleSource, change: fn(&mut OracleSource)| {
        change(&mut source);
        source
    };
    let unknown = changed(pyth, |source| source.kind = 9);
    let incomplete = changed(other, |source| source.queue = Key::ZERO);
    let unsampled = changed(other, |source| source.samples_min = 0);
    let overfull = changed(pyth, |source| source.account = key(9));
    for sources in [&[][..], &[pyth, pyth], &[unknown], &[incomplete], &[unsampled], &[overfull], &[pyth; 5]] {
        assert_eq!(exchange.set_sources(market, sources), refused);
    }
    assert_eq!(exchange.set_sources(MarketIndex::new(32), &[pyth]), refused);
}

/// Each kind needs some fields and must leave the others zero.
#[test]
fn a_source_names_what_its_kind_needs_and_nothing_else() {
    let sources = [
        OracleSource::pyth(key(1)),
        OracleSource::pyth_pro(key(1)),
        OracleSource::switchboard(key(2), key(1), key(3), 3),
        OracleSource::switchboard_quote(key(1), key(3), 3),
        OracleSource::pyth_lazer(6),
    ];
    let (mut exchange, market) = (exchange(), MarketIndex::new(1));
    for (kind, accounts, source) in (1..).zip([1, 1, 1, 3, 2]).zip(sources).map(|((a, b), c)| (a, b, c)) {
        assert_eq!(source.kind, kind);
        assert!(source.is_valid() && source.is_padded());
        let mut alone = exchange.clone();
        assert_eq!(alone.set_sources(market, &[source]), Ok(()));
        assert_eq!(alone.source_accounts(market), accounts);
        let with = |change: &dyn Fn(&mut OracleSource)| {
            let mut source = source;
            change(&mut source);
            source
        };
        let other_key = |old: Key| if old.is_zero() { key(9) } else { Key::ZERO };
        let others = [
            with(&|it| it.kind = 0),
            with(&|it| it.kind = 6),
            with(&|it| it.kind = 255),
            with(&|it| it.feed = Key::ZERO),
            with(&|it| it.account = other_key(it.account)),
            with(&|it| it.queue = other_key(it.queue)),
            with(&|it| it.samples_min = u8::from(it.samples_min == 0)),
        ];
        assert!(others.iter().all(|source| !source.is_valid()), "kind {kind}");
    }
    // A queue has thirty oracles.
    assert!(OracleSource::switchboard_quote(key(1), key(3), 30).is_valid());
    assert!(!OracleSource::switchboard_quote(key(1), key(3), 31).is_valid());
    // A Lazer feed is a number above zero, and nothing but a number.
    assert_eq!(OracleSource::pyth_lazer(u32::MAX).lazer_feed(), Some(u32::MAX));
    assert!(OracleSource::pyth_lazer(u32::MAX).is_valid() && !OracleSource::pyth_lazer(0).is_valid());
    for place in 4..32 {
        let mut feed = [0; 32];
        (feed[0], feed[place]) = (6, 1);
        let mut source = OracleSource::pyth_lazer(6);
        source.feed = Key::new(&feed);
        assert!(source.lazer_feed().is_none() && !source.is_valid(), "byte {place}");
    }
    assert_eq!(exchange.set_sources(market, &sources[1..]), Ok(()));
    assert_eq!(exchange.source_accounts(market), 7);
    assert_eq!([0, 2, 31, 32].map(|market| exchange.source_accounts(MarketIndex::new(market))), [0; 4]);
}

#[test]
fn an_exchange_holds_sixty_four_sources() {
    let mut exchange = exchange();
    for market in 0..16 {
        let sources: Vec<_> = (1..=4).map(|number| OracleSource::pyth(key(market * 4 + number))).collect();
        assert_eq!(exchange.set_sources(MarketIndex::new(market as u16), &sources), Ok(()));
    }
    let one_more = [OracleSource::pyth(key(99))];
    assert_eq!(exchange.set_sources(MarketIndex::new(16), &one_more), Err(EngineError::ListingOracleInvalid));
}

#[test]
fn keys_compare_by_all_their_bytes() {
    for place in 0..32 {
        let mut bytes = [7; 32];
        let key = Key::new(&bytes);
        assert!(key.matches(&bytes) && *key.as_bytes() == bytes && !key.is_zero());
        bytes[place] ^= 0x80;
        assert!(!key.matches(&bytes) && key != Key::new(&bytes), "byte {place}");
        let mut lone = [0; 32];
        lone[place] = 1;
        assert!(!Key::new(&lone).is_zero(), "byte {place}");
    }
    assert!(Key::ZERO.is_zero());
    assert_eq!(key(0x0102_0304_0506_0708).tag(), 0x0102_0304_0506_0708);
}

/// Instruction data with anything in a place that means nothing is refused, so that every listing has one encoding.
#[test]
fn listing_parameters_with_anything_in_unused_places_are_not_padded() {
    let padded = |change: &dyn Fn(&mut [u8])| {
        let mut parameters = listing::usual();
        change(bytemuck::bytes_of_mut(&mut parameters));
        parameters.is_padded()
    };
    assert!(padded(&|_| ()));
    // Two tiers of 16 bytes and one source of 104 are given; the arrays of six and four end the struct.
    let (tiers, sources) = (632 - 4 * 104 - 6 * 16, 632 - 4 * 104);
    let unused = [tiers - 4, tiers - 1, tiers + 12, tiers + 2 * 16, sources - 1, sources + 2, sources + 104, 631];
    for place in unused {
        assert!(!padded(&|bytes| bytes[place] = 1), "byte {place}");
    }
    for place in [tiers - 5, tiers, tiers + 8, tiers + 16, sources, sources + 1, sources + 8, sources + 103] {
        assert!(padded(&|bytes| bytes[place] ^= 1), "byte {place}");
    }
}
