//! Secrets on disk: encrypted keystores (web3 v3) for the keys that sign on L1 and L2, and the libp2p identity.

use std::{
    fs, io,
    io::Write,
    path::{Path, PathBuf},
};

use alloy::signers::local::{LocalSignerError, MnemonicBuilder, PrivateKeySigner};
use libp2p::identity::Keypair;

/// Mnemonic of anvil's funded accounts: known to everybody, for local networks only.
pub const DEV_MNEMONIC: &str = "test test test test test test test test test test test junk";

/// Why a key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// A key or password file cannot be read or written.
    #[error("cannot access {path}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// Wrong password, or not a keystore.
    #[error("cannot open the keystore {path}")]
    Keystore {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: Box<LocalSignerError>,
    },
    /// Not 32 bytes of hex.
    #[error("{path}: not a key of 32 bytes in hex")]
    Malformed {
        /// The file.
        path: PathBuf,
    },
    /// The file exists and must not be replaced.
    #[error("{path} exists already")]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// Not an index of the mnemonic's accounts.
    #[error("no development key {index}")]
    Development {
        /// Account index.
        index: u32,
        /// The reason.
        source: Box<LocalSignerError>,
    },
}

/// Decrypts a keystore with the first line of `password`.
///
/// # Errors
/// An unreadable file, a wrong password, not a keystore.
pub fn load_signer(keystore: &Path, password: &Path) -> Result<PrivateKeySigner, KeyError> {
    let password = read_password(password)?;
    PrivateKeySigner::decrypt_keystore(keystore, password)
        .map_err(|source| KeyError::Keystore { path: keystore.into(), source: Box::new(source) })
}

/// Encrypts `signer` into a new file at `path`, readable by its owner only.
///
/// # Errors
/// [`KeyError::Exists`]: a key is never overwritten; or the disk.
pub fn store_signer(path: &Path, signer: &PrivateKeySigner, password: &str) -> Result<(), KeyError> {
    let exists = || KeyError::Exists { path: path.into() };
    if path.exists() {
        return Err(exists());
    }
    // Under another name until it is whole: what is cut short leaves no keystore behind that nobody can open. It is made
    // first, so that the owner's permissions hold from the first byte of the secret on.
    let draft = path.with_extension(format!("{}.draft", std::process::id()));
    // One that is there is of a process that died: its number is this one's now.
    let _ = fs::remove_file(&draft);
    create_private(&draft)?;
    let name = draft.file_name().and_then(|name| name.to_str());
    let secret = signer.to_bytes();
    PrivateKeySigner::encrypt_keystore(
        path.parent().unwrap_or(Path::new(".")),
        &mut k256::elliptic_curve::rand_core::OsRng,
        secret.as_slice(),
        password,
        name,
    )
    .map_err(|source| KeyError::Keystore { path: path.into(), source: Box::new(source) })?;
    let failed = |source| KeyError::Io { path: path.into(), source };
    make_durable(&draft).map_err(failed)?;
    // A link, unlike a new name, replaces nothing.
    let linked = fs::hard_link(&draft, path);
    fs::remove_file(&draft).map_err(failed)?;
    linked.map_err(|source| if source.kind() == io::ErrorKind::AlreadyExists { exists() } else { failed(source) })?;
    // Whoever has stored a key goes on to register it: from then on it must not be lost.
    make_durable(path).map_err(failed)
}

/// Waits until a file and its name are on disk.
///
/// # Errors
/// The disk failed.
pub fn make_durable(path: &Path) -> io::Result<()> {
    fs::File::open(path)?.sync_all()?;
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => fs::File::open(parent)?.sync_all(),
        _ => fs::File::open(".")?.sync_all(),
    }
}

