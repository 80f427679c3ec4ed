//! The socket and its thread.
//!
//! Whoever asks has little time and little room, and few may ask at once: a client that is slow or hostile keeps others
//! waiting for that time at most, and the firewall not at all.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::{LocalSet, spawn_local};
use tokio::time::{sleep, timeout};

use super::desk::Desk;
use super::{ANSWER, REFUSAL, SOCKET};
use crate::show::Request;
use crate::show::question::LINE_BYTES;

/// Why nobody can ask.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The directory or the socket cannot be made.
    #[error("cannot make {path}: {source}")]
    Socket {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Two firewalls, one directory.
    #[error("another firewall runs with {0}: give each its own --state")]
    Taken(PathBuf),
    /// No thread.
    #[error("cannot start the thread of the control socket: {0}")]
    Thread(#[source] io::Error),
}

/// An open socket. It is closed and removed when this is dropped.
pub struct Control {
    path: PathBuf,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    /// Locked for as long as the socket is ours.
    _directory: File,
}

impl Control {
    /// Opens the socket of a state directory, which is made if it is not there. What an earlier firewall left is taken
    /// over.
    pub fn start(directory: &Path, desk: Desk) -> Result<Self, Error> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            |source| Error::Socket { path, source }
        };
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder.create(directory).map_err(failed(directory))?;
        let locked = File::open(directory).map_err(failed(directory))?;
        match locked.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Err(Error::Taken(directory.to_owned())),
            Err(fs::TryLockError::Error(source)) => return Err(failed(directory)(source)),
        }
        let path = directory.join(SOCKET);
        let socket = open(&path).map_err(failed(&path))?;
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name("control".into())
            .spawn(move || run(socket, desk, stopped))
            .map_err(Error::Thread)?;
        Ok(Self {
            path,
            stop: Some(stop),
            thread: Some(thread),
            _directory: locked,
        })
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // A panic there has been told there.
            let _ = thread.join();
        }
        // Somebody else may have removed it.
        let _ = fs::remove_file(&self.path);
    }
}

/// Makes the socket; nobody can connect before it is ours alone.
fn open(path: &Path) -> io::Result<std::os::unix::net::UnixListener> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.bind(&SockAddr::unix(path)?)?;
    fs::set_permissions(path, Permissions::from_mode(0o600))?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Serves until `stopped` says so.
fn run(socket: std::os::unix::net::UnixListener, desk: Desk, stopped: oneshot::Receiver<()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    // Without, nobody can ask; the firewall goes on.
    let Ok(runtime) = runtime else {
        return;
    };
    let local = LocalSet::new();
    local.block_on(&runtime, async {
        let Ok(listener) = UnixListener::from_std(socket) else {
            return;
        };
        tokio::select! {
            () = accept(listener, Rc::new(desk)) => {}
            _ = stopped => {}
        }
    });
}

async fn accept(listener: UnixListener, desk: Rc<Desk>) {
    let room = Arc::new(Semaphore::new(MOST_CLIENTS));
    loop {
        let Ok(place) = room.clone().acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((client, _)) => {
                let desk = desk.clone();
                spawn_local(async move {
                    // A client that has gone or stands still is let go.
                    let _ = timeout(PATIENCE, serve(client, &desk)).await;
                    drop(place);
                });
            }
            // No more descriptors, most often: some must be given back first.
            Err(_) => sleep(ACCEPT_AGAIN).await,
        }
    }
}

async fn serve(client: UnixStream, desk: &Desk) -> io::Result<()> {
    let line = read_line(&client).await?;
    let answer = match Request::parse(&line) {
        Ok(request) => desk
            .answer(request)
            .await
            .map_err(|error| error.to_string()),
        Err(unknown) => Err(unknown.to_string()),
    };
    let (head, body) = match answer {
        Ok(body) => (ANSWER, body),
        Err(reason) => (REFUSAL, reason),
    };
    let head = format!("{head}{}\n", body.len());
    write(&client, head.as_bytes()).await?;
    write(&client, body.as_bytes()).await
}

/// Reads up to the first line end; what is longer than any question is cut.
async fn read_line(client: &UnixStream) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    let mut piece = [0; LINE_BYTES];
    loop {
        client.readable().await?;
        match client.try_read(&mut piece) {
            Ok(0) => return Ok(line),
            Ok(length) => line.extend_from_slice(&piece[..length]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            Err(error) => return Err(error),
        }
        if let Some(end) = line.iter().position(|byte| *byte == b'\n') {
            line.truncate(end);
            return Ok(line);
        }
        if line.len() > LINE_BYTES {
            return Ok(line);
        }
    }
}

