//! What members signed, on disk: who said what at which place, and what convicts whom.
//!
//! Messages lie in tables of [`SEGMENT`] heights each, so that forgetting is dropping a table, and a look into the past
//! is one read. The newest lie in memory, in the tables' write buffers. Messages survive the death of the process at
//! once and of the machine within a second; a contradiction is synced before anybody acts on it.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    path::Path,
    sync::Arc,
};

use alloy_primitives::{Address, B256, keccak256};
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use parking_lot::RwLock;
use rota_protocol::{
    evidence::{Contradiction, Evidence, MessageKind, Place, Signed},
    vote::{Proposal, Signature65, Vote, VoteDomain, VoteKind},
};
use serde::{Deserialize, Serialize};

/// Heights in one table: a day and a half at two blocks per second.
const SEGMENT: u64 = 1 << 18;
const PREFIX: &str = "heights-";
const CHAIN: &str = "chain";
const FORMAT: &str = "format";
/// What this version writes. A change of any key or value takes the next number, and a way from the one before.
const CURRENT_FORMAT: u64 = 1;
const CERTIFIED: &str = "certified";
const FLOOR: &str = "floor";
const UNBONDING: &str = "unbonding";
const PLACE_LEN: usize = 8 + 20 + 4 + 4 + 1;
const ENTRY_LEN: usize = 4 + 32 + 8 + 65;

/// Contradictions of one signer under the same sets that are to be reported at a time: one convicts, the others are
/// spares.
pub const MAX_PER_SIGNER: usize = 4;
/// Prevotes for blocks kept beside the first one at a place.
const MAX_SPARES: usize = 3;
/// Settled contradictions kept of one signer.
const MAX_SETTLED: usize = 4 * MAX_PER_SIGNER;

/// Why the record of messages cannot be kept. The node must stop: what it does not record it cannot convict.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database failed.
    #[error("evidence database: {0}")]
    Database(#[from] fjall::Error),
    /// The database holds something else than was written.
    #[error("evidence database is corrupt: {0}")]
    Corrupt(&'static str),
    /// The directory holds the evidence of another chain.
    #[error("the evidence database belongs to another chain: is `data` right?")]
    OtherChain,
    /// Another version of the node wrote it.
    #[error(
        "the evidence database has format {found}, this version of the node knows format {CURRENT_FORMAT} only: start the \
         version that wrote it; moving the folder away loses the votes that explain this node's own"
    )]
    OtherFormat {
        /// Its format.
        found: u64,
    },
}

/// A message whose signature was verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Where it was signed.
    pub place: Place,
    /// Who signed.
    pub signer: Address,
    /// σ of the height.
    pub epoch: u32,
    /// The block; zero for nil.
    pub block_hash: B256,
    /// Of a proposal; zero for votes.
    pub pol_round: i64,
    /// The signature.
    pub signature: Signature65,
}

impl Statement {
    pub(super) fn vote(&self, kind: VoteKind) -> Signed<Vote> {
        let Place { fork, height, round, .. } = self.place;
        let message = Vote { kind, fork, epoch: self.epoch, height, round, block_hash: self.block_hash };
        Signed { message, signature: self.signature }
    }

    fn proposal(&self) -> Signed<Proposal> {
        let (Place { fork, height, round, .. }, epoch) = (self.place, self.epoch);
        let message = Proposal { fork, epoch, height, round, pol_round: self.pol_round, block_hash: self.block_hash };
        Signed { message, signature: self.signature }
    }

    /// Whether the named signer signed this.
    pub fn is_signed(&self, domain: &VoteDomain) -> bool {
        let signer = match self.place.kind {
            MessageKind::Prevote => self.vote(VoteKind::Prevote).signer(domain),
            MessageKind::Precommit => self.vote(VoteKind::Precommit).signer(domain),
            MessageKind::Proposal => self.proposal().signer(domain),
        };
        signer == Ok(self.signer)
    }

