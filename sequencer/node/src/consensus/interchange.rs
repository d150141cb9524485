//! The slashing-protection tables of a node's keys as a JSON document, for moving the keys to another machine.
//!
//! ```json
//! {
//!   "format": "rota-slashing-protection",
//!   "version": 1,
//!   "chainId": 4242,
//!   "batchChain": "0x…",
//!   "keys": [{
//!     "signer": "0x…",
//!     "floor": { "fork": 0, "height": 1200 },
//!     "above": null,
//!     "signed": [{ "kind": "prevote", "fork": 0, "height": 1201, "round": 0, "digest": "0x…" }]
//!   }]
//! }
//! ```
//!
//! `floor` says up to which (fork, height) nothing is signed any more, `above` up to which height of every fork, `signed` what
//! was signed above them. An import does not believe the list to be complete: it keeps silent up to the highest place that
//! the document names for a key. That costs at most the votes of the heights under way, and two documents merge into the
//! higher of their marks. While a key is rotated a node has two, and the document both.

use alloy_primitives::{Address, B256};
use rota_protocol::vote::VoteDomain;
use serde::{Deserialize, Serialize};

use super::protection::{Marks, Protection, SignedKind, Slot};

/// What documents of this kind call themselves.
pub const FORMAT: &str = "rota-slashing-protection";
/// The version written, and the only one read.
pub const VERSION: u32 = 1;

/// The document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Interchange {
    /// [`FORMAT`].
    pub format: String,
    /// [`VERSION`].
    pub version: u32,
    /// L2 chain id.
    pub chain_id: u64,
    /// `BatchChain` on L1.
    pub batch_chain: Address,
    /// Each key with what it signed.
    pub keys: Vec<KeyRecord>,
}

/// What protects one key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KeyRecord {
    /// Its address.
    pub signer: Address,
    /// At and below this place nothing is signed.
    pub floor: Option<Mark>,
    /// At and below this height nothing is signed, whatever the fork.
    pub above: Option<u64>,
    /// What was signed above both.
    pub signed: Vec<Entry>,
}

/// A place in the life of a chain; forks count before heights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Mark {
    /// Number of re-executions.
    pub fork: u32,
    /// Height.
    pub height: u64,
}

/// A signature that was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Entry {
    /// What was signed.
    pub kind: Kind,
    /// Number of re-executions.
    pub fork: u32,
    /// Height.
    pub height: u64,
    /// Round.
    pub round: u32,
    /// EIP-712 digest.
    pub digest: B256,
}

/// What was signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    /// Vote kind 1.
    Prevote,
    /// Vote kind 2.
    Precommit,
    /// A leader's proposal.
    Proposal,
}

impl From<SignedKind> for Kind {
    fn from(kind: SignedKind) -> Self {
        match kind {
            SignedKind::Prevote => Self::Prevote,
            SignedKind::Precommit => Self::Precommit,
            SignedKind::Proposal => Self::Proposal,
        }
    }
}

/// Why a document is not taken. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum InterchangeError {
    /// Another kind of document, or of another release.
    #[error("this is a {format:?} of version {version}, needed is a {FORMAT:?} of version {VERSION}")]
    Format {
        /// What it calls itself.
        format: String,
        /// Its version.
        version: u32,
    },
    /// Of another chain.
    #[error(
        "this protects chain {chain_id} with the contract {batch_chain}, this node is of chain {here} with {contract}"
    )]
    Chain {
        /// L2 chain id of the document.
        chain_id: u64,
        /// Contract of the document.
        batch_chain: Address,
        /// L2 chain id of this node.
        here: u64,
        /// Contract of this node.
        contract: Address,
    },
    /// Of other keys.
    #[error(
        "this protects the keys {document:?}, this node's are {here:?}: do `keys.consensus` and `keys.next` name the right \
         keystores?"
    )]
    Signer {
        /// Keys of the document.
        document: Vec<Address>,
        /// Keys of this node.
        here: Vec<Address>,
    },
}

/// Writes down what `tables` protect their keys from.
pub fn export(tables: &[Protection], domain: &VoteDomain) -> Interchange {
    let entry = |(slot, digest): (&Slot, &B256)| Entry {
        kind: slot.kind.into(),
        fork: slot.fork,
        height: slot.height,
        round: slot.round,
        digest: *digest,
    };
    let record = |table: &Protection| {
        let (marks, signed) = table.content();
        KeyRecord {
            signer: table.signer(),
            floor: marks.silent.map(|(fork, height)| Mark { fork, height }),
            above: marks.above,
            signed: signed.map(entry).collect(),
        }
    };
    Interchange {
        format: FORMAT.into(),
        version: VERSION,
        chain_id: domain.chain_id(),
        batch_chain: domain.batch_chain(),
        keys: tables.iter().map(record).collect(),
    }
}

