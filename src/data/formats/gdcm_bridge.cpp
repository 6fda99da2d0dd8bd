/* gdcm_bridge.cpp - GDCM behind C functions; the only C++ in the project.
 *
 * Invariant: no exception leaves this file, and GDCM prints nothing. */
#include "data/formats/gdcm_bridge.h"

extern "C" {
#include "base/file.h"
#include "data/formats/dicom.h"
}

#include <cstdio>
#include <cstring>
#include <exception>
#include <mutex>
#include <new>
#include <sstream>
#include <string>

#include "gdcmByteValue.h"
#include "gdcmDataSet.h"
#include "gdcmFile.h"
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
