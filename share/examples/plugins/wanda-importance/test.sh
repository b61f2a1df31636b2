#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The tests: Pare's checks of the contract, then the pipeline, on accuracy alone. $1 is the built plugin. Where Pare is
# not installed, PARE is the program and PARE_SOURCE the tree with the model and data.
set -e
pare=${PARE:-pare}
here=$(cd "$(dirname "$0")" && pwd)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

"$pare" plugin check --strict "$1"

# Model and data: Pare's source has them, its installation, or the folders above, where Pare brings this example.
share=${PARE_SOURCE:+$PARE_SOURCE/share}
share=${share:-$(pkg-config --variable=datadir pare 2>/dev/null || true)/pare/share}
[ -d "$share/models" ] || share=$here/../../..

# The pipeline names the plugin beside it, wherever it was built.
cp "$1" "$tmp"
sed "s|\.\./\.\./\.\.|$share|" "$here/pipeline.yaml" >"$tmp/pipeline.yaml"
"$pare" run "$tmp/pipeline.yaml" --db "$tmp/test.db" --no-latency
"$pare" query --db "$tmp/test.db" "select label, top1 from variants order by label"
echo "all tests passed"