/// Up to where each of the keys `here` that `document` has may have signed: nothing may be signed there any more.
///
/// # Errors
/// Another format or chain, or none of the keys.
pub fn marks(
    document: &Interchange,
    domain: &VoteDomain,
    here: &[Address],
) -> Result<Vec<(Address, Marks)>, InterchangeError> {
    let Interchange { format, version, chain_id, batch_chain, keys } = document;
    if format != FORMAT || *version != VERSION {
        return Err(InterchangeError::Format { format: format.clone(), version: *version });
    }
    if (*chain_id, *batch_chain) != (domain.chain_id(), domain.batch_chain()) {
        return Err(InterchangeError::Chain {
            chain_id: *chain_id,
            batch_chain: *batch_chain,
            here: domain.chain_id(),
            contract: domain.batch_chain(),
        });
    }
    let marks = |key: &KeyRecord| {
        let signed = key.signed.iter().map(|entry| (entry.fork, entry.height));
        let silent = signed.chain(key.floor.map(|floor| (floor.fork, floor.height))).max();
        (key.signer, Marks { silent, above: key.above })
    };
    let found: Vec<_> = keys.iter().filter(|key| here.contains(&key.signer)).map(marks).collect();
    if found.is_empty() {
        let document = keys.iter().map(|key| key.signer).collect();
        return Err(InterchangeError::Signer { document, here: here.into() });
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consensus::protection::Permission;

    const SIGNER: Address = Address::repeat_byte(1);
    const NEXT: Address = Address::repeat_byte(2);

    fn domain() -> VoteDomain {
        VoteDomain::new(7, Address::repeat_byte(7))
    }

    fn prevote(height: u64) -> Slot {
        Slot { fork: 0, height, round: 0, kind: SignedKind::Prevote }
    }

    fn open(dir: &tempfile::TempDir, signer: Address) -> Protection {
        Protection::open(dir.path(), signer, false).unwrap()
    }

    fn made(signer: Address) -> (tempfile::TempDir, Protection) {
        let dir = tempfile::tempdir().unwrap();
        Protection::create(dir.path(), signer, Marks::default()).unwrap();
        let table = open(&dir, signer);
        (dir, table)
    }

    fn import(dir: &tempfile::TempDir, document: &Interchange) -> Vec<(Address, Marks)> {
        let marks = marks(document, &domain(), &[SIGNER, NEXT]).unwrap();
        for (signer, marks) in &marks {
            Protection::restrict(dir.path(), *signer, *marks).unwrap();
        }
        marks
    }

    #[test]
    fn what_one_machine_signed_another_never_contradicts() {
        let silent = |height| Marks { silent: Some((0, height)), above: None };
        let (old, mut table) = made(SIGNER);
        let new = tempfile::tempdir().unwrap();
        for height in 3..=5 {
            table.allow(prevote(height), B256::repeat_byte(1)).unwrap();
        }
        let tables = [table];
        let text = serde_json::to_string(&export(&tables, &domain())).unwrap();
        let document: Interchange = serde_json::from_str(&text).unwrap();
        assert_eq!((document.keys[0].floor, document.keys[0].signed.len()), (None, 3));
        // On the new machine there is no table yet: the import makes it.
        assert_eq!(import(&new, &document), [(SIGNER, silent(5))]);
        let mut moved = open(&new, SIGNER);
        for height in 1..=5 {
            assert_eq!(moved.allow(prevote(height), B256::repeat_byte(2)).unwrap(), Permission::Withhold);
        }
        assert_eq!(moved.allow(prevote(6), B256::repeat_byte(2)).unwrap(), Permission::Sign);
        // Back again: both marks hold, the higher one counts.
        let back = export(&[moved], &domain());
        assert_eq!(back.keys[0].floor, Some(Mark { fork: 0, height: 5 }));
        drop(tables);
        assert_eq!(import(&old, &back), [(SIGNER, silent(6))]);
        assert_eq!(import(&old, &document), [(SIGNER, silent(5))]);
        assert_eq!(open(&old, SIGNER).allow(prevote(6), B256::repeat_byte(3)).unwrap(), Permission::Withhold);
    }

    /// While a key is rotated both move, each with its own record.
    #[test]
    fn both_keys_of_a_rotation_move() {
        let ((_dir, mut present), (_other, next)) = (made(SIGNER), made(NEXT));
        present.allow(prevote(8), B256::repeat_byte(1)).unwrap();
        let document = export(&[present, next], &domain());
        let new = tempfile::tempdir().unwrap();
        let silent = Marks { silent: Some((0, 8)), above: None };
        assert_eq!(import(&new, &document), [(SIGNER, silent), (NEXT, Marks::default())]);
        assert_eq!(open(&new, SIGNER).allow(prevote(8), B256::ZERO).unwrap(), Permission::Withhold);
        assert_eq!(open(&new, NEXT).allow(prevote(8), B256::ZERO).unwrap(), Permission::Sign);
    }

    #[test]
    fn a_mark_of_every_fork_moves_along() {
        let (_dir, mut table) = made(SIGNER);
        table.keep_silent(Marks { silent: None, above: Some(40) }).unwrap();
        let new = tempfile::tempdir().unwrap();
        import(&new, &export(&[table], &domain()));
        let at = Slot { fork: 3, ..prevote(40) };
        assert_eq!(open(&new, SIGNER).allow(at, B256::ZERO).unwrap(), Permission::Withhold);
    }

    #[test]
    fn foreign_documents_are_refused() {
        let (_dir, mut table) = made(SIGNER);
        table.allow(prevote(3), B256::repeat_byte(1)).unwrap();
        let document = export(&[table], &domain());
        let refuse = |document: Interchange| marks(&document, &domain(), &[SIGNER]).unwrap_err();
        let other = Interchange { version: 2, ..document.clone() };
        assert!(matches!(refuse(other), InterchangeError::Format { version: 2, .. }));
        let other = Interchange { format: "eip-3076".into(), ..document.clone() };
        assert!(matches!(refuse(other), InterchangeError::Format { .. }));
        let other = Interchange { chain_id: 8, ..document.clone() };
        assert!(matches!(refuse(other), InterchangeError::Chain { chain_id: 8, .. }));
        let other = Interchange { batch_chain: Address::ZERO, ..document.clone() };
        assert!(matches!(refuse(other), InterchangeError::Chain { .. }));
        assert!(matches!(marks(&document, &domain(), &[NEXT]), Err(InterchangeError::Signer { .. })));
    }
}
