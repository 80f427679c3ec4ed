//! Two kernels that know nothing of each other, and the wire between each and the adapter.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use host::tcp::Adapter;
use host::tls::Sessions;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use socket2::{Domain, Socket, Type};
use tun_rs::{DeviceBuilder, SyncDevice};

/// A network namespace with one address, reached over a TUN device.
pub struct Endpoint {
    holder: Child,
    device: Arc<SyncDevice>,
    address: Ipv4Addr,
}

impl Endpoint {
    pub fn new(address: Ipv4Addr) -> io::Result<Self> {
        // It waits for the end of its input, which comes when we are gone.
        let mut holder = Command::new("unshare")
            .args(["--net", "sh", "-c", "echo up && exec cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        let output = holder.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        BufReader::new(output).read_line(&mut line)?;
        if line != "up\n" {
            let message = "cannot make a network namespace; this needs root";
            return Err(io::Error::other(message));
        }
        let device = within(&holder, || {
            let device = DeviceBuilder::new()
                .name("wire0")
                .ipv4(address, 32, None)
                .build_sync()?;
            device.set_nonblocking(true)?;
            Ok(device)
        })?;
        let endpoint = Self {
            holder,
            device: Arc::new(device),
            address,
        };
        for words in ["link set lo up", "route add default dev wire0"] {
            let output = endpoint.command("ip").args(words.split(' ')).output()?;
            if !output.status.success() {
                return Err(io::Error::other(format!("ip {words}: {output:?}")));
            }
        }
        Ok(endpoint)
    }

    /// Listens there.
    pub fn listen(&self, port: u16) -> TcpListener {
        let listener = within(&self.holder, || TcpListener::bind((self.address, port)));
        listener.expect("a free port")
    }

    /// Connects from there, from a port of the caller's choice.
    pub fn connect(&self, from: u16, to: SocketAddr) -> TcpStream {
        let stream = within(&self.holder, || {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
            socket.bind(&SocketAddr::from((self.address, from)).into())?;
            socket.connect(&to.into())?;
            Ok(socket.into())
        });
        stream.expect("somebody listens")
    }

    /// A program that will run there.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["-t", &self.holder.id().to_string(), "--net", program]);
        command
    }
}

/// Does something in the network that a process holds, on a thread of its own that ends there.
fn within<T: Send>(holder: &Child, act: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    let namespace = File::open(format!("/proc/{}/ns/net", holder.id()))?;
    let act = || {
        move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
        act()
    };
    let done = std::thread::scope(|scope| scope.spawn(act).join());
    done.map_err(|_| io::Error::other("a thread panicked"))?
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        // Either fails only if the process has ended already.
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// Carries packets between two endpoints and an adapter.
pub struct Wire {
    stop: UnixStream,
    adapter: Arc<Mutex<Adapter>>,
    /// Who the adapter told that it takes no more.
    stopped: Receiver<SocketAddr>,
    thread: JoinHandle<Vec<(SocketAddr, SocketAddr)>>,
}

impl Wire {
    pub fn new(adapter: Adapter, ends: [&Endpoint; 2]) -> io::Result<Self> {
        let (stop, stopped) = UnixStream::pair()?;
        let (tell, told) = channel();
        let devices = ends.map(|end| (Arc::clone(&end.device), end.address));
        let fd = adapter.as_raw_fd();
        let adapter = Arc::new(Mutex::new(adapter));
        let shared = Arc::clone(&adapter);
        let thread = std::thread::spawn(move || {
            let mut seen = Vec::new();
            while !is_stopped(&stopped, &devices, fd) {
                let mut adapter = shared.lock().expect("nobody panicked");
                carry(&devices, &mut adapter, &mut seen, &tell);
            }
            seen
        });
        Ok(Self {
            stop,
            adapter,
            stopped: told,
            thread,
        })
    }

    /// Asks about the sessions while packets go on.
    pub fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Sessions) -> T + Send + 'static,
    ) -> T {
        let adapter = self.adapter.lock().expect("nobody panicked");
        adapter.ask(question).expect("an answer")
    }

    /// Waits until the adapter tells a peer that it takes no more.
    pub fn await_stopped(&self, peer: SocketAddr, patience: Duration) {
        while self
            .stopped
            .recv_timeout(patience)
            .expect("a window of zero")
            != peer
        {}
    }

    /// Ends it; returns from where to where the adapter's packets went.
    pub fn stop(&mut self) -> Vec<(SocketAddr, SocketAddr)> {
        self.stop.write_all(b"x").expect("it runs");
        let ended = std::thread::spawn(Vec::new);
        std::mem::replace(&mut self.thread, ended)
            .join()
            .expect("it did not panic")
    }
}

type Devices = [(Arc<SyncDevice>, Ipv4Addr); 2];

/// Waits until something is to be carried, or somebody stops it.
fn is_stopped(mut stop: &UnixStream, devices: &Devices, adapter: RawFd) -> bool {
    // SAFETY: all outlive the call, and nobody closes them meanwhile.
    let borrow = |fd: RawFd| unsafe { BorrowedFd::borrow_raw(fd) };
    let mut fds = [
        PollFd::new(stop, PollFlags::IN),
        PollFd::from_borrowed_fd(borrow(devices[0].0.as_raw_fd()), PollFlags::IN),
        PollFd::from_borrowed_fd(borrow(devices[1].0.as_raw_fd()), PollFlags::IN),
        PollFd::from_borrowed_fd(borrow(adapter), PollFlags::IN),
    ];
    poll(&mut fds, None).expect("it can wait");
    !fds[0].revents().is_empty() && stop.read(&mut [0]).is_ok()
}

fn carry(
    devices: &Devices,
    adapter: &mut Adapter,
    seen: &mut Vec<(SocketAddr, SocketAddr)>,
    tell: &Sender<SocketAddr>,
) {
    let mut packet = [0; 2048];
    for (device, _) in devices {
        while let Ok(length) = device.recv(&mut packet) {
            if parse(&packet[..length]).is_some() {
                adapter
                    .send(&packet[..length])
                    .expect("the adapter takes it");
            }
        }
    }
    while let Some(length) = adapter.receive(&mut packet).expect("the adapter works") {
        let packet = &packet[..length];
        let Some((from, to, is_full)) = parse(packet) else {
            continue;
        };
        seen.push((from, to));
        if is_full {
            // Nobody listens any more.
            let _ = tell.send(to);
        }
        for (device, address) in devices {
            if IpAddr::V4(*address) == to.ip() {
                device.send(packet).expect("the endpoint takes it");
            }
        }
    }
}

/// Where a packet of TCP comes from and goes to, and whether its sender takes no more.
fn parse(packet: &[u8]) -> Option<(SocketAddr, SocketAddr, bool)> {
    let sliced = SlicedPacket::from_ip(packet).ok()?;
    let (Some(NetSlice::Ipv4(ip)), Some(TransportSlice::Tcp(tcp))) = (sliced.net, sliced.transport)
    else {
        return None;
    };
    let header = ip.header();
    Some((
        (header.source_addr(), tcp.source_port()).into(),
        (header.destination_addr(), tcp.destination_port()).into(),
        tcp.window_size() == 0 && !tcp.rst(),
    ))
}
