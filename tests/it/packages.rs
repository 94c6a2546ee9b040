//! What `packaging/build` makes is installed where nothing of ours was before, used there, and removed.
//!
//! The programs in the packages are those under test: a release build takes minutes and would prove nothing more here.

use akk_tests::binaries::{binaries, repository};
use akk_tests::peers::note_left_out;
use akk_tests::{Home, processes};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// What is packaged has no other version.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// A user's first minutes with what was installed: the demo, a task, a look, the end.
const FIRST_MINUTES: &str = r#"
    akkctl demo
    cd "$HOME"
    akkctl delegate --agent demo --wait "say hello from a package"
    akkctl list
    akkctl doctor
    akkctl daemon stop
"#;

/// Runs a command of the machine that must succeed, with nothing but `PATH` in its environment and what it was given.
fn succeeds(command: &mut Command) -> String {
    let name = format!("{command:?}");
    let output = output(command);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{name}:\n{said}\n{}", String::from_utf8_lossy(&output.stderr));
    said
}

fn output(command: &mut Command) -> Output {
    let name = format!("{command:?}");
    command.output().unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// Whether the machine has this program, and it does this.
fn can(program: &str, words: &[&str]) -> bool {
    Command::new(program).args(words).output().is_ok_and(|o| o.status.success())
}

/// The package of this kind, made in `folder` of the programs in `programs`.
fn built(kind: &str, programs: &Path, folder: &Path) -> PathBuf {
    let mut build = Command::new(repository().join("packaging/build"));
    build.args(["--quick", "--only", kind, "--out"]).arg(folder).arg("--bin-dir").arg(programs);
    build.env("SOURCE_DATE_EPOCH", "1750000000").env("TMPDIR", folder).env_remove("DEBEMAIL").env_remove("DEBFULLNAME");
    PathBuf::from(succeeds(&mut build).trim_end())
}

fn under_test() -> &'static Path {
    binaries().akkctl.parent().unwrap()
}

/// Everything below a folder, as paths from there.
fn everything(root: &Path) -> BTreeSet<String> {
    fn collect(folder: &Path, root: &Path, found: &mut BTreeSet<String>) {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            found.insert(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned());
            if entry.file_type().unwrap().is_dir() {
                collect(&path, root, found);
            }
        }
    }
    let mut found = BTreeSet::new();
    collect(root, root, &mut found);
    found
}

fn assert_first_minutes(said: &str) {
    for part in ["The agent asks", "hello from a package", "demo", "Everything that was looked at works", "stopped"] {
        assert!(said.contains(part), "{part:?} is missing in:\n{said}");
    }
}

/// A unit that a package brings says what `akkctl daemon install` would say, but for what that takes from the shell.
fn assert_units(folder: &Path, program: &str) {
    let templates = repository().join("packaging/systemd");
    let read = |folder: &Path, name: &str| fs::read_to_string(folder.join(name)).unwrap();
    let lines = |text: String| -> Vec<String> {
        text.lines().filter(|l| !l.starts_with('#') && !l.is_empty()).map(str::to_owned).collect()
    };
    for name in everything(&templates) {
        let expected = read(&templates, &name).replace("@AKKD@", program).replace("Environment=@PATH@\n", "");
        assert_eq!(lines(read(folder, &name)), lines(expected), "{name}");
    }
    assert_eq!(everything(folder), everything(&templates));
}

/// A small root with the libraries that the programs need, and with what dpkg has to know of them.
struct Root(PathBuf);

impl Root {
    /// # Panics
    /// Where a library or a stanza is missing.
    fn new(folder: &Path) -> Self {
        let root = Self(folder.join("root"));
        for folder in ["usr/bin", "bin", "tmp", "dev", "proc", "etc", "home/new", "var/lib/dpkg/info"] {
            fs::create_dir_all(root.0.join(folder)).unwrap();
        }
        for folder in ["var/lib/dpkg/updates", "var/lib/dpkg/triggers"] {
            fs::create_dir_all(root.0.join(folder)).unwrap();
        }
        let shell = fs::canonicalize("/bin/sh").unwrap();
        fs::copy(&shell, root.0.join("bin/sh")).unwrap();
        for program in [&binaries().akkd, &binaries().akkctl, &shell] {
            let needed = succeeds(Command::new("ldd").arg(program));
            for library in needed.split_whitespace().filter(|word| word.starts_with('/')) {
                let to = root.0.join(library.trim_start_matches('/'));
                fs::create_dir_all(to.parent().unwrap()).unwrap();
                fs::copy(library, to).unwrap();
            }
        }
        let known = succeeds(Command::new("dpkg-query").args(["-s", "libc6", "libgcc-s1"]));
        fs::write(root.0.join("var/lib/dpkg/status"), known).unwrap();
        root
    }

