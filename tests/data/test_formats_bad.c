/* test_formats_bad.c - damaged and lying files: each gets one clear error, no image, no crash. */
#include "golden.h"

#include "data/formats/image.h"

#include <math.h>

static vox_error err;
static char *dir; /* a copy of the golden folder, to be damaged */

static int setup(void **state)
{
    (void)state;
    dir = make_temporary();
    copy_tree(GOLDEN, dir);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    remove_tree(dir);
    free(dir);
    return 0;
}

/* A new file each time: rewriting one in place makes some file systems flush it to the disk. */
static void write_all(const char *path, const void *data, size_t size)
{
    unlink(path);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
}

/* The file to open to have `name` read: its header where it is mere data. */
static char *header_of(const char *name)
{
    const char *dot = strrchr(name, '.');
    int stem = (int)(dot - name);
    if (strncmp(name, "list", 4) == 0)
        return vox_format(NULL, "%s/list.mhd", dir);
    if (strcmp(dot, ".raw") == 0 || strcmp(dot, ".zraw") == 0)
        return vox_format(NULL, "%s/%.*s.mhd", dir, stem, name);
    if (strcmp(dot, ".img") == 0)
        return vox_format(NULL, "%s/%.*s.hdr", dir, stem, name);
    return vox_format(NULL, "%s/%s", dir, name);
}

static void check_refused(const char *path, const char *what)
{
    vox_image *im = (vox_image *)&err;
    memset(&err, 0, sizeof err);
    vox_status s = vox_image_read(&im, path, &err);
    if (s != VOX_ERR_INPUT && s != VOX_ERR_UNSUPPORTED && s != VOX_ERR_IO)
        fail_msg("%s %s: status %d, %s | %s", path, what, (int)s, err.message, err.detail);
    assert_null(im);
    assert_true(err.message[0] != '\0' && err.detail[0] != '\0');
}

/* ---- truncation ---- */

/* Up to 64 lengths, the last 16 bytes one by one. */
static void check_truncated(const char *name)
{
    char *path = vox_format(NULL, "%s/%s", dir, name), *header = header_of(name), *data;
    size_t size;
    assert_ok(vox_file_read(&data, &size, path, 0, &err));
    size_t limit = size;
    if (strcmp(name, "pair.hdr") == 0)
        limit = 348; /* the header; four bytes follow that nobody needs */
    if (vox_path_ends(name, ".mhd"))
        limit = size - 1; /* nor the last newline */
    size_t step = limit / 48 + 1;
    for (size_t n = 0; n < limit; n += n + 16 >= limit ? 1 : step) {
        char what[40];
        write_all(path, data, n);
        snprintf(what, sizeof what, "cut to %zu of %zu", n, size);
        check_refused(header, what);
    }
    write_all(path, data, size);
    free(data);
    free(path);
    free(header);
}

static void truncated_files_are_refused(void **state)
{
    vox_names names;
    (void)state;
    assert_ok(vox_dir_list(&names, dir, &err));
    assert_true(names.count > 100);
    for (size_t i = 0; i < names.count; i++) {
        char *path = vox_path_join(dir, names.name[i], NULL);
        /* the data of tail.mhd end the file, wherever that is */
        if (!vox_path_is_dir(path) && strcmp(names.name[i], "tail.raw") != 0)
            check_truncated(names.name[i]);
        free(path);
    }
    vox_names_release(&names);
}

/* ---- text headers ---- */

typedef struct edit {
    const char *file, *from, *to;
    vox_status status;
    const char *word; /* in the message or detail */
} edit;

#define IN VOX_ERR_INPUT
#define UN VOX_ERR_UNSUPPORTED

