use memchr::memmem;

/// What a client is for, as far as its user agent admits it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Kind {
    /// A person, an application, or something that does not say.
    Regular,
    /// Asks whether the service is up.
    HealthCheck,
    /// A crawler, a preview or a feed reader.
    Bot,
    /// Looks for weaknesses.
    Scanner,
}

impl Kind {
    pub const ALL: [Self; 4] = [Self::Regular, Self::HealthCheck, Self::Bot, Self::Scanner];
    /// The kinds whose calls do not show that somebody needs an endpoint.
    pub const APART: [Self; 3] = [Self::HealthCheck, Self::Bot, Self::Scanner];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Regular => "regular",
            Self::HealthCheck => "health-check",
            Self::Bot => "bot",
            Self::Scanner => "scanner",
        }
    }

    /// Its place in [`Kind::APART`].
    pub fn apart(self) -> Option<usize> {
        Self::APART.iter().position(|kind| *kind == self)
    }
}

/// Longer user agents are looked at up to here.
const LOOKED_AT: usize = 512;

const NONE: u8 = 0;
const OTHER: u8 = 1;

/// A family of clients: `curl`, `Firefox`, `Googlebot`. One of a fixed list, so that it can be a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Family(u8);

impl Family {
    /// No user agent was sent.
    pub const NONE: Self = Self(NONE);

    /// The family of a user agent (RFC 9110 §10.1.5). The first entry of the list whose words are in it.
    pub fn of(user_agent: &[u8]) -> Self {
        let text = user_agent.trim_ascii();
        if text.is_empty() {
            return Self::NONE;
        }
        let mut lower = [0; LOOKED_AT];
        let lower = &mut lower[..text.len().min(LOOKED_AT)];
        lower.copy_from_slice(&text[..lower.len()]);
        lower.make_ascii_lowercase();
        let found = FAMILIES.iter().position(|(words, ..)| {
            words.split('&').all(|word| memmem::find(lower, word.as_bytes()).is_some())
        });
        match found.and_then(|index| u8::try_from(index + 2).ok()) {
            Some(index) => Self(index),
            None => Self(OTHER),
        }
    }

    pub fn name(self) -> &'static str {
        match self.0 {
            NONE => "(none)",
            OTHER => "other",
            index => FAMILIES[usize::from(index) - 2].1,
        }
    }

    pub fn kind(self) -> Kind {
        match self.0 {
            NONE | OTHER => Kind::Regular,
            index => FAMILIES[usize::from(index) - 2].2,
        }
    }

    /// What [`Family::index`] gave; any other number is an unknown family.
    pub fn from_index(index: u8) -> Self {
        Self(if usize::from(index) < FAMILIES.len() + 2 { index } else { OTHER })
    }

    /// A number below 256 for tables.
    pub fn index(self) -> u8 {
        self.0
    }
}

