#!/usr/bin/env python3
"""Writes tests/golden/formats/: one small volume in every format, type and byte order.

    python3 tests/golden/make_formats.py [folder]

Needs numpy, nibabel, pydicom (2.x), Pillow, and gdcmconv (libgdcm-tools) for the JPEG DICOM
files.  Its output is committed; the tests need none of these.

Voxel (c, d, h, w) of the volume, 3 x 4 x 5, is v = 100 d + 10 h + w + 5 c, stored as (v - offset) *
scale with the offset and scale of its type (TYPES).  The rows of tests/data/test_formats.c say the
same in C.  The grid is oblique: see ROW, COLUMN, NORMAL, SPACING, ORIGIN (LPS).
"""
import gzip
import io
import os
import struct
import subprocess
import sys
import zlib

import nibabel as nib
import numpy as np
import pydicom
from PIL import Image
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import (ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian,
                         JPEG2000Lossless, RLELossless)

OUT = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(__file__), "formats")
D, H, W = 3, 4, 5
ROW, COLUMN, NORMAL = (0.8, 0.6, 0.0), (0.0, 0.0, -1.0), (-0.6, 0.8, 0.0)  # along w, h, d
SPACING = (3.0, 1.5, 0.75)  # d, h, w
ORIGIN = (-10.5, 20.25, 30.0)

TYPES = {  # name: offset, scale
    "u1": (0, 1), "i1": (110, 1), "u2": (0, 250), "i2": (110, 250), "u4": (0, 2**23),
    "i4": (110, 2**23), "u8": (0, 2**55), "i8": (110, 2**50), "f2": (110, 1 / 4),
    "f4": (110, 1 / 8), "f8": (110, 1 / 16),
}


def volume(code, channels=None, depth=D):
    """[D,H,W], or [C,D,H,W] with channels, in the type's values."""
    d, h, w = np.indices((depth, H, W))
    v = 100 * d + 10 * h + w
    if channels:
        v = np.stack([v + 5 * c for c in range(channels)])
    offset, scale = TYPES[code[-2:]]
    if code[-2] in "ui":  # in Python's integers: float64 cannot hold all of int64
        return ((v - offset) * int(scale)).astype(code)
    return ((v - offset) * scale).astype(code)


def path(name):
    return os.path.join(OUT, name)


def write(name, data):
    with open(path(name), "wb") as f:
        f.write(data)


# ---- NumPy ----

