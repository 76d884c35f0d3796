//! The program's oracle parsers against the official crates: same fields, exact conversion, every refusal.
//!
//! What is signed is parsed here without being verified; `oracle_signed.rs` has it verified.

use anchor_lang::AccountDeserialize;
use num_bigint::BigInt;
use proptest::{prelude::*, sample::Index};
use pyth_solana_receiver_sdk::price_update::{PriceFeedMessage, PriceUpdateV2, VerificationLevel};
use quantdesk_client::Address;
use quantdesk_engine::{
    EngineError, Now, PicoPrice, Slot, UnixSeconds,
    risk::price::SourcePrice,
    state::{Key, OracleSource},
};
use quantdesk_program::{
    Refusal,
    oracle::{self, Moment, OracleAccount, ed25519, lazer, pyth, quote, switchboard},
};
use quantdesk_sim::oracle::{
    PYTH_RECEIVER, PYTH_RECEIVER_PRO, PythUpdate, Reading, SWITCHBOARD, SwitchboardFeed, account, price_update_bytes,
    pull_feed_bytes,
    signed::{self, LazerMessage, LazerProperty},
};
use solana_keypair::Keypair;
use solana_signer::Signer;
use std::{
    cell::{Ref, RefCell},
    mem::{offset_of, size_of},
    ops::Range,
};
use switchboard_on_demand::{
    CurrentResult, ON_DEMAND_DEVNET_PID, OracleSubmission, PullFeedAccountData, QueueAccountData,
    on_demand::oracle_quote::{PackedFeedInfo, ParsedEd25519Instruction},
};

const FEED: [u8; 32] = [0xfe; 32];
const QUEUE: [u8; 32] = [0x0a; 32];
/// A Switchboard source names its account; a Pyth update may come in any.
const ACCOUNT: [u8; 32] = [0xac; 32];
const SAMPLES_MIN: u8 = 3;
const TIME: i64 = 1_760_129_400;

const PYTH: [u8; 32] = PYTH_RECEIVER.to_bytes();
const PYTH_PRO: [u8; 32] = PYTH_RECEIVER_PRO.to_bytes();
const ON_DEMAND: [u8; 32] = SWITCHBOARD.to_bytes();

type Read = Result<quantdesk_engine::Result<SourcePrice>, Refusal>;

fn pyth_source() -> OracleSource {
    OracleSource::pyth(Key::new(&FEED))
}

fn pyth_pro_source() -> OracleSource {
    OracleSource::pyth_pro(Key::new(&FEED))
}

fn with_kind(kind: u8, mut source: OracleSource) -> OracleSource {
    source.kind = kind;
    source
}

fn switchboard_source() -> OracleSource {
    OracleSource::switchboard(Key::new(&ACCOUNT), Key::new(&FEED), Key::new(&QUEUE), SAMPLES_MIN)
}

fn read_as(source: &OracleSource, owner: &[u8; 32], address: &[u8; 32], data: &[u8]) -> Read {
    oracle::read(source, &OracleAccount { address: Key::new(address), owner: Key::new(owner), data })
}

fn read_pyth(data: &[u8]) -> Read {
    read_as(&pyth_source(), &PYTH, &[7; 32], data)
}

fn read_switchboard(data: &[u8]) -> Read {
    read_as(&switchboard_source(), &ON_DEMAND, &ACCOUNT, data)
}

fn shows(price: u64, confidence: u64, publish_time: i64) -> Read {
    Ok(Ok(SourcePrice {
        price: PicoPrice::new(price),
        confidence: PicoPrice::new(confidence),
        publish_time: UnixSeconds::new(publish_time),
    }))
}

fn skipped(error: EngineError) -> Read {
    Ok(Err(error))
}

/// `price · 10^digits` rounded down and `confidence · 10^digits` rounded up, without bounds.
fn converted(price: impl Into<BigInt>, confidence: impl Into<BigInt>, digits: i32, publish_time: i64) -> Read {
    let (mut price, mut confidence): (BigInt, BigInt) = (price.into(), confidence.into());
    let power = BigInt::from(10).pow(digits.unsigned_abs());
    if digits < 0 {
        // Of a negative price this is the ceiling; zero is refused like it.
        price /= &power;
        confidence = (confidence + &power - 1) / &power;
    } else {
        price *= &power;
        confidence *= &power;
    }
    match (u64::try_from(price), u64::try_from(confidence)) {
        (Ok(price @ 1..), Ok(confidence)) => shows(price, confidence, publish_time),
        _ => skipped(EngineError::OraclePriceInvalid),
    }
}

// Pyth

fn update() -> PythUpdate {
    PythUpdate {
        feed_id: FEED,
        price: 6_512_345_678_901,
        conf: 3_210_000_001,
        exponent: -8,
        publish_time: TIME,
        posted_slot: 371_000_000,
        full: true,
    }
}

fn update_data(update: PythUpdate) -> Vec<u8> {
    update.account(PYTH_RECEIVER).data
}

