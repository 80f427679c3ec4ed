//! The client against peers that do what a test says.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::FileExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread::JoinHandle;

use vmm_sys_util::sock_ctrl_msg::ScmSocket;

use super::message::{FLAG_ERROR, FLAG_REPLY, HEADER_BYTES, access_header};
use super::*;

/// Reads one request: id, command, body.
fn request(stream: &mut UnixStream) -> (u16, u16, Vec<u8>) {
    let mut header = [0; HEADER_BYTES];
    stream.read_exact(&mut header).expect("header");
    let size = u32::from_le_bytes(field(&header, 4).expect("size")) as usize;
    let mut body = vec![0; size - HEADER_BYTES];
    stream.read_exact(&mut body).expect("body");
    (
        u16::from_le_bytes(field(&header, 0).expect("id")),
        u16::from_le_bytes(field(&header, 2).expect("command")),
        body,
    )
}

fn reply(stream: &mut UnixStream, id: u16, command: u16, flags: u32, body: &[u8]) {
    let mut message = [id.to_le_bytes(), command.to_le_bytes()].concat();
    message.extend(words(&[(HEADER_BYTES + body.len()) as u32, flags, 0]));
    message.extend_from_slice(body);
    stream.write_all(&message).expect("reply");
}

/// A peer with one region that answers the opening and then does what the test says.
fn peer(
    then: impl FnOnce(&mut UnixStream) + Send + 'static,
) -> (tempfile::TempDir, Client, JoinHandle<()>) {
    let dir = tempfile::tempdir().expect("directory");
    let path = dir.path().join("card");
    let listener = UnixListener::bind(&path).expect("socket");
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("client");
        for body in [
            [
                &[0, 0, 1, 0][..],
                b"{\"capabilities\":{\"max_data_xfer_size\":8}}\0",
            ]
            .concat(),
            words(&[16, DEVICE_FLAG_PCI | DEVICE_FLAG_RESET, 1, 0]),
            words(&[REGION_INFO_BYTES, 3, 0, 0, 0x1000, 0, 0, 0]),
        ] {
            let (id, command, _) = request(&mut stream);
            reply(&mut stream, id, command, FLAG_REPLY, &body);
        }
        then(&mut stream);
    });
    let client = Client::connect(&path, Duration::from_millis(200)).expect("connected");
    (dir, client, thread)
}

#[test]
fn regions_and_reset_capability_are_learned() {
    let (_dir, client, thread) = peer(|_| {});
    assert!(client.is_resettable());
    assert_eq!(
        client.region_info(0),
        Some(RegionInfo {
            size: 0x1000,
            flags: 3
        })
    );
    assert_eq!(client.region_info(1), None);
    thread.join().expect("peer");
}

#[test]
fn long_accesses_are_cut_to_the_transfer_size() {
    let (_dir, mut client, thread) = peer(|stream| {
        for (offset, count) in [(4u64, 8u32), (12, 2)] {
            let (id, command, body) = request(stream);
            assert_eq!(body, access_header(0, offset, count as usize));
            let data = vec![count as u8; count as usize];
            reply(
                stream,
                id,
                command,
                FLAG_REPLY,
                &[&body[..], &data].concat(),
            );
        }
    });
    let mut data = [0; 10];
    client.region_read(0, 4, &mut data).expect("read");
    assert_eq!(data, [8, 8, 8, 8, 8, 8, 8, 8, 2, 2]);
    thread.join().expect("peer");
}

#[test]
fn error_replies_are_errors_and_the_connection_lives_on() {
    let (_dir, mut client, thread) = peer(|stream| {
        let (id, command, _) = request(stream);
        reply(stream, id, command, FLAG_REPLY | FLAG_ERROR, &[]);
        let (id, command, _) = request(stream);
        reply(stream, id, command, FLAG_REPLY, &[]);
    });
    let error = client
        .region_read(0, 0x40, &mut [0; 4])
        .expect_err("refused");
    assert_eq!(
        error.to_string(),
        "the card refused read of region 0 at 0x40 (errno 0)"
    );
    client.reset().expect("reset");
    thread.join().expect("peer");
}

#[test]
fn silence_times_out_and_gives_the_connection_up() {
    let (_dir, mut client, thread) = peer(|stream| {
        request(stream);
        // Ends when the client hangs up.
        let _ = stream.read(&mut [0; 1]);
    });
    assert!(matches!(
        client.reset(),
        Err(Error::Timeout {
            request: "reset",
            ..
        })
    ));
    assert!(matches!(client.reset(), Err(Error::GivenUp)));
    drop(client);
    thread.join().expect("peer");
}

