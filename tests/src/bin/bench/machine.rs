//! Where this is measured.

use crate::sample::Sample;
use crate::scene::Scene;
use crate::table::{Bar, Table, Unit, mb, ms};
use akk_tests::binaries::binaries;
use std::fs::File;
use std::io::Write as _;

/// Cores, kernel, build profile, and how busy the machine is.
pub(crate) fn line() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = std::process::Command::new("uname").args(["-srm"]).output();
    let kernel = kernel.map(|o| String::from_utf8_lossy(&o.stdout).trim().to_owned()).unwrap_or_default();
    let folder = binaries().akkd.parent().and_then(|p| p.file_name()).unwrap_or_default();
    format!("{cores} cores, {kernel}, build profile {}. {}", folder.display(), load())
}

/// How busy the machine is, as far as it tells.
pub(crate) fn load() -> String {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    match load.split_whitespace().next() {
        Some(load) => format!("Load average {load}."),
        None => "Load average unknown.".to_owned(),
    }
}

/// What is installed, and what the disk takes for the thing that every durable answer waits for.
pub(crate) fn sizes(scene: &mut Scene, table: &mut Table) {
    for (name, path) in [("akkd", &binaries().akkd), ("akkctl", &binaries().akkctl)] {
        let bytes = path.metadata().expect("the programs are built").len();
        table.row(&format!("size of `{name}`"), Bar::None, Unit::Megabytes, mb(bytes), "");
    }
    let path = scene.folder("disk").join("page");
    let mut file = File::create(&path).expect("the folder takes a file");
    let synced = Sample::best_of(scene.often(200), || {
        file.write_all(&[7; 4096]).expect("the file takes bytes");
        file.sync_data().expect("the disk keeps them");
    });
    let note = format!("p99 {:.2} ms", ms(synced.p99()));
    table.row("the disk: write 4 KiB and sync, p50", Bar::None, Unit::Milliseconds, ms(synced.p50()), &note);
}