    /// Two statements at one place as L1 takes them.
    pub fn against(&self, other: &Self) -> Evidence {
        match self.place.kind {
            MessageKind::Prevote => {
                Evidence::DoubleVote(Contradiction::new(self.vote(VoteKind::Prevote), other.vote(VoteKind::Prevote)))
            }
            MessageKind::Precommit => Evidence::DoubleVote(Contradiction::new(
                self.vote(VoteKind::Precommit),
                other.vote(VoteKind::Precommit),
            )),
            MessageKind::Proposal => Evidence::DoubleProposal(Contradiction::new(self.proposal(), other.proposal())),
        }
    }

    fn key(&self) -> [u8; PLACE_LEN] {
        key(&self.place, self.signer)
    }

    fn encode(&self) -> [u8; ENTRY_LEN] {
        let mut out = [0; ENTRY_LEN];
        out[..4].copy_from_slice(&self.epoch.to_be_bytes());
        out[4..36].copy_from_slice(self.block_hash.as_slice());
        out[36..44].copy_from_slice(&self.pol_round.to_be_bytes());
        out[44..].copy_from_slice(self.signature.as_bytes());
        out
    }

    fn decode(place: Place, signer: Address, bytes: &[u8]) -> Result<Self, StoreError> {
        let corrupt = StoreError::Corrupt("a message");
        let Some((epoch, rest)) = bytes.split_first_chunk::<4>() else { return Err(corrupt) };
        let Some((hash, rest)) = rest.split_first_chunk::<32>() else { return Err(corrupt) };
        let Some((pol_round, signature)) = rest.split_first_chunk::<8>() else { return Err(corrupt) };
        Ok(Self {
            place,
            signer,
            epoch: u32::from_be_bytes(*epoch),
            block_hash: hash.into(),
            pol_round: i64::from_be_bytes(*pol_round),
            signature: Signature65::from_slice(signature).map_err(|_| corrupt)?,
        })
    }
}

/// The inverse of [`key`].
fn place_of(key: &[u8]) -> Result<(Place, Address), StoreError> {
    let corrupt = StoreError::Corrupt("a place");
    let Some((height, rest)) = key.split_first_chunk::<8>() else { return Err(corrupt) };
    let Some((signer, rest)) = rest.split_first_chunk::<20>() else { return Err(corrupt) };
    let Some((fork, rest)) = rest.split_first_chunk::<4>() else { return Err(corrupt) };
    let (Some((round, [kind])), height) = (rest.split_first_chunk::<4>(), u64::from_be_bytes(*height)) else {
        return Err(corrupt);
    };
    let kind = MessageKind::from_byte(*kind).ok_or(corrupt)?;
    let (fork, round) = (u32::from_be_bytes(*fork), u32::from_be_bytes(*round));
    Ok((Place { kind, fork, height, round }, signer.into()))
}

/// height ‖ signer ‖ fork ‖ round ‖ kind, big endian: in order of heights.
fn key(place: &Place, signer: Address) -> [u8; PLACE_LEN] {
    let mut out = [0; PLACE_LEN];
    out[..8].copy_from_slice(&place.height.to_be_bytes());
    out[8..28].copy_from_slice(signer.as_slice());
    out[28..32].copy_from_slice(&place.fork.to_be_bytes());
    out[32..36].copy_from_slice(&place.round.to_be_bytes());
    out[36] = place.kind as u8;
    out
}

/// What became of a contradiction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Status {
    /// To be reported.
    Pending,
    /// L1 has convicted the operator, and that is confirmed.
    Convicted,
    /// L1 takes it no more: the set is too old, or there is none.
    Refused,
}

/// A contradiction on record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Case {
    /// Both messages.
    pub evidence: Evidence,
    /// Who signed both.
    pub signer: Address,
    /// The operator it signed for.
    pub id: u32,
    /// Seat of the operator in the set of σ, from 0.
    pub index: u32,
    /// What became of it.
    pub status: Status,
}

impl Case {
    /// Names the case: signer and place.
    pub fn key(&self) -> [u8; PLACE_LEN + 20] {
        let mut out = [0; PLACE_LEN + 20];
        out[..20].copy_from_slice(self.signer.as_slice());
        out[20..].copy_from_slice(&key(&self.evidence.place(), self.signer));
        out
    }
}