def npy_header(text, version):
    text = text.ljust((len(text) // 64 + 1) * 64 - 1) + "\n"
    size = struct.pack("<H" if version == 1 else "<I", len(text))
    return b"\x93NUMPY" + bytes([version, 0]) + size + text.encode("latin1")


def make_numpy():
    for code in ("|u1", "|i1", "<u2", ">u2", "<i2", ">i2", "<u4", ">u4", "<i4", ">i4", "<u8", ">u8",
                 "<i8", ">i8", "<f2", ">f2", "<f4", ">f4", "<f8", ">f8"):
        order = {"|": "", "<": "le", ">": "be"}[code[0]]
        np.save(path(code[1:] + order + ".npy"), volume(code))
    np.save(path("bool.npy"), (volume("u1") % 2).astype(bool))
    np.save(path("2d.npy"), volume("u1")[0])
    np.save(path("4d.npy"), volume("u1", 2))
    np.save(path("2d_fortran.npy"), np.asfortranarray(volume("<f4")[0]))
    np.save(path("3d_fortran.npy"), np.asfortranarray(volume("<f4")))
    np.save(path("4d_fortran.npy"), np.asfortranarray(volume(">i2", 2)))
    text = "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4, 5), }"
    for version in (2, 3):
        write(f"version{version}.npy", npy_header(text, version) + volume("<f4").tobytes())


# ---- MetaImage ----

MET = {"u1": "UCHAR", "i1": "CHAR", "u2": "USHORT", "i2": "SHORT", "u4": "UINT", "i4": "INT",
       "u8": "ULONG_LONG", "i8": "LONG_LONG", "f4": "FLOAT", "f8": "DOUBLE"}


def numbers(values):
    return " ".join(f"{v:.10g}" for v in values)


def meta_geometry(keys=("TransformMatrix", "Offset")):
    return (f"{keys[0]} = {numbers(ROW + COLUMN + NORMAL)}\n{keys[1]} = {numbers(ORIGIN)}\n"
            f"ElementSpacing = {numbers(SPACING[::-1])}\n")


def meta_header(code, file, extra="", geometry=None, size=f"{W} {H} {D}", dims=3):
    return (f"ObjectType = Image\nNDims = {dims}\nBinaryData = True\n{extra}"
            f"{meta_geometry() if geometry is None else geometry}"
            f"DimSize = {size}\nElementType = MET_{MET[code[-2:]]}\nElementDataFile = {file}\n").encode()


def make_metaimage():
    for code in MET:
        full = "<" + code
        write(f"{code}.mha", meta_header(full, "LOCAL") + volume(full).tobytes())
    for code in (">i2", ">f4", ">i8"):
        msb = "BinaryDataByteOrderMSB = True\n"
        write(f"{code[1:]}_msb.mha", meta_header(code, "LOCAL", msb) + volume(code).tobytes())
    data = volume("<f4").tobytes()
    packed = zlib.compress(data)
    squeezed = f"CompressedData = True\nCompressedDataSize = {len(packed)}\n"
    write("zlib.mha", meta_header("f4", "LOCAL", squeezed) + packed)
    write("raw.mhd", meta_header("f4", "raw.raw"))
    write("raw.raw", data)
    write("zraw.mhd", meta_header("f4", "zraw.zraw", "CompressedData = True\n"))
    write("zraw.zraw", packed)
    write("skip.mhd", meta_header("f4", "skip.raw", "HeaderSize = 7\n"))
    write("skip.raw", b"seven__" + data)
    write("tail.mhd", meta_header("f4", "tail.raw", "HeaderSize = -1\n"))
    write("tail.raw", b"any header" + data)
    files = "".join(f"list{d}.raw\n" for d in range(D))
    write("list.mhd", meta_header("i2", "LIST") + files.encode())
    for d in range(D):
        write(f"list{d}.raw", volume("<i2")[d].tobytes())
    write("long.mha", meta_header("i4", "LOCAL").replace(b"MET_INT", b"MET_LONG")
          + volume("<i4").tobytes())
    channels = np.moveaxis(volume("<f4", 2), 0, -1).tobytes()
    write("channels.mha", meta_header("f4", "LOCAL", "ElementNumberOfChannels = 2\n") + channels)
    four = "TransformMatrix = " + numbers(ROW + (0,) + COLUMN + (0,) + NORMAL + (0, 0, 0, 0, 1))
    four += f"\nOffset = {numbers(ORIGIN)} 0\nElementSpacing = {numbers(SPACING[::-1])} 1\n"
    write("4d.mha", meta_header("f4", "LOCAL", "", four, f"{W} {H} {D} 2", 4)
          + volume("<f4", 2).tobytes())
    write("2d.mha", meta_header("u1", "LOCAL", "", "", f"{W} {H}", 2) + volume("u1")[0].tobytes())
    # keys in an unusual order, other names of the same, CRLF, unknown keys
    odd = (f"ElementType = MET_FLOAT\nComment = any = thing\nDimSize={W} {H}   {D}\n"
           f"MyKey = 1 2\n{meta_geometry(('Orientation', 'Position'))}AnatomicalOrientation = ???\n"
           "NDims = 3\nElementByteOrderMSB = F\nElementDataFile =  LOCAL \n").replace("\n", "\r\n")
    write("odd.mha", odd.encode() + data)


# ---- NIfTI ----

def ras_affine():
    a = np.eye(4)
    for column, (axis, step) in enumerate(zip((ROW, COLUMN, NORMAL), SPACING[::-1])):
        a[:3, column] = np.array(axis) * step
    a[:3, 3] = ORIGIN
    return np.diag([-1, -1, 1, 1]) @ a


def nifti(name, data, kind=nib.Nifti1Image, sform=1, qform=1, slope=None, inter=None, header=None):
    turned = data.T if data.ndim < 4 else data.transpose(3, 2, 1, 0)  # NIfTI's first index is x
    image = kind(turned, None, header or kind.header_class(endianness="<"), dtype=data.dtype)
    h = image.header
    h.set_data_dtype(data.dtype)
    image.set_sform(ras_affine() if sform else None, sform)
    image.set_qform(ras_affine() if qform else None, qform)
    nib.save(image, path(name))
    if slope is not None:  # nibabel sets what it likes in both cases
        patch(name, 112, struct.pack("<ff", slope, inter))
    if not sform and not qform:
        patch(name, 76, struct.pack("<4f", 1, *SPACING[::-1]))
        patch(name, 252, struct.pack("<hh", 0, 0))


def patch(name, offset, data):
    with open(path(name), "r+b") as f:
        f.seek(offset)
        f.write(data)


def make_nifti():
    for code in ("u1", "i1", "<u2", "<i2", "<u4", "<i4", "<u8", "<i8", "<f4", "<f8"):
        nifti(code[-2:] + ".nii", volume(code))
    big = nib.Nifti1Header(endianness=">")
    for code in (">i2", ">f4", ">f8"):
        nifti(code[1:] + "_be.nii", volume(code), header=big)
    nifti("nifti2.nii", volume("<i2"), nib.Nifti2Image)
    nifti("nifti2_be.nii", volume(">i2"), nib.Nifti2Image, header=nib.Nifti2Header(endianness=">"))
    nifti("pair.hdr", volume("<i2"), nib.Nifti1Pair)
    nifti("gz.nii.gz", volume("<f4"))
    with open(path("gz.nii.gz"), "rb") as f:  # the same in two gzip members
        plain = gzip.decompress(f.read())
    write("members.nii.gz", gzip.compress(plain[:400], mtime=0) + gzip.compress(plain[400:], mtime=0))
    write("gz.nii.gz", gzip.compress(plain, mtime=0))
    nifti("4d.nii", volume("<i2", 2))
    nifti("2d.nii", volume("u1")[0])
    nifti("sform.nii", volume("u1"), qform=0)
    nifti("qform.nii", volume("u1"), sform=0)
    nifti("neither.nii", volume("u1"), sform=0, qform=0)
    nifti("scaled.nii", volume("<i2") // 250 + 110, slope=0.5, inter=-10)
    nifti("slope0.nii", volume("u1"), slope=0, inter=7)
    nifti("slope_nan.nii", volume("u1"), slope=float("nan"), inter=float("nan"))
    rgb = np.zeros((W, H, D), np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")]))
    for c, key in enumerate("RGB"):
        rgb[key] = volume("u1", 3)[c].T
    image = nib.Nifti1Image(rgb, ras_affine())
    nib.save(image, path("rgb.nii"))
    nib.save(nib.Nifti1Image(volume("<f4").T.astype(np.complex64), ras_affine()),
             path("complex.nii"))


# ---- PNG ----

def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(bits, colour, rows, interlace=0, size=(W, H)):
    head = struct.pack(">IIBBBBB", size[0], size[1], bits, colour, 0, 0, interlace)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows))
            + chunk(b"IEND", b""))


def adam7(a):
    """8-bit grey rows of the seven passes."""
    rows = b""
    for y, x, dy, dx in ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2),
                         (0, 1, 2, 2), (1, 0, 2, 1)):
        for line in a[y::dy, x::dx]:
            if len(line):
                rows += b"\0" + line.tobytes()
    return rows


