//! A Linux router between two wires, in network namespaces of its own.
//!
//! One namespace routes, the other holds the far ends of its two wires, where raw sockets send frames
//! and take what leaves. Both are gone when the router is dropped, panic or not.

use std::io::{self, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// MAC address of the router on each wire.
pub const ROUTER_MAC: [[u8; 6]; 2] = [[2, 0, 0, 0, 1, 0], [2, 0, 0, 0, 1, 1]];
/// IP protocol of the frames that tell when the kernel is done.
const SENTINEL: u8 = 253;
/// Names of the router's interfaces: outside, inside.
pub const NAMES: [&str; 2] = ["o0", "i0"];

/// The router and the sockets at the far ends of its wires.
pub struct Router {
    namespaces: [String; 2],
    sockets: Vec<OwnedFd>,
}

impl Router {
    /// A router that forwards as the rules say.
    pub fn new(rules: &str, inside_hosts: &[String]) -> io::Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = |role: &str| format!("postern-{}-{count}-{role}", std::process::id());
        let mut router = Self {
            namespaces: [name("router"), name("wires")],
            sockets: Vec::new(),
        };
        let [inner, outer] = router.namespaces.clone();
        for namespace in [&inner, &outer] {
            run("ip", &["netns", "add", namespace], "")?;
            run(
                "ip",
                &[
                    "netns",
                    "exec",
                    namespace,
                    "sysctl",
                    "-qw",
                    "net.ipv6.conf.default.disable_ipv6=1",
                ],
                "",
            )?;
        }
        // Loading rules first brings connection tracking up, whose settings follow.
        run("ip", &["netns", "exec", &inner, "nft", "-f", "-"], rules)?;
        for setting in SETTINGS {
            run(
                "ip",
                &["netns", "exec", &inner, "sysctl", "-qw", setting],
                "",
            )?;
        }
        for (index, name) in NAMES.iter().enumerate() {
            let mac = ROUTER_MAC[index]
                .map(|byte| format!("{byte:02x}"))
                .join(":");
            let far = format!("far{index}");
            let words = [
                "-n", &inner, "link", "add", name, "address", &mac, "type", "veth", "peer", "name",
                &far, "netns", &outer,
            ];
            run("ip", &words, "")?;
            run("ip", &["-n", &inner, "link", "set", name, "up"], "")?;
            run("ip", &["-n", &outer, "link", "set", &far, "up"], "")?;
        }
        run(
            "ip",
            &[
                "-n",
                &inner,
                "address",
                "add",
                "192.0.2.1/24",
                "dev",
                NAMES[0],
            ],
            "",
        )?;
        run(
            "ip",
            &[
                "-n",
                &inner,
                "address",
                "add",
                "10.0.0.1/24",
                "dev",
                NAMES[1],
            ],
            "",
        )?;
        run(
            "ip",
            &[
                "-n",
                &inner,
                "route",
                "add",
                "default",
                "via",
                "192.0.2.254",
            ],
            "",
        )?;
        let neighbour = |address: &str, name: &str| {
            let words = [
                "-n",
                &inner,
                "neigh",
                "add",
                address,
                "lladdr",
                "02:00:00:00:02:00",
                "nud",
                "permanent",
                "dev",
                name,
            ];
            run("ip", &words, "")
        };
        neighbour("192.0.2.254", NAMES[0])?;
        inside_hosts
            .iter()
            .try_for_each(|host| neighbour(host, NAMES[1]))?;
        router.sockets = open_sockets(outer)?;
        Ok(router)
    }

    /// Sends a frame into a wire and returns what left the wires until the kernel was done with it.
    pub fn forward(&self, wire: usize, frame: &[u8]) -> io::Result<Vec<(usize, Vec<u8>)>> {
        send(&self.sockets[wire], frame)?;
        send(&self.sockets[wire], &sentinel(wire))?;
        let exit = 1 - wire;
        let mut left = Vec::new();
        loop {
            let frame = receive(&self.sockets[exit], true)?.ok_or(io::ErrorKind::TimedOut)?;
            if is_sentinel(&frame) {
                break;
            }
            left.push((exit, frame));
        }
        // What goes back where it came from has left before the sentinel, too.
        while let Some(frame) = receive(&self.sockets[wire], false)? {
            left.push((wire, frame));
        }
        Ok(left)
    }
}

impl Drop for Router {
    fn drop(&mut self) {
        for namespace in &self.namespaces {
            let _ = run("ip", &["netns", "del", namespace], "");
        }
    }
}

/// As the device: no reverse-path filter, no redirects, TCP begins with SYN and windows are not judged.
const SETTINGS: [&str; 9] = [
    "net.ipv4.ip_forward=1",
    "net.ipv4.conf.all.rp_filter=0",
    "net.ipv4.conf.default.rp_filter=0",
    "net.ipv4.conf.all.send_redirects=0",
    "net.ipv4.conf.default.send_redirects=0",
    "net.netfilter.nf_conntrack_tcp_loose=0",
    "net.netfilter.nf_conntrack_tcp_be_liberal=1",
    "net.ipv4.conf.all.arp_ignore=8",
    "net.ipv4.conf.default.arp_ignore=8",
];

