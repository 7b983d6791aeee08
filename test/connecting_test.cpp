// How a connection comes about, or does not: handshakes, refusals and proxies that no real broker shows.
#include "libstargate/protocol/refusal.hpp"
#include "test/connection_fixture.hpp"

#include <catch2/catch.hpp>

#include <atomic>

namespace connection = stargate::connection;
using connection::endpoint, connection::event_loop;
using stargate::test::misbehaving_server;
using namespace std::chrono_literals;
using namespace std::string_literals;

namespace {

using fixture = stargate::test::connection_fixture;
using stargate::test::record, stargate::test::recorder;

} // namespace

TEST_CASE_METHOD(fixture, "an answer that points elsewhere is not followed, and says where it points") {
  const int status = GENERATE(301, 302, 303, 307, 308);
  CAPTURE(status);
  std::atomic<bool> asked{false};
  misbehaving_server other{[&](misbehaving_server::peer& p) { asked = !p.read_request().empty(); }};
  const auto there = "http://127.0.0.1:" + std::to_string(other.port()) + "/ws/v2";
  misbehaving_server server{[&](misbehaving_server::peer& p) {
    p.read_request();
    p.write("HTTP/1.1 " + std::to_string(status) + " Elsewhere\r\nLocation: " + there
            + "\r\nContent-Length: 0\r\n\r\n");
    p.wait_for_close();
  }};
  auto e = to(server.port());
  e.headers = {{"Authorization:", "Bearer secret"}};
  const auto l = connect(e);
  const auto why = end();
  CHECK(why.how == connection::end::refused);
  CHECK(why.status == status);
  CHECK(why.text == "it points to " + there + ", which is not followed");
  CHECK_FALSE(asked);
}

