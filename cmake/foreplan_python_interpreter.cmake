# The Python that the module is for, and the MuJoCo that it has. Before foreplan_dependencies, which looks for MuJoCo.

option(FOREPLAN_PYTHON_MODULE "Build the Python module" OFF)
if(NOT FOREPLAN_PYTHON_MODULE)
  return()
endif()

# scikit-build-core names the component of the stable ABI where a wheel is to have it.
find_package(Python 3.11 COMPONENTS Interpreter Development.Module ${SKBUILD_SABI_COMPONENT} REQUIRED)
execute_process(
  COMMAND "${Python_EXECUTABLE}" -c
    "from importlib.util import find_spec; m = find_spec('mujoco'); print(m.submodule_search_locations[0] if m else '')"
  OUTPUT_VARIABLE foreplan_default_mujoco_dir OUTPUT_STRIP_TRAILING_WHITESPACE
  COMMAND_ERROR_IS_FATAL ANY)