    /// dpkg on this root, as a root that has power over it alone.
    fn dpkg(&self, words: &[&str]) -> String {
        let mut dpkg = Command::new("unshare");
        dpkg.args(["--user", "--map-root-user", "dpkg", "--root"])
            .arg(&self.0)
            .arg("--log")
            .arg(self.0.join("tmp/log"));
        succeeds(dpkg.args(words).env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"))
    }

    /// Runs a script in it with an empty environment; no process is left of it afterwards.
    fn run(&self, script: &str) -> String {
        let enter = "mount -t proc proc \"$0/proc\" && mount --rbind /dev \"$0/dev\" && \
                     exec env -i HOME=/home/new PATH=/usr/bin:/bin \"$(command -v chroot)\" \"$0\" /bin/sh -ec \"$1\"";
        let mut run = Command::new("unshare");
        run.args(["--user", "--map-root-user", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", enter]);
        succeeds(run.arg(&self.0).arg(script).env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"))
    }
}

#[test]
fn the_debian_package_is_installed_into_an_empty_root_used_and_removed() {
    let story = "the Debian package";
    if !["dpkg-deb", "dpkg-shlibdeps", "dpkg-gencontrol"].iter().all(|tool| can(tool, &["--version"])) {
        return note_left_out(story, "there is no dpkg-dev");
    }
    let home = Home::new();
    let deb = built("deb", under_test(), home.root());
    let field = |name: &str| succeeds(Command::new("dpkg-deb").arg("-f").arg(&deb).arg(name)).trim_end().to_owned();
    assert_eq!((field("Package"), field("Version")), ("akk".to_owned(), format!("{VERSION}-1")));
    assert!(field("Depends").starts_with("libc6 (>= 2."), "{}", field("Depends"));
    assert!(field("Maintainer").contains('@') && !field("Installed-Size").is_empty());

    // Modes, owners and names. No maintainer script runs as root, and nothing is a file of configuration.
    let listed = succeeds(Command::new("dpkg-deb").arg("-c").arg(&deb));
    let mut modes = BTreeMap::new();
    for line in listed.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        assert_eq!((words[1], words[3]), ("root/root", "2025-06-15"), "{line}");
        modes.insert(words[5].trim_start_matches("./").to_owned(), words[0].to_owned());
    }
    for (path, mode) in &modes {
        let expected = if path.is_empty() || path.ends_with('/') {
            "drwxr-xr-x"
        } else if path.starts_with("usr/bin/") || path.contains("/examples/") {
            "-rwxr-xr-x"
        } else {
            "-rw-r--r--"
        };
        assert_eq!(mode, expected, "{path}");
    }
    for path in [
        "usr/bin/akkd",
        "usr/bin/akkctl",
        "usr/lib/systemd/user/akkd.service",
        "usr/share/bash-completion/completions/akkctl",
        "usr/share/zsh/vendor-completions/_akkctl",
        "usr/share/fish/vendor_completions.d/akkctl.fish",
        "usr/share/man/man1/akkd.1.gz",
        "usr/share/man/man1/akkctl-delegate.1.gz",
        "usr/share/doc/akk/copyright",
        "usr/share/doc/akk/changelog.gz",
        "usr/share/doc/akk/changelog.Debian.gz",
        "usr/share/doc/akk/third-party-licences.txt.gz",
    ] {
        assert!(modes.contains_key(path), "{path} is missing in:\n{listed}");
    }
    let parts = home.root().join("parts");
    succeeds(Command::new("dpkg-deb").arg("-R").arg(&deb).arg(&parts));
    assert_eq!(everything(&parts.join("DEBIAN")), ["control", "md5sums"].map(str::to_owned).into());
    assert_units(&parts.join("usr/lib/systemd/user"), "/usr/bin/akkd");

    if !can(
        "unshare",
        &["--user", "--map-root-user", "--mount", "--pid", "--fork", "mount", "-t", "proc", "proc", "/proc"],
    ) {
        return note_left_out(story, "this machine lets nobody have a root of their own: built and looked at only");
    }
    let root = Root::new(home.root());
    let before = everything(&root.0);
    let deb = deb.to_str().unwrap();
    root.dpkg(&["--install", deb]);
    assert!(root.dpkg(&["--status", "akk"]).contains("Status: install ok installed"));
    assert_first_minutes(&root.run(&format!("exec 2>&1\nset +e\n{FIRST_MINUTES}")));
    // Over itself, as an upgrade does.
    root.dpkg(&["--install", deb]);
    root.dpkg(&["--purge", "akk"]);
    let ours = |path: &String| !path.starts_with("home/new") && !path.starts_with("tmp") && !path.contains("lib/dpkg");
    let left: Vec<_> = everything(&root.0).difference(&before).filter(|p| ours(p)).cloned().collect();
    assert_eq!(left, Vec::<String>::new());
}

/// The folder that a tarball was unpacked to, and the environment of somebody who has just unpacked it.
struct Newcomer {
    home: Home,
    unpacked: PathBuf,
}

impl Newcomer {
    /// With a tarball of the programs in this folder.
    fn new(home: Home, programs: &Path) -> Self {
        let tarball = built("tarball", programs, home.root());
        succeeds(Command::new("tar").arg("-C").arg(home.root()).arg("-xzf").arg(&tarball));
        let name = tarball.file_name().unwrap().to_str().unwrap().strip_suffix(".tar.gz").unwrap().to_owned();
        fs::remove_file(&tarball).unwrap();
        Self { unpacked: home.root().join(name), home }
    }

    /// A shell's command with next to nothing in its environment.
    fn shell(&self, script: &str) -> Command {
        let user = self.home.user();
        let mut shell = Command::new("/bin/sh");
        shell.arg("-c").arg(script).current_dir(&user).env_clear().env("HOME", &user);
        shell.env("PATH", format!("{}:/usr/bin:/bin", user.join(".local/bin").display()));
        shell.env("TMPDIR", self.home.temporary());
        shell
    }
}

#[test]
fn the_tarball_is_installed_below_a_fresh_home_used_and_removed() {
    let new = Newcomer::new(Home::new(), under_test());
    let install = new.unpacked.join("install.sh");
    let user = new.home.user();
    let prefix = user.join(".local");
    let said = succeeds(&mut new.shell(&format!("exec {}", install.display())));
    assert!(said.contains(&format!("akkctl {VERSION} is installed")) && said.contains("akkctl demo"), "{said}");
    assert!(!said.contains("Your PATH"), "it is there: {said}");
    let files = everything(&prefix);
    for file in ["bin/akkd", "share/man/man1/akkctl.1", "share/zsh/site-functions/_akkctl", "share/akk/uninstall"] {
        assert!(files.contains(file), "{file} in {files:?}");
    }
    if cfg!(target_os = "linux") {
        let units = prefix.join("share/systemd/user");
        assert_units(&units, prefix.join("bin/akkd").to_str().unwrap());
        verify_units(&units, &new);
    }

    let output = output(&mut new.shell(&format!("exec 2>&1\n{FIRST_MINUTES}")));
    assert_first_minutes(&String::from_utf8_lossy(&output.stdout));
    assert_eq!(processes::of(new.home.root()), []);

    // An upgrade: what the older version had and this one has not goes; a file of the user's stays.
    let (gone, kept) = (prefix.join("share/akk/of-the-older-one"), prefix.join("bin/of-the-user"));
    fs::write(&gone, "").unwrap();
    fs::write(&kept, "").unwrap();
    let manifest = prefix.join("share/akk/manifest");
    let older = format!("{}{}\n", fs::read_to_string(&manifest).unwrap(), gone.display());
    fs::write(&manifest, older).unwrap();
    let said = succeeds(&mut new.shell(&format!("exec {}", install.display())));
    assert!(said.contains("took the place") && !gone.exists(), "{said}");

    let said = succeeds(&mut new.shell("exec ~/.local/share/akk/uninstall"));
    assert!(said.contains("Kept") && said.contains(".local/state/akk"), "{said}");
    let left: Vec<_> = everything(&user).into_iter().filter(|p| !p.starts_with(".local/state")).collect();
    assert_eq!(left, [".local", ".local/bin", ".local/bin/of-the-user"]);
}

#[test]
fn a_prefix_of_ones_own_is_left_as_it_was() {
    let home = Home::new();
    let programs = home.root().join("programs");
    small_programs(&programs);
    let new = Newcomer::new(home, &programs);
    let (install, prefix) = (new.unpacked.join("install.sh"), new.home.root().join("a b/50%"));
    let said = succeeds(&mut new.shell(&format!("exec {} --prefix '{}'", install.display(), prefix.display())));
    assert!(said.contains("Your PATH does not have it yet"), "{said}");
    let akkctl = prefix.join("bin/akkctl");
    assert_eq!(succeeds(Command::new(&akkctl).arg("--version")), format!("akkctl {VERSION}\n"));
    assert!(!prefix.join("share/systemd").exists(), "no unit with a path that it cannot hold");
    succeeds(new.shell("exec \"$0\"").arg(prefix.join("share/akk/uninstall")));
    assert!(!prefix.parent().unwrap().exists());

    let closed = new.home.root().join("closed");
    fs::write(&closed, "").unwrap();
    let refused = output(&mut new.shell(&format!("exec {} --prefix {}/x", install.display(), closed.display())));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("choose another one with --prefix"), "{said}");
}

/// Verified by systemd itself, which looks whether the program is there too.
fn verify_units(units: &Path, new: &Newcomer) {
    if !can("systemd-analyze", &["--version"]) {
        return note_left_out("the units of the tarball", "there is no systemd-analyze");
    }
    let mut verify = new.shell("exec systemd-analyze verify --user \"$0\"/*");
    let output = output(verify.arg(units).env("XDG_RUNTIME_DIR", new.home.temporary()));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !said.contains("akkd"), "{said}");
}

/// Small programs that run those under test, so that a package is made in a moment.
fn small_programs(folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    for program in [&binaries().akkd, &binaries().akkctl] {
        let path = folder.join(program.file_name().unwrap());
        fs::write(&path, format!("#!/bin/sh\nexec '{}' \"$@\"\n", program.display())).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    }
}

#[test]
fn the_same_source_gives_the_same_bytes() {
    let home = Home::new();
    let programs = home.root().join("programs");
    small_programs(&programs);
    let [one, other] = ["one", "other"].map(|folder| {
        let folder = home.root().join(folder);
        fs::create_dir(&folder).unwrap();
        fs::read(built("tarball", &programs, &folder)).unwrap()
    });
    assert!(one == other, "{} and {} bytes", one.len(), other.len());
    // Another version's programs are not packaged as this one.
    fs::write(programs.join("akkd"), "#!/bin/sh\necho akkd 0.0.1\n").unwrap();
    let mut build = Command::new(repository().join("packaging/build"));
    let refused = output(build.arg("--bin-dir").arg(&programs).arg("--out").arg(home.root()));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("is akkd 0.0.1, and the source is"), "{said}");
}