TEST_CASE_METHOD(fixture, "requests and answers of 15 KB go through whole, and larger ones are refused by name") {
  const std::string path = "/ws?topics=" + std::string(15'000, 't');
  std::string request;
  misbehaving_server server{[&](misbehaving_server::peer& p) {
    request = p.accept_websocket("X-Long: " + std::string(15'000, 'h') + "\r\n");
    p.write_frame(request.substr(0, request.find(" HTTP")));
    p.read_frame();
  }};
  auto e = to(server.port());
  e.path = path;
  const auto l = connect(e);
  REQUIRE(r.wait([&] { return !r.frames.empty(); }));
  CHECK(r.frames.front() == "GET " + path);
}

TEST_CASE_METHOD(fixture, "a request of more than 16 KiB is not sent") {
  misbehaving_server server{[](misbehaving_server::peer& p) { p.read_request(); }};
  auto e = to(server.port());
  e.headers = {{"Authorization:", "Bearer " + std::string(16'500, 't')}};
  const auto l = connect(e);
  const auto why = end();
  CHECK(why.how == connection::end::unsendable);
  CHECK(why.text.find("more than the 16384") != std::string::npos);
}

TEST_CASE_METHOD(fixture, "a peer whose handshake has headers without end is given up") {
  const bool as_lines = GENERATE(true, false);
  misbehaving_server server{[&](misbehaving_server::peer& p) {
    p.read_request();
    p.write("HTTP/1.1 101 Switching Protocols\r\n");
    for (int i = 0; i < 4'000; ++i)
      p.write(as_lines ? "X-More: " + std::string(1'000, 'x') + "\r\n" : std::string(1'000, 'x'));
    p.wait_for_close();
  }};
  const auto link = connect(to(server.port()));
  CHECK(end().how == connection::end::unreachable);
  CHECK(r.opened == 0);
}

TEST_CASE_METHOD(fixture, "the status of a handshake that is refused is told") {
  for (const int status : {400, 401, 403, 404, 409, 500, 503}) {
    misbehaving_server server{[&](auto& peer) {
      peer.read_request();
      peer.write("HTTP/1.1 " + std::to_string(status) + " No\r\nContent-Length: 0\r\n\r\n");
      peer.wait_for_close();
    }};
    record mine;
    const auto l = loop->connect(to(server.port()), std::make_unique<recorder>(mine));
    REQUIRE(mine.wait([&] { return !mine.ends.empty(); }));
    CHECK(mine.ends[0].how == connection::end::refused);
    CHECK(mine.ends[0].status == status);
  }
}

TEST_CASE_METHOD(fixture, "what a server says to why it refuses is told, and nothing of what others sent") {
  const std::string page = "<html><table><tr><th>MESSAGE:</th><td>the topic is full</td></tr></table></html>";
  misbehaving_server other{[](auto& peer) { // fills the buffer that all connections share
    peer.accept_websocket();
    peer.write_frame(std::string(1000, 'x') + "<th>MESSAGE:</th><td>secret</td>" + std::string(49'000, 'x'));
    peer.wait_for_close();
  }};
  const auto first = connect(to(other.port()));
  REQUIRE(r.wait([&] { return !r.frames.empty(); }));
  const auto refusal = [&](const std::string& body, std::size_t length) {
    misbehaving_server server{[&](auto& peer) {
      peer.read_request();
      peer.write("HTTP/1.1 503 No\r\nContent-Length: " + std::to_string(length) + "\r\n\r\n" + body);
      peer.wait_for_close();
    }};
    record mine;
    const auto l = loop->connect(to(server.port()), std::make_unique<recorder>(mine));
    REQUIRE(mine.wait([&] { return !mine.ends.empty(); }));
    CHECK(mine.ends[0].status == 503);
    return stargate::protocol::reason_in_answer(mine.ends[0].answer);
  };
  CHECK(refusal(page, page.size()) == "the topic is full");
  CHECK(refusal("", 60'000).find("secret") == std::string::npos); // it says that more will come
  CHECK(refusal("", 0).empty());
}

TEST_CASE_METHOD(fixture, "a token that a server sends back goes into no error, and neither do control characters") {
  const std::string token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.x";
  const auto say = [&](const std::string& answer) {
    misbehaving_server server{[&](auto& peer) {
      peer.read_request();
      peer.write(answer);
      peer.wait_for_close();
    }};
    auto e = to(server.port());
    e.headers = {{"Authorization:", "Bearer " + token}};
    record mine;
    const auto l = loop->connect(e, std::make_unique<recorder>(mine));
    REQUIRE(mine.wait([&] { return !mine.ends.empty(); }));
    return mine.ends[0].text + stargate::protocol::reason_in_answer(mine.ends[0].answer);
  };
  const auto with_body = [](const std::string& body) {
    return "HTTP/1.1 403 No\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  };
  CHECK(say(with_body(R"({"message":"no Bearer )" + token + R"( here"})"))
        == "no Bearer " + std::string(token.size(), '*') + " here");
  const std::string long_text(290, 'a'); // where the reason is cut, the token would be cut with it
  CHECK(say(with_body(R"({"message":")" + long_text + token + R"("})")) == long_text + "**********...");
  CHECK(say("HTTP/1.1 302 Found\r\nLocation: http://b/?token=" + token + "\r\nContent-Length: 0\r\n\r\n").find(token)
        == std::string::npos);

  misbehaving_server closing{[&](auto& peer) {
    peer.accept_websocket();
    peer.write("\x88\x0a\x03\xe8one\n\x1b[2J"s);
    peer.wait_for_close();
  }};
  const auto l = connect(to(closing.port()));
  CHECK(end().text == "one  [2J");
}

namespace {

/// Sets a variable of the environment as long as it lives.
class variable {
public:
  variable(const char* name, const std::string& value) : name_{name} { ::setenv(name, value.c_str(), 1); }
  variable(const variable&) = delete;
  variable& operator=(const variable&) = delete;
  ~variable() { ::unsetenv(name_); }

private:
  const char* name_;
};

} // namespace

TEST_CASE("connections go through the proxy that the environment names, with its credentials, or past it") {
  std::string asked;
  misbehaving_server proxy{[&](auto& peer) {
    asked = peer.read_request();
    peer.write("HTTP/1.0 200 Connected\r\n\r\n");
    peer.accept_websocket();
    peer.write_frame("through");
    peer.wait_for_close();
  }};
  misbehaving_server direct{[](auto& peer) {
    peer.accept_websocket();
    peer.write_frame("past");
    peer.wait_for_close();
  }};
  const variable http{"http_proxy", "http://me:word@localhost:" + std::to_string(proxy.port())};
  const variable none{"no_proxy", "127.0.0.1"};
  const auto loop = event_loop::start();
  record one, other;
  endpoint far{.host = "broker.example", .port = 8080, .path = "/ws"};
  endpoint near{.host = "127.0.0.1", .port = direct.port(), .path = "/ws"};
  const auto a = loop->connect(far, std::make_unique<recorder>(one));
  REQUIRE(one.wait([&] { return !one.frames.empty() || !one.ends.empty(); }));
  CHECK(one.frames == std::vector<std::string>{"through"});
  const auto b = loop->connect(near, std::make_unique<recorder>(other));
  REQUIRE(other.wait([&] { return !other.frames.empty() || !other.ends.empty(); }));
  CHECK(other.frames == std::vector<std::string>{"past"});
  loop->stop();
  CHECK_THAT(asked, Catch::StartsWith("CONNECT broker.example:8080 HTTP/1."));
  CHECK_THAT(asked, Catch::Contains("roxy-authorization: basic bWU6d29yZA==", Catch::CaseSensitive::No));
}

TEST_CASE("a proxy that refuses, is not there, or is of another kind is told, without its credentials") {
  misbehaving_server proxy{[&](auto& peer) {
    peer.read_request();
    peer.write("HTTP/1.0 403 Forbidden\r\n\r\n");
    peer.wait_for_close();
  }};
  const std::pair<std::string, connection::end> cases[] = {
    {"http://me:word@localhost:" + std::to_string(proxy.port()), connection::end::unreachable},
    {"http://me:word@no-such-proxy.invalid:80", connection::end::unresolved},
    {"socks5://me:word@localhost:1", connection::end::unsendable}};
  for (const auto& [url, how] : cases) {
    CAPTURE(url);
    const variable all{"all_proxy", url};
    const auto loop = event_loop::start();
    record r;
    const auto l =
      loop->connect({.host = "broker.example", .port = 8080, .path = "/ws"}, std::make_unique<recorder>(r));
    REQUIRE(r.wait([&] { return !r.ends.empty(); }));
    CHECK(r.ends[0].how == how);
    CHECK_THAT(r.ends[0].text, Catch::Contains("proxy") && !Catch::Contains("word"));
    loop->stop();
  }
}

TEST_CASE_METHOD(fixture, "a peer that never answers the handshake is given up in time") {
  misbehaving_server server{[](auto& peer) { peer.wait_for_close(); }};
  auto e = to(server.port());
  e.connect_timeout = 200ms;
  const auto l = connect(e);
  CHECK(end().how == connection::end::unreachable);
}

TEST_CASE_METHOD(fixture, "a peer that is no WebSocket server is unreachable") {
  misbehaving_server server{[](auto& peer) {
    peer.read_request();
    peer.write("220 mail.example.org ESMTP\r\n");
  }};
  const auto l = connect(to(server.port()));
  CHECK(end().how == connection::end::unreachable);
}

TEST_CASE_METHOD(fixture, "nobody listens, and the name does not resolve, are told apart") {
  std::uint16_t closed_port = 0;
  {
    misbehaving_server gone{[](auto&) {}};
    closed_port = gone.port();
  }
  const auto l = connect(to(closed_port));
  CHECK(end().how == connection::end::unreachable);
  record other;
  auto e = to(80);
  e.host = "no-such-host.invalid";
  const auto l2 = loop->connect(e, std::make_unique<recorder>(other));
  REQUIRE(other.wait([&] { return !other.ends.empty(); }));
  CHECK(other.ends[0].how == connection::end::unresolved);
}

TEST_CASE_METHOD(fixture, "the headers of the handshake are sent") {
  std::string request;
  {
    misbehaving_server server{[&](auto& peer) { request = peer.accept_websocket(); }};
    auto e = to(server.port());
    e.headers = {{"authorization:", "Bearer abc"}};
    const auto l = connect(e);
    REQUIRE(r.wait([&] { return r.opened == 1; }));
  }
  CHECK(request.find("authorization: Bearer abc") != std::string::npos);
  CHECK(request.find("GET /ws HTTP/1.1") == 0);
}
