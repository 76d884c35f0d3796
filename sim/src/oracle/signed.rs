//! Prices that a transaction carries itself: Switchboard quotes and Pyth Lazer messages, really signed.
//!
//! * [`Quote`], [`LazerMessage`] — the ed25519 instruction to put directly before `UpdatePrice`.
//! * [`queue_account`], [`lazer_storage_account`], [`slot_hashes_account`] — the accounts that say who may sign, and when.
//! * [`addresses`] — the accounts `UpdatePrice` takes for such a source.

use super::{Reading, SWITCHBOARD, UNITS_PER_PICO, rent_exempt};
use quantdesk_engine::state::{OracleSource, SourceKind};
use solana_account::Account;
use solana_address::Address;
use solana_instruction::Instruction;
use solana_keypair::Keypair;
use solana_signer::Signer;
use switchboard_on_demand::{Discriminator, QueueAccountData};

/// The runtime's program that verifies ed25519 signatures.
pub const ED25519: Address = Address::from_str_const("Ed25519SigVerify111111111111111111111111111");
/// The sysvar that shows all instructions of the running transaction.
pub const INSTRUCTIONS: Address = Address::from_str_const("Sysvar1nstructions1111111111111111111111111");
/// The sysvar with the hashes of recent slots.
pub const SLOT_HASHES: Address = Address::from_str_const("SysvarS1otHashes111111111111111111111111111");
/// The Pyth Lazer program.
pub const LAZER: Address = Address::from_str_const("pytd2yyk641x7ak7mkaasSJVXh6YYZnC7wTmtgAyxPt");
/// The account in which it keeps whom to trust.
pub const LAZER_STORAGE: Address = Address::from_str_const("3rdJbqfnagQ4yx9HXJViD4zc4xpiSqmFsKpPuSCQVyQL");
/// Names the ed25519 instruction itself, wherever it stands.
pub const THIS_INSTRUCTION: u16 = u16::MAX;

const SYSVARS: Address = Address::from_str_const("Sysvar1111111111111111111111111111111111111");
/// Entries the sysvar of slot hashes has room for.
const SLOT_HASHES_MAX: usize = 512;
/// First eight bytes of SHA-256 of `account:Storage`.
const STORAGE_DISCRIMINATOR: [u8; 8] = [209, 117, 255, 185, 196, 175, 68, 9];
const STORAGE_SIZE: usize = 381;
const PAYLOAD_MAGIC: u32 = 0x93c7_d375;
/// The channel that publishes every 200 milliseconds.
const CHANNEL: u8 = 3;
const MICROS_PER_SECOND: i64 = 1_000_000;

/// The accounts that `UpdatePrice` takes for a signed source, in order; none for one that is read from an account.
pub fn addresses(source: &OracleSource) -> Vec<Address> {
    let queue = Address::new_from_array(*source.queue.as_bytes());
    match SourceKind::from_byte(source.kind) {
        Some(SourceKind::SwitchboardQuote) => vec![INSTRUCTIONS, queue, SLOT_HASHES],
        Some(SourceKind::PythLazer) => vec![INSTRUCTIONS, LAZER_STORAGE],
        _ => Vec::new(),
    }
}

/// Data of an ed25519 instruction in which `signers` sign one message: head, offsets, keys, signatures, message, tail.
/// `instruction` is where all parts are said to lie.
pub fn ed25519_data(signers: &[&Keypair], instruction: u16, message: &[u8], tail: &[u8]) -> Vec<u8> {
    let count = signers.len();
    let keys = 2 + 14 * count;
    let (signatures, start) = (keys + 32 * count, keys + 96 * count);
    let mut data = vec![u8::try_from(count).expect("few signers"), 0];
    let mut number = |value: usize| data.extend(u16::try_from(value).expect("a short instruction").to_le_bytes());
    for place in 0..count {
        let instruction = usize::from(instruction);
        for value in [signatures + 64 * place, instruction, keys + 32 * place, instruction] {
            number(value);
        }
        for value in [start, message.len(), instruction] {
            number(value);
        }
    }
    for signer in signers {
        data.extend(signer.pubkey().to_bytes());
    }
    for signer in signers {
        data.extend(signer.sign_message(message).as_ref());
    }
    [&data[..], message, tail].concat()
}

/// An instruction of the ed25519 program.
pub const fn ed25519_instruction(data: Vec<u8>) -> Instruction {
    Instruction { program_id: ED25519, accounts: Vec::new(), data }
}

