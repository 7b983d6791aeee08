/// @file
/// When an event loop waits although it has something to do, because more of it then costs less. Rules only: they know
/// neither sockets nor threads, and are told what time it is.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace stargate::connection {

/// Whether what has come is handed on at once, or after a moment, with what comes meanwhile: every batch wakes an actor,
/// which costs more than the message. That is so only while messages stream, since nobody is short of processors
/// otherwise, and each would be late by that moment; not for the first batch after a pause, which nobody may have
/// anything else to do than wait for; and seldom where waiting brings no more, as with one message after another's receipt.
/// @par Threads one at a time
class gathering {
public:
  using clock = std::chrono::steady_clock;

  static constexpr auto time = std::chrono::microseconds{200}; ///< The moment.

  /// @param bytes that have come since what came last was handed on
  /// @return whether to wait for `time`, and to tell `waited`
  [[nodiscard]] bool is_worth_it(clock::time_point now, std::size_t bytes) {
    turn_to(now);
    if (now - handed_on_ >= pause || bytes >= worth_a_wake_up || std::max(before_, here_) < of_a_stream)
      return false;
    if (to_skip_ == 0)
      return true;
    --to_skip_;
    return false;
  }
  void waited(bool brought_more) {
    in_vain_ = brought_more ? 0 : std::min(in_vain_ + 1, most_in_vain);
    to_skip_ = in_vain_ > 0 ? 1u << in_vain_ : 0;
  }
  void handed_on(clock::time_point now, std::size_t frames) {
    turn_to(now);
    here_ += frames;
    handed_on_ = now;
  }

  static constexpr std::size_t worth_a_wake_up = 32u << 10; ///< So many bytes have one of their own.

private:
  static constexpr auto pause = std::chrono::microseconds{400};
  static constexpr auto window = std::chrono::milliseconds{10};
  static constexpr std::size_t of_a_stream = 40; // frames in a window: 4,000 a second
  static constexpr unsigned most_in_vain = 6;    // 2^6 batches go ungathered after so many that gathered nothing

  void turn_to(clock::time_point now) {
    if (now - began_ < window)
      return;
    before_ = now - began_ < 2 * window ? here_ : 0;
    here_ = 0;
    began_ = now;
  }

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
    const bool often = now - last_ < clock::duration{longest} / enough_in_a_group;
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
  static constexpr int enough_in_a_group = 4;

  clock::time_point last_{clock::duration::min() / 2}; // longer ago than anything
  clock::time_point due_ = clock::time_point::max(), ripe_ = clock::time_point::max();
};

} // namespace stargate::connection
