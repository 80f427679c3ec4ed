//! How many sessions there may be.
//!
//! Comes in: the model, the licence, what was configured. Goes out: whether one more session may begin. The limit of
//! the TLS proxy counts every session; the licence counts those of some applications. Sessions that run are never
//! touched by a limit that sinks.

use std::fmt;

/// A model and the sessions it may be licensed for.
#[derive(Debug, PartialEq, Eq)]
pub struct Profile {
    /// Name.
    pub name: &'static str,
    /// Sessions without a licence of their own.
    pub base: u32,
    /// Sessions that a licence may give.
    pub tiers: &'static [u32],
    /// `tls-proxy maximum-session` when nothing is configured.
    pub default_limit: u32,
    /// The highest `tls-proxy maximum-session`.
    pub model_limit: u32,
}

const TIERS_TO_10_000: &[u32] = &[
    24, 50, 100, 250, 500, 750, 1_000, 2_000, 3_000, 5_000, 10_000,
];

/// The models. Base and tiers are those of the licence table for the presence proxy; the limits of the proxy itself
/// are ours, since they are printed nowhere.
pub const PROFILES: &[Profile] = &[
    profile("ASA 5505", 2, tiers(1), 10, 80),
    profile("ASA 5512-X", 2, tiers(5), 100, 500),
    profile("ASA 5515-X", 2, tiers(5), 100, 500),
    profile("ASA 5525-X", 2, tiers(7), 300, 1_200),
    profile("ASA 5545-X", 2, tiers(8), 1_000, 4_500),
    profile("ASA 5555-X", 2, tiers(9), 1_000, 4_500),
    profile("ASA 5585-X SSP-10", 2, tiers(9), 2_000, 4_500),
    profile("ASA 5585-X SSP-20/40/60", 2, tiers(11), 4_000, 13_000),
    profile("ASASM", 2, tiers(11), 4_000, 13_000),
    profile("ASAv 1 vCPU", 250, &[], 250, 500),
    profile("ASAv 4 vCPU", 1_000, &[], 1_000, 4_500),
];

impl Profile {
    /// The model of this name, with or without its maker's prefix.
    pub fn named(name: &str) -> Option<&'static Self> {
        let bare = |name: &str| {
            let name = name.trim().to_ascii_lowercase();
            let words = name.strip_prefix("asa ").unwrap_or(&name).to_owned();
            words.replace(' ', "-")
        };
        let wanted = bare(name);
        PROFILES.iter().find(|profile| bare(profile.name) == wanted)
    }

    /// Sessions that a licence may give, in words.
    fn licences(&self) -> String {
        let all = [self.base].into_iter().chain(self.tiers.iter().copied());
        all.map(|sessions| sessions.to_string())
            .collect::<Vec<_>>()
            .join(", ")
    }
}

const fn profile(
    name: &'static str,
    base: u32,
    tiers: &'static [u32],
    default_limit: u32,
    model_limit: u32,
) -> Profile {
    Profile {
        name,
        base,
        tiers,
        default_limit,
        model_limit,
    }
}

const fn tiers(count: usize) -> &'static [u32] {
    TIERS_TO_10_000.split_at(count).0
}

/// What a session is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Application {
    /// Phone proxy.
    PhoneProxy,
    /// Presence federation.
    PresenceFederation,
    /// Inspection of encrypted voice.
    EncryptedVoice,
    /// Mobility proxy: needs no licence.
    Mobility,
    /// Intercompany media engine: has a licence of its own.
    IntercompanyMedia,
}

impl Application {
    /// Its sessions count towards the licence.
    pub fn is_counted(self) -> bool {
        matches!(
            self,
            Self::PhoneProxy | Self::PresenceFederation | Self::EncryptedVoice
        )
    }
}

/// TLS proxy sessions of one connection of an application: a phone with a backup call manager has two.
pub fn sessions_of_connection(has_backup: bool) -> u32 {
    if has_backup { 2 } else { 1 }
}

/// How media of a call is encrypted here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Media {
    /// It is encrypted or decrypted here.
    Terminated,
    /// It passes, encrypted or not.
    Passthrough,
}

