//! Switchboard quotes and Pyth Lazer messages through the compiled program: really signed, really verified by the
//! runtime, and every way to pass off something else.

mod accounts;
mod content;
mod signatures;

use quantdesk_client::{
    Address, Refusal,
    engine::{
        EngineError, MarketIndex,
        state::{MarketRow, OracleSource, PriceCondition, market::market_size},
    },
    error::ProgramError,
    view::key_of,
};
use quantdesk_sim::{
    chain::{Executed, PROGRAM},
    desk::{Desk, Market},
    oracle::{
        self, PYTH_RECEIVER, Reading, SWITCHBOARD,
        signed::{
            self, ED25519, INSTRUCTIONS, LAZER, LAZER_STORAGE, LazerMessage, LazerProperty, Quote, QuotedFeed,
            SLOT_HASHES, THIS_INSTRUCTION, ed25519_data, ed25519_instruction,
        },
    },
};
use quantdesk_tests::{
    read, refused_at,
    scene::{MARK, PICO, PRICE, edit_account, small_desk, sol},
    snapshot::Snapshot,
};
use solana_instruction::{Instruction, error::InstructionError};
use solana_keypair::Keypair;
use solana_signer::Signer;
use solana_transaction::TransactionError;
use std::ops::Range;
use switchboard_on_demand::on_demand::oracle_quote::{PackedFeedInfo, build_authority_quote_payload};

/// Slots between now and the one for which quotes are signed.
const AGE: u64 = 5;
/// Every slot divisible by this had no block.
const SKIPPED: u64 = 7;
/// Oracles that must sign.
const SAMPLES: u8 = 3;
const FEED: [u8; 32] = [0xfe; 32];
const OTHER_FEED: [u8; 32] = [0xef; 32];
const LAZER_FEED: u32 = 6;
/// The price that is shown, and what it is in ticks.
const SHOWN: u64 = 201 * PICO;
const SHOWN_TICKS: u32 = 201_000;

/// An exchange with one market whose sources are signed, and everybody who may sign.
#[derive(Clone)]
struct Stage {
    desk: Desk,
    queue: Address,
    oracles: Vec<[u8; 32]>,
    publisher: [u8; 32],
}

fn key(seed: [u8; 32]) -> Keypair {
    Keypair::new_from_array(seed)
}

fn seed(number: u8) -> [u8; 32] {
    [number; 32]
}

/// A hash for each slot.
fn hash(slot: u64) -> [u8; 32] {
    let mut hash = [0x5a; 32];
    hash[..8].copy_from_slice(&slot.to_le_bytes());
    hash
}

fn queue_address() -> Address {
    Address::new_from_array([0x0a; 32])
}

fn quoted(feed: [u8; 32]) -> OracleSource {
    OracleSource::switchboard_quote(key_of(&feed.into()), key_of(&queue_address()), SAMPLES)
}

fn lazer() -> OracleSource {
    OracleSource::pyth_lazer(LAZER_FEED)
}

/// A source that is read from an account, and its address.
fn pyth() -> (OracleSource, Address) {
    (OracleSource::pyth(key_of(&[0x0f; 32].into())), Address::new_from_array([0xf0; 32]))
}

impl Stage {
    /// A market of which at least `sources_min` of these sources must count; the first price is 200.
    fn new(sources: &[OracleSource], sources_min: u8) -> Self {
        let mut desk = small_desk();
        desk.chain.advance_to(desk.chain.unix_millis() + 1_000_000);
        let address = desk.name(b"signed market");
        let mut parameters = sol().parameters(sources);
        parameters.sources_min = sources_min;
        let size = market_size(parameters.side_capacity, parameters.events_capacity);
        desk.chain.create_account(address, size, PROGRAM).unwrap();
        desk.chain.send(desk.venue.list_market(desk.admin, address, &parameters)).unwrap();
        let accounts = |source: &OracleSource| match source.kind {
            1 => vec![pyth().1],
            _ => signed::addresses(source),
        };
        let feeds = sources.iter().flat_map(accounts).collect();
        let index = MarketIndex::new(0);
        desk.markets.push(Market { symbol: "SIGNED".into(), address, index, parameters, feeds });
        let oracles: Vec<_> = (1..=30).map(seed).collect();
        let mut stage = Self { desk, queue: queue_address(), oracles, publisher: seed(100) };
        stage.write_accounts();
        stage
    }

    fn write_accounts(&mut self) {
        let keys: Vec<Address> = self.oracles.iter().map(|seed| key(*seed).pubkey()).collect();
        let publisher = (key(self.publisher).pubkey(), i64::MAX);
        let chain = &mut self.desk.chain;
        chain.set_account(self.queue, signed::queue_account(&keys)).unwrap();
        chain.set_account(LAZER_STORAGE, signed::lazer_storage_account(&[publisher])).unwrap();
        self.write_slot_hashes();
    }

