//! Builds the RTL card: `hdl` to Verilog, Verilog to C++, C++ to a static library.
//!
//! Does nothing without the feature `verilator`. `POSTERN_RTL_VERILOG` names a file to use in place of
//! the printed Verilog: the mutation tests judge broken circuits that way.

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

    /// A card to build.
    #[derive(Clone, Copy)]
    struct Model {
        prefix: &'static str,
        width: usize,
        /// Whether it has rings, and so PCIe pins.
        has_rings: bool,
    }

    /// The card with rings, the narrow one without, and the widest one.
    const MODELS: [Model; 3] = [
        Model {
            prefix: "Vcard",
            width: 64,
            has_rings: true,
        },
        Model {
            prefix: "Vpostern64",
            width: 64,
            has_rings: false,
        },
        Model {
            prefix: "Vpostern512",
            width: 512,
            has_rings: false,
        },
    ];
    const OVERRIDE: &str = "POSTERN_RTL_VERILOG";
    /// A pin that only the card with rings has.
    const RINGS_PIN: &str = "pcie_rx_data";

    pub fn build() {
        println!("cargo::rerun-if-changed=cpp/shim.cpp");
        println!("cargo::rerun-if-env-changed={OVERRIDE}");
        let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
        let root = run(Command::new("verilator")
            .args(["--getenv", "VERILATOR_ROOT"])
            .env_remove("VERILATOR_ROOT"));
        let include = Path::new(root.trim()).join("include");

        let given = given();
        let models: Vec<Model> = match &given {
            // It is judged alone.
            Some((_, has_rings)) => MODELS
                .into_iter()
                .filter(|model| model.width == 64 && model.has_rings == *has_rings)
                .collect(),
            None => MODELS.to_vec(),
        };
        let mut library = compiler(&include);
        if given.is_some() {
            // It runs for seconds.
            library.opt_level(1);
        }
        let mut seldom = compiler(&include);
        // Set-up and waves: half of the text, and none of the running time.
        seldom.opt_level(0);
        let mut headers = String::new();
        let mut list = String::new();
        for model in &models {
            let directory = verilate(model, given.as_ref().map(|(path, _)| path), &out);
            let (cold, hot) = sources(&directory)
                .into_iter()
                .partition::<Vec<_>, _>(|source| is_seldom(source));
            library.include(&directory).files(hot);
            seldom.include(&directory).files(cold);
            headers += &format!("#include \"{}.h\"\n", model.prefix);
            list += &format!(" X({}, {}, {})", model.prefix, model.width, model.has_rings);
        }
        write(&out.join("models.h"), &headers);
        let widths: Vec<usize> = models
            .iter()
            .filter(|model| !model.has_rings)
            .map(|model| model.width)
            .collect();
        write(&out.join("widths.rs"), &format!("{widths:?}"));
        library
            .include(&out)
            .define("POSTERN_MODELS(X)", list.as_str())
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

    /// The file to use in place of printed Verilog, and whether it is of the card with rings.
    fn given() -> Option<(PathBuf, bool)> {
        let path = PathBuf::from(env::var_os(OVERRIDE)?);
        println!("cargo::rerun-if-changed={}", path.display());
        let text = fs::read_to_string(&path).unwrap_or_else(|error| fail(&path.display(), error));
        Some((path, text.contains(RINGS_PIN)))
    }

    /// C++ of one card; the directory it is in.
    fn verilate(model: &Model, given: Option<&PathBuf>, out: &Path) -> PathBuf {
        let directory = out.join(model.prefix);
        // Files of a former run must not be compiled into this one.
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(&directory).unwrap_or_else(|error| fail(&directory.display(), error));
        let verilog = given.cloned().unwrap_or_else(|| {
            let path = directory.join("postern.v");
            let text = match model.has_rings {
                true => hdl::emit_card(),
                false => hdl::emit_top(model.width),
            };
            write(&path, &text);
            path
        });
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
            .args(["--top-module", hdl::TOP, "--prefix", model.prefix, "--Mdir"])
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
    fn is_seldom(source: &Path) -> bool {
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