def make_png():
    grey = volume("u1")[0]
    colour = np.moveaxis(volume("u1", 4)[:, 0], 0, -1)  # [H,W,4]
    Image.fromarray(grey).save(path("grey8.png"))
    Image.fromarray(colour[..., :2], "LA").save(path("grey8_alpha.png"))
    Image.fromarray(colour[..., :3], "RGB").save(path("rgb8.png"))
    Image.fromarray(colour, "RGBA").save(path("rgba8.png"))
    palette = Image.fromarray(grey, "P")
    palette.putpalette([min(i + 5 * c, 255) for i in range(60) for c in range(3)])
    palette.save(path("palette.png"))
    palette.save(path("palette_alpha.png"), transparency=bytes(i + 15 for i in range(60)))
    Image.fromarray(grey % 2 * 255).convert("1").save(path("grey1.png"))
    nibbles = np.pad(grey % 16, ((0, 0), (0, 1)))
    write("grey4.png", png(4, 0, b"".join(b"\0" + (r[::2] * 16 + r[1::2]).tobytes()
                                          for r in nibbles)))
    write("interlaced.png", png(8, 0, adam7(grey), 1))
    for name, count, kind in (("grey16", 1, 0), ("grey16_alpha", 2, 4), ("rgb16", 3, 2),
                              ("rgba16", 4, 6)):
        wide = np.moveaxis(volume(">u2", count)[:, 0], 0, -1)
        write(name + ".png", png(16, kind, b"".join(b"\0" + r.tobytes() for r in wide)))


# ---- DICOM ----

ROOT = "1.2.826.0.1.3680043.10.1234"


def position(d):
    return [ORIGIN[i] + d * SPACING[0] * NORMAL[i] for i in range(3)]


