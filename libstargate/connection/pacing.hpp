/// @file
/// When an event loop waits although it has something to do, because more of it then costs less. Rules only: they know
/// neither sockets nor threads, and are told what time it is.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace stargate::connection {

/// What has come by connections.
struct amount {
  std::size_t frames = 0, bytes = 0;
  std::size_t answers = 0; ///< Of the frames: each is to one that was sent.
  std::size_t awaited = 0; ///< Answers that are yet to come.

  /// So much has a wake-up of its own.
  [[nodiscard]] bool is_worth_a_wake_up() const { return bytes >= 32u << 10; }
  /// With so many more answers, more than half of all questions will have been answered: where each is asked anew when it
  /// is, the peer would have little to do until they are handed on.
  [[nodiscard]] bool is_most_with(std::size_t more) const {
    return answers > 0 && answers + 2 * std::max(answers, more) >= awaited;
  }
};

/// How long a loop waits for more where each message comes by another connection, as from thousands of topics: as long as
/// it takes for two hundred or so to come, while the second half of that brings at least half as many as the first, and
/// while most of those who ask anew when they are answered still wait for the peer.
/// @par Threads one at a time
class moment {
public:
  using clock = std::chrono::steady_clock;

  static constexpr auto shortest = std::chrono::microseconds{200};

  /// @param longest it may become, unless that is less than `shortest`
  explicit moment(clock::duration longest) : longest_{std::max<clock::duration>(longest, shortest)} {}

  [[nodiscard]] clock::duration half() const { return now_ / 2; }
  /// The first half is over. @return whether there is to be a second one
  /// @param more is expected to come in that
  [[nodiscard]] bool goes_on(std::size_t frames_before, amount come, std::size_t more) {
    at_half_ = come.frames;
    first_ += (less(come.frames, frames_before) - first_) / remembered;
    if (come.frames < enough && !come.is_worth_a_wake_up() && !come.is_most_with(more))
      return true;
    become(now_ - now_ / step);
    return false;
  }
  /// So is the second one.
  void is_over(std::size_t frames) {
    second_ += (less(frames, at_half_) - second_) / remembered;
    become(second_ > 0 && second_ >= first_ * as_much ? now_ + now_ / step : now_ - now_ / step);
  }

private:
  static constexpr std::size_t enough = 128; // frames, by half of it: what waking costs is then a small part
  static constexpr double remembered = 8;    // moments
  static constexpr double as_much = 0.5;     // of what the first half brings
  static constexpr int step = 16;

  static double less(std::size_t a, std::size_t b) { return a > b ? static_cast<double>(a - b) : 0; }
  void become(clock::duration length) { now_ = std::clamp<clock::duration>(length, shortest, longest_); }

  clock::duration longest_, now_ = shortest;
  std::size_t at_half_ = 0;       // frames
  double first_ = 0, second_ = 0; // frames that the halves have brought of late
};

/// Whether what has come is handed on at once, or after a moment, with what comes meanwhile: every batch wakes threads,
/// which costs more than the messages. That is so only while messages stream, since nobody is short of processors
/// otherwise, and each would be late by that moment; not for the first batch after a pause, which nobody may have
/// anything else to do than wait for; nor where little more is awaited; and seldom where waiting brings no more.
/// What comes by few connections comes many at a time, and there the moment is the shortest.
/// @par Threads one at a time
class gathering {
public:
  using clock = std::chrono::steady_clock;

  /// @param longest the moment, at most, and at least `moment::shortest`; 0: there is none
  explicit gathering(clock::duration longest) : is_off_{longest.count() == 0}, of_many_{longest} {}

