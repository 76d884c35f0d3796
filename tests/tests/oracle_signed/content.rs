//! What was signed: times, feeds, prices, lengths.

use super::*;

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
