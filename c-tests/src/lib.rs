//! Compiles, links and runs C programs against the library that cargo has just built.
//!
//! `$CC` and `$CXX` name the compilers (`cc` and `c++` by default). Every program is compiled with warnings as errors
//! and must exit with 0 within a minute.

use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use std::{env, io};

use tempfile::TempDir;

/// The longest that a program may run.
const TIME_LIMIT: Duration = Duration::from_secs(60);

/// The package's folder.
pub fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The folder to include the header from.
pub fn include() -> PathBuf {
    here().join("../include")
}

/// The libraries under test.
pub struct Library {
    /// libaqueduct.so
    pub shared: PathBuf,
    /// libaqueduct.a
    pub archive: PathBuf,
    /// A folder with libaqueduct.so and the name that its SONAME asks for.
    pub folder: PathBuf,
}

/// The libraries of the target folder that this test runs from, whatever the profile.
pub fn library() -> &'static Library {
    static LIBRARY: OnceLock<Library> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let test = env::current_exe().expect("the test's own path is known");
        // target/PROFILE/deps, where cargo builds dependencies, then target/PROFILE, where it puts results.
        let folders: Vec<&Path> = test.ancestors().skip(1).take(2).collect();
        let find = |name: &str| {
            let found = folders.iter().map(|folder| folder.join(name)).find(|path| path.exists());
            found.unwrap_or_else(|| panic!("no {name} in {folders:?}: build it with `cargo build`"))
        };
        let (shared, archive) = (find("libaqueduct.so"), find("libaqueduct.a"));
        // One folder for all test processes of this target folder; left there, as cargo leaves what it builds.
        let folder = folders[0].join("aqueduct-c-tests");
        fs::create_dir_all(&folder).expect("the target folder is writable");
        for name in ["libaqueduct.so", "libaqueduct.so.0"] {
            match symlink(&shared, folder.join(name)) {
                Err(e) if e.kind() != io::ErrorKind::AlreadyExists => panic!("{name}: {e}"),
                _ => {}
            }
        }
        Library { shared, archive, folder }
    })
}

/// What a source is compiled as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standard {
    /// ISO C99
    C99,
    /// ISO C11
    C11,
    /// ISO C17
    C17,
    /// ISO C++17
    Cxx17,
}

/// How a program gets at the library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// libaqueduct.so
    Shared,
    /// libaqueduct.a and the libraries of link/native-static-libs.txt
    Static,
    /// not at all: it uses dlopen
    No,
}

/// A C program to compile and run.
pub struct Program {
    sources: Vec<PathBuf>,
    standard: Standard,
    link: Link,
    sanitized: bool,
    arguments: Vec<OsString>,
}

impl Program {
    /// The program of one source file, relative to the package; C11, linked to the shared library.
    pub fn new(source: &str) -> Self {
        Self {
            sources: vec![here().join(source)],
            standard: Standard::C11,
            link: Link::Shared,
            sanitized: false,
            arguments: Vec::new(),
        }
    }

    /// One more source file.
    pub fn source(mut self, source: &str) -> Self {
        self.sources.push(here().join(source));
        self
    }

    /// Compiles as `standard`.
    pub fn standard(mut self, standard: Standard) -> Self {
        self.standard = standard;
        self
    }

    /// Links in this way.
    pub fn link(mut self, link: Link) -> Self {
        self.link = link;
        self
    }

    /// Compiles with AddressSanitizer (with its leak check) and UndefinedBehaviorSanitizer.
    pub fn sanitized(mut self) -> Self {
        self.sanitized = true;
        self
    }