fn run(program: &str, words: &[&str], input: &str) -> io::Result<()> {
    let mut child = Command::new(program)
        .args(words)
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    child
        .stdin
        .take()
        .ok_or(io::ErrorKind::BrokenPipe)?
        .write_all(input.as_bytes())?;
    let output = child.wait_with_output()?;
    let told = String::from_utf8_lossy(&output.stderr);
    let failed = || io::Error::other(format!("{program} {}: {told}\n{input}", words.join(" ")));
    if output.status.success() {
        Ok(())
    } else {
        Err(failed())
    }
}

/// Sockets on both far ends. A thread of its own enters the namespace, so the test's threads stay where they are.
fn open_sockets(namespace: String) -> io::Result<Vec<OwnedFd>> {
    let open = move || {
        let file = std::fs::File::open(format!("/run/netns/{namespace}"))?;
        // SAFETY: the descriptor is open; the thread that changes namespace ends here.
        check(unsafe { libc::setns(file.as_raw_fd(), libc::CLONE_NEWNET) })?;
        (0..2)
            .map(|wire| open_socket(&format!("far{wire}\0")))
            .collect()
    };
    std::thread::spawn(open)
        .join()
        .map_err(|_| io::Error::other("the socket thread panicked"))?
}

fn open_socket(interface: &str) -> io::Result<OwnedFd> {
    let protocol = (libc::ETH_P_ALL as u16).to_be();
    // SAFETY: no memory is passed.
    let raw = check(unsafe {
        libc::socket(
            libc::AF_PACKET,
            libc::SOCK_RAW | libc::SOCK_CLOEXEC,
            protocol.into(),
        )
    })?;
    // SAFETY: the descriptor is new and nobody else's.
    let socket = unsafe { OwnedFd::from_raw_fd(raw) };
    // SAFETY: the name ends with a zero byte.
    let index = unsafe { libc::if_nametoindex(interface.as_ptr().cast()) };
    // SAFETY: all zero is a valid address.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = protocol;
    address.sll_ifindex = index as i32;
    let wait = libc::timeval {
        tv_sec: 10,
        tv_usec: 0,
    };
    let len = size_of_val(&address) as u32;
    // SAFETY: address and timeout live during the calls, and their sizes are given.
    unsafe {
        check(libc::bind(raw, (&raw const address).cast(), len))?;
        let len = size_of_val(&wait) as u32;
        check(libc::setsockopt(
            raw,
            libc::SOL_SOCKET,
            libc::SO_RCVTIMEO,
            (&raw const wait).cast(),
            len,
        ))?;
    }
    Ok(socket)
}

fn send(socket: &OwnedFd, frame: &[u8]) -> io::Result<()> {
    // SAFETY: the frame lives during the call and its length is given.
    let sent = unsafe { libc::send(socket.as_raw_fd(), frame.as_ptr().cast(), frame.len(), 0) };
    check(sent as i32).map(drop)
}

/// The next IPv4 frame that came over the wire; waits for it or not.
fn receive(socket: &OwnedFd, wait: bool) -> io::Result<Option<Vec<u8>>> {
    let mut frame = vec![0; 2048];
    loop {
        // SAFETY: all zero is a valid address.
        let mut from: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        let mut len = size_of_val(&from) as u32;
        let flags = if wait { 0 } else { libc::MSG_DONTWAIT };
        // SAFETY: buffer and address live during the call and their sizes are given.
        let received = unsafe {
            libc::recvfrom(
                socket.as_raw_fd(),
                frame.as_mut_ptr().cast(),
                frame.len(),
                flags,
                (&raw mut from).cast(),
                &mut len,
            )
        };
        match check(received as i32) {
            Ok(len) if from.sll_pkttype != libc::PACKET_OUTGOING && frame[12..14] == [8, 0] => {
                frame.truncate(len as usize);
                return Ok(Some(frame));
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error),
        }
    }
}

fn check(result: i32) -> io::Result<i32> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

/// Keeps this thread on one processor: frames it sends then pass the kernel in order.
pub fn stay_on_one_processor() {
    // SAFETY: all zero is a valid, empty set; its size is given.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(libc::sched_getcpu().max(0) as usize, &mut set);
        libc::sched_setaffinity(0, size_of_val(&set), &set);
    }
}

/// Whether this process may make namespaces.
pub fn is_root() -> bool {
    // SAFETY: no memory is passed.
    unsafe { libc::geteuid() == 0 }
}

fn sentinel(wire: usize) -> Vec<u8> {
    let (src, dst) = if wire == 0 {
        ([198, 51, 100, 250], [10, 0, 0, 2])
    } else {
        ([10, 0, 0, 2], [198, 51, 100, 250])
    };
    let mut frame = Vec::new();
    etherparse::PacketBuilder::ethernet2([2, 0, 0, 0, 2, 0], ROUTER_MAC[wire])
        .ipv4(src, dst, 64)
        .write(&mut frame, etherparse::IpNumber(SENTINEL), &[])
        .expect("a vector takes everything");
    frame
}

fn is_sentinel(frame: &[u8]) -> bool {
    frame.get(23) == Some(&SENTINEL)
}
