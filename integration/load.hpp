/// @file
/// A load of numbered messages, and the books about it: for the demo and for the tests of faults.
#pragma once

#include <stargate/stargate.hpp>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace stargate::integration {

/// Which messages were stored and which were handled, by their number. @par Threads any thread
class accounts {
public:
  explicit accounts(std::size_t count) : receipted_(count), processed_(count) {}

  void receipt(std::size_t number) { mark(receipted_, receipted_count_, number); }
  void process(std::size_t number) {
    mark(processed_, processed_count_, number);
    ++handled_;
  }
  std::size_t receipted() const { return receipted_count_; }
  std::size_t processed() const { return processed_count_; } ///< Distinct messages.
  /// Messages that these books have as stored, and `other` not as handled.
  std::size_t receipted_but_not(const accounts& other) const {
    std::size_t count = 0;
    for (std::size_t i = 0; i < receipted_.size(); ++i)
      count += receipted_[i] && !other.processed_[i] ? 1 : 0;
    return count;
  }
  /// The numbers that were not handled, as ranges.
  std::string unprocessed() const {
    std::string text;
    for (std::size_t i = 0; i < processed_.size(); ++i) {
      if (processed_[i])
        continue;
      const auto first = i;
      while (i + 1 < processed_.size() && !processed_[i + 1])
        ++i;
      text += (text.empty() ? "" : ", ") + std::to_string(first) + " to " + std::to_string(i);
    }
    return text;
  }
  std::size_t handled() const { return handled_; } ///< Messages, those that came again included.

private:
  static void mark(std::vector<std::atomic<bool>>& list, std::atomic<std::size_t>& count, std::size_t number) {
    if (number < list.size() && !list[number].exchange(true))
      ++count;
  }

  std::vector<std::atomic<bool>> receipted_;
  std::vector<std::atomic<bool>> processed_;
  std::atomic<std::size_t> receipted_count_{0};
  std::atomic<std::size_t> processed_count_{0};
  std::atomic<std::size_t> handled_{0};
};

/// A handler that notes the number of each message it sees, which is in a property.
class note_number final : public message_handler {
public:
  explicit note_number(accounts* books) : books_{books} {}
  disposition handle_message(const received_message& m) override {
    if (const auto number = m.properties.find("number"); number != m.properties.end())
      books_->process(std::stoul(number->second));
    return disposition::ack;
  }

private:
  accounts* books_;
};

/// Hands numbered messages to producers in turn, some hundreds at a time, and again those that were not stored.
class feeder {
public:
  feeder(const tree& t, std::vector<registry_key> producers, accounts& books)
    : tree_{t},
      producers_{std::move(producers)},
      books_{books} {}

  void send(std::size_t number) {
    {
      std::unique_lock lock{mutex_};
      changed_.wait(lock, [this] { return under_way_ < window; });
      ++under_way_;
    }
    message m{.payload = "message " + std::to_string(number),
              .key = "key-" + std::to_string(number % 16),
              .properties = {{"number", std::to_string(number)}, {"sent-by", "stargate"}}};
    tree_.produce(producers_[number % producers_.size()], std::move(m),
                  [this, number](caf::expected<message_id> answer) {
                    const std::lock_guard guard{mutex_};
                    if (answer)
                      books_.receipt(number);
                    else
                      failed_.push_back(number);
                    --under_way_;
                    changed_.notify_all();
                  });
  }

  /// Waits for what is under way, and hands over again what was not stored. False when that does not end in time.
  bool finish(std::chrono::steady_clock::time_point deadline) {
    for (;;) {
      std::vector<std::size_t> again;
      {
        std::unique_lock lock{mutex_};
        if (!changed_.wait_until(lock, deadline, [this] { return under_way_ == 0; }))
          return false;
        if (failed_.empty())
          return true;
        again.swap(failed_);
      }
      if (std::chrono::steady_clock::now() >= deadline)
        return false;
      for (const auto& producer : producers_) // which may be on its way back
        static_cast<void>(tree_.await({"producer_ack", producer.topic, producer.name}, std::chrono::seconds{10}));
      handed_over_again_ += again.size();
      for (const auto number : again)
        send(number);
    }
  }

  /// How many messages `finish` has handed over once more: another message each, whatever had become of the first.
  std::size_t handed_over_again() const { return handed_over_again_; }

private:
  static constexpr std::size_t window = 800; // below max_pending, so none is refused

  const tree& tree_;
  const std::vector<registry_key> producers_;
  accounts& books_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t under_way_ = 0;
  std::vector<std::size_t> failed_;
  std::size_t handed_over_again_ = 0; ///< Of the thread that calls `finish`.
};

/// Waits until `enough`, looking every few milliseconds; false when it is not by the deadline.
template <class Enough>
[[nodiscard]] bool wait_until(std::chrono::steady_clock::time_point deadline, Enough enough) {
  while (!enough()) {
    if (std::chrono::steady_clock::now() >= deadline)
      return false;
    std::this_thread::sleep_for(std::chrono::milliseconds{5});
  }
  return true;
}

} // namespace stargate::integration
