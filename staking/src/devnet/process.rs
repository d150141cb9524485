//! Child processes of a devnet: started with a log file, stopped gently, never left behind.

use std::{
    fs::File,
    ops::Range,
    path::{Path, PathBuf},
    process::Stdio,
    sync::atomic::{AtomicU16, Ordering},
    time::Duration,
};

use eyre::{Context as _, Result, bail, eyre};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::process::{Child, Command};

/// A running child with its log.
#[derive(Debug)]
pub struct Process {
    /// For messages.
    pub name: String,
    /// Everything it prints.
    pub log: PathBuf,
    child: Child,
}

impl Process {
    /// Starts `command` with standard output and error appended to `log`. It dies with this object.
    ///
    /// # Errors
    /// When the log cannot be opened or the program cannot be started.
    pub fn start(name: impl Into<String>, mut command: Command, log: PathBuf) -> Result<Self> {
        let name = name.into();
        let output = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .wrap_err_with(|| format!("cannot open the log {}", log.display()))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .kill_on_drop(true)
            .process_group(0) // Ctrl-C must reach only us; we stop the children in order.
            .spawn()
            .wrap_err_with(|| format!("cannot start {name} ({:?})", command.as_std().get_program()))?;
        Ok(Self { name, log, child })
    }

    /// Process id; 0 once it has been waited for.
    pub fn pid(&self) -> u32 {
        self.child.id().unwrap_or(0)
    }

    /// Fails with the end of the log when the process has exited.
    ///
    /// # Errors
    /// When it is not running any more.
    pub fn check_running(&mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("{} stopped ({status}); the end of {}:\n{}", self.name, self.log.display(), tail(&self.log, 15));
        }
        Ok(())
    }

    /// SIGTERM, then SIGKILL after `patience`.
    pub async fn stop(&mut self, patience: Duration) {
        if let Some(pid) = self.child.id() {
            signal(pid, Signal::SIGTERM);
            if tokio::time::timeout(patience, self.child.wait()).await.is_err() {
                tracing::warn!("{} did not stop within {} s, killing it", self.name, patience.as_secs());
                let _ = self.child.kill().await;
            }
        }
    }

    /// SIGKILL at once, as a crash would.
    ///
    /// # Errors
    /// When the process cannot be killed.
    pub async fn crash(&mut self) -> Result<()> {
        self.child.kill().await.wrap_err_with(|| format!("cannot kill {}", self.name))
    }
}

/// Sends a signal to a process that may be gone already.
pub fn signal(pid: u32, signal: Signal) {
    if let Ok(pid) = i32::try_from(pid)
        && pid > 0
    {
        let _ = kill(Pid::from_raw(pid), signal);
    }
}

/// Whether a process exists and its command line mentions `word`.
pub fn runs_with(pid: u32, word: &str) -> bool {
    std::fs::read(format!("/proc/{pid}/cmdline"))
        .map(|bytes| String::from_utf8_lossy(&bytes).contains(word))
        .unwrap_or(false)
}

/// The last `lines` lines of a file.
pub fn tail(file: &Path, lines: usize) -> String {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let all: Vec<&str> = text.lines().collect();
    all.get(all.len().saturating_sub(lines)..).unwrap_or_default().join("\n")
}

/// Ports handed out, below the range systems take those of outgoing connections from (Linux: from 32768): a node that
/// is started minutes after its port was chosen, or started again, still finds it free.
const PORTS: Range<u16> = 20_000..32_000;

/// Ports tried so far by this process: no port is handed out twice.
static TRIED: AtomicU16 = AtomicU16::new(0);

/// A free TCP port of the loopback interface.
///
/// # Errors
/// When none is left.
pub fn free_port() -> Result<u16> {
    candidates().find(|port| is_free(*port)).ok_or_else(|| eyre!("no free port in {PORTS:?} on 127.0.0.1"))
}

/// A free port whose successor is free too: consensus and gossip listen side by side.
///
/// # Errors
/// When none is left.
pub fn free_port_pair() -> Result<u16> {
    let port = candidates()
        .find(|port| is_free(*port) && is_free(port + 1))
        .ok_or_else(|| eyre!("no two free ports side by side in {PORTS:?} on 127.0.0.1"))?;
    TRIED.fetch_add(1, Ordering::Relaxed);
    Ok(port)
}

/// Every port once, beginning where other processes hardly begin.
fn candidates() -> impl Iterator<Item = u16> {
    let count = PORTS.end - PORTS.start;
    let start = std::process::id().wrapping_mul(31);
    (0..count).map(move |_| {
        let offset = start.wrapping_add(TRIED.fetch_add(1, Ordering::Relaxed).into()) % u32::from(count);
        PORTS.start + offset as u16
    })
}

fn is_free(port: u16) -> bool {
    std::net::TcpListener::bind(("127.0.0.1", port)).is_ok()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ports_are_free_distinct_and_not_of_outgoing_connections() {
        let mut ports = BTreeSet::new();
        for _ in 0..50 {
            let pair = free_port_pair().unwrap();
            ports.extend([free_port().unwrap(), pair, pair + 1]);
        }
        assert_eq!(ports.len(), 150);
        assert!(ports.iter().all(|port| (PORTS.start..=PORTS.end).contains(port) && is_free(*port)));
    }

    #[test]
    fn taken_ports_are_passed_over() {
        let port = free_port().unwrap();
        let taken: Vec<_> =
            (1..=5).filter_map(|next| std::net::TcpListener::bind(("127.0.0.1", port + next)).ok()).collect();
        let held: Vec<_> = taken.iter().map(|listener| listener.local_addr().unwrap().port()).collect();
        assert!((0..20).all(|_| !held.contains(&free_port().unwrap())), "one of {held:?} was handed out");
    }
}
