//! What questions are answered from: the loop, the proxies' thread, the inspectors, the configuration.

use std::sync::Arc;

use crate::config::ast::Config;
use crate::policy::{Image, Model};
use crate::runtime::clock::Clock;
use crate::runtime::link::Overview;
use crate::runtime::questions::{Asker, Unanswered};
use crate::show::flow::Asked;
use crate::show::{self, Question, Request};
use crate::sip::Inspector;

/// Everything that can be asked.
pub struct Desk {
    /// The configuration as it was written.
    pub config: Arc<Config>,
    /// What it means.
    pub model: Arc<Model>,
    /// What the card was told.
    pub image: Arc<Image>,
    /// The loop.
    pub runtime: Asker,
    /// The proxies, if there are any.
    pub proxies: Option<Overview>,
    /// The time.
    pub clock: Clock,
}

/// Why a question has no answer, in words.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    /// The loop has none.
    #[error(transparent)]
    Runtime(#[from] Unanswered),
    /// The proxies have none.
    #[error(transparent)]
    Proxies(#[from] crate::tcp::Error),
    /// The card has none.
    #[error("{0}")]
    Card(String),
    /// No class names a proxy.
    #[error("no class of a service policy names a tls-proxy")]
    NoProxy,
    /// No such list.
    #[error("there is no access-list {0}")]
    NoList(String),
}

impl Desk {
    /// Answers one question.
    pub(super) async fn answer(&self, request: Request) -> Result<String, Refusal> {
        let format = request.format;
        match request.question {
            Question::Conns {
                is_detailed,
                address,
            } => {
                let look = move |asked: Asked<'_>, view: &crate::punt::SlowPath| {
                    show::flow::conns(asked, view.conns(), is_detailed, address)
                };
                self.look(format, look).await
            }
            Question::Xlates => {
                let look = |asked: Asked<'_>, view: &crate::punt::SlowPath| {
                    show::flow::xlates(asked, view.xlates())
                };
                self.look(format, look).await
            }
            Question::TlsProxies => {
                let overview = self.overview()?;
                let proxies = overview.proxies.clone();
                let tell = move |sessions: &mut _| show::tls::proxies(format, &proxies, sessions);
                Ok(overview.sessions.ask(tell).await?)
            }
            Question::TlsSessions(detail) => {
                let tell = move |sessions: &mut _| show::tls::sessions(format, detail, sessions);
                Ok(self.overview()?.sessions.ask(tell).await?)
            }
            Question::Sip => {
                let look = move |asked: Asked<'_>, view: &crate::punt::SlowPath| {
                    show::inspect::sip(format, asked.now, view.inspectors())
                };
                self.look(format, look).await
            }
            Question::ServicePolicy => {
                let look = move |asked: Asked<'_>, view: &crate::punt::SlowPath| {
                    let counted = |class| view.inspector_of(class).map(Inspector::stats);
                    show::inspect::service_policy(format, asked.model, counted)
                };
                self.look(format, look).await
            }
            Question::AccessLists(name) => {
                let hits = self.runtime.ask(|view| view.nic.policy_hits()).await?;
                let hits = hits.map_err(|error| Refusal::Card(error.to_string()))?;
                let all = (&*self.config, &*self.model, &*self.image);
                show::access_list::access_lists(format, name.as_deref(), all, &hits)
                    .ok_or_else(|| Refusal::NoList(name.unwrap_or_default()))
            }
        }
    }

    /// Has the loop look at its tables.
    async fn look(
        &self,
        format: show::Format,
        look: impl FnOnce(Asked<'_>, &crate::punt::SlowPath) -> String + Send + 'static,
    ) -> Result<String, Refusal> {
        let model = self.model.clone();
        let look = move |view: &mut crate::runtime::questions::View<'_>| {
            let asked = Asked {
                model: &model,
                now: view.now,
                format,
            };
            look(asked, &view.slow_path())
        };
        Ok(self.runtime.ask(look).await?)
    }

    fn overview(&self) -> Result<&Overview, Refusal> {
        self.proxies.as_ref().ok_or(Refusal::NoProxy)
    }
}