/// The database. Clones share it.
#[derive(Clone)]
pub struct EvidenceStore {
    db: Database,
    /// Height → round of the decision, of heights decided later than in round 0.
    rounds: Keyspace,
    /// Number of a finished segment → Unix seconds of its last block, and σ of that.
    ends: Keyspace,
    /// [`Case`]s by signer.
    cases: Keyspace,
    /// Tables of messages.
    segments: Arc<RwLock<BTreeMap<u64, Keyspace>>>,
    /// Pairs of votes that may be amnesia, by signer.
    pub(super) suspicions: Keyspace,
    /// Accusations of amnesia that L1 knows, by operator.
    pub(super) charges: Keyspace,
    /// Messages that name another epoch than the one that serves their height, by place and signer.
    foreign: Keyspace,
    /// Prevotes for other blocks than the first one at their place, by place, signer and block.
    spares: Keyspace,
    /// Polkas that single votes on record do not make up, by height.
    pub(super) polkas: Keyspace,
    pub(super) meta: Keyspace,
}

/// The tables of messages; one task writes them.
pub struct Messages(EvidenceStore);

impl EvidenceStore {
    /// Opens or creates the database in `path` for the chain of `domain`.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn open(path: &Path, domain: &VoteDomain) -> Result<(Self, Messages), StoreError> {
        let db = Database::builder(path).cache_size(8 << 20).worker_threads(1).open()?;
        let keyspace = |name: &str| db.keyspace(name, || KeyspaceCreateOptions::default().max_memtable_size(4 << 20));
        let (meta, rounds, ends, cases) =
            (keyspace("meta")?, keyspace("rounds")?, keyspace("ends")?, keyspace("cases")?);
        let (suspicions, charges, polkas) = (keyspace("suspicions")?, keyspace("charges")?, keyspace("polkas")?);
        let (foreign, spares) = (keyspace("foreign")?, keyspace("spares")?);
        let identity = keccak256(domain.separator());
        match meta.get(CHAIN)? {
            None => {
                meta.insert(CHAIN, identity.as_slice())?;
                db.persist(PersistMode::SyncAll)?;
            }
            Some(present) if present.as_ref() == identity.as_slice() => {}
            Some(_) => return Err(StoreError::OtherChain),
        }
        match meta.get(FORMAT)?.map(|bytes| number(&bytes)).transpose()? {
            // New, or written before formats had numbers.
            None => {
                meta.insert(FORMAT, CURRENT_FORMAT.to_be_bytes())?;
                db.persist(PersistMode::SyncAll)?;
            }
            Some(CURRENT_FORMAT) => {}
            Some(found) => return Err(StoreError::OtherFormat { found }),
        }
        let mut segments = BTreeMap::new();
        for name in db.list_keyspace_names() {
            if let Some(number) = name.strip_prefix(PREFIX).and_then(|number| number.parse().ok()) {
                segments.insert(number, keyspace(&name)?);
            }
        }
        let segments = Arc::new(RwLock::new(segments));
        let store = Self { db, meta, rounds, ends, cases, segments, suspicions, charges, foreign, spares, polkas };
        // What a process that died in the middle of it left to forget.
        store.sweep(store.floor()?)?;
        Ok((store.clone(), Messages(store)))
    }

    /// First height that is not forgotten.
    ///
    /// # Errors
    /// Disk failure or corruption.
    pub fn floor(&self) -> Result<u64, StoreError> {
        self.meta.get(FLOOR)?.map_or(Ok(0), |bytes| number(&bytes))
    }

    /// Removes what is on record about the heights below `floor`. It can be interrupted and repeated.
    fn sweep(&self, floor: u64) -> Result<(), StoreError> {
        for case in self.cases()? {
            if case.evidence.place().height < floor {
                self.cases.remove(case.key())?;
            }
        }
        for suspicion in self.suspicions()? {
            if suspicion.pair.vote.message.height < floor {
                self.suspicions.remove(suspicion.key())?;
            }
        }
        let (height, segment) = (floor.to_be_bytes(), floor / SEGMENT);
        for (table, next) in [
            (&self.rounds, height),
            (&self.polkas, height),
            (&self.foreign, height),
            (&self.spares, height),
            (&self.ends, segment.to_be_bytes()),
        ] {
            for entry in table.range(..next) {
                table.remove(entry.key()?)?;
            }
        }
        let kept = self.segments.write().split_off(&segment);
        let forgotten = std::mem::replace(&mut *self.segments.write(), kept);
        for table in forgotten.into_values() {
            self.db.delete_keyspace(table)?;
        }
        Ok(())
    }

    /// Epochs of unbonding, as the contracts said when they were asked last.
    ///
    /// # Errors
    /// Disk failure or corruption.
    pub fn unbonding(&self) -> Result<Option<u64>, StoreError> {
        self.meta.get(UNBONDING)?.map(|bytes| number(&bytes)).transpose()
    }

    /// Remembers them.
    ///
    /// # Errors
    /// Disk failure.
    pub fn set_unbonding(&self, epochs: u64) -> Result<(), StoreError> {
        Ok(self.meta.insert(UNBONDING, epochs.to_be_bytes())?)
    }

    /// Height up to which the certificates of the decided chain are on record; 0 in a new database.
    ///
    /// # Errors
    /// Disk failure or corruption.
    pub fn certified(&self) -> Result<u64, StoreError> {
        self.meta.get(CERTIFIED)?.map_or(Ok(0), |bytes| number(&bytes))
    }

    /// The round in which `height` was decided, for a height that is certified.
    ///
    /// # Errors
    /// Disk failure or corruption.
    pub fn decided_round(&self, height: u64) -> Result<u32, StoreError> {
        let round = self.rounds.get(height.to_be_bytes())?.map_or(Ok(0), |bytes| number(&bytes))?;
        u32::try_from(round).map_err(|_| StoreError::Corrupt("a round"))
    }

    /// Records a contradiction durably, before anything else happens with it. False if it is known, or if enough of its
    /// signer under the same sets is to be reported. What is settled counts for nothing: whoever signs twice for sets
    /// that nobody is judged for any more must not be safe for later ones.
    ///
    /// # Errors
    /// Disk failure or corruption.
    pub fn open_case(&self, case: &Case) -> Result<bool, StoreError> {
        if self.cases.contains_key(case.key())? {
            return Ok(false);
        }
        let known = self.cases.prefix(case.signer.as_slice()).map(|entry| decode_case(&entry.value()?));
        let (pending, settled): (Vec<_>, Vec<_>) = known
            .collect::<Result<Vec<Case>, StoreError>>()?
            .into_iter()
            .partition(|known| known.status == Status::Pending);
        let epochs = case.evidence.epochs();
        if pending.iter().filter(|known| known.evidence.epochs() == epochs).count() >= MAX_PER_SIGNER {
            return Ok(false);
        }
        // In order of heights: the oldest go first.
        for oldest in settled.iter().take(settled.len().saturating_sub(MAX_SETTLED)) {
            self.cases.remove(oldest.key())?;
        }
        self.write(case)?;
        Ok(true)
    }

    /// Notes what became of a case.
    ///
    /// # Errors
    /// Disk failure.
    pub fn set_status(&self, case: &Case, status: Status) -> Result<(), StoreError> {
        self.write(&Case { status, ..case.clone() })
    }

    fn write(&self, case: &Case) -> Result<(), StoreError> {
        let bytes = serde_json::to_vec(case).map_err(|_| StoreError::Corrupt("a case"))?;
        self.cases.insert(case.key(), bytes)?;
        self.sync()
    }

    /// Waits for the disk.
    pub(super) fn sync(&self) -> Result<(), StoreError> {
        Ok(self.db.persist(PersistMode::SyncAll)?)
    }

    /// Every case on record.
    ///
    /// # Errors
    /// Disk failure or corruption.
    pub fn cases(&self) -> Result<Vec<Case>, StoreError> {
        self.cases.iter().map(|entry| decode_case(&entry.value()?)).collect()
    }

    /// Hands what was written to the operating system, or to the disk.
    ///
    /// # Errors
    /// Disk failure.
    pub fn flush(&self, to_disk: bool) -> Result<(), StoreError> {
        Ok(self.db.persist(if to_disk { PersistMode::SyncData } else { PersistMode::Buffer })?)
    }

    fn segment(&self, height: u64) -> Option<Keyspace> {
        self.segments.read().get(&(height / SEGMENT)).cloned()
    }

    /// What `signer` signed at `place`.
    ///
    /// # Errors
    /// Disk failure or corruption.
    pub fn message(&self, place: &Place, signer: Address) -> Result<Option<Statement>, StoreError> {
        let Some(segment) = self.segment(place.height) else { return Ok(None) };
        let found = segment.get(key(place, signer))?;
        found.map(|bytes| Statement::decode(*place, signer, &bytes)).transpose()
    }

    /// What `signer` signed at `place` for another epoch than the one that serves the height.
    ///
    /// # Errors
    /// Disk failure or corruption.
    pub fn foreign(&self, place: &Place, signer: Address) -> Result<Option<Statement>, StoreError> {
        let found = self.foreign.get(key(place, signer))?;
        found.map(|bytes| Statement::decode(*place, signer, &bytes)).transpose()
    }

    /// What `signer`, or everybody, signed at `height`: the messages of each signer in order of fork, round and kind.
    ///
    /// # Errors
    /// Disk failure or corruption.
    pub fn messages_at(&self, height: u64, signer: Option<Address>) -> Result<Vec<Statement>, StoreError> {
        let Some(segment) = self.segment(height) else { return Ok(Vec::new()) };
        let mut prefix = height.to_be_bytes().to_vec();
        prefix.extend(signer.iter().flat_map(|signer| signer.as_slice()));
        let decode = |entry: fjall::Guard| {
            let (key, value) = entry.into_inner()?;
            let (place, signer) = place_of(&key)?;
            Statement::decode(place, signer, &value)
        };
        segment.prefix(prefix).map(decode).collect()
    }

    /// What members prevoted at `height` beside their first words.
    ///
    /// # Errors
    /// Disk failure or corruption.
    pub fn spares_at(&self, height: u64) -> Result<Vec<Statement>, StoreError> {
        let decode = |entry: fjall::Guard| {
            let (key, value) = entry.into_inner()?;
            let (place, signer) = place_of(key.get(..PLACE_LEN).ok_or(StoreError::Corrupt("a place"))?)?;
            Statement::decode(place, signer, &value)
        };
        self.spares.prefix(height.to_be_bytes()).map(decode).collect()
    }
}

