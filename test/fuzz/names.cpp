// Topics, keys and percent-encoding: what is read must be written as it was, and two keys never look the same.
#include "libstargate/protocol/frames.hpp"
#include "libstargate/protocol/option_table.hpp"
#include "libstargate/protocol/percent.hpp"

#include <stargate/key.hpp>

#include <cstdint>
#include <cstdlib>

using namespace stargate;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text{reinterpret_cast<const char*>(data), size};
  if (protocol::percent_decode(protocol::percent_encode(text)) != text)
    std::abort();
  static_cast<void>(protocol::percent_decode(text));
  static_cast<void>(parse_registry_key(text));
  if (const auto topic = parse_topic(text)) {
    const auto again = parse_topic(to_string(*topic));
    if (!again || *again != *topic)
      std::abort();
    const registry_key key{"component/" + text, *topic};
    const auto read = parse_registry_key(to_string(key));
    if (!read || read->component != key.component || read->topic != key.topic)
      std::abort();
    producer_options o;
    o.topic = *topic;
    const auto path = protocol::request_path(o);
    for (const char c : path) // nothing may break out of the request line
      if (c <= ' ' || c == '#' || static_cast<unsigned char>(c) > 126)
        std::abort();
  }
  // Any payload and any valid text make a frame that is one.
  message m{.payload = text, .key = text, .properties = {{text, text}}};
  if (auto frame = protocol::encode_message(m, 1))
    if (protocol::key_of(frame->str()) != text)
      std::abort();
  return 0;
}
