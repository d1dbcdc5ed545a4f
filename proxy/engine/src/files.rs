//! `files` of a route: a folder that answers in the function's place.
//!
//! Nothing outside the folder is read, wherever links lead, and nothing but files: what is asked for is resolved
//! first, and only what then still lies in the folder is opened.

use std::io;
use std::path::{Component, Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;

use http::header::{IF_RANGE, RANGE};
use http::{Method, StatusCode, Uri};
use starve_config::FilesPlan;
use starve_http::{Body, Error, ErrorKind, Request, Response, ResponseFuture, Target};
use tower_http::services::ServeDir;
use tower_http::services::fs::{Backend, DefaultServeDirFallback, TokioBackend, TokioFile};

#[derive(Debug)]
pub(crate) struct Files {
    folder: Folder,
    single_page: Option<Uri>,
}

type Served = ServeDir<DefaultServeDirFallback, Inside>;

#[derive(Clone)]
struct Folder(Served);

impl std::fmt::Debug for Folder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Folder")
    }
}

impl Files {
    /// # Errors
    /// The text of what is wrong: there is no such folder, or no such page in it.
    pub(crate) fn new(plan: &FilesPlan) -> Result<Self, String> {
        check(plan)?;
        let inside = Inside(Arc::new(plan.clone()));
        let folder = ServeDir::with_backend(&plan.folder, inside)
            .precompressed_br()
            .precompressed_zstd()
            .precompressed_gzip()
            .ignore_multi_range_requests(true);
        let page = plan.single_page.as_ref().map(|page| format!("/{}", starve_routing::escape_path(page)));
        let page = page.map(Uri::try_from).transpose().map_err(|error| format!("`single-page`: {error}"))?;
        Ok(Self { folder: Folder(folder), single_page: page })
    }
}

/// Whether the folder and the page are there.
///
/// # Errors
/// The text of what is wrong.
pub(crate) fn check(plan: &FilesPlan) -> Result<(), String> {
    let folder = plan.folder.display();
    match std::fs::metadata(&plan.folder) {
        Ok(metadata) if metadata.is_dir() => {}
        Ok(_) => return Err(format!("{folder} is no folder")),
        Err(error) => return Err(format!("cannot read the folder {folder}: {error}")),
    }
    let Some(page) = &plan.single_page else { return Ok(()) };
    match std::fs::metadata(plan.folder.join(page)) {
        Ok(metadata) if metadata.is_file() => Ok(()),
        Ok(_) => Err(format!("{page} in {folder} is no file")),
        Err(error) => Err(format!("cannot read {page} in {folder}: {error}")),
    }
}

impl Target for Files {
    fn call(&self, mut request: Request) -> ResponseFuture {
        // Whether a part still fits the client's other parts is not looked at: the whole file always does
        // (RFC 9110 §13.1.5).
        if request.headers().contains_key(IF_RANGE) {
            request.headers_mut().remove(RANGE);
        }
        let folder = self.folder.clone();
        let page = self.single_page.clone().filter(|_| asks_for_a_page(&request));
        let again = page.map(|page| {
            let mut again = Request::new(Body::empty());
            *again.method_mut() = request.method().clone();
            *again.headers_mut() = request.headers().clone();
            *again.uri_mut() = page;
            again
        });
        Box::pin(async move {
            let response = folder.clone().serve(request).await?;
            match again {
                Some(again) if response.status() == StatusCode::NOT_FOUND => folder.serve(again).await,
                _ => Ok(response),
            }
        })
    }
}

/// A page of a single-page application has no file type in its path; a script or picture that is not there is
/// honestly not there.
fn asks_for_a_page(request: &Request) -> bool {
    let name = request.uri().path().rsplit('/').next().unwrap_or_default();
    matches!(*request.method(), Method::GET | Method::HEAD) && !name.contains('.')
}