impl Messages {
    /// See [`EvidenceStore::message`].
    ///
    /// # Errors
    /// Disk failure or corruption.
    pub fn get(&self, place: &Place, signer: Address) -> Result<Option<Statement>, StoreError> {
        self.0.message(place, signer)
    }

    /// Records the first statement at its place.
    ///
    /// # Errors
    /// Disk failure.
    pub fn insert(&mut self, statement: &Statement) -> Result<(), StoreError> {
        let number = statement.place.height / SEGMENT;
        let segment = match self.0.segments.write().entry(number) {
            Entry::Occupied(entry) => entry.get().clone(),
            Entry::Vacant(entry) => {
                let options = || KeyspaceCreateOptions::default().max_memtable_size(8 << 20);
                entry.insert(self.0.db.keyspace(&format!("{PREFIX}{number}"), options)?).clone()
            }
        };
        Ok(segment.insert(statement.key(), statement.encode())?)
    }

    /// Records the first statement at its place for another epoch. It takes no other's place: nobody counts it.
    ///
    /// # Errors
    /// Disk failure.
    pub fn insert_foreign(&mut self, statement: &Statement) -> Result<(), StoreError> {
        Ok(self.0.foreign.insert(statement.key(), statement.encode())?)
    }

    /// Records a prevote for a block beside the first word at its place: other nodes may have counted this one, and a
    /// polka of it must be there for who acted on it. There is room for a few, and for one more that this node's own engine
    /// acts on: it counts the first that it takes.
    ///
    /// # Errors
    /// Disk failure.
    pub fn insert_spare(&mut self, statement: &Statement, is_engine_s: bool) -> Result<(), StoreError> {
        let (place, room) = (statement.key(), MAX_SPARES + usize::from(is_engine_s));
        if self.0.spares.prefix(place).take(room).count() < room {
            let key = [&place[..], statement.block_hash.as_slice()].concat();
            self.0.spares.insert(key, statement.encode())?;
        }
        Ok(())
    }

