//! Prices that the transaction itself carries.

use super::*;

pub(super) const PROGRAM: Address = Address::new_from_array([0x9d; 32]);
pub(super) const NOW: Now = Now { slot: Slot::new(371_000_100), unix_seconds: UnixSeconds::new(TIME) };
pub(super) const QUEUE_SIZE: usize = 6_280;

/// Bytes of the instructions sysvar while instruction `current` runs. Each has one account.
pub(super) fn instructions_sysvar(instructions: &[(Address, &[u8])], current: u16) -> Vec<u8> {
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
pub(super) fn carrying(data: &[u8]) -> Vec<u8> {
    instructions_sysvar(&[(signed::ED25519, data), (PROGRAM, &[])], 1)
}

pub(super) fn quote_source() -> OracleSource {
    OracleSource::switchboard_quote(Key::new(&FEED), Key::new(&QUEUE), SAMPLES_MIN)
}

pub(super) fn account_of<'a>(address: &Address, owner: [u8; 32], data: &'a [u8]) -> OracleAccount<'a> {
    OracleAccount { address: Key::new(address.as_array()), owner: Key::new(&owner), data }
}

pub(super) fn read_quote_at(distance: u16, instructions: &[u8], queue: &[u8], slot_hashes: &[u8]) -> Read {
    let accounts = [
        account_of(&signed::INSTRUCTIONS, [0; 32], instructions),
        account_of(&Address::new_from_array(QUEUE), ON_DEMAND, queue),
        account_of(&signed::SLOT_HASHES, [0; 32], slot_hashes),
    ];
    oracle::read_quote(&quote_source(), &accounts, &Moment { now: NOW, program: &PROGRAM, distance })
}

pub(super) fn read_lazer_at(distance: u16, instructions: &[u8], storage: &[u8]) -> Read {
    let accounts = [
        account_of(&signed::INSTRUCTIONS, [0; 32], instructions),
        account_of(&signed::LAZER_STORAGE, signed::LAZER.to_bytes(), storage),
    ];
    oracle::read_lazer(&OracleSource::pyth_lazer(6), &accounts, &Moment { now: NOW, program: &PROGRAM, distance })
}

/// Key of the oracle at a place of the queue.
pub(super) fn oracle_key(place: u8) -> [u8; 32] {
    [place + 1; 32]
}

pub(super) fn queue_data() -> Vec<u8> {
    let keys: Vec<_> = (0..30).map(|place| Address::new_from_array(oracle_key(place))).collect();
    signed::queue_account(&keys).data
}

pub(super) fn slot_hashes(slot: u64, hash: [u8; 32]) -> Vec<u8> {
    let entries = [(slot + 9, [1; 32]), (slot + 1, [2; 32]), (slot, hash), (slot - 4, [3; 32])];
    signed::slot_hashes_account(&entries).data
}

/// A quote with its keys and signatures in any order behind the offsets. The signatures are any bytes.
pub(super) fn unverified_quote(oracles: &[u8], message: &[u8], slot: u64, parts: &[usize]) -> Vec<u8> {
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

pub(super) fn good_quote() -> (Vec<u8>, Vec<u8>) {
    let slot = NOW.slot.get() - 7;
    let message = [&[4; 32][..], &FEED, &(200 * 10_i128.pow(18)).to_le_bytes(), &[1]].concat();
    (unverified_quote(&[0, 1, 2], &message, slot, &[0; 7]), slot_hashes(slot, [4; 32]))
}

pub(super) fn good_message() -> (Vec<u8>, Vec<u8>) {
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
