//! Switchboard quotes and Pyth Lazer messages through the compiled program: really signed, really verified by the
//! runtime, and every way to pass off something else.

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

/// No byte of an instruction can be changed so that another price counts.
#[test]
fn attack_flipped_byte_of_a_quote() {
    let stage = quote_stage();
    let quote = stage.quote();
    let length = quote.data.len();
    assert_eq!(length, 47 + 111 * 3 + 49);
    let tail = length - 16;
    for place in 0..length {
        let quote = [flipped(&quote, place)];
        match place.checked_sub(tail) {
            // One signature fewer: the oracles' places are then others.
            None if place == 0 => stage.refuses(&quote, EngineError::OracleNotTrusted),
            None if place == 1 => assert_eq!(stage.would_accept(&quote).index_price.get(), SHOWN_TICKS, "padding"),
            None => stage.does_not_verify(&quote),
            // Oracles 0 and 1 become each other, which both have signed; oracle 2 becomes 3, which has not.
            Some(0 | 1) => stage.refuses(&quote, Refusal::OracleNotVerified),
            Some(2) => stage.refuses(&quote, EngineError::OracleNotTrusted),
            // The slot: one with another hash, or one to come.
            Some(3 | 4) => stage.refuses(&quote, EngineError::OracleNotTrusted),
            Some(5..11) => stage.refuses(&quote, EngineError::OracleFromFuture),
            Some(11) => assert_eq!(stage.would_accept(&quote).index_price.get(), SHOWN_TICKS, "version"),
            Some(_) => stage.refuses(&quote, Refusal::OracleWrongType),
        }
    }
}

#[test]
fn attack_flipped_byte_of_a_message() {
    let stage = lazer_stage();
    let message = stage.lazer();
    for place in 0..message.data.len() {
        let message = [flipped(&message, place)];
        if place == 1 {
            assert_eq!(stage.would_accept(&message).index_price.get(), SHOWN_TICKS);
        } else {
            stage.does_not_verify(&message);
        }
    }
}

#[test]
fn attack_one_oracle_counts_twice() {
    let stage = quote_stage();
    let first = stage.oracles[0];
    let places = [[0, 0, 0], [0, 1, 0], [0, 1, 1], [0, 0, 1]];
    for places in places {
        let quote = stage.quote_with(|quote| {
            quote.oracles = places.map(|place| (place, stage.oracles[usize::from(place)])).to_vec();
        });
        stage.refuses(&[quote], Refusal::OracleNotVerified);
    }
    // Its signature under the places of others.
    let quote = stage.quote_with(|quote| quote.oracles = vec![(0, first), (1, first), (2, first)]);
    stage.refuses(&[quote], EngineError::OracleNotTrusted);
}

#[test]
fn attack_oracle_beyond_the_queue() {
    let stage = quote_stage();
    for place in [30, 31, 32, 33, 60, 127, 128, 255] {
        // A verifier that divides by thirty would take the first ones for others.
        let quote = stage.quote_with(|quote| quote.oracles[2] = (place, stage.oracles[usize::from(place) % 30]));
        stage.refuses(&[quote], Refusal::OracleNotVerified);
    }
    let quote = stage.quote_with(|quote| quote.oracles[2] = (29, stage.oracles[29]));
    assert_eq!(stage.would_accept(&[quote]).index_price.get(), SHOWN_TICKS);
}

#[test]
fn attack_signer_that_is_no_oracle() {
    let mut stage = quote_stage();
    let stranger = stage.quote_with(|quote| quote.oracles[1].1 = seed(77));
    stage.refuses(&[stranger], EngineError::OracleNotTrusted);
    // A key that the queue has replaced since.
    let quote = stage.quote();
    stage.oracles[1] = seed(78);
    stage.write_accounts();
    stage.refuses(&[quote], EngineError::OracleNotTrusted);
    // An oracle without a key: the zero key is nobody's.
    let queue = stage.queue;
    edit_account(&mut stage.desk.chain, queue, |it| it.data[4_200 + 32..4_200 + 64].fill(0));
    stage.refuses(&[stage.quote()], EngineError::OracleNotTrusted);
}

