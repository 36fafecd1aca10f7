//! The data directory: for its owner alone, and for one process at a time.

use doorward_domain::Timestamp;
use doorward_vault::RingFile;
use std::fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

const LOCK: &str = "lock";
const DATABASE: &str = "doorward.db";
const DEMO_MARK: &str = "demo";
const CONTROL_SOCKET: &str = "control.sock";

/// An opened data directory. The lock ends with it.
#[derive(Debug)]
pub(crate) struct DataDir {
    path: PathBuf,
    _lock: File,
}

/// Why the data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    #[error("the data directory {} cannot be used: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error(
        "the data directory {} is used by another doorward: stop it first, or set another DOORWARD_DATA_DIR",
        path.display()
    )]
    Locked { path: PathBuf },
    #[error("{} is open to others (mode {mode:o}): run chmod {wanted:o} {}", path.display(), path.display())]
    TooOpen { path: PathBuf, mode: u32, wanted: u32 },
    #[error("the data directory {} holds a demo's data: set another DOORWARD_DATA_DIR, or run doorward demo", path.display())]
    Demo { path: PathBuf },
    #[error("the data directory {} holds no demo's data: doorward demo would mix with it, so give it a directory of its own", path.display())]
    NotDemo { path: PathBuf },
}

impl DataDir {
    /// Creates the directory where it is missing, checks the modes of what is in it, and locks it.
    pub(crate) fn open(path: &Path, demo: bool) -> Result<Self, DataDirError> {
        let failed = |source| DataDirError::Io { path: path.to_owned(), source };
        let created = !path.exists();
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
        check_mode(path, 0o700)?;
        let lock = private_file(&path.join(LOCK)).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(DataDirError::Locked { path: path.to_owned() }),
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        let directory = Self { path: path.to_owned(), _lock: lock };
        directory.check_modes()?;
        directory.check_mark(demo, created)?;
        Ok(directory)
    }

