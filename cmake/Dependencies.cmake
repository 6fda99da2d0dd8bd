# Dependencies.cmake - what voxcl is built on.  Only the OpenCL loader is needed;
# every other package can be switched off with -DVOXCL_WITH_<NAME>=OFF, and what
# it served then says so at run time.  A missing one stops the configure with the
# package to install.
find_package(PkgConfig QUIET)
find_package(Threads REQUIRED)

# voxcl_deps is what a program linking the static library must link too, so it is
# installed with it; voxcl_flags is for our own sources only: warnings, and what
# is built in (VOXCL_WITH_<NAME>).
add_library(voxcl_deps INTERFACE)
add_library(voxcl_flags INTERFACE)
target_link_libraries(voxcl_deps INTERFACE Threads::Threads m)
# Shared memory is in the C library itself since glibc 2.34.
include(CheckFunctionExists)
check_function_exists(shm_open VOXCL_SHM_OPEN_IN_LIBC)
if(NOT VOXCL_SHM_OPEN_IN_LIBC)
  target_link_libraries(voxcl_deps INTERFACE rt)
endif()
set(VOXCL_MODULES "")             # those that pkg-config knows, for the CMake package
# For voxcl.pc.  Flags rather than Requires.private, which would also demand what
# those libraries need to be linked statically (hwloc: udev) and is not installed.
set(VOXCL_PC_LIBS -pthread -lm)

# Appends the flags that link the library at `path`.
function(voxcl_pc_library path)
  get_filename_component(dir ${path} DIRECTORY)
  get_filename_component(name ${path} NAME_WE)
  string(REGEX REPLACE "^lib" "-l" name ${name})
  get_filename_component(real ${dir} REALPATH)
  if(NOT dir IN_LIST CMAKE_C_IMPLICIT_LINK_DIRECTORIES
     AND NOT real IN_LIST CMAKE_C_IMPLICIT_LINK_DIRECTORIES)
    list(APPEND VOXCL_PC_LIBS -L${dir})
  endif()
  set(VOXCL_PC_LIBS ${VOXCL_PC_LIBS} ${name} PARENT_SCOPE)
endfunction()

function(voxcl_missing what option debian fedora)
  set(off "")
  if(option)
    set(off "\n  or build without it:   -D${option}=OFF")
  endif()
  message(FATAL_ERROR "voxcl needs ${what}, which was not found.\n"
    "  on Debian or Ubuntu:   apt install ${debian}\n"
    "  on Fedora:             dnf install ${fedora}${off}")
endfunction()

# pkg-config itself is needed by the first of those that it finds.
macro(voxcl_find_module name module)
  if(NOT PkgConfig_FOUND)
    voxcl_missing("pkg-config" "" pkg-config pkgconf-pkg-config)
  endif()
  pkg_check_modules(${name} QUIET IMPORTED_TARGET ${module})
endmacro()

# A package that pkg-config knows.
macro(voxcl_pkg name module what debian fedora)
  option(VOXCL_WITH_${name} "Build with ${what}" ON)
  if(VOXCL_WITH_${name})
    voxcl_find_module(VOXCL_${name} ${module})
    if(NOT VOXCL_${name}_FOUND)
      voxcl_missing("${what}" VOXCL_WITH_${name} "${debian}" "${fedora}")
    endif()
    target_link_libraries(voxcl_deps INTERFACE PkgConfig::VOXCL_${name})
    target_compile_definitions(voxcl_flags INTERFACE VOXCL_WITH_${name}=1)
    list(APPEND VOXCL_MODULES ${module})
    list(APPEND VOXCL_PC_LIBS ${VOXCL_${name}_LDFLAGS})
  endif()
endmacro()

find_package(OpenCL QUIET)
if(NOT OpenCL_FOUND)
  voxcl_missing("the OpenCL ICD loader with its headers" "" "ocl-icd-opencl-dev opencl-headers"
                "ocl-icd-devel opencl-headers")
endif()
target_link_libraries(voxcl_deps INTERFACE OpenCL::OpenCL)
target_compile_definitions(voxcl_flags INTERFACE CL_TARGET_OPENCL_VERSION=120)
voxcl_pc_library(${OpenCL_LIBRARY})

