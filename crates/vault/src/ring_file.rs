//! Where the generated ring is kept: a file of its own, for its owner alone. It is replaced in one step, so that
//! a crash leaves the old ring or the new one, and is on the disk before anything is sealed with a new key.

use crate::key_ring::{KeyRing, KeyRingError};
use secrecy::ExposeSecret;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The file of a generated key ring.
#[derive(Debug, Clone)]
pub struct RingFile {
    path: PathBuf,
}

/// Why the file cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum RingFileError {
    #[error("the key ring {} cannot be used: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("the key ring {}: {source}", path.display())]
    Ring { path: PathBuf, source: KeyRingError },
}

impl RingFile {
    /// The ring at a path; nothing is read yet.
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The ring in the file; none where there is no file.
    pub fn read(&self) -> Result<Option<KeyRing>, RingFileError> {
        let mut text = Zeroizing::new(String::new());
        match File::open(&self.path).and_then(|mut file| file.read_to_string(&mut text)) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(self.failed(source)),
        }
        let ring = KeyRing::parse(&text);
        ring.map(Some).map_err(|source| RingFileError::Ring { path: self.path.clone(), source })
    }

    /// Puts a ring in the place of the one there is, and makes sure that it is on the disk.
    pub fn write(&self, ring: &KeyRing) -> Result<(), RingFileError> {
        let beside = self.path.with_extension("new");
        let write = || {
            // What a crash left behind may have any mode.
            if beside.exists() {
                std::fs::remove_file(&beside)?;
            }
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
            file.write_all(ring.to_text().expose_secret().as_bytes())?;
            file.sync_all()?;
            std::fs::rename(&beside, &self.path)?;
            // The rename itself is on the disk once its directory is.
            File::open(self.path.parent().unwrap_or_else(|| Path::new(".")))?.sync_all()
        };
        write().map_err(|source| self.failed(source))
    }

    fn failed(&self, source: io::Error) -> RingFileError {
        RingFileError::Io { path: self.path.clone(), source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use doorward_domain::Entropy;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_ring_is_replaced_in_one_step_and_is_for_its_owner_alone() {
        let directory = tempfile::tempdir().unwrap();
        let file = RingFile::new(directory.path().join("key-ring"));
        assert!(file.read().unwrap().is_none());
        file.write(&KeyRing::generate(Entropy, "k1")).unwrap();
        // What a crash left behind is in nobody's way.
        std::fs::write(directory.path().join("key-ring.new"), "half a ri").unwrap();
        let ring = file.read().unwrap().unwrap().with_new(Entropy, "k2");
        file.write(&ring).unwrap();
        let read: Vec<_> = file.read().unwrap().unwrap().key_ids().map(ToString::to_string).collect();
        assert_eq!(read, ["k2", "k1"]);
        let mode = std::fs::metadata(file.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1, "nothing lies beside it");
    }

    #[test]
    fn a_file_that_cannot_be_used_is_named_and_not_quoted() {
        let directory = tempfile::tempdir().unwrap();
        let file = RingFile::new(directory.path().join("key-ring"));
        std::fs::write(file.path(), "k1:canary!").unwrap();
        let told = file.read().unwrap_err().to_string();
        assert!(told.contains("key-ring: key `k1`") && !told.contains("canary"), "{told}");
        let nowhere = RingFile::new(directory.path().join("missing/key-ring"));
        let told = nowhere.write(&KeyRing::generate(Entropy, "k1")).unwrap_err().to_string();
        assert!(told.contains("missing/key-ring cannot be used"), "{told}");
    }
}
