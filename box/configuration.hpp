/// @file
/// Pulsar's configuration file, as far as the box does what stands in it.
#pragma once

#include "box/server.hpp"

#include <string>
#include <vector>

namespace stargate::box {

struct configuration {
  server::settings settings;
  std::vector<std::string> unknown; ///< The names of what has no effect here.
};

/// Reads a file such as Pulsar's `standalone.conf`: a `name=value` on each line, `#` before what is not read.
/// @throws std::runtime_error that names the file, the line and what is wrong with it
[[nodiscard]] configuration read_configuration(const std::string& path);

/// The bytes that `file://PATH`, `data:;base64,TEXT` or a bare path names, as Pulsar's `tokenSecretKey` does.
/// @throws std::runtime_error when there are none, or fewer than the 32 that HMAC with SHA-256 needs
[[nodiscard]] std::string read_secret_key(const std::string& where);

} // namespace stargate::box
