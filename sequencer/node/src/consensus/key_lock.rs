//! The right of one process of a machine to vote with a key, whatever its home directory.
//!
//! The lock is a file in a folder that nobody else can write to, so that no other user of the machine can take a key's
//! lock and keep its node from starting: [`SHARED`], if whoever administers the machine set it up, for nodes of all
//! users; else a folder of the user's own, in the system's temporary directory, for all nodes of this user.

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
}

impl KeyLock {
    /// The lock of the key `signer` on the chain with that identity: one file for all processes of this user, or of this
    /// machine. Makes the user's folder.
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

    /// Name of the file.
    fn name(signer: Address, chain: B256) -> String {
        format!("rota-{signer:x}-{}.lock", hex::encode(&chain[..8]))
    }

    /// Takes the lock at `path` for the key `signer`.
    ///
    /// # Errors
    /// [`ProtectionError::KeyInUse`], or the file system failed.
    pub fn take(path: &Path, signer: Address) -> Result<Self, ProtectionError> {
        let open = || File::options().read(true).write(true).create(true).truncate(false).open(path);
        // In a shared folder the file may belong to another user, who lets the group read it; that is enough for a lock.
        let file = open().or_else(|_| File::open(path)).map_err(ProtectionError::Lock)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(ProtectionError::KeyInUse { signer, path: path.to_path_buf() }),
            Err(TryLockError::Error(error)) => Err(ProtectionError::Lock(error)),
        }
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
    use std::{fs::Permissions, os::unix::fs::PermissionsExt};

    use super::*;

    #[test]
    fn a_key_votes_in_one_process_of_a_machine() {
        let dir = tempfile::tempdir().unwrap();
        let (signer, chain) = (Address::repeat_byte(1), B256::repeat_byte(2));
        let path = |signer, chain| dir.path().join(KeyLock::name(signer, chain));
        let held = KeyLock::take(&path(signer, chain), signer).unwrap();
        let refused = KeyLock::take(&path(signer, chain), signer).unwrap_err();
        assert!(matches!(&refused, ProtectionError::KeyInUse { signer: s, .. } if *s == signer), "{refused}");
        // Another key, or the same key on another chain.
        let other = Address::repeat_byte(3);
        KeyLock::take(&path(other, chain), other).unwrap();
        KeyLock::take(&path(signer, B256::repeat_byte(4)), signer).unwrap();
        drop(held);
        KeyLock::take(&path(signer, chain), signer).unwrap();
    }

    #[test]
    fn a_lock_lies_where_no_other_user_can_take_it() {
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
        let path = KeyLock::path(Address::repeat_byte(1), B256::repeat_byte(2)).unwrap();
        KeyLock::take(&path, Address::repeat_byte(1)).unwrap();
    }
}
