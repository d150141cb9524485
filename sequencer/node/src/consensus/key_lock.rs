//! The right of one process of a machine to vote with a key, whatever its home directory, user or temporary folder.
//!
//! On Linux the kernel keeps an abstract socket that is named by the key: every process of one network namespace sees it,
//! and it ends with its process. Besides there is a file, for nodes in containers that share a folder and for systems
//! without such sockets. The file lies in a folder that nobody else can write to, so that no other user of the machine can
//! take it and keep a node from starting: [`SHARED`], if whoever administers the machine set it up, for nodes of all users;
//! else a folder of the user's own, in the system's temporary directory.
//!
//! The socket's name is anybody's to take. A local user that takes it keeps the node from starting, which costs time and
//! no stake; there is no way around it on purpose, because a node that starts beside an unknown holder may cost the stake.

use std::{
    fs::{DirBuilder, File, Metadata, TryLockError},
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
};

use alloy_primitives::{Address, B256};

use super::protection::ProtectionError;

/// For the nodes of all users of a machine: owned by root, writable by the group they share.
const SHARED: &str = "/run/lock/rota";
/// Permission to write for everybody, and for the group.
const WORLD: u32 = 0o002;
const GROUP: u32 = 0o020;

/// The lock of one key; held until dropped.
#[derive(Debug)]
pub struct KeyLock {
    _file: File,
    #[cfg(target_os = "linux")]
    _socket: std::os::unix::net::UnixListener,
}

impl KeyLock {
    /// The lock of the key `signer` on the chain with that identity: one file for all processes of this user, or of this
    /// machine; its name is the name of the socket, too. Makes the user's folder.
    ///
    /// # Errors
    /// [`ProtectionError::LockFolder`].
    pub fn path(signer: Address, chain: B256) -> Result<PathBuf, ProtectionError> {
        let folder = match is_shared(Path::new(SHARED)) {
            true => PathBuf::from(SHARED),
            false => {
                let uid = own_uid().ok_or_else(|| ProtectionError::LockFolder {
                    path: std::env::temp_dir(),
                    reason: "the user of this process is not known".into(),
                })?;
                private(std::env::temp_dir().join(format!("rota-{uid}")), uid)?
            }
        };
        Ok(folder.join(Self::name(signer, chain)))
    }

    /// Name of the file and of the socket.
    fn name(signer: Address, chain: B256) -> String {
        format!("rota-{signer:x}-{}.lock", hex::encode(&chain[..8]))
    }

    /// Takes the lock at `path`, and the socket of that name, for the key `signer`.
    ///
    /// # Errors
    /// [`ProtectionError::KeyInUse`], or the system failed.
    pub async fn take(path: &Path, signer: Address) -> Result<Self, ProtectionError> {
        #[cfg(target_os = "linux")]
        let socket = socket::take(path, signer).await?;
        #[cfg(not(target_os = "linux"))]
        tracing::warn!(
            lock = %path.display(),
            "this system keeps apart only the processes that use one folder for locks: see that no other one votes with \
             this key"
        );
        let file = Self::take_file(path, signer)?;
        Ok(Self {
            _file: file,
            #[cfg(target_os = "linux")]
            _socket: socket,
        })
    }

    fn take_file(path: &Path, signer: Address) -> Result<File, ProtectionError> {
        let open = || File::options().read(true).write(true).create(true).truncate(false).open(path);
        // In a shared folder the file may belong to another user, who lets the group read it; that is enough for a lock.
        let file = open().or_else(|_| File::open(path)).map_err(ProtectionError::Lock)?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => {
                Err(ProtectionError::KeyInUse { signer, holder: format!("it holds {}", path.display()) })
            }
            Err(TryLockError::Error(error)) => Err(ProtectionError::Lock(error)),
        }
    }
}

/// The lock that the kernel keeps.
#[cfg(target_os = "linux")]
mod socket {
    use std::{
        ffi::OsString,
        io::ErrorKind,
        os::{
            linux::net::SocketAddrExt,
            unix::{
                ffi::{OsStrExt, OsStringExt},
                net::{SocketAddr, UnixListener},
            },
        },
        path::Path,
        time::Duration,
    };

