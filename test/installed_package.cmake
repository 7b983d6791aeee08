# Installs the build into a folder of its own, and builds and runs a project that uses it from there.
function(run)
  execute_process(COMMAND ${ARGV} COMMAND_ECHO STDOUT COMMAND_ERROR_IS_FATAL ANY)
endfunction()

file(REMOVE_RECURSE "${WORK}")
run(${CMAKE_COMMAND} --install "${BUILD}" --prefix "${WORK}/prefix")
set(flags)
if(SANITIZE)
  set(flags "-DCMAKE_CXX_FLAGS=-fsanitize=${SANITIZE}")
endif()
run(${CMAKE_COMMAND} -G Ninja -S "${SOURCE}" -B "${WORK}/build" "-DCMAKE_PREFIX_PATH=${WORK}/prefix" ${flags})
run(${CMAKE_COMMAND} --build "${WORK}/build")
run("${WORK}/build/outside")
run("${WORK}/prefix/bin/stargate" --version)

# A service whose tests run in worlds, and the same with a mistake, which they find.
file(GLOB_RECURSE has_testing "${WORK}/prefix/*/stargate_testingTargets.cmake")
if(has_testing) # not where the libraries are shared
  foreach(mistake OFF ON)
    run(${CMAKE_COMMAND} -G Ninja -S "${SOURCE}/../../examples/tested" -B "${WORK}/tested-${mistake}"
        "-DCMAKE_PREFIX_PATH=${WORK}/prefix" "-DACKNOWLEDGE_TOO_EARLY=${mistake}" ${flags})
    run(${CMAKE_COMMAND} --build "${WORK}/tested-${mistake}")
    execute_process(COMMAND "${WORK}/tested-${mistake}/ledger-catch2" RESULT_VARIABLE failed OUTPUT_VARIABLE said)
    message("${said}")
    if(mistake AND NOT failed)
      message(FATAL_ERROR "a handler that acknowledges too early was not found")
    elseif(NOT mistake AND failed)
      message(FATAL_ERROR "the service loses payments")
    endif()
  endforeach()
  if(EXISTS "${WORK}/tested-OFF/ledger-gtest")
    run("${WORK}/tested-OFF/ledger-gtest")
  endif()
endif()

# The supervisor and the registry alone: configured, built and installed without anything but CAF.
run(${CMAKE_COMMAND} --install "${BUILD}" --prefix "${WORK}/supervision" --component supervision)
run(${CMAKE_COMMAND} -G Ninja -S "${SOURCE}/supervision" -B "${WORK}/build-supervision"
    "-DCMAKE_PREFIX_PATH=${WORK}/supervision" ${flags})
run(${CMAKE_COMMAND} --build "${WORK}/build-supervision")
run("${WORK}/build-supervision/outside")
execute_process(COMMAND ldd "${WORK}/build-supervision/outside" OUTPUT_VARIABLE linked COMMAND_ERROR_IS_FATAL ANY)
if(linked MATCHES "libwebsockets|libssl|libcurl")
  message(FATAL_ERROR "supervision alone is linked with more than CAF:\n${linked}")
endif()
run(${CMAKE_COMMAND} -G Ninja -S "${SOURCE}/../.." -B "${WORK}/only" -DSTARGATE_SUPERVISION_ONLY=ON
    -DCMAKE_DISABLE_FIND_PACKAGE_libwebsockets=ON -DCMAKE_DISABLE_FIND_PACKAGE_OpenSSL=ON)
