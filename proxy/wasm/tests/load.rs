//! Loading: what is refused and in which words, and the cache of compiled components.
#![allow(clippy::unwrap_used, reason = "a test ends at the first thing that goes wrong")]

mod common;

use std::error::Error as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use common::{MEBIBYTE, function, get, guest_file, guest_on, settings, text};
use sha2::{Digest as _, Sha256};
use starve_http::Target as _;
use starve_wasm::{Host, WasmError};

/// The preambles alone: an empty module and an empty component.
const MODULE: &[u8] = b"\0asm\x01\0\0\0";
const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

fn host_with_cache(folder: &Path) -> Arc<Host> {
    let mut settings = settings();
    settings.cache_dir = Some(folder.to_owned());
    Host::new(settings).unwrap()
}

/// Message and cause of a load that must fail.
fn refusal(content: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("f.wasm");
    fs::write(&file, content).unwrap();
    let error = Host::new(settings()).unwrap().load(function(&file)).unwrap_err();
    let cause = error.source().map(ToString::to_string).unwrap_or_default();
    format!("{error}: {cause}").replace(&file.display().to_string(), "FILE")
}

fn entries(folder: &Path) -> Vec<std::path::PathBuf> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn what_is_no_component_is_refused_in_one_line_that_says_why() {
    assert_eq!(refusal(b""), "function tried: FILE is not WebAssembly: ");
    assert_eq!(refusal(b"#!/bin/sh\nexit"), "function tried: FILE is not WebAssembly: ");
    let module = refusal(MODULE);
    assert!(
        module.starts_with("function tried: FILE is a core WebAssembly module, expected a comp"),
        "{module}"
    );
    assert_eq!(
        refusal(COMPONENT),
        "function tried: FILE exports nothing, expected wasi:http/incoming-handler@0.2: "
    );
    let guest = fs::read(guest_file()).unwrap();
    let cut = refusal(&guest[..guest.len() / 2]);
    assert!(cut.starts_with("function tried: FILE is not a valid component: "), "{cut}");
    for text in [module, cut] {
        assert!(!text.contains('\n'), "{text}");
    }
}

#[test]
fn a_missing_file_is_named() {
    let error = Host::new(settings()).unwrap().load(function(Path::new("/nowhere/f.wasm"))).unwrap_err();
    assert!(matches!(error, WasmError::Read { .. }));
    assert_eq!(error.to_string(), "function tried: read /nowhere/f.wasm");
}

#[test]
fn a_memory_limit_that_cannot_work_is_refused() {
    let host = Host::new(settings()).unwrap();
    let mut tried = function(&guest_file());
    tried.memory_bytes = 1024 * MEBIBYTE;
    assert!(matches!(host.load(tried.clone()), Err(WasmError::MemoryOverHost { .. })));
    tried.memory_bytes = 1;
    assert!(matches!(host.load(tried), Err(WasmError::MemoryBelowStart { .. })));
}

#[tokio::test]
async fn a_compiled_component_is_kept_and_used_again() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("starve/wasm");
    drop(guest_on(&host_with_cache(&cache), |_| ()));
    let kept = entries(&cache);
    assert_eq!(kept.len(), 1);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&cache), mode(&kept[0])), (0o700, 0o600));

    // A file that is read again is not written again.
    let before = fs::metadata(&kept[0]).unwrap();
    let guest = guest_on(&host_with_cache(&cache), |_| ());
    let inode = std::os::unix::fs::MetadataExt::ino;
    assert_eq!(inode(&fs::metadata(&kept[0]).unwrap()), inode(&before));
    assert_eq!(text(&guest, "/hello").await.1, "hello");
}

#[tokio::test]
async fn a_damaged_cache_file_is_compiled_anew() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("wasm");
    drop(guest_on(&host_with_cache(&cache), |_| ()));
    let kept = entries(&cache).remove(0);
    let whole = fs::metadata(&kept).unwrap().len();
    for damage in [&b""[..], b"no machine code"] {
        fs::write(&kept, damage).unwrap();
        let guest = guest_on(&host_with_cache(&cache), |_| ());
        assert_eq!(text(&guest, "/hello").await.1, "hello");
        assert_eq!(fs::metadata(&kept).unwrap().len(), whole);
    }
}

#[tokio::test]
async fn a_folder_that_others_can_write_to_is_not_used() {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let guest = guest_on(&host_with_cache(folder.path()), |_| ());
    assert_eq!(text(&guest, "/hello").await.1, "hello");
    assert_eq!(entries(folder.path()), Vec::<std::path::PathBuf>::new());
}

#[test]
fn another_component_or_another_engine_has_another_cache_file() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("wasm");
    drop(guest_on(&host_with_cache(&cache), |_| ()));
    let sample = guest_file().with_file_name("../../../../functions/get-product/get-product.wasm");
    drop(guest_on(&host_with_cache(&cache), |guest| guest.file = sample));
    assert_eq!(entries(&cache).len(), 2);

    let mut other = settings();
    other.cache_dir = Some(cache.clone());
    other.memory_bytes_max = 128 * MEBIBYTE;
    drop(guest_on(&Host::new(other).unwrap(), |_| ()));
    assert_eq!(entries(&cache).len(), 3);
}

#[tokio::test]
async fn a_host_without_room_for_a_pool_works_on_demand() {
    let mut settings = settings();
    settings.memory_bytes_max = 1 << 46;
    let host = Host::new(settings).unwrap();
    assert!(!host.is_pooled());
    assert_eq!(text(&guest_on(&host, |_| ()), "/hello").await.1, "hello");
}

#[test]
fn the_guest_is_the_one_that_was_built() {
    let bytes = fs::read(guest_file()).unwrap();
    let sum = fs::read_to_string(guest_file().with_extension("wasm.sha256")).unwrap();
    assert_eq!(sum, format!("{:x}  guest.wasm\n", Sha256::digest(bytes)));
}

#[tokio::test]
async fn a_function_keeps_its_host_going() {
    let guest = guest_on(&Host::new(settings()).unwrap(), |guest| {
        guest.timeout = std::time::Duration::from_millis(50);
    });
    let endless = guest.call(get("/spin")).await.unwrap_err();
    assert_eq!(endless.kind(), starve_http::ErrorKind::FunctionTimeout);
}