def dicom(pixels, uid, number, syntax=ExplicitVRLittleEndian, series=1, photometric="MONOCHROME2",
          samples=1, planar=None, stored=None, slope=None, intercept=None, frames=None, d=None):
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.4"
    meta.MediaStorageSOPInstanceUID = f"{ROOT}.{uid}"
    meta.TransferSyntaxUID = syntax
    meta.ImplementationClassUID = ROOT
    s = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
    s.is_little_endian = syntax != ExplicitVRBigEndian
    s.is_implicit_VR = syntax == ImplicitVRLittleEndian
    s.SOPClassUID, s.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    s.Modality, s.SeriesDescription, s.PatientID = "MR", f"series {series}", "golden"
    s.StudyInstanceUID, s.SeriesInstanceUID = ROOT + ".1", f"{ROOT}.1.{series}"
    s.SeriesNumber, s.InstanceNumber = series, number
    s.Rows, s.Columns = H, W
    s.SamplesPerPixel, s.PhotometricInterpretation = samples, photometric
    if planar is not None:
        s.PlanarConfiguration = planar
    if frames:
        s.NumberOfFrames = frames
    if slope is not None:
        s.RescaleSlope, s.RescaleIntercept = slope, intercept
    s.PixelSpacing, s.SliceThickness = [SPACING[1], SPACING[2]], SPACING[0]
    s.ImageOrientationPatient = list(ROW + COLUMN)
    s.ImagePositionPatient = position(d or 0)
    if pixels.dtype.kind != "f":
        s.BitsAllocated = 8 * pixels.dtype.itemsize
        s.BitsStored = stored or s.BitsAllocated
        s.HighBit, s.PixelRepresentation = s.BitsStored - 1, int(pixels.dtype.kind == "i")
        if not s.is_little_endian:
            pixels = pixels.astype(pixels.dtype.newbyteorder(">"))
        data = pixels.tobytes()
        s.PixelData = data + b"\0" * (len(data) % 2)
        s["PixelData"].VR = "OB" if s.BitsAllocated == 8 else "OW"
    return s


def save(s, name):
    os.makedirs(os.path.dirname(path(name)), exist_ok=True)
    pydicom.dcmwrite(path(name), s, write_like_original=False)


def multi_frame(name, pixels, uid, **kwargs):
    """Enhanced: geometry in functional groups; frames stored from the last place to the first."""
    s = dicom(pixels, uid, 1, frames=len(pixels), **kwargs)
    del s.ImagePositionPatient, s.ImageOrientationPatient, s.PixelSpacing, s.SliceThickness
    shared, plane, measures = Dataset(), Dataset(), Dataset()
    plane.ImageOrientationPatient = list(ROW + COLUMN)
    measures.PixelSpacing, measures.SliceThickness = [SPACING[1], SPACING[2]], SPACING[0]
    shared.PlaneOrientationSequence = Sequence([plane])
    shared.PixelMeasuresSequence = Sequence([measures])
    s.SharedFunctionalGroupsSequence = Sequence([shared])
    frames = []
    for i in range(len(pixels)):
        frame, place, scale = Dataset(), Dataset(), Dataset()
        place.ImagePositionPatient = position(D - 1 - i % D)
        scale.RescaleSlope, scale.RescaleIntercept = "1", "0"
        frame.PlanePositionSequence = Sequence([place])
        frame.PixelValueTransformationSequence = Sequence([scale])
        frames.append(frame)
    s.PerFrameFunctionalGroupsSequence = Sequence(frames)
    save(s, name)
    return s


def bits(pixels):
    return np.packbits(pixels.astype(np.uint8).ravel(), bitorder="little")


def make_series():
    """Names and instance numbers run against the positions."""
    u2 = volume("<u2")
    for d, name in ((0, "c"), (1, "a"), (2, "b")):
        save(dicom(u2[d], f"2.{d}", D - d, d=d), f"series/{name}.dcm")
        save(dicom(volume("<i2")[d] // 250, f"3.{d}", D - d, ImplicitVRLittleEndian, series=2,
                   slope=2, intercept=-1000, d=d), f"series_scaled/{name}.dcm")


