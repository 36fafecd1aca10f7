//! What a gateway's tools and prompts were and are: each version that was ever seen of them, and whether it is
//! served.

use crate::catalog::CatalogKind;
use crate::clock::Timestamp;
use serde::{Deserialize, Serialize};

/// What happens when a gateway offers a tool or prompt that was not there before, or describes one otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnChange {
    /// It is served at once.
    #[default]
    Allow,
    /// The last version that was agreed to is served until an administrator agrees.
    Hold,
}

/// One version of a tool or prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogVersion {
    pub kind: CatalogKind,
    pub name: String,
    /// SHA-256 of the item, with its members in order, in hex: what is agreed to is named by it.
    pub hash: String,
    /// The item as the upstream sent it.
    pub json: String,
    /// Whether it may be served while changes are held.
    pub approved: bool,
    /// It was there when the gateway was read for the first time.
    pub baseline: bool,
    pub first_seen_at: Timestamp,
}

/// The kinds whose versions are kept: what a model reads as an instruction.
pub const VERSIONED: [CatalogKind; 2] = [CatalogKind::Tool, CatalogKind::Prompt];
