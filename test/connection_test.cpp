// The connection against peers that misbehave: no real broker does what these do.
#include "libstargate/connection/event_loops.hpp"
#include "libstargate/protocol/refusal.hpp"
#include "test/connection_fixture.hpp"

#include <catch2/catch.hpp>

#include <array>
#include <atomic>
#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <future>
#include <mutex>
#include <optional>
#include <random>
#include <thread>

#include <malloc.h>

namespace connection = stargate::connection;
using connection::ended, connection::endpoint, connection::event_loop, connection::frame, connection::observer;
using stargate::test::misbehaving_server;
using namespace std::chrono_literals;
using namespace std::string_literals;

namespace {

using clock = std::chrono::steady_clock;
using fixture = stargate::test::connection_fixture;
using stargate::test::frames, stargate::test::record, stargate::test::recorder;

} // namespace

TEST_CASE_METHOD(fixture, "frames go and come in order") {
  misbehaving_server server{stargate::test::echo};
  const auto l = connect(to(server.port()));
  l->send(frames({"one", "two"}));
  std::vector<std::string> expected{"one", "two"};
  for (int i = 0; i < 500; ++i) {
    expected.push_back(std::to_string(i));
    l->send(frames({std::to_string(i)}));
  }
  REQUIRE(r.wait([&] { return r.frames.size() == expected.size(); }));
  CHECK(r.frames == expected);
}

