/* gdcm_bridge.cpp - GDCM behind C functions; the only C++ in the project.
 *
 * Invariant: no exception leaves this file, and GDCM prints nothing. */
#include "data/formats/gdcm_bridge.h"

extern "C" {
#include "base/file.h"
#include "base/text.h"
}

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <mutex>
#include <new>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "gdcmByteValue.h"
#include "gdcmDataSet.h"
#include "gdcmFile.h"
#include "gdcmImage.h"
#include "gdcmReader.h"
#include "gdcmSequenceOfItems.h"
#include "gdcmTrace.h"
#include "gdcmWriter.h"

namespace
{

std::once_flag quiet_once;

void quiet()
{
    std::call_once(quiet_once, [] {
        gdcm::Trace::DebugOff();
        gdcm::Trace::WarningOff();
        gdcm::Trace::ErrorOff();
    });
}

/* Runs body, which returns a vox_status, and turns whatever it throws into an error. */
template <typename Body>
vox_status guarded(const char *what, const char *path, vox_error *err, Body body)
{
    try {
        quiet();
        return body();
    } catch (const std::bad_alloc &) {
        vox_fail(err, VOX_ERR_MEMORY, "out of host memory");
        vox_detail(err, "%s: %s", path, what);
        return VOX_ERR_MEMORY;
    } catch (const std::exception &e) {
        vox_fail(err, VOX_ERR_INPUT, "GDCM cannot %s", what);
        vox_detail(err, "%s: %s", path, e.what());
        return VOX_ERR_INPUT;
    } catch (...) {
        vox_fail(err, VOX_ERR_INPUT, "GDCM cannot %s", what);
        vox_detail(err, "%s", path);
        return VOX_ERR_INPUT;
    }
}

/* ---- values of a header ---- */

std::string trimmed(const std::string &value)
{
    const char *const space = " \t\r\n";
    const size_t first = value.find_first_not_of(space), last = value.find_last_not_of(space);
    return first == std::string::npos ? "" : value.substr(first, last - first + 1);
}

std::string text(const gdcm::DataSet &set, uint16_t group, uint16_t element)
{
    const gdcm::Tag tag(group, element);
    const gdcm::ByteValue *bytes =
        set.FindDataElement(tag) ? set.GetDataElement(tag).GetByteValue() : nullptr;
    if (!bytes || bytes->GetLength() == 0)
        return "";
    std::string value(bytes->GetPointer(), bytes->GetLength());
    return trimmed(value.substr(0, value.find('\0')));
}

template <size_t N> void copy_text(char (&to)[N], const std::string &from)
{
    std::snprintf(to, N, "%s", from.c_str());
}

/* `count` decimal strings; false when there are none, a complaint when they are others. */
bool decimals_of(const gdcm::DataSet &set, uint16_t group, uint16_t element, const char *name,
                 int count, double *out)
{
    const std::string all = text(set, group, element);
    if (all.empty())
        return false;
    size_t at = 0;
    for (int i = 0; i < count; i++) {
        const size_t end = all.find('\\', at);
        const bool last = end == std::string::npos;
        if (last != (i == count - 1) ||
            !vox_parse_double(all.substr(at, end - at).c_str(), &out[i]) || !std::isfinite(out[i]))
            throw std::runtime_error(std::string(name) + " is \"" + all.substr(0, 80) + "\"");
        at = end + 1;
    }
    return true;
}

int64_t integer(const gdcm::DataSet &set, uint16_t group, uint16_t element, int64_t absent)
{
    const std::string value = text(set, group, element);
    int64_t number;
    return vox_parse_i64(value.c_str(), &number) ? number : absent;
}

/* The i-th 16-bit number of a value; GDCM has put it into this machine's order. */
int64_t u16(const gdcm::DataSet &set, uint16_t group, uint16_t element, int64_t absent,
            size_t i = 0)
{
    const gdcm::Tag tag(group, element);
    const gdcm::ByteValue *bytes =
        set.FindDataElement(tag) ? set.GetDataElement(tag).GetByteValue() : nullptr;
    uint16_t value;
    if (!bytes || bytes->GetLength() < 2 * (i + 1))
        return absent;
    std::memcpy(&value, bytes->GetPointer() + 2 * i, 2);
    return value;
}

/* Item number `item` (from 1) of a sequence, or null. */
const gdcm::DataSet *item_of(const gdcm::DataSet &set, uint16_t group, uint16_t element,
                             gdcm::SmartPointer<gdcm::SequenceOfItems> &hold, size_t item = 1)
{
    const gdcm::Tag tag(group, element);
    hold = set.FindDataElement(tag) ? set.GetDataElement(tag).GetValueAsSQ() : nullptr;
    if (!hold || hold->GetNumberOfItems() < item)
        return nullptr;
    return &hold->GetItem(item).GetNestedDataSet();
}

/* ---- geometry and scale, of a whole file and of its frames ---- */

void read_position(const gdcm::DataSet &set, vox_gdcm_frame &f)
{
    if (decimals_of(set, 0x0020, 0x0032, "ImagePositionPatient", 3, f.position_mm))
        f.has_position = true;
}

void read_orientation(const gdcm::DataSet &set, vox_gdcm_frame &f)
{
    if (decimals_of(set, 0x0020, 0x0037, "ImageOrientationPatient", 6, f.orientation))
        f.has_orientation = true;
}

void read_measures(const gdcm::DataSet &set, vox_gdcm_frame &f)
{
    double between;
    if (decimals_of(set, 0x0028, 0x0030, "PixelSpacing", 2, f.spacing_mm))
        f.has_spacing = true;
    if (decimals_of(set, 0x0018, 0x0088, "SpacingBetweenSlices", 1, &between) ||
        decimals_of(set, 0x0018, 0x0050, "SliceThickness", 1, &between))
        f.between_mm = std::fabs(between); /* some writers sign it by direction */
}

void read_scale(const gdcm::DataSet &set, vox_gdcm_frame &f)
{
    decimals_of(set, 0x0028, 0x1053, "RescaleSlope", 1, &f.slope);
    decimals_of(set, 0x0028, 0x1052, "RescaleIntercept", 1, &f.intercept);
}

/* Functional groups of an enhanced multi-frame file: shared ones, or one frame's. */
void read_groups(const gdcm::DataSet &set, vox_gdcm_frame &f)
{
    gdcm::SmartPointer<gdcm::SequenceOfItems> hold;
    if (const gdcm::DataSet *group = item_of(set, 0x0020, 0x9113, hold))
        read_position(*group, f);
    if (const gdcm::DataSet *group = item_of(set, 0x0020, 0x9116, hold))
        read_orientation(*group, f);
    if (const gdcm::DataSet *group = item_of(set, 0x0028, 0x9110, hold))
        read_measures(*group, f);
    if (const gdcm::DataSet *group = item_of(set, 0x0028, 0x9145, hold))
        read_scale(*group, f);
}

/* Positions of a classic multi-frame file: offsets along the normal of the first. */
void read_grid_offsets(const gdcm::DataSet &set, const vox_gdcm_frame &first, vox_gdcm_header &h)
{
    const std::string all = text(set, 0x3004, 0x000c); /* GridFrameOffsetVector */
    if (all.empty() || !first.has_position || !first.has_orientation || h.frames < 2)
        return;
    std::vector<double> offset(static_cast<size_t>(h.frames));
    decimals_of(set, 0x3004, 0x000c, "GridFrameOffsetVector", static_cast<int>(h.frames),
                offset.data());
    const double *r = first.orientation, *c = first.orientation + 3;
    const double normal[3] = {r[1] * c[2] - r[2] * c[1], r[2] * c[0] - r[0] * c[2],
                              r[0] * c[1] - r[1] * c[0]};
    for (int64_t i = 0; i < h.frames; i++)
        for (int axis = 0; axis < 3; axis++)
            h.frame[i].position_mm[axis] =
                first.position_mm[axis] + (offset[i] - offset[0]) * normal[axis];
}

vox_gdcm_frame read_whole(const gdcm::DataSet &set)
{
    vox_gdcm_frame f = vox_gdcm_frame();
    f.slope = 1;
    read_position(set, f);
    read_orientation(set, f);
    read_measures(set, f);
    read_scale(set, f);
    decimals_of(set, 0x3004, 0x000e, "DoseGridScaling", 1, &f.slope);
    if (!f.has_spacing)
        f.has_spacing = decimals_of(set, 0x0018, 0x1164, "ImagerPixelSpacing", 2, f.spacing_mm);
    gdcm::SmartPointer<gdcm::SequenceOfItems> hold;
    if (const gdcm::DataSet *shared = item_of(set, 0x5200, 0x9229, hold))
        read_groups(*shared, f);
    return f;
}

void read_frames(const gdcm::DataSet &set, vox_gdcm_header &h)
{
    const vox_gdcm_frame whole = read_whole(set);
    h.frame =
        static_cast<vox_gdcm_frame *>(std::calloc(static_cast<size_t>(h.frames), sizeof whole));
    if (!h.frame)
        throw std::bad_alloc();
    for (int64_t i = 0; i < h.frames; i++)
        h.frame[i] = whole;
    gdcm::SmartPointer<gdcm::SequenceOfItems> hold;
    if (!item_of(set, 0x5200, 0x9230, hold)) {
        read_grid_offsets(set, whole, h);
        return;
    }
    if (static_cast<int64_t>(hold->GetNumberOfItems()) != h.frames)
        throw std::runtime_error("PerFrameFunctionalGroupsSequence has " +
                                 std::to_string(hold->GetNumberOfItems()) + " items for " +
                                 std::to_string(h.frames) + " frames");
    for (int64_t i = 0; i < h.frames; i++)
        read_groups(hold->GetItem(static_cast<size_t>(i) + 1).GetNestedDataSet(), h.frame[i]);
}

/* ---- palettes ---- */

/* Three tables of 8 or 16 bits, which may be stored as bytes. */
void read_palette(const gdcm::DataSet &set, vox_gdcm_header &h)
{
    if (std::strcmp(h.photometric, "PALETTE COLOR") != 0)
        return;
    h.has_segmented_palette = set.FindDataElement(gdcm::Tag(0x0028, 0x1221));
    const int64_t count = u16(set, 0x0028, 0x1101, -1, 0), bits = u16(set, 0x0028, 0x1101, -1, 2);
    h.palette_first = u16(set, 0x0028, 0x1101, -1, 1);
    h.palette_count = count == 0 ? 65536 : count;
    if (count < 0 || (bits != 8 && bits != 16) || h.has_segmented_palette)
        return;
    h.palette = static_cast<uint16_t *>(std::calloc(3 * static_cast<size_t>(h.palette_count), 2));
    if (!h.palette)
        throw std::bad_alloc();
    for (uint16_t colour = 0; colour < 3; colour++) {
        const gdcm::Tag tag(0x0028, static_cast<uint16_t>(0x1201 + colour));
        const gdcm::ByteValue *bytes =
            set.FindDataElement(tag) ? set.GetDataElement(tag).GetByteValue() : nullptr;
        const int64_t have = bytes ? static_cast<int64_t>(bytes->GetLength()) : 0;
        const bool wide = have >= 2 * h.palette_count;
        if (have < h.palette_count * (bits == 16 ? 2 : 1))
            throw std::runtime_error("a palette has " + std::to_string(have) + " bytes for " +
                                     std::to_string(h.palette_count) + " entries");
        for (int64_t i = 0; i < h.palette_count; i++)
            h.palette[colour * h.palette_count + i] =
                wide ? static_cast<uint16_t>(
                           u16(set, 0x0028, tag.GetElement(), 0, static_cast<size_t>(i)))
                     : static_cast<unsigned char>(bytes->GetPointer()[i]);
    }
}

/* ---- headers ---- */

void read_image_module(const gdcm::DataSet &set, vox_gdcm_header &h)
{
    copy_text(h.series_uid, text(set, 0x0020, 0x000e));
    copy_text(h.description, text(set, 0x0008, 0x103e));
    copy_text(h.patient_id, text(set, 0x0010, 0x0020));
    copy_text(h.modality, text(set, 0x0008, 0x0060));
    copy_text(h.photometric, text(set, 0x0028, 0x0004));
    h.series_number = integer(set, 0x0020, 0x0011, -1);
    h.instance_number = integer(set, 0x0020, 0x0013, -1);
    h.rows = u16(set, 0x0028, 0x0010, -1);
    h.columns = u16(set, 0x0028, 0x0011, -1);
    h.samples = u16(set, 0x0028, 0x0002, 1);
    h.planar = u16(set, 0x0028, 0x0006, 0) == 1;
    h.allocated = u16(set, 0x0028, 0x0100, -1);
    h.stored = u16(set, 0x0028, 0x0101, h.allocated);
    h.high_bit = u16(set, 0x0028, 0x0102, h.stored - 1);
    h.is_signed = u16(set, 0x0028, 0x0103, 0) == 1;
    h.has_modality_lut = set.FindDataElement(gdcm::Tag(0x0028, 0x3000));
    const std::string frames = text(set, 0x0028, 0x0008);
    h.frames = frames.empty() ? 1 : integer(set, 0x0028, 0x0008, -1);
}

/* A stream over bytes that stay where they are. */
struct byte_buffer : std::streambuf {
    byte_buffer(const char *bytes, size_t size)
    {
        char *p = const_cast<char *>(bytes); /* streambuf's interface; nothing writes */
        setg(p, p, p + size);
    }
    pos_type seekoff(off_type off, std::ios_base::seekdir dir, std::ios_base::openmode) override
    {
        const off_type size = egptr() - eback();
        const off_type base = dir == std::ios_base::beg   ? 0
                              : dir == std::ios_base::cur ? gptr() - eback()
                                                          : size;
        if (base + off < 0 || base + off > size)
            return pos_type(off_type(-1));
        setg(eback(), eback() + base + off, egptr());
        return pos_type(base + off);
    }
    pos_type seekpos(pos_type pos, std::ios_base::openmode mode) override
    {
        return seekoff(off_type(pos), std::ios_base::beg, mode);
    }
};

/* Not through gdcm::ImageReader: it asks the codecs for more than is needed, and they print. */
void set_up(gdcm::Image &image, const gdcm::File &file, const vox_gdcm_header &h)
{
    const gdcm::TransferSyntax &syntax = file.GetHeader().GetDataSetTransferSyntax();
    const unsigned int size[3] = {static_cast<unsigned>(h.columns), static_cast<unsigned>(h.rows),
                                  static_cast<unsigned>(h.frames)};
    image.SetNumberOfDimensions(h.frames > 1 ? 3 : 2);
    image.SetDimensions(size);
    image.SetPixelFormat(gdcm::PixelFormat(
        static_cast<uint16_t>(h.samples), static_cast<uint16_t>(h.allocated),
        static_cast<uint16_t>(h.stored), static_cast<uint16_t>(h.high_bit), h.is_signed));
    image.SetPhotometricInterpretation(gdcm::PhotometricInterpretation::GetPIType(h.photometric));
    image.SetPlanarConfiguration(h.planar);
    image.SetTransferSyntax(syntax);
    image.SetDataElement(file.GetDataSet().GetDataElement(gdcm::Tag(0x7fe0, 0x0010)));
}

/* ---- writing ---- */

void put(gdcm::DataSet &set, uint16_t group, uint16_t element, gdcm::VR::VRType vr,
         const std::string &value)
{
    std::string padded = value;
    if (padded.size() % 2) /* values have even length: UIDs end in NUL, texts in a space */
        padded += vr == gdcm::VR::UI ? '\0' : ' ';
    gdcm::DataElement e(gdcm::Tag(group, element));
    e.SetVR(vr);
    e.SetByteValue(padded.data(), gdcm::VL(static_cast<uint32_t>(padded.size())));
    set.Replace(e);
}

void put_u16(gdcm::DataSet &set, uint16_t group, uint16_t element, int64_t value)
{
    const char bytes[2] = {static_cast<char>(value & 255), static_cast<char>(value >> 8)};
    gdcm::DataElement e(gdcm::Tag(group, element));
    e.SetVR(gdcm::VR::US);
    e.SetByteValue(bytes, gdcm::VL(2));
    set.Replace(e);
}

/* A decimal string holds 16 characters at most: as many digits as fit. */
std::string decimal(double value)
{
    char text[40];
    for (int digits = 15; digits > 0; digits--) {
        std::snprintf(text, sizeof text, "%.*g", digits, value == 0 ? 0.0 : value);
        if (std::strlen(text) <= 16)
            break;
    }
    for (char *p = text; *p; p++) /* whatever the locale */
        if (*p == ',')
            *p = '.';
    return text;
}

std::string decimals(const double *value, int count)
{
    std::string text = decimal(value[0]);
    for (int i = 1; i < count; i++)
        text += '\\' + decimal(value[i]);
    return text;
}

void put_identity(gdcm::DataSet &set, const vox_dicom_slice &s)
{
    typedef gdcm::VR VR;
    const std::string number = std::to_string(s.instance_number);
    put(set, 0x0008, 0x0005, VR::CS, "ISO_IR 192");
    put(set, 0x0008, 0x0008, VR::CS, "ORIGINAL\\PRIMARY");
    put(set, 0x0008, 0x0016, VR::UI, "1.2.840.10008.5.1.4.1.1.4"); /* MR Image Storage */
    put(set, 0x0008, 0x0018, VR::UI, std::string(s.series_uid) + "." + number);
    put(set, 0x0008, 0x0020, VR::DA, "");
    put(set, 0x0008, 0x0030, VR::TM, "");
    put(set, 0x0008, 0x0050, VR::SH, "");
    put(set, 0x0008, 0x0060, VR::CS, s.modality);
    put(set, 0x0008, 0x0070, VR::LO, "voxcl");
    put(set, 0x0008, 0x0090, VR::PN, "");
    put(set, 0x0008, 0x103e, VR::LO, s.series_description);
    put(set, 0x0010, 0x0010, VR::PN, s.patient_id);
    put(set, 0x0010, 0x0020, VR::LO, s.patient_id);
    put(set, 0x0010, 0x0030, VR::DA, "");
    put(set, 0x0010, 0x0040, VR::CS, "");
    put(set, 0x0018, 0x0020, VR::CS, "RM");
    put(set, 0x0018, 0x0021, VR::CS, "NONE");
    put(set, 0x0018, 0x0022, VR::CS, "");
    put(set, 0x0018, 0x0023, VR::CS, "2D");
    put(set, 0x0018, 0x0080, VR::DS, ""); /* empty where the standard wants the element alone */
    put(set, 0x0018, 0x0081, VR::DS, "");
    put(set, 0x0018, 0x0091, VR::IS, "");
    put(set, 0x0018, 0x5100, VR::CS, "HFS");
    put(set, 0x0020, 0x000d, VR::UI, s.study_uid);
    put(set, 0x0020, 0x000e, VR::UI, s.series_uid);
    put(set, 0x0020, 0x0010, VR::SH, "");
    put(set, 0x0020, 0x0011, VR::IS, std::to_string(s.series_number));
    put(set, 0x0020, 0x0013, VR::IS, number);
    put(set, 0x0020, 0x0052, VR::UI, s.frame_uid);
    put(set, 0x0020, 0x1040, VR::LO, "");
}

void put_geometry(gdcm::DataSet &set, const vox_dicom_slice &s)
{
    typedef gdcm::VR VR;
    const double orientation[6] = {s.row[0],    s.row[1],    s.row[2],
                                   s.column[0], s.column[1], s.column[2]};
    put(set, 0x0018, 0x0050, VR::DS, decimal(s.spacing_mm[0]));
    put(set, 0x0018, 0x0088, VR::DS, decimal(s.spacing_mm[0]));
    put(set, 0x0020, 0x0032, VR::DS, decimals(s.position_mm, 3));
    put(set, 0x0020, 0x0037, VR::DS, decimals(orientation, 6));
    put(set, 0x0028, 0x0030, VR::DS, decimals(s.spacing_mm + 1, 2));
}

void put_pixels(gdcm::DataSet &set, const vox_dicom_slice &s)
{
    typedef gdcm::VR VR;
    put_u16(set, 0x0028, 0x0002, 1);
    put(set, 0x0028, 0x0004, VR::CS, "MONOCHROME2");
    put_u16(set, 0x0028, 0x0010, s.rows);
    put_u16(set, 0x0028, 0x0011, s.columns);
    put_u16(set, 0x0028, 0x0100, 16);
    put_u16(set, 0x0028, 0x0101, 16);
    put_u16(set, 0x0028, 0x0102, 15);
    put_u16(set, 0x0028, 0x0103, 0);
    put(set, 0x0028, 0x1052, VR::DS, decimal(s.intercept));
    put(set, 0x0028, 0x1053, VR::DS, decimal(s.slope));
    put(set, 0x0028, 0x1054, VR::LO, "US");
    std::string bytes;
    bytes.reserve(static_cast<size_t>(s.rows * s.columns) * 2);
    for (int64_t i = 0; i < s.rows * s.columns; i++) {
        bytes += static_cast<char>(s.pixel[i] & 255);
        bytes += static_cast<char>(s.pixel[i] >> 8);
    }
    put(set, 0x7fe0, 0x0010, VR::OW, bytes);
}

} // namespace

