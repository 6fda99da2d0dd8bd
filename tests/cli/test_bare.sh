#!/bin/bash
# test_bare.sh - a program built with every optional dependency off: what can be done
# without them works, and what cannot says which one is missing.  $VOXCL_BINARY is the program.
. "$(dirname "$0")/expect.sh"
cd "$work" || exit 1

expect 0 'usable +yes' devices
expect 1 'cannot write JSON.*JANSSON=OFF' devices --json
expect 0 '^\{"devices": 2, ' bench reduce --devices 2 --bytes 100000 --json
expect 1 'cannot read JSON.*--json' bench reduce --devices 2 --bytes 100000
expect 0 '"algorithm": "naive"' bench conv --in 1,1,4,8,8 --out 2 --kernel 3,3,3 --json

echo 'name: x' > exp.yaml
for command in info train 'bench step'; do
    # The words of $command are meant to be split.
    expect 1 'cannot read YAML.*FYAML=ON' $command exp.yaml
done
expect 1 'without GDCM.*GDCM=ON' synth prostate data
[ ! -e data ] || { echo "FAILED: synth left a folder"; failures=$((failures + 1)); }
printf '\x89PNG\r\n\x1a\n' > a.png
expect 1 'without (libpng|PNG).*PNG=ON' convert a.png b.npy
printf '\x5c\x01\x00\x00' > a.nii && head -c 400 /dev/zero >> a.nii
expect 1 'without (nifticlib|NIFTI).*NIFTI=ON' convert a.nii b.npy
printf 'NDims = 3\nDimSize = 2 2 2\nElementType = MET_UCHAR\nCompressedData = True\nElementDataFile = a.zraw\n' > a.mhd
head -c 20 /dev/zero > a.zraw
expect 1 'without ZLIB.*ZLIB=ON' convert a.mhd b.npy
printf 'NDims = 3\nDimSize = 2 2 2\nElementType = MET_UCHAR\nElementDataFile = b.raw\n' > b.mhd
head -c 8 /dev/zero > b.raw
"$voxcl" convert b.mhd b.npy || failures=$((failures + 1))
expect 0 'uint8|float32' convert --info b.npy

echo "$checks checks, $failures failed"
[ $failures = 0 ]
