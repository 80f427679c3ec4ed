use std::fs::File;
use std::io::{ErrorKind, IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;

use layout::csr;
use layout::desc::{DmaStatus, InjectRequest, Metadata, Reason};
use layout::table::{Interface, Operation, Table};
use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use vfio_user::Client;

use crate::{CONFIG, CardProcess, header, raw_read, read, reply, write};

const PAGE: u64 = 4096;
/// Where the client's memory is for the card, and its parts.
const IOVA: u64 = 0x12_3456_7000;
const INJECT_RING: u64 = PAGE;
const INJECT_FRAME: u64 = 2 * PAGE;
const PUNT_RING: u64 = 3 * PAGE;
const PAGES: u64 = 8;

const MSIX: u32 = 2;
const NONE: u32 = 1 | 1 << 5;
const BOOL: u32 = 2 | 1 << 5;
const EVENTFD: u32 = 4 | 1 << 5;

/// A client with memory and an event a vector.
struct Host {
    client: Client,
    memory: File,
    events: Vec<OwnedFd>,
}

impl Host {
    /// Maps all memory, waits for all vectors and sets up the rings.
    fn start(card: &CardProcess) -> Self {
        let mut host = Self::connect(card);
        let fd = host.memory.as_raw_fd();
        host.client.dma_map(0, IOVA, PAGES * PAGE, fd).unwrap();
        host.want_all();
        host.set_up_rings();
        host
    }

    fn connect(card: &CardProcess) -> Self {
        Self {
            client: card.client(),
            memory: memory(PAGES),
            events: (0..csr::MSIX_VECTORS).map(|_| event()).collect(),
        }
    }

    fn want_all(&mut self) {
        let fds: Vec<i32> = self.events.iter().map(AsRawFd::as_raw_fd).collect();
        let count = fds.len() as u32;
        self.client.set_irqs(MSIX, EVENTFD, 0, count, &fds).unwrap();
    }

    /// Bus mastering, rings of two slots, interfaces that take every frame on port 0.
    fn set_up_rings(&mut self) {
        set_command(&mut self.client, 6);
        let addresses = [
            (csr::DMA_BLOCK_LOW, csr::DMA_BLOCK_HIGH, 0),
            (csr::INJECT_RING_LOW, csr::INJECT_RING_HIGH, INJECT_RING),
            (csr::PUNT_RING_LOW, csr::PUNT_RING_HIGH, PUNT_RING),
        ];
        for (low, high, offset) in addresses {
            write(&mut self.client, low, (IOVA + offset) as u32);
            write(&mut self.client, high, ((IOVA + offset) >> 32) as u32);
        }
        write(&mut self.client, csr::INJECT_RING_SIZE, 1);
        write(&mut self.client, csr::PUNT_RING_SIZE, 1);
        let control = csr::CONTROL_ENABLE | csr::CONTROL_PROMISCUOUS;
        write(&mut self.client, csr::CONTROL, control);
        add_interface(&mut self.client, 0);
        let both = csr::DMA_PUNT | csr::DMA_INJECT;
        write(&mut self.client, csr::DMA_CONTROL, both);
    }

    /// Injects a frame for lookup on port 0 by the ring's next descriptor.
    fn inject(&mut self, frame: &[u8]) {
        let tail = read(&mut self.client, csr::INJECT_TAIL);
        self.memory.write_all_at(frame, INJECT_FRAME + 3).unwrap();
        let request = InjectRequest {
            length: frame.len() as u16,
            port: 0,
            lookup: true,
            reserved: 0,
            address: IOVA + INJECT_FRAME + 3,
        };
        let bytes = request.pack().map(u32::to_le_bytes).concat();
        let slot = u64::from(tail % 2) * 16;
        self.memory
            .write_all_at(&bytes, INJECT_RING + slot)
            .unwrap();
        write(&mut self.client, csr::INJECT_TAIL, tail + 1);
    }

    fn words<const N: usize>(&self, offset: u64) -> [u32; N] {
        let mut bytes = vec![0; 4 * N];
        self.memory.read_exact_at(&mut bytes, offset).unwrap();
        std::array::from_fn(|n| u32::from_le_bytes(bytes[4 * n..4 * n + 4].try_into().unwrap()))
    }

    fn status(&self) -> DmaStatus {
        DmaStatus::unpack(&self.words::<{ DmaStatus::WORDS }>(0))
    }

    /// How often each vector was raised since the last look.
    fn raised(&self) -> [u64; csr::MSIX_VECTORS] {
        std::array::from_fn(|n| count(&self.events[n]))
    }
}

fn memory(pages: u64) -> File {
    let file = File::from(memfd_create("client", MemfdFlags::CLOEXEC).unwrap());
    file.set_len(pages * PAGE).unwrap();
    file
}

fn event() -> OwnedFd {
    eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC).unwrap()
}

