//! A tree of hosts and path segments that yields candidates in the order of precedence.
//!
//! At each node the children are tried from the most to the least specific, so the first accepted candidate is
//! the winner and the search can stop. A node has one parent: one search never enters it twice.

use std::cmp::Reverse;
use std::ops::ControlFlow;

use super::hash::Map;
use super::segments::Segments;
use crate::{HostPattern, Parameter, ParameterType, Pattern, Segment};

/// From here on a map is faster than comparing one by one.
const FEW: usize = 6;

/// RFC 1035 section 2.3.4: a longer host equals no pattern's.
const HOST_BYTES_MAX: usize = 253;

#[derive(Clone, Debug, Default)]
pub(super) struct Trie {
    nodes: Vec<Node>,
    exact: Map<NodeId>,
    wildcards: Map<NodeId>,
    anywhere: Option<NodeId>,
}

/// The routes of one host and path shape, in the order of precedence.
#[derive(Clone, Debug, Default)]
pub(super) struct Leaf {
    routes: Vec<usize>,
    /// How many of them list their methods; the others take any.
    listed: usize,
}

type NodeId = usize;

#[derive(Clone, Debug, Default)]
struct Node {
    literals: Literals,
    affixed: Vec<Affixes>,
    bare: Values,
    /// Routes whose rest parameter stands here.
    rest: Leaf,
    /// Routes that end here.
    end: Leaf,
}

#[derive(Clone, Debug)]
enum Literals {
    Few(Vec<(Box<str>, NodeId)>),
    Many(Map<NodeId>),
}

/// Children with so much literal text in front and behind; in a node sorted by `order`.
#[derive(Clone, Debug)]
struct Affixes {
    prefix_bytes: usize,
    suffix_bytes: usize,
    /// By prefix, then by suffix.
    children: Map<Map<Values>>,
}

/// Children by type of the value, `None` is any.
#[derive(Clone, Debug, Default)]
struct Values {
    typed: Vec<(ParameterType, NodeId)>,
    plain: Option<NodeId>,
}

impl Trie {
    pub(super) fn insert(&mut self, route: usize, pattern: &Pattern) {
        let mut node = self.root(pattern.host());
        for segment in pattern.segments() {
            node = match segment {
                Segment::Literal(text) => self.literal(node, text),
                Segment::Parameter(parameter) => self.parameter(node, parameter),
                Segment::Rest { .. } => return self.nodes[node].rest.routes.push(route),
            };
        }
        self.nodes[node].end.routes.push(route);
    }

    /// Puts the routes of every leaf in order: by this rank, whose first part is whether a route takes any
    /// method, then as inserted.
    pub(super) fn sort<R: Ord>(&mut self, rank: impl Fn(usize) -> (bool, R, R)) {
        for node in &mut self.nodes {
            for leaf in [&mut node.rest, &mut node.end] {
                leaf.routes.sort_by_key(|route| (rank(*route), *route));
                leaf.listed = leaf.routes.iter().take_while(|route| !rank(**route).0).count();
            }
        }
    }

    pub(super) fn leaves(&self, visit: &mut impl FnMut(&Leaf)) {
        self.nodes.iter().flat_map(|node| [&node.rest, &node.end]).for_each(visit);
    }

    /// Shows every leaf whose host and path match, the most specific first, until `visit` breaks off.
    pub(super) fn visit(
        &self,
        host: Option<&str>,
        segments: &Segments<'_>,
        visit: &mut impl FnMut(&Leaf) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        if !(self.exact.is_empty() && self.wildcards.is_empty()) {
            let mut buffer = [0; HOST_BYTES_MAX];
            if let Some(host) = host.and_then(|host| host_name(host, &mut buffer)) {
                self.visit_hosts(host, segments, visit)?;
            }
        }
        self.anywhere.map_or(ControlFlow::Continue(()), |root| self.walk(root, 0, segments, visit))
    }

    fn visit_hosts(
        &self,
        host: &str,
        segments: &Segments<'_>,
        visit: &mut impl FnMut(&Leaf) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        if let Some(root) = self.exact.get(host) {
            self.walk(*root, 0, segments, visit)?;
        }
        if self.wildcards.is_empty() {
            return ControlFlow::Continue(());
        }
        // From the longest: `c.b.a` has the parents `b.a` and `a`. A leading dot leaves no label in front.
        for (dot, _) in host.match_indices('.').filter(|(dot, _)| *dot > 0) {
            if let Some(root) = self.wildcards.get(&host[dot + 1..]) {
                self.walk(*root, 0, segments, visit)?;
            }
        }
        ControlFlow::Continue(())
    }

    /// Depth first; the depth is bound by [`SEGMENTS_MAX`](crate::SEGMENTS_MAX), since nodes only come from patterns.
    fn walk(
        &self,
        node: NodeId,
        depth: usize,
        segments: &Segments<'_>,
        visit: &mut impl FnMut(&Leaf) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let node = &self.nodes[node];
        if depth == segments.count() {
            return node.end.show(visit);
        }
        let text = segments.text(depth);
        if let Some(child) = node.literals.find(text) {
            self.walk(child, depth + 1, segments, visit)?;
        }
        for affixes in &node.affixed {
            let Some((values, value)) = affixes.find(text) else { continue };
            for (kind, child) in &values.typed {
                if kind.accepts(value) {
                    self.walk(*child, depth + 1, segments, visit)?;
                }
            }
            if let Some(child) = values.plain {
                self.walk(child, depth + 1, segments, visit)?;
            }
        }
        for (kind, child) in &node.bare.typed {
            if segments.is(depth, *kind) {
                self.walk(*child, depth + 1, segments, visit)?;
            }
        }
        if let Some(child) = node.bare.plain.filter(|_| !text.is_empty()) {
            self.walk(child, depth + 1, segments, visit)?;
        }
        node.rest.show(visit)
    }

