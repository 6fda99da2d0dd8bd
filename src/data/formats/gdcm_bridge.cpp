/* gdcm_bridge.cpp - GDCM behind C functions; the only C++ in the project.
 *
 * Invariant: no exception leaves this file, and GDCM prints nothing. */
#include "data/formats/gdcm_bridge.h"

extern "C" {
#include "base/file.h"
}

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <mutex>
#include <new>
#include <sstream>
#include <stdexcept>
#include <string>

#include "gdcmByteValue.h"
#include "gdcmDataSet.h"
#include "gdcmFile.h"
#include "gdcmImage.h"
#include "gdcmReader.h"
#include "gdcmTrace.h"
#include "gdcmWriter.h"

namespace
{

std::mutex one_at_a_time;

void quiet()
{
    gdcm::Trace::DebugOff();
    gdcm::Trace::WarningOff();
    gdcm::Trace::ErrorOff();
}

/* Runs body, which returns a vox_status, and turns whatever it throws into an error. */
template <typename Body>
vox_status guarded(const char *what, const char *path, vox_error *err, Body body)
{
    std::lock_guard<std::mutex> lock(one_at_a_time);
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

template <size_t N> void copy_text(char (&to)[N], const char *from)
{
    std::snprintf(to, N, "%s", from ? from : "");
    for (size_t n = std::strlen(to); n > 0 && to[n - 1] == ' '; n--)
        to[n - 1] = '\0';
}

/* ---- reading ---- */

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
void set_up(gdcm::Image &image, const gdcm::File &file, const vox_dicom_header &h)
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

extern "C" vox_status vox_gdcm_decompress(vox_gdcm_pixels *out, const char *bytes, size_t size,
                                          const vox_dicom_header *header, size_t max_bytes,
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
        copy_text(out->photometric, image.GetPhotometricInterpretation().GetString());
        return VOX_OK;
    });
    if (s != VOX_OK) {
        std::free(out->data);
        std::memset(out, 0, sizeof *out);
    }
    return s;
}

extern "C" void vox_gdcm_lock(void)
{
    one_at_a_time.lock();
}

extern "C" void vox_gdcm_unlock(void)
{
    one_at_a_time.unlock();
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