static const edit text_edits[] = {
    {"f4le.npy", "NUMPY", "NUMPX", IN, "does not begin"},
    {"f4le.npy", "'<f4'", "'<c8'", UN, "<c8"},
    {"f4le.npy", "'<f4'", "'|O'", UN, "|O"},
    {"f4le.npy", "'<f4'", "'<f16'", UN, "<f16"},
    {"f4le.npy", "'<f4'", "'<U8'", UN, "<U8"},
    {"f4le.npy", "'<f4'", "''", UN, "descr"},
    {"f4le.npy", "'<f4'", "[('a', '<f4')]", UN, "records"},
    {"f4le.npy", "'<f4'", "'<f4", UN, "descr"},
    {"f4le.npy", "(3, 4, 5)", "(0, 4, 5)", IN, "at least 1"},
    {"f4le.npy", "(3, 4, 5)", "(-3, 4, 5)", IN, "at least 1"},
    {"f4le.npy", "(3, 4, 5)", "(3, 4, 6)", IN, "need 288 bytes"},
    {"f4le.npy", "(3, 4, 5)", "(3, 4, 4)", IN, "more data"},
    {"f4le.npy", "(3, 4, 5)", "(60,)", IN, "1 dimensions"},
    {"f4le.npy", "(3, 4, 5)", "()", IN, "0 dimensions"},
    {"f4le.npy", "(3, 4, 5)", "(1, 1, 3, 4, 5)", IN, "more than 4"},
    {"f4le.npy", "(3, 4, 5)", "(1048576, 1024, 1024)", IN, "2^40"},
    {"f4le.npy", "(3, 4, 5)", "(4294967296, 4294967296, 2)", IN, "2^40"},
    {"f4le.npy", "(3, 4, 5)", "(9223372036854775807, 1, 1)", IN, "2^40"},
    {"f4le.npy", "(3, 4, 5)", "(92233720368547758070, 1, 1)", IN, "shape"},
    {"f4le.npy", "(3, 4, 5)", "(3, 4, 5.0)", IN, "shape"},
    {"f4le.npy", "(3, 4, 5)", "[3, 4, 5]", IN, "shape"},
    {"f4le.npy", "False", "Maybe", IN, "fortran_order"},
    {"f4le.npy", "'descr'", "'type_'", IN, "unknown key"},
    {"f4le.npy", "'shape': (3, 4, 5), ", "", IN, "missing"},
    {"f4le.npy", "'fortran_order': False", "'descr': '<f4'", IN, "twice"},
    {"f4le.npy", "}", "} x", IN, "something follows"},
    {"u1.mha", "NDims = 3", "NDims = 5", IN, "NDims"},
    {"u1.mha", "NDims = 3", "NDims = 0", IN, "NDims"},
    {"u1.mha", "NDims = 3", "NDims = three", IN, "NDims"},
    {"u1.mha", "NDims = 3\n", "", IN, "NDims"},
    {"u1.mha", "DimSize = 5 4 3", "DimSize = 5 4 0", IN, "DimSize"},
    {"u1.mha", "DimSize = 5 4 3", "DimSize = 5 -4 3", IN, "DimSize"},
    {"u1.mha", "DimSize = 5 4 3", "DimSize = 5 4", IN, "DimSize"},
    {"u1.mha", "DimSize = 5 4 3", "DimSize = 5 4 3 2", IN, "DimSize"},
    {"u1.mha", "DimSize = 5 4 3", "DimSize = 5 4 4", IN, "80 bytes"},
    {"u1.mha", "DimSize = 5 4 3", "DimSize = 5 4 2", IN, "more data"},
    {"u1.mha", "DimSize = 5 4 3", "DimSize = 65536 65536 65536", IN, "2^40"},
    {"u1.mha", "DimSize = 5 4 3", "DimSize = 4294967296 4294967296 1", IN, "2^40"},
    {"u1.mha", "DimSize = 5 4 3", "DimSize = 5 4 3000000000", IN, "described"},
    {"zlib.mha", "DimSize = 5 4 3", "DimSize = 5 4 3000000", IN, "can hold only"},
    {"zlib.mha", "DimSize = 5 4 3", "DimSize = 5 4 4", IN, "compressed data end"},
    {"zlib.mha", "DimSize = 5 4 3", "DimSize = 5 4 2", IN, "more data"},
    {"zlib.mha", "CompressedDataSize = ", "CompressedDataSize = 9", IN, "described"},
    {"zlib.mha", "CompressedDataSize = ", "CompressedDataSize = -", IN, "CompressedDataSize"},
    {"f4.mha", "BinaryData = True", "BinaryData = True\nCompressedData = True", IN, "damaged"},
    {"u1.mha", "MET_UCHAR", "MET_STRING", UN, "MET_STRING"},
    {"u1.mha", "MET_UCHAR", "UCHAR", UN, "UCHAR"},
    {"u1.mha", "ElementSpacing = 0.75", "ElementSpacing = 0", IN, "not positive"},
    {"u1.mha", "ElementSpacing = 0.75", "ElementSpacing = -0.75", IN, "not positive"},
    {"u1.mha", "ElementSpacing = 0.75", "ElementSpacing = nan", IN, "ElementSpacing"},
    {"u1.mha", "TransformMatrix = 0.8 0.6 0", "TransformMatrix = 0 0 0", IN, "row 0 is zero"},
    {"u1.mha", "TransformMatrix = 0.8 0.6 0", "TransformMatrix = 0 0 -2", IN, "one plane"},
    {"u1.mha", "TransformMatrix = 0.8 0.6 0", "TransformMatrix = 0.8 0.6", IN, "TransformMatrix"},
    {"u1.mha", "Offset = -10.5", "Offset = inf", IN, "Offset"},
    {"u1.mha", "ObjectType = Image", "ObjectType = Tube", UN, "Tube"},
    {"u1.mha", "BinaryData = True", "BinaryData = False", UN, "BinaryData"},
    {"u1.mha", "BinaryData = True", "BinaryData = Maybe", IN, "BinaryData"},
    {"u1.mha", "BinaryData = True", "BinaryData = True\nNDims = 3", IN, "twice"},
    {"u1.mha", "BinaryData = True", "no equals sign", IN, "no \"key = value\""},
    {"u1.mha", "BinaryData = True", "ElementNumberOfChannels = 0", IN, "ElementNumberOfChannels"},
    {"u1.mha", "BinaryData = True", "ElementNumberOfChannels = 2", IN, "120 bytes"},
    {"u1.mha", "BinaryData = True", "HeaderSize = 100000", IN, "from byte 100000"},
    {"u1.mha", "BinaryData = True", "HeaderSize = -2", IN, "HeaderSize"},
    {"u1.mha", "BinaryData = True", "ElementToIntensityFunctionSlope = 2", UN, "Intensity"},
    {"raw.mhd", "ElementDataFile", "ElementDataVile", IN, "ElementDataFile"},
    {"u1.mha", "= LOCAL", "= ", IN, "empty"},
    {"u1.mha", "= LOCAL", "= none.raw", VOX_ERR_IO, "none.raw"},
    {"u1.mha", "= LOCAL", "= slice%03d.raw 1 3 1", UN, "pattern"},
    {"u1.mha", "= LOCAL", "= LIST 9", IN, "makes no sense"},
    {"u1.mha", "= LOCAL", "= .", VOX_ERR_IO, "regular"},
    {"list.mhd", "list2.raw\n", "", IN, "LIST names 2 files, 3 are needed"},
    {"list.mhd", "list2.raw\n", "list2.raw\nlist1.raw\n", IN, "LIST names 4 files"},
    {"list.mhd", "list1.raw", "u1.mha", IN, "more data"},
    {"list.mhd", "list1.raw", "none.raw", VOX_ERR_IO, "none.raw"},
};