    /// Refuses a directory, or a file in it, that others may read.
    pub(crate) fn check_modes(&self) -> Result<(), DataDirError> {
        let failed = |source| DataDirError::Io { path: self.path.clone(), source };
        check_mode(&self.path, 0o700)?;
        for entry in std::fs::read_dir(&self.path).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let kind = entry.file_type().map_err(failed)?;
            if kind.is_file() || kind.is_socket() {
                check_mode(&entry.path(), 0o600)?;
            }
        }
        Ok(())
    }

    /// A file of the directory.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// A new file for the owner alone; one that is there is not written over.
    pub(crate) fn new_private_file(path: &Path) -> io::Result<File> {
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
    }

    /// Puts a closed database in the place of the one there is, which is kept under another name; that name.
    pub(crate) fn exchange_database(
        &self,
        ready: &Path,
        now: Timestamp,
    ) -> Result<Option<PathBuf>, DataDirError> {
        let database = self.database();
        let aside = self.path.join(format!("{DATABASE}.before-restore-{}", now.millis()));
        let exchange = || {
            // SQLite finds what it had not yet put into the file itself by name, so it moves along.
            for part in ["-wal", "-shm", ""] {
                match std::fs::rename(with_suffix(&database, part), with_suffix(&aside, part)) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    Ok(()) | Err(_) => {}
                }
            }
            std::fs::rename(ready, &database)?;
            File::open(&self.path)?.sync_all()
        };
        exchange().map_err(|source| DataDirError::Io { path: database.clone(), source })?;
        Ok(aside.exists().then_some(aside))
    }

    /// The SQLite file.
    pub(crate) fn database(&self) -> PathBuf {
        self.path.join(DATABASE)
    }

    /// Where the server that uses the directory takes commands.
    pub(crate) fn control_socket(&self) -> PathBuf {
        Self::control_socket_of(&self.path)
    }

    /// The same, of a directory that another process uses.
    pub(crate) fn control_socket_of(path: &Path) -> PathBuf {
        path.join(CONTROL_SOCKET)
    }

    /// Listens at the control socket. The lock is held, so a socket that is there was left behind by a dead
    /// process.
    pub(crate) fn bind_control_socket(&self) -> Result<UnixListener, DataDirError> {
        let path = self.control_socket();
        let bind = || {
            if path.exists() {
                std::fs::remove_file(&path)?;
            }
            // Nobody else can reach it meanwhile: the directory is its owner's.
            let listener = UnixListener::bind(&path)?;
            std::fs::set_permissions(&path, Permissions::from_mode(0o600))?;
            listener.set_nonblocking(true)?;
            Ok(listener)
        };
        bind().map_err(|source| DataDirError::Io { path: path.clone(), source })
    }

    /// The generated key ring.
    pub(crate) fn ring_file(&self) -> RingFile {
        RingFile::new(self.path.join("key-ring"))
    }

    /// A small text file of the directory; none where it is missing.
    pub(crate) fn read(&self, name: &str) -> Result<Option<String>, DataDirError> {
        let path = self.path.join(name);
        let mut text = String::new();
        match File::open(&path).and_then(|mut file| file.read_to_string(&mut text)) {
            Ok(_) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(DataDirError::Io { path, source }),
        }
    }

    /// Writes a new file, for the owner alone, and makes sure that it is on the disk.
    pub(crate) fn write_new(&self, name: &str, text: &str) -> Result<(), DataDirError> {
        let path = self.path.join(name);
        let write = || {
            let mut file = Self::new_private_file(&path)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            File::open(&self.path)?.sync_all()
        };
        write().map_err(|source| DataDirError::Io { path: path.clone(), source })
    }

    /// A demo's data has passwords that were printed on a terminal; nothing real is to grow on it.
    fn check_mark(&self, demo: bool, created: bool) -> Result<(), DataDirError> {
        let marked = self.read(DEMO_MARK)?.is_some();
        let path = self.path.clone();
        match (demo, marked) {
            (false, true) => Err(DataDirError::Demo { path }),
            (true, false) if created || !self.database().exists() => self.write_new(
                DEMO_MARK,
                "This directory belongs to doorward demo. doorward serve refuses it.\n",
            ),
            (true, false) => Err(DataDirError::NotDemo { path }),
            (true, true) | (false, false) => Ok(()),
        }
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

fn private_file(path: &Path) -> io::Result<File> {
    let file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    // A umask can only have taken bits away, but an old file may be wider than it should be.
    file.set_permissions(Permissions::from_mode(0o600))?;
    Ok(file)
}

fn check_mode(path: &Path, wanted: u32) -> Result<(), DataDirError> {
    let metadata =
        std::fs::metadata(path).map_err(|source| DataDirError::Io { path: path.to_owned(), source })?;
    let mode = metadata.mode() & 0o777;
    if mode & 0o077 == 0 {
        Ok(())
    } else {
        Err(DataDirError::TooOpen { path: path.to_owned(), mode, wanted })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> (tempfile::TempDir, PathBuf) {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("data");
        (parent, path)
    }

    #[test]
    fn a_new_directory_is_for_its_owner_alone_and_for_one_process() {
        let (_parent, path) = place();
        let first = DataDir::open(&path, false).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o700);
        let second = DataDir::open(&path, false).unwrap_err();
        assert!(second.to_string().contains("is used by another doorward"), "{second}");
        drop(first);
        assert!(DataDir::open(&path, false).is_ok());
    }

    #[test]
    fn a_directory_or_file_that_is_open_to_others_is_refused() {
        let (_parent, path) = place();
        let directory = DataDir::open(&path, false).unwrap();
        directory.write_new("key-ring", "secret").unwrap();
        assert_eq!(directory.read("key-ring").unwrap().as_deref(), Some("secret"));
        assert!(directory.write_new("key-ring", "again").is_err(), "what is there is not overwritten");
        drop(directory);
        std::fs::set_permissions(path.join("key-ring"), Permissions::from_mode(0o644)).unwrap();
        let told = DataDir::open(&path, false).unwrap_err().to_string();
        assert!(told.contains("mode 644") && told.contains("chmod 600"), "{told}");
        std::fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        assert!(DataDir::open(&path, false).unwrap_err().to_string().contains("chmod 700"));
    }

    #[test]
    fn the_control_socket_is_for_its_owner_and_replaces_that_of_a_dead_process() {
        let (_parent, path) = place();
        let directory = DataDir::open(&path, false).unwrap();
        drop(directory.bind_control_socket().unwrap());
        assert!(directory.control_socket().exists(), "a listener that ends leaves its file behind");
        let again = directory.bind_control_socket().unwrap();
        assert_eq!(std::fs::metadata(directory.control_socket()).unwrap().mode() & 0o777, 0o600);
        drop((again, directory));
        std::fs::set_permissions(path.join(CONTROL_SOCKET), Permissions::from_mode(0o666)).unwrap();
        let told = DataDir::open(&path, false).unwrap_err().to_string();
        assert!(told.contains("control.sock is open to others"), "{told}");
    }

    #[test]
    fn demo_data_and_real_data_stay_apart() {
        let (_parent, path) = place();
        drop(DataDir::open(&path, true).unwrap());
        assert!(matches!(DataDir::open(&path, false), Err(DataDirError::Demo { .. })));
        drop(DataDir::open(&path, true).unwrap());
        let (_parent, path) = place();
        let real = DataDir::open(&path, false).unwrap();
        std::fs::write(real.database(), "").unwrap();
        std::fs::set_permissions(real.database(), Permissions::from_mode(0o600)).unwrap();
        drop(real);
        assert!(matches!(DataDir::open(&path, true), Err(DataDirError::NotDemo { .. })));
    }

    #[test]
    fn a_place_that_cannot_be_a_directory_is_named() {
        let (_parent, path) = place();
        std::fs::write(&path, "a file").unwrap();
        let told = DataDir::open(&path, false).unwrap_err().to_string();
        assert!(told.contains("data") && told.contains("cannot be used"), "{told}");
    }
}
