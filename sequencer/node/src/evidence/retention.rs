//! How long messages are kept: as long as L1 can judge anybody by them.
//!
//! The age of evidence counts from the first epoch that a set frozen after σ serves; while there is none, nothing signed
//! under σ is ever too old, however long ago that was. From then on the slasher judges for `UNBONDING_EPOCHS` at most: what
//! `evidence.retain` must not be shorter than.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use humantime_serde::re::humantime;
use rota_bindings::StakeVault;
use rota_protocol::{config::ContractsConfig, epoch::EpochClock};
use tokio_util::sync::CancellationToken;

use super::{EvidenceStore, StoreError, watcher::Judged};
use crate::l1::{HttpSource, L1Error, L1View};

/// Time that a starting node waits for L1 to tell the time of unbonding, if it was never told before.
const PATIENCE: Duration = Duration::from_secs(3);
/// Time between two questions.
const RETRY: Duration = Duration::from_secs(2);

/// Why messages cannot be kept as configured.
#[derive(Debug, thiserror::Error)]
pub enum RetentionError {
    /// Shorter than somebody can be judged.
    #[error(
        "evidence.retain is {retain}, but operators can be judged for {minimum} after a set has served (UNBONDING_EPOCHS is \
         {epochs}, of {epoch_seconds} seconds each): set it to at least {minimum} in config.toml or ROTA_EVIDENCE_RETAIN"
    )]
    TooShort {
        /// What is configured.
        retain: humantime::FormattedDuration,
        /// What it must be at least.
        minimum: humantime::FormattedDuration,
        /// Time of unbonding on L1.
        epochs: u64,
        /// Length of an epoch.
        epoch_seconds: u64,
    },
    /// The record failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What L1 says about unbonding.
#[async_trait]
pub trait Unbonding: Send + Sync + 'static {
    /// Epochs between the end of stake's service and its claim; never changes.
    ///
    /// # Errors
    /// L1 does not answer.
    async fn epochs(&self) -> Result<u64, L1Error>;
}

/// The stake vault.
pub struct Vault {
    /// L1.
    pub source: Arc<HttpSource>,
    /// The chain's contracts.
    pub contracts: ContractsConfig,
}

#[async_trait]
impl Unbonding for Vault {
    async fn epochs(&self) -> Result<u64, L1Error> {
        // Nobody is slashed on a chain without a slasher.
        if self.contracts.slasher.is_zero() {
            return Ok(0);
        }
        let epochs = self.source.view(self.contracts.stake_vault, &StakeVault::UNBONDING_EPOCHSCall {}).await?;
        Ok(epochs.into())
    }
}

/// Keeps messages as long as they count.
pub struct Retention {
    retain: Duration,
    clock: EpochClock,
    store: EvidenceStore,
    unbonding: Arc<dyn Unbonding>,
    /// `retain` is known to be long enough. Nothing is forgotten before.
    is_checked: Arc<AtomicBool>,
}

impl Retention {
    /// Checks `retain` by what L1 says, or said when it was asked last. A node starts without L1, too; then
    /// [`Self::run`] asks again.
    ///
    /// # Errors
    /// [`RetentionError::TooShort`], or the record failed.
    pub async fn open(
        retain: Duration,
        clock: EpochClock,
        store: EvidenceStore,
        unbonding: Arc<dyn Unbonding>,
    ) -> Result<Self, RetentionError> {
        let retention = Self { retain, clock, store, unbonding, is_checked: Arc::default() };
        match retention.store.unbonding()? {
            Some(epochs) => retention.check(epochs)?,
            None => {
                // What L1 does not say now it says later.
                let _ = tokio::time::timeout(PATIENCE, retention.ask()).await.ok().transpose()?;
            }
        }
        Ok(retention)
    }

    /// Whether L1 answered. It has the last word, even over what it said before.
    async fn ask(&self) -> Result<bool, RetentionError> {
        let Ok(epochs) = self.unbonding.epochs().await else { return Ok(false) };
        self.store.set_unbonding(epochs)?;
        self.check(epochs)?;
        Ok(true)
    }

