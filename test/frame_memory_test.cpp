#include "libstargate/connection/frame_memory.hpp"
#include "libstargate/protocol/frames.hpp"

#include <catch2/catch.hpp>

#include <atomic>
#include <random>
#include <thread>

using namespace stargate;
using stargate::connection::frame_memory;

TEST_CASE("a large frame's memory is taken by the next of about its size, and a small one's is the allocator's") {
  const auto memory = std::make_shared<frame_memory>();
  auto large = memory->share(std::string(100'000, 'x'));
  const auto* place = large->data();
  auto small = memory->share("small");
  CHECK(memory->take(100'000).empty()); // it is still in use
  small.reset();
  large.reset();
  CHECK(memory->kept() >= 100'000);
  CHECK(memory->take(20'000).empty()); // which would keep it from a large one
  CHECK(memory->take(200'000).empty());
  CHECK(memory->take(10).empty());
  const auto again = memory->take(90'000);
  CHECK(again.data() == place);
  CHECK(memory->kept() == 0);
}

TEST_CASE("what is kept of large frames is bounded, and the oldest goes first") {
  const auto memory = std::make_shared<frame_memory>();
  std::mt19937 random{1};
  std::vector<connection::frame> in_use;
  for (int i = 0; i < 5'000; ++i) {
    if (random() % 2 == 0 || in_use.empty())
      in_use.push_back(memory->share(std::string(1 + random() % 1'000'000, 'x')));
    else
      in_use.erase(in_use.begin() + static_cast<std::ptrdiff_t>(random() % in_use.size()));
    if (in_use.size() > 20)
      in_use.clear();
    REQUIRE(memory->kept() <= frame_memory::most_kept);
  }
  in_use.clear();
  memory->share(std::string(50'000, 'y')).reset();
  for (int i = 0; i < 100; ++i)
    in_use.push_back(memory->share(std::string(1'000'000, 'z')));
  in_use.resize(1); // something is still under way
  CHECK(memory->take(50'000).empty());
  CHECK(memory->kept() > frame_memory::kept_at_rest);
  in_use.clear();
  CHECK(memory->kept() <= frame_memory::kept_at_rest);
  CHECK(memory->take(1'000'000).front() == 'z');
}

TEST_CASE("what was received leaves its memory, too, and little of it is kept") {
  const auto memory = std::make_shared<frame_memory>();
  memory->leave(std::string(frame_memory::worth_keeping - 100, 'x'));
  CHECK(memory->kept() == 0);
  std::string frame(100'000, 'x');
  const auto* where = frame.data();
  memory->leave(std::move(frame));
  CHECK(memory->take(90'000).data() == where);
  for (int i = 0; i < 100; ++i)
    memory->leave(std::string(1'000'000, 'x'));
  CHECK(memory->kept() <= frame_memory::kept_at_rest);
}

TEST_CASE("frames outlive what made them, and go on any thread") {
  auto memory = std::make_shared<frame_memory>();
  std::atomic<int> whole{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([memory, &whole] {
      for (int i = 0; i < 2'000; ++i) {
        auto text = memory->take(30'000);
        text.resize(30'000, 'x');
        const auto frame = memory->share(std::move(text));
        whole += frame->size() == 30'000;
      }
    });
  for (auto& t : threads)
    t.join();
  CHECK(whole == 8'000);
  const auto last = memory->share(std::string(30'000, 'x'));
  memory.reset();
  CHECK(last->size() == 30'000);
}

TEST_CASE("a frame is the same whatever it is written over") {
  std::mt19937 random{7};
  for (int i = 0; i < 2'000; ++i) {
    message m{.payload = std::string(random() % 200, 'p')};
    for (auto& c : m.payload)
      c = static_cast<char>(random());
    if (random() % 2 == 0)
      m.key = "k" + std::to_string(random());
    if (random() % 2 == 0)
      m.properties["name"] = std::string(random() % 100, 'v');
    const auto expected = protocol::encode_message(m, 7);
    REQUIRE(expected);
    REQUIRE(*protocol::encode_message(m, 7, nullptr, std::string(random() % 600, '"')) == *expected);
  }
}
