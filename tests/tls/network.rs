//! Two kernels that know nothing of each other, and the wire between each and the adapter.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread::JoinHandle;

use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use host::tcp::Adapter;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
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
        let namespace = File::open(format!("/proc/{}/ns/net", holder.id()))?;
        let make = || {
            let network = Some(LinkNameSpaceType::Network);
            move_into_link_name_space(namespace.as_fd(), network)?;
            let device = DeviceBuilder::new()
                .name("wire0")
                .ipv4(address, 32, None)
                .build_sync()?;
            device.set_nonblocking(true)?;
            Ok::<_, io::Error>(device)
        };
        // On a thread of its own that ends there.
        let made = std::thread::scope(|scope| scope.spawn(make).join());
        let device = made.map_err(|_| io::Error::other("a thread panicked"))??;
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

    /// A program that will run there.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["-t", &self.holder.id().to_string(), "--net", program]);
        command
    }
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
    thread: JoinHandle<(Adapter, Vec<(SocketAddr, SocketAddr)>)>,
}

impl Wire {
    pub fn new(mut adapter: Adapter, ends: [&Endpoint; 2]) -> io::Result<Self> {
        let (stop, stopped) = UnixStream::pair()?;
        let devices = ends.map(|end| (Arc::clone(&end.device), end.address));
        let thread = std::thread::spawn(move || {
            let mut seen = Vec::new();
            while !is_stopped(&stopped, &devices, &adapter) {
                carry(&devices, &mut adapter, &mut seen);
            }
            (adapter, seen)
        });
        Ok(Self { stop, thread })
    }

    /// Ends it; returns the adapter, and from where to where its packets went.
    pub fn stop(mut self) -> (Adapter, Vec<(SocketAddr, SocketAddr)>) {
        self.stop.write_all(b"x").expect("it runs");
        self.thread.join().expect("it did not panic")
    }
}

type Devices = [(Arc<SyncDevice>, Ipv4Addr); 2];

/// Waits until something is to be carried, or somebody stops it.
fn is_stopped(mut stop: &UnixStream, devices: &Devices, adapter: &Adapter) -> bool {
    // SAFETY: both outlive the call, and nobody closes them meanwhile.
    let borrow = |fd: &dyn AsRawFd| unsafe { BorrowedFd::borrow_raw(fd.as_raw_fd()) };
    let mut fds = [
        PollFd::new(stop, PollFlags::IN),
        PollFd::from_borrowed_fd(borrow(&*devices[0].0), PollFlags::IN),
        PollFd::from_borrowed_fd(borrow(&*devices[1].0), PollFlags::IN),
        PollFd::from_borrowed_fd(borrow(adapter), PollFlags::IN),
    ];
    poll(&mut fds, None).expect("it can wait");
    !fds[0].revents().is_empty() && stop.read(&mut [0]).is_ok()
}

fn carry(devices: &Devices, adapter: &mut Adapter, seen: &mut Vec<(SocketAddr, SocketAddr)>) {
    let mut packet = [0; 2048];
    for (device, _) in devices {
        while let Ok(length) = device.recv(&mut packet) {
            if addresses(&packet[..length]).is_some() {
                adapter
                    .send(&packet[..length])
                    .expect("the adapter takes it");
            }
        }
    }
    while let Some(length) = adapter.receive(&mut packet).expect("the adapter works") {
        let packet = &packet[..length];
        let Some((from, to)) = addresses(packet) else {
            continue;
        };
        seen.push((from, to));
        for (device, address) in devices {
            if IpAddr::V4(*address) == to.ip() {
                device.send(packet).expect("the endpoint takes it");
            }
        }
    }
}

/// Where a packet of TCP comes from and goes to.
fn addresses(packet: &[u8]) -> Option<(SocketAddr, SocketAddr)> {
    let sliced = SlicedPacket::from_ip(packet).ok()?;
    let (Some(NetSlice::Ipv4(ip)), Some(TransportSlice::Tcp(tcp))) = (sliced.net, sliced.transport)
    else {
        return None;
    };
    let header = ip.header();
    Some((
        (header.source_addr(), tcp.source_port()).into(),
        (header.destination_addr(), tcp.destination_port()).into(),
    ))
}
