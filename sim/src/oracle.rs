//! Oracle accounts as the oracles' programs would write them, serialised by the official crates.
//!
//! * [`account`] — the account in which a configured source shows a [`Reading`]; enough for a simulation.
//! * [`PythUpdate`], [`SwitchboardFeed`] — the same with every field free.
//! * [`price_update_bytes`], [`pull_feed_bytes`] — account data of any value of the official types.
//! * [`signed`] — prices that are signed and travel in the transaction.

use anchor_lang::AccountSerialize;
use anyhow::{Context, Result, bail};
use pyth_solana_receiver_sdk::price_update::{PriceFeedMessage, PriceUpdateV2, VerificationLevel};
use quantdesk_engine::state::{OracleSource, SourceKind};
use solana_account::Account;
use solana_address::Address;
use switchboard_on_demand::{Discriminator, OracleSubmission, PullFeedAccountData};

pub mod signed;

/// The Pyth receiver program.
pub const PYTH_RECEIVER: Address = Address::new_from_array(pyth_solana_receiver_sdk::ID.to_bytes());
/// The Pyth receiver program with the interface of Pyth Pro: the crate's id with its feature `pro-compatible`.
pub const PYTH_RECEIVER_PRO: Address = Address::from_str_const("rec2HHDDnjLfj4kE7VyEtFA1HPGQLK33259532cRyHp");
/// The Switchboard On-Demand program on mainnet.
pub const SWITCHBOARD: Address = Address::new_from_array(switchboard_on_demand::ON_DEMAND_MAINNET_PID.to_bytes());

/// Exponent that makes a Pyth price's unit the engine's.
const PICO_EXPONENT: i32 = -12;
/// Switchboard's units in one of the engine's.
const UNITS_PER_PICO: i128 = 1_000_000;

/// A price that an oracle shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// In 1e-12 quote units.
    pub price: u64,
    /// Half-width of the confidence interval in the same unit.
    pub half_width: u64,
    /// Unix time of the price.
    pub publish_time: i64,
    /// Slot in which it was signed and written.
    pub slot: u64,
}

/// A Pyth price update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PythUpdate {
    /// Feed id.
    pub feed_id: [u8; 32],
    /// Price in `10^exponent` quote units.
    pub price: i64,
    /// Half-width in the same unit.
    pub conf: u64,
    /// Exponent of the unit.
    pub exponent: i32,
    /// Unix time of the price.
    pub publish_time: i64,
    /// Slot in which the account was written.
    pub posted_slot: u64,
    /// Whether enough guardian signatures were verified; otherwise five were.
    pub full: bool,
}

/// A Switchboard pull feed, updated by `samples` oracles with one value in one transaction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SwitchboardFeed {
    /// Hash of the feed's jobs.
    pub feed_hash: [u8; 32],
    /// Queue of the feed.
    pub queue: [u8; 32],
    /// Result in 1e-18 quote units.
    pub value: i128,
    /// Standard deviation in the same unit.
    pub std_dev: i128,
    /// Oracles behind the result, at most 32.
    pub samples: u8,
    /// Slot the oracles signed for.
    pub slot: u64,
    /// Slot in which their signatures were written to the account.
    pub landed_at: u64,
    /// Unix time of that.
    pub timestamp: i64,
    /// Whether the feed's authority may write values itself.
    pub permit_write_by_authority: bool,
}

/// The account in which `source` shows exactly `reading`. Fails for a kind of source that is not read from an account,
/// and for prices that its type cannot hold: Pyth's end at 9.2 million quote units.
pub fn account(source: &OracleSource, reading: &Reading) -> Result<Account> {
    let feed = *source.feed.as_bytes();
    match SourceKind::from_byte(source.kind) {
        Some(SourceKind::Pyth) => Ok(PythUpdate::from_pico(feed, reading)?.account(PYTH_RECEIVER)),
        Some(SourceKind::PythPro) => Ok(PythUpdate::from_pico(feed, reading)?.account(PYTH_RECEIVER_PRO)),
        Some(SourceKind::Switchboard) => {
            let feed = SwitchboardFeed::from_pico(feed, *source.queue.as_bytes(), reading);
            Ok(SwitchboardFeed { samples: source.samples_min, ..feed }.account())
        }
        Some(SourceKind::SwitchboardQuote | SourceKind::PythLazer) => bail!("a signed price is not in an account"),
        None => bail!("oracle source of unknown kind {}", source.kind),
    }
}

