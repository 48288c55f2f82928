set shell := ["bash", "-euo", "pipefail", "-c"]

# In CI the lock file is what was reviewed; at a desk an edited manifest may update it.
locked := if env("CI", "") == "" { "" } else { "--locked" }
conformance_report := justfile_directory() / "docs/conformance.md"

# Shows the recipes.
default:
    @just --list

# Formatting, the house's limits, dependency arrows, licences, and clippy with warnings as errors.
lint:
    cargo fmt --all --check
    .ci/limits
    .ci/limits --self-test
    .ci/arrows
    .ci/arrows --self-test
    cargo clippy {{ locked }} --workspace --all-targets -- -D warnings

# Every test, then every example in the documentation; arguments go to nextest.
test *arguments:
    cargo nextest run {{ locked }} --workspace {{ arguments }}
    cargo test {{ locked }} --workspace --doc

# Conformance twice, each time on a new control plane from KUBEBUILDER_ASSETS, then all else that needs one;
# writes docs/conformance.md. `./x conformance VERSION` builds and chooses it. Arguments go to nextest.
#
# The cluster suites on a real control plane.
conformance *arguments:
    #!/usr/bin/env bash
    set -euo pipefail
    assets="${KUBEBUILDER_ASSETS:-/usr/local/kubebuilder/bin}"
    for program in etcd kube-apiserver kube-controller-manager kubectl; do
        if [ ! -x "$assets/$program" ]; then
            echo "conformance: $assets/$program is missing; ./x conformance builds it, where Go is." >&2
            exit 1
        fi
    done
    export KUBEBUILDER_ASSETS="$assets" REMOTEGPU_CONFORMANCE_REPORT={{ quote(conformance_report) }}
    for round in 1 2; do
        cargo nextest run {{ locked }} --workspace -E 'test(/^conformance_/)' {{ arguments }}
    done
    cargo nextest run {{ locked }} --workspace -E 'test(/real_control_plane/) - test(/^conformance_/)' {{ arguments }}

# Pictures of the console's pages, which docs/console.md shows; all of them go into target/screenshots.
screenshots:
    #!/usr/bin/env bash
    set -euo pipefail
    export REMOTEGPU_TEST_BROWSER="${REMOTEGPU_TEST_BROWSER:?./x screenshots installs a browser and names it}"
    cargo build {{ locked }} --workspace --bins
    # Wherever cargo puts it.
    target=$(cargo metadata --no-deps --format-version 1 | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
    node bins/remotegpu-api/tests/browser/screenshots.mjs \
        "$target/debug/remotegpu-api" target/screenshots docs/images

# Measures what is promised about speed and load, in the build that packages hold; `--help` lists what there is.
bench *arguments:
    #!/usr/bin/env bash
    set -euo pipefail
    # The load generator holds a connection for each request that is not refused.
    ulimit -Sn "$(ulimit -Hn)"
    # The plugin that kubectl is measured with.
    cargo build {{ locked }} --workspace --profile dist --bin kubectl-remotegpu
    cargo bench {{ locked }} --workspace --profile dist --bench api -- {{ arguments }}

# The API under its fuzzer with a new seed and ten times the examples; arguments go to nextest.
fuzz *arguments:
    #!/usr/bin/env bash
    set -euo pipefail
    export REMOTEGPU_FUZZ_SEED="${REMOTEGPU_FUZZ_SEED:-$((RANDOM * 32768 + RANDOM))}"
    export REMOTEGPU_FUZZ_EXAMPLES="${REMOTEGPU_FUZZ_EXAMPLES:-1000}"
    echo "REMOTEGPU_FUZZ_SEED=$REMOTEGPU_FUZZ_SEED REMOTEGPU_FUZZ_EXAMPLES=$REMOTEGPU_FUZZ_EXAMPLES"
    cargo nextest run {{ locked }} --workspace --profile fuzz -E 'test(/^fuzzing::/)' {{ arguments }}

# On PostgreSQL and a real control plane, with everything compared after each ten. Arguments go to nextest.
#
# Kills the server a hundred times under sixteen writers.
chaos *arguments:
    #!/usr/bin/env bash
    set -euo pipefail
    export REMOTEGPU_CHAOS_KILLS="${REMOTEGPU_CHAOS_KILLS:-100}"
    export REMOTEGPU_CHAOS_WRITERS="${REMOTEGPU_CHAOS_WRITERS:-16}"
    cargo nextest run {{ locked }} --workspace --profile chaos --no-capture \
        -E 'test(/^crash::nothing_acknowledged_is_lost_on_postgresql$/)' {{ arguments }}

# The API's description, judged by redocly, which npx fetches; it wants Node.
openapi-lint:
    #!/usr/bin/env bash
    set -euo pipefail
    command -v npx >/dev/null || { echo "openapi-lint: npx is missing; install Node 22 or newer." >&2; exit 1; }
    document=$(mktemp --suffix .json)
    trap 'rm -f "$document"' EXIT
    cargo run {{ locked }} --quiet --bin remotegpu-api -- openapi >"$document"
    export REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true
    npx --yes @redocly/cli@2.77.0 lint --config .ci/redocly.yaml "$document"

# Formats everything.
fmt:
    cargo fmt --all

# Writes this version's schema, with rows in every table, down as a fixture for all later versions:
# once for each release that has a new migration.
schema-fixture:
    REMOTEGPU_WRITE_SCHEMA_FIXTURE=1 cargo nextest run {{ locked }} -p remotegpu-storage \
        -E 'test(=fixtures::a_fixture_has_rows_in_every_table)'
