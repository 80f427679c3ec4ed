//! A board behind a serial line, as the commands meet it: asked, loaded and served, over lines that are good and bad.

#[allow(dead_code, reason = "this suite has nothing to be read")]
#[path = "support/command.rs"]
mod command;
#[path = "support/serial.rs"]
mod serial;

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use command::{Answer, case, postern};
use host::nic::Nic;
use host::vfio::address::Address;
use host::vfio::child::{Engine, Wiring};
use host::vfio::uart::UartDevice;
use host::vfio::{Access, BAR0, CONFIG, Device, Error};
use layout::csr::{self, CONTROL_DROP_NOT_SYN, CONTROL_ENABLE};
use layout::table::{AclEntry, Interface, Operation, Table};
use serial::{Board, Line};
use sim::{Access as _, Card as _};

fn load(board: &Board, more: &[&str]) -> Answer {
    let config = case("seed-corrected").join("setup.cfg");
    let fixed = [
        "load".as_ref(),
        "--uart".as_ref(),
        board.path.as_os_str(),
        "--config".as_ref(),
        config.as_os_str(),
    ];
    postern(fixed.into_iter().chain(more.iter().map(AsRef::as_ref)))
}

/// Entries in the order they were written, and the other registers beside. What is random in MAC addresses is left out.
fn written(board: &Board) -> Vec<(u32, Vec<u32>)> {
    let mut data = [0; 16];
    let mut all = Vec::new();
    for (register, word) in board.writes() {
        if let Some(at) = register.checked_sub(csr::TABLE_DATA).filter(|at| *at < 64) {
            data[at as usize / 4] = word;
        } else if register == csr::TABLE_COMMAND {
            let mut entry = data;
            if word & 15 == Table::Interface as u32 {
                let mut interface = Interface::unpack(&entry);
                interface.mac &= 0xff00_0000_00ff;
                entry[..Interface::WORDS].copy_from_slice(&interface.pack());
            }
            all.push((word, entry.to_vec()));
        } else {
            all.push((register, vec![word]));
        }
    }
    all
}

/// Entries written to a table.
fn entries(board: &Board, table: Table) -> Vec<Vec<u32>> {
    let command = (Operation::Write as u32) << 4 | table as u32;
    let of_table = written(board)
        .into_iter()
        .filter(|(what, _)| *what == command);
    of_table.map(|(_, entry)| entry).collect()
}

#[test]
fn a_board_says_what_it_is() {
    let board = Board::new(Line::default());
    let address = format!("uart:{}", board.path.display());
    let answer = postern(["nic", "info", &address]);
    assert_eq!(answer.code, Some(0), "{}", answer.err);
    for line in [
        format!("card                    {address}"),
        "board                   Lattice Versa ECP5-5G".into(),
        "link                    serial line".into(),
        "DMA rings and MSI-X     no".into(),
    ] {
        assert!(answer.out.contains(&line), "{line}: {}", answer.out);
    }
}

#[test]
fn load_fills_the_tables_and_then_switches_on() {
    let board = Board::new(Line::default());
    let answer = load(&board, &["--format", "json"]);
    assert_eq!(answer.code, Some(0), "{}", answer.err);
    let told = answer.json();
    {
        let mut card = board.card();
        assert_eq!(
            card.bar_read(csr::CONTROL),
            CONTROL_ENABLE | CONTROL_DROP_NOT_SYN
        );
        assert_ne!(card.bar_read(csr::POLICY), 0);
        for interface in told["interfaces"].as_array().expect("a list") {
            let index = usize::from(interface["name"] == "inside");
            let words = card.read_entry(Table::Interface, index).expect("an entry");
            let entry = Interface::unpack(&words);
            assert!(entry.valid);
            let digits = interface["mac"].as_str().expect("a MAC").replace(':', "");
            assert_eq!(format!("{:012x}", entry.mac), digits);
        }
    }
    let enabled = board.writes().last().copied();
    assert_eq!(enabled.map(|(register, _)| register), Some(csr::CONTROL));
    let acl = entries(&board, Table::Acl);
    let permitting = acl.iter().filter(|words| AclEntry::unpack(words).permit);
    let count = |side: &str, what: &str| told[side][what].as_u64().expect("a number") as usize;
    let permits = count("with_host", "permitting_entries");
    assert_eq!(permitting.count(), permits);
    assert_eq!(
        acl.len(),
        permits + count("without_host", "denying_entries")
    );
    assert!(permits > 0);
    // Again, which empties it first; its addresses stay.
    let again = load(&board, &["--format", "json"]);
    assert_eq!(again.json()["interfaces"], told["interfaces"]);
}

