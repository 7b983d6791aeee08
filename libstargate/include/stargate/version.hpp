#pragma once

/// The version of Stargate, as `major.minor.patch`; CMake reads it from here.
#define STARGATE_VERSION "0.1.0"
