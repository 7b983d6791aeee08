/// @file
/// Whom of a tree's consumers and readers the broker is to be asked for, and when: one that got nothing for long may have
/// been forgotten by it. Rules only: this knows neither actors nor the broker, and is told what time it is.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <queue>
#include <utility>
#include <vector>

namespace stargate::internal {

/// Thousands that are idle have no timer each and nothing to do: they are in this list, and somebody goes through it who
/// asks for one after the other. @par Threads any thread
class idle_watch {
public:
  using clock = std::chrono::steady_clock;

  /// A connection that stands. It is asked for as long as somebody keeps it.
  class watched {
  public:
    explicit watched(clock::time_point now) : heard_at_{now.time_since_epoch().count()} {}
    watched(const watched&) = delete;
    watched& operator=(const watched&) = delete;

    /// Something came by it.
    void heard(clock::time_point now) { heard_at_.store(now.time_since_epoch().count(), std::memory_order_relaxed); }

  protected:
    ~watched() = default;

  private:
    friend class idle_watch;
    [[nodiscard]] clock::time_point heard_at() const {
      return clock::time_point{clock::duration{heard_at_.load(std::memory_order_relaxed)}};
    }

    std::atomic<clock::rep> heard_at_;
    clock::time_point asked_at_ = clock::time_point::min(); // guarded by the mutex of the watch, as is what follows
    std::uint32_t absences_ = 0;                            // that the broker told of, one after the other
    bool told_ = false;                                     // that it did not say
  };
  using watched_ptr = std::shared_ptr<watched>;

  static constexpr std::chrono::milliseconds second_look{2'000};
  static constexpr std::uint32_t absences_to_believe = 2; // the broker's side may itself be about to connect again

  /// @param idle how long nothing has to have come, and what is between two questions for the same; with 0 nobody is
  /// asked for
  explicit idle_watch(std::chrono::milliseconds idle) : idle_{idle} {}

  /// @return whether somebody has to ask `what_now`, since nobody is about to
  [[nodiscard]] bool enter(const watched_ptr& who) {
    const std::lock_guard guard{mutex_};
    if (idle_.count() == 0)
      return false;
    waiting_.push({who->heard_at() + idle_, who});
    return !std::exchange(attended_, true);
  }

  struct what_next {
    bool ask = false;                           ///< For those that `next` gives, and then say `asked_all`.
    std::optional<clock::time_point> look_at{}; ///< Or ask again then; or, where it is empty, when `enter` says so.
  };
  [[nodiscard]] what_next what_now(clock::time_point now) {
    const std::lock_guard guard{mutex_};
    if (asking_ || closed_)
      return {};
    if (due(now).who)
      return {.ask = asking_ = true};
    const auto at = earliest();
    attended_ = at.has_value();
    if (!at)
      return {};
    return {.look_at = std::max(*at, now + idle_ / most_looks)}; // many at once, where messages come to many
  }

  /// Whom to ask for; null when that is nobody yet. First come those that the broker said it does not have.
  [[nodiscard]] watched_ptr next(clock::time_point now) {
    const std::lock_guard guard{mutex_};
    return take(now);
  }

  enum class answer : std::uint8_t {
    present,
    absent,
    no_topic, ///< Which leaves it alone, until somebody makes the topic again.
    unknown,
  };
  enum class news : std::uint8_t { none, forgotten, unknown };

  /// @return whether there is something to be done: the broker has forgotten it; or it could not be asked for this one,
  /// for the first time
  [[nodiscard]] news answered(const watched_ptr& who, answer what, clock::time_point now) {
    const std::lock_guard guard{mutex_};
    silence_is_known_ = false;
    return note(who, what, now);
  }

  /// Nobody answered: it is not asked for each that is due, only to hear nothing as often.
  /// @return whether that is new
  [[nodiscard]] bool unanswered(const watched_ptr& who, clock::time_point now) {
    const std::lock_guard guard{mutex_};
    static_cast<void>(note(who, answer::unknown, now));
    while (const auto other = take(now))
      static_cast<void>(note(other, answer::unknown, now));
    return !std::exchange(silence_is_known_, true);
  }

  void asked_all() {
    const std::lock_guard guard{mutex_};
    asking_ = false;
  }

  /// Waits for who is due within that time, and at least for `pace`: others want to ask the broker, too.
  /// @return false when this is closed @par Threads one that may block
  bool wait(std::chrono::milliseconds pace, std::chrono::milliseconds lingering) {
    std::unique_lock lock{mutex_};
    const auto now = clock::now();
    const auto until = std::clamp(earliest().value_or(now), now + pace, now + std::max(pace, lingering));
    return !closing_.wait_until(lock, until, [this] { return closed_; });
  }

  /// Nobody is asked for any more.
  void close() {
    const std::lock_guard guard{mutex_};
    closed_ = true;
    closing_.notify_all();
  }

private:
  static constexpr int most_looks = 32; // within `idle`

  struct entry {
    clock::time_point due; // or later: it may have been heard of
    std::weak_ptr<watched> who;
    friend bool operator<(const entry& a, const entry& b) { return a.due > b.due; }
  };
  using queue = std::priority_queue<entry>;

  [[nodiscard]] std::optional<clock::time_point> earliest() const {
    if (waiting_.empty() && second_looks_.empty())
      return {};
    return std::min(waiting_.empty() ? clock::time_point::max() : waiting_.top().due,
                    second_looks_.empty() ? clock::time_point::max() : second_looks_.top().due);
  }

  struct first_of {
    queue* from = nullptr;
    watched_ptr who{};
  };
  /// Who is to be asked for now, which is the first of its queue. Those that are gone, or were heard of, are not.
  [[nodiscard]] first_of due(clock::time_point now) {
    for (auto* from : {&second_looks_, &waiting_})
      while (!closed_ && !from->empty() && from->top().due <= now) {
        auto who = from->top().who.lock();
        const bool was_heard_of = who && who->heard_at() + idle_ > now;
        if (who && !was_heard_of)
          return {from, std::move(who)};
        from->pop();
        if (was_heard_of) {
          who->absences_ = 0;
          waiting_.push({who->heard_at() + idle_, who});
        }
      }
    return {};
  }

  [[nodiscard]] watched_ptr take(clock::time_point now) {
    auto first = due(now);
    if (first.who)
      first.from->pop();
    return std::move(first.who);
  }

  [[nodiscard]] news note(const watched_ptr& who, answer what, clock::time_point now) {
    const bool was_heard_of = who->heard_at() >= who->asked_at_;
    who->asked_at_ = now;
    if (what != answer::absent || was_heard_of)
      who->absences_ = 0;
    who->absences_ += what == answer::absent ? 1 : 0;
    const bool is_forgotten = who->absences_ >= absences_to_believe;
    if (what != answer::absent || is_forgotten)
      waiting_.push({now + idle_, who});
    else
      second_looks_.push({now + std::min(idle_, second_look), who});
    if (is_forgotten) {
      who->absences_ = 0;
      return news::forgotten;
    }
    return what == answer::unknown && !std::exchange(who->told_, true) ? news::unknown : news::none;
  }

  const std::chrono::milliseconds idle_;
  std::mutex mutex_;
  std::condition_variable closing_;
  queue waiting_, second_looks_;  // guarded by mutex_, as is what follows
  bool attended_ = false;         // somebody asks what_now in time,
  bool asking_ = false;           // or goes through those that are due
  bool silence_is_known_ = false; // that nobody answers
  bool closed_ = false;
};

} // namespace stargate::internal
