#include "cli/perf_meter.hpp"

#include "cli/common.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <utility>

namespace stargate::cli {

namespace {

using std::chrono::microseconds;

microseconds processor_time() {
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  const auto of = [](const timeval& t) { return std::chrono::seconds{t.tv_sec} + microseconds{t.tv_usec}; };
  return of(used.ru_utime) + of(used.ru_stime);
}

} // namespace

void perf_meter::add(microseconds latency) {
  const std::lock_guard guard{mutex_};
  if (++seen_ == options_.warm_up + 1) {
    began_ = clock::now();
    used_ = processor_time();
  }
  if (seen_ <= options_.warm_up)
    return;
  latencies_.add(latency);
  if (options_.messages > 0 && latencies_.count() == options_.messages)
    end();
}

void perf_meter::fail(caf::error why) {
  const std::lock_guard guard{mutex_};
  ++failed_;
  if (!failure_)
    failure_ = std::move(why);
}

void perf_meter::finish() {
  const std::lock_guard guard{mutex_};
  if (!done_)
    end();
}

void perf_meter::wait() {
  const bool live = isatty(STDERR_FILENO) == 1;
  const auto until = options_.duration.count() > 0 ? clock::now() + options_.duration : clock::time_point::max();
  auto next = clock::now() + std::chrono::seconds{1};
  std::uint64_t last = 0;
  std::unique_lock lock{mutex_};
  while (!done_ && !is_interrupted() && clock::now() < until) {
    changed_.wait_until(lock, std::min(until, clock::now() + std::chrono::milliseconds{250}));
    if (!live || clock::now() < next)
      continue;
    next += std::chrono::seconds{1};
    std::fprintf(stderr, "\r\033[K%llu messages/s, median %lld us, 99%% within %lld us",
                 static_cast<unsigned long long>(latencies_.count() - last),
                 static_cast<long long>(latencies_.percentile(50).count()),
                 static_cast<long long>(latencies_.percentile(99).count()));
    last = latencies_.count();
  }
  if (live)
    std::fputs("\r\033[K", stderr);
  if (!done_)
    end();
}

int perf_meter::report() {
  const std::lock_guard guard{mutex_};
  const auto seconds = std::chrono::duration<double>(ended_ - began_).count();
  const auto count = static_cast<double>(latencies_.count());
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  const auto at = [&](double p) { return static_cast<long long>(latencies_.percentile(p).count()); };
  std::printf(options_.json
                ? "{\"messages\":%llu,\"failed\":%llu,\"seconds\":%.4f,\"rate\":%.1f,\"processorMicros\":%.3f,"
                  "\"medianMicros\":%lld,\"p95Micros\":%lld,\"p99Micros\":%lld,\"p999Micros\":%lld,\"maxMicros\":%lld,"
                  "\"residentKiB\":%ld}\n"
                : "%llu messages, %llu failed, in %.2f s: %.0f messages/s, %.2f us of processor time each\n"
                  "latency: median %lld us, 95%% within %lld us, 99%% %lld us, 99.9%% %lld us, most %lld us; at most "
                  "%ld KiB resident\n",
              static_cast<unsigned long long>(latencies_.count()), static_cast<unsigned long long>(failed_), seconds,
              seconds > 0 ? count / seconds : 0.0, count > 0 ? static_cast<double>(used_.count()) / count : 0.0, at(50),
              at(95), at(99), at(99.9), static_cast<long long>(latencies_.most().count()), used.ru_maxrss);
  std::fflush(stdout);
  return failure_ ? cli::fail(*failure_) : done;
}

void perf_meter::end() {
  ended_ = clock::now();
  used_ = processor_time() - used_;
  done_ = true;
  changed_.notify_all();
}

} // namespace stargate::cli
