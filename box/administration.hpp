/// @file
/// The administration of the box, by Pulsar's REST.
#pragma once

#include "box/broker.hpp"

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace stargate::box {

/// Throws a refusal when the request for this path, as behind /admin/v2 and decoded, may not be made.
using path_check = std::function<void(const std::vector<std::string>&)>;

/// Answers a request below /admin/v2. What it does not know is refused as Pulsar refuses it.
[[nodiscard]] answer administer(catalogue& all, std::string_view method, std::string_view target, std::string_view body,
                                const path_check& check);

} // namespace stargate::box