#[test]
fn the_summary_says_what_acts_without_a_host() {
    let board = Board::new(Line::default());
    let answer = load(&board, &[]);
    assert_eq!(answer.code, Some(0), "{}", answer.err);
    assert!(
        answer.out.contains("is loaded and switched on"),
        "{}",
        answer.out
    );
    let (alone, served) = answer
        .out
        .split_once("with `postern run --nic uart:")
        .expect("both parts");
    assert!(alone.contains("deny"), "{alone}");
    assert!(served.contains("permit"), "{served}");
}

#[test]
fn a_line_that_damages_loads_the_same() {
    let good = Board::new(Line::default());
    assert_eq!(load(&good, &[]).code, Some(0));
    let bad = Board::new(Line {
        damage_percent: 8,
        ..Line::default()
    });
    let answer = load(&bad, &[]);
    assert_eq!(answer.code, Some(0), "{}", answer.err);
    assert_eq!(
        written(&bad),
        written(&good),
        "nothing is lost or done twice"
    );
}

#[test]
fn a_load_that_breaks_off_leaves_the_board_closed() {
    let good = Board::new(Line::default());
    assert_eq!(load(&good, &[]).code, Some(0));
    let all = good.requests();
    for most in [all - 1, all / 2, 3] {
        let board = Board::new(Line {
            dies_after: Some(most),
            ..Line::default()
        });
        let answer = load(&board, &[]);
        assert_eq!((answer.code, answer.out.as_str()), (Some(2), ""));
        let message = format!("postern: no answer on {}: ", board.path.display());
        assert!(answer.err.starts_with(&message), "{}", answer.err);
        assert_eq!(board.requests(), most);
        assert_eq!(board.card().bar_read(csr::CONTROL) & CONTROL_ENABLE, 0);
    }
}

#[test]
fn errors_say_what_is_wrong_with_the_line() {
    let open = |path: &std::path::Path| UartDevice::open(path).err().expect("an error");
    let dead = Board::new(Line {
        dies_after: Some(0),
        ..Line::default()
    });
    assert!(matches!(open(&dead.path), Error::Silent { .. }));
    let echo = Board::new(Line {
        echoes: true,
        ..Line::default()
    });
    assert!(matches!(open(&echo.path), Error::Echo { .. }));
    let broken = Board::new(Line {
        damage_percent: 100,
        ..Line::default()
    });
    assert!(matches!(
        open(&broken.path),
        Error::Damaged { .. } | Error::Silent { .. }
    ));
    let file = tempfile::NamedTempFile::new().expect("a file");
    assert!(matches!(open(file.path()), Error::NotALine { .. }));
    assert!(matches!(open("/nowhere/tty".as_ref()), Error::Line { .. }));
    let board = Board::new(Line::default());
    let first = UartDevice::open(&board.path).expect("a board");
    assert!(matches!(open(&board.path), Error::Busy { .. }));
    drop(first);
    UartDevice::open(&board.path).expect("free again");
    // A configuration with errors writes nothing.
    let before = board.requests();
    let (_folder, name) = bad_configuration();
    let line = board.path.display().to_string();
    let answer = postern(["load", "--uart", &line, "--config", &name]);
    assert_eq!(answer.code, Some(1), "{}", answer.err);
    assert!(answer.err.contains("postern check"), "{}", answer.err);
    assert_eq!(board.requests(), before);
}

fn bad_configuration() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("x.cfg");
    std::fs::write(&path, "access-group nowhere in interface outside\n").expect("room");
    (folder, path.display().to_string())
}

#[test]
fn what_a_line_does_not_have_is_refused() {
    let board = Board::new(Line::default());
    let mut device = UartDevice::open(&board.path).expect("a board");
    assert_eq!(device.region_info(CONFIG), None);
    assert_eq!(device.interrupt_count().expect("none"), 0);
    assert!(matches!(device.map(4096), Err(Error::Absent { .. })));
    assert!(matches!(
        device.enable_interrupts(1),
        Err(Error::Absent { .. })
    ));
    assert!(matches!(
        device.set_bus_master(true),
        Err(Error::Absent { .. })
    ));
    for (region, offset, bytes) in [
        (CONFIG, 0, 4),
        (BAR0, 2, 4),
        (BAR0, 0, 3),
        (BAR0, 0xfffc, 8),
        (BAR0, u64::MAX - 3, 8),
    ] {
        let mut data = vec![0; bytes];
        assert!(matches!(
            device.region_read(region, offset, &mut data),
            Err(Error::Refused { .. })
        ));
        assert!(matches!(
            device.region_write(region, offset, &data),
            Err(Error::Refused { .. })
        ));
    }
    assert_eq!(board.requests(), 0);
    // Refused accesses do no harm to the line.
    let nic = Nic::inspect(Box::new(device)).expect("a card");
    assert_eq!(nic.ident().board, 2);
}

