#!/bin/bash
# with_ranks.sh N COMMAND... - runs COMMAND as N processes of one job, by $VOXCL_MPIEXEC or the mpirun at
# hand, also as root and on fewer processors than that.
set -eu
n=$1
shift
mpirun=${VOXCL_MPIEXEC:-mpirun}
command -v "$mpirun" > /dev/null || { echo "no $mpirun here"; exit 77; }
options=()
case $("$mpirun" --version 2> /dev/null) in
*'Open MPI'* | *OpenRTE*)
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
    # Shared memory by plain copies: containers may forbid to read another process's memory.
    export OMPI_MCA_btl_vader_single_copy_mechanism=none OMPI_MCA_btl=self,vader
    options=(--oversubscribe --bind-to none)
    ;;
esac
exec "$mpirun" "${options[@]}" -n "$n" "$@"