impl Folder {
    async fn serve(mut self, request: Request) -> Result<Response, Error> {
        match self.0.try_call(request).await {
            Ok(response) => Ok(response.map(Body::wrap)),
            Err(error) if is_not_there(&error) => {
                let mut response = Response::new(Body::empty());
                *response.status_mut() = StatusCode::NOT_FOUND;
                Ok(response)
            }
            Err(error) => Err(Error::new(ErrorKind::FunctionFailed, "reading a file").with_source(error)),
        }
    }
}

fn is_not_there(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidFilename, NotADirectory, NotFound, PermissionDenied};
    matches!(error.kind(), NotFound | PermissionDenied | NotADirectory | InvalidFilename)
}

/// Opens what lies inside the folder.
#[derive(Clone, Debug)]
struct Inside(Arc<FilesPlan>);

type Opening<T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send>>;

impl Backend for Inside {
    type File = TokioFile;
    type Metadata = std::fs::Metadata;
    type OpenFuture = Opening<TokioFile>;
    type MetadataFuture = Opening<std::fs::Metadata>;

    fn open(&self, path: PathBuf) -> Self::OpenFuture {
        let plan = self.0.clone();
        Box::pin(async move { TokioBackend.open(resolved(plan, path).await?).await })
    }

    fn metadata(&self, path: PathBuf) -> Self::MetadataFuture {
        let plan = self.0.clone();
        Box::pin(async move { TokioBackend.metadata(resolved(plan, path).await?).await })
    }
}

async fn resolved(plan: Arc<FilesPlan>, path: PathBuf) -> io::Result<PathBuf> {
    tokio::task::spawn_blocking(move || resolve(&plan, &path)).await.map_err(io::Error::other)?
}

/// The folder is resolved each time as well: a deployment may exchange the link that it is.
fn resolve(plan: &FilesPlan, path: &Path) -> io::Result<PathBuf> {
    let not_there = || io::Error::from(io::ErrorKind::NotFound);
    let folder = plan.folder.canonicalize()?;
    let asked = path.strip_prefix(&plan.folder).map_err(|_| not_there())?;
    let real = path.canonicalize()?;
    let inside = real.strip_prefix(&folder).map_err(|_| not_there())?;
    if !plan.dotfiles && (has_dotfile(asked) || has_dotfile(inside)) {
        return Err(not_there());
    }
    // Opening a pipe would wait for its other end.
    let kind = std::fs::metadata(&real)?;
    if kind.is_file() || kind.is_dir() { Ok(real) } else { Err(not_there()) }
}

