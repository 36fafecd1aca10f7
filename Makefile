# Doorward's recipes. `make run` serves, `make verify` is the one gate.

.PHONY: run demo verify tools format lint deny test coverage bench fuzz clean

## Build the release binary and serve on SQLite at http://localhost:4444.
run:
	cargo build --release --package doorward-server
	./target/release/doorward serve

## The gateway with a bundled authorization server and MCP server, on loopback.
demo:
	cargo build --release --package doorward-server
	./target/release/doorward demo

## Everything that must hold: tools, format, lints, dependencies, tests under coverage.
verify: tools format lint deny coverage

## Install what tests need (Debian packages as root, else say what is missing).
tools:
	./scripts/install-tools

format:
	cargo fmt --all --check

lint:
	cargo clippy --workspace --all-targets --locked -- --deny warnings

deny:
	cargo deny --locked check bans licenses sources

## Every test once, without coverage: the quick loop. Narrow with T='test(name)'.
test:
	cargo nextest run --workspace $(if $(T),-E '$(T)')

## Every test once, under coverage; below 90 % of lines fails.
coverage:
	./scripts/coverage

## Figures for bench/README.md: ratios against the direct upstream in one run.
bench:
	./bench/run

clean:
	cargo clean
