# Lets this package build against the `ros-kilted-*` wheels of PyPI. A colcon build on a robot never includes this file.
cmake_minimum_required(VERSION 3.21)
find_package(Python3 REQUIRED COMPONENTS Interpreter Development.Module NumPy)

# The wheels lay an ament prefix over the Python prefix, four folders above the package ament_package.
execute_process(
  COMMAND "${Python3_EXECUTABLE}" -c
    "import pathlib, ament_package; print(pathlib.Path(ament_package.__file__).resolve().parents[4])"
  OUTPUT_VARIABLE wheels_prefix OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
list(PREPEND CMAKE_PREFIX_PATH "${wheels_prefix}")
set(ENV{AMENT_PREFIX_PATH} "${wheels_prefix}")

# Exported targets name include folders of the machine that built the wheels; CMake refuses folders that are not there.
function(keep_existing_includes)
  get_property(imported DIRECTORY PROPERTY IMPORTED_TARGETS)
  foreach(target IN LISTS imported)
    get_target_property(folders ${target} INTERFACE_INCLUDE_DIRECTORIES)
    if(NOT folders)
      continue()
    endif()
    set(existing "")
    foreach(folder IN LISTS folders)
      if(EXISTS "${folder}" OR folder MATCHES "^\\$<")
        list(APPEND existing "${folder}")
      endif()
    endforeach()
    set_target_properties(${target} PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${existing}")
  endforeach()
endfunction()
cmake_language(DEFER CALL keep_existing_includes)

# The generated C++ sources spend their time on the same headers: compiled together they take half of it. Those of
# introspection cannot be: each specialises templates that another has used.
function(compile_together)
  foreach(kind typesupport_cpp typesupport_fastrtps_cpp typesupport_fastrtps_c)
    if(TARGET ${PROJECT_NAME}__rosidl_${kind})
      set_target_properties(${PROJECT_NAME}__rosidl_${kind} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 8)
    endif()
  endforeach()
endfunction()
cmake_language(DEFER CALL compile_together)
