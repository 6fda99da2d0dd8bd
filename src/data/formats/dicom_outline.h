/* dicom_outline.h - a DICOM file's skeleton, walked before GDCM sees the file.
 *
 * GDCM allocates what an element's length says and recurses as deep as sequences nest.  The walk
 * makes sure that every length fits into what it lies in, and says where the pixels are. */
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

vox_status vox_dicom_outline_read(vox_dicom_outline *out, const char *path, vox_error *err);

/* true if a file beginning with head[n] is DICOM for certain ("DICM" at 128). */
bool vox_dicom_is(const unsigned char *head, size_t n);
/* true if it looks like a data set without preamble. */
bool vox_dicom_looks(const unsigned char *head, size_t n);

#endif