#[test]
fn attack_own_queue() {
    let mut stage = quote_stage();
    let own = stage.desk.name(b"attacker's queue");
    let quote = stage.quote_with(|quote| quote.oracles = (0..3).map(|place| (place, seed(50 + place))).collect());
    let keys: Vec<Address> = (50..53).map(|number| key(seed(number)).pubkey()).collect();
    for owner in [SWITCHBOARD, PROGRAM, own] {
        let account = solana_account::Account { owner, ..signed::queue_account(&keys) };
        stage.desk.chain.set_account(own, account).unwrap();
        let mut update = stage.update();
        update.accounts[4].pubkey = own;
        stage.refuses_update(&[quote.clone()], update, Refusal::OracleWrongQueue);
    }
}

/// What has become of the queue is not the caller's doing: the source does not count.
#[test]
fn queue_that_is_none_any_more() {
    let stage = quote_stage();
    let edits: [fn(&mut solana_account::Account); 6] = [
        |it| it.owner = PYTH_RECEIVER,
        |it| it.data[0] ^= 1,
        |it| it.data.push(0),
        |it| it.data.truncate(6_279),
        |it| it.data.clear(),
        |it| *it = solana_account::Account::default(),
    ];
    for edit in edits {
        let mut stage = stage.clone();
        let queue = stage.queue;
        edit_account(&mut stage.desk.chain, queue, edit);
        stage.refuses(&[stage.quote()], EngineError::OracleNotTrusted);
    }
}

#[test]
fn attack_too_few_signatures() {
    let stage = quote_stage();
    let signed_by = |count: u8, samples_min: u8| {
        stage.quote_with(|quote| {
            quote.oracles = (0..count).map(|place| (place, stage.oracles[usize::from(place)])).collect();
            quote.feeds[0].samples_min = samples_min;
        })
    };
    for (count, samples_min) in [(1, 1), (2, 1), (2, 0), (3, 4), (4, 5), (7, 255)] {
        stage.refuses(&[signed_by(count, samples_min)], EngineError::OracleSamplesTooFew);
    }
    for (count, samples_min) in [(3, 0), (3, 3), (4, 4), (7, 1)] {
        assert_eq!(stage.would_accept(&[signed_by(count, samples_min)]).index_price.get(), SHOWN_TICKS);
    }
}

/// The runtime verifies the genuine quote of instruction 0, while the data beside the offsets say something else.
#[test]
fn attack_offsets_into_another_instruction() {
    let stage = quote_stage();
    let content = stage.content(|_| ());
    let genuine = content.instruction();
    let forged = stage.content(|quote| quote.feeds[0].value *= 2);
    let forged = content.with(|quote| {
        let mut data = quote.data(0);
        let start = data.len() - quote.tail().len() - quote.message().len();
        data[start..start + quote.message().len()].copy_from_slice(&forged.with(|quote| quote.message()));
        ed25519_instruction(data)
    });
    stage.refuses(&[genuine.clone(), forged], Refusal::OracleNotVerified);
    // Each of the nine numbers alone, with the same bytes in both.
    for number in 0..9 {
        let place = 2 + 14 * (number / 3) + [2, 6, 12][number % 3];
        let strayed = changed(&genuine, |data| data[place..place + 2].fill(0));
        stage.refuses(&[genuine.clone(), strayed], Refusal::OracleNotVerified);
    }
    // As it stands in a transaction of its own, zero is the instruction itself.
    let own = changed(&genuine, |data| data[4..6].fill(0));
    assert_eq!(stage.would_accept(&[own]).index_price.get(), SHOWN_TICKS);

    let stage = lazer_stage();
    let genuine = stage.lazer();
    for place in [4, 8, 14] {
        let strayed = changed(&genuine, |data| data[place..place + 2].fill(0));
        stage.refuses(&[genuine.clone(), strayed], Refusal::OracleNotVerified);
    }
}

