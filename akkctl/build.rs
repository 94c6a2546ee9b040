//! Embeds the OpenClaw plugin: every file of `packaging/openclaw-plugin` that an installation needs, so that a new file
//! there is never forgotten here.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// What a checkout has and an installation does not need.
const LEFT_OUT: [&str; 2] = ["test", "node_modules"];

fn main() -> io::Result<()> {
    let from = |name| env::var_os(name).map(PathBuf::from).ok_or_else(|| io::Error::other(name));
    let plugin = from("CARGO_MANIFEST_DIR")?.join("../packaging/openclaw-plugin").canonicalize()?;
    let mut files = Vec::new();
    collect(&plugin, &mut files)?;
    files.sort();
    let mut list = String::from("&[\n");
    for file in files {
        let name = file.strip_prefix(&plugin).map_err(io::Error::other)?;
        let _ = writeln!(list, "    ({:?}, include_str!({:?})),", name.to_string_lossy(), file.to_string_lossy());
    }
    list.push_str("]\n");
    fs::write(from("OUT_DIR")?.join("plugin_files.rs"), list)
}

/// The files below `folder`; cargo is told of every folder on the way, so that a new file is noticed.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    println!("cargo::rerun-if-changed={}", folder.display());
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with('.') || LEFT_OUT.contains(&name.as_ref()) {
            continue;
        }
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), files)?;
        } else {
            files.push(entry.path());
        }
    }
    Ok(())
}