    fn root(&mut self, host: Option<&HostPattern>) -> NodeId {
        let fresh = self.nodes.len();
        let root = match host {
            Some(HostPattern::Exact(name)) => *self.exact.entry(name.as_str().into()).or_insert(fresh),
            Some(HostPattern::Wildcard(name)) => *self.wildcards.entry(name.as_str().into()).or_insert(fresh),
            None => *self.anywhere.get_or_insert(fresh),
        };
        self.ensure(root)
    }

    fn literal(&mut self, node: NodeId, text: &str) -> NodeId {
        let fresh = self.nodes.len();
        let child = self.nodes[node].literals.insert(text, fresh);
        self.ensure(child)
    }

    fn parameter(&mut self, node: NodeId, parameter: &Parameter) -> NodeId {
        let fresh = self.nodes.len();
        let child = self.nodes[node].values(parameter).insert(parameter.kind, fresh);
        self.ensure(child)
    }

    /// Makes the node if its number is the next free one.
    fn ensure(&mut self, node: NodeId) -> NodeId {
        if node == self.nodes.len() {
            self.nodes.push(Node::default());
        }
        node
    }
}

impl Leaf {
    pub(super) fn listed(&self) -> &[usize] {
        &self.routes[..self.listed]
    }

    pub(super) fn any(&self) -> &[usize] {
        &self.routes[self.listed..]
    }

    fn show(&self, visit: &mut impl FnMut(&Self) -> ControlFlow<()>) -> ControlFlow<()> {
        if self.routes.is_empty() { ControlFlow::Continue(()) } else { visit(self) }
    }
}

impl Node {
    /// Where the children of such a parameter are.
    fn values(&mut self, parameter: &Parameter) -> &mut Values {
        let Parameter { prefix, suffix, .. } = parameter;
        if prefix.is_empty() && suffix.is_empty() {
            return &mut self.bare;
        }
        let order = Affixes::order(prefix.len(), suffix.len());
        let at = match self
            .affixed
            .binary_search_by_key(&order, |own| Affixes::order(own.prefix_bytes, own.suffix_bytes))
        {
            Ok(at) => at,
            Err(at) => {
                let children = Map::default();
                self.affixed
                    .insert(at, Affixes { prefix_bytes: prefix.len(), suffix_bytes: suffix.len(), children });
                at
            }
        };
        let by_suffix = self.affixed[at].children.entry(prefix.as_str().into()).or_default();
        by_suffix.entry(suffix.as_str().into()).or_default()
    }
}

impl Default for Literals {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

impl Literals {
    fn find(&self, text: &str) -> Option<NodeId> {
        match self {
            Self::Few(children) => {
                children.iter().find_map(|(own, child)| (**own == *text).then_some(*child))
            }
            Self::Many(children) => children.get(text).copied(),
        }
    }

    /// The child of this text, which is `fresh` if there was none.
    fn insert(&mut self, text: &str, fresh: NodeId) -> NodeId {
        if let Some(child) = self.find(text) {
            return child;
        }
        match self {
            Self::Few(children) => {
                children.push((text.into(), fresh));
                if children.len() > FEW {
                    *self = Self::Many(std::mem::take(children).into_iter().collect());
                }
            }
            Self::Many(children) => {
                children.insert(text.into(), fresh);
            }
        }
        fresh
    }
}

impl Affixes {
    /// The more literal text the earlier; of the same amount, the more of it in front the earlier.
    fn order(prefix_bytes: usize, suffix_bytes: usize) -> impl Ord {
        Reverse((prefix_bytes + suffix_bytes, prefix_bytes))
    }

    /// The children whose literal text this segment has, and the value between.
    fn find<'t>(&self, text: &'t str) -> Option<(&Values, &'t str)> {
        let end = text.len().checked_sub(self.suffix_bytes)?;
        if end <= self.prefix_bytes {
            return None;
        }
        let (prefix, value) = (text.get(..self.prefix_bytes)?, text.get(self.prefix_bytes..end)?);
        let values = self.children.get(prefix)?.get(text.get(end..)?)?;
        Some((values, value))
    }
}

impl Values {
    fn insert(&mut self, kind: Option<ParameterType>, fresh: NodeId) -> NodeId {
        let Some(kind) = kind else { return *self.plain.get_or_insert(fresh) };
        match self.typed.binary_search_by_key(&kind, |(own, _)| *own) {
            Ok(at) => self.typed[at].1,
            Err(at) => {
                self.typed.insert(at, (kind, fresh));
                fresh
            }
        }
    }
}

/// The host in lower case, without its port and without the dot that ends a fully qualified name.
fn host_name<'b>(host: &str, buffer: &'b mut [u8; HOST_BYTES_MAX]) -> Option<&'b str> {
    let name = crate::request::without_port(host);
    let lower = buffer.get_mut(..name.len())?;
    lower.copy_from_slice(name.as_bytes());
    lower.make_ascii_lowercase();
    std::str::from_utf8(lower).ok()
}
