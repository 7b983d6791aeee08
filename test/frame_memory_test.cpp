#include "libstargate/connection/frame_memory.hpp"

#include <catch2/catch.hpp>

#include <atomic>
#include <random>
#include <string>
#include <thread>
#include <vector>

using stargate::connection::frame_memory;

TEST_CASE("a large frame's memory is taken by the next of about its size, and a small one's is the allocator's") {
  frame_memory memory;
  memory.leave(std::string(frame_memory::worth_keeping - 100, 'x'));
  CHECK(memory.kept() == 0);
  std::string large(100'000, 'x');
  const auto* place = large.data();
  memory.leave(std::move(large));
  CHECK(memory.kept() >= 100'000);
  CHECK(memory.take(20'000).empty()); // which would keep it from a large one
  CHECK(memory.take(200'000).empty());
  CHECK(memory.take(10).empty());
  const auto again = memory.take(90'000);
  CHECK(again.data() == place);
  CHECK(memory.kept() == 0);
}

TEST_CASE("what is kept of large frames is bounded, and the oldest goes first") {
  frame_memory memory;
  std::mt19937 random{1};
  for (int i = 0; i < 5'000; ++i) {
    if (random() % 2 == 0)
      memory.leave(std::string(1 + random() % 1'000'000, 'x'));
    else
      static_cast<void>(memory.take(random() % 1'000'000));
    REQUIRE(memory.kept() <= frame_memory::most_kept);
  }
  memory.leave(std::string(50'000, 'y'));
  for (int i = 0; i < 100; ++i)
    memory.leave(std::string(1'000'000, 'z'));
  CHECK(memory.take(50'000).empty());
  CHECK(memory.take(1'000'000).front() == 'z');
}

TEST_CASE("memory of frames goes from thread to thread") {
  frame_memory memory;
  std::atomic<int> whole{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&memory, &whole] {
      for (int i = 0; i < 2'000; ++i) {
        auto text = memory.take(30'000);
        text.assign(30'000, 'x');
        whole += text.find_first_not_of('x') == std::string::npos;
        memory.leave(std::move(text));
      }
    });
  for (auto& t : threads)
    t.join();
  CHECK(whole == 8'000);
  CHECK(memory.kept() <= frame_memory::most_kept);
}