/// Each oracle signs a message of its own; only the first one's is about this price.
#[test]
fn attack_signatures_over_different_messages() {
    let stage = quote_stage();
    let (first, second) = (stage.content(|_| ()), stage.content(|quote| quote.feeds[0].value *= 2));
    let (keys, count): (Vec<Keypair>, usize) = (first.oracles.iter().map(|(_, seed)| key(*seed)).collect(), 3);
    let (message, other) = (first.with(|quote| quote.message()), second.with(|quote| quote.message()));
    let signers: Vec<&Keypair> = keys.iter().collect();
    let both = [&message[..], &other].concat();
    let mut data = ed25519_data(&signers, THIS_INSTRUCTION, &both, &first.with(|quote| quote.tail()));
    let (signatures, start) = (2 + 14 * count + 32 * count, 2 + 14 * count + 96 * count);
    for (place, key) in keys.iter().enumerate() {
        let (at, message) = if place == 0 { (start, &message) } else { (start + message.len(), &other) };
        data[2 + 14 * place + 8..][..2].copy_from_slice(&u16::try_from(at).unwrap().to_le_bytes());
        data[2 + 14 * place + 10..][..2].copy_from_slice(&u16::try_from(message.len()).unwrap().to_le_bytes());
        data[signatures + 64 * place..][..64].copy_from_slice(key.sign_message(message).as_ref());
    }
    stage.refuses(&[ed25519_instruction(data)], Refusal::OracleNotVerified);
}

#[test]
fn attack_authority_quote() {
    let mut stage = quote_stage();
    let feed = PackedFeedInfo { feed_id: FEED, feed_value: i128::from(SHOWN) * 1_000_000, min_oracle_samples: 1 };
    let payload = build_authority_quote_payload(&[feed], stage.slot(AGE), 1).unwrap();
    // No oracle has signed it, so the runtime does not verify it as a quote.
    stage.does_not_verify(&[ed25519_instruction(payload.clone())]);
    // Nor does it count where it is stored, which no source reads.
    let stored = stage.desk.name(b"stored quote");
    let data = [b"SBOracle", &[7; 32][..], &u16::try_from(payload.len()).unwrap().to_le_bytes(), &payload].concat();
    let owner = Address::from_str_const("orac1eFjzWL5R3RbbdMV68K9H6TaCVVcL6LjvQQWAbz");
    let account = solana_account::Account { owner, data, lamports: 10_000_000, ..Default::default() };
    stage.desk.chain.set_account(stored, account).unwrap();
    let mut update = stage.update();
    update.accounts[4].pubkey = stored;
    stage.refuses_update(&[stage.quote()], update, Refusal::OracleWrongQueue);
}

#[test]
fn attack_lazer_signer_that_is_not_trusted() {
    let stage = lazer_stage();
    let (now, trusted) = (stage.now(), key(stage.publisher).pubkey());
    let message = stage.lazer();
    let with_signers = |signers: &[(Address, i64)], used: u8| {
        let mut stage = stage.clone();
        let mut account = signed::lazer_storage_account(signers);
        account.data[80] = used;
        stage.desk.chain.set_account(LAZER_STORAGE, account).unwrap();
        stage
    };
    let stranger = (key(seed(7)).pubkey(), i64::MAX);
    for expired in [now, now - 1, 0, i64::MIN] {
        with_signers(&[stranger, (trusted, expired)], 2).refuses(&[message.clone()], EngineError::OracleNotTrusted);
    }
    assert_eq!(
        with_signers(&[stranger, (trusted, now + 1)], 2).would_accept(&[message.clone()]).mark.get(),
        SHOWN_TICKS
    );
    with_signers(&[stranger], 1).refuses(&[message.clone()], EngineError::OracleNotTrusted);
    // What is left of a signer that was removed.
    with_signers(&[stranger, (trusted, i64::MAX)], 1).refuses(&[message.clone()], EngineError::OracleNotTrusted);
    with_signers(&[(trusted, i64::MAX)], 0).refuses(&[message.clone()], EngineError::OracleNotTrusted);
    assert_eq!(with_signers(&[stranger, (trusted, i64::MAX)], 255).would_accept(&[message]).mark.get(), SHOWN_TICKS);
    let forged = stage.message(|_| ()).instruction(&key(seed(7)));
    stage.refuses(&[forged], EngineError::OracleNotTrusted);
}