    /// Notes that the certificate of `height`, decided in `round` by the set of `sigma` with a block of that time (Unix
    /// seconds), is on record.
    ///
    /// # Errors
    /// Disk failure.
    pub fn certified(&mut self, height: u64, round: u32, sigma: u32, timestamp: u64) -> Result<(), StoreError> {
        let store = &self.0;
        if round > 0 {
            store.rounds.insert(height.to_be_bytes(), u64::from(round).to_be_bytes())?;
        }
        if (height + 1).is_multiple_of(SEGMENT) {
            let end = [&timestamp.to_be_bytes()[..], &sigma.to_be_bytes()].concat();
            store.ends.insert((height / SEGMENT).to_be_bytes(), end)?;
        }
        Ok(store.meta.insert(CERTIFIED, height.to_be_bytes())?)
    }

    /// Forgets every segment of heights that ended before `horizon` (Unix seconds) and whose signers are not judged any
    /// more, as `is_judged` tells of an epoch. It is asked about the epoch after that of a segment's last set: a message
    /// that named that one convicts there, too.
    ///
    /// # Errors
    /// Disk failure or corruption.
    pub fn prune(&mut self, horizon: u64, is_judged: &(dyn Fn(u32) -> bool + Send + Sync)) -> Result<(), StoreError> {
        let floor = self.raise_floor(horizon, is_judged)?;
        if let Some(floor) = floor {
            self.0.sweep(floor)?;
            tracing::info!(floor, "messages of old heights are forgotten: nobody can be convicted by them any more");
        }
        Ok(())
    }