    /// Runs with one more argument.
    pub fn argument(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Compiles, links and runs; panics with what the compiler or the program said unless it exits with 0.
    pub fn run(self) {
        if self.sanitized && !sanitized_runs() {
            // Directly, because the test harness hides what a passing test prints.
            let _ = io::Write::write_all(
                &mut io::stderr(),
                format!("not run with sanitizers, the compiler has none: {}\n", self.sources[0].display())
                    .as_bytes(),
            );
            return;
        }
        let folder = TempDir::new().expect("a temporary folder");
        let program = self.build(folder.path());
        run(Command::new(program).args(&self.arguments), folder.path());
    }

    /// Compiles and links; the program that this leaves in `folder`.
    pub fn build(&self, folder: &Path) -> PathBuf {
        let output = folder.join("program");
        let mut command = compiler(self.standard);
        command.args(&self.sources).arg("-o").arg(&output).args(["-x", "none", "-pthread"]);
        if self.sanitized {
            command.args(SANITIZE);
        }
        let library = library();
        match self.link {
            Link::Shared => {
                let mut rpath = OsString::from("-Wl,-rpath,");
                rpath.push(&library.folder);
                command.arg("-L").arg(&library.folder).args(["-laqueduct", "-lm"]).arg(rpath);
            }
            Link::Static => {
                command.arg(&library.archive).args(native_static_libs());
            }
            Link::No => {
                command.arg("-ldl");
            }
        }
        check(&mut command);
        output
    }
}

/// The python of an environment with the peers of live tests; `None`, after a message, only where pip is not available.
pub fn peer() -> Option<PathBuf> {
    let exe = env::current_exe().expect("the test's own path is known");
    // target/PROFILE/deps/live-...
    let target = exe.ancestors().nth(3).expect("cargo's layout");
    let output = Command::new(here().join("../tools/peer-venv.sh"))
        .env("CARGO_TARGET_DIR", target)
        .stderr(Stdio::inherit())
        .output()
        .expect("tools/peer-venv.sh runs");
    match output.status.code() {
        Some(0) => Some(PathBuf::from(String::from_utf8(output.stdout).expect("a path").trim())),
        Some(3) => {
            // Directly, because the test harness hides what a passing test prints.
            let message = "SKIPPED live test: pip or its registry is not available\n";
            let _ = io::Write::write_all(&mut io::stderr(), message.as_bytes());
            None
        }
        _ => panic!("tools/peer-venv.sh: {}", output.status),
    }
}

/// Whether programs can be run with sanitizers; panics if they cannot and `AQ_REQUIRE_SANITIZERS=1`.
pub fn sanitized_runs() -> bool {
    let refuse = env::var_os("AQ_REQUIRE_SANITIZERS").is_some_and(|value| value == "1");
    let works = sanitizers_work();
    assert!(works || !refuse, "AQ_REQUIRE_SANITIZERS=1, but the compiler's sanitizers do not work here");
    works
}

/// Has a sanitized program report leaks, and answer NULL to absurd sizes as it would without sanitizers.
pub fn set_sanitizer_options(command: &mut Command) -> &mut Command {
    command
        .env("ASAN_OPTIONS", "detect_leaks=1:abort_on_error=0:allocator_may_return_null=1")
        .env("UBSAN_OPTIONS", "print_stacktrace=1")
}

/// The compiler with the flags of every test program; sources that follow are in the standard's language.
pub fn compiler(standard: Standard) -> Command {
    let (variable, default, language, standard) = match standard {
        Standard::C99 => ("CC", "cc", "c", "-std=c99"),
        Standard::C11 => ("CC", "cc", "c", "-std=c11"),
        Standard::C17 => ("CC", "cc", "c", "-std=c17"),
        Standard::Cxx17 => ("CXX", "c++", "c++", "-std=c++17"),
    };
    let name = env::var(variable).unwrap_or_else(|_| default.into());
    let mut words = name.split_whitespace();
    let mut command = Command::new(words.next().unwrap_or(default));
    command.args(words).args([standard, "-g", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]);
    // POSIX beside ISO: poll, pthread.
    command
        .args(["-D_POSIX_C_SOURCE=200809L", "-I"])
        .arg(include())
        .arg("-I")
        .arg(here())
        .args(["-x", language]);
    command
}

/// Runs a tool; panics with what it said unless it succeeds, else answers its standard output.
pub fn check(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{out}{err}", output.status);
    out.into_owned()
}

const SANITIZE: &[&str] =
    &["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer"];

/// Whether the compiler has the sanitizers and their programs run here.
fn sanitizers_work() -> bool {
    static WORK: OnceLock<bool> = OnceLock::new();
    *WORK.get_or_init(|| {
        let folder = TempDir::new().expect("a temporary folder");
        let (source, program) = (folder.path().join("probe.c"), folder.path().join("probe"));
        fs::write(&source, "int main(void) { return 0; }\n").expect("a temporary folder is writable");
        let mut command = compiler(Standard::C11);
        let compiled = command.arg(source).arg("-o").arg(&program).args(SANITIZE).output();
        compiled.is_ok_and(|output| output.status.success())
            && Command::new(program).output().is_ok_and(|output| output.status.success())
    })
}

/// The libraries that a program linked to the archive needs besides, for the features that the library has.
pub fn native_static_libs() -> Vec<String> {
    let path = here().join("link/native-static-libs.txt");
    let list = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut libraries = Vec::new();
    for line in list.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty()) {
        let (condition, flags) = line.split_once(':').expect("`always: flags` or `FEATURE: flags`");
        if condition == "always" || has_feature(condition) {
            libraries.extend(flags.split_whitespace().map(String::from));
        }
    }
    if has_feature("hdf5") {
        let said = Command::new("pkg-config").args(["--libs-only-L", "hdf5"]).output();
        let folders =
            said.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
        libraries.splice(0..0, folders.split_whitespace().map(String::from));
    }
    libraries
}

fn has_feature(name: &str) -> bool {
    let name = std::ffi::CString::new(name).expect("a feature's name");
    // SAFETY: a NUL-terminated string that outlives the call.
    unsafe { aqueduct::ffi::version::aq_has_feature(name.as_ptr()) == 1 }
}

fn run(command: &mut Command, folder: &Path) {
    let log = folder.join("output");
    let file = File::create(&log).expect("a temporary folder is writable");
    command.stdin(Stdio::null()).stdout(file.try_clone().expect("a descriptor")).stderr(file);
    let mut child = set_sanitizer_options(command).spawn().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let start = Instant::now();
    let status = loop {
        match child.try_wait().expect("a child can be waited for") {
            Some(status) => break status,
            None if start.elapsed() > TIME_LIMIT => {
                let _ = child.kill();
                break child.wait().expect("a child can be waited for");
            }
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    let output = fs::read_to_string(&log).unwrap_or_default();
    let hung = if start.elapsed() > TIME_LIMIT { " after it hung" } else { "" };
    assert!(status.success(), "{command:?}: {status}{hung}\n{output}");
    print!("{output}");
}
