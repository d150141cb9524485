//! The slashing-protection table as a JSON document, for moving a key to another machine.
//!
//! ```json
//! {
//!   "format": "rota-slashing-protection",
//!   "version": 1,
//!   "chainId": 4242,
//!   "batchChain": "0x…",
//!   "signer": "0x…",
//!   "floor": { "fork": 0, "height": 1200 },
//!   "signed": [{ "kind": "prevote", "fork": 0, "height": 1201, "round": 0, "digest": "0x…" }]
//! }
//! ```
//!
//! `floor` says up to which (fork, height) nothing is signed any more, `signed` what was signed above it. An import does
//! not believe the list to be complete: it keeps silent up to the highest place that the document names. That costs at
//! most the votes of the heights under way, and two documents merge into the higher of their floors.

use alloy_primitives::{Address, B256};
use rota_protocol::vote::VoteDomain;
use serde::{Deserialize, Serialize};

use super::protection::{Protection, ProtectionError, SignedKind};

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
    /// Address of the consensus key.
    pub signer: Address,
    /// At and below this place nothing is signed.
    pub floor: Option<Mark>,
    /// What was signed above it.
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
    /// Of another key.
    #[error("this protects the key {document}, this node's is {here}: is `keys.consensus` right?")]
    Signer {
        /// Key of the document.
        document: Address,
        /// Key of this node.
        here: Address,
    },
    /// The table failed.
    #[error(transparent)]
    Table(#[from] ProtectionError),
}

/// Writes down what `table` protects the key `signer` from.
pub fn export(table: &Protection, domain: &VoteDomain, signer: Address) -> Interchange {
    let (floor, signed) = table.content();
    let entry = |(slot, digest): (&super::protection::Slot, &B256)| Entry {
        kind: slot.kind.into(),
        fork: slot.fork,
        height: slot.height,
        round: slot.round,
        digest: *digest,
    };
    Interchange {
        format: FORMAT.into(),
        version: VERSION,
        chain_id: domain.chain_id(),
        batch_chain: domain.batch_chain(),
        signer,
        floor: floor.map(|(fork, height)| Mark { fork, height }),
        signed: signed.map(entry).collect(),
    }
}

/// Makes `table` keep silent wherever `document` may have signed; returns how far that is, if it signed at all.
///
/// # Errors
/// Another format, chain or key; a failing disk.
pub fn import(
    table: &mut Protection,
    document: &Interchange,
    domain: &VoteDomain,
    signer: Address,
) -> Result<Option<Mark>, InterchangeError> {
    let Interchange { format, version, chain_id, batch_chain, .. } = document;
    if format != FORMAT || *version != VERSION {
        return Err(InterchangeError::Format { format: format.clone(), version: *version });
    }
    let (here, contract) = (domain.chain_id(), domain.batch_chain());
    if (*chain_id, *batch_chain) != (here, contract) {
        return Err(InterchangeError::Chain { chain_id: *chain_id, batch_chain: *batch_chain, here, contract });
    }
    if document.signer != signer {
        return Err(InterchangeError::Signer { document: document.signer, here: signer });
    }
    let signed = document.signed.iter().map(|entry| Mark { fork: entry.fork, height: entry.height });
    let silent = signed.chain(document.floor).max();
    if let Some(Mark { fork, height }) = silent {
        table.keep_silent(fork, height)?;
    }
    Ok(silent)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consensus::protection::{Permission, Slot};

    fn domain() -> VoteDomain {
        VoteDomain::new(7, Address::repeat_byte(7))
    }

    fn prevote(height: u64) -> Slot {
        Slot { fork: 0, height, round: 0, kind: SignedKind::Prevote }
    }

    #[test]
    fn what_one_machine_signed_another_never_contradicts() {
        let (old, new) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let signer = Address::repeat_byte(1);
        let (mut table, mut moved) =
            (Protection::open(old.path(), true).unwrap(), Protection::open(new.path(), false).unwrap());
        let nothing = export(&table, &domain(), signer);
        assert_eq!(import(&mut moved, &nothing, &domain(), signer).unwrap(), None);
        for height in 3..=5 {
            table.allow(prevote(height), B256::repeat_byte(1)).unwrap();
        }
        let document = export(&table, &domain(), signer);
        let text = serde_json::to_string(&document).unwrap();
        let document: Interchange = serde_json::from_str(&text).unwrap();
        assert_eq!((document.floor, document.signed.len()), (None, 3));
        let silent = import(&mut moved, &document, &domain(), signer).unwrap();
        assert_eq!(silent, Some(Mark { fork: 0, height: 5 }));
        drop(moved);
        let mut moved = Protection::open(new.path(), false).unwrap();
        for height in 1..=5 {
            assert_eq!(moved.allow(prevote(height), B256::repeat_byte(2)).unwrap(), Permission::Withhold);
        }
        assert_eq!(moved.allow(prevote(6), B256::repeat_byte(2)).unwrap(), Permission::Sign);
        // Back again: both floors hold, the higher one counts.
        let back = export(&moved, &domain(), signer);
        assert_eq!(back.floor, Some(Mark { fork: 0, height: 5 }));
        assert_eq!(import(&mut table, &back, &domain(), signer).unwrap(), Some(Mark { fork: 0, height: 6 }));
        assert_eq!(import(&mut table, &document, &domain(), signer).unwrap(), Some(Mark { fork: 0, height: 5 }));
        assert_eq!(table.allow(prevote(6), B256::repeat_byte(3)).unwrap(), Permission::Withhold);
    }

    #[test]
    fn foreign_documents_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let mut table = Protection::open(dir.path(), true).unwrap();
        let signer = Address::repeat_byte(1);
        table.allow(prevote(3), B256::repeat_byte(1)).unwrap();
        let document = export(&table, &domain(), signer);
        let mut refuse = |document: Interchange| import(&mut table, &document, &domain(), signer).unwrap_err();
        let other = Interchange { version: 2, ..document.clone() };
        assert!(matches!(refuse(other), InterchangeError::Format { version: 2, .. }));
        let other = Interchange { format: "eip-3076".into(), ..document.clone() };
        assert!(matches!(refuse(other), InterchangeError::Format { .. }));
        let other = Interchange { chain_id: 8, ..document.clone() };
        assert!(matches!(refuse(other), InterchangeError::Chain { chain_id: 8, .. }));
        let other = Interchange { batch_chain: Address::ZERO, ..document.clone() };
        assert!(matches!(refuse(other), InterchangeError::Chain { .. }));
        let other = Interchange { signer: Address::ZERO, ..document };
        assert!(matches!(refuse(other), InterchangeError::Signer { .. }));
        // Nothing of them was taken.
        assert_eq!(table.allow(prevote(3), B256::repeat_byte(1)).unwrap(), Permission::Sign);
    }
}