#[test]
fn every_manual_page_can_be_read() {
    let home = Home::new();
    let pages = home.root().join("man");
    let akkctl = &binaries().akkctl;
    succeeds(Command::new(akkctl).arg("man").arg(&pages));
    fs::write(pages.join("akkd.1"), succeeds(Command::new(&binaries().akkd).arg("--man"))).unwrap();
    let files: Vec<PathBuf> = everything(&pages).iter().map(|name| pages.join(name)).collect();
    assert!(files.len() > 30, "{files:?}");
    let mut reader = if can("groff", &["--version"]) {
        let mut groff = Command::new("groff");
        groff.args(["-man", "-Kutf8", "-Tutf8", "-ww", "-P-cbou"]);
        groff
    } else if can("mandoc", &["-Tlint", "/dev/null"]) {
        let mut mandoc = Command::new("mandoc");
        mandoc.args(["-Tutf8", "-Werror,stop"]);
        mandoc
    } else {
        return note_left_out("the manual pages", "there is neither groff nor mandoc");
    };
    let output = output(reader.args(&files));
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && complaints.is_empty(), "{complaints}");
    let read = String::from_utf8_lossy(&output.stdout);
    let words = read.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in ["akkctl-delegate", "akkd - The daemon", "AKK_HOME", "Exit codes", "akkctl send [OPTIONS]", "SEE ALSO"]
    {
        assert!(words.contains(part), "{part}");
    }
    // Each page that a page refers to is there.
    let names: BTreeSet<String> = files.iter().map(|f| f.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    for word in read.split(|c: char| c.is_whitespace() || c == ',') {
        let Some(name) = word.strip_suffix("(1)") else { continue };
        assert!(names.contains(&name.to_lowercase()), "{word} leads nowhere");
    }
}

