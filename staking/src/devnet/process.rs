//! Child processes of a devnet: started with a log file, stopped gently, never left behind.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use eyre::{Context as _, Result, bail};
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

/// A TCP port that was free a moment ago.
///
/// # Errors
/// When the loopback interface has none.
pub fn free_port() -> Result<u16> {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).wrap_err("no free port on 127.0.0.1")?;
    Ok(listener.local_addr()?.port())
}

/// A free port whose successor is free too: consensus and gossip listen side by side.
///
/// # Errors
/// When a hundred attempts found none.
pub fn free_port_pair() -> Result<u16> {
    for _ in 0..100 {
        let port = free_port()?;
        if port < u16::MAX && std::net::TcpListener::bind(("127.0.0.1", port + 1)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no two free ports side by side on 127.0.0.1")
}
