//! Recomputes who should have led each block from L1 contracts and L2 headers alone.

use std::collections::BTreeMap;

use alloy::{
    eips::BlockId,
    primitives::{Address, B256},
    providers::{DynProvider, Provider as _},
    rpc::types::Header,
};
use eyre::{Result, ensure, eyre};
use rota::connection::Network;
use rota_protocol::{header::id_of_coinbase, member::FrozenSet};

/// Remembers what it read; asks the contract's `leaderAt` for every leader.
#[derive(Debug)]
pub struct Observer {
    network: Network,
    l2: DynProvider,
    genesis_origin: B256,
    headers: BTreeMap<u64, Header>,
    sigmas: BTreeMap<u64, u32>,
    sets: BTreeMap<u32, FrozenSet>,
    l1_times: BTreeMap<B256, u64>,
}

/// One decided block as the observer sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Height.
    pub height: u64,
    /// Epoch whose set served it.
    pub sigma: u32,
    /// First height of that set.
    pub first_height: u64,
    /// Id that proposed it.
    pub proposer: u32,
    /// Id that the contract names for round 0.
    pub leader: u32,
}

impl Observer {
    /// Watches the chain through one node.
    pub fn new(network: &Network, l2: DynProvider, genesis_origin: B256) -> Self {
        Self {
            network: network.clone(),
            l2,
            genesis_origin,
            headers: BTreeMap::new(),
            sigmas: BTreeMap::new(),
            sets: BTreeMap::new(),
            l1_times: BTreeMap::new(),
        }
    }

    /// Header at `height`.
    ///
    /// # Errors
    /// When the node does not have it.
    pub async fn header(&mut self, height: u64) -> Result<Header> {
        if let Some(header) = self.headers.get(&height) {
            return Ok(header.clone());
        }
        let block = self.l2.get_block_by_number(height.into()).await?.ok_or_else(|| eyre!("no L2 block {height}"))?;
        self.headers.insert(height, block.header.clone());
        Ok(block.header)
    }

    /// σ of `height`: the last epoch frozen at or before the epoch of the L1 origin of block `height − 1`
    /// (protocol section 5).
    ///
    /// # Errors
    /// When L1 or L2 do not have the data.
    pub async fn sigma(&mut self, height: u64) -> Result<u32> {
        if let Some(sigma) = self.sigmas.get(&height) {
            return Ok(*sigma);
        }
        let origin = if height <= 1 {
            self.genesis_origin
        } else {
            self.header(height - 1)
                .await?
                .parent_beacon_block_root
                .ok_or_else(|| eyre!("block {} names no L1 origin", height - 1))?
        };
        let time = match self.l1_times.get(&origin) {
            Some(time) => *time,
            None => {
                let block = self.network.l1.get_block(BlockId::hash(origin)).await?;
                let time = block.ok_or_else(|| eyre!("L1 has no block {origin}"))?.header.timestamp;
                self.l1_times.insert(origin, time);
                time
            }
        };
        let epoch = self.network.clock().epoch_at(time);
        let sigma = self.network.set().frozenEpochAt(epoch).call().await?;
        self.sigmas.insert(height, sigma);
        Ok(sigma)
    }

    /// First height that the set of `height` served.
    ///
    /// # Errors
    /// As [`Self::sigma`].
    pub async fn first_height(&mut self, height: u64) -> Result<u64> {
        let sigma = self.sigma(height).await?;
        let mut first = height;
        while first > 1 && self.sigma(first - 1).await? == sigma {
            first -= 1;
        }
        Ok(first)
    }

    /// The set frozen for `epoch`, from its event.
    ///
    /// # Errors
    /// When it was not frozen.
    pub async fn set(&mut self, epoch: u32) -> Result<FrozenSet> {
        if let Some(set) = self.sets.get(&epoch) {
            return Ok(set.clone());
        }
        let set = rota::epoch::frozen_set(&self.network, epoch).await?;
        self.sets.insert(epoch, set.clone());
        Ok(set)
    }

    /// Who must propose in `round` of `height`, by the contract.
    ///
    /// # Errors
    /// When L1 fails.
    pub async fn leader(&mut self, height: u64, round: u32) -> Result<u32> {
        let sigma = self.sigma(height).await?;
        let first = self.first_height(height).await?;
        let members = self.set(sigma).await?.encode_members();
        let answer = self.network.set().leaderAt(sigma, height, first, round, members.into()).call().await?;
        Ok(answer.id)
    }

    /// What happened at `height`.
    ///
    /// # Errors
    /// When data is missing or the beneficiary is nobody's coinbase.
    pub async fn see(&mut self, height: u64) -> Result<Seen> {
        let header = self.header(height).await?;
        let proposer = proposer(header.beneficiary)?;
        Ok(Seen {
            height,
            sigma: self.sigma(height).await?,
            first_height: self.first_height(height).await?,
            proposer,
            leader: self.leader(height, 0).await?,
        })
    }

    /// Checks that in every complete window of `from..=to` each member led the floor or the ceiling of its share, and
    /// returns how many windows there were. Blocks proposed by a fallback count for their round-0 leader.
    ///
    /// # Errors
    /// When a quota is broken.
    pub async fn check_quotas(&mut self, from: u64, to: u64) -> Result<usize> {
        let slots = u64::from(self.network.deployment.slots_per_window);
        let mut windows: BTreeMap<(u32, u64), BTreeMap<u32, u64>> = BTreeMap::new();
        for height in from..=to {
            let seen = self.see(height).await?;
            let window = (height - seen.first_height) / slots;
            *windows.entry((seen.sigma, window)).or_default().entry(seen.leader).or_default() += 1;
        }
        let mut complete = 0;
        for ((sigma, window), led) in windows {
            if led.values().sum::<u64>() != slots {
                continue;
            }
            complete += 1;
            let set = self.set(sigma).await?;
            for member in set.members() {
                let share = u128::from(member.weight) * u128::from(slots);
                let total = u128::from(set.total_weight());
                let (floor, ceil) = (share / total, share.div_ceil(total));
                let count = u128::from(led.get(&member.id).copied().unwrap_or(0));
                ensure!(
                    (floor..=ceil).contains(&count),
                    "operator {} led {count} of {slots} slots in window {window} of epoch {sigma}, its share is {floor}..{ceil}",
                    member.id
                );
            }
        }
        Ok(complete)
    }
}

/// Id of the proposer behind a coinbase.
///
/// # Errors
/// When the address is nobody's coinbase.
pub fn proposer(beneficiary: Address) -> Result<u32> {
    id_of_coinbase(beneficiary).ok_or_else(|| eyre!("{beneficiary} is not the coinbase of an operator"))
}