prop_compose! {
    fn any_message()(
        price in prop_oneof![2 => 1..=10_i64.pow(13), 1 => any::<i64>(), 1 => -2_i64..=2],
        conf in prop_oneof![2 => 0..=10_u64.pow(11), 1 => any::<u64>()],
        exponent in prop_oneof![4 => -12..=0, 2 => -33..=9, 1 => any::<i32>()],
        publish_time: i64,
        prev_publish_time: i64,
        ema_price: i64,
        ema_conf: u64,
    ) -> PriceFeedMessage {
        PriceFeedMessage {
            feed_id: FEED, price, conf, exponent, publish_time, prev_publish_time, ema_price, ema_conf,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn pyth_reads_what_the_official_crate_reads(
        price_message in any_message(),
        write_authority: [u8; 32],
        posted_slot: u64,
        spare: u8,
        pro: bool,
    ) {
        let verification_level = VerificationLevel::Full;
        let write_authority = write_authority.into();
        let update = PriceUpdateV2 { write_authority, verification_level, price_message, posted_slot };
        let mut data = price_update_bytes(&update);
        // What the longer serialisation of a partial update may have left behind.
        *data.last_mut().unwrap() = spare;
        let official = PriceUpdateV2::try_deserialize(&mut &data[..]).unwrap().get_price_unchecked(&FEED).unwrap();
        let expected = if (-31..=7).contains(&official.exponent) {
            converted(official.price, official.conf, official.exponent + 12, official.publish_time)
        } else {
            skipped(EngineError::OraclePriceInvalid)
        };
        let (source, owner) = if pro { (pyth_pro_source(), PYTH_PRO) } else { (pyth_source(), PYTH) };
        prop_assert_eq!(read_as(&source, &owner, &[7; 32], &data), expected);
    }
}

/// Borsh has no `offset_of!`: each field is changed in the official type, and the bytes that change are compared.
#[test]
fn pyth_layout_is_the_official_one() {
    assert_eq!(size_of::<pyth::PriceUpdate>(), PriceUpdateV2::LEN);
    let mut base =
        PythUpdate { price: 0, conf: 0, exponent: 0, publish_time: 1, posted_slot: 0, ..update() }.official();
    base.write_authority = [0; 32].into();
    base.price_message.publish_time = 0;
    let changed = |change: fn(&mut PriceUpdateV2)| {
        let mut other = base.clone();
        change(&mut other);
        changed_bytes(&price_update_bytes(&base), &price_update_bytes(&other))
    };
    macro_rules! field {
        ($name:ident: $size:literal, $change:expr) => {
            let start = offset_of!(pyth::PriceUpdate, $name);
            assert_eq!(changed($change), start..start + $size, stringify!($name));
        };
    }
    field!(write_authority: 32, |update| update.write_authority = [255; 32].into());
    field!(feed_id: 32, |update| update.price_message.feed_id = [0; 32]);
    field!(price: 8, |update| update.price_message.price = -1);
    field!(conf: 8, |update| update.price_message.conf = u64::MAX);
    field!(exponent: 4, |update| update.price_message.exponent = -1);
    field!(publish_time: 8, |update| update.price_message.publish_time = -1);
    field!(prev_publish_time: 8, |update| update.price_message.prev_publish_time = -1);
    field!(ema_price: 8, |update| update.price_message.ema_price = -1);
    field!(ema_conf: 8, |update| update.price_message.ema_conf = u64::MAX);
    field!(posted_slot: 8, |update| update.posted_slot = u64::MAX);
    let level = changed(|update| update.verification_level = VerificationLevel::Partial { num_signatures: 9 });
    assert_eq!(level.start, offset_of!(pyth::PriceUpdate, verification_level));
}

/// From the first byte that differs to the last.
fn changed_bytes(before: &[u8], after: &[u8]) -> Range<usize> {
    let differ = |place: &usize| before[*place] != after[*place];
    let first = (0..before.len()).find(differ).unwrap();
    let last = (0..before.len()).rev().find(differ).unwrap();
    first..last + 1
}

#[test]
fn pyth_converts_exactly() {
    let show = |price, conf, exponent| read_pyth(&update_data(PythUpdate { price, conf, exponent, ..update() }));
    let invalid = skipped(EngineError::OraclePriceInvalid);
    assert_eq!(show(6_512_345_678_901, 3_210_000_001, -8), shows(65_123_456_789_010_000, 32_100_000_010_000, TIME));
    assert_eq!(show(1_999_999, 1, -18), shows(1, 1, TIME), "price down, confidence up");
    assert_eq!(show(999_999, 1, -18), invalid, "rounds to zero");
    assert_eq!(show(1, 0, 7), shows(10_u64.pow(19), 0, TIME));
    assert_eq!(show(2, 0, 7), invalid, "price above 64 bits");
    assert_eq!(show(1, 2, 7), invalid, "confidence above 64 bits");
    assert_eq!(show(1, 0, 8), invalid);
    assert_eq!(show(i64::MAX, u64::MAX, -12), shows(i64::MAX as u64, u64::MAX, TIME));
    assert_eq!(show(i64::MAX, 1, -30), shows(9, 1, TIME));
    for exponent in [-31, -32, i32::MIN, i32::MAX] {
        assert_eq!(show(i64::MAX, 1, exponent), invalid, "exponent {exponent}");
    }
    for price in [0, -1, i64::MIN] {
        assert_eq!(show(price, 1, -8), invalid, "price {price}");
    }
}

#[test]
fn pyth_refuses_what_is_not_its_source() {
    let good = update_data(update());
    let price = read_pyth(&good);
    assert!(matches!(price, Ok(Ok(_))));

    let owned_by = |source: OracleSource, owner| read_as(&source, &owner, &[7; 32], &good);
    assert_eq!(owned_by(pyth_pro_source(), PYTH_PRO), price);
    assert_eq!(owned_by(pyth_pro_source(), PYTH), Err(Refusal::OracleWrongOwner));
    for owner in [PYTH_PRO, ON_DEMAND, [0; 32]].into_iter().chain((0..32).map(|place| flipped(PYTH, place))) {
        assert_eq!(owned_by(pyth_source(), owner), Err(Refusal::OracleWrongOwner));
    }
    for length in [0, 8, 133] {
        assert_eq!(read_pyth(&good[..length]), Err(Refusal::OracleWrongType), "{length} bytes");
    }
    assert_eq!(read_pyth(&[&good[..], &[0]].concat()), Err(Refusal::OracleWrongType));
    assert_eq!(read_pyth(&update_data(PythUpdate { full: false, ..update() })), Err(Refusal::OracleNotVerified));

    for place in 0..good.len() {
        let read = read_pyth(&flipped(good.clone(), place));
        match place {
            0..8 => assert_eq!(read, Err(Refusal::OracleWrongType)),
            40 => assert_eq!(read, Err(Refusal::OracleNotVerified)),
            41..73 => assert_eq!(read, Err(Refusal::OracleWrongFeed)),
            73..101 => assert!(read.is_ok() && read != price, "byte {place}"),
            _ => assert_eq!(read, price, "byte {place}"),
        }
    }
}

fn flipped<T: AsMut<[u8]>>(mut bytes: T, place: usize) -> T {
    bytes.as_mut()[place] ^= 1;
    bytes
}

// Switchboard

/// Runs `check` on the account as the official crate reads it, which wants its numbers aligned.
fn with_official_feed<T>(data: &[u8], check: impl FnOnce(Ref<'_, PullFeedAccountData>) -> T) -> T {
    let mut room = vec![0; data.len() + 32];
    let start = room.as_ptr().align_offset(16) + 8;
    let aligned = &mut room[start..start + data.len()];
    aligned.copy_from_slice(data);
    let cell = RefCell::new(aligned);
    check(PullFeedAccountData::parse(cell.borrow()).unwrap())
}

fn feed() -> SwitchboardFeed {
    SwitchboardFeed {
        feed_hash: FEED,
        queue: QUEUE,
        value: 65_123_456_789_012_345_678_901,
        std_dev: 32_000_000_000_000_000_001,
        samples: SAMPLES_MIN,
        slot: 371_000_000,
        landed_at: 371_000_009,
        timestamp: TIME,
        permit_write_by_authority: false,
    }
}

fn feed_data(feed: SwitchboardFeed) -> Vec<u8> {
    feed.account().data
}

fn changed_feed(change: impl FnOnce(&mut PullFeedAccountData)) -> Vec<u8> {
    let mut official = feed().official();
    change(&mut official);
    pull_feed_bytes(&official)
}

prop_compose! {
    fn any_submission(result_slot: u64)(
        oracle: [u8; 32],
        slot in prop_oneof![8 => Just(result_slot), 1 => any::<u64>()],
        delay in prop_oneof![8 => 0_u64..200, 1 => any::<u64>()],
        value: i128,
    ) -> OracleSubmission {
        OracleSubmission { oracle: oracle.into(), slot, landed_at: slot.wrapping_add(delay), value }
    }
}

prop_compose! {
    fn any_result()(
        value in prop_oneof![4 => 1..=10_i128.pow(25), 1 => any::<i128>(), 1 => -2_000_000_i128..=2_000_000],
        std_dev in prop_oneof![6 => 0..=10_i128.pow(23), 1 => any::<i128>()],
        num_samples in prop_oneof![8 => SAMPLES_MIN..=32, 1 => any::<u8>()],
        submission_idx in prop_oneof![8 => 0_u8..32, 1 => any::<u8>()],
        slot in prop_oneof![4 => 300_000_000_u64..400_000_000, 1 => any::<u64>()],
        unread: ([i128; 4], [u8; 6], [u64; 2]),
    ) -> CurrentResult {
        let ([mean, range, min_value, max_value], padding1, [min_slot, max_slot]) = unread;
        CurrentResult {
            value, std_dev, mean, range, min_value, max_value, num_samples, submission_idx, padding1, slot, min_slot,
            max_slot,
        }
    }
}

prop_compose! {
    fn any_feed()(result in any_result())(
        submissions in prop::collection::vec(any_submission(result.slot), 32),
        times in prop::collection::vec(prop_oneof![8 => TIME - 1_000_000..TIME, 1 => any::<i64>()], 32),
        authority in any::<[u8; 32]>(),
        settings in any::<(i64, u64, u64, u32, u8, i64)>(),
        result in Just(result),
    ) -> PullFeedAccountData {
        let mut feed = feed().official();
        feed.submissions = submissions.try_into().unwrap();
        feed.submission_timestamps = times.try_into().unwrap();
        feed.result = result;
        feed.authority = authority.into();
        (feed.initialized_at, feed.permissions, feed.max_variance, ..) = settings;
        (.., feed.min_responses, feed.min_sample_size, feed.last_update_timestamp) = settings;
        feed
    }
}

/// What must be read from a feed, told from the official crate's view of it.
fn expected_of(feed: &PullFeedAccountData) -> Read {
    if feed.result.num_samples < SAMPLES_MIN {
        return skipped(EngineError::OracleSamplesTooFew);
    }
    if feed.result.submission_idx >= 32 || feed.result_submission().slot != feed.result.slot {
        return skipped(EngineError::OracleStale);
    }
    let Some(delay) = feed.result_land_slot().checked_sub(feed.result.slot) else {
        return skipped(EngineError::OracleStale);
    };
    let observed_at = BigInt::from(feed.result_ts()) - (BigInt::from(delay) + 1) / 2;
    match i64::try_from(observed_at) {
        Err(_) => skipped(EngineError::OracleStale),
        Ok(_) if feed.result.std_dev < 0 => skipped(EngineError::OraclePriceInvalid),
        Ok(observed_at) => converted(feed.result.value, feed.result.std_dev, -6, observed_at),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn switchboard_reads_what_the_official_crate_reads(feed in any_feed()) {
        let data = pull_feed_bytes(&feed);
        let expected = with_official_feed(&data, |official| {
            assert_eq!((official.feed_hash, official.queue.to_bytes()), (FEED, QUEUE));
            expected_of(&official)
        });
        prop_assert_eq!(read_switchboard(&data), expected);
    }
}

#[test]
fn switchboard_layout_is_the_official_one() {
    const DISCRIMINATOR: usize = 8;
    assert_eq!(size_of::<switchboard::PullFeed>(), DISCRIMINATOR + size_of::<PullFeedAccountData>());
    assert_eq!(size_of::<switchboard::Submission>(), size_of::<OracleSubmission>());
    macro_rules! field {
        ($name:ident, $($official:ident).+) => {
            let official = DISCRIMINATOR + offset_of!(PullFeedAccountData, $($official).+);
            assert_eq!(offset_of!(switchboard::PullFeed, $name), official, stringify!($name));
        };
    }
    field!(submissions, submissions);
    field!(queue, queue);
    field!(feed_hash, feed_hash);
    field!(permit_write_by_authority, permit_write_by_authority);
    field!(value, result.value);
    field!(std_dev, result.std_dev);
    field!(num_samples, result.num_samples);
    field!(submission_idx, result.submission_idx);
    field!(slot, result.slot);
    field!(submission_timestamps, submission_timestamps);
    macro_rules! submission_field {
        ($name:ident) => {
            let official = offset_of!(OracleSubmission, $name);
            assert_eq!(offset_of!(switchboard::Submission, $name), official, stringify!($name));
        };
    }
    submission_field!(oracle);
    submission_field!(slot);
    submission_field!(landed_at);
    submission_field!(value);
}

#[test]
fn switchboard_converts_exactly() {
    let show = |value, std_dev| read_switchboard(&feed_data(SwitchboardFeed { value, std_dev, ..feed() }));
    let at = TIME - 5;
    let (value, std_dev) = (feed().value, feed().std_dev);
    assert_eq!(show(value, std_dev), shows(65_123_456_789_012_345, 32_000_000_000_001, at));
    assert_eq!(show(1_999_999, 0), shows(1, 0, at), "price down");
    assert_eq!(show(1_000_000, 1), shows(1, 1, at), "deviation up");
    let largest = i128::from(u64::MAX) * 1_000_000;
    assert_eq!(show(largest + 999_999, largest), shows(u64::MAX, u64::MAX, at));
    for (value, std_dev) in [
        (largest + 1_000_000, 0),
        (1_000_000, largest + 1),
        (999_999, 0),
        (0, 0),
        (-1, 0),
        (-1_000_000, 0),
        (i128::MIN, 0),
        (i128::MAX, 0),
        (1_000_000, -1),
        (1_000_000, i128::MIN),
        (1_000_000, i128::MAX),
    ] {
        assert_eq!(show(value, std_dev), skipped(EngineError::OraclePriceInvalid), "{value} ± {std_dev}");
    }
}

#[test]
fn switchboard_dates_the_value_and_not_the_account() {
    let time_of = |change: fn(&mut PullFeedAccountData)| {
        read_switchboard(&changed_feed(change)).unwrap().map(|price| price.publish_time.get())
    };
    assert_eq!(time_of(|_| ()), Ok(TIME - 5), "nine slots from signature to writing");
    assert_eq!(time_of(|feed| feed.submissions[0].landed_at = feed.result.slot), Ok(TIME));
    assert_eq!(time_of(|feed| feed.submissions[0].landed_at = feed.result.slot + 400), Ok(TIME - 200));
    assert_eq!(time_of(|feed| feed.last_update_timestamp += 3_600), Ok(TIME - 5), "a later write, the same result");
    assert_eq!(time_of(|feed| feed.submission_timestamps[1] += 3_600), Ok(TIME - 5), "another oracle's entry");
    assert_eq!(time_of(|feed| feed.submission_timestamps[0] = 0), Ok(-5), "as old feeds have it");
    let undated: [fn(&mut PullFeedAccountData); 5] = [
        |feed| feed.submissions[0].slot += 1,
        |feed| feed.submissions[0].slot = 0,
        |feed| feed.submissions[0].landed_at = feed.result.slot - 1,
        |feed| feed.result.submission_idx = 32,
        |feed| feed.submission_timestamps[0] = i64::MIN,
    ];
    for change in undated {
        assert_eq!(time_of(change), Err(EngineError::OracleStale));
    }
}

#[test]
fn switchboard_refuses_what_is_not_its_source() {
    let good = feed_data(feed());
    assert!(matches!(read_switchboard(&good), Ok(Ok(_))));

    let source = switchboard_source();
    for owner in [PYTH, ON_DEMAND_DEVNET_PID.to_bytes(), [0; 32]] {
        assert_eq!(read_as(&source, &owner, &ACCOUNT, &good), skipped(EngineError::OracleNotTrusted));
    }
    for length in [0, 8, 3_200, 3_207] {
        assert_eq!(read_switchboard(&good[..length]), skipped(EngineError::OracleNotTrusted), "{length} bytes");
    }
    assert_eq!(read_switchboard(&[&good[..], &[0]].concat()), skipped(EngineError::OracleNotTrusted));
    for place in 0..32 {
        let other = flipped(ACCOUNT, place);
        assert_eq!(read_as(&source, &ON_DEMAND, &other, &good), Err(Refusal::OracleWrongAccount));
    }
    for place in 0..8 {
        assert_eq!(read_switchboard(&flipped(good.clone(), place)), skipped(EngineError::OracleNotTrusted));
    }
    for samples in 0..SAMPLES_MIN {
        let few = changed_feed(|feed| feed.result.num_samples = samples);
        assert_eq!(read_switchboard(&few), skipped(EngineError::OracleSamplesTooFew));
    }
}

/// The authority of a feed can change these, and must not be able to stop a market's other sources by it.
#[test]
fn switchboard_does_not_count_once_its_authority_changed_it() {
    let untrusted = skipped(EngineError::OracleNotTrusted);
    for place in 0..32 {
        let other = SwitchboardFeed { feed_hash: flipped(FEED, place), ..feed() };
        assert_eq!(read_switchboard(&feed_data(other)), untrusted);
        let other = SwitchboardFeed { queue: flipped(QUEUE, place), ..feed() };
        assert_eq!(read_switchboard(&feed_data(other)), untrusted);
    }
    for permit in [1, 2, 255] {
        let writable = changed_feed(|feed| feed.permit_write_by_authority = permit);
        assert_eq!(read_switchboard(&writable), untrusted);
    }
}

/// A flip of a byte's top bit matters in the bytes that are read and in no others.
#[test]
fn switchboard_reads_no_other_byte() {
    // Whole 1e-12 with these low bits make a flip cross the next lower, or the next higher one, whatever its size.
    let value = 65_536_000_000_000_002_000_000;
    let std_dev = 4_000_000;
    assert_eq!((value & 0x8080, std_dev & 0x8080), (0x8080, 0));
    let good = feed_data(SwitchboardFeed { value, std_dev, ..feed() });
    let price = read_switchboard(&good);
    let discriminator_and_keys = [0..8, 2_088..2_152];
    // Of the number of samples, 131 is as good as 3.
    let result = [2_213..2_214, 2_264..2_296, 2_361..2_362, 2_368..2_376];
    let submission = [40..56, 2_952..2_960];
    let read = [&discriminator_and_keys[..], &result, &submission].concat();
    for place in 0..good.len() {
        let mut data = good.clone();
        data[place] ^= 0x80;
        let matters = read.iter().any(|range| range.contains(&place));
        assert_eq!(read_switchboard(&data) != price, matters, "byte {place}");
    }
}

// Signed prices

const PROGRAM: Address = Address::new_from_array([0x9d; 32]);
const NOW: Now = Now { slot: Slot::new(371_000_100), unix_seconds: UnixSeconds::new(TIME) };
const QUEUE_SIZE: usize = 6_280;

/// Bytes of the instructions sysvar while instruction `current` runs. Each has one account.
fn instructions_sysvar(instructions: &[(Address, &[u8])], current: u16) -> Vec<u8> {
    let mut data = u16::try_from(instructions.len()).unwrap().to_le_bytes().to_vec();
    let mut start = 2 + 2 * instructions.len();
    for (_, bytes) in instructions {
        data.extend(u16::try_from(start).unwrap().to_le_bytes());
        start += 2 + 33 + 32 + 2 + bytes.len();
    }
    for (program, bytes) in instructions {
        data.extend([1, 0]);
        data.extend([0xcc; 33]);
        data.extend(program.to_bytes());
        data.extend(u16::try_from(bytes.len()).unwrap().to_le_bytes());
        data.extend(*bytes);
    }
    data.extend(current.to_le_bytes());
    data
}

/// The sysvar with this ed25519 instruction directly before ours.
fn carrying(data: &[u8]) -> Vec<u8> {
    instructions_sysvar(&[(signed::ED25519, data), (PROGRAM, &[])], 1)
}

fn quote_source() -> OracleSource {
    OracleSource::switchboard_quote(Key::new(&FEED), Key::new(&QUEUE), SAMPLES_MIN)
}

fn account_of<'a>(address: &Address, owner: [u8; 32], data: &'a [u8]) -> OracleAccount<'a> {
    OracleAccount { address: Key::new(address.as_array()), owner: Key::new(&owner), data }
}

fn read_quote_at(distance: u16, instructions: &[u8], queue: &[u8], slot_hashes: &[u8]) -> Read {
    let accounts = [
        account_of(&signed::INSTRUCTIONS, [0; 32], instructions),
        account_of(&Address::new_from_array(QUEUE), ON_DEMAND, queue),
        account_of(&signed::SLOT_HASHES, [0; 32], slot_hashes),
    ];
    oracle::read_quote(&quote_source(), &accounts, &Moment { now: NOW, program: &PROGRAM, distance })
}

fn read_lazer_at(distance: u16, instructions: &[u8], storage: &[u8]) -> Read {
    let accounts = [
        account_of(&signed::INSTRUCTIONS, [0; 32], instructions),
        account_of(&signed::LAZER_STORAGE, signed::LAZER.to_bytes(), storage),
    ];
    oracle::read_lazer(&OracleSource::pyth_lazer(6), &accounts, &Moment { now: NOW, program: &PROGRAM, distance })
}

/// Key of the oracle at a place of the queue.
fn oracle_key(place: u8) -> [u8; 32] {
    [place + 1; 32]
}

fn queue_data() -> Vec<u8> {
    let keys: Vec<_> = (0..30).map(|place| Address::new_from_array(oracle_key(place))).collect();
    signed::queue_account(&keys).data
}

fn slot_hashes(slot: u64, hash: [u8; 32]) -> Vec<u8> {
    let entries = [(slot + 9, [1; 32]), (slot + 1, [2; 32]), (slot, hash), (slot - 4, [3; 32])];
    signed::slot_hashes_account(&entries).data
}

/// A quote with its keys and signatures in any order behind the offsets. The signatures are any bytes.
fn unverified_quote(oracles: &[u8], message: &[u8], slot: u64, parts: &[usize]) -> Vec<u8> {
    let mut data = vec![0; 2 + 14 * oracles.len()];
    data[0] = u8::try_from(oracles.len()).unwrap();
    // Part 0 is the message, then come keys and signatures in turn; each is put at a random place among the others.
    let mut order: Vec<usize> = Vec::new();
    for part in 0..=2 * oracles.len() {
        order.insert(parts[part] % (order.len() + 1), part);
    }
    for part in order {
        let start = u16::try_from(data.len()).unwrap().to_le_bytes();
        let mut point = |signature: usize, field: usize| {
            data[2 + 14 * signature + field..][..2].copy_from_slice(&start);
            data[2 + 14 * signature + field + 2..][..2].fill(0xff);
        };
        if part == 0 {
            (0..oracles.len()).for_each(|signature| point(signature, 8));
            for signature in 0..oracles.len() {
                let length = u16::try_from(message.len()).unwrap().to_le_bytes();
                data[2 + 14 * signature + 10..][..2].copy_from_slice(&length);
                data[2 + 14 * signature + 12..][..2].fill(0xff);
            }
            data.extend(message);
        } else {
            let signature = (part - 1) / 2;
            point(signature, if part % 2 == 1 { 4 } else { 0 });
            if part % 2 == 1 { data.extend(oracle_key(oracles[signature])) } else { data.extend([0x51; 64]) }
        }
    }
    data.extend(oracles);
    data.extend(slot.to_le_bytes());
    data.extend(*b"\x01SBOD");
    data
}

prop_compose! {
    fn any_quoted()(
        other: [u8; 32],
        ours in prop::bool::weighted(0.7),
        feed_value in prop_oneof![4 => 1..=10_i128.pow(25), 1 => any::<i128>(), 1 => -2_000_000_i128..=2_000_000],
        min_oracle_samples in prop_oneof![4 => 0..=SAMPLES_MIN, 1 => any::<u8>()],
    ) -> PackedFeedInfo {
        PackedFeedInfo { feed_id: if ours { FEED } else { other }, feed_value, min_oracle_samples }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn quotes_read_what_the_official_crate_reads(
        oracles in prop::collection::hash_set(0_u8..30, 1..=8),
        feeds in prop::collection::vec(any_quoted(), 1..=8),
        hash: [u8; 32],
        age in 0_u64..400,
        parts: [usize; 17],
    ) {
        let slot = NOW.slot.get() - age;
        let mut message = hash.to_vec();
        for feed in &feeds {
            message.extend(feed.feed_id);
            message.extend({ feed.feed_value }.to_le_bytes());
            message.push(feed.min_oracle_samples);
        }
        let oracles: Vec<u8> = oracles.into_iter().collect();
        let data = unverified_quote(&oracles, &message, slot, &parts);
        let official = ParsedEd25519Instruction::parse(&data).unwrap();
        assert_eq!((official.oracle_idxs, official.slot, official.discriminator), (oracles, slot, *b"SBOD"));
        let signatures = official.signatures.len();
        let expected = match official.feeds.iter().find(|feed| { feed.feed_id } == FEED) {
            None => Err(Refusal::OracleWrongFeed),
            Some(feed) if signatures < usize::from(SAMPLES_MIN.max(feed.min_oracle_samples)) => {
                skipped(EngineError::OracleSamplesTooFew)
            }
            Some(feed) => converted(feed.feed_value, 0, -6, TIME - i64::try_from(age.div_ceil(2)).unwrap()),
        };
        let hash = { official.quote_header.signed_slothash };
        let read = read_quote_at(1, &carrying(&data), &queue_data(), &slot_hashes(slot, hash));
        prop_assert_eq!(read, expected);
    }

    #[test]
    fn slots_are_found_among_those_that_had_a_block(
        gaps in prop::collection::vec(prop_oneof![6 => 1_u64..2, 1 => 2_u64..30], 0..513),
        sought in prop_oneof![4 => 0_u64..700, 1 => any::<u64>()],
    ) {
        let mut slot = NOW.slot.get();
        let mut entries = Vec::new();
        for gap in gaps.iter().take(512) {
            slot -= gap;
            let mut hash = [7; 32];
            hash[..8].copy_from_slice(&slot.to_le_bytes());
            entries.push((slot, hash));
        }
        let sought = NOW.slot.get().wrapping_sub(sought);
        let known = entries.iter().find(|(slot, _)| *slot == sought);
        let message = [&known.map_or([7; 32], |(_, hash)| *hash)[..], &FEED, &1_000_000_i128.to_le_bytes(), &[1]].concat();
        let data = unverified_quote(&[3, 1, 2], &message, sought, &[0; 7]);
        let hashes = signed::slot_hashes_account(&entries).data;
        let read = read_quote_at(1, &carrying(&data), &queue_data(), &hashes);
        let expected = match known {
            Some(_) => shows(1, 0, TIME - i64::try_from((NOW.slot.get() - sought).div_ceil(2)).unwrap()),
            None if sought > NOW.slot.get() => skipped(EngineError::OracleFromFuture),
            None => skipped(EngineError::OracleStale),
        };
        prop_assert_eq!(read, expected);
    }
}

#[test]
fn quote_layouts_are_the_official_ones() {
    const DISCRIMINATOR: usize = 8;
    assert_eq!(size_of::<quote::Queue>(), DISCRIMINATOR + size_of::<QueueAccountData>());
    assert_eq!(size_of::<quote::Queue>(), QUEUE_SIZE);
    let official = DISCRIMINATOR + offset_of!(QueueAccountData, ed25519_oracle_signing_keys);
    assert_eq!(offset_of!(quote::Queue, signing_keys), official);
    assert_eq!(size_of::<quote::QuotedFeed>(), size_of::<PackedFeedInfo>());
    assert_eq!(offset_of!(quote::QuotedFeed, id), offset_of!(PackedFeedInfo, feed_id));
    assert_eq!(offset_of!(quote::QuotedFeed, value), offset_of!(PackedFeedInfo, feed_value));
    assert_eq!(offset_of!(quote::QuotedFeed, samples_min), offset_of!(PackedFeedInfo, min_oracle_samples));
}

fn good_quote() -> (Vec<u8>, Vec<u8>) {
    let slot = NOW.slot.get() - 7;
    let message = [&[4; 32][..], &FEED, &(200 * 10_i128.pow(18)).to_le_bytes(), &[1]].concat();
    (unverified_quote(&[0, 1, 2], &message, slot, &[0; 7]), slot_hashes(slot, [4; 32]))
}

fn good_message() -> (Vec<u8>, Vec<u8>) {
    let reading = Reading { price: 200 * 10_u64.pow(12), half_width: 5, publish_time: TIME, slot: 0 };
    let message = LazerMessage::of(&OracleSource::pyth_lazer(6), &reading).unwrap();
    let signer = Keypair::new_from_array([1; 32]);
    (message.instruction(&signer).data, signed::lazer_storage_account(&[(signer.pubkey(), TIME + 1)]).data)
}

/// Which instruction is read is decided by the sysvar alone.
#[test]
fn only_the_instructions_directly_before_the_running_one_count() {
    let ((quote, hashes), (message, storage)) = (good_quote(), good_message());
    let queue = queue_data();
    let (other, verifier) = (Address::new_from_array([5; 32]), signed::ED25519);
    let read = |instructions: &[(Address, &[u8])], current: u16, distance: u16| {
        read_quote_at(distance, &instructions_sysvar(instructions, current), &queue, &hashes)
    };
    let (good, none) = (shows(200 * 10_u64.pow(12), 0, TIME - 4), skipped(EngineError::OracleNotTrusted));
    let (signed, own) = ((verifier, &quote[..]), (PROGRAM, &[1, 2, 3][..]));
    assert_eq!(read(&[signed, own], 1, 1), good);
    assert_eq!(read(&[(other, &[]), signed, own, (other, &[])], 2, 1), good);
    assert_eq!(read(&[signed, (verifier, &[0, 0]), own], 2, 2), good);
    assert_eq!(read(&[own, signed, own], 2, 1), good);
    // None before, another program between, too few.
    assert_eq!(read(&[own], 0, 1), none);
    assert_eq!(read(&[own, signed], 0, 1), none);
    assert_eq!(read(&[signed, (other, &[]), own], 2, 1), none);
    assert_eq!(read(&[signed, (other, &[]), own], 2, 2), none);
    assert_eq!(read(&[signed, own], 1, 2), none);
    assert_eq!(read(&[signed, own], 1, 0), none);
    assert_eq!(read(&[(verifier, &[0, 0]), own], 1, 1), none);
    // Run by another program, which stands behind the signed one in our place.
    assert_eq!(read(&[signed, (other, &[])], 1, 1), none);
    assert_eq!(read(&[signed, (verifier, &quote)], 1, 1), none);
    // The same data, but not of the verifier.
    assert_eq!(read(&[(other, &quote), own], 1, 1), none);
    assert_eq!(read(&[(PROGRAM, &quote), own], 1, 1), none);

    assert_eq!(read_lazer_at(1, &carrying(&message), &storage), shows(200 * 10_u64.pow(12), 5, TIME));
    for sysvar in [carrying(&quote), carrying(&message)] {
        for length in 0..sysvar.len() {
            let cut = &sysvar[..length];
            assert_eq!(read_quote_at(1, cut, &queue, &hashes), none, "{length} bytes");
            assert_eq!(read_lazer_at(1, cut, &storage), none, "{length} bytes");
        }
    }
}

#[test]
fn lazer_reads_price_width_and_date_and_skips_the_rest() {
    use LazerProperty as P;
    let signer = Keypair::new_from_array([1; 32]);
    let storage = signed::lazer_storage_account(&[(signer.pubkey(), TIME + 1)]).data;
    let read = |feeds: Vec<(u32, Vec<LazerProperty>)>| {
        let message = LazerMessage { timestamp: u64::MAX, feeds };
        read_lazer_at(1, &carrying(&message.instruction(&signer).data), &storage)
    };
    let date = P::UpdatedAt(Some(TIME as u64 * 1_000_000 + 999_999));
    let others = [
        P::BestBid(Some(1)),
        P::BestAsk(None),
        P::Publishers(3),
        P::FundingRate(Some(-1)),
        P::FundingRate(None),
        P::FundingTime(Some(4)),
        P::FundingTime(None),
        P::FundingInterval(Some(5)),
        P::FundingInterval(None),
        P::MarketSession(-1),
        P::EmaPrice(Some(6)),
        P::EmaConfidence(None),
    ];
    for place in 0..=4 {
        for other in others {
            let mut own = vec![P::Price(Some(6_512_345_678_901)), P::Exponent(-8), P::Confidence(Some(7)), date];
            own.insert(place, other);
            let feeds = vec![(5, others.to_vec()), (6, own), (7, vec![P::Other(99, [0; 8])])];
            assert_eq!(read(feeds), shows(65_123_456_789_010_000, 70_000, TIME), "{other:?}");
        }
    }
    for exponent in -33..=9 {
        let own = vec![P::Price(Some(1_234_567)), P::Exponent(exponent), P::Confidence(Some(89)), date];
        let expected = converted(1_234_567, 89, i32::from(exponent) + 12, TIME);
        let read = read(vec![(6, own)]);
        if (-31..=7).contains(&exponent) {
            assert_eq!(read, expected, "exponent {exponent}");
        } else {
            assert_eq!(read, skipped(EngineError::OraclePriceInvalid));
        }
    }
}

#[test]
fn lazer_layout_is_that_of_the_accounts_seen() {
    assert_eq!(size_of::<lazer::Storage>(), 381);
    assert_eq!(offset_of!(lazer::Storage, signers_len), 80);
    assert_eq!(offset_of!(lazer::Storage, signers), 81);
    assert_eq!(size_of::<lazer::Signer>(), 40);
}

// All

#[test]
fn programs_are_the_official_ones() {
    assert_eq!(pyth::RECEIVER.to_bytes(), pyth_solana_receiver_sdk::ID.to_bytes());
    assert_eq!(pyth::RECEIVER_PRO.to_bytes(), PYTH_PRO);
    assert_eq!(switchboard::PROGRAM.to_bytes(), switchboard_on_demand::ON_DEMAND_MAINNET_PID.to_bytes());
    assert_eq!((lazer::PROGRAM, lazer::STORAGE), (signed::LAZER, signed::LAZER_STORAGE));
    assert_eq!((ed25519::PROGRAM, ed25519::INSTRUCTIONS), (signed::ED25519, signed::INSTRUCTIONS));
    assert_eq!(quote::SLOT_HASHES, signed::SLOT_HASHES);
    assert_eq!(lazer::STORAGE, Address::find_program_address(&[b"storage"], &lazer::PROGRAM).0);
}

#[test]
fn unknown_kinds_are_refused() {
    // Kinds 4 and 5 are known, but no account holds their price.
    for kind in [0, 4, 5, 6, 255] {
        let source = with_kind(kind, pyth_source());
        assert_eq!(read_as(&source, &PYTH, &ACCOUNT, &update_data(update())), Err(Refusal::OracleWrongType));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn accounts_of_the_simulator_show_the_reading_asked_for(
        price in 1..=i64::MAX as u64,
        half_width: u64,
        publish_time: i64,
        slot: u64,
    ) {
        let reading = Reading { price, half_width, publish_time, slot };
        for source in [pyth_source(), pyth_pro_source(), switchboard_source()] {
            let account = account(&source, &reading).unwrap();
            let read = read_as(&source, account.owner.as_array(), &ACCOUNT, &account.data);
            prop_assert_eq!(read, shows(price, half_width, publish_time));
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(
        kind in 0_u8..7,
        start in prop_oneof![
            Just(update_data(update())),
            Just(feed_data(feed())),
            prop::collection::vec(any::<u8>(), 0..200),
            Just(vec![0xff; 134]),
            Just(vec![0xff; 3_208]),
        ],
        writes in prop::collection::vec((any::<Index>(), prop::collection::vec(any::<u8>(), 1..40)), 0..20),
    ) {
        let mut data = start;
        for (place, bytes) in &writes {
            let place = place.index(data.len() + 1);
            for (old, new) in data.iter_mut().skip(place).zip(bytes) {
                *old = *new;
            }
        }
        for source in [with_kind(kind, switchboard_source()), pyth_source(), switchboard_source()] {
            for owner in [PYTH, PYTH_PRO, ON_DEMAND] {
                let _ = read_as(&source, &owner, &ACCOUNT, &data);
            }
        }
    }

    #[test]
    fn arbitrary_signed_bytes_never_panic(
        writes in prop::collection::vec((0_usize..5, any::<Index>(), prop::collection::vec(any::<u8>(), 1..12)), 1..12),
        cut in any::<Index>(),
        distance in 0_u16..4,
    ) {
        let ((quote, hashes), (message, storage)) = (good_quote(), good_message());
        let mut parts = [carrying(&quote), carrying(&message), queue_data(), hashes, storage];
        for (part, place, bytes) in &writes {
            let data = &mut parts[*part];
            let place = place.index(data.len());
            for (old, new) in data.iter_mut().skip(place).zip(bytes) {
                *old = *new;
            }
        }
        let [quote, message, queue, hashes, storage] = &parts;
        for instructions in [&quote[..], message, &quote[..cut.index(quote.len())], &message[..cut.index(message.len())]] {
            let _ = read_quote_at(distance, instructions, queue, hashes);
            let _ = read_quote_at(distance, instructions, queue, &hashes[..cut.index(hashes.len())]);
            let _ = read_lazer_at(distance, instructions, storage);
        }
    }
}
