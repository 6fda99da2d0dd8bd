#!/bin/bash
# test_devices.sh N - fails if fewer than N OpenCL devices can be used, so that a run of
# the tests in which every device test was skipped does not pass.
set -u
listed=$("$VOXCL_BINARY" devices 2>&1)
usable=$(grep -c '^    usable  *yes$' <<< "$listed")
if [ "$usable" -lt "$1" ]; then
    echo "$usable usable devices, wanted $1 (ci/setup installs PoCL); voxcl devices says:"
    echo "$listed"
    exit 1
fi
echo "$usable usable devices"
