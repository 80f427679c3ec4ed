//! Why a device could not be reached, and what to do about it.

use std::path::PathBuf;
use std::time::Duration;

/// Why a device could not be reached or an access failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody listens on the socket.
    #[error("cannot connect to the card at {}: {source}", path.display())]
    Connect {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The connection failed in the middle of a request.
    #[error("the connection to the card failed during {request}: {source}")]
    Io {
        /// The request.
        request: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// No answer in time. The connection cannot be used any more.
    #[error("the card did not answer {request} within {limit:?}")]
    Timeout {
        /// The request.
        request: &'static str,
        /// How long it had.
        limit: Duration,
    },
    /// The device answered with an error.
    #[error("the card refused {request} (errno {errno})")]
    Refused {
        /// The request, with region and offset where it has them.
        request: String,
        /// Its error number; some servers always say 0.
        errno: u32,
    },
    /// The peer does not speak the protocol.
    #[error("the peer does not follow the vfio-user protocol: {0}")]
    Protocol(String),
    /// An earlier failure left the connection out of step.
    #[error("the connection to the card was given up after an earlier failure")]
    GivenUp,
    /// No `postern-card` to start.
    #[error(
        "cannot find the program `postern-card` (looked at {looked_at}); \
         build it with `cargo build -p sim --features verilator`, or set POSTERN_CARD_BIN to its path"
    )]
    NoCardProgram {
        /// The places.
        looked_at: String,
    },
    /// The simulated card could not be started.
    #[error("cannot start the simulated card {}: {source}", program.display())]
    Start {
        /// The program.
        program: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The simulated card ended, or stayed silent, instead of reporting ready.
    #[error("the simulated card {} did not become ready: {what}", program.display())]
    NotReady {
        /// The program.
        program: PathBuf,
        /// Its exit status or what it said.
        what: String,
    },
    /// Memory for DMA could not be had.
    #[error("cannot get {bytes} bytes of memory that the card may reach: {source}")]
    Memory {
        /// How many.
        bytes: usize,
        /// What the system said.
        source: std::io::Error,
    },
    /// Every address that the card could use for memory is taken.
    #[error("no IOVA is left for {bytes} bytes of memory")]
    NoIova {
        /// How many.
        bytes: usize,
    },
    /// The function has fewer interrupts than the driver needs.
    #[error("the device has {available} MSI-X vectors, {wanted} are needed")]
    Interrupts {
        /// What it has.
        available: usize,
        /// What was asked for.
        wanted: usize,
    },
    /// There is no such PCI function.
    #[error("there is no PCI device {bdf}; `postern nic list` shows those there are")]
    NoFunction {
        /// Its address.
        bdf: String,
    },
    /// The system has no IOMMU for the function.
    #[error(
        "PCI device {bdf} is in no IOMMU group: switch the IOMMU on in the firmware and boot with \
         `intel_iommu=on` (Intel) or `amd_iommu=on` (AMD)"
    )]
    NoIommu {
        /// Its address.
        bdf: String,
    },
    /// Another driver has the function.
    #[error("PCI device {bdf} belongs to {driver}; `postern nic bind {bdf}` gives it to vfio-pci")]
    NotBound {
        /// Its address.
        bdf: String,
        /// Who has it.
        driver: String,
    },
    /// Other devices of the IOMMU group are in use by the kernel.
    #[error(
        "IOMMU group {group} of PCI device {bdf} also holds {}, which the kernel uses: bind them to vfio-pci too, \
         or put the card into a slot with a group of its own",
        others.join(", ")
    )]
    GroupShared {
        /// Its address.
        bdf: String,
        /// The group.
        group: String,
        /// The others, with their drivers.
        others: Vec<String>,
    },
    /// We may not use what we need.
    #[error("no permission for {}: run as root, or give this user the file", path.display())]
    Permission {
        /// What it is.
        path: PathBuf,
    },
    /// Somebody else uses the function.
    #[error("{} is busy: another program uses the card", path.display())]
    Busy {
        /// What it is.
        path: PathBuf,
    },
    /// The kernel has no VFIO.
    #[error("{} is missing: load the driver with `modprobe vfio-pci`", path.display())]
    NoVfio {
        /// What is missing.
        path: PathBuf,
    },
    /// The kernel refused a step that has no more particular error.
    #[error("cannot {step} PCI device {bdf}: {reason}")]
    Kernel {
        /// Its address.
        bdf: String,
        /// What was tried.
        step: &'static str,
        /// What the kernel said.
        reason: String,
    },
    /// What sysfs says cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Sysfs {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A serial line cannot be used.
    #[error("the serial line {} fails: {source}", path.display())]
    Line {
        /// Its device file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file is no serial line.
    #[error("{} is not a serial line", path.display())]
    NotALine {
        /// The file.
        path: PathBuf,
    },
    /// Nothing comes from a serial line.
    #[error(
        "no answer on {}: see that the board has power and a Postern bitstream (`postern flash`), and that this is its \
         UART and not another port of the same adapter", path.display()
    )]
    Silent {
        /// Its device file.
        path: PathBuf,
    },
    /// Something comes from a serial line, and no answers.
    #[error(
        "what comes on {} is no answer of a Postern board: another port or bitstream, or a line that damages what it \
         carries (cable, adapter, ground)", path.display()
    )]
    Damaged {
        /// Its device file.
        path: PathBuf,
    },
    /// A serial line gives back what it is given.
    #[error(
        "what is sent on {} comes back: the line ends in a plug or a terminal that echoes, and not at a board",
        path.display()
    )]
    Echo {
        /// Its device file.
        path: PathBuf,
    },
    /// A card ended a request before its end.
    #[error(
        "the card on {} gave {words} words of {wanted}: its bitstream and this program do not fit",
        path.display()
    )]
    CutShort {
        /// The line's device file.
        path: PathBuf,
        /// Words it gave.
        words: usize,
        /// Words it was asked for.
        wanted: usize,
    },
    /// A card behind a serial line is asked for what it has not.
    #[error("the card on {} has no {what}: it is behind a serial line", path.display())]
    Absent {
        /// The line's device file.
        path: PathBuf,
        /// What.
        what: &'static str,
    },
}
