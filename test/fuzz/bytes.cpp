// What a server's bytes are taken for: an answer to the handshake, and frames. The first byte says how they are cut.
#include "libstargate/connection/frame_reader.hpp"
#include "libstargate/connection/handshake.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

using namespace stargate::connection;

namespace {

constexpr std::size_t most = 2000;

struct listener final : frame_events {
  void on_ping(std::string_view payload) override {
    pings += payload.size() + 1;
    if (payload.size() > 125)
      std::abort();
  }
  void on_close(int, std::string_view) override { ++closes; }
  std::optional<std::string> on_oversized(std::string_view beginning, std::uint64_t size) override {
    if (beginning.empty() || beginning.size() > most || size <= most)
      std::abort();
    return "instead";
  }
  std::size_t pings = 0, closes = 0;
};

struct seen {
  frame_reader::outcome last = frame_reader::outcome::fine;
  std::vector<std::string> messages;
  std::size_t pings = 0, closes = 0;
  friend bool operator==(const seen&, const seen&) = default;
};

seen read(std::string_view bytes, std::size_t piece) {
  frame_reader reader{most};
  listener heard;
  seen s;
  for (std::size_t at = 0; at < bytes.size() && s.last == frame_reader::outcome::fine; at += piece)
    s.last = reader.feed(bytes.substr(at, piece), s.messages, heard);
  s.pings = heard.pings;
  s.closes = heard.closes;
  if (s.closes > 1 || (s.closes == 1) != (s.last == frame_reader::outcome::closed))
    std::abort();
  return s;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0)
    return 0;
  const std::size_t piece = std::max<std::size_t>(data[0], 1);
  const std::string_view bytes{reinterpret_cast<const char*>(data) + 1, size - 1};
  if (!(read(bytes, std::string_view::npos / 2) == read(bytes, piece)))
    std::abort(); // how bytes are cut means nothing
  answer_reader answer{(data[0] & 1) != 0};
  auto last = answer_reader::outcome::wants_more;
  for (std::size_t at = 0; at < bytes.size() && last == answer_reader::outcome::wants_more; at += piece)
    last = answer.feed(bytes.substr(at, piece));
  if (last == answer_reader::outcome::wants_more)
    last = answer.end();
  if (last == answer_reader::outcome::whole) {
    if (answer.status() < 100 || answer.status() > 999 || !answer.has_head())
      std::abort();
    static_cast<void>(wrong_with_upgrade(answer, "dGhlIHNhbXBsZSBub25jZQ=="));
  }
  return 0;
}
