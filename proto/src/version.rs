//! The protocol's version and the name of this build.

/// Version of the JSON-RPC protocol: raised when a client of the former one would misread an answer.
pub const PROTOCOL: u32 = 1;

/// Version of the package.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