// Switchboard

/// One price of a quote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotedFeed {
    /// Feed id.
    pub id: [u8; 32],
    /// In 1e-18 quote units.
    pub value: i128,
    /// Oracles that must have signed.
    pub samples_min: u8,
}

/// A Switchboard quote.
#[derive(Clone, Debug)]
pub struct Quote<'a> {
    /// Signers, each with its place in the queue.
    pub oracles: Vec<(u8, &'a Keypair)>,
    /// Prices.
    pub feeds: Vec<QuotedFeed>,
    /// Slot for which they signed.
    pub slot: u64,
    /// Hash of that slot.
    pub slot_hash: [u8; 32],
}

impl<'a> Quote<'a> {
    /// A quote in which the first oracles of a queue, as many as the source demands, show the reading's price; its
    /// width and time have no place in a quote. `keys` are those of the queue, in order.
    pub fn of(source: &OracleSource, reading: &Reading, slot_hash: [u8; 32], keys: &'a [Keypair]) -> Self {
        let value = i128::from(reading.price) * UNITS_PER_PICO;
        let feed = QuotedFeed { id: *source.feed.as_bytes(), value, samples_min: 1 };
        let oracles = (0..source.samples_min).zip(keys).collect();
        Self { oracles, feeds: vec![feed], slot: reading.slot, slot_hash }
    }

    /// What the oracles sign.
    pub fn message(&self) -> Vec<u8> {
        let mut message = self.slot_hash.to_vec();
        for feed in &self.feeds {
            message.extend(feed.id);
            message.extend(feed.value.to_le_bytes());
            message.push(feed.samples_min);
        }
        message
    }

    /// What nobody signs: places in the queue, slot, version, tag.
    pub fn tail(&self) -> Vec<u8> {
        let mut tail: Vec<u8> = self.oracles.iter().map(|(place, _)| *place).collect();
        tail.extend(self.slot.to_le_bytes());
        tail.push(1);
        tail.extend(*b"SBOD");
        tail
    }

    /// Data of the ed25519 instruction, whose parts are said to lie in instruction `instruction`.
    pub fn data(&self, instruction: u16) -> Vec<u8> {
        let keys: Vec<&Keypair> = self.oracles.iter().map(|(_, key)| *key).collect();
        ed25519_data(&keys, instruction, &self.message(), &self.tail())
    }

    /// The ed25519 instruction.
    pub fn instruction(&self) -> Instruction {
        ed25519_instruction(self.data(THIS_INSTRUCTION))
    }
}

/// A queue in which these keys sign quotes, in order; at most 30.
pub fn queue_account(keys: &[Address]) -> Account {
    let mut queue: QueueAccountData = bytemuck::Zeroable::zeroed();
    for (place, key) in queue.ed25519_oracle_signing_keys.iter_mut().zip(keys) {
        *place = key.to_bytes().into();
    }
    queue.oracle_keys_len = u32::try_from(keys.len()).expect("few keys");
    rent_exempt(SWITCHBOARD, [QueueAccountData::DISCRIMINATOR, bytemuck::bytes_of(&queue)].concat())
}

/// The sysvar of slot hashes with these entries, newest first; at most 512.
pub fn slot_hashes_account(entries: &[(u64, [u8; 32])]) -> Account {
    let mut data = (entries.len() as u64).to_le_bytes().to_vec();
    for (slot, hash) in entries {
        data.extend(slot.to_le_bytes());
        data.extend(hash);
    }
    data.resize(8 + 40 * SLOT_HASHES_MAX, 0);
    rent_exempt(SYSVARS, data)
}

// Pyth Lazer

/// A property of a feed; `None` is how the publisher says that it has no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LazerProperty {
    /// In `10^exponent` quote units.
    Price(Option<i64>),
    /// In the price's unit.
    BestBid(Option<i64>),
    /// In the price's unit.
    BestAsk(Option<i64>),
    /// How many publishers contributed.
    Publishers(u16),
    /// Exponent of the price's unit.
    Exponent(i16),
    /// Half-width in the price's unit.
    Confidence(Option<i64>),
    /// Funding rate of a perpetual.
    FundingRate(Option<i64>),
    /// Microseconds of its last payment.
    FundingTime(Option<u64>),
    /// Microseconds between payments.
    FundingInterval(Option<u64>),
    /// Session of the market.
    MarketSession(i16),
    /// Moving average.
    EmaPrice(Option<i64>),
    /// Its half-width.
    EmaConfidence(Option<i64>),
    /// Microseconds of Unix time at which the price was made.
    UpdatedAt(Option<u64>),
    /// Any other number, and bytes.
    Other(u8, [u8; 8]),
}

