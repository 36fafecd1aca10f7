//! REST, one file per subject.

mod gateways;