/* Replaces the first `from` and reads the result. */
static void check_edit(const char *file, const void *from, size_t from_size, const void *to,
                       size_t to_size, vox_status status, const char *word)
{
    char *path = vox_path_join(dir, file, NULL), *data;
    size_t size, at = 0;
    vox_image *im;
    assert_ok(vox_file_read(&data, &size, path, 0, &err));
    while (at + from_size <= size && memcmp(data + at, from, from_size) != 0)
        at++;
    if (at + from_size > size)
        fail_msg("%s has no such text to edit", file);
    char *edited = calloc(size + to_size, 1);
    assert_non_null(edited);
    memcpy(edited, data, at);
    memcpy(edited + at, to, to_size);
    memcpy(edited + at + to_size, data + at + from_size, size - at - from_size);
    /* .npy says how long its header is: that must stay true for the error to be another one */
    size_t new_size = size - from_size + to_size;
    if (vox_path_ends(file, ".npy") && from_size != to_size)
        edited[8] = (char)((unsigned char)edited[8] + to_size - from_size);
    write_all(path, edited, new_size);
    memset(&err, 0, sizeof err);
    vox_status s = vox_image_read(&im, path, &err);
    if (s != status || (!strstr(err.message, word) && !strstr(err.detail, word)))
        fail_msg("%s, no \"%s\" in status %d: %s | %s", file, word, (int)s, err.message,
                 err.detail);
    assert_null(im);
    assert_true(vox_image_read(&im, path, NULL) != VOX_OK); /* the error may be left out */
    write_all(path, data, size);
    free(edited);
    free(data);
    free(path);
}

