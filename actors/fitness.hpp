/// @file
/// Whether the broker can do what a pipeline needs of it. What it cannot, an old or otherwise configured one does not
/// refuse: it does something else, silently.
#pragma once

#include "actors/pipeline.hpp"

#include <stargate/caf.hpp>
#include <stargate/options.hpp>

#include <string_view>

namespace stargate::internal {

/// Whether there is anything to ask. @par Threads any thread
[[nodiscard]] bool needs_check(const producer_options& o);
[[nodiscard]] bool needs_check(const pipeline& p);

/// Asks the broker, on a thread of its own, and sends `answer_to` one `fitness_checked`. What nobody lets us ask is
/// taken for granted.
void check_fitness(const site_ptr& tree, const producer_options& o, const caf::actor& answer_to);
void check_fitness(const site_ptr& tree, const pipeline_ptr& p, const caf::actor& answer_to);

/// Whether `version`, such as `4.0.7` or `2.10.5-SNAPSHOT`, is before `major.minor`; false for what is no version.
[[nodiscard]] bool is_before(std::string_view version, unsigned major, unsigned minor);

} // namespace stargate::internal
