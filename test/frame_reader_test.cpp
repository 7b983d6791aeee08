// What a server sends, in any pieces.
#include "libstargate/connection/frame_memory.hpp"
#include "libstargate/connection/frame_reader.hpp"
#include "libstargate/connection/masking.hpp"

#include <catch2/catch.hpp>

#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

using namespace stargate::connection;
using namespace std::string_literals;
using std::string;

namespace {

/// A server's frame, which has no mask.
string framed(int first, const string& payload) {
  string bytes(1, static_cast<char>(first));
  const auto size = payload.size();
  if (size < 126)
    bytes += static_cast<char>(size);
  else
    bytes += static_cast<char>(size < 65'536 ? 126 : 127);
  for (int shift = size < 126 ? -8 : size < 65'536 ? 8 : 56; shift >= 0; shift -= 8)
    bytes += static_cast<char>(static_cast<std::uint64_t>(size) >> shift & 0xff);
  return bytes + payload;
}

struct listener final : frame_events {
  void on_ping(std::string_view payload) override { pings.emplace_back(payload); }
  void on_close(int code, std::string_view reason) override { closed = std::to_string(code) + " " + string{reason}; }
  std::optional<string> on_oversized(std::string_view beginning, std::uint64_t size) override {
    sizes.push_back(size);
    return replaces ? std::optional{"in place of " + string{beginning.substr(0, 5)}} : std::nullopt;
  }
  std::vector<string> pings;
  std::vector<std::uint64_t> sizes;
  string closed;
  bool replaces = true;
};

struct reading {
  std::vector<string> messages;
  listener heard;
  frame_reader reader{1000};
  frame_reader::outcome feed(std::string_view bytes) { return reader.feed(bytes, messages, heard); }
};

constexpr auto fine = frame_reader::outcome::fine;
constexpr auto broken = frame_reader::outcome::broken;

} // namespace

TEST_CASE("large messages take the memory of those before them, whole or in pieces, and are what was sent") {
  const auto memory = std::make_shared<frame_memory>();
  frame_reader reader{1u << 20, memory};
  listener heard;
  std::mt19937 random{7};
  std::size_t reused = 0;
  for (int round = 0; round < 300; ++round) {
    const auto size = random() % 3 == 0 ? random() % 1000 : 50'000 + random() % 20'000;
    const string sent(size, static_cast<char>('a' + round % 26));
    const auto bytes = framed(0x81, sent);
    const auto piece = random() % 2 == 0 ? bytes.size() : 1 + random() % 30'000;
    std::vector<string> messages;
    const auto kept = memory->kept();
    for (std::size_t at = 0; at < bytes.size(); at += piece)
      REQUIRE(reader.feed(std::string_view{bytes}.substr(at, piece), messages, heard) == frame_reader::outcome::fine);
    REQUIRE(messages == std::vector{sent});
    reused += memory->kept() < kept;
    memory->leave(std::move(messages.front()));
  }
  CHECK(reused > 150);
  CHECK(memory->kept() <= frame_memory::most_kept);
}

TEST_CASE("messages come whole and in order, however they and the bytes are cut") {
  std::mt19937 random{7};
  const auto below = [&](std::size_t n) { return random() % n; };
  for (int round = 0; round < 2000; ++round) {
    string bytes;
    std::vector<string> sent, pings;
    for (auto n = below(8); n > 0; --n) {
      const std::size_t sizes[] = {0, 1, 5, 125, 126, 127, 300, 999, 1000};
      const string message(sizes[below(std::size(sizes))], static_cast<char>('a' + below(26)));
      std::size_t at = 0;
      bool first = true;
      do {
        const bool last = below(3) > 0 || at == message.size();
        const auto piece = last ? message.substr(at) : message.substr(at, below(message.size() - at + 1));
        bytes += framed((last ? 0x80 : 0) | (first ? static_cast<int>(1 + below(2)) : 0), piece);
        at += piece.size();
        first = false;
        if (below(4) == 0) { // a control frame may stand between fragments
          pings.emplace_back(below(126), 'p');
          bytes += framed(0x89, pings.back());
        }
        if (below(6) == 0)
          bytes += framed(0x8a, string(below(126), 'q'));
        if (last)
          break;
      } while (true);
      sent.push_back(message);
    }
    reading r;
    for (std::size_t at = 0; at < bytes.size();) {
      const auto size = below(3) == 0 ? 1 + below(4) : 1 + below(bytes.size() - at);
      REQUIRE(r.feed(std::string_view{bytes}.substr(at, size)) == fine);
      at += size;
    }
    REQUIRE(r.messages == sent);
    REQUIRE(r.heard.pings == pings);
  }
}

TEST_CASE("what is too large is thrown away as it comes, told once, and replaced") {
  const auto cut = GENERATE(std::size_t{1}, std::size_t{7}, std::size_t{1024}, std::size_t{1} << 20);
  const auto one = framed(0x81, "large" + string(995, 'x') + "!");
  const auto in_pieces =
    framed(0x01, "piece" + string(700, 'x')) + framed(0x00, string(200, 'y')) + framed(0x80, string(600, 'z'));
  const auto bytes = framed(0x81, "before") + one + framed(0x81, string(1000, 'm')) + in_pieces + framed(0x81, "after");
  reading r;
  for (std::size_t at = 0; at < bytes.size(); at += cut)
    REQUIRE(r.feed(std::string_view{bytes}.substr(at, cut)) == fine);
  CHECK(r.messages
        == std::vector<string>{"before", "in place of large", string(1000, 'm'), "in place of piece", "after"});
  REQUIRE(r.heard.sizes.size() == 2);
  CHECK(r.heard.sizes[0] == 1001);
  CHECK(r.heard.sizes[1] == 1505);
}

TEST_CASE("what is too large ends it when nothing takes its place, or when there is no end to it") {
  reading r;
  r.heard.replaces = false;
  CHECK(r.feed(framed(0x81, string(1001, 'x'))) == frame_reader::outcome::too_large);
  reading endless;
  CHECK(endless.feed("\x81\x7f\x40\0\0\0\0\0\0\0x"s) == frame_reader::outcome::too_large);
  CHECK(endless.heard.sizes.empty());
}

TEST_CASE("a close is told with its code and reason, and nothing after it is read") {
  reading r;
  CHECK(r.feed(framed(0x81, "one") + framed(0x88, "\x03\xf3gone") + framed(0x81, "two"))
        == frame_reader::outcome::closed);
  CHECK(r.heard.closed == "1011 gone");
  CHECK(r.messages == std::vector<string>{"one"});
  for (const auto& [payload, told] : {std::pair{""s, "0 "s}, {"\x03"s, "0 "s}, {"\x03\xe8"s, "1000 "s}}) {
    reading other;
    CHECK(other.feed(framed(0x88, payload)) == frame_reader::outcome::closed);
    CHECK(other.heard.closed == told);
  }
}

TEST_CASE("what is not WebSocket is refused by name") {
  const std::pair<string, string> cases[] = {
    {"\x81\x81....x"s, "a server's frame with a mask"},
    {framed(0xc1, "x"), "a frame of an extension that nobody asked for"},
    {framed(0x83, "x"), "a frame of an unknown kind"},
    {framed(0x8b, "x"), "a control frame of an unknown kind"},
    {framed(0x09, "x"), "a control frame that is too large, or in pieces"},
    {framed(0x89, string(126, 'x')), "a control frame that is too large, or in pieces"},
    {framed(0x80, "x"), "a fragment of no message"},
    {framed(0x01, "x") + framed(0x81, "y"), "a message within another"},
    {"HTTP/1.1 400 Bad Request"s, "a frame of an extension that nobody asked for"},
  };
  for (const auto& [bytes, problem] : cases) {
    CAPTURE(problem);
    reading whole, cut;
    CHECK(whole.feed(bytes) == broken);
    CHECK(whole.reader.problem() == problem);
    auto outcome = fine;
    for (std::size_t i = 0; i < bytes.size() && outcome == fine; ++i)
      outcome = cut.feed(bytes.substr(i, 1));
    CHECK(outcome == broken);
  }
}

TEST_CASE("a client's frame is what it says once its mask is taken off") {
  for (const std::size_t size : {0u, 1u, 7u, 8u, 9u, 125u, 126u, 1000u, 65'535u, 65'536u, 100'003u}) {
    string payload;
    for (std::size_t i = 0; i < size; ++i)
      payload += static_cast<char>(i * 7 % 251);
    byte_buffer out{0xff};
    append_masked_frame(out, payload, size < 126 ? opcode::ping : opcode::text);
    const std::size_t header = size < 126 ? 2 : size < 65'536 ? 4 : 10;
    REQUIRE(out.size() == 1 + header + 4 + size);
    CHECK(out[1] == (size < 126 ? 0x89 : 0x81));
    CHECK((out[2] & 0x80) != 0);
    string plain;
    for (std::size_t i = 0; i < size; ++i)
      plain += static_cast<char>(out[1 + header + 4 + i] ^ out[1 + header + i % 4]);
    CHECK(plain == payload);
  }
}
