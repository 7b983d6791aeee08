# A build on Debian for another of its architectures, of which the compiler and the libraries are installed:
#
#   dpkg --add-architecture arm64 && apt update
#   apt install crossbuild-essential-arm64 {libcaf,libssl,libwebsockets,libcurl4-openssl}-dev:arm64 rapidjson-dev libcli11-dev
#   cmake -B build-arm64 -G Ninja --toolchain packaging/debian-cross.cmake -DSTARGATE_TESTS=OFF
#
# STARGATE_TRIPLET names the architecture as compilers do.
set(STARGATE_TRIPLET aarch64-linux-gnu CACHE STRING "What is built for, such as aarch64-linux-gnu")
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES STARGATE_TRIPLET)

string(REGEX MATCH "^[^-]+" processor "${STARGATE_TRIPLET}")
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR ${processor})
set(CMAKE_C_COMPILER ${STARGATE_TRIPLET}-gcc)
set(CMAKE_CXX_COMPILER ${STARGATE_TRIPLET}-g++)
set(CMAKE_LIBRARY_ARCHITECTURE ${STARGATE_TRIPLET})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(PKG_CONFIG_EXECUTABLE ${STARGATE_TRIPLET}-pkg-config)
set(CMAKE_INSTALL_LIBDIR lib/${STARGATE_TRIPLET} CACHE PATH "Where libraries go")
