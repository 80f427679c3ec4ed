//! Builds the RTL card: `hdl` to Verilog, Verilog to C++, C++ to a static library.
//!
//! Does nothing without the feature `verilator`. `POSTERN_RTL_VERILOG` names a file to use in place of
//! the printed Verilog of the 64-bit card: the mutation tests judge broken circuits that way.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    #[cfg(feature = "verilator")]
    rtl::build();
}

#[cfg(feature = "verilator")]
mod rtl {
    use std::ffi::OsStr;
    use std::fmt::Display;
    use std::path::{Path, PathBuf};
    use std::process::Command;
    use std::{env, fs};

    /// Widths to build: the default card and the widest one.
    const WIDTHS: [usize; 2] = [64, 512];
    const OVERRIDE: &str = "POSTERN_RTL_VERILOG";
    /// Widths to build when the 64-bit card comes from a file: it is judged alone.
    const OVERRIDDEN: [usize; 1] = [64];

    pub fn build() {
        println!("cargo::rerun-if-changed=cpp/shim.cpp");
        println!("cargo::rerun-if-env-changed={OVERRIDE}");
        let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
        let root = run(Command::new("verilator")
            .args(["--getenv", "VERILATOR_ROOT"])
            .env_remove("VERILATOR_ROOT"));
        let include = Path::new(root.trim()).join("include");

        let widths = match env::var_os(OVERRIDE) {
            Some(_) => OVERRIDDEN.as_slice(),
            None => WIDTHS.as_slice(),
        };
        let mut library = compiler(&include);
        let mut seldom = compiler(&include);
        // Set-up and waves: half of the text, and none of the running time.
        seldom.opt_level(0);
        let mut models = String::new();
        let mut list = String::new();
        for &width in widths {
            let directory = verilate(width, &out);
            let (cold, hot) = sources(&directory)
                .into_iter()
                .partition::<Vec<_>, _>(is_seldom);
            library.include(&directory).files(hot);
            seldom.include(&directory).files(cold);
            models += &format!("#include \"Vpostern{width}.h\"\n");
            list += &format!(" X({width})");
        }
        write(&out.join("models.h"), &models);
        write(&out.join("widths.rs"), &format!("{widths:?}"));
        library
            .include(&out)
            .define("POSTERN_WIDTHS(X)", list.as_str())
            .file("cpp/shim.cpp");
        for runtime in [
            "verilated.cpp",
            "verilated_threads.cpp",
            "verilated_vcd_c.cpp",
        ] {
            library.file(include.join(runtime));
        }
        library.objects(seldom.compile_intermediates());
        library.compile("postern_rtl");
        // The runtime of Verilator 5 refers to thread primitives even when it runs single-threaded.
        println!("cargo::rustc-link-lib=pthread");
    }

    /// C++ of the card at one width; the directory it is in.
    fn verilate(width: usize, out: &Path) -> PathBuf {
        let directory = out.join(format!("rtl{width}"));
        // Files of a former run must not be compiled into this one.
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(&directory).unwrap_or_else(|error| fail(&directory.display(), error));
        let verilog = match env::var_os(OVERRIDE) {
            Some(path) if width == 64 => {
                println!("cargo::rerun-if-changed={}", Path::new(&path).display());
                PathBuf::from(path)
            }
            _ => {
                let path = directory.join("postern.v");
                write(&path, &hdl::emit_top(width));
                path
            }
        };
        let prefix = format!("Vpostern{width}");
        run(Command::new("verilator")
            // Debian's program finds its own files; a stale variable would mislead it.
            .env_remove("VERILATOR_ROOT")
            .args([
                "--cc",
                "-O3",
                "--x-assign",
                "fast",
                "--x-initial",
                "fast",
                "--trace",
                "-Wno-lint",
                "-Wno-fatal",
            ])
            .args(["--top-module", hdl::TOP, "--prefix", &prefix, "--Mdir"])
            .args([directory.as_os_str(), verilog.as_os_str()]));
        directory
    }

    fn compiler(include: &Path) -> cc::Build {
        let mut build = cc::Build::new();
        build
            .cpp(true)
            .std("c++17")
            .opt_level(3)
            .debug(false)
            .warnings(false);
        // Only the shim and the runtime are searched for changes; the system's headers are not ours.
        build.include(include).include(include.join("vltstd"));
        for (name, value) in [
            ("VM_COVERAGE", "0"),
            ("VM_SC", "0"),
            ("VM_TRACE", "1"),
            ("VM_TRACE_FST", "0"),
            ("VM_TRACE_VCD", "1"),
        ] {
            build.define(name, value);
        }
        // A simulator is built where it runs; wide words gain a quarter.
        build.flag_if_supported("-march=native");
        build
            .flag_if_supported("-faligned-new")
            .flag_if_supported("-fno-exceptions");
        build
    }

    fn sources(directory: &Path) -> Vec<PathBuf> {
        let entries =
            fs::read_dir(directory).unwrap_or_else(|error| fail(&directory.display(), error));
        let paths = entries.map(|entry| {
            entry
                .map(|e| e.path())
                .unwrap_or_else(|e| fail(&directory.display(), e))
        });
        let mut sources: Vec<_> = paths
            .filter(|path| path.extension() == Some(OsStr::new("cpp")))
            .collect();
        sources.sort();
        sources
    }

    /// Whether Verilator put code into this file that does not run every clock.
    fn is_seldom(source: &PathBuf) -> bool {
        let name = source.file_name().unwrap_or_default().to_string_lossy();
        name.contains("__Slow") || name.contains("__Trace")
    }

    /// Runs a program and gives what it printed, or ends the build saying what to do.
    fn run(command: &mut Command) -> String {
        let name = command.get_program().to_string_lossy().into_owned();
        let output = command.output().unwrap_or_else(|error| {
            panic!(
                "cannot run `{name}` ({error}): the feature `verilator` needs Verilator 5 \
                 (on Debian: apt-get install verilator g++)"
            )
        });
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "{command:?} failed:\n{text}{complaint}"
        );
        text
    }

    fn write(path: &Path, text: &str) {
        fs::write(path, text).unwrap_or_else(|error| fail(&path.display(), error));
    }

    fn fail(what: &dyn Display, error: impl Display) -> ! {
        panic!("{what}: {error}")
    }
}
