// The JSON that `stargate run` takes.
#include "cli/description.hpp"

#include <cstdint>
#include <cstdlib>

using namespace stargate;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto read =
    cli::read_description({reinterpret_cast<const char*>(data), size}, "fuzz", {}, [](const cli::shell_command&) {
      return [](const received_message&) { return disposition::ack; };
    });
  if (read && !cli::changes_between(*read, *read).empty())
    std::abort();
  return 0;
}
