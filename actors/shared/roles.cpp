#include "actors/shared/roles.hpp"

#include "libstargate/protocol/option_table.hpp"

namespace stargate::internal {

role_keys keys_of(const producer_options& o) {
  return {role::producer, o.topic, {}};
}

role_keys keys_of(const consumer_options& o) {
  return {role::consumer, protocol::registered_topic(o), o.subscription};
}

role_keys keys_of(const reader_options& o) {
  return {role::reader, o.topic, o.reader_name.value_or("")};
}

} // namespace stargate::internal
