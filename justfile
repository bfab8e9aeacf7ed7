# Short names for `cargo xtask`, which does the work and runs without just.

_list:
    @just --list

# the quick loop after a change
check:
    cargo xtask check

# everything that must hold before a change is handed in
test:
    cargo xtask test

# other people's clients: `just interop`, `just interop pika`, `just interop pika --peer`
interop *args:
    cargo xtask interop {{args}}

# protocol tests against the built broker; `just blackbox --peer` runs them against RabbitMQ
blackbox *args:
    cargo xtask blackbox {{args}}

# write the generated code from spec/
gen *args:
    cargo xtask gen {{args}}

# twenty minutes of measuring: every goal, beside the relay and RabbitMQ
bench:
    cargo xtask bench compare

# format the code
fmt:
    cargo fmt --all

# start a broker that keeps nothing
serve *args:
    cargo run --release -- serve --ephemeral {{args}}