fn count(event: &OwnedFd) -> u64 {
    let mut bytes = [0; 8];
    match rustix::io::read(event, &mut bytes) {
        Ok(8) => u64::from_ne_bytes(bytes),
        Err(rustix::io::Errno::AGAIN) => 0,
        other => panic!("{other:?}"),
    }
}

fn set_command(client: &mut Client, command: u16) {
    client
        .region_write(CONFIG, 4, &command.to_le_bytes())
        .unwrap();
}

fn add_interface(client: &mut Client, port: u8) {
    let interface = Interface {
        valid: true,
        port,
        ..Interface::default()
    };
    for (i, word) in interface.pack().iter().enumerate() {
        write(client, csr::TABLE_DATA + 4 * i as u32, *word);
    }
    write(client, csr::TABLE_INDEX, port.into());
    let command = (Operation::Write as u32) << 4 | Table::Interface as u32;
    write(client, csr::TABLE_COMMAND, command);
}

fn arp() -> Vec<u8> {
    let mut frame = vec![0x5a; 61];
    frame[12..14].copy_from_slice(&[0x08, 0x06]);
    frame
}

/// Sends a message with descriptors and gives the error number and payload of the reply.
fn ask(stream: &mut UnixStream, message: &[u8], fds: &[BorrowedFd<'_>]) -> (u32, Vec<u8>) {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(8))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() {
        assert!(control.push(SendAncillaryMessage::ScmRights(fds)));
    }
    let parts = [IoSlice::new(message)];
    let sent = sendmsg(&*stream, &parts, &mut control, SendFlags::empty()).unwrap();
    assert_eq!(sent, message.len());
    let (_, error, payload) = reply(stream);
    (error, payload)
}

fn words(id: u16, command: u16, words: &[u32]) -> Vec<u8> {
    let mut message = header(id, command, 16 + 4 * words.len() as u32);
    words
        .iter()
        .for_each(|word| message.extend_from_slice(&word.to_le_bytes()));
    message
}

/// `DMA_MAP`: flags 1 read, 2 write.
fn map(flags: u32, offset: u64, address: u64, bytes: u64) -> Vec<u8> {
    let [o, a, b] = [offset, address, bytes].map(|v| [v as u32, (v >> 32) as u32]);
    words(1, 2, &[32, flags, o[0], o[1], a[0], a[1], b[0], b[1]])
}

fn unmap(flags: u32, address: u64, bytes: u64) -> Vec<u8> {
    let [a, b] = [address, bytes].map(|v| [v as u32, (v >> 32) as u32]);
    words(2, 3, &[24, flags, a[0], a[1], b[0], b[1]])
}

fn set_irqs(flags: u32, index: u32, start: u32, count: u32) -> Vec<u8> {
    words(3, 8, &[20, flags, index, start, count])
}

#[test]
fn injected_frame_comes_back_through_the_punt_ring_with_interrupts() {
    let card = CardProcess::start();
    let mut host = Host::start(&card);
    host.inject(&arp());
    let metadata = Metadata::unpack(&host.words::<{ Metadata::WORDS }>(PUNT_RING));
    assert_eq!((metadata.reason, metadata.length), (Reason::Arp as u8, 61));
    assert!(metadata.reinjected);
    let mut frame = vec![0; 61];
    host.memory
        .read_exact_at(&mut frame, PUNT_RING + 16)
        .unwrap();
    assert_eq!(frame, arp());
    let status = host.status();
    assert_eq!(
        (status.punt_tail_0, status.inject_head, status.errors),
        (1, 1, 0)
    );
    assert_eq!(host.raised(), [1, 0, 0, 0, 1, 0]);
    assert_eq!(read(&mut host.client, csr::PUNT_TAIL), 1);
}