/// `.well-known` is made to be public (RFC 8615).
fn has_dotfile(path: &Path) -> bool {
    path.components().any(|part| match part {
        Component::Normal(name) => name.as_encoded_bytes().starts_with(b".") && name != ".well-known",
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    fn site() -> (tempfile::TempDir, FilesPlan) {
        let home = tempfile::tempdir().unwrap();
        let dist = home.path().join("dist");
        std::fs::create_dir_all(dist.join("a/.git")).unwrap();
        std::fs::create_dir_all(dist.join(".well-known")).unwrap();
        for (name, text) in [
            ("index.html", "<p>home"),
            ("app.js", "let a = 1"),
            ("app.js.br", "brotli"),
            ("a/index.html", "<p>a"),
            ("a/.git/config", "secret"),
            (".well-known/security.txt", "mail"),
            ("../outside.txt", "secret"),
        ] {
            std::fs::write(dist.join(name), text).unwrap();
        }
        std::os::unix::fs::symlink("../outside.txt", dist.join("out.txt")).unwrap();
        std::os::unix::fs::symlink("..", dist.join("up")).unwrap();
        std::os::unix::fs::symlink("app.js", dist.join("in.js")).unwrap();
        std::os::unix::fs::symlink("a/.git", dist.join("git")).unwrap();
        (home, FilesPlan { folder: dist, single_page: None, dotfiles: false })
    }

    async fn get(plan: &FilesPlan, target: &str, fields: &[(&'static str, &str)]) -> (u16, String, String) {
        let mut request = http::Request::get(target);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let files = Files::new(plan).unwrap();
        let response = files.call(request.body(Body::empty()).unwrap()).await.unwrap();
        let kind = response.headers().get("content-type").map_or("", |value| value.to_str().unwrap());
        let (status, kind) = (response.status().as_u16(), kind.to_owned());
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, kind, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn files_are_served_with_their_types_and_folders_with_their_index() {
        let (_home, plan) = site();
        for (path, status, kind, text) in [
            ("/app.js", 200, "text/javascript", "let a = 1"),
            ("/in.js", 200, "text/javascript", "let a = 1"),
            ("/", 200, "text/html", "<p>home"),
            ("/a/", 200, "text/html", "<p>a"),
            ("/a", 307, "", ""),
            ("/.well-known/security.txt", 200, "text/plain", "mail"),
            ("/nothing", 404, "", ""),
            ("/app.js/x", 404, "", ""),
        ] {
            let answer = get(&plan, path, &[]).await;
            assert_eq!(answer, (status, kind.to_owned(), text.to_owned()), "{path}");
        }
        assert_eq!(get(&plan, "/app.js", &[("accept-encoding", "br")]).await.2, "brotli");
    }

    #[tokio::test]
    async fn nothing_outside_the_folder_and_no_dotfile_is_served() {
        let (_home, plan) = site();
        for path in [
            "/../outside.txt",
            "/%2e%2e/outside.txt",
            "/..%2Foutside.txt",
            "/a/..%5C..%5Coutside.txt",
            "/out.txt",
            "/up/outside.txt",
            "/a/.git/config",
            "/a%2F.git%2Fconfig",
            "/git/config",
            "/%2Fetc/passwd",
            "//etc/passwd",
        ] {
            assert_eq!(get(&plan, path, &[]).await.0, 404, "{path}");
        }
        let plan = FilesPlan { dotfiles: true, ..plan };
        assert_eq!(get(&plan, "/a/.git/config", &[]).await.2, "secret");
        assert_eq!(get(&plan, "/up/outside.txt", &[]).await.0, 404);
    }

    #[tokio::test]
    async fn a_page_that_is_not_there_is_the_single_page_and_a_script_is_not() {
        let (_home, plan) = site();
        let plan = FilesPlan { single_page: Some("index.html".to_owned()), ..plan };
        assert_eq!(get(&plan, "/orders/7", &[]).await, (200, "text/html".to_owned(), "<p>home".to_owned()));
        assert_eq!(get(&plan, "/missing.js", &[]).await.0, 404);
        assert_eq!(get(&plan, "/app.js", &[]).await.2, "let a = 1");
    }

    #[tokio::test]
    async fn parts_and_conditions_are_answered() {
        let (_home, plan) = site();
        assert_eq!(get(&plan, "/app.js", &[("range", "bytes=0-2")]).await.2, "let");
        assert_eq!(get(&plan, "/app.js", &[("range", "bytes=0-2"), ("if-range", "\"x\"")]).await.0, 200);
        assert_eq!(get(&plan, "/app.js", &[("range", "bytes=99-")]).await.0, 416);
        assert_eq!(get(&plan, "/app.js", &[("if-none-match", "*")]).await.0, 304);
    }

    #[test]
    fn a_folder_that_is_not_there_is_said_at_load() {
        let (_home, plan) = site();
        let wrong = |folder: &str, page: Option<&str>| {
            let (folder, single_page) = (plan.folder.join(folder), page.map(str::to_owned));
            check(&FilesPlan { folder, single_page, dotfiles: false }).unwrap_err()
        };
        assert!(wrong("none", None).starts_with("cannot read the folder "));
        assert!(wrong("app.js", None).ends_with(" is no folder"));
        assert!(wrong("", Some("none.html")).starts_with("cannot read none.html in "));
    }
}
