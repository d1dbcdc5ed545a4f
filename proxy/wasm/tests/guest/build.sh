#!/bin/sh
# Builds guest.wasm and its checksum; what is needed is told in functions/get-product/BUILD.md.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
exec "$here/../../../../functions/get-product/build.sh" "$here"
