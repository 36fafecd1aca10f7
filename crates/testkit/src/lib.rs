//! What tests share: real servers, ready clients, samples. Nothing of this is in the product.

pub mod postgres;
