//! A network of our own: a TUN device, and sockets that take any address.
//!
//! What the device receives is for us, whatever address it is for: a rule for packets from the device sends them to a
//! table whose only route is local. What we send leaves by the device. ip-rule(8), ip(7) `IP_TRANSPARENT`.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use rtnetlink::packet_route::route::{RouteScope, RouteType};
use rtnetlink::packet_route::rule::RuleAction;
use rtnetlink::{LinkUnspec, RouteMessageBuilder};
use rustix::io::Errno;
use rustix::thread::{UnshareFlags, unshare_unsafe};
use socket2::SockRef;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tun_rs::{DeviceBuilder, SyncDevice};

/// Puts the calling thread, and it alone, into a network of its own. Without the right to make one, the network it is in
/// will do if nothing else is in it: a service manager can give one, and then CAP_NET_ADMIN is all that is needed.
pub fn enter() -> io::Result<()> {
    // SAFETY: a network namespace is not memory: nothing that the other threads share changes under them.
    match unsafe { unshare_unsafe(UnshareFlags::NEWNET) } {
        Ok(()) => Ok(()),
        Err(Errno::PERM) if is_empty()? => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Whether the network of the calling thread has no device but the loopback.
fn is_empty() -> io::Result<bool> {
    let text = std::fs::read_to_string("/proc/thread-self/net/dev")?;
    let mut names = text.lines().filter_map(|line| line.split_once(':'));
    Ok(names.all(|(name, _)| name.trim() == "lo"))
}

/// Makes the device. It goes with the last descriptor.
pub fn device() -> io::Result<SyncDevice> {
    let device = DeviceBuilder::new()
        .name(DEVICE)
        .mtu(MTU)
        .enable(false)
        .build_sync()?;
    device.set_nonblocking(true)?;
    Ok(device)
}

/// Brings the network up.
pub async fn configure(device: u32) -> io::Result<()> {
    let (connection, handle, _) = rtnetlink::new_connection()?;
    let served = tokio::task::spawn_local(connection);
    let result = async {
        for index in [LOOPBACK, device] {
            let up = LinkUnspec::new_with_index(index).up().build();
            handle.link().set(up).execute().await?;
        }
        let out = RouteMessageBuilder::<Ipv4Addr>::new()
            .output_interface(device)
            .scope(RouteScope::Link)
            .build();
        unless_there(handle.route().add(out).execute().await)?;
        let here = RouteMessageBuilder::<Ipv4Addr>::new()
            .output_interface(LOOPBACK)
            .table_id(TABLE)
            .kind(RouteType::Local)
            .scope(RouteScope::Host)
            .build();
        unless_there(handle.route().add(here).execute().await)?;
        let rule = handle.rule().add().v4();
        let rule = rule.input_interface(DEVICE).table_id(TABLE);
        unless_there(rule.action(RuleAction::ToTable).execute().await)
    };
    let result = result.await;
    served.abort();
    result.map_err(|error: rtnetlink::Error| io::Error::other(error.to_string()))
}

/// In a network that was given, rule and route of one who was killed may still be there.
fn unless_there(result: Result<(), rtnetlink::Error>) -> Result<(), rtnetlink::Error> {
    match result {
        Err(rtnetlink::Error::NetlinkError(error))
            if error.raw_code() == -Errno::EXIST.raw_os_error() =>
        {
            Ok(())
        }
        result => result,
    }
}

/// Listens on a port, for all addresses there are.
pub fn listen(port: u16) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    SockRef::from(&socket).set_ip_transparent_v4(true)?;
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(true)?;
    socket.bind((Ipv4Addr::UNSPECIFIED, port).into())?;
    socket.listen(BACKLOG)
}

/// Connects as somebody else, also from a port that is listened on: two servers may talk from port to port.
pub async fn connect(from: SocketAddr, to: SocketAddr) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    SockRef::from(&socket).set_ip_transparent_v4(true)?;
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(true)?;
    socket.bind(from)?;
    let stream = socket.connect(to).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Name of the device, in its own namespace.
const DEVICE: &str = "proxy0";
/// Packets as the card takes them.
const MTU: u16 = 1500;
/// Number of the loopback device, in every namespace.
const LOOPBACK: u32 = 1;
/// A routing table nobody else uses: the namespace is ours.
const TABLE: u32 = 100;
/// Connections that wait to be accepted.
const BACKLOG: u32 = 1024;