#[test]
fn attack_foreign_lazer_storage() {
    let mut stage = lazer_stage();
    let own = stage.desk.name(b"attacker's storage");
    let account = signed::lazer_storage_account(&[(key(seed(7)).pubkey(), i64::MAX)]);
    let forged = stage.message(|_| ()).instruction(&key(seed(7)));
    for owner in [LAZER, PROGRAM] {
        stage.desk.chain.set_account(own, solana_account::Account { owner, ..account.clone() }).unwrap();
        let mut update = stage.update();
        update.accounts[4].pubkey = own;
        stage.refuses_update(&[forged.clone()], update, Refusal::OracleWrongAccount);
    }
    let edits: [fn(&mut solana_account::Account); 5] = [
        |it| it.owner = PYTH_RECEIVER,
        |it| it.data[7] ^= 1,
        |it| it.data.push(0),
        |it| it.data.truncate(380),
        |it| *it = solana_account::Account::default(),
    ];
    for edit in edits {
        let mut stage = stage.clone();
        edit_account(&mut stage.desk.chain, LAZER_STORAGE, edit);
        stage.refuses(&[stage.lazer()], EngineError::OracleNotTrusted);
    }
}

#[test]
fn attack_fake_sysvars() {
    let mut stage = quote_stage();
    // What a genuine sysvar would show, had the forged quote been verified.
    let fake = stage.desk.name(b"fake instructions");
    let forged = stage.quote_with(|quote| quote.oracles = (0..3).map(|place| (place, seed(50 + place))).collect());
    let data = instructions_sysvar(&[(ED25519, &forged.data), (PROGRAM, &[])], 1);
    let account = solana_account::Account { data, lamports: 1_000_000_000, owner: PROGRAM, ..Default::default() };
    stage.desk.chain.set_account(fake, account).unwrap();
    let mut update = stage.update();
    update.accounts[3].pubkey = fake;
    stage.refuses_update(&[], update.clone(), Refusal::OracleWrongAccount);
    stage.refuses_update(&[stage.quote()], update, Refusal::OracleWrongAccount);

    let hashes = stage.desk.name(b"fake slot hashes");
    let slot = stage.desk.chain.slot() - 1;
    stage.desk.chain.set_account(hashes, signed::slot_hashes_account(&[(slot, [9; 32])])).unwrap();
    let quote = stage.quote_with(|quote| (quote.slot, quote.slot_hash) = (slot, [9; 32]));
    stage.refuses(&[quote.clone()], EngineError::OracleNotTrusted);
    let mut update = stage.update();
    update.accounts[5].pubkey = hashes;
    stage.refuses_update(&[quote], update, Refusal::OracleWrongAccount);

    let mut stage = lazer_stage();
    let message = stage.message(|_| ()).instruction(&key(seed(7)));
    let data = instructions_sysvar(&[(ED25519, &message.data), (PROGRAM, &[])], 1);
    let account = solana_account::Account { data, lamports: 1_000_000_000, owner: PROGRAM, ..Default::default() };
    stage.desk.chain.set_account(fake, account).unwrap();
    let mut update = stage.update();
    update.accounts[3].pubkey = fake;
    stage.refuses_update(&[message], update, Refusal::OracleWrongAccount);
}

/// The layout of the sysvar, for instructions without accounts.
fn instructions_sysvar(instructions: &[(Address, &[u8])], current: u16) -> Vec<u8> {
    let mut data = u16::try_from(instructions.len()).unwrap().to_le_bytes().to_vec();
    let mut start = 2 + 2 * instructions.len();
    for (_, bytes) in instructions {
        data.extend(u16::try_from(start).unwrap().to_le_bytes());
        start += 2 + 32 + 2 + bytes.len();
    }
    for (program, bytes) in instructions {
        data.extend([0, 0]);
        data.extend(program.to_bytes());
        data.extend(u16::try_from(bytes.len()).unwrap().to_le_bytes());
        data.extend(*bytes);
    }
    data.extend(current.to_le_bytes());
    data
}

// When

#[test]
fn attack_stale_slot() {
    let mut stage = quote_stage();
    let of_slot =
        |stage: &Stage, slot: u64| stage.quote_with(|quote| (quote.slot, quote.slot_hash) = (slot, hash(slot)));
    let current = stage.desk.chain.slot();
    // Thirty seconds are the limit, at two slots a second.
    for age in 1..=70 {
        let slot = current - age;
        let quote = of_slot(&stage, slot);
        if slot % SKIPPED == 0 || age > 60 {
            stage.refuses(&[quote], EngineError::OracleStale);
        } else {
            let seconds = i64::try_from(age.div_ceil(2)).unwrap();
            assert_eq!(stage.would_accept(&[quote]).publish_time.get(), stage.now() - seconds, "{age} slots");
        }
    }
    for slot in [current - 500, current - 700, 1, 0] {
        stage.refuses(&[of_slot(&stage, slot)], EngineError::OracleStale);
    }
    // The newest hash under an old slot, and the other way round.
    for (slot, of) in [(current - 1, current - 2), (current - 2, current - 1)] {
        let (slot, of) = (slot - u64::from(slot % SKIPPED == 0), of - 3 * u64::from(of % SKIPPED == 0));
        let quote = stage.quote_with(|quote| (quote.slot, quote.slot_hash) = (slot, hash(of)));
        stage.refuses(&[quote], EngineError::OracleNotTrusted);
    }
    // The same quote is too old in the end.
    let quote = stage.quote();
    stage.wait(40);
    stage.refuses(&[quote], EngineError::OracleStale);
}