async fn write(client: &UnixStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        client.writable().await?;
        match client.try_write(bytes) {
            Ok(length) => bytes = &bytes[length..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Time for one question and its answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Who asks at once; others wait in the kernel.
const MOST_CLIENTS: usize = 8;
/// How many of them.
const BACKLOG: i32 = 16;
/// How long nothing is accepted after that failed.
const ACCEPT_AGAIN: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::fs::MetadataExt;
    use std::os::unix::net::UnixStream;
    use std::sync::Mutex;

    use super::*;
    use crate::control::client::{self, ask};
    use crate::flow::Limits;
    use crate::policy::model::Class;
    use crate::policy::{Image, Model};
    use crate::punt::{Resolution, Setup, SlowPath};
    use crate::runtime::clock::Clock;
    use crate::runtime::questions::{self, Questions};
    use crate::show::Format;

    /// A desk of a firewall whose policy has so many classes, and the end of the loop that nobody serves.
    fn desk(classes: usize) -> (Desk, Questions) {
        let class = Class {
            name: "a_class".into(),
            policy: "global_policy".into(),
            interface: None,
            matches: Vec::new(),
            inspect: None,
            inspect_other: Vec::new(),
            idle_s: None,
            limits: None,
            spans: Default::default(),
        };
        let (runtime, questions) = questions::channel().expect("a channel");
        let model = Model {
            classes: vec![class; classes],
            ..Model::default()
        };
        let model = Arc::new(model);
        let slow_path = SlowPath::new(Setup {
            model: model.clone(),
            interfaces: Vec::new(),
            resolution: Resolution::Derive,
            limits: Limits::default(),
            seed: 0,
            has_proxy: false,
        });
        let desk = Desk {
            config: Arc::default(),
            model,
            image: Arc::new(Image::default()),
            slow_path: Arc::new(Mutex::new(slow_path)),
            runtime,
            proxies: None,
            clock: Clock::start(),
        };
        (desk, questions)
    }

    fn start(directory: &Path) -> (Control, Questions) {
        let (desk, questions) = desk(1);
        (
            Control::start(directory, desk).expect("a socket"),
            questions,
        )
    }

    fn sip(directory: &Path) -> Result<String, String> {
        ask(directory, Format::Text, "show sip").map_err(|error| error.to_string())
    }

    #[test]
    fn the_socket_is_its_owners_alone_and_is_gone_with_the_firewall() {
        let folder = tempfile::tempdir().expect("a folder");
        let directory = folder.path().join("state");
        let (control, _questions) = start(&directory);
        let socket = directory.join(SOCKET);
        let mode = |path: &Path| fs::metadata(path).expect("it is there").mode() & 0o777;
        assert_eq!((mode(&directory), mode(&socket)), (0o700, 0o600));
        assert_eq!(sip(&directory), Ok("Total: 0\n".into()));
        let running = ask(&directory, Format::Text, "show running-config").expect("an answer");
        assert_eq!(running, "names\n");
        let refused = ask(&directory, Format::Json, "show running-config").expect_err("text alone");
        assert!(refused.to_string().contains("prints text"), "{refused}");
        drop(control);
        assert!(!socket.exists());
        let missing = ask(&directory, Format::Text, "show sip").expect_err("nobody");
        assert!(
            matches!(missing, client::Error::NotRunning { .. }),
            "{missing}"
        );
        let start = format!("start `postern run --state {}`", directory.display());
        assert!(missing.to_string().contains(&start), "{missing}");
    }

    #[test]
    fn what_a_crash_left_is_taken_over_and_what_runs_is_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let socket = folder.path().join(SOCKET);
        drop(std::os::unix::net::UnixListener::bind(&socket).expect("a socket"));
        assert!(sip(folder.path()).is_err(), "nobody is behind it");
        let (_control, _questions) = start(folder.path());
        assert!(sip(folder.path()).is_ok());
        let (second, _none) = desk(1);
        let taken = Control::start(folder.path(), second).err();
        assert!(matches!(taken, Some(Error::Taken(_))), "{taken:?}");
        assert!(sip(folder.path()).is_ok(), "the first still answers");
    }

    #[test]
    fn lines_that_are_no_question_are_told_what_is_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let (_control, _questions) = start(folder.path());
        let said = |bytes: &[u8]| {
            let mut client = UnixStream::connect(folder.path().join(SOCKET)).expect("a socket");
            // It may have been answered, and closed, before all was written.
            let _ = client.write_all(bytes);
            let mut answer = Vec::new();
            client.read_to_end(&mut answer).expect("an answer");
            String::from_utf8(answer).expect("text")
        };
        assert!(said(b"text show everything\n").starts_with("error "));
        assert!(said(b"\xff\xfe\n").ends_with("say `text` or `json`, and then the command"));
        let long = [b'x'; LINE_BYTES + 1];
        assert!(said(&long).ends_with("a question has at most 512 bytes"));
        assert_eq!(said(b"text show sip\ntext show conn\n"), "ok 9\nTotal: 0\n");
        let refused = ask(folder.path(), Format::Json, "show tls-proxy").expect_err("none");
        assert_eq!(
            refused.to_string(),
            "no class of a service policy names a tls-proxy"
        );
    }

    #[test]
    fn clients_that_stand_still_keep_nobody_else_waiting() {
        let folder = tempfile::tempdir().expect("a folder");
        // An answer that no socket holds.
        let (desk, questions) = desk(100_000);
        let _control = Control::start(folder.path(), desk).expect("a socket");
        let connect = || UnixStream::connect(folder.path().join(SOCKET)).expect("a socket");
        let mut silent: Vec<UnixStream> = (1..MOST_CLIENTS).map(|_| connect()).collect();
        // Of some nothing comes, some do not read what they asked for, one asks a loop that does not answer.
        let (deaf, rest) = silent.split_at_mut(3);
        for client in deaf {
            client
                .write_all(b"text show service-policy\n")
                .expect("room");
        }
        rest[0].write_all(b"text show access-list\n").expect("room");
        assert_eq!(sip(folder.path()), Ok("Total: 0\n".into()));
        let all = ask(folder.path(), Format::Text, "show service-policy").expect("an answer");
        assert_eq!(all.lines().count(), 100_002);
        // Nobody answers any more: whoever asked is told.
        drop(questions);
        let mut answer = String::new();
        rest[0].read_to_string(&mut answer).expect("an answer");
        assert_eq!(answer, "error 24\nthe firewall is stopping");
    }
}