    fn write_slot_hashes(&mut self) {
        let slots = (0..self.desk.chain.slot()).rev().filter(|slot| slot % SKIPPED != 0).take(512);
        let entries: Vec<_> = slots.map(|slot| (slot, hash(slot))).collect();
        self.desk.chain.set_account(SLOT_HASHES, signed::slot_hashes_account(&entries)).unwrap();
    }

    fn wait(&mut self, seconds: i64) {
        self.desk.chain.advance_to(self.desk.chain.unix_millis() + seconds * 1_000);
        self.write_slot_hashes();
    }

    fn now(&self) -> i64 {
        self.desk.chain.unix_seconds()
    }

    /// A slot with a block, at least this old.
    fn slot(&self, age: u64) -> u64 {
        let slot = self.desk.chain.slot() - age;
        if slot % SKIPPED == 0 { slot - 1 } else { slot }
    }

    fn reading(&self, price: u64) -> Reading {
        Reading { price, half_width: price / 2_000, publish_time: self.now(), slot: self.slot(AGE) }
    }

    /// The price in a quote by the first three oracles, changed by `edit`.
    fn quote_with(&self, edit: impl FnOnce(&mut Content)) -> Instruction {
        self.content(edit).instruction()
    }

    fn content(&self, edit: impl FnOnce(&mut Content)) -> Content {
        let slot = self.slot(AGE);
        let mut content = Content {
            oracles: (0..SAMPLES).map(|place| (place, self.oracles[usize::from(place)])).collect(),
            feeds: vec![QuotedFeed { id: FEED, value: i128::from(SHOWN) * 1_000_000, samples_min: 1 }],
            slot,
            slot_hash: hash(slot),
        };
        edit(&mut content);
        content
    }

    fn quote(&self) -> Instruction {
        self.quote_with(|_| ())
    }

    fn lazer_with(&self, edit: impl FnOnce(&mut LazerMessage)) -> Instruction {
        self.message(edit).instruction(&key(self.publisher))
    }

    fn message(&self, edit: impl FnOnce(&mut LazerMessage)) -> LazerMessage {
        let mut message = LazerMessage::of(&lazer(), &self.reading(SHOWN)).unwrap();
        edit(&mut message);
        message
    }

    fn lazer(&self) -> Instruction {
        self.lazer_with(|_| ())
    }

    fn update(&self) -> Instruction {
        let market = &self.desk.markets[0];
        self.desk.venue.update_price(&market.address, market.index, &market.feeds)
    }

    fn show_pyth(&mut self, price: u64) {
        let (source, address) = pyth();
        let account = oracle::account(&source, &self.reading(price)).unwrap();
        self.desk.chain.set_account(address, account).unwrap();
    }

    /// Sends these instructions and then `UpdatePrice`, which must be accepted.
    #[track_caller]
    fn accepts(&mut self, before: &[Instruction]) -> MarketRow {
        let executed = self.send(before);
        assert!(executed.compute_units < 10_000);
        self.desk.check().unwrap();
        read::row(&self.desk, 0)
    }

    #[track_caller]
    fn send(&mut self, before: &[Instruction]) -> Executed {
        let all = [before, &[self.update()]].concat();
        self.desk.chain.send_all(&all).unwrap()
    }

    /// The same, on a copy of the chain.
    #[track_caller]
    fn would_accept(&self, before: &[Instruction]) -> MarketRow {
        self.clone().accepts(before)
    }

    /// Sends these instructions and then `UpdatePrice`, which must be refused with exactly this and change nothing.
    #[track_caller]
    fn refuses(&self, before: &[Instruction], error: impl Into<ProgramError>) {
        self.refuses_update(before, self.update(), error);
    }

    #[track_caller]
    fn refuses_update(&self, before: &[Instruction], update: Instruction, error: impl Into<ProgramError>) {
        let mut chain = self.desk.chain.clone();
        let snapshot = Snapshot::of(&chain);
        let all = [before, &[update]].concat();
        refused_at(chain.send_all(&all), u8::try_from(before.len()).unwrap(), error);
        snapshot.unchanged(&chain);
    }

    /// The first instruction, an ed25519 instruction, does not verify.
    #[track_caller]
    fn does_not_verify(&self, before: &[Instruction]) {
        let mut chain = self.desk.chain.clone();
        let snapshot = Snapshot::of(&chain);
        let failure = chain.send_all(&[before, &[self.update()]].concat()).unwrap_err();
        assert!(matches!(failure.transaction_error, TransactionError::InstructionError(0, _)), "{failure}");
        assert_ne!(
            failure.transaction_error,
            TransactionError::InstructionError(0, InstructionError::InvalidAccountData)
        );
        snapshot.unchanged(&chain);
    }
}