#[test]
fn attack_future_slot() {
    let stage = quote_stage();
    let current = stage.desk.chain.slot();
    for slot in [current + 1, current + 2, u64::MAX] {
        let quote = stage.quote_with(|quote| (quote.slot, quote.slot_hash) = (slot, hash(slot)));
        stage.refuses(&[quote], EngineError::OracleFromFuture);
    }
    // The slot that is running has no hash yet.
    let quote = stage.quote_with(|quote| (quote.slot, quote.slot_hash) = (current, [0; 32]));
    stage.refuses(&[quote], EngineError::OracleStale);
}

#[test]
fn lazer_times() {
    let stage = lazer_stage();
    let now = stage.now();
    let at = |micros: Option<u64>| {
        stage.lazer_with(|message| *message.feeds[0].1.last_mut().unwrap() = LazerProperty::UpdatedAt(micros))
    };
    let micros = |seconds: i64| u64::try_from(seconds).unwrap() * 1_000_000;
    assert_eq!(stage.would_accept(&[at(Some(micros(now - 30)))]).publish_time.get(), now - 30);
    assert_eq!(stage.would_accept(&[at(Some(micros(now) + 999_999))]).publish_time.get(), now);
    stage.refuses(&[at(Some(micros(now - 30) - 1))], EngineError::OracleStale);
    stage.refuses(&[at(None)], EngineError::OracleStale);
    stage.refuses(&[at(Some(micros(now + 11)))], EngineError::OracleFromFuture);
    stage.refuses(&[at(Some(u64::MAX))], EngineError::OracleFromFuture);
    // The time of sending is no date: a feed at rest is sent again and again.
    let sent = stage.lazer_with(|message| {
        message.timestamp = micros(now);
        *message.feeds[0].1.last_mut().unwrap() = LazerProperty::UpdatedAt(Some(micros(now - 60)));
    });
    stage.refuses(&[sent], EngineError::OracleStale);
}

#[test]
fn attack_older_of_two_messages() {
    let mut stage = quote_stage();
    let of_age = |stage: &Stage, age: u64| {
        let slot = stage.slot(age);
        stage.quote_with(|quote| (quote.slot, quote.slot_hash) = (slot, hash(slot)))
    };
    let (older, newer) = (of_age(&stage, 20), of_age(&stage, 2));
    stage.would_accept(&[older.clone()]);
    stage.accepts(&[newer.clone()]);
    stage.refuses(&[older], EngineError::OracleRegressed);
    // What was counted may be shown again while nothing newer was.
    stage.accepts(&[newer]);

    let mut stage = lazer_stage();
    let earlier = stage.lazer();
    stage.wait(2);
    let later = stage.lazer();
    stage.would_accept(&[earlier.clone()]);
    stage.accepts(&[later]);
    stage.refuses(&[earlier], EngineError::OracleRegressed);
}

// What is in it

#[test]
fn attack_wrong_feed() {
    let stage = quote_stage();
    for place in 0..32 {
        let other = stage.quote_with(|quote| quote.feeds[0].id[place] ^= 0x80);
        stage.refuses(&[other], Refusal::OracleWrongFeed);
    }
    stage.refuses(&[stage.quote_with(|quote| quote.feeds.clear())], Refusal::OracleWrongFeed);
    let stage = lazer_stage();
    for bit in 0..32 {
        let other = stage.lazer_with(|message| message.feeds[0].0 ^= 1 << bit);
        stage.refuses(&[other], Refusal::OracleWrongFeed);
    }
    stage.refuses(&[stage.lazer_with(|message| message.feeds.clear())], Refusal::OracleWrongFeed);
}