#[test]
fn shells_take_the_completions_that_exist_for_them() {
    let home = Home::new();
    let script = |shell: &str| {
        let file = home.root().join(shell);
        fs::write(&file, succeeds(Command::new(&binaries().akkctl).args(["completions", shell]))).unwrap();
        file
    };
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(fs::read_to_string(script(shell)).unwrap().contains("delegate"), "{shell}");
    }
    let mut tried = 0;
    for (shell, complete) in [
        (
            "bash",
            ". \"$0\"; COMP_WORDS=(akkctl deli); COMP_CWORD=1; _akkctl akkctl deli akkctl; echo \"${COMPREPLY[@]}\"",
        ),
        ("zsh", "autoload -U compinit; compinit -D -u; . \"$0\"; whence -w _akkctl; echo deliveries"),
        ("fish", "source $argv[1]; complete -C 'akkctl deli'"),
    ] {
        let file = script(shell);
        if can(shell, &["-c", "true"]) {
            tried += 1;
            let said = succeeds(Command::new(shell).arg("-c").arg(complete).arg(&file).env("HOME", home.user()));
            assert!(said.contains("deliveries"), "{shell}: {said}");
        }
    }
    if tried == 0 {
        note_left_out("completions", "there is neither bash nor zsh nor fish");
    }
}
