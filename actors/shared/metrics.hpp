/// @file
/// What the actors of a tree count, for those who look at it from outside. It outlives the actors: a successor goes on
/// counting where its predecessor was killed.
#pragma once

#include <stargate/error.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>

namespace stargate::internal {

/// Only grows. @par Threads any thread
class counter {
public:
  void add(std::uint64_t count = 1) { value_.fetch_add(count, std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t value() const { return value_.load(std::memory_order_relaxed); }

private:
  std::atomic<std::uint64_t> value_{0};
};

/// What takes memory when it is first wanted, and not for each of thousands that never do. @par Threads any thread
template <class T>
class late {
public:
  late() = default;
  late(const late&) = delete;
  late& operator=(const late&) = delete;
  ~late() { delete there_.load(); }

  T& made() {
    auto* p = there_.load(std::memory_order_acquire);
    if (p != nullptr)
      return *p;
    auto mine = std::make_unique<T>();
    return there_.compare_exchange_strong(p, mine.get(), std::memory_order_acq_rel) ? *mine.release() : *p;
  }
  /// Null as long as it was not made.
  [[nodiscard]] const T* get() const { return there_.load(std::memory_order_acquire); }

private:
  std::atomic<T*> there_{nullptr}; ///< Owned.
};

/// How long something took, sorted into buckets. @par Threads any thread
class time_histogram {
public:
  using duration = std::chrono::steady_clock::duration;
  /// The upper bounds of the buckets; behind them is one without.
  static constexpr std::array<std::chrono::microseconds, 16> bounds{
    std::chrono::microseconds{100},       std::chrono::microseconds{250},       std::chrono::microseconds{500},
    std::chrono::microseconds{1'000},     std::chrono::microseconds{2'500},     std::chrono::microseconds{5'000},
    std::chrono::microseconds{10'000},    std::chrono::microseconds{25'000},    std::chrono::microseconds{50'000},
    std::chrono::microseconds{100'000},   std::chrono::microseconds{250'000},   std::chrono::microseconds{500'000},
    std::chrono::microseconds{1'000'000}, std::chrono::microseconds{2'500'000}, std::chrono::microseconds{10'000'000},
    std::chrono::microseconds{60'000'000}};

  void add(duration took) {
    const auto place = std::lower_bound(bounds.begin(), bounds.end(), took) - bounds.begin();
    auto& p = parts_.made();
    p.buckets[static_cast<std::size_t>(place)].add();
    p.nanoseconds.add(static_cast<std::uint64_t>(
      std::max<std::int64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(took).count(), 0)));
  }
  [[nodiscard]] std::uint64_t in_bucket(std::size_t place) const {
    const auto* p = parts_.get();
    return p != nullptr ? p->buckets[place].value() : 0;
  }
  [[nodiscard]] double seconds() const {
    const auto* p = parts_.get();
    return p != nullptr ? static_cast<double>(p->nanoseconds.value()) / 1e9 : 0;
  }

private:
  struct parts {
    std::array<counter, bounds.size() + 1> buckets;
    counter nanoseconds;
  };

  late<parts> parts_;
};

/// Only grows, of what is rare: each of its reasons by itself. @par Threads any thread
class counter_by_reason {
public:
  void add(errc why) {
    auto& p = parts_.made();
    const std::lock_guard guard{p.mutex};
    ++p.values[why];
  }
  [[nodiscard]] std::map<errc, std::uint64_t> values() const {
    const auto* p = parts_.get();
    if (p == nullptr)
      return {};
    const std::lock_guard guard{p->mutex};
    return p->values;
  }

private:
  struct parts {
    mutable std::mutex mutex;
    std::map<errc, std::uint64_t> values; // guarded by mutex
  };
  late<parts> parts_;
};

/// Of one producer, consumer or reader.
struct pipeline_metrics {
  // Of its socket:
  counter connects;
  counter_by_reason disconnects; ///< Of connections that stood, and attempts that came to nothing.
  // Of a producer:
  counter produced; ///< Messages that reached its acknowledger. Each is answered: `stored`, `failed` or `unknown`.
  counter stored, failed, unknown;
  time_histogram receipts; ///< From when a message was taken until the broker had it, or had refused it.
  // Of a receiver:
  counter delivered;   ///< Messages that came from the broker,
  counter redelivered; ///< of these, such as it had delivered before.
  counter acknowledged, negative_acknowledged;
  counter dead_lettered; ///< By this side.
  counter handler_failures;
  time_histogram handlers; ///< How long handlers took; a batch counts as one.
};

/// @par Threads any thread
class metrics {
public:
  /// Of the pipeline whose socket has this key. It is made where it is not known.
  [[nodiscard]] std::shared_ptr<pipeline_metrics> of(const std::string& socket_key) {
    const std::lock_guard guard{mutex_};
    auto& found = pipelines_[socket_key];
    if (!found)
      found = std::make_shared<pipeline_metrics>();
    return found;
  }
  /// The pipeline is gone for good.
  void forget(const std::string& socket_key) {
    const std::lock_guard guard{mutex_};
    pipelines_.erase(socket_key);
  }
  [[nodiscard]] std::map<std::string, std::shared_ptr<const pipeline_metrics>> all() const {
    const std::lock_guard guard{mutex_};
    return {pipelines_.begin(), pipelines_.end()};
  }

  counter restarts, give_ups;

private:
  mutable std::mutex mutex_;
  std::map<std::string, std::shared_ptr<pipeline_metrics>> pipelines_; // guarded by mutex_
};

} // namespace stargate::internal