#[test]
fn quoted_prices_without_use() {
    let stage = quote_stage();
    let of = |value: i128| stage.quote_with(|quote| quote.feeds[0].value = value);
    let largest = i128::from(u64::MAX) * 1_000_000 + 999_999;
    for value in [0, 999_999, -1, -1_000_000, i128::MIN, i128::MAX, largest + 1] {
        stage.refuses(&[of(value)], EngineError::OraclePriceInvalid);
    }
    for value in [1_000_000, largest] {
        stage.refuses(&[of(value)], EngineError::OraclePriceOutOfRange);
    }
    // Rounded down to 1e-12, and from there to the nearest tick.
    let half = i128::from(SHOWN + PICO / 2_000) * 1_000_000;
    assert_eq!(stage.would_accept(&[of(half - 1)]).index_price.get(), SHOWN_TICKS);
    assert_eq!(stage.would_accept(&[of(half)]).index_price.get(), SHOWN_TICKS + 1);
}

#[test]
fn messages_without_a_price() {
    use LazerProperty as P;
    let stage = lazer_stage();
    let now = u64::try_from(stage.now()).unwrap() * 1_000_000;
    let whole = [P::Price(Some(20_100_000_000)), P::Exponent(-8), P::Confidence(Some(1)), P::UpdatedAt(Some(now))];
    let of = |properties: &[LazerProperty]| {
        let properties = properties.to_vec();
        stage.lazer_with(|message| message.feeds[0].1 = properties)
    };
    assert_eq!(stage.would_accept(&[of(&whole)]).index_price.get(), SHOWN_TICKS);
    let invalid = EngineError::OraclePriceInvalid;
    for (left_out, error) in [(0, invalid), (1, invalid), (2, invalid), (3, EngineError::OracleStale)] {
        let mut properties = whole.to_vec();
        properties.remove(left_out);
        stage.refuses(&[of(&properties)], error);
    }
    for (place, property) in [
        (0, P::Price(None)),
        (0, P::Price(Some(-1))),
        (0, P::Price(Some(i64::MIN))),
        (1, P::Exponent(8)),
        (1, P::Exponent(-32)),
        (1, P::Exponent(i16::MIN)),
        (2, P::Confidence(None)),
        (2, P::Confidence(Some(-1))),
    ] {
        let mut properties = whole;
        properties[place] = property;
        stage.refuses(&[of(&properties)], invalid);
    }
    // A property of a later version, in this feed or in one before it.
    for number in [13, 14, 255] {
        stage.refuses(&[of(&[&[P::Other(number, [0; 8])], &whole[..]].concat())], invalid);
        let before = stage.lazer_with(|message| message.feeds.insert(0, (1, vec![P::Other(number, [0; 8])])));
        stage.refuses(&[before], invalid);
    }
    // Wide enough to be no price.
    let wide = [P::Price(Some(20_100_000_000)), P::Exponent(-8), P::Confidence(Some(402_000_001)), whole[3]];
    let row = stage.would_accept(&[of(&wide)]);
    assert_eq!((row.condition(), row.index_price.get()), (PriceCondition::Wide, 0));
}

/// Truncated anywhere, and signed like that: what the oracles would have to sign.
#[test]
fn attack_truncated_messages() {
    let stage = quote_stage();
    let content = stage.content(|quote| quote.feeds.push(QuotedFeed { id: OTHER_FEED, value: 1, samples_min: 1 }));
    let message = content.with(|quote| quote.message());
    for length in 0..message.len() {
        let quote = [content.signing(&message[..length])];
        match length {
            32 => stage.refuses(&quote, Refusal::OracleWrongFeed),
            81 => assert_eq!(stage.would_accept(&quote).index_price.get(), SHOWN_TICKS),
            _ => stage.refuses(&quote, Refusal::OracleWrongType),
        }
    }
    let stage = lazer_stage();
    let payload = stage.message(|_| ()).payload();
    for length in 0..payload.len() {
        let data = ed25519_data(&[&key(stage.publisher)], THIS_INSTRUCTION, &payload[..length], &[]);
        let error: ProgramError = match length {
            0..14 => Refusal::OracleWrongType.into(),
            _ => EngineError::OraclePriceInvalid.into(),
        };
        stage.refuses(&[ed25519_instruction(data)], error);
    }
    let other = changed_payload(&stage, |payload| payload[0] ^= 1);
    stage.refuses(&[other], Refusal::OracleWrongType);
}

