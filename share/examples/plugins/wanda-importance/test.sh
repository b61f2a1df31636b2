#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The tests: Pare's checks of the contract, then the pipeline, on accuracy alone. $1 is the built plugin.
set -e
pare=${PARE:-pare}
here=$(cd "$(dirname "$0")" && pwd)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

"$pare" plugin check --strict "$1"

# The pipeline names the plugin beside it, wherever it was built, and the model as seen from here.
cp "$1" "$tmp"
sed "s|\.\./\.\./\.\.|$here/../../..|" "$here/pipeline.yaml" >"$tmp/pipeline.yaml"
"$pare" run "$tmp/pipeline.yaml" --db "$tmp/test.db" --no-latency
"$pare" query --db "$tmp/test.db" "select label, top1 from variants order by label"
echo "all tests passed"
