//! What a route does to messages beside choosing a side: the plans of `rewrite`, `request`, `response`,
//! `respond` and `files`.

use std::fmt;
use std::path::PathBuf;

use starve_migration::Side;
use starve_routing::{Place, Rewrite, Template};

/// What is changed in a call on its way to a side and back. The default changes nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// The target that legacy gets instead of the client's.
    pub rewrite_legacy: Option<Rewrite>,
    /// The same for the function.
    pub rewrite_function: Option<Rewrite>,
    pub request: RequestChanges,
    pub response: ResponseChanges,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestChanges {
    /// Instead of the client's.
    pub method: Option<String>,
    /// Fields, by their names in lower case; those in `remove` go first.
    pub set: Vec<(String, Template)>,
    pub remove: Vec<String>,
    /// Query parameters: those that are set or removed go wherever they stand, and what is set comes last.
    pub query_set: Vec<(String, Template)>,
    pub query_remove: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResponseChanges {
    /// 200 to 599 without 206 and 304.
    pub status: Option<u16>,
    pub set: Vec<(String, Template)>,
    pub remove: Vec<String>,
    pub body: Option<BodyPlan>,
}

/// A body that the configuration gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BodyPlan {
    pub template: Template,
    /// How values are spelled in it.
    pub place: Place,
    /// Where the fields name none.
    pub content_type: &'static str,
}

/// `respond`: the proxy's own answer; no side is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RespondPlan {
    pub status: u16,
    pub headers: Vec<(String, Template)>,
    pub body: Option<BodyPlan>,
}

/// `files`: a folder stands in the function's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilesPlan {
    /// Joined with the configuration file's folder.
    pub folder: PathBuf,
    /// `single-page`: the file in the folder that answers where there is none.
    pub single_page: Option<String>,
    /// Whether files and folders whose names begin with a dot are served.
    pub dotfiles: bool,
}

impl Changes {
    pub fn rewrite(&self, side: Side) -> Option<&Rewrite> {
        match side {
            Side::Legacy => self.rewrite_legacy.as_ref(),
            Side::Function => self.rewrite_function.as_ref(),
        }
    }

    /// Whether calls to this side pass as they are.
    pub fn is_empty(&self, side: Side) -> bool {
        self.rewrite(side).is_none()
            && self.request == RequestChanges::default()
            && self.response == ResponseChanges::default()
    }
}

impl ResponseChanges {
    /// Whether something of the request has to be kept for the answer.
    pub fn needs_request(&self) -> bool {
        let body = self.body.as_ref().map(|body| &body.template);
        self.set.iter().map(|(_, template)| template).chain(body).any(Template::needs_request)
    }
}

/// The place that the value of a field is.
pub fn field_place(name: &str) -> Place {
    if matches!(name, "location" | "content-location" | "refresh") { Place::Url } else { Place::Field }
}

/// Names only: the values of fields can be secret.
impl fmt::Display for RequestChanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words = Vec::new();
        words.extend(self.method.iter().map(|method| format!("method {method}")));
        words.extend(self.set.iter().map(|(name, _)| format!("set {name}")));
        words.extend(self.remove.iter().map(|name| format!("remove {name}")));
        words.extend(self.query_set.iter().map(|(name, _)| format!("set ?{name}")));
        words.extend(self.query_remove.iter().map(|name| format!("remove ?{name}")));
        f.write_str(&words.join(", "))
    }
}

impl fmt::Display for ResponseChanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words = Vec::new();
        words.extend(self.status.iter().map(|status| format!("status {status}")));
        words.extend(self.set.iter().map(|(name, _)| format!("set {name}")));
        words.extend(self.remove.iter().map(|name| format!("remove {name}")));
        words.extend(self.body.iter().map(|_| "another body".to_owned()));
        f.write_str(&words.join(", "))
    }
}

impl fmt::Display for RespondPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "status {}", self.status)?;
        self.headers.iter().try_for_each(|(name, _)| write!(f, ", set {name}"))?;
        self.body.iter().try_for_each(|_| f.write_str(", a body"))
    }
}

impl fmt::Display for FilesPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.folder.display())?;
        self.single_page.iter().try_for_each(|page| write!(f, ", else {page}"))?;
        if self.dotfiles { f.write_str(", with dotfiles") } else { Ok(()) }
    }
}
