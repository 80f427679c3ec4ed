//! All sessions, on a thread of their own in a network of its own.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::mpsc;
use std::time::Duration;

use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::{LocalSet, spawn_local};
use tun_rs::SyncDevice;

use super::adapter::{Ask, Assign, Assigned, Command, Duty, Error, Log, Secured, Setup};
use super::plain::Plain;
use super::{network, relay};
use crate::punt::Event;
use crate::runtime::clock::Clock;
use crate::tls::{Session, Sessions};

/// What all tasks of the thread share.
struct Shared {
    clock: Clock,
    sessions: RefCell<Sessions>,
    assign: RefCell<Assign>,
    log: RefCell<Log>,
    ask: Ask,
}

/// Runs until the commands end. Tells the device once the network is up.
pub fn run(
    setup: Setup,
    mut commands: UnboundedReceiver<Command>,
    ready: &mpsc::Sender<Result<SyncDevice, Error>>,
) {
    let started = (|| {
        network::enter().map_err(Error::Namespace)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(Error::Thread)?;
        let device = network::device().map_err(Error::Device)?;
        let index = device.if_index().map_err(Error::Device)?;
        let local = LocalSet::new();
        runtime
            .block_on(local.run_until(network::configure(index)))
            .map_err(Error::Routes)?;
        Ok((runtime, local, device))
    })();
    let (runtime, local) = match started {
        Ok((runtime, local, device)) => {
            if ready.send(Ok(device)).is_err() {
                return;
            }
            (runtime, local)
        }
        Err(error) => {
            // Whoever asked has gone, then.
            let _ = ready.send(Err(error));
            return;
        }
    };
    let shared = Rc::new(Shared {
        clock: setup.clock,
        sessions: RefCell::new(Sessions::new(setup.limits)),
        assign: RefCell::new(setup.assign),
        log: RefCell::new(setup.log),
        ask: setup.ask,
    });
    local.block_on(&runtime, async {
        while let Some(command) = commands.recv().await {
            match command {
                Command::Listen(port, answer) => {
                    // Whoever asked has gone, then.
                    let _ = answer.send(listen(&shared, port));
                }
                Command::Ask(question) => question(&mut shared.sessions.borrow_mut()),
            }
        }
    });
}

fn listen(shared: &Rc<Shared>, port: u16) -> io::Result<()> {
    let listener = network::listen(port)?;
    spawn_local(accept(Rc::clone(shared), listener));
    Ok(())
}

async fn accept(shared: Rc<Shared>, listener: TcpListener) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                spawn_local(serve(Rc::clone(&shared), stream, peer));
            }
            // No more descriptors, most often: some must be given back first.
            Err(_) => tokio::time::sleep(ACCEPT_AGAIN).await,
        }
    }
}

/// Carries one connection from its first byte to its end.
async fn serve(shared: Rc<Shared>, stream: TcpStream, peer: SocketAddr) {
    let Ok(dialled) = stream.local_addr() else {
        return;
    };
    let refuse = |stream: TcpStream| {
        // It cannot fail on a socket.
        let _ = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
    };
    let duty = (shared.assign.borrow_mut())(peer, dialled);
    let assigned = match duty {
        Some(Duty::Carry(assigned)) => assigned,
        Some(Duty::Answer(answer)) => return answer(stream).await,
        None => return refuse(stream),
    };
    // A small delay is all that is lost.
    let _ = stream.set_nodelay(true);
    let Assigned {
        tls,
        dialler,
        dialled,
        inspect,
    } = assigned;
    let tell = |event: &Event| (shared.log.borrow_mut())(event);
    let Some(Secured { proxy, application }) = tls else {
        let mut session = Plain::new(dialler, dialled, inspect);
        return relay::relay(
            &shared.clock,
            &mut session,
            stream,
            &shared.ask,
            tell,
            |_| {},
        )
        .await;
    };
    let now = shared.clock.now();
    let opened =
        shared
            .sessions
            .borrow_mut()
            .open(now, application, &proxy.name, &dialler, &dialled);
    let id = match opened {
        Ok(id) => id,
        Err((_, event)) => {
            if let Some(event) = event {
                tell(&event);
            }
            return refuse(stream);
        }
    };
    let mut session = Session::new(now, proxy, dialler, dialled, inspect);
    let see = |session: &Session| shared.sessions.borrow_mut().see(id, session);
    relay::relay(&shared.clock, &mut session, stream, &shared.ask, tell, see).await;
    shared.sessions.borrow_mut().close(id, session.bytes());
}

/// How long nothing is accepted after that failed.
const ACCEPT_AGAIN: Duration = Duration::from_millis(50);
