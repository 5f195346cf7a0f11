# Makes the target voxpool::torch: the C++ library of an installed torch. Used by the build and, installed next to
# voxpoolConfig.cmake, by programs that link voxpool.
#
# torch's own CMake package is never loaded: a CUDA build of torch (what PyPI has) enables CUDA there, which fails on
# every machine without a toolkit although nothing has to be compiled by it. A project that has loaded it keeps it: an
# existing target `torch` is used as it is. The targets made here carry voxpool's namespace, so loading torch's package
# later is no conflict either.

# Sets `out` to the folder that holds torch's include/ and lib/, or to an empty string. Searched in this order:
# TORCH_INSTALL_PREFIX, Torch_DIR, CMAKE_PREFIX_PATH, the folders in ARGN, the torch of Python_EXECUTABLE or python3.
function(voxpool_locate_torch out)
  set(candidates ${TORCH_INSTALL_PREFIX})
  if(Torch_DIR)
    list(APPEND candidates ${Torch_DIR}/../../..)
  endif()
  foreach(prefix IN LISTS CMAKE_PREFIX_PATH)
    # torch.utils.cmake_prefix_path is <torch>/share/cmake.
    list(APPEND candidates ${prefix} ${prefix}/../..)
  endforeach()
  string(REPLACE ":" ";" environment "$ENV{CMAKE_PREFIX_PATH}")
  foreach(prefix IN LISTS environment)
    list(APPEND candidates ${prefix} ${prefix}/../..)
  endforeach()
  list(APPEND candidates ${ARGN})
  foreach(candidate IN LISTS candidates)
    voxpool_is_torch(found ${candidate})
    if(found)
      get_filename_component(candidate ${candidate} REALPATH)
      set(${out} ${candidate} PARENT_SCOPE)
      return()
    endif()
  endforeach()

  set(python ${Python_EXECUTABLE})
  if(NOT python)
    find_program(VOXPOOL_PYTHON NAMES python3 python)
    mark_as_advanced(VOXPOOL_PYTHON)
    set(python ${VOXPOOL_PYTHON})
  endif()
  set(${out} "" PARENT_SCOPE)
  if(python)
    # Asks where torch is without importing it, which would take seconds.
    execute_process(
      COMMAND ${python} -c "import importlib.util as u; print(u.find_spec('torch').submodule_search_locations[0])"
      OUTPUT_VARIABLE candidate OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
    voxpool_is_torch(found "${candidate}")
    if(found)
      set(${out} ${candidate} PARENT_SCOPE)
    endif()
  endif()
endfunction()

function(voxpool_is_torch out folder)
  if(EXISTS "${folder}/include/torch/csrc/api/include/torch/torch.h" AND EXISTS "${folder}/lib/libtorch_cpu.so")
    set(${out} TRUE PARENT_SCOPE)
  else()
    set(${out} FALSE PARENT_SCOPE)
  endif()
endfunction()

# Sets `out` to torch's version such as 2.11.0, read from its headers.
function(voxpool_torch_version out root)
  set(version "")
  foreach(header torch/headeronly/version.h torch/csrc/api/include/torch/version.h)
    if(version STREQUAL "" AND EXISTS ${root}/include/${header})
      file(STRINGS ${root}/include/${header} lines REGEX "^#define TORCH_VERSION_(MAJOR|MINOR|PATCH) [0-9]+")
      string(REGEX MATCHALL "[0-9]+" numbers "${lines}")
      string(REPLACE ";" "." version "${numbers}")
    endif()
  endforeach()
  set(${out} ${version} PARENT_SCOPE)
endfunction()

# Makes voxpool::torch from the torch in `root`, or from an existing target `torch`.
function(voxpool_import_torch root)
  if(TARGET voxpool::torch)
    return()
  endif()
  add_library(voxpool::torch INTERFACE IMPORTED GLOBAL)
  if(TARGET torch)
    target_link_libraries(voxpool::torch INTERFACE torch)
    if(TORCH_INCLUDE_DIRS)
      target_include_directories(voxpool::torch SYSTEM INTERFACE ${TORCH_INCLUDE_DIRS})
    endif()
    return()
  endif()

  set(libraries "")
  set(kept "")
  foreach(name torch torch_cpu c10)
    if(NOT EXISTS ${root}/lib/lib${name}.so)
      continue()
    endif()
    add_library(voxpool::lib${name} SHARED IMPORTED GLOBAL)
    set_target_properties(voxpool::lib${name} PROPERTIES IMPORTED_LOCATION ${root}/lib/lib${name}.so)
    # Linkers that drop libraries without a referenced symbol would leave out libtorch, which is what loads the CUDA
    # backend. As targets they bring the run-time search path, as flags they stay.
    list(APPEND libraries voxpool::lib${name})
    string(APPEND kept ",${root}/lib/lib${name}.so")
  endforeach()
  target_link_libraries(voxpool::torch INTERFACE "-Wl,--push-state,--no-as-needed${kept},--pop-state" ${libraries})
  target_include_directories(voxpool::torch SYSTEM INTERFACE ${root}/include
                                                             ${root}/include/torch/csrc/api/include)
  # torch is only built with the new std::string since 2.7; some distributions still default to the old one.
  target_compile_definitions(voxpool::torch INTERFACE _GLIBCXX_USE_CXX11_ABI=1)
  target_compile_features(voxpool::torch INTERFACE cxx_std_20)
endfunction()
