#!/bin/bash
# install.sh BUILD CC CXX - installs the build into a folder of its own and uses it
# as another project would: by pkg-config and by find_package, from C and C++,
# shared and static.
set -euo pipefail
build=$1 cc=$2 cxx=$3
client=$(cd "$(dirname "$0")" && pwd)/client
work=$build/package-test
rm -rf "$work"
mkdir -p "$work"
fail() { echo "FAILED: $*"; exit 1; }

cmake --install "$build" --prefix "$work/prefix" > "$work/install.log"
cd "$work"
pc=$(dirname "$(find prefix -name voxcl.pc)")
lib=$(cd "$(dirname "$(find prefix -name libvoxcl.a)")" && pwd)
export PKG_CONFIG_PATH=$PWD/$pc LD_LIBRARY_PATH=$lib
[ "$(prefix/bin/voxcl --version)" = "voxcl $(pkg-config --modversion voxcl)" ] ||
    fail "voxcl --version and voxcl.pc disagree"

flags=$(pkg-config --cflags voxcl)
shared=$(pkg-config --libs voxcl)
static=$(pkg-config --static --libs voxcl | sed 's/-lvoxcl\>/-l:libvoxcl.a/')
strict="-Wall -Wextra -Wpedantic -Werror"
# The words of $flags, $shared, $static and $strict are meant to be split.
$cc -std=c11 $strict $flags "$client/client.c" $shared -o pc_shared_c
$cc -std=c11 $strict $flags "$client/client.c" $static -o pc_static_c
$cxx -std=c++11 $strict $flags -x c++ "$client/client.cpp" -x none $shared -o pc_shared_cxx
$cxx -std=c++11 $strict $flags -x c++ "$client/client.cpp" -x none $static -o pc_static_cxx

cmake -S "$client" -B cm -DCMAKE_PREFIX_PATH="$PWD/prefix" -DCMAKE_C_COMPILER="$cc" \
      -DCMAKE_CXX_COMPILER="$cxx" > cmake.log || { cat cmake.log; fail "find_package(voxcl)"; }
cmake --build cm > cmake-build.log || { cat cmake-build.log; fail "building with find_package"; }

for program in pc_{shared,static}_{c,cxx} cm/{shared,static}_{c,cxx}; do
    "./$program" || fail "$program"
done
for program in pc_static_c cm/static_c; do
    ! ldd "$program" | grep libvoxcl || fail "$program is not static"
done

# Nothing but the public API may be seen from outside, and all that is in the
# header must be there.
nm -D --defined-only "$lib/libvoxcl.so" | awk '{print $3}' | sort > exported
grep -oE '\bVOX_API [^;]*' prefix/include/voxcl.h | grep -oE 'vox_[a-z0-9_]+ *\(' | tr -d '( ' |
    sort > declared
extra=$(comm -23 exported declared)
[ -z "$extra" ] || fail "exported but not in voxcl.h: $extra"
lacking=$(comm -13 exported declared)
[ -z "$lacking" ] || fail "in voxcl.h but not exported: $lacking"
echo "installed tree: 8 clients built and run, $(wc -l < exported) symbols exported"