voxcl_pkg(HWLOC hwloc "hwloc (where devices sit)" libhwloc-dev hwloc-devel)
voxcl_pkg(PNG libpng "libpng (PNG images)" libpng-dev libpng-devel)
voxcl_pkg(ZLIB zlib "zlib (compressed MetaImage)" zlib1g-dev zlib-devel)
voxcl_pkg(FYAML libfyaml "libfyaml (experiment files)" libfyaml-dev libfyaml-devel)
voxcl_pkg(JANSSON jansson "jansson (JSON)" libjansson-dev jansson-devel)

option(VOXCL_WITH_CLBLAST "Build with CLBlast (GEMM)" ON)
if(VOXCL_WITH_CLBLAST)
  find_path(VOXCL_CLBLAST_INCLUDE clblast_c.h)
  find_library(VOXCL_CLBLAST_LIBRARY clblast)
  if(NOT VOXCL_CLBLAST_INCLUDE OR NOT VOXCL_CLBLAST_LIBRARY)
    voxcl_missing("CLBlast (GEMM)" VOXCL_WITH_CLBLAST libclblast-dev clblast-devel)
  endif()
  target_include_directories(voxcl_deps SYSTEM INTERFACE $<BUILD_INTERFACE:${VOXCL_CLBLAST_INCLUDE}>)
  target_link_libraries(voxcl_deps INTERFACE ${VOXCL_CLBLAST_LIBRARY})
  voxcl_pc_library(${VOXCL_CLBLAST_LIBRARY})
  target_compile_definitions(voxcl_flags INTERFACE VOXCL_WITH_CLBLAST=1)
endif()

option(VOXCL_WITH_CLFFT "Build with clFFT (convolution by Fourier transform)" ON)
if(VOXCL_WITH_CLFFT)
  find_path(VOXCL_CLFFT_INCLUDE clFFT.h)
  find_library(VOXCL_CLFFT_LIBRARY clFFT)
  if(NOT VOXCL_CLFFT_INCLUDE OR NOT VOXCL_CLFFT_LIBRARY)
    voxcl_missing("clFFT (convolution by Fourier transform)" VOXCL_WITH_CLFFT libclfft-dev clfft-devel)
  endif()
  target_include_directories(voxcl_deps SYSTEM INTERFACE $<BUILD_INTERFACE:${VOXCL_CLFFT_INCLUDE}>)
  target_link_libraries(voxcl_deps INTERFACE ${VOXCL_CLFFT_LIBRARY})
  voxcl_pc_library(${VOXCL_CLFFT_LIBRARY})
  target_compile_definitions(voxcl_flags INTERFACE VOXCL_WITH_CLFFT=1)
endif()

option(VOXCL_WITH_NIFTI "Build with nifticlib (NIfTI images)" ON)
if(VOXCL_WITH_NIFTI)
  find_path(VOXCL_NIFTI_INCLUDE nifti2_io.h PATH_SUFFIXES nifti)
  find_library(VOXCL_NIFTI_LIBRARY nifti2)
  find_library(VOXCL_ZNZ_LIBRARY znz)
  if(NOT VOXCL_NIFTI_INCLUDE OR NOT VOXCL_NIFTI_LIBRARY OR NOT VOXCL_ZNZ_LIBRARY)
    voxcl_missing("nifticlib 3 (NIfTI images)" VOXCL_WITH_NIFTI libnifti2-dev
                  nifticlib-devel)
  endif()
  target_include_directories(voxcl_deps SYSTEM INTERFACE $<BUILD_INTERFACE:${VOXCL_NIFTI_INCLUDE}>)
  target_link_libraries(voxcl_deps INTERFACE ${VOXCL_NIFTI_LIBRARY} ${VOXCL_ZNZ_LIBRARY})
  voxcl_pc_library(${VOXCL_NIFTI_LIBRARY})
  voxcl_pc_library(${VOXCL_ZNZ_LIBRARY})
  target_compile_definitions(voxcl_flags INTERFACE VOXCL_WITH_NIFTI=1)
