// Options as text, as the command's flags and descriptions bring them: a line each, `name=value`. What validates makes
// a path that is one.
#include "libstargate/protocol/option_table.hpp"

#include <cstdint>
#include <cstdlib>
#include <sstream>

using namespace stargate;

namespace {

template <class Options>
void set(Options& o, const std::string& name, const std::string& value) {
  for (const auto& row : protocol::rows<Options>())
    if (row.name == name && row.set)
      static_cast<void>(row.set(o, value));
}

void check(const std::string& path) {
  for (const char c : path)
    if (c <= ' ' || c == '#' || static_cast<unsigned char>(c) > 126)
      std::abort();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::istringstream text{std::string{reinterpret_cast<const char*>(data), size}};
  options o;
  producer_options p;
  consumer_options c;
  reader_options r;
  for (std::string line; std::getline(text, line);) {
    const auto equals = line.find('=');
    if (equals == std::string::npos)
      continue;
    const auto name = line.substr(0, equals), value = line.substr(equals + 1);
    set(o, name, value);
    set(p, name, value);
    set(c, name, value);
    set(r, name, value);
  }
  c.handler = r.handler = [](const received_message&) { return disposition::ack; };
  o.producers = {p};
  o.consumers = {c};
  o.readers = {r};
  if (validate(o))
    return 0;
  check(protocol::request_path(p));
  check(protocol::request_path(c));
  check(protocol::request_path(r));
  return 0;
}