#[test]
fn function_without_bus_mastering_does_nothing() {
    let card = CardProcess::start();
    let mut host = Host::start(&card);
    set_command(&mut host.client, 2);
    host.inject(&arp());
    assert_eq!(read(&mut host.client, csr::INJECT_HEAD), 0);
    assert_eq!(read(&mut host.client, csr::DMA_STATUS), 0);
    assert_eq!(host.status(), DmaStatus::default());
    set_command(&mut host.client, 4);
    assert_eq!(read(&mut host.client, csr::INJECT_HEAD), 1);
    assert_eq!(host.raised(), [1, 0, 0, 0, 1, 0]);
}

#[test]
fn memory_that_is_taken_away_is_not_touched() {
    let card = CardProcess::start();
    let mut host = Host::start(&card);
    host.client.dma_unmap(IOVA + PUNT_RING, PAGE).unwrap();
    host.inject(&arp());
    assert_eq!(host.words(PUNT_RING), [0; 4], "the slot is not mapped");
    assert_eq!(host.status().punt_tail_0, 1, "and the card is not told so");
    host.client.dma_unmap(IOVA, PAGES * PAGE).unwrap();
    host.inject(&arp());
    assert_eq!(host.status().inject_head, 1);
    assert_eq!(read(&mut host.client, csr::INJECT_HEAD), 2);
    assert_eq!(
        read(&mut host.client, csr::COUNTER + 8 * csr::INJECT_READ_ERROR),
        1
    );
}

#[test]
fn page_maps_flags_and_holes_are_honoured_for_raw_messages() {
    let card = CardProcess::start();
    let file = memory(PAGES);
    let mut stream = card.raw();
    // ROM and other devices come without a file; what was never mapped may be unmapped.
    assert_eq!(
        ask(&mut stream, &map(1, 0, 0xfffc_0000, 0x4_0000), &[]).0,
        0
    );
    assert_eq!(ask(&mut stream, &unmap(0, 0, u64::MAX), &[]).0, 0);
    let answer = ask(&mut stream, &unmap(0, 0x7000, 0x1000), &[]);
    assert_eq!((answer.0, answer.1.len()), (0, 24));
    // Page by page, the last first, as a vIOMMU does.
    for page in (0..PAGES).rev() {
        let message = map(3, page * PAGE, IOVA + page * PAGE, PAGE);
        assert_eq!(ask(&mut stream, &message, &[file.as_fd()]), (0, vec![]));
    }
    // Malformed maps cost an error and nothing else.
    let short = words(1, 2, &[32, 3, 0, 0]);
    assert_eq!(ask(&mut stream, &short, &[file.as_fd()]).0, 22);
    let two = map(3, 0, 0, PAGE);
    assert_eq!(ask(&mut stream, &two, &[file.as_fd(), file.as_fd()]).0, 22);
    assert_eq!(ask(&mut stream, &unmap(1, IOVA, PAGE), &[]).0, 22);
    assert_eq!(ask(&mut stream, &unmap(2, IOVA, PAGE), &[]).0, 22);
    assert_eq!(ask(&mut stream, &unmap(2, 0, 0), &[]).0, 0);
    let again = map(3, 0, IOVA, PAGES * PAGE);
    assert_eq!(
        ask(&mut stream, &again, &[file.as_fd()]).0,
        0,
        "all was unmapped"
    );
}

