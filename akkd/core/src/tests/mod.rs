//! The whole conversation: every row of the specification's tables, and properties that hold on every path.

mod answers;
mod hostile;
mod native;
mod permissions;
mod properties;
mod stories;
mod supervision;
