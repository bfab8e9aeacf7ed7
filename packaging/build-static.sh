#!/bin/sh
# Builds the broker as one static program for this machine's kind of CPU and copies it to the path that is given:
#     packaging/build-static.sh /out/leveret
# Needs musl-gcc (Debian: musl-tools) and the target (rustup target add "$(uname -m)-unknown-linux-musl").
set -eu
cd "$(dirname "$0")/.."

target=$(uname -m)-unknown-linux-musl
# C code in our dependencies is compiled against musl; rustc itself brings what it links with.
export "CC_$(echo "$target" | tr - _)=musl-gcc"
cargo build --release --locked --package leveret --target "$target"
mkdir -p "$(dirname "$1")"
install -m 0755 "${CARGO_TARGET_DIR:-target}/$target/release/leveret" "$1"
