# Install.cmake - libraries, header, pkg-config file and CMake package.
#
# find_package(voxcl) gives voxcl::voxcl (shared), which needs nothing else, and
# voxcl::static where all that the static library was built on is found.
include(CMakePackageConfigHelpers)
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/voxcl)

set_target_properties(voxcl_shared PROPERTIES EXPORT_NAME voxcl)
set_target_properties(voxcl_static PROPERTIES EXPORT_NAME static)
set_target_properties(voxcl_deps PROPERTIES EXPORT_NAME deps)
install(TARGETS voxcl_shared EXPORT voxclTargets LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(TARGETS voxcl_static voxcl_deps EXPORT voxclStaticTargets
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
foreach(set voxclTargets voxclStaticTargets)
  install(EXPORT ${set} NAMESPACE voxcl:: DESTINATION ${package_dir})
endforeach()
install(FILES include/voxcl.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})

configure_package_config_file(cmake/voxclConfig.cmake.in ${CMAKE_CURRENT_BINARY_DIR}/voxclConfig.cmake
                              INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/voxclConfigVersion.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/voxclConfig.cmake
              ${CMAKE_CURRENT_BINARY_DIR}/voxclConfigVersion.cmake DESTINATION ${package_dir})

# Written at install time, when --prefix is known.
string(REPLACE ";" " " pc_libs "${VOXCL_PC_LIBS}")
set(pc ${CMAKE_CURRENT_BINARY_DIR}/voxcl.pc)
install(CODE "
  set(PROJECT_VERSION ${PROJECT_VERSION})
  set(pc_libs \"${pc_libs}\")
  get_filename_component(pc_prefix \"\${CMAKE_INSTALL_PREFIX}\" ABSOLUTE)
  set(pc_libdir ${CMAKE_INSTALL_LIBDIR})
  set(pc_includedir ${CMAKE_INSTALL_INCLUDEDIR})
  foreach(dir pc_libdir pc_includedir)
    if(NOT IS_ABSOLUTE \${\${dir}})
      set(\${dir} \"\\\${prefix}/\${\${dir}}\")
    endif()
  endforeach()
  configure_file(${CMAKE_CURRENT_SOURCE_DIR}/cmake/voxcl.pc.in ${pc} @ONLY)")
install(FILES ${pc} DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
