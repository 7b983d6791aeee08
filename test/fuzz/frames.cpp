// What a broker may send, right or wrong. What decodes must be fit to be used.
#include "libstargate/protocol/frames.hpp"
#include "libstargate/protocol/base64.hpp"
#include "libstargate/protocol/instant.hpp"
#include "libstargate/protocol/message_id.hpp"

#include <cstdint>
#include <cstdlib>

using namespace stargate;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string frame{reinterpret_cast<const char*>(data), size};
  auto pieces = frame;
  const auto stored = protocol::decode_receipt(pieces);
  // What is written as brokers write it is read without a document of it: with a space in between it is not.
  if (!frame.empty() && frame.front() == '{') {
    pieces = frame;
    pieces.insert(1, " ");
    const auto whole = protocol::decode_receipt(pieces);
    const auto* one = stored ? std::get_if<protocol::receipt>(&*stored) : nullptr;
    const auto* other = whole ? std::get_if<protocol::receipt>(&*whole) : nullptr;
    if (static_cast<bool>(stored) != static_cast<bool>(whole) || (one == nullptr) != (other == nullptr)
        || (one != nullptr
            && (one->id != other->id || one->sequence != other->sequence || one->failure != other->failure)))
      std::abort();
  }
  static_cast<void>(protocol::decode_end_of_topic(frame));
  static_cast<void>(protocol::key_of(frame));
  pieces = frame;
  const auto delivery = protocol::decode_delivery(pieces);
  // Nor is a message, whose payload is lifted out elsewhere, too.
  if (const auto at = frame.find(",\"payload\":\""); at != std::string::npos) {
    pieces = frame;
    pieces.insert(at + 1, " ");
    const auto whole = protocol::decode_delivery(pieces);
    const auto* one = delivery ? std::get_if<received_message>(&*delivery) : nullptr;
    const auto* other = whole ? std::get_if<received_message>(&*whole) : nullptr;
    if (static_cast<bool>(delivery) != static_cast<bool>(whole) || (one == nullptr) != (other == nullptr)
        || (one != nullptr
            && (one->payload != other->payload || one->id != other->id || one->key != other->key
                || one->properties != other->properties)))
      std::abort();
  }
  if (delivery)
    if (const auto* m = std::get_if<received_message>(&*delivery)) {
      // An id goes back into a frame as it came: it must not break out of it.
      auto ack = protocol::encode_acknowledgement(m->id);
      if (ack.find('"', 14) != ack.size() - 2)
        std::abort();
      static_cast<void>(protocol::parse_message_id(m->id));
    }
  std::string bytes, text;
  if (protocol::decode_base64(frame, bytes)) {
    protocol::append_base64(text, bytes);
    std::string again;
    if (!protocol::decode_base64(text, again) || again != bytes)
      std::abort();
  }
  std::chrono::system_clock::time_point instant;
  static_cast<void>(protocol::parse_instant(frame, instant));
  return 0;
}