  /// @param come since what came last was handed on
  /// @return how long to wait before this is asked again; 0: it is to be handed on now
  [[nodiscard]] clock::duration wait(clock::time_point now, amount come) {
    turn_to(now);
    switch (stage_) {
      case stage::fresh:
        if (!is_worth_it(now, come) || come.is_most_with(expected_in(first_wait())))
          return {};
        at_first_ = come.frames;
        stage_ = is_of_many_ ? stage::first_half : stage::whole;
        return first_wait();
      case stage::first_half:
        stage_ = stage::whole;
        return of_many_.goes_on(at_first_, come, expected_in(of_many_.half())) ? of_many_.half() : clock::duration{0};
      case stage::whole:
        in_vain_ = come.frames > at_first_ ? 0 : std::min(in_vain_ + 1, most_in_vain);
        to_skip_ = in_vain_ > 0 ? 1u << in_vain_ : 0;
        if (is_of_many_)
          of_many_.is_over(come.frames);
        return {};
    }
    return {};
  }
  /// It was. @param connections by which it had come
  void handed_on(clock::time_point now, std::size_t frames, std::size_t connections) {
    turn_to(now);
    here_ += frames;
    handed_on_ = now;
    is_of_many_ = connections >= many;
    stage_ = stage::fresh;
  }

private:
  static constexpr auto pause = std::chrono::microseconds{400};
  static constexpr auto window = std::chrono::milliseconds{10};
  static constexpr std::size_t of_a_stream = 40; // frames in a window: 4,000 a second
  static constexpr unsigned most_in_vain = 6;    // 2^6 batches go ungathered after so many that gathered nothing
  static constexpr std::size_t many = 3;         // connections: more than a producer and a consumer

  enum class stage : std::uint8_t { fresh, first_half, whole };

  [[nodiscard]] bool is_worth_it(clock::time_point now, amount come) {
    if (is_off_ || now - handed_on_ >= pause || come.is_worth_a_wake_up() || std::max(before_, here_) < of_a_stream)
      return false;
    if (to_skip_ == 0)
      return true;
    --to_skip_;
    return false;
  }

  [[nodiscard]] clock::duration first_wait() const {
    return is_of_many_ ? of_many_.half() : clock::duration{moment::shortest};
  }
  /// Frames, going by those of late.
  [[nodiscard]] std::size_t expected_in(clock::duration time) const {
    return std::max(before_, here_) * static_cast<std::size_t>(time.count())
           / static_cast<std::size_t>(clock::duration{window}.count());
  }

  void turn_to(clock::time_point now) {
    if (now - began_ < window)
      return;
    before_ = now - began_ < 2 * window ? here_ : 0;
    here_ = 0;
    began_ = now;
  }

  bool is_off_;
  moment of_many_;          // connections
  bool is_of_many_ = false; // that what was handed on had come by
  stage stage_ = stage::fresh;
  std::size_t at_first_ = 0; // frames, in this batch
  clock::time_point handed_on_{}, began_{};
  std::size_t before_ = 0, here_ = 0; // frames in the last window, and in this one
  unsigned in_vain_ = 0;              // how often in succession waiting brought nothing
  std::uint32_t to_skip_ = 0;         // so many batches, therefore
};

/// Whether frames that may wait for others of their kind do: only where those come often, since to be woken for them
/// would cost more than to write them, and there is nothing to wait for. @par Threads one at a time
class grouped_frames {
public:
  using clock = std::chrono::steady_clock;

  /// Some are to be sent. @return whether they wait, until `due` at the latest
  [[nodiscard]] bool may_wait(clock::time_point now, std::chrono::milliseconds longest) {
    const bool often = now - last_ < clock::duration{longest} / 2;
    last_ = now;
    if (!often)
      return false;
    due_ = std::min(due_, now + longest);
    ripe_ = std::min(ripe_, now + clock::duration{longest} * 3 / 4);
    return true;
  }
  [[nodiscard]] clock::time_point due() const { return due_; }
  /// From when on they go where somebody is awake anyway: else each of a thousand connections would have the loop woken.
  [[nodiscard]] clock::time_point ripe() const { return ripe_; }
  /// They are written.
  void sent() { due_ = ripe_ = clock::time_point::max(); }

private:
  clock::time_point last_{clock::duration::min() / 2}; // longer ago than anything
  clock::time_point due_ = clock::time_point::max(), ripe_ = clock::time_point::max();
};

} // namespace stargate::connection
