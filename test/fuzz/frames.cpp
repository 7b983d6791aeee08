// What a broker may send, right or wrong. What decodes must be fit to be used.
#include "libstargate/protocol/frames.hpp"
#include "libstargate/protocol/base64.hpp"
#include "libstargate/protocol/message_id.hpp"

#include <cstdint>
#include <cstdlib>

using namespace stargate;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string frame{reinterpret_cast<const char*>(data), size};
  auto pieces = frame;
  static_cast<void>(protocol::decode_receipt(pieces));
  static_cast<void>(protocol::decode_end_of_topic(frame));
  static_cast<void>(protocol::key_of(frame));
  pieces = frame;
  if (auto delivery = protocol::decode_delivery(pieces))
    if (auto* m = std::get_if<received_message>(&*delivery)) {
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
