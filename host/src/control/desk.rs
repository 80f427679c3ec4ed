//! What questions are answered from: the loop, the proxies' thread, the inspectors, the configuration.

use std::sync::Arc;

use crate::config::ast::Config;
use crate::policy::{Image, Model};
use crate::punt::SlowPath;
use crate::runtime::clock::Clock;
use crate::runtime::link::Overview;
use crate::runtime::questions::{Asker, Unanswered};
use crate::runtime::{Shared, lock};
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
    /// Connections, translations, inspectors.
    pub slow_path: Shared,
    /// The loop, which has the card.
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
    /// It is text.
    #[error("`show running-config` prints text: leave --format away")]
    TextOnly,
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
                let look = move |asked: Asked<'_>, view: &SlowPath| {
                    show::flow::conns(asked, view.conns(), is_detailed, address)
                };
                Ok(self.look(format, look))
            }
            Question::Xlates => {
                let look =
                    |asked: Asked<'_>, view: &SlowPath| show::xlate::xlates(asked, view.xlates());
                Ok(self.look(format, look))
            }
            Question::TlsProxies => {
                let overview = self.overview()?;
                let proxies = overview.proxies();
                let tell = move |sessions: &mut _| show::tls::proxies(format, &proxies, sessions);
                Ok(overview.sessions.ask(tell).await?)
            }
            Question::TlsSessions(detail) => {
                let tell = move |sessions: &mut _| show::tls::sessions(format, detail, sessions);
                Ok(self.overview()?.sessions.ask(tell).await?)
            }
            Question::Sip => {
                let look = move |asked: Asked<'_>, view: &SlowPath| {
                    show::inspect::sip(format, asked.now, view.inspectors())
                };
                Ok(self.look(format, look))
            }
            Question::ServicePolicy => {
                let look = move |asked: Asked<'_>, view: &SlowPath| {
                    let counted = |class| view.inspector_of(class).map(Inspector::stats);
                    show::inspect::service_policy(format, asked.model, counted)
                };
                Ok(self.look(format, look))
            }
            Question::RunningConfig if format == show::Format::Json => Err(Refusal::TextOnly),
            Question::RunningConfig => Ok(self.config.to_string()),
            Question::AccessLists(name) => {
                let hits = self.runtime.ask(|nic| nic.policy_hits()).await?;
                let hits = hits.map_err(|error| Refusal::Card(error.to_string()))?;
                let all = (&*self.config, &*self.model, &*self.image);
                show::access_list::access_lists(format, name.as_deref(), all, &hits)
                    .ok_or_else(|| Refusal::NoList(name.unwrap_or_default()))
            }
        }
    }

    /// Looks at the tables, which stand still meanwhile.
    fn look(
        &self,
        format: show::Format,
        look: impl FnOnce(Asked<'_>, &SlowPath) -> String,
    ) -> String {
        let asked = Asked {
            model: &self.model,
            now: self.clock.now(),
            format,
        };
        look(asked, &lock(&self.slow_path))
    }

    fn overview(&self) -> Result<&Overview, Refusal> {
        self.proxies.as_ref().ok_or(Refusal::NoProxy)
    }
}
