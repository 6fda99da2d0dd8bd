# Install.cmake - libraries, header, pkg-config file and CMake package.
install(TARGETS voxcl_static voxcl_shared
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(FILES include/voxcl.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
