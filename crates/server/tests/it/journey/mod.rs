//! Whole journeys: real authorization servers, a real browser, official clients, and Doorward between them.

mod access;
mod callback;
mod canary;
mod client_metadata;
mod consent;
mod demo_command;
mod dpop;
mod exchange;
mod fuzz;
mod keys;
mod link;
mod official_clients;
mod own_token;
mod refresh;
mod refusals;
mod replicas;
mod repointing;
mod revoke;
mod rmcp_client;
mod templates;
mod tool_access;
mod virtual_server;
pub(crate) mod walk;
mod webhook;
