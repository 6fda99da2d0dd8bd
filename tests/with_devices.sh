#!/bin/bash
# with_devices.sh N COMMAND... - runs COMMAND with PoCL showing the CPU as N devices.
# PoCL calls its driver "pthread" up to 3.x and "cpu" from 4.0.
set -eu
n=$1
shift
driver=cpu
case $(unset POCL_DEVICES; "$VOXCL_BINARY" devices 2>/dev/null) in
*[Pp]o[Cc][Ll]\ [0-3].*) driver=pthread ;;
*[Pp]o[Cc][Ll]\ [0-9]*) ;;
*) echo "no PoCL here"; exit 77 ;;
esac
POCL_DEVICES=$driver
for ((i = 1; i < n; i++)); do POCL_DEVICES+=" $driver"; done
export POCL_DEVICES
exec "$@"
