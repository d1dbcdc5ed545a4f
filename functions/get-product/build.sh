#!/bin/sh
# Builds a Rust crate into NAME.wasm and NAME.wasm.sha256 beside its Cargo.toml: build.sh [CRATE_FOLDER]
#
# With the target wasm32-wasip2 this is one cargo call. Without it (no network to fetch its std from) a detour
# gives the same component from wasm32-unknown-unknown: BUILD.md says why and what it needs.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
crate=$(cd "${1:-$here}" && pwd)
name=$(sed -n 's/^name = "\(.*\)"/\1/p' "$crate/Cargo.toml" | head -n 1)
artefact=$(printf %s "$name" | tr - _).wasm
target_dir=${CARGO_TARGET_DIR:-$crate/target}
sysroot=$(cd / && rustc --print sysroot)

# No path of the building machine may stand in the component, not even in a panic's message.
plain_paths() {
    for crates in "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*; do
        printf '%s ' "--remap-path-prefix=$crates=/crates"
    done
    printf '%s ' "--remap-path-prefix=$crate=/$name" "--remap-path-prefix=$target_dir=/target" \
        "--remap-path-prefix=$1=/rust"
}

ordinary() {
    RUSTFLAGS=$(plain_paths "$sysroot/lib/rustlib/src/rust") \
        cargo build --manifest-path "$crate/Cargo.toml" --target-dir "$target_dir" \
        --release --locked --target wasm32-wasip2
    cp "$target_dir/wasm32-wasip2/release/$artefact" "$crate/$name.wasm"
}

detour() {
    std=/usr/lib/rustlib/src/rust
    linker=$(find "$sysroot/lib/rustlib" -name rust-lld | head -n 1)
    for needed in /usr/bin/cargo /usr/bin/rustc "$std/library/std/Cargo.toml" "$linker"; do
        if [ ! -e "$needed" ]; then
            echo "build.sh: neither the target wasm32-wasip2 nor ${needed:-rust-lld} is there; see BUILD.md" >&2
            exit 1
        fi
    done
    # -Z build-std is for nightly compilers; RUSTC_BOOTSTRAP lets a stable one do it.
    (cd "$crate" && PATH="/usr/bin:$PATH" RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 \
        CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER="$linker" \
        CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS=$(plain_paths "$std") \
        /usr/bin/cargo build --target-dir "$target_dir" --release --locked \
        -Z build-std=std,panic_abort --target wasm32-unknown-unknown)
    cargo run --quiet --manifest-path "$here/componentize/Cargo.toml" --target-dir "$target_dir/componentize" \
        --locked -- \
        "$target_dir/wasm32-unknown-unknown/release/$artefact" "$crate/$name.wasm"
}

if [ -d "$sysroot/lib/rustlib/wasm32-wasip2/lib" ]; then ordinary; else detour; fi
(cd "$crate" && sha256sum "$name.wasm" > "$name.wasm.sha256" && wc -c "$name.wasm" && cat "$name.wasm.sha256")
