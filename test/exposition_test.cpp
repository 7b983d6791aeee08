#include "web/exposition.hpp"

#include <catch2/catch.hpp>

using stargate::web::exposition;

TEST_CASE("metrics are written as Prometheus reads them") {
  exposition out;
  out.family("a_total", exposition::type::counter, "What is counted.");
  out.sample({}, std::uint64_t{18'446'744'073'709'551'615u});
  out.sample({{"topic", "a\"b\\c\nd"}, {"kind", ""}}, 0.5);
  CHECK(out.text()
        == "# HELP a_total What is counted.\n# TYPE a_total counter\na_total 18446744073709551615\n"
           "a_total{topic=\"a\\\"b\\\\c\\nd\",kind=\"\"} 0.5\n");
}

TEST_CASE("the buckets of a histogram add up, and the last has no bound") {
  exposition out;
  out.family("h_seconds", exposition::type::histogram, "How long.");
  out.histogram({{"x", "y"}}, {0.0001, 1}, {1, 2, 3}, 7.25);
  CHECK(out.text()
        == "# HELP h_seconds How long.\n# TYPE h_seconds histogram\n"
           "h_seconds_bucket{x=\"y\",le=\"0.0001\"} 1\nh_seconds_bucket{x=\"y\",le=\"1\"} 3\n"
           "h_seconds_bucket{x=\"y\",le=\"+Inf\"} 6\nh_seconds_sum{x=\"y\"} 7.25\nh_seconds_count{x=\"y\"} 6\n");
}

TEST_CASE("a gauge may be anything that is a number") {
  exposition out;
  out.family("g", exposition::type::gauge, "Now.");
  out.sample({}, -1e300);
  out.sample({}, 1e-7);
  CHECK(out.text().find("-1000000000000000") != std::string::npos);
  CHECK(out.text().find("0.0000001\n") != std::string::npos);
}
