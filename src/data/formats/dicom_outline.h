/* dicom_outline.h - a walk over a DICOM file's elements.
 *
 * It makes sure that every length fits into what it lies in, says where the pixels are, and picks
 * up the values that dicom_header.c understands. */
#ifndef VOX_DATA_FORMATS_DICOM_OUTLINE_H
#define VOX_DATA_FORMATS_DICOM_OUTLINE_H

#include "base/error.h"

typedef enum vox_dicom_coding {
    VOX_DICOM_IMPLICIT, /* little endian, no VR in the file */
    VOX_DICOM_EXPLICIT, /* little endian; also all compressed ones */
    VOX_DICOM_BIG       /* explicit, big endian */
} vox_dicom_coding;

typedef struct vox_dicom_outline {
    char syntax[72]; /* TransferSyntaxUID, "" in files without meta header */
    vox_dicom_coding coding;
    uint64_t file_bytes;
    uint64_t pixel_tag;    /* where the element with the pixels begins; file_bytes if none */
    uint64_t pixel_offset; /* where its value begins */
    uint64_t pixel_bytes;  /* length of its value; of all fragments together when encapsulated */
    uint16_t pixel_kind; /* element of group 7fe0: 0x10 integers, 8 float, 9 double; 0: no pixels */
    uint64_t pixel_end;  /* what lies behind is never read */
    bool encapsulated;   /* fragments: compressed */
    uint64_t fragments;  /* without the offset table */
} vox_dicom_outline;

#define VOX_DICOM_TAG(group, element) ((uint32_t)(group) << 16 | (element))

/* Where in the file a value stood. */
typedef enum vox_dicom_scope {
    VOX_DICOM_FILE,       /* in no sequence */
    VOX_DICOM_ALL_FRAMES, /* SharedFunctionalGroupsSequence */
    VOX_DICOM_ONE_FRAME   /* item `item` of PerFrameFunctionalGroupsSequence */
} vox_dicom_scope;

typedef struct vox_dicom_value {
    vox_dicom_scope scope;
    uint32_t tag;
    size_t item;
    char *bytes; /* [size], and a NUL behind; owned */
    size_t size;
    bool msb; /* numbers are stored most significant byte first */
} vox_dicom_value;

typedef struct vox_dicom_values {
    vox_dicom_value *value; /* [count] */
    size_t count, capacity;
    size_t frame_items;    /* items of PerFrameFunctionalGroupsSequence */
    bool has_modality_lut; /* ModalityLUTSequence is there */
} vox_dicom_values;

/* values: zero-initialised; what was found until a failure is in it too: release it. */
vox_status vox_dicom_outline_read(vox_dicom_outline *out, vox_dicom_values *values,
                                  const char *path, vox_error *err);
void vox_dicom_values_release(vox_dicom_values *values);

/* true if a file beginning with head[n] is DICOM for certain ("DICM" at 128). */
bool vox_dicom_is(const unsigned char *head, size_t n);
/* true if it looks like a data set without preamble. */
bool vox_dicom_looks(const unsigned char *head, size_t n);

#endif
