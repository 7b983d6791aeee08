#include "actors/shared/roles.hpp"

#include "libstargate/protocol/option_table.hpp"

#include <algorithm>

namespace stargate::internal {

std::optional<role_keys> role_keys::of(const registry_key& socket) {
  const std::string_view component = socket.component;
  const auto slash = std::min(component.find('/'), component.size());
  for (const auto r : {role::producer, role::consumer, role::reader})
    if (component.substr(0, slash) == row_of(r).socket && (r != role::producer || slash == component.size()))
      return role_keys{r, socket.topic, std::string{component.substr(std::min(slash + 1, component.size()))}};
  return std::nullopt;
}

role_keys role_keys_of(const producer_options& o) {
  return {role::producer, o.topic, {}};
}

role_keys role_keys_of(const consumer_options& o) {
  return {role::consumer, protocol::registered_topic(o), o.subscription};
}

role_keys role_keys_of(const reader_options& o) {
  return {role::reader, o.topic, o.reader_name.value_or("")};
}

} // namespace stargate::internal
