//! From a name to its addresses.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

/// Who knows the addresses of a name.
#[derive(Debug, Clone, Default)]
pub enum Resolver {
    /// The operating system.
    #[default]
    System,
    /// A table in memory, for tests: other names do not exist.
    Fixed(FixedNames),
}

/// Names and addresses that a test sets, and changes between two connections.
#[derive(Debug, Clone, Default)]
pub struct FixedNames(Arc<Mutex<HashMap<String, Vec<IpAddr>>>>);

impl FixedNames {
    /// From now on the name has these addresses.
    pub fn set(&self, name: &str, addresses: &[IpAddr]) {
        self.table().insert(name.to_owned(), addresses.to_vec());
    }

    fn table(&self) -> std::sync::MutexGuard<'_, HashMap<String, Vec<IpAddr>>> {
        self.0.lock().expect("nothing panics while it holds the table")
    }
}

impl Resolver {
    /// Every address of a name, in the order in which they should be tried.
    pub(crate) async fn resolve(&self, name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        match self {
            Self::System => Ok(tokio::net::lookup_host((name, port)).await?.collect()),
            Self::Fixed(names) => {
                let addresses = names.table().get(name).cloned().unwrap_or_default();
                Ok(addresses.into_iter().map(|address| SocketAddr::new(address, port)).collect())
            }
        }
    }
}
