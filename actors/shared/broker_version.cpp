#include "actors/shared/broker_version.hpp"

#include <charconv>

namespace stargate::internal {

bool is_before(std::string_view version, unsigned major, unsigned minor) {
  unsigned of_it[2] = {};
  const auto* at = version.data();
  const auto* const end = at + version.size();
  for (auto& number : of_it) {
    const auto read = std::from_chars(at, end, number);
    if (read.ec != std::errc{})
      return false;
    at = read.ptr != end && *read.ptr == '.' ? read.ptr + 1 : end;
  }
  return of_it[0] != major ? of_it[0] < major : of_it[1] < minor;
}

caf::error unfit(const topic_name& topic, const std::string& why) {
  return make_error(errc::invalid_option, to_string(topic) + ": " + why);
}

caf::error too_old(tree_context& tree, const topic_name& topic, const char* what, unsigned major, unsigned minor) {
  const auto version = tree.broker_version();
  if (!version || !is_before(*version, major, minor))
    return {};
  return unfit(topic, std::string{what} + ", which the broker, Pulsar " + *version
                        + ", silently does not do by WebSocket; it takes " + std::to_string(major) + "."
                        + std::to_string(minor) + " or later");
}

} // namespace stargate::internal
