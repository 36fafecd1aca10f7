//! The server: settings, router, REST, pages, jobs and commands around the use cases of the broker.
//!
//! `commands` is what the binary runs; [`App`] is everything wired, for the commands and for tests.

mod api;
pub mod app;
mod checkpoints;
pub mod commands;
mod cookies;
mod csrf;
mod data_dir;
mod extract;
mod jobs;
mod key_ring;
pub mod listener;
mod metrics_listener;
mod provider_files;
mod reveal;
mod router;
pub mod settings;
mod state;
mod telemetry;
pub mod tls;
mod ui;
mod webhook;

pub use app::{App, StartError};
pub use settings::Settings;
