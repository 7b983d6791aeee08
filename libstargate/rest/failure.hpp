/// @file
/// What an answer of the administration says that is no success.
#pragma once

#include <stargate/error.hpp>

#include <string>

namespace stargate::rest {

/// @param what the request, for people; @param body the answer's: Pulsar puts a `reason` into it
[[nodiscard]] caf::error failure(const std::string& what, int status, const std::string& body);

} // namespace stargate::rest