/// Why one more may not be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Over {
    /// The limit of the TLS proxy.
    Proxy(u32),
    /// The licence.
    Licence(u32),
    /// Encrypted media.
    Media(u32),
}

impl fmt::Display for Over {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Proxy(limit) => write!(f, "maximum TLS Proxy session limit of {limit} reached"),
            Self::Licence(limit) => write!(f, "UC proxy license limit of {limit} sessions reached"),
            Self::Media(limit) => write!(f, "SRTP session limit of {limit} reached"),
        }
    }
}

/// Why a limit or a licence is not taken.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// There is no such licence for the model.
    #[error(
        "there is no license for {sessions} UC proxy sessions on {}, but for {}",
        .profile.name,
        .profile.licences()
    )]
    NoSuchTier {
        /// What was asked for.
        sessions: u32,
        /// The model.
        profile: &'static Profile,
    },
    /// The model or the licence's export class does not go so high.
    #[error("tls-proxy maximum-session {wanted}: at most {highest} here")]
    TooHigh {
        /// What was asked for.
        wanted: u32,
        /// What goes.
        highest: u32,
    },
}

/// The limits in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    profile: &'static Profile,
    licence: u32,
    proxy: u32,
}

impl Limits {
    /// A model as it is without licence and configuration.
    pub fn new(profile: &'static Profile) -> Self {
        let mut limits = Self {
            profile,
            licence: profile.base,
            proxy: 0,
        };
        limits.proxy = profile.default_limit.min(limits.highest());
        limits
    }

    /// A model with a licence: with that of the model if none is named, and the largest of both if no model is named
    /// either.
    pub fn licensed(
        profile: Option<&'static Profile>,
        sessions: Option<u32>,
    ) -> Result<Self, Error> {
        let mut limits = Self::new(profile.unwrap_or(LARGEST));
        match (sessions, profile) {
            (Some(sessions), _) => limits.apply_licence(sessions)?,
            (None, Some(_)) => {}
            (None, None) => limits.apply_licence(LARGEST_LICENCE)?,
        }
        Ok(limits)
    }

    /// The model.
    pub fn platform(&self) -> &'static str {
        self.profile.name
    }

    /// Sessions of counted applications that the licence permits.
    pub fn licence(&self) -> u32 {
        self.licence
    }

    /// Sessions of all applications that the TLS proxy permits.
    pub fn proxy(&self) -> u32 {
        self.proxy
    }

    /// Encrypted media sessions; `None` without a limit.
    pub fn media(&self) -> Option<u32> {
        self.is_export().then_some(EXPORT_MEDIA)
    }

    /// Licences below 250 sessions may leave the country (K8), and are capped for it.
    fn is_export(&self) -> bool {
        self.licence < RESTRICTED_FROM
    }

    /// The highest limit of the TLS proxy.
    fn highest(&self) -> u32 {
        match self.is_export() {
            true => self.profile.model_limit.min(EXPORT_SESSIONS),
            false => self.profile.model_limit,
        }
    }

    /// Takes a licence. A limit that is lower is raised to it.
    pub fn apply_licence(&mut self, sessions: u32) -> Result<(), Error> {
        if sessions != self.profile.base && !self.profile.tiers.contains(&sessions) {
            return Err(Error::NoSuchTier {
                sessions,
                profile: self.profile,
            });
        }
        self.licence = sessions;
        self.proxy = self.proxy.max(sessions).min(self.highest());
        Ok(())
    }

    /// `tls-proxy maximum-session N`: it wins over the licence, also when it is lower.
    pub fn configure(&mut self, wanted: u32) -> Result<(), Error> {
        let highest = self.highest();
        if wanted > highest {
            return Err(Error::TooHigh { wanted, highest });
        }
        self.proxy = wanted;
        Ok(())
    }

    /// `clear configure all`: back to the model's default. Returns what to say when that is lower than the licence; a
    /// standby unit that is being synchronised may ignore it, since its peer's limit comes next.
    pub fn clear(&mut self) -> Option<String> {
        self.proxy = self.profile.default_limit.min(self.highest());
        (self.proxy < self.licence).then(|| {
            format!(
                "ERROR: the TLS proxy limit is now {}, less than the UC license of {}: enter `tls-proxy maximum-session {}` to use it all",
                self.proxy, self.licence, self.licence
            )
        })
    }
}

