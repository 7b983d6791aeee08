/// @file
/// A consumer or a reader, as its actors see it: what both have in common, taken from their options.
#pragma once

#include "actors/roles.hpp"
#include "actors/site.hpp"

#include <memory>
#include <utility>

namespace stargate::internal {

struct pipeline {
  pipeline_keys keys;
  std::size_t processors;
  handler_factory handler;
  std::size_t max_demand;
  std::size_t min_demand;
  stargate::run_on run_on;
  std::function<std::string()> path;         ///< Of the handshake.
  std::shared_ptr<reader_position> position; ///< A reader's; empty for a consumer.

  template <class Options>
  pipeline(pipeline_keys k, const Options& o, std::function<std::string()> p, std::shared_ptr<reader_position> at = {})
    : keys{std::move(k)},
      processors{o.processors},
      handler{o.handler},
      max_demand{o.max_demand},
      min_demand{o.min_demand},
      run_on{o.run_on},
      path{std::move(p)},
      position{std::move(at)} {}
};

using pipeline_ptr = std::shared_ptr<const pipeline>;

} // namespace stargate::internal
