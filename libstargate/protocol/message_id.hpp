/// @file
/// The inside of a message's id, as far as administration needs it.
#pragma once

#include <stargate/message.hpp>

#include <cstdint>
#include <optional>

namespace stargate::protocol {

/// @par Source Pulsar's `MessageIdData`
struct message_position {
  std::int64_t ledger = -1;
  std::int64_t entry = -1;
  std::int32_t partition = -1;
  std::int32_t batch_index = -1;
};

/// Nothing when it is not an id.
[[nodiscard]] std::optional<message_position> parse_message_id(const message_id& id);

} // namespace stargate::protocol