/// A Pyth Lazer message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LazerMessage {
    /// Microseconds of Unix time at which it was sent.
    pub timestamp: u64,
    /// Feeds and what is said about them.
    pub feeds: Vec<(u32, Vec<LazerProperty>)>,
}

impl LazerProperty {
    fn write(&self, to: &mut Vec<u8>) {
        let mut price = |number: u8, value: Option<i64>| {
            to.push(number);
            to.extend(value.unwrap_or(0).to_le_bytes());
        };
        match *self {
            Self::Price(value) => price(0, value),
            Self::BestBid(value) => price(1, value),
            Self::BestAsk(value) => price(2, value),
            Self::Confidence(value) => price(5, value),
            Self::EmaPrice(value) => price(10, value),
            Self::EmaConfidence(value) => price(11, value),
            Self::Publishers(value) => to.extend([&[3], &value.to_le_bytes()[..]].concat()),
            Self::Exponent(value) => to.extend([&[4], &value.to_le_bytes()[..]].concat()),
            Self::MarketSession(value) => to.extend([&[9], &value.to_le_bytes()[..]].concat()),
            Self::FundingRate(value) => write_optional(to, 6, value.map(i64::to_le_bytes)),
            Self::FundingTime(value) => write_optional(to, 7, value.map(u64::to_le_bytes)),
            Self::FundingInterval(value) => write_optional(to, 8, value.map(u64::to_le_bytes)),
            Self::UpdatedAt(value) => write_optional(to, 12, value.map(u64::to_le_bytes)),
            Self::Other(number, bytes) => to.extend([&[number], &bytes[..]].concat()),
        }
    }
}

fn write_optional(to: &mut Vec<u8>, number: u8, value: Option<[u8; 8]>) {
    to.extend([number, u8::from(value.is_some())]);
    to.extend(value.into_iter().flatten());
}

impl LazerMessage {
    /// A message about one feed that shows exactly `reading`, whose width must not be zero. Fails for numbers that a
    /// message cannot hold.
    pub fn of(source: &OracleSource, reading: &Reading) -> anyhow::Result<Self> {
        let feed = source.lazer_feed().ok_or_else(|| anyhow::anyhow!("not a Lazer feed"))?;
        let updated_at = u64::try_from(reading.publish_time.saturating_mul(MICROS_PER_SECOND))?;
        let properties = vec![
            LazerProperty::Price(Some(i64::try_from(reading.price)?)),
            LazerProperty::Exponent(-12),
            LazerProperty::Confidence(Some(i64::try_from(reading.half_width)?)),
            LazerProperty::UpdatedAt(Some(updated_at)),
        ];
        Ok(Self { timestamp: updated_at, feeds: vec![(feed, properties)] })
    }

    /// What the publisher signs.
    pub fn payload(&self) -> Vec<u8> {
        let mut payload = PAYLOAD_MAGIC.to_le_bytes().to_vec();
        payload.extend(self.timestamp.to_le_bytes());
        payload.push(CHANNEL);
        payload.push(u8::try_from(self.feeds.len()).expect("few feeds"));
        for (feed, properties) in &self.feeds {
            payload.extend(feed.to_le_bytes());
            payload.push(u8::try_from(properties.len()).expect("few properties"));
            for property in properties {
                property.write(&mut payload);
            }
        }
        payload
    }

    /// The ed25519 instruction.
    pub fn instruction(&self, signer: &Keypair) -> Instruction {
        ed25519_instruction(ed25519_data(&[signer], THIS_INSTRUCTION, &self.payload(), &[]))
    }
}

/// The storage of the Lazer program in which these keys may sign until then, in Unix seconds; at most five.
pub fn lazer_storage_account(signers: &[(Address, i64)]) -> Account {
    let mut data = STORAGE_DISCRIMINATOR.to_vec();
    data.resize(8 + 32 + 32 + 8, 0);
    data.push(u8::try_from(signers.len()).expect("few signers"));
    for (key, expires_at) in signers {
        data.extend(key.to_bytes());
        data.extend(expires_at.to_le_bytes());
    }
    data.resize(STORAGE_SIZE, 0);
    rent_exempt(LAZER, data)
}
