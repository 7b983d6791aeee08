#include "libstargate/protocol/message_id.hpp"

#include "libstargate/protocol/base64.hpp"

#include <string>
#include <string_view>

namespace stargate::protocol {

namespace {

/// Takes a number of Protocol Buffers off the front.
bool take_varint(std::string_view& bytes, std::uint64_t& value) {
  value = 0;
  for (unsigned shift = 0; shift < 64 && !bytes.empty(); shift += 7) {
    const auto byte = static_cast<unsigned char>(bytes.front());
    bytes.remove_prefix(1);
    value |= static_cast<std::uint64_t>(byte & 0x7fu) << shift;
    if (byte < 0x80)
      return true;
  }
  return false;
}

bool skip_field(std::string_view& bytes, std::uint64_t wire_type) {
  std::uint64_t size = 0;
  switch (wire_type) {
    case 0: return take_varint(bytes, size);
    case 1: size = 8; break;
    case 2:
      if (!take_varint(bytes, size))
        return false;
      break;
    case 5: size = 4; break;
    default: return false;
  }
  if (size > bytes.size())
    return false;
  bytes.remove_prefix(size);
  return true;
}

} // namespace

std::optional<message_position> parse_message_id(const message_id& id) {
  std::string decoded;
  if (id.value.empty() || !decode_base64(id.value, decoded))
    return std::nullopt;
  message_position position;
  bool has_ledger = false;
  bool has_entry = false;
  for (std::string_view bytes{decoded}; !bytes.empty();) {
    std::uint64_t tag = 0;
    std::uint64_t value = 0;
    if (!take_varint(bytes, tag))
      return std::nullopt;
    if ((tag & 7u) != 0 || tag >> 3u > 4) {
      if (!skip_field(bytes, tag & 7u))
        return std::nullopt;
      continue;
    }
    if (!take_varint(bytes, value))
      return std::nullopt;
    switch (tag >> 3u) {
      case 1:
        position.ledger = static_cast<std::int64_t>(value);
        has_ledger = true;
        break;
      case 2:
        position.entry = static_cast<std::int64_t>(value);
        has_entry = true;
        break;
      case 3: position.partition = static_cast<std::int32_t>(value); break;
      case 4: position.batch_index = static_cast<std::int32_t>(value); break;
      default: return std::nullopt;
    }
  }
  return has_ledger && has_entry ? std::optional{position} : std::nullopt;
}

} // namespace stargate::protocol
