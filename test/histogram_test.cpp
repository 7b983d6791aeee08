// The percentiles of `stargate perf` against those of the times themselves.
#include "cli/histogram.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cstdint>
#include <random>
#include <vector>

using namespace stargate::cli;
using std::chrono::microseconds;

TEST_CASE("a percentile is the time within which so many were, and not a thousandth more") {
  std::mt19937_64 random{20261201};
  for (const std::int64_t most : {1, 100, 5'000, 20'000, 3'000'000, 86'400'000}) {
    INFO("times up to " << most << " us");
    histogram h;
    std::vector<std::int64_t> all;
    for (int i = 0; i < 5'000; ++i) {
      all.push_back(std::uniform_int_distribution<std::int64_t>{0, most}(random));
      h.add(microseconds{all.back()});
    }
    std::sort(all.begin(), all.end());
    for (const double hundredths : {0.0, 50.0, 90.0, 99.0, 99.9}) {
      INFO("percentile " << hundredths);
      const auto exact = all[static_cast<std::size_t>(static_cast<double>(all.size()) * hundredths / 100)];
      const auto told = h.percentile(hundredths).count();
      CHECK(told >= exact);
      CHECK(told <= exact + exact / 1000);
    }
    CHECK(h.percentile(100).count() == all.back());
    CHECK(h.most().count() == all.back());
    CHECK(h.count() == all.size());
  }
}

TEST_CASE("a time before it began counts as none, and one that is too long for a histogram as the longest") {
  histogram h;
  CHECK(h.percentile(99) == microseconds{0});
  h.add(microseconds{-5});
  CHECK(h.percentile(50) == microseconds{0});
  h.add(microseconds::max());
  CHECK(h.percentile(100) == microseconds::max());
  CHECK(h.percentile(50) == microseconds::max());
}
