#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The tests: Pare's checks of the contract, then the pipeline, on accuracy alone. $1 is the built plugin. Where Pare is
# not installed, PARE is the program and PARE_SOURCE the tree with the model and data.
set -e
pare=${PARE:-pare}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

"$pare" plugin check --strict "$1"

# The pipeline names the plugin beside it, wherever it was built.
cp "$1" "$tmp"
share=${PARE_SOURCE:+$PARE_SOURCE/share}
sed "s|@SHARE@/|${share:-@SHARE@}/|" "$(dirname "$0")/pipeline.yaml" >"$tmp/pipeline.yaml"
"$pare" run "$tmp/pipeline.yaml" --db "$tmp/test.db" --no-latency
"$pare" list --db "$tmp/test.db"
echo "all tests passed"
