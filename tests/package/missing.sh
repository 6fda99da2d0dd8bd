#!/bin/bash
# missing.sh SOURCE FOLDER - hides each dependency in turn from the configure, which must
# then fail with the package to install on Debian and on Fedora, and the switch that
# builds without it.
set -u
source=$1 work=$2
rm -rf "$work"
mkdir -p "$work"
cd "$work" || exit 1
failures=0

# A pkg-config that does not know $HIDDEN, and a CMake that finds no library by itself.
cat > pkg-config << SCRIPT
#!/bin/bash
for word; do [ "\$word" != "\$HIDDEN" ] || exit 1; done
exec $(command -v pkg-config) "\$@"
SCRIPT
chmod +x pkg-config
echo 'set(CMAKE_FIND_LIBRARY_PREFIXES hidden-)' > hide.cmake

# check WHAT SWITCH DEBIAN FEDORA [cmake arguments]; SWITCH "" if it cannot do without.
check() {
    local what=$1 switch=$2 debian=$3 fedora=$4 word
    shift 4
    rm -rf b
    if cmake -S "$source" -B b "$@" > log 2>&1; then
        echo "FAILED: $what is missing and the configure did not notice"
        failures=$((failures + 1))
    fi
    for word in "voxcl needs" "apt install $debian" "dnf install $fedora" ${switch:+"-D$switch=OFF"}; do
        grep -qF -- "$word" log && continue
        echo "FAILED: $what is missing and nothing says \"$word\":"
        cat log
        failures=$((failures + 1))
    done
}

# hidden_module MODULE SWITCH DEBIAN FEDORA: one that pkg-config knows.
hidden_module() {
    HIDDEN=$1 check "$@" -DPKG_CONFIG_EXECUTABLE="$PWD/pkg-config"
}

# hidden_library NAME DEBIAN FEDORA: one that CMake looks for; all others are off.
hidden_library() {
    local name off=()
    for name in HWLOC PNG ZLIB FYAML JANSSON CLBLAST CLFFT NIFTI GDCM MPI; do
        [ "$name" = "$1" ] || off+=("-DVOXCL_WITH_$name=OFF")
    done
    [ "$1" = OPENCL ] || off+=("-DOpenCL_LIBRARY=$PWD/libOpenCL.so")
    check "$1" "$([ "$1" = OPENCL ] || echo "VOXCL_WITH_$1")" "$2" "$3" "${off[@]}" \
        -DVOXCL_TESTS=OFF -DCMAKE_PROJECT_INCLUDE="$PWD/hide.cmake"
}

hidden_module hwloc VOXCL_WITH_HWLOC libhwloc-dev hwloc-devel
hidden_module libpng VOXCL_WITH_PNG libpng-dev libpng-devel
hidden_module zlib VOXCL_WITH_ZLIB zlib1g-dev zlib-devel
hidden_module libfyaml VOXCL_WITH_FYAML libfyaml-dev libfyaml-devel
hidden_module jansson VOXCL_WITH_JANSSON libjansson-dev jansson-devel
hidden_module cmocka VOXCL_TESTS libcmocka-dev libcmocka-devel
hidden_library OPENCL "ocl-icd-opencl-dev opencl-headers" "ocl-icd-devel opencl-headers"
hidden_library CLBLAST libclblast-dev clblast-devel
hidden_library CLFFT libclfft-dev clfft-devel
hidden_library NIFTI libnifti2-dev nifticlib-devel
hidden_library GDCM libgdcm-dev gdcm-devel
check pkg-config "" pkg-config pkgconf-pkg-config -DPKG_CONFIG_EXECUTABLE="$PWD/none"

[ $failures = 0 ] && echo "12 missing dependencies were named"
