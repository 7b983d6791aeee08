#include "cli/perf_load.hpp"

#include "cli/common.hpp"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <thread>
#include <utility>

namespace stargate::cli {

namespace {

using std::chrono::microseconds;

constexpr auto no_end = std::numeric_limits<std::uint64_t>::max();
constexpr std::size_t bytes_at_once = 256u << 10;

} // namespace

perf_load::perf_load(const perf_options& o, const tree& t, std::vector<registry_key> producers, perf_meter& m)
  : options_{o},
    tree_{t},
    producers_{std::move(producers)},
    meter_{m} {}

void perf_load::run() {
  const auto content = options_.own_payloads
                         ? message{.payload = std::string(options_.size, 'x')}
                         : message{.shared_payload = std::make_shared<const std::string>(options_.size, 'x')};
  // A program that makes its payloads does not make all of many large ones before it hands over the first.
  const auto at_once =
    options_.own_payloads ? std::max<std::size_t>(1, bytes_at_once / (options_.size + 1)) : most_at_once;
  const auto began = clock::now();
  const auto all = options_.messages > 0 ? options_.messages + options_.warm_up : no_end;
  std::uint64_t handed = 0;
  for (std::size_t next = 0; handed < all && !meter_.is_done() && !is_interrupted(); ++next) {
    const auto& producer = producers_[next % producers_.size()];
    if (options_.blocking) {
      ++handed;
      const auto sent = clock::now();
      take(tree_.produce(producer, content), sent);
      continue;
    }
    auto room = std::min<std::uint64_t>(wait_for_room(), all - handed);
    if (options_.rate > 0) {
      const auto due =
        static_cast<std::uint64_t>(std::chrono::duration<double>(clock::now() - began).count() * options_.rate);
      if (due <= handed) {
        std::this_thread::sleep_for(microseconds{200});
        continue;
      }
      room = std::min(room, due - handed);
    }
    handed += room;
    under_way_ += room;
    while (room > 0) {
      const auto some = std::min<std::uint64_t>(room, at_once);
      room -= some;
      const auto sent = clock::now();
      tree_.produce(producer, std::vector<message>(some, content),
                    [this, sent](std::size_t, const caf::expected<message_id>& answer) {
                      take(answer, sent);
                      if (under_way_.fetch_sub(1) == options_.outstanding - batch_) {
                        const std::lock_guard guard{mutex_};
                        changed_.notify_one();
                      }
                    });
    }
  }
  std::unique_lock lock{mutex_};
  const auto none_is_under_way = [this] { return under_way_ == 0; };
  while (!meter_.is_done() && !is_interrupted() && !none_is_under_way())
    changed_.wait_for(lock, std::chrono::milliseconds{10}, none_is_under_way);
  meter_.finish();
  changed_.wait_for(lock, std::chrono::seconds{10}, none_is_under_way); // receipts refer to this object
}

std::size_t perf_load::wait_for_room() {
  const auto room = [this] { return options_.outstanding - std::min<std::size_t>(under_way_, options_.outstanding); };
  if (room() < batch_) {
    std::unique_lock lock{mutex_};
    changed_.wait_for(lock, std::chrono::milliseconds{10}, [&] { return room() >= batch_ || meter_.is_done(); });
  }
  return std::min(room(), most_at_once);
}

void perf_load::take(const caf::expected<message_id>& answer, clock::time_point sent) {
  if (answer)
    meter_.add(std::chrono::duration_cast<microseconds>(clock::now() - sent));
  else
    meter_.fail(answer.error());
}

} // namespace stargate::cli