extern "C" vox_status vox_gdcm_read_header(vox_gdcm_header *out, const char *bytes, size_t size,
                                           int64_t max_frames, const char *path, vox_error *err)
{
    std::memset(out, 0, sizeof *out);
    const vox_status s = guarded("read the header", path, err, [&]() -> vox_status {
        byte_buffer buffer(bytes, size);
        std::istream in(&buffer);
        gdcm::Reader reader;
        reader.SetStream(in);
        if (!reader.Read())
            throw std::runtime_error("its parser gave up (a damaged or unknown transfer syntax?)");
        const gdcm::DataSet &set = reader.GetFile().GetDataSet();
        read_image_module(set, *out);
        if (out->frames < 1 || out->frames > max_frames)
            throw std::runtime_error("NumberOfFrames is \"" + text(set, 0x0028, 0x0008) +
                                     "\", the pixels can hold at most " +
                                     std::to_string(max_frames));
        read_frames(set, *out);
        read_palette(set, *out);
        return VOX_OK;
    });
    if (s != VOX_OK)
        vox_gdcm_header_release(out);
    return s;
}

extern "C" void vox_gdcm_header_release(vox_gdcm_header *header)
{
    std::free(header->frame);
    std::free(header->palette);
    std::memset(header, 0, sizeof *header);
}