static void lying_text_headers_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof text_edits / sizeof *text_edits; i++) {
        const edit *e = &text_edits[i];
        if (strcmp(e->file, "zlib.mha") == 0 && !HAS_ZLIB)
            continue;
        if (strstr(e->to, "CompressedData = True") && !HAS_ZLIB)
            continue;
        check_edit(e->file, e->from, strlen(e->from), e->to, strlen(e->to), e->status, e->word);
    }
}

/* ---- binary headers ---- */

/* Bytes at an offset of the file are replaced. */
typedef struct patch {
    const char *file;
    size_t at, size;
    const char *bytes;
    vox_status status;
    const char *word;
} patch;

#define BYTES(text) sizeof(text) - 1, text

static const patch patches[] = {
    {"f4le.npy", 6, BYTES("\x09"), UN, "version 9"},
    {"version2.npy", 8, BYTES("\xff\xff\xff\xff"), IN, "bytes"},
    {"i2.nii", 0, BYTES("\x5d"), IN, "348"},
    {"i2.nii", 344, BYTES("xyz"), UN, "Analyze"},
    {"i2.nii", 344, BYTES("ni1"), IN, ".hdr"},
    {"nifti2.nii", 4, BYTES("n+2\0\r\n\r\n"), IN, "magic"},
    {"i2.nii", 40, BYTES("\0\0"), IN, "dim[0] is 0"},
    {"i2.nii", 40, BYTES("\x08\0"), IN, "dim[0] is 8"},
    {"i2.nii", 40, BYTES("\xff\xff"), IN, "dim[0] is -1"},
    {"i2.nii", 42, BYTES("\0\0"), IN, "dim[1] is 0"},
    {"i2.nii", 42, BYTES("\xfb\xff"), IN, "dim[1] is -5"},
    {"i2.nii", 42, BYTES("\x06\0"), IN, "can hold only"},
    {"i2.nii", 42, BYTES("\x04\0"), IN, "more data"},
    {"i2.nii", 42, BYTES("\xff\x7f\xff\x7f\xff\x7f"), IN, "2^40"},
    {"4d.nii", 48, BYTES("\0\0"), IN, "dim[4] is 0"},
    {"nifti2.nii", 24, BYTES("\0\0\0\0\0\1\0\0"), IN, "2^40"},
    {"nifti2.nii", 24, BYTES("\xff\xff\xff\xff\xff\xff\xff\x7f"), IN, "2^40"},
    {"i2.nii", 70, BYTES("\1\0"), UN, "datatype is 1"},
    {"i2.nii", 70, BYTES("\0\6"), UN, "128-bit"},
    {"i2.nii", 72, BYTES("\x08\0"), IN, "bitpix"},
    {"i2.nii", 108, BYTES("\0\0\0\0"), IN, "vox_offset"},
    {"i2.nii", 108, BYTES("\0\0\x80\xff"), IN, "vox_offset"}, /* -inf */
    {"i2.nii", 108, BYTES("\0\0\xc0\x7f"), IN, "vox_offset"}, /* NaN */
    {"i2.nii", 108, BYTES("\0\0\x80\x4f"), IN, "past the end"},
    {"i2.nii", 112, BYTES("\0\0\x80\x7f"), IN, "scl_slope"},
    {"scaled.nii", 116, BYTES("\0\0\xc0\x7f"), IN, "scl_inter"},
    {"sform.nii", 280, BYTES("\0\0\0\0\0\0\0\0\0\0\0\0"), IN, "sform"}, /* the axes share a plane */
    {"sform.nii", 292, BYTES("\0\0\xc0\x7f"), IN, "sform"},
    {"qform.nii", 80, BYTES("\0\0\0\0"), IN, "pixdim[1]"},
    {"qform.nii", 256, BYTES("\0\0\xc0\x7f"), IN, "qform"},
    {"grey8.png", 16, BYTES("\0\0\0\0"), IN, "grey8.png"}, /* width 0, and the CRC is wrong */
    {"grey8.png", 24, BYTES("\3"), IN, "grey8.png"},
    {"grey8.png", 45, BYTES("\0"), IN, "grey8.png"},
    {"u8.dcm", 128, BYTES("XXXX"), IN, "do not fit"},
};

static bool can_read(const char *file)
{
    return (!vox_path_ends(file, ".nii") || HAS_NIFTI) && (!vox_path_ends(file, ".png") || HAS_PNG);
}