fn changed_payload(stage: &Stage, edit: impl FnOnce(&mut Vec<u8>)) -> Instruction {
    let mut payload = stage.message(|_| ()).payload();
    edit(&mut payload);
    ed25519_instruction(ed25519_data(&[&key(stage.publisher)], THIS_INSTRUCTION, &payload, &[]))
}

/// Instructions cut anywhere: the runtime refuses what reaches into the signed part, the program the rest.
#[test]
fn attack_truncated_instructions() {
    let stage = quote_stage();
    let quote = stage.quote();
    let signed = quote.data.len() - 16;
    for length in 0..quote.data.len() {
        let cut = [changed(&quote, |data| data.truncate(length))];
        if length < signed { stage.does_not_verify(&cut) } else { stage.refuses(&cut, Refusal::OracleWrongType) }
    }
    let stage = lazer_stage();
    let message = stage.lazer();
    for length in 0..message.data.len() {
        stage.does_not_verify(&[changed(&message, |data| data.truncate(length))]);
    }
}

#[test]
fn signatures_of_something_else() {
    let (quotes, messages) = (quote_stage(), lazer_stage());
    quotes.refuses(&[messages.lazer()], Refusal::OracleWrongType);
    messages.refuses(&[quotes.quote()], Refusal::OracleWrongType);
    let two =
        ed25519_data(&[&key(seed(100)), &key(seed(7))], THIS_INSTRUCTION, &messages.message(|_| ()).payload(), &[]);
    messages.refuses(&[ed25519_instruction(two)], Refusal::OracleWrongType);
}

// Which instruction

#[test]
fn a_source_without_its_instruction_does_not_count() {
    for (stage, instruction) in [(quote_stage(), quote_stage().quote()), (lazer_stage(), lazer_stage().lazer())] {
        stage.refuses(&[], EngineError::OracleNotTrusted);
        stage.refuses(&[instruction.clone(), idle(&stage)], EngineError::OracleNotTrusted);
        stage.refuses(&[placeholder()], EngineError::OracleNotTrusted);
        stage.refuses(&[instruction, placeholder()], EngineError::OracleNotTrusted);
        stage.refuses(&[idle(&stage)], EngineError::OracleNotTrusted);
    }
}

#[test]
fn other_sources_count_without_the_signed_ones() {
    let sources = [pyth().0, quoted(FEED), lazer()];
    let mut stage = Stage::new(&sources, 1);
    stage.show_pyth(PRICE);
    let row = stage.accepts(&[]);
    assert_eq!((row.index_price.get(), row.source_times[1].get(), row.source_times[2].get()), (MARK, 0, 0));
    // The quote is the first signed source, so its instruction is the nearest.
    let row = stage.would_accept(&[stage.quote()]);
    assert!(row.source_times[1].get() > 0 && row.source_times[2].get() == 0);
    let row = stage.would_accept(&[stage.lazer(), placeholder()]);
    assert!(row.source_times[1].get() == 0 && row.source_times[2].get() > 0);
    let row = stage.would_accept(&[stage.lazer(), stage.quote()]);
    assert!(row.source_times[1].get() > 0 && row.source_times[2].get() > 0);
    assert_eq!(row.index_price.get(), SHOWN_TICKS, "the median of 200, 201, 201");
    // A quote whose signer has been replaced does not keep the others from counting.
    stage.oracles[0] = seed(79);
    let quote = stage.quote();
    stage.oracles[0] = seed(1);
    let row = stage.would_accept(&[stage.lazer(), quote]);
    assert!(row.source_times[1].get() == 0 && row.source_times[2].get() > 0);
}