#[test]
fn map_that_fails_ends_the_client_and_not_the_card() {
    let card = CardProcess::start();
    let file = memory(1);
    for (message, is_backed) in [
        (map(3, 0, IOVA + PAGE - 1, 2), false),
        (map(3, PAGE, 0, PAGE), true),
        (map(3, 0, 0, 2 * PAGE), true),
        (map(3, 0, u64::MAX, 2), false),
        (map(3, 0, 0, 0), false),
    ] {
        let mut stream = card.raw();
        let first = map(3, 0, IOVA, PAGE);
        assert_eq!(ask(&mut stream, &first, &[file.as_fd()]).0, 0);
        let fd = file.as_fd();
        let fds = if is_backed { vec![fd] } else { vec![] };
        assert_eq!(ask(&mut stream, &message, &fds).0, 22);
        assert_eq!(
            stream.read(&mut [0]).unwrap(),
            0,
            "the connection is closed"
        );
    }
    assert_eq!(read(&mut card.client(), csr::MAGIC), csr::MAGIC_VALUE);
}

#[test]
fn every_form_of_interrupt_set_up_is_understood() {
    let card = CardProcess::start();
    let mut stream = card.raw();
    let events: Vec<OwnedFd> = (0..6).map(|_| event()).collect();
    let fds: Vec<BorrowedFd<'_>> = events.iter().map(AsFd::as_fd).collect();
    let counts = || events.iter().map(count).collect::<Vec<_>>();
    let mut send = |message: &[u8], fds: &[BorrowedFd<'_>]| ask(&mut stream, message, fds).0;

    assert_eq!(send(&set_irqs(EVENTFD, MSIX, 0, 6), &fds), 0);
    assert_eq!(send(&set_irqs(NONE, MSIX, 0, 6), &[]), 0);
    assert_eq!(counts(), [1; 6], "nothing as data: fire");
    let mut some = set_irqs(BOOL, MSIX, 2, 3);
    some[4] += 3;
    some.extend_from_slice(&[1, 0, 1]);
    assert_eq!(send(&some, &[]), 0);
    assert_eq!(counts(), [0, 0, 1, 0, 1, 0]);
    // One at a time, as QEMU does; no descriptor: take it away.
    assert_eq!(send(&set_irqs(EVENTFD, MSIX, 1, 1), &[]), 0);
    assert_eq!(send(&set_irqs(EVENTFD, MSIX, 5, 1), &fds[..1]), 0);
    assert_eq!(send(&set_irqs(NONE, MSIX, 0, 6), &[]), 0);
    assert_eq!(counts(), [2, 0, 1, 1, 1, 0]);
    assert_eq!(send(&set_irqs(NONE, MSIX, 0, 0), &[]), 0);
    assert_eq!(send(&set_irqs(NONE, MSIX, 0, 6), &[]), 0);
    assert_eq!(counts(), [0; 6], "count 0: all were taken away");
    // Error and request have one each.
    for index in [3, 4] {
        assert_eq!(send(&set_irqs(EVENTFD, index, 0, 1), &fds[..1]), 0);
        assert_eq!(send(&set_irqs(NONE, index, 0, 1), &[]), 0);
        assert_eq!(counts()[0], 1);
        assert_eq!(send(&set_irqs(NONE, index, 0, 0), &[]), 0);
    }
    for (message, fds) in [
        (set_irqs(EVENTFD, MSIX, 0, 7), &fds[..]),
        (set_irqs(EVENTFD, MSIX, 6, 1), &fds[..1]),
        (set_irqs(EVENTFD, MSIX, 0, 3), &fds[..2]),
        (set_irqs(EVENTFD, MSIX, u32::MAX, 2), &[]),
        (set_irqs(EVENTFD, 0, 0, 1), &fds[..1]),
        (set_irqs(NONE, 5, 0, 0), &[]),
        (set_irqs(4 | 1 << 3, MSIX, 0, 1), &[]),
        (set_irqs(BOOL, MSIX, 0, 2), &[]),
        (set_irqs(0, MSIX, 0, 1), &[]),
        (words(3, 8, &[20, EVENTFD, MSIX, 0]), &[]),
    ] {
        assert_eq!(send(&message, fds), 22, "{message:?}");
    }
    assert_eq!(send(&set_irqs(NONE, MSIX, 0, 6), &[]), 0);
    assert_eq!(counts(), [0; 6]);
}

#[test]
fn vector_nobody_waits_for_is_pending_until_somebody_does() {
    let card = CardProcess::start();
    let mut host = Host::start(&card);
    host.client.set_irqs(MSIX, EVENTFD, 0, 1, &[]).unwrap();
    host.inject(&arp());
    assert_eq!(host.raised(), [0, 0, 0, 0, 1, 0]);
    assert_eq!(read(&mut host.client, csr::MSIX_PENDING), 1);
    // The table is not the client's to write.
    write(&mut host.client, csr::MSIX_TABLE + 12, 0);
    assert_eq!(read(&mut host.client, csr::MSIX_PENDING), 1);
    let fd = host.events[0].as_raw_fd();
    host.client.set_irqs(MSIX, EVENTFD, 0, 1, &[fd]).unwrap();
    assert_eq!(host.raised(), [1, 0, 0, 0, 0, 0]);
    assert_eq!(read(&mut host.client, csr::MSIX_PENDING), 0);
}

/// Offset of a capability in configuration space.
fn capability(client: &mut Client, id: u8) -> u64 {
    let mut byte = [0; 1];
    client.region_read(CONFIG, 0x34, &mut byte).unwrap();
    for _ in 0..48 {
        let at = u64::from(byte[0]);
        assert!(at >= 0x40 && at.is_multiple_of(4), "no capability {id:#x}");
        let mut head = [0; 2];
        client.region_read(CONFIG, at, &mut head).unwrap();
        if head[0] == id {
            return at;
        }
        byte[0] = head[1];
    }
    panic!("the list of capabilities has no end");
}

fn config<const N: usize>(client: &mut Client, offset: u64) -> [u8; N] {
    let mut bytes = [0; N];
    client.region_read(CONFIG, offset, &mut bytes).unwrap();
    bytes
}

#[test]
fn capabilities_tell_of_function_level_reset_and_of_the_vectors() {
    let card = CardProcess::start();
    let mut client = card.client();
    assert_eq!(
        config::<1>(&mut client, 6)[0] & 0x10,
        0x10,
        "a list is there"
    );
    let msix = capability(&mut client, 0x11);
    let table: [u8; 12] = config(&mut client, msix);
    assert_eq!(table[2..4], [5, 0], "six vectors");
    assert_eq!(table[4..8], csr::MSIX_TABLE.to_le_bytes(), "in BAR 0");
    assert_eq!(table[8..12], csr::MSIX_PENDING.to_le_bytes());
    client.region_write(CONFIG, msix + 2, &[0xff; 10]).unwrap();
    let written: [u8; 12] = config(&mut client, msix);
    assert_eq!(
        (&written[2..4], &written[4..]),
        (&[5, 0xc0][..], &table[4..])
    );

    let express = capability(&mut client, 0x10);
    let capabilities = u32::from_le_bytes(config(&mut client, express + 4));
    assert_eq!(capabilities >> 28 & 1, 1, "function-level reset");
    let control = express + 8;
    assert_eq!(config(&mut client, control), 0x2810u16.to_le_bytes());
    client.region_write(CONFIG, control, &[0xff, 0x7f]).unwrap();
    assert_eq!(config(&mut client, control), 0x78ffu16.to_le_bytes());
}

#[test]
fn function_level_reset_stops_the_rings_and_keeps_the_tables() {
    let card = CardProcess::start();
    let mut host = Host::start(&card);
    write(&mut host.client, csr::SCRATCH, 7);
    host.inject(&arp());
    host.raised();
    let control = capability(&mut host.client, 0x10) + 8;
    host.client
        .region_write(CONFIG, control, &[0x50, 0xa8])
        .unwrap();
    assert_eq!(config(&mut host.client, control), 0x2810u16.to_le_bytes());
    assert_eq!(config(&mut host.client, 4), [0, 0], "bus mastering is off");
    for offset in [csr::DMA_CONTROL, csr::PUNT_TAIL, csr::INJECT_RING_SIZE] {
        assert_eq!(read(&mut host.client, offset), 0);
    }
    assert_eq!(read(&mut host.client, csr::SCRATCH), 7);
    assert_ne!(
        read(&mut host.client, csr::CONTROL) & csr::CONTROL_ENABLE,
        0
    );
    // Memory and events are the client's and have stayed.
    host.set_up_rings();
    host.inject(&arp());
    assert_eq!(host.status().punt_tail_0, 1);
    assert_eq!(host.raised(), [1, 0, 0, 0, 1, 0]);
}

#[test]
fn device_reset_is_a_function_reset_around_configuration_space() {
    let card = CardProcess::start();
    let mut host = Host::start(&card);
    write(&mut host.client, csr::SCRATCH, 7);
    host.client.reset().unwrap();
    assert_eq!(read(&mut host.client, csr::DMA_CONTROL), 0);
    assert_eq!(read(&mut host.client, csr::SCRATCH), 7);
    assert_eq!(config(&mut host.client, 4), [6, 0]);
    assert_eq!(read(&mut host.client, csr::DMA_STATUS), csr::DMA_BUS_MASTER);
}

#[test]
fn next_client_finds_the_tables_and_nothing_of_the_last_one() {
    let card = CardProcess::start();
    let mut host = Host::start(&card);
    write(&mut host.client, csr::SCRATCH, 7);
    host.inject(&arp());
    let Host {
        client,
        memory,
        events,
    } = host;
    drop(client);
    let mut next = Host::connect(&card);
    assert_eq!(config(&mut next.client, 4), [0, 0]);
    assert_eq!(read(&mut next.client, csr::DMA_CONTROL), 0);
    assert_eq!(read(&mut next.client, csr::SCRATCH), 7);
    let arps = csr::COUNTER + 8 * Reason::Arp as u32;
    assert_eq!(read(&mut next.client, arps), 1, "counters too");
    assert!(events.iter().map(count).sum::<u64>() > 0);
    // The old maps are gone: the same addresses lead nowhere, and nobody is told.
    next.set_up_rings();
    next.inject(&arp());
    assert_eq!(read(&mut next.client, csr::INJECT_HEAD), 1);
    let errors = csr::COUNTER + 8 * csr::INJECT_READ_ERROR;
    assert_eq!(read(&mut next.client, errors), 1);
    let mut slot = [0; 64];
    memory.read_exact_at(&mut slot, PUNT_RING + 2048).unwrap();
    assert_eq!(slot, [0; 64]);
    assert_eq!(events.iter().map(count).sum::<u64>(), 0);
}

#[test]
fn descriptors_stay_with_their_message_however_it_is_cut() {
    let card = CardProcess::start();
    let mut stream = card.raw();
    let wanted = event();
    // A message before it, then the one with the descriptor byte by byte, then one behind it.
    stream.write_all(&raw_read(1, csr::MAGIC)).unwrap();
    let message = set_irqs(EVENTFD, MSIX, 4, 1);
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let fds = [wanted.as_fd()];
    assert!(control.push(SendAncillaryMessage::ScmRights(&fds)));
    let first = [IoSlice::new(&message[..1])];
    sendmsg(&stream, &first, &mut control, SendFlags::empty()).unwrap();
    for byte in &message[1..] {
        stream.write_all(&[*byte]).unwrap();
    }
    stream.write_all(&set_irqs(NONE, MSIX, 4, 1)).unwrap();
    for (id, errno) in [(1, 0), (3, 0), (3, 0)] {
        let (got, error, _) = reply(&mut stream);
        assert_eq!((got, error), (id, errno));
    }
    assert_eq!(count(&wanted), 1);
}

#[test]
fn descriptors_no_command_asked_for_are_closed() {
    let card = CardProcess::start();
    let mut stream = card.raw();
    let (mut reader, writer) = std::io::pipe().unwrap();
    let message = raw_read(1, csr::MAGIC);
    assert_eq!(ask(&mut stream, &message, &[writer.as_fd()]).0, 0);
    drop(writer);
    // Would wait for ever if the server had kept it.
    assert_eq!(reader.read(&mut [0]).unwrap(), 0);
    stream.set_nonblocking(true).unwrap();
    let waiting = stream.read(&mut [0]).unwrap_err();
    assert_eq!(waiting.kind(), ErrorKind::WouldBlock);
    stream.set_nonblocking(false).unwrap();
    stream.write_all(&raw_read(2, csr::MAGIC)).unwrap();
    assert_eq!(reply(&mut stream).0, 2);
}