    /// Marks what is to be forgotten, durably; `None` if nothing is. The mark comes first: what a crash leaves of it goes
    /// at the next start, and nothing in between takes what is half gone for a record.
    fn raise_floor(
        &mut self,
        horizon: u64,
        is_judged: &(dyn Fn(u32) -> bool + Send + Sync),
    ) -> Result<Option<u64>, StoreError> {
        let (store, mut floor) = (&self.0, None);
        for entry in store.ends.iter() {
            let (segment, end) = entry.into_inner()?;
            let Some((timestamp, sigma)) = end.split_first_chunk::<8>() else {
                return Err(StoreError::Corrupt("the end of a segment"));
            };
            let sigma = sigma.try_into().map_err(|_| StoreError::Corrupt("the end of a segment"))?;
            let sigma = u32::from_be_bytes(sigma).saturating_add(1);
            if u64::from_be_bytes(*timestamp) >= horizon || is_judged(sigma) {
                break;
            }
            floor = Some((number(&segment)? + 1) * SEGMENT);
        }
        if let Some(floor) = floor {
            store.meta.insert(FLOOR, floor.to_be_bytes())?;
            store.sync()?;
        }
        Ok(floor)
    }
}

fn decode_case(bytes: &[u8]) -> Result<Case, StoreError> {
    serde_json::from_slice(bytes).map_err(|_| StoreError::Corrupt("a case"))
}

pub(super) fn number(bytes: &[u8]) -> Result<u64, StoreError> {
    let bytes = bytes.try_into().map_err(|_| StoreError::Corrupt("a number"))?;
    Ok(u64::from_be_bytes(bytes))
}

#[cfg(test)]
mod tests;