#[test]
fn stray_replies_give_the_connection_up() {
    let (_dir, mut client, thread) = peer(|stream| {
        let (id, command, _) = request(stream);
        reply(stream, id.wrapping_add(1), command, FLAG_REPLY, &[]);
    });
    assert!(matches!(client.reset(), Err(Error::Protocol(_))));
    assert!(matches!(client.reset(), Err(Error::GivenUp)));
    thread.join().expect("peer");
}

/// Reads one request that carries a file: id, command, body, file.
fn request_with_file(stream: &mut UnixStream) -> (u16, u16, Vec<u8>, File) {
    let mut message = [0; 256];
    let (bytes, file) = stream.recv_with_fd(&mut message).expect("a message");
    let id = u16::from_le_bytes(field(&message, 0).expect("id"));
    let command = u16::from_le_bytes(field(&message, 2).expect("command"));
    let body = message[HEADER_BYTES..bytes].to_vec();
    (id, command, body, file.expect("a file"))
}

#[test]
fn memory_is_shown_to_the_device_until_it_is_dropped() {
    let (_dir, mut client, thread) = peer(|stream| {
        let (id, command, body, file) = request_with_file(stream);
        assert_eq!((command, body.len()), (Command::DmaMap as u16, 32));
        assert_eq!(body[..16], words(&[32, 3, 0, 0]));
        file.write_all_at(&[5, 6, 7, 8], 4).expect("written");
        reply(stream, id, command, FLAG_REPLY, &body);
        let (id, command, unmap) = request(stream);
        assert_eq!((command, unmap.len()), (Command::DmaUnmap as u16, 24));
        assert_eq!(
            (&unmap[..8], &unmap[8..]),
            (&words(&[24, 0])[..], &body[16..])
        );
        reply(stream, id, command, FLAG_REPLY, &unmap);
    });
    let memory = client.map(10_000).expect("mapped");
    assert!(memory.mapping().bytes() >= 10_000);
    assert_eq!(memory.mapping().load(4), 0x0807_0605);
    drop(memory);
    thread.join().expect("peer");
}

#[test]
fn memory_that_the_device_refuses_is_an_error() {
    let (_dir, mut client, thread) = peer(|stream| {
        let (id, command, _, _) = request_with_file(stream);
        reply(stream, id, command, FLAG_REPLY | FLAG_ERROR, &[]);
    });
    let error = client.map(4096).err().expect("refused");
    assert_eq!(
        error.to_string(),
        "the card refused mapping of memory (errno 0)"
    );
    thread.join().expect("peer");
}

#[test]
fn events_go_one_a_message_to_a_device_that_takes_no_more() {
    let (_dir, mut client, thread) = peer(|stream| {
        let (id, command, _) = request(stream);
        assert_eq!(command, Command::DeviceGetIrqInfo as u16);
        reply(
            stream,
            id,
            command,
            FLAG_REPLY,
            &words(&[16, 1, IRQ_MSIX, 2]),
        );
        let (id, command, body) = request(stream);
        assert_eq!(body, words(&[20, IRQ_NONE, IRQ_MSIX, 0, 0]));
        reply(stream, id, command, FLAG_REPLY, &[]);
        for vector in 0..2 {
            let (id, command, body, mut event) = request_with_file(stream);
            assert_eq!(body, words(&[20, IRQ_EVENTS, IRQ_MSIX, vector, 1]));
            event
                .write_all(&u64::from(vector + 1).to_ne_bytes())
                .expect("raised");
            reply(stream, id, command, FLAG_REPLY, &[]);
        }
    });
    let events = client.enable_interrupts(2).expect("enabled");
    let raised: Vec<u64> = events
        .iter()
        .map(|event| event.read().expect("raised"))
        .collect();
    assert_eq!(raised, [1, 2]);
    let again = events[0].read().expect_err("nothing more");
    assert_eq!(again.kind(), std::io::ErrorKind::WouldBlock);
    thread.join().expect("peer");
}

#[test]
fn too_few_interrupts_are_an_error() {
    let (_dir, mut client, thread) = peer(|stream| {
        let (id, command, _) = request(stream);
        reply(
            stream,
            id,
            command,
            FLAG_REPLY,
            &words(&[16, 1, IRQ_MSIX, 1]),
        );
    });
    let error = client.enable_interrupts(6).expect_err("refused");
    assert_eq!(
        error.to_string(),
        "the device has 1 MSI-X vectors, 6 are needed"
    );
    thread.join().expect("peer");
}