extern "C" vox_status vox_gdcm_decompress(vox_gdcm_pixels *out, const char *bytes, size_t size,
                                          const vox_gdcm_header *header, size_t max_bytes,
                                          const char *path, vox_error *err)
{
    std::memset(out, 0, sizeof *out);
    const vox_status s = guarded("decompress", path, err, [&]() -> vox_status {
        byte_buffer buffer(bytes, size);
        std::istream in(&buffer);
        gdcm::Reader reader;
        gdcm::Image image;
        reader.SetStream(in);
        if (!reader.Read())
            throw std::runtime_error("its parser gave up");
        set_up(image, reader.GetFile(), *header);
        out->size = image.GetBufferLength();
        if (out->size == 0 || out->size > max_bytes)
            throw std::runtime_error("the pixels would come to " + std::to_string(out->size) +
                                     " bytes");
        out->data = static_cast<unsigned char *>(std::calloc(out->size, 1));
        if (!out->data)
            throw std::bad_alloc();
        if (!image.GetBuffer(reinterpret_cast<char *>(out->data)))
            throw std::runtime_error("the compressed pixels are damaged");
        const gdcm::PixelFormat &format = image.GetPixelFormat();
        out->samples = format.GetSamplesPerPixel();
        out->allocated = format.GetBitsAllocated();
        out->stored = format.GetBitsStored();
        out->high_bit = format.GetHighBit();
        out->is_signed = format.GetPixelRepresentation() != 0;
        out->planar = image.GetPlanarConfiguration() != 0;
        const char *const photometric = image.GetPhotometricInterpretation().GetString();
        copy_text(out->photometric, trimmed(photometric ? photometric : ""));
        return VOX_OK;
    });
    if (s != VOX_OK) {
        std::free(out->data);
        std::memset(out, 0, sizeof *out);
    }
    return s;
}

extern "C" vox_status vox_gdcm_write_slice(const char *path, const vox_dicom_slice *slice,
                                           vox_error *err)
{
    return guarded("write DICOM", path, err, [&]() -> vox_status {
        gdcm::Writer writer;
        std::ostringstream out(std::ios::binary);
        gdcm::File &file = writer.GetFile();
        file.GetHeader().SetDataSetTransferSyntax(gdcm::TransferSyntax::ExplicitVRLittleEndian);
        put_identity(file.GetDataSet(), *slice);
        put_geometry(file.GetDataSet(), *slice);
        put_pixels(file.GetDataSet(), *slice);
        writer.SetStream(out);
        if (!writer.Write()) {
            vox_fail(err, VOX_ERR_INPUT, "GDCM cannot write DICOM");
            return vox_detail(err, "%s", path);
        }
        const std::string bytes = out.str();
        return vox_file_write(path, bytes.data(), bytes.size(), err);
    });
}
