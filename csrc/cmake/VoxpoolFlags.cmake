# Flags of voxpool's own sources, as targets that are linked PRIVATE: nothing here reaches a program that uses voxpool.

option(VOXPOOL_WARNINGS_AS_ERRORS "Stop at warnings in voxpool's own sources" OFF)

find_program(CCACHE ccache)
mark_as_advanced(CCACHE)
if(CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  # Without these, ccache declines every source that uses a precompiled header.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env
                                  CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
                                  ${CCACHE})
endif()

add_library(voxpool_flags INTERFACE)
target_compile_features(voxpool_flags INTERFACE cxx_std_20)
target_include_directories(voxpool_flags INTERFACE ${PROJECT_SOURCE_DIR}/csrc ${PROJECT_SOURCE_DIR}
                                                   ${PROJECT_BINARY_DIR}/generated)
target_compile_options(
  voxpool_flags
  INTERFACE
    $<$<COMPILE_LANGUAGE:CXX>:-Wall
    -Wextra
    $<$<BOOL:${VOXPOOL_WARNINGS_AS_ERRORS}>:-Werror>
    # One definition in the library serves every call: the dynamic linker need not be able to replace it.
    -fno-semantic-interposition
    # The machine that built a wheel is nobody's business; __FILE__ in an error still names the file.
    -ffile-prefix-map=${PROJECT_SOURCE_DIR}=voxpool
    -ffile-prefix-map=${PROJECT_BINARY_DIR}=build>)

# For sources that include torch's headers.
function(voxpool_add_torch_flags torch_root)
  add_library(voxpool_torch_flags INTERFACE)
  target_link_libraries(voxpool_torch_flags INTERFACE voxpool_flags voxpool::torch)
  # After the maps above, as the last one that fits wins and torch may lie inside the source tree.
  target_compile_options(voxpool_flags INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-ffile-prefix-map=${torch_root}=torch>)

  # at::parallel_for is a template that is serial in a source compiled without OpenMP. The runtime must be the one torch
  # uses: two of them in a process have two thread pools.
  voxpool_torch_bundled(libgomp ${torch_root} libgomp)
  if(libgomp AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    add_library(voxpool::libgomp SHARED IMPORTED GLOBAL)
    set_target_properties(voxpool::libgomp PROPERTIES IMPORTED_LOCATION ${libgomp})
    target_compile_options(voxpool_torch_flags INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-fopenmp>)
    target_link_libraries(voxpool_torch_flags INTERFACE voxpool::libgomp)
  else()
    find_package(OpenMP REQUIRED COMPONENTS CXX)
    target_link_libraries(voxpool_torch_flags INTERFACE OpenMP::OpenMP_CXX)
  endif()

  # Parsing torch's headers takes 20 to 30 s a source. One precompiled copy serves the library, the Python module and
  # the tests; only GCC allows sources with further definitions to use it.
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    file(WRITE ${PROJECT_BINARY_DIR}/generated/precompile.cpp.in "")
    configure_file(${PROJECT_BINARY_DIR}/generated/precompile.cpp.in ${PROJECT_BINARY_DIR}/generated/precompile.cpp)
    add_library(voxpool_precompiled OBJECT ${PROJECT_BINARY_DIR}/generated/precompile.cpp)
    target_link_libraries(voxpool_precompiled PRIVATE voxpool_torch_flags)
    target_compile_options(voxpool_precompiled PRIVATE -fPIC)
    target_precompile_headers(voxpool_precompiled PRIVATE <torch/torch.h> <torch/library.h>)
  endif()
endfunction()

# Flags of one target whose sources include torch's headers. All are compiled alike, or they could not share the
# precompiled header.
function(voxpool_use_torch target)
  target_link_libraries(${target} PRIVATE voxpool_torch_flags)
  set_target_properties(${target} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
  target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-fPIC>)
  if(TARGET voxpool_precompiled)
    target_precompile_headers(${target} REUSE_FROM voxpool_precompiled)
  endif()
endfunction()
