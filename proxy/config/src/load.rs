//! `load`: the one way from a text to a plan.

use std::collections::HashMap;
use std::path::Path;

use crate::diagnostics::{Diagnostic, Diagnostics};
use crate::document::{Document, Span};
use crate::plan::Plan;
use crate::positions::Positions;
use crate::reader::Reader;
use crate::{read, resolve, secrets, yaml};

/// The largest configuration file that is read. Whoever opens the file need not read further.
pub const FILE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// What a document says.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub plan: Plan,
    /// Where each setting stands, for errors that are found later.
    pub positions: Positions,
    /// What is allowed but probably not meant; often empty.
    pub warnings: Diagnostics,
}

/// Reads a document. Relative files are joined with `base`, the folder of the configuration file, which
/// should be absolute: a function's program is started in another folder. No file is opened and no name
/// looked up.
///
/// # Errors
/// Everything that is wrong with the document, in the order of the file. A text that is not YAML gives one
/// diagnostic, since what comes behind the mistake cannot be judged.
pub fn load(document: &Document, base: &Path) -> Result<Loaded, Diagnostics> {
    let fail = |problems| Diagnostics::from_list(document, problems);
    if document.text().len() > FILE_BYTES_MAX {
        let message = format!("the file has {} bytes", document.text().len());
        return Err(fail(vec![
            Diagnostic::error(Span::default(), message).expected(format!("at most {FILE_BYTES_MAX}")),
        ]));
    }
    let (root, problems) = yaml::parse(document).map_err(|error| {
        document.hide(secrets::in_text(document.text()));
        fail(vec![*error])
    })?;
    let Some(root) = root.filter(|root| !root.is_null()) else {
        let empty = Diagnostic::error(Span::default(), "the file says nothing");
        return Err(fail(vec![empty.expected("at least `legacy: http://HOST:PORT`, where the monolith is")]));
    };
    document.hide(secrets::in_tree(document.text(), &root));
    let mut reader = Reader::new(document, problems);
    let read =
        read::spec(&mut reader, &root, base).map(|spec| resolve::plan(&mut reader, document, spec, base));
    match (read, reader.into_problems()) {
        (Some((plan, warnings)), problems) if problems.is_empty() => {
            // Without an error every entry of the list became a route, so the numbers agree.
            let ids = plan.routes.iter().enumerate().map(|(index, route)| (route.id.clone(), index));
            let positions = Positions::new(root, ids.collect::<HashMap<_, _>>());
            Ok(Loaded { plan, positions, warnings: Diagnostics::from_list(document, warnings) })
        }
        (_, problems) => Err(fail(problems)),
    }
}
