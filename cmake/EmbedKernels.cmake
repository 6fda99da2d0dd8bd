# EmbedKernels.cmake - turns cl/*.cl and cl/*.h into one C file, so that the
# binary runs from anywhere.
function(voxcl_embed_kernels out dir)
  file(GLOB files CONFIGURE_DEPENDS ${dir}/*.cl ${dir}/*.h)
  set(generated ${CMAKE_CURRENT_BINARY_DIR}/embedded_kernels.c)
  set(script ${CMAKE_CURRENT_SOURCE_DIR}/cmake/embed.cmake)
  add_custom_command(OUTPUT ${generated}
    COMMAND ${CMAKE_COMMAND} -DOUT=${generated} "-DFILES=${files}" -P ${script}
    DEPENDS ${files} ${script} VERBATIM)
  set(${out} ${generated} PARENT_SCOPE)
endfunction()
