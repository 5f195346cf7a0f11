# One layout for a prefix (/usr/local) and for the Python package (site-packages/voxpool): lib, include, share/cmake.
include(CMakePackageConfigHelpers)

set(package_dir share/cmake/voxpool)

# The Python package lies beside torch's: a path relative to the library is right on every machine. A plain prefix lies
# anywhere, so there the library names the torch it was built for.
if(VOXPOOL_BUILD_PYTHON)
  set_target_properties(voxpool PROPERTIES INSTALL_RPATH "$ORIGIN/../../torch/lib")
  # A path that is replaced when the module is installed leaves its length behind, that of the folder of the build.
  set_target_properties(_C PROPERTIES INSTALL_RPATH "$ORIGIN/lib:$ORIGIN/../torch/lib" BUILD_WITH_INSTALL_RPATH ON)
  if(VOXPOOL_WITH_CUDA)
    foreach(library IN LISTS VOXPOOL_CUDA_RUNTIME)
      get_filename_component(folder ${library} DIRECTORY)
      file(RELATIVE_PATH relative ${VOXPOOL_TORCH_ROOT}/.. ${folder})
      set_property(TARGET voxpool APPEND_STRING PROPERTY INSTALL_RPATH ":$ORIGIN/../../${relative}")
    endforeach()
  endif()
else()
  set_target_properties(voxpool PROPERTIES INSTALL_RPATH_USE_LINK_PATH ON)
endif()

install(TARGETS voxpool EXPORT voxpoolTargets LIBRARY DESTINATION lib)
install(DIRECTORY csrc/include/voxpool DESTINATION include FILES_MATCHING PATTERN "*.h")
install(EXPORT voxpoolTargets NAMESPACE voxpool:: DESTINATION ${package_dir})
configure_package_config_file(csrc/cmake/voxpoolConfig.cmake.in ${PROJECT_BINARY_DIR}/voxpoolConfig.cmake
                              INSTALL_DESTINATION ${package_dir} NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/voxpoolConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/voxpoolConfig.cmake ${PROJECT_BINARY_DIR}/voxpoolConfigVersion.cmake
              csrc/cmake/VoxpoolTorch.cmake DESTINATION ${package_dir})

if(VOXPOOL_BUILD_PYTHON)
  if(VOXPOOL_WITH_CUDA)
    set(VOXPOOL_CUDA_PYTHON True)
  else()
    set(VOXPOOL_CUDA_PYTHON False)
  endif()
  configure_file(csrc/cmake/_build.py.in ${PROJECT_BINARY_DIR}/_build.py @ONLY)
  install(TARGETS _C LIBRARY DESTINATION .)
  install(FILES ${PROJECT_BINARY_DIR}/_build.py DESTINATION .)
endif()
