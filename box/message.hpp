/// @file
/// What a topic holds: entries, each of one message or of a batch of them.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace stargate::box {

/// Where an entry is stored.
struct position {
  std::int64_t ledger = -1;
  std::int64_t entry = -1;

  friend auto operator<=>(const position&, const position&) = default;
};

/// Times are in milliseconds since 1970; 0 is none.
struct message {
  std::string payload; ///< In base64, as it came and as it goes.
  std::optional<std::string> key;
  std::vector<std::pair<std::string, std::string>> properties;
  std::int64_t publish_time = 0;
  std::int64_t event_time = 0;
  std::int64_t deliver_at = 0;
  std::string encryption; ///< The encryption context as JSON, or nothing.
};

struct entry {
  position at;
  std::vector<message> messages;
  bool is_batch = false;
  std::string origin{}; ///< Its producer and number, which stand in for a key where there is none.
};

/// @par Source Pulsar's `MessageIdData`
struct message_id {
  position at;
  std::int32_t partition = -1;
  std::int32_t batch_index = -1;
  std::int32_t batch_size = 0;

  /// In base64, as it is on the wire.
  [[nodiscard]] std::string text() const;
};

/// An instant as Java writes it: without the zeros at the end of its fraction.
[[nodiscard]] std::string instant_of(std::int64_t milliseconds);

/// The frame that brings a message to a consumer; a reader is not told how it was encrypted.
[[nodiscard]] std::string frame_of(const message& m, const std::string& id, int redeliveries, bool to_reader);

} // namespace stargate::box
