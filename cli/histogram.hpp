/// @file
/// Counts durations so that their percentiles are known to one in a hundred.
#pragma once

#include <array>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace stargate::cli {

/// A histogram whose buckets are 64 to an octave. @par Threads one at a time
class histogram {
public:
  void add(std::chrono::microseconds time) {
    ++buckets_[place_of(static_cast<std::uint64_t>(time.count() < 0 ? 0 : time.count()))];
    ++count_;
    most_ = time > most_ ? time : most_;
  }
  [[nodiscard]] std::uint64_t count() const { return count_; }
  [[nodiscard]] std::chrono::microseconds most() const { return most_; }

  /// The time within which so many of a hundred were.
  [[nodiscard]] std::chrono::microseconds percentile(double hundredths) const {
    const auto wanted = static_cast<std::uint64_t>(static_cast<double>(count_) * hundredths / 100);
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < buckets_.size(); ++i)
      if ((seen += buckets_[i]) > wanted)
        return std::chrono::microseconds{value_of(i)};
    return most_;
  }

private:
  static constexpr unsigned bits = 6;

  static std::size_t place_of(std::uint64_t value) {
    if (value < (1u << bits))
      return value;
    const auto octave = static_cast<unsigned>(std::bit_width(value)) - bits - 1;
    const auto place = (static_cast<std::size_t>(octave) << bits) + (value >> octave);
    return place < size ? place : size - 1;
  }
  static std::int64_t value_of(std::size_t place) {
    if (place < (1u << bits))
      return static_cast<std::int64_t>(place);
    const auto octave = (place >> bits) - 1;
    return static_cast<std::int64_t>((place - (octave << bits)) << octave);
  }

  static constexpr std::size_t size = std::size_t{40} << bits;
  std::array<std::uint64_t, size> buckets_{};
  std::uint64_t count_ = 0;
  std::chrono::microseconds most_{0};
};

} // namespace stargate::cli