/// Sessions in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// All of them.
    pub total: u32,
    /// Those that count towards the licence.
    pub counted: u32,
    /// Encrypted media that is terminated here.
    pub media: u32,
}

impl Usage {
    /// Takes so many sessions at once, or none.
    pub fn admit(
        &mut self,
        limits: &Limits,
        application: Application,
        sessions: u32,
    ) -> Result<(), Over> {
        if self.total.saturating_add(sessions) > limits.proxy {
            return Err(Over::Proxy(limits.proxy));
        }
        if application.is_counted() {
            if self.counted.saturating_add(sessions) > limits.licence {
                return Err(Over::Licence(limits.licence));
            }
            self.counted += sessions;
        }
        self.total += sessions;
        Ok(())
    }

    /// Gives sessions back.
    pub fn release(&mut self, application: Application, sessions: u32) {
        self.total = self.total.saturating_sub(sessions);
        if application.is_counted() {
            self.counted = self.counted.saturating_sub(sessions);
        }
    }

    /// Takes a media session.
    pub fn admit_media(&mut self, limits: &Limits, media: Media) -> Result<(), Over> {
        if media == Media::Passthrough {
            return Ok(());
        }
        if let Some(limit) = limits.media()
            && self.media >= limit
        {
            return Err(Over::Media(limit));
        }
        self.media += 1;
        Ok(())
    }

    /// Gives a media session back.
    pub fn release_media(&mut self, media: Media) {
        if media == Media::Terminated {
            self.media = self.media.saturating_sub(1);
        }
    }
}

/// The model that has the largest licence.
const LARGEST: &Profile = &PROFILES[7];
/// See [`LARGEST`].
const LARGEST_LICENCE: u32 = 10_000;
/// Licences of so many sessions and more are restricted (K9).
const RESTRICTED_FROM: u32 = 250;
/// TLS proxy sessions with an unrestricted licence.
const EXPORT_SESSIONS: u32 = 1_000;
/// Encrypted media sessions with an unrestricted licence.
const EXPORT_MEDIA: u32 = 250;

#[cfg(test)]
mod tests {
    use super::*;
    use Application::{IntercompanyMedia, Mobility, PhoneProxy, PresenceFederation};

