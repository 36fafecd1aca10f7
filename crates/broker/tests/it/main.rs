//! The use cases against a real database and a real authorization server on loopback.

mod authorize;
mod gateway;
mod people;
mod refresh;
mod world;