#[test]
fn long_and_mixed_accesses_keep_their_order() {
    let board = Board::new(Line::default());
    let mut device = UartDevice::open(&board.path).expect("a board");
    let mut all = vec![0; csr::BAR0_BYTES];
    device.region_read(BAR0, 0, &mut all).expect("a long read");
    assert_eq!(all[..4], csr::MAGIC_VALUE.to_le_bytes());
    // Many writes and reads of one register, more than a request holds.
    let values: Vec<[u8; 4]> = (1..300_u32).map(u32::to_le_bytes).collect();
    let mut seen = vec![[0; 4]; values.len()];
    let mut accesses = Vec::new();
    for (value, seen) in values.iter().zip(&mut seen) {
        accesses.push(Access::Write {
            region: BAR0,
            offset: csr::SCRATCH.into(),
            data: value,
        });
        accesses.push(Access::Read {
            region: BAR0,
            offset: csr::SCRATCH.into(),
            data: seen,
        });
    }
    let before = board.requests();
    device.batch(&mut accesses).expect("a batch");
    assert_eq!(seen, values);
    assert!(board.requests() - before < 6, "many in one request");
    let command = (Operation::Read as u32) << 4 | Table::Interface as u32;
    let data: [u8; 4] = command.to_le_bytes();
    device
        .region_write(BAR0, csr::TABLE_COMMAND.into(), &data)
        .expect("a write");
}

#[test]
fn run_serves_a_board_over_the_line() {
    let board = Board::new(Line {
        damage_percent: 2,
        ..Line::default()
    });
    let place = tempfile::tempdir().expect("a folder");
    let (_folder, config) = open_configuration();
    let mut child = Command::new(env!("CARGO_BIN_EXE_postern"))
        .args(["run", "--nic", &format!("uart:{}", board.path.display())])
        .args(["--config", &config, "--state"])
        .arg(place.path())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program runs");
    let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
    let begins = |lines: &mut dyn Iterator<Item = std::io::Result<String>>, what: &str| {
        let line = lines.map_while(Result::ok).find(|line| line.contains(what));
        line.unwrap_or_else(|| panic!("never said {what}"))
    };
    let started = begins(&mut lines, "running on uart:");
    assert!(started.ends_with("host path: windows"), "{started}");
    // A first packet goes over the line, and so does the question for its next hop.
    let asked = first_packet(&board);
    assert_eq!(asked[12..14], [0x08, 0x06], "an ARP request");
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it runs");
    begins(&mut lines, "stopped");
    assert!(child.wait().expect("it ends").success());
}

fn open_configuration() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("x.cfg");
    let text = "interface GigabitEthernet0/0\n nameif outside\n security-level 0\n \
                ip address 192.0.2.1 255.255.255.0\ninterface GigabitEthernet0/1\n nameif inside\n \
                security-level 100\n ip address 10.0.0.1 255.255.255.0\n";
    std::fs::write(&path, text).expect("room");
    (folder, path.display().to_string())
}

/// Feeds a first packet from inside and waits for a frame that the host sends.
fn first_packet(board: &Board) -> Vec<u8> {
    let mac = {
        let mut card = board.card();
        let words = card.read_entry(Table::Interface, 1).expect("an entry");
        Interface::unpack(&words).mac.to_be_bytes()
    };
    let mut frame = Vec::new();
    let to: [u8; 6] = mac[2..].try_into().expect("six bytes");
    etherparse::PacketBuilder::ethernet2([2, 0, 0, 0, 0, 9], to)
        .ipv4([10, 0, 0, 9], [192, 0, 2, 9], 64)
        .udp(4000, 53)
        .write(&mut frame, b"a question")
        .expect("a vector takes everything");
    board.card().feed(1, &frame);
    loop {
        let mut card = board.card();
        card.run(10_000);
        while let Some(record) = card.next_record() {
            if let sim::Body::Frame(frame) = record.body {
                return frame;
            }
        }
        drop(card);
        std::thread::yield_now();
    }
}

#[test]
fn an_address_opens_a_board() {
    let board = Board::new(Line::default());
    let address: Address = format!("uart:{}", board.path.display())
        .parse()
        .expect("an address");
    let wiring = Wiring {
        engine: Engine::Model,
        ports: Vec::new(),
    };
    let (device, child) = address.open(&wiring).expect("a board");
    assert!(child.is_none());
    Nic::bring_up(device).expect("a card that fits");
}
