/// @file
/// What the `perf` commands are told.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

namespace stargate::cli {

struct perf_options {
  std::string topic;
  std::uint64_t messages = 0;            ///< 0 is no end.
  std::chrono::milliseconds duration{0}; ///< 0 is no end.
  double rate = 0;
  std::size_t size = 1024;
  std::size_t outstanding = 1000;
  std::size_t pipelines = 1; ///< Producers, consumers or readers, each with a topic of its own if there are several.
  std::uint64_t warm_up = 0;
  bool blocking = false;
  bool own_payloads = false;
  bool json = false;
};

} // namespace stargate::cli