    use alloy_primitives::Address;
    use tokio::net::{UnixStream, unix::UCred};

    use super::ProtectionError;

    /// Time to find out who holds a name: the kernel answers at once, or never.
    const ASK: Duration = Duration::from_secs(1);

    /// Takes the name of the file at `path` in the abstract namespace.
    pub(super) async fn take(path: &Path, signer: Address) -> Result<UnixListener, ProtectionError> {
        let name = path.file_name().unwrap_or(path.as_os_str()).as_bytes();
        let address = SocketAddr::from_abstract_name(name).map_err(ProtectionError::Lock)?;
        match UnixListener::bind_addr(&address) {
            Ok(listener) => Ok(listener),
            Err(error) if error.kind() == ErrorKind::AddrInUse => {
                let name = String::from_utf8_lossy(name);
                let holder = match holder(name.as_bytes()).await {
                    Some(UserProcess { pid: Some(pid), uid }) => {
                        format!("process {pid} of user {uid} holds the socket @{name}")
                    }
                    Some(UserProcess { pid: None, uid }) => format!("user {uid} holds the socket @{name}"),
                    None => format!("as root, `ss -xlp | grep {name}` shows who holds the socket @{name}"),
                };
                Err(ProtectionError::KeyInUse { signer, holder })
            }
            Err(error) => Err(ProtectionError::Lock(error)),
        }
    }

    struct UserProcess {
        pid: Option<i32>,
        uid: u32,
    }

    /// Who listens on `name`, as the kernel tells whoever connects. Nobody accepts; the kernel answers all the same.
    async fn holder(name: &[u8]) -> Option<UserProcess> {
        let path = OsString::from_vec([b"\0", name].concat());
        let stream = tokio::time::timeout(ASK, UnixStream::connect(path)).await.ok()?.ok()?;
        let found: UCred = stream.peer_cred().ok()?;
        // A process of another pid namespace has no number here.
        Some(UserProcess { pid: found.pid().filter(|pid| *pid > 0), uid: found.uid() })
    }
}

/// A folder that root made, and that not everybody may write to.
fn is_shared(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|found| found.is_dir() && found.uid() == 0 && found.mode() & WORLD == 0)
}

/// The user's own folder at `path`, made if it is not there.
fn private(path: PathBuf, uid: u32) -> Result<PathBuf, ProtectionError> {
    let failed = |path: &Path, reason: String| ProtectionError::LockFolder { path: path.into(), reason };
    // Whether it was there is seen below.
    let made = DirBuilder::new().mode(0o700).create(&path);
    // A link could lead to a folder of the user's that others share.
    let found = path.symlink_metadata().map_err(|error| failed(&path, made.err().unwrap_or(error).to_string()))?;
    if !found.is_dir() || found.uid() != uid {
        return Err(failed(&path, format!("it belongs to user {}", found.uid())));
    }
    if found.mode() & (WORLD | GROUP) != 0 {
        return Err(failed(&path, format!("others may write to it (mode {:o})", found.mode() & 0o777)));
    }
    Ok(path)
}

/// User of this process: as Linux tells, elsewhere whom the home belongs to.
fn own_uid() -> Option<u32> {
    let own = std::fs::metadata("/proc/self").ok();
    let home = || std::fs::metadata(std::env::home_dir()?).ok();
    own.or_else(home).as_ref().map(Metadata::uid)
}

#[cfg(test)]
mod tests {
    use std::{
        fs::Permissions,
        os::unix::fs::PermissionsExt,
        process::{Command, Stdio},
        time::SystemTime,
    };

    use alloy_primitives::keccak256;

    use super::*;

    /// A chain of this test alone: the socket is common to all test processes of the machine.
    fn chain(name: &str) -> B256 {
        keccak256(format!("{name} {} {:?}", std::process::id(), SystemTime::now()))
    }