def make_dicom():
    make_series()
    u1, u2, i2 = volume("u1")[0], volume("<u2")[0], volume("<i2")[0]
    save(dicom(u1, "4.1", 1), "u8.dcm")
    save(dicom(volume("i1")[0], "4.2", 1), "i8.dcm")
    save(dicom(i2, "4.3", 1, ImplicitVRLittleEndian), "i16_implicit.dcm")
    save(dicom(i2, "4.4", 1, ExplicitVRBigEndian), "i16_big.dcm")
    save(dicom(volume("<u4")[0], "4.5", 1), "u32.dcm")
    save(dicom(volume("<i4")[0], "4.6", 1), "i32.dcm")
    dirty = (i2 // 250 & 0xfff | 0x5000).astype("<u2").view("<i2")  # rubbish above the stored bits
    save(dicom(dirty, "4.7", 1, stored=12), "i12.dcm")
    save(dicom(255 - u1, "4.8", 1, photometric="MONOCHROME1"), "monochrome1.dcm")
    rgb = volume("u1", 3)[:, 0]
    save(dicom(np.moveaxis(rgb, 0, -1), "4.9", 1, photometric="RGB", samples=3, planar=0), "rgb.dcm")
    save(dicom(rgb, "4.10", 1, photometric="RGB", samples=3, planar=1), "rgb_planar.dcm")
    palette = dicom(u1, "4.11", 1, photometric="PALETTE COLOR")
    for c, colour in enumerate(("Red", "Green", "Blue")):
        table = np.array([i + 5 * c for i in range(60)], "<u2").tobytes()
        setattr(palette, colour + "PaletteColorLookupTableDescriptor", [60, 0, 16])
        setattr(palette, colour + "PaletteColorLookupTableData", table)
    save(palette, "palette.dcm")
    one = dicom(bits(volume("u1") % 2), "4.12", 1, frames=D)
    one.BitsAllocated, one.BitsStored, one.HighBit = 1, 1, 0
    save(one, "bits.dcm")
    real = dicom(volume("<f4")[0], "4.13", 1)
    real.BitsAllocated = 32
    real.add_new(0x7fe00008, "OF", volume("<f4")[0].tobytes())
    save(real, "float.dcm")
    bare = dicom(u2, "4.14", 1)
    del bare.ImagePositionPatient, bare.ImageOrientationPatient, bare.PixelSpacing
    del bare.SliceThickness
    save(bare, "bare.dcm")
    with open(path("u8.dcm"), "rb") as f:  # the data set alone: no preamble, no meta header
        whole = f.read()
    write("no_meta.dcm", whole[whole.index(b"\x08\0\x16\0UI"):])
    multi_frame("enhanced.dcm", volume("<u2")[::-1], "5.1")
    twice = np.concatenate([volume("<u2", 2)[0][::-1], volume("<u2", 2)[1][::-1]])
    multi_frame("enhanced_4d.dcm", twice, "5.2")
    for code, name in (("<u2", "rle16"), ("u1", "rle8")):
        s = dicom(volume(code), "6." + name[3:], 1, frames=D)
        s.compress(RLELossless)
        save(s, name + ".dcm")
    s = dicom(np.moveaxis(volume("<u2", 3)[:, 0], 0, -1), "6.3", 1, photometric="RGB", samples=3,
              planar=0)
    s.compress(RLELossless)
    save(s, "rle_rgb16.dcm")


def j2k(array):
    """A reversible JPEG 2000 codestream; one resolution, as the image is so small."""
    out = io.BytesIO()
    Image.fromarray(array).save(out, "JPEG2000", no_jp2=True, num_resolutions=1)
    return out.getvalue()


def make_compressed():
    """The three-frame volume through GDCM's and OpenJPEG's encoders."""
    for name, option in (("jpeg_lossless", "--jpeg"), ("jpeg_ls", "--jpegls")):
        subprocess.run(["gdcmconv", option, path("enhanced.dcm"), path(name + ".dcm")], check=True)
    s = pydicom.dcmread(path("enhanced.dcm"))
    s.file_meta.TransferSyntaxUID = JPEG2000Lossless
    s.PixelData = encapsulate([j2k(frame) for frame in volume("<u2")[::-1]])
    s["PixelData"].is_undefined_length = True
    save(s, "j2k.dcm")
    rgb = np.ascontiguousarray(np.moveaxis(volume("u1", 3)[:, 0], 0, -1))
    s = dicom(rgb, "7.1", 1, JPEG2000Lossless, photometric="YBR_RCT", samples=3, planar=0)
    s.PixelData = encapsulate([j2k(rgb)])
    s["PixelData"].is_undefined_length = True
    save(s, "j2k_rgb.dcm")


if __name__ == "__main__":
    os.makedirs(OUT, exist_ok=True)
    make_numpy()
    make_metaimage()
    make_nifti()
    make_png()
    make_dicom()
    make_compressed()