#[test]
fn attack_one_instruction_for_two_sources() {
    let stage = Stage::new(&[quoted(FEED), quoted(OTHER_FEED)], 2);
    let (first, second) = (i128::from(SHOWN) * 1_000_000, i128::from(SHOWN + PICO) * 1_000_000);
    let both = stage.quote_with(|quote| {
        quote.feeds = vec![
            QuotedFeed { id: FEED, value: first, samples_min: 1 },
            QuotedFeed { id: OTHER_FEED, value: second, samples_min: 1 },
        ];
    });
    stage.refuses(&[both.clone()], EngineError::OracleNotTrusted);
    stage.refuses(&[idle(&stage), both.clone()], EngineError::OracleNotTrusted);
    // Carried twice, it serves both.
    let row = stage.would_accept(&[both.clone(), both]);
    assert_eq!(row.index_price.get(), SHOWN_TICKS + 500);
    // Each its own: the first source's is the nearest.
    let only = |feed: [u8; 32], value: i128| {
        stage.quote_with(|quote| quote.feeds[0] = QuotedFeed { id: feed, value, samples_min: 1 })
    };
    let (near, far) = (only(FEED, first), only(OTHER_FEED, second));
    assert_eq!(stage.would_accept(&[far.clone(), near.clone()]).index_price.get(), SHOWN_TICKS + 500);
    stage.refuses(&[near, far], Refusal::OracleWrongFeed);
}

#[test]
fn attack_one_instruction_for_two_updates() {
    let stage = quote_stage();
    let (quote, update) = (stage.quote(), stage.update());
    let mut chain = stage.desk.chain.clone();
    let before = Snapshot::of(&chain);
    let sent = chain.send_all(&[quote.clone(), update.clone(), update.clone()]);
    refused_at(sent, 2, EngineError::OracleNotTrusted);
    before.unchanged(&chain);
    chain.send_all(&[quote.clone(), update.clone(), quote, update]).unwrap();
}

#[test]
fn attack_instruction_after_the_update() {
    let stage = quote_stage();
    let mut chain = stage.desk.chain.clone();
    refused_at(chain.send_all(&[stage.update(), stage.quote()]), 0, EngineError::OracleNotTrusted);
}

// Accounts

#[test]
fn fifteen_accounts_are_the_most() {
    let ids: [[u8; 32]; 4] = [FEED, OTHER_FEED, [1; 32], [2; 32]];
    let sources = ids.map(|id| OracleSource::switchboard_quote(key_of(&id.into()), key_of(&queue_address()), 1));
    let stage = Stage::new(&sources, 4);
    let value = i128::from(SHOWN) * 1_000_000;
    let quotes: Vec<_> = ids
        .iter()
        .rev()
        .map(|id| {
            stage.quote_with(|quote| {
                quote.oracles.truncate(1);
                quote.feeds[0] = QuotedFeed { id: *id, value, samples_min: 1 };
            })
        })
        .collect();
    assert_eq!(stage.update().accounts.len(), 15);
    assert_eq!(stage.would_accept(&quotes).index_price.get(), SHOWN_TICKS);
    for (accounts, error) in [(14, Refusal::AccountsCount), (16, Refusal::AccountsCount), (4, Refusal::AccountsCount)] {
        let mut update = stage.update();
        let last = update.accounts[14].clone();
        update.accounts.resize(accounts, last);
        stage.refuses_update(&quotes, update, error);
    }
}

#[test]
fn accounts_in_other_places() {
    let stage = quote_stage();
    let ledger = stage.desk.venue.ledger;
    let cases: [(usize, Address, Refusal); 6] = [
        (3, stage.queue, Refusal::OracleWrongAccount),
        (3, ledger, Refusal::AccountTwice),
        (4, INSTRUCTIONS, Refusal::OracleWrongQueue),
        (4, ledger, Refusal::AccountTwice),
        (5, INSTRUCTIONS, Refusal::OracleWrongAccount),
        (5, ledger, Refusal::AccountTwice),
    ];
    for (place, address, refusal) in cases {
        let mut update = stage.update();
        update.accounts[place].pubkey = address;
        stage.refuses_update(&[stage.quote()], update, refusal);
    }
}

// Compute units

/// Not a limit: printed with `--nocapture`.
#[test]
fn compute_units() {
    let measure = |name: &str, mut stage: Stage, before: &[Instruction], range: Range<u64>| {
        let used = stage.send(before).compute_units;
        println!("{name}: {used} compute units");
        assert!(range.contains(&used), "{name}: {used}");
    };
    let stage = quote_stage();
    measure("quote of three oracles", stage.clone(), &[stage.quote()], 500..4_000);
    let stage = lazer_stage();
    measure("Lazer message", stage.clone(), &[stage.lazer()], 500..4_000);
    let mut stage = Stage::new(&[pyth().0], 1);
    stage.show_pyth(PRICE);
    measure("Pyth account", stage, &[], 500..4_000);
}