/// Words in lower case (all of those that a `&` joins), the family's name, its kind. The order decides: what
/// pretends to be something else stands before it. The words are those that each client documents or sends.
#[rustfmt::skip]
const FAMILIES: &[(&str, &str, Kind)] = &[
    ("sqlmap", "sqlmap", Kind::Scanner),
    ("nikto", "Nikto", Kind::Scanner),
    ("nuclei", "Nuclei", Kind::Scanner),
    ("zgrab", "ZGrab", Kind::Scanner),
    ("masscan", "masscan", Kind::Scanner),
    ("nmap scripting engine", "Nmap", Kind::Scanner),
    ("wpscan", "WPScan", Kind::Scanner),
    ("gobuster", "gobuster", Kind::Scanner),
    ("dirbuster", "DirBuster", Kind::Scanner),
    ("feroxbuster", "feroxbuster", Kind::Scanner),
    ("fuzz faster u fool", "ffuf", Kind::Scanner),
    ("acunetix", "Acunetix", Kind::Scanner),
    ("nessus", "Nessus", Kind::Scanner),
    ("openvas", "OpenVAS", Kind::Scanner),
    ("qualys", "Qualys", Kind::Scanner),
    ("burpcollaborator", "Burp", Kind::Scanner),
    ("censysinspect", "Censys", Kind::Scanner),
    ("expanse", "Expanse", Kind::Scanner),
    ("internetmeasurement", "InternetMeasurement", Kind::Scanner),
    ("whatweb", "WhatWeb", Kind::Scanner),

    ("kube-probe", "kube-probe", Kind::HealthCheck),
    ("elb-healthchecker", "ELB-HealthChecker", Kind::HealthCheck),
    ("googlehc", "GoogleHC", Kind::HealthCheck),
    ("googlestackdrivermonitoring", "GoogleMonitoring", Kind::HealthCheck),
    ("amazon-route53-health-check", "Route53", Kind::HealthCheck),
    ("consul health check", "Consul", Kind::HealthCheck),
    ("envoy/hc", "Envoy", Kind::HealthCheck),
    ("uptimerobot", "UptimeRobot", Kind::HealthCheck),
    ("uptime-kuma", "Uptime-Kuma", Kind::HealthCheck),
    ("better uptime", "Better Uptime", Kind::HealthCheck),
    ("better stack", "Better Uptime", Kind::HealthCheck),
    ("pingdom", "Pingdom", Kind::HealthCheck),
    ("statuscake", "StatusCake", Kind::HealthCheck),
    ("site24x7", "Site24x7", Kind::HealthCheck),
    ("datadog", "Datadog", Kind::HealthCheck),
    ("newrelicpinger", "New Relic", Kind::HealthCheck),
    ("check_http", "check_http", Kind::HealthCheck),
    ("blackbox exporter", "Blackbox Exporter", Kind::HealthCheck),
    ("blackbox-exporter", "Blackbox Exporter", Kind::HealthCheck),
    ("prometheus/", "Prometheus", Kind::HealthCheck),
    ("zabbix", "Zabbix", Kind::HealthCheck),
    ("checkly", "Checkly", Kind::HealthCheck),
    ("updown.io", "updown.io", Kind::HealthCheck),
    ("azure traffic manager", "Azure Traffic Manager", Kind::HealthCheck),
    ("edge health probe", "Azure Front Door", Kind::HealthCheck),

    ("stripe/", "Stripe", Kind::Regular),
    ("github-hookshot", "GitHub-Hookshot", Kind::Regular),
    ("paypal", "PayPal", Kind::Regular),

    ("googlebot", "Googlebot", Kind::Bot),
    ("googleother", "GoogleOther", Kind::Bot),
    ("adsbot-google", "AdsBot", Kind::Bot),
    ("bingbot", "bingbot", Kind::Bot),
    ("yandexbot", "YandexBot", Kind::Bot),
    ("baiduspider", "Baiduspider", Kind::Bot),
    ("duckduckbot", "DuckDuckBot", Kind::Bot),
    ("applebot", "Applebot", Kind::Bot),
    ("ahrefsbot", "AhrefsBot", Kind::Bot),
    ("semrushbot", "SemrushBot", Kind::Bot),
    ("mj12bot", "MJ12bot", Kind::Bot),
    ("petalbot", "PetalBot", Kind::Bot),
    ("bytespider", "Bytespider", Kind::Bot),
    ("amazonbot", "Amazonbot", Kind::Bot),
    ("ccbot", "CCBot", Kind::Bot),
    ("facebookexternalhit", "facebookexternalhit", Kind::Bot),
    ("meta-externalagent", "meta-externalagent", Kind::Bot),
    ("twitterbot", "Twitterbot", Kind::Bot),
    ("linkedinbot", "LinkedInBot", Kind::Bot),
    ("slackbot", "Slackbot", Kind::Bot),
    ("discordbot", "Discordbot", Kind::Bot),
    ("telegrambot", "TelegramBot", Kind::Bot),
    ("whatsapp/", "WhatsApp", Kind::Bot),
    ("ia_archiver", "ia_archiver", Kind::Bot),
    ("feedfetcher", "Feedfetcher", Kind::Bot),
    ("headlesschrome", "HeadlessChrome", Kind::Bot),
    ("crawler", "other bot", Kind::Bot),
    ("spider", "other bot", Kind::Bot),
    ("bot/", "other bot", Kind::Bot),
    ("bot;", "other bot", Kind::Bot),
    ("bot)", "other bot", Kind::Bot),
    ("+http", "other bot", Kind::Bot),

    ("postmanruntime", "Postman", Kind::Regular),
    ("insomnia", "Insomnia", Kind::Regular),
    ("curl/", "curl", Kind::Regular),
    ("wget/", "Wget", Kind::Regular),
    ("httpie/", "HTTPie", Kind::Regular),
    ("python-requests", "python-requests", Kind::Regular),
    ("python-httpx", "python-httpx", Kind::Regular),
    ("aiohttp", "aiohttp", Kind::Regular),
    ("python-urllib", "Python-urllib", Kind::Regular),
    ("go-http-client", "Go-http-client", Kind::Regular),
    ("okhttp", "okhttp", Kind::Regular),
    ("apache-httpclient", "Apache-HttpClient", Kind::Regular),
    ("java-http-client", "Java-http-client", Kind::Regular),
    ("java/", "Java", Kind::Regular),
    ("dart/", "Dart", Kind::Regular),
    ("cfnetwork", "CFNetwork", Kind::Regular),
    ("dalvik/", "Dalvik", Kind::Regular),
    ("axios/", "axios", Kind::Regular),
    ("node-fetch", "node-fetch", Kind::Regular),
    ("undici", "undici", Kind::Regular),
    ("got (", "got", Kind::Regular),
    ("guzzlehttp", "GuzzleHttp", Kind::Regular),
    ("symfony httpclient", "Symfony HttpClient", Kind::Regular),
    ("faraday", "Faraday", Kind::Regular),
    ("ruby", "Ruby", Kind::Regular),
    ("libwww-perl", "libwww-perl", Kind::Regular),
    ("restsharp", "RestSharp", Kind::Regular),
    ("dotnet", ".NET", Kind::Regular),
    ("reqwest", "reqwest", Kind::Regular),
    ("hyper/", "hyper", Kind::Regular),
    ("grpc-", "gRPC", Kind::Regular),
    ("powershell", "PowerShell", Kind::Regular),

    ("mozilla&edg", "Edge", Kind::Regular),
    ("mozilla&opr/", "Opera", Kind::Regular),
    ("mozilla&samsungbrowser", "Samsung Internet", Kind::Regular),
    ("mozilla&firefox", "Firefox", Kind::Regular),
    ("mozilla&fxios", "Firefox", Kind::Regular),
    ("mozilla&crios", "Chrome", Kind::Regular),
    ("mozilla&chrome", "Chrome", Kind::Regular),
    ("mozilla&safari", "Safari", Kind::Regular),
    ("mozilla&trident", "Internet Explorer", Kind::Regular),
    ("mozilla&msie", "Internet Explorer", Kind::Regular),
    ("mozilla/", "other browser", Kind::Regular),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_known_by_what_they_send() {
        for (user_agent, name, kind) in [
            ("", "(none)", Kind::Regular),
            ("shop-app 4.1", "other", Kind::Regular),
            ("curl/8.9.1", "curl", Kind::Regular),
            ("python-requests/2.32.3", "python-requests", Kind::Regular),
            ("Go-http-client/2.0", "Go-http-client", Kind::Regular),
            ("okhttp/4.12.0", "okhttp", Kind::Regular),
            ("kube-probe/1.31", "kube-probe", Kind::HealthCheck),
            ("ELB-HealthChecker/2.0", "ELB-HealthChecker", Kind::HealthCheck),
            (
                "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
                "Googlebot",
                Kind::Bot,
            ),
            ("Mozilla/5.0 (compatible; NewBot/1.0; +https://new.example/bot)", "other bot", Kind::Bot),
            ("sqlmap/1.8#stable (https://sqlmap.org)", "sqlmap", Kind::Scanner),
            (
                "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0",
                "Firefox",
                Kind::Regular,
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 \
                 Safari/537.36 Edg/131.0.0.0",
                "Edge",
                Kind::Regular,
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) \
                 Version/17.6 Safari/605.1.15",
                "Safari",
                Kind::Regular,
            ),
        ] {
            let family = Family::of(user_agent.as_bytes());
            assert_eq!((family.name(), family.kind()), (name, kind), "{user_agent}");
        }
    }

    #[test]
    fn any_bytes_are_a_user_agent_and_the_list_fits_its_number() {
        assert_eq!(Family::of(&[0xFF; 100_000]).name(), "other");
        assert!(FAMILIES.len() <= 254);
        for (words, ..) in FAMILIES {
            assert_eq!(words.to_ascii_lowercase(), *words);
        }
    }
}