    #[tokio::test]
    async fn a_key_votes_in_one_process_of_a_machine() {
        let dir = tempfile::tempdir().unwrap();
        let (signer, chain, another) = (Address::repeat_byte(1), chain("one"), chain("two"));
        let path = |signer, chain| dir.path().join(KeyLock::name(signer, chain));
        let held = KeyLock::take(&path(signer, chain), signer).await.unwrap();
        let refused = KeyLock::take(&path(signer, chain), signer).await.unwrap_err();
        assert!(matches!(&refused, ProtectionError::KeyInUse { signer: s, .. } if *s == signer), "{refused}");
        // The file alone keeps them apart where they share a folder and no network.
        let refused = KeyLock::take_file(&path(signer, chain), signer).unwrap_err();
        assert!(refused.to_string().contains(dir.path().to_str().unwrap()), "{refused}");
        // Another key, or the same key on another chain.
        let other = Address::repeat_byte(3);
        KeyLock::take(&path(other, chain), other).await.unwrap();
        KeyLock::take(&path(signer, another), signer).await.unwrap();
        drop(held);
        KeyLock::take(&path(signer, chain), signer).await.unwrap();
    }

    const CHILD: &str = "ROTA_TEST_KEY_LOCK_CHAIN";

    /// Two services with private temporary folders. The second one is this test again, in a process of its own.
    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn processes_with_temporary_folders_of_their_own_see_each_other() {
        let signer = Address::repeat_byte(1);
        if let Ok(chain) = std::env::var(CHILD) {
            let path = KeyLock::path(signer, chain.parse().unwrap()).unwrap();
            match KeyLock::take(&path, signer).await {
                Ok(_) => println!("taken at {}", path.display()),
                Err(error) => println!("refused: {error}"),
            }
            return;
        }
        let (chain, folder) = (chain("folders"), tempfile::tempdir().unwrap());
        let second = || {
            let mut command = Command::new(std::env::current_exe().unwrap());
            let name = "consensus::key_lock::tests::processes_with_temporary_folders_of_their_own_see_each_other";
            command.args([name, "--exact", "--nocapture"]).env(CHILD, chain.to_string()).env("TMPDIR", folder.path());
            let output = command.stderr(Stdio::inherit()).output().unwrap();
            assert!(output.status.success());
            String::from_utf8(output.stdout).unwrap()
        };
        let path = KeyLock::path(signer, chain).unwrap();
        let held = KeyLock::take(&path, signer).await.unwrap();
        let said = second();
        let own = format!("process {} of user {}", std::process::id(), own_uid().unwrap());
        assert!(said.contains("refused: another process") && said.contains(&own), "{said}");
        // The kernel lets go of it with its holder.
        drop(held);
        let said = second();
        let elsewhere = is_shared(Path::new(SHARED)) || said.contains(folder.path().to_str().unwrap());
        assert!(said.contains("taken at") && elsewhere, "{said}");
        KeyLock::take(&path, signer).await.unwrap();
    }

    #[tokio::test]
    async fn a_lock_lies_where_no_other_user_can_take_it() {
        let dir = tempfile::tempdir().unwrap();
        let uid = own_uid().unwrap();
        let folder = dir.path().join("own");
        assert_eq!(private(folder.clone(), uid).unwrap(), folder);
        assert_eq!(private(folder.clone(), uid).unwrap(), folder, "made before");
        assert_eq!(folder.metadata().unwrap().mode() & 0o777, 0o700);
        // Made by another user first.
        let refused = private(folder.clone(), uid + 1).unwrap_err().to_string();
        assert!(refused.contains(&format!("belongs to user {uid}")) && refused.contains(SHARED), "{refused}");
        for mode in [0o777, 0o720] {
            std::fs::set_permissions(&folder, Permissions::from_mode(mode)).unwrap();
            let refused = private(folder.clone(), uid).unwrap_err().to_string();
            assert!(refused.contains("others may write"), "{refused}");
        }
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&folder, &link).unwrap();
        assert!(private(link, uid).is_err());
        assert!(private(dir.path().join("no/such"), uid).is_err());

        // What anybody may write to is no shared folder.
        assert!(!is_shared(Path::new("/tmp")) && !is_shared(&dir.path().join("missing")));
        assert!(is_shared(Path::new("/usr")));
        let path = KeyLock::path(Address::repeat_byte(1), chain("folder")).unwrap();
        KeyLock::take(&path, Address::repeat_byte(1)).await.unwrap();
    }
}
