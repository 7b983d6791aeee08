// The JSON that `stargate run` takes.
#include "cli/description.hpp"

#include <cstdint>

using namespace stargate;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  options o;
  static_cast<void>(cli::read_description({reinterpret_cast<const char*>(data), size}, "fuzz", o,
                                          [](const std::string&, const std::optional<topic_name>&) -> handler_factory {
                                            return [](const received_message&) { return disposition::ack; };
                                          }));
  return 0;
}
