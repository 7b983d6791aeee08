/// @file
/// What a broker of an old version does not refuse, and does not do either.
#pragma once

#include "actors/shared/tree_context.hpp"

#include <stargate/error.hpp>
#include <stargate/key.hpp>

#include <string>
#include <string_view>

namespace stargate::internal {

/// Whether `version`, such as `4.0.7` or `2.10.5-SNAPSHOT`, is before `major.minor`; false for what is no version.
[[nodiscard]] bool is_before(std::string_view version, unsigned major, unsigned minor);

/// Why a broker before `major.minor` cannot be used for what `what` says of a topic's options; empty when it can, or
/// does not tell its version. @par Threads any that may block
[[nodiscard]] caf::error too_old(tree_context& tree, const topic_name& topic, const char* what, unsigned major,
                                 unsigned minor);

/// An option that cannot be had on a topic, and why.
[[nodiscard]] caf::error unfit(const topic_name& topic, const std::string& why);

} // namespace stargate::internal