static void lying_binary_headers_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof patches / sizeof *patches; i++) {
        const patch *p = &patches[i];
        char *path = vox_path_join(dir, p->file, NULL), *data;
        size_t size;
        if (!can_read(p->file)) {
            free(path);
            continue;
        }
        assert_ok(vox_file_read(&data, &size, path, 0, &err));
        assert_true(p->at + p->size <= size);
        char *old = malloc(p->size);
        assert_non_null(old);
        memcpy(old, data + p->at, p->size);
        memcpy(data + p->at, p->bytes, p->size);
        write_all(path, data, size);
        vox_image *im;
        memset(&err, 0, sizeof err);
        vox_status s = vox_image_read(&im, path, &err);
        if (s != p->status || (!strstr(err.message, p->word) && !strstr(err.detail, p->word)))
            fail_msg("%s at %zu, no \"%s\" in status %d: %s | %s", p->file, p->at, p->word, (int)s,
                     err.message, err.detail);
        assert_null(im);
        memcpy(data + p->at, old, p->size);
        write_all(path, data, size);
        free(old);
        free(data);
        free(path);
    }
}

/* A DICOM element (explicit, little endian) is found by tag and VR and gets another value. */
typedef struct element {
    const char *file, *tag, *from, *to; /* tag: 4 bytes; from: what follows it; same length */
    size_t size;
    vox_status status;
    const char *word;
} element;

#define US(value) "US\2\0" value

static const element elements[] = {
    {"u8.dcm", "\x28\0\x10\0", US("\4\0"), US("\0\0"), 6, IN, "Rows"},
    {"u8.dcm", "\x28\0\x10\0", US("\4\0"), US("\xff\xff"), 6, IN, "do not make"},
    {"u8.dcm", "\x28\0\x10\0", US("\4\0"), US("\3\0"), 6, IN, "do not make"},
    {"u8.dcm", "\x28\0\0\1", US("\x08\0"), US("\x0c\0"), 6, UN, "BitsAllocated is 12"},
    {"u8.dcm", "\x28\0\1\1", US("\x08\0"), US("\x09\0"), 6, IN, "BitsStored 9"},
    {"u8.dcm", "\x28\0\1\1", US("\x08\0"), US("\0\0"), 6, IN, "BitsStored 0"},
    {"u8.dcm", "\x28\0\2\1", US("\7\0"), US("\3\0"), 6, IN, "HighBit 3"},
    {"u8.dcm", "\x28\0\2\0", US("\1\0"), US("\3\0"), 6, IN, "3 samples"},
    {"u8.dcm", "\x28\0\4\0", "CS\x0c\0MONOCHROME2", "CS\x0c\0MONOCHROMEX", 15, UN, "MONOCHROMEX"},
    {"u8.dcm", "\x20\0\x37\0", "DS\x18\0000.8", "DS\x18\0009.8", 7, IN, "right angles"},
    {"u8.dcm", "\x20\0\x37\0", "DS\x18\0000.8", "DS\x18\000zzz", 7, IN, "ImageOrientation"},
    {"u8.dcm", "\x20\0\x32\0", "DS\x10\000-10", "DS\x10\000-\\0", 7, IN, "ImagePosition"},
    {"u8.dcm", "\x28\0\x30\0", "DS\x08\0001.5", "DS\x08\000-.5", 7, IN, "PixelSpacing"},
    {"u8.dcm", "\x28\0\x30\0", "DS\x08\0001.5", "DS\x08\000inf", 7, IN, "PixelSpacing"},
    {"u8.dcm", "\x28\0\x30\0", "DS\x08\0", "DS\xff\xff", 4, IN, "do not fit"},
    {"bits.dcm", "\x28\0\x08\0", "IS\2\0003 ", "IS\2\0000 ", 6, IN, "NumberOfFrames"},
    {"bits.dcm", "\x28\0\x08\0", "IS\2\0003 ", "IS\2\000-1", 6, IN, "NumberOfFrames"},
    {"bits.dcm", "\x28\0\x08\0", "IS\2\0003 ", "IS\2\00099", 6, IN, "NumberOfFrames"},
    {"bits.dcm", "\x28\0\x08\0", "IS\2\0003 ", "IS\2\0005 ", 6, IN, "do not make"},
    {"rle8.dcm", "\x28\0\x08\0", "IS\2\0003 ", "IS\2\0004 ", 6, IN, "NumberOfFrames"},
    {"rle8.dcm", "\x28\0\x08\0", "IS\2\0003 ", "IS\2\0002 ", 6, IN, "3 RLE fragments"},
    {"rle8.dcm", "\x28\0\x10\0", US("\4\0"), US("\x40\0"), 6, IN, "damaged"},
    {"jpeg_ls.dcm", "\x28\0\x10\0", US("\4\0"), US("\xff\xff"), 6, IN, "not of 65535 x 5"},
    {"j2k.dcm", "\x28\0\x11\0", US("\5\0"), US("\6\0"), 6, IN, "not of 4 x 6"},
    {"jpeg_lossless.dcm", "\x28\0\x11\0", US("\5\0"), US("\4\0"), 6, IN, "not of 4 x 4"},
    {"enhanced.dcm", "\x28\0\x53\x10", "DS\2\0001 ", "DS\2\0000 ", 6, IN, "RescaleSlope is 0"},
    {"enhanced.dcm", "\x28\0\x08\0", "IS\2\0003 ", "IS\2\0002 ", 6, IN, "PerFrame"},
    {"palette.dcm", "\x28\0\1\x11", "US\6\0<\0", "US\6\0=\0", 6, IN, "palette"},
    {"palette.dcm", "\x28\0\1\x11", "US\6\0<\0", "US\6\0\0\0", 6, IN, "palette"},
};