impl PythUpdate {
    /// A fully verified update of `feed_id` that shows exactly `reading`. Fails above 9.2 million quote units.
    pub fn from_pico(feed_id: [u8; 32], reading: &Reading) -> Result<Self> {
        Ok(Self {
            feed_id,
            price: i64::try_from(reading.price).context("price above what a Pyth update can hold")?,
            conf: reading.half_width,
            exponent: PICO_EXPONENT,
            publish_time: reading.publish_time,
            posted_slot: reading.slot,
            full: true,
        })
    }

    /// As the receiver program `owner` would write it.
    pub fn account(&self, owner: Address) -> Account {
        rent_exempt(owner, price_update_bytes(&self.official()))
    }

    /// As the official type; the moving average is the price, and the update before came a second earlier.
    pub fn official(&self) -> PriceUpdateV2 {
        PriceUpdateV2 {
            write_authority: Default::default(),
            verification_level: if self.full {
                VerificationLevel::Full
            } else {
                VerificationLevel::Partial { num_signatures: 5 }
            },
            price_message: PriceFeedMessage {
                feed_id: self.feed_id,
                price: self.price,
                conf: self.conf,
                exponent: self.exponent,
                publish_time: self.publish_time,
                prev_publish_time: self.publish_time.saturating_sub(1),
                ema_price: self.price,
                ema_conf: self.conf,
            },
            posted_slot: self.posted_slot,
        }
    }
}

impl SwitchboardFeed {
    /// A feed that shows exactly `reading`, from one oracle.
    pub fn from_pico(feed_hash: [u8; 32], queue: [u8; 32], reading: &Reading) -> Self {
        Self {
            feed_hash,
            queue,
            value: i128::from(reading.price) * UNITS_PER_PICO,
            std_dev: i128::from(reading.half_width) * UNITS_PER_PICO,
            samples: 1,
            slot: reading.slot,
            landed_at: reading.slot,
            timestamp: reading.publish_time,
            permit_write_by_authority: false,
        }
    }

    /// As the On-Demand program would write it.
    pub fn account(&self) -> Account {
        rent_exempt(SWITCHBOARD, pull_feed_bytes(&self.official()))
    }

    /// As the official type.
    pub fn official(&self) -> PullFeedAccountData {
        let mut feed: PullFeedAccountData = bytemuck::Zeroable::zeroed();
        feed.feed_hash = self.feed_hash;
        feed.queue = self.queue.into();
        feed.min_responses = 1;
        feed.permit_write_by_authority = self.permit_write_by_authority.into();
        feed.min_sample_size = self.samples;
        feed.max_staleness = 150;
        feed.last_update_timestamp = self.timestamp;
        for oracle in 0..self.samples.min(32) {
            feed.submissions[usize::from(oracle)] = OracleSubmission {
                oracle: [oracle + 1; 32].into(),
                slot: self.slot,
                landed_at: self.landed_at,
                value: self.value,
            };
            feed.submission_timestamps[usize::from(oracle)] = self.timestamp;
        }
        let result = &mut feed.result;
        (result.value, result.mean, result.min_value, result.max_value) =
            (self.value, self.value, self.value, self.value);
        result.std_dev = self.std_dev;
        result.num_samples = self.samples;
        (result.slot, result.min_slot, result.max_slot) = (self.slot, self.slot, self.slot);
        feed
    }
}

/// Account data of a Pyth price update: Anchor's serialisation in the room of the longest one.
pub fn price_update_bytes(update: &PriceUpdateV2) -> Vec<u8> {
    let mut data = Vec::with_capacity(PriceUpdateV2::LEN);
    update.try_serialize(&mut data).expect("a Vec takes all bytes");
    data.resize(PriceUpdateV2::LEN, 0);
    data
}

/// Account data of a Switchboard pull feed.
pub fn pull_feed_bytes(feed: &PullFeedAccountData) -> Vec<u8> {
    [PullFeedAccountData::DISCRIMINATOR, bytemuck::bytes_of(feed)].concat()
}

fn rent_exempt(owner: Address, data: Vec<u8>) -> Account {
    // Mainnet's rent: 6,960 lamports for each byte and for 128 more.
    let lamports = (data.len() as u64 + 128) * 6_960;
    Account { lamports, data, owner, executable: false, rent_epoch: u64::MAX }
}
