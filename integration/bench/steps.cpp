// One step of a message's way, so many times, and nothing else: for counting instructions.
//
//     stargate-steps encode|decode_receipt|decode_delivery COUNT
#include "libstargate/connection/masking.hpp"
#include "libstargate/protocol/base64.hpp"
#include "libstargate/protocol/frames.hpp"

#include <cstdlib>
#include <string_view>

using namespace stargate;

int main(int argc, char** argv) {
  if (argc != 3)
    return 2;
  const std::string_view step = argv[1];
  const auto count = std::strtoull(argv[2], nullptr, 10);
  const message m{.payload = std::string(100, 'x'), .key = "key-7", .properties = {{"number", "12345"}}};
  std::string delivery = R"({"messageId":"CAwQADAA","payload":")";
  protocol::append_base64(delivery, m.payload);
  delivery +=
    R"(","properties":{"number":"12345"},"publishTime":"2026-01-31T12:00:00.123Z","redeliveryCount":0,"key":"k"})";
  const std::string receipt =
    R"({"result":"ok","messageId":"CAwQADAA","context":"12345","errorCode":0,"schemaVersion":0})";
  std::string frame;
  connection::byte_buffer out;
  bool fine = true;
  for (std::uint64_t i = 0; i < count; ++i) {
    if (step == "encode") {
      const auto text = protocol::encode_message(m, i);
      fine = fine && text;
      out.clear();
      connection::append_masked_frame(out, *text);
    } else if (step == "decode_receipt") {
      frame = receipt;
      fine = fine && protocol::decode_receipt(frame);
    } else if (step == "decode_delivery") {
      frame = delivery;
      fine = fine && protocol::decode_delivery(frame);
    } else {
      return 2;
    }
  }
  return fine ? 0 : 1;
}
