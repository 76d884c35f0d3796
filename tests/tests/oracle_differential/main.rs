//! The program's oracle parsers against the official crates: same fields, exact conversion, every refusal.
//!
//! What is signed is parsed here without being verified; `oracle_signed` has it verified.

mod every_kind;
mod pyth_accounts;
mod signed_prices;
mod switchboard_feeds;
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
    account::transaction,
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

fn flipped<T: AsMut<[u8]>>(mut bytes: T, place: usize) -> T {
    bytes.as_mut()[place] ^= 1;
    bytes
}
