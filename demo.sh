#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# From a fresh Debian 12 to a measured Pareto front: install what is needed, build, run the main example.
set -eu
cd "$(dirname "$0")"
. tools/debian.sh
pare_packages $PARE_BUILD_PACKAGES
pare_build build-demo
db=build-demo/demo.db
run="build-demo/pare"
export PARE_PLUGIN_PATH="$PWD/build-demo/plugins" PARE_DB="$PWD/$db"
$run run pipelines/fashion-vit.yaml "$@"
echo
$run front fashion-vit --plot
echo
echo "each transform alone:"
$run list --alone
echo
$run pick
echo
echo "everything measured is in $db (try: $run query --list --db $db)"