endif()

option(VOXCL_WITH_GDCM "Build with GDCM (compressed DICOM, writing DICOM)" ON)
if(VOXCL_WITH_GDCM)
  find_path(VOXCL_GDCM_INCLUDE gdcmImageReader.h PATH_SUFFIXES gdcm-3.0 gdcm)
  set(gdcm_found ${VOXCL_GDCM_INCLUDE})
  foreach(part MSFF DSED DICT IOD Common)
    find_library(VOXCL_GDCM_${part} gdcm${part})
    if(NOT VOXCL_GDCM_${part})
      set(gdcm_found OFF)
    endif()
    list(APPEND VOXCL_GDCM_LIBRARIES ${VOXCL_GDCM_${part}})
  endforeach()
  if(NOT gdcm_found)
    voxcl_missing("GDCM 3 (compressed DICOM, writing DICOM)" VOXCL_WITH_GDCM libgdcm-dev gdcm-devel)
  endif()
  foreach(library ${VOXCL_GDCM_LIBRARIES})
    voxcl_pc_library(${library})
  endforeach()
  list(APPEND VOXCL_PC_LIBS -lstdc++)
  target_include_directories(voxcl_deps SYSTEM INTERFACE $<BUILD_INTERFACE:${VOXCL_GDCM_INCLUDE}>)
  # The C++ library by name: a C project that links the static library needs it too.
  target_link_libraries(voxcl_deps INTERFACE ${VOXCL_GDCM_LIBRARIES} $<INSTALL_INTERFACE:stdc++>)
  target_compile_definitions(voxcl_flags INTERFACE VOXCL_WITH_GDCM=1)
endif()

# Fedora keeps its MPIs out of sight until one is chosen: module load mpi.
option(VOXCL_WITH_MPI "Build with MPI (training on several hosts)" ON)
if(VOXCL_WITH_MPI)
  find_package(MPI QUIET COMPONENTS C)
  if(NOT MPI_C_FOUND)
    voxcl_missing("MPI (training on several hosts)" VOXCL_WITH_MPI "libopenmpi-dev openmpi-bin"
                  "openmpi-devel && module load mpi")
  endif()
  # The tests start ranks by this MPI's own mpiexec, which lies beside its mpicc: mpiexec.mpich beside
  # mpicc.mpich.  CMake would take any mpiexec.
  string(REGEX REPLACE "mpi[a-z]*cc([^/]*)$" "mpiexec\\1" VOXCL_MPIEXEC "${MPI_C_COMPILER}")
  if(VOXCL_MPIEXEC STREQUAL MPI_C_COMPILER OR NOT EXISTS "${VOXCL_MPIEXEC}")
    set(VOXCL_MPIEXEC "${MPIEXEC_EXECUTABLE}")
  endif()
  foreach(library ${MPI_C_LIBRARIES})
    voxcl_pc_library(${library})
  endforeach()
  foreach(dir ${MPI_C_INCLUDE_DIRS})
    target_include_directories(voxcl_deps SYSTEM INTERFACE $<BUILD_INTERFACE:${dir}>)
  endforeach()
  target_link_libraries(voxcl_deps INTERFACE ${MPI_C_LIBRARIES})
  target_compile_definitions(voxcl_flags INTERFACE VOXCL_WITH_MPI=1)
endif()

target_compile_options(voxcl_flags INTERFACE
  $<$<COMPILE_LANGUAGE:C>:-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wstrict-prototypes
    -Wno-missing-field-initializers # rows of tables leave out the optional fields at their end
    $<$<C_COMPILER_ID:GNU>:-Wno-format-truncation>> # texts are cut to fit on purpose
  $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra>
  $<$<BOOL:${VOXCL_WERROR}>:-Werror>)
if(VOXCL_SANITIZE)
  target_compile_options(voxcl_flags INTERFACE -fsanitize=${VOXCL_SANITIZE} -fno-omit-frame-pointer)
  target_link_options(voxcl_flags INTERFACE -fsanitize=${VOXCL_SANITIZE})
endif()