/// What is in a quote, with the secrets of its signers.
#[derive(Clone)]
struct Content {
    oracles: Vec<(u8, [u8; 32])>,
    feeds: Vec<QuotedFeed>,
    slot: u64,
    slot_hash: [u8; 32],
}

impl Content {
    fn with<T>(&self, read: impl FnOnce(&Quote<'_>) -> T) -> T {
        let keys: Vec<Keypair> = self.oracles.iter().map(|(_, seed)| key(*seed)).collect();
        let oracles = self.oracles.iter().map(|(place, _)| *place).zip(&keys).collect();
        read(&Quote { oracles, feeds: self.feeds.clone(), slot: self.slot, slot_hash: self.slot_hash })
    }

    fn instruction(&self) -> Instruction {
        self.with(|quote| quote.instruction())
    }

    /// Other bytes, signed by the same oracles, with the same tail.
    fn signing(&self, message: &[u8]) -> Instruction {
        self.with(|quote| {
            let keys: Vec<&Keypair> = quote.oracles.iter().map(|(_, key)| *key).collect();
            ed25519_instruction(ed25519_data(&keys, THIS_INSTRUCTION, message, &quote.tail()))
        })
    }
}

fn quote_stage() -> Stage {
    Stage::new(&[quoted(FEED)], 1)
}

fn lazer_stage() -> Stage {
    Stage::new(&[lazer()], 1)
}

fn changed(instruction: &Instruction, edit: impl FnOnce(&mut Vec<u8>)) -> Instruction {
    let mut instruction = instruction.clone();
    edit(&mut instruction.data);
    instruction
}

fn flipped(instruction: &Instruction, place: usize) -> Instruction {
    changed(instruction, |data| data[place] ^= 1)
}

/// An ed25519 instruction that verifies nothing.
fn placeholder() -> Instruction {
    ed25519_instruction(vec![0, 0])
}

/// An instruction that does nothing: a transfer of nothing by the fee payer to itself.
fn idle(stage: &Stage) -> Instruction {
    let payer = stage.desk.chain.payer();
    solana_system_interface::instruction::transfer(&payer, &payer, 0)
}

// What is accepted

#[test]
fn a_quote_moves_the_board() {
    let mut stage = quote_stage();
    let quote = stage.quote();
    let age = stage.desk.chain.slot() - stage.slot(AGE);
    let row = stage.accepts(&[quote]);
    assert_eq!((row.index_price.get(), row.updated_at.get()), (SHOWN_TICKS, stage.now()));
    assert_eq!(row.publish_time.get(), stage.now() - i64::try_from(age.div_ceil(2)).unwrap());
}

#[test]
fn a_message_moves_the_board() {
    let mut stage = lazer_stage();
    let message = stage.lazer();
    let row = stage.accepts(&[message]);
    assert_eq!((row.index_price.get(), row.publish_time.get()), (SHOWN_TICKS, stage.now()));
}

#[test]
fn instructions_may_be_named_by_number_or_as_themselves() {
    let stage = quote_stage();
    let content = stage.content(|_| ());
    for (index, before) in [(0, vec![]), (1, vec![idle(&stage)])] {
        let named = ed25519_instruction(content.with(|quote| quote.data(index)));
        let all = [&before[..], &[named]].concat();
        assert_eq!(stage.would_accept(&all).index_price.get(), SHOWN_TICKS);
    }
}

#[test]
fn a_feed_is_found_wherever_it_stands() {
    let stage = quote_stage();
    let other = QuotedFeed { id: OTHER_FEED, value: 1, samples_min: 1 };
    for place in 0..3 {
        let quote = stage.quote_with(|quote| {
            quote.feeds.extend([other; 2]);
            quote.feeds.swap(0, place);
        });
        assert_eq!(stage.would_accept(&[quote]).index_price.get(), SHOWN_TICKS);
    }
    let stage = lazer_stage();
    let message = stage.lazer_with(|message| {
        message.feeds.insert(0, (1, all_properties()));
        message.feeds.push((2, vec![]));
        let own = &mut message.feeds[1].1;
        own.splice(1..1, all_properties()[1..4].iter().copied());
        own.extend(&all_properties()[6..12]);
    });
    assert_eq!(stage.would_accept(&[message]).index_price.get(), SHOWN_TICKS);
}

/// One of each kind, with and without what is optional.
fn all_properties() -> Vec<LazerProperty> {
    use LazerProperty as P;
    vec![
        P::Price(Some(5)),
        P::BestBid(Some(4)),
        P::BestAsk(None),
        P::Publishers(9),
        P::Exponent(-8),
        P::Confidence(Some(1)),
        P::FundingRate(Some(-7)),
        P::FundingRate(None),
        P::FundingTime(Some(8)),
        P::FundingInterval(None),
        P::MarketSession(1),
        P::EmaPrice(Some(3)),
        P::EmaConfidence(Some(2)),
        P::UpdatedAt(None),
    ]
}

// What is signed, and by whom
