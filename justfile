# What CI runs, whole.
ci:
    .ci/run

# The tests, quickly.
test *ARGS:
    cargo nextest run --workspace {{ARGS}}

# Format and lints.
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings

# The request path without the socket, files with very many locks, and very many delegations.
bench:
    cargo bench -p dittofs-tests

# A real Linux client against all kinds of shares; `just linux --only git` runs one job.
linux *ARGS:
    tests/linux-client/prepare
    tests/linux-client/run {{ARGS}}

# Models of the threads that meet in a slot or a file, in every order of their steps.
loom:
    cargo test -p dittofs-framework --lib --features loom orders

# Worlds of the simulation from a seed on; `just soak 10000 5000`.
soak SEEDS="10000" FROM="1001":
    tests/simulate --seeds {{SEEDS}} --from {{FROM}}

# The server killed under load, from a seed on; `just crash 5000 7`.
crash KILLS="200" SEED="1":
    tests/crash --kills {{KILLS}} --seed {{SEED}}

# Every fuzz target for some seconds.
fuzz SECONDS="60":
    tests/fuzz/run {{SECONDS}}

# Writes docs/op-table.md anew.
op-table:
    cargo run --quiet --bin dfs -- ops > docs/op-table.md