TEST_CASE_METHOD(fixture, "threads that send while the loop sleeps and wakes keep each their order") {
  constexpr int threads = 4, each = 600;
  misbehaving_server server{stargate::test::echo};
  const auto l = connect(to(server.port()));
  REQUIRE(r.wait([&] { return r.opened == 1; }));
  std::vector<std::thread> senders;
  for (int t = 0; t < threads; ++t)
    senders.emplace_back([&, t] {
      std::mt19937 chance(static_cast<unsigned>(t));
      for (int i = 0; i < each; ++i) {
        const auto name = std::to_string(t) + " " + std::to_string(i) + " ";
        l->send(frames({name + std::string(chance() % 40 == 0 ? 100'000 : chance() % 200, 'x')}));
        if (chance() % 8 == 0) // long enough for the loop to fall asleep, at times
          std::this_thread::sleep_for(std::chrono::microseconds{chance() % 400});
      }
    });
  for (auto& s : senders)
    s.join();
  REQUIRE(r.wait([&] { return r.frames.size() == std::size_t{threads} * each; }, 30s));
  std::array<int, threads> next{};
  for (const auto& text : r.frames) {
    int t = 0, i = 0;
    REQUIRE(std::sscanf(text.c_str(), "%d %d ", &t, &i) == 2);
    REQUIRE(i == next.at(static_cast<std::size_t>(t))++);
  }
}

TEST_CASE_METHOD(fixture, "frames that are sent from within an observer go out, and those of others before them") {
  misbehaving_server server{stargate::test::echo};
  std::shared_ptr<connection::link> l;
  class answering final : public observer {
  public:
    answering(record& r, std::shared_ptr<connection::link>& l) : inner_{r}, link_{l} {}
    void on_open() override { inner_.on_open(); }
    void on_frames(std::vector<std::string> frames, connection::load load) override {
      for (const auto& f : frames)
        if (const int n = std::stoi(f); n > 0)
          link_->send({std::make_shared<const stargate::protocol::frame_text>(std::to_string(n - 1))});
      inner_.on_frames(std::move(frames), load);
    }
    void on_end(ended why) override { inner_.on_end(std::move(why)); }

  private:
    recorder inner_;
    std::shared_ptr<connection::link>& link_;
  };
  l = loop->connect(to(server.port()), std::make_unique<answering>(r, l));
  REQUIRE(r.wait([&] { return r.opened == 1; }));
  l->send(frames({"200"}));
  const bool all = r.wait([&] { return r.frames.size() == 201; }, 60s);
  loop->stop(); // while the observer has its link
  REQUIRE(all);
  CHECK(r.frames.back() == "0");
}

TEST_CASE_METHOD(fixture, "a frame of 1 MiB arrives whole, however it is cut") {
  const std::string big(1u << 20, 'x');
  misbehaving_server server{[&](auto& peer) {
    peer.accept_websocket();
    peer.write_frame(big, 1000);
    peer.write_frame("small");
    peer.read_frame();
  }};
  const auto l = connect(to(server.port()));
  REQUIRE(r.wait([&] { return r.frames.size() == 2; }));
  CHECK(r.frames[0] == big);
}

#if !defined __SANITIZE_ADDRESS__ && !defined __SANITIZE_THREAD__ // whose allocators do not tell
TEST_CASE_METHOD(fixture, "a connection gives the memory of a large frame back when it is written") {
  misbehaving_server server{[](auto& peer) {
    peer.accept_websocket();
    while (auto text = peer.read_frame()) {
      const auto size = std::to_string(text->size());
      text.reset();
      peer.write_frame(size);
    }
  }};
  constexpr std::size_t size = 34u << 20; // what is larger than 32 MiB, malloc has of the system by itself
  auto patient = to(server.port());
  patient.ping_interval = 60s; // this peer answers no ping
  const auto l = connect(patient);
  const auto taken = [] { return ::mallinfo2().hblkhd; };
  const auto before = taken();
  l->send(frames({std::string(size, 'x')}));
  REQUIRE(r.wait([&] { return r.frames.size() == 1; }, 60s));
  CHECK(r.frames.front() == std::to_string(size));
  CHECK(taken() < before + size / 2);
}
#endif

TEST_CASE_METHOD(fixture, "a frame larger than allowed ends the connection") {
  misbehaving_server server{[](auto& peer) {
    peer.accept_websocket();
    peer.write_frame(std::string(100'000, 'x'));
    peer.read_frame();
  }};
  auto e = to(server.port());
  e.max_frame = 99'999;
  const auto l = connect(e);
  CHECK(end().how == connection::end::too_large);
}

TEST_CASE_METHOD(fixture, "a frame far beyond what is allowed harms nothing, however much of it comes") {
  const auto declared = GENERATE(std::uint64_t{100'001}, std::uint64_t{1} << 20, std::uint64_t{20} << 20,
                                 std::uint64_t{1} << 40, std::uint64_t{1} << 62);
  CAPTURE(declared);
  misbehaving_server server{[&](misbehaving_server::peer& p) {
    p.accept_websocket();
    p.begin_frame(declared);
    const std::string piece(70'000, 'x');
    for (std::uint64_t sent = 0; sent < std::min<std::uint64_t>(declared, 40u << 20); sent += piece.size())
      p.write(piece);
    p.wait_for_close();
  }};
  auto e = to(server.port());
  e.max_frame = 100'000;
  const auto l = connect(e);
  const auto why = end();
  CHECK(why.how == connection::end::too_large);
  CHECK(why.text.find("100000 bytes") != std::string::npos);
}

TEST_CASE_METHOD(fixture, "a frame that is too large can be replaced, and those around it arrive") {
  const std::size_t fragment = GENERATE(std::size_t{1} << 20, std::string::npos);
  misbehaving_server server{[&](misbehaving_server::peer& p) {
    p.accept_websocket();
    p.write_frame("before");
    p.write_frame("the large one" + std::string(2'000'000, 'x'), fragment);
    p.write_frame("between");
    p.write_frame(std::string(100'001, 'y'));
    p.write_frame("after");
    p.read_frame();
  }};
  auto e = to(server.port());
  e.max_frame = 100'000;
  r.replaces = true;
  const auto l = connect(e);
  REQUIRE(r.wait([&] { return r.frames.size() == 5; }));
  CHECK(
    r.frames
    == std::vector<std::string>{"before", "in place of the large o", "between", "in place of yyyyyyyyyyy", "after"});
  CHECK(r.sizes.front() >= (fragment == std::string::npos ? 2'000'013 : 1u << 20));
  CHECK(r.sizes.back() == 100'001);
}

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

TEST_CASE("an event loop leaves the signals of the process as they are") {
  struct sigaction before {
  }, as_it_begins{}, after{};
  as_it_begins.sa_handler = SIG_DFL; // whatever earlier loops have done
  ::sigaction(SIGPIPE, &as_it_begins, &before);
  const auto loop = event_loop::start();
  ::sigaction(SIGPIPE, nullptr, &after);
  CHECK(after.sa_handler == SIG_DFL);
  loop->stop();
  ::sigaction(SIGPIPE, &before, nullptr);
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

TEST_CASE_METHOD(fixture, "a peer that leaves pings unanswered is a lost connection, whatever it has been sent") {
  const std::size_t sent = GENERATE(0u, 30u << 20);
  std::promise<void> over;
  misbehaving_server server{[&over](auto& peer) {
    peer.accept_websocket();
    over.get_future().wait_for(10s); // reads nothing
  }};
  const auto l = connect(to(server.port()));
  REQUIRE(r.wait([&] { return r.opened == 1; }));
  if (sent > 0)
    l->send(frames({std::string(sent, 'x')}));
  const auto why = end();
  over.set_value();
  CHECK(why.how == connection::end::lost);
}

TEST_CASE_METHOD(fixture,
                 "a peer that takes long for what it is sent is not lost because a ping has to wait behind that") {
  misbehaving_server server{[](auto& peer) {
    peer.accept_websocket();
    peer.read_slowly(2ms);
    while (auto text = peer.read_frame())
      peer.write_frame(std::to_string(text->size()));
  }};
  const auto l = connect(to(server.port()));
  REQUIRE(r.wait([&] { return r.opened == 1; }));
  constexpr std::size_t size = 8u << 20; // 4 s; after 2 s of silence it would be lost
  l->send(frames({std::string(size, 'x')}));
  REQUIRE(r.wait([&] { return !r.frames.empty() || !r.ends.empty(); }, 60s));
  REQUIRE(r.ends.empty());
  CHECK(r.frames.front() == std::to_string(size));
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

TEST_CASE_METHOD(fixture, "a peer's close is told with its code") {
  misbehaving_server server{[](auto& peer) {
    peer.accept_websocket();
    peer.write_close(1011, "going away");
    peer.read_frame();
  }};
  const auto l = connect(to(server.port()));
  const auto why = end();
  CHECK(why.how == connection::end::peer_closed);
  CHECK(why.status == 1011);
  CHECK(why.text == "going away");
}

TEST_CASE_METHOD(fixture, "a connection that is cut in the middle of a frame is lost, and half a frame is no frame") {
  misbehaving_server server{[](auto& peer) {
    peer.accept_websocket();
    peer.write_frame("whole");
    peer.write(std::string("\x81\x7e\x03\xe8", 4) + "only a part");
  }};
  const auto l = connect(to(server.port()));
  CHECK(end().how == connection::end::lost);
  CHECK(r.frames == std::vector<std::string>{"whole"});
}

TEST_CASE_METHOD(fixture, "closing writes what is unsent, and then code 1000") {
  std::vector<std::string> seen;
  int code = 0;
  {
    misbehaving_server server{[&](auto& peer) {
      peer.accept_websocket();
      while (auto text = peer.read_frame())
        seen.push_back(*text);
      code = peer.close_code();
    }};
    const auto l = connect(to(server.port()));
    REQUIRE(r.wait([&] { return r.opened == 1; }));
    std::vector<std::string> texts(200, "text");
    l->send(frames(texts));
    l->close();
    CHECK(end().how == connection::end::closed);
  }
  CHECK(seen.size() == 200);
  CHECK(code == 1000);
}

TEST_CASE_METHOD(fixture, "a link that is dropped closes its connection") {
  int code = 0;
  {
    misbehaving_server server{[&](auto& peer) {
      peer.accept_websocket();
      peer.read_frame();
      code = peer.close_code();
    }};
    auto l = connect(to(server.port()));
    REQUIRE(r.wait([&] { return r.opened == 1; }));
    l.reset();
    CHECK(end().how == connection::end::closed);
  }
  CHECK(code == 1000);
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

TEST_CASE("a loop that stops ends its connections") {
  record r;
  misbehaving_server server{[](auto& peer) {
    peer.accept_websocket();
    peer.read_frame();
  }};
  auto loop = event_loop::start();
  const auto l =
    loop->connect({.host = "127.0.0.1", .port = server.port(), .path = "/"}, std::make_unique<recorder>(r));
  REQUIRE(r.wait([&] { return r.opened == 1; }));
  loop->stop();
  REQUIRE(r.ends.size() == 1);
  CHECK(r.ends[0].how == connection::end::closed);
  l->send(frames({"nobody hears"}));
}

TEST_CASE("several loops share the connections, and stop together") {
  constexpr std::size_t count = 6;
  std::vector<std::unique_ptr<misbehaving_server>> servers;
  std::vector<record> records(count);
  connection::event_loops loops{3, {}};
  std::vector<std::unique_ptr<connection::link>> links;
  for (auto& r : records) {
    servers.push_back(std::make_unique<misbehaving_server>(stargate::test::echo));
    links.push_back(
      loops.connect({.host = "127.0.0.1", .port = servers.back()->port(), .path = "/"}, std::make_unique<recorder>(r)));
    links.back()->send(frames({"one", "two"}));
  }
  for (auto& r : records)
    REQUIRE(r.wait([&] { return r.frames.size() == 2; }));
  loops.stop();
  for (const auto& r : records) {
    REQUIRE(r.ends.size() == 1);
    CHECK(r.ends[0].how == connection::end::closed);
  }
}

namespace {

/// Holds the loop's thread when the connection opens, until it is let go.
class holder final : public observer {
public:
  holder(record& r, std::shared_future<void> go) : inner_{r}, go_{std::move(go)} {}
  void on_open() override {
    inner_.on_open();
    go_.wait_for(10s);
  }
  void on_frames(std::vector<std::string> frames, connection::load load) override {
    inner_.on_frames(std::move(frames), load);
  }
  void on_end(ended why) override { inner_.on_end(std::move(why)); }

private:
  recorder inner_;
  std::shared_future<void> go_;
};

} // namespace

TEST_CASE_METHOD(fixture, "what a peer said before it went is heard, although nothing more can be sent to it") {
  std::promise<void> go;
  std::optional<misbehaving_server> server;
  server.emplace([&](auto& peer) {
    peer.accept_websocket();
    r.wait([&] { return r.opened == 1; });
    peer.write_frame("last words");
    peer.write_close(1013, "come back");
  });
  const auto l = loop->connect(to(server->port()), std::make_unique<holder>(r, go.get_future().share()));
  for (int i = 0; i < 50; ++i)
    l->send(frames({std::string(1u << 20, 'x')}));
  REQUIRE(r.wait([&] { return r.opened == 1; }));
  server.reset(); // it has spoken, and its socket is closed
  go.set_value();
  CHECK(end().how == connection::end::peer_closed);
  CHECK(r.ends[0].status == 1013);
  CHECK(r.frames == std::vector<std::string>{"last words"});
}

TEST_CASE("a connection that is asked for once the loop has stopped has its end") {
  const auto loop = event_loop::start();
  loop->stop();
  record r;
  const auto l = loop->connect({.host = "127.0.0.1", .port = 1, .path = "/"}, std::make_unique<recorder>(r));
  REQUIRE(r.ends.size() == 1);
  CHECK(r.ends[0].how == connection::end::closed);
  l->send(frames({"nobody hears"}));
}

TEST_CASE("however a stop and connections meet, each has one end") {
  for (int round = 0; round < 200; ++round) {
    const auto loop = event_loop::start();
    std::vector<record> records(8);
    std::vector<std::unique_ptr<connection::link>> links(records.size());
    std::thread other{[&] {
      for (std::size_t i = 0; i < records.size(); ++i)
        links[i] = loop->connect({.host = "127.0.0.1", .port = 1, .path = "/"}, std::make_unique<recorder>(records[i]));
    }};
    loop->stop();
    other.join();
    for (auto& one : records) {
      REQUIRE(one.wait([&] { return !one.ends.empty(); }));
      CHECK(one.ends.size() == 1);
    }
  }
}

TEST_CASE_METHOD(fixture,
                 "a peer that asks again and again whether anybody is there, and hears nothing, costs no memory") {
  std::promise<void> heard;
  misbehaving_server server{[&](auto& peer) {
    peer.accept_websocket();
    const auto pings = [] {
      std::string many;
      for (int i = 0; i < 1000; ++i)
        many += "\x89\x7d" + std::string(125, 'p');
      return many;
    }();
    for (int i = 0; i < 300; ++i) // 38 MB of questions, whose answers nobody reads
      peer.write(pings);
    peer.write_frame("still here");
    static_cast<void>(heard.get_future().wait_for(10s));
  }};
  const auto l = connect(to(server.port()));
  CHECK(r.wait([&] { return !r.frames.empty(); }));
  heard.set_value();
}

TEST_CASE("one message after the other's answer is not kept waiting, by far, for more that never comes") {
  constexpr int rounds = 400;
  class asking final : public observer {
  public:
    asking(record& r, std::shared_ptr<connection::link>& l) : inner_{r}, link_{l} {}
    void on_open() override { inner_.on_open(); }
    void on_frames(std::vector<std::string> frames, connection::load load) override {
      if (++count_ < rounds)
        link_->send(stargate::test::frames({"?"}));
      inner_.on_frames(std::move(frames), load);
    }
    void on_end(ended why) override { inner_.on_end(std::move(why)); }

  private:
    recorder inner_;
    std::shared_ptr<connection::link>& link_;
    int count_ = 0;
  };
  // as long as gathering for each would take, measured by what it does
  const auto gathering = [] {
    const auto began = std::chrono::steady_clock::now();
    for (int i = 0; i < rounds; ++i)
      std::this_thread::sleep_for(200us);
    return std::chrono::steady_clock::now() - began;
  };
  bool was_so = false; // a machine may be too busy for answers that come at once
  for (int attempt = 0; attempt < 50 && !was_so; ++attempt) {
    fixture f;
    misbehaving_server server{stargate::test::echo};
    std::shared_ptr<connection::link> l;
    auto to = f.to(server.port());
    to.ping_interval = 60s; // which the server does not answer
    l = f.loop->connect(to, std::make_unique<asking>(f.r, l));
    REQUIRE(f.r.wait([&] { return f.r.opened == 1; }));
    const auto began = std::chrono::steady_clock::now();
    l->send(frames({"?"}));
    const bool all = f.r.wait([&] { return f.r.frames.size() == rounds; }, 60s);
    const auto took = std::chrono::steady_clock::now() - began;
    f.loop->stop(); // while the observer has its link
    REQUIRE(all);
    was_so = took < gathering() * 2 / 3; // every second one is gathered where none is known to be in vain
  }
  CHECK(was_so);
}

TEST_CASE("while much is unsent, and the peer takes nothing, what it says is told in fewer batches, and soon") {
  constexpr std::size_t said = 30;
  bool was_soon = false; // a machine may be busy with something else
  for (int round = 0; round < 20 && !was_soon; ++round) {
    fixture f;
    std::promise<void> sent, told;
    std::promise<clock::time_point> began, ended;
    misbehaving_server server{[&](auto& peer) {
      peer.accept_websocket();
      peer.read_frame(); // then it reads no more
      static_cast<void>(sent.get_future().wait_for(10s));
      began.set_value(clock::now());
      for (std::size_t i = 0; i < said; ++i) {
        peer.write_frame(std::to_string(i));
        std::this_thread::sleep_for(1ms); // longer than a loop waits for more of a stream
      }
      ended.set_value(clock::now());
      static_cast<void>(told.get_future().wait_for(10s));
    }};
    auto to = f.to(server.port());
    to.ping_interval = 60s; // nothing else has the loop look
    const auto l = f.connect(to);
    l->send(frames(std::vector<std::string>(400, std::string(100'000, 'x')))); // more than sockets take
    sent.set_value();
    const bool all = f.r.wait([&] { return f.r.frames.size() == said; });
    const auto heard = clock::now();
    told.set_value();
    REQUIRE(all);
    for (std::size_t i = 0; i < said; ++i)
      REQUIRE(f.r.frames[i] == std::to_string(i));
    const auto first = began.get_future().get(), last = ended.get_future().get();
    CAPTURE((heard - first) / 1us);
    CHECK(f.r.told_on.size() <= static_cast<std::size_t>((heard - first) / 10ms) + 2); // however slow the peer is
    was_soon = heard - last < last - first;
  }
  CHECK(was_soon);
}

TEST_CASE("whatever a peer reads and says, and when, all that it says is told in order, though it reads no more") {
  constexpr int rounds = 12;
  for (unsigned seed = 1; seed <= rounds; ++seed) {
    CAPTURE(seed);
    fixture f;
    std::mt19937 chance(seed);
    const bool is_small = chance() % 3 == 0; // then more may be said than goes into a batch
    const auto many = is_small ? 12'000 : 50 + chance() % 400, size = is_small ? 3000 : 1 + chance() % 100'000;
    const bool closes = chance() % 2 == 0;
    std::size_t said = 0; // read when `last` is set
    std::promise<void> last, told;
    misbehaving_server server{[&, chance](auto& peer) mutable {
      peer.accept_websocket();
      std::size_t to_read = many;
      for (auto deeds = 20 + chance() % 60; deeds > 0; --deeds)
        switch (chance() % 3) {
          case 0:
            for (auto n = std::min<std::size_t>(chance() % 20, to_read); n > 0; --n, --to_read)
              peer.read_frame();
            break;
          case 1:
            for (auto n = chance() % (chance() % 16 == 0 ? 1500 : 5); n > 0; --n)
              peer.write_frame(std::to_string(said++));
            break;
          default: std::this_thread::sleep_for(std::chrono::microseconds{chance() % 4000});
        }
      if (closes)
        peer.write_close(1000, "");
      last.set_value();
      static_cast<void>(told.get_future().wait_for(20s));
      if (!closes) { // and goes, in the midst of what it is told
        peer.write_frame("heard or not");
        std::this_thread::sleep_for(std::chrono::microseconds{chance() % 4000});
      }
    }};
    auto to = f.to(server.port());
    to.ping_interval = 60s;
    const auto l = f.connect(to);
    l->send(frames(std::vector<std::string>(many, std::string(size, 'x'))));
    last.get_future().get();
    const bool all = f.r.wait([&] { return f.r.frames.size() == said && (!closes || !f.r.ends.empty()); });
    told.set_value();
    REQUIRE(all);
    static_cast<void>(f.end());
    for (std::size_t i = 0; i < said; ++i)
      REQUIRE(f.r.frames[i] == std::to_string(i));
  }
}

TEST_CASE_METHOD(fixture, "frames of a group wait for one another, but not for those that do not wait") {
  std::promise<void> first, waiting;
  misbehaving_server server{[&](auto& peer) {
    peer.accept_websocket();
    std::string seen;
    seen += peer.read_frame().value_or("nothing");
    first.set_value();
    waiting.get_future().get();
    seen += peer.is_quiet(50) ? " quiet " : " more ";
    peer.write_frame(seen);
    for (seen.clear(); seen.size() < 4;)
      seen += peer.read_frame().value_or("nothing");
    peer.write_frame(seen);
    for (seen.clear(); seen.size() < 2;)
      seen += peer.read_frame().value_or("nothing");
    peer.write_frame(seen);
    peer.read_frame();
  }};
  const connection::grouping how{24h, 5};
  auto e = to(server.port());
  e.ping_interval = 60s; // a ping would take them along
  const auto l = connect(e);
  REQUIRE(r.wait([&] { return r.opened == 1; }));
  l->send_grouped(frames({"1"}), how);
  first.get_future().get(); // what is written takes along all that is there
  for (const auto* text : {"2", "3", "4"})
    l->send_grouped(frames({text}), how);
  waiting.set_value();
  REQUIRE(r.wait([&] { return r.frames.size() == 1; }));
  CHECK(r.frames[0] == "1 quiet ");
  const bool by_number = GENERATE(true, false);
  if (by_number)
    l->send_grouped(frames({"5", "6"}), how);
  else
    l->send(frames({"5"}));
  REQUIRE(r.wait([&] { return r.frames.size() == 2; }));
  CHECK(r.frames[1] == "2345");
  if (!by_number)
    l->send_grouped(frames({"6"}), how);
  l->send_grouped(frames({"7"}), how);
  l->close(); // takes along what waits
  REQUIRE(r.wait([&] { return r.frames.size() == 3; }));
  CHECK(r.frames[2] == "67");
}

TEST_CASE("however frames are grouped, and whoever sends meanwhile, all go in order, and the last ones by themselves") {
  constexpr unsigned rounds = 20;
  for (unsigned seed = 1; seed <= rounds; ++seed) {
    CAPTURE(seed);
    record theirs;
    fixture f;
    std::mt19937 chance(seed);
    misbehaving_server server{stargate::test::echo};
    std::vector<std::unique_ptr<misbehaving_server>> their_servers;
    std::vector<std::unique_ptr<connection::link>> others; // which keep the loop awake
    auto to = f.to(server.port());
    to.ping_interval = 60s;
    const auto l = f.connect(to);
    for (auto n = chance() % 3; n > 0; --n) {
      their_servers.push_back(std::make_unique<misbehaving_server>(stargate::test::echo));
      auto there = f.to(their_servers.back()->port());
      others.push_back(f.loop->connect(there, std::make_unique<recorder>(theirs)));
    }
    const bool closes = chance() % 3 == 0;
    const auto many = 1 + chance() % 400;
    const auto pace = 1 + chance() % 2000;
    for (unsigned i = 0; i < many;) {
      std::vector<std::string> texts;
      for (auto n = 1 + chance() % 4; n > 0 && i < many; --n)
        texts.push_back(std::to_string(i++));
      if (chance() % 8 == 0)
        l->send(frames(std::move(texts)));
      else
        l->send_grouped(frames(std::move(texts)),
                        {std::chrono::milliseconds{chance() % 20}, 1 + chance() % (chance() % 4 == 0 ? 3 : 200)});
      for (const auto& other : others)
        other->send(frames({std::string(chance() % 5000, 'x')}));
      if (chance() % 2 == 0)
        std::this_thread::sleep_for(std::chrono::microseconds{chance() % pace});
    }
    if (closes)
      l->close();
    // An echo may be lost with the connection that is closed, but none before it.
    REQUIRE(f.r.wait([&] { return closes ? !f.r.ends.empty() : f.r.frames.size() == many; }));
    for (std::size_t i = 0; i < f.r.frames.size(); ++i)
      REQUIRE(f.r.frames[i] == std::to_string(i));
    if (closes)
      CHECK(f.r.ends[0].how == connection::end::closed);
  }
}
