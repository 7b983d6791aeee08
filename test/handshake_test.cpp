// HTTP's words at the beginning of a connection, in any pieces.
#include "libstargate/connection/handshake.hpp"

#include <catch2/catch.hpp>

#include <string>

using namespace stargate::connection;
using std::string;
using outcome = answer_reader::outcome;

namespace {

/// Feeds an answer in pieces; gives the outcome of the last.
outcome feed(answer_reader& a, const string& bytes, std::size_t piece = string::npos) {
  auto last = outcome::wants_more;
  for (std::size_t at = 0; at < bytes.size() && last == outcome::wants_more;) {
    const auto part = bytes.substr(at, piece);
    last = a.feed(part);
    at += part.size();
  }
  return last;
}

// RFC 6455, section 1.3.
const string key = "dGhlIHNhbXBsZSBub25jZQ==", accept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
const string upgraded = "HTTP/1.1 101 Switching Protocols\r\nupgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n"
                        "Sec-WebSocket-Accept: "
                        + accept + "\r\n\r\n";

} // namespace

TEST_CASE("the request says what it has to") {
  const endpoint to{.host = "::1", .port = 8080, .path = "/ws?a=b", .headers = {{"Authorization:", "Bearer x"}}};
  CHECK(
    upgrade_request(to, key)
    == "GET /ws?a=b HTTP/1.1\r\nHost: [::1]:8080\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
       "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: Bearer x\r\n\r\n");
  CHECK(connect_request(to, {"proxy", "3128", "me:word"})
        == "CONNECT [::1]:8080 HTTP/1.1\r\nHost: [::1]:8080\r\nProxy-Authorization: Basic bWU6d29yZA==\r\n\r\n");
  CHECK(make_key().size() == 24);
  CHECK(make_key() != make_key());
}

TEST_CASE("an upgrade is taken, and what is behind it is kept") {
  const auto piece = GENERATE(std::size_t{1}, std::size_t{3}, string::npos);
  answer_reader a{true};
  REQUIRE(feed(a, upgraded, piece) == outcome::whole);
  CHECK(a.status() == 101);
  CHECK(wrong_with_upgrade(a, key).empty());
  answer_reader b{true};
  REQUIRE(b.feed(upgraded + "\x81\x03one") == outcome::whole);
  CHECK(b.behind() == "\x81\x03one");
  answer_reader after_others{true};
  REQUIRE(feed(after_others, "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + upgraded, piece) == outcome::whole);
  CHECK(after_others.status() == 101);
}

TEST_CASE("what is no answer to this handshake is refused") {
  const auto wrong = [](const string& text) {
    answer_reader a{true};
    REQUIRE(a.feed(text) == outcome::whole);
    return wrong_with_upgrade(a, key);
  };
  const string head = "HTTP/1.1 101 Switching Protocols\r\n";
  CHECK(wrong(head + "\r\n") == "its answer does not upgrade to WebSocket");
  CHECK(wrong(head + "Upgrade: h2c\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + accept + "\r\n\r\n")
        == "its answer does not upgrade to WebSocket");
  CHECK(wrong(head + "Upgrade: websocket\r\nConnection: close\r\nSec-WebSocket-Accept: " + accept + "\r\n\r\n")
        == "its answer does not upgrade to WebSocket");
  CHECK(wrong(head + "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: AAAA\r\n\r\n")
        == "its answer is to another handshake");
  auto more = upgraded;
  more.insert(head.size(), "Sec-WebSocket-Extensions: permessage-deflate\r\n");
  CHECK(wrong(more) == "its answer chooses an extension or a protocol that nobody offered");
}

TEST_CASE("a refusal is read with its body, as long as that is not too large") {
  const auto piece = GENERATE(std::size_t{1}, std::size_t{10}, string::npos);
  answer_reader sized{true};
  REQUIRE(feed(sized, "HTTP/1.1 503 Full\r\nContent-Length: 4\r\n\r\nwhy?", piece) == outcome::whole);
  CHECK(sized.status() == 503);
  CHECK(sized.reason() == "Full");
  CHECK(sized.text().ends_with("\r\n\r\nwhy?"));
  answer_reader chunked{true};
  REQUIRE(feed(chunked, "HTTP/1.1 404 \r\nTransfer-Encoding: chunked\r\n\r\n4\r\nwhy?\r\n0\r\n\r\n", piece)
          == outcome::whole);
  CHECK(chunked.text().find("why?") != string::npos);
  answer_reader open_ended{true};
  REQUIRE(feed(open_ended, "HTTP/1.0 500 No\r\n\r\nwhy", piece) == outcome::wants_more);
  REQUIRE(open_ended.end() == outcome::whole);
  CHECK(open_ended.text().ends_with("why"));
  answer_reader endless{true};
  REQUIRE(feed(endless, "HTTP/1.1 500 No\r\n\r\n" + string(100'000, 'x'), 5000) == outcome::whole);
  CHECK(endless.text().size() < 70'000);
  answer_reader tunnel{false};
  REQUIRE(feed(tunnel, "HTTP/1.0 200 Connected\r\n\r\n", piece) == outcome::whole);
  CHECK(tunnel.status() == 200);
}

TEST_CASE("what does not speak HTTP is told from what says too much or too little") {
  const auto problem = [](const string& text, bool ends = true) {
    answer_reader a{true};
    auto last = feed(a, text, 700);
    if (last == outcome::wants_more && ends)
      last = a.end();
    REQUIRE(last == outcome::no_http);
    return a.problem();
  };
  CHECK(problem("220 mail ESMTP\r\n", false) == "what answers there does not speak HTTP");
  CHECK(problem("\x15\x03\x01", false) == "what answers there does not speak HTTP");
  CHECK(problem("HTTP/2 200\r\n\r\n", false) == "what answers there does not speak HTTP");
  CHECK(problem("HTTP/1.1 many\r\n\r\n", false) == "its answer has no status");
  CHECK(problem("HTTP/1.1 9\r\n\r\n", false) == "its answer has no status");
  CHECK(problem("HTTP/1.1\r\n\r\n", false) == "its answer has no status");
  CHECK(problem("HTTP/1.1 101 X\r\nA: " + string(40'000, 'x'), false) == "its answer has more than 32 KiB of headers");
  CHECK(problem("") == "it ended the connection without an answer");
  CHECK(problem("HTTP/1.1 101 X\r\nA: ") == "its answer ended within the headers");
}