static void lying_dicom_elements_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof elements / sizeof *elements; i++) {
        const element *e = &elements[i];
        char from[40], to[40];
        memcpy(from, e->tag, 4);
        memcpy(from + 4, e->from, e->size);
        memcpy(to, e->tag, 4);
        memcpy(to + 4, e->to, e->size);
        check_edit(e->file, from, e->size + 4, to, e->size + 4, e->status, e->word);
    }
}

/* Sequences nested far deeper than any recursion should follow. */
static void bottomless_dicom_is_refused(void **state)
{
    static const char head[] = "\x08\0\x40\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\0\xe0\xff\xff\xff\xff";
    enum { DEEP = 100000, SIZE = sizeof head - 1 };
    char *path = vox_path_join(dir, "deep.dcm", NULL), *data = calloc(DEEP, SIZE);
    vox_image *im;
    (void)state;
    assert_non_null(data);
    for (size_t i = 0; i < DEEP; i++)
        memcpy(data + i * SIZE, head, SIZE);
    write_all(path, data, (size_t)DEEP * SIZE);
    assert_error(vox_image_read(&im, path, &err), VOX_ERR_INPUT, "too deep");
    unlink(path);
    free(data);
    free(path);
}

/* ---- whole files ---- */

static void other_things_are_refused(void **state)
{
    vox_image *im;
    char *path = vox_path_join(dir, "odd.bin", NULL);
    (void)state;
    assert_error(vox_image_read(&im, "/nonexistent/x.nii", &err), VOX_ERR_IO, "No such file");
    assert_error(vox_image_read(&im, "/nonexistent/x#1", &err), VOX_ERR_IO, "No such file");
    assert_error(vox_image_read(&im, "/dev/null", &err), VOX_ERR_IO, "regular");
    write_all(path, "", 0);
    assert_error(vox_image_read(&im, path, &err), VOX_ERR_INPUT, "empty");
    write_all(path, "II*", 3);
    assert_error(vox_image_read(&im, path, &err), VOX_ERR_INPUT, "49 49 2a");
    free(path);
    path = vox_path_join(dir, "raw.raw", NULL);
    assert_error(vox_image_read(&im, path, &err), VOX_ERR_INPUT, "unknown");
    assert_non_null(strstr(err.hint, ".mhd"));
    free(path);
    path = vox_path_join(dir, "pair.hdr", NULL);
    char *data = vox_path_join(dir, "pair.img", NULL);
    unlink(data);
    if (HAS_NIFTI)
        assert_error(vox_image_read(&im, path, &err), VOX_ERR_INPUT, ".img");
    free(data);
    free(path);
    path = vox_path_join(dir, "complex.nii", NULL);
    if (HAS_NIFTI)
        assert_error(vox_image_read(&im, path, &err), VOX_ERR_UNSUPPORTED, "complex");
    free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(truncated_files_are_refused),
        cmocka_unit_test(lying_text_headers_are_refused),
        cmocka_unit_test(lying_binary_headers_are_refused),
        cmocka_unit_test(lying_dicom_elements_are_refused),
        cmocka_unit_test(bottomless_dicom_is_refused),
        cmocka_unit_test(other_things_are_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
