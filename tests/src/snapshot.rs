//! The frame condition S2: what an instruction does not name, it does not change.

use quantdesk_sim::chain::Chain;
use solana_account::{AccountSharedData, ReadableAccount};
use std::{collections::BTreeMap, ops::Range};

use quantdesk_client::Address;

/// Every account of a chain at a moment, except the fee payer's.
#[derive(Clone)]
pub struct Snapshot(BTreeMap<Address, AccountSharedData>);

/// What may change: bytes of accounts, balances of accounts, whole accounts.
#[derive(Clone, Debug, Default)]
pub struct Frame {
    bytes: Vec<(Address, Range<usize>)>,
    lamports: Vec<Address>,
    whole: Vec<Address>,
}

impl Frame {
    /// Nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// These bytes of an account.
    pub fn bytes(mut self, address: Address, range: Range<usize>) -> Self {
        self.bytes.push((address, range));
        self
    }

    /// The number of tokens in a token account.
    pub fn tokens(self, address: Address) -> Self {
        self.bytes(address, 64..72)
    }

    /// An account's lamports.
    pub fn lamports(mut self, address: Address) -> Self {
        self.lamports.push(address);
        self
    }

    /// Everything about an account, its existence included.
    pub fn whole(mut self, address: Address) -> Self {
        self.whole.push(address);
        self
    }

    fn allows(&self, address: &Address, place: usize) -> bool {
        self.bytes.iter().any(|(of, range)| of == address && range.contains(&place))
    }
}

impl Snapshot {
    /// All accounts as they are now.
    pub fn of(chain: &Chain) -> Self {
        let payer = chain.payer();
        let accounts = chain.accounts().filter(|(address, _)| **address != payer);
        Self(accounts.map(|(address, account)| (*address, account.clone())).collect())
    }

    /// An account's bytes at that moment.
    #[track_caller]
    pub fn bytes(&self, address: &Address) -> &[u8] {
        self.0.get(address).unwrap_or_else(|| panic!("no account {address}")).data()
    }

    /// An account's lamports at that moment; zero if there was none.
    pub fn lamports(&self, address: &Address) -> u64 {
        self.0.get(address).map_or(0, ReadableAccount::lamports)
    }

    /// No account differs in any byte, in its balance or its owner.
    #[track_caller]
    pub fn unchanged(&self, chain: &Chain) {
        self.only(chain, &Frame::new());
    }

    /// Nothing differs but what `frame` names.
    #[track_caller]
    pub fn only(&self, chain: &Chain, frame: &Frame) {
        let now = Self::of(chain);
        let addresses = self.0.keys().chain(now.0.keys().filter(|address| !self.0.contains_key(address)));
        for address in addresses.filter(|address| !frame.whole.contains(address)) {
            match (self.0.get(address), now.0.get(address)) {
                (Some(before), Some(after)) => compare(address, before, after, frame),
                (None, Some(_)) => panic!("{address} appeared"),
                _ => panic!("{address} vanished"),
            }
        }
    }
}

#[track_caller]
fn compare(address: &Address, before: &AccountSharedData, after: &AccountSharedData, frame: &Frame) {
    if before == after {
        return;
    }
    let moved = before.lamports() != after.lamports() && !frame.lamports.contains(address);
    assert!(!moved, "{address}: {} lamports became {}", before.lamports(), after.lamports());
    assert_eq!(before.owner(), after.owner(), "{address}: owner");
    assert_eq!(before.executable(), after.executable(), "{address}: executable");
    assert_eq!(before.data().len(), after.data().len(), "{address}: length");
    for (place, (old, new)) in before.data().iter().zip(after.data()).enumerate() {
        assert!(old == new || frame.allows(address, place), "{address}: byte {place} changed from {old} to {new}");
    }
}