    fn model(name: &str) -> &'static Profile {
        PROFILES
            .iter()
            .find(|profile| profile.name == name)
            .expect("a model")
    }

    #[test]
    fn tiers_are_those_of_the_licence_table() {
        let last = |name| (model(name).base, model(name).tiers.last().copied());
        assert_eq!(last("ASA 5505"), (2, Some(24)));
        assert_eq!(last("ASA 5515-X"), (2, Some(500)));
        assert_eq!(last("ASA 5525-X"), (2, Some(1_000)));
        assert_eq!(last("ASA 5545-X"), (2, Some(2_000)));
        assert_eq!(last("ASA 5585-X SSP-10"), (2, Some(3_000)));
        assert_eq!(last("ASASM"), (2, Some(10_000)));
        assert_eq!(last("ASAv 4 vCPU"), (1_000, None));
        for profile in PROFILES {
            for tier in [profile.base].iter().chain(profile.tiers) {
                let mut limits = Limits::new(profile);
                limits.apply_licence(*tier).expect("a tier");
                assert!(limits.proxy() >= *tier, "{}: {tier}", profile.name);
            }
        }
    }

    #[test]
    fn a_licence_raises_the_limit_and_a_lower_limit_wins_over_it() {
        let mut limits = Limits::new(model("ASA 5525-X"));
        assert_eq!((limits.licence(), limits.proxy()), (2, 300));
        limits.apply_licence(750).expect("a tier");
        assert_eq!(limits.proxy(), 750);
        limits.configure(100).expect("low enough");
        let mut usage = Usage::default();
        usage.admit(&limits, PresenceFederation, 100).expect("room");
        assert_eq!(
            usage.admit(&limits, PresenceFederation, 1),
            Err(Over::Proxy(100))
        );
        let unknown = Error::NoSuchTier {
            sessions: 751,
            profile: model("ASA 5525-X"),
        };
        assert_eq!(limits.apply_licence(751), Err(unknown));
        assert_eq!(
            unknown.to_string(),
            "there is no license for 751 UC proxy sessions on ASA 5525-X, but for 2, 24, 50, 100, 250, 500, 750, 1000"
        );
    }

    #[test]
    fn a_model_is_known_by_its_name_and_has_its_base_licence_if_none_is_named() {
        for name in ["ASA 5525-X", "5525-x", "asa 5525-X"] {
            let profile = Profile::named(name).expect("a model");
            assert_eq!(profile.name, "ASA 5525-X");
            assert_eq!(
                Limits::licensed(Some(profile), None).map(|own| own.licence()),
                Ok(2)
            );
        }
        assert_eq!(Profile::named("5525"), None);
        let largest = Limits::licensed(None, None).expect("a license");
        assert_eq!((largest.licence(), largest.proxy()), (10_000, 10_000));
        let small = Limits::licensed(None, Some(24)).expect("a license");
        assert_eq!((small.licence(), small.proxy()), (24, 1_000));
        assert!(Limits::licensed(Profile::named("5505"), Some(50)).is_err());
    }

    #[test]
    fn only_some_applications_count_towards_the_licence() {
        let limits = Limits::new(model("ASA 5505"));
        let mut usage = Usage::default();
        // A phone with primary and backup call manager takes both sessions of the base licence.
        usage
            .admit(&limits, PhoneProxy, sessions_of_connection(true))
            .expect("room");
        assert_eq!(
            usage.admit(&limits, PresenceFederation, 1),
            Err(Over::Licence(2))
        );
        usage.admit(&limits, Mobility, 1).expect("not counted");
        usage
            .admit(&limits, IntercompanyMedia, 7)
            .expect("not counted");
        assert_eq!(usage.admit(&limits, Mobility, 1), Err(Over::Proxy(10)));
        assert_eq!((usage.total, usage.counted), (10, 2));
        usage.release(PhoneProxy, 2);
        usage
            .admit(&limits, PresenceFederation, 2)
            .expect("room again");
    }

    #[test]
    fn sessions_are_admitted_all_or_none() {
        let limits = Limits::new(model("ASA 5505"));
        let mut usage = Usage::default();
        usage.admit(&limits, PresenceFederation, 1).expect("room");
        assert!(usage.admit(&limits, PhoneProxy, 2).is_err());
        assert_eq!((usage.total, usage.counted), (1, 1));
    }

    #[test]
    fn export_licences_are_capped_at_1000_sessions_and_250_of_media() {
        let mut limits = Limits::new(model("ASASM"));
        assert_eq!((limits.proxy(), limits.media()), (1_000, Some(250)));
        let over = Error::TooHigh {
            wanted: 1_001,
            highest: 1_000,
        };
        assert_eq!(limits.configure(1_001), Err(over));
        let mut usage = Usage::default();
        for _ in 0..250 {
            usage.admit_media(&limits, Media::Terminated).expect("room");
        }
        assert_eq!(
            usage.admit_media(&limits, Media::Terminated),
            Err(Over::Media(250))
        );
        usage
            .admit_media(&limits, Media::Passthrough)
            .expect("not counted");
        usage.release_media(Media::Passthrough);
        assert_eq!(usage.media, 250);
        limits.apply_licence(250).expect("a tier");
        assert_eq!(limits.media(), None);
        limits.configure(13_000).expect("the model's limit");
        assert!(limits.configure(13_001).is_err());
        usage
            .admit_media(&limits, Media::Terminated)
            .expect("no limit");
    }

    #[test]
    fn clearing_the_configuration_may_leave_less_than_the_licence() {
        let mut limits = Limits::new(model("ASASM"));
        limits.apply_licence(10_000).expect("a tier");
        let said = limits.clear().expect("an error");
        assert_eq!(limits.proxy(), 4_000);
        assert!(said.contains("`tls-proxy maximum-session 10000`"), "{said}");
        limits.apply_licence(3_000).expect("a tier");
        assert_eq!(limits.clear(), None);
    }
}