    fn check(&self, epochs: u64) -> Result<(), RetentionError> {
        let epoch_seconds = self.clock.epoch_seconds;
        let minimum = Duration::from_secs(epochs.saturating_mul(epoch_seconds));
        if self.retain < minimum {
            let [retain, minimum] = [self.retain, minimum].map(humantime::format_duration);
            return Err(RetentionError::TooShort { retain, minimum, epochs, epoch_seconds });
        }
        self.is_checked.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Asks L1 until it answers; then waits for `shutdown`.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), RetentionError> {
        while !self.ask().await? {
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                () = tokio::time::sleep(RETRY) => {}
            }
        }
        shutdown.cancelled().await;
        Ok(())
    }

    /// Whether somebody can still be judged by what was signed for an epoch, by what is confirmed of L1.
    pub fn judged(&self, l1: L1View) -> Judged {
        let (retain, clock, is_checked) = (self.retain, self.clock, Arc::clone(&self.is_checked));
        Arc::new(move |sigma| {
            let (next, now) = (l1.set_after(sigma), l1.progress().confirmed.timestamp);
            !is_checked.load(Ordering::Relaxed) || is_judged(next, now, clock, retain)
        })
    }
}

/// Whether a set is judged after which the next one frozen is that of `next`, at the L1 time `now` (Unix seconds).
fn is_judged(next: Option<u32>, now: u64, clock: EpochClock, retain: Duration) -> bool {
    next.is_none_or(|next| now < clock.start_of(next).saturating_add(retain.as_secs()))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;

    use super::*;
    use crate::evidence::tests::domain;

    const CLOCK: EpochClock = EpochClock { genesis: 1_000, epoch_seconds: 100 };

    #[test]
    fn a_set_is_judged_until_the_time_after_its_service_is_over() {
        let judged = |next, now| is_judged(next, now, CLOCK, Duration::from_secs(500));
        // It serves on.
        assert!(judged(None, u64::MAX));
        // Set 7 serves from 1,700 on.
        assert!(judged(Some(7), 0) && judged(Some(7), 2_199));
        assert!(!judged(Some(7), 2_200));
    }

    /// 0 is silence.
    struct FakeVault(AtomicU64);

    #[async_trait]
    impl Unbonding for FakeVault {
        async fn epochs(&self) -> Result<u64, L1Error> {
            match self.0.load(Ordering::SeqCst) {
                0 => Err(L1Error::Rpc("silence".into())),
                epochs => Ok(epochs),
            }
        }
    }

    #[tokio::test]
    async fn a_time_too_short_to_judge_in_is_refused_as_soon_as_it_is_known() {
        let dir = tempfile::tempdir().unwrap();
        let (store, _) = EvidenceStore::open(dir.path(), &domain()).unwrap();
        let vault = Arc::new(FakeVault(AtomicU64::new(0)));
        let open = |seconds| {
            let unbonding: Arc<dyn Unbonding> = vault.clone();
            Retention::open(Duration::from_secs(seconds), CLOCK, store.clone(), unbonding)
        };
        // L1 is silent: the node starts, forgets nothing, and stops once L1 says that it is too short.
        let retention = open(499).await.unwrap();
        let is_checked = Arc::clone(&retention.is_checked);
        assert!(!is_checked.load(Ordering::SeqCst));
        let task = tokio::spawn(retention.run(CancellationToken::new()));
        tokio::time::sleep(RETRY / 20).await;
        assert!(!task.is_finished());
        vault.0.store(5, Ordering::SeqCst);
        let refused = task.await.unwrap().unwrap_err().to_string();
        for part in ["8m 19s", "8m 20s", "UNBONDING_EPOCHS is 5", "100 seconds", "ROTA_EVIDENCE_RETAIN"] {
            assert!(refused.contains(part), "{refused}");
        }
        assert!(!is_checked.load(Ordering::SeqCst));
        // From then on at the start, with L1 or without.
        vault.0.store(0, Ordering::SeqCst);
        assert!(open(499).await.is_err());
        let retention = open(500).await.unwrap();
        assert!(retention.is_checked.load(Ordering::SeqCst));
        let token = CancellationToken::new();
        token.cancel();
        retention.run(token).await.unwrap();
    }
}
