#!/bin/bash
# with_oclgrind.sh COMMAND... - runs COMMAND on Oclgrind's simulated device; fails if it reports
# anything: an access outside a buffer, a data race, a wrong API call.  (Its check for
# uninitialized memory is off: version 21.10 takes what vstore16 writes for uninitialized.)
set -u
command -v oclgrind > /dev/null || { echo "no oclgrind here"; exit 77; }
log=$(mktemp)
trap 'rm -f "$log"' EXIT
oclgrind --data-races --check-api --max-errors 20 --log "$log" "$@"
rc=$?
if [ -s "$log" ]; then
    echo "Oclgrind's complaints:"
    cat "$log"
    exit 1
fi
exit $rc
