//! A scripted daemon.
