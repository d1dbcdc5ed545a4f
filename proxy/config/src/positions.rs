//! Where in the document each setting stands, for errors that are only found later: a file that is not
//! there, an address that is taken.

use std::collections::HashMap;
use std::fmt;

use crate::document::Span;
use crate::reader::head_span;
use crate::yaml::{Kind, Node};

/// The places of a loaded document's settings. Stands beside the plan, since two plans that say the same
/// are equal wherever their text stands.
#[derive(Clone)]
pub struct Positions {
    root: Node,
    /// From a route's id to its place in the list under `routes`.
    routes: HashMap<String, usize>,
}

impl Positions {
    pub(crate) fn new(root: Node, routes: HashMap<String, usize>) -> Self {
        Self { root, routes }
    }

    /// The place of a function's setting, such as `wasm` or `process`; of the function's name where the file
    /// does not say it.
    pub fn function(&self, name: &str, key: &str) -> Span {
        self.find(&["functions", name, key])
    }

    /// The place of a setting of an upstream, `legacy` included.
    pub fn upstream(&self, name: &str, key: &str) -> Span {
        match name {
            crate::LEGACY => self.find(&[crate::LEGACY, key]),
            _ => self.find(&["upstreams", name, key]),
        }
    }

    /// The place of a route's setting, by the route's id.
    pub fn route(&self, id: &str, key: &str) -> Span {
        match self.routes.get(id) {
            Some(index) => self.find(&["routes", &index.to_string(), key]),
            None => self.find(&["routes"]),
        }
    }

    /// The place of a listener's address, counted from 0.
    pub fn listener(&self, index: usize) -> Span {
        self.find(&["listen", &index.to_string(), "address"])
    }

    /// The place of a listener's certificate or key file (`key` is one of these words), counted from 0.
    pub fn certificate(&self, listener: usize, index: usize, key: &str) -> Span {
        self.find(&["listen", &listener.to_string(), "tls", "certificates", &index.to_string(), key])
    }

    /// The place of any setting by the keys that lead to it, items of lists by their number from 0. Where the
    /// file does not go that far, the place of the last step that it does go.
    pub fn find(&self, path: &[&str]) -> Span {
        let (span, node, _) = self.walk(path);
        // A value is more telling than its key; a collection's key is more telling than its lines.
        if let Kind::Scalar(_) = node.kind { node.span } else { span }
    }

    /// Whether the file says something at this place, by the keys that lead to it.
    pub fn is_written(&self, path: &[&str]) -> bool {
        self.walk(path).2
    }

    /// The last step the file goes: its place, its value, and whether it was the path's last.
    fn walk(&self, path: &[&str]) -> (Span, &Node, bool) {
        let mut node = &self.root;
        let mut span = head_span(node);
        for step in path {
            let next = match &node.kind {
                Kind::Mapping(mapping) => mapping.find(step).map(|entry| (entry.key_span, &entry.value)),
                Kind::Sequence(items) => {
                    let item = step.parse::<usize>().ok().and_then(|index| items.get(index));
                    item.map(|item| (head_span(item), item))
                }
                Kind::Scalar(_) => None,
            };
            let Some(step) = next else { return (span, node, false) };
            (span, node) = step;
        }
        (span, node, true)
    }
}

impl fmt::Debug for Positions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The tree holds the admin token.
        f.debug_struct("Positions").finish_non_exhaustive()
    }
}