/// First line of a password file.
///
/// # Errors
/// An unreadable file.
pub fn read_password(path: &Path) -> Result<String, KeyError> {
    let text = fs::read_to_string(path).map_err(|source| KeyError::Io { path: path.into(), source })?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

/// Writes a new file that only its owner may read.
///
/// # Errors
/// [`KeyError::Exists`], or the disk.
pub fn write_secret(path: &Path, text: &str) -> Result<(), KeyError> {
    let mut file = create_private(path)?;
    let written = writeln!(file, "{text}").and_then(|()| make_durable(path));
    written.map_err(|source| KeyError::Io { path: path.into(), source })
}

/// Account `index` of [`DEV_MNEMONIC`].
///
/// # Errors
/// An index beyond BIP-32's range.
pub fn development_signer(index: u32) -> Result<PrivateKeySigner, KeyError> {
    MnemonicBuilder::english()
        .phrase(DEV_MNEMONIC)
        .index(index)
        .and_then(|builder| builder.build())
        .map_err(|source| KeyError::Development { index, source: Box::new(source) })
}

/// Reads the secret of the libp2p identity.
///
/// # Errors
/// An unreadable file, or not 32 bytes of hex.
pub fn load_identity_secret(path: &Path) -> Result<[u8; 32], KeyError> {
    let text = fs::read_to_string(path).map_err(|source| KeyError::Io { path: path.into(), source })?;
    let mut secret = [0; 32];
    hex::decode_to_slice(text.trim(), &mut secret).map_err(|_| KeyError::Malformed { path: path.into() })?;
    Ok(secret)
}

/// Reads the libp2p identity.
///
/// # Errors
/// As [`load_identity_secret`].
pub fn load_identity(path: &Path) -> Result<Keypair, KeyError> {
    let secret = load_identity_secret(path)?;
    Keypair::ed25519_from_bytes(secret).map_err(|_| KeyError::Malformed { path: path.into() })
}

/// Reads the libp2p identity, making one first if there is none.
///
/// # Errors
/// As [`load_identity`] and [`write_secret`].
pub fn load_or_create_identity(path: &Path) -> Result<Keypair, KeyError> {
    if !path.exists() {
        let secret: [u8; 32] = rand::random();
        write_secret(path, &hex::encode(secret))?;
    }
    load_identity(path)
}

fn create_private(path: &Path) -> Result<fs::File, KeyError> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::AlreadyExists => KeyError::Exists { path: path.into() },
        _ => KeyError::Io { path: path.into(), source },
    };
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(failed)?;
    }
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keystore_round_trips_and_is_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let (keystore, password) = (dir.path().join("keys/a.json"), dir.path().join("password"));
        let signer = development_signer(3).unwrap();
        // What a process that was killed here left behind.
        create_private(&keystore.with_extension(format!("{}.draft", std::process::id()))).unwrap();
        store_signer(&keystore, &signer, "hunter2").unwrap();
        write_secret(&password, "hunter2").unwrap();
        assert_eq!(load_signer(&keystore, &password).unwrap().to_bytes(), signer.to_bytes());
        assert!(matches!(store_signer(&keystore, &signer, "x"), Err(KeyError::Exists { .. })));
        assert_eq!(fs::read_dir(keystore.parent().unwrap()).unwrap().count(), 1, "no draft is left");

        let wrong = dir.path().join("wrong");
        write_secret(&wrong, "hunter3").unwrap();
        assert!(matches!(load_signer(&keystore, &wrong), Err(KeyError::Keystore { .. })));
    }

    #[cfg(unix)]
    #[test]
    fn secrets_are_readable_by_their_owner_only() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.json");
        store_signer(&path, &development_signer(0).unwrap(), "p").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn development_keys_are_anvils() {
        let address = development_signer(0).unwrap().address();
        assert_eq!(address.to_string(), "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266");
    }

    #[test]
    fn identity_is_made_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("node.key");
        let first = load_or_create_identity(&path).unwrap().public().to_peer_id();
        assert_eq!(load_or_create_identity(&path).unwrap().public().to_peer_id(), first);
        fs::write(&path, "zz").unwrap();
        assert!(matches!(load_identity(&path), Err(KeyError::Malformed { .. })));
    }
}
