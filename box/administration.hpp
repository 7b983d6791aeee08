/// @file
/// The administration of the box, by Pulsar's REST.
#pragma once

#include "box/broker.hpp"

#include <string_view>

namespace stargate::box {

/// Answers a request below /admin/v2. What it does not know is refused as Pulsar refuses it.
[[nodiscard]] answer administer(catalogue& all, std::string_view method, std::string_view target,
                                std::string_view body);

} // namespace stargate::box
