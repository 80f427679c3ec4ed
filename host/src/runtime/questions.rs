//! Questions to a running loop, from other threads.
//!
//! Whoever asks hands over what is to be looked at, and gets the result when the loop has come to it. Few wait at a
//! time: a loop that is busy is not asked ever more.

use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use tokio::sync::oneshot;
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use crate::nic::Nic;

/// What is asked of the driver, whose counters may be read.
pub type Look = Box<dyn FnOnce(&mut Nic) + Send>;

/// Why there is no answer.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum Unanswered {
    /// Too many have asked.
    #[error("too many questions at once: try again")]
    Busy,
    /// It ended.
    #[error("the firewall is stopping")]
    Stopped,
}

/// Asks a loop.
#[derive(Clone)]
pub struct Asker {
    looks: SyncSender<Look>,
    wake: Arc<EventFd>,
}

/// The loop's end: readable when somebody asked.
pub struct Questions {
    looks: Receiver<Look>,
    wake: Arc<EventFd>,
}

/// Both ends.
pub fn channel() -> io::Result<(Asker, Questions)> {
    let (asked, looks) = sync_channel(MOST_WAITING);
    let wake = Arc::new(EventFd::new(EFD_NONBLOCK)?);
    let asker = Asker {
        looks: asked,
        wake: wake.clone(),
    };
    Ok((asker, Questions { looks, wake }))
}

impl Asker {
    /// Has the loop look at something behind its next turn, and waits for what it saw.
    pub async fn ask<T: Send + 'static>(
        &self,
        look: impl FnOnce(&mut Nic) -> T + Send + 'static,
    ) -> Result<T, Unanswered> {
        let (answer, answered) = oneshot::channel();
        let look = move |nic: &mut Nic| {
            // Whoever asked may have gone.
            let _ = answer.send(look(nic));
        };
        self.looks
            .try_send(Box::new(look))
            .map_err(|_| Unanswered::Busy)?;
        self.wake();
        answered.await.map_err(|_| Unanswered::Stopped)
    }

    /// Has the loop take a turn soon, without waiting for it.
    pub fn wake(&self) {
        // It fails only when it has been told so often that it knows.
        let _ = self.wake.write(1);
    }
}

impl Questions {
    /// Takes what was asked until now.
    pub fn take(&self) -> Vec<Look> {
        // Nothing to read if nobody asked.
        let _ = self.wake.read();
        self.looks.try_iter().take(MOST_WAITING).collect()
    }
}

impl AsRawFd for Questions {
    fn as_raw_fd(&self) -> RawFd {
        self.wake.as_raw_fd()
    }
}

/// Questions that wait for the loop.
const MOST_WAITING: usize = 8;

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::task::Poll;

    use super::*;

    #[test]
    fn a_loop_that_is_busy_is_not_asked_ever_more() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime");
        let (asker, unserved) = channel().expect("a channel");
        runtime.block_on(async {
            let mut asked = Vec::new();
            for _ in 0..MOST_WAITING {
                let mut one = Box::pin(asker.ask(|_| ()));
                let first = poll_fn(|context| Poll::Ready(one.as_mut().poll(context)));
                assert!(first.await.is_pending());
                asked.push(one);
            }
            assert_eq!(asker.ask(|_| ()).await, Err(Unanswered::Busy));
            drop(unserved);
            for one in asked {
                assert_eq!(one.await, Err(Unanswered::Stopped));
            }
        });
    }
}
