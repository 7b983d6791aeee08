// A connection that stands against peers that misbehave: no real broker does what these do.
#include "libstargate/connection/event_loops.hpp"
#include "test/connection_fixture.hpp"

#include <catch2/catch.hpp>

#include <array>
#include <csignal>
#include <future>
#include <optional>
#include <random>
#include <thread>

#include <malloc.h>

namespace connection = stargate::connection;
using connection::ended, connection::event_loop, connection::frame, connection::observer;
using stargate::test::misbehaving_server;
using namespace std::chrono_literals;

namespace {

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
